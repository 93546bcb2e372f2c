package test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

var seeds = flag.Int("seeds", 1, "how many seeds TestDrillSeeds tries; -long makes it ten")

// planted and found are the parts of truth.json and of the contract's JSON
// that are compared.
type planted struct {
	Name    string    `json:"name"`
	Kind    string    `json:"kind"`
	Role    string    `json:"role"`
	First   time.Time `json:"first"`
	Last    time.Time `json:"last"`
	Servers []machine `json:"servers"`
	Victims []machine `json:"victims"`
}

type machine struct {
	Address string   `json:"address"`
	Names   []string `json:"names"`
	Role    string   `json:"role"`
}

type found struct {
	Type     string    `json:"type"`
	ID       string    `json:"id"`
	Kind     string    `json:"kind"`
	Severity string    `json:"severity"`
	Title    string    `json:"title"`
	First    time.Time `json:"first_seen"`
	Last     time.Time `json:"last_seen"`
	Servers  []machine `json:"servers"`
	Victims  []machine `json:"victims"`
}

// TestDrillSeeds holds that in the default week every planted attack is found
// with its true server and role, and that at most one incident that asks for
// a person is false.
func TestDrillSeeds(t *testing.T) {
	n := *seeds
	if *long {
		n = 10
	}
	for seed := 1; seed <= n; seed++ {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) { drillSeed(t, seed) })
	}
}

func drillSeed(t *testing.T, seed int) {
	dir := t.TempDir()
	cmd := exec.Command(binary, "drill", "--seed", fmt.Sprint(seed), "--keep", dir, "-o", "json", "--no-timing")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	began := time.Now()
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("drill: %v\n%s", err, &stderr)
	}
	took := time.Since(began)
	info, err := os.Stat(filepath.Join(dir, "drill.pcap"))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("seed %d: %d MB written and read in %.1f s", seed, info.Size()>>20, took.Seconds())
	var truth struct{ Attacks []planted }
	text, err := os.ReadFile(filepath.Join(dir, "truth.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &truth); err != nil {
		t.Fatal(err)
	}
	incidents := loud(t, out)
	explained := make([]bool, len(incidents))
	for _, p := range truth.Attacks {
		named := false
		for i, f := range incidents {
			if p.is(f) {
				explained[i] = true
				named = named || p.namedBy(f)
			}
		}
		if !named {
			t.Errorf("seed %d: %s (%s, %s, servers %v) is not named", seed, p.Name, p.Kind, p.Role, p.Servers[:min(3, len(p.Servers))])
		}
	}
	var wrong []string
	for i, f := range incidents {
		if !explained[i] {
			wrong = append(wrong, fmt.Sprintf("%s %s %s: %s", f.Severity, f.Kind, f.ID, f.Title))
		}
	}
	if len(wrong) > 0 {
		t.Logf("seed %d: false incidents: %q", seed, wrong)
	}
	if len(wrong) > 1 {
		t.Errorf("seed %d: %d false incidents, at most one is allowed: %q", seed, len(wrong), wrong)
	}
}

func loud(t *testing.T, out []byte) (incidents []found) {
	for line := range bytes.Lines(out) {
		var f found
		if err := json.Unmarshal(line, &f); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		if f.Type == "incident" && slices.Contains([]string{"medium", "high", "critical"}, f.Severity) {
			incidents = append(incidents, f)
		}
	}
	return incidents
}

// is tells whether an incident is about the planted attack at all.
func (p planted) is(f found) bool {
	if f.Last.Before(p.First) || f.First.After(p.Last.Add(time.Minute)) {
		return false
	}
	if p.Kind == "flood" {
		return f.Kind == "flood" && shares(p.Victims, f.Victims)
	}
	return shares(p.Servers, f.Servers)
}

// namedBy tells whether the incident names a true server in its true role.
// Where sources are forged there is none to name.
func (p planted) namedBy(f found) bool {
	if p.Kind == "flood" {
		return true
	}
	return slices.ContainsFunc(f.Servers, func(s machine) bool {
		return s.Role == p.Role && shares(p.Servers, []machine{s})
	})
}

func shares(a, b []machine) bool {
	return slices.ContainsFunc(a, func(x machine) bool {
		return slices.ContainsFunc(b, func(y machine) bool {
			return x.Address != "" && x.Address == y.Address ||
				slices.ContainsFunc(x.Names, func(n string) bool { return slices.Contains(y.Names, n) })
		})
	})
}
