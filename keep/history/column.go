package history

import (
	"encoding/json"
	"net/netip"
	"reflect"
	"strings"
	"time"
	"unicode"
	"unsafe"

	"github.com/testudo-shield/testudo"
)

// base returns the columns that every record has.
func base() []Column {
	cols := []Column{
		{
			Name: "ts", Type: Int, Time: true, set: func(v reflect.Value, c *Cell) { meta(v).Time = testudo.Time(c.Int * 1000) },
			ns: func(v reflect.Value, n *nanos) { n.field((*int64)(&meta(v).Time)) },
		},
		{Name: "uid", Type: Text, set: func(v reflect.Value, c *Cell) { meta(v).UID = ParseUID(c.Text) }},
		{Name: "id.orig_h", Type: Text, Role: Address, set: func(v reflect.Value, c *Cell) { setAddr(&meta(v).ID.Orig, c.Text) }},
		{Name: "id.orig_p", Type: Int, set: func(v reflect.Value, c *Cell) { setPort(&meta(v).ID.Orig, c.Int) }},
		{Name: "id.resp_h", Type: Text, Role: Address, set: func(v reflect.Value, c *Cell) { setAddr(&meta(v).ID.Resp, c.Text) }},
		{Name: "id.resp_p", Type: Int, set: func(v reflect.Value, c *Cell) { setPort(&meta(v).ID.Resp, c.Int) }},
		{Name: "proto", Type: Text},
		{Name: "ip_proto", Type: Int, set: func(v reflect.Value, c *Cell) { meta(v).ID.Proto = testudo.Proto(c.Int) }},
		{Name: "local_orig", Type: Bool, set: func(v reflect.Value, c *Cell) { meta(v).About.OrigLocal = c.Int != 0 }},
		{Name: "local_resp", Type: Bool, set: func(v reflect.Value, c *Cell) { meta(v).About.RespLocal = c.Int != 0 }},
	}
	for i, raw := range [...]func(*testudo.Meta, *Cell){
		func(m *testudo.Meta, c *Cell) { c.Int = micros(int64(m.Time)) },
		func(m *testudo.Meta, c *Cell) { c.Text = uidText(m.UID) },
		func(m *testudo.Meta, c *Cell) { c.Text = addrText(m.ID.Orig.Addr()) },
		func(m *testudo.Meta, c *Cell) { c.Int = int64(m.ID.Orig.Port()) },
		func(m *testudo.Meta, c *Cell) { c.Text = addrText(m.ID.Resp.Addr()) },
		func(m *testudo.Meta, c *Cell) { c.Int = int64(m.ID.Resp.Port()) },
		func(m *testudo.Meta, c *Cell) { c.Text = m.ID.Proto.String() },
		func(m *testudo.Meta, c *Cell) { c.Int = int64(m.ID.Proto) },
		func(m *testudo.Meta, c *Cell) { c.Int = bit(m.About.OrigLocal) },
		func(m *testudo.Meta, c *Cell) { c.Int = bit(m.About.RespLocal) },
	} {
		cols[i].get = func(v reflect.Value, c *Cell) { raw(meta(v), c) }
		cols[i].raw = func(p unsafe.Pointer, c *Cell) { raw((*testudo.Meta)(p), c) }
	}
	return cols
}

// meta returns what the record at v shares with all others: Meta is embedded
// first everywhere.
func meta(v reflect.Value) *testudo.Meta { return v.Field(0).Addr().Interface().(*testudo.Meta) }

// fields returns the columns of a struct's fields but for Meta, those of
// structs within with their names before.
func fields(t reflect.Type, prefix string) (cols []Column) {
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Type == reflect.TypeFor[testudo.Meta]() || !f.IsExported() {
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("log"), ",")
		if name == "" {
			name = snake(f.Name)
		}
		for _, c := range columns(f.Type, prefix+name) {
			c.offset += f.Offset
			cols = append(cols, c.below(func(v reflect.Value) reflect.Value { return v.Field(i) }))
		}
	}
	return cols
}

// below returns the column as it is seen from what holds it.
func (c Column) below(in func(reflect.Value) reflect.Value) Column {
	get, set, ns := c.get, c.set, c.ns
	c.get = func(v reflect.Value, x *Cell) { get(in(v), x) }
	c.set = func(v reflect.Value, x *Cell) { set(in(v), x) }
	if ns != nil {
		c.ns = func(v reflect.Value, n *nanos) { ns(in(v), n) }
	}
	return c
}

