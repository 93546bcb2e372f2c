package scan

import (
	"fmt"
	"math"
	"net/netip"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/detector"
)

// sighting tells what a source did, by its longest line.
func (s *scanner) sighting(from netip.Addr) testudo.Sighting {
	w, l := &s.bestWalk, s.best
	doors, total := number(w.number()), s.doors-w.doors+w.number()
	what, technique, axis := fmt.Sprintf("%s/%d of %s hosts", l.via, l.port, doors), "T1046", "horizontal"
	switch {
	case w.crafted >= crafted:
		what, axis = fmt.Sprintf("%s by %d packets that no system sends", l.host, w.crafted), "fingerprint"
	case l.host.IsValid():
		what, axis = fmt.Sprintf("%s %s ports of %s", doors, l.via, l.host), "vertical"
	case l.port == 0:
		what, technique, axis = fmt.Sprintf("%s hosts by echo", doors), "T1018", "echo"
	}
	if !s.ours {
		technique = "T1595.001"
	}
	more := ""
	if s.lines > 1 {
		more = fmt.Sprintf(", and %d more such %s", s.lines-1, plural("line", s.lines-1))
	}
	sg := testudo.Sighting{
		Detector: "scan", Key: from.String(), Kind: testudo.Scan, First: s.first, Last: s.last,
		Servers: []testudo.Server{{Address: from, Role: testudo.Scanner, Ports: nil}},
		Title:   fmt.Sprintf("%s scans %s%s", from, what, more),
		Summary: fmt.Sprintf("%s scan of %s in %s, %d open%s", axis, what, span(w.first, w.last), w.open, more),
		Reasons: []testudo.Reason{
			{Family: testudo.Base, Weight: -5, Text: "few sources scan"},
			{Family: testudo.Content, Weight: detector.Cap(w.ratio, 6), Text: fmt.Sprintf("%s first contacts along one line, %d of them open: an ordinary user's mostly succeed", doors, w.open)},
			{Family: testudo.Volume, Weight: detector.Cap(math.Log2(float64(total)/4), 4), Text: fmt.Sprintf("%s doors along %d %s in %s", number(total), s.lines, plural("line", s.lines), span(s.first, s.last))},
		},
		Innocent: "an inventory or vulnerability scanner of our own, a monitoring system, or peer-to-peer software after a network outage",
		Evidence: []testudo.Fact{
			{Name: "doors", Value: total},
			{Name: "open", Value: s.open},
			{Name: "axis", Value: axis},
			{Name: "lines", Value: s.lines},
			{Name: "ports", Value: append([]string{}, s.ports[:s.nports]...)},
			{Name: "span_s", Value: s.last.Sub(s.first).Seconds()},
		},
		Techniques: []string{technique},
		Victims:    append([]netip.Addr{}, s.hosts[:s.nhosts]...),
		UIDs:       append([]testudo.UID{}, s.uids[:s.nuids]...),
	}
	switch {
	case s.ours && s.fast:
		sg.Outcome = testudo.Success // a machine of ours does it, in a hurry: somebody sits there
	case s.ours:
		sg.Outcome = testudo.Attempt
	default:
		sg.Outcome = testudo.Noise
	}
	return sg
}

func (s *sweep) sighting(from netip.Addr) testudo.Sighting {
	outcome := testudo.Noise
	if s.asked >= 2*sweepARP {
		outcome = testudo.Attempt
	}
	return testudo.Sighting{
		Detector: "scan", Key: "arp " + from.String(), Kind: testudo.Scan, Outcome: outcome,
		First: s.first, Last: s.last,
		Servers: []testudo.Server{{Address: from, Role: testudo.Scanner}},
		Title:   fmt.Sprintf("%s asks by ARP for %d addresses in a row", from, s.asked),
		Summary: fmt.Sprintf("ARP sweep of %d addresses in %s", s.asked, span(s.first, s.last)),
		Reasons: []testudo.Reason{
			{Family: testudo.Base, Weight: -4, Text: "few machines ask for a whole network"},
			{Family: testudo.Volume, Weight: detector.Cap(math.Log2(float64(s.asked)/4)*2, 7), Text: fmt.Sprintf("%d different addresses without a pause", s.asked)},
		},
		Innocent:   "a router passing on somebody else's scan, or an inventory tool",
		Evidence:   []testudo.Fact{{Name: "addresses", Value: s.asked}},
		Victims:    append([]netip.Addr{}, s.sample[:min(s.asked, len(s.sample))]...),
		Techniques: []string{"T1018"},
	}
}

func (l *lease) claim(mac string) testudo.Sighting {
	return testudo.Sighting{
		Detector: "scan", Key: "dhcp " + mac, Kind: testudo.Scan, Outcome: testudo.Attempt,
		First: l.first, Last: l.last,
		Servers: []testudo.Server{{Address: l.from, Role: testudo.Scanner}},
		Title:   fmt.Sprintf("machine %s asks the address service for one address after the other", mac),
		Summary: fmt.Sprintf("%d different addresses asked for in %s", l.count, span(l.first, l.last)),
		Reasons: []testudo.Reason{
			{Family: testudo.Base, Weight: -3, Text: "few machines want several addresses"},
			{Family: testudo.Volume, Weight: 3.5, Text: fmt.Sprintf("%d different addresses in %s", l.count, span(l.first, l.last))},
		},
		Innocent:   "a machine that moves between networks, or a relay that answers for others",
		Evidence:   []testudo.Fact{{Name: "addresses", Value: l.count}, {Name: "mac", Value: mac}},
		Techniques: []string{"T1018"},
	}
}

// number says that a count of many is an estimate.
func number(n int) string {
	if n < 128 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("about %d", n)
}

func plural(word string, n int) string {
	if n == 1 {
		return word
	}
	return word + "s"
}

// span is a duration as people say it.
func span(first, last testudo.Time) string {
	d := last.Sub(first)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < 2*time.Hour:
		return fmt.Sprintf("%.0f min", d.Minutes())
	}
	return fmt.Sprintf("%.0f h", d.Hours())
}
