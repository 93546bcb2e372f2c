package state

import (
	"errors"
	"fmt"
	"os"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/testudo-shield/testudo/keep/state/body"
)

// Errors that a command answers in ways of their own.
var (
	// ErrNewer says that a later version of the program wrote the state.
	ErrNewer = errors.New("written by a newer version")
	// ErrForeign says that the file is not a state of this program.
	ErrForeign = errors.New("not a state of testudo")
	// ErrDamaged says that the file's inside is broken.
	ErrDamaged = errors.New("the file is damaged")
	// ErrFull says that the disk is full; nothing of the write was kept, and
	// the state may be used on.
	ErrFull = errors.New("the disk is full")
	// ErrBusy says that another writer did not end in time.
	ErrBusy = errors.New("another process is writing")
	// ErrNotFound says that there is no such thing.
	ErrNotFound = errors.New("not found")
	// ErrAmbiguous says that a shortened ID fits several incidents.
	ErrAmbiguous = errors.New("ambiguous")
	// ErrExists says that a backup or restore would overwrite something.
	ErrExists = errors.New("already exists")
	// ErrInvalid says that what was given cannot be stored as it is.
	ErrInvalid = errors.New("not accepted")
)

// fail says what was tried on which file, and makes SQLite's codes into the
// errors above with what to do next.
func (s *State) fail(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("state %s: %s: %w", s.path, what, s.translate(err))
}

func (s *State) translate(err error) error {
	switch {
	case errors.Is(err, body.ErrBroken):
		return fmt.Errorf("%w: %w; restore a backup", ErrDamaged, err)
	case errors.Is(err, body.ErrVersion):
		return fmt.Errorf("%w: %w; use that version or a later one", ErrNewer, err)
	case errors.Is(err, body.ErrType):
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	var broken *sqlite.Error
	if !errors.As(err, &broken) {
		return err
	}
	code := broken.Code() & 0xff
	if broken.Code() == sqlite3.SQLITE_IOERR_SHMSIZE { // the index of its log found no room
		code = sqlite3.SQLITE_FULL
	}
	switch code {
	case sqlite3.SQLITE_FULL:
		return fmt.Errorf("%w: nothing of this write was kept; free some space below %s and it goes on by itself", ErrFull, s.dir)
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return fmt.Errorf("%w: waited %v for %s; wait until it is done, or stop it, and try again", ErrBusy, s.wait, s.holder())
	case sqlite3.SQLITE_NOTADB:
		return fmt.Errorf("%w: it is no SQLite database, or an encrypted one; move it away, or name another --dir", ErrForeign)
	case sqlite3.SQLITE_CORRUPT:
		return fmt.Errorf("%w (%w); restore a backup, the damaged file is kept beside it", ErrDamaged, broken)
	case sqlite3.SQLITE_READONLY:
		return fmt.Errorf("its files may not be written by this account: %w", os.ErrPermission)
	}
	return err
}
