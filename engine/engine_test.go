package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/detector"
	"github.com/testudo-shield/testudo/judge/detector/bruteforce"
	"github.com/testudo-shield/testudo/judge/detector/flood"
	"github.com/testudo-shield/testudo/judge/detector/scan"
	"github.com/testudo-shield/testudo/sense/protocol"
	"github.com/testudo-shield/testudo/sense/protocol/dns"
	"github.com/testudo-shield/testudo/sense/protocol/http"
	"github.com/testudo-shield/testudo/sense/protocol/icmp"
	"github.com/testudo-shield/testudo/sense/protocol/ssh"
	"github.com/testudo-shield/testudo/sense/protocol/tls"
	"github.com/testudo-shield/testudo/sense/source"
	"github.com/testudo-shield/testudo/test/wire"
)

// tape is frames in memory.
type tape struct {
	frames []source.Frame
	at     int
	wait   chan struct{} // where set, the end is only reached when it is closed
	closed bool
}

func play(w *wire.Tape) *tape {
	t := &tape{}
	w.Each(func(at time.Time, b []byte) {
		t.frames = append(t.frames, source.Frame{Time: testudo.TimeOf(at), Link: 1, Data: b, Length: len(b)})
	})
	return t
}

func (t *tape) Next(f *source.Frame) error {
	if t.at == len(t.frames) {
		if t.wait != nil {
			<-t.wait
		}
		return io.EOF
	}
	*f = t.frames[t.at]
	t.at++
	return nil
}
func (t *tape) Name() string             { return "tape" }
func (t *tape) Progress() (int64, int64) { return int64(t.at), int64(len(t.frames)) }
func (t *tape) Close() error             { t.closed = true; return nil }

func config(workers int, frames source.Frames) Config {
	return Config{
		Workers: workers, Frames: frames, Budgets: DefaultBudgets(),
		Protocols: []protocol.Protocol{dns.Protocol(), http.Protocol(), icmp.Protocol(), ssh.Protocol(), tls.Protocol()},
		Detectors: []detector.Detector{bruteforce.Detector(), flood.Detector(), scan.Detector()},
		Local:     []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")},
	}
}

// told is all that a run says, in one text.
func told(t *testing.T, cfg Config) string {
	t.Helper()
	var b strings.Builder
	cfg.Tap = func(r testudo.Record) error {
		m := r.Base()
		fmt.Fprintln(&b, r.Log(), m.Time, m.UID, m.ID, m.About)
		return nil
	}
	res, err := Run(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	res.Summary.Wall, res.Summary.Workers = 0, 0
	fmt.Fprintf(&b, "%+v\n%+v\n", res.Incidents, res.Summary)
	return b.String()
}

// TestSameForAnyWorkers holds that records, their order, what annotate put on
// them, incidents and summary do not depend on the number of workers, with
// ample and with tiny budgets.
func TestSameForAnyWorkers(t *testing.T) {
	for _, c := range []struct {
		name    string
		budgets Budgets
	}{
		{"ample", DefaultBudgets()},
		{"tiny", Budgets{Conns: 64, Streams: 4096, Fragments: 4096, Entries: 64, Sightings: 16}},
		{"none", Budgets{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			traffic := wire.Mixed(7, 600)
			var want string
			for _, workers := range []int{1, 2, 8, 2, 8} {
				cfg := config(workers, play(traffic))
				cfg.Budgets = c.budgets
				got := told(t, cfg)
				if want == "" {
					want = got
				}
				if got != want {
					t.Fatalf("%d workers tell otherwise: %s", workers, difference(want, got))
				}
			}
			if c.name == "ample" && !strings.Contains(want, "203.0.113.9") {
				t.Error("the scan is not in it")
			}
		})
	}
}

func difference(a, b string) string {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(x), len(y)) {
		if x[i] != y[i] {
			return fmt.Sprintf("line %d:\n%.300s\n%.300s", i, x[i], y[i])
		}
	}
	return fmt.Sprintf("%d and %d lines", len(x), len(y))
}

// witness is a detector that writes down what the engine tells it.
type witness struct {
	ticks  []testudo.Time
	seen   []string
	last   int
	before testudo.Time
	errs   []string
}

func (w *witness) Observe(r testudo.Record, out *detector.Out) {
	if out.Now < w.before {
		w.errs = append(w.errs, fmt.Sprintf("record at %v after %v", out.Now, w.before))
	}
	w.before = out.Now
	w.seen = append(w.seen, fmt.Sprint(out.Now, r.Base().UID))
}

