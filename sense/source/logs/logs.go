// Package logs reads what other sensors wrote down line by line and is what
// the folders for their formats stand on: files bare or compressed by gzip or
// zstd, one or many, merged in the order in which the sensor knew what they
// say, or followed while they are written and rotated (follow.go).
//
// Broken and overlong lines are counted, never fatal. Memory is bounded: a
// window of records a file, a bounded number of files open at once. Lines are
// parsed on several goroutines; the order of records never depends on them.
package logs

import (
	"cmp"
	"container/heap"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/source"
)

const (
	maxFiles = 100_000
	maxOpen  = 256
	// early is how long before its first record a file is opened, so that
	// certificates are known when their handshakes come.
	early = 5 * time.Minute
	// peekRecords and peekLines bound the look at a file for its first time.
	peekRecords, peekLines = 32, 4096
)

// Format is one kind of log.
type Format struct {
	Name string // "zeek log", for messages
	// Lacks is the evidence that no file of the format holds.
	Lacks []testudo.Evidence
	// Sniff tells by the first bytes of a file, after decompression, whether
	// it is of this format.
	Sniff func(head []byte) bool
	// File makes what reads a file of that name from its beginning.
	File func(name string) File
	// Joiner makes what joins records of all files; nil where nothing is.
	Joiner func() Joiner
	// Note words how many lines were left aside, by what Entry.Aside named
	// them; nil for no note.
	Note func(aside map[string]int) string
}

// File knows how the lines of one file are to be read.
type File interface {
	// Header takes a line that begins with '#' and says whether it tells how
	// those after it are read.
	Header(line []byte) bool
	// Parser makes a reader of lines under the header as it is now. Several
	// may be at work at once, and the header may change meanwhile.
	Parser() Parser
}

// Parser reads lines one at a time.
type Parser interface {
	// Parse reads one line, which is not empty and has no end. The entry's
	// Record is nil for a line that holds nothing for us, and the error, in
	// plain words, says why a line is malformed.
	Parse(line []byte, w *Words) (Entry, error)
}

// Joiner joins records of different lines, in order of time. What it holds
// back is bounded.
type Joiner interface {
	// Ahead sees a record when it was read, before its turn.
	Ahead(e *Entry)
	// Take takes the next record and appends to ready what is complete now.
	Take(e Entry, ready []Entry) []Entry
	// Expire appends to ready what has waited long enough at now.
	Expire(now testudo.Time, ready []Entry) []Entry
}

// Logs is an open set of logs. It is not safe for concurrent use.
type Logs struct {
	format  Format
	join    Joiner
	work    *pool
	waiting []*file // closed, by first time, the earliest last
	reading files   // a heap by next time
	ready   []Entry // joined, to be handed out from place on
	place   int
	now     testudo.Time
	skipped []testudo.Skip

	read, total int64 // bytes, of files that are done and of all
	malformed   int
	aside       map[string]int
}

// Open finds the logs of a format at the paths, files or folders with folders
// below them. Logs that become no records and other files in folders are
// passed over. It is an error if nothing is left; what could not be opened
// beside others is told by Skipped.
func Open(format Format, paths ...string) (*Logs, error) {
	l := &Logs{format: format, now: math.MinInt64, aside: map[string]int{}, work: newPool()}
	l.join = format.joiner()
	for _, p := range paths {
		names, err := l.list(p)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			f := &file{name: name, format: &l.format, index: len(l.waiting)}
			use, err := f.look()
			if err != nil {
				l.skip(name, err.Error())
			} else if use {
				l.total += f.size
				l.waiting = append(l.waiting, f)
			}
		}
	}
	if len(l.waiting) == 0 {
		err := fmt.Errorf("no %s that becomes records", format.Name)
		if len(l.skipped) > 0 {
			err = fmt.Errorf("%w: %s: %s", err, l.skipped[0].Input, l.skipped[0].Reason)
		}
		return nil, err
	}
	slices.SortFunc(l.waiting, func(a, b *file) int {
		return cmp.Or(cmp.Compare(b.first, a.first), b.index-a.index)
	})
	return l, nil
}

// list returns the files at path, sorted; in a folder only those that look
// like logs of the format.
func (l *Logs) list(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	var names []string
	err = filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			l.skip(p, err.Error())
			return nil
		}
		if !d.Type().IsRegular() {
			return nil
		}
		if len(names) == maxFiles {
			l.skip(path, fmt.Sprintf("more than %d logs", maxFiles))
			return fs.SkipAll
		}
		switch head, err := headOf(p, sniffed); {
		case err != nil:
			l.skip(p, err.Error())
		case l.format.Sniff(head):
			names = append(names, p)
		}
		return nil
	})
	return names, err
}

