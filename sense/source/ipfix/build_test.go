package ipfix

import (
	"encoding/binary"
	"net/netip"
	"time"
)

// What tests write: export messages as routers and probes do.

var (
	start  = time.Date(2026, 3, 4, 9, 0, 0, 0, time.UTC)
	router = netip.MustParseAddr("192.0.2.1")
)

// oneWay is what an exporter knows of one direction.
type oneWay struct {
	src, dst     netip.AddrPort
	proto, flags uint8
	icmp         uint16
	pkts, bytes  int64
	first, last  time.Time
	reason       uint8
	back         *oneWay // of a biflow
}

// flowOf makes a flow from "a:1>b:2"-like ends.
func flowOf(src, dst string, proto, flags uint8, pkts, bytes int64, first time.Time, length time.Duration) oneWay {
	return oneWay{
		src: netip.MustParseAddrPort(src), dst: netip.MustParseAddrPort(dst), proto: proto, flags: flags,
		pkts: pkts, bytes: bytes, first: first, last: first.Add(length),
	}
}

// message9 writes a NetFlow v9 message around sets (RFC 3954).
func message9(at time.Time, seq, source uint32, sets ...[]byte) []byte {
	be := binary.BigEndian
	b := be.AppendUint16(nil, 9)
	b = be.AppendUint16(b, uint16(len(sets)))
	b = be.AppendUint32(b, uptime(at))
	b = be.AppendUint32(b, uint32(at.Unix()))
	b = be.AppendUint32(b, seq)
	b = be.AppendUint32(b, source)
	for _, s := range sets {
		b = append(b, s...)
	}
	return b
}

// boot is when the exporter of the tests began.
var boot = start.Add(-time.Hour).Truncate(time.Second)

func uptime(at time.Time) uint32 { return uint32(at.Sub(boot) / time.Millisecond) }

// messageX writes an IPFIX message around sets (RFC 7011).
func messageX(at time.Time, seq, domain uint32, sets ...[]byte) []byte {
	be := binary.BigEndian
	n := headerIPFIX
	for _, s := range sets {
		n += len(s)
	}
	b := be.AppendUint16(nil, 10)
	b = be.AppendUint16(b, uint16(n))
	b = be.AppendUint32(b, uint32(at.Unix()))
	b = be.AppendUint32(b, seq)
	b = be.AppendUint32(b, domain)
	for _, s := range sets {
		b = append(b, s...)
	}
	return b
}

// set writes one set, padded to four bytes.
func set(id uint16, body []byte) []byte {
	for len(body)%4 != 0 {
		body = append(body, 0)
	}
	b := binary.BigEndian.AppendUint16(nil, id)
	b = binary.BigEndian.AppendUint16(b, uint16(len(body)+4))
	return append(b, body...)
}

// field is one of a template; pen 0 for IANA's.
type field struct {
	id, length uint16
	pen        uint32
}

func templateOf(id uint16, fields ...field) []byte {
	b := binary.BigEndian.AppendUint16(nil, id)
	b = binary.BigEndian.AppendUint16(b, uint16(len(fields)))
	return appendFields(b, fields)
}

func appendFields(b []byte, fields []field) []byte {
	for _, f := range fields {
		id := f.id
		if f.pen != 0 {
			id |= 0x8000
		}
		b = binary.BigEndian.AppendUint16(b, id)
		b = binary.BigEndian.AppendUint16(b, f.length)
		if f.pen != 0 {
			b = binary.BigEndian.AppendUint32(b, f.pen)
		}
	}
	return b
}

// options9 writes an options template of NetFlow v9 with one scope.
func options9(id uint16, scope field, fields ...field) []byte {
	b := binary.BigEndian.AppendUint16(nil, id)
	b = binary.BigEndian.AppendUint16(b, 4)
	b = binary.BigEndian.AppendUint16(b, uint16(4*len(fields)))
	return appendFields(b, append([]field{scope}, fields...))
}

// optionsX writes an options template of IPFIX with one scope.
func optionsX(id uint16, scope field, fields ...field) []byte {
	b := binary.BigEndian.AppendUint16(nil, id)
	b = binary.BigEndian.AppendUint16(b, uint16(len(fields)+1))
	b = binary.BigEndian.AppendUint16(b, 1)
	return appendFields(b, append([]field{scope}, fields...))
}

// The templates of the tests' exporter, by version and family.
func fields9(v6 bool) []field {
	return append(addresses(v6), field{id: ieFirstUp, length: 4}, field{id: ieLastUp, length: 4})
}

func fieldsX(v6 bool) []field {
	return append(addresses(v6), field{id: ieStartMillis, length: 8}, field{id: ieEndMillis, length: 8}, field{id: ieEndReason, length: 1})
}

func fieldsBi(v6 bool) []field {
	return append(fieldsX(v6), field{ieBytes, 8, reversePEN}, field{iePackets, 4, reversePEN}, field{ieTCPFlags, 2, reversePEN},
		field{ieStartMillis, 8, reversePEN}, field{ieEndMillis, 8, reversePEN})
}