func (w *witness) Tick(now testudo.Time, last bool, _ *detector.Out) {
	if now < w.before {
		w.errs = append(w.errs, fmt.Sprintf("tick %v after %v", now, w.before))
	}
	w.before = now
	w.ticks = append(w.ticks, now)
	if last {
		w.last++
	}
}
func (w *witness) Shed() int { return 0 }

func watched(w *witness, frames source.Frames) Config {
	cfg := config(2, frames)
	cfg.Detectors = []detector.Detector{{
		Name: "witness", Ticks: true,
		Route: func(r testudo.Record) (uint64, bool) {
			c, ok := r.(*testudo.Conn)
			return 5, ok && !c.Interim
		},
		New: func(int) detector.Memory { return w },
	}}
	return cfg
}

// pings puts one answered ping at each moment.
func pings(at ...time.Duration) *wire.Tape {
	t := &wire.Tape{}
	for i, d := range at {
		t.Echo(wire.Start.Add(d), netip.MustParseAddr("10.0.0.5"), netip.MustParseAddr("192.0.2.1"), uint16(i), 1, true)
	}
	return t
}

// TestTicks holds that time never runs backwards for a detector, that ticks
// are ten seconds apart, that the end is told once, and that a silence of a
// year costs a few hundred ticks and not three million.
func TestTicks(t *testing.T) {
	for _, c := range []struct {
		name string
		at   []time.Duration
		most int
	}{
		{"a minute", []time.Duration{0, 20 * time.Second, time.Minute, 3 * time.Minute}, 40},
		{"a year of silence", []time.Duration{0, time.Second, 365 * 24 * time.Hour, 365*24*time.Hour + time.Second}, 2*idleTicks + 40},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := &witness{}
			res, err := Run(context.Background(), watched(w, play(pings(c.at...))))
			if err != nil {
				t.Fatal(err)
			}
			if len(w.errs) > 0 {
				t.Error(w.errs)
			}
			if w.last != 1 {
				t.Errorf("the end was told %d times", w.last)
			}
			if len(w.ticks) < 2 || len(w.ticks) > c.most {
				t.Errorf("%d ticks, want at most %d", len(w.ticks), c.most)
			}
			for _, at := range w.ticks[:len(w.ticks)-1] {
				if at%detectorTick != 0 {
					t.Errorf("tick at %v", at)
				}
			}
			if res.Summary.Span() < c.at[len(c.at)-1] {
				t.Errorf("summary spans %v", res.Summary.Span())
			}
		})
	}
}

// TestWrongFrame holds that one frame with a wrong clock, wherever it stands,
// changes neither when things are reported nor how long was watched.
func TestWrongFrame(t *testing.T) {
	good := pings(0, 2*time.Second, 90*time.Second, 200*time.Second, 400*time.Second, 401*time.Second)
	run := func(place int, when time.Time) (*witness, Result) {
		bad := &wire.Tape{}
		i := 0
		good.Each(func(at time.Time, b []byte) {
			if i == place {
				bad.Datagram(when, wire.Port("10.0.0.9", 4000), wire.Port("192.0.2.9", 4001), []byte("from another time"))
			}
			bad.Add(at, b)
			i++
		})
		w := &witness{}
		res, err := Run(context.Background(), watched(w, play(bad)))
		if err != nil {
			t.Fatal(err)
		}
		if len(w.errs) > 0 {
			t.Error(w.errs)
		}
		return w, res
	}
	plain, want := run(-1, time.Time{})
	for _, year := range []int{1970, 1999, 2038, 2105} {
		for _, place := range []int{0, 1, 5, good.Len() - 1} {
			w, res := run(place, time.Date(year, 1, 19, 3, 14, 7, 0, time.UTC))
			s := res.Summary
			if s.First != want.Summary.First || s.Last != want.Summary.Last {
				t.Errorf("%d at frame %d: from %v to %v, want %v to %v", year, place, s.First, s.Last, want.Summary.First, want.Summary.Last)
			}
			if n := len(w.ticks); place > 0 && n != len(plain.ticks) {
				t.Errorf("%d at frame %d: %d ticks, want %d", year, place, n, len(plain.ticks))
			}
			if len(w.seen) < len(plain.seen) {
				t.Errorf("%d at frame %d: %d conns, want %d", year, place, len(w.seen), len(plain.seen))
			}
		}
	}
}

