package state

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/testudo-shield/testudo"
)

func name(value string, more func(*testudo.Indicator)) testudo.Indicator {
	i := testudo.Indicator{Type: testudo.DomainIndicator, Value: value, Confidence: -1}
	if more != nil {
		more(&i)
	}
	return i
}

// TestImport holds what imports of one source make of each other.
func TestImport(t *testing.T) {
	ctx := context.Background()
	s := openTest(t, t.TempDir())
	a := name("a.example", func(i *testudo.Indicator) {
		i.First, i.Last, i.Note, i.Threats, i.Marks, i.TLP = 50, 60, "a note", []string{"APT \xff", "x"}, testudo.MarkShared, testudo.TLPGreen
	})
	b, c := name("b.example", nil), name("c.example", nil)
	later := name("a.example", func(i *testudo.Indicator) { i.First, i.Last, i.Threats, i.Confidence = 55, 90, []string{"x", "y"}, 80 })
	joined := name("a.example", func(i *testudo.Indicator) {
		i.First, i.Last, i.Note, i.Threats, i.Confidence, i.TLP = 50, 90, "a note", []string{"APT \xff", "x", "y"}, 80, testudo.TLPGreen
	})
	source := Source{Name: "traps", Licence: "CC0-1.0", ETag: `"1"`, SHA256: "ab", Fetched: t0, Lines: 9, Skipped: map[string]int{"a private address": 2, "prose": 1}}
	for n, step := range []struct {
		replace bool
		list    []testudo.Indicator
		want    Counts
		holds   []testudo.Indicator
	}{
		{true, []testudo.Indicator{b, a}, Counts{Taken: 2}, []testudo.Indicator{a, b}},
		{true, []testudo.Indicator{b, a}, Counts{Unchanged: 2}, []testudo.Indicator{a, b}},
		{false, []testudo.Indicator{b, a, b}, Counts{Unchanged: 2, Twice: 1}, []testudo.Indicator{a, b}},
		{false, []testudo.Indicator{later}, Counts{Merged: 1}, []testudo.Indicator{joined, b}},
		{false, []testudo.Indicator{later}, Counts{Unchanged: 1}, []testudo.Indicator{joined, b}},
		{false, []testudo.Indicator{c}, Counts{Taken: 1}, []testudo.Indicator{joined, b, c}},
		{true, []testudo.Indicator{c, a}, Counts{Merged: 1, Unchanged: 1, Gone: 1}, []testudo.Indicator{a, c}},
		{true, nil, Counts{Gone: 2}, nil},
		{true, []testudo.Indicator{a, later}, Counts{Taken: 1, Twice: 1}, []testudo.Indicator{joined}},
	} {
		got, err := s.Import(ctx, t0+testudo.Time(n), source, step.replace, step.list)
		if err != nil || got != step.want {
			t.Errorf("step %d: %+v %v", n, got, err)
		}
		var holds []testudo.Indicator
		for i, err := range s.Indicators(ctx, "traps", 0) {
			if err != nil {
				t.Fatal(err)
			}
			if i.Source != "traps" || i.Licence != "CC0-1.0" {
				t.Errorf("step %d: %+v", n, i)
			}
			i.Source, i.Licence = "", ""
			holds = append(holds, i)
		}
		if !reflect.DeepEqual(holds, step.holds) {
			t.Errorf("step %d:\n%+v\n%+v", n, holds, step.holds)
		}
		before := dump(t, s)
		if again, err := s.Import(ctx, t0+999, source, step.replace, step.list); err != nil || again.Taken+again.Merged+again.Gone != 0 || dump(t, s) != before {
			t.Errorf("step %d: twice is not once: %+v %v", n, again, err)
		}
		source.Holds = len(holds)
		if all, err := s.Sources(); err != nil || len(all) != 1 || !reflect.DeepEqual(all[0], source) {
			t.Errorf("step %d: %+v %v", n, all, err)
		}
	}
	if gone, err := s.ForgetSource("traps"); gone != 1 || err != nil {
		t.Error(gone, err)
	}
	if _, err := s.ForgetSource("traps"); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
}

