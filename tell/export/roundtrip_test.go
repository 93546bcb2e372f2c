package export

import (
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/testudo-shield/testudo"
)

// TestRoundTrip holds that values with quotes, backslashes and what has a
// meaning in some form come back as they were from every form that has them.
func TestRoundTrip(t *testing.T) {
	values := []string{`Mozilla/4.0 (compatible;  "x\y" | :)`, `it's 'quoted' \' \\`, `=1+1`, `#nothing`, `-`, `a;sid:1;)`, `|41|`, `ü \x41`}
	var in Input
	for _, v := range values {
		in.Indicators = append(in.Indicators, testudo.Indicator{Type: testudo.AgentIndicator, Value: v, Source: "s", Confidence: -1})
	}
	for form, read := range map[string]func(string) []string{"csv": readCSV, "zeek": readZeek, "misp": readMISP, "stix": readSTIX, "suricata": readRules} {
		text, _ := written(t, form, in, options())
		got := map[string]bool{}
		for _, v := range read(text) {
			got[v] = true
		}
		for _, v := range values {
			if !got[v] {
				t.Errorf("%s does not give back %q; it gives %v", form, v, got)
			}
		}
	}
}

func readCSV(s string) (values []string) {
	rows, _ := csv.NewReader(strings.NewReader(s)).ReadAll()
	for _, row := range rows {
		values = append(values, strings.TrimPrefix(row[1], "'"))
	}
	return values
}

func readZeek(s string) (values []string) {
	escape := regexp.MustCompile(`\\x[0-9a-f]{2}`)
	for l := range strings.Lines(s) {
		v, _, _ := strings.Cut(l, "\t")
		values = append(values, escape.ReplaceAllStringFunc(v, func(x string) string { b, _ := hex.DecodeString(x[2:]); return string(b) }))
	}
	return values
}

func readMISP(s string) (values []string) {
	var doc struct {
		Event struct{ Attribute []struct{ Value string } }
	}
	_ = json.Unmarshal([]byte(s), &doc)
	for _, a := range doc.Event.Attribute {
		values = append(values, a.Value)
	}
	return values
}

func readSTIX(s string) (values []string) {
	var doc struct{ Objects []struct{ Pattern string } }
	_ = json.Unmarshal([]byte(s), &doc)
	for _, o := range doc.Objects {
		if _, v, ok := strings.Cut(o.Pattern, " = '"); ok {
			values = append(values, regexp.MustCompile(`\\(.)`).ReplaceAllString(strings.TrimSuffix(v, "']"), "$1"))
		}
	}
	return values
}

func readRules(s string) (values []string) {
	content, bytes := regexp.MustCompile(`content:"([^"]*)"`), regexp.MustCompile(`\|([0-9A-F]{2})\|`)
	for _, m := range content.FindAllStringSubmatch(s, -1) {
		values = append(values, bytes.ReplaceAllStringFunc(m[1], func(x string) string { b, _ := hex.DecodeString(x[1:3]); return string(b) }))
	}
	return values
}
