package logs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
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

// position is the form in which a follower's place is stored.
type position struct {
	Version int      `json:"version"`
	Trails  []stored `json:"trails"`
}

type stored struct {
	Path  string `json:"path"`
	Since int64  `json:"since"`
	Spots []spot `json:"spots,omitempty"`
	Known []mark `json:"known,omitempty"`
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

func (f *Follower) resume(from []byte) error {
	var pos position
	if err := json.Unmarshal(from, &pos); err != nil {
		return err
	}
	if pos.Version != 1 {
		return fmt.Errorf("version %d is not known", pos.Version)
	}
	for _, s := range pos.Trails {
		t := &trail{path: s.Path, since: s.Since, known: s.Known, scan: f.asks}
		for _, spot := range s.Spots {
			g, err := resumed(spot, f.format.File(s.Path))
			if err != nil {
				return err
			}
			t.old = append(t.old, g)
		}
		f.trails = append(f.trails, t)
	}
	return nil
}

// Position returns where the records handed out so far end, to be stored and
// given to Follow after a restart.
func (f *Follower) Position() []byte {
	pos := position{Version: 1}
	now := time.Now().Add(-2 * time.Second).UnixNano() // clocks of files are coarse
	for _, t := range f.trails {
		s := stored{Path: t.path, Since: now, Known: t.known}
		if t.scan > 0 {
			s.Since = t.since // what is looked for may be older
		}
		for _, g := range t.all() {
			if g.mark.Size > 0 {
				s.Spots = append(s.Spots, g.spot())
			}
		}
		pos.Trails = append(pos.Trails, s)
	}
	b, err := json.Marshal(pos)
	if err != nil {
		return nil // numbers and texts always have a form
	}
	return b
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

// list finds logs of a folder that are not followed yet.
func (f *Follower) list(dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return // the folder may come back
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if !e.Type().IsRegular() || !plainName(e.Name()) || f.trail(path) != nil || len(f.trails) >= maxTrails {
			continue
		}
		if head, err := headOf(path, sniffed); err == nil && f.format.Sniff(head) {
			f.add(path)
		}
	}
}

// plainName says whether a name is that of a log being written, as against
// one that was rotated: "conn.log", "eve.json".
func plainName(name string) bool {
	stem, ext, _ := strings.Cut(name, ".")
	if ext != "log" && ext != "json" {
		return false
	}
	for i := range len(stem) - 1 {
		if stem[i] == '-' && isDigit(stem[i+1]) {
			return false
		}
	}
	return stem != ""
}

func (f *Follower) trail(path string) *trail {
	for _, t := range f.trails {
		if t.path == path {
			return t
		}
	}
	return nil
}

func (f *Follower) add(path string) {
	if f.trail(path) == nil {
		f.trails = append(f.trails, &trail{path: path, since: time.Now().UnixNano()})
	}
}

// read reads on until the window of g is full or there is no more for now.
func (f *Follower) read(g *generation) {
	g.behind = false
	buf := make([]byte, block)
	for !g.over && !g.ahead.full() {
		n, err := g.fetch(buf)
		if n == 0 || err != nil {
			f.stuck(g, err)
			return
		}
		g.grown = time.Now()
		f.cut(g, buf[:n])
	}
	g.behind = !g.over
}

// stuck deals with an end, for now or for good.
func (f *Follower) stuck(g *generation, err error) {
	switch {
	case err == nil:
	case err == io.EOF && g.stream != nil:
		f.finish(g)
	case errors.Is(err, errCut):
		for _, t := range f.trails {
			if slices.Contains(t.all(), g) {
				t.wasCut(g, f.asks)
				f.gather()
				return
			}
		}
	case g.stream != nil: // it may not be packed to its end
		g.unstream()
	default:
		f.skip(g.name, err.Error())
		f.finish(g)
	}
}

// cut parses the whole lines of what was read and keeps the rest.
func (f *Follower) cut(g *generation, b []byte) {
	for len(b) > 0 {
		end := bytes.IndexByte(b, '\n') + 1
		if end == 0 {
			if !g.long {
				g.rest = append(g.rest, b...)
			} else {
				g.offset += int64(len(b))
			}
			if len(g.rest) > maxLine {
				f.malformed++
				g.offset += int64(len(g.rest))
				g.rest, g.long = g.rest[:0], true
			}
			return
		}
		switch {
		case g.long:
			g.long = false
			g.offset += int64(end)
		case len(g.rest) > 0:
			g.rest = append(g.rest, b[:end]...)
			f.line(g, g.rest)
			g.rest = g.rest[:0]
		default:
			f.line(g, b[:end])
		}
		b = b[end:]
	}
}

// line reads one line, which stands at g's offset.
func (f *Follower) line(g *generation, raw []byte) {
	offset := g.offset
	g.offset += int64(len(raw))
	text := bytes.TrimLeft(trimEnd(raw), "\x00") // a file cut while it was written may begin with zeros
	if len(text) == 0 {
		return
	}
	if text[0] == '#' {
		g.header.Header(text)
		g.parser = g.header.Parser()
		return
	}
	if g.given[offset] {
		delete(g.given, offset)
		return
	}
	e, err := g.parser.Parse(text, f.words)
	switch {
	case err != nil:
		f.malformed++
	case e.Record != nil:
		e.size, e.in = len(text), &origin{line: line{g, offset}, round: f.round}
		f.fresh++
		g.track(offset)
		f.join.Ahead(&e)
		g.ahead.push(&e)
	case e.Aside != "":
		if _, known := f.aside[e.Aside]; !known && len(f.aside) >= maxAside {
			e.Aside = "other"
		}
		f.aside[e.Aside]++
	}
}

// finish ends a generation: its last line is read though it has no end.
func (f *Follower) finish(g *generation) {
	if len(g.rest) > 0 {
		f.line(g, g.rest)
		g.rest = nil
	}
	g.over = true
	g.detach()
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
