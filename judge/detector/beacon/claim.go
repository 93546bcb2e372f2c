package beacon

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"

	"github.com/testudo-shield/testudo"
)

// identity names the series for ever; a server that moves goes by its key, a
// client that does by its fingerprint.
func (k seriesKey) identity(name string) string {
	switch k.by {
	case byKey:
		name = fmt.Sprintf("key %016x", k.place)
	case byPrint:
		name = fmt.Sprintf("client %016x", k.place)
	}
	return fmt.Sprintf("%s %s %s/%d %t", k.host, name, k.via, k.port, k.inbound)
}

// claim writes the sighting.
func (s *series) claim(k seriesKey, v verdict) testudo.Sighting {
	place := s.peer.String()
	if s.name != "" {
		place += " (" + s.name + ")"
	}
	title := fmt.Sprintf("%s reports to %s about every %s", k.host, place, period(v.rhythm.median))
	if k.inbound {
		title = fmt.Sprintf("%s calls on %s about every %s", place, k.host, period(v.rhythm.median))
	}
	what := "reports"
	if v.inside {
		what = "signs of life in one conversation"
	}
	switch k.by {
	case byKey:
		title = fmt.Sprintf("%s reports about every %s to a server that moves, last to %s", k.host, period(v.rhythm.median), place)
		what = "reports to several places with one key"
	case byPrint:
		title = fmt.Sprintf("%s reports about every %s to %s in turn, among them %s", k.host, period(v.rhythm.median), s.tour.places(), s.tour.chief())
		what = fmt.Sprintf("reports by one client to %s", s.tour.places())
	}
	name := s.name
	if name == "" || k.inbound {
		name = s.peer.String()
	}
	server := testudo.Server{Address: s.peer, Ports: []string{fmt.Sprintf("%s/%d", k.via, k.port)}, Role: testudo.C2, Shared: s.about.Shared}
	if s.name != "" && !k.inbound {
		server.Names = []string{s.name}
	}
	if k.inbound {
		server.Ports = nil
	}
	first, last := s.first, s.last
	if v.inside {
		last = first.Add(s.span)
	}
	x := testudo.Sighting{
		Detector: "beacon", Key: k.identity(name),
		Kind: testudo.Espionage, Outcome: testudo.Success, First: first, Last: last,
		Victims: []netip.Addr{k.host}, Servers: []testudo.Server{server},
		Title:      title,
		Summary:    fmt.Sprintf("%d %s, one every %s, jitter %.0f %%", v.count, what, period(v.rhythm.median), 100*jitter(v.rhythm)),
		Reasons:    v.Reasons,
		Innocent:   s.innocent(v),
		Techniques: s.techniques(k, v),
		Evidence: []testudo.Fact{
			{Name: "interval_s", Value: round(v.rhythm.median, 2)},
			{Name: "jitter", Value: round(jitter(v.rhythm), 2)},
			{Name: "count", Value: v.count},
			{Name: "missed", Value: v.rhythm.missed},
			{Name: "report_bytes", Value: int64(v.up.median)},
			{Name: "answer_bytes", Value: int64(v.down.median)},
			{Name: "hours", Value: s.hours},
			{Name: "peer_hosts", Value: s.about.PeerHosts},
		},
	}
	if s.tour != nil {
		x.Servers = s.tour.servers(server.Ports[0])
		x.Evidence = append(x.Evidence, testudo.Fact{Name: "places", Value: s.tour.n})
	}
	if 4*s.answered < s.asked {
		x.Outcome = testudo.Attempt
	}
	n := slices.Index(s.uids[:], 0)
	if n < 0 {
		n = len(s.uids)
	}
	x.UIDs = append(x.UIDs, s.uids[:n]...)
	return x
}

// jitter is the share of the interval by which the sleep varies, were it
// uniform.
func jitter(r rhythm) float64 { return min(1, 2*r.spread) }

func round(x float64, digits int) float64 {
	p := math.Pow10(digits)
	return math.Round(x*p) / p
}

// innocent is the explanation to rule out first.
func (s *series) innocent(v verdict) string {
	switch {
	case s.about.Internal:
		return "a monitoring system or an agent of our own"
	case v.inside:
		return "a program that keeps a line open to its maker: chat, push messages, remote support"
	case s.crypto.selfMade:
		return "an appliance or a small service that reports to its maker with a certificate of the maker's own"
	case s.web.requests > 0:
		return "a web page left open that asks for news, an updater, or a script of our own"
	}
	return "an updater, a licence check, or a page left open that asks for news"
}

func (s *series) techniques(k seriesKey, v verdict) []string {
	var t []string
	web := s.web.requests > 0 || strings.Contains(s.service, "http")
	switch {
	case web || s.crypto.handshakes > 0 || strings.Contains(s.service, "ssl") || strings.Contains(s.service, "quic"):
		t = append(t, "T1071.001")
	default:
		t = append(t, "T1095")
	}
	if s.crypto.handshakes > 0 {
		t = append(t, "T1573")
	}
	if web && k.port != 80 && k.port != 443 && k.port != 8080 {
		t = append(t, "T1571")
	}
	return t
}
