package tunnel

import (
	"fmt"
	"net/netip"

	"github.com/testudo-shield/testudo"
)

func (z *zone) claim(k zoneKey) testudo.Sighting {
	victims := z.clients(k)
	server := testudo.Server{Role: testudo.TunnelEnd}
	where := k.domain
	switch {
	case k.domain != "":
		server.Names = []string{k.domain}
		server.Address = z.server
	case z.inside: // the side that is not ours is the adversary's
		server.Address, victims = victims[0], []netip.Addr{k.server}
	default:
		server.Address = k.server
	}
	if server.Address.IsValid() {
		if !z.inside {
			server.Ports = []string{"udp/53"}
		}
		if where == "" {
			where = server.Address.String()
		}
	}
	outcome, way, technique := testudo.Attempt, "out in names", "T1048.003"
	if z.answered > 0 {
		outcome = testudo.Success
	}
	if z.replied >= 3 || z.spread >= 8 {
		way, technique = "both ways", "T1071.004"
		if z.up < z.down/50 {
			way = "in by answers"
		}
	}
	who, carry := "a host", "carries"
	if len(victims) > 0 {
		who = victims[0].String()
		if len(victims) > 1 {
			who, carry = fmt.Sprintf("%s and %d more", who, len(victims)-1), "carry"
		}
	}
	s := testudo.Sighting{
		Detector: "tunnel", Key: "dns " + k.domain, Kind: testudo.Espionage, Outcome: outcome,
		First: z.first, Last: z.last, Victims: victims, Servers: []testudo.Server{server},
		Title:    fmt.Sprintf("%s %s data in DNS questions about %s", who, carry, where),
		Summary:  fmt.Sprintf("%d questions in %s, %s different names, %s %s", z.asked(), span(z.first, z.last), count(z.differing()), size(z.up+z.down), way),
		Reasons:  z.weigh(k, true).Reasons,
		Innocent: "a reputation or blocklist service, a content network that marks its visitors, or a resolver's own tests",
		Evidence: []testudo.Fact{
			{Name: "queries", Value: z.asked()},
			{Name: "names", Value: int(z.differing())},
			{Name: "encoded_names", Value: int(min(z.coded, z.differing()))},
			{Name: "bytes_out", Value: int64(z.up)},
			{Name: "bytes_in", Value: int64(z.down)},
			{Name: "longest_name", Value: z.longest},
			{Name: "seldom_types", Value: z.odd},
			{Name: "no_such_name", Value: z.missing},
			{Name: "visits", Value: z.visits},
			{Name: "span_s", Value: z.last.Sub(z.first).Seconds()},
		},
		Techniques: []string{technique, "T1132.001", "T1572"},
	}
	if k.domain == "" {
		s.Key = "dns " + k.server.String()
		s.Title = fmt.Sprintf("%s %s data in DNS questions to %s", who, carry, k.server)
		if z.inside {
			s.Title = fmt.Sprintf("%s carries data in DNS questions to %s", where, k.server)
		}
	}
	s.UIDs = append(s.UIDs, z.uids[:z.nuids]...)
	return s
}
