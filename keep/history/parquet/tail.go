package parquet

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/keep/history"
)

// maxTail is how large a tail grows before the next is begun: what is in
// memory at once while it is moved into files.
const maxTail = 16 << 20

// tail is a framed file of appended parts that are not yet in Parquet files.
type tail struct {
	number int64
	path   string // below the history's folder
	size   int64
	frames []tailFrame
	dec    *decoder
	torn   bool
	lost   error

	file *os.File // of a scan, with the error of opening it
	err  error
}

// tailFrame is one part in a tail.
type tailFrame struct {
	at          int64 // where in the file
	first, last int64 // hours of its records, Unix seconds; first > last for none
	rows        int64
	ingest      history.Ingest
}

const hour = int64(3600)

// hourOf returns the start of a time's hour in Unix seconds.
func hourOf(t testudo.Time) int64 {
	sec := int64(t) / 1e9
	if int64(t)%1e9 < 0 {
		sec--
	}
	h := sec - sec%hour
	if sec%hour < 0 {
		h -= hour
	}
	return h
}

// span widens the hours of a frame by a record.
func (f *tailFrame) span(r testudo.Record) {
	h := hourOf(r.Base().Time)
	if f.rows == 0 {
		f.first, f.last = h, h
	}
	f.first, f.last, f.rows = min(f.first, h), max(f.last, h), f.rows+1
}

// appendTail writes a part to the open tail, or begins one.
func (s *Store) appendTail(in history.Ingest, payload []byte, records []testudo.Record) error {
	if s.open == nil {
		if err := s.beginTail(); err != nil {
			return err
		}
	}
	t := s.tails[len(s.tails)-1]
	frame := tailFrame{at: s.open.size, first: 1, ingest: in}
	for _, r := range records {
		frame.span(r)
	}
	if err := s.open.append(payload); err != nil {
		s.endTail()
		return err
	}
	t.frames, t.size = append(t.frames, frame), s.open.size
	if t.size > maxTail {
		s.endTail()
	}
	return nil
}

// beginTail makes a new tail.
func (s *Store) beginTail() error {
	t := &tail{number: s.cat.next, path: filepath.Join("tail", fmt.Sprintf("%012d.tail", s.cat.next))}
	schema := tailSchema()
	f, err := createFramed(s.path(t.path), schema)
	if err != nil {
		return err
	}
	if err = syncDir(s.path("tail")); err != nil {
		return errors.Join(err, f.file.Close())
	}
	if t.dec, err = newDecoder(schema); err != nil {
		return err
	}
	t.size = f.size
	s.cat.next++
	s.open, s.tails = f, append(s.tails, t)
	return nil
}

// endTail lets the next part begin a new tail. After a failed write this
// leaves behind a file whose end nobody vouches for.
func (s *Store) endTail() {
	if s.open != nil {
		_ = s.open.file.Close()
		s.open = nil
	}
}

// loadTails reads what the tails hold and rebuilds which parts are known.
// Damaged ones are set aside where own is true, after what can be read of them
// was kept in the list.
func (s *Store) loadTails(own bool) error {
	s.parts = map[string]*parts{}
	for id, p := range s.cat.parts {
		s.parts[id] = &parts{Ranges: slices.Clone(p.Ranges), At: p.At}
	}
	found, err := filepath.Glob(s.path("tail/*.tail"))
	if err != nil {
		return err
	}
	for _, p := range found {
		n := numberOf(p)
		if n <= s.cat.sealed {
			if own {
				err = os.Remove(p)
			}
		} else {
			err = s.loadTail(n, own)
		}
		if err != nil && (own || !errors.Is(err, fs.ErrNotExist)) {
			return err
		}
	}
	return nil
}

func (s *Store) loadTail(n int64, own bool) error {
	t := &tail{number: n, path: filepath.Join("tail", fmt.Sprintf("%012d.tail", n))}
	f, err := os.Open(s.path(t.path))
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	s.cat.next = max(s.cat.next, n+1)
	read := readFrames(f, info.Size(), func(at int64, payload []byte) error { return s.loadFrame(t, at, payload) })
	t.size, t.torn, t.lost = read.good, read.torn, read.lost
	if own && t.dec == nil && t.lost != nil {
		return s.setAside(t.path, t.lost.Error())
	}
	if t.lost != nil && own {
		s.aside = append(s.aside, history.Damage{File: t.path, Reason: t.lost.Error() + "; the rest of it was kept"})
	}
	s.tails = append(s.tails, t)
	return nil
}

// loadFrame notes what a frame holds. A part that is known already was written
// by a process that could not tell and is left out.
func (s *Store) loadFrame(t *tail, at int64, payload []byte) (err error) {
	if t.dec == nil {
		t.dec, err = newDecoder(payload)
		return err
	}
	frame := tailFrame{at: at, first: 1}
	if frame.ingest, err = t.dec.part(payload, func(_ *history.Layout, r testudo.Record) bool { frame.span(r); return true }); err != nil {
		return err
	}
	if p := s.parts[frame.ingest.ID]; p != nil && p.has(frame.ingest.Part) {
		return nil
	}
	s.remember(frame.ingest)
	t.frames = append(t.frames, frame)
	return nil
}

// records gives the records of the frames, whatever their hour.
func (t *tail) records(f *os.File, frames []tailFrame, give func(*history.Layout, testudo.Record)) error {
	for _, frame := range frames {
		payload, err := readFrame(f, frame.at, t.size)
		if err != nil {
			return err
		}
		if _, err = t.dec.part(payload, func(l *history.Layout, r testudo.Record) bool { give(l, r); return true }); err != nil {
			return err
		}
	}
	return nil
}
