package source

import (
	"errors"
	"io"

	"github.com/testudo-shield/testudo"
)

// MergedRecords is several inputs of records read as one, by the time at
// which their sensors knew what they say.
type MergedRecords struct {
	inputs []Records
	heads  []testudo.Record
	at     []testudo.Time // of heads; never back, within an input
	begun  bool
	errs   []error // what ended inputs before their end
}

// MergeRecords reads the inputs as one; at equal times the one named first
// comes first. It owns them. An input that fails ends there; the others go on
// and the end tells.
func MergeRecords(inputs ...Records) *MergedRecords {
	return &MergedRecords{inputs: inputs, heads: make([]testudo.Record, len(inputs)), at: make([]testudo.Time, len(inputs))}
}

// Next returns the earliest record at hand.
func (m *MergedRecords) Next() (testudo.Record, error) {
	if !m.begun {
		m.begun = true
		for i := range m.inputs {
			m.read(i)
		}
	}
	first := -1
	for i, r := range m.heads {
		if r != nil && (first < 0 || m.at[i] < m.at[first]) {
			first = i
		}
	}
	if first < 0 {
		if len(m.errs) > 0 {
			return nil, errors.Join(m.errs...)
		}
		return nil, io.EOF
	}
	r := m.heads[first]
	m.read(first)
	return r, nil
}

func (m *MergedRecords) read(i int) {
	r, err := m.inputs[i].Next()
	if m.heads[i] = r; err != nil {
		m.heads[i] = nil
		if !errors.Is(err, io.EOF) {
			m.errs = append(m.errs, err)
		}
		return
	}
	t := r.Base().Time
	if c, ok := r.(*testudo.Conn); ok {
		t = t.Add(max(0, c.Duration)) // a conn is told when it is over
	}
	m.at[i] = max(m.at[i], t)
}

// Account implements Records.
func (m *MergedRecords) Account() (all Account) {
	for _, in := range m.inputs {
		all.add(in.Account())
	}
	return all
}

// Close closes all inputs.
func (m *MergedRecords) Close() error {
	var errs []error
	for _, in := range m.inputs {
		errs = append(errs, in.Close())
	}
	return errors.Join(errs...)
}
