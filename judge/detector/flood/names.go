package flood

import (
	"fmt"
	"math"
	"net/netip"
	"strings"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/detector"
)

// zone is what is asked below one registered domain in the surge at hand.
type zone struct {
	gauge
	senders
	n, missing int
	names      detector.Distinct
	toUs       int        // put to a server of ours
	server     netip.Addr // ours that was asked last
	asker      netip.Addr // who asked last
}

// busyZone is how many questions in about four seconds are looked at.
const (
	busyZone  = 150.0
	zoneShift = 30
)

// askedName tells whether a record is a question below a registered domain.
func askedName(r *testudo.DNS) bool {
	d := r.About.QueryDomain
	return d != "" && len(r.Query) > len(d) && !strings.HasSuffix(d, "arpa")
}

// question counts one.
func (m *memory) question(r *testudo.DNS, out *detector.Out) {
	k := r.About.QueryDomain
	z, _ := m.zones.Put(k)
	if _, calm := z.gauge.count(r.Time, zoneShift, busyZone/4); calm {
		*z = zone{gauge: z.gauge}
	}
	z.n++
	z.senders.add(&r.Meta)
	z.names.Add(detector.NameKey(strings.ToLower(r.Query)))
	if !r.Answered || r.RCode == 3 || r.RCode == 2 || r.RCode == 5 {
		z.missing++
	}
	z.asker = r.ID.Orig.Addr()
	if r.About.RespLocal {
		z.toUs++
		z.server = r.ID.Resp.Addr()
	}
	if !z.due(busyZone) {
		return
	}
	m.zones.Keep(k, true)
	if testudo.Probability(testudo.SumReasons(z.reasons())) >= unlikely {
		z.told(out.Now)
		z.tell(k, out)
	}
}

func (z *zone) part(n int) float64 { return float64(n) / float64(max(1, z.n)) }

// served tells whether servers of ours are asked, rather than others by ours.
func (z *zone) served() bool { return z.part(z.toUs) >= 0.3 }

// victim is the server that is asked, or who of ours has to ask.
func (z *zone) victim() netip.Addr {
	if z.served() {
		return z.server
	}
	return z.asker
}

func (z *zone) distinct() int { return min(z.names.Count(), z.n) }

func (z *zone) reasons() []testudo.Reason {
	w := weights{{Family: testudo.Base, Weight: -6, Text: "floods are rare"}}
	w.add(testudo.Volume, detector.Cap(1.5*math.Log2(z.peak/max(20, 3*z.usual)), 5), "%.0f questions in about four seconds; before it was %.0f at most", z.peak, z.usual)
	w.add(testudo.Naming, 2*(2*z.part(z.distinct())-1), "%.0f %% of the names were asked for once", 100*z.part(z.distinct()))
	w.add(testudo.Content, 3*(2*z.part(z.missing)-1), "%.0f %% of them do not exist or got no answer", 100*z.part(z.missing))
	askers := min(z.all.Count(), z.n)
	switch {
	case askers >= 8:
		w.add(testudo.Company, detector.Cap(0.5*math.Log2(float64(askers)/4), 2.5), "%s", many(askers))
	case !z.served():
		w.add(testudo.Innocence, -5, "%s: a mail filter that looks senders up in lists, or a tunnel, asks alike", many(askers))
	}
	return w
}

func (z *zone) tell(domain string, out *detector.Out) {
	askers := min(z.all.Count(), z.n)
	s := testudo.Sighting{
		Detector: "flood", Key: fmt.Sprintf("names %s %d", domain, int64(z.onset)/int64(time.Second)), Kind: testudo.Flood, Outcome: testudo.Success,
		First: z.onset, Last: z.until,
		Title:    fmt.Sprintf("name servers are flooded with questions for names below %s that do not exist", domain),
		Summary:  fmt.Sprintf("%d questions for about %d names from %s", z.n, z.distinct(), many(askers)),
		Reasons:  z.reasons(),
		Innocent: "a mail filter that looks senders up in lists, a program that makes names up to test the network",
		Victims:  []netip.Addr{z.victim()}, Techniques: []string{"T1499.002"},
		Evidence: []testudo.Fact{
			{Name: "form", Value: "random-subdomain"},
			{Name: "target", Value: domain},
			{Name: "onset", Value: z.onset},
			{Name: "decided", Value: z.decided},
			{Name: "packets", Value: z.n},
			{Name: "peak", Value: int(z.peak)},
			{Name: "names", Value: z.distinct()},
			{Name: "missing", Value: math.Round(100*z.part(z.missing)) / 100},
			{Name: "sources", Value: askers},
		},
	}
	if z.served() {
		s.Servers = z.accused()
	}
	s.UIDs = append(s.UIDs, z.uids[:z.conns]...)
	out.Claim(s)
}
