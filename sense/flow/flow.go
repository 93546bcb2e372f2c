// Package flow turns packets into conversations: it keeps the table of live
// conns, puts TCP streams back in order, finds out by content which protocol
// speaks, runs that protocol's analyzer and reports every conn.
//
// A Shard is one of a fixed number of logical shards. It is single-threaded
// and shares nothing, so many run in parallel. All its memory is bounded by
// its Config, what is shed is counted by cause, and what it emits depends on
// the packets alone: not on how often Advance is called, nor on how many
// workers there are. DESIGN.md beside this file tells how and why.
package flow

import (
	"time"
	"unsafe"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/packet"
	"github.com/testudo-shield/testudo/sense/protocol"
)

// Config bounds one shard. Zero fields take the defaults named.
type Config struct {
	Conns       int // live conns, at most half of them without an answer; default 16384
	StreamBytes int // all reassembly and probe buffers; default 8 MiB
	FlowBytes   int // of these, per direction of one conn; default 64 KiB, at most 256 KiB

	Attempt  time.Duration // conn without an answer: default 5 s
	Closing  time.Duration // TCP after both FINs or a RST: default 5 s
	HalfOpen time.Duration // TCP with one side closed: default 5 min
	Idle     time.Duration // TCP without packets: default 15 min
	UDP      time.Duration // UDP without packets: default 1 min
	Other    time.Duration // ICMP and all the rest: default 1 min

	FirstReport time.Duration // first interim report after the start: default 1 min
	Report      time.Duration // later ones: default 5 min

	// Secret goes into the hash that places conns in the table, so that nobody
	// can choose conns that crowd one place. Nothing that is emitted depends
	// on it.
	Secret uint64
	// Fallback names the protocol that reads what no protocol claimed;
	// default "opaque". It never shows as a conn's service.
	Fallback string
	// Inner names the protocols that may begin inside a conversation nobody
	// claimed, as TLS does in many mail and database protocols; default "ssl".
	Inner []string
}

func (c Config) withDefaults() Config {
	def := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
		*d = min(*d, time.Hour)
	}
	if c.Conns <= 0 {
		c.Conns = 16384
	}
	if c.StreamBytes <= 0 {
		c.StreamBytes = 8 << 20
	}
	if c.FlowBytes <= 0 {
		c.FlowBytes = 64 << 10
	}
	c.FlowBytes = min(c.FlowBytes, maxBuf)
	def(&c.Attempt, 5*time.Second)
	def(&c.Closing, 5*time.Second)
	def(&c.HalfOpen, 5*time.Minute)
	def(&c.Idle, 15*time.Minute)
	def(&c.UDP, time.Minute)
	def(&c.Other, time.Minute)
	def(&c.FirstReport, time.Minute)
	def(&c.Report, 5*time.Minute)
	if c.Fallback == "" {
		c.Fallback = "opaque"
	}
	if c.Inner == nil {
		c.Inner = []string{"ssl"}
	}
	return c
}

// Stats counts what a shard did since it was made. Live and StreamHeld are
// gauges.
type Stats struct {
	Packets, Ignored, ARP int64 // all packets; those not for flow; address resolution
	Conns, Live           int64 // conns begun; conns in the table now
	Reports, Interims     int64 // Conn records, without and with Interim

	ShedUnanswered int64 // conns evicted that never got an answer
	ShedIdle       int64 // ordinary conns evicted, the longest idle first

	StreamHeld  int64 // bytes of reassembly and probe buffers in use
	Squeezes    int64 // streams made to give up their buffers for others
	Gaps        int64 // Gap calls
	GapBytes    int64 // bytes they told of
	Claimed     int64 // conversations a protocol recognised
	Unclaimed   int64 // conversations left to the fallback
	Weirds      int64 // weird records emitted
	WeirdsShed  int64 // weird records over the bounds of conn or second
	ExpectsShed int64 // announced conns forgotten for newer ones
	LoadsShed   int64 // packets outside of conversations that no load tells of
}

// Add adds o to t.
func (t *Stats) Add(o Stats) {
	t.Packets += o.Packets
	t.Ignored += o.Ignored
	t.ARP += o.ARP
	t.Conns += o.Conns
	t.Live += o.Live
	t.Reports += o.Reports
	t.Interims += o.Interims
	t.ShedUnanswered += o.ShedUnanswered
	t.ShedIdle += o.ShedIdle
	t.StreamHeld += o.StreamHeld
	t.Squeezes += o.Squeezes
	t.Gaps += o.Gaps
	t.GapBytes += o.GapBytes
	t.Claimed += o.Claimed
	t.Unclaimed += o.Unclaimed
	t.Weirds += o.Weirds
	t.WeirdsShed += o.WeirdsShed
	t.ExpectsShed += o.ExpectsShed
	t.LoadsShed += o.LoadsShed
}

// Shard is one logical shard of the flow room. Use New.
type Shard struct {
	cfg   Config
	emit  func(at testudo.Time, r testudo.Record)
	now   testudo.Time // of the packet or timer being handled
	stats Stats

	table table
	conns pool[conn]
	talks pool[talk]
	gaps  pool[gaps]
	rares pool[rare]
	wheel wheel
	lists [3]list // for eviction

	dispatch dispatch
	mem      memory
	strings  intern
	streams  streams
	services services
	expects  expects
	meter    meter
	weirdSec int64 // second of traffic time the count below belongs to
	weirdN   int

	connSlab  protocol.Slab[testudo.Conn]
	reused    []*testudo.Conn
	arpSlab   protocol.Slab[testudo.ARP]
	weirdSlab protocol.Slab[testudo.Weird]

	batch [batchSize]look
	sink  uint32 // keeps the early loads of Batch alive
}

