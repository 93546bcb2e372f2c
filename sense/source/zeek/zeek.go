// Package zeek reads the logs of Zeek back as records: TSV with its header
// or JSON Lines, bare or compressed by gzip or zstd, one file or folders of
// them, merged in the order in which Zeek knew what they say. Columns are
// matched with the `log` tags of package testudo; others are left aside, and
// what a record holds beyond Zeek's columns is derived where it follows from
// them (derive.go) and zero where it does not.
//
// Broken and overlong lines are counted, never fatal. Memory is bounded: a
// window of records a file, a bounded number of files open at once.
package zeek

import (
	"bytes"
	"cmp"
	"container/heap"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/testudo-shield/testudo"
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

// Logs is an open set of logs. It is not safe for concurrent use.
type Logs struct {
	words   words
	certs   certs
	waiting []*file // closed, by first time, the earliest last
	reading files   // a heap by next time
	now     testudo.Time
	skipped []testudo.Skip

	read, total int64 // bytes, of files that are done and of all
	malformed   int
}

// Open finds the Zeek logs at the paths, files or folders with folders below
// them. Logs that become no records (files.log, stats.log …) and other files
// in folders are passed over. It is an error if nothing is left; what could
// not be opened beside others is told by Skipped.
func Open(paths ...string) (*Logs, error) {
	l := &Logs{now: math.MinInt64}
	order := kinds()
	byName := make(map[string]*kind, len(order))
	for _, k := range order {
		byName[k.path] = k
	}
	for _, p := range paths {
		names, err := l.list(p)
		if err != nil {
			return nil, fmt.Errorf("zeek: %w", err)
		}
		for _, name := range names {
			f := &file{name: name, index: len(l.waiting), kinds: byName, order: order, stem: byName[stemOf(name)]}
			f.row.words = &l.words
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
		err := errors.New("zeek: no log that becomes records")
		if len(l.skipped) > 0 {
			err = fmt.Errorf("%w: %s: %s", err, l.skipped[0].Input, l.skipped[0].Reason)
		}
		return nil, err
	}
	slices.SortFunc(l.waiting, func(a, b *file) int {
		if a.next != b.next {
			return cmp.Compare(b.next, a.next)
		}
		return b.index - a.index
	})
	return l, nil
}

// list returns the files at path, sorted; in a folder only those that look
// like Zeek logs.
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
		switch ok, err := sniffFile(p); {
		case err != nil:
			l.skip(p, err.Error())
		case ok:
			names = append(names, p)
		}
		return nil
	})
	return names, err
}

// sniffFile reads a file's head for Sniff.
func sniffFile(name string) (bool, error) {
	h, err := os.Open(name)
	if err != nil {
		return false, err
	}
	defer h.Close()
	var head [4096]byte
	n, err := io.ReadFull(h, head[:])
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return false, err
	}
	return Sniff(head[:n]), nil
}

// look opens the file for its first time and says whether it holds records.
func (f *file) look() (bool, error) {
	if err := f.open(); err != nil {
		return false, err
	}
	defer f.close()
	if info, err := os.Stat(f.name); err == nil {
		f.size = info.Size()
	}
	first, found := testudo.Time(math.MaxInt64), 0
	for lines := 0; found < peekRecords && lines < peekLines; lines++ {
		b, long, err := f.line()
		if err == io.EOF {
			break
		}
		if err != nil {
			if found > 0 {
				break // what can be read counts; reading will tell the rest
			}
			return false, err
		}
		if long {
			f.refuse(errLong, false)
			continue
		}
		if e, ok := f.parse(b); ok {
			first = min(first, e.written)
			found++
		}
		if f.tsv.fielded && f.tsv.kind == nil {
			return false, nil
		}
	}
	if found == 0 && f.foreign == 0 && !f.tsv.fielded {
		if f.bad != "" {
			return false, errors.New("not a Zeek log: " + f.bad)
		}
		return false, errors.New("not a Zeek log")
	}
	if found == 0 && f.malformed > 0 {
		return false, errors.New("no line of it could be read: " + f.bad)
	}
	f.next = first
	return found > 0, nil
}

// Next returns the next record, io.EOF after the last. The record is the
// caller's. Records come in the order in which Zeek knew them: a conn when
// it ended, though its Time is its start.
func (l *Logs) Next() (testudo.Record, error) {
	l.start()
	if len(l.reading) == 0 {
		return nil, io.EOF
	}
	f := l.reading[0]
	e := f.take()
	if err := f.fill(); err != nil {
		l.skip(f.name, err.Error())
	}
	if len(f.ahead) > 0 {
		heap.Fix(&l.reading, 0)
	} else {
		heap.Pop(&l.reading)
		l.finish(f)
	}
	l.certs.handOver(e)
	l.now = max(l.now, e.written)
	return e.record, nil
}

// start opens the files whose time has come or is near.
func (l *Logs) start() {
	for len(l.waiting) > 0 {
		f := l.waiting[len(l.waiting)-1]
		if len(l.reading) > 0 && f.next > l.reading[0].next.Add(early) {
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
		f.known = &l.certs
		if err := f.fill(); err != nil {
			l.skip(f.name, err.Error())
		}
		if len(f.ahead) == 0 {
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

// Skipped returns the files that could not be read, or only in part, so far.
func (l *Logs) Skipped() []testudo.Skip { return slices.Clone(l.skipped) }

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
	return nil
}

func (l *Logs) skip(name, reason string) {
	l.skipped = append(l.skipped, testudo.Skip{Input: name, Reason: reason})
}

// Sniff says whether a file that begins with head looks like a Zeek log: a
// TSV header, or a JSON object with Zeek's ts, also compressed.
func Sniff(head []byte) bool {
	var plain [4096]byte
	switch {
	case bytes.HasPrefix(head, gzipMagic()):
		z, err := gzip.NewReader(bytes.NewReader(head))
		if err != nil {
			return false
		}
		n, _ := io.ReadFull(z, plain[:]) // the head is cut off: its end is no error
		head = plain[:n]
	case bytes.HasPrefix(head, zstdMagic()):
		z, err := zstd.NewReader(bytes.NewReader(head), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxFrame))
		if err != nil {
			return false
		}
		defer z.Close()
		n, _ := io.ReadFull(z, plain[:])
		head = plain[:n]
	}
	head = skipSpace(head)
	if bytes.HasPrefix(head, []byte("#separator ")) || bytes.HasPrefix(head, []byte("#separator\t")) || bytes.HasPrefix(head, []byte("#fields\t")) {
		return true
	}
	if len(head) == 0 || head[0] != '{' {
		return false
	}
	line, _, _ := bytes.Cut(head, []byte{'\n'})
	var o object
	_ = o.parse(line) // a line cut off still shows the fields before
	return o.find("ts") >= 0 && o.find("event_type") < 0
}

// files is a heap by next time, then place.
type files []*file

func (h files) Len() int { return len(h) }
func (h files) Less(i, j int) bool {
	if h[i].next != h[j].next {
		return h[i].next < h[j].next
	}
	return h[i].index < h[j].index
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
