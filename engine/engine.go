// Package engine is the data plane: it joins sense and judge. One packet's way
// through the shield can be read here from top to bottom:
//
//	reader  frames are decoded, clocked and sorted into 64 logical shards by
//	        host pair (reader.go, clock.go)
//	sense   workers run the flow shards; records come out (sense.go)
//	order   records of complete ticks are put in one order, while sense is
//	        at the next packets (judging.go, sorter.go)
//	judge   each is annotated, then goes to the detectors' own 64 shards by
//	        the key each declares; sightings come out (judge.go)
//	        and become incidents
//
// Budgets belong to logical shards and time to the traffic, so every output
// byte is the same for one worker or eight. Engine alone owns the wall clock.
package engine

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/detector"
	"github.com/testudo-shield/testudo/sense/flow"
	"github.com/testudo-shield/testudo/sense/packet"
	"github.com/testudo-shield/testudo/sense/protocol"
	"github.com/testudo-shield/testudo/sense/source"
)

// Shards is the number of logical shards, of flows and again of detectors. It
// is part of the meaning of every budget and never follows the machine.
const Shards = 64

// Config is what a run is made of. Frames and Records are its inputs; either
// may be nil. Run closes Frames, and only Run: after an interruption it may
// still be waiting for the input to give something.
type Config struct {
	Workers   int // goroutines for sense and judge; at least 1
	Frames    source.Frames
	Records   RecordSource
	Protocols []protocol.Protocol
	Detectors []detector.Detector
	Budgets   Budgets
	// Lacks is the evidence that some of the inputs cannot give.
	Lacks []testudo.Evidence

	// Local are the networks we protect. If none of their addresses occurs
	// among the first packets and GuessLocal is set, who answers whom decides.
	Local      []netip.Prefix
	GuessLocal bool

	Match    func(testudo.Record) []testudo.Hit
	IsShared func(netip.Addr, string) bool

	// Tap is given every record after it was annotated, in order; nil for
	// none. The record is only valid during the call.
	Tap func(testudo.Record) error
	// Progress is called about five times a second; nil for none.
	Progress func(Progress)
	// Rewrite may change a packet after it was decoded; for the benchmark.
	Rewrite func(*packet.Packet)
	// Live, where set, says that the inputs are live ones; see live.go.
	Live *Live
	// Resume is what an earlier run left, nil for nothing; this run goes on
	// from there and uses it up. Anew is told which memories could not be read and start
	// empty; nil for nobody.
	Resume *Checkpoint
	Anew   func(memory string)
	// Checkpoint is called between two batches, every Every of traffic time
	// and when the input is over or the run is interrupted, before what is
	// still open is told; nil for never. All stands still until it returns;
	// write may also be called later. An error is the caller's own to tell.
	Checkpoint func(at testudo.Time, write func(io.Writer) error)
	Every      time.Duration // 0 for only at the end

	// Seen is called with the number of frames read, and of conversations in
	// the table, when an epoch has passed through all stages; for the benchmark.
	Seen func(frames int64, live Table)
}

// RecordSource is an input of records that another sensor wrote, in order of
// time. Next returns io.EOF at the end.
type RecordSource interface {
	Next() (testudo.Record, error)
}

// Budgets bound the memory of a run. They are shared out evenly to the
// logical shards.
type Budgets struct {
	Conns     int // live conversations
	Streams   int // bytes held to put streams in order
	Fragments int // bytes held to join fragments
	Entries   int // things a detector or the annotator may remember, each
	Sightings int
}

// DefaultBudgets keep every run under half a gigabyte.
func DefaultBudgets() Budgets {
	return Budgets{Conns: 1 << 17, Streams: 48 << 20, Fragments: 8 << 20, Entries: 1 << 15, Sightings: 20000}
}

// Table is what is live: conversations, and the bytes that are kept of them,
// streams and analyzers apart.
type Table struct{ Conns, Bytes int }

// Progress is how far a run has come.
type Progress struct {
	Frames      int64
	Read, Total int64 // bytes of input
	Sightings   int
}

// Result is what a run found.
type Result struct {
	Incidents []testudo.Incident
	Summary   testudo.Summary
	Stages    Stages
	// ReadError is what ended the input before its end, nil for nothing.
	ReadError error
}

// Stages is the processor time spent in each stage, summed over workers.
type Stages struct{ Read, Sense, Annotate, Judge, Incident time.Duration }

