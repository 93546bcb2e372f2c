package flow

import (
	"encoding/binary"
	"net/netip"
	"time"
	"unsafe"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/packet"
)

// The state of one side of a TCP conn; of other conns only stActive is used.
const (
	stNone uint8 = iota // nothing seen
	stSynSent
	stSynAckSent
	stPartial // packets, but no handshake
	stActive  // established
	stClosed  // sent FIN
	stReset   // sent RST
)

// The flags of a conn.
const (
	isAnswered uint16 = 1 << iota // packets both ways
	origIsLo
	isMidStream
	isFlipped
	noStream // no analyzer wants its bytes any more
	isEnded  // its analyzer was ended
	isArmed  // it is in the wheel
	isUsed   // time passed between its packets since it was queued for eviction
	isOwing  // no conversation yet: its packets are weighed as load
)

// conn is a live conn: four cache lines without a pointer, so that the garbage
// collector never looks into them. A packet without payload needs the first
// three. What not every conn has is elsewhere, by number; 0 is none.
type conn struct {
	key   key
	last  testudo.Time // clock of the last packet
	hash  uint32       `snapshot:"-"`
	talk  uint32       `snapshot:"-"` // of those that carry payload
	flags uint16
	state [2]uint8
	class class
	list  uint8 `snapshot:"-"` // the eviction list it is in
	has   [2]uint8

	side    [2]side
	seen    testudo.Time // the packets' own time, as far as it can be trusted
	elapsed time.Duration
	stream  uint32 `snapshot:"-"` // while somebody wants bytes
	rare    uint32 `snapshot:"-"` // of those that live long, or had trouble

	// The wheel's list and the eviction list; tick is the lower half of the
	// wheel's, enough to tell earlier from later within a turn.
	tick                     uint32 `snapshot:"-"`
	wprev, wnext, prev, next uint32 `snapshot:"-"`
	id                       uint32 `snapshot:"-"`

	report, start testudo.Time
	uid           testudo.UID
	hist          history
	vlan          uint16
	want          int16  `snapshot:"-"` // protocol it was announced for, -1 for none
	service       uint16 `snapshot:"-"` // all services in order, joined by a comma; see services
	weirds        uint8
	tunnel        packet.Tunnel
}

// side is what is counted of one direction. Offsets are payload bytes since
// the first, in 64 bits, so that sequence numbers may wrap.
type side struct {
	pkts, ip int64
	top      int64  // end of the highest payload seen; for others than TCP all payload
	acked    int64  // highest offset the peer acknowledged
	base     uint32 // sequence number of offset 0
	odd      uint32 // where the last packet outside every window ended
}

// What a side has.
const (
	hasBase uint8 = 1 << iota
	hasOdd
	hasFIN
)

// bytes returns the payload of a side by sequence numbers: what was seen, or
// what the peer acknowledged where that is more. One octet more may be a FIN's.
func (c *conn) bytes(d int) int64 {
	x := &c.side[d]
	if x.acked > x.top+1 && c.has[d]&hasFIN == 0 {
		return x.acked
	}
	return x.top
}

// rare is what few conns have.
type rare struct {
	reported    bool // the rest of the line is what the previous report said
	bytes, pkts [2]int64
	elapsed     time.Duration
	times       [2][3]uint16 // of T, W and G
}

// dir returns the index of the side that sent the packet of l.
func (c *conn) dir(l *look) int {
	if l.srcLo == (c.flags&origIsLo != 0) {
		return 0
	}
	return 1
}

// connID builds the conn's name.
func (c *conn) connID() testudo.ConnID {
	lo := netip.AddrPortFrom(addrOf(c.key.lo), uint16(c.key.ports>>16))
	hi := netip.AddrPortFrom(addrOf(c.key.hi), uint16(c.key.ports))
	if c.flags&origIsLo == 0 {
		lo, hi = hi, lo
	}
	return testudo.ConnID{Orig: lo, Resp: hi, Proto: c.key.proto}
}

func addrOf(w [2]uint64) netip.Addr {
	var ip packet.IP
	binary.BigEndian.PutUint64(ip[:8], w[0])
	binary.BigEndian.PutUint64(ip[8:], w[1])
	return ip.Addr()
}

// begin makes the conn that a packet opens; nil when there is no room.
func (s *Shard) begin(p *packet.Packet, l *look) *conn {
	if s.conns.live >= s.cfg.Conns || s.lists[unanswered].n >= max(1, s.cfg.Conns/2) {
		s.evict()
	}
	id := s.conns.get()
	c := s.conns.at(id)
	s.table.insert(l.hash, id)
	s.stats.Conns++
	c.key, c.hash, c.id = l.key, l.hash, id
	c.start, c.seen, c.want = p.Time, p.Time, -1
	c.vlan, c.tunnel = p.VLAN, p.Tunnel
	c.report = p.Clock.Add(s.cfg.FirstReport)
	srcIsOrig := true
	if p.Proto == testudo.TCP {
		srcIsOrig = s.orient(c, p)
	}
	if l.srcLo == srcIsOrig {
		c.flags |= origIsLo
	}
	c.flags |= isOwing
	c.uid = uidOf(c, p.Seq)
	s.push(unanswered, c)
	if s.expects.n > 0 {
		s.expected(c)
	}
	return c
}

// orient tells whether the sender of a TCP conn's first packet began it: not
// if it answers a SYN we missed, nor if it speaks mid-way from a server's port.
func (s *Shard) orient(c *conn, p *packet.Packet) bool {
	switch {
	case p.Flags&packet.SYN == 0:
		c.flags |= isMidStream
		if s.dispatch.server(p.SrcPort) && !s.dispatch.server(p.DstPort) {
			c.flags |= isFlipped
		}
	case p.Flags&packet.ACK != 0:
		c.flags |= isFlipped
	}
	if c.flags&isFlipped != 0 {
		c.hist.add('^')
		return false
	}
	return true
}

