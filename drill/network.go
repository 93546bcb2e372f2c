package drill

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
)

// node is one end of conversations: a machine as the sensor at the core
// sees it.
type node struct {
	name   string
	addr   uint32
	mac    [6]byte
	ttl    uint8 // as it arrives at the sensor
	lat    int64 // one way from the sensor
	local  bool
	stamps bool   // TCP timestamps
	window uint16 // in its SYN
	id     uint16 // of its last IP packet
	idStep uint16
	port   uint16 // last ephemeral port
	low    uint16 // first ephemeral port
}

// ephemeral returns the next port for a conversation the node begins.
func (n *node) ephemeral() uint16 {
	n.port += 1 + n.port&3
	if n.port < n.low {
		n.port = n.low + n.port&0x3ff
	}
	return n.port
}

func (n *node) ip() netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], n.addr)
	return netip.AddrFrom4(b)
}

// The sorts of operating systems, as far as they show on the wire.
type system uint8

const (
	windows system = iota
	linux
	gadget // printers, cameras and the like
)

func (n *node) become(r *rand.Rand, s system) {
	switch s {
	case windows:
		n.ttl, n.window, n.idStep, n.low = 128, 0xffff, 1, 49152
	case linux:
		n.ttl, n.window, n.idStep, n.low, n.stamps = 64, 0xfaf0, 7919, 32768, true
	default:
		n.ttl, n.window, n.idStep, n.low = 64, 0x16d0, 1, 1024
		if chance(r, 30) {
			n.ttl = 255
		}
	}
	n.id = uint16(r.Uint32())
	n.port = n.low + uint16(r.IntN(12000))
}

// trade is what a provider's addresses are used for.
type trade uint8

const (
	cdn trade = iota
	cloud
	hosting
	access // subscribers of telephone companies
)

// provider owns a /20 of the Internet of the exercise, which is 198.18.0.0/15
// (RFC 2544), so that no address names a real party.
type provider struct {
	trade trade
	base  uint32
	hops  uint8
	lat   int64
	name  string
}

const internet = 198<<24 | 18<<16

// layProviders gives each of the 32 blocks an owner.
func (w *world) layProviders() {
	r := stream(w.cfg.Seed, "providers")
	trades := []trade{
		cdn, cdn, cdn, cloud, cloud, cloud, cloud, cloud,
		hosting, hosting, hosting, hosting, hosting, hosting, hosting, hosting, hosting, hosting,
	}
	for i, block := range r.Perm(32) {
		p := &provider{base: internet + uint32(block)<<12, trade: access, name: spoken(r, 3)}
		if i < len(trades) {
			p.trade = trades[i]
		}
		p.hops = uint8(between(r, 9, 14))
		if p.trade == access {
			p.hops = uint8(between(r, 8, 19))
		}
		p.lat = between(r, 6, 70) * millisecond
		if p.trade == cdn {
			p.hops, p.lat = uint8(between(r, 6, 8)), between(r, 2, 9)*millisecond
		}
		w.providers = append(w.providers, p)
	}
}

// of returns the providers of a trade.
func (w *world) of(t trade) []*provider {
	var ps []*provider
	for _, p := range w.providers {
		if p.trade == t {
			ps = append(ps, p)
		}
	}
	return ps
}

// rent returns a machine at an unused address of a provider of the trade.
func (w *world) rent(r *rand.Rand, t trade) *node {
	p := pick(r, w.of(t))
	for {
		a := p.base + uint32(between(r, 16, 4080))
		if !w.taken[a] {
			w.taken[a] = true
			return w.abroad(r, a)
		}
	}
}

// abroad returns the machine at an address of the Internet.
func (w *world) abroad(r *rand.Rand, addr uint32) *node {
	n := &node{addr: addr, mac: w.border}
	var p *provider
	for _, q := range w.providers {
		if addr&^0xfff == q.base {
			p = q
		}
	}
	s := linux
	share := 12
	if p.trade == access {
		share = 60
	}
	if chance(r, share) {
		s = windows
	}
	n.become(r, s)
	n.ttl -= p.hops + uint8(r.IntN(3))
	n.lat = p.lat + between(r, 0, p.lat/3)
	return n
}

// visitor returns a subscriber somewhere.
func (w *world) visitor(r *rand.Rand) *node {
	return w.abroad(r, pick(r, w.of(access)).base+uint32(r.IntN(4096)))
}

// stranger returns any address of the Internet, as forged ones are drawn.
func (w *world) stranger(r *rand.Rand) uint32 { return internet + uint32(r.IntN(1<<17)) }

// layNetwork draws the ministry's own networks.
func (w *world) layNetwork() {
	r := stream(w.cfg.Seed, "network")
	if chance(r, 30) {
		w.inside = netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 168, 0, 0}), 16)
	} else {
		w.inside = netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(between(r, 1, 250)), 0, 0}), 16)
	}
	public := [][4]byte{{198, 51, 100, 0}, {203, 0, 113, 0}, {192, 0, 2, 0}}
	w.outside = netip.PrefixFrom(netip.AddrFrom4(pick(r, public)), 24)
	w.ministry = spoken(r, 2) + ".example"
	copy(w.border[:], []byte{0x02, 0x1f, byte(r.IntN(256)), 0, 0, 1})
	nets := r.Perm(60)
	for i := range w.subnet {
		w.subnet[i] = byte(1 + nets[i])
	}
}

// The subnets of the ministry, by what stands in them.
const (
	servers = iota
	deskA
	deskB
	things
	labs
	subnets
)

// settleIn returns a new machine of ours in one of our subnets.
func (w *world) settleIn(r *rand.Rand, subnet int, s system, format string, args ...any) *node {
	base := w.inside.Addr().As4()
	base[2] = w.subnet[subnet]
	for {
		base[3] = byte(between(r, 10, 250))
		a := binary.BigEndian.Uint32(base[:])
		if w.taken[a] {
			continue
		}
		w.taken[a] = true
		n := w.ours(r, a, s)
		n.name = fmt.Sprintf(format, args...)
		return n
	}
}

func (w *world) ours(r *rand.Rand, a uint32, s system) *node {
	n := &node{addr: a, local: true, lat: between(r, 60, 350)}
	n.become(r, s)
	n.mac = [6]byte{0x02, byte(s), byte(a >> 16), byte(a >> 8), byte(a), byte(r.IntN(256))}
	return n
}

// publicHost returns a machine of ours with a public address.
func (w *world) publicHost(r *rand.Rand, name string) *node {
	base := w.outside.Addr().As4()
	for {
		base[3] = byte(between(r, 5, 250))
		a := binary.BigEndian.Uint32(base[:])
		if !w.taken[a] {
			w.taken[a] = true
			n := w.ours(r, a, linux)
			n.name = name
			return n
		}
	}
}
