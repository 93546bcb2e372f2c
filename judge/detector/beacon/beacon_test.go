package beacon

import (
	"math"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/detector"
	"github.com/testudo-shield/testudo/judge/detector/detectortest"
)

func TestGolden(t *testing.T) { detectortest.Golden(t, Detector()) }

// laws are ways to space reports, each of mean 1.
var laws = map[string]func(r *rand.Rand) float64{
	"constant":    func(r *rand.Rand) float64 { return 1 + 0.01*r.NormFloat64() },
	"uniform 30":  func(r *rand.Rand) float64 { return 1 + 0.3*(2*r.Float64()-1) },
	"uniform 50":  func(r *rand.Rand) float64 { return 1 + 0.5*(2*r.Float64()-1) },
	"uniform 90":  func(r *rand.Rand) float64 { return 1 + 0.9*(2*r.Float64()-1) },
	"exponential": func(r *rand.Rand) float64 { return r.ExpFloat64() },
	// What people set off comes in clusters with long silences between.
	"people": func(r *rand.Rand) float64 { return math.Exp(1.8 * r.NormFloat64()) },
}

func TestTempo(t *testing.T) {
	for _, c := range []struct {
		law      string
		lost     float64 // share of reports that are missing
		low, top float64 // spread
	}{
		{"constant", 0, 0, 0.02},
		{"constant", 0.15, 0, 0.03},
		{"uniform 30", 0, 0.1, 0.2},
		{"uniform 50", 0, 0.16, 0.34},
		{"uniform 90", 0, 0.28, 0.55},
		{"exponential", 0, 0.5, 0.8},
		{"people", 0, 0.68, 0.99},
	} {
		r := rand.New(rand.NewPCG(71, 0xfeed))
		gaps := make([]float32, window)
		for i := range gaps {
			g := laws[c.law](r)
			for r.Float64() < c.lost {
				g += laws[c.law](r)
			}
			gaps[i] = float32(300 * g)
		}
		if got := tempo(gaps); got.spread < c.low || got.spread > c.top || got.n != window {
			t.Errorf("%s, %.0f %% lost: spread %.3f, want %.2f to %.2f (%+v)", c.law, 100*c.lost, got.spread, c.low, c.top, got)
		}
	}
	if got := tempo(nil); got != (rhythm{}) {
		t.Errorf("no gaps: %+v", got)
	}
}

// Programs and people must part by rhythm alone as far as they can, also with
// jitter of 90 %: each program's weight lies above nearly all people's.
func TestSteadyParts(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 5))
	draw := func(law string) float64 {
		gaps := make([]float32, 40)
		for i := range gaps {
			gaps[i] = float32(60 * laws[law](r))
		}
		return steady.at(tempo(gaps).spread)
	}
	for _, law := range []string{"constant", "uniform 30", "uniform 50", "uniform 90"} {
		above := 0
		for range 1000 {
			above += b2i(draw(law) > draw("people"))
		}
		if above < 950 {
			t.Errorf("%s: %d of 1000 above people", law, above)
		}
	}
}

// Sleep drawn from the exponential law looks memoryless; what people do does
// not, and neither does a program with a period.
func TestMemoryless(t *testing.T) {
	r := rand.New(rand.NewPCG(17, 0xabcdef))
	for law, want := range map[string][2]int{"exponential": {750, 1000}, "people": {0, 50}, "uniform 50": {0, 5}, "constant": {0, 0}} {
		n := 0
		for range 1000 {
			gaps := make([]float32, 40)
			for i := range gaps {
				gaps[i] = float32(600 * laws[law](r))
			}
			n += b2i(tempo(gaps).memoryless())
		}
		if n < want[0] || n > want[1] {
			t.Errorf("%s: %d of 1000, want %v", law, n, want)
		}
	}
}

