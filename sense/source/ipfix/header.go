package ipfix

import (
	"encoding/binary"
	"net/netip"

	"github.com/testudo-shield/testudo"
)

// Link types, by tcpdump.org's registry.
const (
	linkNull     = 0
	linkEthernet = 1
	linkRaw      = 101
	linkLinux    = 113
	linkLinux2   = 276
	// linkMessage is ours: the frame is a bare message.
	linkMessage = 1<<32 - 1
)

// segment is the little that is read of a packet: of one that carries an
// export, or of one that was sampled. Tunnels are not looked into.
type segment struct {
	src, dst     netip.Addr
	sport, dport uint16
	proto        testudo.Proto
	flags        uint8
	icmp         uint16
	vlan         uint16
	length       int // from the IP header on
	payload      int // above the transport, by the length fields
	fragment     bool
	body         []byte // above UDP, as far as it is there
}

func (s *segment) isICMP() bool { return s.proto == testudo.ICMP || s.proto == testudo.ICMPv6 }

// read takes a frame apart and tells whether it is IP.
func (s *segment) read(link uint32, b []byte) bool {
	*s = segment{}
	kind := uint16(0)
	switch link {
	case linkEthernet:
		if len(b) < 14 {
			return false
		}
		kind, b = binary.BigEndian.Uint16(b[12:]), b[14:]
	case linkLinux:
		if len(b) < 16 {
			return false
		}
		kind, b = binary.BigEndian.Uint16(b[14:]), b[16:]
	case linkLinux2:
		if len(b) < 20 {
			return false
		}
		kind, b = binary.BigEndian.Uint16(b), b[20:]
	case linkNull:
		if len(b) < 4 {
			return false
		}
		b = b[4:]
	case linkRaw, 12, 14, 228, 229:
	default:
		return false
	}
	for (kind == 0x8100 || kind == 0x88a8 || kind == 0x9100) && len(b) >= 4 {
		s.vlan = binary.BigEndian.Uint16(b) & 0xfff
		kind, b = binary.BigEndian.Uint16(b[2:]), b[4:]
	}
	if kind != 0 && kind != 0x0800 && kind != 0x86dd || len(b) == 0 {
		return false
	}
	if b[0]>>4 == 4 {
		return s.ip4(b)
	}
	return b[0]>>4 == 6 && s.ip6(b)
}

func (s *segment) ip4(b []byte) bool {
	n := int(b[0]&15) * 4
	if n < 20 || len(b) < n {
		return false
	}
	s.length = int(binary.BigEndian.Uint16(b[2:]))
	if s.length < n {
		return false
	}
	s.src, s.dst = netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20]))
	s.proto = testudo.Proto(b[9])
	s.fragment = binary.BigEndian.Uint16(b[6:])&0x3fff != 0
	if binary.BigEndian.Uint16(b[6:])&0x1fff != 0 {
		s.payload = s.length - n
		return true
	}
	s.transport(b[n:min(len(b), s.length)], s.length-n)
	return true
}

func (s *segment) ip6(b []byte) bool {
	if len(b) < 40 {
		return false
	}
	left := int(binary.BigEndian.Uint16(b[4:]))
	s.length = left + 40
	s.src, s.dst = netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40]))
	next := b[6]
	b = b[40:min(len(b), s.length)]
	for range 8 { // extension headers (RFC 8200, 4)
		if next != 0 && next != 43 && next != 60 && next != 44 || len(b) < 8 {
			break
		}
		n := 8 + int(b[1])*8
		if next == 44 {
			n, s.fragment = 8, true
			if binary.BigEndian.Uint16(b[2:])&0xfff8 != 0 {
				s.proto, s.payload = testudo.Proto(b[0]), max(0, left-8)
				return true
			}
		}
		if n > len(b) {
			return false
		}
		next, b, left = b[0], b[n:], left-n
	}
	s.proto = testudo.Proto(next)
	s.transport(b, left)
	return true
}

// transport reads ports and flags; left is how long it is by the IP header.
func (s *segment) transport(b []byte, left int) {
	s.payload = max(0, left)
	switch s.proto {
	case testudo.TCP:
		if len(b) >= 14 {
			s.flags = b[13]
			s.payload = max(0, left-int(b[12]>>4)*4)
		}
	case testudo.UDP:
		s.payload = max(0, left-8)
		if len(b) >= 8 {
			s.body = b[8:]
			if n := int(binary.BigEndian.Uint16(b[4:])); n >= 8 && n < len(b) {
				s.body = b[8:n]
			}
		}
	case testudo.ICMP, testudo.ICMPv6:
		s.payload = max(0, left-8)
		if len(b) >= 2 {
			s.icmp = binary.BigEndian.Uint16(b)
		}
		return
	}
	if (s.proto == testudo.TCP || s.proto == testudo.UDP || s.proto == testudo.SCTP) && len(b) >= 4 {
		s.sport, s.dport = binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	}
}
