package packet

import (
	"encoding/binary"
	"slices"
)

var be = binary.BigEndian

// The frames of these tests are built inside out: each function puts a header
// before what it carries.

func ether(typ uint16, inner []byte) []byte {
	return slices.Concat([]byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1}, be.AppendUint16(nil, typ), inner)
}

func tag(vid, typ uint16, inner []byte) []byte {
	return slices.Concat(be.AppendUint16(nil, vid|0x6000), be.AppendUint16(nil, typ), inner)
}

type v4 struct {
	proto    uint8
	src, dst string // four bytes
	id, frag uint16 // frag is the field as it is
	options  string
	total    int // if not by what is carried; -1 for 0
}

var (
	hostA, hostB = "\x0a\x00\x00\x01", "\x0a\x00\x00\x02"
	hostC, hostD = "\xc0\xa8\x01\x01", "\xc0\xa8\x01\x02"
)

func (h v4) carry(inner []byte) []byte {
	if h.src == "" {
		h.src, h.dst = hostA, hostB
	}
	n := 20 + len(h.options)
	total := n + len(inner)
	if h.total > 0 {
		total = h.total
	} else if h.total < 0 {
		total = 0
	}
	b := []byte{0x40 | byte(n/4), 0}
	b = be.AppendUint16(b, uint16(total))
	b = be.AppendUint16(b, h.id)
	b = be.AppendUint16(b, h.frag)
	b = append(b, 64, h.proto, 0, 0)
	return slices.Concat(b, []byte(h.src), []byte(h.dst), []byte(h.options), inner)
}

const host6A, host6B = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01", "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02"

func v6(next uint8, inner []byte) []byte { return v6of(host6A, host6B, next, inner) }

func v6of(src, dst string, next uint8, inner []byte) []byte {
	b := be.AppendUint16([]byte{0x60, 0, 0, 0}, uint16(len(inner)))
	return slices.Concat(append(b, next, 63), []byte(src), []byte(dst), inner)
}

// extension is a header of eight bytes.
func extension(next uint8, inner []byte) []byte {
	return append([]byte{next, 0, 1, 4, 0, 0, 0, 0}, inner...)
}

func frag6(next uint8, off int, more bool, id uint32, inner []byte) []byte {
	field := uint16(off)
	if more {
		field |= 1
	}
	b := be.AppendUint16([]byte{next, 0}, field)
	return append(be.AppendUint32(b, id), inner...)
}

func tcp(flags uint8, payload string) []byte {
	b := []byte{0x30, 0x39, 0, 80, 0, 0, 0, 7, 0, 0, 0, 9, 0x50, flags, 0x10, 0, 0, 0, 0, 0}
	return append(b, payload...)
}

func udp(src, dst uint16, payload []byte) []byte {
	b := be.AppendUint16(be.AppendUint16(nil, src), dst)
	b = be.AppendUint16(b, uint16(8+len(payload)))
	return slices.Concat(b, []byte{0, 0}, payload)
}

func gre(flags, typ uint16, inner []byte) []byte {
	n := 0
	for _, f := range []uint16{0x8000, 0x2000, 0x1000, 0x0080} {
		if flags&f != 0 {
			n += 4
		}
	}
	return slices.Concat(be.AppendUint16(be.AppendUint16(nil, flags), typ), make([]byte, n), inner)
}

// inside is the packet that the tunnel tests carry.
func inside() []byte {
	return v4{proto: 17, src: hostC, dst: hostD}.carry(udp(1111, 2222, []byte("within")))
}