// New returns an empty shard that runs protocols and hands every record to
// emit. The time given to emit is traffic time: the clock of the packet that
// made the record, or the nominal time of the timer.
func New(cfg Config, protocols []protocol.Protocol, emit func(at testudo.Time, r testudo.Record)) *Shard {
	cfg = cfg.withDefaults()
	s := &Shard{cfg: cfg, emit: emit}
	s.table.grow(256)
	s.streams.all = make([]*stream, 1)
	s.mem.limit = cfg.StreamBytes
	s.dispatch.setup(cfg, protocols)
	s.dispatch.host = &host{s: s}
	return s
}

// Stats returns the counts so far.
func (s *Shard) Stats() Stats {
	t := s.stats
	t.Live = int64(s.conns.live)
	t.StreamHeld = int64(s.mem.used)
	return t
}

// Live returns how many conns are in the table.
func (s *Shard) Live() int { return s.conns.live }

// Held returns the bytes of the table and of all that hangs on its conns,
// streams apart: what was ever needed at once, as none of it is given back.
func (s *Shard) Held() int {
	return len(s.table.places)*int(unsafe.Sizeof(place{})) + s.conns.size() + s.talks.size() + s.gaps.size() + s.rares.size()
}

// Packet takes in one packet. Timers that are due by p.Clock run first.
func (s *Shard) Packet(p *packet.Packet) {
	var l look
	l.of(p, s.cfg.Secret)
	s.take(p, &l)
}

const batchSize = 32

// Batch is Packet for ps[i] of every i in idx, in that order, with look-ups
// made in groups so that their cache misses overlap.
func (s *Shard) Batch(ps []packet.Packet, idx []int32) {
	for len(idx) > 0 {
		n := min(len(idx), batchSize)
		var ids [batchSize]uint32
		for i, j := range idx[:n] {
			s.batch[i].of(&ps[j], s.cfg.Secret)
		}
		places, mask := s.table.places, s.table.mask
		for i := range idx[:n] {
			ids[i] = places[s.batch[i].hash&mask].conn
		}
		var more [batchSize][2]uint32
		sink := uint32(0)
		for i, id := range ids[:n] {
			if id != 0 {
				c := s.conns.at(id)
				more[i] = [2]uint32{c.talk, c.stream}
				sink += uint32(c.side[0].top) + uint32(c.seen)
			}
		}
		for _, m := range more[:n] {
			if m[0] != 0 {
				t := s.talks.at(m[0])
				sink += uint32(t.pulse[0].last) + uint32(t.pulse[1].last)
			}
			if st := s.streams.all[m[1]]; st != nil {
				sink += uint32(st.phase) + uint32(st.half[1].next)
			}
		}
		s.sink += sink
		for i, j := range idx[:n] {
			s.take(&ps[j], &s.batch[i])
		}
		idx = idx[n:]
	}
}

// Advance runs the timers that are due by now.
func (s *Shard) Advance(now testudo.Time) {
	if int64(now)>>tickShift > s.wheel.tick {
		s.tellLoads(testudo.Time((s.wheel.tick+1)<<tickShift), int64(now)>>tickShift)
		s.runTimers(int64(now) >> tickShift)
	}
}

// Flush ends the input: after the timers due by now, everything still open
// is reported.
func (s *Shard) Flush(now testudo.Time) {
	s.Advance(now)
	s.now = now
	s.tellLoads(now, s.wheel.tick+1)
	for i := range s.lists {
		for l := &s.lists[i]; l.head != 0; {
			s.remove(s.conns.at(l.head))
		}
	}
}

// take handles one packet whose key is known.
func (s *Shard) take(p *packet.Packet, l *look) {
	s.Advance(p.Clock)
	s.now = p.Clock
	s.stats.Packets++
	switch p.Kind {
	case packet.KindIP:
	case packet.KindARP:
		s.arp(p)
		return
	case packet.KindFragment:
		s.fragment(p)
		return
	default:
		s.stats.Ignored++
		return
	}
	var c *conn
	if id := s.table.find(&l.key, l.hash, &s.conns); id != 0 {
		c = s.conns.at(id)
		if p.Proto == testudo.TCP && p.Flags&(packet.SYN|packet.ACK|packet.RST|packet.FIN) == packet.SYN && s.reuses(c, p, l) {
			s.remove(c)
			c = nil
		}
	}
	if c == nil {
		c = s.begin(p, l)
	}
	d := c.dir(l)
	s.count(c, p, d)
	switch p.Proto {
	case testudo.TCP:
		s.tcp(c, p, d)
	case testudo.UDP:
		s.udp(c, p, d)
	case testudo.ICMP, testudo.ICMPv6:
		s.icmp(c, p, d)
	default:
		s.other(c, p, d)
	}
	if c.flags&isOwing != 0 {
		s.weigh(c, p, d)
	}
	s.settle(c)
	s.rearm(c)
}
