package detector

import (
	"math"
	"math/bits"
)

// Distinct counts different things in 256 bytes, within about 7 %: a
// HyperLogLog of 256 registers with linear counting below it (Flajolet,
// Fusy, Gandouet, Meunier: HyperLogLog, 2007). The zero value is empty.
type Distinct [256]uint8

// Add counts what hashes to h; equal hashes count once.
func (d *Distinct) Add(h uint64) {
	h *= 0x9e3779b97f4a7c15 // spread what weak hashes leave together
	h ^= h >> 32
	rank := uint8(bits.LeadingZeros64(h<<8|1<<7)) + 1
	if r := &d[h>>56]; rank > *r {
		*r = rank
	}
}

// Count returns the estimate.
func (d *Distinct) Count() int {
	sum, zero := 0.0, 0
	for _, r := range d {
		sum += math.Float64frombits((1023 - uint64(r)) << 52) // 2 to the power of -r
		if r == 0 {
			zero++
		}
	}
	const m = float64(len(d))
	if zero > 0 {
		if n := m * math.Log(m/float64(zero)); n <= 2.5*m {
			return int(math.Round(n))
		}
	}
	return int(math.Round(0.7183 * m * m / sum))
}
