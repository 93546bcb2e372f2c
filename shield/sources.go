package shield

import (
	"slices"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/keep/state"
)

// SourceCard is a source with all that is remembered of it.
type SourceCard struct {
	state.Source
	state.Known
	Labels []string     // of its indicators, the widest first
	Newest testudo.Time // when it last saw anything bad, 0 where it does not say
}

// Sources returns all sources, by name.
func (m *Memory) Sources() ([]SourceCard, error) {
	sources, err := m.State.Sources()
	if err != nil {
		return nil, err
	}
	known, err := m.State.KnownOf()
	if err != nil {
		return nil, err
	}
	newest, err := m.State.NewestOf()
	if err != nil {
		return nil, err
	}
	labels, err := m.State.LabelsOf()
	if err != nil {
		return nil, err
	}
	all := make([]SourceCard, 0, len(sources))
	for _, s := range sources {
		c := SourceCard{Source: s, Known: known[s.Name], Newest: newest[s.Name], Labels: []string{}}
		slices.Sort(labels[s.Name])
		for _, l := range labels[s.Name] {
			c.Labels = append(c.Labels, l.String())
		}
		all = append(all, c)
	}
	return all, nil
}

// MakeMemory opens the memory in dir to read its history and to write all
// else, and makes it where there is none.
func MakeMemory(dir, program string, open OpenHistory, now func() testudo.Time) (*Memory, error) {
	if m, err := OpenMemory(dir, program, open, false, now); err == nil {
		return m, nil
	}
	made, err := OpenMemory(dir, program, open, true, now)
	if err != nil {
		return nil, err
	}
	if err := made.Close(); err != nil {
		return nil, err
	}
	return OpenMemory(dir, program, open, false, now)
}
