package state

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/testudo-shield/testudo"
)

// TestAllowed is the table of what fits what.
func TestAllowed(t *testing.T) {
	contact := Contact{
		Victim: netip.MustParseAddr("10.0.0.5"), VictimName: "pc-1.corp.example",
		Server: netip.MustParseAddr("203.0.113.7"), ServerName: "cdn.update.example", Port: "tcp/443",
	}
	for _, c := range []struct {
		a    Allowance
		want bool
	}{
		{Allowance{Value: "203.0.113.7"}, true},
		{Allowance{Value: "203.0.113.8"}, false},
		{Allowance{Value: "10.0.0.5"}, true},
		{Allowance{Value: "::ffff:203.0.113.7"}, true},
		{Allowance{Value: "203.0.113.0/24"}, true},
		{Allowance{Value: "203.0.114.0/24"}, false},
		{Allowance{Value: "cdn.update.example"}, true},
		{Allowance{Value: "CDN.Update.Example."}, true},
		{Allowance{Value: "update.example"}, false},
		{Allowance{Value: "*.update.example"}, true},
		{Allowance{Value: "*.cdn.update.example"}, true},
		{Allowance{Value: "*.date.example"}, false},
		{Allowance{Value: "*.example"}, true},
		{Allowance{Value: "cdn*.example"}, true},
		{Allowance{Value: "c*n*e.ex*"}, true},
		{Allowance{Value: "x*"}, false},
		{Allowance{Value: "203.0.*"}, true},
		{Allowance{Value: "pc-1.corp.example"}, true},
		{Allowance{Value: "*", Source: "10.0.0.5"}, true},
		{Allowance{Value: "*", Source: "10.0.0.6"}, false},
		{Allowance{Value: "*", Source: "203.0.113.7"}, false},
		{Allowance{Value: "*.example", Destination: "203.0.113.0/24"}, true},
		{Allowance{Value: "*.example", Destination: "10.0.0.5"}, false},
		{Allowance{Value: "203.0.113.7", Port: "443"}, true},
		{Allowance{Value: "203.0.113.7", Port: "TCP/443"}, true},
		{Allowance{Value: "203.0.113.7", Port: "udp/443"}, false},
		{Allowance{Value: "203.0.113.7", Network: "10.0.0.0/8"}, true},
		{Allowance{Value: "203.0.113.7", Network: "10.1.0.0/16"}, false},
		{Allowance{Value: "203.0.113.7", Until: 100}, true},
		{Allowance{Value: "203.0.113.7", Until: 50}, false},
	} {
		c.a.List, c.a.Why = Allow, "ours"
		if err := c.a.tidy(); err != nil {
			t.Errorf("%+v: %v", c.a, err)
		}
		if _, got := NewAllowances([]Allowance{c.a}).Allowed(contact, 50); got != c.want {
			t.Errorf("%+v: %v", c.a, got)
		}
	}
	if _, ok := NewAllowances([]Allowance{{Value: "*.example", Until: 9}}).Allowed(Contact{}, 0); ok {
		t.Error("nothing is known, and it fits")
	}
}

// TestCovers holds that one pair nobody allowed is enough for a sighting to
// stand.
func TestCovers(t *testing.T) {
	s := sighting("beacon", "k", 0)
	s.Victims = s.Victims[:1]
	s.Servers = []testudo.Server{{Address: netip.MustParseAddr("203.0.113.7"), Names: []string{"a.cdn.example", "spy.example"}, Ports: []string{"tcp/80", "tcp/443"}}}
	none := func(netip.Addr) string { return "" }
	for want, list := range map[string][]Allowance{
		"false []":      {{ID: 1, Value: "*.cdn.example"}},
		"true [1 2]":    {{ID: 1, Value: "*.cdn.example"}, {ID: 2, Value: "spy.example"}, {ID: 3, Value: "other.example"}},
		"true [1]":      {{ID: 1, Value: "203.0.113.7"}, {ID: 2, Value: "spy.example"}},
		"false [  ]":    {{ID: 1, Value: "203.0.113.7", Port: "443"}},
		"false [    ] ": nil,
	} {
		why, ok := NewAllowances(list).Covers(&s, none, 0)
		var ids []int64
		for _, a := range why {
			ids = append(ids, a.ID)
		}
		if got := fmt.Sprint(ok, " ", ids); strings.ReplaceAll(got, " ", "") != strings.ReplaceAll(want, " ", "") {
			t.Errorf("%v: %s, want %s", list, got, want)
		}
	}
}

// TestAllowList walks the list in the file.
func TestAllowList(t *testing.T) {
	s := openTest(t, t.TempDir())
	for _, bad := range []Allowance{
		{List: "x", Value: "a", Why: "b"},
		{List: Allow, Why: "b"},
		{List: Allow, Value: "a"},
		{List: Allow, Value: "*", Why: "b"},
		{List: Allow, Value: "*.*", Why: "b"},
		{List: Allow, Value: "0.0.0.0/0", Why: "b"},
		{List: Allow, Value: "::/0", Why: "b"},
		{List: Allow, Value: "300.1.1.1", Why: "b"},
		{List: Allow, Value: "10.0.0.0/99", Why: "b"},
		{List: Allow, Value: "10.0.0.0/99", Source: "10.0.0.5", Why: "b"},
		{List: Allow, Value: "a.example", Source: "10.0.0.256", Why: "b"},
		{List: Allow, Value: "a\x1b[2Jb.example", Why: "b"},
		{List: Allow, Value: "a", Why: "b", Port: "https"},
		{List: Allow, Value: "a", Why: "b", Network: "lan"},
		{List: Allow, Value: "a", Why: "b", Since: 5, Until: 4},
	} {
		if _, err := s.AddAllowance(bad); !errors.Is(err, ErrInvalid) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	add := func(a Allowance) Allowance {
		t.Helper()
		got, err := s.AddAllowance(a)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	one := Allowance{List: Allow, Value: "Backup.Example", Destination: "203.0.113.0/24", Why: "nightly backup", Who: "kim", Since: t0, Until: t0 + 100}
	first := add(one)
	before := dump(t, s)
	one.Since += 5
	if again := add(one); again != first || dump(t, s) != before {
		t.Errorf("%+v", again)
	}
	one.Until = 0
	second := add(one)
	protect := add(Allowance{List: Protect, Value: "10.0.0.1", Why: "gateway", Since: t0})
	list, err := s.ListAllowances(t0, Allow, true)
	if err != nil || len(list) != 2 || list[0].Removed == 0 || list[1] != second {
		t.Errorf("%+v %v", list, err)
	}
	snapshot, err := s.Allowances(t0, Allow)
	if err != nil {
		t.Fatal(err)
	}
	if got := snapshot.Concerning("backup.example", t0); len(got) != 1 || got[0] != second {
		t.Errorf("%+v", got)
	}
	revision, _ := s.Revision("allowances")
	gone, err := s.RemoveAllowance(t0+9, second.ID, "lee", "backup is over")
	if err != nil || gone.RemovedWhy != "backup is over" || gone.Removed != t0+9 {
		t.Error(gone, err)
	}
	if _, err := s.RemoveAllowance(t0+9, second.ID, "lee", "again"); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	if now, _ := s.Revision("allowances"); now != revision+1 {
		t.Error(now, revision)
	}
	if list, err := s.ListAllowances(t0, Protect, false); err != nil || len(list) != 1 || list[0] != protect {
		t.Error(list, err)
	}
}
