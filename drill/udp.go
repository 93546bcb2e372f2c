package drill

import (
	"encoding/binary"
	"math/rand/v2"
)

// talk is one UDP conversation.
type talk struct {
	w    *world
	end  [2]*node
	port [2]uint16
	flow Flow
	by   *Planted
}

func (w *world) talk(t int64, c, s *node, sport, dport uint16, by *Planted) *talk {
	return &talk{
		w: w, end: [2]*node{c, s}, port: [2]uint16{sport, dport}, by: by,
		flow: newFlow(t, c, s, sport, dport, protoUDP, by),
	}
}

// send emits one datagram of the literal bytes followed by cut bytes that
// were on the wire but not kept.
func (k *talk) send(t int64, d int, literal []byte, cut int) {
	w, f := k.w, k.w.frame[:]
	binary.BigEndian.PutUint16(f[l4At:], k.port[d])
	binary.BigEndian.PutUint16(f[l4At+2:], k.port[1-d])
	binary.BigEndian.PutUint16(f[l4At+4:], uint16(8+len(literal)+cut))
	n := copy(f[l4At+8:], literal)
	if w.put(t, k.end[d], k.end[1-d], protoUDP, l4At+8+n, cut) {
		k.flow.count(t, d, n+cut, 1, k.by)
	}
}

func (k *talk) done() { k.w.report(&k.flow) }

// echo is a ping with its answer.
func (w *world) echo(t int64, r *rand.Rand, a, b *node, seq uint16, answered bool) {
	fl := newFlow(t, a, b, 8, 0, protoICMP, nil)
	id := uint16(a.addr)
	for d := range 2 {
		if d == 1 && !answered {
			break
		}
		f := w.frame[:]
		f[l4At], f[l4At+1] = byte(8*(1-d)), 0
		binary.BigEndian.PutUint16(f[l4At+4:], id)
		binary.BigEndian.PutUint16(f[l4At+6:], seq)
		for i := range 56 {
			f[l4At+8+i] = byte(i)
		}
		src, dst := a, b
		if d == 1 {
			src, dst = b, a
			t += 2*b.lat + between(r, 20, 200)
		}
		if w.put(t, src, dst, protoICMP, l4At+64, 0) {
			fl.count(t, d, 56, 1, nil)
		}
	}
	w.report(&fl)
}

// arp is a question and its answer at the core (RFC 826).
func (w *world) arp(t int64, a, b *node) {
	for d := range 2 {
		f := w.frame[:]
		src, dst := a, b
		copy(f[0:6], "\xff\xff\xff\xff\xff\xff")
		if d == 1 {
			src, dst = b, a
			copy(f[0:6], dst.mac[:])
			t += 150
		}
		copy(f[6:12], src.mac[:])
		copy(f[12:], []byte{0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, byte(1 + d)})
		copy(f[22:], src.mac[:])
		binary.BigEndian.PutUint32(f[28:], src.addr)
		clear(f[32:38])
		if d == 1 {
			copy(f[32:38], dst.mac[:])
		}
		binary.BigEndian.PutUint32(f[38:], dst.addr)
		clear(f[42:minFrame])
		w.tape.add(t, f[:minFrame], minFrame)
	}
}
