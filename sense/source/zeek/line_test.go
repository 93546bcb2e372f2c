package zeek

import (
	"bufio"
	"bytes"
	"encoding/json"
	"testing"

	"github.com/testudo-shield/testudo"
)

func TestSeconds(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "1.5": 1_500_000_000, "-0.000001": -1000, "1700000000.123456": 1_700_000_000_123456000, "0.5273809432983398": 527_380_943,
		"0.09628199999999865": 96_282_000, "0.9999999999": 1_000_000_000, ".5": 500_000_000, "5.": 5_000_000_000, "1e3": 1_000_000_000_000,
		"4.294967296e+09": 4_294_967_296_000_000_000, "253402300799.000000": maxSeconds * 1_000_000_000, "-1e300": -maxSeconds * 1_000_000_000,
	} {
		if got, err := parseSeconds([]byte(text)); err != nil || got != want {
			t.Errorf("%s: got %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "-", ".", "x", "1x", "1.5.5", "inf", "+inf", "nan", "0x10", "1e999", " 1"} {
		if got, err := parseSeconds([]byte(text)); err == nil {
			t.Errorf("%q: got %d, want an error", text, got)
		}
	}
}

func TestTimeForms(t *testing.T) {
	for text, want := range map[string]testudo.Time{
		"1700000000.000001": 1_700_000_000_000001000, "1700000000123": 1_700_000_000_123000000, "253402300799": maxSeconds * 1_000_000_000,
		"2023-11-14T22:13:20.000001Z": 1_700_000_000_000001000, "9999-12-31T23:59:59Z": maxSeconds * 1_000_000_000,
	} {
		if got, err := parseTime([]byte(text)); err != nil || got != want {
			t.Errorf("%s: got %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "2023-11-14 22:13:20", "2023-99-14T22:13:20Z", "-"} {
		if got, err := parseTime([]byte(text)); err == nil {
			t.Errorf("%q: got %d, want an error", text, got)
		}
	}
}

func TestUID(t *testing.T) {
	for _, u := range []testudo.UID{1, 42, 1 << 63, 1<<64 - 1} {
		if got := parseUID([]byte(u.String())); got != u {
			t.Errorf("%s came back as %s", u, got)
		}
	}
	seen := map[testudo.UID]string{}
	for _, text := range []string{"C", "CHhAvVGS1DHFjwGM9", "CHhAvVGS1DHFjwGM8", "Czzzzzzzzzzz", "C000000000000", "F0000000001", "C-000000001"} {
		u := parseUID([]byte(text))
		if u == 0 || seen[u] != "" {
			t.Errorf("%s: %s, as %q", text, u, seen[u])
		}
		seen[u] = text
	}
	if parseUID(nil) != 0 {
		t.Error("no uid became one")
	}
}

func TestAddr(t *testing.T) {
	for text, want := range map[string]string{
		"192.0.2.1": "192.0.2.1", "2001:db8::1": "2001:db8::1", "[2001:db8::1]": "2001:db8::1",
		"fe80::1%eth0": "fe80::1", "::ffff:192.0.2.1": "192.0.2.1",
	} {
		if got, err := parseAddr([]byte(text)); err != nil || got.String() != want {
			t.Errorf("%s: got %v, %v, want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "1.2.3", "1.2.3.", "1.2.3.4.5", "256.1.1.1", "1.1.1.1111", "a", "-", "[]"} {
		if got, err := parseAddr([]byte(text)); err == nil {
			t.Errorf("%q: got %v, want an error", text, got)
		}
	}
}

func TestUnescape(t *testing.T) {
	for text, want := range map[string]string{`a\x09b`: "a\tb", `\\x09`: `\x09`, `\x4`: `\x4`, `\xzz`: `\xzz`, `end\`: `end\`, `\xFF`: "\xff"} {
		if got := string(unescape(nil, []byte(text))); got != want {
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
	var w words
	for i := range 3 * maxWords {
		w.intern([]byte{byte(i), byte(i >> 8), byte(i >> 16)})
	}
	if len(w.known) > maxWords {
		t.Errorf("%d words are kept", len(w.known))
	}
}

// reader returns a file that reads text, whose name says stem.
func reader(text []byte, stem string) *file {
	f := &file{kinds: map[string]*kind{}, order: kinds()}
	for _, k := range f.order {
		f.kinds[k.path] = k
	}
	f.stem = f.kinds[stem]
	f.row.words = &words{}
	f.tsv = standard(f.stem)
	f.lines = bufio.NewReaderSize(bytes.NewReader(text), block)
	return f
}

// drain reads all records and checks what holds of any input.
func drain(t *testing.T, f *file) int {
	n := 0
	for known := (certs{}); ; n++ {
		e, err := f.read()
		if err != nil {
			return n
		}
		if e.record == nil || e.record.Base() == nil || e.number != n+1 {
			t.Fatalf("record %d is broken: %+v", n, e)
		}
		if c, ok := e.record.(*testudo.Conn); ok && (c.OrigBytes < 0 || c.Delta.OrigBytes != c.OrigBytes || e.written < c.Time) {
			t.Fatalf("conn %d is broken: %+v", n, c)
		}
		if x, ok := e.record.(*testudo.X509); ok {
			known.add(e.cert, x)
		}
		known.handOver(e)
	}
}

func FuzzTSV(f *testing.F) {
	f.Add([]byte("#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\tconn\n#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tduration\torig_bytes\thistory\n1.5\tCa\t10.0.0.5\t1\t192.0.2.1\t2\ttcp\t0.5\t7\tShADa\n#close\n"))
	f.Add([]byte("#separator \\x7c\n#path|dns\n#fields|ts|id.orig_h|id.resp_h|query|answers|TTLs|AA\n1|::1|::2|\\x00\\\\|a\\x2c,TXT 9 b,(empty),-|1.0,2e3|T\n"))
	f.Add([]byte("#fields\tts\tname\n1\t-\n\n#path\tx509\n#fields\tts\tcertificate.not_valid_after\tsan.dns\n1\t1e30\t(empty)\n"))
	f.Fuzz(func(t *testing.T, text []byte) { drain(t, reader(text, "weird")) })
}

func FuzzJSON(f *testing.F) {
	f.Add([]byte(`{"ts":1.5,"uid":"Ca","id.orig_h":"10.0.0.5","id.orig_p":1,"id.resp_h":"192.0.2.1","id.resp_p":2,"proto":"icmp","conn_state":"SF","duration":1e-3}`))
	f.Add([]byte(`{"_path":"dns","ts":"2024-01-02T03:04:05.1Z","id":{"orig_h":"::1","resp_h":"::2"},"answers":["a","\u00e9\ud83d\ude00",null,1,{"x":[]}],"TTLs":[1,2.5]}`))
	f.Add([]byte(`{"_path":"x509","ts":1,"id":"F1","san.dns":[],"basic_constraints.ca":true,"certificate.version":3.0} `))
	f.Add([]byte("{\"ts\":1,\"name\":\"a\\\\xff\",\"peer\":\"\"}\n{\"\":[[[[[[[[[]]]]]]]]]}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		drain(t, reader(text, ""))
		Sniff(text)
		var flat map[string]string
		if bytes.ContainsRune(text, '\n') || json.Unmarshal(text, &flat) != nil || flat == nil || len(text) > maxPairs {
			return
		}
		var o object
		if !o.parse(text) {
			t.Fatalf("a flat object of strings was refused: %q", text)
		}
	})
}
