package state

import (
	"context"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/testudo-shield/testudo"
)

// TestForget holds that a machine is in nothing that is stored any more, that
// what speaks of others stays, and that a second time there is nothing to do.
func TestForget(t *testing.T) {
	s := openTest(t, t.TempDir())
	gone := netip.MustParseAddr("10.0.0.77")
	alone, shared, other := sighting("beacon", "10.0.0.77 to x", 0), sighting("scan", "10.0.0.77 and others", 5), sighting("exfil", "of others", 9)
	alone.Victims = []netip.Addr{gone}
	shared.Victims = append(shared.Victims, gone)
	shared.Title = "10.0.0.77, 10.0.0.5 were tried"
	a, b := incident("INC-000000000001", alone), incident("INC-000000000002", shared, other)
	a.Victims = []testudo.Victim{{Address: gone, Name: "PC-MARIA"}}
	b.Victims = append(b.Victims, testudo.Victim{Address: gone, Name: "PC-MARIA"})
	b.Title = "10.0.0.77 and one other"
	if _, err := s.Tell(t0, []testudo.Incident{a, b}); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		s.Note(t0, b.ID, "ann", "asked the owner of 10.0.0.77"), s.Note(t0, b.ID, "ann", "10.0.0.7 is another"),
		s.Hold([]Holding{{Address: gone, Name: "pc-maria", Source: "dhcp", First: t0, Last: t0 + 5}}),
		s.SetImportance(Importance{Host: "10.0.0.77", Level: "high", Why: "x", At: t0}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	of := Subject{Holds: func(a netip.Addr) bool { return a == gone }, Blank: strings.NewReplacer("10.0.0.77", Forgotten, "PC-MARIA", Forgotten, "pc-maria", Forgotten).Replace}
	e, err := s.Forget(context.Background(), of)
	if err != nil || e.Sightings != 1 || e.Blanked != 1 || len(e.Incidents) != 1 || len(e.Changed) != 1 || e.Holdings != 1 || e.Hosts != 1 || e.Notes != 1 {
		t.Errorf("%v %+v", err, e)
	}
	raw, err := os.ReadFile(s.Path())
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"10.0.0.77", "PC-MARIA", "pc-maria"} {
		if strings.Contains(string(raw), word) || strings.Contains(dump(t, s), word) {
			t.Errorf("%s is still there", word)
		}
	}
	got, err := s.Get(b.ID)
	if err != nil || len(got.Sightings) != 2 || len(got.Victims) != 1 || got.Title != "forgotten and one other" || len(got.Notes) != 2 {
		t.Errorf("%v %+v", err, got)
	}
	before := dump(t, s)
	if e, err = s.Forget(context.Background(), of); err != nil || e.Sightings+e.Blanked+e.Holdings+e.Notes+len(e.Incidents)+len(e.Changed) != 0 {
		t.Errorf("%v %+v", err, e)
	}
	if after := dump(t, s); strings.Count(after, "\n") != strings.Count(before, "\n") {
		t.Errorf("the second time changed\n%s\n%s", before, after)
	}
}
