// Package galaxy reads MISP's galaxy clusters: groups, software and
// techniques with the names others gave them.
package galaxy

import (
	"bytes"
	"io"
	"strings"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/intel"
)

// Format is what this folder reads. It holds no indicators.
var Format = intel.Format{Name: "misp-galaxy", Sniff: Sniff, Threats: Threats}

// Sniff tells clusters by the fields that only they have.
func Sniff(head []byte, _ string) bool {
	head = bytes.TrimSpace(bytes.TrimPrefix(head, []byte("\uFEFF")))
	if len(head) == 0 || head[0] != '{' {
		return false
	}
	has := func(key string) bool { return bytes.Contains(head, []byte(key)) }
	return has(`"authors"`) && (has(`"values"`) || has(`"category"`)) && !has(`"Event"`) && !has(`"objects"`)
}

type cluster struct {
	Value string `json:"value"`
	UUID  string `json:"uuid"`
	Meta  struct {
		Synonyms []string `json:"synonyms"`
		Refs     []string `json:"refs"`
		ID       string   `json:"external_id"`
	} `json:"meta"`
	Revoked bool `json:"revoked"`
}

// maxHeld bounds the clusters of one file, which are held until its kind is
// known: "type" stands behind "values" where keys are sorted otherwise.
const maxHeld = 1 << 17

// Threats gives the clusters of a file in its order. Those of countries,
// sectors and the like are skipped.
func Threats(r io.Reader, give func(testudo.Threat), skip intel.Skip) error {
	var kind, category string
	type placed struct {
		line int
		cluster
	}
	var held []placed
	s := intel.NewStream(r)
	err := s.Object(func(key string) error {
		switch key {
		case "type":
			return s.Decode(&kind)
		case "category":
			return s.Decode(&category)
		case "values":
			return s.Array(func() error {
				var c cluster
				if err := s.Decode(&c); err != nil {
					return err
				}
				if len(held) == maxHeld {
					skip(s.Line(), "more than 131,072 clusters in one file")
					return nil
				}
				held = append(held, placed{s.Line(), c})
				return nil
			})
		}
		return s.Pass()
	})
	is := kindOf(kind, category)
	for _, c := range held {
		switch {
		case is == "":
			skip(c.line, "a cluster of kind "+intel.Word(kind)+", which is no group, software or technique")
		case c.Value == "":
			skip(c.line, "a cluster without a name")
		default:
			give(c.threat(is))
		}
	}
	return err
}

// maxRefs bounds the pages about one threat.
const maxRefs = 32

func (c *cluster) threat(kind testudo.ThreatKind) testudo.Threat {
	t := testudo.Threat{ID: c.UUID, Name: intel.Note(c.Value), Kind: kind, Refs: c.Meta.Refs[:min(len(c.Meta.Refs), maxRefs)]}
	if c.Meta.ID != "" {
		t.ID = c.Meta.ID
		t.Name = strings.TrimSuffix(t.Name, " - "+t.ID)
	}
	for _, s := range c.Meta.Synonyms {
		if !strings.EqualFold(s, t.Name) {
			t.Synonyms = intel.AddThreats(t.Synonyms, s)
		}
	}
	return t
}

// kindOf says what the clusters of a galaxy are, by its type or its category.
func kindOf(kind, category string) testudo.ThreatKind {
	switch {
	case strings.Contains(kind, "intrusion-set"), category == "actor", strings.Contains(kind, "threat-actor"), strings.Contains(kind, "activity-group"), kind == "tidal-groups":
		return testudo.GroupThreat
	case strings.Contains(kind, "campaign"):
		return testudo.CampaignThreat
	case strings.Contains(kind, "attack-pattern"), category == "attack-pattern", strings.Contains(kind, "technique"):
		return testudo.TechniqueThreat
	case strings.Contains(kind, "malware"), strings.Contains(kind, "tool"), category == "tool", category == "malware", kind == "ransomware", kind == "malpedia", strings.Contains(kind, "software"):
		return testudo.SoftwareThreat
	}
	return ""
}
