package export

import (
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// What follows holds a bundle against the rules of STIX 2.1 (OASIS Standard,
// 10 June 2021); the numbers are its sections.

var (
	stixKey  = regexp.MustCompile(`^[a-z0-9_]{3,250}$`)                                                                    // 3.1
	stixID   = regexp.MustCompile(`^[a-z0-9-]+--[0-9a-f]{8}-[0-9a-f]{4}-[1-5][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`) // 2.9
	stixTime = regexp.MustCompile(`^\d{4}-(0\d|1[0-2])-([0-2]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{3}Z$`)          // 2.16, 3.2
	stixWord = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)                                                              // 3.1: vocabularies
)

// required are the properties that a type must have, besides type,
// spec_version and id (4 to 7).
var required = map[string][]string{
	"identity":           {"created", "modified", "name", "identity_class"},
	"indicator":          {"created", "modified", "pattern", "pattern_type", "valid_from"},
	"infrastructure":     {"created", "modified", "name", "infrastructure_types"},
	"attack-pattern":     {"created", "modified", "name"},
	"intrusion-set":      {"created", "modified", "name"},
	"grouping":           {"created", "modified", "context", "object_refs"},
	"relationship":       {"created", "modified", "relationship_type", "source_ref", "target_ref"},
	"sighting":           {"created", "modified", "sighting_of_ref"},
	"marking-definition": {"created"},
	"ipv4-addr":          {"value"}, "ipv6-addr": {"value"}, "domain-name": {"value"},
}

// related are the relationships in use, with what they may join (4, summary
// tables).
var related = map[string]bool{
	"indicator indicates infrastructure": true, "indicator indicates attack-pattern": true, "indicator indicates intrusion-set": true,
	"infrastructure consists-of ipv4-addr": true, "infrastructure consists-of ipv6-addr": true, "infrastructure consists-of domain-name": true,
}

var vocabularies = map[string][]string{ // 10
	"identity_class":       {"individual", "group", "system", "organization", "class", "unknown"},
	"context":              {"suspicious-activity", "malware-analysis", "unspecified"},
	"indicator_types":      {"anomalous-activity", "anonymization", "benign", "compromised", "malicious-activity", "attribution", "unknown"},
	"pattern_type":         {"stix", "pcre", "sigma", "snort", "suricata", "yara"},
	"infrastructure_types": {"amplification", "anonymization", "botnet", "command-and-control", "exfiltration", "hosting-malware", "hosting-target-lists", "phishing", "reconnaissance", "staging", "undefined", "unknown"},
}

// validate returns what breaks the rules.
func validate(raw []byte) (faults []string) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	var doc struct {
		Type    string
		ID      string
		Objects []map[string]any
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		return []string{err.Error()}
	}
	if doc.Type != "bundle" || !strings.HasPrefix(doc.ID, "bundle--") || !stixID.MatchString(doc.ID) || len(doc.Objects) == 0 {
		fault("bundle %q %q", doc.Type, doc.ID)
	}
	byID := map[string]map[string]any{}
	for _, o := range doc.Objects {
		id, _ := o["id"].(string)
		if byID[id] != nil {
			fault("%s twice", id)
		}
		byID[id] = o
	}
	for _, o := range doc.Objects {
		kind, _ := o["type"].(string)
		id, _ := o["id"].(string)
		if !stixID.MatchString(id) || !strings.HasPrefix(id, kind+"--") || o["spec_version"] != "2.1" {
			fault("%s of type %s, version %v", id, kind, o["spec_version"])
		}
		props, known := required[kind]
		if !known {
			fault("%s: type not known", id)
		}
		for _, p := range props {
			if o[p] == nil {
				fault("%s lacks %s", id, p)
			}
		}
		for k, v := range o {
			for _, f := range property(o, k, v, byID) {
				fault("%s: %s", id, f)
			}
		}
		faults = append(faults, whole(kind, id, o, byID)...)
	}
	return faults
}

// property checks one property.
func property(o map[string]any, k string, v any, byID map[string]map[string]any) (faults []string) {
	fault := func(format string, args ...any) { faults = append(faults, k+" "+fmt.Sprintf(format, args...)) }
	if !stixKey.MatchString(k) && k != "id" {
		fault("is no name of a property")
	}
	values := []any{v}
	if l, ok := v.([]any); ok {
		if values = l; len(l) == 0 {
			fault("is an empty list") // 2.11
		}
	}
	for _, one := range values {
		text, _ := one.(string)
		switch {
		case v == nil || one == nil || one == "":
			fault("is empty") // 3.1
		case strings.HasSuffix(k, "_ref") || strings.HasSuffix(k, "_refs"):
			if byID[text] == nil {
				fault("refers to %s, which is not here", text)
			}
		case k == "created" || k == "modified" || k == "valid_from" || k == "valid_until" || k == "first_seen" || k == "last_seen":
			if !stixTime.MatchString(text) {
				fault("is %q, no time", text)
			}
		case k == "labels" || k == "relationship_type":
			if !stixWord.MatchString(text) {
				fault("is %q, not lower case with hyphens", text)
			}
		case vocabularies[k] != nil:
			if !slices.Contains(vocabularies[k], text) {
				fault("is %q, not of its vocabulary", text)
			}
		case k == "confidence":
			if n, ok := one.(float64); !ok || n < 0 || n > 100 || n != float64(int(n)) {
				fault("is %v", one)
			}
		case k == "external_references":
			r, _ := one.(map[string]any)
			if s, _ := r["source_name"].(string); s == "" || len(r) < 2 {
				fault("lacks a source or more than it") // 2.5
			}
		}
	}
	for _, pair := range [][2]string{{"created", "modified"}, {"first_seen", "last_seen"}} {
		if a, b := fmt.Sprint(o[pair[0]]), fmt.Sprint(o[pair[1]]); k == pair[1] && b < a {
			fault("is before %s", pair[0])
		}
	}
	if k == "valid_until" && fmt.Sprint(v) <= fmt.Sprint(o["valid_from"]) {
		fault("is not after valid_from") // 4.7
	}
	return faults
}

