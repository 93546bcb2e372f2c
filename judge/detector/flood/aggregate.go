package flood

import (
	"net/netip"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/detector"
)

// habit is what is ordinary at one host of ours: its latest conversations,
// and a mark for each network whose machines completed one.
type habit struct {
	conns [32]ordinary
	n     int
	met   [64]uint64 // a Bloom filter with one hash
	hot   testudo.Time
}

// ordinary is one conversation that somebody had with the host.
type ordinary struct {
	src              netip.Addr
	srcPort, dstPort uint16
	size             uint16 // mean of what came, bytes of IP
	proto            testudo.Proto
}

// cooling is how long after a surge conversations are not taken for ordinary.
const cooling = testudo.Time(60e9)

// served learns from a conversation with a host of ours, and looks at it as a
// part of a flood of slow requests.
func (m *memory) served(c *testudo.Conn, out *detector.Out) {
	if !c.About.RespLocal || c.RespPkts == 0 || c.OrigPkts == 0 {
		return
	}
	m.waiting(c, out)
	if c.ID.Proto == testudo.TCP && (c.State == "REJ" || c.OrigPkts < 3 || c.RespPkts < 2) || c.Interim {
		return
	}
	h, _ := m.habits.Put(c.ID.Resp.Addr())
	if h.hot != 0 && c.Time.Add(c.Duration) < h.hot+cooling {
		return
	}
	h.conns[h.n%len(h.conns)] = ordinary{
		src: c.ID.Orig.Addr(), srcPort: c.ID.Orig.Port(), dstPort: c.ID.Resp.Port(), proto: c.ID.Proto,
		size: uint16(min(0xffff, c.OrigIPBytes/c.OrigPkts)),
	}
	h.n++
	at := networkKey(c.ID.Orig.Addr())
	h.met[at>>6%64] |= 1 << (at & 63)
}

func (h *habit) known() []ordinary {
	if h == nil {
		return nil
	}
	return h.conns[:min(h.n, len(h.conns))]
}

// knows tells whether somebody of the address's network was served here.
func (h *habit) knows(a netip.Addr) bool {
	if h == nil {
		return false
	}
	at := networkKey(a)
	return h.met[at>>6%64]>>(at&63)&1 != 0
}

// aggregate finds the narrowest class that holds most of the sample and least
// of what is ordinary: conditions that hold for most are added one by one,
// each time the one that spares most of the ordinary, then that loses least.
func aggregate(target netip.Prefix, f form, d *detail, ordinaries []ordinary) testudo.Aggregate {
	best := testudo.Aggregate{Target: target, Removed: 1, Known: len(ordinaries)}
	if len(ordinaries) > 0 {
		best.Harm = 1
	}
	left := candidates(f, d)
	for len(left) > 0 {
		pick, picked := -1, best
		for i, narrow := range left {
			next := best
			narrow(&next)
			measure(&next, d, ordinaries)
			if next.Removed < 0.9*best.Removed || next.Removed < 0.8 || next.Harm > best.Harm {
				continue
			}
			if pick < 0 || next.Harm < picked.Harm || next.Harm == picked.Harm && next.Removed > picked.Removed {
				pick, picked = i, next
			}
		}
		if pick < 0 {
			break
		}
		best = picked
		left = append(left[:pick], left[pick+1:]...)
	}
	return best
}

// candidates are the conditions that most of the sample meets, those that cut
// least besides first.
func candidates(f form, d *detail) (all []func(*testudo.Aggregate)) {
	add := func(narrow func(*testudo.Aggregate)) { all = append(all, narrow) }
	proto, _, _ := most(d, func(p *packet) testudo.Proto { return p.proto })
	add(func(a *testudo.Aggregate) { a.Proto = proto })
	switch f {
	case fragmentForm:
		add(func(a *testudo.Aggregate) { a.Fragment = true })
	case strayForm, answerForm:
		add(func(a *testudo.Aggregate) { a.Stray = true })
	case synForm:
		add(func(a *testudo.Aggregate) { a.SYN = true })
	}
	if proto == testudo.TCP || proto == testudo.UDP {
		if port, share, _ := most(d, func(p *packet) uint16 { return p.srcPort }); share >= 0.8 && port != 0 {
			add(func(a *testudo.Aggregate) { a.SourcePort = port })
		}
		if port, share, _ := most(d, func(p *packet) uint16 { return p.dstPort }); share >= 0.8 && port != 0 {
			add(func(a *testudo.Aggregate) { a.TargetPort = port })
		}
	}
	var nets []netip.Prefix
	held := 0.0
	for _, p := range d.prefixes(8) {
		nets, held = append(nets, p.net), held+p.share
		if held >= 0.9 {
			add(func(a *testudo.Aggregate) { a.Sources = nets })
			break
		}
	}
	for _, n := range [...]uint16{1024, 512, 256, 128} {
		if d.share(func(p *packet) bool { return p.size > n }) >= 0.8 {
			add(func(a *testudo.Aggregate) { a.Above = int(n) })
			break
		}
	}
	for _, n := range [...]uint16{64, 128, 256} {
		if f != synForm && d.share(func(p *packet) bool { return p.size < n }) >= 0.8 {
			add(func(a *testudo.Aggregate) { a.Below = int(n) })
			break
		}
	}
	return all
}

// measure sets what a holds of the attack and of what is ordinary.
func measure(a *testudo.Aggregate, d *detail, ordinaries []ordinary) {
	a.Removed = d.share(func(p *packet) bool {
		return holds(a, p.proto, p.srcPort, p.dstPort, p.size, p.src)
	})
	cut := 0
	for i := range ordinaries {
		o := &ordinaries[i]
		// Strays and fragments are no part of a conversation.
		if !a.Stray && !a.Fragment && holds(a, o.proto, o.srcPort, o.dstPort, o.size, o.src) {
			cut++
		}
	}
	a.Harm = float64(cut) / float64(max(1, len(ordinaries)))
}

func holds(a *testudo.Aggregate, proto testudo.Proto, srcPort, dstPort, size uint16, src netip.Addr) bool {
	if a.Proto != 0 && a.Proto != proto || a.SourcePort != 0 && a.SourcePort != srcPort ||
		a.TargetPort != 0 && a.TargetPort != dstPort ||
		a.Above > 0 && int(size) <= a.Above || a.Below > 0 && int(size) >= a.Below {
		return false
	}
	if len(a.Sources) == 0 {
		return true
	}
	for _, p := range a.Sources {
		if p.Contains(src) {
			return true
		}
	}
	return false
}
