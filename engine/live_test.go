package engine

import (
	"context"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/packet"
	"github.com/testudo-shield/testudo/sense/source"
	"github.com/testudo-shield/testudo/test/wire"
)

// wireTap is a tape that goes silent at its end and lets time go on, as an
// interface does.
type wireTap struct {
	tape
	now atomic.Int64
}

func (w *wireTap) Next(f *source.Frame) error {
	if w.at < len(w.frames) {
		w.now.Store(int64(w.frames[w.at].Time))
		return w.tape.Next(f)
	}
	f.Time = testudo.Time(w.now.Add(int64(time.Second)))
	return source.ErrIdle
}

// TestLiveTells has an attack told while the input goes on, though after it
// nothing comes any more.
func TestLiveTells(t *testing.T) {
	w := &wire.Tape{}
	scanner := netip.MustParseAddr("10.0.0.66")
	for i := range 200 {
		at := wire.Start.Add(time.Duration(i) * 50 * time.Millisecond)
		w.Knock(at, netip.AddrPortFrom(scanner, uint16(40000+i)), wire.Port("10.0.1."+itoa(i), 445), 0)
	}
	tap := &wireTap{tape: *play(w)}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var seen View
	cfg := config(2, tap)
	cfg.Live = &Live{
		Now: func() time.Time { return testudo.Time(tap.now.Load()).Std() },
		Look: func(v View) {
			seen = v
			if len(v.Incidents) > 0 {
				cancel()
			}
		},
	}
	time.AfterFunc(20*time.Second, cancel)
	res, err := Run(ctx, cfg)
	if err != context.Canceled {
		t.Fatal(err)
	}
	if len(seen.Incidents) != 1 || seen.Incidents[0].Kind != testudo.Scan {
		t.Fatalf("seen while it ran: %v", seen.Incidents)
	}
	if seen.Summary.Packets == 0 || seen.Summary.BySeverity[seen.Incidents[0].Severity] != 1 {
		t.Errorf("its summary: %+v", seen.Summary)
	}
	if len(res.Incidents) != 1 || res.Incidents[0].ID != seen.Incidents[0].ID {
		t.Errorf("at the end: %v", res.Incidents)
	}
}

func itoa(i int) string { return netip.AddrFrom4([4]byte{0, 0, 0, byte(i + 1)}).String()[6:] }

// TestLoad takes a reader that falls behind through all steps and back.
func TestLoad(t *testing.T) {
	now := time.Unix(1e9, 0)
	var lost int64
	var told []string
	l := newLoad(&Live{
		Now: func() time.Time { return now }, Dropped: func() int64 { return lost },
		Event: func(s string) { told = append(told, s) },
	})
	step := func(lag time.Duration) {
		now = now.Add(weighEvery)
		l.weigh(testudo.TimeOf(now.Add(-lag)), false)
	}
	step(10 * time.Millisecond)
	if l.level != shedNothing {
		t.Fatal("in time, and yet something is given up")
	}
	for want := shedPayload; want <= shedMost; want++ {
		step(time.Second + time.Duration(want)*time.Millisecond)
		if l.level != want {
			t.Fatalf("level %d, want %d", l.level, want)
		}
	}
	if step(time.Second); l.level != shedMost {
		t.Fatal("there is nothing beyond")
	}
	for range 200 {
		step(10 * time.Millisecond)
	}
	if l.level != shedNothing {
		t.Fatalf("level %d after a long calm", l.level)
	}
	lost = 3
	if step(10 * time.Millisecond); l.level != shedPayload || l.given.dropped != 3 {
		t.Errorf("what the source lost is no reason: level %d", l.level)
	}
	if len(told) != 2*shedMost+1 {
		t.Errorf("%d changes told: %q", len(told), told)
	}
}

// TestLoadWrongClock holds that a clock that stamps frames wrongly is not taken
// for load, and that load is seen by it all the same; nor are counts that go
// backwards any.
func TestLoadWrongClock(t *testing.T) {
	for _, wrong := range []time.Duration{-24 * time.Hour, -time.Second, time.Second, 24 * time.Hour} {
		now, lost := time.Unix(1e9, 0), int64(9)
		l := newLoad(&Live{Now: func() time.Time { return now }, Dropped: func() int64 { return lost }})
		l.dropped = 9
		step := func(lag time.Duration) {
			now = now.Add(weighEvery)
			l.weigh(testudo.TimeOf(now.Add(wrong-lag)), false)
		}
		for range 400 {
			step(10 * time.Millisecond)
		}
		if lost = 2; l.level != shedNothing {
			t.Errorf("off by %v: level %d", wrong, l.level)
		}
		for n := range 8 {
			step(time.Second + time.Duration(n)*time.Millisecond)
		}
		if l.level < shedBulk {
			t.Errorf("off by %v: level %d under load", wrong, l.level)
		}
		if l.given.dropped != 0 {
			t.Errorf("%d lost, and none was", l.given.dropped)
		}
	}
}

