package report

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rivo/uniseg"
	"github.com/testudo-shield/testudo"
)

var update = flag.Bool("update", false, "write the golden files")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; got:\n%s", path, got)
	}
}

func TestTextGolden(t *testing.T) {
	wide := TextOptions{Zone: cest, Version: "0.3"}
	for name, c := range map[string]struct {
		incidents []testudo.Incident
		summary   *testudo.Summary
		options   TextOptions
	}{
		"week.txt":         {week(), weekSummary(), wide},
		"week-all.txt":     {week(), weekSummary(), TextOptions{Zone: cest, All: true, Version: "0.3", Width: 80}},
		"week-narrow.txt":  {week(), weekSummary(), TextOptions{Zone: cest, Width: 40, Plain: true, Color: true, Version: "0.3"}},
		"week-plain.txt":   {week(), weekSummary(), TextOptions{Plain: true}},
		"week-color.txt":   {week(), weekSummary(), TextOptions{Zone: cest, Color: true}},
		"quiet.txt":        {nil, quietSummary(), wide},
		"quiet-lower.txt":  {week()[:3], quietSummary(), wide},
		"broken.txt":       {nil, brokenSummary(), wide},
		"empty.txt":        {nil, &testudo.Summary{Inputs: []string{"empty.pcap"}}, wide},
		"hostile.txt":      {[]testudo.Incident{hostile()}, weekSummary(), wide},
		"hostile-thin.txt": {[]testudo.Incident{hostile()}, brokenSummary(), TextOptions{Width: 1, Plain: true}},
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			if err := Text(&b, c.incidents, c.summary, c.options); err != nil {
				t.Fatal(err)
			}
			golden(t, name, b.Bytes())
			checkPage(t, b.String(), c.options)
		})
	}
}

// checkPage checks what every page promises.
func checkPage(t *testing.T, page string, o TextOptions) {
	t.Helper()
	if o.Color && !o.Plain {
		page = regexp.MustCompile("\x1b\\[[0-9;]+m").ReplaceAllString(page, "")
	}
	width := max(o.Width, 40)
	if o.Width == 0 {
		width = 100
	}
	for line := range strings.Lines(page) {
		line = strings.TrimSuffix(line, "\n")
		if w := uniseg.StringWidth(line); w > width {
			t.Errorf("line of %d cells: %q", w, line)
		}
		if o.Plain && !plainASCII(line) {
			t.Errorf("not plain: %q", line)
		}
		if escape(line) != line {
			t.Errorf("not clean: %q", line)
		}
		if strings.TrimRight(line, " ") != line {
			t.Errorf("blanks at the end: %q", line)
		}
	}
}

func TestJSONGolden(t *testing.T) {
	for name, c := range map[string]struct {
		incidents []testudo.Incident
		summary   *testudo.Summary
		timing    bool
	}{
		"week.json":    {[]testudo.Incident{espionage(), week()[2]}, weekSummary(), true},
		"quiet.json":   {nil, quietSummary(), false},
		"hostile.json": {[]testudo.Incident{hostile()}, brokenSummary(), false},
		"empty.json":   {nil, &testudo.Summary{}, true},
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			if err := JSON(&b, c.incidents, c.summary, c.timing); err != nil {
				t.Fatal(err)
			}
			golden(t, name, b.Bytes())
			checkJSON(t, b.Bytes(), len(c.incidents)+1)
		})
	}
}

// checkJSON checks that there are that many lines and each is one object.
func checkJSON(t *testing.T, out []byte, lines int) {
	t.Helper()
	if n := bytes.Count(out, []byte("\n")); n != lines || !bytes.HasSuffix(out, []byte("\n")) {
		t.Fatalf("%d lines, want %d", n, lines)
	}
	for line := range bytes.Lines(out) {
		line = bytes.TrimSuffix(line, []byte("\n"))
		var o map[string]any
		if err := json.Unmarshal(line, &o); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		if o["schema"] != 1.0 || o["type"] == "" {
			t.Errorf("no type or schema: %s", line)
		}
		if !utf8.Valid(line) {
			t.Errorf("not UTF-8: %q", line)
		}
		for _, r := range string(line) {
			if hidden(r) {
				t.Errorf("%U in %s", r, line)
			}
		}
	}
}

func TestCSV(t *testing.T) {
	var b bytes.Buffer
	if err := CSV(&b, []testudo.Incident{espionage(), hostile()}); err != nil {
		t.Fatal(err)
	}
	golden(t, "week.csv", b.Bytes())
	rows, err := csv.NewReader(&b).ReadAll()
	if err != nil || len(rows) != 3 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	for _, row := range rows {
		for _, f := range row {
			if f != "" && strings.ContainsRune("=+-@\t\r", rune(f[0])) {
				t.Errorf("a formula: %q", f)
			}
		}
	}
}

