package engine

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/source"
)

// Live says how a run on live inputs talks to its caller. Its functions are
// called from the run's goroutines and must return soon.
type Live struct {
	// Look is given what is known now, about once a second while there is
	// something new; nil for none.
	Look func(View)
	// Dropped returns how many frames the input has lost so far; nil if it
	// cannot tell.
	Dropped func() int64
	// Event is told what a person should know: that load is shed, or no more;
	// nil for nobody.
	Event func(string)
	// Now is the clock; nil for the machine's.
	Now func() time.Time
}

// View is what a live run knows at a moment. Both are the caller's to keep.
type View struct {
	Incidents []testudo.Incident
	Summary   testudo.Summary
}

// lookEvery is how often a caller is given a View, and quietEvery how often
// when there is nothing new in it but the time.
const lookEvery, quietEvery = time.Second, 10 * time.Second

// cutAfter is how much traffic time an epoch of a live input may hold.
const cutAfter = testudo.Time(200 * time.Millisecond)

func (l *Live) now() time.Time {
	if l.Now != nil {
		return l.Now()
	}
	return time.Now()
}

func (l *Live) dropped() int64 {
	if l.Dropped != nil {
		return l.Dropped()
	}
	return 0
}

// looking is when the caller was last given a View, and of how much.
type looking struct {
	at     time.Time
	claims int
}

// look gives the caller a View if it is time for one.
func (e *engine) look(counted totals) {
	l := e.cfg.Live
	if l == nil || l.Look == nil {
		return
	}
	now, wait := l.now(), quietEvery
	if e.judge.claims != e.looked.claims {
		wait = lookEvery
	}
	if since := now.Sub(e.looked.at); since >= 0 && since < wait { // below: the clock was set back
		return
	}
	e.looked = looking{now, e.judge.claims}
	l.Look(e.view(counted))
}

// view is what the judging goroutine knows.
func (e *engine) view(counted totals) View {
	v := View{Incidents: e.judge.builder.Incidents()}
	s := &v.Summary
	counted.summarise(s)
	e.judge.summarise(s)
	for i := range v.Incidents {
		s.BySeverity[v.Incidents[i].Severity]++
	}
	return v
}

// logDelay is how long records of live logs wait for those of other logs that
// tell of the same second.
const logDelay = 2 * time.Second

// follow judges live records where there are no frames, until ctx is done or
// they end. What came in a tick is judged when a later one has begun, or
// after a silence; before a checkpoint all that was read is.
func (e *engine) follow(ctx context.Context) error {
	var items []item
	var err error
	for ctx.Err() == nil && !e.logs.done {
		e.logs.marked = false
		for len(items) < maxHeld && e.logs.peek() {
			items = append(items, item{at: e.logs.at, uid: e.logs.next.Base().UID, r: e.logs.next, shard: noShard})
			e.logs.next = nil
			if tickOf(e.logs.at) > tickOf(items[0].at) {
				break
			}
		}
		now := testudo.TimeOf(e.cfg.Live.now())
		limit := max(tickOf(e.logs.at), tickOf(now.Add(-logDelay)))
		if e.logs.at > now {
			limit = tickOf(e.logs.at) + 1 // the clock was set back: what came so far is not kept until it is there again
		}
		save := e.logs.marked && e.isDue(e.logs.at)
		if save {
			limit = max(limit, tickOf(e.logs.at)+1)
		}
		n := 0
		for n < len(items) && tickOf(items[n].at) < limit {
			n++
		}
		if _, err = e.advance(items[:n], limit); err != nil {
			return err
		}
		m := copy(items, items[n:])
		clear(items[m:])
		items = items[:m]
		e.look(totals{})
		if save {
			e.checkpoint()
		}
	}
	_, err = e.advance(items, endOfTime)
	return err
}

// pump reads live records on a goroutine of its own, so that waiting for them
// holds up nobody. About once a second it marks where they stand.
type pump struct {
	in   chan pumped
	err  error         // set before in is closed
	wait time.Duration // how long Next waits for one
}

// pumped is a record, or the position after those before it.
type pumped struct {
	r        testudo.Record
	position []byte
}

// errMark says that there is a position, and no record.
var errMark = errors.New("the position of the records so far")

const markEvery = time.Second

func startPump(ctx context.Context, src RecordSource, wait time.Duration) *pump {
	p := &pump{in: make(chan pumped, 4096), wait: wait}
	go func() {
		defer close(p.in)
		p.err = p.read(ctx, src)
	}()
	return p
}

func (p *pump) read(ctx context.Context, src RecordSource) error {
	marked := time.Now()
	for ctx.Err() == nil {
		r, err := src.Next()
		if err != nil && !isIdle(err) {
			return err
		}
		if r != nil {
			p.put(ctx, pumped{r: r})
		}
		if at, ok := src.(interface{ Position() []byte }); ok && time.Since(marked) >= markEvery {
			marked = time.Now()
			p.put(ctx, pumped{position: at.Position()})
		}
	}
	return io.EOF
}

// end stops reading and waits until nothing is read any longer, which takes as
// long as the source waits for a record.
func (p *pump) end(stop func()) {
	stop()
	for range p.in {
	}
}

func (p *pump) put(ctx context.Context, x pumped) {
	select {
	case p.in <- x:
	case <-ctx.Done():
	}
}

// next is Next of a RecordSource, with errMark beside it.
func (p *pump) next() (pumped, error) {
	select {
	case x, ok := <-p.in:
		return p.give(x, ok)
	default:
	}
	if p.wait == 0 {
		return pumped{}, source.ErrIdle
	}
	timer := time.NewTimer(p.wait)
	defer timer.Stop()
	select {
	case x, ok := <-p.in:
		return p.give(x, ok)
	case <-timer.C:
		return pumped{}, source.ErrIdle
	}
}

func (p *pump) give(x pumped, ok bool) (pumped, error) {
	switch {
	case !ok:
		return x, p.err
	case x.r == nil:
		return x, errMark
	}
	return x, nil
}

// isIdle tells whether err says that a live input has nothing yet.
func isIdle(err error) bool { return err == source.ErrIdle }
