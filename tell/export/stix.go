package export

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"

	"github.com/testudo-shield/testudo"
)

// object is one STIX object; its keys are written sorted.
type object map[string]any

// bundle collects objects, each id once.
type bundle struct {
	p        *picked
	producer string // id
	objects  []object
	have     map[string]bool
}

// STIX writes a self-contained STIX 2.1 bundle: every reference in it
// resolves within it. An indicator's id comes from its source, type and value,
// an incident's from its id, so that a later export gives the same object in a
// later version; created and modified are when the thing was seen first and
// last. Incidents are groupings of their infrastructure, what it is made of,
// the techniques seen and the sightings. Licences are statement markings. JA3
// and JA4, which STIX patterns cannot say, are Suricata rules as pattern.
// Written counts indicators, those made of incidents' servers among them.
func STIX(w io.Writer, in Input, o Options) (Tally, error) {
	p := pick(in, o)
	b := &bundle{p: p, have: map[string]bool{}}
	b.producer = b.add("identity", idOf("identity", p.o.Producer), object{
		"created": beginning, "modified": beginning, "name": p.o.Producer, "identity_class": "organization",
	})
	of := map[string][]string{} // indicators by incident
	at := map[string][]string{} // and by incident and value
	for i := range p.items {
		it := &p.items[i]
		id := b.indicator(it)
		if it.incident != "" {
			of[it.incident] = append(of[it.incident], id)
			at[it.incident+" "+it.Value] = append(at[it.incident+" "+it.Value], id)
		}
	}
	for i := range p.incidents {
		b.incident(&p.incidents[i], of[p.incidents[i].ID], at)
	}
	var all strings.Builder
	for _, obj := range b.objects {
		fmt.Fprint(&all, obj["id"], obj["modified"], "\n")
	}
	doc := struct {
		Type    string   `json:"type"`
		ID      string   `json:"id"`
		Objects []object `json:"objects"`
	}{"bundle", "bundle--" + idOf("bundle", all.String()), b.objects}
	if err := writeJSON(w, doc); err != nil {
		return Tally{}, fmt.Errorf("export: write stix: %w", err)
	}
	return p.left.tally(len(p.items)), nil
}

// beginning is when what has no date of its own was made.
const beginning = "2024-01-01T00:00:00.000Z"

// stamp writes a time as STIX wants it, in milliseconds.
func stamp(t testudo.Time) string { return t.Std().Format("2006-01-02T15:04:05.000Z") }

// span returns first and last of something, now where it is not known, the
// last never before the first.
func (b *bundle) span(first, last testudo.Time) (string, string) {
	first = cmp.Or(first, last, b.p.o.Now)
	return stamp(first), stamp(max(first, last))
}

// add puts an object of a type and UUID into the bundle and returns its id.
func (b *bundle) add(kind, id string, o object) string {
	id = kind + "--" + id
	if b.have[id] {
		return id
	}
	b.have[id] = true
	o["type"], o["spec_version"], o["id"] = kind, "2.1", id
	if b.producer != "" && o["created"] != nil && kind != "marking-definition" {
		o["created_by_ref"] = b.producer
	}
	b.objects = append(b.objects, o)
	return id
}

// tlpMarkings are the marking definitions of TLP 2.0 as OASIS has published
// them (extension definition TLP 2.0, 1 October 2022).
var tlpMarkings = [...]string{
	testudo.TLPClear:       "94868c89-83c2-464b-929b-a1a8aa3c8487",
	testudo.TLPGreen:       "bab4a63c-aed9-4cf5-a766-dfca5abac2bb",
	testudo.TLPAmber:       "55d920b0-5e8b-4f79-9ee9-91f868d9b421",
	testudo.TLPAmberStrict: "939a9414-2ddd-4d32-a0cd-375ea402b003",
	testudo.TLPRed:         "e828b379-4e03-4974-9ac4-e53a884c97c1",
}

const tlpExtension = "extension-definition--60a3c5c5-0d10-413e-aab3-9e08dde9e88d"

// marking adds a label and returns the references to it.
func (b *bundle) marking(t testudo.TLP) []string {
	word := t.String()
	return []string{b.add("marking-definition", tlpMarkings[t], object{
		"created": "2022-10-01T00:00:00.000Z", "name": "TLP:" + strings.ToUpper(word),
		"extensions": object{tlpExtension: object{"extension_type": "property-extension", "tlp_2_0": word}},
	})}
}

