package stix

import (
	"maps"
	"slices"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/intel"
)

// graph is what the objects of a bundle say of each other.
type graph struct {
	names    map[string]string   // of threats, by id
	threats  map[string][]string // by the id of what belongs to them
	authors  map[string][]string // by the id of what is attributed
	markings map[string]marking
	size     int
}

type marking struct {
	tlp       testudo.TLP
	statement string
}

func newGraph() graph {
	return graph{map[string]string{}, map[string][]string{}, map[string][]string{}, map[string]marking{}, 0}
}

func (g *graph) name(o *object) {
	if !o.Revoked {
		g.names[o.ID] = o.Name
		g.size++
	}
}

func (g *graph) mark(o *object) {
	g.markings[o.ID] = marking{o.tlp(), intel.Note(o.Definition.Statement)}
	g.size++
}

// relate keeps a relationship that says to which threat something belongs.
func (g *graph) relate(o *object) {
	if o.Revoked {
		return
	}
	switch o.Relation {
	case "indicates":
		g.join(g.threats, o.From, o.To)
	case "attributed-to":
		g.join(g.authors, o.From, o.To)
	case "communicates-with", "beacons-to", "exfiltrates-to", "downloads", "drops", "uses", "controls", "consists-of":
		g.join(g.threats, o.To, o.From)
	}
}

func (g *graph) join(m map[string][]string, from, to string) {
	if len(m[from]) < intel.MaxThreats {
		m[from] = append(m[from], to)
		g.size++
	}
}

// finish gives a value its threats, its TLP label and its licence: of several
// labels the strictest.
func (g *graph) finish(h *held) {
	for _, id := range g.threats[h.id] {
		h.in.Threats = intel.AddThreats(h.in.Threats, g.names[id])
		for _, author := range g.authors[id] {
			h.in.Threats = intel.AddThreats(h.in.Threats, g.names[author])
		}
	}
	for _, id := range h.markings {
		m, ok := g.markings[id]
		if !ok {
			m.tlp = tlpOf(id)
		}
		h.in.TLP = max(h.in.TLP, m.tlp)
		if h.in.Licence == "" {
			h.in.Licence = m.statement
		}
	}
}

func sorted(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }
