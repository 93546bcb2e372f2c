// Package stix reads STIX 2.0 and 2.1: bundles, and what a TAXII server
// answers. Indicators come of patterns, and of observed values that a
// relationship says belong to a threat; groups, campaigns, software and
// techniques of the objects that describe them, which is also the form of
// ATT&CK.
package stix

import (
	"bytes"
	"errors"
	"io"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/intel"
)

// Format is what this folder reads.
var Format = intel.Format{Name: "stix", Sniff: Sniff, Parse: Parse, Threats: Threats}

// Sniff tells JSON that is a bundle or an envelope of TAXII.
func Sniff(head []byte, _ string) bool {
	head = bytes.TrimSpace(bytes.TrimPrefix(head, []byte("\uFEFF")))
	if len(head) == 0 || head[0] != '{' {
		return false
	}
	if bytes.Contains(head, []byte(`"bundle--`)) {
		return true
	}
	return bytes.Contains(head, []byte(`"objects"`)) && bytes.Contains(head, []byte(`--`)) && bytes.Contains(head, []byte(`"type"`))
}

// maxHeld bounds how many values and names of one file are held until its end,
// where the last relationship may stand.
const maxHeld = 1 << 19

// ErrTooMany says that a file holds more than is read at once.
var ErrTooMany = errors.New("more than 524,288 indicators, threats or relationships in one bundle; split it")

// Parse gives what the patterns of a file name, in their order, when it has
// been read to its end: only then is known which marking and which threats
// belong to them. Objects that hold no value are told to skip, but for those
// that say something of the others.
func Parse(source string, r io.Reader, give func(testudo.Indicator), skip intel.Skip) error {
	b := &bundle{source: source, skip: skip, graph: newGraph()}
	err := objects(intel.NewStream(r), b.object)
	for i := range b.held {
		h := &b.held[i]
		b.graph.finish(h)
		if h.observed && len(h.in.Threats) == 0 && !h.bad {
			skip(h.line, "observed, not said to be bad")
			continue
		}
		give(h.in)
	}
	return err
}

// Threats gives the groups, campaigns, software and techniques that a file
// describes, in their order.
func Threats(r io.Reader, give func(testudo.Threat), skip intel.Skip) error {
	return objects(intel.NewStream(r), func(line int, o *object) error {
		kind := threatKind(o.Type)
		switch {
		case kind == "":
		case o.Revoked || o.Deprecated:
			skip(line, "revoked by its source")
		case o.Name == "":
			skip(line, "a threat without a name")
		default:
			give(o.threat(kind))
		}
		return nil
	})
}

// objects calls each for every object of a bundle or an envelope.
func objects(s *intel.Stream, each func(line int, o *object) error) error {
	read := func() error {
		var o object
		if err := s.Decode(&o); err != nil {
			return err
		}
		return each(s.Line(), &o)
	}
	return s.Object(func(key string) error {
		if key == "objects" {
			return s.Array(read)
		}
		return s.Pass()
	})
}

// bundle is a file that is being read.
type bundle struct {
	source string
	skip   intel.Skip
	held   []held
	graph  graph
}

// held is an indicator until the bundle's end.
type held struct {
	in       testudo.Indicator
	id       string
	markings []string
	line     int
	observed bool // not of a pattern
	bad      bool // said to be bad by its own labels
}

func (b *bundle) object(line int, o *object) error {
	if len(b.held) > maxHeld || b.graph.size > maxHeld {
		return ErrTooMany
	}
	switch o.Type {
	case "indicator":
		b.indicator(line, o)
	case "relationship":
		b.graph.relate(o)
	case "marking-definition":
		b.graph.mark(o)
	case "identity", "extension-definition", "sighting", "language-content":
	case "observed-data":
		for range o.Observed {
			b.skip(line, "observed, not said to be bad")
		}
	case "":
		b.skip(line, "an object without a type")
	default:
		if threatKind(o.Type) != "" {
			b.graph.name(o)
			return nil
		}
		b.observable(line, o)
	}
	return nil
}

// indicator holds what an indicator's pattern names.
func (b *bundle) indicator(line int, o *object) {
	if why := o.silent(); why != "" {
		b.skip(line, why)
		return
	}
	all, joined, err := comparisons(o.Pattern)
	for _, c := range all {
		in, why := c.indicator(b.source)
		if why != "" {
			b.skip(line, why)
			continue
		}
		o.describe(&in)
		if joined {
			in.Note = intel.Note("with other values of its pattern", in.Note)
		}
		b.held = append(b.held, held{in: in, id: o.ID, markings: o.Markings, line: line})
	}
	if err != nil {
		b.skip(line, err.Error())
	}
}

// observable holds the values of a cyber-observable object of STIX 2.1.
func (b *bundle) observable(line int, o *object) {
	values := []testudo.Indicator{}
	add := func(path, value string) {
		in, why := comparison{path: path, op: "=", value: value}.indicator(b.source)
		if why != "" {
			b.skip(line, why)
			return
		}
		values = append(values, in)
	}
	switch o.Type {
	case "ipv4-addr", "ipv6-addr", "domain-name", "url", "email-addr":
		add(o.Type+":value", o.Value)
	case "file", "artifact", "x509-certificate":
		if len(o.Hashes) == 0 {
			b.skip(line, "a "+o.Type+" without a hash")
		}
		for _, name := range sorted(o.Hashes) {
			add(o.Type+":hashes."+name, o.Hashes[name])
		}
	default:
		b.skip(line, "an object "+intel.Word(o.Type)+", which holds no indicator")
	}
	if why := o.silent(); why != "" {
		for range values {
			b.skip(line, why)
		}
		return
	}
	for _, in := range values {
		o.describe(&in)
		b.held = append(b.held, held{in: in, id: o.ID, markings: o.Markings, line: line, observed: true, bad: malicious(o)})
	}
}

func malicious(o *object) bool {
	for _, l := range o.Labels {
		if l == "malicious-activity" {
			return true
		}
	}
	return false
}
