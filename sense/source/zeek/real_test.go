package zeek_test

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/testudo-shield/testudo/sense/source/zeek"
)

// TestRealLogs reads logs that other people's Zeek wrote: hourly rotated
// TSV, JSON, old and new field sets.
func TestRealLogs(t *testing.T) {
	data, err := filepath.Abs("../../../../shared/data")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(data); err != nil {
		t.Skip("../shared/data is not beside the checkout: nothing real to read")
	}
	dirs, err := filepath.Glob(filepath.Join(data, "*", "dataset", "*-zeek-dir"))
	if err != nil {
		t.Fatal(err)
	}
	more, err := filepath.Glob(filepath.Join(data, "*", "test_data", "missing_host"))
	if err != nil {
		t.Fatal(err)
	}
	dirs = append(dirs, more...)
	more, err = filepath.Glob(filepath.Join(data, "*", "zeek-default"))
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range append(dirs, more...) {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			logs, err := zeek.Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer logs.Close()
			counts, order, late := map[string]int{}, []string{}, 0
			for now := logs.Now(); ; {
				r, err := logs.Next()
				if err == io.EOF {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				if counts[r.Log()]++; counts[r.Log()] == 1 {
					order = append(order, r.Log())
				}
				if logs.Now() < now {
					late++
				}
				now = logs.Now()
			}
			if len(order) == 0 || late > 0 {
				t.Errorf("no records, or time went back %d times", late)
			}
			read, total := logs.Progress()
			t.Logf("%v, malformed %d, skipped %v, read %d of %d", counts, logs.Malformed(), logs.Skipped(), read, total)
			if logs.Malformed() > 0 {
				t.Errorf("%d malformed lines in logs of Zeek's own", logs.Malformed())
			}
		})
	}
}
