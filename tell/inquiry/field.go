package inquiry

import (
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/testudo-shield/testudo"
)

// kind is what sort of value a field has.
type kind uint8

const (
	textKind     kind = iota
	numberKind        // also ports
	durationKind      // in seconds
	timeKind          // in seconds since the epoch
	boolKind
	addressKind
)

// column is a field of one type of record.
type column struct {
	name  string
	kind  kind
	index int                                      // of the struct's field; -1 for what all records share
	base  func(m *testudo.Meta) (v value, ok bool) // where index is -1
}

// value is one value of a field: text in lower case, or a number.
type value struct {
	text   string
	number float64
	addr   netip.Addr
}

// book is what the records' types hold, made once.
type book struct {
	of    map[reflect.Type][]column
	kinds map[string]kind // of all fields
	logs  []string        // sorted
	names []string        // of all fields, sorted
}

// records are the types of record that can be asked for.
var records = [...]testudo.Record{
	&testudo.Conn{}, &testudo.DNS{}, &testudo.TLS{}, &testudo.X509{}, &testudo.QUIC{}, &testudo.HTTP{}, &testudo.SSH{}, &testudo.SMTP{},
	&testudo.FTP{}, &testudo.DHCP{}, &testudo.NTP{}, &testudo.ARP{}, &testudo.ICMPEcho{}, &testudo.Opaque{}, &testudo.Weird{},
}

var fields = newBook()

func newBook() *book {
	b := &book{of: map[reflect.Type][]column{}, kinds: map[string]kind{}}
	for _, r := range records {
		t := reflect.TypeOf(r).Elem()
		b.of[t] = columnsOf(t)
		b.logs = append(b.logs, r.Log())
		for _, c := range b.of[t] {
			if _, ok := b.kinds[c.name]; !ok {
				b.names = append(b.names, c.name)
				b.kinds[c.name] = c.kind
			}
		}
	}
	slices.Sort(b.logs)
	slices.Sort(b.names)
	return b
}

// shared are the fields that all records have.
var shared = [...]column{
	{"uid", textKind, -1, func(m *testudo.Meta) (value, bool) { return value{text: strings.ToLower(m.UID.String())}, m.UID != 0 }},
	{"id.orig_h", addressKind, -1, func(m *testudo.Meta) (value, bool) { return addressValue(m.ID.Orig.Addr()) }},
	{"id.orig_p", numberKind, -1, func(m *testudo.Meta) (value, bool) {
		return value{number: float64(m.ID.Orig.Port())}, m.ID.Orig.IsValid()
	}},
	{"id.resp_h", addressKind, -1, func(m *testudo.Meta) (value, bool) { return addressValue(m.ID.Resp.Addr()) }},
	{"id.resp_p", numberKind, -1, func(m *testudo.Meta) (value, bool) {
		return value{number: float64(m.ID.Resp.Port())}, m.ID.Resp.IsValid()
	}},
	{"proto", textKind, -1, func(m *testudo.Meta) (value, bool) { return value{text: m.ID.Proto.String()}, m.ID.Orig.IsValid() }},
}

// columnsOf lists the fields of a type of record by their log tags.
func columnsOf(t reflect.Type) []column {
	cols := slices.Clone(shared[:])
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("log"), ",")
		if name == "" {
			continue
		}
		if k, ok := kindOf(t.Field(i).Type); ok {
			cols = append(cols, column{name: name, kind: k, index: i})
		}
	}
	return cols
}

// kindOf tells what sort of value a Go type holds, a list what its elements
// are.
func kindOf(t reflect.Type) (kind, bool) {
	switch t {
	case reflect.TypeFor[netip.Addr]():
		return addressKind, true
	case reflect.TypeFor[time.Duration]():
		return durationKind, true
	case reflect.TypeFor[testudo.Time]():
		return timeKind, true
	}
	switch t.Kind() {
	case reflect.String:
		return textKind, true
	case reflect.Bool:
		return boolKind, true
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Float64:
		return numberKind, true
	case reflect.Slice, reflect.Pointer:
		return kindOf(t.Elem())
	}
	return 0, false
}

func addressValue(a netip.Addr) (value, bool) {
	a = a.Unmap()
	return value{addr: a, text: a.String()}, a.IsValid()
}

// each calls f for every value of the column in a record until f returns true,
// and returns whether it did and whether there was a value at all.
func (c *column) each(r testudo.Record, v reflect.Value, f func(value) bool) (fits, any bool) {
	if c.index < 0 {
		one, ok := c.base(r.Base())
		return ok && f(one), ok
	}
	return eachOf(v.Field(c.index), c.kind, f)
}

func eachOf(v reflect.Value, k kind, f func(value) bool) (fits, any bool) {
	switch v.Kind() {
	case reflect.Slice:
		for i := range v.Len() {
			if fit, _ := eachOf(v.Index(i), k, f); fit {
				return true, true
			}
		}
		return false, v.Len() > 0
	case reflect.Pointer:
		if v.IsNil() {
			return false, false
		}
		return eachOf(v.Elem(), k, f)
	}
	one, ok := valueOf(v, k)
	return ok && f(one), ok
}

// valueOf reads one value; an empty text or address is none.
func valueOf(v reflect.Value, k kind) (value, bool) {
	switch k {
	case addressKind:
		a, _ := v.Interface().(netip.Addr)
		return addressValue(a)
	case durationKind, timeKind:
		return value{number: float64(v.Int()) / 1e9}, true
	case boolKind:
		if v.Bool() {
			return value{number: 1}, true
		}
		return value{}, true
	case textKind:
		s := v.String()
		a, _ := netip.ParseAddr(s)
		return value{text: strings.ToLower(s), addr: a.Unmap()}, s != ""
	}
	switch {
	case v.CanInt():
		return value{number: float64(v.Int())}, true
	case v.CanUint():
		return value{number: float64(v.Uint())}, true
	}
	return value{number: v.Float()}, true
}

// behind returns the fields that a word of package testudo stands for, or the
// word itself.
func behind(field string) []string {
	switch field {
	case testudo.AnyAddress:
		return []string{"id.orig_h", "id.resp_h", "answers", "orig_h", "resp_h"}
	case testudo.AnyName:
		return []string{"query", "server_name", "host", "san.dns"}
	case testudo.AnyPrint:
		return []string{"ja3", "ja3s", "ja4", "hassh", "hasshServer", "cert_chain_fps", "fingerprint"}
	case testudo.AnySize:
		return []string{"orig_bytes", "resp_bytes"}
	}
	return []string{field}
}

// isNameField says whether a field holds names of DNS.
func isNameField(field string) bool { return slices.Contains(behind(testudo.AnyName), field) }

// number reads 443, 1e6, 10k, 3MB.
func number(s string) (float64, bool) {
	s = strings.TrimSuffix(strings.ReplaceAll(s, "_", ""), "B")
	times := 1.0
	if s != "" {
		if at := strings.IndexByte("kMGT", s[len(s)-1]); at >= 0 {
			s = s[:len(s)-1]
			for range at + 1 {
				times *= 1000
			}
		}
	}
	n, err := strconv.ParseFloat(s, 64)
	return n * times, err == nil && n-n == 0 // neither infinite nor no number
}
