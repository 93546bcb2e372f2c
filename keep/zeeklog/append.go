package zeeklog

import (
	"net/netip"
	"reflect"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/testudo-shield/testudo"
)

const (
	unsetField = "-"
	emptyField = "(empty)"
	hexDigits  = "0123456789abcdef"
)

// appendHeader appends the lines Zeek's ASCII writer begins a log with.
func (l *layout) appendHeader(b []byte, open testudo.Time) []byte {
	b = append(b, "#separator \\x09\n#set_separator\t,\n#empty_field\t"+emptyField+"\n#unset_field\t"+unsetField+"\n#path\t"...)
	b = append(b, l.path...)
	b = append(b, "\n#open\t"...)
	b = appendStamp(b, open)
	b = append(b, "#fields"...)
	for i := range l.columns {
		b = append(b, '\t')
		b = append(b, l.columns[i].name...)
	}
	b = append(b, "\n#types"...)
	for i := range l.columns {
		b = append(b, '\t')
		b = append(b, l.columns[i].typ...)
	}
	return append(b, '\n')
}

// appendStamp appends a time in the form of #open and #close, in UTC.
func appendStamp(b []byte, t testudo.Time) []byte {
	return append(t.Std().AppendFormat(b, "2006-01-02-15-04-05"), '\n')
}

// appendTSV appends r as one line. v is what r points to.
func (l *layout) appendTSV(b []byte, r testudo.Record, v reflect.Value) []byte {
	e := encoder{b: b, record: r, base: r.Base()}
	for i := range l.columns {
		if i > 0 {
			e.b = append(e.b, '\t')
		}
		if !e.value(&l.columns[i], v) {
			e.b = append(e.b, unsetField...)
		}
	}
	return append(e.b, '\n')
}

// appendJSON appends r as one object on one line; what is unset is left out.
func (l *layout) appendJSON(b []byte, r testudo.Record, v reflect.Value) []byte {
	e := encoder{b: append(b, '{'), record: r, base: r.Base(), json: true}
	for i := range l.columns {
		before := len(e.b)
		if before > len(b)+1 {
			e.b = append(e.b, ',')
		}
		e.b = append(e.b, l.columns[i].key...)
		if !e.value(&l.columns[i], v) {
			e.b = e.b[:before]
		}
	}
	return append(e.b, '}', '\n')
}

// encoder appends one record's values to b.
type encoder struct {
	b      []byte
	record testudo.Record
	base   *testudo.Meta
	json   bool
}

// value appends one column and reports whether it is set; nothing is
// appended if it is not.
func (e *encoder) value(c *column, v reflect.Value) bool {
	m := e.base
	switch c.from {
	case fromTime:
		e.b = appendSeconds(e.b, int64(m.Time))
	case fromUID:
		return m.UID != 0 && e.text(m.UID.String())
	case fromUIDs:
		e.bracket('[')
		if m.UID == 0 {
			e.empty()
		} else {
			e.text(m.UID.String())
		}
		e.bracket(']')
	case fromOrigAddr:
		return e.addr(m.ID.Orig.Addr())
	case fromOrigPort:
		return m.ID.Orig.IsValid() && e.uint(uint64(m.ID.Orig.Port()))
	case fromRespAddr:
		return e.addr(m.ID.Resp.Addr())
	case fromRespPort:
		return m.ID.Resp.IsValid() && e.uint(uint64(m.ID.Resp.Port()))
	case fromProto:
		return e.text(transport(m.ID.Proto))
	case fromProtoNumber:
		return m.ID.Proto != 0 && e.uint(uint64(m.ID.Proto))
	case fromOrigLocal:
		e.bool(m.About.OrigLocal)
	case fromRespLocal:
		e.bool(m.About.RespLocal)
	case fromCommunityID:
		return e.communityID()
	default:
		if c.unset != nil && c.unset(e.record) {
			return false
		}
		return e.field(c, v.Field(c.field))
	}
	return true
}

// transport returns Zeek's word for what carries a conn.
func transport(p testudo.Proto) string {
	switch p {
	case testudo.TCP, testudo.UDP, testudo.ICMP, testudo.ICMPv6:
		return p.String()
	}
	return "unknown_transport"
}

// field appends a tagged field, as value does.
func (e *encoder) field(c *column, f reflect.Value) bool {
	switch c.from {
	case fieldString:
		return f.Len() > 0 && e.text(f.String())
	case fieldAddrString:
		a, err := netip.ParseAddr(f.String())
		return err == nil && e.addr(a)
	case fieldInt:
		n := f.Int()
		if n == 0 && c.optional {
			return false
		}
		if n < 0 && c.typ == "count" {
			n = 0
		}
		e.b = strconv.AppendInt(e.b, n, 10)
	case fieldUint:
		if n := f.Uint(); n != 0 || !c.optional {
			return e.uint(n)
		}
		return false
	case fieldFloat:
		e.b = strconv.AppendFloat(e.b, f.Float(), 'f', 6, 64)
	case fieldBool:
		e.bool(f.Bool())
	case fieldBoolPointer:
		if f.IsNil() {
			return false
		}
		e.bool(f.Elem().Bool())
	case fieldAddr:
		return e.addr(*f.Addr().Interface().(*netip.Addr))
	case fieldInterval:
		if f.Int() == 0 && c.optional {
			return false
		}
		e.b = appendSeconds(e.b, f.Int())
	case fieldTime:
		e.b = appendSeconds(e.b, f.Int())
	default:
		return e.list(c, f)
	}
	return true
}

