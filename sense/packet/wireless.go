package packet

// wireless reads an IEEE 802.11 data frame in clear. padded says that the
// header is filled up to a multiple of four bytes. Of frames aggregated
// within one, the first is read.
func (d *Decoder) wireless(b []byte, wire int, padded bool, p *Packet) result {
	if len(b) < 24 {
		if len(b) >= 1 && b[0]>>2&3 != 2 {
			return d.notIP()
		}
		return d.bad(ShortLink)
	}
	control, flags := b[0], b[1]
	const data, noData, quality = 2, 0x40, 0x80
	const toDS, fromDS, protected, order = 1, 2, 0x40, 0x80
	if control&3 != 0 || control>>2&3 != data || control&noData != 0 {
		return d.notIP()
	}
	if flags&protected != 0 {
		d.counts.Encrypted++
		return bad
	}
	n := 24
	if flags&toDS != 0 && flags&fromDS != 0 {
		n += 6
	}
	aggregate := false
	if control&quality != 0 {
		if len(b) >= n+2 {
			aggregate = b[n]&0x80 != 0
		}
		n += 2
		if flags&order != 0 {
			n += 4
		}
	}
	head := n
	if padded {
		n = (n + 3) &^ 3
	}
	if len(b) < max(n, head) {
		return d.bad(ShortLink)
	}
	p.DstMAC, p.SrcMAC = [6]byte(b[4:]), [6]byte(b[10:])
	switch flags & (toDS | fromDS) {
	case toDS:
		p.DstMAC = [6]byte(b[16:])
	case fromDS:
		p.SrcMAC = [6]byte(b[16:])
	case toDS | fromDS:
		p.DstMAC, p.SrcMAC = [6]byte(b[16:]), [6]byte(b[24:])
	}
	b, wire = b[n:], wire-n
	if aggregate {
		if len(b) < 14 {
			return d.bad(ShortLink)
		}
		p.DstMAC, p.SrcMAC = [6]byte(b), [6]byte(b[6:])
		b, wire = b[14:], wire-14
	}
	return d.llc(b, wire, p)
}

// radiotap takes off the radio's header (radiotap.org), of which only the
// flag that says whether the frame's header is padded matters.
func (d *Decoder) radiotap(b []byte, wire int, p *Packet) result {
	if len(b) < 8 || b[0] != 0 {
		return d.bad(ShortLink)
	}
	n := int(le16(b[2:]))
	if n < 8 || n > len(b) {
		return d.bad(ShortLink)
	}
	present := le32(b[4:])
	at := 8
	for more := present; more&(1<<31) != 0; at += 4 {
		if at+4 > n {
			return d.bad(ShortLink)
		}
		more = le32(b[at:])
	}
	padded := false
	if present&1 != 0 { // the clock, aligned to its size
		at = (at+7)&^7 + 8
	}
	if present&2 != 0 && at < n {
		padded = b[at]&0x20 != 0
	}
	return d.wireless(b[n:], wire-n, padded, p)
}

// prism takes off the header of the Prism or the AVS format.
func (d *Decoder) prism(b []byte, wire int, p *Packet) result {
	if len(b) < 8 {
		return d.bad(ShortLink)
	}
	n := le32(b[4:])
	if be32(b)>>12 == 0x80211 {
		n = be32(b[4:])
	}
	if n < 8 || uint64(n) > uint64(len(b)) {
		return d.bad(ShortLink)
	}
	return d.wireless(b[n:], wire-int(n), false, p)
}

// ppi takes off a per-packet information header.
func (d *Decoder) ppi(b []byte, wire int, p *Packet) result {
	if len(b) < 8 {
		return d.bad(ShortLink)
	}
	n, link := int(le16(b[2:])), le32(b[4:])
	if n < 8 || n > len(b) || link == linkPPI {
		return d.bad(ShortLink)
	}
	return d.link(link, b[n:], wire-n, p)
}
