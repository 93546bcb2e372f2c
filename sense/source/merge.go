package source

import (
	"io"

	"github.com/testudo-shield/testudo"
)

// manyInputs is the number of inputs from which on those that are not yet due
// give back their files and memory.
const manyInputs = 16

// Parker is an input that can give back its file and memory once its first
// frame is known. Park reports whether it did; the frame is then read again.
type Parker interface{ Park() bool }

// Merged is several inputs read as one, by time.
type Merged struct {
	inputs []Frames
	heads  []Frame // the next frame of each input
	parked []bool  // its head is known but must be read again
	heap   []int   // of inputs that have one, the earliest first
	errs   []error // by input
	begun  bool
	given  int // the input whose frame was given out last, or -1
}

// Merge reads the inputs as one, by time of their next frames; at equal times
// the input named first comes first. Frames of one input keep their order, so
// time may still step back within it. An input that fails ends there: the
// others go on, and Skipped tells at the end. Merge owns the inputs.
func Merge(inputs ...Frames) *Merged {
	return &Merged{
		inputs: inputs, given: -1, heads: make([]Frame, len(inputs)),
		parked: make([]bool, len(inputs)), errs: make([]error, len(inputs)),
	}
}

// Next gives the earliest frame at hand. It returns io.EOF when all inputs
// have ended, also if some of them failed.
func (m *Merged) Next(f *Frame) error {
	if !m.begun {
		m.begin()
	}
	if m.given >= 0 {
		if m.read(m.given) {
			m.down(0)
		} else {
			m.pop()
		}
		m.given = -1
	}
	for len(m.heap) > 0 {
		i := m.heap[0]
		if m.parked[i] {
			m.parked[i] = false
			if !m.read(i) { // it was there before: the file was changed or lost
				m.pop()
				continue
			}
			m.down(0)
			continue
		}
		*f = m.heads[i]
		m.given = i
		return nil
	}
	return io.EOF
}

// begin reads the first frame of each input.
func (m *Merged) begin() {
	m.begun = true
	for i, in := range m.inputs {
		if !m.read(i) {
			continue
		}
		if p, ok := in.(Parker); ok && len(m.inputs) >= manyInputs {
			m.parked[i] = p.Park()
		}
		m.heap = append(m.heap, i)
	}
	for i := len(m.heap)/2 - 1; i >= 0; i-- {
		m.down(i)
	}
}

// read fetches the next frame of input i.
func (m *Merged) read(i int) bool {
	err := m.inputs[i].Next(&m.heads[i])
	if err != nil && err != io.EOF {
		m.errs[i] = err
	}
	return err == nil
}

func (m *Merged) pop() {
	n := len(m.heap) - 1
	m.heap[0] = m.heap[n]
	m.heap = m.heap[:n]
	m.down(0)
}

func (m *Merged) before(a, b int) bool {
	if s, t := m.heads[a].Time, m.heads[b].Time; s != t {
		return s < t
	}
	return a < b
}

func (m *Merged) down(i int) {
	for {
		k := 2*i + 1
		if k >= len(m.heap) {
			return
		}
		if k+1 < len(m.heap) && m.before(m.heap[k+1], m.heap[k]) {
			k++
		}
		if !m.before(m.heap[k], m.heap[i]) {
			return
		}
		m.heap[i], m.heap[k] = m.heap[k], m.heap[i]
		i = k
	}
}

// Skipped tells which inputs could not be read to their end and why, in the
// order of the inputs.
func (m *Merged) Skipped() (skipped []testudo.Skip) {
	for i, err := range m.errs {
		if err != nil {
			skipped = append(skipped, testudo.Skip{Input: m.inputs[i].Name(), Reason: err.Error()})
		}
	}
	return skipped
}

// Name returns the name of the input that gave the last frame, or of the
// first input.
func (m *Merged) Name() string {
	if m.given >= 0 {
		return m.inputs[m.given].Name()
	}
	if len(m.inputs) > 0 {
		return m.inputs[0].Name()
	}
	return ""
}

// Progress returns the sums over all inputs; the total is 0 where one is not
// known.
func (m *Merged) Progress() (read, total int64) {
	known := true
	for _, in := range m.inputs {
		r, t := in.Progress()
		read += r
		total += t
		known = known && t > 0
	}
	if !known {
		total = 0
	}
	return read, total
}

// Close closes all inputs and returns the first error.
func (m *Merged) Close() error {
	var first error
	for _, in := range m.inputs {
		if err := in.Close(); err != nil && first == nil {
			first = err
		}
	}
	return first
}
