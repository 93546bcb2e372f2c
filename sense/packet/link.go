package packet

// The link types of tcpdump.org's registry that are read.
const (
	linkNull        = 0
	linkEthernet    = 1
	linkPPP         = 9
	linkRawBSD      = 12
	linkRawOpenBSD  = 14
	linkPPPHDLC     = 50
	linkPPPoE       = 51
	linkRaw         = 101
	linkCiscoHDLC   = 104
	link80211       = 105
	linkLoop        = 108
	linkCooked      = 113
	linkPrism       = 119
	linkRadiotap    = 127
	linkAVS         = 163
	linkPPI         = 192
	linkIPv4        = 228
	linkIPv6        = 229
	linkCookedTwo   = 276
	maxTags         = 8  // VLAN and like tags on one frame
	maxLabels       = 32 // MPLS labels on one packet
	smallestTypeNum = 0x600
)

// The EtherTypes (IEEE) that are read. Types below smallestTypeNum are lengths.
const (
	etherIPv4      = 0x0800
	etherARP       = 0x0806
	etherERSPAN3   = 0x22eb
	etherBridged   = 0x6558 // an Ethernet frame within another packet
	etherVLAN      = 0x8100
	etherIPv6      = 0x86dd
	etherPPP       = 0x880b
	etherWCCP      = 0x883e
	etherMPLS      = 0x8847
	etherMPLSMulti = 0x8848
	etherPPPoE     = 0x8864
	etherQinQ      = 0x88a8
	etherERSPAN    = 0x88be
	etherBackbone  = 0x88e7 // IEEE 802.1ah
	etherVNTag     = 0x8926
	etherETag      = 0x893f // IEEE 802.1BR
	etherQinQOld   = 0x9100
	etherQinQOlder = 0x9200
)

func (d *Decoder) link(link uint32, b []byte, wire int, p *Packet) result {
	switch link {
	case linkEthernet:
		return d.ethernet(b, wire, p)
	case linkCooked:
		return d.cooked(b, wire, p)
	case linkCookedTwo:
		return d.cookedTwo(b, wire, p)
	case linkRaw, linkRawBSD, linkRawOpenBSD:
		return d.raw(b, wire, p)
	case linkIPv4:
		return d.ipv4(b, wire, p)
	case linkIPv6:
		return d.ipv6(b, wire, p)
	case linkNull, linkLoop:
		return d.loopback(b, wire, p)
	case linkPPP, linkPPPHDLC, linkCiscoHDLC:
		return d.serial(b, wire, p)
	case linkPPPoE:
		return d.pppoe(b, wire, p)
	case link80211:
		return d.wireless(b, wire, false, p)
	case linkRadiotap:
		return d.radiotap(b, wire, p)
	case linkPrism, linkAVS:
		return d.prism(b, wire, p)
	case linkPPI:
		return d.ppi(b, wire, p)
	}
	d.counts.UnknownLink++
	return bad
}

func (d *Decoder) ethernet(b []byte, wire int, p *Packet) result {
	if len(b) < 14 {
		return d.bad(ShortLink)
	}
	p.DstMAC, p.SrcMAC = [6]byte(b), [6]byte(b[6:])
	typ := be16(b[12:])
	b, wire = b[14:], wire-14
	if typ == etherIPv4 {
		return d.ipv4(b, wire, p)
	}
	return d.ether(typ, b, wire, p)
}

// ether reads what an EtherType announces, taking tags off first.
func (d *Decoder) ether(typ uint16, b []byte, wire int, p *Packet) result {
	for range maxTags {
		tag := 4
		switch typ {
		case etherIPv4:
			return d.ipv4(b, wire, p)
		case etherIPv6:
			return d.ipv6(b, wire, p)
		case etherARP:
			return d.arp(b, p)
		case etherVLAN, etherQinQ, etherQinQOld, etherQinQOlder:
			if len(b) >= 2 {
				p.VLAN = be16(b) & 0xfff
			}
		case etherVNTag:
			tag = 6
		case etherETag:
			tag = 8
		case etherMPLS, etherMPLSMulti:
			return d.mpls(b, wire, p)
		case etherPPPoE:
			return d.pppoe(b, wire, p)
		case etherPPP:
			return d.ppp(b, wire, p)
		case etherBackbone:
			if len(b) < 4 {
				return d.bad(ShortLink)
			}
			return d.within(NoTunnel, etherBridged, b[4:], wire-4, p)
		default:
			if typ < smallestTypeNum {
				return d.llc(b[:min(len(b), int(typ))], min(wire, int(typ)), p)
			}
			return d.notIP()
		}
		if len(b) < tag {
			return d.bad(ShortLink)
		}
		typ = be16(b[tag-2:])
		b, wire = b[tag:], wire-tag
	}
	return d.notIP()
}

// llc reads an IEEE 802.2 header with SNAP (RFC 1042).
func (d *Decoder) llc(b []byte, wire int, p *Packet) result {
	if len(b) < 3 {
		return d.bad(ShortLink)
	}
	if b[0] == 6 && b[1] == 6 && b[2] == 3 {
		return d.ipv4(b[3:], wire-3, p)
	}
	if b[0] != 0xaa || b[1] != 0xaa || b[2] != 3 {
		return d.notIP()
	}
	if len(b) < 8 {
		return d.bad(ShortLink)
	}
	org := uint32(b[3])<<16 | uint32(be16(b[4:]))
	typ := be16(b[6:])
	b, wire = b[8:], wire-8
	switch {
	case org != 0 && org != 0xf8:
	case typ == etherIPv4:
		return d.ipv4(b, wire, p)
	case typ == etherIPv6:
		return d.ipv6(b, wire, p)
	case typ == etherARP:
		return d.arp(b, p)
	}
	return d.notIP()
}

