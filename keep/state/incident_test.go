package state

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/testudo-shield/testudo"
)

// sighting is one with something in every field.
func sighting(detector, key string, at testudo.Time) testudo.Sighting {
	return testudo.Sighting{
		Detector: detector, Key: key, Kind: testudo.Espionage, Outcome: testudo.Success, First: t0 + at, Last: t0 + at + 60e9,
		Victims: []netip.Addr{netip.MustParseAddr("10.0.0.5"), netip.MustParseAddr("fd00::5")},
		Servers: []testudo.Server{{Address: netip.MustParseAddr("203.0.113.7"), Names: []string{"a.spy.example"}, Ports: []string{"tcp/443"}, Role: testudo.C2}, {Names: []string{}, Shared: true}},
		Title:   "10.0.0.5 reports to " + key, Summary: "every 60 s",
		Reasons:  []testudo.Reason{{Family: testudo.Base, Weight: -2.125, Text: "rare"}, {Family: testudo.Timing, Weight: 0.1 + 0.2, Text: "regular"}},
		Innocent: "an updater", Techniques: []string{"T1573"},
		Evidence: []testudo.Fact{
			{Name: "count", Value: 12},
			{Name: "bytes", Value: int64(math.MaxInt64)},
			{Name: "share", Value: 0.0},
			{Name: "none", Value: math.Inf(-1)},
			{Name: "names", Value: []string{"x", "\xff\x00"}},
			{Name: "few", Value: []string{}},
			{Name: "nil", Value: []string(nil)},
			{Name: "odd", Value: "not \xc3\x28 text\x00"},
			{Name: "whole", Value: 3.0},
			{Name: "yes", Value: true},
			{Name: "unset"},
		},
		UIDs: []testudo.UID{0, 1, math.MaxUint64},
	}
}

func incident(id string, sightings ...testudo.Sighting) testudo.Incident {
	inc := testudo.Incident{
		ID: id, Kind: testudo.Espionage, Severity: testudo.Medium, Confidence: 0.75, Score: 1.1, Urgency: 40,
		Title: "one story", First: sightings[0].First, Last: sightings[0].Last,
		Victims:    []testudo.Victim{{Address: netip.MustParseAddr("10.0.0.5"), Name: "PC-1"}},
		Servers:    []testudo.NamedServer{{Server: sightings[0].Servers[0], Confidence: 0.75}},
		Techniques: []string{"T1573"}, Sightings: sightings,
		Explanation: sightings[0].Reasons, Innocent: []string{"an updater"},
	}
	for _, s := range sightings {
		inc.First, inc.Last = min(inc.First, s.First), max(inc.Last, s.Last)
	}
	return inc
}

// TestRoundTrip holds that what was told comes back to the last bit, and
// that telling it twice changes nothing.
func TestRoundTrip(t *testing.T) {
	s := openTest(t, t.TempDir())
	want := incident("INC-000000000001", sighting("beacon", "a\xfe b", 0), sighting("exfil", "", 5))
	told, err := s.Tell(t0, []testudo.Incident{want})
	if err != nil || len(told) != 1 || !told[0].New || told[0].ID != want.ID {
		t.Fatal(told, err)
	}
	got, err := s.Get("inc-00")
	if err != nil || !reflect.DeepEqual(got.Incident, want) {
		t.Errorf("%v\n%+v\n%+v", err, got.Incident, want)
	}
	before := dump(t, s)
	told, err = s.Tell(t0+99, []testudo.Incident{want})
	if err != nil || told[0].New || told[0].Changed {
		t.Error(told, err)
	}
	if err := s.Sight(want.Sightings); err != nil {
		t.Error(err)
	}
	if after := dump(t, s); after != before {
		t.Errorf("twice is not once:\n%s\n%s", before, after)
	}
	n := 0
	for got, err := range s.Sightings() {
		if err != nil || !reflect.DeepEqual(got, want.Sightings[n]) {
			t.Errorf("%v %+v", err, got)
		}
		n++
	}
	odd := sighting("odd", "", 0)
	odd.Evidence = []testudo.Fact{{Name: "x", Value: uint8(1)}}
	if err := s.Sight([]testudo.Sighting{odd}); !errors.Is(err, ErrInvalid) {
		t.Error(err)
	}
}

// TestReach holds which of two sightings with one key stays.
func TestReach(t *testing.T) {
	for _, c := range []struct {
		name        string
		then, now   testudo.Sighting
		first, last testudo.Time
		title       string
	}{
		{"later", titled("old", 10, 20), titled("new", 15, 30), 10, 30, "new"},
		{"earlier", titled("old", 10, 20), titled("new", 5, 15), 5, 20, "old"},
		{"equal", titled("old", 10, 20), titled("new", 10, 20), 10, 20, "new"},
	} {
		s := openTest(t, t.TempDir())
		if err := errors.Join(s.Sight([]testudo.Sighting{c.then}), s.Sight([]testudo.Sighting{c.now})); err != nil {
			t.Fatal(err)
		}
		for got := range s.Sightings() {
			if got.First != c.first || got.Last != c.last || got.Title != c.title {
				t.Errorf("%s: %+v", c.name, got)
			}
		}
	}
}

