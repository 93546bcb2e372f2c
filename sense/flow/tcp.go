package flow

import (
	"github.com/testudo-shield/testudo/sense/packet"
)

// maxJump is how far a sequence or acknowledgement number may lie from what
// was seen before it is taken for foreign to the conn.
const maxJump = 64 << 20

// reuses tells whether a SYN on a known conn begins another one.
func (s *Shard) reuses(c *conn, p *packet.Packet, l *look) bool {
	d := c.dir(l)
	switch {
	case c.state[0] == stReset || c.state[1] == stReset, c.state[0] == stClosed && c.state[1] == stClosed:
		return true
	case c.flags&isMidStream != 0:
		// A handshake after a few stray packets is the real beginning.
		return c.state[0] == stPartial || c.state[1] == stPartial
	case c.has[d]&hasBase != 0 && c.side[d].base == p.Seq+1:
		return false // retransmitted
	case c.state[0] == stClosed || c.state[1] == stClosed:
		return true
	case c.flags&isAnswered != 0:
		// A forged SYN must not cut a conn that lives.
		return p.Clock.Sub(c.last) >= s.cfg.Other
	}
	return false
}

// tcp follows one segment.
func (s *Shard) tcp(c *conn, p *packet.Packet, d int) {
	x, y := &c.side[d], &c.side[d^1]
	fl := p.Flags
	s.handshake(c, p, d)
	if fl&packet.ACK != 0 {
		s.acked(c, p, d, y)
	}
	n := int64(p.PayloadLen)
	if fl&packet.RST != 0 {
		c.hist.once('R', d)
		c.state[d] = stReset
		s.closed(c, d)
		return
	}
	if p.Window == 0 && fl&(packet.SYN|packet.FIN) == 0 {
		s.again(c, timesW, d)
	}
	seq := p.Seq
	if fl&packet.SYN != 0 {
		seq++
	}
	if c.has[d]&hasBase == 0 || (fl&packet.SYN != 0 && c.flags&isAnswered == 0 && c.talk == 0) {
		x.base = seq
		c.has[d] |= hasBase
	}
	off, ok := s.offset(c, x, d, seq, n, fl)
	if !ok {
		return
	}
	if n > 0 {
		s.payload(c, p, d, off)
	} else if fl&(packet.SYN|packet.FIN|packet.ACK) == packet.ACK {
		c.hist.once('A', d)
	}
	if fl&packet.FIN != 0 {
		c.hist.once('F', d)
		if off+n > x.top {
			s.span(c, d, off+n, off+n)
		}
		c.has[d] |= hasFIN
		c.state[d] = stClosed
		s.closed(c, d)
	}
}

// handshake moves the states by the flags, and notes odd ones.
func (s *Shard) handshake(c *conn, p *packet.Packet, d int) {
	fl := p.Flags
	me, peer := &c.state[d], &c.state[d^1]
	switch {
	case fl&packet.SYN != 0 && fl&(packet.FIN|packet.RST) != 0:
		c.hist.once('Q', d)
		s.weird(c, "TCP_christmas", "")
	case fl&packet.FIN != 0 && fl&packet.RST != 0:
		c.hist.once('I', d)
	}
	switch {
	case fl&packet.RST != 0:
	case fl&packet.SYN != 0 && fl&packet.ACK == 0:
		c.hist.once('S', d)
		if *me == stNone {
			*me = stSynSent
		} else if x := &c.side[d]; *me != stSynSent && x.base != p.Seq+1 {
			s.weird(c, "SYN_inside_connection", "")
		}
	case fl&packet.SYN != 0:
		c.hist.once('H', d)
		switch {
		case *me <= stPartial && *peer == stSynSent:
			*me, *peer = stActive, stActive
		case *me == stNone || *me == stPartial:
			*me = stSynAckSent
		}
		if c.has[d^1]&hasBase == 0 {
			c.side[d^1].base, c.has[d^1] = p.Ack, c.has[d^1]|hasBase
		}
	case *me == stNone:
		if *me = stPartial; *peer == stSynSent && fl&packet.ACK != 0 {
			*me, *peer = stActive, stActive
		}
	case *me == stSynSent && (*peer == stSynAckSent || *peer == stPartial):
		*me, *peer = stActive, stActive
	}
	if *peer == stSynAckSent && fl&(packet.ACK|packet.RST|packet.SYN) == packet.ACK && *me == stPartial {
		*me, *peer = stActive, stActive
	}
}

