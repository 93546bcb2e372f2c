package test

import (
	"bytes"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite" // to read the state as a user would

	"github.com/testudo-shield/testudo/test/wire"
)

// wallTime are the columns of the state that hold wall time, and the tables
// that say how often something happened.
var wallTime = []string{"at", "added", "told", "since", "until", "removed", "fetched", "read"}

// remembered is all that a folder remembers but for wall time: the rows of its
// state, and every record of its history.
func remembered(t *testing.T, dir string) string {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "state.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var out strings.Builder
	for _, table := range texts(t, db, "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT IN ('schema', 'revisions', 'sqlite_sequence') ORDER BY name") {
		columns := slices.DeleteFunc(texts(t, db, "SELECT name FROM pragma_table_info('"+table+"')"), func(c string) bool { return slices.Contains(wallTime, c) })
		row := "quote(" + strings.Join(columns, ") || ' ' || quote(") + ")"
		for _, r := range texts(t, db, fmt.Sprintf("SELECT %s AS row FROM %s ORDER BY row", row, table)) {
			fmt.Fprintln(&out, table, r)
		}
	}
	r := run(t, nil, "hunt", "--dir", dir, "--limit", "0", "-o", "json", "since:2000-01-01")
	if r.code != 0 {
		t.Fatalf("hunt: exit %d: %s", r.code, r.stderr)
	}
	for line := range bytes.Lines(r.stdout) {
		if bytes.HasPrefix(line, []byte(`{"type":"record"`)) {
			out.Write(line)
		}
	}
	return out.String()
}

func texts(t *testing.T, db *sql.DB, query string) (list []string) {
	t.Helper()
	rows, err := db.Query(query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		list = append(list, s)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return list
}

// TestTwiceIsOnce holds that reading the same capture again changes nothing of
// what is remembered.
func TestTwiceIsOnce(t *testing.T) {
	capture := file(t, "mixed.pcap", wire.Mixed(31, 400).Pcap())
	dir := filepath.Join(t.TempDir(), "state")
	var first string
	for round := range 2 {
		if r := run(t, nil, "replay", "--dir", dir, capture); r.code != 0 {
			t.Fatalf("exit %d: %s", r.code, r.stderr)
		}
		now := remembered(t, dir)
		if round == 0 {
			first = now
		}
		if now != first {
			t.Errorf("twice is not once: %s", differ([]byte(first), []byte(now)))
		}
	}
	if !strings.Contains(first, "sightings ") || !strings.Contains(first, `"log":"conn"`) {
		t.Errorf("nothing was remembered: %.500s", first)
	}
}

// TestKilled ends a replay that remembers with kill -9 at random moments: each
// time the folder opens and answers, and in the end reading again gives what
// reading once gives.
func TestKilled(t *testing.T) {
	rounds := 10
	if *long {
		rounds = 200
	}
	capture := file(t, "mixed.pcap", wire.Mixed(32, 6000).Pcap())
	whole := filepath.Join(t.TempDir(), "whole")
	start := time.Now()
	if r := run(t, nil, "replay", "--dir", whole, capture); r.code != 0 {
		t.Fatalf("exit %d: %s", r.code, r.stderr)
	}
	took, want := time.Since(start), remembered(t, whole)
	rng := rand.New(rand.NewPCG(9, uint64(start.UnixNano())))
	dir, killed := filepath.Join(t.TempDir(), "state"), 0
	for round := range rounds {
		if round%5 == 0 {
			dir = filepath.Join(t.TempDir(), "state") // also the first moments of a new folder
		}
		cmd := exec.Command(binary, "replay", "--dir", dir, capture)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		after := time.AfterFunc(time.Duration(rng.Int64N(int64(took))), func() { _ = cmd.Process.Kill() })
		if cmd.Wait() != nil {
			killed++
		}
		after.Stop()
		if _, err := os.Stat(filepath.Join(dir, "state.db")); err != nil {
			continue // it was ended before it began
		}
		if r := run(t, nil, "hunt", "--dir", dir, "since:2000-01-01"); r.code != 0 {
			t.Fatalf("round %d: hunt: exit %d: %s", round, r.code, r.stderr)
		}
		if round%5 != 4 {
			continue
		}
		if r := run(t, nil, "replay", "--dir", dir, capture); r.code != 0 {
			t.Fatalf("round %d: exit %d: %s", round, r.code, r.stderr)
		}
		if now := remembered(t, dir); now != want {
			t.Fatalf("round %d: %s", round, differ([]byte(want), []byte(now)))
		}
	}
	t.Logf("%d of %d runs of %v were killed", killed, rounds, took)
}

// TestRememberFull fills the disk under a replay that remembers: it says so,
// judges all the same, ends with code 3, and goes on once there is room.
func TestRememberFull(t *testing.T) {
	if os.Getenv("TESTUDO_PROVE") == "" || os.Geteuid() != 0 || runtime.GOOS != "linux" {
		t.Skip("SKIPPED: TESTUDO_PROVE is not set: no disk was filled")
	}
	disk := filepath.Join(t.TempDir(), "disk")
	if err := os.Mkdir(disk, 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=16m", "testudo", disk).CombinedOutput(); err != nil {
		t.Skipf("no small disk can be mounted here: %v %s", err, out)
	}
	defer func() {
		if out, err := exec.Command("umount", disk).CombinedOutput(); err != nil {
			t.Errorf("%v %s", err, out)
		}
	}()
	dir := filepath.Join(disk, "state")
	calm := file(t, "calm.pcap", wire.Mixed(33, 20).Pcap())
	if r := run(t, nil, "replay", "--dir", dir, calm); r.code != 0 {
		t.Fatalf("exit %d: %s", r.code, r.stderr)
	}
	used := filepath.Join(disk, "used")
	if out, err := exec.Command("sh", "-c", "dd if=/dev/zero of="+used+" bs=4096; true").CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	capture := file(t, "mixed.pcap", wire.Mixed(34, 2000).Pcap())
	r := run(t, nil, "replay", "-o", "json", "--dir", dir, capture)
	if r.code != 3 || !bytes.Contains(r.stderr, []byte("room")) && !bytes.Contains(r.stderr, []byte("full")) {
		t.Errorf("exit %d: %s", r.code, r.stderr)
	}
	if !bytes.Contains(r.stdout, []byte(`"type":"incident"`)) {
		t.Errorf("it did not judge: %.500s", r.stdout)
	}
	if r := run(t, nil, "hunt", "--dir", dir, "since:2000-01-01"); r.code != 0 && !bytes.Contains(r.stderr, []byte("the disk is full")) {
		t.Errorf("hunt on a full disk: exit %d: %s", r.code, r.stderr)
	}
	if err := os.Remove(used); err != nil {
		t.Fatal(err)
	}
	if r := run(t, nil, "replay", "--dir", dir, capture); r.code != 0 {
		t.Errorf("it did not recover: exit %d: %s", r.code, r.stderr)
	}
	clean := filepath.Join(t.TempDir(), "state")
	for _, c := range []string{calm, capture} {
		if r := run(t, nil, "replay", "--dir", clean, c); r.code != 0 {
			t.Fatalf("exit %d: %s", r.code, r.stderr)
		}
	}
	if want, now := remembered(t, clean), remembered(t, dir); now != want {
		t.Errorf("what was not remembered while the disk was full: %s", differ([]byte(want), []byte(now)))
	}
}
