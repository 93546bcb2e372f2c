package ipfix

import (
	"bytes"
	"cmp"
	"container/heap"
	"net/netip"
	"time"

	"github.com/testudo-shield/testudo"
)

// How long a conversation waits for more, by the clock of arrival.
const (
	// hold is how long its other direction, or its next piece, may take. It is
	// above the usual fifteen seconds after which exporters give up on a flow.
	hold = 60 * time.Second
	// linger is how long one that has ended waits for what straggles.
	linger = 30 * time.Second
	// every is how often a long conversation is reported.
	every = 5 * time.Minute
	// idleTCP is how long a connection that was not ended may be silent. It
	// is above the longest time after which exporters report (30 minutes).
	idleTCP = 31 * time.Minute
	idle    = 3 * time.Minute
	// cut is the length from which on a flow may have been cut by the clock
	// of its exporter rather than ended.
	cut = 20 * time.Second
	// again is how long datagrams between the same two ports may rest before
	// what follows is a new conversation.
	again = time.Minute
)

// TCP flags (RFC 9293).
const (
	flagFIN = 1 << iota
	flagSYN
	flagRST
	flagPSH
	flagACK
)

// reasonActive is the flowEndReason of a flow that goes on.
const reasonActive = 2

// piece is what one export record says of a conversation.
type piece struct {
	now     testudo.Time // of arrival
	origin  uint32       // who saw it
	sampled bool
	r       *record
}

// key is the unordered pair of ends.
type key struct {
	lo, hi         [16]byte
	loPort, hiPort uint16
	proto          testudo.Proto
}

// side is what one end sent.
type side struct {
	pkts, bytes, payload int64
	total                [3]int64 // of an exporter that counts from the beginning
	first, last          testudo.Time
	flags                uint8
	seen                 bool
	origin               uint32
}

// entry is one conversation that may go on.
type entry struct {
	key      key
	side     [2]side // 0 is the lower end
	icmp     uint16
	vlan     uint16
	began    int8 // index of the end that is told to have begun, -1 for not told
	dir      int8 // as it was reported, -1 for not yet
	guessed  bool // dir is
	sampled  bool
	goesOn   bool // the exporter said so
	v4       bool
	asked    uint8         // of ICMP: 1 plus the end that sent the question, 0 for not seen
	first    testudo.Time  // once reported: the start
	longest  time.Duration // piece
	arrived  testudo.Time  // the last piece
	next     testudo.Time  // when it is to be reported though it goes on
	deadline testudo.Time
	uid      testudo.UID
	was      testudo.Delta // the totals as last reported
	place    int           // in the heap
}

// table joins one-way flows to conversations. It is bounded: when it is full
// the conversation that is due next gives way, reported as it is, so that a
// flood of attempts, which are due soon, drives out itself.
type table struct {
	index  map[key]uint32
	slots  []entry
	free   []uint32
	queue  []uint32 // heap by deadline
	limit  int
	forced int64 // reported before their time
	emit   func(*testudo.Conn)
}

// keyOf returns the key of a record and which end its source is.
func keyOf(r *record) (k key, d int) {
	k.lo, k.hi = r.src.As16(), r.dst.As16()
	k.loPort, k.hiPort = r.sport, r.dport
	k.proto = r.proto
	if r.proto == testudo.ICMP || r.proto == testudo.ICMPv6 {
		q := question(r.proto, uint8(r.icmp>>8))
		k.loPort, k.hiPort = uint16(q), uint16(q)
	}
	if c := r.src.Compare(r.dst); c > 0 || c == 0 && k.loPort > k.hiPort {
		k.lo, k.hi, k.loPort, k.hiPort = k.hi, k.lo, k.hiPort, k.loPort
		d = 1
	}
	return k, d
}

// question returns the ICMP type that asks for what a type answers.
func question(p testudo.Proto, t uint8) uint8 {
	switch {
	case p == testudo.ICMP && t == 0:
		return 8
	case p == testudo.ICMP && (t == 14 || t == 16 || t == 18):
		return t - 1
	case p == testudo.ICMPv6 && (t == 129 || t == 134 || t == 136):
		return t - 1
	}
	return t
}