// offset turns a sequence number into an offset. A packet far outside is set
// aside; when the next one joins on to it, the stream has really moved.
func (s *Shard) offset(c *conn, x *side, d int, seq uint32, n int64, fl uint8) (int64, bool) {
	ref := max(x.top, x.acked)
	diff := int64(int32(seq - (x.base + uint32(ref))))
	if diff <= maxJump && diff >= -maxJump {
		return ref + diff, true
	}
	if n == 0 && fl&packet.FIN == 0 {
		return 0, false
	}
	if c.has[d]&hasOdd == 0 || x.odd != seq {
		x.odd, c.has[d] = seq+uint32(n), c.has[d]|hasOdd
		s.weird(c, "window_recision", "")
		return 0, false
	}
	c.has[d] &^= hasOdd
	x.base = seq - uint32(ref)
	s.jumped(c, d, ref)
	return ref, true
}

// acked takes in an acknowledgement of y's bytes.
func (s *Shard) acked(c *conn, p *packet.Packet, d int, y *side) {
	if c.has[d^1]&hasBase == 0 {
		if c.flags&isMidStream != 0 || p.Flags&packet.RST != 0 {
			return
		}
		// The peer's SYN was missed: the first ACK names what follows it.
		y.base, c.has[d^1] = p.Ack, c.has[d^1]|hasBase
	}
	ref := max(y.top, y.acked)
	diff := int64(int32(p.Ack - (y.base + uint32(ref))))
	if diff > maxJump || diff < -maxJump {
		return
	}
	a := ref + diff
	if c.has[d^1]&hasFIN != 0 {
		a = min(a, y.top)
	}
	if p.Flags&packet.RST != 0 {
		a = min(a, y.top) // stacks put anything there
	}
	if a > y.acked {
		y.acked = a
		if c.stream != 0 {
			s.lose(c, d^1)
		}
	}
}

// payload takes in a segment's bytes at their offset.
func (s *Shard) payload(c *conn, p *packet.Packet, d int, off int64) {
	x := &c.side[d]
	end := off + int64(p.PayloadLen)
	if p.PayloadLen == 1 && off == x.top-1 {
		return // keep-alive
	}
	if off >= x.top && c.state[0] == stClosed && c.state[1] == stClosed && c.has[d]&hasFIN != 0 {
		return // after the end
	}
	c.hist.once('D', d)
	t := s.talkOf(c)
	before := x.top
	if !s.span(c, d, off, end) {
		if off >= 0 {
			s.again(c, timesT, d)
		}
		return
	}
	if x.top > before {
		t.speak(d, x.top-max(off, before), c.elapsed)
	}
	s.segment(c, p, d, off)
}

// span notes payload [from, to) of a side and tells whether any was new.
func (s *Shard) span(c *conn, d int, from, to int64) bool {
	x := &c.side[d]
	fresh := false
	if from < x.top && c.talk != 0 {
		if g := s.gaps.of(s.talks.at(c.talk).gaps); g != nil {
			fresh = g.fill(d, from, to)
		}
	}
	if to <= x.top && !(from == to && from > x.top) {
		return fresh
	}
	if from > x.top {
		t := s.talkOf(c)
		if t.gaps == 0 {
			t.gaps = s.gaps.get()
		}
		s.gaps.at(t.gaps).skip(d, x.top, from)
	}
	x.top = to
	return true
}

// talkOf returns what is kept of a conn's payload, made if it has none yet.
func (s *Shard) talkOf(c *conn) *talk {
	if c.talk == 0 {
		c.talk = s.talks.get()
	}
	return s.talks.at(c.talk)
}
