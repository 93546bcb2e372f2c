package state

import (
	"reflect"
	"testing"

	"github.com/testudo-shield/testudo"
)

// TestKnown holds that warning lists and threats come back as they were given,
// that the same given twice changes nothing, and that they go with their
// source.
func TestKnown(t *testing.T) {
	s, err := Open(t.TempDir(), t0, "1")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx := t.Context()
	if _, err := s.Import(ctx, t0, Source{Name: "a"}, false, nil); err != nil {
		t.Fatal(err)
	}
	lists := []WarningList{
		{Name: "b", Kind: "hostname", Source: "a", Values: []string{"x.example"}},
		{Name: "a", Kind: "cidr", Source: "a", About: "ranges", Values: []string{"192.0.2.0/24", "\xff"}},
		{Name: "b", Kind: "hostname", Source: "a", Values: []string{"y.example"}},
	}
	threats := []testudo.Threat{
		{ID: "G0001", Name: "Moth", Kind: testudo.GroupThreat, Synonyms: []string{"Night Fly"}, Refs: []string{}},
		{ID: "T1071", Name: "Web", Kind: testudo.TechniqueThreat, Synonyms: []string{}, Refs: []string{"https://a.example"}},
	}
	for round, want := range []int{2, 0} {
		n, err := s.ImportWarnings(ctx, t0+testudo.Time(round), lists)
		if err != nil || n != want {
			t.Errorf("round %d: %d warning lists changed, %v, want %d", round, n, err, want)
		}
		if n, err = s.ImportThreats(ctx, "a", threats); err != nil || n != want {
			t.Errorf("round %d: %d threats changed, %v, want %d", round, n, err, want)
		}
	}
	have, err := s.WarningLists()
	if err != nil || len(have) != 2 || have[0].Name != "a" || have[0].About != "ranges" || have[0].Added != t0 ||
		!reflect.DeepEqual(have[1].Values, []string{"x.example", "y.example"}) {
		t.Errorf("%+v, %v", have, err)
	}
	if all, err := s.Threats(); err != nil || !reflect.DeepEqual(all, threats) {
		t.Errorf("%+v, %v", all, err)
	}
	if k, err := s.KnownOf(); err != nil || k["a"] != (Known{2, 4, 2}) {
		t.Errorf("%+v, %v", k, err)
	}
	if _, err := s.ForgetSource("a"); err != nil {
		t.Fatal(err)
	}
	if k, err := s.KnownOf(); err != nil || len(k) != 0 {
		t.Errorf("after the source was forgotten: %+v, %v", k, err)
	}
}
