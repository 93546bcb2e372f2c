package test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
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
	"github.com/testudo-shield/testudo/sense/protocol"
	"github.com/testudo-shield/testudo/sense/protocol/dns"
	"github.com/testudo-shield/testudo/sense/protocol/http"
	"github.com/testudo-shield/testudo/sense/protocol/icmp"
	"github.com/testudo-shield/testudo/sense/protocol/opaque"
	"github.com/testudo-shield/testudo/sense/protocol/tls"
	"github.com/testudo-shield/testudo/sense/source"
	"github.com/testudo-shield/testudo/sense/source/pcap"
	"github.com/testudo-shield/testudo/test/wire"
)

// stream is frames that are made as they are read.
type stream struct {
	next func() (time.Time, []byte, bool)
	stop func()
}

func play(seq iter.Seq2[time.Time, []byte]) *stream {
	next, stop := iter.Pull2(seq)
	return &stream{next, stop}
}

func (s *stream) Next(f *source.Frame) error {
	at, data, ok := s.next()
	if !ok {
		return io.EOF
	}
	*f = source.Frame{Time: testudo.TimeOf(at), Link: 1, Data: data, Length: len(data)}
	return nil
}
func (s *stream) Name() string             { return "stream" }
func (s *stream) Progress() (int64, int64) { return 0, 0 }
func (s *stream) Close() error             { s.stop(); return nil }