func TestCell(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "a=b": "a=b", "=1+1": "'=1+1", " =1": " '=1", "-x": "'-x", "@x": "'@x", "\t=1": `\x09=1`,
		"a;=1": "a;'=1", "a, +1": "a, '+1", "＝1": "'＝1", "10.0.0.1": "10.0.0.1", "fe80::1": "fe80::1",
	} {
		if got := cell(in); got != want {
			t.Errorf("cell(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"":                          "",
		"fin-pc-14":                 "fin-pc-14",
		"\x1b[31m":                  `\x1b[31m`,
		"a\r\n\tb":                  `a\x0d\x0a\x09b`,
		"\x7f":                      `\x7f`,
		"\u009b31m":                 `\u009b31m`,
		"\xff\xfe":                  `\xff\xfe`,
		"\xc3(":                     `\xc3(`,
		"a\u202eb\u2066c\u2069":     `a\u202eb\u2066c\u2069`,
		"a\u200bb\ufeffc\u00add":    `a\u200bb\ufeffc\u00add`,
		"a\u00a0b\u3000c\u2028d":    `a\u00a0b\u3000c\u2028d`,
		"\U000e0041":                `\U000e0041`,
		"\ue000\u0378":              `\ue000\u0378`,
		"\u3164\u115f\u2800\ufe0f":  `\u3164\u115f\u2800\ufe0f`,
		"\u0301a":                   `\u0301a`,
		" \u0301":                   ` \u0301`,
		"e\u0301\u0301\u0301\u0301": "e\u0301\u0301\u0301" + `\u0301`,
		"größe 東京 мир":              "größe 東京 мир",
		`C:\x1b`:                    `C:\x1b`,
		"\ufffd":                    "\ufffd",
	} {
		if got := Clean(in); got != want {
			t.Errorf("Clean(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestName(t *testing.T) {
	long := "login.bank.example." + strings.Repeat("a", 200) + ".evil.example"
	got := Name(long)
	if uniseg.StringWidth(got) != 80 || !strings.HasPrefix(got, "login.bank.example.a") || !strings.HasSuffix(got, "a.evil.example") {
		t.Errorf("Name = %q of %d cells", got, uniseg.StringWidth(got))
	}
	if wide := Name(strings.Repeat("東", 100)); uniseg.StringWidth(wide) > 80 || uniseg.StringWidth(wide) < 77 {
		t.Errorf("wide name of %d cells", uniseg.StringWidth(wide))
	}
	if s := strings.Repeat("x", 80); Name(s) != s {
		t.Error("80 cells were cut")
	}
	if s := Clean(strings.Repeat("\x1b", 1<<20)); uniseg.StringWidth(s) != 1000 {
		t.Errorf("%d cells", uniseg.StringWidth(s))
	}
}

func TestDefang(t *testing.T) {
	for in, want := range map[string]string{
		"":                            "",
		"203.0.113.7":                 "203[.]0[.]113[.]7",
		"203.0.113.7:443":             "203[.]0[.]113[.]7:443",
		"2001:db8::1":                 "2001[:]db8[:][:]1",
		"[2001:db8::1]:443":           "[2001[:]db8[:][:]1]:443",
		"::ffff:203.0.113.7":          "[:][:]ffff[:]203[.]0[.]113[.]7",
		"cdn-upd.example":             "cdn-upd[.]example",
		"cdn[.]upd.example":           "cdn[.]upd[.]example",
		"http://a.example/x.y?u=b.c":  "hxxp://a[.]example/x.y?u=b.c",
		"HTTPS://u.v@a.example:8443/": "hxxps://u[.]v[@]a[.]example:8443/",
		"ftp://a.example":             "fxp://a[.]example",
		"ldap://a.example/":           "ldap://a[.]example/",
		"hxxps://a[.]example/":        "hxxps://a[.]example/",
		"http://[2001:db8::1]/":       "hxxp://[2001[:]db8[:][:]1]/",
		"who@mail.example":            "who[@]mail[.]example",
		"a。example":                   "a[.]example",
	} {
		got := Defang(in)
		if got != want {
			t.Errorf("Defang(%q) = %q, want %q", in, got, want)
		}
		if again := Defang(got); again != got {
			t.Errorf("Defang(%q) = %q", got, again)
		}
	}
}

func TestNumber(t *testing.T) {
	for in, want := range map[float64]string{
		0: "0", 60: "60", 0.11: "0.11", 0.041666666: "0.0416667", 300.00000001: "300", 99999.96: "100000", 123456.7: "123457",
		612345678: "612345678", -1.5: "-1.5", 1e21: "1.00000e+21", 1.23456789e-9: "1.23457e-09", math.Copysign(0, -1): "0",
	} {
		got, ok := number(in)
		if !ok || got != want || !json.Valid([]byte(got)) {
			t.Errorf("number(%v) = %q, want %q", in, got, want)
		}
	}
	if _, ok := number(math.NaN()); ok {
		t.Error("NaN has a number")
	}
}

func TestSumIsScore(t *testing.T) {
	in := espionage()
	if sum := testudo.SumReasons(in.Explanation); sum != in.Score {
		t.Fatalf("the sample's addends give %v, its score is %v", sum, in.Score)
	}
}

func TestUnits(t *testing.T) {
	for got, want := range map[string]string{
		grouped(-1234567): "-1,234,567", grouped(-123): "-123", grouped(999): "999", grouped(math.MinInt64): "-9,223,372,036,854,775,808",
		many(1, "host", "hosts"): "1 host", many(18_400_123, "packet", "packets"): "18.4 M packets",
		size(1): "1 byte", size(3_101_222): "3.1 MB", size(999_999): "1 MB", size(math.MaxInt64): "9.2 EB",
		lasted(0): "no time", lasted(-5): "no time", lasted(41e9): "41 s", lasted(1.59e9): "1.5 s", lasted(41 * 60e9): "41 minutes",
		lasted(148 * 3600e9): "6 days 4 h", lasted(3 * 3600e9): "3 h", confidence(1): ">0.99", confidence(0.995): ">0.99",
		confidence(0.97): "0.97", confidence(math.NaN()): "<0.01", odds(0): "as likely real as innocent",
		odds(3.5): "about 33 to 1 that it is real", odds(-1): "about 2.7 to 1 that it is innocent", odds(900): "more than 1,000 to 1 that it is real",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestWriteErrors(t *testing.T) {
	for name, err := range map[string]error{
		"text": Text(broken{}, nil, quietSummary(), TextOptions{}),
		"json": JSON(broken{}, nil, quietSummary(), true),
		"csv":  CSV(broken{}, nil),
	} {
		if !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