func uidOf(c *conn, seq uint32) testudo.UID {
	h := mix(mix(c.key.lo[0], c.key.lo[1]), mix(c.key.hi[0], c.key.hi[1]))
	side := uint64(c.flags & origIsLo)
	h = mix(h, uint64(c.key.ports)|uint64(c.key.proto)<<32|side<<40)
	h = mix(h, mix(uint64(c.start), uint64(seq)))
	return testudo.UID(max(h, 1))
}

// maxStep is the longest pause between two packets of a conn that their own
// times are believed; more is a clock that was set.
const maxStep = testudo.Time(time.Hour)

// count does what every packet of a conn does to it.
func (s *Shard) count(c *conn, p *packet.Packet, d int) {
	if p.Clock > c.last && c.last != 0 {
		c.flags |= isUsed
	}
	c.last = p.Clock
	switch step := p.Time - c.seen; {
	case p.Time > c.seen && step > 0 && step <= maxStep:
		c.elapsed += time.Duration(step)
		c.seen = p.Time
	case p.Time > c.seen, -step > maxStep:
		c.seen = p.Time
	}
	x := &c.side[d]
	x.pkts++
	x.ip += int64(p.IPLen)
	if x.pkts == 1 && c.flags&isAnswered == 0 && c.side[d^1].pkts > 0 {
		c.flags |= isAnswered
		s.unlink(c)
		s.push(answered, c)
	}
	if c.vlan == 0 {
		c.vlan = p.VLAN
	}
}

// remove ends a conn: its analyzer, its report, its place.
func (s *Shard) remove(c *conn) {
	s.endStream(c)
	s.report(c, false)
	s.disarm(c)
	s.unlink(c)
	s.table.remove(c.hash, c.id)
	if c.talk != 0 {
		s.gaps.put(s.talks.at(c.talk).gaps)
		s.talks.put(c.talk)
	}
	s.rares.put(c.rare)
	s.conns.put(c.id)
}

// mayWait is how long a conn waits for its answer before it is the first to
// give way: a full table must not cut every conversation that just begins.
const mayWait = 2 * time.Second

// evict makes room for one conn: the oldest that has waited for an answer too
// long, or while too many wait; else the one of the others that was idle
// longest, as far as a second chance for what was used since it was queued
// can tell.
func (s *Shard) evict() {
	if waits := s.lists[unanswered]; waits.head != 0 {
		c := s.conns.at(waits.head)
		if s.lists[answered].head == 0 || waits.n > s.cfg.Conns/8 || s.now.Sub(c.last) >= mayWait {
			s.stats.ShedUnanswered++
			s.remove(c)
			return
		}
	}
	if s.lists[answered].head == 0 {
		return
	}
	for range 16 {
		c := s.conns.at(s.lists[answered].head)
		if c.flags&isUsed == 0 {
			break
		}
		s.unlink(c)
		s.push(answered, c)
	}
	s.stats.ShedIdle++
	s.remove(s.conns.at(s.lists[answered].head))
}

// list is a doubly linked list of conns by id; 0 is the end.
type list struct {
	head, tail uint32
	n          int
}

// The eviction lists. Unanswered holds conns of which one side only was
// seen, oldest first; answered the others, roughly in order of use.
const (
	unlisted uint8 = iota
	unanswered
	answered
)

func (s *Shard) push(which uint8, c *conn) {
	l := &s.lists[which]
	c.list, c.prev, c.next = which, l.tail, 0
	c.flags &^= isUsed
	if l.tail != 0 {
		s.conns.at(l.tail).next = c.id
	} else {
		l.head = c.id
	}
	l.tail = c.id
	l.n++
}

func (s *Shard) unlink(c *conn) {
	if c.list == unlisted {
		return
	}
	l := &s.lists[c.list]
	l.n--
	if c.prev != 0 {
		s.conns.at(c.prev).next = c.next
	} else {
		l.head = c.next
	}
	if c.next != 0 {
		s.conns.at(c.next).prev = c.prev
	} else {
		l.tail = c.prev
	}
	c.list = unlisted
}

// pool holds things in chunks that never move, by number. Number 0 is never
// used.
type pool[T any] struct {
	chunks []*[256]T
	free   []uint32
	made   uint32
	live   int
}

func (q *pool[T]) at(id uint32) *T { return &q.chunks[id>>8][id&255] }

// size returns the bytes of the chunks.
func (q *pool[T]) size() int {
	var chunk [256]T
	return len(q.chunks)*int(unsafe.Sizeof(chunk)) + 4*cap(q.free)
}

// of is at for a number that may be 0: then it is nil.
func (q *pool[T]) of(id uint32) *T {
	if id == 0 {
		return nil
	}
	return q.at(id)
}

// get returns the number of one that is zero.
func (q *pool[T]) get() uint32 {
	q.live++
	if n := len(q.free); n > 0 {
		id := q.free[n-1]
		q.free = q.free[:n-1]
		var zero T
		*q.at(id) = zero
		return id
	}
	q.made++
	if int(q.made>>8) >= len(q.chunks) {
		q.chunks = append(q.chunks, new([256]T))
	}
	return q.made
}

// put takes one back; 0 is none.
func (q *pool[T]) put(id uint32) {
	if id != 0 {
		q.live--
		q.free = append(q.free, id)
	}
}
