package export

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/testudo-shield/testudo"
)

// Why something is left out.
const (
	ownAddress  = "our own machines or networks"
	tooStrict   = "stricter than the label asked for"
	heldByList  = "servers that a stricter list names"
	notReadable = "servers without an address or name that can be written"
)

// guard knows what must not leave.
type guard struct {
	o       Options
	victims map[netip.Addr]bool
	names   map[string]bool // of our machines
	held    map[string]bool // values of indicators too strict to be shown
	nets    []netip.Prefix  // likewise
}

func newGuard(in Input, o Options) *guard {
	g := &guard{o: o, victims: map[netip.Addr]bool{}, names: map[string]bool{}, held: map[string]bool{}}
	for i := range in.Incidents {
		g.learn(&in.Incidents[i])
	}
	for i := range in.Indicators {
		if ind := &in.Indicators[i]; label(ind) > o.Max {
			g.hold(ind)
		}
	}
	return g
}

// learn remembers who was attacked.
func (g *guard) learn(in *testudo.Incident) {
	for _, v := range in.Victims {
		if v.Address.IsValid() {
			g.victims[v.Address.Unmap().WithZone("")] = true
		}
		if n := canonical(v.Name); n != "" {
			g.names[n] = true
		}
	}
	for i := range in.Sightings {
		for _, a := range in.Sightings[i].Victims {
			g.victims[a.Unmap().WithZone("")] = true
		}
	}
}

// hold remembers what an indicator too strict to be shown names.
func (g *guard) hold(ind *testudo.Indicator) {
	if p, err := netip.ParsePrefix(ind.Value); err == nil {
		g.nets = append(g.nets, p.Masked())
		return
	}
	if a, err := netip.ParseAddr(ind.Value); err == nil {
		g.held[a.Unmap().String()] = true
		return
	}
	g.held[canonical(ind.Value)] = true
	if ind.Type == testudo.URLIndicator {
		host, _, _ := strings.Cut(ind.Value, "/")
		g.held[canonical(host)] = true
	}
}

// label is the label an indicator is treated by.
func label(ind *testudo.Indicator) testudo.TLP {
	if ind.TLP == testudo.TLPUnset {
		return testudo.TLPAmber
	}
	return ind.TLP
}

// listed returns what may be shown of a list's indicator, or why nothing may.
func (g *guard) listed(ind *testudo.Indicator) (it item, why string) {
	if label(ind) > g.o.Max {
		return it, tooStrict
	}
	it = item{Indicator: *ind}
	if why := it.parse(); why != "" {
		return it, why
	}
	if g.ownValue(&it) {
		return it, ownAddress
	}
	it.TLP = label(ind)
	it.Note, it.Source, it.Licence = g.prose(it.Note), line(it.Source), line(it.Licence)
	it.Threats = nil
	for _, t := range ind.Threats {
		if t = line(t); t != "" {
			it.Threats = append(it.Threats, t)
		}
	}
	it.remark(g.o.Now)
	return it, ""
}

// ownValue says whether an indicator's value is a machine or network of ours.
func (g *guard) ownValue(it *item) bool {
	switch it.Type {
	case testudo.AddressIndicator:
		return g.own(it.addr)
	case testudo.PrefixIndicator:
		return slices.ContainsFunc(g.o.Local, func(p netip.Prefix) bool { return p.Overlaps(it.prefix) }) || g.victimIn(it.prefix)
	case testudo.URLIndicator:
		host, _, _ := strings.Cut(it.Value, "/")
		return g.ownWord(host)
	case testudo.DomainIndicator, testudo.HostIndicator:
		return g.names[canonical(it.Value)]
	case testudo.EmailIndicator, testudo.AgentIndicator:
		return g.mentions(it.Value)
	}
	return false
}

func (g *guard) victimIn(p netip.Prefix) bool {
	for a := range g.victims {
		if p.IsSingleIP() && p.Addr() == a {
			return true
		}
	}
	return false
}

// own says whether an address is ours.
func (g *guard) own(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	return g.victims[a] || slices.ContainsFunc(g.o.Local, func(p netip.Prefix) bool { return p.Contains(a) })
}

// server returns what may be shown of a server, and why less than all.
func (g *guard) server(s testudo.NamedServer) (kept testudo.NamedServer, why string) {
	kept = s
	kept.Names = nil
	switch {
	case !s.Address.IsValid():
	case g.own(s.Address): // an attacker within, and one of us
		return testudo.NamedServer{}, ownAddress
	case g.heldAddr(s.Address):
		return testudo.NamedServer{}, heldByList
	}
	for _, n := range s.Names {
		switch n = canonical(n); {
		case g.heldName(n):
			return testudo.NamedServer{}, heldByList
		case !isName(n):
			why = notReadable
		case g.names[n]:
			why = ownAddress
		case !slices.Contains(kept.Names, n):
			kept.Names = append(kept.Names, n)
		}
	}
	return kept, why
}

func (g *guard) heldAddr(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	return g.held[a.String()] || slices.ContainsFunc(g.nets, func(p netip.Prefix) bool { return p.Contains(a) })
}

// heldName says whether a stricter list names n or a name above it.
func (g *guard) heldName(n string) bool {
	for n != "" {
		if g.held[n] {
			return true
		}
		_, n, _ = strings.Cut(n, ".")
	}
	return false
}

// prose returns a source's words as one line, or nothing where they name a
// machine of ours.
func (g *guard) prose(s string) string {
	if s = line(s); g.mentions(s) {
		return ""
	}
	return s
}

// mentions says whether a text names a machine of ours, also by its full name
// where we know the short one.
func (g *guard) mentions(s string) bool {
	return slices.ContainsFunc(strings.FieldsFunc(s, betweenWords), func(w string) bool {
		short, _, _ := strings.Cut(w, ".")
		return g.ownWord(w) || g.names[canonical(short)]
	})
}

// ownWord says whether a word is one of our addresses or names, with or
// without a port.
func (g *guard) ownWord(w string) bool {
	w = strings.Trim(w, ".:-")
	if a, err := netip.ParseAddr(w); err == nil {
		return g.own(a)
	}
	if a, err := netip.ParseAddrPort(w); err == nil {
		return g.own(a.Addr())
	}
	if host, _, ok := strings.Cut(w, ":"); ok {
		w = host
	}
	return g.names[canonical(w)]
}

// betweenWords says whether r can stand neither in an address nor in a name.
func betweenWords(r rune) bool {
	return !(r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '.' || r == ':' || r == '-' || r == '_' || r > 0x7f)
}

// canonical returns a name in lower case without its last dot.
func canonical(n string) string { return strings.TrimSuffix(strings.ToLower(n), ".") }
