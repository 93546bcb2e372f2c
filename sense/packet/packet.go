// Package packet turns frames into packets: it strips the link, tags and
// tunnels, joins fragments under a budget, and finds the two hosts and the
// transport. It does not allocate per packet and never fails on foreign
// bytes: what cannot be read is counted by cause.
package packet

import (
	"encoding/binary"
	"math/bits"
	"net/netip"

	"github.com/testudo-shield/testudo"
)

// IP is an address in 16 bytes, IPv4 mapped into IPv6, fit for hashing.
type IP [16]byte

// Addr returns the address as the standard library has it, IPv4 unmapped.
func (ip IP) Addr() netip.Addr { return netip.AddrFrom16(ip).Unmap() }

// Kind says what a packet is.
type Kind uint8

// The kinds. Other IP protocols are KindIP with Proto set and no ports.
const (
	KindNone Kind = iota // not for the flow room: counted and dropped
	KindIP
	KindARP
	// KindFragment is a piece of a datagram that is not whole yet: who sends
	// how much to whom is known, and no more.
	KindFragment
)

// The TCP flag bits of Packet.Flags.
const (
	FIN = 1 << iota
	SYN
	RST
	PSH
	ACK
	URG
)

// Packet is one decoded packet. Its Payload points into the bytes it was
// decoded from and shares their life. Where Joined is set it points into
// memory of its own that nothing writes to again.
type Packet struct {
	Time  testudo.Time // the frame's own time
	Clock testudo.Time // the watermark when it was read; set by engine
	Kind  Kind
	Proto testudo.Proto
	Flags uint8 // TCP
	TTL   uint8
	// ICMPType and ICMPCode for ICMP and ICMPv6.
	ICMPType, ICMPCode uint8
	Src, Dst           IP
	SrcPort, DstPort   uint16
	Window             uint16
	VLAN               uint16 // innermost, 0 for none
	Seq, Ack           uint32
	IPLen              uint32 // bytes from the innermost IP header on, by its own length field
	PayloadLen         uint32 // transport payload by the length fields; may exceed len(Payload)
	Payload            []byte // transport payload as captured; for ICMP from the ICMP header on
	Tunnel             Tunnel // what carried it, outermost
	Joined             bool   // from fragments
	SrcMAC, DstMAC     [6]byte
	Hash               uint64 // of the unordered host pair; equal for both directions
	ARP                ARP    // for KindARP
}

// ARP is the body of an address resolution message for IPv4 over Ethernet.
type ARP struct {
	Op                   uint16
	SenderMAC, TargetMAC [6]byte
	SenderIP, TargetIP   [4]byte
}

// Tunnel names the outermost carrier of a packet.
type Tunnel uint8

// The tunnels that are looked into.
const (
	NoTunnel Tunnel = iota
	GRE
	IPIP
	VXLAN
	Geneve
	GTPU
	ERSPAN
	Teredo
)

var tunnelNames = [...]string{"", "gre", "ipip", "vxlan", "geneve", "gtpu", "erspan", "teredo"}

// String returns the tunnel's lower-case name, "" for none.
func (t Tunnel) String() string {
	if int(t) < len(tunnelNames) {
		return tunnelNames[t]
	}
	return "unknown"
}

// PairHash returns the hash of the unordered pair of two addresses, the same
// for both directions and on every machine. All 64 bits are well mixed. It is
// not keyed: who wants two pairs to collide can make them.
func PairHash(a, b IP) uint64 {
	h := addrHash(a) + addrHash(b)
	h ^= h >> 32
	h *= 0xd6e8feb86659fd93
	h ^= h >> 32
	h *= 0xd6e8feb86659fd93
	return h ^ h>>32
}

func addrHash(a IP) uint64 {
	hi := binary.LittleEndian.Uint64(a[:8]) + 0x9e3779b97f4a7c15
	lo := binary.LittleEndian.Uint64(a[8:]) ^ 0xc2b2ae3d27d4eb4f
	h, l := bits.Mul64(hi, lo)
	return h ^ l ^ hi
}