// add takes a piece and tells whether it was news.
func (t *table) add(p *piece) bool {
	k, d := keyOf(p.r)
	i, known := t.index[k]
	if known && t.slots[i].isNew(p, d) {
		t.report(&t.slots[i], false)
		t.drop(i)
		known = false
	}
	if !known {
		i = t.put(entry{key: k, began: -1, dir: -1, v4: p.r.src.Is4(), arrived: p.now, next: p.now.Add(hold)})
	}
	e := &t.slots[i]
	fresh := e.take(p, d)
	e.deadline = e.due()
	heap.Fix(t, e.place)
	return fresh
}

// put makes room for one more conversation.
func (t *table) put(e entry) uint32 {
	if len(t.queue) >= t.limit {
		t.forced++
		i := t.queue[0]
		t.report(&t.slots[i], false)
		t.drop(i)
	}
	var i uint32
	if n := len(t.free); n > 0 {
		i, t.free = t.free[n-1], t.free[:n-1]
	} else {
		t.slots = append(t.slots, entry{})
		i = uint32(len(t.slots) - 1)
	}
	t.slots[i] = e
	t.index[e.key] = i
	heap.Push(t, i)
	return i
}

func (t *table) drop(i uint32) {
	heap.Remove(t, t.slots[i].place)
	delete(t.index, t.slots[i].key)
	t.free = append(t.free, i)
}

// advance reports what is due.
func (t *table) advance(now testudo.Time) {
	for len(t.queue) > 0 {
		i := t.queue[0]
		e := &t.slots[i]
		if e.deadline > now {
			return
		}
		if e.over(now) {
			t.report(e, false)
			t.drop(i)
			continue
		}
		if e.next = now.Add(every); e.arrived.Add(e.patience()).Sub(now) > linger {
			t.report(e, true) // else the last report is about to come
		}
		e.deadline = e.due()
		heap.Fix(t, e.place)
	}
}

// flush reports everything, what is due first coming first.
func (t *table) flush() {
	for len(t.queue) > 0 {
		i := t.queue[0]
		t.report(&t.slots[i], false)
		t.drop(i)
	}
}

// isNew tells whether a piece begins another conversation between the same
// two ports.
func (e *entry) isNew(p *piece, d int) bool {
	last := max(e.side[0].last, e.side[1].last)
	start := p.r.way[0].start
	if start <= last {
		return false
	}
	if e.key.proto != testudo.TCP {
		return start.Sub(last) > e.patience()
	}
	if p.r.way[0].flags&flagSYN == 0 || e.sampled {
		return false
	}
	s := &e.side[d]
	return e.ended() || s.seen && s.flags&flagSYN != 0 && (s.flags != flagSYN || start.Sub(last) > hold)
}

// take adds a piece and tells whether it was news.
func (e *entry) take(p *piece, d int) bool {
	r := p.r
	if e.dup(p, d) {
		return false
	}
	e.arrived = p.now
	e.sampled = e.sampled || p.sampled
	e.goesOn = r.reason == reasonActive
	if r.vlan != 0 {
		e.vlan = r.vlan
	}
	if e.isICMP() {
		e.takeICMP(r.icmp, d)
	}
	switch {
	case r.initiator == 2:
		e.began = int8(1 - d)
	case r.biflow: // its source is who began, as far as the exporter knows
		e.began = int8(d)
	}
	for i := range r.way {
		if r.way[i].pkts > 0 {
			e.longest = max(e.longest, r.way[i].end.Sub(r.way[i].start))
			e.side[d^i].take(&r.way[i], p.origin, r.totals)
		}
	}
	return true
}

// takeICMP notes who asked, and the question's code.
func (e *entry) takeICMP(icmp uint16, d int) {
	if e.icmp == 0 {
		e.icmp = icmp
	}
	switch kind := uint16(icmp >> 8); {
	case kind != e.key.loPort: // an answer: the other end asked
		e.asked = uint8(2 - d)
	case e.asked == 0:
		e.asked = uint8(1 + d)
	}
}

