package shield

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/detector"
	"github.com/testudo-shield/testudo/judge/intel"
	"github.com/testudo-shield/testudo/keep/history"
	"github.com/testudo-shield/testudo/tell/inquiry"
)

// LookBack looks in history for indicators that became known.
type LookBack struct {
	Detector detector.Detector // the one that judges hits
	Since    testudo.Time      // wall time: what was imported then or later is new
	Progress func(chunk, chunks int, p history.Progress)
}

// LookedBack is what was found.
type LookedBack struct {
	Values    int // that were looked for
	Visits    []Visit
	Incidents []testudo.Incident // that hold them, under their lasting IDs
	Coverage  testudo.Coverage   // how much of the past was recorded
}

// Visit is that a machine of ours had to do with a value before it was known
// to be bad.
type Visit struct {
	testudo.Sighting
	Value  string
	Listed bool // a list says that it knew of it then
}

// values in one scan.
const chunkOfValues = 50_000

// Run looks for what is new, judges what it finds together with all that is
// remembered, and keeps it.
func (l LookBack) Run(ctx context.Context, m *Memory) (LookedBack, error) {
	var out LookedBack
	set, chunks, err := l.news(ctx, m)
	if err != nil || len(chunks) == 0 {
		return out, err
	}
	seen := l.Detector.New(maxRemembered)
	hits := detector.Out{}
	for i, chunk := range chunks {
		out.Values += len(chunk)
		_, err := m.History.Scan(ctx, testudo.Query{Values: valuesOf(chunk)}, func(r testudo.Record) bool {
			if b := hold(r, set, chunk); b != nil {
				hits.Now = b.Time
				seen.Observe(r, &hits)
			}
			return true
		}, func(p history.Progress) {
			if l.Progress != nil {
				l.Progress(i+1, len(chunks), p)
			}
		})
		if err != nil {
			return out, fmt.Errorf("history: %w", err)
		}
	}
	seen.Tick(hits.Now, true, &hits)
	if out.Coverage, err = m.coverage(0, m.Now()); err != nil || len(hits.Sightings) == 0 {
		return out, err
	}
	slices.SortFunc(hits.Sightings, func(a, b testudo.Sighting) int {
		return cmp.Or(cmp.Compare(a.First, b.First), cmp.Compare(a.Key, b.Key))
	})
	for _, s := range hits.Sightings {
		out.Visits = append(out.Visits, visit(s, set))
	}
	out.Incidents, err = m.tellSightings(hits.Sightings)
	return out, err
}

// news returns all that is known, and the new values by chunks. What nobody
// can be blamed for is not looked for.
func (l LookBack) news(ctx context.Context, m *Memory) (set *intel.Set, chunks []map[string]testudo.IndicatorType, err error) {
	k, err := m.known()
	if err != nil {
		return nil, nil, err
	}
	var chunk map[string]testudo.IndicatorType
	had := map[string]bool{}
	for ind, err := range m.State.Indicators(ctx, "", l.Since) {
		if err != nil {
			return nil, nil, err
		}
		const nobodys = testudo.MarkPrivate | testudo.MarkSuffix | testudo.MarkWide
		if had[ind.Value] || intel.Mark(&ind, k.warnings)&nobodys != 0 {
			continue
		}
		had[ind.Value] = true
		if len(chunk) == 0 || len(chunk) == chunkOfValues {
			chunk = map[string]testudo.IndicatorType{}
			chunks = append(chunks, chunk)
		}
		chunk[ind.Value] = ind.Type
	}
	if len(chunks) == 0 {
		return nil, nil, nil
	}
	all := loading{known: k}
	if err := all.build(ctx, m); err != nil {
		return nil, nil, err
	}
	return all.set, chunks, nil
}

// valuesOf makes values a question to history.
func valuesOf(chunk map[string]testudo.IndicatorType) *testudo.Values {
	v := &testudo.Values{}
	for value, t := range chunk {
		switch t {
		case testudo.AddressIndicator:
			if a, err := netip.ParseAddr(value); err == nil {
				v.Addresses = append(v.Addresses, a)
			}
		case testudo.PrefixIndicator:
			if p, err := netip.ParsePrefix(value); err == nil {
				v.Prefixes = append(v.Prefixes, p)
			}
		case testudo.DomainIndicator, testudo.HostIndicator:
			v.Names = append(v.Names, value)
		case testudo.URLIndicator:
			v.URLs = append(v.URLs, value)
		default:
			v.Prints = append(v.Prints, value)
		}
	}
	slices.SortFunc(v.Addresses, netip.Addr.Compare)
	slices.SortFunc(v.Prefixes, netip.Prefix.Compare)
	slices.Sort(v.Names)
	slices.Sort(v.URLs)
	slices.Sort(v.Prints)
	return v
}

// hold puts on a record from history what annotate would: which end is ours,
// and the hits among the values; nil if there are none.
func hold(r testudo.Record, set *intel.Set, values map[string]testudo.IndicatorType) *testudo.Meta {
	b := r.Base()
	orig, resp := b.ID.Orig.Addr(), b.ID.Resp.Addr()
	switch c := &b.About; {
	case c.OrigLocal:
		c.Host, c.Peer, c.Outbound = orig, resp, true
	case c.RespLocal:
		c.Host, c.Peer = resp, orig
	default:
		return nil
	}
	switch r := r.(type) {
	case *testudo.TLS:
		b.About.Name = r.ServerName
	case *testudo.QUIC:
		b.About.Name = r.ServerName
	case *testudo.HTTP:
		b.About.Name = r.Host
	}
	b.About.Hits = slices.DeleteFunc(set.Match(r), func(h testudo.Hit) bool { _, asked := values[h.Value]; return !asked })
	if len(b.About.Hits) == 0 {
		return nil
	}
	return b
}

// visit tells whether a list knew of a value when it was visited.
func visit(s testudo.Sighting, set *intel.Set) Visit {
	v := Visit{Sighting: s}
	for _, f := range s.Evidence {
		if text, ok := f.Value.(string); ok && f.Name == "indicator" {
			v.Value = text
		}
	}
	t, value, ok := intel.Classify(v.Value)
	if !ok {
		return v
	}
	for _, h := range set.Lookup(t, value, s.First) {
		v.Listed = v.Listed || h.Listed != 0 && h.Listed <= s.First
	}
	return v
}

// tellSightings remembers sightings, judges them together with all that was
// remembered before, and returns the incidents that hold any of them.
func (m *Memory) tellSightings(fresh []testudo.Sighting) ([]testudo.Incident, error) {
	told, _, err := m.tell([]testudo.Incident{{Sightings: fresh}}) // only what it holds counts
	return told, err
}

// coverage is how much of a time was recorded; from 0 is from the first to the
// last that was.
func (m *Memory) coverage(from, to testudo.Time) (testudo.Coverage, error) {
	beats, err := m.State.Heartbeats(from, to)
	if err != nil {
		return testudo.Coverage{}, err
	}
	all := make([]testudo.Heartbeat, len(beats))
	first, last := to, testudo.Time(0)
	for i, b := range beats {
		all[i] = testudo.Heartbeat{Sensor: b.Sensor, Link: b.Link, Span: testudo.Span{From: b.First, To: b.Last}, Packets: b.Packets, Lost: b.Lost}
		first, last = min(first, b.First), max(last, b.Last)
	}
	if from == 0 && len(beats) > 0 {
		from, to = first, max(first, last)
	}
	return inquiry.Cover(from, to, all), nil
}