// TestInterrupted holds that an input that gives nothing more can be left,
// and that what it gave before is told.
func TestInterrupted(t *testing.T) {
	in := play(wire.Mixed(3, 300))
	full := len(in.frames)
	for range 3 { // more than one epoch, so that some has passed
		in.frames = append(in.frames, in.frames[:full]...)
	}
	in.wait = make(chan struct{})
	ctx, stop := context.WithCancel(context.Background())
	cfg := config(2, in)
	cfg.Seen = func(int64, Table) { stop() }
	done := make(chan Result, 1)
	go func() {
		res, err := Run(ctx, cfg)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
		done <- res
	}()
	select {
	case res := <-done:
		if res.Summary.Packets == 0 || res.Summary.Conns == 0 {
			t.Errorf("nothing is told: %+v", res.Summary)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("still waiting for the input")
	}
	close(in.wait)
}

// TestTapFails holds that a full disk ends the run with its reason, and that
// the input is closed.
func TestTapFails(t *testing.T) {
	in := play(wire.Mixed(3, 300))
	cfg := config(2, in)
	full := errors.New("no space left on device")
	cfg.Tap = func(testudo.Record) error { return full }
	if _, err := Run(context.Background(), cfg); !errors.Is(err, full) {
		t.Errorf("error %v", err)
	}
}

// logs is records in memory.
type logs struct {
	records []testudo.Record
	end     error
}

func (l *logs) Next() (testudo.Record, error) {
	if len(l.records) == 0 {
		return nil, l.end
	}
	r := l.records[0]
	l.records = l.records[1:]
	return r, nil
}

func conn(at testudo.Time, uid testudo.UID, d time.Duration) *testudo.Conn {
	c := &testudo.Conn{State: "SF", OrigPkts: 1, RespPkts: 1, Duration: d}
	c.Time, c.UID = at, uid
	c.ID = testudo.ConnID{Orig: wire.Port("10.0.0.5", 4000), Resp: wire.Port("192.0.2.1", 80), Proto: testudo.TCP}
	return c
}

// TestRecords holds that logs are judged in order of when they could have
// been written, that a far future ends, and that a read error is not lost.
func TestRecords(t *testing.T) {
	t0 := testudo.TimeOf(wire.Start)
	far := testudo.Time(9_200_000_000_000_000_000)
	torn := errors.New("torn")
	w := &witness{}
	cfg := watched(w, nil)
	cfg.Records = &logs{end: torn, records: []testudo.Record{
		conn(t0, 1, time.Second), conn(t0.Add(-time.Hour), 2, time.Hour+2*time.Second),
		conn(t0.Add(48*time.Hour), 3, 0), conn(t0, 4, 0), conn(far, 5, 0),
	}}
	res, err := Run(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if !errors.Is(res.ReadError, torn) {
		t.Errorf("read error %v", res.ReadError)
	}
	if len(w.seen) != 5 || len(w.errs) > 0 || res.Summary.Records != 5 {
		t.Errorf("seen %v, errors %v", w.seen, w.errs)
	}
	if res.Summary.First != t0.Add(-time.Hour) {
		t.Errorf("first %v", res.Summary.First)
	}
}

// TestLogsBesideFrames holds that logs and frames of the same hours are
// judged as one.
func TestLogsBesideFrames(t *testing.T) {
	t0 := testudo.TimeOf(wire.Start)
	w := &witness{}
	cfg := watched(w, play(pings(0, time.Second, time.Minute, 5*time.Minute, 301*time.Second)))
	cfg.Records = &logs{end: io.EOF, records: []testudo.Record{conn(t0.Add(30*time.Second), 1, 0), conn(t0.Add(time.Hour), 2, 0)}}
	res, err := Run(context.Background(), cfg)
	if err != nil || len(w.errs) > 0 || w.last != 1 {
		t.Fatal(err, w.errs, w.last)
	}
	if len(w.seen) != int(res.Summary.Conns)+2 {
		t.Errorf("seen %v of %d conns", w.seen, res.Summary.Conns)
	}
}

// TestParallel holds that every shard is run once.
func TestParallel(t *testing.T) {
	for _, n := range []int{1, 2, 7, 100} {
		var ran [Shards]int32
		parallel(n, func(i int) { ran[i]++ })
		for i, k := range ran {
			if k != 1 {
				t.Fatalf("%d workers: shard %d ran %d times", n, i, k)
			}
		}
	}
}
