package flow

import (
	"encoding"
	"encoding/binary"
	"errors"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/packet"
)

// Saved is what a shard leaves to the next run of the shield, as judge/snapshot
// writes and reads it: every open conversation with all its counters, and what
// was kept of one that no protocol has claimed yet. An analyzer that marshals
// itself goes on where it was; to the others, and to bytes that came out of
// order, a restart is a gap.
type Saved struct {
	s        *Shard `snapshot:"-"`
	now      testudo.Time
	tick     int64
	stats    Stats
	weirdSec int64
	weirdN   int
	expects  expects
	conns    saved // last: it needs the others
}

// Saved returns what is to be written of s. Reading into the Saved of a new
// shard fills that shard.
func (s *Shard) Saved() *Saved {
	v := &Saved{
		s: s, now: s.now, tick: s.wheel.tick, stats: s.stats,
		weirdSec: s.weirdSec, weirdN: s.weirdN, expects: s.expects,
	}
	v.conns.of = v
	return v
}

// saved goes through the open conns, each eviction list from its head.
type saved struct{ of *Saved }

// reading is what is saved of a conn's stream.
type reading struct {
	want   string // protocol it was announced for, "" for none
	reads  string // protocol that reads it
	open   bool   // there is a stream
	state  []byte // of the analyzer, nil where it cannot tell
	next   [2]int64
	kept   [2][]byte // while probing, as all below
	prefix [2]int
	frozen [2]bool
	pieces []piece
	ndata  uint8
}

// EntryTypes, EntryCounts, EachEntry and TakeEntries are for judge/snapshot.
func (*saved) EntryTypes() (key, value any) { return (*reading)(nil), (*conn)(nil) }

// EntryCounts returns how many conns are open.
func (v *saved) EntryCounts() (n, shed int) { return v.of.s.conns.live, 0 }

// EachEntry yields every conn, and whether it was answered.
func (v *saved) EachEntry(yield func(key, value any, kept bool) bool) {
	s := v.of.s
	for _, which := range [...]uint8{unanswered, answered} {
		for id := s.lists[which].head; id != 0; {
			c := s.conns.at(id)
			r := s.readingOf(c)
			if !yield(&r, c, which == answered) {
				return
			}
			id = c.next
		}
	}
}

func (s *Shard) readingOf(c *conn) (r reading) {
	if c.want >= 0 {
		r.want = s.dispatch.entries[c.want].Name
	}
	st := c.stream
	if st == nil || st.phase == phaseOff {
		return r
	}
	r.open = true
	if st.entry >= 0 {
		r.reads = s.dispatch.entries[st.entry].Name
		if a, ok := st.an.(encoding.BinaryAppender); ok {
			r.state, _ = a.AppendBinary(nil)
		}
	}
	for d := range st.half {
		h := &st.half[d]
		r.next[d] = h.next
		if st.phase == phaseProbing {
			r.kept[d], r.prefix[d], r.frozen[d] = h.buf, h.prefix, h.frozen
		}
	}
	if st.pieces != nil {
		r.pieces, r.ndata = st.pieces[:st.npieces], st.ndata
	}
	return r
}

var errConn = errors.New("a conversation that cannot be")

// TakeEntries opens n conns. Those over the budget are shed.
func (v *saved) TakeEntries(n, _ int, next func(key, value any) (kept bool, err error)) error {
	s := v.of.s
	if n := v.of.expects.n; n < 0 || n > maxExpects {
		return errConn
	}
	s.now, s.stats = v.of.now, v.of.stats
	s.wheel.tick = max(s.wheel.tick, v.of.tick)
	s.weirdSec, s.weirdN, s.expects = v.of.weirdSec, v.of.weirdN, v.of.expects
	for range n {
		var r reading
		c := s.conns.get()
		wasAnswered, err := next(&r, c)
		if err != nil {
			return err
		}
		if s.conns.live > s.cfg.Conns {
			s.stats.ShedIdle++
			s.conns.put(c)
			continue
		}
		c.hash = c.key.place(s.cfg.Secret)
		if !c.sound() || !r.sound() || s.table.find(&c.key, c.hash) != 0 {
			return errConn
		}
		s.table.insert(&c.key, c.hash, c.id)
		if wasAnswered {
			s.push(answered, c)
		} else {
			s.push(unanswered, c)
		}
		s.arm(c, min(tickOf(c.last.Add(s.timeout(c.class))), tickOf(c.report)))
		s.reopen(c, &r)
	}
	return nil
}

