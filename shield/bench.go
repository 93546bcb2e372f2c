package shield

import (
	"context"
	"errors"
	"io"
	"runtime"
	"runtime/pprof"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/engine"
	"github.com/testudo-shield/testudo/sense/packet"
	"github.com/testudo-shield/testudo/sense/source"
)

// Bench measures the whole pipeline on one capture held in memory, which is
// replayed in a loop with addresses and times shifted each round, so that
// state keeps growing as it would live; or, without a Path, on an ordinary mix
// of Flows conversations open at once.
type Bench struct {
	Parts
	Settings
	Path  string
	Stdin io.Reader // what the path "-" means
	Flows int
	For   time.Duration
	// Profile takes a processor profile of the steady state; nil for none.
	Profile io.Writer
}

// Measured is what Bench found. Rates are of the steady state: the first
// round, in which tables grow to their size, is left out where there was
// more than one. After one round only, Steady is false, and what needs a
// second one (allocations, growth of the heap) is nil.
type Measured struct {
	Packets         int64         `json:"packets"`
	Rounds          int           `json:"rounds"`
	Seconds         float64       `json:"seconds"`
	PacketsPerS     float64       `json:"packets_per_s"`
	GbitPerS        float64       `json:"gbit_per_s"`
	NsPerPacketCore float64       `json:"ns_per_packet_core"` // processor time of all cores, whatever else the machine does
	Steady          bool          `json:"steady"`
	AllocsPerPacket *float64      `json:"allocs_per_packet,omitempty"`
	BytesPerPacket  *float64      `json:"alloc_bytes_per_packet,omitempty"`
	PeakRSS         int64         `json:"peak_rss_bytes"`
	CaptureBytes    int64         `json:"capture_bytes"`               // of PeakRSS, what the capture or the mix itself takes
	HeapGrowth      *int64        `json:"heap_growth_bytes,omitempty"` // live heap at the end less after the first round
	Workers         int           `json:"workers"`
	Mix             *MeasuredMix  `json:"mix,omitempty"` // without a capture
	Stages          engine.Stages `json:"-"`
}

// MeasuredMix is what is told of a generated mix.
type MeasuredMix struct {
	Flows       int     `json:"flows"`              // conversations open at once
	LiveConns   int     `json:"live_conns"`         // in the table at the end, with what lingers there
	ConnBudget  int     `json:"conn_budget"`        // conns the table could have held
	TableAConn  float64 `json:"table_bytes_a_conn"` // what the flow table keeps of a conn, streams apart
	BytesAConn  float64 `json:"heap_bytes_a_conn"`  // of the live heap, all that the pipeline holds, streams, detectors and buffers too
	MeanPacket  float64 `json:"mean_packet"`        // bytes on the wire
	MixNsPacket float64 `json:"mix_ns_packet"`      // of the processor, to make a frame; part of NsPerPacketCore
	TrafficS    float64 `json:"traffic_s"`          // traffic time that was measured
}

// Run measures.
func (b Bench) Run(ctx context.Context) (Measured, error) {
	if b.Path == "" {
		return b.runMix(ctx)
	}
	in, err := b.load()
	if err != nil {
		return Measured{}, err
	}
	loop := &loop{rec: in, limit: b.For}
	m := &meterBench{warm: in.n, used: processorTime(), profile: b.Profile}
	out, err := b.measure(ctx, m, loop, loop.rewrite)
	out.Rounds, out.CaptureBytes = int(loop.round)+1, in.size
	out.GbitPerS = out.PacketsPerS * float64(loop.bytes) / float64(max(1, loop.count)) * 8 / 1e9
	return out, err
}

// measure runs frames through the whole pipeline.
func (b Bench) measure(ctx context.Context, m *meterBench, frames source.Frames, rewrite func(*packet.Packet)) (Measured, error) {
	start := time.Now()
	res, err := engine.Run(ctx, engine.Config{
		Workers: b.Workers, Protocols: b.Protocols, Detectors: b.Detectors, Budgets: b.Budgets,
		Local: b.Local, GuessLocal: b.GuessLocal, Match: b.Match, IsShared: b.IsShared,
		Frames: frames, Rewrite: rewrite, Seen: m.seen,
	})
	if err != nil {
		return Measured{}, err
	}
	out := m.result(time.Since(start), b.Workers)
	out.Stages = res.Stages
	return out, nil
}

func (b Bench) load() (*recording, error) {
	r := Replay{Parts: b.Parts, Paths: []string{b.Path}, Stdin: b.Stdin}
	in := r.open()
	defer in.close()
	if len(in.frames) == 0 {
		if len(in.skipped) > 0 {
			return nil, errors.New(in.skipped[0].Reason)
		}
		return nil, ErrNoInput
	}
	rec := &recording{}
	var f source.Frame
	for in.frames[0].Next(&f) == nil { // a damaged end does not matter to a measurement
		if err := rec.add(&f); err != nil {
			return nil, err
		}
	}
	if rec.n == 0 {
		return nil, ErrNoInput
	}
	return rec, nil
}

