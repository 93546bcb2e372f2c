package engine

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/drill"
	"github.com/testudo-shield/testudo/judge/detector"
	"github.com/testudo-shield/testudo/judge/detector/beacon"
	"github.com/testudo-shield/testudo/judge/detector/bruteforce"
	"github.com/testudo-shield/testudo/judge/detector/channel"
	"github.com/testudo-shield/testudo/judge/detector/exfil"
	"github.com/testudo-shield/testudo/judge/detector/flood"
	"github.com/testudo-shield/testudo/judge/detector/indicator"
	"github.com/testudo-shield/testudo/judge/detector/scan"
	"github.com/testudo-shield/testudo/judge/detector/tunnel"
	"github.com/testudo-shield/testudo/sense/packet"
	"github.com/testudo-shield/testudo/sense/protocol"
	"github.com/testudo-shield/testudo/sense/protocol/dhcp"
	"github.com/testudo-shield/testudo/sense/protocol/dns"
	"github.com/testudo-shield/testudo/sense/protocol/ftp"
	"github.com/testudo-shield/testudo/sense/protocol/http"
	"github.com/testudo-shield/testudo/sense/protocol/icmp"
	"github.com/testudo-shield/testudo/sense/protocol/ntp"
	"github.com/testudo-shield/testudo/sense/protocol/opaque"
	"github.com/testudo-shield/testudo/sense/protocol/quic"
	"github.com/testudo-shield/testudo/sense/protocol/smtp"
	"github.com/testudo-shield/testudo/sense/protocol/ssh"
	"github.com/testudo-shield/testudo/sense/protocol/tls"
	"github.com/testudo-shield/testudo/sense/source"
	"github.com/testudo-shield/testudo/sense/source/pcap"
	"github.com/testudo-shield/testudo/test/wire"
)

var long = flag.Bool("long", false, "cut a whole week with every attack at twenty points")

// everything is a configuration with every leaf.
func everything() Config {
	return Config{
		Workers: 2, Budgets: DefaultBudgets(), Local: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16")},
		GuessLocal: true,
		Protocols: []protocol.Protocol{
			dhcp.Protocol(), dns.Protocol(), ftp.DataProtocol(), ftp.Protocol(), http.Protocol(), icmp.Protocol(), ntp.Protocol(),
			opaque.Protocol(), quic.Protocol(), smtp.Protocol(), ssh.Protocol(), tls.DTLS(), tls.Protocol(),
		},
		Detectors: []detector.Detector{
			beacon.Detector(), bruteforce.Detector(), channel.Detector(), exfil.Detector(), flood.Detector(),
			indicator.Detector(), scan.Detector(), tunnel.Detector(),
		},
	}
}

// capture is part of a file in memory.
type capture struct {
	frames []source.Frame
	at     int
}

func (c *capture) Next(f *source.Frame) error {
	if c.at == len(c.frames) {
		return io.EOF
	}
	*f = c.frames[c.at]
	c.at++
	return nil
}
func (*capture) Name() string             { return "capture" }
func (*capture) Progress() (int64, int64) { return 0, 0 }
func (*capture) Close() error             { return nil }

func exercise(t testing.TB, cfg drill.Config) []source.Frame {
	t.Helper()
	path := filepath.Join(t.TempDir(), "drill.pcap")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := drill.Write(f, cfg); err != nil {
		t.Fatal(err)
	}
	f.Close()
	in, err := pcap.Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	var frames []source.Frame
	var one source.Frame
	for in.Next(&one) == nil {
		one.Data = bytes.Clone(one.Data)
		frames = append(frames, one)
	}
	return frames
}

