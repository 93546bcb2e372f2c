package engine

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/testudo-shield/testudo/sense/packet"
)

// chooseLocal returns local, and for IPv4 and IPv6 each, where none of its
// addresses occurs in the packets, what guessLocal adds: a private address of
// one family does not tell whose the other one's are.
func chooseLocal(local []netip.Prefix, held []*epoch) (chosen []netip.Prefix, guessed bool) {
	chosen = local
	for _, v6 := range []bool{false, true} {
		if p := guessLocal(local, held, v6); p.IsValid() {
			chosen, guessed = append(slices.Clone(chosen), p), true
		}
	}
	return chosen, guessed
}

// guessLocal tells by who answers whom: the host that spoke both ways with
// the most others is ours (where nobody answers, the one with the most
// partners; among equals the one that spoke first), with its neighbourhood.
// Who only knocks on doors is not the one who lives here. It returns an
// invalid prefix where an address of local occurs, or nothing of the family.
func guessLocal(local []netip.Prefix, held []*epoch, v6 bool) netip.Prefix {
	type tally struct {
		addr     netip.Addr
		order    int
		partners map[netip.Addr]uint8 // sent, or'ed with received
		mutual   int                  // partners with both
	}
	const (
		enough         = 4096 // hosts, and partners of each, looked at
		sent, received = 1, 2
	)
	hosts := map[netip.Addr]*tally{}
	meet := func(a, b netip.Addr, way uint8) {
		t := hosts[a]
		if t == nil {
			if len(hosts) >= enough {
				return
			}
			t = &tally{addr: a, order: len(hosts), partners: map[netip.Addr]uint8{}}
			hosts[a] = t
		}
		was, known := t.partners[b]
		if was == sent+received || !known && len(t.partners) >= enough {
			return
		}
		if t.partners[b] = was | way; was|way == sent+received {
			t.mutual++
		}
	}
	for _, ep := range held {
		for i := range ep.packets {
			p := &ep.packets[i]
			if p.Kind != packet.KindIP {
				continue
			}
			src, dst := p.Src.Addr(), p.Dst.Addr()
			if src.Is6() != v6 {
				continue
			}
			if ours(local, src) || ours(local, dst) {
				return netip.Prefix{}
			}
			if src.IsLinkLocalUnicast() || dst.IsLinkLocalUnicast() || dst.IsMulticast() || src.IsUnspecified() || isBroadcast(dst) {
				continue
			}
			meet(src, dst, sent)
			meet(dst, src, received)
		}
	}
	if len(hosts) == 0 {
		return netip.Prefix{}
	}
	all := make([]*tally, 0, len(hosts))
	for _, t := range hosts {
		all = append(all, t)
	}
	hub := slices.MinFunc(all, func(x, y *tally) int {
		return cmp.Or(cmp.Compare(y.mutual, x.mutual), cmp.Compare(len(y.partners), len(x.partners)), cmp.Compare(x.order, y.order))
	})
	bits := 24
	if hub.addr.Is6() {
		bits = 64
	}
	p, _ := hub.addr.Prefix(bits)
	return p
}

func within(local []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(local, func(p netip.Prefix) bool { return p.Contains(a) })
}

// ours leaves out link-local addresses, which every machine has: they do not
// tell whose network it is.
func ours(local []netip.Prefix, a netip.Addr) bool {
	return !a.IsLinkLocalUnicast() && !a.IsMulticast() && within(local, a)
}

func isBroadcast(a netip.Addr) bool { return a.Is4() && a.As4()[3] == 255 && a.As4()[0] == 255 }
