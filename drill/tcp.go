package drill

import (
	"encoding/binary"
	"math/rand/v2"
)

// The two directions of a conversation.
const (
	orig = 0
	resp = 1
)

const (
	fin = 1 << iota
	syn
	rst
	psh
	ack
)

// conv is one TCP conversation as the sensor sees it. Every method moves t,
// the sensor's time, forward; distances from the sensor to both ends decide
// when answers pass.
type conv struct {
	w    *world
	r    *rand.Rand
	end  [2]*node
	port [2]uint16
	seq  [2]uint32 // next to send
	t    int64
	last int   // who sent last
	pend int64 // when the other side's bare acknowledgement is due, 0 for none
	loss int   // lost data segments in ten thousand
	pace int64 // between segments of a burst
	flow Flow
	by   *Planted

	session [32]byte // of TLS, as the client named it
}

// A piece of a byte stream: literal bytes, which are always kept, then fill
// bytes, of which a capture keeps only the first of each segment.
type piece struct {
	lit  []byte
	fill int
	text bool // fill with prose, not with ciphertext
}

// open prepares a conversation that begins at t.
func (w *world) open(t int64, r *rand.Rand, c, s *node, port uint16, by *Planted) *conv {
	k := &conv{w: w, r: r, end: [2]*node{c, s}, port: [2]uint16{c.ephemeral(), port}, t: t, by: by}
	k.seq = [2]uint32{r.Uint32(), r.Uint32()}
	k.loss = 30
	if c.local && s.local {
		k.loss = 3
	}
	k.pace = between(r, 110, 700)
	k.flow = newFlow(t, c, s, k.port[0], port, protoTCP, by)
	return k
}

// dial is open with the three packets of the handshake.
func (w *world) dial(t int64, r *rand.Rand, c, s *node, port uint16, by *Planted) *conv {
	k := w.open(t, r, c, s, port, by)
	k.bare(orig, syn, 0)
	if r.IntN(10000) < k.loss*2 {
		k.t += second + between(r, 0, 9000)
		k.seq[orig]--
		k.bare(orig, syn, 0)
	}
	k.t += 2*s.lat + between(r, 10, 120)
	k.bare(resp, syn|ack, 0)
	k.t += 2*c.lat + between(r, 10, 90)
	k.bare(orig, ack, 0)
	k.last = orig
	return k
}

// refused is a SYN answered by a reset.
func (w *world) refused(t int64, r *rand.Rand, c, s *node, port uint16, by *Planted) {
	k := w.open(t, r, c, s, port, by)
	k.bare(orig, syn, 0)
	k.t += 2*s.lat + between(r, 10, 120)
	k.bare(resp, rst|ack, 0)
	k.done()
}

// unanswered is a SYN, sent tries times, that nobody answers.
func (w *world) unanswered(t int64, r *rand.Rand, c, s *node, port uint16, tries int, by *Planted) int64 {
	k := w.open(t, r, c, s, port, by)
	wait := second
	for i := range tries {
		if i > 0 {
			k.seq[orig]--
			k.t += wait + between(r, 0, 4000)
			wait *= 2
		}
		k.bare(orig, syn, 0)
	}
	k.done()
	return k.t
}

// bare emits a segment without payload; SYN and FIN take a sequence number.
func (k *conv) bare(d int, flags byte, back uint32) {
	k.segment(k.t, d, flags, k.seq[d], k.seq[1-d]-back, 0, 0)
	if flags&(syn|fin) != 0 {
		k.seq[d]++
	}
}

