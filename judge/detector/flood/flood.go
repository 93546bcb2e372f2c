// Package flood finds what is buried under more than it asked for: connection
// requests that nobody completes, answers to questions never put (reflection),
// strays, one-way datagrams, ICMP and fragments, at one host or over a whole
// network (surge.go, within a second, from the load that sense measures);
// the same from conversations that ended without an answer (conns.go); and
// floods of what is answered: requests, handshakes, slow requests and names
// that do not exist (web.go, names.go). It tells backscatter from all these,
// says what it knows of the senders (senders.go) and the narrowest aggregate
// that holds the attack (aggregate.go).
package flood

import (
	"net/netip"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/detector"
)

const (
	// slot is the time over which conversations are counted together.
	slot = 10 * time.Second
	// quiet is what any host on the Internet sees from scanners in a slot.
	quiet = 32.0
	// first is the count in a slot from which on a claim is made.
	first = 96.0
	// crowd is how many different sources no client population reaches that
	// fast without completing a single conversation.
	crowd = 64
)

// Detector returns the detector. Its memory hangs on our host, or where
// neither end is ours on the one that is flooded; for load on the network of
// that, and for names on the registered domain.
func Detector() detector.Detector {
	return detector.Detector{
		Name:  "flood",
		Needs: []string{"conn"},
		Wants: []testudo.Evidence{testudo.Loads},
		Route: route,
		New: func(entries int) detector.Memory {
			return &memory{
				levels:  detector.NewTableBy[key, level](max(1, entries/4), key.sum),
				surges:  detector.NewTable[place, surge](max(1, entries/4)),
				details: detector.NewTable[place, detail](max(1, entries/16)),
				habits:  detector.NewTable[netip.Addr, habit](max(1, entries/4)),
				doors:   detector.NewTable[door, desk](max(1, entries/16)),
				zones:   detector.NewTable[string, zone](max(1, entries/8)),
			}
		},
	}
}

func route(r testudo.Record) (uint64, bool) {
	switch r := r.(type) {
	case *testudo.Load:
		return networkKey(r.Target.Addr()), true
	case *testudo.HTTP, *testudo.TLS:
		m := r.Base()
		return detector.AddrKey(m.ID.Resp.Addr()), m.ID.Resp.IsValid() && m.About.RespLocal
	case *testudo.DNS:
		return detector.NameKey(r.About.QueryDomain), askedName(r)
	}
	if e, ok := event(r); ok {
		return detector.AddrKey(e.host), true
	}
	if c, ok := r.(*testudo.Conn); ok && c.About.RespLocal && c.RespPkts > 0 {
		return networkKey(c.ID.Resp.Addr()), true
	}
	return 0, false
}

// networkOf returns the network of at most 256 neighbours that an address
// belongs to, as sense counts load.
func networkOf(a netip.Addr) netip.Prefix {
	width := 64
	if a.Is4() {
		width = 24
	}
	p, _ := a.Prefix(width)
	return p
}

func networkKey(a netip.Addr) uint64 { return detector.AddrKey(networkOf(a).Addr()) }

// memory is one shard's. Each part has a table of its own, so that the flood
// of one sort does not push out the other.
type memory struct {
	levels  *detector.Table[key, level]
	surges  *detector.Table[place, surge]
	details *detector.Table[place, detail]
	habits  *detector.Table[netip.Addr, habit]
	doors   *detector.Table[door, desk]
	zones   *detector.Table[string, zone]
}

// Observe implements detector.Memory.
func (m *memory) Observe(r testudo.Record, out *detector.Out) {
	switch r := r.(type) {
	case *testudo.Load:
		m.load(r, out)
		return
	case *testudo.HTTP:
		m.request(r, out)
		return
	case *testudo.TLS:
		m.handshake(r, out)
		return
	case *testudo.DNS:
		m.question(r, out)
		return
	}
	if o, ok := event(r); ok {
		m.unanswered(&o, out)
	} else if c, ok := r.(*testudo.Conn); ok {
		m.served(c, out)
	}
}

// unlikely is the score below which a claim would only be noise.
const unlikely = 0.3

// Tick implements detector.Memory: at the end the last numbers are told.
func (m *memory) Tick(_ testudo.Time, last bool, out *detector.Out) {
	if !last {
		return
	}
	for k, l := range m.levels.All {
		if l.claimed > 0 {
			l.tell(k, out)
		}
	}
	for k, s := range m.surges.All {
		if s.claimed > 0 {
			m.tellSurge(k, s, out)
		}
	}
	for k, d := range m.doors.All {
		d.last(k, out)
	}
	for k, z := range m.zones.All {
		if z.claimed > 0 {
			z.tell(k, out)
		}
	}
}

// Shed implements detector.Memory.
func (m *memory) Shed() int {
	return m.levels.Shed() + m.surges.Shed() + m.details.Shed() + m.habits.Shed() + m.doors.Shed() + m.zones.Shed()
}
