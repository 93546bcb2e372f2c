// Package worm finds what spreads by itself: machines of ours that, one after
// the other, begin to knock at the same door of many hosts, each after it was
// visited at that door by one that did so before. A scanner is alone, an
// update comes from one place and nobody passes it on, and who manages many
// machines finds them at home.
package worm

import (
	"cmp"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/detector"
)

const (
	// fan is how many different hosts one must try within spell before it
	// counts as spreading.
	fan   = 8
	spell = 10 * time.Minute
	// incubation is how long after a visit a machine may begin.
	incubation = 6 * time.Hour
	// outbreak is how many machines, and passed how many visits between
	// them, a claim wants at least.
	outbreak, passed = 3, 2
	// most is how many machines are listed for one door.
	most = 64
)

// Detector returns the detector. Its memory hangs on the door: the transport
// and the port that is tried.
func Detector() detector.Detector {
	return detector.Detector{
		Name:  "worm",
		Needs: []string{"conn"},
		Route: func(r testudo.Record) (uint64, bool) {
			c, ok := r.(*testudo.Conn)
			if !ok || !counts(c) {
				return 0, false
			}
			d := doorOf(c)
			return (uint64(d.port)<<8 | uint64(d.proto)) * 0x9e3779b97f4a7c15 >> 32, true
		},
		New: func(entries int) detector.Memory {
			return &memory{
				actors: detector.NewTableBy[at, actor](max(1, entries), at.sum),
				visits: detector.NewTableBy[at, visits](max(1, entries), at.sum),
				lines:  detector.NewTableBy[door, line](max(1, entries/4), door.sum),
			}
		},
	}
}

// counts tells whether a conn is one of ours trying somebody: at home, or
// elsewhere without success, as elsewhere most that works is ordinary.
func counts(c *testudo.Conn) bool {
	switch c.ID.Proto {
	case testudo.TCP, testudo.UDP:
	default:
		return false
	}
	to := c.ID.Resp.Addr()
	return !c.Interim && c.About.OrigLocal && c.OrigPkts > 0 && c.ID.Resp.Port() < 49152 &&
		!to.IsMulticast() && (c.About.RespLocal || failed(c))
}

// failed tells whether nobody was at home.
func failed(c *testudo.Conn) bool { return c.RespPkts == 0 || c.State == "REJ" || c.State == "S0" }

type door struct {
	proto testudo.Proto
	port  uint16
}

func (k door) sum(h detector.Hash) detector.Hash {
	return h.Word(uint64(k.port)<<8 | uint64(k.proto))
}

func doorOf(c *testudo.Conn) door { return door{c.ID.Proto, c.ID.Resp.Port()} }

// String writes "tcp/445".
func (d door) String() string { return fmt.Sprintf("%s/%d", d.proto, d.port) }

// at is a machine at a door.
type at struct {
	door
	host netip.Addr
}

func (k at) sum(h detector.Hash) detector.Hash {
	return k.door.sum(h.Addr(k.host))
}

// actor is a machine of ours that tries hosts at a door.
type actor struct {
	began     testudo.Time // of the spell at hand
	last      testudo.Time
	tried     [fan]netip.Addr // different hosts
	distinct  int
	n, failed int
	spreads   bool
	known     time.Duration // how long we had watched when it began
}

// visits are the earliest successful ones a machine of ours got at a door, by
// different machines of ours.
type visits struct {
	list [4]visit
	n    int
}

type visit struct {
	by  netip.Addr
	on  testudo.Time
	uid testudo.UID
}

// line is what spreads at a door.
type line struct {
	hosts   []netip.Addr
	claimed int
}

type memory struct {
	actors *detector.Table[at, actor]
	visits *detector.Table[at, visits]
	lines  *detector.Table[door, line]
}

// Observe implements detector.Memory.
func (m *memory) Observe(r testudo.Record, out *detector.Out) {
	c := r.(*testudo.Conn)
	d := doorOf(c)
	if c.About.RespLocal && !failed(c) {
		v, _ := m.visits.Put(at{d, c.ID.Resp.Addr()})
		v.add(visit{c.ID.Orig.Addr(), c.Time, c.UID})
	}
	k := at{d, c.ID.Orig.Addr()}
	a, isNew := m.actors.Put(k)
	if isNew || !a.spreads && c.Time.Sub(a.began) > spell {
		*a = actor{began: c.Time, known: c.About.Known}
	}
	a.add(c)
	if a.spreads || a.distinct < fan {
		return
	}
	a.spreads = true
	m.actors.Keep(k, true)
	l, _ := m.lines.Put(d)
	m.lines.Keep(d, true)
	if len(l.hosts) < most {
		l.hosts = append(l.hosts, k.host)
	}
	if len(l.hosts) >= outbreak && len(l.hosts) > l.claimed {
		m.tell(d, l, out)
	}
}

func (a *actor) add(c *testudo.Conn) {
	a.began, a.last = min(a.began, c.Time), max(a.last, c.Time)
	if to := c.ID.Resp.Addr(); a.distinct < fan && !slices.Contains(a.tried[:a.distinct], to) {
		a.tried[a.distinct] = to
		a.distinct++
	}
	a.n++
	if failed(c) {
		a.failed++
	}
}

func (v *visits) add(x visit) {
	for i := range v.list[:v.n] {
		if v.list[i].by == x.by {
			if x.on < v.list[i].on {
				v.list[i] = x
			}
			return
		}
	}
	if v.n < len(v.list) {
		v.list[v.n] = x
		v.n++
	}
}

// epidemic is an outbreak as far as it is known.
type epidemic struct {
	door
	hosts []patient
	links int
	depth int
	quick int // links passed on within a spell
	n     int
	fails int
}

