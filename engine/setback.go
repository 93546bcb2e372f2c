package engine

import (
	"fmt"
	"time"

	"github.com/testudo-shield/testudo"
)

// setback keeps traffic time going where the clock that stamps live frames is
// set back: without it everything would stand still until that clock is where
// it was. What comes later is told ahead by as much as the clock went back.
type setback struct {
	by    testudo.Time // what is added to the stamps
	early int          // how many in a row came from before
}

const (
	// backAtMost is by how much frames of several rings may be out of order.
	backAtMost = testudo.Time(5 * time.Second)
	// backFrames is how many frames must agree that the clock was set back.
	backFrames = 8
)

// right returns the time of a frame stamped t where traffic time is now, and
// whether it was just learned that the clock was set back.
func (s *setback) right(t, now testudo.Time) (_ testudo.Time, learned bool) {
	if t >= now-backAtMost {
		s.by = 0 // the clock is where it was
	}
	if t += s.by; now == 0 || t >= now-backAtMost {
		s.early = 0
		return t, false
	}
	if s.early++; s.early < backFrames {
		return t, false
	}
	s.by += now - t
	s.early = 0
	return now, true
}

func (s *setback) String() string {
	return fmt.Sprintf("the clock of this machine was set back: until a restart what is seen is told %s too late", time.Duration(s.by).Round(time.Second))
}
