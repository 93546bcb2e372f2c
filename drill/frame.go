package drill

import "encoding/binary"

// Where things lie in a frame of ours: no tags, no IP options.
const (
	etherLen = 14
	ipLen    = 20
	ipAt     = etherLen
	l4At     = etherLen + ipLen
	minFrame = 60
)

const (
	protoICMP = 1
	protoTCP  = 6
	protoUDP  = 17
)

// put finishes the frame in w.frame, whose transport part (header and the
// kept bytes of the payload) ends at end and of which missing bytes were not
// kept, and hands it to the tape.
func (w *world) put(t int64, src, dst *node, proto byte, end, missing int) bool {
	f := w.frame[:]
	copy(f[0:6], dst.mac[:])
	copy(f[6:12], src.mac[:])
	f[12], f[13] = 0x08, 0x00
	total := end - ipAt + missing
	src.id += src.idStep
	f[ipAt] = 0x45
	f[ipAt+1] = 0
	binary.BigEndian.PutUint16(f[ipAt+2:], uint16(total))
	binary.BigEndian.PutUint16(f[ipAt+4:], src.id)
	f[ipAt+6], f[ipAt+7] = 0x40, 0
	f[ipAt+8], f[ipAt+9] = src.ttl, proto
	f[ipAt+10], f[ipAt+11] = 0, 0
	binary.BigEndian.PutUint32(f[ipAt+12:], src.addr)
	binary.BigEndian.PutUint32(f[ipAt+16:], dst.addr)
	binary.BigEndian.PutUint16(f[ipAt+10:], fold(sum(f[ipAt:l4At], 0)))

	at := 0
	switch proto {
	case protoTCP:
		at = l4At + 16
	case protoUDP:
		at = l4At + 6
	case protoICMP:
		at = l4At + 2
	}
	f[at], f[at+1] = 0, 0
	var acc uint64
	if proto != protoICMP {
		acc = uint64(src.addr>>16) + uint64(src.addr&0xffff) + uint64(dst.addr>>16) + uint64(dst.addr&0xffff) +
			uint64(proto) + uint64(total-ipLen)
	}
	acc = sum(f[l4At:end], acc)
	if missing > 0 {
		// What was cut is ciphertext; its sum is as good as any.
		acc += uint64(w.cutSum)
		w.cutSum = w.cutSum*25173 + 13849
	}
	c := fold(acc)
	if c == 0 && proto == protoUDP {
		c = 0xffff
	}
	binary.BigEndian.PutUint16(f[at:], c)

	wire := end + missing
	for end < minFrame && missing == 0 {
		f[end] = 0
		end++
		wire = end
	}
	return w.tape.add(t, f[:end], wire)
}

// sum adds the 16-bit words of b to acc (RFC 1071).
func sum(b []byte, acc uint64) uint64 {
	for len(b) >= 8 {
		v := binary.BigEndian.Uint64(b)
		acc += v>>48 + v>>32&0xffff + v>>16&0xffff + v&0xffff
		b = b[8:]
	}
	for len(b) >= 2 {
		acc += uint64(b[0])<<8 | uint64(b[1])
		b = b[2:]
	}
	if len(b) == 1 {
		acc += uint64(b[0]) << 8
	}
	return acc
}

func fold(acc uint64) uint16 {
	for acc > 0xffff {
		acc = acc>>16 + acc&0xffff
	}
	return ^uint16(acc)
}
