package ipfix

import (
	"encoding/binary"
	"net/netip"

	"github.com/testudo-shield/testudo"
)

// report emits a conversation as it is known now.
func (t *table) report(e *entry, interim bool) {
	if e.dir < 0 {
		d, guessed := e.begin()
		e.dir, e.guessed = int8(d), guessed
	}
	o, r := &e.side[e.dir], &e.side[1-e.dir]
	c := &testudo.Conn{VLAN: e.vlan, Interim: interim}
	c.Time, c.ID = e.start(), e.connID()
	c.Duration = max(o.last, r.last).Sub(c.Time)
	if e.uid == 0 {
		e.uid = uidOf(&e.key, c.Time, uint8(e.dir))
	}
	c.UID = e.uid
	c.OrigPkts, c.OrigIPBytes, c.OrigBytes = o.pkts, o.bytes, o.payload
	c.RespPkts, c.RespIPBytes, c.RespBytes = r.pkts, r.bytes, r.payload
	c.State, c.History = e.word(o, r), e.history(o, r)
	now := testudo.Delta{OrigBytes: o.payload, RespBytes: r.payload, OrigPkts: o.pkts, RespPkts: r.pkts, Duration: c.Duration}
	c.Delta = testudo.Delta{
		OrigBytes: now.OrigBytes - e.was.OrigBytes, RespBytes: now.RespBytes - e.was.RespBytes,
		OrigPkts: now.OrigPkts - e.was.OrigPkts, RespPkts: now.RespPkts - e.was.RespPkts,
		Duration: now.Duration - e.was.Duration,
	}
	if interim && c.Delta == (testudo.Delta{}) {
		return
	}
	e.was = now
	t.emit(c)
}

// start is when the conversation was first seen. It does not move once it was
// reported: a piece that tells of an earlier moment came too late.
func (e *entry) start() testudo.Time {
	if e.first != 0 {
		return e.first
	}
	a, b := &e.side[0], &e.side[1]
	switch {
	case !a.seen:
		e.first = b.first
	case !b.seen:
		e.first = a.first
	default:
		e.first = min(a.first, b.first)
	}
	return e.first
}

func (e *entry) isICMP() bool {
	return e.key.proto == testudo.ICMP || e.key.proto == testudo.ICMPv6
}

func (e *entry) connID() testudo.ConnID {
	id := testudo.ConnID{Orig: e.end(int(e.dir)), Resp: e.end(int(1 - e.dir)), Proto: e.key.proto}
	if e.isICMP() { // type and code, as in Zeek
		id.Orig = netip.AddrPortFrom(id.Orig.Addr(), e.key.loPort)
		id.Resp = netip.AddrPortFrom(id.Resp.Addr(), e.icmp&0xff)
	}
	return id
}

// begin tells which end began, and whether that is only guessed by ports.
func (e *entry) begin() (d int, guessed bool) {
	if e.began >= 0 {
		return int(e.began), false
	}
	a, b := &e.side[0], &e.side[1]
	switch {
	case a.seen && !b.seen:
		return e.beginOne(0)
	case b.seen && !a.seen:
		return e.beginOne(1)
	case e.isICMP() && e.asked != 0:
		return int(e.asked - 1), false
	case loneSYN(a) != loneSYN(b):
		if loneSYN(a) {
			return 0, false
		}
		return 1, false
	case a.first != b.first && !e.sampled:
		if a.first < b.first {
			return 0, false
		}
		return 1, false
	}
	d = e.byPort(0)
	return d, e.sampled || d != e.byPort(1) // where ports say nothing either
}

// beginOne is begin where only one end was seen to send. Who sends a
// datagram is taken for who asked; who sends only answers is not.
func (e *entry) beginOne(d int) (int, bool) {
	s := &e.side[d]
	if e.isICMP() {
		if e.asked == uint8(2-d) { // what was seen is the answer
			return 1 - d, false
		}
		return d, false
	}
	switch {
	case e.key.proto != testudo.TCP: // perhaps an answer whose question was lost on the way
		return d, e.sampled || e.byPort(d) != d
	case loneSYN(s):
		return d, false
	}
	return e.byPort(d), true
}

func loneSYN(s *side) bool { return s.flags&(flagSYN|flagACK) == flagSYN }

// byPort takes the end with the lower port for the server where one of them
// is a port that services have; else the given end began.
func (e *entry) byPort(d int) int {
	const clients = 32768 // the first port that clients are given
	lo, hi := e.key.loPort, e.key.hiPort
	if min(lo, hi) >= clients || max(lo, hi) < 1024 || lo == hi || max(lo, hi) < clients && min(lo, hi) >= 1024 {
		return d
	}
	if lo < hi {
		return 1
	}
	return 0
}

