package shield

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/intel"
	"github.com/testudo-shield/testudo/keep/history"
	"github.com/testudo-shield/testudo/keep/state"
	"github.com/testudo-shield/testudo/tell/inquiry"
)

// Explain tells why a thing is believed what it is: an incident by its ID, an
// address or a name. Of the latter it also tells where recorded history has
// it; damaged files are missing from that.
func (m *Memory) Explain(ctx context.Context, subject string) (e *inquiry.Explanation, damaged []history.Damage, err error) {
	e = &inquiry.Explanation{Subject: subject, Now: m.Now()}
	in, err := m.State.Get(subject)
	switch {
	case err == nil:
		c, _ := CaseOf(&in)
		e.Subject, e.Cases = c.ID, []inquiry.Case{c}
	case errors.Is(err, state.ErrAmbiguous), strings.HasPrefix(strings.ToUpper(subject), "INC-"), !errors.Is(err, state.ErrNotFound):
		return nil, nil, err
	default:
		if e.Cases, err = m.casesOf(subject); err != nil {
			return nil, nil, err
		}
	}
	if e.Listed, err = m.listed(e); err != nil {
		return nil, nil, err
	}
	if e.Allowed, err = m.rules(e); err != nil {
		return nil, nil, err
	}
	if sought := values(e); len(sought) > 0 { // sources of a flood may be forged, and are none
		e.Seen, damaged, err = m.Seen(ctx, sought...)
	}
	return e, damaged, err
}

// casesOf returns the incidents in which an address or a name takes part.
func (m *Memory) casesOf(value string) (cases []inquiry.Case, err error) {
	had := map[string]bool{}
	for _, f := range []state.Filter{{Victim: value}, {Server: value}} {
		found, err := m.State.List(f)
		if err != nil {
			return nil, err
		}
		for i := range found {
			if had[found[i].ID] {
				continue
			}
			had[found[i].ID] = true
			full, err := m.State.Get(found[i].ID)
			if err != nil {
				return nil, err
			}
			c, _ := CaseOf(&full)
			cases = append(cases, c)
		}
	}
	slices.SortFunc(cases, func(a, b inquiry.Case) int {
		return cmp.Or(cmp.Compare(a.First, b.First), cmp.Compare(a.ID, b.ID))
	})
	return cases, nil
}

// values are what an explanation is about: its subject, and the servers of
// its incidents.
func values(e *inquiry.Explanation) (list []string) {
	if len(e.Cases) == 0 || e.Cases[0].ID != e.Subject {
		list = append(list, e.Subject)
	}
	for i := range e.Cases {
		for _, s := range e.Cases[i].Servers {
			if s.Address.IsValid() {
				list = append(list, s.Address.String())
			}
			list = append(list, s.Names...)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

func (m *Memory) listed(e *inquiry.Explanation) (found []testudo.Indicator, err error) {
	for _, v := range values(e) {
		t, v, ok := intel.Classify(v)
		if !ok {
			continue
		}
		hits, _, err := m.listings(t, v)
		if err != nil {
			return nil, err
		}
		found = append(found, hits...)
	}
	return found, nil
}

func (m *Memory) rules(e *inquiry.Explanation) (rules []inquiry.Rule, err error) {
	allow, err := m.State.Allowances(e.Now, state.Allow)
	if err != nil {
		return nil, err
	}
	had := map[int64]bool{}
	for _, v := range values(e) {
		for _, a := range allow.Concerning(v, e.Now) {
			if !had[a.ID] {
				had[a.ID] = true
				rules = append(rules, inquiry.Rule{What: a.Value, Why: a.Why, By: a.Who, Since: a.Since, Until: a.Until})
			}
		}
	}
	return rules, nil
}

// Seen tells where recorded history has any of some values: addresses,
// networks, names with those below them, fingerprints. Damaged files are
// missing from the answer.
func (m *Memory) Seen(ctx context.Context, list ...string) (inquiry.Seen, []history.Damage, error) {
	h := &inquiry.Hunt{Question: strings.Join(list, " "), Limit: 1}
	got, err := m.Hunt(ctx, h, testudo.Query{Values: valuesFor(list)}, nil)
	return inquiry.Seen{First: h.First, Last: h.Last, Records: h.Found, Hosts: h.Hosts(), Coverage: h.Coverage}, got.Damaged, err
}

func valuesFor(list []string) *testudo.Values {
	sorts := map[string]testudo.IndicatorType{}
	for _, text := range list {
		if t, value, ok := intel.Classify(text); ok {
			sorts[value] = t
		}
	}
	return valuesOf(sorts)
}
