package plain

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/intel"
)

func parse(t testing.TB, list string) (given, skipped []string, err error) {
	t.Helper()
	err = Parse("list", strings.NewReader(list), func(i testudo.Indicator) {
		if i.Source != "list" || i.Confidence != -1 {
			t.Errorf("indicator %+v", i)
		}
		given = append(given, fmt.Sprintf("%s %s %s", i.Type, i.Value, i.Note))
	}, func(line int, why string) {
		skipped = append(skipped, fmt.Sprintf("%d %s", line, why))
	})
	return given, skipped, err
}

// TestParse holds values, notes, comments and what is skipped.
func TestParse(t *testing.T) {
	given, skipped, err := parse(t, "\ufeff# a list\r\n; of things\r\n\r\n  spy[.]example\tgate of X \r\n203.0.113.7 , seen twice\n"+
		"10.0.0.1\nhxxp://spy.example/x#y , second\nDear reader,\nspy.example,c2;high\nco.uk # a suffix\ne7d705a3286e19ea42f587b344ee6865   # JA3\n")
	want := []string{
		"domain spy.example gate of X", "address 203.0.113.7 seen twice", "address 10.0.0.1 ", "url spy.example/x second",
		"domain spy.example c2;high", "domain co.uk a suffix", "hash e7d705a3286e19ea42f587b344ee6865 JA3",
	}
	if err != nil || !slices.Equal(given, want) {
		t.Errorf("%v, given\n%q, want\n%q", err, given, want)
	}
	if want := []string{"8 prose or a bare word"}; !slices.Equal(skipped, want) {
		t.Errorf("skipped %q, want %q", skipped, want)
	}
	if _, _, err := parse(t, "spy.example\n"+strings.Repeat("\x00\x01", MaxLine)); err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("a line of 128 KB: %v", err)
	}
}

// FuzzParse holds that every line is given, skipped or passed over, and that
// what is given is in its one form.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"203.0.113.7\nspy.example note\n# c\n", "hxxp://a[.]b.example:1/x", "0.0.0.0 spy.example", "\x00", "://", ",\n;"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, list string) {
		n := 0
		_ = Parse("list", strings.NewReader(list), func(i testudo.Indicator) {
			n++
			if form, ok := intel.Canonical(i.Type, i.Value); !ok || form != i.Value {
				t.Fatalf("%s %q is given, its form is %q", i.Type, i.Value, form)
			}
		}, func(int, string) { n++ })
		if n > 1+strings.Count(list, "\n") {
			t.Fatalf("%d values and skips of %q", n, list)
		}
	})
}
