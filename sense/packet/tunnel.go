package packet

// The UDP ports of tunnels.
const (
	portGTPU     = 2152
	portTeredo   = 3544
	portVXLAN    = 4789
	portGeneve   = 6081
	portVXLANOld = 8472 // Linux before the number was assigned
)

// maxTries bounds how often a frame is looked into, since some carriers leave
// open where the packet within begins.
const maxTries = 64

// within reads the packet that a tunnel carries. If it cannot be read, p is
// as it was, nothing was counted and the result is bad: the carrier is then
// the packet. The lengths of the carrier are believed over those within.
func (d *Decoder) within(kind Tunnel, typ uint16, b []byte, wire int, p *Packet) result {
	d.tries++
	if d.depth >= d.tunnels || d.tries > maxTries {
		d.counts.TunnelTooDeep++
		return bad
	}
	// What is not a packet must not cost much: the copies are on this path only.
	outer, counts, joined := *p, d.counts, d.joined
	*p = Packet{Time: p.Time, VLAN: p.VLAN, Tunnel: p.Tunnel, Joined: p.Joined}
	if p.Tunnel == NoTunnel {
		p.Tunnel = kind
	}
	d.depth++
	var r result
	if typ == etherBridged {
		r = d.ethernet(b, wire, p)
	} else {
		r = d.ether(typ, b, wire, p)
	}
	d.depth--
	if r == bad {
		*p, d.counts, d.joined = outer, counts, joined
	}
	return r
}

// byNibble reads the IP packet that a tunnel carries without saying which.
func (d *Decoder) byNibble(kind Tunnel, b []byte, wire int, p *Packet) result {
	if len(b) < 20 {
		return bad
	}
	switch b[0] >> 4 {
	case 4:
		return d.within(kind, etherIPv4, b, wire, p)
	case 6:
		return d.within(kind, etherIPv6, b, wire, p)
	}
	return bad
}

// gre reads GRE (RFC 2784, RFC 2890), its enhanced form for PPTP (RFC 2637)
// and the three forms of ERSPAN.
func (d *Decoder) gre(b []byte, wire int, p *Packet) result {
	if len(b) < 4 {
		return bad
	}
	const checksum, routing, key, sequence, ack = 0x8000, 0x4000, 0x2000, 0x1000, 0x0080
	flags, typ := be16(b), be16(b[2:])
	n := 4
	for _, f := range [...]uint16{checksum, key, sequence, ack} {
		if flags&f != 0 && (f != ack || flags&7 == 1) {
			n += 4
		}
	}
	if flags&routing != 0 || n >= len(b) {
		return bad
	}
	b, wire = b[n:], wire-n
	switch {
	case flags&7 == 1:
		if typ != etherPPP || flags&sequence == 0 {
			return bad
		}
	case flags&7 != 0:
		return bad
	case typ == etherERSPAN || typ == etherERSPAN3:
		return d.erspan(typ, flags&sequence != 0, b, wire, p)
	case typ == etherWCCP:
		if r := d.byNibble(GRE, b, wire, p); r != bad || len(b) < 4 {
			return r
		}
		return d.byNibble(GRE, b[4:], wire-4, p)
	}
	return d.within(GRE, typ, b, wire, p)
}

func (d *Decoder) erspan(typ uint16, sequence bool, b []byte, wire int, p *Packet) result {
	n := 0
	switch {
	case typ == etherERSPAN3:
		n = 12
		if len(b) >= 12 && b[11]&1 != 0 {
			n += 8 // the platform's own part
		}
	case sequence:
		n = 8
	}
	if n > len(b) {
		return bad
	}
	return d.within(ERSPAN, etherBridged, b[n:], wire-n, p)
}

// overUDP tells by port and content whether a datagram carries a packet.
// b holds at least eight bytes.
func (d *Decoder) overUDP(b []byte, wire int, p *Packet) result {
	switch p.DstPort {
	case portVXLAN, portVXLANOld: // RFC 7348; only the flag I says a network follows
		if b[0]&0x08 == 0 || b[7] != 0 {
			return bad
		}
		return d.within(VXLAN, etherBridged, b[8:], wire-8, p)
	case portGeneve: // RFC 8926
		n := 8 + 4*int(b[0]&0x3f)
		if b[0]>>6 != 0 || n > len(b) {
			return bad
		}
		return d.within(Geneve, be16(b[2:]), b[n:], wire-n, p)
	}
	switch {
	case p.DstPort == portGTPU || p.SrcPort == portGTPU:
		return d.gtpu(b, wire, p)
	case p.DstPort == portTeredo || p.SrcPort == portTeredo:
		return d.teredo(b, wire, p)
	}
	return bad
}

// gtpu reads a user packet of GTP version 1 (3GPP TS 29.281).
func (d *Decoder) gtpu(b []byte, wire int, p *Packet) result {
	const userPacket, extended, optional = 255, 4, 7
	if b[0]>>4 != 3 || b[1] != userPacket {
		return bad
	}
	n := 8
	if b[0]&optional != 0 {
		n = 12
		if len(b) < n {
			return bad
		}
		next := byte(0)
		if b[0]&extended != 0 {
			next = b[11]
		}
		for next != 0 {
			if n >= len(b) || b[n] == 0 || n+4*int(b[n]) > len(b) {
				return bad
			}
			n += 4 * int(b[n])
			next = b[n-1]
		}
	}
	if end := 8 + int(be16(b[2:])); end < wire {
		if end < n {
			return bad
		}
		b, wire = b[:min(end, len(b))], end
	}
	return d.byNibble(GTPU, b[n:], wire-n, p)
}

// teredo reads an IPv6 packet over UDP (RFC 4380) with its optional
// indications. One end must have an address of Teredo's or of the link, as
// all its packets do.
func (d *Decoder) teredo(b []byte, wire int, p *Packet) result {
	n := 0
	if be16(b) == 1 { // authentication
		n = 13 + int(b[2]) + int(b[3])
	}
	if n+8 <= len(b) && be16(b[n:]) == 0 { // origin
		n += 8
	}
	if n+40 > len(b) {
		return bad
	}
	b, wire = b[n:], wire-n
	if b[0]>>4 != 6 || !ofTeredo(b[8:]) && !ofTeredo(b[24:]) {
		return bad
	}
	return d.within(Teredo, etherIPv6, b, wire, p)
}

func ofTeredo(b []byte) bool {
	return be32(b) == 0x20010000 || be16(b)&0xffc0 == 0xfe80
}
