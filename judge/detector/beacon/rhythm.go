package beacon

import (
	"math"
	"slices"
)

// rhythm is what the last gaps say of the law behind them. All of it is by
// quartiles, which a few lost or late reports do not move.
type rhythm struct {
	n       int     // gaps
	median  float64 // seconds
	spread  float64 // (Q3-Q1)/(Q3+Q1): 0 constant, J/2 for uniform jitter of ±J, 0.66 memoryless, above 0.75 people
	cv      float64 // of the gaps that are no pauses
	echo    float64 // correlation of a gap with the one before: -0.5 around a fixed grid
	missed  int     // gaps that are a multiple of the period
	paused  int     // gaps of more than eight periods: switched off, asleep
	regular bool    // most gaps are near the median
}

// tempo measures gaps. It sorts a copy.
func tempo(gaps []float32) rhythm {
	var copied [window]float32
	sorted := copied[:copy(copied[:], gaps)]
	r := rhythm{n: len(sorted)}
	if r.n < 3 {
		return rhythm{}
	}
	slices.Sort(sorted)
	r.median = quantile(sorted, 0.5)
	near := 0
	for _, g := range sorted {
		if math.Abs(float64(g)-r.median) <= 0.2*r.median {
			near++
		}
	}
	r.regular = 10*near >= 6*r.n
	kept := sorted[:0]
	for _, g := range sorted {
		x := float64(g) / r.median
		switch k := math.Round(x); {
		case r.regular && k >= 2 && k <= 8 && math.Abs(x-k) <= 0.1*k:
			r.missed++
			kept = append(kept, g/float32(k))
		case x > 8:
			r.paused++
		default:
			kept = append(kept, g)
		}
	}
	slices.Sort(kept)
	r.median = quantile(kept, 0.5)
	q1, q3 := quantile(kept, 0.25), quantile(kept, 0.75)
	if q1+q3 > 0 {
		r.spread = (q3 - q1) / (q3 + q1)
	}
	r.cv = variation(kept)
	r.echo = echo(gaps, 8*r.median)
	return r
}

// memoryless tells whether the gaps look like a sleep drawn from the
// exponential law: as scattered as that, and hardly one of eight times the
// median (0.4 % of an exponential law's are, of people's more than a tenth).
func (r rhythm) memoryless() bool {
	sampled := 1 / math.Sqrt(float64(max(1, r.n))) // how far a spread strays by chance
	return r.n >= 20 && r.spread > 0.5 && r.spread < 0.66+sampled && 25*r.paused <= r.n && r.cv > 0.6 && r.cv < 1.3
}

// quantile returns the q-quantile of sorted values, between neighbours.
func quantile(sorted []float32, q float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	at := q * float64(len(sorted)-1)
	i := int(at)
	if i+1 >= len(sorted) {
		return float64(sorted[i])
	}
	f := at - float64(i)
	return float64(sorted[i])*(1-f) + float64(sorted[i+1])*f
}

func variation(xs []float32) float64 {
	var sum, square float64
	for _, x := range xs {
		sum += float64(x)
		square += float64(x) * float64(x)
	}
	n := float64(len(xs))
	if n == 0 || sum == 0 {
		return 0
	}
	mean := sum / n
	return math.Sqrt(max(0, square/n-mean*mean)) / mean
}

// echo is the correlation of neighbouring gaps in the order they came, pauses
// left out. Sleeps that add up have none; reports scattered around a fixed
// grid make up for each other.
func echo(gaps []float32, pause float64) float64 {
	var mean, n float64
	for _, g := range gaps {
		if float64(g) <= pause {
			mean += float64(g)
			n++
		}
	}
	if n < 12 {
		return 0
	}
	mean /= n
	var same, next float64
	for i, g := range gaps {
		d := float64(g) - mean
		if float64(g) > pause {
			continue
		}
		same += d * d
		if i+1 < len(gaps) && float64(gaps[i+1]) <= pause {
			next += d * (float64(gaps[i+1]) - mean)
		}
	}
	if same == 0 {
		return 0
	}
	return next / same
}

// sizes is what the last messages of one direction were like.
type sizes struct {
	median, spread float64 // bytes; spread as of a rhythm
}

func measure(xs []uint32) sizes {
	var copied [window]float32
	for i, x := range xs {
		copied[i] = float32(x)
	}
	sorted := copied[:len(xs)]
	slices.Sort(sorted)
	q1, q3 := quantile(sorted, 0.25), quantile(sorted, 0.75)
	s := sizes{median: quantile(sorted, 0.5)}
	if q1+q3 > 0 {
		s.spread = (q3 - q1) / (q3 + q1)
	}
	return s
}

// ordered returns the gaps in the order they came.
func (g *rings) ordered(into *[window]float32) []float32 {
	n := g.n - 1
	if n <= window {
		return into[:copy(into[:], g.gaps[:n])]
	}
	at := n % window
	k := copy(into[:], g.gaps[at:])
	copy(into[k:], g.gaps[:at])
	return into[:]
}

// curve is a straight line between calibrated points, and flat beyond them.
type curve [][2]float64

func (c curve) at(x float64) float64 {
	if x <= c[0][0] {
		return c[0][1]
	}
	for i := 1; i < len(c); i++ {
		if a, b := c[i-1], c[i]; x <= b[0] {
			return a[1] + (b[1]-a[1])*(x-a[0])/(b[0]-a[0])
		}
	}
	return c[len(c)-1][1]
}
