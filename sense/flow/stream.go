package flow

import (
	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/packet"
	"github.com/testudo-shield/testudo/sense/protocol"
)

// phase is what becomes of a stream's bytes.
type phase uint8

const (
	phaseProbing phase = iota // kept until a protocol claims them
	phaseReading              // handed to an analyzer
	phaseOff                  // nobody wants them: to be released
)

// stream is the part of a conn that lives as long as an analyzer wants bytes.
type stream struct {
	flow  protocol.Flow
	conn  *conn
	phase phase
	entry int16               // of the analyzer, -1 for none
	an    protocol.Analyzer   // nil while probing
	more  []protocol.Analyzer // for ICMP, those beside an
	half  [2]half

	pieces  *[maxPieces]piece // what arrived while probing, in order; nil for nothing
	npieces uint8
	ndata   uint8     // of these, data
	refused [2]uint64 // protocols that said No, by entry
	handing bool      // the analyzer called Handover
	heir    string    // and named this one
	hops    uint8     // how often it happened
	inner   uint8     // pieces of an unclaimed conversation probed
	held    bool      // in the list of holders
	younger *stream
	elder   *stream
}

// half is one direction of a stream.
type half struct {
	next   int64  // offset of the next byte to hand over
	buf    []byte // bytes kept: not yet claimed, or not yet consumed
	prefix int    // how many of buf a probe may see, once frozen
	frozen bool
	head   *block // what came early, in order, never overlapping
	tail   *block
	blocks int
}

// piece is one delivery while probing: n bytes of data, or a gap of n.
type piece struct {
	n   int32
	dir uint8
	gap bool
}

// streams numbers the streams in use; all[0] is nil, as conns without one have
// number 0.
type streams struct {
	all   []*stream
	free  []uint32  // numbers
	spare []*stream // to be used again
}

// get gives c a stream. What it still holds is from its use before.
func (q *streams) get(c *conn) (st *stream) {
	if n := len(q.spare); n > 0 {
		st = q.spare[n-1]
		q.spare = q.spare[:n-1]
	} else {
		st = new(stream)
	}
	if n := len(q.free); n > 0 {
		c.stream = q.free[n-1]
		q.free = q.free[:n-1]
		q.all[c.stream] = st
		return st
	}
	c.stream = uint32(len(q.all))
	q.all = append(q.all, st)
	return st
}

// put takes c's stream back.
func (q *streams) put(c *conn) {
	if len(q.spare) < 1024 {
		q.spare = append(q.spare, q.all[c.stream])
	}
	q.all[c.stream] = nil
	q.free = append(q.free, c.stream)
	c.stream = 0
}

const (
	maxPieces = 24
	maxHops   = 8
	maxInner  = 16
)

// open gives c a stream, if any protocol could want its bytes.
func (s *Shard) open(c *conn) *stream {
	if c.flags&noStream != 0 {
		return nil
	}
	t := transportOf(c.key.proto)
	if c.want < 0 && len(s.dispatch.over[t]) == 0 && (t == icmpIndex || s.dispatch.fallback < 0) {
		c.flags |= noStream
		return nil
	}
	st := s.streams.get(c)
	*st = stream{conn: c, entry: -1, more: st.more[:0]}
	f := &st.flow
	f.Bind(s.dispatch.host)
	f.ID, f.UID, f.Start, f.Now = c.connID(), c.uid, c.start, c.start
	f.MidStream = c.flags&isMidStream != 0
	switch {
	case c.want >= 0:
		s.start(st, c.want)
	case t == icmpIndex:
		over := s.dispatch.over[t]
		s.start(st, over[0])
		for _, i := range over[1:] {
			st.more = append(st.more, s.dispatch.entries[i].take(&s.dispatch.records))
		}
	}
	return st
}

// at tells the analyzer about the packet in hand.
func (st *stream) at(p *packet.Packet) {
	f := &st.flow
	f.Now, f.SrcMAC, f.DstMAC = p.Time, p.SrcMAC, p.DstMAC
}

// closed notes that a side is done, and ends the stream once all was read.
func (s *Shard) closed(c *conn, d int) {
	st := s.streams.all[c.stream]
	if st == nil {
		return
	}
	st.flow.Closed[d] = true
	if c.state[0] != stClosed || c.state[1] != stClosed {
		return
	}
	for i := range st.half {
		if st.half[i].head != nil || st.half[i].next < c.side[i].top {
			return
		}
	}
	s.endStream(c)
}

// segment takes in the payload of a TCP segment at its offset.
func (s *Shard) segment(c *conn, p *packet.Packet, d int, off int64) {
	st := s.streams.all[c.stream]
	if st == nil {
		if st = s.open(c); st == nil {
			return
		}
	}
	st.at(p)
	data := p.Payload[:min(len(p.Payload), int(p.PayloadLen))]
	s.place(st, d, off, data, off+int64(p.PayloadLen))
	s.lose(c, d)
}

// place puts data at off, of a segment that ends at end, in its order.
func (s *Shard) place(st *stream, d int, off int64, data []byte, end int64) {
	h := &st.half[d]
	for st.phase != phaseOff && end > h.next {
		if off > h.next {
			if s.store(st, h, off, data) {
				return
			}
			// No room to wait for what is missing.
			to := off
			if h.head != nil {
				to = min(off, h.head.off)
			}
			s.gapTo(st, d, to)
			s.drain(st, d)
			continue
		}
		cut := int(min(h.next-off, int64(len(data))))
		data, off = data[cut:], off+int64(cut)
		if len(data) == 0 {
			// Cut by the snap length: the rest will never come.
			if h.head != nil {
				end = min(end, h.head.off)
			}
			s.gapTo(st, d, end)
			s.drain(st, d)
			return
		}
		n := len(data)
		if h.head != nil {
			n = int(min(int64(n), h.head.off-off))
		}
		h.next += int64(n)
		s.deliver(st, d, data[:n])
		s.drain(st, d)
	}
}

