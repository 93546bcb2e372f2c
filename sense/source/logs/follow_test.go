package logs

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/source"
)

// numbered is a format of lines that hold a number each.
func numbered() Format {
	return Format{
		Name:  "numbered log",
		Sniff: func(head []byte) bool { return bytes.HasPrefix(head, []byte("{")) },
		File:  func(string) File { return numberedFile{} },
	}
}

type numberedFile struct{}

func (numberedFile) Header([]byte) bool { return false }
func (numberedFile) Parser() Parser     { return numberedFile{} }
func (numberedFile) Parse(line []byte, w *Words) (Entry, error) {
	var n int
	if _, err := fmt.Sscanf(string(line), `{"n":%d}`, &n); err != nil {
		return Entry{}, err
	}
	r := &testudo.Weird{Name: fmt.Sprint(n)}
	r.Time = testudo.Time(n)
	return Entry{Record: r, Written: r.Time}, nil
}

// writer writes numbered lines to a log and rotates it as it likes.
type writer struct {
	t    *testing.T
	rand *rand.Rand
	path string
	f    *os.File
	n    int          // lines written
	read atomic.Int64 // lines that arrived
	gone int          // files rotated away
}

func (w *writer) check(err error) {
	if err != nil {
		w.t.Error(err)
	}
}

func (w *writer) open() {
	f, err := os.OpenFile(w.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	w.check(err)
	w.f = f
}

// write writes some lines, now and then in two pieces.
func (w *writer) write() {
	var b bytes.Buffer
	for range 1 + w.rand.IntN(30) {
		w.n++
		fmt.Fprintf(&b, "{\"n\":%d}%s\n", w.n, strings.Repeat(" ", w.rand.IntN(60)))
	}
	cut := w.rand.IntN(b.Len())
	_, err := w.f.Write(b.Bytes()[:cut])
	w.check(err)
	if w.rand.IntN(3) == 0 {
		time.Sleep(time.Duration(w.rand.IntN(4)) * time.Millisecond)
	}
	_, err = w.f.Write(b.Bytes()[cut:])
	w.check(err)
}

func (w *writer) away() string {
	w.gone++
	return fmt.Sprintf("%s.%d", w.path, w.gone)
}

func (w *writer) rotate() {
	switch w.rand.IntN(5) {
	case 0: // renamed, and made anew after a while
		w.check(os.Rename(w.path, w.away()))
		if w.rand.IntN(2) == 0 {
			w.write() // its writer was not told yet
		}
		w.check(w.f.Close())
		time.Sleep(time.Duration(w.rand.IntN(3)) * time.Millisecond)
		w.open()
	case 1: // copied and cut off
		all, err := os.ReadFile(w.path)
		w.check(err)
		w.check(os.WriteFile(w.away(), all, 0o600))
		w.check(os.Truncate(w.path, 0))
	case 2: // packed away
		name := w.away()
		w.check(os.Rename(w.path, name))
		w.check(w.f.Close())
		w.open()
		w.pack(name)
	case 3: // copied, packed and cut off
		all, err := os.ReadFile(w.path)
		w.check(err)
		name := w.away()
		w.check(os.WriteFile(name, all, 0o600))
		w.check(os.Truncate(w.path, 0))
		w.pack(name)
	case 4: // deleted, when it was seen: what is gone before nobody can read
		for end := time.Now().Add(20 * time.Second); w.read.Load() < int64(w.n) && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
		}
		w.check(os.Remove(w.path))
		w.check(w.f.Close())
		w.open()
	}
}

func (w *writer) pack(name string) {
	all, err := os.ReadFile(name)
	w.check(err)
	z, err := os.Create(name + ".gz")
	w.check(err)
	g := gzip.NewWriter(z)
	_, err = g.Write(all)
	w.check(err)
	w.check(g.Flush())
	time.Sleep(time.Duration(w.rand.IntN(3)) * time.Millisecond)
	w.check(g.Close())
	w.check(z.Close())
	w.check(os.Remove(name))
}

func (w *writer) run(steps int) {
	for range steps {
		w.write()
		time.Sleep(time.Duration(w.rand.IntN(2000)) * time.Microsecond)
		if w.rand.IntN(12) == 0 {
			w.rotate()
		}
	}
}

func follow(t *testing.T, from []byte, paths ...string) *Follower {
	t.Helper()
	f, err := Follow(numbered(), from, paths...)
	if err != nil {
		t.Fatal(err)
	}
	f.every, f.linger, f.asks = 4*time.Millisecond, 300*time.Millisecond, 500
	for _, t := range f.trails {
		t.scan = min(t.scan, 1) * f.asks
	}
	return f
}

// drain reads until nothing came for a while after done, or until stop says
// so.
func drain(t *testing.T, f *Follower, w *writer, seen map[string]int, done <-chan struct{}, stop func() bool) {
	t.Helper()
	idle := 0
	for !stop() {
		r, err := f.Next()
		if err == nil {
			seen[r.(*testudo.Weird).Name]++
			w.read.Add(1)
			idle = 0
			continue
		}
		if !errors.Is(err, source.ErrIdle) {
			t.Fatal(err)
		}
		select {
		case <-done:
			if idle++; idle > 250 {
				return
			}
		default:
		}
	}
}

