package stix

import (
	"strconv"
	"strings"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/intel"
)

// object is what is read of any STIX object, of version 2.0 or 2.1.
type object struct {
	Type           string     `json:"type"`
	ID             string     `json:"id"`
	Name           string     `json:"name"`
	Description    string     `json:"description"`
	Pattern        string     `json:"pattern"`
	PatternType    string     `json:"pattern_type"`
	ValidFrom      string     `json:"valid_from"`
	ValidUntil     string     `json:"valid_until"`
	Created        string     `json:"created"`
	Modified       string     `json:"modified"`
	Revoked        bool       `json:"revoked"`
	Deprecated     bool       `json:"x_mitre_deprecated"`
	Confidence     percent    `json:"confidence"`
	Labels         []string   `json:"labels"`
	IndicatorTypes []string   `json:"indicator_types"`
	Phases         []phase    `json:"kill_chain_phases"`
	Markings       []string   `json:"object_marking_refs"`
	References     []external `json:"external_references"`
	Aliases        []string   `json:"aliases"`
	MitreAliases   []string   `json:"x_mitre_aliases"`
	Relation       string     `json:"relationship_type"`
	From           string     `json:"source_ref"`
	To             string     `json:"target_ref"`
	DefinitionType string     `json:"definition_type"`
	Definition     definition `json:"definition"`
	Extensions     extensions `json:"extensions"`
	Value          string     `json:"value"`
	Hashes         hashes     `json:"hashes"`
	Observed       observed   `json:"objects"` // of observed-data in 2.0
	ObservedRefs   []string   `json:"object_refs"`
}

// percent is a whole number from 0 to 100, and 1; 0 where there is none.
type percent int

// UnmarshalJSON reads a number, also one in quotes.
func (p *percent) UnmarshalJSON(b []byte) error {
	if n, err := strconv.Atoi(strings.Trim(string(b), `"`)); err == nil && n >= 0 && n <= 100 {
		*p = percent(n + 1)
	}
	return nil
}

type phase struct {
	Name string `json:"phase_name"`
}

type external struct {
	Source string `json:"source_name"`
	ID     string `json:"external_id"`
	URL    string `json:"url"`
}

type definition struct {
	TLP       string `json:"tlp"`
	Statement string `json:"statement"`
}

type extensions map[string]struct {
	TLP string `json:"tlp_2_0"`
}

type hashes map[string]string

type observed map[string]struct {
	Type string `json:"type"`
}

// tlp returns the label that a marking-definition stands for.
func (o *object) tlp() testudo.TLP {
	t := testudo.ParseTLP(o.Definition.TLP)
	for _, e := range o.Extensions {
		t = max(t, testudo.ParseTLP(e.TLP))
	}
	return max(t, tlpOf(o.ID))
}

// tlpOf knows the markings that every reader of STIX is to know: of TLP 1 by
// STIX 2.1, 7.2.1.4, of TLP 2 by the OASIS common object repository.
func tlpOf(id string) testudo.TLP {
	switch strings.TrimPrefix(id, "marking-definition--") {
	case "613f2e26-407d-48c7-9eca-b8e91df99dc9", "94868c89-83c2-464b-929b-a1a8aa3c8487":
		return testudo.TLPClear
	case "34098fce-860f-48ae-8e50-ebd3cc5e41da", "bab4a63c-aed9-4cf5-a766-dfca5abac2bb":
		return testudo.TLPGreen
	case "f88d31f6-486f-44da-b317-01333bde0b82", "55d920b0-5e8b-4f79-9ee9-91f868d9b421":
		return testudo.TLPAmber
	case "939a9414-2ddd-4d32-a0cd-375ea402b003":
		return testudo.TLPAmberStrict
	case "5e57c739-391a-4eb3-b6be-7d15ca92d5ed", "e828b379-4e03-4974-9ac4-e53a884c97c1":
		return testudo.TLPRed
	}
	return testudo.TLPUnset
}

// threatKind returns what kind of threat objects of a type describe, "" for
// those that describe none.
func threatKind(typ string) testudo.ThreatKind {
	switch typ {
	case "intrusion-set", "threat-actor":
		return testudo.GroupThreat
	case "campaign":
		return testudo.CampaignThreat
	case "malware", "tool":
		return testudo.SoftwareThreat
	case "attack-pattern":
		return testudo.TechniqueThreat
	}
	return ""
}

// threat returns the threat that an object describes.
func (o *object) threat(kind testudo.ThreatKind) testudo.Threat {
	t := testudo.Threat{ID: o.ID, Name: intel.Note(o.Name), Kind: kind}
	for _, r := range o.References {
		if strings.HasPrefix(r.Source, "mitre-") && r.ID != "" && t.ID == o.ID {
			t.ID = r.ID
		}
		if r.URL != "" && len(t.Refs) < maxRefs {
			t.Refs = append(t.Refs, r.URL)
		}
	}
	t.Name = strings.TrimPrefix(t.Name, t.ID+": ")
	for _, s := range append(o.Aliases, o.MitreAliases...) {
		if !strings.EqualFold(s, t.Name) {
			t.Synonyms = intel.AddThreats(t.Synonyms, s)
		}
	}
	return t
}

const maxRefs = 32

// silent says why an object's values are not believed, "" if they are.
func (o *object) silent() string {
	switch {
	case o.Revoked:
		return "revoked by its source"
	case o.Type != "indicator":
		return ""
	case o.PatternType != "" && o.PatternType != "stix":
		return "a pattern in " + intel.Word(o.PatternType) + ", not in STIX"
	}
	for _, l := range append(o.IndicatorTypes, o.Labels...) {
		if l == "benign" {
			return "said to be benign by its source"
		}
	}
	return ""
}

// describe fills in what an object says of the values it names.
func (o *object) describe(in *testudo.Indicator) {
	in.First, in.Last, in.Expires = intel.ParseTime(o.ValidFrom), intel.ParseTime(o.Modified), intel.ParseTime(o.ValidUntil)
	if in.First == 0 {
		in.First = intel.ParseTime(o.Created)
	}
	in.Last = max(in.Last, in.First)
	if in.Expires <= in.First {
		in.Expires = 0
	}
	in.Confidence = int(o.Confidence) - 1
	var notes []string
	if _, v, _ := intel.Classify(o.Name); v != in.Value && !strings.EqualFold(o.Name, in.Value) && !strings.Contains(o.Name, " = '") {
		notes = append(notes, o.Name)
	}
	notes = append(notes, o.Description)
	for _, p := range o.Phases {
		notes = append(notes, p.Name)
	}
	notes = append(notes, strings.Join(append(o.IndicatorTypes, o.Labels...), ", "))
	for _, r := range o.References {
		notes = append(notes, r.URL)
	}
	in.Note = intel.Note(notes...)
}