// columns returns what a value of a type is kept as.
func columns(t reflect.Type, name string) []Column {
	if t.Kind() == reflect.Struct && !plain(t) {
		return fields(t, name+".")
	}
	if t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Struct {
		return pointed(t, name)
	}
	c := Column{Name: name}
	switch t {
	case reflect.TypeFor[netip.Addr]():
		c.Type, c.Role, c.get, c.set = Text, Address, getText[netip.Addr](addrText), setText(parseAddr)
	case reflect.TypeFor[netip.Prefix]():
		c.Type, c.get, c.set = Text, getText[netip.Prefix](prefixText), setText(parsePrefix)
	case reflect.TypeFor[*bool]():
		c.Type, c.get, c.set = Text, getText[*bool](flagText), setText(parseFlag)
	case reflect.TypeFor[[]string]():
		c.Type, c.get, c.set = Texts, getTexts(Escape), setTexts(Unescape)
	case reflect.TypeFor[[]netip.Addr]():
		c.Type, c.Role, c.get, c.set = Texts, Address, getTexts(addrText), setTexts(parseAddr)
	case reflect.TypeFor[[]testudo.LoadPacket]():
		c.Type, c.get, c.set = Texts, getTexts(packetText), setTexts(parsePacket)
	case reflect.TypeFor[[]time.Duration]():
		c.Type, c.Time, c.get, c.set, c.ns = Ints, true, getDurations, setDurations, nanosOfList
	case reflect.TypeFor[testudo.Time](), reflect.TypeFor[time.Duration]():
		c.Type, c.Time, c.ns = Int, true, nanosOf
		c.get = func(v reflect.Value, c *Cell) { c.Int = micros(v.Int()) }
		c.raw = func(p unsafe.Pointer, c *Cell) { c.Int = micros(*(*int64)(p)) }
		c.set = func(v reflect.Value, c *Cell) { v.SetInt(c.Int * 1000) }
	default:
		basic(t, &c)
	}
	return []Column{c}
}

// plain tells whether a struct is a value of its own.
func plain(t reflect.Type) bool { return t.PkgPath() == "net/netip" }

// basic sets how a value of one of Go's own kinds is kept.
func basic(t reflect.Type, c *Column) {
	switch t.Kind() {
	case reflect.String:
		c.Type = Text
		c.get = func(v reflect.Value, c *Cell) { c.Text = Escape(v.String()) }
		c.raw = func(p unsafe.Pointer, c *Cell) { c.Text = Escape(*(*string)(p)) }
		c.set = func(v reflect.Value, c *Cell) { v.SetString(Unescape(c.Text)) }
	case reflect.Bool:
		c.Type = Bool
		c.get = func(v reflect.Value, c *Cell) { c.Int = bit(v.Bool()) }
		c.raw = func(p unsafe.Pointer, c *Cell) { c.Int = bit(*(*bool)(p)) }
		c.set = func(v reflect.Value, c *Cell) { v.SetBool(c.Int != 0) }
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		c.Type = Int
		c.get = func(v reflect.Value, c *Cell) { c.Int = v.Int() }
		if t.Size() == 8 {
			c.raw = func(p unsafe.Pointer, c *Cell) { c.Int = *(*int64)(p) }
		}
		c.set = func(v reflect.Value, c *Cell) { v.SetInt(c.Int) }
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		c.Type = Int
		c.get = func(v reflect.Value, c *Cell) { c.Int = int64(v.Uint()) }
		c.set = func(v reflect.Value, c *Cell) { v.SetUint(uint64(c.Int)) }
	case reflect.Float32, reflect.Float64:
		c.Type = Float
		c.get = func(v reflect.Value, c *Cell) { c.Float = v.Float() }
		if t.Size() == 8 {
			c.raw = func(p unsafe.Pointer, c *Cell) { c.Float = *(*float64)(p) }
		}
		c.set = func(v reflect.Value, c *Cell) { v.SetFloat(c.Float) }
	case reflect.Array:
		array(t, c)
	}
}

// array sets how bytes or whole numbers of a fixed count are kept.
func array(t reflect.Type, c *Column) {
	if t.Elem().Kind() == reflect.Uint8 {
		c.Type = Text
		c.get = func(v reflect.Value, c *Cell) {
			c.Text = Escape(strings.TrimRight(string(v.Slice(0, v.Len()).Bytes()), "\x00"))
		}
		c.set = func(v reflect.Value, c *Cell) { reflect.Copy(v, reflect.ValueOf([]byte(Unescape(c.Text)))) }
		return
	}
	c.Type = Ints
	c.get = func(v reflect.Value, c *Cell) {
		c.Ints = c.Ints[:0]
		for i := range v.Len() {
			c.Ints = append(c.Ints, v.Index(i).Int())
		}
	}
	c.set = func(v reflect.Value, c *Cell) {
		for i := range min(v.Len(), len(c.Ints)) {
			v.Index(i).SetInt(c.Ints[i])
		}
	}
}

