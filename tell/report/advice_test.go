package report

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/testudo-shield/testudo"
)

func story(kind testudo.Kind, victims int, techniques []string, outcome testudo.Outcome, roles ...testudo.ServerRole) *testudo.Incident {
	in := &testudo.Incident{Kind: kind, Sightings: []testudo.Sighting{{Kind: kind, Techniques: techniques, Outcome: outcome}}}
	for i := range victims {
		in.Victims = append(in.Victims, testudo.Victim{Address: netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)})})
	}
	for i, r := range roles {
		in.Servers = append(in.Servers, testudo.NamedServer{Server: testudo.Server{Address: netip.AddrFrom4([4]byte{203, 0, 113, byte(i + 1)}), Role: r}})
	}
	return in
}

// TestAdvice holds that what a person is told to do fits what happened.
func TestAdvice(t *testing.T) {
	for name, c := range map[string]struct {
		in           *testudo.Incident
		says, beware string
	}{
		"log-in that worked":  {story(testudo.Intrusion, 1, []string{"T1110"}, testudo.Success, testudo.Exploiter), "Change what was used to log in", "is up to date"},
		"log-ins that failed": {story(testudo.Intrusion, 1, []string{"T1110"}, testudo.Attempt, testudo.Exploiter), "whether one of the log-ins worked", "Change what was used"},
		"web attack":          {story(testudo.Intrusion, 1, []string{"T1190"}, testudo.Success, testudo.Exploiter), "Find which program answered", "log in"},
		"program download":    {story(testudo.Intrusion, 1, []string{"T1105"}, testudo.Success, testudo.Staging), "what fetched it", "log in"},
		"intrusion with c2":   {story(testudo.Intrusion, 1, []string{"T1110"}, testudo.Success, testudo.Exploiter, testudo.C2), "talks to 203.0.113.2, then cut", "203.0.113.1,"},
		"flood with theft":    {story(testudo.Flood, 1, nil, testudo.Success, testudo.ExfilSink, testudo.TunnelEnd), "203.0.113.1 and 203.0.113.2,", "\x00"},
		"espionage":           {story(testudo.Espionage, 1, nil, testudo.Success, testudo.C2), "which other machines spoke to 203.0.113.1, then cut", "the same server"},
		"scan of many":        {story(testudo.Scan, 5, nil, testudo.Attempt, testudo.Scanner), "Find which services answered", "which of the machines"},
	} {
		t.Run(name, func(t *testing.T) {
			got := strings.Join(advice(c.in, nil, Name), "\n")
			if !strings.Contains(got, c.says) || strings.Contains(got, c.beware) {
				t.Errorf("want %q, not %q, got:\n%s", c.says, c.beware, got)
			}
		})
	}
	local := []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}
	one := strings.Join(advice(story(testudo.Scan, 1, nil, testudo.Attempt, testudo.Scanner), local, Name), "\n")
	if strings.Contains(one, "which of the machines") || !strings.Contains(one, "what 10.0.0.1 answered") {
		t.Errorf("a scan of one from inside: %s", one)
	}
}

// TestSides holds what the page calls an adversary's machine.
func TestSides(t *testing.T) {
	in := *story(testudo.Intrusion, 1, nil, testudo.Success, testudo.Exploiter, testudo.Lateral, testudo.C2, testudo.Reflector)
	in.Severity = testudo.High
	var b bytes.Buffer
	if err := Text(&b, []testudo.Incident{in}, weekSummary(), TextOptions{}); err != nil {
		t.Fatal(err)
	}
	var labels []string
	for line := range strings.Lines(b.String()) {
		if i := strings.Index(line, "203.0.113."); i == labelColumn {
			labels = append(labels, strings.TrimSpace(line[:i]))
		}
	}
	if want := []string{"attacker", "", "server", "through"}; !slices.Equal(labels, want) {
		t.Errorf("labels %q, want %q in\n%s", labels, want, &b)
	}
}

// TestStranger holds when the page asks whether an address is ours.
func TestStranger(t *testing.T) {
	page := func(severity testudo.Severity, victims ...string) string {
		var all []testudo.Incident
		for _, v := range victims {
			all = append(all, testudo.Incident{Kind: testudo.Scan, Severity: severity, Victims: []testudo.Victim{{Address: netip.MustParseAddr(v)}}})
		}
		var b bytes.Buffer
		if err := Text(&b, all, weekSummary(), TextOptions{}); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	const hint = "which is not ours by --local"
	if got := page(testudo.Info, "203.0.113.9", "203.0.113.9", "10.0.0.1", "203.0.113.9"); !strings.Contains(got, "concerns 203.0.113.9, "+hint) {
		t.Errorf("no hint:\n%s", got)
	}
	for _, got := range []string{
		page(testudo.High, "203.0.113.9", "203.0.113.9", "203.0.113.9"), page(testudo.Info, "203.0.113.9", "203.0.113.9"),
		page(testudo.Info, "10.0.0.1", "10.0.0.1", "10.0.0.1"),
		page(testudo.Info, "203.0.113.9", "203.0.113.9", "203.0.113.9", "10.0.0.1", "10.0.0.2", "10.0.0.3"),
	} {
		if strings.Contains(got, hint) {
			t.Errorf("a hint that is not called for:\n%s", got)
		}
	}
}

// TestUnitsStay holds that no line ends between a number and its unit.
func TestUnitsStay(t *testing.T) {
	const text = "read in 433 ms, of that (0 %) lost; 18.4 M packets in 12 min."
	for width := 12; width < 70; width++ {
		for _, line := range wrap(text, width, width) {
			first, _, _ := strings.Cut(line, " ")
			if isUnit(first) {
				t.Errorf("%d cells: %q", width, line)
			}
		}
	}
	if got := strings.Join(wrap(text, 20, 20), " "); got != text {
		t.Errorf("wrap changed %q", got)
	}
}

// TestJSONAdds holds the keys that came after the first: reasons, advice, and
// uids without doubles.
func TestJSONAdds(t *testing.T) {
	in := espionage()
	in.Sightings[0].UIDs = []testudo.UID{3, 1, 3, 1, 2}
	var b bytes.Buffer
	if err := JSON(&b, []testudo.Incident{in}, weekSummary(), false); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Reasons []struct {
			Family, Text string
			Weight       float64
		}
		Advice    []string
		Sightings []struct{ UIDs []string }
	}
	if err := json.NewDecoder(&b).Decode(&got); err != nil {
		t.Fatal(err)
	}
	want := []string{testudo.UID(3).String(), testudo.UID(1).String(), testudo.UID(2).String()}
	if len(got.Reasons) != len(in.Explanation) || got.Reasons[1].Family != "timing" || got.Reasons[1].Weight != 3.1 ||
		len(got.Advice) == 0 || !slices.Equal(got.Sightings[0].UIDs, want) {
		t.Errorf("got %+v", got)
	}
}
