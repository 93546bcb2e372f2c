package engine

import (
	"fmt"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/packet"
)

// What is given up under more live traffic than the machine can read, in this
// order: payload of host pairs that have shown enough of it, their packets
// where they are known bulk transfers, and then half of the host pairs, three
// quarters, and so on. A pair is watched whole or not at all, so that what is
// still seen is seen rightly; greetings and handshakes are read to the last.
const (
	shedNothing = iota
	shedPayload
	shedBulk
	shedPairs
	shedMost = shedPairs + 5 // one pair of 64
)

const (
	// weighEvery is how often the load is looked at.
	weighEvery = 250 * time.Millisecond
	// late is how far behind the frames may be before something is given up,
	// settled how long they must be in time again before it is taken back.
	late, settled = 250 * time.Millisecond, 5 * time.Second
	// shown is how much payload of a pair is read under load, bulk how much
	// it must have sent lately to be a known bulk transfer, and loadPairs how
	// many pairs are watched for both.
	shown, bulk, loadPairs = 32 << 10, 4 << 20, 8192
)

// load decides what a live reader gives up. The reader alone uses it.
type load struct {
	live    *Live
	level   int
	weighed time.Time
	lag     time.Duration // then
	skew    time.Duration // by which the clock that stamps frames is behind ours
	skewed  bool          // that was seen
	calm    time.Time     // since when the frames are in time
	dropped int64         // by the source, when last asked
	pairs   [loadPairs]pair
	given   given
}

// pair is what one host pair sent lately.
type pair struct {
	hash  uint64
	bytes int64
}

// given counts what was given up.
type given struct {
	bulk, pairs int64 // packets
	payload     int64 // packets of which only the headers were read
	dropped     int64 // frames the source lost
}

func newLoad(l *Live) *load { return &load{live: l} }

// take tells whether a packet is read, and whether with its payload.
func (l *load) take(p *packet.Packet) (read, payload bool) {
	if l.level == shedNothing {
		return true, true
	}
	if l.level >= shedPairs && p.Hash>>40&(1<<(l.level-shedPairs+1)-1) != 0 {
		l.given.pairs++
		return false, false
	}
	x := &l.pairs[p.Hash>>20%loadPairs]
	if x.hash != p.Hash {
		// The pair that sends more stays.
		if x.bytes -= int64(p.PayloadLen) + 1; x.bytes > 0 {
			return true, true
		}
		*x = pair{hash: p.Hash}
	}
	x.bytes += int64(p.PayloadLen)
	switch {
	case l.level >= shedBulk && x.bytes > bulk:
		l.given.bulk++
		return false, false
	case x.bytes > shown && len(p.Payload) > 0:
		l.given.payload++
		return true, false
	}
	return true, true
}

// weigh looks at how late the last frame was read, and at what the source
// lost, and changes the level by one step at most.
func (l *load) weigh(frame testudo.Time, idle bool) {
	now := l.live.now()
	if since := now.Sub(l.weighed); since >= 0 && since < weighEvery {
		return
	}
	l.weighed = now
	lost, lag := max(l.dropped, l.live.dropped()), time.Duration(0)
	if !idle && frame != 0 {
		lag = l.behind(testudo.TimeOf(now).Sub(frame))
	}
	// What waits may be the rest of what was too much before the last step.
	shrinks := lag < l.lag-weighEvery/8
	l.lag = lag
	behind := lost > l.dropped || lag > late && !shrinks
	l.given.dropped += lost - l.dropped
	l.dropped = lost
	switch {
	case behind && l.level < shedMost:
		l.level++
		l.calm = time.Time{}
		l.announce()
	case behind || lag > late:
		l.calm = time.Time{}
	case l.calm.IsZero():
		l.calm = now
	case l.level > shedNothing && now.Sub(l.calm) >= settled:
		l.level--
		l.calm = now
		if l.level == shedNothing {
			l.pairs = [loadPairs]pair{}
		}
		l.announce()
	}
}

// behind returns how late a frame is, of how late it seems by the clock that
// stamped it. That one may be wrong, and drift: it is in time where a frame
// came soonest, and no frame waits for a minute.
func (l *load) behind(seems time.Duration) time.Duration {
	if !l.skewed || seems < l.skew || seems > l.skew+time.Minute {
		l.skew, l.skewed = seems, true
	} else {
		l.skew = min(seems, l.skew+weighEvery/1024)
	}
	return seems - l.skew
}

func (l *load) announce() {
	if l.live.Event == nil {
		return
	}
	const more = "more traffic than can be read in time: "
	switch l.level {
	case shedNothing:
		l.live.Event("in time again: everything is read")
	case shedPayload:
		l.live.Event(more + "beyond the first 32 KB of two hosts only headers are read")
	case shedBulk:
		l.live.Event(more + "packets of bulk transfers are left out as well")
	default:
		l.live.Event(fmt.Sprintf("%sone host pair of %d is watched, whole", more, 1<<(l.level-shedPairs+1)))
	}
}

func (g *given) summarise(s *testudo.Summary) {
	s.Dropped, s.Unread, s.HeadersOnly = g.dropped, g.bulk+g.pairs, g.payload
}
