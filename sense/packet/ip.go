package packet

import "github.com/testudo-shield/testudo"

// The IP protocol numbers that are looked into besides testudo's transports.
const (
	protoHopByHop    = 0
	protoIPv4        = 4
	protoIPv6        = 41
	protoRouting     = 43
	protoFragment    = 44
	protoGRE         = 47
	protoAuth        = 51
	protoNoNext      = 59
	protoDestination = 60
	protoMobility    = 135
	protoHIP         = 139
	protoShim        = 140
)

const (
	maxExtensions = 16
	// maxOffload is the longest packet whose length field is zero because
	// the network card was to cut it up.
	maxOffload = 512 << 10
)

func mapped(b []byte) (ip IP) {
	ip[10], ip[11] = 0xff, 0xff
	copy(ip[12:], b[:4])
	return ip
}

// ipv4 reads a packet of RFC 791. Its checksum is not looked at: on the
// machine that sent it the network card computes it after the capture.
func (d *Decoder) ipv4(b []byte, wire int, p *Packet) result {
	if len(b) < 20 {
		return d.bad(ShortIP)
	}
	if b[0]>>4 != 4 {
		return d.bad(IPVersion)
	}
	head, total := int(b[0]&15)*4, int(be16(b[2:]))
	if total == 0 && wire <= maxOffload {
		total = wire
	}
	if head < 20 || total < head || total > wire {
		return d.bad(IPLength)
	}
	if head > len(b) {
		return d.bad(ShortIP)
	}
	if len(b) > total {
		b = b[:total]
	}
	p.Kind = KindIP
	p.TTL = b[8]
	p.IPLen = uint32(total)
	p.Src[10], p.Src[11], p.Dst[10], p.Dst[11] = 0xff, 0xff, 0xff, 0xff
	*(*[4]byte)(p.Src[12:]) = [4]byte(b[12:])
	*(*[4]byte)(p.Dst[12:]) = [4]byte(b[16:])
	if b[6]&0x3f|b[7] != 0 {
		return d.fragment4(b, head, total, p)
	}
	return d.afterIPv4(b[9], b[head:], total-head, p)
}

// afterIPv4 takes one authentication header off (RFC 4302) before the
// transport.
func (d *Decoder) afterIPv4(proto uint8, b []byte, wire int, p *Packet) result {
	if proto != protoAuth {
		return d.transport(proto, b, wire, p)
	}
	if len(b) < 8 {
		return d.bad(ShortHeader)
	}
	n := 8 + 4*int(b[1])
	if n > wire {
		return d.bad(HeaderLength)
	}
	if n > len(b) {
		return d.bad(ShortHeader)
	}
	return d.transport(b[0], b[n:], wire-n, p)
}

func (d *Decoder) fragment4(b []byte, head, total int, p *Packet) result {
	field := be16(b[6:])
	f := fragment{
		key: fragmentKey{src: p.Src, dst: p.Dst, id: uint32(be16(b[4:])), proto: b[9], vlan: p.VLAN},
		off: int(field&0x1fff) * 8, n: total - head, more: field&0x2000 != 0, next: b[9], data: b[head:],
	}
	data, n, _, r := d.reassemble(&f, p)
	if r != done {
		return r
	}
	p.IPLen = uint32(head + n)
	return d.afterIPv4(f.next, data, n, p)
}

// ipv6 reads a packet of RFC 8200.
func (d *Decoder) ipv6(b []byte, wire int, p *Packet) result {
	if len(b) < 40 {
		return d.bad(ShortIP)
	}
	if b[0]>>4 != 6 {
		return d.bad(IPVersion)
	}
	total := 40 + int(be16(b[4:]))
	if total == 40 && b[6] != protoNoNext && wire <= maxOffload {
		total = max(total, wire) // a jumbogram, or left to the network card
	}
	if total > wire {
		return d.bad(IPLength)
	}
	if len(b) > total {
		b = b[:total]
	}
	p.Kind = KindIP
	p.TTL = b[7]
	p.IPLen = uint32(total)
	p.Src, p.Dst = IP(b[8:]), IP(b[24:])
	return d.extensions(b[6], b[40:], total-40, p)
}

