package shield

import (
	"context"
	"io"
	"runtime"
	"slices"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/engine"
	"github.com/testudo-shield/testudo/sense/packet"
	"github.com/testudo-shield/testudo/sense/source"
)

// Bench measures the whole pipeline on one capture held in memory, which is
// replayed in a loop with addresses and times shifted each round, so that
// state keeps growing as it would live.
type Bench struct {
	Parts
	Settings
	Path string
	For  time.Duration
}

// Measured is what Bench found. Rates are of the steady state: the first
// round, in which tables grow to their size, is left out where there was
// more than one.
type Measured struct {
	Packets         int64         `json:"packets"`
	Rounds          int           `json:"rounds"`
	Seconds         float64       `json:"seconds"`
	PacketsPerS     float64       `json:"packets_per_s"`
	GbitPerS        float64       `json:"gbit_per_s"`
	NsPerPacketCore float64       `json:"ns_per_packet_core"`
	AllocsPerPacket float64       `json:"allocs_per_packet"`
	BytesPerPacket  float64       `json:"alloc_bytes_per_packet"`
	PeakRSS         int64         `json:"peak_rss_bytes"`
	HeapGrowth      int64         `json:"heap_growth_bytes"` // live heap at the end less after the first round
	Workers         int           `json:"workers"`
	Stages          engine.Stages `json:"-"`
}

// Run measures.
func (b Bench) Run(ctx context.Context) (Measured, error) {
	in, err := b.load()
	if err != nil {
		return Measured{}, err
	}
	loop := &loop{frames: in, limit: b.For}
	m := &meterBench{loop: loop}
	start := time.Now()
	res, err := engine.Run(ctx, engine.Config{
		Workers: b.Workers, Protocols: b.Protocols, Detectors: b.Detectors, Budgets: b.Budgets,
		Local: b.Local, GuessLocal: b.GuessLocal, Match: b.Match,
		Frames: loop, Rewrite: loop.rewrite, Seen: m.seen,
	})
	if err != nil {
		return Measured{}, err
	}
	out := m.result(time.Since(start), b.Workers)
	out.Stages = res.Stages
	return out, nil
}

func (b Bench) load() ([]source.Frame, error) {
	r := Replay{Parts: b.Parts, Paths: []string{b.Path}}
	in := r.open()
	defer in.close()
	if len(in.frames) == 0 {
		return nil, ErrNoInput
	}
	var frames []source.Frame
	var f source.Frame
	for {
		err := in.frames[0].Next(&f)
		if err != nil {
			break // a damaged end does not matter to a measurement
		}
		c := f
		c.Data = slices.Clone(f.Data)
		frames = append(frames, c)
	}
	if len(frames) == 0 {
		return nil, ErrNoInput
	}
	return frames, nil
}

// loop is a capture that goes round until its time is over.
type loop struct {
	frames []source.Frame
	limit  time.Duration
	start  time.Time
	at     int
	round  uint32
	span   testudo.Time
	bytes  int64
	count  int64
}

// Next implements source.Frames.
func (l *loop) Next(f *source.Frame) error {
	if l.at == 0 && l.round == 0 {
		l.start = time.Now()
		first, last := l.frames[0].Time, l.frames[0].Time
		for i := range l.frames {
			first, last = min(first, l.frames[i].Time), max(last, l.frames[i].Time)
		}
		l.span = last - first + testudo.Time(time.Second)
	}
	if l.at == len(l.frames) {
		if time.Since(l.start) > l.limit {
			return io.EOF
		}
		l.at = 0
		l.round++
	}
	*f = l.frames[l.at]
	f.Time += testudo.Time(l.round) * l.span
	l.at++
	l.count++
	l.bytes += int64(f.Length)
	return nil
}

// rewrite moves the packet's hosts to neighbours of theirs, other ones each
// round, inside the same private network.
func (l *loop) rewrite(p *packet.Packet) {
	if l.round == 0 || p.Kind != packet.KindIP {
		return
	}
	p.Hash ^= uint64(l.round) * 0x9e3779b97f4a7c15
	shift(&p.Src, l.round)
	shift(&p.Dst, l.round)
}

func shift(ip *packet.IP, round uint32) {
	ip[14] ^= byte(round)
	if ip[12] != 192 && ip[12] != 169 {
		ip[13] ^= byte(round>>8) & 0x0f
	}
}

// Name, Progress and Close implement source.Frames.
func (l *loop) Name() string             { return "bench" }
func (l *loop) Progress() (int64, int64) { return 0, 0 }
func (l *loop) Close() error             { return nil }

// meterBench takes the allocator's counts once the tables have grown.
type meterBench struct {
	loop   *loop
	began  bool
	start  time.Time
	frames int64
	bytes  int64
	mem    runtime.MemStats
	total  int64
}

// seen begins the measurement when the first round has passed.
func (m *meterBench) seen(frames int64) {
	m.total += frames
	if !m.began && m.total >= int64(len(m.loop.frames)) {
		m.began, m.start, m.frames = true, time.Now(), m.total
		runtime.GC()
		runtime.ReadMemStats(&m.mem)
	}
}

func (m *meterBench) result(whole time.Duration, workers int) Measured {
	out := Measured{Packets: m.total, Rounds: int(m.loop.round) + 1, Workers: workers, PeakRSS: peakRSS()}
	elapsed, packets := whole, m.total
	if m.began && m.total > m.frames {
		var now runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&now)
		elapsed, packets = time.Since(m.start), m.total-m.frames
		out.AllocsPerPacket = float64(now.Mallocs-m.mem.Mallocs) / float64(packets)
		out.BytesPerPacket = float64(now.TotalAlloc-m.mem.TotalAlloc) / float64(packets)
		out.HeapGrowth = int64(now.HeapAlloc) - int64(m.mem.HeapAlloc)
	}
	out.Seconds = elapsed.Seconds()
	out.PacketsPerS = float64(packets) / out.Seconds
	out.GbitPerS = out.PacketsPerS * float64(m.loop.bytes) / float64(max(1, m.loop.count)) * 8 / 1e9
	out.NsPerPacketCore = out.Seconds * 1e9 * float64(min(workers, runtime.NumCPU())) / float64(packets)
	return out
}
