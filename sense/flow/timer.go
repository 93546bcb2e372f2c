package flow

import (
	"math/bits"
	"time"

	"github.com/testudo-shield/testudo"
)

// The wheel's tick is 2^28 ns, about a quarter of a second, and it spans
// about 18 minutes; what is due later is looked at again on the way.
const (
	tickShift = 28
	wheelSize = 4096
)

// wheel is a timing wheel of intrusive lists of conns. Moving a conn's
// deadline further away costs nothing: it is seen when the old one comes up.
type wheel struct {
	heads [wheelSize]uint32
	busy  [wheelSize / 64]uint64 // a bit for every list that is not empty
	tick  int64                  // last tick run
	armed int
}

// tickOf returns the first tick at or after t.
func tickOf(t testudo.Time) int64 { return (int64(t) + 1<<tickShift - 1) >> tickShift }

// arm queues c for the given tick, later than the current one.
func (s *Shard) arm(c *conn, tick int64) {
	w := &s.wheel
	c.tick = uint32(min(max(tick, w.tick+1), w.tick+wheelSize-1))
	h := &w.heads[c.tick&(wheelSize-1)]
	w.busy[c.tick&(wheelSize-1)>>6] |= 1 << (c.tick & 63)
	c.wnext, c.wprev = *h, 0
	if *h != 0 {
		s.conns.at(*h).wprev = c.id
	}
	*h = c.id
	c.flags |= isArmed
	w.armed++
}

// disarm takes c out of the wheel.
func (s *Shard) disarm(c *conn) {
	if c.flags&isArmed == 0 {
		return
	}
	if c.wprev != 0 {
		s.conns.at(c.wprev).wnext = c.wnext
	} else {
		at := c.tick & (wheelSize - 1)
		if s.wheel.heads[at] = c.wnext; c.wnext == 0 {
			s.wheel.busy[at>>6] &^= 1 << (at & 63)
		}
	}
	if c.wnext != 0 {
		s.conns.at(c.wnext).wprev = c.wprev
	}
	c.flags &^= isArmed
	s.wheel.armed--
}

// runTimers fires everything due up to a tick, each at its nominal time.
func (s *Shard) runTimers(to int64) {
	w := &s.wheel
	for w.armed > 0 && w.next(to) {
		h := &w.heads[w.tick&(wheelSize-1)]
		for *h != 0 {
			c := s.conns.at(*h)
			s.disarm(c)
			s.fire(c, w.tick)
		}
	}
	w.tick = max(w.tick, to)
}

// next moves on to the next tick up to to that has something due.
func (w *wheel) next(to int64) bool {
	for t := w.tick + 1; t <= to; t = t | 63 + 1 {
		if b := w.busy[t&(wheelSize-1)>>6] >> (t & 63); b != 0 {
			if t += int64(bits.TrailingZeros64(b)); t <= to {
				w.tick = t
				return true
			}
			return false
		}
	}
	return false
}

// soon is how near a conn's end an interim report is put off.
const soon = 30 * time.Second

// fire does what is due for c at a tick and queues it again if it lives on.
func (s *Shard) fire(c *conn, tick int64) {
	expiry := tickOf(c.last.Add(s.timeout(c.class)))
	if expiry <= tick {
		s.now = testudo.Time(tick << tickShift)
		s.remove(c)
		return
	}
	if tickOf(c.report) <= tick && expiry-tick < int64(soon)>>tickShift {
		c.report = c.report.Add(soon) // the last report is about to come
	}
	if tickOf(c.report) <= tick {
		s.now = testudo.Time(tick << tickShift)
		s.interim(c)
		c.report = c.report.Add(s.cfg.Report)
		if tickOf(c.report) <= tick {
			c.report = s.now.Add(s.cfg.Report)
		}
	}
	s.arm(c, min(expiry, tickOf(c.report)))
}

// rearm makes sure that c comes up no later than it is due.
func (s *Shard) rearm(c *conn) {
	class := c.classify()
	if c.flags&isArmed != 0 && class == c.class {
		return
	}
	c.class = class
	due := min(tickOf(c.last.Add(s.timeout(class))), tickOf(c.report))
	if c.flags&isArmed != 0 {
		if int32(uint32(due)-c.tick) >= 0 {
			return
		}
		s.disarm(c)
	}
	s.arm(c, due)
}

// class says which timeout a conn is under.
type class uint8

const (
	classAttempt class = iota
	classClosing
	classHalfOpen
	classIdle
	classUDP
	classOther
)

func (s *Shard) timeout(k class) time.Duration {
	switch k {
	case classAttempt:
		return s.cfg.Attempt
	case classClosing:
		return s.cfg.Closing
	case classHalfOpen:
		return s.cfg.HalfOpen
	case classIdle:
		return s.cfg.Idle
	case classUDP:
		return s.cfg.UDP
	}
	return s.cfg.Other
}

// classify returns the timeout a conn is under by what was seen of it. TCP
// that carries payload while one side only was captured is kept as long as
// other one-sided traffic: that capture is one-sided, not the conn.
func (c *conn) classify() class {
	switch {
	case c.key.proto == testudo.UDP:
		return classUDP
	case c.key.proto != testudo.TCP:
		return classOther
	case c.state[0] == stReset || c.state[1] == stReset,
		c.state[0] == stClosed && c.state[1] == stClosed:
		return classClosing
	case c.flags&isAnswered == 0:
		if c.talk == 0 {
			return classAttempt
		}
		return classOther
	case c.state[0] == stClosed || c.state[1] == stClosed:
		return classHalfOpen
	}
	return classIdle
}
