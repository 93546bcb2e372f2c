package flood

import (
	"fmt"
	"math"
	"net/netip"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/detector"
)

var told = [...]struct{ title, what, technique string }{
	synIn:        {"%s is flooded with connection requests", "connection requests that nobody completes", "T1499.001"},
	answersIn:    {"%s is flooded with answers to TCP requests it never made", "answers to requests never made", "T1498.002"},
	reflectedIn:  {"%s is flooded by reflection", "datagrams from service ports, to a host that asked nothing", "T1498.002"},
	datagramsIn:  {"%s is flooded with datagrams", "one-way datagrams", "T1498.001"},
	icmpIn:       {"%s is flooded with ICMP", "one-way ICMP messages", "T1498.001"},
	leases:       {"the address service is flooded with requests", "address requests", "T1499.002"},
	backscatter:  {"%s answers machines that never asked: it is flooded with forged requests", "answers to those who never asked", "T1498.001"},
	synOut:       {"%s floods %s with connection requests", "connection requests without an answer", "T1498.001"},
	datagramsOut: {"%s floods %s with datagrams", "one-way datagrams", "T1498.001"},
}

func (l *level) claim(k key) testudo.Sighting {
	sources, ports := min(l.sources.Count(), max(l.conns, 1)), l.ports.Count()
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
		Summary:    fmt.Sprintf("%.0f packets of %s from %s, at worst %.0f in ten seconds", l.packets, t.what, many(sources), l.peak),
		Reasons:    l.reasons(k.shape, sources, ports),
		Innocent:   "a service that went down while its clients kept asking, or a sensor that sees one direction only",
		Techniques: []string{t.technique},
		Evidence: []testudo.Fact{
			{Name: "packets", Value: int64(l.packets)},
			{Name: "bytes", Value: int64(l.bytes)},
			{Name: "peak_per_10s", Value: int64(l.peak)},
			{Name: "sources", Value: sources},
			{Name: "port", Value: int(l.common)},
			{Name: "seconds", Value: l.length().Seconds()},
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

// many says how many sources there were; beyond a few it is an estimate.
func many(n int) string {
	switch {
	case n == 1:
		return "1 source"
	case n < 128:
		return fmt.Sprintf("%d sources", n)
	}
	return fmt.Sprintf("about %d sources", n)
}

// howMany tells what strength counts.
func (l *level) howMany(sh shape, sources int) string {
	if sh == backscatter {
		return fmt.Sprintf("about %d machines that never asked; chance brings any host some %.0f", sources, quiet)
	}
	return fmt.Sprintf("%.0f packets in ten seconds; scanners bring any host some %.0f", l.peak, quiet)
}

func (l *level) reasons(sh shape, sources, ports int) []testudo.Reason {
	rs := []testudo.Reason{
		{Family: testudo.Base, Weight: -6, Text: "floods are rare"},
		{Family: testudo.Volume, Weight: detector.Cap(1.5*math.Log2(l.strength(sh)/quiet), 7), Text: l.howMany(sh, sources)},
	}
	concentrated, ours := l.onCommon >= 0.5*l.packets, l.within >= 0.5*l.packets
	add := func(f testudo.Family, w float64, text string) {
		rs = append(rs, testudo.Reason{Family: f, Weight: w, Text: text})
	}
	switch sh {
	case synIn, synOut:
		add(testudo.Content, 2.5, "not one was completed")
	case answersIn, backscatter:
		if l.mute >= 0.95*l.packets {
			add(testudo.Content, 3.75, "answers without a question or a word in them have no innocent sender at such a rate")
		} else {
			add(testudo.Content, 2.5, "answers without a question: a sensor that sees one direction only shows as much")
		}
	case reflectedIn:
		if concentrated {
			add(testudo.Content, 2, fmt.Sprintf("they come from port %d, where a service answers, and nothing was asked", l.common))
		} else {
			add(testudo.Content, 0.5, "nothing went back")
		}
	case datagramsIn, icmpIn, datagramsOut:
		add(testudo.Content, 0.5, "nothing went back")
	case leases:
		add(testudo.Content, 1.5, many(sources)+" asked; a network full of machines that start at once asks less often")
	}
	if sh != synOut && sh != datagramsOut && sh != leases && !ours && sources >= crowd {
		add(testudo.Company, detector.Cap(0.5*math.Log2(float64(sources)/16), 3), fmt.Sprintf("about %d different sources", sources))
	}
	datagrams := sh == datagramsIn || sh == datagramsOut || sh == reflectedIn
	if (sh == synIn || datagrams && sh != reflectedIn || sh == synOut) && !concentrated && ports > 32 && sources <= 4 {
		add(testudo.Innocence, -5, fmt.Sprintf("few sources walk along %d ports: that is a scan", ports))
	}
	if datagrams && sources <= crowd/2 && !(sh == reflectedIn && concentrated && l.common < 1024) {
		w := -3 * (1 - math.Log2(float64(max(1, sources)))/6)
		if l.length() > time.Minute {
			w -= 2
		}
		add(testudo.Innocence, w, fmt.Sprintf("%s for %s: a stream of sound, picture or telemetry looks alike", many(sources), l.length().Round(time.Second)))
	}
	if ours && sh != leases {
		add(testudo.Innocence, -5, "they come from machines of ours: a collector, or a service of ours that is down")
	}
	return rs
}