// place returns what look.of hashes a packet of k to.
func (k *key) place(secret uint64) uint32 {
	var lo, hi packet.IP
	binary.BigEndian.PutUint64(lo[:8], k.lo[0])
	binary.BigEndian.PutUint64(lo[8:], k.lo[1])
	binary.BigEndian.PutUint64(hi[:8], k.hi[0])
	binary.BigEndian.PutUint64(hi[8:], k.hi[1])
	h := packet.PairHash(lo, hi)
	if h == 0 {
		h = mix(mix(k.lo[0], k.lo[1]), mix(k.hi[0], k.hi[1]))
	}
	h = mix(h^secret, uint64(k.ports)|uint64(k.proto)<<32)
	return uint32(h ^ h>>32)
}

// sound tells whether nothing in c leads outside of it.
func (c *conn) sound() bool {
	if int(c.hist.n) > len(c.hist.letters) {
		return false
	}
	t := c.talk
	if t == nil {
		return true
	}
	most := uint8(0)
	if t.holes != nil {
		most = uint8(len(t.holes[0]))
	}
	return t.nholes[0] <= most && t.nholes[1] <= most
}

func (r *reading) sound() bool {
	for d := range r.next {
		if r.next[d] < 0 || r.prefix[d] < 0 || len(r.kept[d]) > maxBuf {
			return false
		}
	}
	left := [2]int{len(r.kept[0]), len(r.kept[1])}
	for _, p := range r.pieces {
		if p.n < 0 || p.dir > 1 {
			return false
		}
		if !p.gap {
			left[p.dir] -= int(p.n)
		}
	}
	return len(r.pieces) <= maxPieces && left == [2]int{}
}

// reopen gives c a stream as it had one.
func (s *Shard) reopen(c *conn, r *reading) {
	c.want = s.entryOf(r.want)
	reads := s.entryOf(r.reads)
	switch {
	case !r.open:
		return
	case r.reads != "" && (reads < 0 || reads == s.dispatch.fallback && r.state == nil):
		// The fallback looks at how a conversation begins, and that is over.
		c.flags |= noStream
		return
	}
	service := c.service
	st := s.open(c)
	if st == nil {
		return
	}
	for d := range st.half {
		st.half[d].next = r.next[d]
		st.flow.Closed[d] = c.state[d] == stClosed || c.state[d] == stReset
	}
	if reads < 0 {
		s.probeOn(st, r)
	} else {
		s.readOn(st, r, reads)
	}
	c.service = service
	s.settle(c)
}

// readOn has the protocol go on behind a gap.
func (s *Shard) readOn(st *stream, r *reading, reads int16) {
	if st.phase != phaseReading {
		s.start(st, reads)
	}
	if a, ok := st.an.(encoding.BinaryUnmarshaler); ok && r.state != nil {
		if a.UnmarshalBinary(r.state) != nil {
			st.an.Reset()
			s.finish(st)
		}
		return
	}
	st.flow.MidStream = true
	for d := range st.half {
		if st.conn.proto == testudo.TCP && r.next[d] > 0 && st.phase == phaseReading {
			s.readGap(st, d, 0)
		}
	}
}

// probeOn puts back what was kept until a protocol claims it.
func (s *Shard) probeOn(st *stream, r *reading) {
	if len(r.pieces) == 0 || st.phase != phaseProbing {
		return
	}
	st.pieces = s.mem.piecesFor()
	st.npieces, st.ndata = uint8(copy(st.pieces[:], r.pieces)), r.ndata
	for d := range st.half {
		if len(r.kept[d]) > 0 && !s.keep(st, d, r.kept[d]) {
			s.finish(st)
			return
		}
		st.half[d].prefix, st.half[d].frozen = r.prefix[d], r.frozen[d]
	}
}

// entryOf returns the number of a protocol, -1 for none or an unknown one.
func (s *Shard) entryOf(name string) int16 {
	if i, ok := s.dispatch.names[name]; ok {
		return i
	}
	return -1
}
