package misp

import (
	"strings"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/intel"
)

type tag struct {
	Name string `json:"name"`
}

type galaxy struct {
	Type     string `json:"type"`
	Clusters []struct {
		Value string `json:"value"`
	} `json:"GalaxyCluster"`
}

// tags is what the tags and galaxies of an event or attribute say.
type tags struct {
	tlp        testudo.TLP
	threats    []string
	confidence int // and 1; 0 where they say nothing
}

// add reads one tag, as misp-galaxy:threat-actor="Name".
func (m *tags) add(t tag) {
	m.tlp = max(m.tlp, testudo.ParseTLP(onlyTLP(t.Name)))
	space, value, _ := strings.Cut(t.Name, "=")
	value = strings.Trim(value, `"`)
	if kind, ok := strings.CutPrefix(space, "misp-galaxy:"); ok && isThreat(kind) {
		m.threats = intel.AddThreats(m.threats, value)
	}
	if space == "misp:confidence-level" {
		m.confidence = confidence(value) + 1
	}
}

// onlyTLP returns a tag that begins with tlp:, else "".
func onlyTLP(name string) string {
	if len(name) > 4 && strings.EqualFold(name[:4], "tlp:") {
		return name
	}
	return ""
}

func (m *tags) galaxy(g galaxy) {
	if !isThreat(g.Type) {
		return
	}
	for _, c := range g.Clusters {
		m.threats = intel.AddThreats(m.threats, c.Value)
	}
}

// isThreat tells the galaxies of groups, software and techniques from those
// of victims, countries and remedies.
func isThreat(kind string) bool {
	for _, not := range [...]string{"country", "sector", "region", "target-information", "course-of-action", "mitigation", "preventive-measure", "data-source", "data-component", "asset", "sigma"} {
		if strings.Contains(kind, not) {
			return false
		}
	}
	return true
}

// confidence reads the words of MISP's taxonomy.
func confidence(word string) int {
	switch word {
	case "completely-confident":
		return 100
	case "usually-confident":
		return 75
	case "fairly-confident":
		return 50
	case "rarely-confident":
		return 25
	case "unconfident":
		return 0
	}
	return -1
}
