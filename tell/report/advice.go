package report

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/testudo-shield/testudo"
)

// whom names the victims for a sentence; name makes a foreign name safe.
func whom(victims []testudo.Victim, name func(string) string) string {
	switch len(victims) {
	case 0:
		return "the machines concerned"
	case 1:
		if n := name(victims[0].Name); n != "" {
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
func origin(in *testudo.Incident, local []netip.Prefix) string {
	for _, server := range in.Servers {
		if server.Address.IsValid() && within(local, server.Address) {
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
// local are our networks; name makes a foreign name safe.
func advice(in *testudo.Incident, local []netip.Prefix, name func(string) string) []string {
	whom, inside := whom(in.Victims, name), origin(in, local)
	far := reached(in, name)
	if in.Kind == testudo.Espionage {
		return espionageAdvice(in, whom, orElse(far, "the same server"))
	}
	steps := kindAdvice(in, whom, inside)
	if far != "" {
		steps = append(steps, "Keep the memory and disk of what talks to "+far+", then cut it off from there; ask which other machines do.")
	}
	return steps
}

// kindAdvice is advice for every kind but espionage.
func kindAdvice(in *testudo.Incident, whom, inside string) []string {
	switch in.Kind {
	case testudo.Intrusion:
		return intrusionAdvice(in, whom, inside)
	case testudo.Flood:
		return []string{
			"Check whether " + whom + " still answers its users; ask the provider to filter towards it if not.",
			"Do not block the sources one by one: they may be forged or misused themselves.",
			"Look for anything else that happened in the same minutes: a flood can be cover.",
		}
	case testudo.Scan:
		return scanAdvice(in, whom, inside)
	case testudo.Control:
		return []string{
			"Call whoever runs the process before touching anything: is this known work, in a known window?",
			"If not: keep the plant safe by hand, then compare the controller's program with the last good copy.",
			"Find how " + orElse(inside, "the writing machine") + " could reach " + whom + " and take that way away.",
		}
	case testudo.Isolation:
		return []string{
			"Find the way by which " + whom + " got out: a rule, a cable, a modem, a machine with two networks.",
			"Close it at the boundary first, then ask what went through it and since when.",
		}
	case testudo.Policy:
		return []string{"Decide whether this is allowed here; if not, tell the owner of " + whom + "."}
	}
	return []string{"Look at " + whom + " in the time named above."}
}

func scanAdvice(in *testudo.Incident, whom, inside string) []string {
	switch one := len(in.Victims) == 1; {
	case inside != "" && one:
		return []string{
			"Ask who runs " + inside + ": a scanner of ours is fine, anything else there is an intruder.",
			"Find what " + whom + " answered, and what " + inside + " did next.",
		}
	case inside != "":
		return []string{
			"Ask who runs " + inside + ": a scanner of ours is fine, anything else there is an intruder.",
			"Find which of the machines it asked did answer, and what it did next.",
		}
	}
	return []string{
		"Find which services answered and close those that nobody outside needs.",
		"Watch whether the same address comes back with more than questions.",
	}
}

func espionageAdvice(in *testudo.Incident, whom, far string) []string {
	steps := []string{"On " + whom + ", find the program that holds these connections, what started it and since when."}
	if hasRole(in, testudo.ExfilSink, testudo.TunnelEnd) {
		steps = append(steps, "Find out what left: which files were read by that program, and whose they are.")
	}
	return append(steps,
		"Keep its memory and disk before cutting it off; who is noticed changes tools.",
		"Ask which other machines spoke to "+far+", then cut all of them off from there in one go.")
}

func intrusionAdvice(in *testudo.Incident, whom, inside string) []string {
	var steps []string
	if inside != "" {
		steps = append(steps, "Look at "+inside+" first: it attacks from within, so it may be lost itself.")
	}
	if hasRole(in, testudo.Staging, testudo.Phishing) {
		steps = append(steps, "Find the file that came to "+whom+", what fetched it and whether it was opened; keep a copy.")
	}
	steps = append(steps, "Check "+whom+" for what is new since the first time above: programs, services, accounts, scheduled jobs.")
	switch tried, worked := logIns(in); {
	case worked:
		steps = append(steps, "Change what was used to log in there, from another machine, and close the way in.")
	case tried:
		steps = append(steps, "Find whether one of the log-ins worked, and limit who may reach the service.")
	case hasRole(in, testudo.Exploiter):
		steps = append(steps, "Find which program answered, whether it did what it was told, and bring it up to date or take it off the network.")
	}
	return steps
}

// logIns tells whether the story holds log-ins by somebody who should not,
// by ATT&CK's techniques of it (brute force, valid accounts, remote
// services), and whether any worked.
func logIns(in *testudo.Incident) (tried, worked bool) {
	for i := range in.Sightings {
		s := &in.Sightings[i]
		if s.Kind == testudo.Intrusion && slices.ContainsFunc(s.Techniques, isLogIn) {
			tried, worked = true, worked || s.Outcome == testudo.Success
		}
	}
	return tried, worked
}

func isLogIn(technique string) bool {
	base, _, _ := strings.Cut(technique, ".")
	return base == "T1110" || base == "T1078" || base == "T1021"
}

// reached names up to three servers that machines of ours report to, or is
// empty if the story holds none.
func reached(in *testudo.Incident, name func(string) string) string {
	var far []string
	for i := range in.Servers {
		s := &in.Servers[i]
		if s.Role != testudo.C2 && s.Role != testudo.TunnelEnd && s.Role != testudo.ExfilSink {
			continue
		}
		word := address(s.Address)
		if word == "" && len(s.Names) > 0 {
			word = name(s.Names[0])
		}
		far = addOnce(far, word)
	}
	if n := len(far) - namesShown; n > 0 {
		far = append(far[:namesShown], grouped(int64(n))+" more")
	}
	if last := len(far) - 1; last > 0 {
		return strings.Join(far[:last], ", ") + " and " + far[last]
	}
	return strings.Join(far, "")
}

func hasRole(in *testudo.Incident, roles ...testudo.ServerRole) bool {
	for _, s := range in.Servers {
		if slices.Contains(roles, s.Role) {
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
