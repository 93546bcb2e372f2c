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
	meter    *meter
	conns    saved // last: it needs the others
}

// Saved returns what is to be written of s. Reading into the Saved of a new
// shard fills that shard.
func (s *Shard) Saved() *Saved {
	s.meter.tidy()
	v := &Saved{
		s: s, now: s.now, tick: s.wheel.tick, stats: s.stats,
		weirdSec: s.weirdSec, weirdN: s.weirdN, expects: s.expects, meter: &s.meter,
	}
	v.conns.of = v
	return v
}

// saved goes through the open conns, each eviction list from its head.
type saved struct{ of *Saved }

// apart is what is saved of a conn that it has by number only: numbers are
// those of a run.
type apart struct {
	service string // all services in order
	want    string // protocol it was announced for, "" for none
	talk    *talk
	gaps    *gaps
	rare    *rare
	reading reading
}

// reading is what is saved of a conn's stream.
type reading struct {
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
func (*saved) EntryTypes() (key, value any) { return (*apart)(nil), (*conn)(nil) }

// EntryCounts returns how many conns are open.
func (v *saved) EntryCounts() (n, shed int) { return v.of.s.conns.live, 0 }

// EachEntry yields every conn, and whether it was answered.
func (v *saved) EachEntry(yield func(key, value any, kept bool) bool) {
	s := v.of.s
	for _, which := range [...]uint8{unanswered, answered} {
		for id := s.lists[which].head; id != 0; {
			c := s.conns.at(id)
			a := s.apartOf(c)
			if !yield(&a, c, which == answered) {
				return
			}
			id = c.next
		}
	}
}

// apartOf returns what is c's; it is not copied.
func (s *Shard) apartOf(c *conn) apart {
	a := apart{service: s.services.name(c.service), talk: s.talks.of(c.talk), rare: s.rares.of(c.rare)}
	if a.talk != nil {
		a.gaps = s.gaps.of(a.talk.gaps)
	}
	if c.want >= 0 {
		a.want = s.dispatch.entries[c.want].Name
	}
	if st := s.streams.all[c.stream]; st != nil && st.phase != phaseOff {
		a.reading = s.readingOf(st)
	}
	return a
}

func (s *Shard) readingOf(st *stream) reading {
	r := reading{open: true}
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
	if n := v.of.expects.n; n < 0 || n > maxExpects || v.of.meter != &s.meter || !s.meter.sound() {
		return errConn
	}
	s.now, s.stats = v.of.now, v.of.stats
	s.wheel.tick = max(s.wheel.tick, v.of.tick)
	s.weirdSec, s.weirdN, s.expects = v.of.weirdSec, v.of.weirdN, v.of.expects
	for range n {
		var a apart
		id := s.conns.get()
		c := s.conns.at(id)
		wasAnswered, err := next(&a, c)
		if err != nil {
			return err
		}
		if s.conns.live > s.cfg.Conns {
			s.stats.ShedIdle++
			s.conns.put(id)
			continue
		}
		c.id, c.hash = id, c.key.place(s.cfg.Secret)
		if int(c.hist.n) > len(c.hist.letters) || !a.sound() || s.table.find(&c.key, c.hash, &s.conns) != 0 {
			return errConn
		}
		s.enter(c, wasAnswered)
		s.attach(c, &a)
		s.reopen(c, &a)
	}
	return nil
}

// enter puts c into the table, the wheel and its eviction list.
func (s *Shard) enter(c *conn, wasAnswered bool) {
	s.table.insert(c.hash, c.id)
	which := unanswered
	if wasAnswered {
		which = answered
	}
	used := c.flags & isUsed
	s.push(which, c)
	c.flags = c.flags&^isArmed | used
	s.arm(c, min(tickOf(c.last.Add(s.timeout(c.class))), tickOf(c.report)))
}

// attach gives c what it has by number.
func (s *Shard) attach(c *conn, a *apart) {
	c.want, c.service = s.entryOf(a.want), s.services.number(a.service)
	if a.talk != nil {
		c.talk = s.talks.get()
		t := s.talks.at(c.talk)
		*t = *a.talk
		if a.gaps != nil {
			t.gaps = s.gaps.get()
			*s.gaps.at(t.gaps) = *a.gaps
		}
	}
	if a.rare != nil {
		c.rare = s.rares.get()
		*s.rares.at(c.rare) = *a.rare
	}
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

// sound tells whether nothing in a leads outside of it.
func (a *apart) sound() bool {
	if g := a.gaps; g != nil && int(max(g.nholes[0], g.nholes[1])) > len(g.holes[0]) {
		return false
	}
	return len(a.service) <= maxServiceList && a.reading.sound()
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
func (s *Shard) reopen(c *conn, a *apart) {
	r := &a.reading
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
		if st.conn.key.proto == testudo.TCP && r.next[d] > 0 && st.phase == phaseReading {
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
