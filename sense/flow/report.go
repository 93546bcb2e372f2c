package flow

import (
	"encoding/binary"
	"math"
	"strings"
	"time"

	"github.com/testudo-shield/testudo"
)

// interim reports a conn that lives long, if anything came since last time.
func (s *Shard) interim(c *conn) {
	if b := s.rares.of(c.rare); b != nil && b.reported && b.pkts[0] == c.side[0].pkts && b.pkts[1] == c.side[1].pkts {
		return
	}
	s.report(c, true)
}

// report emits the Conn record.
func (s *Shard) report(c *conn, interim bool) {
	o, r := &c.side[0], &c.side[1]
	m := s.newConn()
	m.Time, m.UID, m.ID = c.start, c.uid, c.connID()
	m.Service, m.Duration, m.State = s.services.name(c.service), c.elapsed, c.word()
	m.OrigBytes, m.RespBytes = c.bytes(0), c.bytes(1)
	m.OrigPkts, m.RespPkts = o.pkts, r.pkts
	m.OrigIPBytes, m.RespIPBytes = o.ip, r.ip
	m.VLAN, m.Tunnel, m.Interim = c.vlan, c.tunnel.String(), interim
	if c.talk != 0 {
		t := s.talks.at(c.talk)
		if g := s.gaps.of(t.gaps); g != nil {
			for d := range g.lost {
				missed := g.missed(d)
				m.MissedBytes += missed
				if missed > 0 && !interim {
					c.hist.once('G', d)
				}
			}
		}
		m.Turns, m.First = int(t.turns>>turnShift), t.spoke()
		m.Pulses, m.Replies = t.pulse[0].sum(int(t.n[0])), t.pulse[1].sum(int(t.n[1]))
	}
	m.History = s.strings.of(c.hist.text())
	var was rare
	if c.rare != 0 {
		was = *s.rares.at(c.rare)
	}
	m.Delta = testudo.Delta{
		OrigBytes: m.OrigBytes - was.bytes[0], RespBytes: m.RespBytes - was.bytes[1],
		OrigPkts: o.pkts - was.pkts[0], RespPkts: r.pkts - was.pkts[1],
		Duration: c.elapsed - was.elapsed,
	}
	s.stats.Reports++
	if interim {
		s.stats.Reports--
		s.stats.Interims++
		b := s.rareOf(c)
		b.reported, b.elapsed = true, c.elapsed
		b.bytes, b.pkts = [2]int64{m.OrigBytes, m.RespBytes}, [2]int64{o.pkts, r.pkts}
	}
	s.emit(s.now, m)
}

// rareOf returns what few conns have, made if c has none yet.
func (s *Shard) rareOf(c *conn) *rare {
	if c.rare == 0 {
		c.rare = s.rares.get()
	}
	return s.rares.at(c.rare)
}

// maxReused is how many Conn records wait to be written anew.
const maxReused = 512

// Reuse takes back a record that the shard wrote and nobody reads any longer,
// to write it anew.
func (s *Shard) Reuse(r testudo.Record) {
	if s.dispatch.records.Reuse(r) {
		return
	}
	switch r := r.(type) {
	case *testudo.Conn:
		if len(s.reused) < maxReused {
			s.reused = append(s.reused, r)
		}
	case *testudo.Load:
		s.meter.back(r)
	}
}

func (s *Shard) newConn() *testudo.Conn {
	n := len(s.reused)
	if n == 0 {
		return s.connSlab.New()
	}
	c := s.reused[n-1]
	s.reused = s.reused[:n-1]
	*c = testudo.Conn{}
	return c
}