// TestClockSetBack holds that an attack is told while the input goes on also
// after the machine's clock was set back, by little or much.
func TestClockSetBack(t *testing.T) {
	for _, by := range []time.Duration{10 * time.Minute, 100 * 24 * time.Hour} {
		w := &wire.Tape{}
		knock := func(at time.Time, from string, i int) {
			w.Knock(at, netip.AddrPortFrom(netip.MustParseAddr(from), uint16(40000+i)), wire.Port("10.0.1."+itoa(i), 445), 0)
		}
		for i := range 3 {
			knock(wire.Start.Add(time.Duration(i)*9*time.Second), "10.0.0.5", i)
		}
		early := play(w).frames
		w = &wire.Tape{}
		for i := range 200 {
			knock(wire.Start.Add(20*time.Second-by+time.Duration(i)*50*time.Millisecond), "10.0.0.66", i)
		}
		tap := &wireTap{tape: *play(w)}
		tap.frames = append(early, tap.frames...)
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		found, said := 0, ""
		cfg := config(2, tap)
		cfg.Live = &Live{
			Now:   func() time.Time { return testudo.Time(tap.now.Load()).Std() },
			Event: func(s string) { said = s },
			Look: func(v View) {
				if found = len(v.Incidents); found > 0 {
					cancel()
				}
			},
		}
		_, err := Run(ctx, cfg)
		cancel()
		if err != context.Canceled || found != 1 || said == "" {
			t.Errorf("set back by %v: %d incidents, %v, %q", by, found, err, said)
		}
	}
}

// TestLoadWholePairs holds that a pair is watched whole or not at all, and
// that greetings are read under any load.
func TestLoadWholePairs(t *testing.T) {
	l := newLoad(&Live{})
	p := &packet.Packet{PayloadLen: 1400, Payload: make([]byte, 1400)}
	pass := func(hash uint64, n int) (whole, bare, not int) {
		p.Hash = hash
		for range n {
			switch read, payload := l.take(p); {
			case payload:
				whole++
			case read:
				bare++
			default:
				not++
			}
		}
		return whole, bare, not
	}
	const hash = 0x1234 << 20
	l.level = shedPayload
	if whole, bare, not := pass(hash, 1000); whole != shown/1400 || bare != 1000-whole || not != 0 {
		t.Errorf("payload: %d whole, %d bare, %d not", whole, bare, not)
	}
	l.level = shedBulk
	if whole, bare, not := pass(hash, 4000); whole != 0 || not != 4000+1000-bulk/1400 || bare != 4000-not {
		t.Errorf("bulk: %d whole, %d bare, %d not", whole, bare, not)
	}
	l.level = shedPairs + 1
	in := 0
	for h := range uint64(4096) {
		whole, _, not := pass(h<<40|h<<20, 3)
		if whole != 0 && not != 0 {
			t.Fatalf("pair %d was watched in part", h)
		}
		in += whole / 3
	}
	if in < 4096/4-100 || in > 4096/4+100 {
		t.Errorf("%d of 4096 pairs are watched, want a quarter", in)
	}
	s := testudo.Summary{}
	l.given.summarise(&s)
	if s.Unread == 0 || s.HeadersOnly == 0 {
		t.Errorf("told of what was given up: %+v", s)
	}
}

// slowLog gives a record now and then, and never ends.
type slowLog struct {
	conns []*testudo.Conn
	idle  int
}

func (s *slowLog) Next() (testudo.Record, error) {
	if s.idle++; s.idle%3 != 0 || len(s.conns) == 0 {
		time.Sleep(time.Millisecond)
		return nil, source.ErrIdle
	}
	c := s.conns[0]
	s.conns = s.conns[1:]
	return c, nil
}

// TestLiveLogs has an attack told that is seen in logs as they grow.
func TestLiveLogs(t *testing.T) { tellsFromLogs(t, time.Hour, 0) }

// TestLiveLogsWrongClock holds that neither a record from the future nor a
// clock that is set back keeps what comes later from being judged.
func TestLiveLogsWrongClock(t *testing.T) {
	t.Run("record", func(t *testing.T) { tellsFromLogs(t, time.Hour, 40*24*time.Hour) })
	t.Run("clock", func(t *testing.T) { tellsFromLogs(t, -time.Hour, 0) })
}

// tellsFromLogs reads a scan from logs at a clock that is ahead of it, after a
// record of as much later.
func tellsFromLogs(t *testing.T, clock, odd time.Duration) {
	t.Helper()
	log := &slowLog{}
	log.conns = append(log.conns, &testudo.Conn{Meta: testudo.Meta{
		Time: testudo.TimeOf(wire.Start.Add(odd)), UID: 9999,
		ID: testudo.ConnID{Orig: wire.Port("10.0.0.5", 40000), Resp: wire.Port("10.0.0.6", 80), Proto: testudo.TCP},
	}})
	for i := range 200 {
		log.conns = append(log.conns, &testudo.Conn{
			Meta: testudo.Meta{
				Time: testudo.TimeOf(wire.Start).Add(time.Duration(i) * 50 * time.Millisecond), UID: testudo.UID(i + 1),
				ID: testudo.ConnID{Orig: wire.Port("10.0.0.66", 40000+i), Resp: wire.Port("10.0.1."+itoa(i), 445), Proto: testudo.TCP},
			},
			State: "S0", OrigPkts: 1, Delta: testudo.Delta{OrigPkts: 1},
		})
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	found := 0
	cfg := config(2, nil)
	cfg.Records = log
	// The clock stands: what is held back until its time has come is never
	// told. In the first second it is right in any case.
	began := time.Now()
	cfg.Live = &Live{
		Now: func() time.Time {
			if time.Since(began) < 100*time.Millisecond {
				return wire.Start.Add(time.Hour + time.Since(began))
			}
			return wire.Start.Add(clock + time.Since(began))
		},
		Look: func(v View) {
			if found = len(v.Incidents); found > 0 {
				cancel()
			}
		},
	}
	if _, err := Run(ctx, cfg); err != context.Canceled || found != 1 {
		t.Errorf("%d incidents, %v", found, err)
	}
}