// piece runs the frames after what past left (nil for nothing) and returns
// what was found and what it leaves.
func piece(t testing.TB, frames []source.Frame, past []byte, tell map[string]int) (Result, []byte) {
	t.Helper()
	cfg := everything()
	cfg.Frames = &capture{frames: frames}
	cfg.Anew = func(what string) { t.Errorf("%s starts anew", what) }
	if past != nil {
		c, err := ReadCheckpoint(bytes.NewReader(past))
		if err != nil {
			t.Fatal(err)
		}
		cfg.Resume = c
	}
	var left bytes.Buffer
	var over bool
	cfg.Checkpoint = func(_ testudo.Time, write func(io.Writer) error) {
		if err := write(&left); err != nil {
			t.Fatal(err)
		}
		over = true
	}
	cfg.Tap = func(r testudo.Record) error {
		if !over { // what is told of the open ends is told again by the next piece
			tell[fmt.Sprint(r.Log(), r.Base().Time, r.Base().ID)]++
		}
		return nil
	}
	res, err := Run(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return res, left.Bytes()
}

// TestCheckpointAlone holds that taking checkpoints changes nothing that is
// found, and that a checkpoint holds the same bytes for any number of workers.
func TestCheckpointAlone(t *testing.T) {
	traffic := play(wire.Mixed(7, 3000)).frames
	var want []byte
	var incidents []testudo.Incident
	for _, workers := range []int{1, 2, 8} {
		var all bytes.Buffer
		cfg := everything()
		cfg.Workers, cfg.Frames, cfg.Every = workers, &capture{frames: traffic}, time.Second
		n := 0
		cfg.Checkpoint = func(_ testudo.Time, write func(io.Writer) error) {
			n++
			if err := write(&all); err != nil {
				t.Fatal(err)
			}
		}
		if workers == 1 {
			cfg.Checkpoint = nil
		}
		res, err := Run(context.Background(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case workers == 1:
			incidents = res.Incidents
			continue
		case n < 2:
			t.Errorf("%d checkpoints", n)
		case want == nil:
			want = bytes.Clone(all.Bytes())
		case !bytes.Equal(want, all.Bytes()):
			t.Errorf("%d workers leave something else", workers)
		}
		if !reflect.DeepEqual(res.Incidents, incidents) {
			t.Errorf("with checkpoints something else is found")
		}
	}
}

// TestNothingForgotten holds that whoever gives a run a field decides whether a
// restart may lose it.
func TestNothingForgotten(t *testing.T) {
	for of, decided := range map[reflect.Type]string{
		reflect.TypeFor[judge](): `local guessed notes builder shards clock records first last logsSeen (saved)
			cfg (given) marks seq (empty between batches) claims (of this run)`,
		reflect.TypeFor[sense](): `shards written weirds (saved) workers fresh (given)`,
		reflect.TypeFor[engine](): `cfg (given) sense judge clock counted logs kept (saved) reader (its clock and totals)
			stages readError lastShown looked due sizes (of this run) sorter spare (empty between batches)`,
		reflect.TypeFor[reader](): `clock counted before (saved) src rewrite (given) dec (pieces that wait to be joined are lost) load (its counts) setback (of this machine)
			out spare err busy ended frames read total (of this run)`,
	} {
		for f := range of.Fields() {
			if !slices.Contains(strings.FieldsFunc(decided, func(r rune) bool { return strings.ContainsRune(" \n\t()", r) }), f.Name) {
				t.Errorf("%v.%s: save it in past, or say here why not", of, f.Name)
			}
		}
	}
}

// TestKinds holds that every record the root package has can be saved.
func TestKinds(t *testing.T) {
	have := map[string]bool{}
	for _, k := range kinds() {
		have[reflect.TypeOf(k).Elem().Name()] = true
	}
	files, _ := filepath.Glob("../*.go")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?m)^func \(\*(\w+)\) Log\(\) string`).FindAllSubmatch(text, -1) {
			if !have[string(m[1])] {
				t.Errorf("%s is not among kinds", m[1])
			}
			delete(have, string(m[1]))
		}
	}
	if len(have) > 0 {
		t.Errorf("no records: %v", have)
	}
}

// grown is a part of a memory whose structure is another one.
type grown struct{ N, More int }

func (*grown) Observe(testudo.Record, *detector.Out) {}

func (*grown) Tick(testudo.Time, bool, *detector.Out) {}

func (*grown) Shed() int { return 0 }

// TestAnew holds that a memory of another structure starts empty and is
// named, while the others go on, and that nothing torn is taken.
func TestAnew(t *testing.T) {
	traffic := play(wire.Mixed(7, 600)).frames
	_, left := piece(t, traffic, nil, map[string]int{})
	c, err := ReadCheckpoint(bytes.NewReader(left))
	if err != nil {
		t.Fatal(err)
	}
	if c.At() == 0 {
		t.Error("of no time")
	}
	cfg := everything()
	for i := range cfg.Detectors {
		if cfg.Detectors[i].Name == "flood" {
			cfg.Detectors[i].New = func(int) detector.Memory { return &grown{} }
		}
	}
	var anew []string
	cfg.Frames, cfg.Resume, cfg.Anew = &capture{frames: traffic[:1]}, c, func(what string) { anew = append(anew, what) }
	res, err := Run(context.Background(), cfg)
	if err != nil || res.Summary.Packets != int64(len(traffic)+1) || len(res.Incidents) == 0 {
		t.Errorf("%v %+v", err, res.Summary)
	}
	if !slices.Equal(anew, []string{"flood"}) {
		t.Errorf("anew: %q", anew)
	}
	for n := 0; n < len(left)-1; n += 1 + n/50 {
		c, err := ReadCheckpoint(bytes.NewReader(left[:n]))
		if err != nil {
			continue // cut inside a section
		}
		anew = nil
		cfg.Frames, cfg.Resume = &capture{frames: traffic[:1]}, c
		if _, err := Run(context.Background(), cfg); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := ReadCheckpoint(bytes.NewReader(nil)); !errors.Is(err, ErrCheckpoint) {
		t.Error(err)
	}
}

// FuzzResume gives a run any bytes as one of its memories: they are taken or
// refused, and what was taken can be saved again. What a detector makes of
// numbers it never counted is not tried: the checksum keeps them away.
func FuzzResume(f *testing.F) {
	traffic := play(wire.Mixed(7, 100)).frames
	_, left := piece(f, traffic, nil, map[string]int{})
	whole, err := ReadCheckpoint(bytes.NewReader(left))
	if err != nil {
		f.Fatal(err)
	}
	names := slices.Sorted(maps.Keys(whole.sections))
	had := map[string]bool{}
	for i, name := range names {
		kind, _, _ := strings.Cut(name, "/")
		if body := whole.sections[name].body; !had[kind] && len(body) > 10 && len(body) < 2000 {
			had[kind] = true
			f.Add(uint16(i), body)
		}
	}
	f.Fuzz(func(t *testing.T, which uint16, body []byte) {
		c := &Checkpoint{past: whole.past, sections: maps.Clone(whole.sections)}
		name := names[int(which)%len(names)]
		c.sections[name] = section{whole.sections[name].digest, body}
		e := resumed(c)
		parts, err := e.parts()
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range parts {
			if _, err := encode(p, 0); err != nil {
				t.Error(err)
			}
		}
	})
}

// resumed is an engine that goes on from c and was given nothing yet.
func resumed(c *Checkpoint) *engine {
	cfg := everything()
	cfg.Resume, cfg.Frames = c, &capture{}
	cfg.Checkpoint = func(testudo.Time, func(io.Writer) error) {}
	e := newEngine(cfg)
	local, guessed := e.resumeSense()
	e.judge = newJudge(cfg, local, guessed)
	e.resumeJudge()
	return e
}

// BenchmarkCheckpoint measures how long a checkpoint holds up a run, and how
// large it is: of an ordinary week, and with every table of every detector
// full.
func BenchmarkCheckpoint(b *testing.B) {
	for _, name := range []string{"week", "full"} {
		b.Run(name, func(b *testing.B) {
			frames := exercise(b, drill.DefaultWeek(1))
			var past []byte
			rounds := 1
			if name == "full" {
				rounds = 16
			}
			for round := range rounds {
				cfg := everything()
				cfg.Frames = &capture{frames: frames}
				if past != nil {
					cfg.Resume, _ = ReadCheckpoint(bytes.NewReader(past))
				}
				cfg.Rewrite = func(p *packet.Packet) { elsewhere(p, uint32(round)) }
				var left bytes.Buffer
				cfg.Checkpoint = func(_ testudo.Time, write func(io.Writer) error) { _ = write(&left) }
				if _, err := Run(context.Background(), cfg); err != nil {
					b.Fatal(err)
				}
				past = left.Bytes()
				for i := range frames {
					frames[i].Time += testudo.Time(7 * 24 * time.Hour)
				}
			}
			c, err := ReadCheckpoint(bytes.NewReader(past))
			if err != nil {
				b.Fatal(err)
			}
			start := time.Now()
			e := resumed(c)
			took := time.Since(start)
			for b.Loop() {
				e.checkpoint()
			}
			b.ReportMetric(float64(took.Milliseconds()), "ms/resume")
			b.ReportMetric(float64(len(past))/1e6, "MB")
			var z bytes.Buffer
			w, _ := zstd.NewWriter(&z, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest))
			start = time.Now()
			_, _ = w.Write(past)
			w.Close()
			b.ReportMetric(float64(time.Since(start).Milliseconds()), "ms/zstd")
			b.ReportMetric(float64(z.Len())/1e6, "MB/zstd")
			kinds := map[string]int{}
			for name, s := range c.sections {
				kind, _, _ := strings.Cut(name, "/")
				kinds[kind] += len(s.body)
			}
			b.Logf("bytes by memory: %v", kinds)
		})
	}
}

// elsewhere moves a packet's hosts to neighbours of theirs.
func elsewhere(p *packet.Packet, round uint32) {
	if p.Kind != packet.KindIP {
		return
	}
	for _, ip := range []*packet.IP{&p.Src, &p.Dst} {
		if ip[14] ^= byte(round * 7); ip[12] != 192 {
			ip[13] ^= byte(round) & 0x0f
		}
	}
	p.Hash = packet.PairHash(p.Src, p.Dst)
}

// small is an exercise of two days.
func small() drill.Config {
	return drill.Config{
		Seed: 5, Start: time.Date(2026, 3, 4, 0, 0, 0, 0, time.UTC), Days: 2, Hosts: 30, Snap: 96,
		Attacks: []drill.Attack{
			drill.Beacon{When: drill.When{Name: "beacon", At: 9 * time.Hour}, Scheme: "https", Law: drill.Uniform, Victim: "fin", Period: 10 * time.Minute, Jitter: 0.3},
			drill.Tunnel{When: drill.When{Name: "tunnel", At: 8 * time.Hour, For: 20 * time.Hour}, Victim: "adm", Every: 3 * time.Minute, Burst: 3, Label: 28, Type: "TXT"},
			drill.Sweep{When: drill.When{Name: "sweep", At: 30 * time.Hour, For: time.Hour}, Victim: "hr", Ports: []uint16{22, 445}, Targets: 100},
			drill.BruteForce{When: drill.When{Name: "guess", At: 33 * time.Hour, For: 20 * time.Minute}, Service: "ssh", Victim: "portal", Sources: 6, Tries: 90, Succeeds: true},
		},
	}
}

// TestCut holds that a run that is cut at random points, each piece going on
// from what the one before left, finds what one run finds.
func TestCut(t *testing.T) {
	cfg, cuts := drill.Showcase(3), 20
	if !*long {
		cfg, cuts = small(), 3
	}
	frames := exercise(t, cfg)
	wholeTold, partsTold := map[string]int{}, map[string]int{}
	whole, _ := piece(t, frames, nil, wholeTold)
	r := rand.New(rand.NewPCG(11, 7))
	at := []int{0, len(frames)}
	for range cuts {
		at = append(at, r.IntN(len(frames)))
	}
	slices.Sort(at)
	var past []byte
	var last Result
	for i := range at[1:] {
		last, past = piece(t, frames[at[i]:at[i+1]], past, partsTold)
		t.Logf("piece of %d frames leaves %d KB", at[i+1]-at[i], len(past)>>10)
	}
	lost, more := 0, 0
	for k, n := range wholeTold {
		lost += max(0, n-partsTold[k])
	}
	for k, n := range partsTold {
		if d := n - wholeTold[k]; d > 0 {
			if more += d; more < 10 {
				t.Logf("only in pieces: %s", k)
			}
		}
	}
	t.Logf("%d frames, %d records; in pieces %d are missing and %d more", len(frames), whole.Summary.Records, lost, more)
	if a, b := whole.Summary, last.Summary; a.Packets != b.Packets || a.Bytes != b.Bytes || a.First != b.First || a.Last != b.Last || a.Conns != b.Conns || a.Hosts != b.Hosts {
		t.Errorf("in one run %+v\nin pieces %+v", a, b)
	}
	alike(t, whole.Incidents, last.Incidents)
}

// alike holds that two runs tell of the same incidents.
func alike(t *testing.T, whole, parts []testudo.Incident) {
	t.Helper()
	if len(whole) == 0 {
		t.Fatal("nothing was found")
	}
	for i := range max(len(whole), len(parts)) {
		if i >= len(whole) || i >= len(parts) {
			t.Errorf("%d incidents in one run, %d in pieces", len(whole), len(parts))
			return
		}
		a, b := whole[i], parts[i]
		if a.ID != b.ID || a.Kind != b.Kind || a.Severity != b.Severity || !slices.Equal(a.Victims, b.Victims) ||
			!slices.Equal(addresses(a), addresses(b)) || math.Abs(a.Confidence-b.Confidence) > 0.02 {
			t.Errorf("in one run %s %s %v %.3f %q %v\nin pieces  %s %s %v %.3f %q %v", a.ID, a.Kind, a.Severity, a.Confidence, a.Title, addresses(a),
				b.ID, b.Kind, b.Severity, b.Confidence, b.Title, addresses(b))
		}
	}
}

func addresses(i testudo.Incident) (all []string) {
	for _, s := range i.Servers {
		all = append(all, fmt.Sprint(s.Address, s.Names, s.Role))
	}
	slices.Sort(all)
	return all
}

// TestLost holds that a run whose last minutes were lost three times, as
// after a kill, still finds what is worth a line, at the same servers.
func TestLost(t *testing.T) {
	cfg, minutes := small(), testudo.Time(2*time.Minute)
	frames := exercise(t, cfg)
	nobody := map[string]int{}
	whole, _ := piece(t, frames, nil, nobody)
	var past []byte
	var last Result
	for i, rest := 0, frames; i < 4; i++ {
		n := min(len(rest), len(frames)/4)
		if i == 3 {
			n = len(rest)
		}
		last, past = piece(t, rest[:n], past, nobody)
		lost := n
		for lost < len(rest) && rest[lost].Time < rest[n-1].Time+minutes {
			lost++
		}
		t.Logf("%d frames are lost", lost-n)
		rest = rest[lost:]
	}
	loud := func(all []testudo.Incident) (names []string) {
		for _, i := range all {
			if i.Severity >= testudo.Low {
				names = append(names, fmt.Sprint(i.Kind, i.Severity, addresses(i)))
			}
		}
		slices.Sort(names)
		return names
	}
	t.Logf("%q", loud(whole.Incidents))
	if a, b := loud(whole.Incidents), loud(last.Incidents); len(a) < 2 || !slices.Equal(a, b) {
		t.Errorf("in one run %q\nwith losses %q", a, b)
	}
}
