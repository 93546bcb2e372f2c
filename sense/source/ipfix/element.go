package ipfix

import (
	"encoding/binary"
	"math"
	"net/netip"
	"time"

	"github.com/testudo-shield/testudo"
)

// Information elements that are read, by IANA's registry of IPFIX; NetFlow v9
// gives the first 127 the same meaning.
const (
	ieBytes          = 1
	iePackets        = 2
	ieProto          = 4
	ieTCPFlags       = 6
	ieSrcPort        = 7
	ieSrc4           = 8
	ieDstPort        = 11
	ieDst4           = 12
	ieLastUp         = 21
	ieFirstUp        = 22
	ieSrc6           = 27
	ieDst6           = 28
	ieICMP4          = 32
	ieInterval       = 34
	ieSampler        = 48
	ieRandom         = 50
	ieVLAN           = 58
	ieDirection      = 61
	ieTotalBytes     = 85
	ieTotalPackets   = 86
	ieEndReason      = 136
	ieICMP6          = 139
	ieStartSeconds   = 150
	ieEndSeconds     = 151
	ieStartMillis    = 152
	ieEndMillis      = 153
	ieStartMicros    = 154
	ieEndMicros      = 155
	ieStartNanos     = 156
	ieEndNanos       = 157
	ieStartBefore    = 158
	ieEndBefore      = 159
	ieSystemInit     = 160
	ieDurationMillis = 161
	ieDurationMicros = 162
	ieICMP4Type      = 176
	ieICMP4Code      = 177
	ieICMP6Type      = 178
	ieICMP6Code      = 179
	ieUDPSrcPort     = 180
	ieUDPDstPort     = 181
	ieTCPSrcPort     = 182
	ieTCPDstPort     = 183
	ieOrigOctets     = 231
	ieRespOctets     = 232
	ieBiflow         = 239
	ieDot1qVLAN      = 243
	ieOrigPackets    = 298
	ieRespPackets    = 299
	ieSelector       = 302
	ieSampleInterval = 305
	ieSampleSpace    = 306
	ieSampleSize     = 309
	iePopulation     = 310
	ieProbability    = 311

	// reverse marks an element of the other direction (RFC 5103).
	reverse    = 0x8000
	reversePEN = 29305
)

// heading is what a record says in one direction.
type heading struct {
	pkts, bytes int64 // bytes from the IP header on
	payload     int64 // above the transport, -1 where only bytes is known
	start, end  testudo.Time
	upStart     uint32 // ms since the exporter began
	upEnd       uint32
	hasUp       bool
	flags       uint8 // of TCP, of all packets together
}

// record is what was read of one data record.
type record struct {
	src, dst     netip.Addr
	sport, dport uint16
	proto        testudo.Proto
	icmp         uint16 // type and code, where told apart from the port
	hasICMP      bool
	vlan         uint16
	way          [2]heading // as source to destination, and back
	biflow       bool       // way[1] is told too
	initiator    uint8      // biflowDirection: 1 the source began, 2 the destination
	totals       bool       // counters run from the flow's beginning
	egress       bool
	reason       uint8 // flowEndReason
	init         testudo.Time
	duration     time.Duration
	before       [2]time.Duration // start and end before the export
	hasBefore    bool

	sampler      uint64
	rate         float64
	packetsTaken uint64 // of
	packetsLeft  uint64
	population   uint64
	sampleSize   uint64
}

// clear makes r ready for the next record.
func (r *record) clear() {
	*r = record{}
	r.way[0].payload, r.way[1].payload = -1, -1
}

// number reads an unsigned integer of up to 8 bytes, as IPFIX shortens them.
func number(v []byte) (n uint64) {
	if len(v) > 8 {
		v = v[len(v)-8:]
	}
	for _, b := range v {
		n = n<<8 | uint64(b)
	}
	return n
}

// maxCount bounds every counter, so that sums and products stay in range.
const maxCount = 1 << 50

func count(v []byte) int64 { return int64(min(number(v), maxCount)) }

// set takes the value of one element.
func (r *record) set(id uint16, v []byte) {
	w := &r.way[0]
	if id&reverse != 0 {
		w, r.biflow = &r.way[1], true
		id &^= reverse
	}
	switch id {
	case ieBytes:
		w.bytes = count(v)
	case iePackets:
		w.pkts = count(v)
	case ieTotalBytes:
		w.bytes, r.totals = count(v), true
	case ieTotalPackets:
		w.pkts, r.totals = count(v), true
	case ieTCPFlags:
		w.flags |= uint8(number(v))
	case ieFirstUp:
		w.upStart, w.hasUp = uint32(number(v)), true
	case ieLastUp:
		w.upEnd, w.hasUp = uint32(number(v)), true
	case ieStartSeconds, ieStartMillis, ieStartMicros, ieStartNanos:
		w.start = moment(id, v)
	case ieEndSeconds, ieEndMillis, ieEndMicros, ieEndNanos:
		w.end = moment(id-1, v)
	default:
		if w == &r.way[0] {
			r.setEnds(id, v)
		}
	}
}

