package parquet

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/keep/history"
	"github.com/testudo-shield/testudo/keep/history/historytest"
)

func mustOpen(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func fillStore(t *testing.T, s *Store, id string) {
	t.Helper()
	if err := s.Append(context.Background(), history.Ingest{ID: id}, historytest.Filled(1)); err != nil {
		t.Fatal(err)
	}
}

func count(t *testing.T, s *Store) (n int, answer history.Scanned) {
	t.Helper()
	answer, err := s.Scan(context.Background(), testudo.Query{}, func(testudo.Record) bool { n++; return true }, nil)
	if err != nil {
		t.Fatal(err)
	}
	return n, answer
}

// TestDamagedFile damages one file in many ways: the answer names it, nothing
// else is missing, and upkeep sets it aside.
func TestDamagedFile(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	fillStore(t, s, "a")
	maintainAt(t, s, time.Minute)
	all, _ := count(t, s)
	path, _ := filepath.Glob(filepath.Join(dir, "ssl/*/*.parquet"))
	good, err := os.ReadFile(path[0])
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(3, 3))
	named := 0
	for range 300 {
		bad := bytes.Clone(good)
		switch rng.IntN(3) {
		case 0:
			bad = bad[:rng.IntN(len(bad))]
		case 1:
			bad[rng.IntN(len(bad))] ^= byte(1 + rng.IntN(255))
		default:
			at := rng.IntN(len(bad) - 64)
			for i := range 64 {
				bad[at+i] = byte(rng.Uint32())
			}
		}
		if err := os.WriteFile(path[0], bad, 0o600); err != nil {
			t.Fatal(err)
		}
		n, answer := count(t, s)
		if n < all-1 || n == all-1 && len(answer.Damaged) != 1 {
			t.Fatalf("%d of %d records; said: %v", n, all, answer.Damaged)
		}
		named += len(answer.Damaged)
	}
	if named == 0 {
		t.Fatal("no damage was noticed")
	}
	if err := os.WriteFile(path[0], good[:len(good)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	count(t, s)
	r, err := s.Maintain(context.Background(), historytest.MonthStart, history.Policy{})
	if err != nil || len(r.Damaged) != 1 || !strings.Contains(r.Damaged[0].File, "damaged") {
		t.Errorf("report: %+v, %v", r.Damaged, err)
	}
	if n, answer := count(t, s); n != all-1 || len(answer.Damaged) > 0 {
		t.Errorf("afterwards: %d records, %v", n, answer.Damaged)
	}
}

func maintainAt(t *testing.T, s *Store, after time.Duration) {
	t.Helper()
	if _, err := s.Maintain(context.Background(), historytest.MonthStart.Add(after), history.Policy{}); err != nil {
		t.Fatal(err)
	}
}

// TestTornTail cuts off the tail at every byte of its last frame.
func TestTornTail(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	fillStore(t, s, "a")
	one := s.tails[0].size
	fillStore(t, s, "b")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, s.tails[0].path)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for cut := one; cut < int64(len(good)); cut += 97 {
		if err := os.WriteFile(path, good[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		s := mustOpen(t, dir)
		n, answer := count(t, s)
		if n != len(history.Layouts()) || cut > one && answer.TornFrames != 1 {
			t.Fatalf("cut at %d: %d records, %d torn", cut, n, answer.TornFrames)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestDamagedCatalog holds that the files alone are enough to go on.
func TestDamagedCatalog(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	fillStore(t, s, "a")
	maintainAt(t, s, time.Minute)
	all, _ := count(t, s)
	if err := errors.Join(s.Close(), os.WriteFile(filepath.Join(dir, "catalog"), []byte("rubbish that is none"), 0o600)); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, dir)
	if n, _ := count(t, s); n != all {
		t.Errorf("%d of %d records", n, all)
	}
	if r, err := s.Maintain(context.Background(), historytest.MonthStart, history.Policy{}); err != nil || len(r.Damaged) != 1 {
		t.Errorf("report: %+v, %v", r.Damaged, err)
	}
}

// TestReader holds that another process can read while one writes, and that
// two cannot write.
func TestReader(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	if _, err := Open(dir); !errors.Is(err, history.ErrBusy) {
		t.Errorf("opened twice: %v", err)
	}
	r, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	for i, id := range []string{"a", "b", "c"} {
		fillStore(t, s, id)
		if n, _ := count(t, r); n != (i+1)*len(history.Layouts()) {
			t.Errorf("the reader sees %d records", n)
		}
		maintainAt(t, s, time.Duration(i)*2*time.Hour)
		if n, _ := count(t, r); n != (i+1)*len(history.Layouts()) {
			t.Errorf("after upkeep the reader sees %d records", n)
		}
	}
	if err = r.Append(context.Background(), history.Ingest{}, nil); !errors.Is(err, history.ErrReadOnly) {
		t.Errorf("a reader wrote: %v", err)
	}
}

// TestDiskFull fills a small disk: an append that finds no room says so and
// keeps nothing, what was there stays, and it goes on when there is room.
func TestDiskFull(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("SKIPPED: mounting a small disk needs root: %v", err)
	}
	defer func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) }()
	s := mustOpen(t, dir)
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 800<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	acknowledged, refused := 0, 0
	for n := range 400 {
		if n == 300 {
			_ = os.Remove(ballast)
		}
		err := s.Append(context.Background(), history.Ingest{ID: "full", Part: int64(n)}, historytest.Filled(1))
		switch {
		case err == nil:
			acknowledged++
		case errors.Is(err, history.ErrFull):
			refused++
		default:
			t.Fatal(err)
		}
		if n%50 == 49 {
			if _, err := s.Maintain(context.Background(), historytest.MonthStart, history.Policy{}); err != nil && !errors.Is(err, history.ErrFull) {
				t.Fatal(err)
			}
		}
	}
	if n, answer := count(t, s); n != acknowledged*len(history.Layouts()) || len(answer.Damaged) > 0 || refused == 0 {
		t.Errorf("%d records of %d acknowledged parts, %d refused, %v", n, acknowledged, refused, answer.Damaged)
	}
	t.Logf("%d parts acknowledged, %d refused", acknowledged, refused)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, dir)
	if n, _ := count(t, s); n != acknowledged*len(history.Layouts()) {
		t.Errorf("after opening %d records of %d acknowledged parts", n, acknowledged)
	}
}

// TestTogether scans while records come in and upkeep moves them: what was
// acknowledged before a scan began is always found, and once.
func TestTogether(t *testing.T) {
	s := mustOpen(t, t.TempDir())
	var acknowledged atomic.Int64
	done := make(chan error, 1)
	go func() {
		for n := range 120 {
			c := historytest.Conn(n, time.Duration(n%3)*time.Hour, "10.0.0.1", "192.0.2.1")
			if err := s.Append(context.Background(), history.Ingest{ID: "t", Part: int64(n)}, []testudo.Record{c}); err != nil {
				done <- err
				return
			}
			acknowledged.Add(1)
			if n%4 == 3 {
				if _, err := s.Maintain(context.Background(), historytest.MonthStart.Add(time.Duration(n)*time.Hour), history.Policy{}); err != nil {
					done <- err
					return
				}
			}
		}
		done <- nil
	}()
	for {
		before := int(acknowledged.Load())
		n, answer := count(t, s)
		if n < before || len(answer.Damaged) > 0 {
			t.Fatalf("%d found of %d, %v", n, before, answer.Damaged)
		}
		select {
		case err := <-done:
			if n, _ := count(t, s); n != 120 || err != nil {
				t.Fatalf("%d found in the end, %v", n, err)
			}
			return
		default:
		}
	}
}

// FuzzTail gives foreign bytes as a tail.
func FuzzTail(f *testing.F) {
	schema := []byte("conn ts:int uid:text gone:texts\nload count:ints\nold a:float b:ints c:bool\n")
	payload := []byte("\x01x\x02\x02\x02\x00\x02\x0cC0000000000z\x01\x01a\x02\x01\x01\x04\x00")
	w, err := createFramed(filepath.Join(f.TempDir(), "1.tail"), schema)
	if err != nil {
		f.Fatal(err)
	}
	if err = w.append(payload); err != nil {
		f.Fatal(err)
	}
	good, _ := os.ReadFile(w.file.Name()[:len(w.file.Name())-len(".tmp")])
	f.Add(good, payload)
	f.Add([]byte(magic), []byte{})
	f.Fuzz(func(_ *testing.T, whole, part []byte) {
		s := &Store{cat: newCatalog(), parts: map[string]*parts{}}
		tl := &tail{}
		readFrames(bytes.NewReader(whole), int64(len(whole)), func(at int64, payload []byte) error { return s.loadFrame(tl, at, payload) })
		if d, err := newDecoder(schema); err == nil {
			_, _ = d.part(part, func(*history.Layout, testudo.Record) bool { return true })
		}
	})
}
