package flow

import (
	"encoding/binary"
	"math/bits"
	"net/netip"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/packet"
)

const (
	// loadWays and loadSets are the places for networks under load: one may
	// lie in any of the ways of its set.
	loadWays, loadSets = 2, 32
	// loadFloor is what must be owed before a network's load is told, and
	// loadSteps how many steps it may take to come together.
	loadFloor, loadSteps = 4, 4
	// loadsTold bounds the records of a step.
	loadsTold   = 8
	loadSamples = 16
)

// meter counts what comes outside of conversations, by the network it goes
// to. A step is one tick of the wheel.
type meter struct {
	places [loadSets * loadWays]burden
	busy   uint64          // a bit for each place in use
	spare  []*testudo.Load `snapshot:"-"`
}

// burden is one network's count. It is cleared when a network takes it.
type burden struct {
	net        uint64 // the upper half of an IPv6 address, or an IPv4 address without its last octet
	began      testudo.Time
	step       int64 // in which it was taken
	owed, paid uint32
	seen       uint32 // offered to the sample
	bytes      int64
	count      [testudo.LoadKinds]uint32
	sources    [256]byte
	sample     [loadSamples]loadPacket
}

type loadPacket struct {
	src, dst         packet.IP
	srcPort, dstPort uint16
	size             uint16
	kind             testudo.LoadKind
	proto            testudo.Proto
	ttl, flags       uint8
}

// weigh counts a packet of a conv that is owed an answer, after its protocol
// has seen it, and tells by the conv's flag when nothing is owed any longer.
func (s *Shard) weigh(c *conn, p *packet.Packet, d int) {
	n := c.side[0].pkts + c.side[1].pkts
	if c.key.proto == testudo.TCP {
		s.weighTCP(c, p, d, n)
		return
	}
	if n > 1 && c.flags&isAnswered != 0 {
		c.flags &^= isOwing
		s.load(p, testudo.LoadReplied, true)
		return
	}
	switch {
	case c.key.proto == testudo.UDP:
		s.load(p, testudo.LoadDatagram, false)
	case c.key.proto == testudo.ICMP && (p.ICMPType == 3 || p.ICMPType == 4 || p.ICMPType == 11 || p.ICMPType == 12),
		c.key.proto == testudo.ICMPv6 && p.ICMPType < 128:
		s.load(p, testudo.LoadError, false)
	case c.key.proto == testudo.ICMP, c.key.proto == testudo.ICMPv6:
		s.load(p, testudo.LoadICMP, false)
	default:
		s.load(p, testudo.LoadOther, false)
	}
	if p.Joined {
		s.load(p, testudo.LoadReassembled, false)
	}
}

// retries is how often an ordinary client asks again.
const retries = 8

func (s *Shard) weighTCP(c *conn, p *packet.Packet, d int, n int64) {
	const which = packet.SYN | packet.ACK | packet.RST
	asked := c.flags&(isMidStream|isFlipped) == 0
	switch fl := p.Flags & which; {
	case n == 1 && asked:
		s.load(p, testudo.LoadSYN, false)
	case n == 1 && fl&packet.RST != 0, n == 1 && fl&packet.SYN != 0:
		s.load(p, testudo.LoadAnswer, false)
	case n == 1:
		s.load(p, testudo.LoadStray, false)
	case asked && fl == packet.SYN && n > retries && c.flags&isAnswered == 0:
		s.load(p, testudo.LoadSYN, false)
	case fl&packet.RST != 0:
		c.flags &^= isOwing
	case fl&packet.SYN != 0:
	case asked && d == 0:
		c.flags &^= isOwing
		s.load(p, testudo.LoadCompleted, false)
	case !asked:
		c.flags &^= isOwing
		first := 0
		if c.flags&isFlipped != 0 {
			first = 1
		}
		s.load(p, testudo.LoadContinued, d != first)
	}
}

// fragment counts a piece of a datagram that is not whole.
func (s *Shard) fragment(p *packet.Packet) { s.load(p, testudo.LoadFragment, false) }

// load counts a packet for the network it goes to, or for the one it came
// from where it pays what that was owed.
func (s *Shard) load(p *packet.Packet, kind testudo.LoadKind, back bool) {
	src, dst, sp, dp := &p.Src, &p.Dst, p.SrcPort, p.DstPort
	if back {
		src, dst, sp, dp = dst, src, dp, sp
	}
	net := netOf(dst)
	m := &s.meter
	q := m.find(net)
	if q == nil {
		if kind.Paid() {
			return
		}
		if q = s.claimPlace(net); q == nil {
			return
		}
	}
	q.count[kind]++
	if kind.Paid() {
		q.paid++
	} else {
		q.owed++
		q.bytes += int64(p.IPLen)
		h := mix(binary.BigEndian.Uint64(src[:8]), binary.BigEndian.Uint64(src[8:]))
		rank := uint8(bits.LeadingZeros64(h<<8|1<<7)) + 1
		if r := &q.sources[h>>56]; rank > *r {
			*r = rank
		}
	}
	at := uint64(q.seen)
	q.seen++
	if at >= loadSamples {
		// The n-th takes the place of one of the sample, sixteen times in n.
		if at, _ = bits.Mul64(mix(at, net), at+1); at >= loadSamples {
			return
		}
	}
	q.sample[at] = loadPacket{
		src: *src, dst: *dst, srcPort: sp, dstPort: dp, size: uint16(min(p.IPLen, 0xffff)),
		kind: kind, proto: p.Proto, ttl: p.TTL, flags: p.Flags,
	}
}

