package export

import (
	"bytes"
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"errors"
	"flag"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/testudo-shield/testudo"
)

var update = flag.Bool("update", false, "write the golden files anew")

func written(t testing.TB, name string, in Input, o Options) (string, Tally) {
	t.Helper()
	for _, f := range Formats() {
		if f.Name == name {
			var b bytes.Buffer
			tally, err := f.Write(&b, in, o)
			if err != nil {
				t.Fatal(err)
			}
			return b.String(), tally
		}
	}
	t.Fatalf("no format %q", name)
	return "", Tally{}
}

func TestGolden(t *testing.T) {
	for _, f := range Formats() {
		got, tally := written(t, f.Name, sample(), options())
		if again, _ := written(t, f.Name, sample(), options()); again != got {
			t.Errorf("%s: two exports of the same differ", f.Name)
		}
		got += "\n-- tally --\n" + strings.ReplaceAll(tally.String(), "; ", "\n") + "\n"
		file := filepath.Join("testdata", f.Name+".golden")
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s differs from %s (go test -update writes it anew):\n%s", f.Name, file, got)
		}
	}
}

// TestOrder holds that the order of what comes in does not show.
func TestOrder(t *testing.T) {
	in := sample()
	for i, j := 0, len(in.Indicators)-1; i < j; i, j = i+1, j-1 {
		in.Indicators[i], in.Indicators[j] = in.Indicators[j], in.Indicators[i]
	}
	in.Indicators = append(in.Indicators, in.Indicators...)
	in.Incidents = append(in.Incidents, in.Incidents...)
	for _, f := range Formats() {
		a, _ := written(t, f.Name, sample(), options())
		b, _ := written(t, f.Name, in, options())
		if a != b {
			t.Errorf("%s: order or repetition shows", f.Name)
		}
	}
}

// TestOursStay holds that no form names a machine of ours, nor what is
// stricter than asked for.
func TestOursStay(t *testing.T) {
	for _, f := range Formats() {
		got, _ := written(t, f.Name, sample(), options())
		for _, never := range []string{"10.0.0.", "fin-pc-14", "192.0.2.80", "dc01", "secret.example", b64("secret.example")} {
			if strings.Contains(got, never) {
				t.Errorf("%s shows %q", f.Name, never)
			}
		}
	}
	o := options()
	o.Victims = true
	got, _ := written(t, "stix", sample(), o)
	for _, asked := range []string{`"value": "10.0.0.5"`, "fin-pc-14 reports"} {
		if !strings.Contains(got, asked) {
			t.Errorf("stix with victims lacks %q", asked)
		}
	}
	for _, f := range Formats() {
		if got, _ := written(t, f.Name, sample(), o); f.Blocks && strings.Contains(got, "10.0.0.") {
			t.Errorf("%s blocks a machine of ours", f.Name)
		}
	}
}

// TestNotes holds that words of a source are dropped where they name a machine
// of ours, and kept otherwise.
func TestNotes(t *testing.T) {
	in := sample()
	for note, kept := range map[string]bool{
		"seen at 10.0.0.5": false, "FIN-PC-14 went there": false, "fin-pc-14.corp.example:443": false, "[10.0.0.5]": false, "from 10.0.0.5:50000,": false,
		"fd00::1 asked": false, "fin-pc-144 of another": true, "see 203.0.113.66": true, "": true,
	} {
		in.Indicators = in.Indicators[:1]
		in.Indicators[0].Note = note
		got, _ := written(t, "csv", in, options())
		if strings.Contains(got, note) != kept {
			t.Errorf("note %q kept is not %v:\n%s", note, kept, got)
		}
	}
}

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func TestLabels(t *testing.T) {
	for max, want := range map[testudo.TLP][3]bool{ // green, unset, red
		testudo.TLPClear: {}, testudo.TLPGreen: {true}, testudo.TLPUnset: {true, true}, testudo.TLPAmber: {true, true},
		testudo.TLPAmberStrict: {true, true}, testudo.TLPRed: {true, true, true},
	} {
		o := options()
		o.Max = max
		got, tally := written(t, "csv", sample(), o)
		for i, v := range []string{"bad.example", "unset.bad.example", "secret.example"} {
			if strings.Contains(got, ","+v+",") != want[i] {
				t.Errorf("up to %q: %s shown is not %v", max, v, want[i])
			}
		}
		if max != testudo.TLPRed && !strings.Contains(tally.String(), tooStrict) {
			t.Errorf("up to %q: %s", max, tally)
		}
		if incident := strings.Contains(got, "INC-"); incident != (max == testudo.TLPUnset || max >= testudo.TLPAmber) {
			t.Errorf("up to %q: incident shown is %v", max, incident)
		}
	}
}

