package state

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/testudo-shield/testudo"
)

// dump returns the content of every table, in order.
func dump(t testing.TB, s *State) string {
	t.Helper()
	tables, err := column(s.readers, "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, table := range tables {
		rows, err := s.readers.Query("SELECT * FROM " + table + " ORDER BY 1, 2")
		if err != nil {
			t.Fatal(err)
		}
		columns, _ := rows.Columns()
		for rows.Next() {
			values := make([]any, len(columns))
			for i := range values {
				values[i] = &values[i]
			}
			if err := rows.Scan(values...); err != nil {
				t.Fatal(err)
			}
			fmt.Fprintln(&out, table, values)
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
	}
	return out.String()
}

// fill puts something into every table of what was judged.
func fill(t testing.TB, s *State) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	told, err := s.Tell(t0, []testudo.Incident{incident("INC-000000000001", sighting("beacon", "a", 0))})
	must(err)
	must(s.Move(t0, told[0].ID, Confirmed, "kim", "seen on the host"))
	must(s.Note(t0, told[0].ID, "kim", "called the office"))
	must(s.Hold([]Holding{{sighting("", "", 0).Victims[0], "pc-1", "dhcp", t0, t0 + 10}}))
	_, err = s.AddAllowance(Allowance{List: Allow, Value: "*.example", Why: "ours", Who: "kim", Since: t0})
	must(err)
	_, err = s.Import(context.Background(), t0, Source{Name: "traps", Skipped: map[string]int{"prose": 2}}, true, million(40))
	must(err)
}

// TestMigrate makes a state of the first version, with content, and opens it
// with this one.
func TestMigrate(t *testing.T) {
	dir := t.TempDir()
	old, err := open(dir, t0, "0.1-old", patience, migrations[:1])
	if err != nil {
		t.Fatal(err)
	}
	fill(t, old)
	before := dump(t, old)
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}

	s := openTest(t, dir)
	after := dump(t, s)
	for line := range strings.Lines(before) {
		if !strings.Contains(after, line) {
			t.Errorf("lost in the migration: %s", line)
		}
	}
	if err := s.Beat([]Heartbeat{{Sensor: "s", First: t0, Last: t0 + 1}}); err != nil {
		t.Error(err)
	}
	copied := filepath.Join(t.TempDir(), File)
	data, err := os.ReadFile(filepath.Join(dir, "state.db.v1.bak"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(copied, data, 0o600); err != nil {
		t.Fatal(err)
	}
	back, err := open(filepath.Dir(copied), t0, "0.1-old", patience, migrations[:1])
	if err != nil {
		t.Fatal(err)
	}
	defer back.Close()
	if dump(t, back) != before {
		t.Error("the copy is not what the old state was")
	}
}

// TestMigrationFails holds that a step that cannot be done leaves the state
// as it was, and that it can be tried again.
func TestMigrationFails(t *testing.T) {
	dir := t.TempDir()
	old, err := open(dir, t0, "1", patience, migrations[:1])
	if err != nil {
		t.Fatal(err)
	}
	fill(t, old)
	before := dump(t, old)
	old.Close()
	bad := []migration{migrations[0], {"bad", "CREATE TABLE half (x); SELECT nothing FROM nowhere"}}
	if _, err := open(dir, t0, "2", patience, bad); err == nil || !strings.Contains(err.Error(), "from version 1 to 2 (bad)") {
		t.Fatal(err)
	}
	again, err := open(dir, t0, "1", patience, migrations[:1])
	if err != nil {
		t.Fatal(err)
	}
	if dump(t, again) != before {
		t.Error("half a migration was kept")
	}
	again.Close()
	openTest(t, dir)
}

// TestRefused holds which files are not opened, and what is said of them.
func TestRefused(t *testing.T) {
	for _, c := range []struct {
		name string
		make func(path string)
		want error
		says string
	}{
		{"text", func(p string) { os.WriteFile(p, []byte(strings.Repeat("a plain list\n", 100)), 0o600) }, ErrForeign, "name another --dir"},
		{"another program's", func(p string) { run(t, p, "CREATE TABLE bookmarks (url)") }, ErrForeign, "another program"},
		{"another program's version", func(p string) { run(t, p, "PRAGMA user_version = 1; CREATE TABLE x (y)") }, ErrForeign, "another program"},
		{"newer", func(p string) {
			s := openTest(t, filepath.Dir(p))
			s.Close()
			run(t, p, "PRAGMA user_version = 9; INSERT INTO schema VALUES (9, 'later', '3.1.4', 0)")
		}, ErrNewer, "testudo 3.1.4 wrote it (schema 9, this program knows 2)"},
		{"directory", func(p string) { os.Mkdir(p, 0o700) }, nil, "open"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			c.make(filepath.Join(dir, File))
			_, err := Open(dir, t0, "1")
			if err == nil || c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v", err)
			}
		})
	}
	if _, err := Open(filepath.Join(t.TempDir(), "none"), t0, "1"); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

