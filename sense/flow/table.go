package flow

import (
	"encoding/binary"
	"math/bits"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/packet"
)

// key names a conversation whichever side sent the packet: lo is the lesser
// of the two (address, port) ends.
type key struct {
	lo, hi [2]uint64 // addresses, big end first
	ports  uint32    // lo's port in the upper half
	proto  testudo.Proto
}

// look is what a packet is looked up by.
type look struct {
	key
	hash  uint32
	srcLo bool // the sender is lo
}

// place is one place of the table, eight in a cache line; conn 0 is empty. The
// key is in the conn, where every packet goes anyway.
type place struct{ hash, conn uint32 }

// of fills l from a packet.
func (l *look) of(p *packet.Packet, secret uint64) {
	src := [2]uint64{binary.BigEndian.Uint64(p.Src[:8]), binary.BigEndian.Uint64(p.Src[8:])}
	dst := [2]uint64{binary.BigEndian.Uint64(p.Dst[:8]), binary.BigEndian.Uint64(p.Dst[8:])}
	sp, dp := p.SrcPort, p.DstPort
	switch p.Proto {
	case testudo.TCP, testudo.UDP, testudo.SCTP:
	case testudo.ICMP, testudo.ICMPv6:
		sp, dp = icmpPorts(p)
	default:
		sp, dp = 0, 0
	}
	l.srcLo = less(src, sp, dst, dp)
	if l.srcLo {
		l.lo, l.hi, l.ports = src, dst, uint32(sp)<<16|uint32(dp)
	} else {
		l.lo, l.hi, l.ports = dst, src, uint32(dp)<<16|uint32(sp)
	}
	l.proto = p.Proto
	h := p.Hash
	if h == 0 {
		h = mix(mix(l.lo[0], l.lo[1]), mix(l.hi[0], l.hi[1]))
	}
	h = mix(h^secret, uint64(l.ports)|uint64(l.proto)<<32)
	l.hash = uint32(h ^ h>>32)
}

func less(a [2]uint64, ap uint16, b [2]uint64, bp uint16) bool {
	if a[0] != b[0] {
		return a[0] < b[0]
	}
	if a[1] != b[1] {
		return a[1] < b[1]
	}
	return ap <= bp
}

// mix folds two words into one, every bit of which depends on all of both.
func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a^0x9e3779b97f4a7c15, b^0xd1b54a32d192ed03)
	h := hi ^ lo ^ bits.RotateLeft64(a, 23) ^ bits.RotateLeft64(b, 41)
	h ^= h >> 29
	h *= 0xbf58476d1ce4e5b9
	return h ^ h>>32
}

// table is an open-addressed hash table with linear probing. It is never
// more than half full, and removal shifts back, so there are no tombstones.
type table struct {
	places []place
	mask   uint32
	used   int
}

// find returns the conn of conns under k, 0 for none.
func (t *table) find(k *key, hash uint32, conns *pool[conn]) uint32 {
	for i := hash & t.mask; ; i = (i + 1) & t.mask {
		p := t.places[i]
		if p.conn == 0 || (p.hash == hash && conns.at(p.conn).key == *k) {
			return p.conn
		}
	}
}

// insert puts a conn that is not there yet.
func (t *table) insert(hash, conn uint32) {
	if 2*(t.used+1) > len(t.places) {
		t.grow(2 * len(t.places))
	}
	t.put(place{hash, conn})
	t.used++
}

func (t *table) put(p place) {
	i := p.hash & t.mask
	for t.places[i].conn != 0 {
		i = (i + 1) & t.mask
	}
	t.places[i] = p
}

// remove takes a conn out and closes the ranks behind it.
func (t *table) remove(hash, conn uint32) {
	i := hash & t.mask
	for t.places[i].conn != conn {
		if t.places[i].conn == 0 {
			return
		}
		i = (i + 1) & t.mask
	}
	t.used--
	for j := (i + 1) & t.mask; t.places[j].conn != 0; j = (j + 1) & t.mask {
		home := t.places[j].hash & t.mask
		if (j-home)&t.mask >= (j-i)&t.mask {
			t.places[i] = t.places[j]
			i = j
		}
	}
	t.places[i] = place{}
}

// grow moves everything into n places, a power of two.
func (t *table) grow(n int) {
	old := t.places
	t.places, t.mask = make([]place, n), uint32(n-1)
	for _, p := range old {
		if p.conn != 0 {
			t.put(p)
		}
	}
}
