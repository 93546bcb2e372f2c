package export

import (
	"cmp"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/testudo-shield/testudo"
	"golang.org/x/net/publicsuffix"
)

// An item is an indicator that may be shown.
type item struct {
	testudo.Indicator
	addr     netip.Addr   // of an address
	prefix   netip.Prefix // of a prefix
	incident string       // id of the incident it was found in, empty for a list's
	role     testudo.ServerRole
}

// picked is what may be shown, sorted and without repetition.
type picked struct {
	o         Options
	items     []item
	incidents []testudo.Incident // with what may be shown of them
	left      counter
}

// pick applies label, ownership and syntax.
func pick(in Input, o Options) *picked {
	o = o.withDefaults()
	p := &picked{o: o, left: counter{}}
	g := newGuard(in, o)
	for i := range in.Indicators {
		if it, why := g.listed(&in.Indicators[i]); why != "" {
			p.left.left(why)
		} else {
			p.items = append(p.items, it)
		}
	}
	for i := range in.Incidents {
		p.incident(&in.Incidents[i], g)
	}
	slices.SortFunc(p.items, compareItems)
	p.items = slices.CompactFunc(p.items, func(a, b item) bool {
		return a.Type == b.Type && a.Value == b.Value && a.Source == b.Source && a.incident == b.incident
	})
	slices.SortFunc(p.incidents, func(a, b testudo.Incident) int { return cmp.Compare(a.ID, b.ID) })
	p.incidents = slices.CompactFunc(p.incidents, func(a, b testudo.Incident) bool { return a.ID == b.ID })
	return p
}

func compareItems(a, b item) int {
	return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Value, b.Value), cmp.Compare(a.Source, b.Source),
		cmp.Compare(a.incident, b.incident), cmp.Compare(a.Last, b.Last), cmp.Compare(a.Note, b.Note))
}

// incident adds what may be shown of an incident: its servers as items, and
// itself without the machines that are ours.
func (p *picked) incident(in *testudo.Incident, g *guard) {
	if p.o.Label > p.o.Max {
		p.left.left("incidents are TLP:" + strings.ToUpper(p.o.Label.String()) + ", stricter than asked")
		return
	}
	shown := *in
	shown.ID, shown.Servers = line(in.ID), nil
	for _, s := range in.Servers {
		kept, why := g.server(s)
		if why != "" {
			p.left.left(why)
		}
		if kept.Address.IsValid() || len(kept.Names) > 0 {
			shown.Servers = append(shown.Servers, kept)
			p.items = append(p.items, serverItems(&shown, kept, p.o)...)
		}
	}
	if !p.o.Victims {
		shown.Victims, shown.Sightings, shown.Explanation, shown.Innocent = nil, nil, nil, nil
		shown.Title = titleOf(&shown)
	}
	p.incidents = append(p.incidents, shown)
}

// titleOf tells an incident by the adversary's side alone.
func titleOf(in *testudo.Incident) string {
	if len(in.Servers) == 0 {
		return string(in.Kind)
	}
	s := in.Servers[0]
	at := strings.Join(s.Names[:min(len(s.Names), 1)], "")
	if s.Address.IsValid() {
		at = strings.TrimSpace(s.Address.Unmap().String() + " " + at)
	}
	title := line(fmt.Sprintf("%s: %s at %s", in.Kind, s.Role, at))
	if more := len(in.Servers) - 1; more > 0 {
		title += fmt.Sprintf(" and %d more", more)
	}
	return title
}

// serverItems makes indicators of a server.
func serverItems(in *testudo.Incident, s testudo.NamedServer, o Options) (items []item) {
	base := testudo.Indicator{
		Source: o.Producer, TLP: o.Label, Confidence: percent(s.Confidence), First: in.First, Last: in.Last,
		Note: line(fmt.Sprintf("%s in %s", s.Role, in.ID)),
	}
	if s.Shared {
		base.Marks = testudo.MarkShared
	}
	if s.Address.IsValid() {
		it := item{Indicator: base, addr: s.Address.Unmap().WithZone(""), incident: in.ID, role: s.Role}
		it.Type, it.Value = testudo.AddressIndicator, it.addr.String()
		items = append(items, it)
	}
	for _, n := range s.Names {
		it := item{Indicator: base, incident: in.ID, role: s.Role}
		it.Type, it.Value = testudo.HostIndicator, n
		items = append(items, it)
	}
	for i := range items {
		items[i].remark(o.Now)
	}
	return items
}

func percent(p float64) int {
	if math.IsNaN(p) || p <= 0 {
		return -1
	}
	return int(math.Round(min(p, 1) * 100))
}

