package shield

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/keep/history"
	"github.com/testudo-shield/testudo/keep/state"
)

// A recorder hands records over to the history in portions, beside the
// judging. What cannot be remembered is counted, said once, and does not stop
// the watching.
type recorder struct {
	memory *Memory
	id     string       // of the ingest
	live   bool         // never wait for the disk
	event  func(string) // something a person should know

	batch []testudo.Record
	began time.Time // of the batch, by the wall
	names map[netip.Addr]state.Holding
	queue chan []testudo.Record
	done  chan struct{}

	mu     sync.Mutex
	lost   int64  // records that were not remembered
	failed string // the last error told, "" while all goes well
}

const (
	portion       = 1 << 14
	portionsAhead = 4
	portionEvery  = time.Second
	maxNamesHeld  = 1 << 16
)

// record begins to remember records under an ingest's name.
func (m *Memory) record(id string, live bool, event func(string)) *recorder {
	r := &recorder{
		memory: m, id: id, live: live, event: event, names: map[netip.Addr]state.Holding{},
		queue: make(chan []testudo.Record, portionsAhead), done: make(chan struct{}),
	}
	go r.write()
	return r
}

// take is an engine.Config's Tap.
func (r *recorder) take(rec testudo.Record) error {
	if _, ok := rec.(*testudo.Load); ok {
		return nil // a measurement, no record of what was said
	}
	r.named(rec)
	if len(r.batch) == 0 {
		r.began = time.Now()
	}
	r.batch = append(r.batch, testudo.Clone(rec))
	if len(r.batch) >= portion || r.live && len(r.batch)&0x3f == 0 && time.Since(r.began) >= portionEvery {
		r.hand()
	}
	return nil
}

// hand gives a portion to the writer. Live records do not wait for one that
// is behind.
func (r *recorder) hand() {
	batch := r.batch
	r.batch = nil
	if len(batch) == 0 {
		return
	}
	if !r.live {
		r.queue <- batch
		return
	}
	select {
	case r.queue <- batch:
	default:
		r.miss(len(batch), errors.New("the disk does not keep up"))
	}
}

func (r *recorder) miss(n int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lost += int64(n)
	if text := err.Error(); text != r.failed {
		r.failed = text
		r.event("history: " + text + "; records are judged but not remembered until it can be written again")
	}
}

// went says that a portion was written.
func (r *recorder) went() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failed != "" {
		r.failed = ""
		r.event("history: written again")
	}
}

func (r *recorder) write() {
	defer close(r.done)
	part := int64(0)
	for batch := range r.queue {
		err := r.memory.History.Append(context.Background(), history.Ingest{ID: r.id, Part: part, At: r.memory.Now()}, batch)
		part++
		if err != nil {
			r.miss(len(batch), err)
			continue
		}
		r.went()
	}
}

// named learns which machine of ours has a name from when to when.
func (r *recorder) named(rec testudo.Record) {
	d, ok := rec.(*testudo.DHCP)
	if !ok || !d.Assigned.IsValid() || d.HostName == "" {
		return
	}
	h, known := r.names[d.Assigned]
	if known && h.Name != d.HostName {
		r.hold()
		known = false
	}
	if !known {
		if len(r.names) >= maxNamesHeld {
			r.hold()
		}
		h = state.Holding{Address: d.Assigned, Name: d.HostName, Source: "dhcp", First: d.Time}
	}
	h.Last = max(h.Last, d.Time)
	r.names[d.Assigned] = h
}

// hold remembers the names learned until now.
func (r *recorder) hold() {
	list := slices.SortedFunc(maps.Values(r.names), func(a, b state.Holding) int { return a.Address.Compare(b.Address) })
	clear(r.names)
	if err := r.memory.State.Hold(list); err != nil {
		r.event("names of hosts could not be remembered: " + err.Error())
	}
}

// close waits until all is written, and brings the history into order.
func (r *recorder) close(ctx context.Context) (lost int64, err error) {
	r.hand()
	close(r.queue)
	<-r.done
	r.hold()
	if _, err := r.memory.Upkeep(ctx); err != nil && ctx.Err() == nil {
		return r.lost, fmt.Errorf("history: %w", err)
	}
	return r.lost, nil
}
