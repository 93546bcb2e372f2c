package parquet

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/keep/history"
	"github.com/testudo-shield/testudo/keep/history/historytest"
)

// TestKill ends a process that appends, maintains and forgets with kill -9 at
// random moments: nothing acknowledged may be lost, nothing may be there
// twice, nothing forgotten may come back, and the folder always opens.
func TestKill(t *testing.T) {
	if dir := os.Getenv("TESTUDO_KILL_DIR"); dir != "" {
		victim(t, dir)
		return
	}
	rounds := 10
	if *long {
		rounds = 200
	}
	dir, rng := t.TempDir(), rand.New(rand.NewPCG(1, uint64(time.Now().UnixNano())))
	seen := acknowledged{parts: map[int64]bool{}, forgotten: map[int64]bool{}}
	for round := range rounds {
		seen.run(t, dir, round, time.Duration(20+rng.IntN(1500))*time.Millisecond)
		seen.check(t, dir, round)
		if t.Failed() {
			return
		}
	}
	t.Logf("%d kills, %d parts acknowledged, %d of them forgotten", rounds, len(seen.parts), len(seen.forgotten))
}

// acknowledged is what the killed processes said they had done.
type acknowledged struct {
	parts, forgotten map[int64]bool
}

func (a *acknowledged) run(t *testing.T, dir string, round int, after time.Duration) {
	cmd := exec.Command(os.Args[0], "-test.run=^TestKill$", "-test.v")
	cmd.Env = append(os.Environ(), "TESTUDO_KILL_DIR="+dir, "TESTUDO_KILL_ROUND="+strconv.Itoa(round))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err = cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	started := false
	for lines.Scan() {
		var n int64
		switch line := lines.Text(); {
		case strings.HasPrefix(line, "ready"):
			started = true
			time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
		case parse(line, "part %d", &n):
			a.parts[n] = true
		case parse(line, "forgot %d", &n):
			a.forgotten[n] = true
		case strings.HasPrefix(line, "error"):
			t.Errorf("round %d: %s", round, line)
		}
	}
	_ = cmd.Wait()
	if !started {
		t.Fatalf("round %d: the folder did not open", round)
	}
}

func parse(line, format string, n *int64) bool {
	k, err := fmt.Sscanf(line, format, n)
	return k == 1 && err == nil
}

// victim works until it is killed. Each part holds five conns of one host and
// hours that differ; the host's number is that of the part.
func victim(t *testing.T, dir string) {
	s, err := Open(dir)
	if err != nil {
		fmt.Println("error:", err)
		return
	}
	fmt.Println("ready")
	round, _ := strconv.ParseInt(os.Getenv("TESTUDO_KILL_ROUND"), 10, 64)
	ctx := context.Background()
	for n := round * 1000; n < (round+1)*1000; n++ {
		var records []testudo.Record
		for i := range 5 {
			records = append(records, historytest.Conn(int(n)*5+i, time.Duration(n%3+int64(i))*time.Hour, hostOf(n).String(), "192.0.2.1"))
		}
		if err = s.Append(ctx, history.Ingest{ID: "kill", Part: n, At: historytest.MonthStart}, records); err != nil {
			fmt.Println("error:", err)
			return
		}
		fmt.Println("part", n)
		if n%3 == 2 {
			if _, err = s.Maintain(ctx, historytest.MonthStart.Add(time.Duration(n)*time.Hour), history.Policy{}); err != nil {
				fmt.Println("error:", err)
			}
		}
		if n%4 == 3 {
			if _, err = s.Forget(ctx, history.Subject{Addresses: []netip.Addr{hostOf(n)}}); err != nil {
				fmt.Println("error:", err)
				return
			}
			fmt.Println("forgot", n)
		}
	}
	t.Fatal("nobody killed it")
}

func hostOf(n int64) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)})
}

func (a *acknowledged) check(t *testing.T, dir string, round int) {
	s, err := Open(dir)
	if err != nil {
		t.Fatalf("round %d: %v", round, err)
	}
	defer s.Close()
	count := map[netip.Addr]int{}
	answer, err := s.Scan(context.Background(), testudo.Query{}, func(r testudo.Record) bool { count[r.Base().ID.Orig.Addr()]++; return true }, nil)
	if err != nil || len(answer.Damaged) > 0 {
		t.Fatalf("round %d: %v %v", round, err, answer.Damaged)
	}
	for n := range a.parts {
		got := count[hostOf(n)]
		switch {
		case a.forgotten[n] && got != 0:
			t.Errorf("round %d: part %d was forgotten, %d of its records are there", round, n, got)
		case !a.forgotten[n] && got != 5 && n%4 != 3: // a cut-off Forget may have begun
			t.Errorf("round %d: part %d has %d records, want 5", round, n, got)
		}
	}
	for host, n := range count {
		if n > 5 {
			t.Errorf("round %d: %s has %d records", round, host, n)
		}
	}
}