// Run reads the inputs to their end, or until ctx is done, and returns what
// was found so far in either case. After an interruption the error is ctx's.
func Run(ctx context.Context, cfg Config) (Result, error) {
	cfg.Workers = min(max(1, cfg.Workers), Shards)
	start := time.Now()
	e := newEngine(cfg)
	err := e.run(ctx)
	res := e.result()
	res.Summary.Wall, res.Summary.Workers = time.Since(start), cfg.Workers
	return res, err
}

type engine struct {
	cfg       Config
	sense     *sense
	judge     *judge
	reader    *reader
	clock     testudo.Time // of the last epoch
	counted   totals       // until then
	stages    Stages
	readError error
	lastShown time.Time
	looked    looking
	logs      *recordFeed
	kept      clock        // the reader's, at the last epoch
	due       testudo.Time // when the next checkpoint is
	sizes     [Shards]int  // of the last one
	sorter    sorter
	spare     []item // judged, to be filled again
}

func newEngine(cfg Config) *engine {
	e := &engine{cfg: cfg}
	if cfg.Frames != nil {
		e.reader = newReader(cfg.Frames, packet.New(packet.Config{FragmentBytes: cfg.Budgets.Fragments}), cfg.Rewrite)
		if cfg.Live != nil {
			e.reader.load = newLoad(cfg.Live)
		}
	}
	if cfg.Records != nil {
		e.logs = &recordFeed{src: cfg.Records, live: cfg.Live}
	}
	e.sense = newSense(cfg, flow.Config{
		Conns:       cfg.Budgets.Conns / Shards,
		StreamBytes: cfg.Budgets.Streams / Shards,
		Secret:      rand.Uint64(),
	})
	return e
}

func (e *engine) run(ctx context.Context) error {
	local, guessed := e.resumeSense()
	var held []*epoch
	if e.reader != nil {
		reading, stop := context.WithCancel(ctx)
		defer stop()
		go e.reader.loop(reading)
		if e.cfg.GuessLocal && e.cfg.Live == nil && e.cfg.Resume == nil {
			held = e.reader.ahead(ctx, guessPackets/epochPackets)
			local, guessed = chooseLocal(e.cfg.Local, held)
		}
	}
	e.judge = newJudge(e.cfg, local, guessed)
	e.resumeJudge()
	if e.cfg.Live != nil && e.logs != nil {
		wait := time.Duration(0)
		if e.reader == nil {
			wait = 100 * time.Millisecond
		}
		pumping, stop := context.WithCancel(ctx)
		defer stop()
		e.logs.pump = startPump(pumping, e.cfg.Records, wait)
		defer e.logs.pump.end(stop)
	}
	if e.cfg.Live != nil && e.reader == nil {
		if err := e.follow(ctx); err != nil {
			return err
		}
	}
	if e.reader != nil {
		if err := e.readAll(ctx, held); err != nil {
			return err
		}
		if ctx.Err() == nil {
			e.readError, e.stages.Read = e.reader.err, e.reader.busy
		}
		e.checkpoint()
	}
	return e.finish(ctx)
}

// readAll takes every epoch of packets through sense, those held first, and
// has judged what they wrote when it returns.
func (e *engine) readAll(ctx context.Context, held []*epoch) error {
	g := startJudging(e)
	for _, ep := range held {
		if !e.pass(ep, g) {
			return g.end()
		}
	}
	for ep := e.reader.next(ctx); ep != nil && e.pass(ep, g); ep = e.reader.next(ctx) {
	}
	return g.end()
}

// maxHeld is how many records may wait for their tick of traffic to be over.
// It belongs to epochs, which are cut by the input alone, so that the order is
// the same for any number of workers.
const maxHeld = 1 << 15

// pass takes one epoch of packets through sense and hands over the records of
// complete ticks. It returns false if they can no longer be judged.
func (e *engine) pass(ep *epoch, g *judging) bool {
	t := time.Now()
	e.clock, e.counted, e.kept = ep.clock, ep.totals, ep.kept
	e.sense.run(ep)
	b := batch{limit: tickOf(ep.clock), frames: ep.frames, totals: ep.totals}
	if e.sense.held() > maxHeld {
		b.limit++ // a tick with that much in it is judged in parts
	}
	e.reader.recycle(ep)
	b.items = e.sense.take(g.empty(), b.limit)
	b.live = e.sense.live()
	e.stages.Sense += time.Since(t)
	return g.put(b) && e.pause(g)
}

// advance judges records of ticks before limit, and with them those of logs.
// It returns the list as it is now.
func (e *engine) advance(items []item, limit int64) ([]item, error) {
	t := time.Now()
	if e.logs != nil {
		items = e.logs.join(items, limit)
	}
	e.sorter.sort(items)
	err := e.judge.order(items)
	if e.cfg.Live != nil && limit < endOfTime {
		e.judge.tick(testudo.Time(limit) * testudo.Time(tick)) // also in silence
	}
	mid := time.Now()
	e.judge.run(e.cfg.Workers)
	e.stages.Annotate += mid.Sub(t)
	e.stages.Judge += time.Since(mid)
	return items, err
}

