package flow

import (
	"encoding/hex"
	"net/netip"
	"strconv"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/packet"
	"github.com/testudo-shield/testudo/sense/protocol"
)

// udp follows one datagram.
func (s *Shard) udp(c *conn, p *packet.Packet, d int) {
	c.state[d] = stActive
	if p.PayloadLen == 0 {
		return
	}
	c.hist.once('D', d)
	s.said(c, d, int64(p.PayloadLen))
	s.message(c, p, d)
}

// icmp follows one message; its payload starts after eight bytes of header.
func (s *Shard) icmp(c *conn, p *packet.Packet, d int) {
	if p.PayloadLen > 8 {
		s.said(c, d, int64(p.PayloadLen)-8)
	}
	s.message(c, p, d)
}

// other counts a packet of a transport that is not looked into.
func (s *Shard) other(c *conn, p *packet.Packet, d int) {
	if p.PayloadLen > 0 {
		s.said(c, d, int64(p.PayloadLen))
	}
}

func (s *Shard) said(c *conn, d int, n int64) {
	c.side[d].top += n
	s.talkOf(c).speak(d, n, c.elapsed)
}

// message hands a datagram to the conn's protocol.
func (s *Shard) message(c *conn, p *packet.Packet, d int) {
	st := s.streams.all[c.stream]
	if st == nil {
		if st = s.open(c); st == nil {
			return
		}
	}
	st.at(p)
	data := p.Payload[:min(len(p.Payload), int(p.PayloadLen))]
	if len(data) > 0 {
		s.deliver(st, d, data)
	}
	if lost := int(p.PayloadLen) - len(data); lost > 0 && st.phase == phaseReading {
		s.gap(st, d, lost)
	}
	if st.phase == phaseReading && s.dispatch.entries[st.entry].rests && st.an.(protocol.Resting).Resting() {
		s.rest(st)
	}
}

// rest ends an analyzer that holds nothing, and remembers which it was: the
// next message begins another.
func (s *Shard) rest(st *stream) {
	c := st.conn
	c.want = st.entry
	s.finish(st)
	s.settle(c)
	c.flags &^= noStream
}

// icmpPorts returns what stands for ports: the type and that of its
// counterpart where it has one, so that question and answer share a conn,
// else the type and the code.
func icmpPorts(p *packet.Packet) (src, dst uint16) {
	if p.Proto == testudo.ICMP {
		switch p.ICMPType {
		case 0:
			return 0, 8
		case 8:
			return 8, 0
		case 9, 13, 15, 17:
			return uint16(p.ICMPType), uint16(p.ICMPType) + 1
		case 10, 14, 16, 18:
			return uint16(p.ICMPType), uint16(p.ICMPType) - 1
		}
	} else {
		switch p.ICMPType {
		case 128, 133, 135, 139:
			return uint16(p.ICMPType), uint16(p.ICMPType) + 1
		case 129, 134, 136, 140:
			return uint16(p.ICMPType), uint16(p.ICMPType) - 1
		}
	}
	return uint16(p.ICMPType), uint16(p.ICMPCode)
}

// arp reports one address resolution message.
func (s *Shard) arp(p *packet.Packet) {
	s.stats.ARP++
	a := &p.ARP
	m := s.arpSlab.New()
	m.Time = p.Time
	switch a.Op {
	case 1:
		m.Operation = "request"
	case 2:
		m.Operation = "reply"
	default:
		m.Operation = s.strings.of(strconv.AppendUint(make([]byte, 0, 8), uint64(a.Op), 10))
	}
	m.SenderIP, m.TargetIP = netip.AddrFrom4(a.SenderIP), netip.AddrFrom4(a.TargetIP)
	m.SenderMAC, m.TargetMAC = s.mac(a.SenderMAC), s.mac(a.TargetMAC)
	m.EthernetSource = s.mac(p.SrcMAC)
	m.Gratuitous = a.SenderIP == a.TargetIP
	m.ID.Orig, m.ID.Resp = netip.AddrPortFrom(m.SenderIP, 0), netip.AddrPortFrom(m.TargetIP, 0)
	s.emit(s.now, m)
}

// mac writes a link address as Zeek does.
func (s *Shard) mac(a [6]byte) string {
	var b [17]byte
	for i, x := range a {
		hex.Encode(b[i*3:], []byte{x})
		if i < 5 {
			b[i*3+2] = ':'
		}
	}
	return s.strings.of(b[:])
}