// TestMarksDoNotBlock holds that nothing with a mark, and nothing that a
// second look finds wanting, is in what blocks, and that all the rest tells
// the mark.
func TestMarksDoNotBlock(t *testing.T) {
	doubtful := []string{"cdn.example", "known.example", "old.example", "suffix.example", "co.uk", "192.168.77.1", "203.0.0.0", "203.0.113.99", "shared.example", "198.51.100.53"}
	for _, f := range Formats() {
		got, tally := written(t, f.Name, sample(), options())
		for _, v := range doubtful {
			if f.Blocks && (strings.Contains(got, v+" ") || strings.Contains(got, `"`+v) || strings.Contains(got, b64(v)) || strings.Contains(got, " "+v)) {
				t.Errorf("%s blocks %s", f.Name, v)
			}
			if !f.Blocks && f.Name != "navigator" && !strings.Contains(got, v) {
				t.Errorf("%s lacks %s", f.Name, v)
			}
		}
		if f.Blocks && !strings.Contains(tally.String(), "so nothing to block") && !strings.Contains(tally.String(), "for other datasets") {
			t.Errorf("%s does not say what it left out: %s", f.Name, tally)
		}
	}
}

func TestSIDs(t *testing.T) {
	o := options()
	o.FirstSID, o.LastSID = 100, 103
	got, tally := written(t, "suricata", sample(), o)
	if n := strings.Count(got, "\n"); n != 4 || tally.Written != 4 || !strings.Contains(tally.String(), "for want of sids") {
		t.Errorf("%d rules in a range of four: %s", n, tally)
	}
	o.LastSID = 99
	if _, err := Suricata(&bytes.Buffer{}, sample(), o); err == nil {
		t.Error("an empty range is taken")
	}
}

func TestRefusedOptions(t *testing.T) {
	for _, c := range []struct {
		write func(o *Options) error
		want  string
	}{
		{func(o *Options) error { o.Zone = "a\nb"; _, err := RPZ(&bytes.Buffer{}, sample(), *o); return err }, "zone"},
		{func(o *Options) error { o.Table = "x {"; _, err := NFTables(&bytes.Buffer{}, sample(), *o); return err }, "table"},
		{func(o *Options) error {
			o.Domain = "all"
			_, err := Navigator(&bytes.Buffer{}, sample(), *o)
			return err
		}, "domain"},
	} {
		o := options()
		if err := c.write(&o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want one of %s", err, c.want)
		}
	}
	full := errors.New("disk full")
	for _, f := range Formats() {
		if _, err := f.Write(broken{full}, sample(), options()); !errors.Is(err, full) {
			t.Errorf("%s: error %v, want that of the writer", f.Name, err)
		}
	}
}

type broken struct{ err error }

func (b broken) Write([]byte) (int, error) { return 0, b.err }

func TestTriggers(t *testing.T) {
	for in, want := range map[string]string{
		"203.0.113.7/32": "32.7.113.0.203.rpz-ip", "198.51.100.0/24": "24.0.100.51.198.rpz-ip",
		"2001:db8::1/128": "128.1.zz.db8.2001.rpz-ip", "2001:db8:2::/48": "48.zz.2.db8.2001.rpz-ip",
		"2001:db8:0:1:2:3:4:5/128": "128.5.4.3.2.1.0.db8.2001.rpz-ip", "1:0:0:2:0:0:3:4/128": "128.4.3.0.0.2.zz.1.rpz-ip",
		"::1/128": "128.1.zz.rpz-ip",
	} {
		if got := trigger(netip.MustParsePrefix(in)); got != want {
			t.Errorf("%s is %s, want %s", in, got, want)
		}
	}
}

