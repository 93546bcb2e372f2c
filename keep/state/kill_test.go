package state

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/testudo-shield/testudo"
)

// victimDir names the directory to the process that is killed.
const victimDir = "STATE_TEST_VICTIM"

// TestMain turns the test binary into the process that is killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv(victimDir); dir != "" {
		if err := writeForEver(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// writeForEver writes one thing after another of every kind and says which
// are acknowledged.
func writeForEver(dir string) error {
	s, err := Open(dir, t0, "1")
	if err != nil {
		return err
	}
	begin := 0
	for range s.Sightings() {
		begin++
	}
	for n := max(begin-1, 0); ; n++ { // the last may be half done; what is done twice is done once
		at := testudo.Time(n) * 60e9
		told := incident(fmt.Sprintf("INC-%012d", n), sighting("beacon", strconv.Itoa(n), at))
		for _, step := range []func() error{
			func() error { _, err := s.Tell(t0+at, []testudo.Incident{told}); return err },
			func() error { return s.Note(t0+at, told.ID, "kim", "note "+strconv.Itoa(n)) },
			func() error {
				return s.Beat([]Heartbeat{{Sensor: "s", Link: "eth1", First: t0 + at, Last: t0 + at + 60e9, Packets: 1}})
			},
			func() error {
				_, err := s.Import(context.Background(), t0+at, Source{Name: "list " + strconv.Itoa(n%5)}, true, million(100+n%1000))
				return err
			},
		} {
			if err := step(); err != nil {
				return err
			}
		}
		fmt.Println(n)
	}
}

// TestKilled kills a writer at random moments, that of the making of the
// state and its migration among them. After each the directory opens, is
// whole, and has everything that was acknowledged.
func TestKilled(t *testing.T) {
	rounds := 10
	if *long {
		rounds = 200
	}
	dir := t.TempDir()
	chance := rand.New(rand.NewPCG(7, 7))
	acknowledged := -1
	for round := range rounds {
		if round%20 == 0 {
			dir, acknowledged = t.TempDir(), -1
			if round%40 == 20 {
				old, err := open(dir, t0, "1", patience, migrations[:1])
				if err != nil {
					t.Fatal(err)
				}
				old.Close()
			}
		}
		acknowledged = max(acknowledged, killed(t, dir, time.Duration(chance.IntN(250))*time.Millisecond))
		s, err := Open(dir, t0, "1")
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		holds(t, s, acknowledged)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// killed runs a writer for a while and returns the last it acknowledged.
func killed(t *testing.T, dir string, after time.Duration) int {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), victimDir+"="+dir)
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(after)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait() // it was killed, which is an error too
	if complaints.Len() > 0 {
		t.Fatal(complaints.String())
	}
	last := -1
	for sc := bufio.NewScanner(&out); sc.Scan(); {
		if n, err := strconv.Atoi(sc.Text()); err == nil {
			last = n
		}
	}
	return last
}

func holds(t *testing.T, s *State, acknowledged int) {
	t.Helper()
	var whole string
	if err := s.readers.QueryRow("PRAGMA integrity_check").Scan(&whole); err != nil || whole != "ok" {
		t.Fatal(whole, err)
	}
	if acknowledged < 0 {
		return
	}
	n := 0
	for _, err := range s.Sightings() {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n <= acknowledged {
		t.Errorf("%d sightings, %d were acknowledged", n, acknowledged+1)
	}
	for i := range acknowledged + 1 {
		inc, err := s.Get(fmt.Sprintf("INC-%012d", i))
		if err != nil || len(inc.Notes) < 1 || !strings.HasPrefix(inc.Notes[0].Text, "note ") {
			t.Fatalf("incident %d: %v %v", i, inc.Notes, err)
		}
	}
	cover, err := s.Coverage(t0, t0+testudo.Time(acknowledged+1)*60e9)
	if err != nil || len(cover) != 1 || cover[0].Share != 1 {
		t.Errorf("%+v %v", cover, err)
	}
	sources, err := s.Sources()
	if err != nil || len(sources) == 0 {
		t.Fatal(sources, err)
	}
	held := 0
	for _, r := range sources {
		held += r.Holds
	}
	for _, err := range s.Indicators(context.Background(), "", 0) {
		if err != nil {
			t.Fatal(err)
		}
		held--
	}
	if held != 0 {
		t.Errorf("sources and indicators differ by %d", held)
	}
}
