package history

import (
	"net/netip"
	"strings"
)

// Search finds a subject wherever it stands in a record.
type Search struct {
	addresses map[netip.Addr]bool
	words     []string
}

// NewSearch makes a subject ready to be found: its addresses also where they
// are written in texts or as names of the reverse tree.
func NewSearch(s Subject) *Search {
	f := &Search{addresses: map[netip.Addr]bool{}}
	for _, a := range s.Addresses {
		if a = a.Unmap().WithZone(""); !a.IsValid() {
			continue
		}
		f.addresses[a] = true
		f.words = append(f.words, a.String(), reverse(a))
	}
	for _, w := range s.Words {
		if w = strings.ToLower(Escape(strings.TrimSpace(w))); w != "" {
			f.words = append(f.words, w)
		}
	}
	return f
}

// Kind returns what to ask of a kind of record: one clause of a test for each
// column that can hold the subject.
func (f *Search) Kind(l *Layout) *Kind {
	k := &Kind{Layout: l, Clauses: make([]Clause, 1)}
	tests := &k.Clauses[0].Tests
	for i := range l.Columns {
		c := &l.Columns[i]
		switch {
		case c.Type != Text && c.Type != Texts || c.Name == "uid" || c.Name == "nanos" || c.Name == "proto":
		case c.Role&Address != 0:
			*tests = append(*tests, Test{Column: i, Text: f.address})
		default:
			*tests = append(*tests, Test{Column: i, Text: f.text})
		}
	}
	return k
}

func (f *Search) address(s string) bool {
	return f.addresses[parseAddr(s).Unmap().WithZone("")]
}

// text tells whether a text holds one of the words, with nothing next to it
// that would make it another one.
func (f *Search) text(s string) bool {
	s = strings.ToLower(s)
	for _, w := range f.words {
		for from := 0; ; {
			i := strings.Index(s[from:], w)
			if i < 0 {
				break
			}
			i += from
			if bounded(s, i, i+len(w)) {
				return true
			}
			from = i + 1
		}
	}
	return false
}

// bounded tells whether s[i:j] is a word of its own: neither letters nor
// digits go on, nor a number after a dot or before one.
func bounded(s string, i, j int) bool {
	if i > 0 && (wordByte(s[i-1]) || s[i-1] == '.' && i > 1 && number09(s[i-2]) && number09(s[i])) {
		return false
	}
	return j == len(s) || !wordByte(s[j]) && (s[j] != '.' || j+1 == len(s) || !number09(s[j+1]) || !number09(s[j-1]))
}

func number09(c byte) bool { return c >= '0' && c <= '9' }

func wordByte(c byte) bool {
	return number09(c) || c >= 'a' && c <= 'z' || c == '-' || c == '_' || c >= 0x80
}

// reverse returns the name under which an address's name is looked up, without
// a last dot (RFC 1035 section 3.5, RFC 3596 section 2.5).
func reverse(a netip.Addr) string {
	var b strings.Builder
	if a.Is4() {
		p := strings.Split(a.String(), ".")
		return p[3] + "." + p[2] + "." + p[1] + "." + p[0] + ".in-addr.arpa"
	}
	raw := a.As16()
	for i := len(raw) - 1; i >= 0; i-- {
		b.WriteString(string(hexDigits[raw[i]&15]) + "." + string(hexDigits[raw[i]>>4]) + ".")
	}
	return b.String() + "ip6.arpa"
}

// Holds tells whether an address is one of the subject's.
func (f *Search) Holds(a netip.Addr) bool {
	return a.IsValid() && f.addresses[a.Unmap().WithZone("")]
}

// Blank returns a text with mark in place of the subject, wherever it stands
// in it as a word of its own.
func (f *Search) Blank(s, mark string) string {
	lower := strings.ToLower(s)
	if len(lower) != len(s) {
		lower = s // a letter whose other case has another length: as it is written
	}
	for _, w := range f.words {
		for from := 0; w != ""; {
			i := strings.Index(lower[from:], w)
			if i < 0 {
				break
			}
			i += from
			if from = i + 1; bounded(lower, i, i+len(w)) {
				s, lower = s[:i]+mark+s[i+len(w):], lower[:i]+mark+lower[i+len(w):]
				from = i + len(mark)
			}
		}
	}
	return s
}
