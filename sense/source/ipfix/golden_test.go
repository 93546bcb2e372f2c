package ipfix

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/drill"
	"github.com/testudo-shield/testudo/engine"
	"github.com/testudo-shield/testudo/judge/detector"
	"github.com/testudo-shield/testudo/judge/detector/beacon"
	"github.com/testudo-shield/testudo/judge/detector/bruteforce"
	"github.com/testudo-shield/testudo/judge/detector/channel"
	"github.com/testudo-shield/testudo/judge/detector/exfil"
	"github.com/testudo-shield/testudo/judge/detector/flood"
	"github.com/testudo-shield/testudo/judge/detector/scan"
	"github.com/testudo-shield/testudo/judge/detector/tunnel"
	"github.com/testudo-shield/testudo/sense/source"
	"github.com/testudo-shield/testudo/sense/source/pcap"
	"github.com/testudo-shield/testudo/shield"
)

// story is two calm days with a sweep and an implant that began before the
// sweep was over.
func story() drill.Config {
	return drill.Config{
		Seed: 4, Start: time.Date(2026, 3, 4, 0, 0, 0, 0, time.UTC), Days: 2, Hosts: 40, Snap: 16,
		Attacks: []drill.Attack{
			drill.Sweep{When: drill.When{Name: "sweep", At: 35 * time.Hour, For: time.Hour}, Victim: "pol", Ports: []uint16{445, 22, 3389}, Targets: 150},
			drill.Beacon{
				When: drill.When{Name: "implant", At: 30 * time.Hour}, Victim: "portal", Scheme: "https", Law: drill.Uniform,
				Period: 5 * time.Minute, Jitter: 0.1, Accumulate: true, Pad: 100,
			},
		},
	}
}

// replayed is what a replay finds in what it is given, and what it says.
func replayed(t *testing.T, truth drill.Truth, path string) (engine.Result, string) {
	t.Helper()
	var said []string
	res, err := shield.Replay{
		Parts: shield.Parts{
			Sources: []source.Opener{Opener(pcap.Open), {Name: "capture", Sniff: pcap.Sniff, Frames: pcap.Open}},
			Detectors: []detector.Detector{
				beacon.Detector(), bruteforce.Detector(), channel.Detector(), exfil.Detector(),
				flood.Detector(), scan.Detector(), tunnel.Detector(),
			},
		},
		Settings: shield.Settings{Workers: 2, Budgets: engine.DefaultBudgets(), Local: truth.Local},
		Paths:    []string{path}, Note: func(s string) { said = append(said, s) },
	}.Run(context.Background())
	if err != nil || len(res.Summary.Skipped) != 0 {
		t.Fatalf("%s: %v, skipped %v", path, err, res.Summary.Skipped)
	}
	return res, strings.Join(said, "\n")
}

// names tells whether an incident of one detector names a machine.
func names(res *engine.Result, by string, m drill.Machine) bool {
	return slices.ContainsFunc(res.Incidents, func(i testudo.Incident) bool {
		return slices.ContainsFunc(i.Sightings, func(s testudo.Sighting) bool { return s.Detector == by }) &&
			slices.ContainsFunc(i.Servers, func(s testudo.NamedServer) bool { return s.Address == m.Address })
	})
}

// planted tells whether a machine attacks.
func planted(truth drill.Truth, a netip.Addr) bool {
	return slices.ContainsFunc(truth.Attacks, func(p *drill.Planted) bool { return p.Servers[0].Address == a })
}

// TestDrill writes what a router would have exported of two days, reads it
// back, and holds that the sweep and the implant are found, also when
// datagrams are lost and the exporter begins anew.
func TestDrill(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: a drill takes its time")
	}
	dir := t.TempDir()
	path, truth, err := shield.WriteDrill(dir, story())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name     string
		e        exporter
		messages bool
	}{
		{"v9", exporter{version: 9}, false},
		{"ipfix", exporter{version: 10}, false},
		{"ipfix.bare", exporter{version: 10}, true},
		{"v9.lossy", exporter{version: 9, lose: rand.New(rand.NewPCG(1, 2)), reset: true}, false},
	} {
		in, err := pcap.Open(path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := exportAll(in, &c.e); err != nil {
			t.Fatal(err)
		}
		in.Close()
		data := c.e.tape.Pcap()
		if c.messages {
			data = pack(t, c.e.bare)
		}
		file := filepath.Join(dir, c.name)
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		res, said := replayed(t, truth, file)
		t.Logf("%s: %d flows, %d conns, %d incidents, shed %v\n%s", c.name, c.e.flows, res.Summary.Conns, len(res.Incidents), res.Summary.Shed, said)
		for _, i := range res.Incidents {
			if i.Severity >= testudo.Medium && !slices.ContainsFunc(i.Servers, func(s testudo.NamedServer) bool { return planted(truth, s.Address) }) {
				t.Errorf("%s: asks a person about %q", c.name, i.Title)
			}
		}
		for _, p := range truth.Attacks {
			by := map[string]string{"sweep": "scan", "implant": "beacon"}[p.Name]
			if !names(&res, by, p.Servers[0]) {
				t.Errorf("%s: %s at %v is not found", c.name, p.Name, p.Servers[0])
			}
		}
		if !strings.Contains(said, "judged is what they tell") || strings.Contains(said, "lost on the way") != (c.e.lost > 0) || !about(shed(&res), c.e.lost) {
			t.Errorf("%s: said %q", c.name, said)
		}
	}
}

func pack(t *testing.T, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := io.Copy(z, bytes.NewReader(b)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// shed returns how many flows a replay says were lost on the way.
func shed(res *engine.Result) int64 {
	for _, s := range res.Summary.Shed {
		if s.Cause == "flows lost on the way" {
			return s.Count
		}
	}
	return 0
}

// about allows for a loss just where the exporter began anew, and for
// datagrams that were not as full as others.
func about(told int64, lost int) bool {
	return told*10 >= int64(lost)*8 && told*10 <= int64(lost)*12
}
