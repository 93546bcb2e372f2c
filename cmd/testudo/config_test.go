package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/testudo-shield/testudo/engine"
)

// TestNearest holds which key is proposed for a wrong one.
func TestNearest(t *testing.T) {
	names := []string{"budgets", "intel", "local", "shared", "workers"}
	for word, want := range map[string]string{
		"worker": "workers", "locale": "local", "Intel": "intel", "budget": "budgets", "share": "shared", "workres": "workers",
	} {
		if got := nearest(word, names); got != want {
			t.Errorf("%q: %q, want %q", word, got, want)
		}
	}
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"", "abc", 3}, {"kitten", "sitting", 3}, {"local", "local", 0}} {
		if got := distance(c.a, c.b); got != c.want || got != distance(c.b, c.a) {
			t.Errorf("distance of %q and %q: %d, want %d", c.a, c.b, got, c.want)
		}
	}
}

// TestPrefixes holds how networks are written.
func TestPrefixes(t *testing.T) {
	got, err := prefixes([]string{"10.1.2.3/8, 192.0.2.7", "2001:db8::/48", " ", "fd00::1"})
	var words []string
	for _, p := range got {
		words = append(words, p.String())
	}
	if want := []string{"10.0.0.0/8", "192.0.2.7/32", "2001:db8::/48", "fd00::1/128"}; err != nil || !slices.Equal(words, want) {
		t.Errorf("%v, %v, want %v", words, err, want)
	}
	for _, bad := range []string{"10.0.0.0/33", "home", "10.0.0", "10.0.0.0/8/8", "::/129", "10.0.0.1-10.0.0.9"} {
		if _, err := prefixes([]string{bad}); err == nil || !strings.Contains(err.Error(), bad) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// FuzzConfig holds that no file of configuration is more than an error that
// names the file.
func FuzzConfig(f *testing.F) {
	for _, s := range []string{"", "workers: 1", "a: &a\n  b: *a", "budgets: {conns: x}", "- 1", "? {}\n: 1", "local: [1, {}]", "workers: 1\nworkers: 2", "<<: 3", "\xff", "budgets:"} {
		f.Add([]byte(s))
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text []byte) {
		path := filepath.Join(dir, "c.yaml")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Skip(err)
		}
		_, err := loadConfig(path)
		var ee exitError
		if err != nil && (!errors.As(err, &ee) || ee.code != exitConfig || !strings.HasPrefix(err.Error(), path)) {
			t.Errorf("%v", err)
		}
	})
}

// TestMeter holds what progress is shown, and that it can be taken away.
func TestMeter(t *testing.T) {
	p := engine.Progress{Frames: 2_500_000, Read: 1 << 20, Total: 4 << 20, Sightings: 3}
	for _, c := range []struct {
		how, want string
		not       string
	}{
		{"none", "", "packets"},
		{"auto", "", "packets"}, // not on a terminal
		{"plain", "a.pcap    25 %  2.5 M packets", "\x1b"},
	} {
		var out bytes.Buffer
		m, err := (&app{stderr: &out}).meter(c.how, []string{"a.pcap"})
		if err != nil {
			t.Fatal(err)
		}
		m.update(p) // too early to be worth a line
		if out.Len() > 0 {
			t.Errorf("%s: %q in the first second", c.how, &out)
		}
		m.start = m.start.Add(-10 * time.Second)
		m.update(p)
		m.update(p) // too soon after
		m.done()
		if got := out.String(); !strings.HasPrefix(got, c.want) || strings.Contains(got, c.not) || strings.Count(got, "\n") > 1 {
			t.Errorf("%s: %q", c.how, got)
		}
	}
	var out bytes.Buffer
	m := &meter{w: &out, label: "2 inputs", line: true, start: time.Now().Add(-time.Minute)}
	m.update(engine.Progress{Frames: 100})
	m.done()
	if got := out.String(); !strings.Contains(got, "2 inputs  100 packets") || !strings.HasSuffix(got, "\r\x1b[K") {
		t.Errorf("on a terminal: %q", got)
	}
	if _, err := (&app{}).meter("fast", []string{"a"}); err == nil {
		t.Error("--progress fast is taken")
	}
}