func titled(title string, first, last testudo.Time) testudo.Sighting {
	return testudo.Sighting{Detector: "d", Key: "k", Title: title, First: first, Last: last}
}

// TestLife walks one incident through its life.
func TestLife(t *testing.T) {
	s := openTest(t, t.TempDir())
	a, b, c := sighting("beacon", "a", 0), sighting("exfil", "b", 100e9), sighting("scan", "c", 200e9)
	tell := func(incs ...testudo.Incident) []Told {
		t.Helper()
		told, err := s.Tell(t0+1, incs)
		if err != nil {
			t.Fatal(err)
		}
		return told
	}
	tell(incident("INC-00000000000A", a))
	if err := s.Move(t0+2, "A", Closed, "kim", "x"); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	if err := s.Move(t0+2, "INC-00000000000A", Closed, "kim", ""); !errors.Is(err, ErrInvalid) {
		t.Error(err)
	}
	shut := func(id string) {
		t.Helper()
		if err := s.Move(t0+2, id, Closed, "kim", "host was wiped"); err != nil {
			t.Fatal(err)
		}
	}
	shut("INC-00000000000A")
	if told := tell(incident("INC-00000000000A", a)); told[0].State != Closed || told[0].Reopened != "" {
		t.Errorf("the same again: %+v", told)
	}
	longer := a
	longer.Last += 3600e9
	if told := tell(incident("INC-00000000000A", longer)); told[0].State != New || !strings.Contains(told[0].Reopened, "went on") {
		t.Errorf("it went on: %+v", told)
	}
	shut("INC-00000000000A")
	told := tell(incident("INC-00000000000B", longer, b)) // told under another ID
	if told[0].ID != "INC-00000000000A" || !strings.Contains(told[0].Reopened, "1 new") {
		t.Errorf("a new sighting: %+v", told)
	}
	if got, err := s.Get("INC-00000000000B"); err != nil || got.ID != "INC-00000000000A" || !slices.Equal(got.Aliases, []string{"INC-00000000000B"}) {
		t.Errorf("by its alias: %v %v", got.ID, err)
	}
	// A second incident, that turns out to be the same story.
	tell(incident("INC-00000000000C", c))
	if err := s.Note(t0+3, "INC-00000000000C", "lee", "odd"); err != nil {
		t.Fatal(err)
	}
	told = tell(incident("INC-00000000000C", longer, b, c))
	if told[0].ID != "INC-00000000000A" && told[0].ID != "INC-00000000000C" || len(told[0].Merged) != 1 {
		t.Errorf("merged: %+v", told)
	}
	got, err := s.Get("INC-00000000000C")
	if err != nil || got.ID != told[0].ID || len(got.Notes) != 1 || len(got.Sightings) != 3 {
		t.Errorf("after the merge: %+v %v", got, err)
	}
	// And apart again: the one that left takes its old ID.
	told = tell(incident("INC-00000000000A", longer, b), incident("INC-00000000000C", c))
	if told[0].ID != "INC-00000000000A" || told[1].ID != "INC-00000000000C" || !told[1].New {
		t.Errorf("split: %+v", told)
	}
	before := dump(t, s)
	tell(incident("INC-00000000000C", c), incident("INC-00000000000A", longer, b))
	if dump(t, s) != before {
		t.Error("twice is not once")
	}
	tell(incident("INC-00000000000A", b)) // a part of it, nothing new
	if dump(t, s) != before {
		t.Error("a part of the story changed it")
	}
}

// TestRetell holds what an allowance does to the past, and its removal.
func TestRetell(t *testing.T) {
	s := openTest(t, t.TempDir())
	a, b, c := sighting("beacon", "a", 0), sighting("exfil", "b", 100e9), sighting("scan", "c", 200e9)
	all := []testudo.Incident{incident("INC-0000000000AA", a, b), incident("INC-0000000000CC", c)}
	if _, err := s.Tell(t0, all); err != nil {
		t.Fatal(err)
	}
	lesser := incident("INC-0000000000AA", a)
	lesser.Severity = testudo.Low
	told, err := s.Retell(t0+1, []testudo.Incident{lesser}, "kim", "allowed: backup")
	if err != nil || len(told) != 2 || told[1].ID != "INC-0000000000CC" || told[1].State != Closed {
		t.Fatal(told, err)
	}
	got, err := s.Get("AA")
	if err == nil {
		t.Error("the end of an ID is no beginning")
	}
	got, err = s.Get("INC-0000000000A")
	if err != nil || len(got.Sightings) != 1 || len(got.Aside) != 1 || len(got.Changes) != 1 || got.Changes[0] != (Change{t0 + 1, "severity", "medium", "low", "allowed: backup", "kim"}) {
		t.Errorf("%+v %v", got, err)
	}
	told, err = s.Retell(t0+2, all, "kim", "allowance removed")
	if err != nil || told[0].State != New || told[1].State != New || told[1].Reopened == "" {
		t.Error(told, err)
	}
}

