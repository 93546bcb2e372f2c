package logs

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/source"
)

const (
	// pollEvery is how often files are looked at. A record is held back for
	// one to two rounds, so that those of several logs come in order.
	pollEvery = 200 * time.Millisecond
	// linger is how long a file that was rotated away is read on after it
	// grew last: its writer may not have been told yet.
	linger = 5 * time.Second
	// maxAsked is for how many rounds a file that was rotated away unread is
	// looked for.
	maxAsked = 50
	// listEvery is in how many rounds folders are listed once.
	listEvery = 3
	maxTrails = 512
	maxKnown  = 64
)

// Follower reads logs while they are written, through rotation by renaming,
// by copying and cutting off, and packing away. A last line is kept until it
// is whole. It is not safe for concurrent use.
//
// What was read stays owned by a position: a record counts as handed out when
// Next returned it, and a Follower that resumes from the Position taken then
// goes on with the one after it.
type Follower struct {
	format  Format
	join    Joiner
	words   *Words
	folders []string
	trails  []*trail
	reading []*generation // all of the trails
	ready   []Entry
	place   int
	every   time.Duration
	linger  time.Duration
	asks    int

	round             int
	next              time.Time // when to look at the files again
	fresh, aging, due int       // entries of this round, of the one before, and older ones
	latest            testudo.Time
	latestAt          time.Time

	skipped   []testudo.Skip
	malformed int
	aside     map[string]int
}

// Follow reads the logs of a format at the paths, files or folders whose logs
// may yet appear, and waits for more. From is what Position returned once, or
// nil to begin with the files as they stand now, from their first lines.
func Follow(format Format, from []byte, paths ...string) (*Follower, error) {
	f := &Follower{
		format: format, join: format.joiner(), words: &Words{}, every: pollEvery, linger: linger, asks: maxAsked,
		aside: map[string]int{}, latest: math.MinInt64,
	}
	if from != nil {
		if err := f.resume(from); err != nil {
			return nil, fmt.Errorf("%s: stored position: %w", format.Name, err)
		}
	}
	for _, p := range paths {
		p, err := filepath.Abs(p)
		if err != nil {
			return nil, err
		}
		info, err := os.Stat(p)
		switch {
		case err == nil && info.IsDir():
			f.folders = append(f.folders, p)
		case err == nil && !info.Mode().IsRegular():
			return nil, fmt.Errorf("%s is neither a file nor a folder: it cannot be followed", p)
		case err == nil || errors.Is(err, os.ErrNotExist):
			if _, err := os.Stat(filepath.Dir(p)); err != nil {
				return nil, err
			}
			f.add(p)
		default:
			return nil, err
		}
	}
	return f, nil
}

// Next returns the next record, or source.ErrIdle when nothing came for a
// while. It never ends.
func (f *Follower) Next() (testudo.Record, error) {
	for waited := false; ; {
		for f.place < len(f.ready) {
			e := f.ready[f.place]
			f.ready[f.place] = Entry{}
			f.place++
			e.in.settle()
			for _, l := range e.in.with {
				l.settle()
			}
			if e.Record != nil {
				return e.Record, nil
			}
		}
		f.ready, f.place = f.ready[:0], 0
		if !time.Now().Before(f.next) {
			f.poll()
		}
		if g := f.first(); g != nil {
			f.take(g)
			continue
		}
		if f.ready = f.join.Expire(f.now(), f.ready); len(f.ready) > 0 {
			continue
		}
		if waited {
			return nil, source.ErrIdle
		}
		time.Sleep(time.Until(f.next))
		waited = true
	}
}

// now is the time in the logs, going on with the clock while nothing comes.
func (f *Follower) now() testudo.Time {
	if f.latestAt.IsZero() {
		return f.latest
	}
	return f.latest.Add(time.Since(f.latestAt))
}

// first returns the generation with the earliest entry if it is due: when any
// entry has waited long enough, or there is more than the windows take.
func (f *Follower) first() (first *generation) {
	due := f.due > 0
	for _, g := range f.reading {
		if g.ahead.len() == 0 {
			continue
		}
		due = due || g.behind && g.ahead.full()
		if first == nil || g.ahead.next() < first.ahead.next() {
			first = g
		}
	}
	if !due {
		return nil
	}
	return first
}

// take joins the first entry of g.
func (f *Follower) take(g *generation) {
	e := g.ahead.pop()
	switch e.in.round {
	case f.round:
		f.fresh--
	case f.round - 1:
		f.aging--
	default:
		f.due--
	}
	if e.Written > f.latest {
		f.latest, f.latestAt = e.Written, time.Now()
	}
	f.ready = f.join.Take(e, f.ready)
	if g.behind && g.ahead.len() < window/2 {
		f.read(g)
	}
}

// poll looks at all files.
func (f *Follower) poll() {
	f.due, f.aging, f.fresh = f.due+f.aging, f.fresh, 0
	f.round++
	f.next = time.Now().Add(f.every)
	if f.round%listEvery == 1 {
		for _, dir := range f.folders {
			f.list(dir)
		}
	}
	for _, t := range f.trails {
		f.look(t)
	}
	f.gather()
}

// gather lists the generations anew.
func (f *Follower) gather() {
	clear(f.reading)
	f.reading = f.reading[:0]
	for _, t := range f.trails {
		f.reading = append(f.reading, t.all()...)
	}
}

func (f *Follower) skip(name, reason string) {
	if len(f.skipped) < maxTrails {
		f.skipped = append(f.skipped, testudo.Skip{Input: name, Reason: reason})
	}
}

// Malformed returns how many lines were broken or longer than 1 MiB so far.
func (f *Follower) Malformed() int { return f.malformed }

// Skipped tells what could not be read so far.
func (f *Follower) Skipped() []testudo.Skip {
	all := slices.Clone(f.skipped)
	if f.malformed > 0 {
		all = append(all, testudo.Skip{Input: f.format.Name, Reason: fmt.Sprintf("%d lines could not be read", f.malformed)})
	}
	return all
}

// Notes says what was left aside so far.
func (f *Follower) Notes() []string {
	if f.format.Note == nil || len(f.aside) == 0 {
		return nil
	}
	return []string{f.format.Note(f.aside)}
}

// Account implements source.Records.
func (f *Follower) Account() source.Account {
	return source.Account{Skipped: f.Skipped(), Notes: f.Notes()}
}

// Close gives back the files.
func (f *Follower) Close() error {
	for _, t := range f.trails {
		for _, g := range t.all() {
			g.detach()
		}
	}
	return nil
}