// drain hands over what came early and now fits.
func (s *Shard) drain(st *stream, d int) {
	h := &st.half[d]
	for st.phase != phaseOff && h.head != nil && h.head.off <= h.next {
		b := h.head
		if h.head = b.next; h.head == nil {
			h.tail = nil
		}
		h.blocks--
		if b.end() > h.next {
			data := b.data[h.next-b.off : b.n]
			h.next = b.end()
			s.deliver(st, d, data)
		}
		s.mem.freeBlock(b)
	}
}

// store keeps data that came early; what is there already stays. It returns
// false when a budget does not allow it.
func (s *Shard) store(st *stream, h *half, off int64, data []byte) bool {
	var prev *block
	cur := h.head
	if h.tail != nil && h.tail.end() <= off {
		prev, cur = h.tail, nil
	}
	for len(data) > 0 {
		for cur != nil && cur.end() <= off {
			prev, cur = cur, cur.next
		}
		room := len(data)
		if cur != nil && cur.off <= off {
			n := int(min(cur.end()-off, int64(room)))
			data, off = data[n:], off+int64(n)
			continue
		}
		if cur != nil {
			room = int(min(int64(room), cur.off-off))
		}
		if prev == nil || prev.end() != off || prev.n == len(prev.data) {
			if (h.blocks+1)*blockSize > s.cfg.FlowBytes {
				return false
			}
			b := s.newBlock(st)
			if b == nil {
				return false
			}
			b.off, b.next = off, cur
			if prev == nil {
				h.head = b
			} else {
				prev.next = b
			}
			if cur == nil {
				h.tail = b
			}
			h.blocks++
			prev = b
		}
		n := copy(prev.data[prev.n:], data[:room])
		prev.n += n
		data, off = data[n:], off+int64(n)
	}
	return true
}

// lose gives up the holes that the peer acknowledged: the capture lost them.
func (s *Shard) lose(c *conn, d int) {
	st := s.streams.all[c.stream]
	h := &st.half[d]
	for st.phase != phaseOff && h.head != nil && c.side[d].acked >= h.head.off {
		s.gapTo(st, d, h.head.off)
		s.drain(st, d)
	}
}

// jumped tells the stream that a side's numbers moved to elsewhere.
func (s *Shard) jumped(c *conn, d int, top int64) {
	st := s.streams.all[c.stream]
	if st == nil {
		return
	}
	s.plug(st, d)
	s.gapTo(st, d, top)
	s.gap(st, d, 1)
}

// plug gives up all holes of a direction.
func (s *Shard) plug(st *stream, d int) {
	h := &st.half[d]
	for st.phase != phaseOff && h.head != nil {
		s.gapTo(st, d, h.head.off)
		s.drain(st, d)
	}
}

func (s *Shard) gapTo(st *stream, d int, to int64) {
	h := &st.half[d]
	if n := to - h.next; n > 0 {
		h.next = to
		s.gap(st, d, int(n))
	}
}

// gap tells whoever reads that n bytes are missing.
func (s *Shard) gap(st *stream, d, n int) {
	s.again(st.conn, timesG, d)
	s.stats.Gaps++
	s.stats.GapBytes += int64(n)
	s.passGap(st, d, n)
}

// passGap tells of a gap without counting it.
func (s *Shard) passGap(st *stream, d, n int) {
	switch st.phase {
	case phaseProbing:
		s.probeGap(st, d, n)
	case phaseReading:
		h := &st.half[d]
		n += len(h.buf)
		s.freeBuf(h)
		s.readGap(st, d, n)
	}
}

// deliver hands over the next bytes of a direction, or one message.
func (s *Shard) deliver(st *stream, d int, data []byte) {
	switch st.phase {
	case phaseProbing:
		s.probe(st, d, data)
	case phaseReading:
		if s.innerBegins(st, d, data) {
			return
		}
		s.read(st, d, data)
	}
}

// endStream ends the analyzer of a conn; what waits is given to it first.
func (s *Shard) endStream(c *conn) {
	st := s.streams.all[c.stream]
	if st == nil || st.phase == phaseOff {
		return
	}
	for d := range st.half {
		s.plug(st, d)
	}
	if st.phase == phaseProbing {
		s.unclaimed(st)
	}
	s.finish(st)
	s.settle(c)
}

// settle releases what a conn's stream no longer needs.
func (s *Shard) settle(c *conn) {
	st := s.streams.all[c.stream]
	if st == nil {
		return
	}
	if st.phase != phaseOff {
		if st.held && st.half[0].empty() && st.half[1].empty() {
			s.unhold(st)
		}
		return
	}
	for d := range st.half {
		h := &st.half[d]
		s.freeBuf(h)
		for b := h.head; b != nil; {
			next := b.next
			s.mem.freeBlock(b)
			b = next
		}
		*h = half{}
	}
	s.unhold(st)
	s.mem.freePieces(st.pieces)
	st.pieces = nil
	c.flags |= noStream
	st.conn, st.an = nil, nil
	clear(st.more)
	s.streams.put(c)
}

func (h *half) empty() bool { return h.head == nil && cap(h.buf) == 0 }

func transportOf(p testudo.Proto) int {
	switch p {
	case testudo.TCP:
		return tcpIndex
	case testudo.UDP:
		return udpIndex
	}
	return icmpIndex
}