// dup tells whether somebody else saw what is known already: two routers on
// the way, or one that looks at packets as they come and as they go.
func (e *entry) dup(p *piece, d int) bool {
	for i := range p.r.way {
		s, w := &e.side[d^i], &p.r.way[i]
		if w.pkts > 0 && s.seen && s.origin != p.origin && w.start <= s.last {
			return true
		}
	}
	return false
}

func (s *side) take(w *heading, origin uint32, totals bool) {
	n := [3]int64{w.pkts, w.bytes, w.payload}
	if totals {
		was := s.total
		s.total = n
		for i := range n {
			if n[0] >= was[0] {
				n[i] = max(0, n[i]-was[i])
			}
		}
	}
	s.pkts, s.bytes, s.payload = min(s.pkts+n[0], maxCount), min(s.bytes+n[1], maxCount), min(s.payload+n[2], maxCount)
	s.flags |= w.flags & 0x3f
	if !s.seen || w.start < s.first {
		s.first = w.start
	}
	s.last = max(s.last, w.end)
	s.seen, s.origin = true, origin
}

// ended tells whether a connection was seen to be over.
func (e *entry) ended() bool {
	a, b := &e.side[0], &e.side[1]
	return (a.flags|b.flags)&flagRST != 0 || a.flags&b.flags&flagFIN != 0
}

// alone tells an attempt that nobody answered.
func (e *entry) alone() bool {
	a, b := &e.side[0], &e.side[1]
	return (!a.seen || !b.seen) && (a.flags|b.flags)&flagACK == 0
}

// patience is how long a conversation may be silent before it is over.
func (e *entry) patience() time.Duration {
	if e.key.proto != testudo.TCP {
		if e.goesOn || e.longest >= cut {
			return min(max(idle, e.longest*3/2), idleTCP)
		}
		return again
	}
	if e.ended() || e.alone() && e.longest < cut {
		return hold
	}
	return idleTCP
}

// due returns when an entry is to be looked at: when it has waited for its
// other half, when it is to be reported again, or when it is over.
func (e *entry) due() testudo.Time {
	wait := e.patience()
	if e.ended() && e.side[0].seen && e.side[1].seen {
		wait = linger
	}
	return min(e.next, e.arrived.Add(wait))
}

// over tells whether nothing more is waited for.
func (e *entry) over(now testudo.Time) bool {
	return e.ended() || e.arrived.Add(e.patience()) <= now
}

// Heap by deadline; among equals by key, so that the order does not depend on
// which slots were free.
func (t *table) Len() int { return len(t.queue) }

// Less orders by deadline.
func (t *table) Less(i, j int) bool {
	a, b := &t.slots[t.queue[i]], &t.slots[t.queue[j]]
	if a.deadline != b.deadline {
		return a.deadline < b.deadline
	}
	return a.key.before(&b.key)
}

// Swap exchanges two places.
func (t *table) Swap(i, j int) {
	t.queue[i], t.queue[j] = t.queue[j], t.queue[i]
	t.slots[t.queue[i]].place, t.slots[t.queue[j]].place = i, j
}

// Push is for container/heap.
func (t *table) Push(x any) {
	i := x.(uint32)
	t.slots[i].place = len(t.queue)
	t.queue = append(t.queue, i)
}

// Pop is for container/heap.
func (t *table) Pop() any {
	n := len(t.queue) - 1
	i := t.queue[n]
	t.queue = t.queue[:n]
	return i
}

func (k *key) before(o *key) bool {
	if c := cmp.Or(bytes.Compare(k.lo[:], o.lo[:]), bytes.Compare(k.hi[:], o.hi[:])); c != 0 {
		return c < 0
	}
	if k.loPort != o.loPort {
		return k.loPort < o.loPort
	}
	if k.hiPort != o.hiPort {
		return k.hiPort < o.hiPort
	}
	return k.proto < o.proto
}

// end returns the address and port of one end.
func (e *entry) end(d int) netip.AddrPort {
	if d == 0 {
		return netip.AddrPortFrom(netip.AddrFrom16(e.key.lo).Unmap(), e.key.loPort)
	}
	return netip.AddrPortFrom(netip.AddrFrom16(e.key.hi).Unmap(), e.key.hiPort)
}