// segment emits a segment whose payload's first kept bytes already lie in
// the frame behind the place of the header.
func (k *conv) segment(t int64, d int, flags byte, seq, ackNo uint32, kept, missing int) {
	w, src := k.w, k.end[d]
	f := w.frame[:]
	h := l4At
	binary.BigEndian.PutUint16(f[h:], k.port[d])
	binary.BigEndian.PutUint16(f[h+2:], k.port[1-d])
	binary.BigEndian.PutUint32(f[h+4:], seq)
	if flags&ack == 0 {
		ackNo = 0
	}
	binary.BigEndian.PutUint32(f[h+8:], ackNo)
	window := uint16(0x0201) + uint16(seq>>20)&0x3f
	opt := h + 20
	if flags&syn != 0 {
		window = src.window
		o := []byte{2, 4, 5, 0xb4, 1, 3, 3, 8, 1, 1, 4, 2}
		if !k.stamps() {
			opt += copy(f[opt:], o)
		} else {
			opt += copy(f[opt:], []byte{2, 4, 5, 0xb4, 4, 2})
			opt += k.stamp(f[opt:], t, d, flags)
			opt += copy(f[opt:], []byte{1, 3, 3, 7})
		}
	} else if k.stamps() {
		opt += copy(f[opt:], []byte{1, 1})
		opt += k.stamp(f[opt:], t, d, flags)
	}
	f[h+12], f[h+13] = byte(opt-h)<<2, flags
	binary.BigEndian.PutUint16(f[h+14:], window)
	f[h+18], f[h+19] = 0, 0
	if kept > 0 {
		copy(f[opt:], w.load[:kept])
	}
	if w.put(t, src, k.end[1-d], protoTCP, opt+kept, missing) {
		k.flow.count(t, d, 0, 1, k.by)
	}
}

// stamps says whether the two ends agreed on timestamps (RFC 7323).
func (k *conv) stamps() bool { return k.end[0].stamps && k.end[1].stamps }

func (k *conv) stamp(b []byte, t int64, d int, flags byte) int {
	b[0], b[1] = 8, 10
	own := k.end[d]
	binary.BigEndian.PutUint32(b[2:], uint32((t-own.lat)/millisecond)+own.addr*2654435761)
	var echo uint32
	if flags&ack != 0 {
		other := k.end[1-d]
		echo = uint32((t-2*own.lat-other.lat)/millisecond) + other.addr*2654435761
	}
	binary.BigEndian.PutUint32(b[6:], echo)
	return 10
}

func (k *conv) rtt() int64 { return 2*k.end[0].lat + 2*k.end[1].lat }

func (k *conv) mss() int {
	if k.stamps() {
		return 1448
	}
	return 1460
}

// wait lets time pass.
func (k *conv) wait(d int64) { k.t += d }

// settle emits the bare acknowledgement that is due.
func (k *conv) settle() {
	if k.pend != 0 {
		k.segment(k.pend, 1-k.last, ack, k.seq[1-k.last], k.seq[k.last], 0, 0)
		k.t = max(k.t, k.pend)
		k.pend = 0
	}
}

// send carries the pieces from end d to the other, with growing window,
// acknowledgements, and now and then a loss.
func (k *conv) send(d int, pieces ...piece) {
	if k.last != d {
		k.t += 2 * k.end[d].lat
		if k.pend != 0 && k.t > k.pend {
			k.settle()
		}
		k.pend = 0
	} else {
		k.settle()
	}
	k.last = d
	total := 0
	for _, p := range pieces {
		total += len(p.lit) + p.fill
	}
	k.flow.payload(d, total)
	s := flight{k: k, d: d, pieces: pieces, start: k.t, window: 10}
	for off := 0; off < total; {
		off += s.next(min(k.mss(), total-off), off == 0, total-off <= k.mss())
	}
	s.repair(220 * millisecond)
	if s.unacked > 0 {
		k.pend = k.t + 2*k.end[1-d].lat + 40*millisecond
	}
}

// flight is what send knows while it sends.
type flight struct {
	k       *conv
	d       int
	pieces  []piece
	start   int64 // of the current window
	window  int
	sent    int // segments in the current window
	unacked int // segments since the last acknowledgement

	lost                 bool
	hole                 uint32
	held, heldKept, dups int
	lostAt               int64
	hold                 [1600]byte
}

