package channel

import (
	"math"

	"github.com/testudo-shield/testudo"
)

// rhythm is the mean and the deviation of gaps (Welford's method).
type rhythm struct {
	count    int // beats
	mean, m2 float64
	last     testudo.Time
}

func (r *rhythm) beat(at testudo.Time) {
	if r.count == 0 || at < r.last {
		r.last = at
		r.count = max(r.count, 1)
		return
	}
	gap := at.Sub(r.last).Seconds()
	r.last = at
	n := float64(r.count)
	r.count++
	d := gap - r.mean
	r.mean += d / n
	r.m2 += d * (gap - r.mean)
}

// jitter is the deviation of the gaps over their mean.
func (r *rhythm) jitter() float64 {
	if r.count < 3 || r.mean <= 0 {
		return 1
	}
	return math.Sqrt(r.m2/float64(r.count-1)) / r.mean
}

// weight is what the rhythm says for a program that reports.
func (r *rhythm) weight() float64 { return regular(r.count, r.mean, r.jitter()) }

// regular weighs count beats with gaps of this mean (seconds) and relative
// deviation. Ordinary pollers keep time as well; it says little alone.
func regular(count int, mean, jitter float64) float64 {
	if count < polls || mean < 1 {
		return 0
	}
	switch {
	case jitter < 0.1:
		return 1.5
	case jitter < 0.4:
		return 1.2
	case jitter < 0.8 && count >= 2*polls:
		return 0.6
	}
	return 0
}
