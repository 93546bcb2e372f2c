package export

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
)

// The versions of the layer's format and of the Navigator that reads it.
const (
	layerVersion     = "4.5"
	navigatorVersion = "5.1.0"
)

type layer struct {
	Name        string           `json:"name"`
	Versions    layerVersions    `json:"versions"`
	Domain      string           `json:"domain"`
	Description string           `json:"description"`
	Sorting     int              `json:"sorting"`
	Techniques  []layerTechnique `json:"techniques"`
	Gradient    layerGradient    `json:"gradient"`
}

type layerVersions struct {
	Attack    string `json:"attack"`
	Navigator string `json:"navigator"`
	Layer     string `json:"layer"`
}

type layerTechnique struct {
	ID      string `json:"techniqueID"`
	Score   int    `json:"score"`
	Comment string `json:"comment"`
	Enabled bool   `json:"enabled"`
	Show    bool   `json:"showSubtechniques"`
}

type layerGradient struct {
	Colors []string `json:"colors"`
	Min    int      `json:"minValue"`
	Max    int      `json:"maxValue"`
}

// Navigator writes a layer of the techniques that incidents showed: scored by
// the number of incidents, with their ids as comment. A layer is of one
// domain of ATT&CK: techniques T08xx are of "ics-attack", all others of
// "enterprise-attack"; those of the other domain are left out and counted.
// Written counts techniques.
func Navigator(w io.Writer, in Input, o Options) (Tally, error) {
	in.Indicators = nil // a layer has techniques only
	p := pick(in, o)
	if p.o.Domain != "enterprise-attack" && p.o.Domain != "ics-attack" {
		return Tally{}, fmt.Errorf("export: navigator: domain %q: want enterprise-attack or ics-attack", p.o.Domain)
	}
	by := map[string][]string{}
	for i := range p.incidents {
		ids := slices.Clone(p.incidents[i].Techniques)
		slices.Sort(ids)
		for _, id := range slices.Compact(ids) {
			switch {
			case !isTechnique(id):
				p.left.left("techniques without an ATT&CK id")
			case strings.HasPrefix(id, "T0") != (p.o.Domain == "ics-attack"):
				p.left.left("techniques of the other domain")
			default:
				by[id] = append(by[id], p.incidents[i].ID)
			}
		}
	}
	l := layer{
		Name: p.o.Producer + " as of " + p.o.Now.Std().Format("2006-01-02"), Domain: p.o.Domain,
		Versions:    layerVersions{p.o.Attack, navigatorVersion, layerVersion},
		Description: fmt.Sprintf("Techniques of %d incidents; the score is the number of incidents.", len(p.incidents)),
		Sorting:     3, Techniques: []layerTechnique{}, Gradient: layerGradient{[]string{"#ffe8c9ff", "#d62828ff"}, 0, 1},
	}
	for id, incidents := range by {
		l.Techniques = append(l.Techniques, layerTechnique{id, len(incidents), line(strings.Join(incidents, " ")), true, strings.Contains(id, ".")})
		l.Gradient.Max = max(l.Gradient.Max, len(incidents))
	}
	slices.SortFunc(l.Techniques, func(a, b layerTechnique) int { return strings.Compare(a.ID, b.ID) })
	if err := writeJSON(w, l); err != nil {
		return Tally{}, fmt.Errorf("export: write navigator layer: %w", err)
	}
	return p.left.tally(len(l.Techniques)), nil
}

// isTechnique says whether id is a technique's: T1071 or T1071.001.
func isTechnique(id string) bool {
	main, sub, hasSub := strings.Cut(id, ".")
	return len(main) == 5 && main[0] == 'T' && isDigits(main[1:]) && (!hasSub || len(sub) == 3 && isDigits(sub))
}

func isDigits(s string) bool { return strings.Trim(s, "0123456789") == "" }

// writeJSON writes v indented and without HTML escapes.
func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	return e.Encode(v)
}