func (e *engine) finish(ctx context.Context) error {
	if err := e.flush(); err != nil {
		return err
	}
	// Logs may be longer than memory: an hour at a time.
	for e.logs != nil && !e.logs.done {
		if ctx.Err() != nil {
			e.logs.done, e.logs.next = true, nil
			break
		}
		if err := e.rest(e.logs.nextLimit()); err != nil {
			return err
		}
		e.show()
	}
	if err := e.rest(endOfTime); err != nil {
		return err
	}
	if e.logs != nil {
		e.readError = errors.Join(e.readError, e.logs.err)
	}
	if e.reader == nil {
		e.checkpoint()
	}
	e.judge.end(e.cfg.Workers)
	return ctx.Err()
}

// rest judges what sense wrote after the last epoch.
func (e *engine) rest(limit int64) (err error) {
	e.spare, err = e.advance(e.sense.take(e.spare, limit), limit)
	return err
}

// flush reports every open conversation at the end of the frames, one shard
// after the other: a flood may leave as many open as the budget allows, and
// their records need not all be in memory at once.
func (e *engine) flush() error {
	limit := tickOf(e.clock) + 1
	for shard := range Shards {
		if err := e.rest(limit); err != nil {
			return err
		}
		e.sense.flush(shard, e.clock)
	}
	return e.rest(limit)
}

func (e *engine) show() {
	if e.cfg.Progress == nil || time.Since(e.lastShown) < 200*time.Millisecond {
		return
	}
	e.lastShown = time.Now()
	p := Progress{Sightings: e.judge.builder.Len()}
	if e.reader != nil {
		p.Frames = e.reader.frames.Load()
		p.Read, p.Total = e.reader.progress()
	}
	e.cfg.Progress(p)
}

func (e *engine) result() Result {
	t := time.Now()
	res := Result{Incidents: e.judge.builder.Incidents(), ReadError: e.readError}
	e.stages.Incident = time.Since(t)
	s := &res.Summary
	if e.reader != nil {
		e.counted.summarise(s)
	}
	e.sense.summarise(s)
	e.judge.summarise(s)
	for i := range res.Incidents {
		s.BySeverity[res.Incidents[i].Severity]++
	}
	res.Stages = e.stages
	return res
}

// recordFeed mixes records from logs into the stream of our own.
type recordFeed struct {
	src  RecordSource
	live *Live // nil where src is not
	next testudo.Record
	at   testudo.Time
	done bool
	err  error // what ended it before its end

	pump     *pump  // reads src where it is live
	position []byte // of src, after the records given so far
	marked   bool   // it was just learned
}

// read returns the next record. Of live ones it also takes the marks between.
func (f *recordFeed) read() (testudo.Record, error) {
	if f.pump == nil {
		return f.src.Next()
	}
	x, err := f.pump.next()
	if err == errMark {
		f.position, f.marked = x.position, true
		return nil, source.ErrIdle
	}
	return x.r, err
}

// peek makes sure next holds the next record, if there is one; at never runs
// backwards.
func (f *recordFeed) peek() bool {
	if f.next != nil {
		return true
	}
	if f.done {
		return false
	}
	r, err := f.read()
	if isIdle(err) {
		return false
	}
	if err != nil {
		f.done = true
		if !errors.Is(err, io.EOF) {
			f.err = err
		}
		return false
	}
	f.next = r
	at := written(r)
	if f.live != nil {
		at = min(at, testudo.TimeOf(f.live.now())) // it is here: whatever it says, it was written by now
	}
	f.at = max(f.at, at)
	return true
}

// written is when a sensor could first have written r.
func written(r testudo.Record) testudo.Time {
	if c, ok := r.(*testudo.Conn); ok {
		return c.Time.Add(c.Duration)
	}
	return r.Base().Time
}

// join adds the records of ticks before limit to items.
func (f *recordFeed) join(items []item, limit int64) []item {
	for f.peek() && tickOf(f.at) < limit {
		items = append(items, item{at: f.at, uid: f.next.Base().UID, r: f.next, shard: noShard})
		f.next = nil
	}
	return items
}

// nextLimit returns a tick an hour after the next record.
func (f *recordFeed) nextLimit() int64 {
	if !f.peek() {
		return endOfTime
	}
	return tickOf(f.at) + int64(time.Hour/tick) + 1
}
