package state

import (
	"cmp"
	"slices"

	"github.com/testudo-shield/testudo"
)

// earlier is a stored incident that shares sightings with what is told now.
type earlier struct {
	id     string
	added  testudo.Time
	first  testudo.Time
	shared map[int]int // how many sightings, by who of the told has them
	named  map[int]int // 2 where the told one has its ID, 1 where an alias of it
}

// match says which stored incidents each of n told ones carries on: the
// first of a list is the one whose ID lasts, the others have become part of
// it. A stored incident goes to one told one: to whom has its ID, else
// to whom has most of its sightings, else to the first told.
func match(n int, stored []earlier) [][]string {
	mine := make([][]earlier, n)
	for _, e := range stored {
		best := -1
		for t := range n {
			if e.shared[t] > 0 && (best < 0 || cmp.Or(cmp.Compare(e.named[t], e.named[best]), cmp.Compare(e.shared[t], e.shared[best])) > 0) {
				best = t
			}
		}
		if best >= 0 {
			mine[best] = append(mine[best], e)
		}
	}
	ids := make([][]string, n)
	for t := range mine {
		slices.SortFunc(mine[t], func(x, y earlier) int {
			return cmp.Or(cmp.Compare(x.added, y.added), cmp.Compare(x.first, y.first), cmp.Compare(x.id, y.id))
		})
		for _, e := range mine[t] {
			ids[t] = append(ids[t], e.id)
		}
	}
	return ids
}
