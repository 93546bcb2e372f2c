package inquiry

import (
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/testudo-shield/testudo"
)

var update = flag.Bool("update", false, "write the golden files anew")

func week() testudo.Coverage {
	return Cover(noon.Add(-168*hour), noon, []testudo.Heartbeat{
		beat("s", "eth0", 168, 0, ""), beat("s", "eth1", 168, 32.8, "sensor stopped"), beat("s", "eth1", 31, 0, ""),
	})
}

func sampleHunt() *Hunt {
	h := &Hunt{Question: "name:*.bad.example since:7d", Limit: 2, Coverage: week()}
	dns := &testudo.DNS{Meta: at("10.0.0.5:5353", "10.0.0.1:53"), Query: "Www.bad.example", Answers: []string{"198.51.100.9", "TXT 3 a b"}, RTT: 20 * time.Millisecond}
	dns.About.OrigLocal = true
	conn := &testudo.Conn{Meta: at("203.0.113.7:443", "10.0.0.6:50000"), Service: "ssl", OrigBytes: 2_000_000, Duration: 90 * time.Second}
	conn.About.RespLocal = true
	conn.Time = noon.Add(-time.Hour)
	http := &testudo.HTTP{Meta: at("10.0.0.5:1", "203.0.113.7:80"), Host: "bad.example", UserAgent: "a \x1b[2J b"}
	for _, r := range []testudo.Record{dns, conn, http} {
		h.Add(r)
	}
	return h
}

func sampleListed() []testudo.Indicator {
	ago := func(d int) testudo.Time { return noon.Add(-time.Duration(d) * 24 * hour) }
	return []testudo.Indicator{
		{Type: testudo.AddressIndicator, Value: "203.0.113.7", Source: "old list", Confidence: -1, Last: ago(400), Expires: ago(300)},
		{Type: testudo.AddressIndicator, Value: "203.0.113.7", Source: "sector list", TLP: testudo.TLPGreen, Confidence: 80, First: ago(9), Last: ago(2), Note: "relay", Threats: []string{"APT0"}},
		{Type: testudo.PrefixIndicator, Value: "203.0.113.0/24", Source: "wide list", Confidence: 10, Marks: testudo.MarkWide},
	}
}

func sampleCase() Case {
	return Case{State: "contained", Why: "host rebuilt", By: "duty", Since: noon, Incident: testudo.Incident{
		ID: "INC-7F3K9QW2MX8D", Kind: testudo.Espionage, Severity: testudo.High, Title: "fin-pc-14 reports to 203.0.113.7 every 60 s",
		First: noon.Add(-72 * hour), Last: noon.Add(-hour), Innocent: []string{"could be a monitoring agent"},
		Explanation: []testudo.Reason{{Family: testudo.Base, Weight: -4.2, Text: "few pairs are bad"}, {Family: testudo.Timing, Weight: 3.1, Text: "gaps of 58 to 62 s"}, {Family: testudo.Rarity, Weight: 5, Text: "1 of 61 hosts goes there"}},
		Sightings: []testudo.Sighting{
			{Detector: "beacon", First: noon.Add(-70 * hour), Summary: "812 times every 60 s"}, {Detector: "delivery", First: noon.Add(-72 * hour), Summary: "a program came from 203.0.113.9"},
		},
	}}
}

func sampleSeen() Seen {
	return Seen{noon.Add(-72 * hour), noon.Add(-hour), 812, []Touched{{netip.MustParseAddr("10.0.0.5"), "fin-pc-14", noon.Add(-72 * hour), noon, 812}}, week()}
}

// words are the answers whose form is held by golden files.
func answers() map[string]interface {
	Text(io.Writer, TextOptions) error
	JSON(io.Writer) error
} {
	return map[string]interface {
		Text(io.Writer, TextOptions) error
		JSON(io.Writer) error
	}{
		"hunt":            sampleHunt(),
		"hunt-nothing":    &Hunt{Question: "203.0.113.7", Coverage: week()},
		"hunt-stopped":    &Hunt{Question: "203.0.113.7", Stopped: true, Reached: noon.Add(-24 * hour), Coverage: week()},
		"lookup-bad":      &Card{Value: "203.0.113.7", Sort: "address", Now: noon, Listed: sampleListed(), Seen: sampleSeen(), Incidents: []Case{sampleCase()}},
		"lookup-unknown":  &Card{Value: "quiet.example", Sort: "name", Now: noon, Seen: Seen{Coverage: week()}},
		"lookup-good":     &Card{Value: "www.example", Sort: "name", Now: noon, Known: []string{"top sites"}, Allowed: "our own site", Seen: Seen{}},
		"lookup-shared":   &Card{Value: "203.0.113.9", Sort: "address", Now: noon, Listed: sampleListed()[2:], Seen: Seen{Coverage: week()}},
		"explain":         &Explanation{Subject: "203.0.113.7", Now: noon, Cases: []Case{sampleCase()}, Listed: sampleListed(), Allowed: []Rule{{"203.0.113.0/24", "partner", "duty", noon, 0}}, Seen: sampleSeen()},
		"explain-nothing": &Explanation{Subject: "quiet.example", Now: noon, Seen: Seen{Coverage: week()}},
	}
}

