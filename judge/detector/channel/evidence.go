package channel

import (
	"fmt"

	"github.com/testudo-shield/testudo"
)

// weighControl joins what all records of the pair say for a control channel.
func (p *pair) weighControl(k *scale) {
	k.add(testudo.Base, rare, "few pairs are control channels")
	p.web.weigh(k, p)
	p.tls.weigh(k, p)
	p.wire.weigh(k, p)
	p.weighCompany(k)
}

// weighCompany puts what is known of the peer apart from what it says.
func (p *pair) weighCompany(k *scale) {
	if w := p.unresolved(); w > 0 && p.web.bare == 0 && !p.tls.bare() {
		k.add(testudo.Naming, w, "this machine was not seen to resolve a name for the peer, but for %.0f %% of its others", 100*p.resolves)
	}
	if odd := p.oddPort(); odd != 0 && p.web.requests > 0 {
		k.add(testudo.Naming, 0.5, "the web on port %d", int(odd))
	}
	k.when(p.fresh && p.hosts == 1 && p.seen >= 10, testudo.Rarity, 1, "no other of %d hosts uses it, and this one only began to", p.seen)
	if p.crowd >= crowd && p.web.requests == 0 {
		k.add(testudo.Innocence, -2, "this machine talks with %d nameless peers on odd ports, as peer-to-peer programs do", p.crowd)
	} else if p.others > 0 && p.hides() {
		k.add(testudo.Company, min(2, float64(p.others)), "%d other peers of this machine hide in the same way", p.others)
	}
	k.when(p.old, testudo.Innocence, -0.5, "in use since the watch began, %.0f h ago", p.known.Hours())
	p.weighHosts(k)
	k.when(p.shared, testudo.Innocence, -1, "the address serves many unrelated names")
}

// unresolved weighs that no name was seen for the peer by the share of the
// machine's other peers whose names were: what is seen of nobody is the lack
// of an observation, as is what may have been resolved before the watch began.
func (p *pair) unresolved() float64 {
	switch {
	case p.name != "" || p.bothOurs || p.began < gathering:
		return 0
	case p.began < settled:
		return p.resolves
	}
	return 1.5 * p.resolves
}

// weighHosts puts what it says that others of ours use the peer.
func (p *pair) weighHosts(k *scale) {
	if p.hosts >= 3 {
		w := min(1.5, 0.3*float64(p.hosts))
		if 3*p.hosts >= p.seen {
			w = 2
		}
		k.add(testudo.Innocence, -w, "%d of %d hosts here use it", p.hosts, p.seen)
	}
	k.when(p.bothOurs, testudo.Innocence, -2, "both machines are ours")
}

// hides tells whether the peer hides as control servers do that have many
// addresses: a bare address behind a feigned browser, or a certificate of its
// own making behind no name.
func (p *pair) hides() bool {
	if p.bothOurs {
		return false
	}
	w, g := &p.web, &p.tls
	return w.bare > 0 && (w.forged[naked] > 0 || w.falseText+w.opaque > 0) || p.name == "" && g.nameless > 0 && g.homemade > 0
}

// oddPort returns a port on which the session met the web though it is not
// for that, 0 for none or where talk has said so already.
func (p *pair) oddPort() uint16 {
	if p.web.requests == 0 || meaning(p.web.port) != "" {
		return 0
	}
	return p.web.port
}

func (p *pair) claimControl(k ends, s *testudo.Sighting, server *testudo.Server) {
	s.Kind, s.Outcome = testudo.Espionage, testudo.Success
	s.Key = "control " + k.host.String() + " " + k.peer.String()
	server.Role = testudo.C2
	s.Title = fmt.Sprintf("%s looks driven by %s", k.host, p.called(k.peer))
	s.Summary = fmt.Sprintf("%d conversations in no known protocol, in %.0f s", p.wire.unknown, p.last.Sub(p.first).Seconds())
	s.Techniques = []string{"T1071"}
	s.Innocent = "a device or a program of our own that speaks a protocol of its maker: ask its owner, and look whether others here have it"
	t := &p.wire
	switch {
	case t.shell != "":
		p.turn(k, s, server, t.shellBy > 0)
		s.Title = fmt.Sprintf("%s gives a shell to %s", s.Victims[0], server.Address)
		s.Techniques = []string{"T1059", "T1095"}
		s.Innocent = "an administrator's console over a plain connection"
	case t.program != "":
		p.turn(k, s, server, t.programBy < 0)
		s.Title = fmt.Sprintf("%s handed %s a bare program", server.Address, s.Victims[0])
		s.Techniques = []string{"T1105", "T1095"}
		s.Innocent = "a developer or a cluster that copies programs over a plain connection"
	case t.reverse:
		s.Title = fmt.Sprintf("%s lets %s drive it by SSH", k.host, p.called(k.peer))
		s.Techniques = []string{"T1572", "T1021.004"}
		s.Innocent = "a maintenance tunnel that was agreed on"
	case p.web.requests > 0:
		p.claimSession(k, s)
	case p.tls.count > 0:
		s.Techniques = []string{"T1573.002", "T1071.001"}
		s.Summary = fmt.Sprintf("%d handshakes, %d without a server's name, %d with a certificate of its own making", p.tls.count, p.tls.nameless, p.tls.selfMade)
	case t.strange > 0:
		s.Techniques = []string{"T1095", "T1571"}
	}
	if t.pulses.Count >= polls && p.web.requests == 0 {
		s.Evidence = append(s.Evidence,
			testudo.Fact{Name: "count", Value: t.pulses.Count}, testudo.Fact{Name: "interval_s", Value: t.pulses.GapMean}, testudo.Fact{Name: "bytes", Value: t.bytes})
	}
}

// turn exchanges the two sides where both are ours and the victim, which
// began the conversation or not, is not the one that stands first.
func (p *pair) turn(k ends, s *testudo.Sighting, server *testudo.Server, victimBegan bool) {
	if p.bothOurs && !victimBegan {
		s.Victims[0] = k.peer
		server.Address, server.Names, server.Role = k.host, nil, testudo.Lateral
	}
}

func (p *pair) claimSession(k ends, s *testudo.Sighting) {
	w := &p.web
	s.Techniques = []string{"T1071.001"}
	if w.opaque+w.falseText+w.coded+w.answered > 0 {
		s.Techniques = append(s.Techniques, "T1132")
	}
	if w.gaps.weight() > 0 {
		s.Title = fmt.Sprintf("%s reports to %s about every %.0f s", k.host, p.called(k.peer), w.gaps.mean)
	}
	if 2*w.forged[honest] < w.requests || w.alone(p) {
		s.Title += ", posing as a browser"
		s.Techniques = append(s.Techniques, "T1036")
	}
	s.Innocent = "a program of our own that fetches its orders or updates in the clear under a browser's name"
	s.Summary = fmt.Sprintf("%d requests (%d posts) for %d paths", w.requests, w.posts, w.pathCount)
	s.Evidence = append(s.Evidence,
		testudo.Fact{Name: "count", Value: w.requests}, testudo.Fact{Name: "posts", Value: w.posts},
		testudo.Fact{Name: "paths", Value: w.pathCount}, testudo.Fact{Name: "agent", Value: w.agent})
	if w.gaps.count >= polls {
		s.Evidence = append(s.Evidence, testudo.Fact{Name: "interval_s", Value: w.gaps.mean}, testudo.Fact{Name: "jitter", Value: w.gaps.jitter()})
	}
}
