package feed

import (
	"context"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestKilled kills a process that fetches without end, at random moments:
// each time the copy is whole, one list or the other.
func TestKilled(t *testing.T) {
	if dir := os.Getenv("TESTUDO_FEED_KILLED"); dir != "" {
		fetchForever(t, dir)
	}
	dir := t.TempDir()
	lists := [2]string{strings.Repeat("203.0.113.7\n", 5000), strings.Repeat("198.51.100.1\n", 7000)}
	for i, text := range lists {
		if err := os.WriteFile(filepath.Join(dir, string(rune('a'+i))), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	mustFetch(t, s, Source{Name: "test", URL: "file://" + dir + "/a"}, monday)
	for range 20 {
		c := exec.Command(os.Args[0], "-test.run=^TestKilled$")
		c.Env = append(os.Environ(), "TESTUDO_FEED_KILLED="+dir)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20*time.Millisecond + rand.N(60*time.Millisecond))
		_ = c.Process.Signal(syscall.SIGKILL)
		_ = c.Wait()
		k, err := s.Kept("test")
		if err != nil || len(k.Files) != 1 {
			t.Fatalf("%+v %v", k, err)
		}
		if text, err := os.ReadFile(k.Files[0].Path); err != nil || string(text) != lists[0] && string(text) != lists[1] || sumOf(string(text)) != k.Files[0].SHA256 {
			t.Fatalf("%d bytes, %v", len(text), err)
		}
	}
	mustFetch(t, s, Source{Name: "test", URL: "file://" + dir + "/b"}, monday)
	if left, _ := filepath.Glob(filepath.Join(dir, "feeds", "test", "*")); len(left) != 3 {
		t.Errorf("left behind: %v", left)
	}
}

func fetchForever(t *testing.T, dir string) {
	s, err := Open(dir)
	for i := 0; err == nil; i++ {
		_, err = s.Fetch(context.Background(), Source{Name: "test", URL: "file://" + dir + "/" + string(rune('a'+i%2))}, monday)
	}
	t.Fatal(err)
}
