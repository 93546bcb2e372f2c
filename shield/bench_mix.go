package shield

import (
	"context"
	"io"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/drill"
	"github.com/testudo-shield/testudo/sense/source"
)

// mixSeed is the seed of the mix: every run measures the same traffic.
const mixSeed = 1

// ConnsPerFlow is how many conns a table needs room for, for each conversation
// of a mix that is open: the short ones over UDP stay there for a minute.
const ConnsPerFlow = 3

// leastWarm is how many frames pass before measuring at the least: with few
// flows what detectors remember takes longer to grow than the flow table.
const leastWarm = 2 << 20

// runMix measures an ordinary mix.
func (b Bench) runMix(ctx context.Context) (Measured, error) {
	before := liveHeap()
	mix, err := drill.NewMix(b.Flows, mixSeed)
	if err != nil {
		return Measured{}, err
	}
	own := liveHeap() - before
	frames := &mixFrames{mix: mix, warm: max(mix.Warm(), leastWarm), limit: b.For}
	m := &meterBench{warm: frames.warm, used: processorTime(), begin: frames.begin, last: frames.over.Load, profile: b.Profile}
	out, err := b.measure(ctx, m, frames, nil)
	out.Rounds, out.CaptureBytes = 1, own
	cost := mixCost(mix)
	mean := float64(frames.bytes) / float64(max(1, frames.count))
	out.GbitPerS = out.PacketsPerS * mean * 8 / 1e9
	out.Mix = &MeasuredMix{
		Flows: b.Flows, LiveConns: m.live.Conns, ConnBudget: b.Budgets.Conns, MeanPacket: mean, MixNsPacket: cost,
		BytesAConn: float64(m.held-own-before) / float64(max(1, m.live.Conns)), TableAConn: float64(m.live.Bytes) / float64(max(1, m.live.Conns)), TrafficS: float64(frames.last-frames.first) / 1e9,
	}
	return out, err
}

// liveHeap returns what is in use of the heap.
func liveHeap() int64 {
	var mem runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&mem)
	return int64(mem.HeapAlloc)
}

// mixCost returns what it takes to make a frame of the mix, in nanoseconds.
func mixCost(mix *drill.Mix) float64 {
	const some = 1 << 21
	start := processorTime()
	for range some {
		mix.Next()
	}
	return float64(processorTime()-start) / some
}

// mixFrames is a mix as a source, for a time after it has warmed up.
type mixFrames struct {
	mix   *drill.Mix
	warm  int64 // frames
	limit time.Duration
	start atomic.Int64 // when the measurement began, in wall nanoseconds
	count int64
	bytes int64
	first int64 // traffic time of what is measured
	last  int64
	over  atomic.Bool
}

// begin starts the time after which the mix ends.
func (f *mixFrames) begin() { f.start.Store(time.Now().UnixNano()) }

// Next implements source.Frames.
func (f *mixFrames) Next(out *source.Frame) error {
	if f.count == f.warm {
		f.first = f.last
	}
	if f.count > f.warm && f.count&0xfff == 0 {
		if start := f.start.Load(); start != 0 && time.Since(time.Unix(0, start)) > f.limit {
			f.over.Store(true)
			return io.EOF
		}
	}
	t, wire, data := f.mix.Next()
	*out = source.Frame{Time: testudo.Time(t), Link: 1, Length: wire, Data: data}
	f.last = t
	f.count++
	f.bytes += int64(wire)
	return nil
}

// Name, Progress and Close implement source.Frames.
func (f *mixFrames) Name() string             { return "mix" }
func (f *mixFrames) Progress() (int64, int64) { return 0, 0 }
func (f *mixFrames) Close() error             { return nil }
