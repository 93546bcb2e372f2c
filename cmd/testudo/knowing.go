package main

import (
	"context"
	"sync"
	"time"

	"github.com/testudo-shield/testudo/judge/detector"
	"github.com/testudo-shield/testudo/judge/detector/indicator"
	"github.com/testudo-shield/testudo/keep/feed"
	"github.com/testudo-shield/testudo/shield"
)

// knowEvery is how often a live run looks whether there is anything new to
// know.
const knowEvery = time.Minute

// indicatorDetector is the one that judges hits on indicators.
func indicatorDetector() detector.Detector { return indicator.Detector() }

// knowing keeps the indicators of a live run as new as those that are
// remembered, and fetches feeds when they are due.
type knowing struct {
	app    *app
	memory *shield.Memory
	live   *reloaded
	event  func(string)
	flags  judgeFlags

	mu       sync.Mutex
	config   config
	settings shield.Settings
	revision int64 // of the indicators that are matched
}

// set takes a configuration and what was read by it.
func (k *knowing) set(c config, s shield.Settings) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.config, k.settings = c, s
	if n, err := k.memory.State.Revision("indicators"); err == nil {
		k.revision = n
	}
	k.live.take(s)
}

// keep begins; the function it returns ends it and waits.
func (k *knowing) keep(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		t := time.NewTicker(knowEvery)
		defer t.Stop()
		for ctx.Err() == nil {
			k.look(ctx)
			select {
			case <-t.C:
			case <-ctx.Done():
			}
		}
	}()
	return func() { cancel(); <-done }
}

// look fetches what is due and takes over what is new.
func (k *knowing) look(ctx context.Context) {
	k.mu.Lock()
	c := k.config
	k.mu.Unlock()
	if sources, err := c.feeds(); err == nil && len(sources) > 0 {
		k.update(ctx, sources)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	n, err := k.memory.State.Revision("indicators")
	if err != nil || n == k.revision || ctx.Err() != nil {
		return
	}
	s := k.settings
	if err := k.app.loadIntel(ctx, &s, k.config, k.flags, k.memory); err != nil {
		if ctx.Err() == nil {
			k.event("indicators stay as they were: " + err.Error())
		}
		return
	}
	k.revision, k.settings = n, s
	k.live.take(s)
	k.event("indicators: " + counted(s.Lists.Indicators, "indicator") + " of " + counted(s.Lists.Lists, "list") + " are matched now")
}

// update fetches feeds and looks back for what is new of them.
func (k *knowing) update(ctx context.Context, sources []feed.Source) {
	since := k.memory.Now()
	changed, err := shield.Update{Formats: formats(), Sources: sources, Fetched: func(r feed.Result) {
		if r.Err != nil {
			k.event(r.Source + ": " + r.Err.Error())
		}
	}, Imported: func(t shield.Imported) {
		if t.Err != nil {
			k.event(t.Source + ": " + t.Err.Error())
		}
	}}.Run(ctx, k.memory)
	if err != nil && ctx.Err() == nil && err != shield.ErrRemote {
		k.event("feeds: " + err.Error())
	}
	if !changed || ctx.Err() != nil {
		return
	}
	found, err := shield.LookBack{Detector: indicatorDetector(), Since: since}.Run(ctx, k.memory)
	if err != nil {
		if ctx.Err() == nil {
			k.event("looking back: " + err.Error())
		}
		return
	}
	k.app.lookedBack(found, k.memory.Now(), k.event)
}
