package engine

import (
	"cmp"
	"slices"
	"testing"

	"github.com/testudo-shield/testudo"
)

// TestSorterIsStable compares with the library's stable sort, on items that
// are in order, backwards, in runs as shards leave them, and in none.
func TestSorterIsStable(t *testing.T) {
	var s sorter
	x := uint32(1)
	random := func(n uint32) uint32 {
		x = x*1664525 + 1013904223
		return x >> 8 % n
	}
	for _, n := range []int{0, 1, 2, 11, 12, 13, 100, 5000} {
		for shape, at := range map[string]func(i int) testudo.Time{
			"in order":  func(i int) testudo.Time { return testudo.Time(i / 3) },
			"backwards": func(i int) testudo.Time { return testudo.Time((n - i) / 3) },
			"in runs":   func(i int) testudo.Time { return testudo.Time(i%78 + int(random(3))) },
			"in none":   func(int) testudo.Time { return testudo.Time(random(50)) },
			"all equal": func(int) testudo.Time { return 7 },
		} {
			items := make([]item, n)
			for i := range items {
				items[i] = item{at: at(i), uid: testudo.UID(random(4)), shard: int32(i)}
			}
			want := slices.Clone(items)
			slices.SortStableFunc(want, func(a, b item) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.uid, b.uid)) })
			if s.sort(items); !slices.Equal(items, want) {
				t.Errorf("%d items %s: not as the stable sort leaves them", n, shape)
			}
		}
	}
}
