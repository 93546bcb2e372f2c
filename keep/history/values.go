package history

import (
	"net/netip"
	"strings"

	"github.com/testudo-shield/testudo"
)

// few is how many values a test lists as exact.
const few = 16

// valueSet holds the values of a query for quick look-ups.
type valueSet struct {
	addresses map[netip.Addr]struct{}
	prefixes  map[netip.Prefix]struct{}
	widths4   []int // the lengths of prefixes that occur
	widths6   []int
	names     map[string]struct{}
	prints    map[string]struct{}
	urls      map[string]struct{}
	hosts     map[string]struct{} // of urls
	exact     []string            // of addresses, where they are few and there are no prefixes
}

// newValueSet returns nil for nil.
func newValueSet(v *testudo.Values) *valueSet {
	if v == nil {
		return nil
	}
	s := &valueSet{
		addresses: map[netip.Addr]struct{}{}, prefixes: map[netip.Prefix]struct{}{}, names: lowered(v.Names),
		prints: lowered(v.Prints), urls: map[string]struct{}{}, hosts: map[string]struct{}{},
	}
	for _, a := range v.Addresses {
		s.addresses[a.Unmap()] = struct{}{}
	}
	for _, p := range v.Prefixes {
		s.addPrefix(p.Masked())
	}
	for _, u := range v.URLs {
		host, path := splitURL(Escape(u))
		s.urls[host+path] = struct{}{}
		s.hosts[host] = struct{}{}
	}
	if len(v.Addresses) <= few && len(v.Prefixes) == 0 {
		for _, a := range v.Addresses {
			s.exact = append(s.exact, addressForms(a)...)
		}
	}
	return s
}

func lowered(list []string) map[string]struct{} {
	m := make(map[string]struct{}, len(list))
	for _, s := range list {
		m[strings.ToLower(strings.TrimSuffix(Escape(s), "."))] = struct{}{}
	}
	return m
}

func (s *valueSet) addPrefix(p netip.Prefix) {
	if !p.IsValid() {
		return
	}
	s.prefixes[p] = struct{}{}
	widths := &s.widths6
	if p.Addr().Is4() {
		widths = &s.widths4
	}
	for _, w := range *widths {
		if w == p.Bits() {
			return
		}
	}
	*widths = append(*widths, p.Bits())
}

// splitURL returns host and path in one form: no scheme, the host in lower
// case and without a port that says nothing, the path "/" at least.
func splitURL(u string) (host, path string) {
	if i := strings.Index(u, "://"); i >= 0 {
		u = u[i+3:]
	}
	host, path = u, "/"
	if i := strings.IndexByte(u, '/'); i >= 0 {
		host, path = u[:i], u[i:]
	}
	return bareHost(host), path
}

func bareHost(host string) string {
	return strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(strings.ToLower(host), ":80"), ":443"), ".")
}

// tests returns the tests of which one must hold, none where the kind has
// nothing to look at.
func (s *valueSet) tests(l *Layout) (tests []Test) {
	for i := range l.Columns {
		role := l.Columns[i].Role
		if role&Address != 0 && len(s.addresses)+len(s.prefixes) > 0 {
			tests = append(tests, Test{Column: i, Text: s.address, Exact: s.exact})
		}
		if role&Name != 0 && len(s.names) > 0 {
			tests = append(tests, Test{Column: i, Text: s.name})
		}
		if role&Print != 0 && len(s.prints) > 0 {
			tests = append(tests, Test{Column: i, Text: s.print})
		}
		if role&Host != 0 && len(s.urls) > 0 {
			tests = append(tests, Test{Column: i, Text: s.host, Sure: s.url})
		}
	}
	return tests
}

func (s *valueSet) address(text string) bool {
	a, err := netip.ParseAddr(text)
	if err != nil {
		return false
	}
	a = a.Unmap().WithZone("")
	if _, ok := s.addresses[a]; ok {
		return true
	}
	widths := s.widths6
	if a.Is4() {
		widths = s.widths4
	}
	for _, w := range widths {
		if p, err := a.Prefix(w); err == nil {
			if _, ok := s.prefixes[p]; ok {
				return true
			}
		}
	}
	return false
}

// name tells whether a name or one above it is listed.
func (s *valueSet) name(text string) bool {
	text = strings.ToLower(strings.TrimSuffix(text, "."))
	for {
		if _, ok := s.names[text]; ok {
			return true
		}
		i := strings.IndexByte(text, '.')
		if i < 0 {
			return false
		}
		text = text[i+1:]
	}
}

func (s *valueSet) print(text string) bool {
	_, ok := s.prints[strings.ToLower(text)]
	return ok
}

func (s *valueSet) host(text string) bool {
	_, ok := s.hosts[bareHost(text)]
	return ok
}

// url tells whether what a request asked for is listed, with its parameters
// or without.
func (s *valueSet) url(r testudo.Record) bool {
	h, ok := r.(*testudo.HTTP)
	if !ok {
		return false
	}
	host, path := bareHost(Escape(h.Host)), Escape(h.URI)
	if path == "" || path[0] != '/' {
		path = "/" + path
	}
	if _, ok = s.urls[host+path]; ok {
		return true
	}
	path, _, _ = strings.Cut(path, "?")
	_, ok = s.urls[host+path]
	return ok
}
