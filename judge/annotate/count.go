package annotate

import (
	"math"
	"math/bits"
)

// mark sets the bit of a host in the linear counter. Indices are consecutive,
// and the estimate wants them thrown, not dealt: a multiplication alone would
// spread them evenly and fill the counter too soon. It returns whether the bit
// is new.
func (u *use) mark(index uint32) bool {
	x := uint64(index) + 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	x = (x ^ x>>31) >> 52
	was := u.many[x>>6]
	u.many[x>>6] |= 1 << (x & 63)
	return u.many[x>>6] != was
}

// linear estimates how many hosts were marked (Whang, Vander-Zanden, Taylor:
// A linear-time probabilistic counting algorithm, 1990).
func (u *use) linear() int {
	set := 0
	for _, w := range u.many {
		set += bits.OnesCount64(w)
	}
	if set >= 4096 {
		return 4096 * 8
	}
	return int(math.Round(-4096 * math.Log(1-float64(set)/4096)))
}
