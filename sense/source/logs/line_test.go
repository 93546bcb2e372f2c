package logs

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/testudo-shield/testudo"
)

func TestSeconds(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "1.5": 1_500_000_000, "-0.000001": -1000, "1700000000.123456": 1_700_000_000_123456000, "0.5273809432983398": 527_380_943,
		"0.09628199999999865": 96_282_000, "0.9999999999": 1_000_000_000, ".5": 500_000_000, "5.": 5_000_000_000, "1e3": 1_000_000_000_000,
		"4.294967296e+09": 4_294_967_296_000_000_000, "253402300799.000000": MaxSeconds * 1_000_000_000, "-1e300": -MaxSeconds * 1_000_000_000,
	} {
		if got, err := Seconds([]byte(text)); err != nil || got != want {
			t.Errorf("%s: got %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "-", ".", "x", "1x", "1.5.5", "inf", "+inf", "nan", "0x10", "1e999", " 1"} {
		if got, err := Seconds([]byte(text)); err == nil {
			t.Errorf("%q: got %d, want an error", text, got)
		}
	}
}

func TestTimeForms(t *testing.T) {
	for text, want := range map[string]testudo.Time{
		"1700000000.000001": 1_700_000_000_000001000, "1700000000123": 1_700_000_000_123000000, "253402300799": MaxSeconds * 1_000_000_000,
		"2023-11-14T22:13:20.000001Z": 1_700_000_000_000001000, "9999-12-31T23:59:59Z": MaxSeconds * 1_000_000_000,
	} {
		if got, err := ParseTime([]byte(text)); err != nil || got != want {
			t.Errorf("%s: got %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "2023-11-14 22:13:20", "2023-99-14T22:13:20Z", "-"} {
		if got, err := ParseTime([]byte(text)); err == nil {
			t.Errorf("%q: got %d, want an error", text, got)
		}
	}
}

func TestUID(t *testing.T) {
	for _, u := range []testudo.UID{1, 42, 1 << 63, 1<<64 - 1} {
		if got := ParseUID([]byte(u.String())); got != u {
			t.Errorf("%s came back as %s", u, got)
		}
	}
	seen := map[testudo.UID]string{}
	for _, text := range []string{"C", "CHhAvVGS1DHFjwGM9", "CHhAvVGS1DHFjwGM8", "Czzzzzzzzzzz", "C000000000000", "F0000000001", "C-000000001"} {
		u := ParseUID([]byte(text))
		if u == 0 || seen[u] != "" {
			t.Errorf("%s: %s, as %q", text, u, seen[u])
		}
		seen[u] = text
	}
	if ParseUID(nil) != 0 {
		t.Error("no uid became one")
	}
}

func TestAddr(t *testing.T) {
	for text, want := range map[string]string{
		"192.0.2.1": "192.0.2.1", "2001:db8::1": "2001:db8::1", "[2001:db8::1]": "2001:db8::1",
		"fe80::1%eth0": "fe80::1", "::ffff:192.0.2.1": "192.0.2.1",
	} {
		if got, err := ParseAddr([]byte(text)); err != nil || got.String() != want {
			t.Errorf("%s: got %v, %v, want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "1.2.3", "1.2.3.", "1.2.3.4.5", "256.1.1.1", "1.1.1.1111", "a", "-", "[]"} {
		if got, err := ParseAddr([]byte(text)); err == nil {
			t.Errorf("%q: got %v, want an error", text, got)
		}
	}
}

func TestUnescape(t *testing.T) {
	for text, want := range map[string]string{`a\x09b`: "a\tb", `\\x09`: `\x09`, `\x4`: `\x4`, `\xzz`: `\xzz`, `end\`: `end\`, `\xFF`: "\xff"} {
		if got := string(Unescape(nil, []byte(text))); got != want {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
	for text, want := range map[string]string{
		`\u00e9\n\/\"`: "é\n/\"", `\ud83d\ude00`: "😀", `\ud83d`: "\ufffd", `\ud83dx`: "\ufffdx", `\u12`: "\ufffd12",
		`\\xff`: "\xff", `\\x41`: `\x41`, `\\\\x`: `\\x`, `\`: `\`,
	} {
		if got := string(appendUnquoted(nil, []byte(text))); got != want {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
}

func TestWords(t *testing.T) {
	var w Words
	for i := range 3 * wordSlots {
		b := []byte{byte(i), byte(i >> 8), byte(i >> 16), 'x', 'y', 'z', 'u', 'v', 'w'}
		if s := w.Intern(b[:i%len(b)]); s != string(b[:i%len(b)]) {
			t.Fatalf("%q became %q", b, s)
		}
	}
}

func FuzzObject(f *testing.F) {
	f.Add([]byte(`{"a":1,"b":{"c":[{"d":"e"},["f",-1.5e3],null,true]},"g":"\u00e9\\"}`))
	f.Add([]byte(`{"":[[[[[[[[[]]]]]]]]],"x":{"x":{"x":{"x":{"x":{"x":{"x":{"x":{"x":{}}}}}}}}}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var o, inner Object
		valid := json.Valid(text)
		if o.Parse(text) {
			for _, p := range o.Pairs {
				o.Text(p.Raw, p.Sort)
				o.List(p)
				if p.Sort != '[' {
					continue
				}
				for e := range Elements(p.Raw) {
					if e.Sort == '{' && valid && !inner.Parse(e.Raw) && len(e.Raw) < MaxPairs && bytes.Count(e.Raw, []byte("{")) < maxDepth {
						t.Fatalf("an object inside an array was refused: %q", e.Raw)
					}
				}
			}
		}
		var flat map[string]string
		if json.Unmarshal(text, &flat) != nil || flat == nil || len(text) > MaxPairs {
			return
		}
		if !o.Parse(text) {
			t.Fatalf("a flat object of strings was refused: %q", text)
		}
	})
}