func (s *flight) next(n int, first, final bool) int {
	k := s.k
	if s.sent == s.window {
		k.t = max(k.t, s.start+k.rtt())
		s.start, s.sent, s.window = k.t, 0, min(2*s.window, 64)
	}
	kept := s.load(n)
	flags := byte(ack)
	if final {
		flags |= psh
	}
	seq := k.seq[s.d]
	drop := k.r.IntN(10000) < k.loss && !s.lost
	if drop {
		s.lost, s.hole, s.held, s.heldKept, s.dups, s.lostAt = true, seq, n, kept, 0, k.t
		copy(s.hold[:kept], k.w.load[:kept])
	}
	if !drop || chance(k.r, 50) { // half are lost behind the sensor
		k.segment(k.t, s.d, flags, seq, k.seq[1-s.d], kept, n-kept)
	}
	k.seq[s.d] += uint32(n)
	s.sent++
	s.unacked++
	switch {
	case s.lost && !drop:
		s.dups++
		s.ack(s.hole)
		if s.dups == 3 {
			s.repair(0)
		}
	case !s.lost && s.unacked == 2:
		s.ack(k.seq[s.d])
	}
	if !final {
		k.t += k.pace + int64(k.r.Uint32()&63)
	}
	return n
}

func (s *flight) ack(no uint32) {
	k := s.k
	k.segment(k.t+2*k.end[1-s.d].lat+int64(k.r.Uint32()&31), 1-s.d, ack, k.seq[1-s.d], no, 0, 0)
	s.unacked = 0
}

// repair sends the lost segment again.
func (s *flight) repair(patience int64) {
	if !s.lost {
		return
	}
	k := s.k
	k.t = max(k.t, s.lostAt+k.rtt()+patience) + between(k.r, 100, 900)
	copy(k.w.load[:], s.hold[:s.heldKept])
	k.segment(k.t, s.d, ack, s.hole, k.seq[1-s.d], s.heldKept, s.held-s.heldKept)
	s.lost = false
	s.ack(k.seq[s.d])
}

// load puts the next n bytes of the pieces into w.load and returns how many
// of them the capture keeps.
func (s *flight) load(n int) (kept int) {
	w := s.k.w
	at := 0
	for at < n {
		p := &s.pieces[0]
		if len(p.lit) > 0 {
			m := min(len(p.lit), n-at)
			copy(w.load[at:], p.lit[:m])
			p.lit = p.lit[m:]
			at += m
			kept = at
			continue
		}
		if p.fill == 0 {
			s.pieces = s.pieces[1:]
			continue
		}
		m := min(p.fill, n-at)
		src := w.noise
		if p.text {
			src = w.prose
		}
		o := int(s.k.r.Uint32()) & (len(src)/2 - 1)
		copy(w.load[at:at+m], src[o:])
		p.fill -= m
		at += m
	}
	return min(n, max(kept, w.cfg.Snap))
}

// close ends the conversation from d's side with FINs.
func (k *conv) close(d int) {
	if k.last != d {
		k.t += 2 * k.end[d].lat
	}
	k.settle()
	k.t += between(k.r, 10, 400)
	k.bare(d, fin|ack, 0)
	k.t += 2*k.end[1-d].lat + between(k.r, 10, 300)
	k.bare(1-d, fin|ack, 0)
	k.t += 2*k.end[d].lat + between(k.r, 10, 60)
	k.bare(d, ack, 0)
	k.done()
}

// reset ends it with a RST from d.
func (k *conv) reset(d int) {
	if k.last != d {
		k.t += 2 * k.end[d].lat
	}
	k.settle()
	k.t += between(k.r, 10, 400)
	k.bare(d, rst|ack, 0)
	k.done()
}

// done reports the conversation as it is.
func (k *conv) done() {
	k.settle()
	k.w.report(&k.flow)
}