// word returns conn_state as Zeek defines it.
func (c *conn) word() string {
	o, r := c.state[0], c.state[1]
	silent := func(x uint8) bool { return x == stNone || x == stPartial }
	if c.key.proto == testudo.UDP {
		switch {
		case o == stActive && r == stActive:
			return "SF"
		case o == stActive:
			return "S0"
		case r == stActive:
			return "SHR"
		}
		return "OTH"
	}
	if c.key.proto != testudo.TCP {
		return "OTH"
	}
	switch {
	case r == stReset && (o == stSynSent || o == stSynAckSent),
		r == stReset && o == stReset && c.bytes(0) == 0 && c.bytes(1) == 0:
		return "REJ"
	case r == stReset && silent(o):
		return "RSTRH"
	case r == stReset:
		return "RSTR"
	case o == stReset && silent(r):
		return "RSTOS0"
	case o == stReset:
		return "RSTO"
	case o == stClosed && r == stClosed:
		return "SF"
	case o == stClosed && silent(r):
		return "SH"
	case o == stClosed:
		return "S2"
	case r == stClosed && silent(o):
		return "SHR"
	case r == stClosed:
		return "S3"
	case o == stSynSent && r == stNone:
		return "S0"
	case o == stActive && r == stActive:
		return "S1"
	}
	return "OTH"
}

// history collects Zeek's letters: most of them once a side, those of
// repeated trouble at the first, tenth, hundredth time and so on.
type history struct {
	seen    [2]uint32 // by letter - 'A'
	n       uint8
	letters [23]byte
}

func (h *history) text() []byte { return h.letters[:h.n] }

func (h *history) add(b byte) {
	if int(h.n) < len(h.letters) {
		h.letters[h.n] = b
		h.n++
	}
}

// once notes a letter the first time a side earns it.
func (h *history) once(letter byte, d int) {
	bit := uint32(1) << (letter - 'A')
	if h.seen[d]&bit != 0 {
		return
	}
	h.seen[d] |= bit
	h.add(letter | byte(d)<<5)
}

// The letters that are noted again at every power of ten.
const (
	timesT = iota
	timesW
	timesG
)

// again notes a letter of trouble by the decimal logarithm of its count.
func (s *Shard) again(c *conn, which, d int) {
	n := &s.rareOf(c).times[d][which]
	if *n == math.MaxUint16 {
		return
	}
	*n++
	switch *n {
	case 1, 10, 100, 1000, 10000:
		c.hist.seen[d] |= 1 << ("TWG"[which] - 'A')
		c.hist.add("TWG"[which] | byte(d)<<5)
	}
}

// talk is what is kept of conns that carry payload.
type talk struct {
	pulse [2]pulse
	n     [2]uint32 // bursts
	gaps  uint32    `snapshot:"-"` // of those that missed payload
	turns uint32    // how often the direction changed, and who spoke, see spoke
}

// Who sent payload first and last: a bit for a side, in the lowest of turns.
const (
	firstShift = 2
	turnShift  = 4
)

// spoke returns who sent payload first: +1 orig, -1 resp, 0 nobody.
func (t *talk) spoke() int8 { return [4]int8{0, 1, -1, 0}[t.turns>>firstShift&3] }

// gaps is what is missing of a conn's payload.
type gaps struct {
	lost   [2]int64 // in holes no longer listed
	holes  [2][3]hole
	nholes [2]uint8
}

// hole is a range of payload that was skipped and may still come.
type hole struct{ from, to int64 }

// missed returns the payload bytes of a side that were never seen.
func (t *gaps) missed(d int) int64 {
	n := t.lost[d]
	for i := range t.nholes[d] {
		n += t.holes[d][i].to - t.holes[d][i].from
	}
	return n
}

// skip notes that [from, to) was jumped over.
func (t *gaps) skip(d int, from, to int64) {
	hs := &t.holes[d]
	if int(t.nholes[d]) == len(hs) {
		t.lost[d] += hs[0].to - hs[0].from
		copy(hs[:], hs[1:])
		t.nholes[d]--
	}
	hs[t.nholes[d]] = hole{from, to}
	t.nholes[d]++
}

// fill takes [from, to) out of the holes and tells whether any was hit.
func (t *gaps) fill(d int, from, to int64) bool {
	hit := false
	for i := 0; i < int(t.nholes[d]); i++ {
		h := &t.holes[d][i]
		if to <= h.from || from >= h.to {
			continue
		}
		hit = true
		switch {
		case from <= h.from && to >= h.to:
			copy(t.holes[d][i:], t.holes[d][i+1:t.nholes[d]])
			t.nholes[d]--
			i--
		case from <= h.from:
			h.from = to
		case to >= h.to:
			h.to = from
		default: // in the middle: the part before counts as lost
			t.lost[d] += from - h.from
			h.from = to
		}
	}
	return hit
}