// recording is a capture in memory, in blocks outside the garbage collector's
// heap, so that the pipeline is measured as it would run without it.
type recording struct {
	blocks      []recorded
	free        []byte // of the last block
	n           int64
	size        int64
	first, last testudo.Time
}

// recorded is a block of bytes and the frames that lie in it.
type recorded struct {
	bytes  []byte
	frames []kept
}

// kept is a frame; its bytes follow those of the frame before.
type kept struct {
	time         testudo.Time
	link, length uint32
	captured     uint32
}

const blockBytes = 16 << 20

func (r *recording) add(f *source.Frame) error {
	if len(f.Data) > len(r.free) || r.n == 0 {
		b, err := offHeap(max(blockBytes, len(f.Data)))
		if err != nil {
			return err
		}
		r.blocks = append(r.blocks, recorded{bytes: b, frames: make([]kept, 0, 1<<12)})
		r.free = b
		r.size += int64(len(b))
	}
	if r.n == 0 {
		r.first, r.last = f.Time, f.Time
	}
	r.first, r.last = min(r.first, f.Time), max(r.last, f.Time)
	r.n++
	b := &r.blocks[len(r.blocks)-1]
	b.frames = append(b.frames, kept{f.Time, f.Link, uint32(f.Length), uint32(copy(r.free, f.Data))})
	r.free = r.free[len(f.Data):]
	return nil
}

// loop is a capture that goes round until its time is over.
type loop struct {
	rec   *recording
	limit time.Duration
	start time.Time
	block int
	at    int // frame of the block
	off   int // of its bytes
	round uint32
	bytes int64
	count int64
}

// Next implements source.Frames.
func (l *loop) Next(f *source.Frame) error {
	if l.count == 0 {
		l.start = time.Now()
	}
	if l.at == len(l.rec.blocks[l.block].frames) {
		l.block, l.at, l.off = l.block+1, 0, 0
	}
	if l.block == len(l.rec.blocks) {
		if time.Since(l.start) > l.limit {
			return io.EOF
		}
		l.block = 0
		l.round++
	}
	b := &l.rec.blocks[l.block]
	k := &b.frames[l.at]
	end := l.off + int(k.captured)
	*f = source.Frame{
		Time: k.time + testudo.Time(l.round)*(l.rec.last-l.rec.first+testudo.Time(time.Second)),
		Link: k.link, Length: int(k.length), Data: b.bytes[l.off:end:end],
	}
	l.at, l.off = l.at+1, end
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
	warm   int64       // packets until then
	begin  func()      // told when the measurement begins; nil for nobody
	last   func() bool // tells that the last packet was read; nil for unknown
	began  bool
	ended  bool
	start  time.Time
	frames int64
	used   time.Duration // of the processor, until the run and until the steady state began
	steady time.Duration
	mem    runtime.MemStats
	total  int64
	live   engine.Table
	held   int64 // of the heap, at the end
	out    Measured

	profile   io.Writer
	profiling bool
}

// seen begins the measurement when the tables have grown, and ends it when no
// more packets come: what is told at the end of the input is no part of it.
func (m *meterBench) seen(frames int64, live engine.Table) {
	m.total += frames
	if !m.ended {
		m.live = live
	}
	if !m.began && m.total >= m.warm {
		m.began, m.frames = true, m.total
		runtime.GC()
		runtime.ReadMemStats(&m.mem)
		if m.profile != nil {
			m.profiling = pprof.StartCPUProfile(m.profile) == nil
		}
		if m.begin != nil {
			m.begin()
		}
		m.steady, m.start = processorTime(), time.Now()
	}
	if m.last != nil && !m.ended && m.last() {
		m.ended = true
		m.take(time.Since(m.start))
	}
}

func (m *meterBench) result(whole time.Duration, workers int) Measured {
	if !m.ended {
		m.take(whole)
	}
	m.out.Packets, m.out.Workers, m.out.PeakRSS = m.total, workers, peakRSS()
	return m.out
}

// take computes what was measured, of the whole run where it never became
// steady.
func (m *meterBench) take(whole time.Duration) {
	out := &m.out
	if m.profiling {
		pprof.StopCPUProfile()
	}
	elapsed, packets, used := whole, m.total, processorTime()-m.used
	if m.began && m.total > m.frames {
		elapsed, packets, used = time.Since(m.start), m.total-m.frames, processorTime()-m.steady
		var now runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&now)
		m.held = int64(now.HeapAlloc)
		allocs := float64(now.Mallocs-m.mem.Mallocs) / float64(packets)
		bytes := float64(now.TotalAlloc-m.mem.TotalAlloc) / float64(packets)
		growth := int64(now.HeapAlloc) - int64(m.mem.HeapAlloc)
		out.Steady, out.AllocsPerPacket, out.BytesPerPacket, out.HeapGrowth = true, &allocs, &bytes, &growth
	}
	out.Seconds = elapsed.Seconds()
	out.PacketsPerS = float64(packets) / out.Seconds
	out.NsPerPacketCore = float64(used) / float64(packets)
}
