package engine

import (
	"time"

	"github.com/testudo-shield/testudo"
)

// maxSkew is how far one frame may move traffic time on its own. A jump
// beyond it, either way, counts only when the next frame agrees with it, so
// that a single frame from 2038 does not flush every timer.
const maxSkew = testudo.Time(time.Hour)

// clock is the watermark of traffic time: it never runs backwards, save for
// a first frame that all others contradict.
type clock struct {
	now     testudo.Time
	first   testudo.Time // when the traffic began, by the same rule
	suspect testudo.Time // a frame beyond maxSkew that waits for a second one
	doubted bool         // suspect is set
	early   testudo.Time // the same for one long before first
	hasPast bool         // early is set
	set     bool
	trusted bool // two frames agreed
}

// see takes a frame's time and returns the watermark.
func (c *clock) see(t testudo.Time) testudo.Time {
	switch {
	case !c.set:
		c.set, c.now, c.first = true, t, t
		return t
	case t > c.now+maxSkew:
		if !c.doubted {
			c.suspect, c.doubted = t, true
			return c.now
		}
		// Two frames in a row say that time went on, to the earlier of them
		// at least. If they are far apart the later one waits for another.
		if !c.trusted {
			c.first = min(c.suspect, t) // the very first frame was from the past
		}
		c.now, c.suspect, c.trusted = min(c.suspect, t), max(c.suspect, t), true
		if c.suspect <= c.now+maxSkew {
			c.now, c.doubted = c.suspect, false
		}
	case t < c.now-maxSkew && !c.trusted:
		if c.hasPast && t-c.early <= maxSkew && c.early-t <= maxSkew {
			// The very first frame was the one from 2038.
			c.now, c.first = max(t, c.early), min(t, c.early)
			c.doubted, c.hasPast, c.trusted = false, false, true
			return c.now
		}
		c.doubted = false
	default:
		c.now, c.doubted, c.trusted = max(c.now, t), false, true
	}
	c.began(t)
	return c.now
}

// began moves first back to t, at once for a small step and for a large one
// when two frames in a row agree.
func (c *clock) began(t testudo.Time) {
	switch {
	case t >= c.first:
		c.hasPast = false
	case t >= c.first-maxSkew:
		c.first = t
	case c.hasPast && t-c.early <= maxSkew && c.early-t <= maxSkew:
		c.first, c.hasPast = min(t, c.early), false
	default:
		c.early, c.hasPast = t, true
	}
}

const endOfTime = int64(1) << 62

// tick is the time over which records wait to be put in order. What it is
// shows in no output, but nothing is judged sooner.
const tick = 250 * time.Millisecond

// tickOf returns the tick of traffic time that t lies in.
func tickOf(t testudo.Time) int64 { return int64(t) / int64(tick) }
