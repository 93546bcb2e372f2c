package shield

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/intel"
	"github.com/testudo-shield/testudo/keep/feed"
	"github.com/testudo-shield/testudo/keep/state"
)

// Update fetches feeds and imports what is new of them.
type Update struct {
	Formats  []intel.Format
	Sources  []feed.Source
	All      bool                // also those that are not due
	Progress func(feed.Progress) // nil for nobody
	Fetched  func(feed.Result)   // told of each that was asked; nil for nobody
	Imported func(Imported)      // told of each that was new; nil for nobody
}

// ErrRemote says that a feed could not be fetched or used.
var ErrRemote = errors.New("not every feed could be brought up to date; what was known before stays in use")

// Run updates, and tells whether anything is remembered otherwise than before.
// A feed that fails does not hinder the others; the error is then ErrRemote.
func (u Update) Run(ctx context.Context, m *Memory) (changed bool, err error) {
	store, err := feed.Open(m.Dir)
	if err != nil {
		return false, err
	}
	var due []feed.Source
	for _, s := range u.Sources {
		kept, err := store.Kept(s.Name)
		if err != nil {
			return false, err
		}
		if u.All || kept.Due(s, m.Now()) {
			due = append(due, s)
		}
	}
	if len(due) == 0 {
		return false, nil
	}
	return u.take(ctx, m, due, store.Update(ctx, due, m.Now(), u.Progress))
}

// take imports results; those of a pack come without sources.
func (u Update) take(ctx context.Context, m *Memory, due []feed.Source, results []feed.Result) (changed bool, err error) {
	known, err := m.State.Sources()
	if err != nil {
		return false, err
	}
	for _, r := range results {
		if u.Fetched != nil {
			u.Fetched(r)
		}
		if r.Err != nil {
			err = ErrRemote
		}
		if len(r.Files) == 0 || slices.ContainsFunc(known, func(s state.Source) bool { return s.Name == r.Source && sameMoment(s.Fetched, r.Fetched) }) {
			continue
		}
		i := Import{Formats: u.Formats, Confidence: -1, Tell: u.Imported}
		if n := slices.IndexFunc(due, func(s feed.Source) bool { return s.Name == r.Source }); n >= 0 {
			i.Licence, i.TLP = due[n].Licence, due[n].TLP
		}
		t, ierr := i.Fetched(ctx, m, r)
		if ierr != nil {
			err = ErrRemote
			t.Source, t.Err = r.Source, ierr
			i.tell(t)
		}
		changed = changed || t.Changed()
	}
	if ctx.Err() != nil {
		return changed, ctx.Err()
	}
	return changed, err
}

// Unpacked imports what a pack brought.
func (u Update) Unpacked(ctx context.Context, m *Memory, results []feed.Result, kept []feed.Kept) (changed bool, err error) {
	var sources []feed.Source
	for _, k := range kept {
		sources = append(sources, feed.Source{Name: k.Source, Licence: k.Licence, TLP: testudo.ParseTLP(k.Label)})
	}
	return u.take(ctx, m, sources, results)
}

// sameMoment compares times of which one was written down without its
// nanoseconds.
func sameMoment(a, b testudo.Time) bool { return a.Sub(b).Abs() < time.Millisecond }
