// Package tunnel finds conversations hidden in protocols that are let through
// everywhere: data in the names of DNS questions and in their answers, and
// data in the payload of ICMP echo. DNS is judged by what a registered domain
// was told and told back in a day, in constant memory, so that a slow channel
// adds up like a fast one. See zone.go for what is counted, weigh.go for what
// it means and echo.go for ICMP.
package tunnel

import (
	"net/netip"
	"strings"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/detector"
)

// What is fixed about the judgement of DNS.
const (
	// window is how long questions of one zone are added up.
	window = 24 * time.Hour
	// fewest is how many questions a zone is asked before it is judged.
	fewest = 6
	// longWatch is how long traffic must have been watched before a zone
	// that was never asked for says something.
	longWatch = 24 * time.Hour
)

// Detector returns the detector. Its memory hangs on the registered domain
// asked for, on the server where the name is no one's, and on the pair for
// ICMP.
func Detector() detector.Detector {
	return detector.Detector{
		Name: "tunnel", Needs: []string{"dns", "icmp_echo"},
		Wants: []testudo.Evidence{testudo.EchoPayloads},
		Habit: window, Slow: "slow tunnels",
		Route: route,
		New: func(entries int) detector.Memory {
			return &memory{
				zones: detector.NewTableBy[zoneKey, zone](entries, zoneKey.sum),
				lines: detector.NewTableBy[line, echo](entries, line.sum),
			}
		},
	}
}

func route(r testudo.Record) (uint64, bool) {
	switch r := r.(type) {
	case *testudo.DNS:
		if k, ok := keyOf(r); ok {
			return k.hash(), true
		}
	case *testudo.Conn:
		if visits(r) {
			return detector.NameKey(r.About.Domain), true
		}
	case *testudo.ICMPEcho:
		return detector.PairKey(r.ID.Orig.Addr(), r.ID.Resp.Addr()), r.About.Host.IsValid()
	}
	return 0, false
}

// zoneKey is what questions are added up by: a registered domain, or the
// server where names lie under no suffix that anybody can register under.
type zoneKey struct {
	domain string
	server netip.Addr
}

func (k zoneKey) sum(h detector.Hash) detector.Hash {
	return h.Addr(k.server).Text(k.domain)
}

func (k zoneKey) hash() uint64 {
	if k.domain == "" {
		return detector.AddrKey(k.server)
	}
	return detector.NameKey(k.domain)
}

// ends are the two ends of a question, whichever of them was seen first.
type ends struct {
	client, server           netip.Addr
	clientLocal, serverLocal bool
	port                     uint16
}

func endsOf(r *testudo.DNS) ends {
	id, c := &r.ID, &r.About
	if id.Orig.Port() == 53 && id.Resp.Port() != 53 {
		return ends{id.Resp.Addr(), id.Orig.Addr(), c.RespLocal, c.OrigLocal, 53}
	}
	return ends{id.Orig.Addr(), id.Resp.Addr(), c.OrigLocal, c.RespLocal, id.Resp.Port()}
}

// keyOf returns what the question is added up by, and false for questions
// that carry nothing: those on the local link, walks through addresses, and
// those that others ask of our own servers about names that are somebody's.
func keyOf(r *testudo.DNS) (zoneKey, bool) {
	for _, port := range [...]uint16{r.ID.Orig.Port(), r.ID.Resp.Port()} {
		if port == 137 || port == 5353 || port == 5355 {
			return zoneKey{}, false
		}
	}
	name := r.Query
	if len(name) < 4 || strings.HasSuffix(name, ".arpa") {
		return zoneKey{}, false
	}
	e := endsOf(r)
	last := name[strings.LastIndexByte(name, '.')+1:]
	if !r.About.QueryPublic && (len(last) > 12 || strings.ContainsAny(last, "0123456789\\")) {
		return zoneKey{server: e.server}, true
	}
	if e.serverLocal && !e.clientLocal || len(last) == len(name) {
		return zoneKey{}, false
	}
	return zoneKey{domain: r.About.QueryDomain}, true
}

// visits tells whether c is a use of a name, as a tunnel's names have none.
func visits(c *testudo.Conn) bool {
	return c.About.Outbound && c.About.Domain != "" && c.RespPkts > 0 && !c.Interim && c.ID.Resp.Port() != 53
}

type memory struct {
	zones *detector.Table[zoneKey, zone]
	lines *detector.Table[line, echo]
}

// Observe implements detector.Memory.
func (m *memory) Observe(r testudo.Record, out *detector.Out) {
	switch r := r.(type) {
	case *testudo.DNS:
		m.question(r, out)
	case *testudo.Conn:
		if z := m.zones.Peek(zoneKey{domain: r.About.Domain}); z != nil {
			z.visits++
		}
	case *testudo.ICMPEcho:
		m.echo(r, out)
	}
}

func (m *memory) question(r *testudo.DNS, out *detector.Out) {
	k, _ := keyOf(r)
	z, isNew := m.zones.Put(k)
	if isNew {
		z.since, z.known, z.due = r.Time, r.About.Known, fewest
	}
	if z.n == 0 || !z.told && r.Time.Sub(z.first) > window {
		z.renew(r.Time)
	}
	z.add(k, r)
	if z.n < z.due {
		return
	}
	z.due = z.n + z.n/4 + 2
	logit := z.weigh(k, false).Logit()
	m.zones.Keep(k, logit > -2)
	if logit > 0 && (z.claimed == 0 || logit > z.logit+1 || z.n >= 2*z.claimed) {
		z.claimed, z.logit, z.told = z.n, logit, true
		out.Claim(z.claim(k))
	}
}

// Tick implements detector.Memory: at the end the last numbers are told.
func (m *memory) Tick(_ testudo.Time, last bool, out *detector.Out) {
	if !last {
		return
	}
	for k, z := range m.zones.All {
		if z.n < fewest || z.told && z.n <= z.claimed {
			continue
		}
		if z.weigh(k, false).Logit() > 0 {
			out.Claim(z.claim(k))
		}
	}
	for l, e := range m.lines.All {
		if e.told != e.packets && e.differ+e.unasked+e.strange > 0 {
			if e.weigh(false).Logit() > 0 {
				out.Claim(e.claim(l))
			}
		}
	}
}

// Shed implements detector.Memory.
func (m *memory) Shed() int { return m.zones.Shed() + m.lines.Shed() }