func TestApart(t *testing.T) {
	at := func(s string, end testudo.Time) element { return element{netip.MustParsePrefix(s), end} }
	got := apart([]element{at("10.0.1.0/24", 0), at("10.0.0.0/8", 5), at("11.0.0.0/8", 3), at("11.0.0.0/8", 0), at("2001:db8::/32", 0), at("2001:db8:1::/48", 9)})
	want := []element{at("10.0.0.0/8", 5), at("11.0.0.0/8", 0), at("2001:db8::/32", 0)}
	if len(got) != len(want) {
		t.Fatalf("%v, want %v", got, want)
	}
	for i := range got {
		if got[i] != want[i] {
			t.Errorf("%v, want %v", got[i], want[i])
		}
	}
}

// TestTools asks the tools that read these forms, where they are installed.
func TestTools(t *testing.T) {
	for _, c := range []struct {
		format, tool string
		args         func(file string) []string
	}{
		{"nftables", "nft", func(file string) []string {
			return []string{"unshare", "-n", "sh", "-c", `nft -f "$0" && nft -f "$0" && nft list ruleset`, file}
		}},
		{"rpz", "named-checkzone", func(file string) []string { return []string{"named-checkzone", "-i", "none", "rpz.testudo", file} }},
	} {
		t.Run(c.format, func(t *testing.T) {
			if _, err := exec.LookPath(c.tool); err != nil {
				t.Skipf("SKIPPED: %s is not installed, so what it says of a %s export is not known", c.tool, c.format)
			}
			if c.tool == "nft" && exec.Command("unshare", "-n", "nft", "list", "ruleset").Run() != nil {
				t.Skip("SKIPPED: no network namespace with nftables, so no set can be loaded")
			}
			got, _ := written(t, c.format, sample(), options())
			file := filepath.Join(t.TempDir(), "export")
			if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
				t.Fatal(err)
			}
			args := c.args(file)
			if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
				t.Errorf("%s: %v\n%s", strings.Join(args, " "), err, out)
			}
		})
	}
}

func TestCSVReads(t *testing.T) {
	got, tally := written(t, "csv", sample(), options())
	rows, err := csv.NewReader(strings.NewReader(got)).ReadAll()
	if err != nil || len(rows) != tally.Written+1 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
}

func TestNavigatorReads(t *testing.T) {
	got, _ := written(t, "navigator", sample(), options())
	var l struct {
		Versions   struct{ Attack, Navigator, Layer string }
		Domain     string
		Techniques []struct {
			TechniqueID string
			Score       int
		}
	}
	if err := json.Unmarshal([]byte(got), &l); err != nil {
		t.Fatal(err)
	}
	if l.Versions.Layer != "4.5" || l.Versions.Attack == "" || l.Domain != "enterprise-attack" || len(l.Techniques) != 2 || l.Techniques[0].TechniqueID != "T1071.001" {
		t.Errorf("layer %+v", l)
	}
}

// TestMany holds that a large list is written in seconds.
func TestMany(t *testing.T) {
	var in Input
	for i := range 20_000 {
		in.Indicators = append(in.Indicators, testudo.Indicator{
			Type: testudo.AddressIndicator, Source: "many",
			Value: netip.AddrFrom4([4]byte{byte(60 + i>>16), byte(i >> 8), byte(i), 7}).String(), Confidence: -1,
		})
	}
	for _, f := range Formats() {
		began := time.Now()
		written(t, f.Name, in, options())
		t.Logf("%s: %v", f.Name, time.Since(began).Round(time.Millisecond))
	}
}
