package ipfix

import (
	"hash/maphash"
	"net/netip"
	"slices"
	"time"

	"github.com/testudo-shield/testudo"
)

const (
	maxDomains  = 1024 // that are remembered; the one silent for longest gives way
	maxSamplers = 64   // of a domain
	// clockOff is how far an exporter's clock may be off before it is set
	// right and told.
	clockOff = 5 * time.Minute
	// restart is a step of sequence numbers that is no loss.
	restart = 1 << 16
)

// domainKey names one stream of messages. Ports are left out: exporters
// change them at every start.
type domainKey struct {
	from netip.Addr // invalid for a file of bare messages
	file string
	kind kind
	id   uint32 // observation domain, source id, engine, sub-agent
}

// losses is what an exporter told and we do not know.
type losses struct {
	flows     int64 // by gaps in the sequence, as far as they can be counted in flows
	messages  int64 // of those that count messages, lost
	sets      int64 // data sets whose template never came
	templates int64 // beyond the bound
	records   int64 // damaged
	samples   int64 // the exporter itself gave up
}

// domain is what is known of one stream of messages.
type domain struct {
	key       domainKey
	index     uint32
	used      uint64 // when last, by count of datagrams
	templates map[uint16]*template
	waiting   []waiting
	waitBytes int

	samplers map[uint64]int64
	rate     int64 // of what names no sampler, 0 for not told

	latest    [16]uint64 // messages, hashed: networks and captures double them
	latestAt  uint8
	next      uint32 // sequence number that is due
	expected  bool
	late      bool         // this message came after one behind it
	perMsg    float64      // records of a message, on average
	boot      testudo.Time // when the exporter began, as told by v5 and v9
	shift     time.Duration
	clockSaid time.Duration
	maxRate   int64 // that was used
	losses    losses
}

// domain finds what is known of a stream of messages, or begins to know it.
func (c *collector) domain(k domainKey) *domain {
	d := c.domains[k]
	if d == nil {
		if len(c.domains) >= maxDomains {
			c.forgetDomain()
		}
		c.count++
		d = &domain{key: k, index: c.count, templates: map[uint16]*template{}}
		c.domains[k] = d
	}
	d.used = c.stats.datagrams
	return d
}

// forgetDomain gives up the domain that was silent for longest; its losses
// stay counted.
func (c *collector) forgetDomain() {
	var oldest *domain
	for _, d := range c.domains {
		if oldest == nil || d.used < oldest.used {
			oldest = d
		}
	}
	c.gone.add(oldest)
	c.stats.domains++
	delete(c.domains, oldest.key)
}

// add sums up losses; what still waits for its template is lost too.
func (l *losses) add(d *domain) {
	l.flows += d.losses.flows
	l.messages += d.losses.messages
	l.sets += d.losses.sets + int64(len(d.waiting))
	l.templates += d.losses.templates
	l.records += d.losses.records
	l.samples += d.losses.samples
}

// repeated tells whether a message came a moment ago, byte for byte.
func (d *domain) repeated(b []byte, seed maphash.Seed) bool {
	h := maphash.Bytes(seed, b)
	if slices.Contains(d.latest[:], h) {
		return true
	}
	d.latest[d.latestAt%uint8(len(d.latest))] = h
	d.latestAt++
	return false
}

// tick compares the exporter's clock with ours. Where it is far off the
// flows' times are set right by the difference.
func (d *domain) tick(at, export testudo.Time) {
	if d.key.file != "" {
		return // a file of bare messages has no other clock
	}
	off := at.Sub(export)
	switch {
	case off.Abs() <= clockOff:
		d.shift = 0
	case d.shift == 0 || (off-d.shift).Abs() > time.Minute:
		d.shift, d.clockSaid = off, off
	}
}

// booted returns when the exporter began by its own clock. Version 9 tells the
// moment of export in whole seconds but uptimes in milliseconds, so each
// message alone would be up to a second early, each by another share: the
// latest word is the best, until the clock is set.
func (d *domain) booted(m *message) testudo.Time {
	word := m.export.Add(-millis(m.uptime))
	if off := word.Sub(d.boot); d.boot == 0 || off > 0 || off < -1500*time.Millisecond {
		d.boot = word
	}
	return d.boot
}

// expect holds a message's sequence number against the one that is due. One
// that was missed is told once; one that comes late is taken back. Each
// message counts for step, 0 if it counts for its records.
func (d *domain) expect(n uint32, step int) {
	gap := int64(int32(n - d.next))
	if !d.expected || gap == 0 || gap > restart || gap < -restart {
		d.next = n
		d.expected = true
		return
	}
	if gap > 0 {
		if step > 0 {
			d.losses.messages += gap
			gap = int64(float64(gap) * max(1, d.perMsg))
		}
		d.losses.flows += gap
		d.next = n
		return
	}
	// Late: it was counted as lost, and what is due stays as it is.
	d.losses.flows = max(0, d.losses.flows-max(1, int64(d.perMsg)))
	if step > 0 {
		d.losses.messages = max(0, d.losses.messages-1)
	}
	d.late = true
}

// got tells how many records the message had, and by how much the sequence
// went on; below 0 that is not known.
func (d *domain) got(records, step int) {
	if records >= 0 {
		d.perMsg += (float64(records) - d.perMsg) / 16
	}
	switch {
	case d.late:
		d.late = false
	case step < 0:
		d.expected = false
	default:
		d.next += uint32(step)
	}
}

// sample learns the rate of a sampler; sampler 0 is the domain's own.
func (d *domain) sample(sampler uint64, rate int64) {
	if rate < 1 || rate > maxRate {
		return
	}
	if d.samplers == nil {
		d.samplers = map[uint64]int64{}
	}
	if _, ok := d.samplers[sampler]; ok || len(d.samplers) < maxSamplers {
		d.samplers[sampler] = rate
	}
	d.rate = rate
}

// rateOf returns the sampling rate of a flow, 1 if nothing was told.
func (d *domain) rateOf(r *record) int64 {
	rate := r.sampling()
	if rate == 0 {
		rate = d.samplers[r.sampler]
	}
	if rate == 0 {
		rate = d.rate
	}
	rate = max(1, rate)
	d.maxRate = max(d.maxRate, rate)
	return rate
}
