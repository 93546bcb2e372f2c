// Package intel holds indicators and finds them in records. A hit annotates:
// it says that a list names the value, never that the list is right. Lists
// are dirty, so what cannot be an indicator (a private address, a public
// suffix, a line of prose) is refused and counted.
package intel

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"

	"github.com/testudo-shield/testudo"
)

// Set is indicators of several lists, ready to be matched. It is read-only
// after the last Add and may then be used from anywhere.
type Set struct {
	addrs    map[netip.Addr]origin
	prefixes map[netip.Prefix]origin
	lengths  []int             // of the prefixes, longest first
	domains  map[string]origin // matches the name and all below it
	urls     map[string]origin // host and path, without scheme
	prints   map[string]origin // JA3, JA4, certificate SHA-256
	lists    int
	Refused  int // lines that are no indicator
}

type origin struct{ source, note string }

// NewSet returns an empty Set.
func NewSet() *Set {
	return &Set{
		addrs: map[netip.Addr]origin{}, domains: map[string]origin{},
		urls: map[string]origin{}, prints: map[string]origin{}, prefixes: map[netip.Prefix]origin{},
	}
}

// Lists returns how many lists were added, Len how many indicators they hold.
func (s *Set) Lists() int { return s.lists }

// Len returns how many indicators the set holds.
func (s *Set) Len() int {
	return len(s.addrs) + len(s.prefixes) + len(s.domains) + len(s.urls) + len(s.prints)
}

// Add reads a plain list: one indicator a line, and behind it what is known
// of it. An indicator is an address, a CIDR, a domain (with all names below
// it), a URL, a JA3 or JA4 value or a certificate's SHA-256. Empty lines and
// those that begin with # are passed over; defanged dots and hxxp are read.
func (s *Set) Add(source string, r io.Reader) error {
	sc := bufio.NewScanner(r)
	sc.Buffer(make([]byte, 64<<10), 64<<10)
	taken, refused := 0, refusals{}
	for sc.Scan() {
		line := strings.TrimSpace(sc.Text())
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		value, note := line, ""
		if i := strings.IndexAny(line, " \t,;#"); i > 0 {
			value, note = line[:i], strings.Trim(line[i:], " \t,;#")
		}
		if why := s.add(Refang(value), origin{source, note}); why == accepted {
			taken++
		} else {
			refused[why]++
		}
	}
	s.Refused += refused.sum()
	if err := sc.Err(); err != nil {
		return fmt.Errorf("indicators %s: %w", source, err)
	}
	if taken == 0 && refused.sum() > 0 {
		return fmt.Errorf("indicators %s: %w: %s; want a plain list, one indicator a line: an address, domain, URL or fingerprint", source, ErrNone, refused)
	}
	s.lists++
	return nil
}

// ErrNone says that a list held no indicator at all.
var ErrNone = errors.New("no line is an indicator that can be used")

// verdict is what became of a line.
type verdict uint8

const (
	accepted verdict = iota
	private          // an address or prefix that nobody on the Internet has to himself
	suffix           // a name under which anybody can register
	prose            // no indicator by its form
	verdicts
)

// refusals counts lines by why they were refused.
type refusals [verdicts]int

func (r refusals) sum() int { return r[private] + r[suffix] + r[prose] }

// String tells the counts: "refused 2 public suffixes, 1 line of
// prose or a bare word".
func (r refusals) String() string {
	var parts []string
	for _, w := range [...]struct {
		n         int
		one, more string
	}{
		{r[private], "private, reserved or too wide address", "private, reserved or too wide addresses"},
		{r[suffix], "public suffix", "public suffixes"},
		{r[prose], "line of prose or a bare word", "lines of prose or bare words"},
	} {
		switch {
		case w.n == 1:
			parts = append(parts, "1 "+w.one)
		case w.n > 1:
			parts = append(parts, fmt.Sprintf("%d %s", w.n, w.more))
		}
	}
	return "refused " + strings.Join(parts, ", ")
}

func (s *Set) add(v string, o origin) verdict {
	if a, err := netip.ParseAddr(v); err == nil {
		return s.addAddr(a, o)
	}
	if p, err := netip.ParsePrefix(v); err == nil {
		if p.Addr().Is4() && p.Bits() < 8 || p.Addr().Is6() && p.Bits() < 16 || !publicPrefix(p) {
			return private
		}
		s.addPrefix(p.Masked(), o)
		return accepted
	}
	if isPrint(v) {
		s.prints[strings.ToLower(v)] = o
		return accepted
	}
	if scheme, rest, ok := strings.Cut(v, "://"); ok {
		if scheme != "http" && scheme != "https" {
			return prose
		}
		return s.addURL(rest, o)
	}
	if a, err := netip.ParseAddrPort(v); err == nil {
		return s.addAddr(a.Addr(), o)
	}
	name := strings.TrimPrefix(strings.Trim(strings.ToLower(withoutPort(v)), "."), "*.")
	switch {
	case !isName(name) || !strings.Contains(name, ".") || name[len(name)-2] == '.':
		return prose
	case !isDomain(name):
		return suffix
	}
	s.domains[name] = o
	return accepted
}

func (s *Set) addAddr(a netip.Addr, o origin) verdict {
	a = a.Unmap().WithZone("")
	if !public(a) {
		return private
	}
	s.addrs[a] = o
	return accepted
}

// addURL adds a URL without its scheme. One without a path blames the host.
func (s *Set) addURL(url string, o origin) verdict {
	host, path, _ := strings.Cut(url, "/")
	host = strings.ToLower(host)
	if path == "" {
		return s.add(host, o)
	}
	bare := withoutPort(host)
	if a, err := netip.ParseAddr(strings.Trim(bare, "[]")); err == nil && !public(a) {
		return private
	} else if err != nil && (!isName(bare) || !strings.Contains(bare, ".")) {
		return prose
	}
	s.urls[host+"/"+path] = o
	return accepted
}

