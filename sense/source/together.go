package source

import (
	"errors"
	"io"

	"github.com/testudo-shield/testudo"
)

// Together is inputs of records of several kinds read as one.
type Together struct {
	inputs []Records
	heads  []testudo.Record
	begun  bool
	errs   []error
}

// MergeRecords reads inputs of records as one, by the time at which each could
// first be known; at equal times the input named first comes first. They are
// few, one of each kind. An input that fails ends there, and the error comes
// after the last record of the others. Together owns the inputs.
func MergeRecords(inputs ...Records) *Together {
	return &Together{inputs: inputs, heads: make([]testudo.Record, len(inputs))}
}

// Next returns the earliest record at hand.
func (t *Together) Next() (testudo.Record, error) {
	if !t.begun {
		t.begun = true
		for i := range t.inputs {
			t.read(i)
		}
	}
	best := -1
	for i, r := range t.heads {
		if r != nil && (best < 0 || known(r) < known(t.heads[best])) {
			best = i
		}
	}
	if best < 0 {
		if err := errors.Join(t.errs...); err != nil {
			return nil, err
		}
		return nil, io.EOF
	}
	r := t.heads[best]
	t.read(best)
	return r, nil
}

func (t *Together) read(i int) {
	r, err := t.inputs[i].Next()
	if err != nil {
		r = nil
		if err != io.EOF {
			t.errs = append(t.errs, err)
		}
	}
	t.heads[i] = r
}

// known is when a record could first be known: a conn when it was over.
func known(r testudo.Record) testudo.Time {
	if c, ok := r.(*testudo.Conn); ok {
		return c.Time.Add(c.Duration)
	}
	return r.Base().Time
}

// Skipped returns what the inputs say of what could not be read.
func (t *Together) Skipped() (all []testudo.Skip) {
	for _, in := range t.inputs {
		all = append(all, in.Skipped()...)
	}
	return all
}

// Close closes all inputs.
func (t *Together) Close() error {
	var errs []error
	for _, in := range t.inputs {
		errs = append(errs, in.Close())
	}
	return errors.Join(errs...)
}
