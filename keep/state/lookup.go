package state

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"github.com/testudo-shield/testudo"
)

// Listed is an indicator found for a value.
type Listed struct {
	testudo.Indicator
	Added testudo.Time // wall time when it was first imported
}

// Lookup returns every indicator that speaks of a value: of the value
// itself, of a parent of a name, of a prefix that holds an address, of the
// host of a URL. Ordered by type, value and source.
func (s *State) Lookup(value string) (found []Listed, err error) {
	sources, err := s.sourceRows("")
	if err != nil {
		return nil, s.fail("look up "+value, err)
	}
	st, err := s.readers.Prepare("SELECT " + indicatorColumns + ", added FROM indicators WHERE source = ? AND type = ? AND value = ?")
	if err != nil {
		return nil, s.fail("look up "+value, err)
	}
	defer st.Close()
	for _, w := range wanted(value) {
		for _, r := range sources {
			rows, err := st.Query(r.id, string(w.Type), w.Value)
			if err != nil {
				return nil, s.fail("look up "+value, err)
			}
			var scan indicatorScan
			var hit Listed
			for rows.Next() {
				if err = scan.row(rows, &hit.Added); err != nil {
					break
				}
				hit.Indicator = scan.Indicator
				hit.Source, hit.Licence = r.name, cmp.Or(hit.Licence, r.licence)
				found = append(found, hit)
			}
			if err := cmp.Or(err, rows.Err(), rows.Close()); err != nil {
				return nil, s.fail("look up "+value, err)
			}
		}
	}
	slices.SortStableFunc(found, func(a, b Listed) int {
		return cmp.Or(order(&a.Indicator, &b.Indicator), cmp.Compare(a.Source, b.Source))
	})
	return found, nil
}

// wanted is what may be stored of a value, without what it cannot be.
func wanted(value string) (all []testudo.Indicator) {
	add := func(t testudo.IndicatorType, v string) { all = append(all, testudo.Indicator{Type: t, Value: v}) }
	value = strings.TrimSpace(value)
	lower := canonical(value)
	if a, err := netip.ParseAddr(lower); err == nil {
		add(testudo.AddressIndicator, lower)
		holding(netip.PrefixFrom(a, a.BitLen()), add)
		return all
	}
	if p, err := netip.ParsePrefix(lower); err == nil {
		holding(p, add)
		return all
	}
	for _, t := range allTypes {
		switch t {
		case testudo.AddressIndicator, testudo.PrefixIndicator, testudo.DomainIndicator:
		default:
			add(t, lower)
			if value != lower {
				add(t, value) // agents, and paths of URLs, keep their case
			}
		}
	}
	_, rest, isURL := strings.Cut(value, "://")
	if isURL {
		host, path, _ := strings.Cut(rest, "/")
		add(testudo.URLIndicator, strings.ToLower(host)+"/"+path)
		return append(all, wanted(host)...)
	}
	if host, path, ok := strings.Cut(value, "/"); ok {
		add(testudo.URLIndicator, strings.ToLower(host)+"/"+path)
		return append(all, wanted(host)...)
	}
	for name, ok := lower, true; ok; _, name, ok = strings.Cut(name, ".") {
		add(testudo.DomainIndicator, name)
	}
	return all
}

// holding adds all prefixes that hold p, the narrowest first.
func holding(p netip.Prefix, add func(testudo.IndicatorType, string)) {
	for bits := p.Bits(); bits >= 0; bits-- {
		wider, _ := p.Addr().Prefix(bits) // bits is never out of range
		add(testudo.PrefixIndicator, wider.String())
	}
}
