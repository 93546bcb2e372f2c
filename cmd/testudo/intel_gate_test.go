package main

import (
	"context"
	"encoding/csv"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/shield"
)

// TestIntelGate holds that no ordinary capture gains an incident of medium or
// above from hits on lists alone, with every real list loaded at once, and
// that no attack is silenced by them.
func TestIntelGate(t *testing.T) {
	const shared = "../../../shared"
	if testing.Short() {
		t.Skip("SKIPPED: -short is set: real lists are not held against real captures")
	}
	f, err := os.Open(filepath.Join(shared, "data", "truth.tsv"))
	if err != nil {
		t.Skip("SKIPPED: ../shared is absent: real lists are not held against real captures")
	}
	defer f.Close()
	r := csv.NewReader(f)
	r.Comma, r.LazyQuotes = '\t', true
	rows, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	a := &app{stdout: t.Output(), stderr: t.Output()}
	with, err := a.settings(defaultConfig(), judgeFlags{})
	if err != nil {
		t.Fatal(err)
	}
	if err := with.LoadIntel(t.Context(), shield.Intel{Formats: formats(), Paths: []string{filepath.Join(shared, "intel")}, Note: func(s string) { t.Log(s) }}); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d indicators of %d lists", with.Lists.Indicators, with.Lists.Lists)
	without := with
	without.Match = nil
	captures, attacks, found, listed := 0, 0, 0, 0
	for _, row := range rows[1:] {
		path := filepath.Join(shared, "data", row[0])
		if slices.Contains(attackClasses, row[1]) {
			before, after := graver(t, without, path, row[5]), graver(t, with, path, row[5])
			attacks, found, listed = attacks+1, found+min(1, len(before)), listed+min(1, len(after))
			if len(before) > 0 && len(after) == 0 {
				t.Errorf("%s: lists silence %s", row[0], before[0].Title)
			}
			continue
		}
		if !strings.HasSuffix(row[1], "benign") {
			continue
		}
		captures++
		before := graver(t, without, path, row[5])
		after := graver(t, with, path, row[5])
		for _, in := range after {
			alone := !slices.ContainsFunc(in.Sightings, func(s testudo.Sighting) bool { return s.Detector != "indicator" })
			if alone || len(after) > len(before) {
				t.Errorf("%s gains from lists: %s %s (%d before, %d after)", row[0], in.Severity, in.Title, len(before), len(after))
			}
		}
	}
	t.Logf("%d captures; of %d attacks %d have an incident without lists, %d with them", captures, attacks, found, listed)
}

// attackClasses are those over which recall is counted.
var attackClasses = []string{"c2-beacon", "dns-tunnel", "exfil", "exploit", "flood", "malware-family", "scan"}

// graver returns the incidents of medium or above.
func graver(t *testing.T, set shield.Settings, path, local string) []testudo.Incident {
	t.Helper()
	if local != "" {
		var err error
		if set.Local, err = prefixes([]string{local}); err != nil {
			t.Fatal(err)
		}
		set.GuessLocal = false
	}
	res, err := shield.Replay{Parts: parts(), Settings: set, Paths: []string{path}}.Run(context.Background())
	if err != nil {
		t.Logf("%s: %v", path, err)
	}
	return slices.DeleteFunc(res.Incidents, func(in testudo.Incident) bool { return in.Severity < testudo.Medium })
}