// speak notes n new payload bytes of a side at a conn's own time.
func (t *talk) speak(d int, n int64, at time.Duration) {
	who := uint32(1 + d)
	if t.turns&3 == 0 {
		t.turns = who << firstShift
	} else if t.turns&3 != who {
		t.turns += 1 << turnShift
	}
	t.turns = t.turns&^3 | who
	if t.pulse[d].add(n, at, t.n[d]) {
		t.n[d]++
	}
}

// pulse sums up bursts by Welford's method.
type pulse struct {
	began, last     time.Duration
	size            float64 // of the burst that runs
	gapMean, gapM2  float64
	sizeMean, sizM2 float64
}

// add takes in n bytes after so many bursts and tells whether they begin
// another one.
func (q *pulse) add(n int64, at time.Duration, bursts uint32) bool {
	if bursts > 0 && at-q.last < time.Second {
		q.size += float64(n)
		q.last = at
		return false
	}
	if bursts > 0 {
		q.sizeMean, q.sizM2 = welford(int(bursts), q.sizeMean, q.sizM2, q.size)
		q.gapMean, q.gapM2 = welford(int(bursts), q.gapMean, q.gapM2, (at - q.began).Seconds())
	}
	q.began, q.last, q.size = at, at, float64(n)
	return true
}

// sum returns the pulse as reported, the running burst included.
func (q *pulse) sum(bursts int) testudo.Pulse {
	if bursts == 0 {
		return testudo.Pulse{}
	}
	mean, m2 := welford(bursts, q.sizeMean, q.sizM2, q.size)
	p := testudo.Pulse{Count: bursts, SizeMean: mean, SizeDev: math.Sqrt(m2 / float64(bursts))}
	if bursts > 1 {
		p.GapMean, p.GapDev = q.gapMean, math.Sqrt(q.gapM2/float64(bursts-1))
	}
	return p
}

// welford adds x as the n-th value to a mean and a sum of squared distances.
func welford(n int, mean, m2, x float64) (float64, float64) {
	d := x - mean
	mean += float64(d / float64(n))
	return mean, m2 + float64(d*(x-mean))
}

// intern shares equal strings: those of late, two for each value of a hash.
// New ones are written one behind the other, so that few are an allocation of
// their own; a piece of text is short, as whoever keeps a string keeps it all.
type intern struct {
	sets  [][2]string
	longs [][2]string
	text  strings.Builder
}

const internSets, maxStringLen, textBytes = 1024, 128, 512

// Longer strings, up to maxLongString bytes, have a smaller store of their own.
const longSets, maxLongString = 32, 1024

func (q *intern) of(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	if len(b) > maxStringLen {
		return q.long(b)
	}
	if q.sets == nil {
		q.sets = make([][2]string, internSets)
	}
	set := &q.sets[hashOf(b)%internSets]
	if set[0] == string(b) {
		return set[0]
	}
	if set[1] != string(b) {
		set[1] = q.add(b)
	}
	set[0], set[1] = set[1], set[0]
	return set[0]
}

func (q *intern) long(b []byte) string {
	if len(b) > maxLongString {
		return string(b)
	}
	if q.longs == nil {
		q.longs = make([][2]string, longSets)
	}
	set := &q.longs[hashOf(b)%longSets]
	if set[0] == string(b) {
		return set[0]
	}
	if set[1] != string(b) {
		set[1] = string(b)
	}
	set[0], set[1] = set[1], set[0]
	return set[0]
}

func (q *intern) add(b []byte) string {
	if q.text.Cap()-q.text.Len() < len(b) {
		q.text.Reset()
		q.text.Grow(textBytes)
	}
	at := q.text.Len()
	q.text.Write(b)
	return q.text.String()[at:]
}

func hashOf(b []byte) uint64 {
	h := uint64(len(b))
	for ; len(b) >= 8; b = b[8:] {
		h = mix(h, binary.LittleEndian.Uint64(b))
	}
	last := uint64(0)
	for _, c := range b {
		last = last<<8 | uint64(c)
	}
	return mix(h, last)
}
