package drill

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/testudo-shield/testudo"
)

func hash(t *testing.T, c Config) (string, Truth) {
	t.Helper()
	h := sha256.New()
	truth, err := Write(h, c)
	if err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(h.Sum(nil)), truth
}

// The hash is that of the bytes on every machine; a change of the generator
// changes it, and then the exercises of old and new are not the same.
func TestSameSeedSameBytes(t *testing.T) {
	a, _ := hash(t, small(1))
	b, _ := hash(t, small(1))
	c, _ := hash(t, small(2))
	if a != b {
		t.Error("the same configuration gave other bytes")
	}
	if a == c {
		t.Error("another seed gave the same bytes")
	}
	const want = "91e91f1a02cc90f3bb1c53d9293cda38d41072b272d77710cd359ddd0d373931"
	if a != want {
		t.Errorf("seed 1 gives %s, want %s", a, want)
	}
}

// An attack is added to ordinary life and leaves the rest as it was.
func TestTruth(t *testing.T) {
	for seed := uint64(1); seed <= 2; seed++ {
		seen := map[string][]Flow{}
		c := Showcase(seed)
		c.OnFlow = func(f Flow) {
			if f.Attack != "" {
				seen[f.Attack] = append(seen[f.Attack], f)
			}
		}
		truth, err := Write(io.Discard, c)
		if err != nil {
			t.Fatal(err)
		}
		if len(truth.Attacks) != len(c.Attacks) || len(truth.Innocent) < 20 || len(truth.Local) != 2 {
			t.Fatalf("%d attacks of %d, %d decoys, local %v", len(truth.Attacks), len(c.Attacks), len(truth.Innocent), truth.Local)
		}
		for _, p := range truth.Attacks {
			checkPlanted(t, truth, p, seen[p.Name])
		}
		if _, err := json.Marshal(truth); err != nil {
			t.Error(err)
		}
	}
}

func checkPlanted(t *testing.T, truth Truth, p *Planted, flows []Flow) {
	t.Helper()
	flood := p.Kind == testudo.Flood
	if p.Packets == 0 || p.Conns == 0 || p.First.Before(truth.Start) || !p.Last.Before(truth.End) || len(p.Victims) == 0 {
		t.Errorf("%s: %d packets in %d conns from %v to %v against %v", p.Name, p.Packets, p.Conns, p.First, p.Last, p.Victims)
	}
	if !flood && int64(len(flows)) != p.Conns {
		t.Errorf("%s: %d flows, truth says %d", p.Name, len(flows), p.Conns)
	}
	if p.Form == "beacon" && len(flows) < 30 {
		t.Errorf("%s: only %d flows", p.Name, len(flows))
	}
	local := func(a netip.Addr) bool { return truth.Local[0].Contains(a) || truth.Local[1].Contains(a) }
	for _, v := range p.Victims {
		if !local(v.Address) {
			t.Errorf("%s: victim %v is not ours", p.Name, v)
		}
	}
	for _, s := range p.Servers {
		if local(s.Address) != (p.Form == "sweep") {
			t.Errorf("%s: server %v on the wrong side", p.Name, s)
		}
		if p.Role == testudo.C2 && (len(s.Names) == 0 || !strings.HasSuffix(s.Names[0], ".example")) {
			t.Errorf("%s: server %v without a name", p.Name, s)
		}
	}
}

// Both incidents of the week come from one hand: another server under
// another name, but one key.
func TestSameHand(t *testing.T) {
	c := DefaultWeek(5)
	for i, a := range c.Attacks {
		switch a := a.(type) {
		case SYNFlood:
			a.Packets = 5000
			c.Attacks[i] = a
		case Reflection:
			a.Packets = 500
			c.Attacks[i] = a
		}
	}
	truth, err := Write(io.Discard, c)
	if err != nil {
		t.Fatal(err)
	}
	by := map[string]*Planted{}
	for _, p := range truth.Attacks {
		by[p.Name] = p
	}
	a, b := by["portal-beacon"], by["desk-beacon"]
	if a.KeyHash == "" || a.KeyHash != b.KeyHash {
		t.Errorf("keys %q and %q", a.KeyHash, b.KeyHash)
	}
	if a.Servers[0].Address == b.Servers[0].Address || a.Servers[0].Names[0] == b.Servers[0].Names[0] {
		t.Errorf("the same server twice: %v", a.Servers)
	}
	if days := b.First.Sub(by["flood"].First).Hours() / 24; days < 3.5 || days > 4.5 {
		t.Errorf("%.1f days apart", days)
	}
	if a.First.Before(by["break-in"].Last) {
		t.Errorf("the portal reports before it is broken into")
	}
}