// licence adds a licence as a statement and returns the references to it.
func (b *bundle) licence(text string) []string {
	if text == "" {
		return nil
	}
	return []string{b.add("marking-definition", idOf("licence", text), object{
		"created": beginning, "definition_type": "statement", "definition": object{"statement": "Licence: " + text},
	})}
}

// indicator adds an item with the techniques and groups it names.
func (b *bundle) indicator(it *item) string {
	created, modified := b.span(it.First, it.Last)
	language, pattern := patternOf(it, b.p.o.FirstSID)
	o := object{
		"created": created, "modified": modified, "name": it.Value, "indicator_types": []string{"malicious-activity"},
		"pattern": pattern, "pattern_type": language, "valid_from": created,
		"object_marking_refs": append(b.marking(it.TLP), b.licence(it.Licence)...),
		"external_references": []object{{"source_name": cmp.Or(it.Source, "unknown"), "description": "where it was listed"}},
	}
	if language == "stix" {
		o["pattern_version"] = "2.1"
	}
	if end := stamp(it.Expires); it.Expires != 0 && end > created {
		o["valid_until"] = end
	}
	if it.Confidence >= 0 {
		o["confidence"] = min(it.Confidence, 100)
	}
	if text := it.describe(); text != "" {
		o["description"] = text
	}
	if it.incident != "" {
		o["external_references"] = []object{{"source_name": "testudo", "external_id": it.incident}}
	}
	if labels := labelsOf(it.Marks); len(labels) > 0 {
		o["labels"] = labels
	}
	if it.doubt() != "" {
		o["indicator_types"] = []string{"unknown"}
	}
	id := b.add("indicator", idOf("indicator", it.Source, string(it.Type), it.Value, it.incident), o)
	for _, t := range it.Threats {
		switch {
		case isTechnique(t):
			b.relate(id, "indicates", b.technique(t), created, modified, it.TLP)
		case len(t) == 5 && t[0] == 'G' && isDigits(t[1:]):
			b.relate(id, "indicates", b.group(t), created, modified, it.TLP)
		}
	}
	return id
}

// labelsOf returns marks in lower case without blanks.
func labelsOf(m testudo.Marks) (labels []string) {
	for _, w := range m.Words() {
		labels = append(labels, strings.ReplaceAll(w, " ", "-"))
	}
	return labels
}

// relate adds a relationship.
func (b *bundle) relate(from, how, to, created, modified string, tlp testudo.TLP) string {
	return b.add("relationship", idOf("relationship", from, how, to), object{
		"created": created, "modified": modified, "relationship_type": how, "source_ref": from, "target_ref": to,
		"object_marking_refs": b.marking(tlp),
	})
}

// technique adds a technique of ATT&CK.
func (b *bundle) technique(id string) string {
	return b.add("attack-pattern", idOf("attack-pattern", id), object{
		"created": beginning, "modified": beginning, "name": cmp.Or(line(b.p.o.Techniques[id]), id),
		"external_references": []object{{
			"source_name": "mitre-attack", "external_id": id,
			"url": "https://attack.mitre.org/techniques/" + strings.ReplaceAll(id, ".", "/"),
		}},
	})
}

// group adds a group of ATT&CK, by its id alone.
func (b *bundle) group(id string) string {
	return b.add("intrusion-set", idOf("intrusion-set", id), object{
		"created": beginning, "modified": beginning, "name": id,
		"external_references": []object{{
			"source_name": "mitre-attack", "external_id": id, "url": "https://attack.mitre.org/groups/" + id,
		}},
	})
}

// observed adds an address or name. Its id is the one that everybody gives it
// (section 2.9): the name is its value as canonical JSON (RFC 8785).
func (b *bundle) observed(kind, value string) string {
	quoted, _ := json.Marshal(value) // an address or a name: nothing to escape, nothing to fail
	return b.add(kind, stixSpace.named(`{"value":`+string(quoted)+`}`).String(), object{"value": value})
}

func (b *bundle) observedAddr(a netip.Addr) string {
	a = a.Unmap().WithZone("")
	if a.Is4() {
		return b.observed("ipv4-addr", a.String())
	}
	return b.observed("ipv6-addr", a.String())
}