func TestGolden(t *testing.T) {
	for name, a := range answers() {
		var b bytes.Buffer
		if err := a.Text(&b, TextOptions{}); err != nil {
			t.Fatal(err)
		}
		b.WriteString("-- json --\n")
		if err := a.JSON(&b); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join("testdata", name+".golden")
		if *update {
			if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if b.String() != string(want) {
			t.Errorf("%s (go test -update writes it anew):\n%s", file, b.String())
		}
	}
}

// TestWidth holds that no line is wider than asked, a word longer than that
// apart, and that plain pages are ASCII.
func TestWidth(t *testing.T) {
	for name, a := range answers() {
		var b bytes.Buffer
		if err := a.Text(&b, TextOptions{Width: 60, Plain: true}); err != nil {
			t.Fatal(err)
		}
		for l := range strings.Lines(b.String()) {
			if len(l) > 61 && strings.Contains(strings.TrimSpace(l[:61]), " ") && len(strings.Fields(l)[len(strings.Fields(l))-1]) < 40 {
				t.Errorf("%s: %q", name, l)
			}
		}
		if strings.ContainsFunc(b.String(), func(r rune) bool { return r > 0x7e || r < ' ' && r != '\n' }) {
			t.Errorf("%s is not plain:\n%s", name, b.String())
		}
	}
}

func TestVerdict(t *testing.T) {
	with := func(m testudo.Marks, expires testudo.Time) []testudo.Indicator {
		return []testudo.Indicator{{Marks: m, Expires: expires}}
	}
	for _, c := range []struct {
		card Card
		want Verdict
	}{
		{Card{}, Unknown},
		{Card{Listed: with(0, 0)}, KnownBad},
		{Card{Listed: with(0, 5), Now: 9}, Unknown},
		{Card{Listed: with(0, 12), Now: 9}, KnownBad},
		{Card{Listed: with(testudo.MarkShared, 0)}, SharedBy},
		{Card{Listed: with(testudo.MarkKnown, 0)}, KnownGood},
		{Card{Known: []string{"x"}}, KnownGood},
		{Card{Known: []string{"x"}, Listed: with(0, 0)}, KnownBad},
		{Card{Allowed: "why"}, KnownGood},
		{Card{Listed: append(with(testudo.MarkShared, 0), with(0, 0)...)}, KnownBad},
	} {
		if got := c.card.Verdict(); got != c.want {
			t.Errorf("%+v is %s, want %s", c.card.Listed, got, c.want)
		}
	}
}

// TestManyHosts holds that a hunt's memory has an end.
func TestManyHosts(t *testing.T) {
	h := &Hunt{Limit: 1}
	for i := range mostHosts + 10 {
		h.Add(&testudo.Conn{Meta: testudo.Meta{ID: testudo.ConnID{Orig: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 1)}}})
	}
	if len(h.Hosts()) != mostHosts || !h.More || len(h.Shown) != 1 || h.Found != mostHosts+10 {
		t.Errorf("%d hosts, more %v, %d shown of %d", len(h.Hosts()), h.More, len(h.Shown), h.Found)
	}
}

// FuzzText holds that foreign words reach a page only as printable text, and
// that every line of JSON is one object.
func FuzzText(f *testing.F) {
	f.Add("a\x1b[2J\u202eb\nc", "\xff", int64(1e18))
	f.Add("\"}\n{", "e\u0301\u0301\u0301\u0301\u0301", int64(-1))
	f.Fuzz(func(t *testing.T, a, b string, n int64) {
		when := testudo.Time(n)
		ind := testudo.Indicator{Source: a, Value: b, Note: a, Threats: []string{b}, First: when, Last: when, Expires: when / 2, Confidence: int(n)}
		c := Case{State: a, Why: b, By: a, Incident: testudo.Incident{
			ID: a, Kind: testudo.Kind(b), Title: a, First: when, Innocent: []string{b}, Explanation: []testudo.Reason{{Family: testudo.Family(a), Weight: float64(n) / 1e17, Text: b}},
			Sightings: []testudo.Sighting{{Detector: a, Summary: b, First: when}},
		}}
		cov := Cover(when, noon, []testudo.Heartbeat{{Sensor: a, Link: b, Span: testudo.Span{From: when, To: when / 2}, End: a, Lost: []testudo.Shed{{Cause: b, Count: n}}}})
		h := &Hunt{Question: a, Coverage: cov}
		h.Add(&testudo.HTTP{Meta: testudo.Meta{Time: when}, Host: a, URI: b, RespMIME: []string{a, b}, Status: int(n)})
		h.Add(&testudo.Weird{Name: b, Addl: a})
		for _, x := range []interface {
			Text(io.Writer, TextOptions) error
			JSON(io.Writer) error
		}{
			h, &Card{Value: a, Sort: b, Now: noon, Listed: []testudo.Indicator{ind}, Known: []string{a}, Allowed: b, Seen: Seen{Coverage: cov}, Incidents: []Case{c}},
			&Explanation{Subject: a, Now: noon, Cases: []Case{c}, Listed: []testudo.Indicator{ind}, Allowed: []Rule{{a, b, a, when, when}}, Seen: Seen{Coverage: cov}},
		} {
			var text, lines bytes.Buffer
			if err := x.Text(&text, TextOptions{Width: 50}); err != nil {
				t.Fatal(err)
			}
			if err := x.JSON(&lines); err != nil {
				t.Fatal(err)
			}
			for _, s := range []string{text.String(), lines.String()} {
				if !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return r != '\n' && r != ' ' && !unicode.IsPrint(r) }) {
					t.Fatalf("%q", s)
				}
			}
			for l := range strings.Lines(lines.String()) {
				if o := map[string]any{}; json.Unmarshal([]byte(l), &o) != nil || o["schema"] != 1.0 || o["type"] == nil {
					t.Fatalf("no object of the contract: %q", l)
				}
			}
		}
	})
}