// TestMatch is the table of which stored incident goes on as which told.
func TestMatch(t *testing.T) {
	e := func(id string, added testudo.Time, shared, named map[int]int) earlier {
		return earlier{id: id, added: added, shared: shared, named: named}
	}
	for _, c := range []struct {
		name   string
		n      int
		stored []earlier
		want   string
	}{
		{"nothing stored", 1, nil, "[[]]"},
		{"one", 1, []earlier{e("A", 1, map[int]int{0: 1}, nil)}, "[[A]]"},
		{"two become one, the oldest lasts", 1, []earlier{e("B", 2, map[int]int{0: 9}, nil), e("A", 1, map[int]int{0: 1}, nil)}, "[[A B]]"},
		{"one becomes two, the larger part", 2, []earlier{e("A", 1, map[int]int{0: 1, 1: 2}, nil)}, "[[] [A]]"},
		{"the same parts, the first", 2, []earlier{e("A", 1, map[int]int{0: 1, 1: 1}, nil)}, "[[A] []]"},
		{"its ID counts before size", 2, []earlier{e("A", 1, map[int]int{0: 1, 1: 5}, map[int]int{0: 2})}, "[[A] []]"},
		{"crossed", 2, []earlier{e("A", 1, map[int]int{0: 2, 1: 1}, nil), e("B", 1, map[int]int{0: 1, 1: 2}, nil)}, "[[A] [B]]"},
	} {
		if got := fmt.Sprint(match(c.n, c.stored)); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// TestList holds what the filters choose.
func TestList(t *testing.T) {
	s := openTest(t, t.TempDir())
	a := incident("INC-0000000000A1", sighting("beacon", "a", 0))
	b := incident("INC-0000000000B1", sighting("scan", "b", 1000e9))
	b.Kind, b.Severity, b.Victims, b.Servers = testudo.Scan, testudo.Low, nil, nil
	if _, err := s.Tell(t0, []testudo.Incident{a, b}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		f    Filter
		want string
	}{
		{Filter{}, "B1 A1"},
		{Filter{Severity: testudo.Medium}, "A1"},
		{Filter{Kind: testudo.Scan}, "B1"},
		{Filter{Since: b.Last}, "B1"},
		{Filter{States: []Life{New, Closed}}, "B1 A1"},
		{Filter{States: []Life{Closed}}, ""},
		{Filter{Victim: "10.0.0.5"}, "A1"},
		{Filter{Victim: "pc-1"}, "A1"},
		{Filter{Server: "spy.example"}, "A1"},
		{Filter{Server: "y.example"}, ""},
		{Filter{Server: "::ffff:203.0.113.7"}, "A1"},
		{Filter{Server: "10.0.0.5"}, ""},
	} {
		list, err := s.List(c.f)
		var got []string
		for _, inc := range list {
			got = append(got, strings.TrimPrefix(inc.ID, "INC-0000000000"))
		}
		if strings.Join(got, " ") != c.want || err != nil {
			t.Errorf("%+v: %v %v, want %s", c.f, got, err, c.want)
		}
	}
	if _, err := s.Resolve("0000"); !errors.Is(err, ErrAmbiguous) {
		t.Error(err)
	}
}

// TestAllowedAndBack holds that an incident whose sightings were set aside
// opens again when they count again, unless a person had closed it.
func TestAllowedAndBack(t *testing.T) {
	for _, closed := range []bool{false, true} {
		s := openTest(t, t.TempDir())
		inc := incident("INC-000000000001", sighting("beacon", "a", 0))
		if _, err := s.Tell(t0, []testudo.Incident{inc}); err != nil {
			t.Fatal(err)
		}
		if closed {
			if err := s.Move(t0, inc.ID, Closed, "ann", "reinstalled"); err != nil {
				t.Fatal(err)
			}
		}
		for _, told := range [][]testudo.Incident{nil, {inc}} {
			if _, err := s.Retell(t0, told, "ann", "the list changed"); err != nil {
				t.Fatal(err)
			}
		}
		got, err := s.Get(inc.ID)
		if want := map[bool]Life{false: New, true: Closed}[closed]; err != nil || got.State != want {
			t.Errorf("closed by a person %v: %s, want %s (%v)", closed, got.State, want, err)
		}
	}
}