// parse reads the value by its type and says why it cannot be one.
func (it *item) parse() (why string) {
	ok, v := true, it.Value
	switch it.Type {
	case testudo.AddressIndicator:
		a, err := netip.ParseAddr(v)
		it.addr, ok = a.Unmap(), err == nil && a.Zone() == ""
		it.Value = it.addr.String()
	case testudo.PrefixIndicator:
		p, err := netip.ParsePrefix(v)
		it.prefix, ok = p.Masked(), err == nil && !p.Addr().Is4In6()
		it.Value = it.prefix.String()
	case testudo.DomainIndicator, testudo.HostIndicator:
		ok = isName(v)
	case testudo.JA3Indicator:
		ok = len(v) == 32 && isHex(v)
	case testudo.JA4Indicator:
		ok = isJA4(v)
	case testudo.CertIndicator:
		ok = (len(v) == 40 || len(v) == 64) && isHex(v)
	case testudo.HashIndicator:
		ok = (len(v) == 32 || len(v) == 40 || len(v) == 64) && isHex(v)
	case testudo.URLIndicator, testudo.EmailIndicator:
		ok = isText(v) && !strings.Contains(v, " ")
	case testudo.AgentIndicator:
		ok = isText(v)
	default:
		return "of a type that is not known here"
	}
	if !ok {
		return "not what their type says, or not plain text"
	}
	return ""
}

// isText says whether s is visible characters and blanks between them, at most
// 2,000 bytes.
func isText(s string) bool {
	return s != "" && len(s) <= 2000 && utf8.ValidString(s) && strings.TrimSpace(s) == s &&
		!strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

// unseen says whether r ends a line, cannot be seen, or acts on its neighbours.
func unseen(r rune) bool { return r == ' ' || !unicode.IsPrint(r) }

func isHex(s string) bool {
	return strings.Trim(s, "0123456789abcdef") == ""
}

// isJA4 says whether s has a JA4's three parts: t13d1516h2_8daaf6152771_b186095e22b6.
func isJA4(s string) bool {
	parts := strings.Split(s, "_")
	return len(parts) == 3 && len(parts[0]) == 10 && strings.Trim(parts[0], "0123456789abcdefghijklmnopqrstuvwxyz") == "" &&
		len(parts[1]) == 12 && isHex(parts[1]) && len(parts[2]) == 12 && isHex(parts[2])
}

// isName says whether s is a name of DNS in lower-case ASCII without its last
// dot, and no address.
func isName(s string) bool {
	if len(s) == 0 || len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' ||
			strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	_, err := netip.ParseAddr(s)
	return err != nil
}

// remark adds the marks that a second look finds missing where a mistake would
// cut off others.
func (it *item) remark(now testudo.Time) {
	switch it.Type {
	case testudo.AddressIndicator:
		it.mark(testudo.MarkPrivate, !public(it.addr))
	case testudo.PrefixIndicator:
		it.mark(testudo.MarkPrivate, !public(it.prefix.Addr()))
		it.mark(testudo.MarkWide, wide(it.prefix))
	case testudo.DomainIndicator, testudo.HostIndicator:
		suffix, _ := publicsuffix.PublicSuffix(it.Value)
		it.mark(testudo.MarkSuffix, suffix == it.Value)
	}
	it.mark(testudo.MarkExpired, it.Expires != 0 && it.Expires <= now)
}

func (it *item) mark(m testudo.Marks, holds bool) {
	if holds {
		it.Marks |= m
	}
}

// doubt says why nothing may be blocked on an item alone; empty where it may.
func (it *item) doubt() string {
	switch {
	case it.Marks != 0:
		return "marked " + strings.Join(it.Marks.Words(), " and ") + ", so nothing to block"
	case it.role == testudo.Reflector:
		return "reflectors: abused by the attacker, not his own"
	case it.role == testudo.Flooder:
		return "flooders: their addresses may be forged"
	case it.incident != "" && it.Confidence < 50:
		return "less sure than even"
	}
	return ""
}

// public says whether an address can be one party's on the Internet.
func public(a netip.Addr) bool {
	return a.IsGlobalUnicast() && !a.IsPrivate() && !slices.ContainsFunc(reserved[:], func(p netip.Prefix) bool { return p.Contains(a) })
}

// reserved is what RFC 6890 sets apart and netip does not know. The nets for
// documentation are not among them: nobody is cut off with them.
var reserved = [...]netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("240.0.0.0/4"), netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("2002::/16"),
}

// wide says whether a prefix is too wide to be one party's.
func wide(p netip.Prefix) bool {
	if p.Addr().Is4() {
		return p.Bits() < 16
	}
	return p.Bits() < 32
}