// list appends a slice; an empty one is unset.
func (e *encoder) list(c *column, f reflect.Value) bool {
	if f.Len() == 0 {
		return false
	}
	e.bracket('[')
	switch c.from {
	case fieldStrings:
		for i, s := range *f.Addr().Interface().(*[]string) {
			e.comma(i)
			e.element(s)
		}
	case fieldIntervals:
		for i, d := range *f.Addr().Interface().(*[]time.Duration) {
			e.comma(i)
			e.b = appendSeconds(e.b, int64(d))
		}
	case fieldAddrs:
		for i, a := range *f.Addr().Interface().(*[]netip.Addr) {
			e.comma(i)
			if !e.addr(a) {
				e.element("")
			}
		}
	}
	e.bracket(']')
	return true
}

// bracket appends a bracket, which only JSON has.
func (e *encoder) bracket(c byte) {
	if e.json {
		e.b = append(e.b, c)
	}
}

// empty appends the word for an empty set, which JSON does not need.
func (e *encoder) empty() {
	if !e.json {
		e.b = append(e.b, emptyField...)
	}
}

// comma appends the separator before element i.
func (e *encoder) comma(i int) {
	if i > 0 {
		e.b = append(e.b, ',')
	}
}

func (e *encoder) uint(n uint64) bool {
	e.b = strconv.AppendUint(e.b, n, 10)
	return true
}

func (e *encoder) bool(v bool) {
	switch {
	case e.json:
		e.b = strconv.AppendBool(e.b, v)
	case v:
		e.b = append(e.b, 'T')
	default:
		e.b = append(e.b, 'F')
	}
}

// addr appends an address without its zone; an invalid one is unset.
func (e *encoder) addr(a netip.Addr) bool {
	if !a.IsValid() {
		return false
	}
	e.quote()
	e.b = a.WithZone("").AppendTo(e.b)
	e.quote()
	return true
}

// quote appends a quotation mark, which only JSON has.
func (e *encoder) quote() {
	if e.json {
		e.b = append(e.b, '"')
	}
}

func (e *encoder) communityID() bool {
	before := len(e.b)
	e.quote()
	start := len(e.b)
	e.b = appendCommunityID(e.b, e.base.ID)
	if len(e.b) == start {
		e.b = e.b[:before]
		return false
	}
	e.quote()
	return true
}

// text appends a string that stands alone.
func (e *encoder) text(s string) bool {
	if e.json {
		e.b = appendQuoted(e.b, s)
	} else {
		e.b = appendEscaped(e.b, s, false)
	}
	return true
}

// element appends a string that is one of a list.
func (e *encoder) element(s string) {
	switch {
	case e.json:
		e.b = appendQuoted(e.b, s)
	case s == "":
		e.b = append(e.b, emptyField...)
	default:
		e.b = appendEscaped(e.b, s, true)
	}
}

// appendSeconds appends nanoseconds as seconds with six decimals, cut like
// every time this project prints, not rounded.
func appendSeconds(b []byte, ns int64) []byte {
	us := ns / 1000
	if us < 0 {
		b = append(b, '-')
		us = -us
	}
	b = strconv.AppendInt(b, us/1e6, 10)
	frac := us % 1e6
	b = append(b, '.')
	for unit := int64(1e5); unit > 0; unit /= 10 {
		b = append(b, byte('0'+frac/unit%10))
	}
	return b
}

// appendEscaped appends a string as Zeek's ASCII writer does: what is not
// printable ASCII becomes \xNN, a backslash is doubled, inside a list the
// separator is escaped too, and a text that would read as unset or empty has
// its first byte escaped.
func appendEscaped(b []byte, s string, inList bool) []byte {
	if s == unsetField || s == emptyField {
		b = appendHex(b, s[0])
		s = s[1:]
	}
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\':
			b = append(b, '\\', '\\')
		case c < ' ' || c > '~' || inList && c == ',':
			b = appendHex(b, c)
		default:
			b = append(b, c)
		}
	}
	return b
}

// appendHex appends one byte as \xNN.
func appendHex(b []byte, c byte) []byte {
	return append(b, '\\', 'x', hexDigits[c>>4], hexDigits[c&15])
}

// appendQuoted appends a JSON string. Bytes that are no UTF-8 become the text
// \xNN, as Zeek writes them.
func appendQuoted(b []byte, s string) []byte {
	b = append(b, '"')
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c == '\n':
			b = append(b, '\\', 'n')
		case c == '\r':
			b = append(b, '\\', 'r')
		case c == '\t':
			b = append(b, '\\', 't')
		case c < ' ' || c == 0x7f:
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		case c < utf8.RuneSelf:
			b = append(b, c)
		default:
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 {
				b = append(b, '\\')
				b = appendHex(b, c)
			} else {
				b = append(b, s[i:i+n]...)
			}
			i += n
			continue
		}
		i++
	}
	return append(b, '"')
}
