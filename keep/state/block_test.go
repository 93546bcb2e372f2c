package state

import (
	"errors"
	"net/netip"
	"reflect"
	"testing"

	"github.com/testudo-shield/testudo"
)

// TestBlocks holds that a block comes back as it was stored, that its
// incident tells of its life, and that it goes where its incident goes.
func TestBlocks(t *testing.T) {
	s := openTest(t, t.TempDir())
	a, b := sighting("beacon", "a", 0), sighting("exfil", "b", 100e9)
	if _, err := s.Tell(t0, []testudo.Incident{incident("INC-00000000000A", a), incident("INC-00000000000B", b)}); err != nil {
		t.Fatal(err)
	}
	block := testudo.Block{
		ID: "BLK-1", Incident: "INC-00000000000A", Reason: "it reports every minute", Author: "kim", Made: t0, Until: t0 + 100e9, State: testudo.BlockApplied,
		Course: testudo.Course{Action: testudo.DropService, Server: netip.MustParseAddr("203.0.113.7"), Port: 443, Proto: testudo.TCP, Hosts: []netip.Addr{netip.MustParseAddr("10.0.0.5")}},
		Rehearsal: testudo.Rehearsal{Span: testudo.Span{From: 1e9, To: 2e9}, Hours: 12.5, Cuts: []testudo.Cut{
			{Host: testudo.Victim{Address: netip.MustParseAddr("10.0.0.5"), Name: "fin-pc-14"}, Role: testudo.CutVictim, Times: 3, Bytes: 4},
		}},
	}
	for _, bad := range []testudo.Block{{ID: "BLK-2", Incident: block.Incident}, {ID: "BLK-2", Incident: block.Incident, Reason: "r", Author: "a", Made: 2, Until: 1}} {
		if err := s.SaveBlocks(t0, "kim", []testudo.Block{bad}); !errors.Is(err, ErrInvalid) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	unknown := block
	unknown.Incident = "INC-0000000000ZZ"
	if err := s.SaveBlocks(t0, "kim", []testudo.Block{block, unknown}); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	if got, err := s.Blocks(); err != nil || len(got) != 0 {
		t.Errorf("half an order was kept: %v, %v", got, err)
	}
	if err := s.SaveBlocks(t0, "kim", []testudo.Block{block}); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Blocks(testudo.BlockApplied); err != nil || len(got) != 1 || !reflect.DeepEqual(got[0], block) {
		t.Errorf("%+v, %v", got, err)
	}
	block.State, block.Ended, block.EndReason = testudo.BlockUndone, t0+100e9, "the host was wiped"
	if err := s.SaveBlocks(t0+100e9, "lee", []testudo.Block{block}); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Blocks(testudo.BlockApplied); err != nil || len(got) != 0 {
		t.Errorf("%+v, %v", got, err)
	}
	// Both become one incident.
	joined := incident("INC-00000000000B", a, b)
	if _, err := s.Tell(t0+200e9, []testudo.Incident{joined}); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"INC-00000000000A", "INC-00000000000B"} {
		if got, err := s.BlocksOf(id); err != nil || len(got) != 1 || got[0].ID != "BLK-1" {
			t.Errorf("%s: %+v, %v", id, got, err)
		}
	}
	inc, err := s.Get("INC-00000000000A")
	if err != nil {
		t.Fatal(err)
	}
	var lived []string
	for _, c := range inc.Changes {
		if c.To == "applied" || c.To == "undone" {
			lived = append(lived, c.What+" "+c.To+" "+c.Who)
		}
	}
	if want := []string{"block drop 203.0.113.7:443 for 1 of our hosts applied kim", "block drop 203.0.113.7:443 for 1 of our hosts undone lee"}; !reflect.DeepEqual(lived, want) {
		t.Errorf("%q", lived)
	}
}
