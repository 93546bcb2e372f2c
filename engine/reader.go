package engine

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/packet"
	"github.com/testudo-shield/testudo/sense/source"
)

const (
	// epochPackets and epochBytes bound what travels from the reader to the
	// workers at once: little enough that its packets, and the records they
	// make, are still in a core's cache when the next stage looks at them.
	epochPackets = 2048
	epochBytes   = 1 << 20
	// guessPackets is how many packets are looked at to guess which hosts
	// are ours.
	guessPackets = 1 << 16
)

// epoch is a run of packets in file order, sorted into shards. Its bytes are
// its own, so the reader can go on while workers read them.
type epoch struct {
	packets []packet.Packet
	shards  [Shards][]int32 // indices into packets
	arena   []byte
	clock   testudo.Time // watermark after the last packet
	kept    clock        // the whole clock then, for a checkpoint
	frames  int64
	totals  totals // of all that was read until the end of this epoch
}

// totals is what a reader counted.
type totals struct {
	frames, bytes, malformed, fragments int64
	first, last                         testudo.Time
	given                               given
}

// reader turns frames into epochs, alone on its goroutine.
type reader struct {
	src     source.Frames
	dec     *packet.Decoder
	rewrite func(*packet.Packet)
	clock   clock
	out     chan *epoch
	spare   chan *epoch
	err     error         // set before out is closed
	busy    time.Duration // likewise
	ended   bool
	counted totals
	load    *load // of a live input, else nil
	setback setback
	before  totals // of the runs that this one goes on from
	frames  atomic.Int64
	read    atomic.Int64
	total   atomic.Int64
}

func newReader(src source.Frames, dec *packet.Decoder, rewrite func(*packet.Packet)) *reader {
	return &reader{src: src, dec: dec, rewrite: rewrite, out: make(chan *epoch, 1), spare: make(chan *epoch, 2)}
}

// loop sends epochs until the input ends or ctx is done, and closes the input.
// An input that gives nothing holds it up for as long.
func (r *reader) loop(ctx context.Context) {
	defer close(r.out)
	defer r.src.Close()
	for !r.ended {
		ep := r.fill()
		select {
		case r.out <- ep:
		case <-ctx.Done():
			return
		}
	}
}

// next returns the next epoch, nil at the end of the input or when ctx is
// done: then an input that is waiting for more is waited for no longer.
func (r *reader) next(ctx context.Context) *epoch {
	if ctx.Err() != nil {
		return nil
	}
	select {
	case ep := <-r.out:
		return ep
	case <-ctx.Done():
		return nil
	}
}

// ahead returns up to n epochs that nothing was done with yet.
func (r *reader) ahead(ctx context.Context, n int) (held []*epoch) {
	for len(held) < n {
		ep := r.next(ctx)
		if ep == nil {
			break
		}
		held = append(held, ep)
	}
	return held
}

func (r *reader) recycle(ep *epoch) {
	select {
	case r.spare <- ep:
	default:
	}
}

func (r *reader) fresh() *epoch {
	select {
	case ep := <-r.spare:
		ep.packets, ep.arena, ep.frames = ep.packets[:0], ep.arena[:0], 0
		for i := range ep.shards {
			ep.shards[i] = ep.shards[i][:0]
		}
		return ep
	default:
		return &epoch{packets: make([]packet.Packet, 0, epochPackets), arena: make([]byte, 0, epochBytes)}
	}
}

// fill reads the next epoch. At the end of the input it sets ended and err.
func (r *reader) fill() *epoch {
	start := time.Now()
	ep := r.fresh()
	var f source.Frame
	idle, began, stamp := false, testudo.Time(0), testudo.Time(0)
	for len(ep.packets) < epochPackets && ep.frames < 4*epochPackets {
		err := r.src.Next(&f)
		if stamp = f.Time; r.load != nil && (err == nil || isIdle(err)) {
			f.Time = r.steady(stamp)
		}
		if isIdle(err) {
			r.clock.see(f.Time)
			idle = true
			break
		} else if err != nil {
			r.ended = true
			if !errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				r.err = err
			}
			break
		}
		ep.frames++
		r.take(ep, &f)
		if len(ep.arena)+(256<<10) > epochBytes {
			break
		}
		if r.load != nil {
			if began == 0 {
				began = f.Time
			}
			if f.Time > began+cutAfter {
				break
			}
		}
	}
	if r.load != nil {
		r.load.weigh(stamp, idle)
		r.counted.given = r.load.given
	}
	ep.clock, ep.kept = r.clock.now, r.clock
	r.counted.frames += ep.frames
	r.counted.first, r.counted.last = r.clock.first, r.clock.now
	c := r.dec.Counts()
	r.counted.malformed = r.before.malformed + int64(c.MalformedTotal())
	r.counted.fragments = r.before.fragments + int64(c.FragmentsDropped+c.FragmentsOverlap)
	ep.totals = r.counted
	r.frames.Store(r.counted.frames)
	read, total := r.src.Progress()
	r.read.Store(read)
	r.total.Store(total)
	r.busy += time.Since(start)
	return ep
}

// steady returns the time of a live frame or silence.
func (r *reader) steady(stamp testudo.Time) testudo.Time {
	t, learned := r.setback.right(stamp, r.clock.now)
	if l := r.load.live; learned && l.Event != nil {
		l.Event(r.setback.String())
	}
	return t
}

// take decodes one frame into the epoch.
func (r *reader) take(ep *epoch, f *source.Frame) {
	before := r.clock.now
	now := r.clock.see(f.Time)
	if now < before {
		// What was read under a wrong first frame must not run timers ahead.
		for i := range ep.packets {
			ep.packets[i].Clock = now
		}
	}
	r.counted.bytes += int64(f.Length)
	at := len(ep.arena)
	ep.arena = append(ep.arena, f.Data...)
	n := len(ep.packets)
	ep.packets = ep.packets[:n+1]
	p := &ep.packets[n]
	if !r.dec.Decode(f.Link, f.Time, f.Length, ep.arena[at:], p) && p.Kind != packet.KindFragment {
		ep.packets = ep.packets[:n]
		return
	}
	p.Clock = now
	if r.load != nil {
		read, payload := r.load.take(p)
		if !read {
			ep.packets = ep.packets[:n]
		}
		if !payload {
			p.Payload, ep.arena = nil, ep.arena[:at]
		}
		if !read {
			return
		}
	}
	if r.rewrite != nil {
		r.rewrite(p)
	}
	s := p.Hash % Shards
	ep.shards[s] = append(ep.shards[s], int32(n))
}

func (r *reader) progress() (read, total int64) { return r.read.Load(), r.total.Load() }

func (t *totals) summarise(s *testudo.Summary) {
	s.Packets, s.Bytes, s.Malformed = t.frames, t.bytes, t.malformed
	s.First, s.Last = t.first, t.last
	t.given.summarise(s)
	if t.fragments > 0 {
		s.Shed = append(s.Shed, testudo.Shed{Cause: "fragments that were never joined", Count: t.fragments})
	}
}
