package test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/testudo-shield/testudo/test/wire"
)

// tiny is a configuration under which nearly everything must give way.
const tiny = "budgets:\n  conns: 64\n  streams: 4096\n  fragments: 4096\n  entries: 64\n  sightings: 16\n"

// same runs replay with each number of workers and holds that the bytes, the
// records included, are equal.
func same(t *testing.T, rounds int, args ...string) {
	t.Helper()
	var want []byte
	for round := range rounds {
		workers := []int{1, 2, 8}[round%3]
		dir := t.TempDir()
		got := run(t, nil, append([]string{"replay", "-o", "json", "--no-timing", "--records", dir, "--workers", strconv.Itoa(workers)}, args...)...)
		if got.code != 0 && got.code != 3 || len(got.stdout) == 0 {
			t.Fatalf("exit %d\n%.2000s", got.code, got.stderr)
		}
		all := append(got.stdout, contents(t, dir)...)
		if want == nil {
			want = all
		}
		if !bytes.Equal(all, want) {
			t.Fatalf("run %d with %d workers gives other bytes: %s", round, workers, differ(want, all))
		}
	}
}

// contents returns all files of dir in order, without the moments at which
// they were opened and closed.
func contents(t *testing.T, dir string) (all []byte) {
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(p)
		all = append(append(all, filepath.Base(p)+"\n"...), b...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return moments.ReplaceAll(all, nil)
}

var moments = regexp.MustCompile(`(?m)^#(open|close).*$`)

func differ(a, b []byte) string {
	x, y := bytes.Split(a, []byte("\n")), bytes.Split(b, []byte("\n"))
	for i := range min(len(x), len(y)) {
		if !bytes.Equal(x[i], y[i]) {
			return "line " + strconv.Itoa(i) + "\n" + string(x[i][:min(len(x[i]), 400)]) + "\n" + string(y[i][:min(len(y[i]), 400)])
		}
	}
	return "one has more lines"
}

// TestSameBytes holds that the same input gives the same bytes on every run
// and with any number of workers, with ample and with tiny budgets.
func TestSameBytes(t *testing.T) {
	rounds := 5
	if *long {
		rounds = 21
	}
	capture := file(t, "mixed.pcap", wire.Mixed(11, 700).Pcap())
	second := file(t, "second.pcap", wire.Mixed(12, 300).Pcap())
	config := file(t, "tiny.yaml", []byte(tiny))
	t.Run("ample", func(t *testing.T) { same(t, rounds, capture) })
	t.Run("two inputs", func(t *testing.T) { same(t, rounds, capture, second) })
	t.Run("tiny budgets", func(t *testing.T) { same(t, rounds, "--config", config, capture, second) })
	t.Run("shared captures", func(t *testing.T) {
		if !*long {
			t.Skip("only with -long")
		}
		sharedCaptures(t, func(t *testing.T, path string) {
			same(t, 3, path)
			same(t, 3, "--config", config, path)
		})
	})
}

// sharedCaptures calls f for every capture of the collection beside the
// checkout.
func sharedCaptures(t *testing.T, f func(t *testing.T, path string)) {
	root, err := filepath.Abs("../../shared/data")
	if err == nil {
		_, err = os.Stat(root)
	}
	if err != nil {
		t.Skip("../shared/data is not beside the checkout: real captures are not run")
	}
	err = filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && captureName.MatchString(p) {
			t.Run(filepath.Base(p), func(t *testing.T) { f(t, p) })
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

var captureName = regexp.MustCompile(`\.(pcap|pcapng|cap)(\.gz|\.zst)?$`)
