package state

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/testudo-shield/testudo"
)

// application marks our files among SQLite's: "TSDO".
const application = 0x5453444f

// A migration brings the schema from one version to the next. Migrations are
// only ever added at the end.
type migration struct {
	name string
	sql  string
}

// migrations in their order; the state's version is how many have run.
var migrations = []migration{
	{"what was judged", schemaJudged},
	{"what was watched", schemaWatched},
	{"what is known", schemaKnown},
	{"what was blocked", schemaBlocked},
}

// migrate looks whose file it is and how old, and brings it to the last step.
func (s *State) migrate(now testudo.Time, steps []migration) (err error) {
	// SQLite does not wait for others while it begins a write-ahead log.
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		if err = s.migrated(now, steps); !errors.Is(err, ErrBusy) || time.Since(began) >= s.wait {
			return err
		}
	}
}

func (s *State) migrated(now testudo.Time, steps []migration) error {
	version, err := s.version(len(steps))
	if err != nil {
		return err
	}
	if version == len(steps) {
		return nil
	}
	if version > 0 {
		if err := s.keepOld(version); err != nil {
			return err
		}
	}
	if _, err := s.writer.Exec("PRAGMA journal_mode = WAL"); err != nil {
		return s.fail("open", err)
	}
	what := fmt.Sprintf("bring the schema from version %d to %d (%s)", version, len(steps), steps[len(steps)-1].name)
	return s.write(context.Background(), what, func(tx *sql.Tx) error { return s.steps(tx, now, steps) })
}

// version returns the schema's version, 0 for a file that is still empty.
func (s *State) version(known int) (int, error) {
	tx, err := s.readers.Begin() // another process may be making it
	if err != nil {
		return 0, s.fail("open", err)
	}
	defer tx.Rollback()
	var version, app, tables int
	err = errors.Join(
		tx.QueryRow("SELECT count(*) FROM sqlite_schema").Scan(&tables),
		tx.QueryRow("PRAGMA user_version").Scan(&version),
		tx.QueryRow("PRAGMA application_id").Scan(&app),
	)
	switch {
	case err != nil:
		return 0, s.fail("open", err)
	case app != application && (tables > 0 || version > 0):
		return 0, s.fail("open", fmt.Errorf("%w: it is the database of another program; name another --dir", ErrForeign))
	case version > known:
		return 0, s.fail("open", fmt.Errorf("%w: testudo %s wrote it (schema %d, this program knows %d); use that version or a later one, or restore a backup or state.db.v%d.bak made before the upgrade",
			ErrNewer, s.author(), version, known, known))
	}
	return version, nil
}

// author returns the version of the program that last changed the schema.
func (s *State) author() string {
	var program string
	if err := s.readers.QueryRow("SELECT program FROM schema ORDER BY version DESC LIMIT 1").Scan(&program); err != nil || program == "" {
		return "of an unknown version"
	}
	return program
}

// keepOld copies the file beside itself before it is changed. A copy that is
// already there is of an attempt that did not end.
func (s *State) keepOld(version int) error {
	return s.copyTo(context.Background(), fmt.Sprintf("%s.v%d.bak", s.path, version), true)
}

// steps runs the migrations that are left, all or none: another process may
// have done them meanwhile.
func (s *State) steps(tx *sql.Tx, now testudo.Time, steps []migration) error {
	var version int
	if err := tx.QueryRow("PRAGMA user_version").Scan(&version); err != nil {
		return err
	}
	for i := version; i < len(steps); i++ {
		if _, err := tx.Exec(steps[i].sql); err != nil {
			return err
		}
		if _, err := tx.Exec(fmt.Sprintf("PRAGMA user_version = %d; PRAGMA application_id = %d", i+1, application)); err != nil {
			return err
		}
		if _, err := tx.Exec("INSERT INTO schema VALUES (?, ?, ?, ?)", i+1, steps[i].name, s.program, now); err != nil {
			return err
		}
	}
	return nil
}

// copyTo writes a consistent copy of the file as it stands, whoever writes
// meanwhile. The copy appears whole or not at all.
func (s *State) copyTo(ctx context.Context, to string, force bool) error {
	if !force && exists(to) {
		return s.fail("copy to "+to, fmt.Errorf("%w; name another file, or remove it first", ErrExists))
	}
	f, err := os.CreateTemp(filepath.Dir(to), filepath.Base(to)+".*.part")
	if err != nil {
		return s.fail("copy to "+to, err)
	}
	part := f.Name()
	if err := errors.Join(f.Close(), s.vacuum(ctx, part)); err != nil {
		os.Remove(part)
		return s.fail("copy to "+to, err)
	}
	return s.fail("copy to "+to, settle(part, to))
}

// vacuum copies through a connection of its own, which may write elsewhere
// and lets writers go on.
func (s *State) vacuum(ctx context.Context, to string) error {
	db, err := sql.Open("sqlite", dsn(s.path, s.wait, "deferred", "synchronous(FULL)"))
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, "VACUUM INTO ?", to)
	return errors.Join(err, db.Close())
}
