package parquet

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/testudo-shield/testudo/keep/history"
)

// The catalog says which files make up the history, which parts of which
// ingests they hold and up to where the tail is in them. A change of several
// files is one frame: it happens as a whole or not at all.

// file is one Parquet file: of one kind of record and one hour.
type file struct {
	Path         string  // below the history's folder
	Log          string  // kind of record
	Hour         int64   // its start, Unix seconds
	Groups       []bound // its row groups
	Size         int64
	MinAt, MaxAt int64 // when its records were ingested
	Blank        bool  `json:",omitempty"` // names were removed
}

// bound is a row group: how many rows, and from when to when they are.
type bound struct{ Rows, First, Last int64 }

func (f *file) rows() (n int64) {
	for _, g := range f.Groups {
		n += g.Rows
	}
	return n
}

// parts is which parts of an ingest were appended, as ranges, and when last.
type parts struct {
	Ranges [][2]int64
	At     int64
}

// has tells whether a part was appended.
func (p *parts) has(n int64) bool {
	_, ok := slices.BinarySearchFunc(p.Ranges, n, func(r [2]int64, n int64) int {
		switch {
		case r[1] < n:
			return -1
		case r[0] > n:
			return 1
		}
		return 0
	})
	return ok
}

// add remembers a part that was not there.
func (p *parts) add(n, at int64) {
	p.At = max(p.At, at)
	i, _ := slices.BinarySearchFunc(p.Ranges, n, func(r [2]int64, n int64) int { return cmp.Compare(r[0], n) })
	before := i > 0 && p.Ranges[i-1][1] == n-1
	behind := i < len(p.Ranges) && p.Ranges[i][0] == n+1
	switch {
	case before && behind:
		p.Ranges[i-1][1] = p.Ranges[i][1]
		p.Ranges = slices.Delete(p.Ranges, i, i+1)
	case before:
		p.Ranges[i-1][1] = n
	case behind:
		p.Ranges[i][0] = n
	default:
		p.Ranges = slices.Insert(p.Ranges, i, [2]int64{n, n})
	}
}

// change is one frame of the catalog.
type change struct {
	Add    []file           `json:",omitempty"`
	Drop   []string         `json:",omitempty"`
	Parts  map[string]parts `json:",omitempty"` // in place of what was known of these ingests
	Past   []string         `json:",omitempty"` // ingests of which nothing is left
	Sealed int64            // the last tail whose records are in files
	Next   int64            // the next number of a file or a tail
}

// catalog is the sum of all changes.
type catalog struct {
	files   map[string]file
	parts   map[string]parts // in files
	sealed  int64
	next    int64
	dropped []string // may still be on disk
	frames  int
}

func newCatalog() *catalog {
	return &catalog{files: map[string]file{}, parts: map[string]parts{}, next: 1}
}

func (c *catalog) apply(ch change) {
	for _, f := range ch.Add {
		c.files[f.Path] = f
	}
	for _, p := range ch.Drop {
		delete(c.files, p)
	}
	for id, p := range ch.Parts {
		c.parts[id] = p
	}
	for _, id := range ch.Past {
		delete(c.parts, id)
	}
	c.sealed, c.next = max(c.sealed, ch.Sealed), max(c.next, ch.Next)
	c.dropped = append(c.dropped, ch.Drop...)
	c.frames++
}

// whole returns the catalog as one change.
func (c *catalog) whole() change {
	ch := change{Parts: c.parts, Sealed: c.sealed, Next: c.next}
	for _, p := range slices.Sorted(maps.Keys(c.files)) {
		ch.Add = append(ch.Add, c.files[p])
	}
	return ch
}

// readCatalog reads the catalog at path. Lost says that it is damaged.
func readCatalog(path string) (c *catalog, read frameRead, err error) {
	c = newCatalog()
	f, err := os.Open(path)
	if err != nil {
		return c, read, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return c, read, err
	}
	read = readFrames(f, info.Size(), func(_ int64, payload []byte) error {
		var ch change
		if err := json.Unmarshal(payload, &ch); err != nil {
			return err
		}
		for _, f := range ch.Add {
			if !filepath.IsLocal(f.Path) || history.LayoutOf(f.Log) == nil && f.Log == "" {
				return errFrame
			}
		}
		c.apply(ch)
		return nil
	})
	return c, read, nil
}