func TestEcho(t *testing.T) {
	r := rand.New(rand.NewPCG(12345, 0xdeadbeef))
	var g, s float64
	const runs = 200
	for range runs {
		var grid, sum [window]float32
		before := 0.0
		for i := range grid {
			shift := 0.4 * r.Float64()
			grid[i] = float32(60 * (1 + shift - before))
			sum[i] = float32(60 * (0.8 + 0.4*r.Float64()))
			before = shift
		}
		g += echo(grid[:], 480) / runs
		s += echo(sum[:], 480) / runs
	}
	if math.Abs(g+0.5) > 0.05 || math.Abs(s) > 0.05 {
		t.Errorf("grid %.2f, sum %.2f: want about -0.5 and 0", g, s)
	}
}

func TestBeat(t *testing.T) {
	var s series
	at := testudo.TimeOf(time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC))
	for i := range 200 {
		s.beat(at, 100, 10, testudo.UID(i+1))
		s.beat(at.Add(300*time.Millisecond), 5, 5, testudo.UID(i+1)) // the same report
		s.beat(at.Add(-10*time.Second), 1000, 0, 0)                  // told late
		at = at.Add(time.Minute)
	}
	if s.beats != 200 || s.rings.n != 200 || s.hours != 4 {
		t.Errorf("beats %d, rings %d, hours %d", s.beats, s.rings.n, s.hours)
	}
	var order [window]float32
	for i, g := range s.rings.ordered(&order) {
		if g != 60 {
			t.Fatalf("gap %d is %v", i, g)
		}
	}
}

func TestCovers(t *testing.T) {
	leaf := &testudo.X509{Names: []string{"*.maker.example", "maker.example"}}
	for name, want := range map[string]bool{"a.maker.example": true, "Maker.example": true, "a.b.maker.example": false, "other.example": false} {
		if covers(leaf, name) != want {
			t.Errorf("%s: want %v", name, want)
		}
	}
}

func TestCurve(t *testing.T) {
	c := curve{{0, 1}, {1, 3}, {2, -1}}
	for x, want := range map[float64]float64{-5: 1, 0: 1, 0.5: 2, 1: 3, 1.5: 1, 9: -1} {
		if got := c.at(x); got != want {
			t.Errorf("at %v: %v, want %v", x, got, want)
		}
	}
}

// The steps are those of judge/incident, where a person is asked from 0.55.
func TestGrade(t *testing.T) {
	for score, want := range map[float64]int{0.33: 0, 0.5: 0, 0.549: 0, 0.55: 1, 0.899: 1, 0.9: 2, 1: 2} {
		if got := grade(score); got != want {
			t.Errorf("grade(%v) is %d, want %d", score, got, want)
		}
	}
}

// A program that polls, and of which nothing else is known, is not asked about
// at any pace, named or on a network where no names are seen.
func TestPollerAlone(t *testing.T) {
	for _, every := range []string{"2s", "10s", "60s", "300s", "1800s"} {
		for _, name := range []string{"ServerName=a.example", ""} {
			trace := "local 10.0.0.0/8\n" +
				"0s 40x" + every + " ssl 10.0.0.7:5{i} 203.0.113.20:443 tcp UID=p{n} Version=TLSv13 " + name + "\n" +
				"0s 40x" + every + " conn 10.0.0.7:5{i} 203.0.113.20:443 tcp UID=p{n} State=SF OrigBytes=700 RespBytes=900 OrigPkts=8 RespPkts=8"
			for _, s := range detectortest.Run(Detector(), detectortest.Parse(t, trace), 1, 4096) {
				if s.Score() > 0.45 {
					t.Errorf("every %s %s: score %.3f\n%v", every, name, s.Score(), s.Reasons)
				}
			}
		}
	}
}

// A conversation that tells nothing new costs no allocation.
func TestObserveAllocates(t *testing.T) {
	d := Detector()
	m := d.New(100)
	c := &testudo.Conn{RespPkts: 1}
	c.ID.Proto = testudo.TCP
	c.About = testudo.Context{Host: netip.MustParseAddr("10.0.0.5"), Peer: netip.MustParseAddr("203.0.113.7"), Outbound: true, OrigLocal: true, Name: "a.example"}
	var out detector.Out
	n := testing.AllocsPerRun(50_000, func() {
		c.Time = c.Time.Add(time.Minute)
		if _, ok := d.Route(c); ok {
			m.Observe(c, &out)
		}
	})
	if n > 0.1 {
		t.Errorf("%v allocations a record", n)
	}
}
