package ipfix

import (
	"bytes"
	"encoding/binary"

	"github.com/netsampler/goflow2/v2/decoders/sflow"

	"github.com/testudo-shield/testudo"
)

// Bounds of an sFlow datagram.
const (
	maxSamples = 256
	maxParts   = 64 // records of a sample
)

// soundSFlow holds that a datagram's counts fit its lengths. The decoder
// makes room for what a sample says it has before it looks.
func soundSFlow(b []byte) error {
	head := headSFlow(b)
	if len(b) < head {
		return errDamaged
	}
	n := int(binary.BigEndian.Uint32(b[head-4:]))
	if n > maxSamples {
		return errDamaged
	}
	b = b[head:]
	for range n {
		if len(b) < 8 {
			return errDamaged
		}
		format, size := binary.BigEndian.Uint32(b), int(binary.BigEndian.Uint32(b[4:]))
		if size > len(b)-8 || !soundSample(format, b[8:8+size]) {
			return errDamaged
		}
		b = b[8+size:]
	}
	return nil
}

// headSFlow returns the length of a datagram's header, by the family of the
// agent's address.
func headSFlow(b []byte) int {
	if b[7] == 2 {
		return 40
	}
	return 28
}

// soundSample tells whether a sample has room for the parts it says it has.
func soundSample(format uint32, b []byte) bool {
	at := 0 // of the number of its parts
	switch format {
	case sflow.SAMPLE_FORMAT_FLOW:
		at = 28
	case sflow.SAMPLE_FORMAT_EXPANDED_FLOW:
		at = 40
	case sflow.SAMPLE_FORMAT_COUNTER:
		at = 8
	case sflow.SAMPLE_FORMAT_EXPANDED_COUNTER:
		at = 12
	case sflow.SAMPLE_FORMAT_DROP:
		at = 28
	default:
		return true // left out below
	}
	if len(b) < at+4 {
		return false
	}
	n := binary.BigEndian.Uint32(b[at:])
	return n <= maxParts && int(n)*8 <= len(b)-at-4
}

// sflow reads an sFlow datagram: each sampled packet is a flow of its own,
// and the table joins them. Counters, and samples of vendors' own formats,
// are passed over.
func (c *collector) sflow(at testudo.Time, k domainKey, b []byte) {
	head := headSFlow(b)
	m := message{version: 5, export: at, from: c.begin(k, b)}
	if m.from == nil {
		return
	}
	m.from.expect(binary.BigEndian.Uint32(b[head-12:]), 1)
	samples := 0
	for b = b[head:]; len(b) >= 8; {
		h := sflow.SampleHeader{Format: binary.BigEndian.Uint32(b), Length: binary.BigEndian.Uint32(b[4:])}
		body := b[8:min(len(b), 8+int(h.Length))]
		b = b[8+len(body):]
		if h.Format != sflow.SAMPLE_FORMAT_FLOW && h.Format != sflow.SAMPLE_FORMAT_EXPANDED_FLOW {
			continue
		}
		s, err := sflow.DecodeSample(&h, bytes.NewBuffer(body))
		if err != nil {
			m.from.losses.records++
		}
		switch s := s.(type) { // what came before the damage counts
		case sflow.FlowSample:
			c.parts(&m, s.SamplingRate, s.Records)
		case sflow.ExpandedFlowSample:
			c.parts(&m, s.SamplingRate, s.Records)
		}
		samples++
	}
	m.from.got(samples, 1)
}

// parts reads one sampled packet: its header where there is one, else what
// the agent itself read of it.
func (c *collector) parts(m *message, rate uint32, parts []sflow.FlowRecord) {
	r := &c.record
	r.clear()
	r.rate = float64(max(1, rate))
	for i := range parts {
		switch p := parts[i].Data.(type) {
		case sflow.SampledHeader:
			var s segment
			if !s.read(sampledLink(p.Protocol), p.HeaderData) {
				continue
			}
			r.src, r.dst, r.sport, r.dport, r.proto = s.src, s.dst, s.sport, s.dport, s.proto
			r.icmp, r.hasICMP, r.vlan = s.icmp, s.isICMP(), s.vlan
			r.way[0].bytes, r.way[0].payload, r.way[0].flags = int64(s.length), int64(s.payload), s.flags
		case sflow.SampledIPv4:
			r.agent(&p.SampledIPBase)
		case sflow.SampledIPv6:
			r.agent(&p.SampledIPBase)
		case sflow.ExtendedSwitch:
			r.vlan = uint16(p.SrcVlan) & 0xfff
		}
	}
	if !r.src.IsValid() {
		return // a counter, or a frame that is not IP
	}
	r.way[0].pkts = 1
	r.way[0].start, r.way[0].end = m.export, m.export
	c.flow(m, r)
}

func (r *record) agent(p *sflow.SampledIPBase) {
	if r.src.IsValid() {
		return
	}
	r.src, r.dst = address(p.SrcIP, r.src), address(p.DstIP, r.dst)
	r.sport, r.dport, r.proto = uint16(p.SrcPort), uint16(p.DstPort), testudo.Proto(p.Protocol)
	r.way[0].bytes, r.way[0].flags = int64(p.Length), uint8(p.TcpFlags)
}

// sampledLink returns the link type of a header by sFlow's header_protocol.
func sampledLink(protocol uint32) uint32 {
	switch protocol {
	case 1:
		return linkEthernet
	case 11, 12:
		return linkRaw
	}
	return 0
}
