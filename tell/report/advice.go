package report

import (
	"fmt"
	"net/netip"

	"github.com/testudo-shield/testudo"
)

// whom names the victims for a sentence.
func (p *page) whom(victims []testudo.Victim) string {
	switch len(victims) {
	case 0:
		return "the machines concerned"
	case 1:
		if n := p.name(victims[0].Name); n != "" {
			return n
		}
		if a := address(victims[0].Address); a != "" {
			return a
		}
		return "the machine concerned"
	}
	return fmt.Sprintf("the %s machines named above", grouped(int64(len(victims))))
}

// origin names the first adversary that stands within our own networks, or
// is empty if none does.
func (p *page) origin(in *testudo.Incident, s *testudo.Summary) string {
	for _, server := range in.Servers {
		if server.Address.IsValid() && within(s.Local, server.Address) {
			return address(server.Address)
		}
	}
	return ""
}

func within(nets []netip.Prefix, a netip.Addr) bool {
	for _, n := range nets {
		if n.Contains(a.Unmap()) {
			return true
		}
	}
	return false
}

// advice says what a person can do now, one step a line, the first first.
// whom is our side in words, inside the attacker's address where it is in one
// of our own networks.
func advice(in *testudo.Incident, whom, inside string) []string {
	switch in.Kind {
	case testudo.Espionage:
		return espionageAdvice(in, whom)
	case testudo.Intrusion:
		return intrusionAdvice(in, whom, inside)
	case testudo.Flood:
		return []string{
			"Check whether " + whom + " still answers its users; ask the provider to filter towards it if not.",
			"Do not block the sources one by one: they may be forged or misused themselves.",
			"Look for anything else that happened in the same minutes: a flood can be cover."}
	case testudo.Scan:
		if inside != "" {
			return []string{"Ask who runs " + inside + ": a scanner of ours is fine, anything else there is an intruder.",
				"Find which of the machines it asked did answer, and what it did next."}
		}
		return []string{"Find which services answered and close those that nobody outside needs.",
			"Watch whether the same address comes back with more than questions."}
	case testudo.Control:
		return []string{
			"Call whoever runs the process before touching anything: is this known work, in a known window?",
			"If not: keep the plant safe by hand, then compare the controller's program with the last good copy.",
			"Find how " + orElse(inside, "the writing machine") + " could reach " + whom + " and take that way away."}
	case testudo.Isolation:
		return []string{
			"Find the way by which " + whom + " got out: a rule, a cable, a modem, a machine with two networks.",
			"Close it at the boundary first, then ask what went through it and since when."}
	case testudo.Policy:
		return []string{"Decide whether this is allowed here; if not, tell the owner of " + whom + "."}
	}
	return []string{"Look at " + whom + " in the time named above."}
}

func espionageAdvice(in *testudo.Incident, whom string) []string {
	steps := []string{"On " + whom + ", find the program that holds these connections, what started it and since when."}
	if hasRole(in, testudo.ExfilSink) || hasRole(in, testudo.TunnelEnd) {
		steps = append(steps, "Find out what left: which files were read by that program, and whose they are.")
	}
	return append(steps,
		"Keep its memory and disk before cutting it off; who is noticed changes tools.",
		"Ask which other machines spoke to the same server, then cut all of them in one go.")
}

func intrusionAdvice(in *testudo.Incident, whom, inside string) []string {
	var steps []string
	if inside != "" {
		steps = append(steps, "Look at "+inside+" first: it attacks from within, so it may be lost itself.")
	}
	if hasRole(in, testudo.Staging) || hasRole(in, testudo.Phishing) {
		steps = append(steps, "Find the file that came to "+whom+" and whether it was opened; keep a copy.")
	}
	return append(steps,
		"Check "+whom+" for what is new since the first time above: programs, services, accounts, scheduled jobs.",
		"Change what was used to log in there, from another machine, and close the way in.")
}

func hasRole(in *testudo.Incident, role testudo.ServerRole) bool {
	for _, s := range in.Servers {
		if s.Role == role {
			return true
		}
	}
	return false
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