// setEnds takes what does not belong to a direction.
func (r *record) setEnds(id uint16, v []byte) {
	switch id {
	case ieSrc4, ieSrc6:
		r.src = address(v, r.src)
	case ieDst4, ieDst6:
		r.dst = address(v, r.dst)
	case ieSrcPort, ieUDPSrcPort, ieTCPSrcPort:
		r.sport = uint16(number(v))
	case ieDstPort, ieUDPDstPort, ieTCPDstPort:
		r.dport = uint16(number(v))
	case ieProto:
		r.proto = testudo.Proto(number(v))
	case ieICMP4, ieICMP6:
		r.icmp, r.hasICMP = uint16(number(v)), true
	case ieICMP4Type, ieICMP6Type:
		r.icmp, r.hasICMP = r.icmp&0xff|uint16(number(v))<<8, true
	case ieICMP4Code, ieICMP6Code:
		r.icmp = r.icmp&0xff00 | uint16(number(v))&0xff
	case ieVLAN, ieDot1qVLAN:
		r.vlan = uint16(number(v)) & 0xfff
	case ieDirection:
		r.egress = number(v) == 1
	case ieEndReason:
		r.reason = uint8(number(v))
	case ieBiflow:
		r.initiator = uint8(number(v))
	case ieOrigOctets:
		r.way[0].payload = count(v)
	case ieRespOctets:
		r.way[1].payload, r.biflow = count(v), true
	case ieOrigPackets:
		r.way[0].pkts = count(v)
	case ieRespPackets:
		r.way[1].pkts, r.biflow = count(v), true
	case ieSystemInit:
		r.init = moment(ieStartMillis, v)
	case ieDurationMillis:
		r.duration = time.Duration(min(number(v), math.MaxUint32)) * time.Millisecond
	case ieDurationMicros:
		r.duration = time.Duration(min(number(v), math.MaxUint32)) * time.Microsecond
	case ieStartBefore:
		r.before[0], r.hasBefore = time.Duration(min(number(v), math.MaxUint32))*time.Microsecond, true
	case ieEndBefore:
		r.before[1], r.hasBefore = time.Duration(min(number(v), math.MaxUint32))*time.Microsecond, true
	default:
		r.setSampling(id, v)
	}
}

// setSampling takes what options data, or a flow itself, say of how packets
// were chosen.
func (r *record) setSampling(id uint16, v []byte) {
	switch id {
	case ieSampler, ieSelector:
		r.sampler = number(v)
	case ieInterval, ieRandom:
		r.rate = float64(number(v))
	case ieSampleInterval:
		r.packetsTaken = number(v)
	case ieSampleSpace:
		r.packetsLeft = number(v)
	case ieSampleSize:
		r.sampleSize = number(v)
	case iePopulation:
		r.population = number(v)
	case ieProbability:
		if p := real(v); p > 0 && p <= 1 {
			r.rate = 1 / p
		}
	}
}

// maxRate is the largest sampling rate that is believed.
const maxRate = 1 << 24

// sampling returns the rate the record tells, 0 if it tells none.
func (r *record) sampling() int64 {
	rate := r.rate
	switch {
	case r.sampleSize > 0 && r.population >= r.sampleSize:
		rate = float64(r.population) / float64(r.sampleSize)
	case r.packetsTaken > 0 && r.packetsLeft > 0 && rate == 0:
		rate = (float64(r.packetsTaken) + float64(r.packetsLeft)) / float64(r.packetsTaken)
	}
	if !(rate >= 1 && rate <= maxRate) {
		return 0
	}
	return int64(rate + 0.5)
}

// real reads a float64, also one shortened to a float32.
func real(v []byte) float64 {
	switch len(v) {
	case 4:
		return float64(math.Float32frombits(binary.BigEndian.Uint32(v)))
	case 8:
		return math.Float64frombits(binary.BigEndian.Uint64(v))
	}
	return 0
}

// address keeps what was there if v is no address, or an empty one of the
// other family beside it.
func address(v []byte, was netip.Addr) netip.Addr {
	a, ok := netip.AddrFromSlice(v)
	if !ok || a.IsUnspecified() && was.IsValid() {
		return was
	}
	return a.Unmap()
}

// ntpEpoch is 1970 in seconds since 1900 (RFC 5905).
const ntpEpoch = 2208988800

// moment reads a start time by its element; 0 for one out of range.
func moment(id uint16, v []byte) testudo.Time {
	n := number(v)
	switch id {
	case ieStartSeconds:
		if n <= math.MaxUint32 {
			return testudo.Time(n) * testudo.Time(time.Second)
		}
	case ieStartMillis:
		if n <= math.MaxUint32*1000 {
			return testudo.Time(n) * testudo.Time(time.Millisecond)
		}
	default: // RFC 7011, 6.1.9 and 6.1.10: as NTP's 64 bits
		if s := int64(n>>32) - ntpEpoch; s >= 0 && len(v) == 8 {
			return testudo.Time(s*int64(time.Second)) + testudo.Time(n&math.MaxUint32*uint64(time.Second)>>32)
		}
	}
	return 0
}