// commit makes a change last, on disk first. The caller holds s.mu.
func (s *Store) commit(ch change) error {
	ch.Next, ch.Sealed = s.cat.next, max(ch.Sealed, s.cat.sealed)
	b, err := json.Marshal(ch)
	if err != nil {
		return err
	}
	if err = s.log.append(b); err != nil {
		return fmt.Errorf("history: %s: %w", s.path("catalog"), err)
	}
	s.cat.apply(ch)
	return nil
}

// openCatalog reads the catalog, or makes it, and a new one from the files
// where it is damaged.
func (s *Store) openCatalog() error {
	path := s.path("catalog")
	cat, read, err := readCatalog(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	s.cat = cat
	if err != nil || read.lost != nil || read.good < int64(len(magic)) {
		if err = s.rebuild(read.lost); err != nil {
			return err
		}
	}
	if err == nil && cat.frames > 0 && cat.frames < maxChanges && s.cat == cat {
		f, err := os.OpenFile(path, os.O_RDWR, 0o640)
		if err != nil {
			return full(err)
		}
		s.log = &framed{file: f, size: read.good}
		return full(f.Truncate(read.good))
	}
	return s.rewriteCatalog()
}

// maxChanges is how many frames a catalog holds before it is written anew.
const maxChanges = 512

// rewriteCatalog writes the catalog as one frame. What was dropped must be
// gone before.
func (s *Store) rewriteCatalog() error {
	s.unlink()
	b, err := json.Marshal(s.cat.whole())
	if err != nil {
		return err
	}
	log, err := createFramed(s.path("catalog"), b)
	if err != nil {
		return fmt.Errorf("history: %w", err)
	}
	if s.log != nil {
		_ = s.log.file.Close()
	}
	s.log, s.cat.frames = log, 1
	return syncDir(s.dir)
}

// unlink removes the files that the catalog dropped.
func (s *Store) unlink() {
	var left []string
	for _, p := range s.cat.dropped {
		if _, used := s.cat.files[p]; used {
			continue
		}
		if err := os.Remove(s.path(p)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			left = append(left, p)
		}
	}
	s.cat.dropped = left
}

// rebuild makes a catalog of the files there are. Why is nil where there never
// was one.
func (s *Store) rebuild(why error) error {
	if why != nil {
		if err := s.setAside("catalog", why.Error()); err != nil {
			return err
		}
	}
	s.cat = newCatalog()
	found, err := filepath.Glob(s.path("*/*/*.parquet"))
	for _, p := range found {
		rel, _ := filepath.Rel(s.dir, p)
		f, err := s.describe(rel)
		if err != nil {
			if err = s.setAside(rel, err.Error()); err != nil {
				return err
			}
			continue
		}
		s.cat.files[rel] = f
		s.cat.next = max(s.cat.next, numberOf(rel)+1)
	}
	return err
}

// numberOf returns the number in a file's name.
func numberOf(path string) int64 {
	name := strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	n, _ := strconv.ParseInt(name[strings.LastIndexByte(name, '-')+1:], 10, 64)
	return n
}

// strays removes files that a crash left half done: of higher numbers than the
// catalog gave out.
func (s *Store) strays() error {
	for _, pattern := range []string{"*/*/*.parquet", "*/*/*.tmp", "*.tmp", "tail/*.tmp"} {
		found, err := filepath.Glob(s.path(pattern))
		if err != nil {
			return err
		}
		for _, p := range found {
			rel, _ := filepath.Rel(s.dir, p)
			_, known := s.cat.files[rel]
			if strings.HasPrefix(rel, "damaged") || known || filepath.Ext(rel) == ".parquet" && numberOf(rel) < s.cat.next {
				continue
			}
			if err := os.Remove(p); err != nil {
				return err
			}
		}
	}
	return nil
}

// setAside moves a damaged file out of the way and remembers it for the next
// report.
func (s *Store) setAside(rel, reason string) error {
	to := filepath.Join(s.path("damaged"), strings.ReplaceAll(rel, string(filepath.Separator), "-"))
	if err := os.MkdirAll(s.path("damaged"), 0o750); err != nil {
		return full(err)
	}
	if err := os.Rename(s.path(rel), to); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return full(err)
	}
	s.aside = append(s.aside, history.Damage{File: to, Reason: reason})
	return nil
}