func complete(t *testing.T, seen map[string]int, n int) {
	t.Helper()
	missing, twice := 0, 0
	for i := 1; i <= n; i++ {
		switch seen[fmt.Sprint(i)] {
		case 0:
			missing++
		case 1:
		default:
			twice++
		}
	}
	if missing+twice > 0 || len(seen) != n {
		t.Errorf("of %d lines %d are missing and %d came twice; %d seen", n, missing, twice, len(seen))
	}
}

// TestFollowRotation has a writer rotate its log at random points in every
// way, while it is followed: every line arrives once.
func TestFollowRotation(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			w := &writer{t: t, rand: rand.New(rand.NewPCG(seed, 1)), path: filepath.Join(t.TempDir(), "eve.json")}
			w.open()
			f := follow(t, nil, w.path)
			defer f.Close()
			done, seen := make(chan struct{}), map[string]int{}
			go func() { defer close(done); w.run(250) }()
			drain(t, f, w, seen, done, func() bool { return false })
			complete(t, seen, w.n)
			if len(f.Skipped()) > 0 {
				t.Error(f.Skipped())
			}
		})
	}
}

// TestFollowResume kills the follower at random points and goes on from the
// position it stored last: what was handed out before is neither lost nor
// repeated.
func TestFollowResume(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			w := &writer{t: t, rand: rand.New(rand.NewPCG(seed, 2)), path: filepath.Join(t.TempDir(), "eve.json")}
			w.open()
			done, seen := make(chan struct{}), map[string]int{}
			kept := w.rand.Uint64()
			go func() {
				defer close(done)
				for range 250 {
					w.write()
					time.Sleep(time.Duration(w.rand.IntN(2000)) * time.Microsecond)
					if w.rand.IntN(20) == 0 {
						w.keep()
					}
				}
			}()
			chance := rand.New(rand.NewPCG(kept, 3))
			var position []byte
			for stopped := false; !stopped; {
				f := follow(t, position, w.path)
				left := chance.IntN(900)
				drain(t, f, w, seen, done, func() bool { left--; return left < 0 })
				position = f.Position()
				if err := f.Close(); err != nil {
					t.Fatal(err)
				}
				stopped = left >= 0
				if chance.IntN(3) == 0 {
					time.Sleep(time.Duration(chance.IntN(20)) * time.Millisecond)
				}
			}
			complete(t, seen, w.n)
		})
	}
}

// keep rotates without deleting.
func (w *writer) keep() {
	switch w.rand.IntN(3) {
	case 0:
		w.check(os.Rename(w.path, w.away()))
		w.check(w.f.Close())
		w.open()
	case 1:
		all, err := os.ReadFile(w.path)
		w.check(err)
		w.check(os.WriteFile(w.away(), all, 0o600))
		w.check(os.Truncate(w.path, 0))
	case 2:
		name := w.away()
		w.check(os.Rename(w.path, name))
		w.check(w.f.Close())
		w.open()
		w.pack(name)
	}
}

// TestFollowFolder holds that logs which appear later are followed, in order
// of time, and that what was rotated before is not read.
func TestFollowFolder(t *testing.T) {
	dir := t.TempDir()
	put := func(name, text string) {
		f, err := os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteString(text); err != nil {
			t.Fatal(err)
		}
	}
	put("a.2024-01-01.log", "{\"n\":1}\n")
	put("a.log", "{\"n\":3}\n{\"n\":5}\n")
	put("b.log", "{\"n\":4}\n{\"n\":")
	put("notes.log", "dear diary\n")
	f := follow(t, nil, dir)
	defer f.Close()
	var got []string
	next := func(n int) {
		t.Helper()
		for end := time.Now().Add(5 * time.Second); n > 0 && time.Now().Before(end); {
			if r, err := f.Next(); err == nil {
				got = append(got, r.(*testudo.Weird).Name)
				n--
			}
		}
	}
	next(3)
	put("c.log", "{\"n\":7}\n")
	put("b.log", "6}\n")
	next(2)
	if fmt.Sprint(got) != "[3 4 5 6 7]" {
		t.Errorf("got %v", got)
	}
	if _, err := Follow(numbered(), []byte(`{"version":2}`), dir); err == nil {
		t.Error("a position of another version was taken")
	}
}

// TestFollowNoFile holds that what is neither a file nor a folder is refused,
// rather than never read.
func TestFollowNoFile(t *testing.T) {
	if _, err := Follow(numbered(), nil, os.DevNull); err == nil || !strings.Contains(err.Error(), "neither a file nor a folder") {
		t.Error(err)
	}
}

// TestFollowRefused holds that a log which comes up later and may not be read
// is told, once.
func TestFollowRefused(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("SKIPPED: root may read everything")
	}
	dir := t.TempDir()
	f := &Follower{format: numbered(), folders: []string{dir}}
	if err := os.WriteFile(filepath.Join(dir, "conn.log"), []byte("x"), 0o200); err != nil {
		t.Fatal(err)
	}
	f.list(dir)
	f.list(dir)
	if len(f.skipped) != 1 || f.skipped[0].Input != filepath.Join(dir, "conn.log") {
		t.Errorf("told %v", f.skipped)
	}
}
