// Package channel finds a control channel, or what it is built with, by its
// shape within minutes: a session between one machine of ours and one peer
// that is driven by a program which pretends to be a browser, speaks a
// protocol of its own on an odd port, hides behind a certificate it made
// itself, shows a shell, or hands over a program under a false name. No such
// oddity decides alone; the evidence of all records of one pair is joined,
// one capped addend a family. It also tells attacks on web applications by
// their syntax. Read evidence.go for what is weighed and why.
package channel

import (
	"net/netip"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/detector"
)

// What the scores rest on. Weights are log-likelihood ratios, estimated for
// networks with millions of pairs a day.
const (
	// rare is the prior of a control channel among pairs.
	rare = -5.0
	// rareProgram is the prior that a program which came over plain text was
	// sent by an adversary; updates and tools come that way all day.
	rareProgram = -3.5
	// rareAttack is the prior of an attack among web requests of one client.
	rareAttack = -4.5
	// enough is the least score of a claim that asks a person, and hint that
	// of an attack on a web application, which is worth a line when others
	// meet it.
	enough = 0.2
	hint   = -1.5
	// told is how far a score must have moved before it is claimed again.
	told = 0.7
	// pause is the silence that makes a request one of its own rather than
	// a part of a page that is loading.
	pause = time.Second
	// polls is how many requests or pulses make a rhythm.
	polls = 5
	// crowd is how many nameless peers on odd ports make a host a peer among
	// peers rather than a victim.
	crowd = 12
	// gathering is how long it may take until a crowd is seen as one.
	gathering = time.Minute
	// settled is how long an input must be watched before names that were
	// resolved earlier are no likely reason why none was seen.
	settled = time.Hour
)

// Detector returns the detector. Its memory hangs on our host, so that what
// one of its peers is like can speak for another.
func Detector() detector.Detector {
	return detector.Detector{
		Name:  "channel",
		Needs: []string{"conn", "http", "ssl"},
		Wants: []testudo.Evidence{testudo.Bursts, testudo.Turns, testudo.Bodies, testudo.Headers, testudo.FirstBytes, testudo.Keystrokes},
		Route: func(r testudo.Record) (uint64, bool) {
			m := r.Base()
			if !m.About.Host.IsValid() || !m.About.Peer.IsValid() || m.About.Peer.IsMulticast() {
				return 0, false
			}
			switch r := r.(type) {
			case *testudo.HTTP, *testudo.TLS, *testudo.Opaque, *testudo.SSH, *testudo.FTP:
			case *testudo.DNS:
				if !r.Answered || len(r.Addresses) == 0 || !m.About.Outbound {
					return 0, false
				}
			case *testudo.Conn:
				if !telling(r) {
					return 0, false
				}
			default:
				return 0, false
			}
			return detector.AddrKey(m.About.Host), true
		},
		New: func(entries int) detector.Memory {
			return &memory{
				pairs: detector.NewTableBy[ends, pair](entries, ends.sum),
				kin:   detector.NewTable[netip.Addr, kin](max(1, entries/8)),
			}
		},
	}
}

// telling leaves out conns that never became a conversation.
func telling(c *testudo.Conn) bool {
	return (c.ID.Proto == testudo.TCP || c.ID.Proto == testudo.UDP) && c.OrigBytes+c.RespBytes > 0 && c.RespPkts > 0
}

// ends are the two machines of a pair, ours first; where both are ours, the
// one that began.
type ends struct{ host, peer netip.Addr }

func (k ends) sum(h detector.Hash) detector.Hash {
	return h.Addr(k.host).Addr(k.peer)
}

type memory struct {
	pairs *detector.Table[ends, pair]
	kin   *detector.Table[netip.Addr, kin]
}

// kin are the peers of one host that hide in the same way: a few of them, as
// hashes. In a crowd of them the host is a peer among peers.
type kin struct {
	since testudo.Time
	peers [4]uint64
	count int
	crowd int // peers without a name on ports that are nobody's
	// How many peers outside the host had, of how many a name was seen, and
	// whether it was ever seen to resolve one.
	met, named int
	resolver   bool
}

