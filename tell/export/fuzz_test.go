package export

import (
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/testudo-shield/testudo"
)

// FuzzExport gives every form a value and words of a stranger, and reads each
// with a parser that knows the form and not the writer.
func FuzzExport(f *testing.F) {
	for i, s := range []string{"bad.example", "203.0.113.7", "a\";sid:1;)\nalert", "x IN A 1\n*", "=cmd|' /C calc'!A0", "' OR '1", "#fields\t-", "\\x00\u202e\xff", "}; add rule", "0::/0"} {
		f.Add(s, "note "+s, s, uint8(i), uint8(i), int64(i)*1e18, int64(9-i)*1e18)
	}
	kinds := []testudo.IndicatorType{
		testudo.AddressIndicator, testudo.PrefixIndicator, testudo.DomainIndicator, testudo.HostIndicator, testudo.URLIndicator, testudo.EmailIndicator,
		testudo.AgentIndicator, testudo.JA3Indicator, testudo.JA4Indicator, testudo.CertIndicator, testudo.HashIndicator, "other",
	}
	f.Fuzz(func(t *testing.T, value, note, source string, kind, marks uint8, first, end int64) {
		ind := testudo.Indicator{
			Type: kinds[int(kind)%len(kinds)], Value: value, Source: source, Licence: note, Note: note, Threats: []string{source, note}, TLP: testudo.TLP(marks % 6),
			Confidence: int(first%200) - 50, Marks: testudo.Marks(marks % 64), First: testudo.Time(first), Last: testudo.Time(end), Expires: testudo.Time(end / 2),
		}
		addr, _ := netip.ParseAddr(value)
		incident := testudo.Incident{
			ID: "INC-1", Title: note, First: testudo.Time(first), Last: testudo.Time(end), Techniques: []string{source, "T1071"}, Confidence: float64(first) / 1e18,
			Victims: []testudo.Victim{{Name: source}},
			Servers: []testudo.NamedServer{{Server: testudo.Server{Address: addr, Names: []string{value, note}, Role: testudo.ServerRole(source)}, Confidence: float64(end) / 1e18}},
		}
		in := Input{[]testudo.Indicator{ind}, []testudo.Incident{incident}}
		o := Options{Now: noon, Max: testudo.TLPRed, Victims: marks%2 == 0, Producer: source}
		for _, form := range Formats() {
			got, tally := written(t, form.Name, in, o)
			if !utf8.ValidString(got) || strings.ContainsFunc(got, func(r rune) bool { return r != '\n' && r != '\t' && unicode.IsControl(r) }) {
				t.Fatalf("%s: control characters in %q", form.Name, got)
			}
			if tally.Written < 0 {
				t.Fatal(tally)
			}
			if fault := reads(form.Name, got); fault != "" {
				t.Fatalf("%s: %s:\n%s", form.Name, fault, got)
			}
		}
	})
}

var (
	ruleForm = regexp.MustCompile(`^(alert|drop) (ip|dns|tls|http) any any (->|<>) \S+ any \(msg:"[A-Za-z0-9 ._/@+-]*"; ` +
		`([a-z0-9._]+(:("([^"\\;|:]|\|([0-9A-F]{2})\|)*"|[A-Za-z0-9_., /@+-]+))?; )*sid:\d+; rev:1;\)$`)
	ownerForm   = regexp.MustCompile(`^(\*\.)?([a-z0-9_]([a-z0-9_-]*[a-z0-9_])?\.?)+ IN CNAME \.$`)
	elementForm = regexp.MustCompile(`^add element inet testudo (hosts|nets)[46] \{ ([0-9a-f:.]+(/\d+)?)( timeout \d+s)? \}$`)
	setForm     = regexp.MustCompile(`^(#.*|add table inet testudo|flush set inet testudo \w+|add set inet testudo \w+ \{ type ipv[46]_addr; flags [a-z, ]+; \})$`)
)

// reads says what is wrong with an export, empty for nothing.
func reads(form, got string) string {
	lines := strings.Split(strings.TrimSuffix(got, "\n"), "\n")
	switch form {
	case "stix":
		return strings.Join(validate([]byte(got)), "\n")
	case "misp", "navigator":
		if !json.Valid([]byte(got)) {
			return "no JSON"
		}
	case "csv":
		rows, err := csv.NewReader(strings.NewReader(got)).ReadAll()
		if err != nil {
			return err.Error()
		}
		for _, row := range rows {
			for _, c := range row {
				if c != "" && strings.ContainsAny(c[:1], "=+-@") {
					return "a formula: " + c
				}
			}
		}
	case "zeek":
		for _, l := range lines[1:] {
			if strings.HasPrefix(l, "#") || strings.Count(l, "\t") != 3 || strings.Contains(l, "\t\t") {
				return "line " + l
			}
		}
	case "suricata":
		return misfit(lines, ruleForm)
	case "rpz":
		return misfit(lines[4:], ownerForm)
	case "nftables":
		return misfit(lines, setForm, elementForm)
	default:
		return misread(form, lines)
	}
	return ""
}

// misfit returns the first line that has none of the forms.
func misfit(lines []string, forms ...*regexp.Regexp) string {
next:
	for _, l := range lines {
		for _, f := range forms {
			if f.MatchString(l) {
				continue next
			}
		}
		if l != "" {
			return "line " + l
		}
	}
	return ""
}

// misread returns the first line that is no value of a dataset.
func misread(form string, lines []string) string {
	for _, l := range lines {
		ok := true
		switch form {
		case "suricata-addresses":
			_, err := netip.ParseAddr(l)
			ok = err == nil
		case "suricata-md5", "suricata-sha256":
			ok = isHex(l)
		default:
			_, err := base64.StdEncoding.DecodeString(l)
			ok = err == nil
		}
		if !ok && l != "" {
			return "line " + l
		}
	}
	return ""
}
