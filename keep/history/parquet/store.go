// Package parquet keeps history as Parquet files on this machine, one or a few
// an hour and kind of record, that DuckDB, ClickHouse and pandas read too, and
// a tail of what came last. docs/format/history.md describes the files,
// DESIGN.md why they are as they are.
package parquet

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/keep/history"
)

// Store is a history in a folder. It fulfils history.Store.
type Store struct {
	dir      string
	readOnly bool
	held     *os.File // the lock

	upkeep sync.Mutex // one Maintain or Forget at a time; taken before mu

	mu     sync.Mutex
	closed bool
	cat    *catalog
	log    *framed // the catalog
	tails  []*tail // in order; the last may be open
	open   *framed // the last tail, nil where it is full
	parts  map[string]*parts
	aside  []history.Damage  // since the last report
	broken map[string]string // files that a scan could not read, with why
	kept   map[string]bool   // files that only hold what is held, and nothing else is to be done about
	hold   history.Hold      // for which that is so
	buf    []byte
}

// Open opens the history in dir for one writing process, and makes it where
// there is none. What a crash left is put in order. ErrBusy says that another
// process writes there.
func Open(dir string) (*Store, error) {
	s := &Store{dir: dir}
	if err := os.MkdirAll(s.path("tail"), 0o750); err != nil {
		return nil, fmt.Errorf("history: %w", full(err))
	}
	var err error
	if s.held, err = lock(s.path("lock")); err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	if err = s.load(); err != nil {
		return nil, errors.Join(fmt.Errorf("history: open %s: %w", dir, err), s.Close())
	}
	return s, nil
}

// Read opens the history in dir for Scan only, also while another process
// writes to it.
func Read(dir string) (*Store, error) {
	s := &Store{dir: dir, readOnly: true}
	if err := s.refresh(); err != nil {
		return nil, fmt.Errorf("history: read %s: %w", dir, err)
	}
	return s, nil
}

func (s *Store) path(rel string) string { return filepath.Join(s.dir, rel) }

// load reads what there is and removes what a crash left over.
func (s *Store) load() error {
	if err := s.openCatalog(); err != nil {
		return err
	}
	s.unlink()
	if err := s.strays(); err != nil {
		return err
	}
	if err := s.loadTails(true); err != nil {
		return err
	}
	return errors.Join(syncDir(s.path("tail")), syncDir(s.dir))
}

// refresh reads what another process has written. The tails are read between
// two looks at the catalog, so that nothing is missed that moves from one to
// the other.
func (s *Store) refresh() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range 20 {
		cat, before, err := readCatalog(s.path("catalog"))
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("there is no history: %w", err)
		}
		if err != nil {
			return err
		}
		if before.lost != nil {
			return fmt.Errorf("the catalog is damaged (%w); the process that writes will put it in order when it starts", before.lost)
		}
		s.cat, s.tails = cat, nil
		if err = s.loadTails(false); err != nil {
			return err
		}
		if info, err := os.Stat(s.path("catalog")); err == nil && info.Size() == before.good {
			return nil
		}
	}
	return errors.New("it changes too quickly; try again")
}

// Append implements history.Store.
func (s *Store) Append(ctx context.Context, in history.Ingest, records []testudo.Record) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.writable(); err != nil {
		return err
	}
	if p := s.parts[in.ID]; p != nil && p.has(in.Part) {
		return nil
	}
	payload, err := encodePart(s.buf[:0], in, records)
	if err != nil {
		return err
	}
	if s.buf = payload; cap(payload) > 4<<20 {
		s.buf = nil
	}
	if err = s.appendTail(in, payload, records); err != nil {
		return fmt.Errorf("history: append %d records: %w", len(records), err)
	}
	s.remember(in)
	return nil
}

func (s *Store) writable() error {
	if s.closed {
		return fs.ErrClosed
	}
	if s.readOnly {
		return history.ErrReadOnly
	}
	return nil
}

// remember notes that a part was appended.
func (s *Store) remember(in history.Ingest) {
	p := s.parts[in.ID]
	if p == nil {
		p = &parts{}
		s.parts[in.ID] = p
	}
	p.add(in.Part, int64(in.At))
}

// Close implements history.Store.
func (s *Store) Close() error {
	s.upkeep.Lock()
	defer s.upkeep.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	var errs []error
	if s.open != nil {
		errs = append(errs, s.open.file.Close())
	}
	if s.log != nil {
		errs = append(errs, s.log.file.Close())
	}
	if s.held != nil {
		errs = append(errs, s.held.Close())
	}
	return errors.Join(errs...)
}
