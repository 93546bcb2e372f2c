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

// question is what is asked for of each source.
type question struct {
	Type  testudo.IndicatorType
	Value string
}

// questions holds each once.
type questions []question

func (q *questions) add(t testudo.IndicatorType, v string) {
	if ask := (question{t, v}); !slices.Contains(*q, ask) {
		*q = append(*q, ask)
	}
}

// wanted is what may be stored of a value, without what it cannot be.
func wanted(value string) (all questions) {
	value = strings.TrimSpace(value)
	lower := canonical(value)
	if a, err := netip.ParseAddr(lower); err == nil {
		all.add(testudo.AddressIndicator, lower)
		all.prefixes(netip.PrefixFrom(a, a.BitLen()))
		return all
	}
	if p, err := netip.ParsePrefix(lower); err == nil {
		all.prefixes(p)
		return all
	}
	for _, t := range allTypes {
		switch t {
		case testudo.AddressIndicator, testudo.PrefixIndicator, testudo.DomainIndicator:
		default:
			all.add(t, lower)
			all.add(t, value) // agents, and paths of URLs, keep their case
		}
	}
	url := value
	if _, rest, ok := strings.Cut(value, "://"); ok {
		url = rest
	}
	if host, path, ok := strings.Cut(url, "/"); ok || url != value {
		all.add(testudo.URLIndicator, strings.ToLower(host)+"/"+path)
		return append(all, wanted(bare(host))...)
	}
	for name, ok := lower, true; ok; _, name, ok = strings.Cut(name, ".") {
		all.add(testudo.DomainIndicator, name)
	}
	return all
}

// bare cuts a port off the host of a URL.
func bare(host string) string {
	if a, err := netip.ParseAddrPort(host); err == nil {
		return a.Addr().String()
	}
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		host = host[:i]
	}
	return strings.Trim(host, "[]")
}

// prefixes adds all that hold p, the narrowest first.
func (q *questions) prefixes(p netip.Prefix) {
	for bits := p.Bits(); bits >= 0; bits-- {
		wider, _ := p.Addr().Prefix(bits) // bits is never out of range
		q.add(testudo.PrefixIndicator, wider.String())
	}
}