// mpls takes the labels off (RFC 3032) and tells by the first nibble what is
// under them: IP, or a pseudowire of Ethernet frames with or without its
// control word (RFC 4385, RFC 4448).
func (d *Decoder) mpls(b []byte, wire int, p *Packet) result {
	for range maxLabels {
		if len(b) < 5 {
			return d.bad(ShortLink)
		}
		bottom := b[2]&1 != 0
		b, wire = b[4:], wire-4
		if !bottom {
			continue
		}
		switch b[0] >> 4 {
		case 4:
			return d.ipv4(b, wire, p)
		case 6:
			return d.ipv6(b, wire, p)
		case 0:
			if len(b) < 4 {
				return d.bad(ShortLink)
			}
			if r := d.within(NoTunnel, etherBridged, b[4:], wire-4, p); r != bad {
				return r
			}
		}
		if r := d.within(NoTunnel, etherBridged, b, wire, p); r != bad {
			return r
		}
		return d.notIP()
	}
	return d.bad(ShortLink)
}

// pppoe reads a session packet of RFC 2516.
func (d *Decoder) pppoe(b []byte, wire int, p *Packet) result {
	if len(b) < 6 {
		return d.bad(ShortLink)
	}
	if b[0] != 0x11 || b[1] != 0 {
		return d.notIP()
	}
	n := int(be16(b[4:]))
	b, wire = b[6:], wire-6
	if n > 0 && n <= wire {
		b, wire = b[:min(n, len(b))], n
	}
	return d.ppp(b, wire, p)
}

// serial reads PPP with or without HDLC framing (RFC 1662), and Cisco's HDLC.
func (d *Decoder) serial(b []byte, wire int, p *Packet) result {
	if len(b) < 4 {
		return d.bad(ShortLink)
	}
	if (b[0] == 0x0f || b[0] == 0x8f) && b[1] == 0 {
		return d.ether(be16(b[2:]), b[4:], wire-4, p)
	}
	return d.ppp(b, wire, p)
}

// ppp reads a PPP frame (RFC 1661), whose address, control and first protocol
// byte may be left out.
func (d *Decoder) ppp(b []byte, wire int, p *Packet) result {
	if len(b) >= 2 && b[0] == 0xff && b[1] == 3 {
		b, wire = b[2:], wire-2
	}
	if len(b) < 2 {
		return d.bad(ShortLink)
	}
	proto, n := uint16(b[0]), 1
	if b[0]&1 == 0 {
		proto, n = be16(b), 2
	}
	b, wire = b[n:], wire-n
	switch proto {
	case 0x21:
		return d.ipv4(b, wire, p)
	case 0x57:
		return d.ipv6(b, wire, p)
	case 0x281, 0x283:
		return d.mpls(b, wire, p)
	}
	return d.notIP()
}

func (d *Decoder) raw(b []byte, wire int, p *Packet) result {
	if len(b) > 0 && b[0]>>4 == 6 {
		return d.ipv6(b, wire, p)
	}
	return d.ipv4(b, wire, p)
}

// loopback reads BSD's header: an address family in the byte order of the
// machine that captured, or in network order.
func (d *Decoder) loopback(b []byte, wire int, p *Packet) result {
	if len(b) < 4 {
		return d.bad(ShortLink)
	}
	family := le32(b)
	if family > 0xffff {
		family = be32(b)
	}
	b, wire = b[4:], wire-4
	switch family {
	case 2:
		return d.ipv4(b, wire, p)
	case 10, 23, 24, 28, 30: // Linux, Windows, NetBSD and OpenBSD, FreeBSD, Darwin
		return d.ipv6(b, wire, p)
	}
	return d.notIP()
}

func (d *Decoder) cooked(b []byte, wire int, p *Packet) result {
	if len(b) < 16 {
		return d.bad(ShortLink)
	}
	if be16(b[4:]) == 6 {
		p.SrcMAC = [6]byte(b[6:])
	}
	return d.cookedType(be16(b[2:]), be16(b[14:]), b[16:], wire-16, p)
}

func (d *Decoder) cookedTwo(b []byte, wire int, p *Packet) result {
	if len(b) < 20 {
		return d.bad(ShortLink)
	}
	if b[11] == 6 {
		p.SrcMAC = [6]byte(b[12:])
	}
	return d.cookedType(be16(b[8:]), be16(b), b[20:], wire-20, p)
}

// cookedType reads what follows Linux' cooked header. Netlink's device has
// protocol numbers of its own.
func (d *Decoder) cookedType(device, typ uint16, b []byte, wire int, p *Packet) result {
	const netlink, plain, llc = 824, 1, 4
	switch {
	case device == netlink || typ == plain:
		return d.notIP()
	case typ == llc:
		return d.llc(b, wire, p)
	case typ < smallestTypeNum:
		return d.notIP()
	}
	return d.ether(typ, b, wire, p)
}

// arp reads a message for IPv4 over Ethernet (RFC 826).
func (d *Decoder) arp(b []byte, p *Packet) result {
	if len(b) < 8 {
		return d.bad(BadARP)
	}
	if be16(b) != 1 || be16(b[2:]) != etherIPv4 || b[4] != 6 || b[5] != 4 {
		return d.notIP()
	}
	if len(b) < 28 {
		return d.bad(BadARP)
	}
	p.Kind = KindARP
	p.ARP = ARP{
		Op: be16(b[6:]), SenderMAC: [6]byte(b[8:]), SenderIP: [4]byte(b[14:]),
		TargetMAC: [6]byte(b[18:]), TargetIP: [4]byte(b[24:]),
	}
	p.Src, p.Dst = mapped(b[14:]), mapped(b[24:])
	return done
}
