package tunnel

import (
	"cmp"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/detector"
)

// What is fixed about the judgement of a host's many domains.
const (
	// leastDomains is how many make a spread.
	leastDomains = 5
	// leastName is how many characters a name holds that carries something.
	leastName = 26
	// evenly is how many questions of one domain count, so that it takes many.
	evenly = 30
)

// Spread returns the detector of a tunnel that divides itself over many
// registered domains, each of which hears too little to be judged alone. It
// adds up, by the host that asks, the domains that no other host asks for and
// nobody visits. Who asks for a domain is known in one place only, so all of
// it is one memory; most questions cost it one look.
func Spread() detector.Detector {
	return detector.Detector{
		Name: "tunnel-spread", Needs: []string{"dns"},
		Habit: window, Slow: "slow tunnels over many domains",
		Route: func(r testudo.Record) (uint64, bool) {
			q, ok := r.(*testudo.DNS)
			if !ok {
				return 0, false
			}
			k, ok := keyOf(q)
			return 0, ok && k.domain != ""
		},
		New: func(entries int) detector.Memory {
			return &spread{
				domains: detector.NewTable[string, zone](entries),
				series:  detector.NewTable[netip.Addr, series](max(1, entries/8)),
			}
		},
	}
}

// carries tells whether a name's labels left of its domain can hold data. A
// key or a policy of mail (RFC 8552) is no longer than its place.
func carries(left string) bool {
	if len(left) < leastName || !isCoded(left) || isAddress(left) {
		return false
	}
	return len(left) > 63 || left[0] != '_' && !strings.Contains(left, "._")
}

type spread struct {
	domains *detector.Table[string, zone]
	series  *detector.Table[netip.Addr, series]
	visited bool // visits are seen at all
}

// series are the domains that one host gave encoded names, the latest of them.
type series struct {
	domains [64]string
	next    int
	asked   int // questions that could carry something
	due     int
	told    float64 // different names when it was claimed
	logit   float64
}

// add lists a domain once, in place of the oldest.
func (s *series) add(domain string) {
	if slices.Contains(s.domains[:], domain) {
		return
	}
	s.domains[s.next%len(s.domains)] = domain
	s.next++
}

// Observe implements detector.Memory.
func (m *spread) Observe(r testudo.Record, out *detector.Out) {
	q := r.(*testudo.DNS)
	m.visited = m.visited || q.About.QueryUsers >= 0
	m.question(q, out)
}

func (m *spread) question(r *testudo.DNS, out *detector.Out) {
	k := zoneKey{domain: r.About.QueryDomain}
	full := carries(payload(r.Query, k.domain))
	z := m.domains.Peek(k.domain)
	if z == nil && !full {
		return
	}
	if full {
		z, _ = m.domains.Put(k.domain)
	}
	if z.n == 0 || r.Time.Sub(z.first) > window {
		z.renew(r.Time)
	}
	z.add(k, r)
	z.visits = max(0, r.About.QueryUsers)
	host := endsOf(r).client
	if !full || z.distinct < 2 || z.isResolver(host) {
		return
	}
	s, _ := m.series.Put(host)
	s.add(k.domain)
	if s.asked++; s.asked < s.due || s.next < leastDomains {
		return
	}
	s.due = s.asked + s.asked/4 + 2
	m.series.Keep(host, m.judge(host, s, false, out) > -2)
}

// judge claims a host's series that became likely, or likelier, and returns
// how likely it is.
func (m *spread) judge(host netip.Addr, s *series, last bool, out *detector.Out) float64 {
	t := m.sum(host, s)
	logit := t.weigh(false).Logit()
	if logit > 0 && (s.told == 0 || logit > s.logit+1 || t.names >= 2*s.told || last && t.names > s.told) {
		s.told, s.logit = t.names, logit
		out.Claim(t.claim(host))
	}
	return logit
}

// Tick implements detector.Memory: at the end the last numbers are told.
func (m *spread) Tick(_ testudo.Time, last bool, out *detector.Out) {
	if !last {
		return
	}
	for host, s := range m.series.All {
		if s.next >= leastDomains {
			m.judge(host, s, true, out)
		}
	}
}

// Shed implements detector.Memory.
func (m *spread) Shed() int { return m.domains.Shed() + m.series.Shed() }

// total is what a host's domains amount to together.
type total struct {
	parts    []part
	names    float64 // different names, such as no one would type
	up, down float64
	replied  float64
	hosts    int
	visited  bool
}

type part struct {
	domain string
	*zone
}

