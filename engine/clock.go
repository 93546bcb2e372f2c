package engine

import (
	"time"

	"github.com/testudo-shield/testudo"
)

// maxSkew is how far one frame may move traffic time on its own. A jump
// beyond it, either way, counts only when the next frame agrees with it, so
// that a single frame from 2038 does not flush every timer.
const maxSkew = testudo.Time(time.Hour)

// clock is the watermark of traffic time: it never runs backwards.
type clock struct {
	now     testudo.Time
	suspect testudo.Time // a frame beyond maxSkew that waits for a second one
	set     bool
	trusted bool // two frames agreed
}

// see takes a frame's time and returns the watermark.
func (c *clock) see(t testudo.Time) testudo.Time {
	switch {
	case !c.set:
		c.set, c.now = true, t
	case t > c.now+maxSkew:
		if c.suspect == 0 || t > c.suspect+maxSkew || t < c.suspect-maxSkew {
			c.suspect = t
			return c.now
		}
		c.now, c.suspect, c.trusted = t, 0, true
	case t < c.now-maxSkew && !c.trusted:
		// The very first frame was the one from 2038.
		c.now = t
	default:
		c.now, c.suspect, c.trusted = max(c.now, t), 0, true
	}
	return c.now
}

const endOfTime = int64(1) << 62

// tickOf returns the second of traffic time that t lies in.
func tickOf(t testudo.Time) int64 { return int64(t) / int64(time.Second) }