func run(t *testing.T, path, query string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err == nil {
		_, err = db.Exec(query)
		err = errors.Join(err, db.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestOpenTogether holds that many may make and open one directory at once.
func TestOpenTogether(t *testing.T) {
	dir := t.TempDir()
	var all sync.WaitGroup
	for range 6 {
		all.Go(func() {
			s, err := Open(dir, t0, "1")
			if err != nil {
				t.Error(err)
				return
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

// TestReadWhileWriting holds that readers see whole states while a writer
// runs, and that a second writer gives up in time and says so.
func TestReadWhileWriting(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir)
	other, err := open(dir, t0, "1", 200*time.Millisecond, migrations)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	fill(t, s)
	err = s.change("hold the lock", func(tx *sql.Tx) error {
		if _, err := tx.Exec("DELETE FROM notes"); err != nil {
			return err
		}
		inc, err := other.Get("INC-0")
		if err != nil || len(inc.Notes) != 1 {
			t.Errorf("a reader sees %d notes, %v", len(inc.Notes), err)
		}
		began := time.Now()
		err = other.Note(t0, "INC-0", "lee", "me too")
		if !errors.Is(err, ErrBusy) || !strings.Contains(err.Error(), "try again") {
			t.Errorf("a second writer: %v", err)
		}
		if time.Since(began) > 5*time.Second {
			t.Errorf("it waited %v", time.Since(began))
		}
		return err
	})
	if !errors.Is(err, ErrBusy) {
		t.Error(err)
	}
	if err := other.Note(t0, "INC-0", "lee", "me too"); err != nil {
		t.Error(err)
	}
	if inc, err := s.Get("inc-0"); err != nil || len(inc.Notes) != 2 {
		t.Error(inc.Notes, err)
	}
}

// TestFull holds what happens when the disk is full, and after it.
func TestFull(t *testing.T) {
	s := openTest(t, t.TempDir())
	fill(t, s)
	before := dump(t, s)
	pages := func(n int) {
		if _, err := s.writer.Exec(fmt.Sprintf("PRAGMA max_page_count = %d", n)); err != nil {
			t.Fatal(err)
		}
	}
	pages(1) // SQLite makes of it as many as there are
	_, err := s.Import(context.Background(), t0, Source{Name: "more"}, false, million(10_000))
	if !errors.Is(err, ErrFull) || !strings.Contains(err.Error(), "free some space") {
		t.Fatal(err)
	}
	if dump(t, s) != before {
		t.Error("a part of the write was kept")
	}
	pages(1 << 30)
	if _, err := s.Import(context.Background(), t0, Source{Name: "more"}, false, million(10_000)); err != nil {
		t.Error(err)
	}
}

// TestBackup holds that a backup restores what was, while the state is open.
func TestBackup(t *testing.T) {
	ctx := context.Background()
	dir, file := t.TempDir(), filepath.Join(t.TempDir(), "backup.db")
	s := openTest(t, dir)
	fill(t, s)
	before := dump(t, s)
	if err := s.Backup(ctx, file); err != nil {
		t.Fatal(err)
	}
	if err := s.Backup(ctx, file); !errors.Is(err, ErrExists) {
		t.Error(err)
	}
	if err := s.Note(t0, "INC-0", "lee", "later"); err != nil {
		t.Fatal(err)
	}
	seen, _ := s.Revision("incidents")
	if err := Restore(ctx, t0, file, dir, false, "1"); !errors.Is(err, ErrExists) {
		t.Fatal(err)
	}
	if err := Restore(ctx, t0, file, dir, true, "1"); err != nil {
		t.Fatal(err)
	}
	if now, _ := s.Revision("incidents"); now <= seen {
		t.Errorf("revision %d after %d", now, seen)
	}
	if without(dump(t, s), "revisions") != without(before, "revisions") {
		t.Error("an open state does not see what was restored")
	}
	empty := t.TempDir()
	if err := Restore(ctx, t0, file, empty, false, "1"); err != nil {
		t.Fatal(err)
	}
	if dump(t, openTest(t, empty)) != before {
		t.Error("restored otherwise than it was")
	}
	left, _ := filepath.Glob(filepath.Join(dir, "restore-*"))
	if len(left) > 0 {
		t.Error(left)
	}
}

func without(dump, table string) string {
	var out strings.Builder
	for line := range strings.Lines(dump) {
		if !strings.HasPrefix(line, table+" ") {
			out.WriteString(line)
		}
	}
	return out.String()
}

// TestRestoreBad holds that a broken backup changes nothing, and that a
// broken state gives way to a good one.
func TestRestoreBad(t *testing.T) {
	ctx := context.Background()
	dir, file := t.TempDir(), filepath.Join(t.TempDir(), "backup.db")
	s := openTest(t, dir)
	fill(t, s)
	before := dump(t, s)
	if err := s.Backup(ctx, file); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	bad := filepath.Join(t.TempDir(), "bad.db")
	broken := append([]byte(nil), good...)
	for i := 8192; i < len(broken); i++ {
		broken[i] = 0x55
	}
	for name, content := range map[string][]byte{"broken": broken, "cut": good[:5000], "text": []byte("nothing"), "empty": nil} {
		if err := os.WriteFile(bad, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := Restore(ctx, t0, bad, dir, true, "1"); !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrForeign) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if dump(t, s) != before {
		t.Error("a bad backup changed the state")
	}
	s.Close()
	if err := os.WriteFile(s.Path(), broken[100:], 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Restore(ctx, t0, file, dir, true, "1"); err != nil {
		t.Fatal(err)
	}
	if dump(t, openTest(t, dir)) != before || !exists(filepath.Join(dir, "state.db.damaged")) {
		t.Error("a damaged state was not replaced, or not kept")
	}
}