// Next returns the next record, io.EOF after the last. The record is the
// caller's. Records come in the order in which the other sensor knew them: a
// conn when it ended, though its Time is its start.
func (l *Logs) Next() (testudo.Record, error) {
	for {
		for l.place < len(l.ready) {
			e := l.ready[l.place]
			l.ready[l.place] = Entry{}
			if l.place++; e.Record != nil {
				return e.Record, nil
			}
		}
		l.ready, l.place = l.ready[:0], 0
		l.start()
		if len(l.reading) == 0 {
			l.work.end()
			if l.ready = l.join.Expire(math.MaxInt64, l.ready); len(l.ready) == 0 {
				return nil, io.EOF
			}
			continue
		}
		e := l.take()
		l.now = max(l.now, e.Written)
		l.ready = l.join.Take(e, l.ready)
	}
}

// take returns the next entry of the files, of which one has one.
func (l *Logs) take() Entry {
	f := l.reading[0]
	e := f.ahead.pop()
	if err := f.fill(l.join, l.work.depth(len(l.reading))); err != nil {
		l.skip(f.name, err.Error())
	}
	if f.ahead.len() > 0 {
		if len(l.reading) > 1 {
			heap.Fix(&l.reading, 0)
		}
	} else {
		heap.Pop(&l.reading)
		l.finish(f)
	}
	return e
}

// start opens the files whose time has come or is near.
func (l *Logs) start() {
	for len(l.waiting) > 0 {
		f := l.waiting[len(l.waiting)-1]
		if len(l.reading) > 0 && f.first > l.reading[0].ahead.next().Add(early) {
			return
		}
		l.waiting = l.waiting[:len(l.waiting)-1]
		if len(l.reading) == maxOpen {
			l.skip(f.name, fmt.Sprintf("more than %d logs cover the same time", maxOpen))
			continue
		}
		if err := f.open(); err != nil {
			l.skip(f.name, err.Error())
			continue
		}
		f.work = l.work
		if err := f.fill(l.join, l.work.depth(len(l.reading))); err != nil {
			l.skip(f.name, err.Error())
		}
		if f.ahead.len() == 0 {
			l.finish(f)
			continue
		}
		heap.Push(&l.reading, f)
	}
}

// finish closes a file that is done and takes over its counts.
func (l *Logs) finish(f *file) {
	l.read += f.raw.n
	l.malformed += f.malformed
	for name, n := range f.aside {
		l.aside[name] += n
	}
	if f.malformed > 0 {
		l.skip(f.name, fmt.Sprintf("%d lines could not be read; the first: %s", f.malformed, f.bad))
	}
	f.close()
}

// Now returns the time up to which the records handed out are complete, as
// far as the logs' order allows: when the last one was known. It never goes
// back.
func (l *Logs) Now() testudo.Time { return l.now }

// Malformed returns how many lines were skipped so far because they were
// broken or longer than 1 MiB.
func (l *Logs) Malformed() int {
	n := l.malformed
	for _, f := range l.reading {
		n += f.malformed
	}
	return n
}

// Aside returns how many lines held nothing for us, by what they held.
func (l *Logs) Aside() map[string]int { return maps.Clone(l.aside) }

// Skipped returns the files that could not be read, or only in part, so far.
func (l *Logs) Skipped() []testudo.Skip { return slices.Clone(l.skipped) }

// Notes says, once the input is over, what of it was left aside.
func (l *Logs) Notes() []string {
	if l.format.Note == nil || len(l.aside) == 0 {
		return nil
	}
	return []string{l.format.Note(l.aside)}
}

// Account implements source.Records.
func (l *Logs) Account() source.Account {
	return source.Account{Skipped: l.Skipped(), Notes: l.Notes()}
}

// Progress returns how many bytes of the files were read and how many there
// are, compressed where they are.
func (l *Logs) Progress() (read, total int64) {
	read = l.read
	for _, f := range l.reading {
		read += f.raw.n
	}
	return read, l.total
}

// Close gives up what is still open.
func (l *Logs) Close() error {
	for _, f := range l.reading {
		l.finish(f)
	}
	l.reading, l.waiting = nil, nil
	l.work.end()
	return nil
}

func (l *Logs) skip(name, reason string) {
	l.skipped = append(l.skipped, testudo.Skip{Input: name, Reason: reason})
}

// files is a heap by next time, then place.
type files []*file

func (h files) Len() int { return len(h) }
func (h files) Less(i, j int) bool {
	a, b := h[i].ahead.next(), h[j].ahead.next()
	return a < b || a == b && h[i].index < h[j].index
}
func (h files) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *files) Push(x any)   { *h = append(*h, x.(*file)) }
func (h *files) Pop() any {
	old := *h
	f := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return f
}

// joiner makes the format's joiner, or one that joins nothing.
func (f *Format) joiner() Joiner {
	if f.Joiner == nil {
		return apart{}
	}
	return f.Joiner()
}

// apart joins nothing.
type apart struct{}

func (apart) Ahead(*Entry)                                 {}
func (apart) Take(e Entry, ready []Entry) []Entry          { return append(ready, e) }
func (apart) Expire(_ testudo.Time, ready []Entry) []Entry { return ready }

// What makes a line malformed before its format is asked.
var errLong = errors.New("longer than 1 MiB")
