package annotate

import (
	"math"
	"math/bits"
)

// mark sets the bit of a host in the linear counter.
func (u *use) mark(index uint32) {
	x := uint64(index) * 0x9e3779b97f4a7c15 >> 52
	u.many[x>>6] |= 1 << (x & 63)
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