// frames yields a capture's.
func frames(t *testing.T, path string) iter.Seq2[time.Time, []byte] {
	return func(yield func(time.Time, []byte) bool) {
		src, err := pcap.Open(path, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer src.Close()
		var f source.Frame
		for src.Next(&f) == nil {
			if !yield(f.Time.Std(), f.Data) {
				return
			}
		}
	}
}

// judged is what a run says.
type judged struct {
	engine.Result
	conns map[testudo.ConnID][]testudo.Time // recorded conversations that were answered
}

func judge(t *testing.T, local []netip.Prefix, seq iter.Seq2[time.Time, []byte]) judged {
	t.Helper()
	out := judged{conns: map[testudo.ConnID][]testudo.Time{}}
	res, err := engine.Run(context.Background(), engine.Config{
		Workers: 2, Frames: play(seq), Budgets: engine.DefaultBudgets(), Local: local,
		Protocols: []protocol.Protocol{dns.Protocol(), http.Protocol(), icmp.Protocol(), opaque.Protocol(), tls.Protocol()},
		Detectors: []detector.Detector{
			beacon.Detector(), bruteforce.Detector(), channel.Detector(), exfil.Detector(), flood.Detector(), scan.Detector(), tunnel.Detector(),
		},
		Tap: func(r testudo.Record) error {
			if c, ok := r.(*testudo.Conn); ok && !c.Interim && c.RespPkts > 0 {
				out.conns[c.ID] = append(out.conns[c.ID], c.Time)
			}
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	out.Result = res
	return out
}

// claims returns the sightings of a detector, with the severity of the
// incident they are part of.
func (j *judged) claims(name string) (all []testudo.Sighting, grave []testudo.Severity) {
	for _, in := range j.Incidents {
		for _, s := range in.Sightings {
			if s.Detector == name {
				all, grave = append(all, s), append(grave, in.Severity)
			}
		}
	}
	return all, grave
}

func fact(s testudo.Sighting, name string) any {
	for _, f := range s.Evidence {
		if f.Name == name {
			return f.Value
		}
	}
	return nil
}

// calmDays writes two days of ordinary life with a slow beacon in it.
func calmDays(t *testing.T) (path string, truth drill.Truth, start time.Time) {
	t.Helper()
	cfg := drill.DefaultWeek(3)
	cfg.Days, cfg.Hosts = 2, 30
	cfg.Attacks = []drill.Attack{drill.Beacon{
		When: drill.When{Name: "spy", At: 25 * time.Hour}, Victim: "fin", Scheme: "https", Law: drill.Uniform,
		Period: 7 * time.Minute, Jitter: 0.1, Always: true, Pad: 100,
	}}
	var b bytes.Buffer
	truth, err := drill.Write(&b, cfg)
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "calm.pcap")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path, truth, cfg.Start
}

// twenty are floods of many kinds, one after the other in the afternoon, each
// at a target of its own.
func twenty(local netip.Prefix, start time.Time, n, rate int) (all []wire.Flood) {
	kinds := []string{"syn", "ack", "udp", "icmp", "fragments", "reflection", "carpet", "http", "tls"}
	for i := range n {
		kind := kinds[i%len(kinds)]
		b := local.Addr().As4()
		b[2], b[3] = b[2]+byte(20+i), 77
		f := wire.Flood{
			Kind: kind, Target: netip.AddrFrom4(b), Seed: uint64(i), Rate: rate, For: 4 * time.Second,
			From:    start.Add(37*time.Hour + time.Duration(i)*7*time.Minute + time.Duration(i*137)*time.Millisecond),
			Sources: []int{0, 2000, 300}[i/len(kinds)%3],
		}
		switch kind {
		case "http", "tls":
			f.Rate, f.Sources = rate/10, 300
		case "reflection":
			f.Sources = 300
		}
		all = append(all, f)
	}
	return all
}

// massive is a million packets a second from 45,000 new sources a second.
func massive(local netip.Prefix, start time.Time) wire.Flood {
	b := local.Addr().As4()
	b[2], b[3] = b[2]+9, 7
	return wire.Flood{
		Kind: "syn", Target: netip.AddrFrom4(b), From: start.Add(41 * time.Hour), For: 5 * time.Second, Rate: 1_000_000, Fresh: 45_000, Seed: 1,
	}
}

// decided finds the claim that is about a flood and returns how long after
// its onset it was made.
func decided(claims []testudo.Sighting, f wire.Flood) (testudo.Sighting, time.Duration, bool) {
	best, found := testudo.Sighting{}, false
	delay := time.Hour
	for _, s := range claims {
		at, ok := fact(s, "decided").(testudo.Time)
		net, _ := f.Target.Prefix(24)
		if !ok || !slices.ContainsFunc(s.Victims, net.Contains) {
			continue
		}
		if d := at.Sub(testudo.TimeOf(f.From)); d >= 0 && d < delay {
			best, delay, found = s, d, true
		}
	}
	return best, delay, found
}

// TestFloods holds that twenty floods over calm life are each decided within
// a second of traffic time, that ordinary conversations are recorded as
// without them, and that the slow beacon that was there before is found as
// before.
func TestFloods(t *testing.T) {
	n, rate := 20, 4000
	if *long {
		rate = 20000
	}
	path, truth, start := calmDays(t)
	local := truth.Local
	calm := judge(t, local, frames(t, path))
	if claims, grave := calm.claims("flood"); len(claims) > 0 && slices.Max(grave) >= testudo.Medium {
		t.Errorf("calm life holds a flood: %s", claims[0].Title)
	}
	floods := twenty(netip.PrefixFrom(local[0].Addr(), 16).Masked(), start, n, rate)
	if *long {
		floods = append(floods, massive(local[0], start))
	}
	seqs := []iter.Seq2[time.Time, []byte]{frames(t, path)}
	for _, f := range floods {
		seqs = append(seqs, f.Each)
	}
	stormy := judge(t, local, wire.Merge(seqs...))
	claims, _ := stormy.claims("flood")
	var delays []time.Duration
	for i, f := range floods {
		s, delay, ok := decided(claims, f)
		if !ok {
			t.Errorf("flood %d (%s at %s from %d) was not found", i, f.Kind, f.Target, f.Sources)
			continue
		}
		delays = append(delays, delay)
		if testing.Verbose() {
			fmt.Printf("  %-10s %5d sources  %v  %.3f  %v | %v | %v: %v\n", f.Kind, f.Sources, delay.Round(time.Millisecond), s.Score(), fact(s, "form"), fact(s, "aggregate"), fact(s, "spoofed"), fact(s, "spoofed_why"))
		}
		if s.Score() < 0.9 {
			t.Errorf("flood %d (%s) has score %.2f", i, f.Kind, s.Score())
		}
	}
	slices.Sort(delays)
	// A decision waits until the engine's tick is over, up to 250 ms.
	if len(delays) > 0 && delays[len(delays)-1]+250*time.Millisecond > time.Second {
		t.Errorf("onset to decision: %v", delays)
	}
	lost := 0
	for id, times := range calm.conns {
		if len(stormy.conns[id]) < len(times) {
			lost++
		}
	}
	if lost > len(calm.conns)/1000 {
		t.Errorf("%d of %d ordinary conversations are not recorded under the floods", lost, len(calm.conns))
	}
	spied, spying := beaconScore(calm, truth), beaconScore(stormy, truth)
	t.Logf("%d floods, delays up to %v; %d of %d conversations lost; the beacon's score %.3f, before %.3f", len(delays), delays[len(delays)-1], lost, len(calm.conns), spying, spied)
	if spied < 0.5 || spying < 0.95*spied || spying > 1.05*spied {
		t.Errorf("the beacon has score %.3f, without the floods %.3f", spying, spied)
	}
}

// TestFloodKinds holds which kinds are told how, and that what only looks like
// a flood is none.
func TestFloodKinds(t *testing.T) {
	local := []netip.Prefix{netip.MustParsePrefix("10.7.0.0/16")}
	for _, c := range []struct {
		flood    wire.Flood
		form     string // "" for no incident that asks a person
		severity testudo.Severity
	}{
		{wire.Flood{Kind: "slow", Rate: 20, For: 60 * time.Second, Sources: 3}, "slow", testudo.High},
		{wire.Flood{Kind: "slow", Rate: 40, For: 30 * time.Second, Sources: 400}, "slow", testudo.High},
		{wire.Flood{Kind: "names", Rate: 200, For: 5 * time.Second, Sources: 300}, "random-subdomain", testudo.High},
		{wire.Flood{Kind: "names", Rate: 200, For: 5 * time.Second}, "random-subdomain", testudo.High},
		{wire.Flood{Kind: "syn", Rate: 3000, For: 3 * time.Second, Sources: 1, Inside: true}, "syn", testudo.High},
		{wire.Flood{Kind: "http", Rate: 400, For: 5 * time.Second, Sources: 1}, "http", testudo.High},
		{wire.Flood{Kind: "backscatter", Rate: 2000, For: 5 * time.Second}, "backscatter", testudo.Low},
		{wire.Flood{Kind: "crowd", Rate: 150, For: 20 * time.Second, Sources: 1500}, "", 0},
		{wire.Flood{Kind: "backup", Rate: 40, For: 20 * time.Second, Sources: 4, Inside: true}, "", 0},
		{wire.Flood{Kind: "scanner", Rate: 500, For: 20 * time.Second, Sources: 1, Inside: true}, "", 0},
	} {
		t.Run(c.flood.Kind, func(t *testing.T) {
			f := c.flood
			f.Target, f.From, f.Seed = netip.MustParseAddr("10.7.1.9"), wire.Start.Add(time.Minute), 5
			ordinary := wire.Flood{Kind: "crowd", Target: netip.MustParseAddr("10.7.2.2"), From: wire.Start, For: 2 * time.Minute, Rate: 2, Sources: 40}
			j := judge(t, local, wire.Merge(ordinary.Each, f.Each))
			claims, grave := j.claims("flood")
			var forms []any
			most := testudo.Info
			for i, s := range claims {
				forms = append(forms, fact(s, "form"))
				most = max(most, grave[i])
				if testing.Verbose() {
					fmt.Printf("  %s %s: %s\n", grave[i], s.Title, s.Summary)
					for _, r := range s.Reasons {
						fmt.Printf("      %s\n", r)
					}
				}
			}
			if c.form == "" && most >= testudo.Medium || c.form != "" && (!slices.Contains(forms, any(c.form)) || most != c.severity) {
				t.Errorf("%v, %s", forms, most)
			}
		})
	}
}

// TestFloodMemory holds that a million packets a second from 45,000 new
// sources a second leave the memory within its budget, and what was there
// before is found.
func TestFloodMemory(t *testing.T) {
	if !*long {
		t.Skip("only with -long")
	}
	path, truth, start := calmDays(t)
	f := massive(truth.Local[0], start)
	in, out := io.Pipe()
	go func() {
		w := bufio.NewWriterSize(out, 1<<20)
		w.Write(wire.PcapHeader(1))
		for at, data := range wire.Merge(frames(t, path), f.Each) {
			w.Write(wire.PcapFrame(at, data, len(data)))
		}
		w.Flush()
		out.Close()
	}()
	r := run(t, in, "replay", "-o", "json", "--no-timing", "--local", truth.Local[0].String(), "-")
	t.Logf("%v, %.0f MB at most", r.took.Round(time.Millisecond), float64(r.rss)/1e6)
	if r.rss > 512<<20 {
		t.Errorf("it held %d MB", r.rss>>20)
	}
	var kinds []string
	for _, o := range lines(t, r.stdout) {
		if kind, ok := o["kind"].(string); ok {
			kinds = append(kinds, kind)
		}
	}
	for _, want := range []string{"flood", "espionage"} {
		if !slices.Contains(kinds, want) {
			t.Errorf("no %s among %v", want, kinds)
		}
	}
}

// TestFloodSameBytes holds that floods are told alike with any number of
// workers, with ample and with tiny budgets.
func TestFloodSameBytes(t *testing.T) {
	var seqs []iter.Seq2[time.Time, []byte]
	for i, kind := range wire.Floods() {
		f := wire.Flood{
			Kind: kind, Target: netip.AddrFrom4([4]byte{10, 7, byte(i), 9}), From: wire.Start.Add(time.Duration(10+i) * time.Second),
			For: time.Second, Rate: 1500, Sources: 300, Seed: uint64(i),
		}
		if kind == "slow" || kind == "http" || kind == "tls" {
			f.Rate = 100
		}
		seqs = append(seqs, f.Each)
	}
	var tape wire.Tape
	for at, data := range wire.Merge(seqs...) {
		tape.Add(at, slices.Clone(data))
	}
	capture := file(t, "floods.pcap", tape.Pcap())
	same(t, 3, capture)
	same(t, 3, "--config", file(t, "tiny.yaml", []byte(tiny)), capture)
}

// beaconScore returns the score with which the planted beacon was found.
func beaconScore(j judged, truth drill.Truth) (score float64) {
	claims, _ := j.claims("beacon")
	for _, s := range claims {
		for _, v := range s.Servers {
			if v.Address == truth.Attacks[0].Servers[0].Address {
				score = max(score, s.Score())
			}
		}
	}
	return score
}
