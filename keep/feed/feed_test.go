package feed

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/testudo-shield/testudo"
)

var (
	monday   = testudo.TimeOf(time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC))
	thursday = monday.Add(3 * 24 * time.Hour)
)

// newStore returns a store with patience for a busy machine.
func newStore(t *testing.T) *Store {
	t.Helper()
	s, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s.limits = limits{connect: 20 * time.Second, firstByte: 20 * time.Second, stall: 20 * time.Second, whole: time.Minute, parallel: 4}
	return s
}

func mustFetch(t *testing.T, s *Store, src Source, now testudo.Time) Result {
	t.Helper()
	r, err := s.Fetch(context.Background(), src, now)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// contents returns what the files hold, by name and in order.
func contents(t *testing.T, files []File) (all []string) {
	t.Helper()
	for _, f := range files {
		b, err := os.ReadFile(f.Path)
		if err != nil {
			t.Fatal(err)
		}
		if f.Source == "" || int64(len(b)) != f.Bytes {
			t.Errorf("%s: source %q, %d bytes on disk, %d said", f.Name, f.Source, len(b), f.Bytes)
		}
		all = append(all, f.Name+"="+string(b))
	}
	return all
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	at := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(at, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return at
}

func TestCheck(t *testing.T) {
	key := public(testKey(1)).String()
	tests := []struct {
		source Source
		want   string
	}{
		{Source{Name: "a", URL: "https://lists.example/a"}, ""},
		{Source{Name: "a", URL: "http://lists.example/a", AllowHTTP: true}, ""},
		{Source{Name: "a", URL: "taxii://lists.example/taxii2/"}, ""},
		{Source{Name: "a", URL: "file:///var/lists/a", Signature: Signature{Key: key}}, ""},
		{Source{Name: "A b", URL: "https://lists.example/a"}, "a source's name is"},
		{Source{Name: "..", URL: "https://lists.example/a"}, "a source's name is"},
		{Source{Name: "a", URL: "http://lists.example/a"}, "changed by anybody on the way"},
		{Source{Name: "a", URL: "ftp://lists.example/a"}, "want an address with https:"},
		{Source{Name: "a", URL: "https:///a"}, "names no server"},
		{Source{Name: "a", URL: "https://u:p@lists.example/a"}, "name a file for the secret"},
		{Source{Name: "a", URL: "https://x\x7f/?key=secret"}, "cannot be read"},
		{Source{Name: "a", URL: "file:list"}, "by its whole path"},
		{Source{Name: "a", URL: "file://other/list"}, "by its whole path"},
		{Source{Name: "a", URL: "file:///list", Kind: KindMISP}, "comes from a server"},
		{Source{Name: "a", URL: "https://lists.example", MaxBytes: -1}, "max_bytes"},
		{Source{Name: "a", URL: "https://lists.example", SHA256: "12"}, "want 64 hex digits"},
		{Source{Name: "a", URL: "taxii://lists.example", SHA256: strings.Repeat("0", 64)}, "cannot be asked of it"},
		{Source{Name: "a", URL: "https://lists.example", Signature: Signature{Key: "RW"}}, "not a public key"},
		{Source{Name: "a", URL: "https://lists.example", Signature: Signature{URL: "https://x"}}, "needs the public key"},
		{Source{Name: "a", URL: "https://lists.example", Auth: Auth{User: "u"}}, "needs the file"},
		{Source{Name: "a", URL: "https://lists.example", Auth: Auth{User: "u", Header: "X", SecretFile: "s"}}, "not both"},
		{Source{Name: "a", URL: "https://lists.example", Auth: Auth{Header: "X:\n", SecretFile: "s"}}, "not the name of a header"},
		{Source{Name: "a", URL: "http://lists.example", AllowHTTP: true, Auth: Auth{SecretFile: "s"}}, "over https: only"},
	}
	for _, tt := range tests {
		err := tt.source.Check()
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: %v, want %q", tt.source, err, tt.want)
		}
		if err != nil && (strings.Contains(err.Error(), "secret=") || strings.Contains(err.Error(), "u:p")) {
			t.Errorf("a secret is shown: %v", err)
		}
	}
}

func TestFile(t *testing.T) {
	s := newStore(t)
	at := write(t, "bad.txt", "203.0.113.7\n")
	src := Source{Name: "own", URL: "file://" + at, Licence: "CC0", TLP: testudo.TLPGreen}
	r := mustFetch(t, s, src, monday)
	if got := contents(t, r.Files); !r.Changed || len(got) != 1 || got[0] != "bad.txt=203.0.113.7\n" || !r.Files[0].New {
		t.Fatalf("%+v %v", r, got)
	}
	if r = mustFetch(t, s, src, thursday); r.Changed || r.Files[0].New || r.Fetched != monday {
		t.Errorf("fetched twice: %+v", r)
	}
	if err := os.Remove(at); err != nil {
		t.Fatal(err)
	}
	r, err := s.Fetch(context.Background(), src, thursday)
	want := "feed own: file://" + at + ": there is no such file; check the path; in use: the copy of 2026-11-02 12:00 UTC (3 days old, 1 file, 12 bytes)"
	if err == nil || err.Error() != want || len(r.Files) != 1 || r.Changed {
		t.Errorf("got  %v\nwant %s\n%+v", err, want, r)
	}
	k, err := s.Kept("own")
	if err != nil || k.TLP != testudo.TLPGreen || k.Licence != "CC0" || k.Checked != thursday || k.Failure == "" {
		t.Errorf("%+v %v", k, err)
	}
}

func TestDue(t *testing.T) {
	src := Source{Every: 6 * time.Hour}
	tests := []struct {
		kept Kept
		now  testudo.Time
		want bool
	}{
		{Kept{}, monday, true},
		{Kept{Checked: monday}, monday.Add(5 * time.Hour), false},
		{Kept{Checked: monday}, monday.Add(6 * time.Hour), true},
		{Kept{Checked: thursday}, monday, true}, // the clock was set back
		{Kept{Checked: monday, Tried: thursday, Failure: "x"}, thursday.Add(59 * time.Minute), false},
		{Kept{Checked: monday, Tried: thursday, Failure: "x"}, thursday.Add(time.Hour), true},
	}
	for _, tt := range tests {
		if got := tt.kept.Due(src, tt.now); got != tt.want {
			t.Errorf("%+v at %v: %v", tt.kept, tt.now.Std(), got)
		}
	}
}

// TestDamaged holds that a copy which lost a file is not taken for whole.
func TestDamaged(t *testing.T) {
	s := newStore(t)
	at := write(t, "bad.txt", "203.0.113.7\n")
	src := Source{Name: "own", URL: "file://" + at}
	r := mustFetch(t, s, src, monday)
	if err := os.Truncate(r.Files[0].Path, 3); err != nil {
		t.Fatal(err)
	}
	k, err := s.Kept("own")
	if err != nil || len(k.Files) != 0 || k.Fetched != 0 || !k.Due(src, monday) {
		t.Fatalf("%+v %v", k, err)
	}
	if r = mustFetch(t, s, src, thursday); !r.Changed || len(contents(t, r.Files)) != 1 {
		t.Errorf("%+v", r)
	}
	if err := os.WriteFile(filepath.Join(s.dir, "own", keptName), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if r = mustFetch(t, s, src, thursday); !r.Changed || len(contents(t, r.Files)) != 1 {
		t.Errorf("%+v", r)
	}
	if err := os.WriteFile(filepath.Join(s.dir, "own", keptName), []byte(`{"version":9}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Kept("own"); err == nil || !strings.Contains(err.Error(), "written by a newer release") {
		t.Errorf("%v", err)
	}
}

// TestDebris holds that what a crash left behind is removed, and that only
// one process at a time writes.
func TestDebris(t *testing.T) {
	s := newStore(t)
	src := Source{Name: "own", URL: "file://" + write(t, "bad.txt", "203.0.113.7\n")}
	mustFetch(t, s, src, monday)
	left := filepath.Join(s.dir, "own", tempPrefix+"1")
	if err := os.WriteFile(left, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	mustFetch(t, s, src, monday)
	if _, err := os.Stat(left); err == nil {
		t.Error("what a crash left is still there")
	}
	g, err := s.stage("own", 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Fetch(context.Background(), src, monday); err == nil || err.Error() != "feed own: another process is fetching it; wait until that is done" {
		t.Errorf("%v", err)
	}
	g.release()
	mustFetch(t, s, src, monday)
	if all, err := s.List(); err != nil || len(all) != 1 || all[0].Source != "own" {
		t.Errorf("%+v %v", all, err)
	}
}
