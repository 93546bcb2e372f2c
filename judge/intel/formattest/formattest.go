// Package formattest is the contract of judge/intel's formats: what every
// parser promises, checked on examples and on anything a fuzzer finds.
package formattest

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/intel"
)

// Read parses text and returns what is given, skipped and failed, a line
// each, in order.
func Read(t testing.TB, f intel.Format, text string) string {
	t.Helper()
	var b strings.Builder
	skip := func(line int, why string) { fmt.Fprintf(&b, "%d: %s\n", line, why) }
	check := func(err error) {
		if err != nil {
			fmt.Fprintf(&b, "error: %v\n", err)
		}
	}
	if f.Parse != nil {
		check(f.Parse("test", strings.NewReader(text), func(in testudo.Indicator) {
			Check(t, in)
			b.WriteString(line(in))
		}, skip))
	}
	if f.Threats != nil {
		check(f.Threats(strings.NewReader(text), func(th testudo.Threat) {
			fmt.Fprintf(&b, "%s %s %q %q %q\n", th.Kind, th.ID, th.Name, th.Synonyms, th.Refs)
		}, skip))
	}
	if f.Warnings != nil {
		check(f.Warnings("test", strings.NewReader(text), func(w intel.WarningList) {
			fmt.Fprintf(&b, "warning %s %s %q\n", w.Name, w.Type, w.Values)
		}, skip))
	}
	return b.String()
}

// line writes what an indicator holds beside its source, without what it
// does not say.
func line(in testudo.Indicator) string {
	s := string(in.Type) + " " + in.Value
	if in.TLP != testudo.TLPUnset {
		s += " tlp:" + in.TLP.String()
	}
	if in.Confidence >= 0 {
		s += fmt.Sprintf(" %d%%", in.Confidence)
	}
	for _, at := range []struct {
		name string
		time testudo.Time
	}{{"first", in.First}, {"last", in.Last}, {"expires", in.Expires}} {
		if at.time != 0 {
			s += " " + at.name + " " + at.time.Std().Format("2006-01-02T15:04:05")
		}
	}
	if in.Licence != "" {
		s += " licence " + in.Licence
	}
	if len(in.Threats) > 0 {
		s += fmt.Sprintf(" %q", in.Threats)
	}
	if in.Note != "" {
		s += " (" + in.Note + ")"
	}
	return s + "\n"
}

// Golden holds that text is read as want says. Both may be indented and
// begin with an empty line.
func Golden(t *testing.T, f intel.Format, text, want string) {
	t.Helper()
	got := Read(t, f, text)
	if want = strings.TrimLeft(strings.ReplaceAll(want, "\t", ""), "\n"); got != want {
		t.Errorf("%s: read as\n%s\nwant\n%s", f.Name, got, want)
	}
}

// Check holds what every indicator is.
func Check(t testing.TB, in testudo.Indicator) {
	t.Helper()
	form, ok := intel.Canonical(in.Type, in.Value)
	switch {
	case !ok || form != in.Value:
		t.Errorf("%s %q is given, its form is %q", in.Type, in.Value, form)
	case in.Source != "test":
		t.Errorf("%q has the source %q", in.Value, in.Source)
	case in.Confidence < -1 || in.Confidence > 100:
		t.Errorf("%q has the confidence %d", in.Value, in.Confidence)
	case len(in.Note) > 240 || strings.ContainsAny(in.Note, "\r\n\t") || !utf8.ValidString(in.Note):
		t.Errorf("%q has the note %q", in.Value, in.Note)
	case len(in.Threats) > intel.MaxThreats:
		t.Errorf("%q has %d threats", in.Value, len(in.Threats))
	case in.First < 0 || in.Last < 0 || in.Expires < 0:
		t.Errorf("%q has a time before the epoch", in.Value)
	}
}

// Fuzz holds on anything that what is given is what Check wants, that there
// is no more of it than there are bytes, and that the same bytes give the
// same.
func Fuzz(f *testing.F, format intel.Format, seeds ...string) {
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		format.Sniff([]byte(text), "fuzz")
		got := Read(t, format, text)
		if n := strings.Count(got, "\n"); n > len(text)+2 {
			t.Errorf("%d lines of answer to %d bytes", n, len(text))
		}
		if len(text) < 1<<10 && Read(t, format, text) != got {
			t.Error("read otherwise the second time")
		}
	})
}

// Sniffs holds which texts a format takes for its own.
func Sniffs(t *testing.T, f intel.Format, yes, no []string) {
	t.Helper()
	for _, text := range yes {
		if !f.Sniff([]byte(text), "list") {
			t.Errorf("%s does not know %q", f.Name, text)
		}
	}
	for _, text := range no {
		if f.Sniff([]byte(text), "list") {
			t.Errorf("%s takes %q for its own", f.Name, text)
		}
	}
}
