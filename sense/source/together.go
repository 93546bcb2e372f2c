package source

import (
	"encoding/json"
	"errors"
	"io"

	"github.com/testudo-shield/testudo"
)

// Together reads live inputs of records in turn, each as far as it has
// something. An input that ends or fails is left; the others go on.
type Together struct {
	names  []string
	inputs []Records
	ended  []bool
	at     int
	run    int // records in a row of the input at
	errs   []error
}

// longestRun is how many records one input may give while others wait: an
// input that has nothing is waited for, so changing over costs.
const longestRun = 10_000

// Position implements Live: the positions of those inputs that have one, by
// name, so that others may come and go between two runs.
func (t *Together) Position() []byte {
	all := map[string][]byte{}
	for i, in := range t.inputs {
		if p, ok := in.(Live); ok {
			all[t.names[i]] = p.Position()
		}
	}
	text, _ := json.Marshal(all) // bytes by name: there is nothing to go wrong
	return text
}

// Positions takes apart what Position of a Together gave.
func Positions(position []byte) (map[string][]byte, error) {
	all := map[string][]byte{}
	if position == nil {
		return all, nil
	}
	err := json.Unmarshal(position, &all)
	return all, err
}

// Add adds an input, which t then owns.
func (t *Together) Add(name string, in Records) {
	t.names, t.inputs, t.ended = append(t.names, name), append(t.inputs, in), append(t.ended, false)
}

// Len returns how many inputs there are.
func (t *Together) Len() int { return len(t.inputs) }

// Next returns the next record of any input, ErrIdle if none has one now, and
// when all have ended io.EOF or what ended them.
func (t *Together) Next() (testudo.Record, error) {
	open := false
	for range t.inputs {
		i := t.at % len(t.inputs)
		if t.ended[i] {
			t.at++
			continue
		}
		r, err := t.inputs[i].Next()
		if t.run++; err != nil || t.run == longestRun {
			t.run = 0
			t.at++
		}
		switch {
		case err == nil:
			return r, nil
		case errors.Is(err, ErrIdle):
			open = true
		default:
			t.ended[i] = true
			if !errors.Is(err, io.EOF) {
				t.errs = append(t.errs, err)
			}
		}
	}
	if open {
		return nil, ErrIdle
	}
	if len(t.errs) > 0 {
		return nil, errors.Join(t.errs...)
	}
	return nil, io.EOF
}

// Account implements Records.
func (t *Together) Account() (all Account) {
	for _, in := range t.inputs {
		all.add(in.Account())
	}
	return all
}

// Close closes the inputs.
func (t *Together) Close() error {
	var errs []error
	for _, in := range t.inputs {
		errs = append(errs, in.Close())
	}
	return errors.Join(errs...)
}