// Ten weeks are ten different ones.
func TestSeedsVary(t *testing.T) {
	type story struct {
		at      time.Duration
		law     SleepLaw
		period  time.Duration
		implant time.Duration
	}
	seen := map[story]bool{}
	laws := map[SleepLaw]bool{}
	for seed := uint64(1); seed <= 10; seed++ {
		c := DefaultWeek(seed)
		f, b := c.Attacks[0].(SYNFlood), c.Attacks[4].(Beacon)
		seen[story{f.At, b.Law, b.Period, b.At}] = true
		laws[b.Law] = true
	}
	if len(seen) != 10 || len(laws) < 2 {
		t.Errorf("%d stories, %d laws in ten seeds", len(seen), len(laws))
	}
}

func TestChains(t *testing.T) {
	w, err := newWorld(io.Discard, Config{Seed: 9, Days: 1, Hosts: 40, Snap: 96, Start: time.Date(2026, 3, 4, 0, 0, 0, 0, time.UTC)})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range w.town.popular {
		leaf, err := x509.ParseCertificate(s.tls.chain[0])
		if err != nil {
			t.Fatal(err)
		}
		ca, err := x509.ParseCertificate(s.tls.chain[1])
		if err != nil {
			t.Fatal(err)
		}
		if err := leaf.CheckSignatureFrom(ca); err != nil {
			t.Errorf("%s: %v", s.name, err)
		}
		if err := leaf.VerifyHostname(s.name); err != nil {
			t.Error(err)
		}
		if leaf.NotBefore.After(w.cfg.Start) || leaf.NotAfter.Before(w.cfg.Start) {
			t.Errorf("%s: not valid on the day: %v to %v", s.name, leaf.NotBefore, leaf.NotAfter)
		}
	}
}

func TestRefuses(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"no days":   func(c *Config) { c.Days = 0 },
		"few hosts": func(c *Config) { c.Hosts = 3 },
		"no snap":   func(c *Config) { c.Snap = 0 },
		"unnamed":   func(c *Config) { c.Attacks = []Attack{SYNFlood{Packets: 1, Sources: 1}} },
		"late": func(c *Config) {
			c.Attacks = []Attack{Sweep{When: When{Name: "x", At: 99 * time.Hour}, Ports: []uint16{1}, Targets: 1}}
		},
		"no such desk": func(c *Config) {
			c.Attacks = []Attack{Tunnel{When: When{Name: "x"}, Victim: "nobody", Every: time.Second, Label: 20, Type: "A"}}
		},
		"no such law": func(c *Config) {
			c.Attacks = []Attack{Beacon{When: When{Name: "x"}, Scheme: "http", Period: time.Minute}}
		},
		"no bytes":      func(c *Config) { c.Attacks = []Attack{Exfil{When: When{Name: "x"}, Every: time.Minute}} },
		"no protocol":   func(c *Config) { c.Attacks = []Attack{Reflection{When: When{Name: "x"}, Packets: 1, Reflectors: 1}} },
		"no service":    func(c *Config) { c.Attacks = []Attack{BruteForce{When: When{Name: "x"}, Sources: 1, Tries: 1}} },
		"name repeated": func(c *Config) { c.Attacks = append(small(1).Attacks, small(1).Attacks...) },
	} {
		c := small(1)
		change(&c)
		if _, err := Write(io.Discard, c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

type fullDisk struct{ left int }

func (d *fullDisk) Write(b []byte) (int, error) {
	if d.left -= len(b); d.left < 0 {
		return 0, io.ErrShortWrite
	}
	return len(b), nil
}

func TestFullDisk(t *testing.T) {
	if _, err := Write(&fullDisk{3 << 20}, small(1)); err == nil {
		t.Error("a full disk went unnoticed")
	}
}

// A week must be written in well under half a minute and in little memory.
func TestWeekIsCheap(t *testing.T) {
	if testing.Short() {
		t.Skip("a whole week")
	}
	begin := time.Now()
	truth, err := Write(io.Discard, DefaultWeek(1))
	if err != nil {
		t.Fatal(err)
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	t.Logf("%d packets, %d bytes (%d on the wire) in %v, %d MB held from the system", truth.Packets, truth.Bytes, truth.Wire, time.Since(begin), m.Sys>>20)
	if truth.Packets < 1_500_000 || truth.Packets > 3_500_000 || truth.Bytes > 1<<30 {
		t.Errorf("%d packets, %d bytes", truth.Packets, truth.Bytes)
	}
	if took := time.Since(begin); took > 60*time.Second {
		t.Errorf("took %v", took)
	}
}

func BenchmarkDefaultWeek(b *testing.B) {
	for b.Loop() {
		truth, err := Write(io.Discard, DefaultWeek(1))
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(truth.Bytes)
		b.ReportMetric(float64(truth.Packets)*float64(b.N)/b.Elapsed().Seconds(), "packets/s")
	}
}