// share returns of how many of the host's other peers the names were seen,
// nearly: 0 where it was never seen to resolve any.
func (n *kin) share() float64 {
	if !n.resolver {
		return 0
	}
	return float64(n.named) / float64(max(n.met, n.named+1))
}

// begin notes when the first of them was met.
func (n *kin) begin(at testudo.Time) {
	if n.since == 0 {
		n.since = at
	}
}

// add remembers a peer and returns how many others there are.
func (n *kin) add(peer netip.Addr) int {
	h := detector.AddrKey(peer)
	for i := range n.count {
		if n.peers[i] == h {
			return n.count - 1
		}
	}
	if n.count < len(n.peers) {
		n.peers[n.count] = h
		n.count++
	}
	return n.count - 1
}

// Observe implements detector.Memory.
func (m *memory) Observe(r testudo.Record, out *detector.Out) {
	b := r.Base()
	if _, ok := r.(*testudo.DNS); ok {
		n, _ := m.kin.Put(b.About.Host)
		n.resolver = true
		return
	}
	k := ends{b.About.Host, b.About.Peer}
	p, isNew := m.pairs.Put(k)
	if isNew {
		p.first, p.last, p.began = b.Time, b.Time, b.About.Known
	}
	nameless := p.name == ""
	p.meet(b)
	if !p.bothOurs {
		m.count(k.host, p, b, isNew, nameless)
	}
	switch r := r.(type) {
	case *testudo.HTTP:
		p.web.take(r)
		p.program(r)
		p.attack.take(r)
	case *testudo.TLS:
		p.tls.take(r)
	case *testudo.Opaque:
		p.wire.take(r)
	case *testudo.SSH:
		p.wire.ssh(r)
	case *testudo.FTP:
		p.file(r)
	case *testudo.Conn:
		p.wire.conn(r)
		p.last = max(p.last, r.Time.Add(r.Duration))
	}
	if _, ok := r.(*testudo.Conn); !ok {
		p.addUID(b)
	}
	if m.judge(k, p, b.Time, out) {
		m.pairs.Keep(k, true)
	}
}

// count keeps what the peers of a host are like.
func (m *memory) count(host netip.Addr, p *pair, b *testudo.Meta, isNew, nameless bool) {
	odd := isNew && p.name == "" && meaning(b.ID.Resp.Port()) == ""
	if !isNew && (p.name == "" || !nameless) {
		return
	}
	n, _ := m.kin.Put(host)
	if isNew {
		n.met++
	}
	if nameless && p.name != "" {
		n.named++
	}
	if odd {
		n.begin(b.Time)
		n.crowd++
	}
}

// judge claims what has become likely, or likelier than when it was claimed.
// Kin count once there was time to see whether they are a crowd.
func (m *memory) judge(k ends, p *pair, now testudo.Time, out *detector.Out) (claimed bool) {
	if p.hides() {
		n, _ := m.kin.Put(k.host)
		n.begin(now)
		if others := n.add(k.peer); now.Sub(n.since) >= gathering {
			p.others = others
		}
	}
	if n := m.kin.Peek(k.host); n != nil {
		p.crowd, p.resolves = n.crowd, n.share()
	}
	for what := range stories {
		s := scale{}
		p.weigh(what, &s)
		score := s.score()
		if score < threshold(what) || p.told[what] && score < p.claimed[what]+told {
			continue
		}
		p.claimed[what], p.told[what] = score, true
		claimed = true
		out.Claim(p.claim(k, what))
	}
	return claimed
}

// threshold is the least score at which a story is told.
func threshold(what int) float64 {
	if what == assault {
		return hint
	}
	return enough
}

// Tick implements detector.Memory: at the end the last numbers are told.
func (m *memory) Tick(now testudo.Time, last bool, out *detector.Out) {
	if !last {
		return
	}
	for k, p := range m.pairs.All {
		m.judge(k, p, now.Add(gathering), out)
		for what := range stories {
			if p.told[what] {
				out.Claim(p.claim(k, what))
			}
		}
	}
}

// Shed implements detector.Memory.
func (m *memory) Shed() int { return m.pairs.Shed() + m.kin.Shed() }
