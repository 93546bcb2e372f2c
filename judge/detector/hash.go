package detector

import (
	"encoding/binary"
	"hash/maphash"
	"math/bits"
	"net/netip"
)

// Hash sums up the parts of a key. It is seeded anew for every table, so that
// nobody outside can make keys that fall together.
type Hash struct {
	seed maphash.Seed
	sum  uint64
}

func newHash() Hash {
	seed := maphash.MakeSeed()
	return Hash{seed, maphash.String(seed, "a table")}
}

// Word adds a number, Addr an address, Text a string.
func (h Hash) Word(x uint64) Hash { return Hash{h.seed, mix(h.sum^x, hashPrime)} }

// Addr adds an address; zones are not told apart.
func (h Hash) Addr(a netip.Addr) Hash {
	b := a.As16()
	return Hash{h.seed, mix(h.sum^binary.LittleEndian.Uint64(b[:8]), hashPrime^binary.LittleEndian.Uint64(b[8:]))}
}

func sumAddr(a netip.Addr, h Hash) Hash { return h.Addr(a) }

// Text adds a string.
func (h Hash) Text(s string) Hash { return h.Word(maphash.String(h.seed, s)) }

const hashPrime = 0x9e3779b97f4a7c15

func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}
