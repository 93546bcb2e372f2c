// Package state remembers what must outlast a run: incidents and their life,
// the sightings they rest on, hosts, indicators, what is allowed and what is
// protected, which inputs were read and how long each sensor really watched.
// It is one SQLite file, state.db, that users may open themselves
// (docs/format/state.md); DESIGN.md says why it is shaped as it is.
//
// What a method has returned without an error is on the disk. The same fact
// stored twice changes nothing. Any number of processes may read while one
// writes. Wall time comes in as a parameter; the package has no clock.
package state

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/testudo-shield/testudo"
)

// File is the name of the file within the state directory.
const File = "state.db"

// patience is how long a write waits for another process's write to end. The
// longest is an import of indicators; SQLite lets one write at a time.
const patience = 20 * time.Second

// State is an open state directory. It may be used from several goroutines.
type State struct {
	dir     string
	path    string
	program string
	wait    time.Duration
	writer  *sql.DB // one connection
	readers *sql.DB // that may not write
}

// Open opens the state in dir, makes it where there is none, and brings an
// older one to this schema after a copy of it to state.db.v<N>.bak. Program
// is this program's version, which is written beside the schema. An error is
// ErrNewer, ErrForeign, ErrDamaged, ErrFull or ErrBusy where it is one of
// those. The directory must exist.
func Open(dir string, now testudo.Time, program string) (*State, error) {
	return open(dir, now, program, patience, migrations)
}

func open(dir string, now testudo.Time, program string, wait time.Duration, steps []migration) (*State, error) {
	path, err := filepath.Abs(filepath.Join(dir, File))
	if err != nil {
		return nil, fmt.Errorf("state %s: %w", dir, err)
	}
	if info, err := os.Stat(filepath.Dir(path)); err != nil {
		return nil, fmt.Errorf("state directory %s: %w; make it, or name another", dir, err)
	} else if !info.IsDir() {
		return nil, fmt.Errorf("state directory %s: it is a file; name a directory", dir)
	}
	s := &State{dir: dir, path: path, program: program, wait: wait}
	if err := create(path); err != nil {
		return nil, s.fail("make", err)
	}
	if err := s.connect(); err != nil {
		return nil, err
	}
	if err := s.migrate(now, steps); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// create makes an empty file that its owner alone may read, where there is
// none. SQLite gives the files beside it the same rights.
func create(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return f.Close()
}

func (s *State) connect() (err error) {
	if s.writer, err = sql.Open("sqlite", dsn(s.path, s.wait, "immediate", "synchronous(FULL)", "cache_size(-65536)", "journal_size_limit(67108864)")); err != nil {
		return fmt.Errorf("state %s: open: %w", s.path, err)
	}
	s.writer.SetMaxOpenConns(1)
	if s.readers, err = sql.Open("sqlite", dsn(s.path, s.wait, "deferred", "query_only(1)")); err != nil {
		return fmt.Errorf("state %s: open: %w", s.path, err)
	}
	s.readers.SetMaxOpenConns(4)
	return nil
}

// dsn names the file to the driver. A writer's transactions are "immediate":
// they take the write lock when they begin, so that two writers wait for each
// other instead of failing.
func dsn(path string, wait time.Duration, lock string, pragmas ...string) string {
	q := url.Values{"_txlock": {lock}, "_pragma": append([]string{
		"busy_timeout(" + strconv.FormatInt(wait.Milliseconds(), 10) + ")",
		"foreign_keys(1)",
	}, pragmas...)}
	return (&url.URL{Scheme: "file", Path: path, RawQuery: q.Encode()}).String()
}

// Close ends the use of the state; what was acknowledged stays.
func (s *State) Close() error {
	err := errors.Join(s.readers.Close(), s.writer.Close())
	if err != nil {
		return fmt.Errorf("state %s: close: %w", s.path, err)
	}
	return nil
}

// Path returns where the file lies.
func (s *State) Path() string { return s.path }

// write runs do as one transaction, alone among all writers: all of it is
// kept or nothing. What names the deed in errors.
func (s *State) write(ctx context.Context, what string, do func(tx *sql.Tx) error) error {
	wait, cancel := context.WithTimeout(ctx, s.wait)
	defer cancel()
	conn, err := s.writer.Conn(wait)
	if err != nil {
		if wait.Err() != nil && ctx.Err() == nil {
			err = fmt.Errorf("%w: this process itself has written for %v; wait until its import or restore is done", ErrBusy, s.wait)
		}
		return s.fail(what, err)
	}
	defer conn.Close()
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return s.fail(what, err)
	}
	defer tx.Rollback() // does nothing after Commit
	if err := do(tx); err != nil {
		return s.fail(what, err)
	}
	return s.fail(what, tx.Commit())
}

// change is write for what cannot be cancelled.
func (s *State) change(what string, do func(tx *sql.Tx) error) error {
	return s.write(context.Background(), what, do)
}

// missing makes ErrNotFound of a row that is not there.
func missing(err error, what string) error {
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("%s: %w", what, ErrNotFound)
	}
	return err
}

// Revision returns a number that grows with every change to what of names:
// "allowances", "indicators" or "incidents", by whichever process. Who holds
// a copy asks it whether the copy is old.
func (s *State) Revision(of string) (n int64, err error) {
	err = s.readers.QueryRow("SELECT n FROM revisions WHERE of = ?", of).Scan(&n)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return n, s.fail("read the revision of "+of, err)
}

func bump(tx *sql.Tx, of string) error {
	_, err := tx.Exec("INSERT INTO revisions VALUES (?, 1) ON CONFLICT DO UPDATE SET n = n + 1", of)
	return err
}

// exists says whether there is a file at path.
func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}