// reserved are networks that nobody on the Internet can have, beside those
// that the standard library knows (RFC 6890).
var reserved = [...]netip.Prefix{
	netip.PrefixFrom(netip.AddrFrom4([4]byte{0}), 8),
	netip.PrefixFrom(netip.AddrFrom4([4]byte{100, 64}), 10),
	netip.PrefixFrom(netip.AddrFrom4([4]byte{240}), 4),
}

// held are networks that a listed one must not contain.
var held = [...]netip.Prefix{
	netip.PrefixFrom(netip.AddrFrom4([4]byte{10}), 8),
	netip.PrefixFrom(netip.AddrFrom4([4]byte{127}), 8),
	netip.PrefixFrom(netip.AddrFrom4([4]byte{169, 254}), 16),
	netip.PrefixFrom(netip.AddrFrom4([4]byte{172, 16}), 12),
	netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 168}), 16),
}

func public(a netip.Addr) bool {
	a = a.Unmap()
	for _, p := range reserved {
		if p.Contains(a) {
			return false
		}
	}
	return a.IsGlobalUnicast() && !a.IsPrivate()
}

// publicPrefix tells whether p holds public addresses only.
func publicPrefix(p netip.Prefix) bool {
	for _, q := range reserved {
		if p.Overlaps(q) {
			return false
		}
	}
	for _, q := range held {
		if p.Overlaps(q) {
			return false
		}
	}
	return public(p.Masked().Addr()) && !p.Addr().Is4In6()
}

// isPrint tells whether v looks like a JA3 (MD5), JA4 or SHA-256.
func isPrint(v string) bool {
	hex := func(s string) bool { return strings.Trim(strings.ToLower(s), "0123456789abcdef") == "" }
	if (len(v) == 32 || len(v) == 64) && hex(v) {
		return true
	}
	return len(v) == 36 && v[10] == '_' && v[23] == '_' && hex(v[11:23]) && hex(v[24:])
}

// isDomain tells whether name can be blamed on one party: it is a name and no
// public suffix.
func isDomain(name string) bool {
	if !isName(name) || !strings.Contains(name, ".") || name[len(name)-2] == '.' {
		return false
	}
	suffix, icann := publicsuffix.PublicSuffix(name)
	return suffix != name || !icann && !strings.Contains(suffix, ".")
}

// Match returns the indicators that r's observables hit.
func (s *Set) Match(r testudo.Record) (hits []testudo.Hit) {
	m := r.Base()
	addr := func(field string, a netip.Addr) {
		if !a.IsValid() {
			return
		}
		if o, ok := s.addrs[a]; ok {
			hits = append(hits, o.hit(field, a.String()))
		}
		if p, o, ok := s.covering(a); ok {
			hits = append(hits, o.hit(field, p.String()))
		}
	}
	print := func(field, v string) {
		if o, ok := s.prints[v]; ok && v != "" {
			hits = append(hits, o.hit(field, v))
		}
	}
	switch r := r.(type) {
	case *testudo.Conn:
		addr("orig", m.ID.Orig.Addr())
		addr("resp", m.ID.Resp.Addr())
	case *testudo.DNS:
		hits = s.name(hits, "query", r.Query)
		for _, a := range r.Addresses {
			addr("answer", a)
		}
	case *testudo.TLS:
		hits = s.name(hits, "server_name", r.ServerName)
		print("ja3", r.JA3)
		print("ja3s", r.JA3S)
		print("ja4", r.JA4)
	case *testudo.X509:
		print("certificate", r.Fingerprint)
	case *testudo.HTTP:
		hits = s.name(hits, "host", withoutPort(r.Host))
		if o, ok := s.urls[strings.ToLower(r.Host)+r.URI]; ok {
			hits = append(hits, o.hit("url", r.Host+r.URI))
		}
	}
	return hits
}

func (s *Set) addPrefix(p netip.Prefix, o origin) {
	s.prefixes[p] = o
	if !slices.Contains(s.lengths, p.Bits()) {
		s.lengths = append(s.lengths, p.Bits())
		slices.SortFunc(s.lengths, func(a, b int) int { return b - a })
	}
}

// covering returns the longest listed prefix that a lies in.
func (s *Set) covering(a netip.Addr) (netip.Prefix, origin, bool) {
	for _, bits := range s.lengths {
		if p, err := a.Prefix(bits); err == nil {
			if o, ok := s.prefixes[p]; ok {
				return p, o, true
			}
		}
	}
	return netip.Prefix{}, origin{}, false
}

// Holds tells whether the set names an address or a domain (or one above it).
func (s *Set) Holds(a netip.Addr, domain string) bool {
	if _, ok := s.addrs[a]; ok {
		return true
	}
	if _, _, ok := s.covering(a); ok {
		return true
	}
	return len(s.name(nil, "", domain)) > 0
}

// name looks up a name and every name above it.
func (s *Set) name(hits []testudo.Hit, field, name string) []testudo.Hit {
	name = strings.TrimSuffix(strings.ToLower(name), ".")
	for at := name; at != ""; {
		if o, ok := s.domains[at]; ok {
			return append(hits, o.hit(field, at))
		}
		i := strings.IndexByte(at, '.')
		if i < 0 {
			break
		}
		at = at[i+1:]
	}
	return hits
}

func (o origin) hit(field, value string) testudo.Hit {
	return testudo.Hit{Value: value, Field: field, Source: o.source, Note: o.note}
}