func netOf(a *packet.IP) uint64 {
	if hi := binary.BigEndian.Uint64(a[:8]); hi != 0 {
		return hi
	}
	return binary.BigEndian.Uint64(a[8:]) &^ 0xff
}

func setOf(net uint64) uint64 { return (net * 0x9e3779b97f4a7c15) >> 59 * loadWays }

func (m *meter) find(net uint64) *burden {
	at := setOf(net)
	for i := at; i < at+loadWays; i++ {
		if q := &m.places[i]; q.net == net && m.busy>>i&1 != 0 {
			return q
		}
	}
	return nil
}

// claimPlace makes a place for a network. Where the set is full the one that
// is owed least gives way, unless it is owed enough to be told: then the
// packet goes uncounted.
func (s *Shard) claimPlace(net uint64) *burden {
	m := &s.meter
	at := setOf(net)
	least := at
	for i := at; i < at+loadWays; i++ {
		if m.busy>>i&1 == 0 {
			least = i
			break
		}
		if m.places[i].debt() < m.places[least].debt() {
			least = i
		}
	}
	q := &m.places[least]
	if m.busy>>least&1 != 0 {
		s.stats.LoadsShed++
		if q.debt() >= loadFloor {
			return nil
		}
	}
	m.busy |= 1 << least
	q.net, q.began, q.step = net, s.now, s.wheel.tick
	q.owed, q.paid, q.seen, q.bytes = 0, 0, 0, 0
	q.count, q.sources = [testudo.LoadKinds]uint32{}, [256]byte{}
	return q
}

func (q *burden) debt() int { return int(q.owed) - int(q.paid) }

// tellLoads ends, at the given time, the step before tick to: what is owed enough is told, the
// most first, and what came to nothing in time is forgotten.
func (s *Shard) tellLoads(end testudo.Time, to int64) {
	m := &s.meter
	if m.busy == 0 {
		return
	}
	for told := 0; ; told++ {
		most := -1
		for left := m.busy; left != 0; left &= left - 1 {
			i := bits.TrailingZeros64(left)
			if q := &m.places[i]; q.debt() >= loadFloor && (most < 0 || q.debt() > m.places[most].debt()) {
				most = i
			}
		}
		if most < 0 {
			break
		}
		m.busy &^= 1 << most
		if told >= loadsTold {
			s.stats.LoadsShed += int64(m.places[most].owed)
			continue
		}
		s.emit(end, s.loadOf(&m.places[most], end))
	}
	for left := m.busy; left != 0; left &= left - 1 {
		if i := bits.TrailingZeros64(left); to-m.places[i].step >= loadSteps {
			m.busy &^= 1 << i
		}
	}
}

func (s *Shard) loadOf(q *burden, end testudo.Time) *testudo.Load {
	l := s.meter.record()
	l.Time, l.Span = q.began, end.Sub(q.began)
	for k, n := range q.count {
		l.Count[k] = int64(n)
	}
	l.Bytes, l.Sources = q.bytes, q.sources
	for i := range q.sample[:min(int(q.seen), loadSamples)] {
		x := &q.sample[i]
		l.Sample = append(l.Sample, testudo.LoadPacket{
			Kind: x.kind, Proto: x.proto, TTL: x.ttl, Flags: x.flags, Size: x.size,
			Src: netip.AddrPortFrom(x.src.Addr(), x.srcPort), Dst: netip.AddrPortFrom(x.dst.Addr(), x.dstPort),
		})
	}
	dst := q.sample[0].dst.Addr()
	width := 64
	if dst.Is4() {
		width = 24
	}
	l.Target, _ = dst.Prefix(width)
	return l
}

// tidy clears the places that are not in use, so that saving them costs little.
func (m *meter) tidy() {
	for i := range m.places {
		if m.busy>>i&1 == 0 {
			m.places[i] = burden{}
		}
	}
}

// sound tells whether m may have been filled by the packets of a shard.
func (m *meter) sound() bool {
	for i := range m.places {
		for k := range m.places[i].sample {
			if m.places[i].sample[k].kind >= testudo.LoadKinds {
				return false
			}
		}
	}
	return true
}

// record returns an empty record; its sample has room from an earlier use.
func (m *meter) record() *testudo.Load {
	n := len(m.spare)
	if n == 0 {
		return &testudo.Load{Sample: make([]testudo.LoadPacket, 0, loadSamples)}
	}
	l := m.spare[n-1]
	m.spare = m.spare[:n-1]
	*l = testudo.Load{Sample: l.Sample[:0]}
	return l
}

// back takes a record that nobody reads any longer.
func (m *meter) back(l *testudo.Load) {
	if len(m.spare) < 4*loadsTold {
		m.spare = append(m.spare, l)
	}
}