func (m *spread) sum(host netip.Addr, s *series) total {
	t := total{visited: m.visited}
	for _, domain := range s.domains {
		z := m.domains.Peek(domain)
		if z == nil || !z.thin(zoneKey{domain: domain}, host) {
			continue
		}
		t.parts = append(t.parts, part{domain, z})
		share := min(1, evenly/float64(z.asked()))
		t.names += share * z.differing()
		t.up += share * z.up
		t.down += share * z.down
		t.replied += share * z.replied
		t.hosts = max(t.hosts, z.hosts)
	}
	slices.SortFunc(t.parts, func(a, b part) int {
		return cmp.Or(cmp.Compare(b.up+b.down, a.up+a.down), strings.Compare(a.domain, b.domain))
	})
	return t
}

// thin tells whether a zone can be a part of what host spreads: nobody else
// asks, nobody visits, nearly every name is new, encoded and long, and it is
// neither a list nor asked by hashes.
func (z *zone) thin(k zoneKey, host netip.Addr) bool {
	if z.company() > 1 || z.visits > 0 || z.loops > 0 || z.lookups > 0 || z.missing*2 > z.answered {
		return false
	}
	if z.distinct < 2 || z.coded < 0.9*z.distinct || z.up < leastName*z.coded || z.distinct < 0.7*float64(z.asked()) {
		return false
	}
	if z.shortest == z.longest && z.replied < 2 && isHashLength(z.longest) {
		return false
	}
	who := z.clients(k)
	return len(who) > 0 && who[0] == host
}

// isHashLength tells the lengths, in characters, of MD5, a UUID, SHA-1, SHA-224
// and SHA-256 as hexadecimal.
func isHashLength(n int) bool { return n == 32 || n == 36 || n == 40 || n == 56 || n == 64 }

func (t *total) weigh(telling bool) detector.Verdict {
	v := detector.Verdict{Telling: telling}
	n := len(t.parts)
	if n < leastDomains {
		v.Add(testudo.Base, -10, "too few domains")
		return v
	}
	v.Add(testudo.Base, -8, "hardly any host spreads data over domains")
	mean := t.up / t.names
	v.Add(testudo.Naming, min(4.5, max(-1, (mean-24)/14)), "%s different names that look encoded, with %.0f characters on average", number(t.names), mean)
	v.Add(testudo.Content, min(5.5, answerWeight(t.replied, t.down)), "%s different answers look encoded", number(t.replied))
	v.Add(testudo.Volume, max(-2, min(3.5, math.Log2((t.up+t.down+1)/500))), "%s could have been carried: %s in names, %s in answers", bytes(t.up+t.down), bytes(t.up), bytes(t.down))
	if t.names >= 20 {
		v.Add(testudo.Timing, 1, "nearly each question is for a name not asked before")
	}
	w, why := min(3, 1.2*math.Log2(float64(n)/4)), "each of %d domains is asked by this host only, of %d here, and nobody visits it"
	if !t.visited || t.hosts < 8 {
		w, why = w/2, "each of %d domains is asked by this host only, but little else is seen: %d hosts"
	}
	v.Add(testudo.Company, w, why, n, t.hosts)
	return v
}

func (t *total) claim(host netip.Addr) testudo.Sighting {
	first, last, asked := t.parts[0].first, t.parts[0].last, 0
	s := testudo.Sighting{
		Detector: "tunnel", Key: "spread " + host.String(), Kind: testudo.Espionage, Outcome: testudo.Attempt,
		Victims: []netip.Addr{host}, Reasons: t.weigh(true).Reasons,
		Title:      fmt.Sprintf("%s carries data in DNS questions, spread over %d domains", host, len(t.parts)),
		Innocent:   "a program that measures the net, or several reputation services at once",
		Techniques: []string{"T1048.003", "T1132.001", "T1572"},
	}
	if t.replied >= 3 {
		s.Techniques[0] = "T1071.004"
	}
	for i, p := range t.parts {
		first, last, asked = min(first, p.first), max(last, p.last), asked+p.asked()
		if p.answered > 0 {
			s.Outcome = testudo.Success
		}
		if i < 16 {
			s.Servers = append(s.Servers, testudo.Server{Names: []string{p.domain}, Role: testudo.TunnelEnd})
			s.UIDs = append(s.UIDs, p.uids[0])
		}
	}
	s.First, s.Last = first, last
	s.Summary = fmt.Sprintf("%d questions about %d domains in %s, %s different names, %s", asked, len(t.parts), span(first, last), count(t.names), size(t.up+t.down))
	s.Evidence = []testudo.Fact{
		{Name: "queries", Value: asked},
		{Name: "domains", Value: len(t.parts)},
		{Name: "names", Value: int(t.names)},
		{Name: "bytes_out", Value: int64(t.up)},
		{Name: "bytes_in", Value: int64(t.down)},
		{Name: "span_s", Value: last.Sub(first).Seconds()},
	}
	return s
}
