package ipfix

import (
	"errors"

	"github.com/netsampler/goflow2/v2/decoders/netflow"
)

// Bounds of what an exporter may make us remember.
const (
	maxFields    = 256      // of a template
	maxTemplates = 256      // of an observation domain
	maxWaiting   = 64 << 10 // bytes of data before their template, of a domain
	maxWaitSets  = 64
)

// variable is the length of a field that tells its own (RFC 7011, 7).
const variable = 0xffff

// step reads one field of a record; what is 0 for fields that are skipped.
type step struct{ what, length uint16 }

// template is how data records of one set are read.
type template struct {
	steps   []step
	least   int // bytes of the shortest record
	options bool
}

// errTruncated says that a record is longer than what is left of its set.
var errTruncated = errors.New("a record goes on behind its set")

// read takes one record off b and returns the rest.
func (t *template) read(b []byte, r *record) ([]byte, error) {
	for _, s := range t.steps {
		n := int(s.length)
		if s.length == variable {
			var err error
			if n, b, err = variableLength(b); err != nil {
				return nil, err
			}
		}
		if n > len(b) {
			return nil, errTruncated
		}
		if s.what != 0 {
			r.set(s.what, b[:n])
		}
		b = b[n:]
	}
	return b, nil
}

func variableLength(b []byte) (n int, rest []byte, err error) {
	if len(b) < 1 {
		return 0, nil, errTruncated
	}
	if b[0] < 255 {
		return int(b[0]), b[1:], nil
	}
	if len(b) < 3 {
		return 0, nil, errTruncated
	}
	return int(b[1])<<8 | int(b[2]), b[3:], nil
}

// compile makes a template of the fields that a decoder found; nil if data
// cannot be of it.
func compile(options bool, lists ...[]netflow.Field) *template {
	t := &template{options: options}
	for _, fields := range lists {
		for i := range fields {
			f := &fields[i]
			t.steps = append(t.steps, step{meaning(f), f.Length})
			if f.Length == variable {
				t.least++
			} else {
				t.least += int(f.Length)
			}
		}
	}
	if len(t.steps) > maxFields || t.least == 0 {
		return nil
	}
	return t
}

// meaning returns the element of a field as record.set knows it, 0 if it is
// not read.
func meaning(f *netflow.Field) uint16 {
	switch id := f.Type &^ reverse; {
	case f.PenProvided && f.Pen == reversePEN:
		return id | reverse
	case f.PenProvided || f.Type&reverse != 0:
		return 0
	default:
		return id
	}
}

// waiting is a data set whose template has not come yet.
type waiting struct {
	id   uint16
	msg  message
	body []byte
}

// learn keeps a template; nil forgets it.
func (d *domain) learn(id uint16, t *template) {
	if t == nil {
		delete(d.templates, id)
		return
	}
	if d.templates[id] == nil && len(d.templates) >= maxTemplates {
		d.losses.templates++
		return
	}
	d.templates[id] = t
}

// wait keeps a data set until its template comes; the oldest gives way.
func (d *domain) wait(id uint16, m *message, body []byte) {
	if len(body) > maxWaiting {
		d.losses.sets++
		return
	}
	for len(d.waiting) > 0 && (d.waitBytes+len(body) > maxWaiting || len(d.waiting) >= maxWaitSets) {
		d.losses.sets++
		d.waitBytes -= len(d.waiting[0].body)
		d.waiting = d.waiting[1:]
	}
	d.waiting = append(d.waiting, waiting{id, *m, append([]byte(nil), body...)})
	d.waitBytes += len(body)
}

// due returns the sets that waited for a template, in order.
func (d *domain) due(id uint16) (sets []waiting) {
	left := d.waiting[:0:0]
	for _, w := range d.waiting {
		if w.id == id {
			sets = append(sets, w)
			d.waitBytes -= len(w.body)
		} else {
			left = append(left, w)
		}
	}
	d.waiting = left
	return sets
}
