// Package defusaltest holds every enforcer to one contract: Run asks of it
// what package defusal promises of enforcers, course by course. It also has
// Memory, an enforcer that keeps its blocks in memory, by a Clock that tests
// move.
package defusaltest

import (
	"testing"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/act/defusal"
)

// Place is where an enforcer under test blocks, fresh and empty, and what the
// suite needs of it. Enforcer, Now and Pass must be set.
type Place struct {
	Enforcer defusal.Enforcer
	// Now is the wall clock by which blocks end there.
	Now func() testudo.Time
	// Pass lets time go by: it moves a clock of the test's, or sleeps.
	Pass func(time.Duration)
	// Reopen returns another enforcer on the same place, as after a restart;
	// the one before is closed. Nil where nothing outlasts the enforcer.
	Reopen func(t *testing.T) defusal.Enforcer
	// Lose takes the place away under the enforcer, as somebody who deletes
	// the table. Nil where nobody can.
	Lose func(t *testing.T)
	// Foreign puts something there that is not ours and returns a check that
	// it still is as it was. Nil where nothing foreign can be.
	Foreign func(t *testing.T) (same func(t *testing.T))
	// Cuts tells whether the place now cuts what the course is about,
	// whichever block says so. Nil where the test cannot ask.
	Cuts func(t *testing.T, c *testudo.Course) bool
	// Room is how many blocks it takes where that is less than 100,000; 0 for
	// enough.
	Room int
}

// Run holds the enforcer that open gives to the contract. open is called for
// each promise anew and cleans up by t.Cleanup.
func Run(t *testing.T, open func(t *testing.T) Place) {
	for _, promise := range []struct {
		name string
		hold func(t *testing.T, p *place)
	}{
		{"fresh", fresh},
		{"puts what it takes", puts},
		{"refuses what it does not take", refuses},
		{"all or none", allOrNone},
		{"put again gives a new end", renews},
		{"take, twice and of nothing", takes},
		{"two blocks of one thing", twins},
		{"ends by itself", ends},
		{"what has ended is not put", endedBefore},
		{"a restart", restart},
		{"the place is gone", lost},
		{"what is foreign stays", foreign},
		{"full", full},
		{"the caller's slices are the caller's", keepsNothing},
		{"a call that was given up", givenUp},
		{"100,000 entries", many},
	} {
		t.Run(promise.name, func(t *testing.T) {
			p := &place{Place: open(t)}
			if p.courses = takenOf(p.Enforcer); len(p.courses) == 0 {
				t.Fatal("it takes none of the suite's courses")
			}
			promise.hold(t, p)
		})
	}
}
