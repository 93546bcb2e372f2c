// Package icmp sums up the echo traffic of a conversation (RFC 792, RFC 4443):
// how much went each way, what the payloads look like, and whether replies
// give back what was sent, as honest ones must. Other ICMP messages are left
// to the flow room.
package icmp

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/protocol"
)

const (
	headerLen   = 8           // type, code, checksum, identifier, sequence number
	period      = time.Minute // of traffic; a record each
	maxOpen     = 64          // requests remembered until their reply
	maxDistinct = 64          // request payloads compared with each other
	maxSample   = 4096        // payload bytes looked at for entropy and text
	maxHead     = 32
)

// Protocol describes ICMP and ICMPv6 echo. It is given all ICMP traffic.
func Protocol() protocol.Protocol {
	return protocol.Protocol{
		Name: "icmp",
		Over: protocol.OverICMP,
		Open: func(*protocol.Records) func() protocol.Analyzer {
			s := &shard{}
			return func() protocol.Analyzer { return &analyzer{shard: s} }
		},
	}
}

type shard struct {
	records protocol.Slab[testudo.ICMPEcho]
}

// request is an echo request that may still be answered.
type request struct {
	hash uint64
	key  uint32 // identifier and sequence number
	dir  protocol.Dir
}

// sample describes payload bytes seen so far.
type sample struct {
	counts [256]uint16
	n      int
	head   []byte
}

type analyzer struct {
	*shard
	open     []request // oldest first
	distinct []uint64  // hashes of request payloads

	begin testudo.Time // of the first echo of this period
	sum   testudo.ICMPEcho
	seen  sample // of requests; of replies as long as there was no request
}

// Data implements protocol.Analyzer.
func (a *analyzer) Data(f *protocol.Flow, dir protocol.Dir, data []byte) int {
	if len(data) < headerLen {
		return len(data)
	}
	ask, reply := byte(8), byte(0)
	if f.ID.Proto == testudo.ICMPv6 {
		ask, reply = 128, 129
	}
	if data[0] != ask && data[0] != reply {
		return len(data)
	}
	if a.begin != 0 && f.Now.Sub(a.begin) >= period {
		a.emit(f)
	}
	if a.begin == 0 {
		a.begin = f.Now
	}
	key, payload := binary.BigEndian.Uint32(data[4:]), data[headerLen:]
	a.sum.MaxSize = max(a.sum.MaxSize, len(payload))
	if data[0] == ask {
		a.request(dir, key, payload)
	} else {
		a.reply(dir, key, payload)
	}
	return len(data)
}

func (a *analyzer) request(dir protocol.Dir, key uint32, payload []byte) {
	hash := hashOf(payload)
	if a.sum.Requests < maxDistinct {
		a.note(hash)
	}
	if a.sum.Requests == 0 {
		a.seen.clear()
	}
	a.sum.Requests++
	a.sum.RequestBytes += int64(len(payload))
	a.seen.add(payload)
	if i := a.find(dir, key); i >= 0 {
		a.forget(i) // asked again
	} else if len(a.open) >= maxOpen {
		a.forget(0)
	}
	a.open = append(a.open, request{hash: hash, key: key, dir: dir})
}

// note counts a request payload that was not among those before.
func (a *analyzer) note(hash uint64) {
	for _, h := range a.distinct {
		if h == hash {
			return
		}
	}
	a.distinct = append(a.distinct, hash)
}

func (a *analyzer) reply(dir protocol.Dir, key uint32, payload []byte) {
	a.sum.Replies++
	a.sum.ReplyBytes += int64(len(payload))
	if a.sum.Requests == 0 {
		a.seen.add(payload)
	}
	i := a.find(dir.Reverse(), key)
	if i < 0 {
		a.sum.Unasked++
		return
	}
	if a.open[i].hash != hashOf(payload) {
		a.sum.Mismatch++
	}
	a.forget(i)
}

// find returns the open request of a side with this key, -1 for none. The
// newest come first: most replies are to the last request.
func (a *analyzer) find(asker protocol.Dir, key uint32) int {
	for i := len(a.open) - 1; i >= 0; i-- {
		if a.open[i].key == key && a.open[i].dir == asker {
			return i
		}
	}
	return -1
}

func (a *analyzer) forget(i int) {
	a.open = append(a.open[:i], a.open[i+1:]...)
}

// emit writes the period's record and begins a new period.
func (a *analyzer) emit(f *protocol.Flow) {
	r := a.records.New()
	*r = a.sum
	s := &a.seen
	r.Time = a.begin
	r.Entropy, r.Text = s.entropy(), s.text()
	r.Distinct = len(a.distinct)
	if len(s.head) > 0 {
		r.Head = f.Intern(s.head)
	}
	f.Emit(r)
	a.clear()
}

func (a *analyzer) clear() {
	a.begin, a.sum = 0, testudo.ICMPEcho{}
	a.distinct = a.distinct[:0]
	a.seen.clear()
}

// Gap implements protocol.Analyzer: bytes that were sent but not captured are
// not counted.
func (a *analyzer) Gap(*protocol.Flow, protocol.Dir, int) {}

// End implements protocol.Analyzer.
func (a *analyzer) End(f *protocol.Flow) {
	if a.begin != 0 {
		a.emit(f)
	}
}

// Reset implements protocol.Analyzer.
func (a *analyzer) Reset() {
	a.clear()
	a.open = a.open[:0]
}

func (s *sample) add(payload []byte) {
	if s.n == 0 {
		s.head = append(s.head[:0], payload[:min(len(payload), maxHead)]...)
	}
	for _, c := range payload[:min(len(payload), maxSample-s.n)] {
		s.counts[c]++
		s.n++
	}
}

func (s *sample) clear() {
	if s.n > 0 {
		s.counts, s.n = [256]uint16{}, 0
	}
	s.head = s.head[:0]
}

// entropy returns the bits a byte of the sample, 0 for an empty one.
func (s *sample) entropy() float64 {
	h := 0.0
	for _, c := range s.counts {
		if c > 0 {
			p := float64(c) / float64(s.n)
			h -= p * math.Log2(p)
		}
	}
	return h
}

// text returns the share of printable ASCII and white space.
func (s *sample) text() float64 {
	if s.n == 0 {
		return 0
	}
	n := int(s.counts['\t']) + int(s.counts['\n']) + int(s.counts['\r'])
	for c := ' '; c <= '~'; c++ {
		n += int(s.counts[c])
	}
	return float64(n) / float64(s.n)
}

// hashOf is FNV-1a by eight bytes at a time, mixed further. Who forges a
// collision only hides that a reply differs from its request.
func hashOf(b []byte) uint64 {
	h := uint64(14695981039346656037)
	for len(b) >= 8 {
		h = (h ^ binary.LittleEndian.Uint64(b)) * 1099511628211
		h ^= h >> 29
		b = b[8:]
	}
	for _, c := range b {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return h ^ uint64(len(b))<<56
}
