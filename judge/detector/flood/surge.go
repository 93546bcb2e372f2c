package flood

import (
	"net/netip"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/detector"
)

// form is what packets outside of conversations look like.
type form uint8

const (
	synForm     form = iota // connection requests
	answerForm              // TCP answers to a host that asked nothing
	strayForm               // other segments of no conversation: ACK, FIN, PSH, none
	reflectForm             // UDP from service ports
	datagramForm
	icmpForm
	errorForm // ICMP errors about what was never sent
	fragmentForm
	otherForm
)

// place is where packets of one form go: a host of a network, or, with no
// host, the network as a whole.
type place struct {
	net  netip.Prefix
	host netip.Addr
	form form
}

const (
	// step is sense's: a tick of 2^28 ns.
	stepShift = 28
	// window is how many steps are judged together, a little more than a
	// second; memorySteps how many are kept, to find the onset.
	window, memorySteps = 4, 8
	// scarce is what is owed in a window before a host is looked at, wide for
	// a network.
	scarce, wide = 200.0, 800.0
	// lull is how long nothing much must come before the next flood of a place
	// is another one; refresh how often one that goes on is told anew.
	lull, refresh = 5 * time.Minute, time.Minute
	// learning is how long conversations may turn up whose beginning lies
	// before the input's.
	learning = 4 * time.Second
)

// surge is what came to a place.
type surge struct {
	steps       [memorySteps]stepCount
	first, last testudo.Time // of the flood, once there is one
	onset       testudo.Time
	decided     testudo.Time // when it was first claimed
	told        testudo.Time // and last
	owed, paid  float64      // since the onset
	bytes       float64
	peak        float64 // most owed in a window
	peakBytes   float64
	peakPaid    float64
	within, out float64 // of owed: from ours to ours, from ours to others
	claimed     float64
	hits        int // samples in the load at hand
}

type stepCount struct {
	step               int64
	began              testudo.Time
	owed, paid, weight float64
}

// load takes in one load: each sample stands for an even share of it.
func (m *memory) load(l *testudo.Load, out *detector.Out) {
	if len(l.Sample) == 0 || l.Target.Addr().IsMulticast() || l.Target.Addr() == netip.IPv4Unspecified() {
		return
	}
	share := float64(l.Owed()+l.Paid()) / float64(len(l.Sample))
	end := l.Time.Add(l.Span)
	for i := range l.Sample {
		x := &l.Sample[i]
		if x.Dst.Addr() == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
			continue
		}
		forms, n := formsOf(x)
		for _, f := range forms[:n] {
			if (f == strayForm || f == answerForm) && l.About.Known < learning {
				continue
			}
			for _, p := range [...]place{{l.Target, x.Dst.Addr(), f}, {l.Target, netip.Addr{}, f}} {
				m.count(p, l, x, share, end, out)
			}
		}
	}
	for i := range l.Sample {
		x := &l.Sample[i]
		if x.Kind.Paid() {
			continue
		}
		forms, _ := formsOf(x)
		for _, p := range [...]place{{l.Target, x.Dst.Addr(), forms[0]}, {l.Target, netip.Addr{}, forms[0]}} {
			if s := m.surges.Peek(p); s != nil && s.hits > 0 {
				m.weigh(p, s, l, end, out)
				s.hits = 0
			}
		}
	}
}

// formsOf tells what a packet counts for; one that pays may pay for several.
func formsOf(x *testudo.LoadPacket) (forms [3]form, n int) {
	switch x.Kind {
	case testudo.LoadSYN, testudo.LoadCompleted:
		forms[0] = synForm
	case testudo.LoadAnswer:
		forms[0] = answerForm
	case testudo.LoadStray:
		forms[0] = strayForm
	case testudo.LoadContinued:
		return [3]form{answerForm, strayForm}, 2
	case testudo.LoadDatagram:
		forms[0] = datagramForm
		if reflected(x.Src.Port(), x.Dst.Port()) {
			forms[0] = reflectForm
		}
	case testudo.LoadReplied:
		switch x.Proto {
		case testudo.UDP:
			return [3]form{datagramForm, reflectForm}, 2
		case testudo.ICMP, testudo.ICMPv6:
			forms[0] = icmpForm
		default:
			forms[0] = otherForm
		}
	case testudo.LoadICMP:
		forms[0] = icmpForm
	case testudo.LoadError:
		forms[0] = errorForm
	case testudo.LoadFragment, testudo.LoadReassembled:
		forms[0] = fragmentForm
	default:
		forms[0] = otherForm
	}
	return forms, 1
}