// whole checks what an object's properties say together.
func whole(kind, id string, o map[string]any, byID map[string]map[string]any) (faults []string) {
	switch kind {
	case "ipv4-addr", "ipv6-addr", "domain-name": // 2.9: by name, in the specification's namespace
		value, _ := json.Marshal(o["value"])
		space, _ := hex.DecodeString("00abedb4aa42466c9c01fed23315a9b7")
		sum := sha1.Sum(append(space, `{"value":`+string(value)+`}`...))
		sum[6], sum[8] = sum[6]&0x0f|0x50, sum[8]&0x3f|0x80
		x := hex.EncodeToString(sum[:16])
		if want := fmt.Sprintf("%s--%s-%s-%s-%s-%s", kind, x[:8], x[8:12], x[12:16], x[16:20], x[20:]); id != want {
			faults = append(faults, id+": want "+want)
		}
		if o["created"] != nil || o["created_by_ref"] != nil {
			faults = append(faults, id+": what is observed has no creator")
		}
	case "indicator":
		if o["pattern_type"] == "stix" {
			if err := parsePattern(fmt.Sprint(o["pattern"])); err != nil {
				faults = append(faults, fmt.Sprintf("%s: %v: %v", id, o["pattern"], err))
			}
		}
	case "marking-definition":
		_, isTLP := o["extensions"]
		if isTLP == (o["definition_type"] != nil) || (o["definition"] == nil) != (o["definition_type"] == nil) {
			faults = append(faults, id+": neither statement nor extension, or both")
		}
	case "relationship":
		from, to := byID[fmt.Sprint(o["source_ref"])], byID[fmt.Sprint(o["target_ref"])]
		if say := fmt.Sprintf("%v %v %v", from["type"], o["relationship_type"], to["type"]); !related[say] {
			faults = append(faults, id+": no relationship is "+say)
		}
	}
	return faults
}

const (
	path       = `[a-z0-9-]+:[a-z0-9_]+((\.([a-zA-Z0-9_]+|'([^'\\]|\\['\\])+'))|\[(\d+|\*)\])*`
	constant   = `'([^'\\]|\\['\\])*'`
	comparison = path + ` (=|LIKE|MATCHES|ISSUBSET) ` + constant
)

var patternForm = regexp.MustCompile(`^\[` + comparison + `( OR ` + comparison + `)*\]$`)

// parsePattern reads the part of the pattern grammar (9) that a comparison
// expression needs: [path op constant OR path op constant].
func parsePattern(s string) error {
	if !patternForm.MatchString(s) {
		return fmt.Errorf("does not parse")
	}
	return nil
}

func TestSTIXValid(t *testing.T) {
	o := options()
	for _, o.Victims = range []bool{false, true} {
		got, _ := written(t, "stix", sample(), o)
		for _, f := range validate([]byte(got)) {
			t.Error(f)
		}
		for _, kind := range []string{"indicator", "infrastructure", "attack-pattern", "intrusion-set", "identity", "grouping", "sighting", "relationship", "marking-definition", "ipv4-addr", "domain-name"} {
			if !strings.Contains(got, `"type": "`+kind+`"`) {
				t.Errorf("no %s in the bundle", kind)
			}
		}
	}
	got, _ := written(t, "stix", Input{}, o)
	for _, f := range validate([]byte(got)) {
		t.Error("nothing to say:", f)
	}
}

// TestValidator holds that the validator sees faults.
func TestValidator(t *testing.T) {
	good, _ := written(t, "stix", sample(), options())
	for _, c := range [][2]string{
		{`.000Z"`, `Z"`},
		{`"spec_version": "2.1"`, `"spec_version": "2.0"`},
		{`= '203.0.113.66'`, `= '203'0'`},
		{`"malicious-activity"`, `"Bad"`},
		{`"sighting_of_ref": "indicator--`, `"sighting_of_ref": "identity--`},
		{`"relationship_type": "consists-of"`, `"relationship_type": "controls"`},
		{`"value": "203.0.113.7"`, `"value": "203.0.113.8"`},
	} {
		if bad := strings.Replace(good, c[0], c[1], 1); bad == good || len(validate([]byte(bad))) == 0 {
			t.Errorf("%s for %s is not seen", c[1], c[0])
		}
	}
}

// TestKnownID holds an id against the one that the specification's own method
// gives, computed elsewhere.
func TestKnownID(t *testing.T) {
	if got, want := (uuid{0x6b, 0xa7, 0xb8, 0x10, 0x9d, 0xad, 0x11, 0xd1, 0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8}).named("www.example.com").String(), "2ed6657d-e927-568b-95e1-2665a8aea6a2"; got != want {
		t.Errorf("uuid of www.example.com is %s, want %s", got, want)
	}
}
