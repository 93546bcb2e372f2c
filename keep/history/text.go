package history

import (
	"encoding/binary"
	"reflect"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/testudo-shield/testudo"
)

const hexDigits = "0123456789abcdef"

// Escape returns s as texts are kept, so that every tool can read and show
// them: bytes that are no UTF-8 and control characters become \xNN, a
// backslash is doubled.
func Escape(s string) string {
	i := 0
	for i < len(s) && s[i] >= ' ' && s[i] < 0x7f && s[i] != '\\' {
		i++
	}
	if i == len(s) {
		return s
	}
	b := append(make([]byte, 0, len(s)+16), s[:i]...)
	for i < len(s) {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == '\\':
			b = append(b, '\\', '\\')
		case r == utf8.RuneError && n == 1, r < ' ', r == 0x7f:
			b = append(b, '\\', 'x', hexDigits[s[i]>>4], hexDigits[s[i]&15])
		default:
			b = append(b, s[i:i+n]...)
		}
		i += n
	}
	return string(b)
}

// Unescape undoes Escape; what Escape never writes stays as it is.
func Unescape(s string) string {
	i := strings.IndexByte(s, '\\')
	if i < 0 {
		return s
	}
	b := append(make([]byte, 0, len(s)), s[:i]...)
	for i < len(s) {
		switch {
		case strings.HasPrefix(s[i:], `\\`):
			b = append(b, '\\')
			i += 2
		case strings.HasPrefix(s[i:], `\x`) && i+4 <= len(s) && digit(s[i+2]) >= 0 && digit(s[i+3]) >= 0:
			b = append(b, byte(digit(s[i+2])<<4|digit(s[i+3])))
			i += 4
		default:
			b = append(b, s[i])
			i++
		}
	}
	return string(b)
}

func digit(c byte) int { return strings.IndexByte(hexDigits, c) }

func uidText(u testudo.UID) string {
	if u == 0 {
		return ""
	}
	return u.String()
}

// ParseUID reads the form of testudo.UID's String; 0 for anything else.
func ParseUID(s string) (u testudo.UID) {
	if len(s) != 12 || s[0] != 'C' {
		return 0
	}
	for _, c := range []byte(s[1:]) {
		var d byte
		switch {
		case c >= '0' && c <= '9':
			d = c - '0'
		case c >= 'A' && c <= 'Z':
			d = c - 'A' + 10
		case c >= 'a' && c <= 'z':
			d = c - 'a' + 36
		default:
			return 0
		}
		u = u*62 + testudo.UID(d)
	}
	return u
}

// micros returns whole microseconds, towards the past.
func micros(ns int64) int64 {
	us := ns / 1000
	if ns%1000 < 0 {
		us--
	}
	return us
}

// nanos carries what times have below a microsecond: out of a record into
// bytes, or back. Captures and logs have nothing there, so it costs nothing.
type nanos struct {
	b   []byte
	any bool
	in  bool // back into the record
}

// field carries one time.
func (n *nanos) field(at *int64) {
	if n.in {
		r, k := binary.Uvarint(n.b)
		if k <= 0 || r > 999 {
			n.b = nil
			return
		}
		n.b = n.b[k:]
		*at += int64(r)
		return
	}
	r := uint64(*at - micros(*at)*1000)
	n.any = n.any || r != 0
	n.b = binary.AppendUvarint(n.b, r)
}

func nanosOf(v reflect.Value, n *nanos) {
	at := v.Int()
	n.field(&at)
	if n.in {
		v.SetInt(at)
	}
}

func nanosOfList(v reflect.Value, n *nanos) {
	for i := range *v.Addr().Interface().(*[]time.Duration) {
		nanosOf(v.Index(i), n)
	}
}

// fraction returns the column for what all times of a record have below a
// microsecond: empty where there is nothing, else a varint for each.
func fraction(cols []Column) Column {
	var parts []func(reflect.Value, *nanos)
	for _, c := range cols {
		if c.ns != nil {
			parts = append(parts, c.ns)
		}
	}
	carry := func(v reflect.Value, n *nanos) {
		for _, p := range parts {
			p(v, n)
		}
	}
	return Column{
		Name: "nanos", Type: Text,
		get: func(v reflect.Value, c *Cell) {
			var room [64]byte
			n := nanos{b: room[:0]}
			carry(v, &n)
			c.Text = ""
			if n.any {
				c.Text = Escape(string(n.b))
			}
		},
		set: func(v reflect.Value, c *Cell) {
			if c.Text != "" {
				carry(v, &nanos{b: []byte(Unescape(c.Text)), in: true})
			}
		},
	}
}
