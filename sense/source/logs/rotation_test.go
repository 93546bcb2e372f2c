package logs

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/testudo-shield/testudo"
)

// stepper writes a log and has its follower look at it when the test says so.
type stepper struct {
	t    *testing.T
	path string
	n    int // lines written
	f    *Follower
	seen map[string]int
}

func newStepper(t *testing.T) *stepper {
	s := &stepper{t: t, path: filepath.Join(t.TempDir(), "eve.json"), seen: map[string]int{}}
	s.write(0)
	s.f = follow(t, nil, s.path)
	s.f.every = 0
	t.Cleanup(func() { _ = s.f.Close() })
	return s
}

func (s *stepper) check(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// write appends n lines to the log, which may be new.
func (s *stepper) write(n int) {
	s.t.Helper()
	var b bytes.Buffer
	for range n {
		s.n++
		fmt.Fprintf(&b, "{\"n\":%d}\n", s.n)
	}
	f, err := os.OpenFile(s.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	s.check(err)
	_, err = f.Write(b.Bytes())
	s.check(err)
	s.check(f.Close())
}

func (s *stepper) copy(to string) {
	s.t.Helper()
	all, err := os.ReadFile(s.path)
	s.check(err)
	s.check(os.WriteFile(s.path+to, all, 0o600))
}

func (s *stepper) cut()             { s.t.Helper(); s.check(os.Truncate(s.path, 0)) }
func (s *stepper) rename(to string) { s.t.Helper(); s.check(os.Rename(s.path, s.path+to)) }

// once reads what is left and holds that each line written came once.
func (s *stepper) once() {
	s.t.Helper()
	for end := time.Now().Add(2 * time.Second); time.Now().Before(end); {
		if r, err := s.f.Next(); err == nil {
			s.seen[r.(*testudo.Weird).Name]++
		} else if len(s.seen) >= s.n && s.f.trails[0].scan == 0 {
			break
		}
	}
	complete(s.t, s.seen, s.n)
	if skipped := s.f.Skipped(); len(skipped) > 0 {
		s.t.Error(skipped)
	}
}

// TestFollowCopiedBeforeItWasRead has a log copied a second time after it was
// cut off once, before anything of its second life was read: the copy is no
// file of its own while the log still holds the same lines.
func TestFollowCopiedBeforeItWasRead(t *testing.T) {
	for _, lines := range []int{3, 300} {
		t.Run(fmt.Sprint(lines), func(t *testing.T) {
			s := newStepper(t)
			s.write(lines)
			s.f.poll()
			s.copy(".1")
			s.cut()
			s.write(lines - 1)
			s.copy(".2")
			s.f.poll() // notices the first cut and finds both copies
			s.f.poll() // reads the log anew
			s.cut()
			s.write(lines)
			s.once()
		})
	}
}

// TestFollowCutBeforeItWasSeen has a log written, copied and cut off between
// two rounds: its copy is found though the log looks as it did before.
func TestFollowCutBeforeItWasSeen(t *testing.T) {
	for _, polls := range []int{0, 1, 20} {
		t.Run(fmt.Sprint(polls), func(t *testing.T) {
			s := newStepper(t)
			for range polls {
				s.f.poll()
			}
			s.write(4)
			s.copy(".1")
			s.cut()
			s.once()
		})
	}
}

// TestFollowRenamedWhileOpened has a log renamed after its beginning was seen
// and before it was opened to be read: that is no fault, and nothing is lost.
func TestFollowRenamedWhileOpened(t *testing.T) {
	s := newStepper(t)
	s.write(300)
	renamed := false
	s.f.format.File = func(string) File {
		if !renamed {
			renamed = true
			s.rename(".1")
		}
		return numberedFile{}
	}
	s.f.poll()
	s.write(3)
	s.once()
}

// TestFollowManyRotations has more files rotated away than are remembered one
// by one: those that were forgotten are not read again.
func TestFollowManyRotations(t *testing.T) {
	s := newStepper(t)
	s.f.asks, s.f.linger = 1, 0
	s.f.trails[0].since = time.Now().Add(-time.Hour).UnixNano()
	old := time.Now().Add(-time.Minute)
	for i := range maxKnown + 6 {
		s.write(40)
		s.f.poll()
		name := fmt.Sprintf(".%d", i)
		s.rename(name)
		s.check(os.Chtimes(s.path+name, old, old))
		s.write(40)
		s.once()
	}
}