// word returns conn_state as Zeek defines it, as far as flags tell. Of a
// sample no silence is concluded.
func (e *entry) word(o, r *side) string {
	switch {
	case e.sampled && !(o.seen && r.seen):
		return "OTH"
	case e.key.proto == testudo.UDP:
		switch {
		case o.seen && r.seen:
			return "SF"
		case o.seen:
			return "S0"
		}
		return "SHR"
	case e.key.proto != testudo.TCP:
		return "OTH"
	case !r.seen:
		return attempted(o)
	case !o.seen:
		return answerOnly(r)
	}
	return bothWays(o, r)
}

func attempted(o *side) string {
	switch o.flags & (flagSYN | flagACK | flagFIN | flagRST) {
	case flagSYN:
		return "S0"
	case flagSYN | flagFIN:
		return "SH"
	case flagSYN | flagRST:
		return "RSTOS0"
	}
	return "OTH"
}

func answerOnly(r *side) string {
	if r.flags&flagRST != 0 {
		return "RSTRH"
	}
	if r.flags&flagSYN != 0 {
		return "SHR"
	}
	return "OTH"
}

func bothWays(o, r *side) string {
	of, rf := o.flags, r.flags
	switch {
	case rf&flagRST != 0 && rf&flagSYN == 0 && o.payload == 0 && r.payload == 0:
		return "REJ"
	case of&flagRST != 0 && loneSYN(o):
		return "RSTOS0"
	case of&flagRST != 0:
		return "RSTO"
	case rf&flagRST != 0:
		return "RSTR"
	case of&rf&flagFIN != 0:
		return "SF"
	case of&flagFIN != 0:
		return "S2"
	case rf&flagFIN != 0:
		return "S3"
	case of&rf&flagSYN != 0:
		return "S1"
	}
	return "OTH"
}

// history gives Zeek's letters in the order in which they usually come: which
// flags there were is known, in which order is not. A ^ in front says that
// who began was guessed.
func (e *entry) history(o, r *side) string {
	var b [16]byte
	h := b[:0]
	if e.guessed {
		h = append(h, '^')
	}
	if e.key.proto != testudo.TCP {
		if o.payload > 0 || o.seen {
			h = append(h, 'D')
		}
		if r.seen {
			h = append(h, 'd')
		}
		return string(h)
	}
	if o.flags == 0 && r.flags == 0 && !e.guessed {
		h = append(h, '^') // an exporter that tells no flags
	}
	if o.flags&(flagSYN|flagFIN|flagACK) == flagSYN|flagFIN && o.pkts == 1 {
		h = append(h, 'Q')
	} else {
		h = letter(h, 'S', o.flags&flagSYN != 0)
	}
	h = letter(h, 'h', r.flags&flagSYN != 0)
	h = letter(h, 'A', o.flags&flagACK != 0)
	h = letter(h, 'D', o.payload > 0)
	h = letter(h, 'a', r.flags&flagACK != 0 && r.flags&flagSYN == 0 && r.flags&flagRST == 0)
	h = letter(h, 'd', r.payload > 0)
	h = letter(h, 'F', o.flags&flagFIN != 0 && (len(h) == 0 || h[len(h)-1] != 'Q'))
	h = letter(h, 'f', r.flags&flagFIN != 0)
	h = letter(h, 'R', o.flags&flagRST != 0)
	h = letter(h, 'r', r.flags&flagRST != 0)
	return string(h)
}

func letter(h []byte, c byte, is bool) []byte {
	if is {
		return append(h, c)
	}
	return h
}

// uidOf names a conversation by its ends and start.
func uidOf(k *key, start testudo.Time, dir uint8) testudo.UID {
	h := uint64(0x9e3779b97f4a7c15)
	for _, n := range [...]uint64{
		binary.BigEndian.Uint64(k.lo[:]), binary.BigEndian.Uint64(k.lo[8:]),
		binary.BigEndian.Uint64(k.hi[:]), binary.BigEndian.Uint64(k.hi[8:]),
		uint64(k.loPort)<<32 | uint64(k.hiPort)<<16 | uint64(k.proto)<<8 | uint64(dir), uint64(start),
	} {
		h = (h ^ n) * 0xff51afd7ed558ccd
		h ^= h >> 32
	}
	return testudo.UID(max(h, 1))
}
