package engine

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/flow"
)

// item is a record with the moment of traffic time at which it came out, and
// the shard that wrote it.
type item struct {
	at    testudo.Time
	uid   testudo.UID
	r     testudo.Record
	shard int32 // noShard for one from a log
}

const noShard = -1

// sense is the flow shards and the records they have written that were not
// judged yet.
type sense struct {
	shards  [Shards]*flow.Shard
	written [Shards][]item
	workers int
	weirds  [Shards]int64
	fresh   func(shard int) *flow.Shard
}

func newSense(cfg Config, fc flow.Config) *sense {
	s := &sense{workers: cfg.Workers}
	s.fresh = func(i int) *flow.Shard {
		return flow.New(fc, cfg.Protocols, func(at testudo.Time, r testudo.Record) {
			s.written[i] = append(s.written[i], item{at: at, uid: r.Base().UID, r: r, shard: int32(i)})
			if _, ok := r.(*testudo.Weird); ok {
				s.weirds[i]++
			}
		})
	}
	for i := range s.shards {
		s.shards[i] = s.fresh(i)
	}
	return s
}

// run takes an epoch through the flow shards, workers in parallel. Which
// worker takes which shard does not matter: shards share nothing.
func (s *sense) run(ep *epoch) {
	parallel(s.workers, func(shard int) {
		s.shards[shard].Batch(ep.packets, ep.shards[shard])
		s.shards[shard].Advance(ep.clock)
	})
}

// flush reports every open conversation of a shard at the end of the input.
func (s *sense) flush(shard int, now testudo.Time) { s.shards[shard].Flush(now) }

// parallel calls f once for every shard from n goroutines and waits.
func parallel(n int, f func(shard int)) {
	if n == 1 {
		for i := range Shards {
			f(i)
		}
		return
	}
	var next atomic.Int32
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < Shards; i = next.Add(1) - 1 {
				f(int(i))
			}
		})
	}
	wg.Wait()
}

// take removes and returns the records of ticks before limit, shard by shard,
// each in the order it wrote them. They go into spare, what an earlier take
// returned and nobody reads any longer: its records are written anew.
func (s *sense) take(spare []item, limit int64) []item {
	for i := range spare {
		if spare[i].shard != noShard {
			s.shards[spare[i].shard].Reuse(spare[i].r)
		}
	}
	clear(spare)
	taken := spare[:0]
	for i, w := range s.written {
		n, _ := slices.BinarySearchFunc(w, limit, func(it item, limit int64) int {
			return cmp.Compare(tickOf(it.at), limit)
		})
		taken = append(taken, w[:n]...)
		m := copy(w, w[n:])
		clear(w[m:])
		s.written[i] = w[:m]
	}
	return taken
}

// held returns how many records wait to be taken.
func (s *sense) held() (n int) {
	for i := range s.written {
		n += len(s.written[i])
	}
	return n
}

// live returns how many conversations are in the table, and its bytes.
func (s *sense) live() (t Table) {
	for _, f := range s.shards {
		t.Conns += f.Live()
		t.Bytes += f.Held()
	}
	return t
}

func (s *sense) summarise(sum *testudo.Summary) {
	var shed [3]int64
	for i := range s.shards {
		st := s.shards[i].Stats()
		sum.Conns += st.Conns
		sum.Weirds += s.weirds[i]
		shed[0] += st.ShedUnanswered + st.ShedIdle
		shed[1] += st.Squeezes
		shed[2] += st.LoadsShed
	}
	for i, cause := range []string{"conns", "streams", "packets outside of conversations"} {
		if shed[i] > 0 {
			sum.Shed = append(sum.Shed, testudo.Shed{Cause: cause, Count: shed[i]})
		}
	}
}