func addresses(v6 bool) []field {
	a := []field{{id: ieSrc4, length: 4}, {id: ieDst4, length: 4}}
	if v6 {
		a = []field{{id: ieSrc6, length: 16}, {id: ieDst6, length: 16}}
	}
	return append(a, field{id: ieSrcPort, length: 2}, field{id: ieDstPort, length: 2}, field{id: ieProto, length: 1},
		field{id: ieTCPFlags, length: 1}, field{id: ieBytes, length: 8}, field{id: iePackets, length: 4}, field{id: ieICMP4, length: 2})
}

// appendRecord writes a data record of a flow.
func (f *oneWay) appendRecord(b []byte, fields []field) []byte {
	for _, x := range fields {
		w := f
		if x.pen == reversePEN {
			if w = f.back; w == nil {
				w = &oneWay{first: f.first, last: f.first}
			}
		}
		var n uint64
		switch x.id {
		case ieSrc4, ieSrc6:
			b = append(b, f.src.Addr().AsSlice()...)
			continue
		case ieDst4, ieDst6:
			b = append(b, f.dst.Addr().AsSlice()...)
			continue
		case ieSrcPort:
			n = uint64(f.src.Port())
		case ieDstPort:
			n = uint64(f.dst.Port())
		case ieProto:
			n = uint64(f.proto)
		case ieTCPFlags:
			n = uint64(w.flags)
		case ieBytes:
			n = uint64(w.bytes)
		case iePackets:
			n = uint64(w.pkts)
		case ieICMP4:
			n = uint64(f.icmp)
		case ieFirstUp:
			n = uint64(uptime(f.first))
		case ieLastUp:
			n = uint64(uptime(f.last))
		case ieStartMillis:
			n = uint64(w.first.UnixMilli())
		case ieEndMillis:
			n = uint64(w.last.UnixMilli())
		case ieEndReason:
			n = uint64(f.reason)
		}
		var v [8]byte
		binary.BigEndian.PutUint64(v[:], n)
		b = append(b, v[8-x.length:]...)
	}
	return b
}

func records(fields []field, flows ...oneWay) (b []byte) {
	for i := range flows {
		b = flows[i].appendRecord(b, fields)
	}
	return b
}

// message5 writes NetFlow v5.
func message5(at time.Time, seq uint32, sampling uint16, flows ...oneWay) []byte {
	be := binary.BigEndian
	b := be.AppendUint16(nil, 5)
	b = be.AppendUint16(b, uint16(len(flows)))
	b = be.AppendUint32(b, uptime(at))
	b = be.AppendUint32(b, uint32(at.Unix()))
	b = be.AppendUint32(b, uint32(at.Nanosecond()))
	b = be.AppendUint32(b, seq)
	b = be.AppendUint16(b, 0)
	b = be.AppendUint16(b, sampling)
	for _, f := range flows {
		b = append(b, f.src.Addr().AsSlice()...)
		b = append(b, f.dst.Addr().AsSlice()...)
		b = append(b, make([]byte, 8)...)
		b = be.AppendUint32(b, uint32(f.pkts))
		b = be.AppendUint32(b, uint32(f.bytes))
		b = be.AppendUint32(b, uptime(f.first))
		b = be.AppendUint32(b, uptime(f.last))
		b = be.AppendUint16(b, f.src.Port())
		if f.proto == 1 {
			b = be.AppendUint16(b, f.icmp)
		} else {
			b = be.AppendUint16(b, f.dst.Port())
		}
		b = append(b, 0, f.flags, f.proto, 0)
		b = append(b, make([]byte, 8)...)
	}
	return b
}

// sample writes a flow sample of sFlow that holds a packet's header.
func sample(seq, rate uint32, frameLen int, header []byte) []byte {
	be := binary.BigEndian
	for len(header)%4 != 0 {
		header = append(header, 0)
	}
	part := be.AppendUint32(nil, 1) // Ethernet
	part = be.AppendUint32(part, uint32(frameLen))
	part = be.AppendUint32(part, 4)
	part = be.AppendUint32(part, uint32(len(header)))
	part = append(part, header...)
	body := be.AppendUint32(nil, seq)
	for _, n := range []uint32{3, rate, rate * seq, 0, 1, 2, 1, 1, uint32(len(part))} {
		body = be.AppendUint32(body, n)
	}
	body = append(body, part...)
	b := be.AppendUint32(nil, 1)
	b = be.AppendUint32(b, uint32(len(body)))
	return append(b, body...)
}

// messageS writes an sFlow datagram around samples.
func messageS(seq uint32, samples ...[]byte) []byte {
	be := binary.BigEndian
	b := be.AppendUint32(nil, 5)
	b = be.AppendUint32(b, 1)
	b = append(b, 192, 0, 2, 1)
	for _, n := range []uint32{0, seq, 1000, uint32(len(samples))} {
		b = be.AppendUint32(b, n)
	}
	for _, s := range samples {
		b = append(b, s...)
	}
	return b
}