// count adds one sample, which stands for so many packets.
func (m *memory) count(p place, l *testudo.Load, x *testudo.LoadPacket, share float64, end testudo.Time, out *detector.Out) {
	s, _ := m.surges.Put(p)
	if s.last != 0 && end.Sub(s.last) > lull {
		if s.claimed > 0 {
			m.tellSurge(p, s, out)
		}
		*s = surge{}
		m.details.Delete(p)
		m.surges.Keep(p, false)
		s = m.surges.Peek(p)
	}
	now := (int64(end) - 1) >> stepShift
	c := &s.steps[uint64(now)%memorySteps]
	if c.step != now {
		*c = stepCount{step: now, began: l.Time}
	}
	if c.began = min(c.began, l.Time); x.Kind.Paid() {
		weight := share
		if x.Kind == testudo.LoadReassembled {
			weight *= 8 // a datagram may come in many pieces
		}
		c.paid += weight
		s.paid += weight
		return
	}
	c.owed += share
	s.owed += share
	s.bytes += share * float64(x.Size)
	c.weight += share * float64(x.Size)
	s.hits++
	switch {
	case x.SrcLocal && l.About.RespLocal:
		s.within += share
	case x.SrcLocal:
		s.out += share
	}
	if d := m.details.Get(p); d != nil {
		d.add(x, share)
	}
}

// weigh looks at the last steps of a place that packets just came to.
func (m *memory) weigh(p place, s *surge, l *testudo.Load, end testudo.Time, out *detector.Out) {
	now := (int64(end) - 1) >> stepShift
	var owed, paid, bytes float64
	for _, c := range s.steps {
		if c.step > now-window && c.step <= now {
			owed, paid, bytes = owed+c.owed, paid+c.paid, bytes+c.weight
		}
	}
	lonely := owed - paid
	least := scarce
	if !p.host.IsValid() {
		least = wide
	}
	if lonely < least/8 {
		return
	}
	d, isNew := m.details.Put(p)
	if isNew {
		for i := range l.Sample {
			x := &l.Sample[i]
			if forms, _ := formsOf(x); forms[0] == p.form && !x.Kind.Paid() && (!p.host.IsValid() || x.Dst.Addr() == p.host) {
				d.add(x, 1)
			}
		}
	}
	if 2*s.hits > len(l.Sample) {
		d.merge(&l.Sources)
	}
	s.last = end
	if lonely > s.peak {
		s.peak, s.peakPaid, s.peakBytes = lonely, paid, bytes
	}
	if lonely < least {
		return
	}
	m.surges.Keep(p, true)
	m.details.Keep(p, true)
	if h := m.habits.Peek(p.host); h != nil {
		h.hot = end
	}
	if s.claimed > 0 && s.peak < 2*s.claimed && end.Sub(s.told) < refresh {
		return
	}
	if s.claimed == 0 {
		s.onset = s.begin(now)
		s.first = s.onset
	}
	if m.tellSurge(p, s, out) {
		s.claimed, s.told = s.peak, end
	}
}

// begin returns when the packets of now began to come: the earliest of the
// steps before that hold a tenth of the fullest.
func (s *surge) begin(now int64) testudo.Time {
	fullest := 0.0
	for _, c := range s.steps {
		if c.step > now-memorySteps {
			fullest = max(fullest, c.owed)
		}
	}
	at := s.steps[uint64(now)%memorySteps].began
	for n := now; n > now-memorySteps; n-- {
		c := &s.steps[uint64(n)%memorySteps]
		if c.step != n || c.owed < fullest/10 {
			break
		}
		at = min(at, c.began)
	}
	return at
}

// tellSurge claims what a place suffers, if it is likely, and tells whether
// it did.
func (m *memory) tellSurge(p place, s *surge, out *detector.Out) bool {
	d := m.details.Peek(p)
	if d == nil || !m.itself(p, s) {
		return false
	}
	sources := max(1, min(d.count(), int(s.owed)))
	c := surgeClaim{place: p, surge: s, detail: d, count: sources, habit: m.habits.Peek(p.host)}
	if s.decided == 0 {
		s.decided = out.Now
		if c.score() < unlikely {
			s.decided = 0
			return false
		}
	}
	if claim := c.claim(); claim.Score() >= unlikely {
		out.Claim(claim)
		return true
	}
	return false
}

// itself tells whether the place is what is attacked: a network is, where no
// one host gets most of it.
func (m *memory) itself(p place, s *surge) bool {
	if p.host.IsValid() {
		return true
	}
	d := m.details.Peek(p)
	_, most, hosts := d.targets()
	return most < 0.5 && hosts >= 8
}
