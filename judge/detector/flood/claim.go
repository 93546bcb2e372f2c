package flood

import (
	"fmt"
	"math"
	"net/netip"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/detector"
)

var told = [...]struct{ title, what, technique string }{
	synIn:        {"%s is flooded with connection requests", "connection requests that nobody completes", "T1499.001"},
	answersIn:    {"%s is flooded with answers to TCP requests it never made", "answers to requests never made", "T1498.002"},
	reflectedIn:  {"%s is flooded by reflection", "datagrams from service ports, to a host that asked nothing", "T1498.002"},
	datagramsIn:  {"%s is flooded with datagrams", "one-way datagrams", "T1498.001"},
	icmpIn:       {"%s is flooded with ICMP", "one-way ICMP messages", "T1498.001"},
	leases:       {"the address service is flooded with requests by ever new machines", "address requests", "T1499.002"},
	backscatter:  {"%s answers machines that never asked: it is flooded with forged requests", "answers to those who never asked", "T1498.001"},
	synOut:       {"%s floods %s with connection requests", "connection requests without an answer", "T1498.001"},
	datagramsOut: {"%s floods %s with datagrams", "one-way datagrams", "T1498.001"},
}

func (l *level) claim(k key) testudo.Sighting {
	sources, ports := l.sources.Count(), l.ports.Count()
	t := told[k.shape]
	title := t.title
	switch k.shape {
	case synOut, datagramsOut:
		title = fmt.Sprintf(t.title, k.host, k.target)
	case leases:
	default:
		title = fmt.Sprintf(t.title, k.host)
	}
	s := testudo.Sighting{
		Detector: "flood", Key: fmt.Sprintf("%d %s %s", k.shape, k.host, k.target),
		Kind: testudo.Flood, Outcome: testudo.Success, First: l.first, Last: l.last, Title: title,
		Summary:    fmt.Sprintf("%.0f packets of %s from about %d sources, at worst %.0f in ten seconds", l.packets, t.what, sources, l.peak),
		Reasons:    l.reasons(k.shape, sources, ports),
		Innocent:   "a service that went down while its clients kept asking, or a sensor that sees one direction only",
		Techniques: []string{t.technique},
		Evidence: []testudo.Fact{
			{Name: "packets", Value: int64(l.packets)}, {Name: "bytes", Value: int64(l.bytes)},
			{Name: "peak_per_10s", Value: int64(l.peak)}, {Name: "sources", Value: sources},
			{Name: "port", Value: int(l.common)}, {Name: "seconds", Value: l.length().Seconds()},
		},
	}
	s.Victims = []netip.Addr{k.host}
	switch k.shape {
	case synOut, datagramsOut:
		s.Victims = []netip.Addr{k.target}
		s.Servers = []testudo.Server{{Address: k.host, Role: testudo.Flooder}}
	case leases:
		s.Victims = nil
	case backscatter:
	default:
		s.Servers = l.named8(k.shape, sources)
	}
	s.UIDs = append(s.UIDs, l.uids[:min(l.conns, len(l.uids))]...)
	return s
}

// named8 names the sources only where they are few enough to be the attackers
// themselves; thousands are forged or hired.
func (l *level) named8(sh shape, sources int) (servers []testudo.Server) {
	if sources > len(l.some) {
		return nil
	}
	role := testudo.Flooder
	if sh == answersIn || sh == reflectedIn {
		role = testudo.Reflector
	}
	for _, a := range l.some[:l.named] {
		servers = append(servers, testudo.Server{Address: a, Role: role})
	}
	return servers
}

func (l *level) reasons(sh shape, sources, ports int) []testudo.Reason {
	rs := []testudo.Reason{
		{Family: testudo.Base, Weight: -6, Text: "floods are rare"},
		{Family: testudo.Volume, Weight: detector.Cap(1.5*math.Log2(l.strength(sh)/quiet), 7), Text: fmt.Sprintf("%.0f packets in about ten seconds; scanners bring any host some %.0f", l.peak, quiet)},
	}
	add := func(f testudo.Family, w float64, text string) {
		rs = append(rs, testudo.Reason{Family: f, Weight: w, Text: text})
	}
	switch sh {
	case synIn, synOut:
		add(testudo.Content, 2.5, "not one was completed")
	case answersIn, backscatter:
		add(testudo.Content, 3, "answers without a question have no innocent sender at such a rate")
	case reflectedIn:
		add(testudo.Content, 2, fmt.Sprintf("they come from port %d, where a service answers, and nothing was asked", l.common))
	case datagramsIn, icmpIn, datagramsOut:
		add(testudo.Content, 0.5, "nothing went back")
	case leases:
		add(testudo.Content, 1.5, fmt.Sprintf("%d different hardware addresses", sources))
	}
	if sh != synOut && sh != datagramsOut && sh != leases && sources >= many {
		add(testudo.Company, detector.Cap(0.5*math.Log2(float64(sources)/16), 3), fmt.Sprintf("about %d different sources", sources))
	}
	concentrated := l.onCommon >= 0.5*l.packets
	if (sh == synIn || sh == datagramsIn || sh == synOut || sh == datagramsOut) && !concentrated && ports > 32 && sources <= 4 {
		add(testudo.Innocence, -5, fmt.Sprintf("few sources walk along %d ports: that is a scan", ports))
	}
	if (sh == datagramsIn || sh == datagramsOut || sh == reflectedIn) && sources <= 4 {
		add(testudo.Innocence, -3, "few sources: a stream of sound, picture or telemetry looks alike")
	}
	return rs
}
