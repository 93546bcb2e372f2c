package flood

import (
	"net/netip"
	"slices"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/detector"
)

// gauge measures how much comes at once, and remembers how much is usual. Its
// steps are 2^shift nanoseconds of traffic time.
type gauge struct {
	counts  [2 * window]struct{ step, n int64 }
	last    int64
	usual   float64 // the fullest window before, slowly forgotten
	peak    float64
	onset   testudo.Time
	until   testudo.Time
	decided testudo.Time
	claimed float64
	toldAt  testudo.Time // when it was claimed last

	looked   float64 // the peak when it was last asked whether it is a flood
	lookedAt testudo.Time
}

// count counts one thing and returns how many there are in the window that ends
// with it. calm tells that it is the first after less than floor came.
func (g *gauge) count(at testudo.Time, shift int, floor float64) (now float64, calm bool) {
	step := int64(at) >> shift
	if step < g.last {
		step = g.last // records come nearly in order
	}
	if step > g.last {
		before := g.sum(g.last)
		if calm = before < floor || step > g.last+2*window; calm {
			if g.claimed == 0 { // a flood is never usual
				g.usual = max(before, g.peak, g.usual*0.999)
			}
			g.onset, g.peak, g.decided, g.claimed, g.looked = at, 0, 0, 0, 0
		}
		g.last = step
	}
	c := &g.counts[step%(2*window)]
	if c.step != step {
		c.step, c.n = step, 0
	}
	c.n++
	now = g.sum(step)
	g.peak, g.until = max(g.peak, now), max(g.until, at)
	return now, calm
}

func (g *gauge) sum(step int64) (n float64) {
	for _, c := range g.counts {
		if c.step > step-window && c.step <= step {
			n += float64(c.n)
		}
	}
	return n
}

// due tells whether a claim would say something new. What was just looked at
// is not looked at again until it has grown, or a moment has passed.
func (g *gauge) due(floor float64) bool {
	if g.peak < floor || g.claimed > 0 && g.peak < 2*g.claimed && g.until.Sub(g.toldAt) < refresh ||
		g.looked > 0 && g.peak < 1.125*g.looked && g.until.Sub(g.lookedAt) < moment {
		return false
	}
	g.looked, g.lookedAt = g.peak, g.until
	return true
}

// moment is short beside the second in which a flood is to be decided.
const moment = 100 * time.Millisecond

// told notes a claim.
func (g *gauge) told(now testudo.Time) {
	g.claimed, g.toldAt = g.peak, g.until
	if g.decided == 0 {
		g.decided = now
	}
}

// favourite follows which of many values is the commonest, by majority vote
// (Boyer, Moore: MJRTY, 1981).
type favourite struct {
	value   uint64
	votes   int
	on      int
	example string
}

func (f *favourite) add(h uint64, text string) {
	switch {
	case f.votes == 0:
		f.value, f.votes, f.on, f.example = h, 1, 1, text
	case f.value == h:
		f.votes++
		f.on++
	default:
		f.votes--
	}
}

// senders counts who came.
type senders struct {
	all    detector.Distinct
	few    [8]netip.Addr
	named  int
	within int // from machines of ours
	uids   [16]testudo.UID
	conns  int
}

func (s *senders) add(m *testudo.Meta) {
	a := m.ID.Orig.Addr()
	s.all.Add(detector.AddrKey(a))
	if m.About.OrigLocal {
		s.within++
	}
	if s.named < len(s.few) && !slices.Contains(s.few[:s.named], a) {
		s.few[s.named] = a
		s.named++
	}
	if s.conns < len(s.uids) && (s.conns == 0 || s.uids[s.conns-1] != m.UID) {
		s.uids[s.conns] = m.UID
		s.conns++
	}
}

// accused are the senders as servers, where they are few.
func (s *senders) accused() (servers []testudo.Server) {
	if s.all.Count() > len(s.few) {
		return nil
	}
	few := slices.Clone(s.few[:s.named])
	slices.SortFunc(few, func(a, b netip.Addr) int { return a.Compare(b) })
	for _, a := range few {
		servers = append(servers, testudo.Server{Address: a, Role: testudo.Flooder})
	}
	return servers
}
