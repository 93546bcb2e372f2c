package shield

import (
	"context"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/keep/state"
	"github.com/testudo-shield/testudo/tell/export"
)

// Exported is what of a memory is to be exported, and the names of ATT&CK's
// techniques as far as a source gave them.
type Exported struct {
	export.Input
	Techniques map[string]string
}

// Export collects what may be exported: the indicators of one source or of
// all, and one incident or all. With an incident alone its indicators are
// those that it rests on.
func (m *Memory) Export(ctx context.Context, source, incident string) (out Exported, err error) {
	k, err := m.known()
	if err != nil {
		return out, err
	}
	for ind, err := range m.State.Indicators(ctx, source, 0) {
		if err != nil {
			return out, err
		}
		out.Indicators = append(out.Indicators, k.dress(ind))
	}
	threats, err := m.State.Threats()
	if err != nil {
		return out, err
	}
	out.Techniques = map[string]string{}
	for _, t := range threats {
		if t.Kind == testudo.TechniqueThreat && t.ID != "" {
			out.Techniques[t.ID] = t.Name
		}
	}
	if source != "" && incident == "" {
		return out, nil
	}
	ids := []string{incident}
	if incident == "" {
		ids = ids[:0]
		all, err := m.State.List(state.Filter{})
		if err != nil {
			return out, err
		}
		for i := range all {
			ids = append(ids, all[i].ID)
		}
	}
	for _, id := range ids {
		in, err := m.State.Get(id)
		if err != nil {
			return out, err
		}
		out.Incidents = append(out.Incidents, in.Incident)
	}
	if incident != "" {
		out.Indicators = restedOn(out.Indicators, &out.Incidents[0])
	}
	return out, nil
}

// restedOn keeps the indicators that an incident's sightings name.
func restedOn(all []testudo.Indicator, in *testudo.Incident) (kept []testudo.Indicator) {
	values := map[string]bool{}
	for _, s := range in.Sightings {
		for _, f := range s.Evidence {
			if v, ok := f.Value.(string); ok && f.Name == "indicator" {
				values[v] = true
			}
		}
	}
	for _, ind := range all {
		if values[ind.Value] {
			kept = append(kept, ind)
		}
	}
	return kept
}
