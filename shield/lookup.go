package shield

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/intel"
	"github.com/testudo-shield/testudo/keep/state"
	"github.com/testudo-shield/testudo/tell/inquiry"
)

// ErrNoValue says that what was asked is no observable.
var ErrNoValue = fmt.Errorf("%w: want an address, name, URL, fingerprint or hash", state.ErrInvalid)

// Lookup tells all that is known of one value.
func (m *Memory) Lookup(ctx context.Context, asked string) (*inquiry.Card, error) {
	t, value, ok := intel.Classify(asked)
	if !ok {
		return nil, fmt.Errorf("%q: %w", asked, ErrNoValue)
	}
	c := &inquiry.Card{Value: value, Sort: sortOf(t), Now: m.Now()}
	var err error
	if c.Listed, c.Known, err = m.listed(t, value); err != nil {
		return nil, err
	}
	allow, err := m.State.Allowances(m.Now(), state.Allow)
	if err != nil {
		return nil, err
	}
	for _, a := range allow.Concerning(value, m.Now()) {
		c.Allowed = fmt.Sprintf("%s (%s, by %s)", a.Why, a.Value, a.Who)
		break
	}
	if c.Seen, err = m.seen(ctx, t, value); err != nil {
		return nil, err
	}
	c.Incidents, err = m.casesOf(t, value)
	return c, err
}

func sortOf(t testudo.IndicatorType) string {
	switch t {
	case testudo.DomainIndicator, testudo.HostIndicator:
		return "name"
	case testudo.JA3Indicator, testudo.JA4Indicator:
		return "fingerprint"
	}
	return string(t)
}

// listed returns the indicators that speak of a value, with marks and names,
// and the warning lists that it stands on.
func (m *Memory) listed(t testudo.IndicatorType, value string) (found []testudo.Indicator, on []string, err error) {
	k, err := m.known()
	if err != nil {
		return nil, nil, err
	}
	rows, err := m.State.Lookup(value)
	if err != nil {
		return nil, nil, err
	}
	for _, r := range rows {
		found = append(found, k.dress(r.Indicator))
	}
	for _, w := range k.warnings.Of(t, value) {
		// Who has an address of rented space is not known by that.
		if w.Mark&testudo.MarkKnown != 0 && !slices.Contains(on, w.List) {
			on = append(on, w.List)
		}
	}
	if t == testudo.AddressIndicator || t == testudo.PrefixIndicator || t == testudo.DomainIndicator {
		own := testudo.Indicator{Type: t, Value: value}
		if words := intel.Mark(&own, nil).Words(); len(words) > 0 {
			on = append(on, words...)
		}
	}
	slices.Sort(on)
	return found, on, nil
}

// dress puts marks, the end of its life and its threats' names on an
// indicator.
func (k *known) dress(ind testudo.Indicator) testudo.Indicator {
	ind.Marks = intel.Mark(&ind, k.warnings)
	ind.Expires = intel.Expires(&ind)
	ind.Threats = k.names.of(ind.Threats)
	return ind
}

// maxTouched bounds the hosts that are told apart.
const maxTouched = 10_000

// seen tells what history holds of a value.
func (m *Memory) seen(ctx context.Context, t testudo.IndicatorType, value string) (s inquiry.Seen, err error) {
	hosts := map[netip.Addr]*inquiry.Touched{}
	_, err = m.History.Scan(ctx, testudo.Query{Values: valuesOf(map[string]testudo.IndicatorType{value: t})}, func(r testudo.Record) bool {
		b := r.Base()
		if s.Records == 0 || b.Time < s.First {
			s.First = b.Time
		}
		s.Last = max(s.Last, b.Time)
		s.Records++
		host := b.ID.Orig.Addr()
		if b.About.RespLocal && !b.About.OrigLocal {
			host = b.ID.Resp.Addr()
		}
		h := hosts[host]
		if h == nil {
			if len(hosts) >= maxTouched {
				return true
			}
			h = &inquiry.Touched{Address: host, First: b.Time}
			hosts[host] = h
		}
		h.First, h.Last = min(h.First, b.Time), max(h.Last, b.Time)
		h.Records++
		return true
	}, nil)
	if err != nil {
		return s, fmt.Errorf("history: %w", err)
	}
	for _, h := range hosts {
		s.Hosts = append(s.Hosts, *h)
	}
	slices.SortFunc(s.Hosts, func(a, b inquiry.Touched) int {
		if a.Records != b.Records {
			return int(b.Records - a.Records)
		}
		return a.Address.Compare(b.Address)
	})
	s.Coverage, err = m.coverage(0, m.Now())
	return s, err
}

// casesOf returns the incidents that a value takes part in.
func (m *Memory) casesOf(t testudo.IndicatorType, value string) (all []inquiry.Case, err error) {
	if t != testudo.AddressIndicator && t != testudo.DomainIndicator && t != testudo.HostIndicator {
		return nil, nil
	}
	had := map[string]bool{}
	for _, f := range []state.Filter{{Server: value}, {Victim: value}} {
		found, err := m.State.List(f)
		if err != nil {
			return nil, err
		}
		for i := range found {
			if !had[found[i].ID] {
				had[found[i].ID] = true
				all = append(all, inquiry.Case{Incident: found[i].Incident, State: string(found[i].State)})
			}
		}
	}
	return all, nil
}
