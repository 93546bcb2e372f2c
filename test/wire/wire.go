// Package wire writes small captures by hand, for tests that need traffic
// with nothing in it that the test did not put there. It builds on the
// standard library alone, so that what reads the captures is not what wrote
// them. See traffic.go for whole conversations.
package wire

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"net/netip"
	"slices"
	"time"
)

// Start is when the captures begin unless a test says otherwise.
var Start = time.Date(2024, 3, 5, 9, 0, 0, 0, time.UTC)

// Tape collects frames; Pcap puts them in order of time.
type Tape struct {
	frames []frame
	ip     uint16 // identification of the next IP packet
}

type frame struct {
	at   time.Time
	data []byte
}

// Add takes a frame.
func (t *Tape) Add(at time.Time, data []byte) { t.frames = append(t.frames, frame{at, data}) }

// Len returns the number of frames.
func (t *Tape) Len() int { return len(t.frames) }

// Sort puts the frames in order of time; frames of one moment stay as they
// were added.
func (t *Tape) Sort() {
	slices.SortStableFunc(t.frames, func(a, b frame) int { return cmp.Compare(a.at.UnixNano(), b.at.UnixNano()) })
}

// Each calls f for every frame as they lie.
func (t *Tape) Each(f func(at time.Time, data []byte)) {
	for _, fr := range t.frames {
		f(fr.at, fr.data)
	}
}

// Pcap returns the frames, in the order they lie, as a pcap file of Ethernet
// with microseconds.
func (t *Tape) Pcap() []byte {
	var b bytes.Buffer
	b.Write(PcapHeader(1))
	for _, f := range t.frames {
		b.Write(PcapFrame(f.at, f.data, len(f.data)))
	}
	return b.Bytes()
}

// PcapHeader returns the head of a pcap file of the given link type.
func PcapHeader(link uint32) []byte {
	h := make([]byte, 24)
	binary.LittleEndian.PutUint32(h, 0xa1b2c3d4)
	binary.LittleEndian.PutUint16(h[4:], 2)
	binary.LittleEndian.PutUint16(h[6:], 4)
	binary.LittleEndian.PutUint32(h[16:], 262144)
	binary.LittleEndian.PutUint32(h[20:], link)
	return h
}

// PcapFrame returns one frame of a pcap file that was length bytes long on
// the wire.
func PcapFrame(at time.Time, data []byte, length int) []byte {
	h := make([]byte, 16, 16+len(data))
	binary.LittleEndian.PutUint32(h, uint32(at.Unix()))
	binary.LittleEndian.PutUint32(h[4:], uint32(at.Nanosecond()/1000))
	binary.LittleEndian.PutUint32(h[8:], uint32(len(data)))
	binary.LittleEndian.PutUint32(h[12:], uint32(length))
	return append(h, data...)
}

// Section returns the head of a pcapng file: a section and one interface of
// Ethernet with microseconds.
func Section() []byte {
	b := Block(0x0a0d0d0a, []byte{0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255})
	return append(b, Block(1, []byte{1, 0, 0, 0, 0, 0, 4, 0})...)
}

// Block returns one block of pcapng; body's length must be a multiple of 4.
func Block(kind uint32, body []byte) []byte {
	b := make([]byte, 8, 12+len(body))
	binary.LittleEndian.PutUint32(b, kind)
	binary.LittleEndian.PutUint32(b[4:], uint32(12+len(body)))
	b = append(b, body...)
	return binary.LittleEndian.AppendUint32(b, uint32(12+len(body)))
}

// PacketBlock returns an enhanced packet block of interface 0.
func PacketBlock(at time.Time, data []byte) []byte {
	body := make([]byte, 20, 24+len(data))
	ts := uint64(at.UnixMicro())
	binary.LittleEndian.PutUint32(body[4:], uint32(ts>>32))
	binary.LittleEndian.PutUint32(body[8:], uint32(ts))
	binary.LittleEndian.PutUint32(body[12:], uint32(len(data)))
	binary.LittleEndian.PutUint32(body[16:], uint32(len(data)))
	body = append(body, data...)
	for len(body)%4 != 0 {
		body = append(body, 0)
	}
	return Block(6, body)
}

// Ether returns a frame between two made-up machines.
func Ether(etherType uint16, payload []byte) []byte {
	f := []byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, byte(etherType >> 8), byte(etherType)}
	return append(f, payload...)
}

// IP returns an IPv4 or IPv6 packet, as the addresses are, with id as the
// identification where there is one.
func IP(src, dst netip.Addr, proto byte, id uint16, payload []byte) []byte {
	if src.Is6() {
		h := make([]byte, 40, 40+len(payload))
		h[0], h[6], h[7] = 0x60, proto, 64
		binary.BigEndian.PutUint16(h[4:], uint16(len(payload)))
		copy(h[8:], src.AsSlice())
		copy(h[24:], dst.AsSlice())
		return append(h, payload...)
	}
	return Fragment(src, dst, proto, id, 0, false, payload)
}

// Fragment returns a piece of an IPv4 packet at offset, in bytes.
func Fragment(src, dst netip.Addr, proto byte, id uint16, offset int, more bool, payload []byte) []byte {
	h := make([]byte, 20, 20+len(payload))
	h[0], h[8], h[9] = 0x45, 64, proto
	binary.BigEndian.PutUint16(h[2:], uint16(20+len(payload)))
	binary.BigEndian.PutUint16(h[4:], id)
	field := uint16(offset / 8)
	if more {
		field |= 0x2000
	}
	binary.BigEndian.PutUint16(h[6:], field)
	copy(h[12:], src.AsSlice())
	copy(h[16:], dst.AsSlice())
	binary.BigEndian.PutUint16(h[10:], checksum(h))
	return append(h, payload...)
}

func checksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(b[i])<<8 | uint32(b[i+1])
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// UDP returns a datagram without a checksum.
func UDP(src, dst uint16, payload []byte) []byte {
	h := make([]byte, 8, 8+len(payload))
	binary.BigEndian.PutUint16(h, src)
	binary.BigEndian.PutUint16(h[2:], dst)
	binary.BigEndian.PutUint16(h[4:], uint16(8+len(payload)))
	return append(h, payload...)
}

// The flags of TCP.
const (
	FIN = 1 << iota
	SYN
	RST
	PSH
	ACK
)

// TCP returns a segment without options and without a checksum.
func TCP(src, dst uint16, seq, ack uint32, flags byte, payload []byte) []byte {
	h := make([]byte, 20, 20+len(payload))
	binary.BigEndian.PutUint16(h, src)
	binary.BigEndian.PutUint16(h[2:], dst)
	binary.BigEndian.PutUint32(h[4:], seq)
	binary.BigEndian.PutUint32(h[8:], ack)
	h[12], h[13] = 5<<4, flags
	binary.BigEndian.PutUint16(h[14:], 64240)
	return append(h, payload...)
}

// ICMP returns a message; for echo, rest begins with identifier and sequence.
func ICMP(kind, code byte, rest []byte) []byte {
	b := append([]byte{kind, code, 0, 0}, rest...)
	binary.BigEndian.PutUint16(b[2:], checksum(b))
	return b
}
