// Package misp reads what MISP shares: events, and the two files of a feed
// that say which events there are.
package misp

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/intel"
)

// Format reads events.
var Format = intel.Format{Name: "misp", Sniff: Sniff, Parse: Parse}

// Sniff tells an event, or a list of them.
func Sniff(head []byte, _ string) bool {
	head = bytes.TrimSpace(bytes.TrimPrefix(head, []byte("\uFEFF")))
	if len(head) == 0 || head[0] != '{' && head[0] != '[' {
		return false
	}
	return bytes.Contains(head, []byte(`"Event"`)) || bytes.Contains(head, []byte(`"Attribute"`)) && bytes.Contains(head, []byte(`"to_ids"`))
}

// maxHeld bounds the attributes of one event, which are held until its tags
// have been read.
const maxHeld = 1 << 19

// ErrTooMany says that an event holds more than is read at once.
var ErrTooMany = errors.New("more than 524,288 attributes in one event")

// Parse gives the attributes of events that are meant for detection. An
// event's tags are all its attributes': the label of sharing (the strictest
// counts), and the galaxies' groups, software and techniques.
func Parse(source string, r io.Reader, give func(testudo.Indicator), skip intel.Skip) error {
	s := intel.NewStream(r)
	p := &parser{source: source, s: s, give: give, skip: skip}
	return p.events()
}

type parser struct {
	source string
	s      *intel.Stream
	give   func(testudo.Indicator)
	skip   intel.Skip
	event  event
	depth  int
}

// event is what is known of the event that is being read.
type event struct {
	info string
	first,
	last testudo.Time
	marks tags
	held  []testudo.Indicator
}

// attribute is what is read of a MISP attribute.
type attribute struct {
	Type      string   `json:"type"`
	Value     string   `json:"value"`
	Category  string   `json:"category"`
	Comment   string   `json:"comment"`
	ToIDs     flag     `json:"to_ids"`
	Deleted   flag     `json:"deleted"`
	Timestamp text     `json:"timestamp"`
	First     text     `json:"first_seen"`
	Last      text     `json:"last_seen"`
	Tags      []tag    `json:"Tag"`
	Galaxies  []galaxy `json:"Galaxy"`
}

// flag reads true, 1 and "1".
type flag bool

// UnmarshalJSON reads a flag in any of its forms.
func (f *flag) UnmarshalJSON(b []byte) error {
	s := strings.Trim(string(b), `"`)
	*f = s == "true" || s == "1"
	return nil
}

// text reads a string or a number.
type text string

// UnmarshalJSON reads a string or a number.
func (t *text) UnmarshalJSON(b []byte) error {
	if s := string(b); s != "null" {
		*t = text(strings.Trim(s, `"`))
	}
	return nil
}

// maxDepth bounds how deep wrappers of events may be nested.
const maxDepth = 8

// events walks down to the events, through lists and "response".
func (p *parser) events() error {
	p.depth++
	defer func() { p.depth-- }()
	if p.depth > maxDepth {
		return intel.ErrTooDeep
	}
	return p.s.Each(p.events, func(key string) error {
		switch key {
		case "response":
			return p.events()
		case "Event":
			p.event = event{}
			err := p.s.Object(p.field)
			p.flush()
			return err
		case "Attribute": // an answer to a search for attributes
			p.event = event{}
			err := p.s.Array(p.attribute)
			p.flush()
			return err
		}
		return p.s.Pass()
	})
}

// field reads one field of an event.
func (p *parser) field(key string) error {
	e := &p.event
	var t text
	switch key {
	case "info":
		return p.s.Decode(&e.info)
	case "date":
		err := p.s.Decode(&t)
		e.first = intel.ParseTime(string(t))
		return err
	case "timestamp":
		err := p.s.Decode(&t)
		e.last = intel.ParseTime(string(t))
		return err
	case "Tag":
		return p.s.Array(func() error {
			var t tag
			err := p.s.Decode(&t)
			e.marks.add(t)
			return err
		})
	case "Galaxy":
		return p.s.Array(func() error {
			var g galaxy
			err := p.s.Decode(&g)
			e.marks.galaxy(g)
			return err
		})
	case "Attribute":
		return p.s.Array(p.attribute)
	case "Object":
		return p.s.Array(p.object)
	}
	return p.s.Pass()
}

// object reads the attributes of one MISP object.
func (p *parser) object() error {
	var o struct {
		Deleted   flag            `json:"deleted"`
		Comment   string          `json:"comment"`
		Attribute json.RawMessage `json:"Attribute"`
	}
	if err := p.s.Decode(&o); err != nil || len(o.Attribute) == 0 {
		return err
	}
	var all []attribute
	if err := json.Unmarshal(o.Attribute, &all); err != nil && !isType(err) {
		return err
	}
	line := p.s.Line()
	for _, a := range all {
		a.Deleted = a.Deleted || o.Deleted
		a.Comment = intel.Note(a.Comment, o.Comment)
		if err := p.take(line, &a); err != nil {
			return err
		}
	}
	return nil
}

func isType(err error) bool {
	var other *json.UnmarshalTypeError
	return errors.As(err, &other)
}

func (p *parser) attribute() error {
	var a attribute
	if err := p.s.Decode(&a); err != nil {
		return err
	}
	return p.take(p.s.Line(), &a)
}

// take holds the values of an attribute until the event's tags are known.
func (p *parser) take(line int, a *attribute) error {
	switch {
	case bool(a.Deleted):
		p.skip(line, "deleted at its source")
		return nil
	case !bool(a.ToIDs):
		p.skip(line, "not meant for detection by its source (to_ids is off)")
		return nil
	case len(p.event.held) >= maxHeld:
		return ErrTooMany
	}
	var marks tags
	for _, t := range a.Tags {
		marks.add(t)
	}
	for _, g := range a.Galaxies {
		marks.galaxy(g)
	}
	for _, v := range values(a.Type, a.Value) {
		if v.why != "" {
			p.skip(line, v.why)
			continue
		}
		in, ok := intel.Typed(p.source, v.typ, v.text)
		if !ok {
			p.skip(line, "not what its type "+intel.Word(a.Type)+" says: "+intel.Unusable(v.text))
			continue
		}
		in.First, in.Last = intel.ParseTime(string(a.First)), intel.ParseTime(string(a.Last))
		if t := intel.ParseTime(string(a.Timestamp)); in.Last == 0 {
			in.Last = t
		}
		in.TLP, in.Threats, in.Note = marks.tlp, marks.threats, intel.Note(a.Comment, a.Category)
		if marks.confidence != 0 {
			in.Confidence = marks.confidence - 1
		}
		p.event.held = append(p.event.held, in)
	}
	return nil
}

// flush gives what an event holds.
func (p *parser) flush() {
	e := &p.event
	for _, in := range e.held {
		if in.First == 0 {
			in.First = e.first
		}
		if in.Last == 0 {
			in.Last = e.last
		}
		in.Last = max(in.First, in.Last)
		in.TLP = max(in.TLP, e.marks.tlp)
		in.Threats = intel.AddThreats(in.Threats[:len(in.Threats):len(in.Threats)], e.marks.threats...)
		if in.Confidence < 0 {
			in.Confidence = e.marks.confidence - 1
		}
		in.Note = intel.Note(e.info, in.Note)
		p.give(in)
	}
	p.event = event{}
}