func (d *Decoder) extensions(next uint8, b []byte, wire int, p *Packet) result {
	for range maxExtensions {
		unit := 8
		switch next {
		case protoHopByHop, protoRouting, protoDestination, protoMobility, protoHIP, protoShim:
		case protoAuth:
			unit = 4
		case protoFragment:
			if len(b) < 8 || wire < 8 {
				return d.bad(Extensions)
			}
			if be16(b[2:])&0xfff9 != 0 {
				return d.fragment6(b, wire, p)
			}
			next, b, wire = b[0], b[8:], wire-8 // all in one piece (RFC 6946)
			continue
		default:
			return d.transport(next, b, wire, p)
		}
		if len(b) < 8 {
			return d.bad(Extensions)
		}
		n := 8 + unit*int(b[1])
		if n > len(b) || n > wire {
			return d.bad(Extensions)
		}
		next, b, wire = b[0], b[n:], wire-n
	}
	return d.bad(Extensions)
}

func (d *Decoder) fragment6(b []byte, wire int, p *Packet) result {
	field := be16(b[2:])
	f := fragment{
		key: fragmentKey{src: p.Src, dst: p.Dst, id: be32(b[4:]), v6: true, vlan: p.VLAN},
		off: int(field &^ 7), n: wire - 8, more: field&1 != 0, next: b[0], data: b[8:],
	}
	data, n, next, r := d.reassemble(&f, p)
	if r != done {
		return r
	}
	p.IPLen = uint32(40 + n)
	return d.extensions(next, data, n, p)
}

// reassemble hands a fragment to its partition of the reassembler.
func (d *Decoder) reassemble(f *fragment, p *Packet) (data []byte, n int, next uint8, r result) {
	if d.joined == d.depth+1 {
		return nil, 0, 0, d.bad(BadFragment)
	}
	if f.more {
		f.n &^= 7
	}
	if f.n <= 0 || f.off+f.n > 0xffff {
		return nil, 0, 0, d.bad(BadFragment)
	}
	f.data = f.data[:min(len(f.data), f.n)]
	d.counts.Fragments++
	data, n, next, whole := d.frags[PairHash(p.Src, p.Dst)>>60].add(f, p.Time, &d.counts)
	if !whole {
		return nil, 0, 0, held
	}
	d.counts.FragmentsJoined++
	d.joined = d.depth + 1
	p.Joined = true
	return data, n, next, done
}

// transport reads what IP carries; b is what was captured of wire bytes.
func (d *Decoder) transport(proto uint8, b []byte, wire int, p *Packet) result {
	p.Proto = testudo.Proto(proto)
	switch p.Proto {
	case testudo.TCP:
		return d.tcp(b, wire, p)
	case testudo.UDP:
		return d.udp(b, wire, p)
	case testudo.ICMP, testudo.ICMPv6:
		if wire < 4 || len(b) < 4 {
			return d.bad(ShortHeader)
		}
		p.ICMPType, p.ICMPCode = b[0], b[1]
	case testudo.SCTP:
		if wire < 12 || len(b) < 12 {
			return d.bad(ShortHeader)
		}
		p.SrcPort, p.DstPort = be16(b), be16(b[2:])
		b, wire = b[12:], wire-12
	case protoIPv4:
		if r := d.within(IPIP, etherIPv4, b, wire, p); r != bad {
			return r
		}
	case protoIPv6:
		if r := d.within(IPIP, etherIPv6, b, wire, p); r != bad {
			return r
		}
	case protoGRE:
		if r := d.gre(b, wire, p); r != bad {
			return r
		}
	}
	p.Payload, p.PayloadLen = b, uint32(wire)
	return done
}

func (d *Decoder) tcp(b []byte, wire int, p *Packet) result {
	if len(b) < 20 {
		return d.bad(ShortHeader)
	}
	head := int(b[12]>>4) * 4
	if head < 20 || head > wire {
		return d.bad(HeaderLength)
	}
	p.SrcPort, p.DstPort = be16(b), be16(b[2:])
	p.Seq, p.Ack = be32(b[4:]), be32(b[8:])
	p.Flags = b[13]
	p.Window = be16(b[14:])
	p.PayloadLen = uint32(wire - head)
	if head < len(b) {
		p.Payload = b[head:]
	}
	return done
}

func (d *Decoder) udp(b []byte, wire int, p *Packet) result {
	if len(b) < 8 || wire < 8 {
		return d.bad(ShortHeader)
	}
	n := int(be16(b[4:]))
	if n == 0 {
		n = wire // a jumbogram, or left to the network card
	}
	if n < 8 || n > wire {
		return d.bad(HeaderLength)
	}
	p.SrcPort, p.DstPort = be16(b), be16(b[2:])
	p.Payload, p.PayloadLen = b[8:min(n, len(b))], uint32(n-8)
	if len(p.Payload) < 8 {
		return done
	}
	if r := d.overUDP(p.Payload, n-8, p); r != bad {
		return r
	}
	return done
}