// incident adds a grouping of what an incident consists of.
func (b *bundle) incident(in *testudo.Incident, indicators []string, at map[string][]string) {
	refs := slices.Clone(indicators)
	created, modified := b.span(in.First, in.Last)
	for _, id := range indicators {
		refs = append(refs, b.sighting(in, id, created, modified))
	}
	var techniques []string
	for _, t := range in.Techniques {
		if isTechnique(t) {
			techniques = append(techniques, b.technique(t))
		} else {
			b.p.left.left("techniques without an ATT&CK id")
		}
	}
	refs = append(refs, techniques...)
	for i := range in.Servers {
		refs = append(refs, b.infrastructure(in, &in.Servers[i], at, created, modified)...)
	}
	for _, id := range indicators {
		for _, t := range techniques {
			refs = append(refs, b.relate(id, "indicates", t, created, modified, b.p.o.Label))
		}
	}
	for _, v := range in.Victims { // none unless asked for
		if v.Address.IsValid() {
			refs = append(refs, b.observedAddr(v.Address))
		}
	}
	slices.Sort(refs)
	if refs = slices.Compact(refs); len(refs) == 0 {
		refs = []string{b.producer}
	}
	o := object{
		"created": created, "modified": modified, "name": in.ID, "context": "suspicious-activity", "object_refs": refs,
		"description":         strings.TrimSpace(line(in.Title) + ". Severity " + in.Severity.String() + "."),
		"external_references": []object{{"source_name": "testudo", "external_id": cmp.Or(line(in.ID), "unknown")}},
		"object_marking_refs": b.marking(b.p.o.Label),
	}
	if n := percent(in.Confidence); n >= 0 {
		o["confidence"] = n
	}
	b.add("grouping", idOf("grouping", in.ID), o)
}

// sighting adds that an indicator was seen by the producer.
func (b *bundle) sighting(in *testudo.Incident, indicator, created, modified string) string {
	return b.add("sighting", idOf("sighting", in.ID, indicator), object{
		"created": created, "modified": modified, "first_seen": created, "last_seen": modified,
		"sighting_of_ref": indicator, "where_sighted_refs": []string{b.producer},
		"external_references": []object{{"source_name": "testudo", "external_id": cmp.Or(line(in.ID), "unknown")}},
		"object_marking_refs": b.marking(b.p.o.Label),
	})
}

// infrastructure adds a server with its address and names and returns what it
// added.
func (b *bundle) infrastructure(in *testudo.Incident, s *testudo.NamedServer, at map[string][]string, created, modified string) []string {
	var parts, values []string
	if s.Address.IsValid() {
		parts, values = append(parts, b.observedAddr(s.Address)), append(values, s.Address.Unmap().WithZone("").String())
	}
	for _, n := range s.Names {
		parts, values = append(parts, b.observed("domain-name", n)), append(values, n)
	}
	o := object{
		"created": created, "modified": modified, "first_seen": created, "last_seen": modified,
		"name": line(string(s.Role)) + " " + values[0], "infrastructure_types": []string{infrastructureType(s.Role)},
		"object_marking_refs": b.marking(b.p.o.Label),
	}
	if s.Shared {
		o["labels"] = []string{"shared"}
	}
	if n := percent(s.Confidence); n >= 0 {
		o["confidence"] = n
	}
	id := b.add("infrastructure", idOf("infrastructure", in.ID, string(s.Role), strings.Join(values, " ")), o)
	refs := append([]string{id}, parts...)
	for _, part := range parts {
		refs = append(refs, b.relate(id, "consists-of", part, created, modified, b.p.o.Label))
	}
	for _, v := range values {
		for _, ind := range at[in.ID+" "+v] {
			refs = append(refs, b.relate(ind, "indicates", id, created, modified, b.p.o.Label))
		}
	}
	return refs
}

// infrastructureType is the word of STIX's open vocabulary for a role.
func infrastructureType(r testudo.ServerRole) string {
	switch r {
	case testudo.C2, testudo.TunnelEnd:
		return "command-and-control"
	case testudo.ExfilSink:
		return "exfiltration"
	case testudo.Staging:
		return "staging"
	case testudo.Phishing:
		return "phishing"
	case testudo.Scanner, testudo.TrapVisitor:
		return "reconnaissance"
	case testudo.Flooder:
		return "botnet"
	case testudo.Reflector:
		return "amplification"
	}
	return "unknown"
}
