package state

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/testudo-shield/testudo"
)

// Backup writes a copy of the state as it is at one moment, while others
// read and write. The file appears whole or not at all; it is ErrExists if
// it is there already.
func (s *State) Backup(ctx context.Context, to string) error { return s.copyTo(ctx, to, false) }

// Restore puts a backup into a state directory in place of what it holds,
// while other processes use it: they see the old state or the new one. The
// backup is checked first and brought to this schema; it stays as it is.
// Without force it is ErrExists if the directory holds a state. With force
// what it held is kept as state.db.replaced; a file that cannot be read is
// kept as state.db.damaged, and then no other process may have it open.
func Restore(ctx context.Context, now testudo.Time, from, dir string, force bool, program string) error {
	to, err := filepath.Abs(filepath.Join(dir, File))
	if err != nil {
		return fmt.Errorf("restore %s: %w", from, err)
	}
	if !force && exists(to) {
		return fmt.Errorf("restore %s: %s %w; use --force to replace it, what it held is kept as %s.replaced", from, to, ErrExists, File)
	}
	stage, err := os.MkdirTemp(dir, "restore-")
	if err != nil {
		return fmt.Errorf("restore %s into %s: %w", from, dir, err)
	}
	defer os.RemoveAll(stage)
	ready, err := prepare(ctx, now, from, stage, program)
	if err != nil {
		return fmt.Errorf("restore %s: %w", from, err)
	}
	if !exists(to) {
		return place(ready, to)
	}
	live, err := Open(dir, now, program)
	if errors.Is(err, ErrForeign) || errors.Is(err, ErrDamaged) {
		return replaceDamaged(ready, to)
	}
	if err != nil {
		return err
	}
	defer live.Close()
	if err := live.copyTo(ctx, to+".replaced", true); err != nil {
		if errors.Is(err, ErrDamaged) {
			return errors.Join(live.Close(), replaceDamaged(ready, to))
		}
		return err
	}
	return live.refill(ctx, ready)
}

// prepare copies a backup into a directory of its own, checked and brought
// to this schema, and returns the copy.
func prepare(ctx context.Context, now testudo.Time, from, stage, program string) (string, error) {
	from, err := filepath.Abs(from)
	if err != nil {
		return "", err
	}
	if err := check(ctx, from); err != nil {
		return "", err
	}
	source := &State{dir: filepath.Dir(from), path: from, wait: patience}
	if err := source.connect(); err != nil {
		return "", err
	}
	part := filepath.Join(stage, File)
	if err := errors.Join(source.copyTo(ctx, part, true), source.Close()); err != nil {
		return "", err
	}
	s, err := Open(stage, now, program)
	if err != nil {
		return "", err
	}
	ready := filepath.Join(stage, "ready.db")
	return ready, errors.Join(s.copyTo(ctx, ready, true), s.Close())
}

// check says whether a backup is whole. The file itself is not changed.
func check(ctx context.Context, path string) error {
	if _, err := os.Stat(path); err != nil {
		return err
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	db, err := sql.Open("sqlite", dsn(abs, patience, "deferred", "query_only(1)"))
	if err != nil {
		return err
	}
	defer db.Close()
	s := &State{dir: filepath.Dir(abs), path: abs, wait: patience, readers: db}
	version, err := s.version(len(migrations))
	if err != nil {
		return err
	}
	if version == 0 {
		return fmt.Errorf("%w: it is empty; nothing was restored", ErrForeign)
	}
	var fault string
	if err := db.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&fault); err != nil {
		return s.translate(err)
	}
	if fault != "ok" {
		return fmt.Errorf("%w: %s; nothing was restored, take an earlier backup", ErrDamaged, fault)
	}
	return nil
}

// place gives a prepared file its lasting name.
func place(ready, to string) error {
	for _, beside := range []string{"-wal", "-shm"} {
		if err := os.Remove(to + beside); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return settle(ready, to)
}

func replaceDamaged(ready, to string) error {
	if err := os.Rename(to, to+".damaged"); err != nil {
		return err
	}
	return place(ready, to)
}

// refill replaces what every table holds by what the prepared file holds, in
// one transaction, so that other processes may stay. The state must be closed
// after it.
func (s *State) refill(ctx context.Context, ready string) (err error) {
	const what = "restore"
	// References hold within the backup; table by table they would not.
	if _, err := s.writer.ExecContext(ctx, "PRAGMA foreign_keys = 0; ATTACH ? AS backup", ready); err != nil {
		return s.fail(what, err)
	}
	defer func() {
		_, detach := s.writer.Exec("DETACH backup")
		err = errors.Join(err, s.fail(what, detach))
	}()
	return s.write(ctx, what, func(tx *sql.Tx) error {
		tables, err := column(tx, "SELECT name FROM main.sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name")
		if err != nil {
			return err
		}
		revisions, err := highest(tx)
		if err != nil {
			return err
		}
		for _, t := range tables {
			if _, err := tx.ExecContext(ctx, fmt.Sprintf("DELETE FROM main.%[1]s; INSERT INTO main.%[1]s SELECT * FROM backup.%[1]s", t)); err != nil {
				return fmt.Errorf("table %s: %w", t, err)
			}
		}
		return renew(tx, revisions)
	})
}

// highest returns the greatest revision, so that after a restore each is
// greater than any that somebody has seen.
func highest(tx *sql.Tx) (n int64, err error) {
	err = tx.QueryRow("SELECT coalesce(max(n), 0) FROM main.revisions").Scan(&n)
	return n, err
}

func renew(tx *sql.Tx, n int64) error {
	for _, of := range []string{"allowances", "incidents", "indicators"} {
		if _, err := tx.Exec("INSERT INTO main.revisions VALUES (?1, ?2) ON CONFLICT DO UPDATE SET n = max(n, ?2)", of, n+1); err != nil {
			return err
		}
	}
	return nil
}