// patient is a machine that spreads, and by whom it was visited before.
type patient struct {
	netip.Addr
	actor *actor
	from  netip.Addr
	uid   testudo.UID
	depth int
}

// trace puts the machines of a door in order and finds who passed it on.
func (m *memory) trace(d door, l *line) (o epidemic) {
	o.door = d
	for _, h := range l.hosts {
		if a := m.actors.Peek(at{d, h}); a != nil {
			o.hosts = append(o.hosts, patient{Addr: h, actor: a})
			o.n, o.fails = o.n+a.n, o.fails+a.failed
		}
	}
	slices.SortFunc(o.hosts, func(x, y patient) int {
		return cmp.Or(cmp.Compare(x.actor.began, y.actor.began), x.Compare(y.Addr))
	})
	for i := range o.hosts {
		p := &o.hosts[i]
		v := m.visits.Peek(at{d, p.Addr})
		if v == nil {
			continue
		}
		for _, x := range v.list[:v.n] {
			by := slices.IndexFunc(o.hosts[:i], func(q patient) bool { return q.Addr == x.by })
			if gap := p.actor.began.Sub(x.on); by >= 0 && gap > 0 && gap <= incubation && !p.from.IsValid() {
				p.from, p.uid, p.depth = x.by, x.uid, o.hosts[by].depth+1
				o.links++
				o.depth = max(o.depth, p.depth)
				if gap <= spell {
					o.quick++
				}
			}
		}
	}
	return o
}

func (m *memory) tell(d door, l *line, out *detector.Out) {
	o := m.trace(d, l)
	if len(o.hosts) < outbreak || o.links < passed {
		return
	}
	if s := o.claim(); s.Score() >= 0.3 {
		l.claimed = len(l.hosts)
		out.Claim(s)
	}
}

// Tick implements detector.Memory.
func (m *memory) Tick(_ testudo.Time, last bool, out *detector.Out) {
	if !last {
		return
	}
	for d, l := range m.lines.All {
		if len(l.hosts) >= outbreak {
			m.tell(d, l, out)
		}
	}
}

// Shed implements detector.Memory.
func (m *memory) Shed() int { return m.actors.Shed() + m.visits.Shed() + m.lines.Shed() }

func (o *epidemic) reasons() []testudo.Reason {
	w := []testudo.Reason{{Family: testudo.Base, Weight: -6, Text: "what spreads by itself is rare"}}
	add := func(f testudo.Family, x float64, format string, args ...any) {
		w = append(w, testudo.Reason{Family: f, Weight: x, Text: fmt.Sprintf(format, args...)})
	}
	add(testudo.Company, detector.Cap(1.5*math.Log2(float64(len(o.hosts))/2), 4), "%d machines of ours try %s of many hosts", len(o.hosts), o.door)
	chain := fmt.Sprintf("%d of them began after one that did so had visited them", o.links)
	weight := detector.Cap(1.5*math.Log2(float64(1+o.links)), 4)
	if o.depth >= 2 {
		weight += 1.5
		chain += fmt.Sprintf("; it was passed on %d times in a row", o.depth)
	}
	add(testudo.Content, weight, "%s", chain)
	if 2*o.quick > o.links {
		add(testudo.Timing, 1, "%d of them within ten minutes of the visit", o.quick)
	}
	switch share := float64(o.fails) / float64(max(1, o.n)); {
	case share >= 0.5:
		add(testudo.Volume, 2, "%.0f %% of %d tries found nobody: they guess addresses", 100*share, o.n)
	case share <= 0.2:
		add(testudo.Innocence, -4, "nearly all tries found somebody: machines that manage or update each other know where to go")
	}
	if first := o.hosts[0].actor; first.known >= time.Hour {
		add(testudo.Rarity, 1, "nobody did so in the %.0f hours before", first.known.Hours())
	}
	return w
}

func (o *epidemic) claim() testudo.Sighting {
	s := testudo.Sighting{
		Detector: "worm", Key: o.door.String(), Kind: testudo.Intrusion, Outcome: testudo.Success,
		First: o.hosts[0].actor.began, Title: fmt.Sprintf("%d machines of ours pass something on by %s", len(o.hosts), o.door),
		Summary:    fmt.Sprintf("%d machines tried %d times to reach %s of others, %d of them after a visit by one before", len(o.hosts), o.n, o.door, o.links),
		Reasons:    o.reasons(),
		Innocent:   "software that updates among neighbours, or several managing machines, of which one looks after the others",
		Techniques: []string{"T1210"},
		Servers:    []testudo.Server{{Address: o.hosts[0].Addr, Ports: []string{o.door.String()}, Role: testudo.Lateral}},
	}
	var chain []string
	for _, p := range o.hosts {
		s.Victims = append(s.Victims, p.Addr)
		s.Last = max(s.Last, p.actor.last)
		if !p.from.IsValid() {
			continue
		}
		chain = append(chain, fmt.Sprintf("%s by %s", p.Addr, p.from))
		if len(s.UIDs) < 16 {
			s.UIDs = append(s.UIDs, p.uid)
		}
	}
	s.Evidence = []testudo.Fact{
		{Name: "machines", Value: len(o.hosts)},
		{Name: "first", Value: o.hosts[0].Addr.String()},
		{Name: "door", Value: o.door.String()},
		{Name: "passed_on", Value: chain[:min(16, len(chain))]},
		{Name: "generations", Value: o.depth + 1},
		{Name: "tries", Value: o.n},
		{Name: "failed", Value: math.Round(100*float64(o.fails)/float64(max(1, o.n))) / 100},
	}
	return s
}
