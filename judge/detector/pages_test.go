package detector_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestPages holds that a detector is a folder: its page has the sections the
// manual is made from, one trace fires and one must stay silent.
func TestPages(t *testing.T) {
	want := []string{"Name", "Description", "Evidence", "False positives", "Options", "ATT&CK", "Examples"}
	folders, err := filepath.Glob("*/")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range folders {
		name := filepath.Base(dir)
		if name == "detectortest" || name == "testdata" {
			continue
		}
		page, err := os.ReadFile(filepath.Join(dir, "README.md"))
		if err != nil {
			t.Errorf("%s has no page: %v", name, err)
			continue
		}
		var got []string
		for line := range strings.Lines(string(page)) {
			if h, ok := strings.CutPrefix(line, "## "); ok {
				got = append(got, strings.TrimSpace(h))
			}
		}
		_, text, _ := strings.Cut(string(page), "## Name\n")
		if text = strings.TrimLeft(text, "\n`"); !strings.HasPrefix(text, name) || strings.IndexAny(text[len(name):], "`: ") != 0 {
			t.Errorf("%s/README.md: the section Name must begin with %q, it begins %.40q", name, name, text)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s/README.md has sections %q, want %q", name, got, want)
		}
		traces, _ := filepath.Glob(filepath.Join(dir, "testdata", "*.trace"))
		silent, _ := filepath.Glob(filepath.Join(dir, "testdata", "silent*.trace"))
		if len(silent) == 0 || len(traces) == len(silent) {
			t.Errorf("%s: %d traces, %d of them silent; want one that fires and one that must stay silent", name, len(traces), len(silent))
		}
	}
}
