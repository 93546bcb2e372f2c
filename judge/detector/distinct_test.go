package detector

import (
	"math"
	"net/netip"
	"testing"
)

func TestDistinct(t *testing.T) {
	for _, n := range []int{0, 1, 8, 100, 500, 1000, 5000, 45000, 1000000} {
		var d Distinct
		for i := range n {
			a := netip.AddrFrom4([4]byte{203, byte(i >> 16), byte(i >> 8), byte(i)})
			d.Add(AddrKey(a))
			d.Add(AddrKey(a))
		}
		if got := float64(d.Count()); math.Abs(got-float64(n)) > 0.2*float64(n)+0.5 {
			t.Errorf("%d different: counted %.0f", n, got)
		}
	}
}