// TestSince holds that what an import brought can be asked for.
func TestSince(t *testing.T) {
	ctx := context.Background()
	s := openTest(t, t.TempDir())
	a, b := name("a.example", nil), name("b.example", nil)
	for n, list := range [][]testudo.Indicator{{a}, {a, b}, {b, name("a.example", func(i *testudo.Indicator) { i.Note = "new" })}} {
		if _, err := s.Import(ctx, t0+testudo.Time(n), Source{Name: "l"}, true, list); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for i := range s.Indicators(ctx, "", t0+1) {
		got = append(got, i.Value)
	}
	if !slices.Equal(got, []string{"b.example"}) {
		t.Error(got)
	}
	for range s.Indicators(ctx, "", 0) {
		break
	}
	stopped, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := s.Import(stopped, t0, Source{Name: "m"}, true, million(100)); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if all, err := s.Sources(); len(all) != 1 || err != nil {
		t.Error(all, err)
	}
}

// TestLookup holds by which values an indicator is found.
func TestLookup(t *testing.T) {
	ctx := context.Background()
	s := openTest(t, t.TempDir())
	of := func(typ testudo.IndicatorType, v string) testudo.Indicator {
		return testudo.Indicator{Type: typ, Value: v, Confidence: -1}
	}
	one := []testudo.Indicator{
		of(testudo.AddressIndicator, "203.0.113.7"), of(testudo.PrefixIndicator, "203.0.113.0/24"), of(testudo.PrefixIndicator, "2001:db8::/32"),
		of(testudo.DomainIndicator, "spy.example"), of(testudo.HostIndicator, "www.spy.example"), of(testudo.URLIndicator, "spy.example/Gate.php"),
		of(testudo.HashIndicator, strings.Repeat("ab", 16)), of(testudo.AgentIndicator, "Evil/1.0"),
	}
	for n, source := range []string{"one", "two"} {
		list := one
		if n == 1 {
			list = one[3:4]
		}
		if _, err := s.Import(ctx, t0, Source{Name: source}, true, list); err != nil {
			t.Fatal(err)
		}
	}
	for value, want := range map[string]string{
		"203.0.113.7":                 "[address 203.0.113.7 one] [prefix 203.0.113.0/24 one]",
		"203.0.113.9":                 "[prefix 203.0.113.0/24 one]",
		"203.0.113.128/25":            "[prefix 203.0.113.0/24 one]",
		"2001:DB8::1":                 "[prefix 2001:db8::/32 one]",
		"192.0.2.1":                   "",
		"WWW.Spy.Example.":            "[domain spy.example one] [domain spy.example two] [host www.spy.example one]",
		"example":                     "",
		"notspy.example":              "",
		"https://SPY.example/Gate":    "[domain spy.example one] [domain spy.example two]",
		"http://spy.example/Gate.php": "[domain spy.example one] [domain spy.example two] [url spy.example/Gate.php one]",
		"spy.example/Gate.php":        "[domain spy.example one] [domain spy.example two] [url spy.example/Gate.php one]",
		strings.Repeat("AB", 16):      "[hash " + strings.Repeat("ab", 16) + " one]",
		"http://203.0.113.7:8080/x":   "[address 203.0.113.7 one] [prefix 203.0.113.0/24 one]",
		"https://[2001:db8::1]:8443/": "[prefix 2001:db8::/32 one]",
		"https://spy.example:8443":    "[domain spy.example one] [domain spy.example two]",
		"Evil/1.0":                    "[user-agent Evil/1.0 one]",
	} {
		found, err := s.Lookup(value)
		var got []string
		for _, f := range found {
			got = append(got, fmt.Sprintf("[%s %s %s]", f.Type, f.Value, f.Source))
			if f.Added != t0 {
				t.Errorf("%+v", f)
			}
		}
		if strings.Join(got, " ") != want || err != nil {
			t.Errorf("%s: %v %v", value, got, err)
		}
	}
}
