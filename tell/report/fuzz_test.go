package report

import (
	"bytes"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/rivo/uniseg"
	"github.com/testudo-shield/testudo"
)

func FuzzClean(f *testing.F) {
	for _, s := range []string{"", "fin-pc-14", "\x1b]0;x\x07", "a\u202eb", "\xff\xc3", "e\u0301\u0301\u0301\u0301\u0301", "東京\u3000", "👩‍👩‍👧 🇩🇪", "\U000e0041"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := Clean(s)
		if !utf8.ValidString(got) {
			t.Fatalf("not UTF-8: %q", got)
		}
		for _, r := range got {
			if !unicode.IsPrint(r) || unicode.In(r, unicode.Cc, unicode.Cf) {
				t.Fatalf("%U in %q", r, got)
			}
		}
		if again := Clean(got); again != got {
			t.Fatalf("%q cleaned again is %q", got, again)
		}
		if w := uniseg.StringWidth(got); w > cleanCells {
			t.Fatalf("%d cells", w)
		}
		if w := uniseg.StringWidth(Name(s)); w > nameCells {
			t.Fatalf("a name of %d cells", w)
		}
		if a := ascii(got); !plainASCII(a) {
			t.Fatalf("not ASCII: %q", a)
		}
	})
}

func FuzzJSON(f *testing.F) {
	f.Add("title", "name", "reason", 1.5, int64(9), 60)
	f.Add("\x1b\u202e", "\xff<&>", "\u2028\U000e0041\\", 1e300, int64(-1), 100)
	f.Fuzz(func(t *testing.T, title, name, text string, x float64, n int64, width int) {
		in := testudo.Incident{
			ID: name, Kind: testudo.Kind(name), Title: title, Confidence: x, Score: x, First: testudo.Time(n),
			Last: testudo.Time(-n), Severity: testudo.Severity(n), Victims: []testudo.Victim{{Name: name}}, Innocent: []string{text},
			Servers:     []testudo.NamedServer{{Confidence: x, Server: testudo.Server{Names: []string{name}, Ports: []string{text}}}},
			Techniques:  []string{text},
			Explanation: []testudo.Reason{{Family: testudo.Family(name), Weight: x, Text: text}},
			Sightings: []testudo.Sighting{{Detector: name, Summary: text, Evidence: []testudo.Fact{
				{Name: name, Value: x},
				{Name: text, Value: text},
				{Name: "count", Value: n},
				{Name: "bytes_out", Value: x},
				{Name: "list", Value: []string{name}},
			}}},
		}
		s := &testudo.Summary{
			Inputs: []string{name}, Skipped: []testudo.Skip{{Input: name, Reason: text}}, Packets: n, Dropped: n / 2,
			First: testudo.Time(n), Last: testudo.Time(n / 3), Shed: []testudo.Shed{{Cause: name, Count: n}},
			Detectors: []testudo.Judgement{{Detector: name, Lacked: text}},
		}
		var b bytes.Buffer
		if err := JSON(&b, []testudo.Incident{in}, s, true); err != nil {
			t.Fatal(err)
		}
		checkJSON(t, b.Bytes(), 2)
		for _, o := range []TextOptions{{Width: width % 200, All: true, Version: name}, {Width: width % 200, Plain: true, Color: true}} {
			b.Reset()
			if err := Text(&b, []testudo.Incident{in}, s, o); err != nil {
				t.Fatal(err)
			}
			checkPage(t, b.String(), o)
		}
		if err := CSV(&b, []testudo.Incident{in}); err != nil {
			t.Fatal(err)
		}
	})
}
