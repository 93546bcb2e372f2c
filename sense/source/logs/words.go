package logs

import (
	"encoding/binary"
	"math/bits"
)

// Words shares equal strings among lines: a table of fixed size in which a
// newer word takes the place of an older one, so that foreign text cannot
// make it grow.
type Words struct{ known [wordSlots]string }

const (
	wordSlots  = 1 << 13
	maxWordLen = 64
)

// Intern returns b as a string, an earlier equal one where it is at hand.
func (w *Words) Intern(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	if len(b) > maxWordLen {
		return string(b)
	}
	slot := &w.known[hash(b)%wordSlots]
	if *slot != string(b) {
		*slot = string(b)
	}
	return *slot
}

// hash mixes eight bytes at a time.
func hash(b []byte) uint64 {
	const prime = 0x9e3779b97f4a7c15
	h := uint64(len(b)) * prime
	for ; len(b) >= 8; b = b[8:] {
		h = mix(h^binary.LittleEndian.Uint64(b), prime)
	}
	var last uint64
	for _, c := range b {
		last = last<<8 | uint64(c)
	}
	return mix(h^last, prime)
}

func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}
