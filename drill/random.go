package drill

import (
	"hash/fnv"
	"math"
	"math/rand/v2"
)

// stream returns a source of chance of its own for each name, so that one
// more attack or one more printer does not change what the others do.
func stream(seed uint64, name string) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(name))
	return rand.New(rand.NewPCG(seed, h.Sum64()))
}

// between returns a whole number in [lo, hi].
func between(r *rand.Rand, lo, hi int64) int64 {
	if hi <= lo {
		return lo
	}
	return lo + r.Int64N(hi-lo+1)
}

// size is between for counts of bytes.
func size(r *rand.Rand, lo, hi int) int { return int(between(r, int64(lo), int64(hi))) }

// chance is true in percent of a hundred cases.
func chance(r *rand.Rand, percent int) bool { return r.IntN(100) < percent }

// pick returns one of the choices.
func pick[T any](r *rand.Rand, choices []T) T { return choices[r.IntN(len(choices))] }

// quantiles of the exponential law with mean 1024, in whole numbers: floating
// point would round differently from machine to machine, and the same seed
// must give the same bytes on all of them.
type quantiles [257]int64

func newQuantiles() *quantiles {
	q := new(quantiles)
	for i := range 256 {
		q[i] = int64(math.Round(-1024 * math.Log(1-float64(i)/256)))
	}
	q[256] = 7 * 1024
	return q
}

// expo draws from the exponential law, cut at seven times the mean.
func (q *quantiles) expo(r *rand.Rand, mean int64) int64 {
	u := r.Uint32()
	i, part := u>>24, int64(u>>8&0xffff)
	v := q[i]*65536 + (q[i+1]-q[i])*part
	return mean/1024*v/65536 + mean%1024*v/65536/1024
}

// heavy draws a size with a long tail (Pareto, exponent 1) between lo and hi.
func heavy(r *rand.Rand, lo, hi int) int {
	n := int64(lo) * 65536 / int64(1+r.IntN(65536))
	return int(min(n, int64(hi)))
}

// zipf is a table to choose from by rank: the i-th has weight 1/(i+2).
type zipf []int64

func newZipf(n int) zipf {
	z := make(zipf, n)
	var sum int64
	for i := range z {
		sum += 1_000_000 / int64(i+2)
		z[i] = sum
	}
	return z
}

func (z zipf) pick(r *rand.Rand) int {
	v := r.Int64N(z[len(z)-1])
	lo, hi := 0, len(z)-1
	for lo < hi {
		mid := (lo + hi) / 2
		if z[mid] > v {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	return lo
}

// fill writes chance into b.
func fill(r *rand.Rand, b []byte) {
	for len(b) >= 8 {
		v := r.Uint64()
		b[0], b[1], b[2], b[3] = byte(v), byte(v>>8), byte(v>>16), byte(v>>24)
		b[4], b[5], b[6], b[7] = byte(v>>32), byte(v>>40), byte(v>>48), byte(v>>56)
		b = b[8:]
	}
	v := r.Uint64()
	for i := range b {
		b[i] = byte(v >> (8 * i))
	}
}

const (
	hexDigits = "0123456789abcdef"
	base32    = "abcdefghijklmnopqrstuvwxyz234567"
)

// word returns n letters of the alphabet.
func word(r *rand.Rand, alphabet string, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[r.IntN(len(alphabet))]
	}
	return string(b)
}

// spoken returns a name one can say, of the given number of syllables.
func spoken(r *rand.Rand, syllables int) string {
	const c, v = "bdfgklmnprstvz", "aeiou"
	b := make([]byte, 0, 3*syllables)
	for range syllables {
		b = append(b, c[r.IntN(len(c))], v[r.IntN(len(v))])
		if chance(r, 25) {
			b = append(b, "lnrs"[r.IntN(4)])
		}
	}
	return string(b)
}
