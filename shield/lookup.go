package shield

import (
	"context"
	"fmt"
	"slices"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/intel"
	"github.com/testudo-shield/testudo/keep/history"
	"github.com/testudo-shield/testudo/keep/state"
	"github.com/testudo-shield/testudo/tell/inquiry"
)

// ErrNoValue says that what was asked is no observable.
var ErrNoValue = fmt.Errorf("%w: want an address, name, URL, fingerprint or hash", state.ErrInvalid)

// Lookup tells all that is known of one value. Damaged files of the history
// are missing from that.
func (m *Memory) Lookup(ctx context.Context, asked string) (c *inquiry.Card, damaged []history.Damage, err error) {
	t, value, ok := intel.Classify(asked)
	if !ok {
		return nil, nil, fmt.Errorf("%q: %w", asked, ErrNoValue)
	}
	c = &inquiry.Card{Value: value, Sort: sortOf(t), Now: m.Now()}
	if c.Listed, c.Known, err = m.listings(t, value); err != nil {
		return nil, nil, err
	}
	allow, err := m.State.Allowances(m.Now(), state.Allow)
	if err != nil {
		return nil, nil, err
	}
	for _, a := range allow.Concerning(value, m.Now()) {
		c.Allowed = fmt.Sprintf("%s (%s, by %s)", a.Why, a.Value, a.Who)
		break
	}
	if c.Seen, damaged, err = m.Seen(ctx, value); err != nil {
		return nil, nil, err
	}
	c.Incidents, err = m.casesOf(value)
	return c, damaged, err
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

// listings returns the indicators that speak of a value, with marks and names,
// and the warning lists that it stands on.
func (m *Memory) listings(t testudo.IndicatorType, value string) (found []testudo.Indicator, on []string, err error) {
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