// pointed returns the columns of what a pointer leads to, behind one that
// says whether there is anything.
func pointed(t reflect.Type, name string) []Column {
	cols := []Column{{
		Name: name, Type: Bool,
		get: func(v reflect.Value, c *Cell) { c.Int = bit(!v.IsNil()) },
		set: func(v reflect.Value, c *Cell) {
			v.SetZero()
			if c.Int != 0 {
				v.Set(reflect.New(t.Elem()))
			}
		},
	}}
	inner := fields(t.Elem(), name+".")
	if t.Elem().Field(0).Type == reflect.TypeFor[testudo.Meta]() {
		for _, c := range base()[:8] {
			if c.Name != "proto" {
				c.Name = name + "." + c.Name
				c.Role = 0
				inner = append(inner, c)
			}
		}
	}
	for _, c := range inner {
		cols = append(cols, c.behind())
	}
	return cols
}

// behind returns the column as it is seen through a pointer that may be nil.
func (c Column) behind() Column {
	get, set, ns := c.get, c.set, c.ns
	c.raw = nil
	c.get = func(v reflect.Value, x *Cell) {
		if v.IsNil() {
			x.Int, x.Float, x.Text, x.Ints, x.Texts = 0, 0, "", x.Ints[:0], x.Texts[:0]
			return
		}
		get(v.Elem(), x)
	}
	c.set = func(v reflect.Value, x *Cell) {
		if !v.IsNil() {
			set(v.Elem(), x)
		}
	}
	if ns != nil {
		c.ns = func(v reflect.Value, n *nanos) {
			if !v.IsNil() {
				ns(v.Elem(), n)
			}
		}
	}
	return c
}

func getText[T any](text func(T) string) func(reflect.Value, *Cell) {
	return func(v reflect.Value, c *Cell) { c.Text = text(*v.Addr().Interface().(*T)) }
}

func setText[T any](parse func(string) T) func(reflect.Value, *Cell) {
	return func(v reflect.Value, c *Cell) { *v.Addr().Interface().(*T) = parse(c.Text) }
}

func getTexts[T any](text func(T) string) func(reflect.Value, *Cell) {
	return func(v reflect.Value, c *Cell) {
		c.Texts = c.Texts[:0]
		for _, x := range *v.Addr().Interface().(*[]T) {
			c.Texts = append(c.Texts, text(x))
		}
	}
}

func setTexts[T any](parse func(string) T) func(reflect.Value, *Cell) {
	return func(v reflect.Value, c *Cell) {
		to := v.Addr().Interface().(*[]T)
		*to = nil
		if len(c.Texts) > 0 {
			*to = make([]T, len(c.Texts))
		}
		for i, s := range c.Texts {
			(*to)[i] = parse(s)
		}
	}
}

func getDurations(v reflect.Value, c *Cell) {
	c.Ints = c.Ints[:0]
	for _, d := range *v.Addr().Interface().(*[]time.Duration) {
		c.Ints = append(c.Ints, micros(int64(d)))
	}
}

func setDurations(v reflect.Value, c *Cell) {
	to := v.Addr().Interface().(*[]time.Duration)
	*to = nil
	if len(c.Ints) > 0 {
		*to = make([]time.Duration, len(c.Ints))
	}
	for i, n := range c.Ints {
		(*to)[i] = time.Duration(n * 1000)
	}
}

func bit(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

func addrText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return Escape(a.String())
}

func parseAddr(s string) netip.Addr {
	a, _ := netip.ParseAddr(Unescape(s))
	return a
}

func setAddr(p *netip.AddrPort, s string) { *p = netip.AddrPortFrom(parseAddr(s), p.Port()) }

func setPort(p *netip.AddrPort, n int64) { *p = netip.AddrPortFrom(p.Addr(), uint16(n)) }

func prefixText(p netip.Prefix) string {
	if !p.IsValid() {
		return ""
	}
	return p.String()
}

func parsePrefix(s string) netip.Prefix {
	p, _ := netip.ParsePrefix(s)
	return p
}

func flagText(b *bool) string {
	switch {
	case b == nil:
		return ""
	case *b:
		return "T"
	}
	return "F"
}

func parseFlag(s string) *bool {
	if s == "" {
		return nil
	}
	b := s == "T"
	return &b
}

func packetText(p testudo.LoadPacket) string {
	b, _ := json.Marshal(p)
	return string(b)
}

func parsePacket(s string) (p testudo.LoadPacket) {
	_ = json.Unmarshal([]byte(s), &p)
	return p
}

// snake returns a Go name in Zeek's spelling: QuerySize is query_size, JA4Again
// ja4_again.
func snake(name string) string {
	var b strings.Builder
	rs := []rune(name)
	for i, r := range rs {
		if i > 0 && unicode.IsUpper(r) {
			next := i+1 < len(rs) && unicode.IsLower(rs[i+1])
			if !unicode.IsUpper(rs[i-1]) || next {
				b.WriteByte('_')
			}
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
