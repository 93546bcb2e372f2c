package ipfix

import (
	"hash/maphash"
	"time"

	"github.com/testudo-shield/testudo"
)

// collector turns datagrams into records. It is not safe for concurrent use.
type collector struct {
	domains map[domainKey]*domain
	count   uint32
	gone    losses // of domains that were forgotten
	stats   stats
	table   table
	now     testudo.Time
	record  record
	seed    maphash.Seed
	out     []*testudo.Conn // complete, to be handed out
	given   int             // of them
}

// stats is what a collector counts beside the losses of each exporter.
type stats struct {
	datagrams  uint64
	foreign    int64 // datagrams that are no export, or damaged
	repeated   int64 // datagrams that came twice
	denied     int64 // from exporters that are not allowed
	flows      int64
	empty      int64 // flows without addresses or without a packet
	duplicates int64 // seen by a second observer
	timeless   int64 // flows whose times were more than a day off
	domains    int64 // forgotten
}

func newCollector(conns int) *collector {
	c := &collector{domains: map[domainKey]*domain{}, seed: maphash.MakeSeed()}
	c.table = table{index: map[key]uint32{}, limit: max(16, conns), emit: func(r *testudo.Conn) { c.out = append(c.out, r) }}
	return c
}

// advance lets time go on: what has waited long enough is reported.
func (c *collector) advance(at testudo.Time) {
	if at > c.now {
		c.now = at
		c.table.advance(at)
	}
}

// take returns the next record that is complete, nil for none.
func (c *collector) take() testudo.Record {
	if c.given == len(c.out) {
		c.out, c.given = c.out[:0], 0
		return nil
	}
	r := c.out[c.given]
	c.out[c.given] = nil
	c.given++
	return r
}

// farOff is how far a flow's end may be from its export before the exporter's
// word on it is not believed.
const farOff = 24 * time.Hour

// maxFlow is the longest flow that is believed.
const maxFlow = 7 * 24 * time.Hour

// flow finishes one data record and gives it to the table.
func (c *collector) flow(m *message, r *record) {
	c.stats.flows++
	d := m.from
	a, b := &r.way[0], &r.way[1]
	if !r.src.IsValid() || !r.dst.IsValid() || r.src.Is4() != r.dst.Is4() {
		c.stats.empty++
		return
	}
	rate := d.rateOf(r)
	for i := range r.way {
		c.times(m, r, &r.way[i])
		r.way[i].scale(rate)
		r.way[i].fill(r)
	}
	if !r.hasICMP {
		r.icmp = r.dport // NetFlow v5, and many others, tell it there
	}
	if a.pkts == 0 && b.pkts == 0 {
		c.stats.empty++
		return
	}
	p := piece{now: c.now, origin: d.index << 1, sampled: rate > 1, r: r}
	if r.egress {
		p.origin |= 1
	}
	if !c.table.add(&p) {
		c.stats.duplicates++
	}
}

// fill completes what an exporter left out: packets where only bytes are
// told, bytes where only payload is.
func (w *heading) fill(r *record) {
	if w.pkts == 0 && (w.bytes > 0 || w.payload > 0) {
		w.pkts = 1
	}
	least := overhead(r.proto, r.src.Is4())
	if w.bytes == 0 && w.pkts > 0 {
		w.bytes = w.pkts*least + max(0, w.payload)
	}
	if w.payload < 0 {
		w.payload = payload(w, r.proto, least)
	}
}

func (w *heading) scale(rate int64) {
	w.pkts = min(w.pkts, maxCount/rate) * rate
	w.bytes = min(w.bytes, maxCount/rate) * rate
	if w.payload > 0 {
		w.payload = min(w.payload, maxCount/rate) * rate
	}
}

// overhead is what IP and the transport take at least of each packet.
func overhead(p testudo.Proto, v4 bool) int64 {
	n := int64(40)
	if v4 {
		n = 20
	}
	switch p {
	case testudo.TCP:
		return n + 20
	case testudo.UDP, testudo.ICMP, testudo.ICMPv6:
		return n + 8
	}
	return n
}

// TCP carries timestamps in most packets, and more options in the first one.
const (
	usualOptions = 12
	mostOptions  = 40
)

// payload estimates what bytes of whole packets carry above the transport.
// Packets that would fit no more than headers carry nothing.
func payload(w *heading, p testudo.Proto, least int64) int64 {
	if p != testudo.TCP {
		return max(0, w.bytes-w.pkts*least)
	}
	if w.flags&flagPSH == 0 && w.bytes <= w.pkts*(least+mostOptions) && w.pkts <= 4 {
		return 0
	}
	return max(0, w.bytes-w.pkts*(least+usualOptions))
}

// times brings a direction's start and end to one clock.
func (c *collector) times(m *message, r *record, w *heading) {
	switch {
	case w.start != 0 || w.end != 0:
	case w.hasUp && r.init != 0:
		w.start, w.end = r.init.Add(millis(w.upStart)), r.init.Add(millis(w.upEnd))
	case w.hasUp && m.version != 10:
		now := m.boot.Add(millis(m.uptime)) // uptimes wrap after 49 days
		w.start = now.Add(-time.Duration(int32(m.uptime-w.upStart)) * time.Millisecond)
		w.end = now.Add(-time.Duration(int32(m.uptime-w.upEnd)) * time.Millisecond)
	case r.hasBefore:
		w.start, w.end = m.export.Add(-r.before[0]), m.export.Add(-r.before[1])
	case w == &r.way[1]:
		w.start, w.end = r.way[0].start, r.way[0].end // set right already
		return
	}
	switch {
	case w.end == 0 && w.start == 0:
		w.end = m.export
		w.start = w.end.Add(-r.duration)
	case w.end == 0:
		w.end = w.start.Add(r.duration)
	case w.start == 0:
		w.start = w.end.Add(-r.duration)
	}
	if w.end < w.start || w.end.Sub(w.start) > maxFlow {
		w.start = w.end
	}
	if off := m.export.Sub(w.end); off.Abs() > farOff {
		c.stats.timeless++
		w.start, w.end = w.start.Add(off), w.end.Add(off)
	}
	w.start, w.end = w.start.Add(m.from.shift), w.end.Add(m.from.shift)
}

func millis(n uint32) time.Duration { return time.Duration(n) * time.Millisecond }
