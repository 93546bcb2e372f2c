package engine

// batch is what one epoch leaves to be judged.
type batch struct {
	items  []item // not in order yet
	limit  int64  // the tick that all of them come before
	frames int64  // read for it
	totals totals // of all that was read so far
	live   Table  // after it
	quiet  func() // instead of all that: to be done while nothing is judged
}

// judging is the second half of a run, on a goroutine of its own: while it
// judges what one epoch wrote, sense is at the next. Batches keep their order.
type judging struct {
	in    chan batch
	spare chan []item
	over  chan struct{} // closed when the goroutine has ended
	err   error         // why it ended early; set before
}

func startJudging(e *engine) *judging {
	g := &judging{in: make(chan batch, 1), spare: make(chan []item, 4), over: make(chan struct{})}
	go func() {
		defer close(g.over)
		for b := range g.in {
			if b.quiet != nil {
				b.quiet()
				continue
			}
			items, err := e.advance(b.items, b.limit)
			if err != nil {
				g.err = err
				return
			}
			g.spare <- items
			e.show()
			e.look(b.totals)
			if e.cfg.Seen != nil {
				e.cfg.Seen(b.frames, b.live)
			}
		}
	}()
	return g
}

// empty returns a list to fill; nil at first. What it still holds was judged.
func (g *judging) empty() []item {
	select {
	case items := <-g.spare:
		return items
	default:
		return nil
	}
}

// put hands over a batch and tells whether judging goes on.
func (g *judging) put(b batch) bool {
	select {
	case g.in <- b:
		return true
	case <-g.over:
		return false
	}
}

// quiet does f when all batches so far are judged, while the caller waits.
func (g *judging) quiet(f func()) bool {
	done := make(chan struct{})
	if !g.put(batch{quiet: func() { f(); close(done) }}) {
		return false
	}
	select {
	case <-done:
		return true
	case <-g.over:
		return false
	}
}

// end waits until all batches are judged and returns what went wrong.
func (g *judging) end() error {
	close(g.in)
	<-g.over
	return g.err
}
