package intel_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/intel"
)

func TestTyped(t *testing.T) {
	for _, c := range []struct {
		typ         testudo.IndicatorType
		value, want string
	}{
		{testudo.AddressIndicator, "203.0.113.7", "address 203.0.113.7"},
		{testudo.AddressIndicator, "192.0.2.0/24", "prefix 192.0.2.0/24"},
		{testudo.PrefixIndicator, "203.0.113.7/32", "address 203.0.113.7"},
		{testudo.AddressIndicator, "spy.example", "domain spy.example"},
		{testudo.AddressIndicator, "00112233445566778899aabbccddeeff", ""},
		{testudo.URLIndicator, "http://spy.example/", "host spy.example"},
		{testudo.URLIndicator, "tcp://203.0.113.7:443/", "address 203.0.113.7"},
		{testudo.URLIndicator, "file://host.example/share/x", ""},
		{testudo.HostIndicator, "spy.example:443", "domain spy.example"},
		{testudo.HostIndicator, "*.spy.example", "domain spy.example"},
		{testudo.EmailIndicator, "spy.example", ""},
		{testudo.HashIndicator, "spy.example", ""},
		{testudo.JA3Indicator, "00112233445566778899AABBCCDDEEFF", "ja3 00112233445566778899aabbccddeeff"},
		{testudo.AgentIndicator, "curl/1 (x)", "user-agent curl/1 (x)"},
	} {
		got := ""
		if in, ok := intel.Typed("test", c.typ, c.value); ok {
			got = fmt.Sprintf("%s %s", in.Type, in.Value)
		}
		if got != c.want {
			t.Errorf("%s said to be a %s: %q, want %q", c.value, c.typ, got, c.want)
		}
	}
}

func TestNote(t *testing.T) {
	for _, c := range []struct {
		parts []string
		want  string
	}{
		{nil, ""},
		{[]string{"", "gate", "gate", " of\tX \n"}, "gate; of X"},
		{[]string{"a\x1b[31mb\u202ec"}, "a[31mbc"},
		{[]string{strings.Repeat("é", 200)}, strings.Repeat("é", 118) + "…"},
		{[]string{strings.Repeat("x", 240)}, strings.Repeat("x", 240)},
	} {
		if got := intel.Note(c.parts...); got != c.want || !utf8.ValidString(got) {
			t.Errorf("%q: %q, want %q", c.parts, got, c.want)
		}
	}
}

func TestParseTime(t *testing.T) {
	for in, want := range map[string]string{
		"2024-05-01T10:20:30.123Z":      "2024-05-01T10:20:30.123000Z",
		"2024-05-01T10:20:30+02:00":     "2024-05-01T08:20:30.000000Z",
		"2024-05-01 10:20:30 UTC":       "2024-05-01T10:20:30.000000Z",
		"2024-05-01 10:20":              "2024-05-01T10:20:00.000000Z",
		" 2024-05-01":                   "2024-05-01T00:00:00.000000Z",
		"2013_04_03":                    "2013-04-03T00:00:00.000000Z",
		"1714558830":                    "2024-05-01T10:20:30.000000Z",
		"1714558830123":                 "2024-05-01T10:20:30.123000Z",
		"Wed, 01 May 2024 10:20:30 GMT": "2024-05-01T10:20:30.000000Z",
		"":                              "", "yesterday": "", "0001-01-01": "", "9999-12-31": "", "12": "", "05/06/2024": "", "1e400": "", "99999999999999999999": "",
	} {
		got := ""
		if at := intel.ParseTime(in); at != 0 {
			got = at.String()
		}
		if got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestUnusable(t *testing.T) {
	for value, want := range map[string]string{
		"": "an empty value", "/x.php": "a path without a host, which any server may have", "a.*b": "a pattern, not one value",
		strings.Repeat("ab", 64): "a digest other than MD5, SHA-1 and SHA-256", "gopher://x": "a URL that is broken or not of the web",
		"a\x00b": "control characters or broken UTF-8", strings.Repeat("x", 9000): "a value longer than 8 KiB", "word": "no address, name, URL, email address or hash",
	} {
		if got := intel.Unusable(value); got != want {
			t.Errorf("%.20q: %q, want %q", value, got, want)
		}
	}
}

func TestAddThreats(t *testing.T) {
	got := intel.AddThreats(nil, "Heron", " heron ", "", "Ash  Wing")
	if !slices.Equal(got, []string{"Heron", "Ash Wing"}) {
		t.Errorf("%q", got)
	}
	for i := range 100 {
		got = intel.AddThreats(got, fmt.Sprint(i))
	}
	if len(got) != intel.MaxThreats {
		t.Errorf("%d threats", len(got))
	}
}

func TestLines(t *testing.T) {
	var got []string
	add := func(n int, s string) { got = append(got, fmt.Sprintf("%d %.9s", n, s)) }
	text := "\uFEFFa\r\n\r\n" + strings.Repeat("x", intel.MaxLine+5) + "\nb\n" + strings.Repeat("y", 3*intel.MaxLine)
	if err := intel.Lines(strings.NewReader(text), add, add); err != nil {
		t.Fatal(err)
	}
	if want := []string{"1 a", "2 ", "3 a line lo", "4 b", "5 a line lo"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if err := intel.Lines(strings.NewReader("\xff\xfea\x00"), add, add); !errors.Is(err, intel.ErrUTF16) {
		t.Errorf("UTF-16: %v", err)
	}
}

// TestStream holds the line of each value and the bounds.
func TestStream(t *testing.T) {
	s := intel.NewStream(strings.NewReader("\uFEFF{\"a\":\n[1,\n\"two\"],\n\"b\":{\"deep\":[[{}]]},\"c\":{\"n\":\"x\"}}"))
	var got []string
	err := s.Object(func(key string) error {
		if key == "a" {
			return s.Array(func() error {
				n := 0
				err := s.Decode(&n)
				got = append(got, fmt.Sprint(key, n, s.Line()))
				return err
			})
		}
		err := s.Pass()
		got = append(got, fmt.Sprint(key, s.Line()))
		return err
	})
	if want := []string{"a1 2", "a0 3", "b4", "c4"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, want %q, %v", got, want, err)
	}
	for text, want := range map[string]error{
		`"` + strings.Repeat("x", intel.MaxObject+1) + `"`: intel.ErrTooLarge,
		strings.Repeat("[", 1000):                          intel.ErrTooDeep,
	} {
		if err := intel.NewStream(strings.NewReader(text)).Pass(); !errors.Is(err, want) {
			t.Errorf("%.10s: %v, want %v", text, err, want)
		}
	}
	for _, text := range []string{"", "{", `{"a"`, `{"a":1`, "[1", "{]"} {
		s := intel.NewStream(strings.NewReader(text))
		if err := s.Object(func(string) error { return s.Pass() }); err == nil {
			t.Errorf("%q is whole", text)
		}
	}
}
