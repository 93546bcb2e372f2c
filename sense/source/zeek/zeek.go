// Package zeek reads the logs of Zeek back as records: TSV with its header
// or JSON Lines. Columns are matched with the `log` tags of package testudo;
// others are left aside, and what a record holds beyond Zeek's columns is
// derived where it follows from them (derive.go) and zero where it does not.
// Files, their order and how they are followed are package logs' business.
package zeek

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/source/logs"
)

// Format tells package logs how Zeek's logs are read.
func Format() logs.Format {
	order := kinds()
	byName := make(map[string]*kind, len(order))
	for _, k := range order {
		byName[k.path] = k
	}
	return logs.Format{
		Name: "Zeek log", Sniff: sniff,
		Lacks: []testudo.Evidence{
			testudo.Bursts, testudo.Turns, testudo.Bodies, testudo.Headers, testudo.FirstBytes,
			testudo.Keys, testudo.Keystrokes, testudo.EchoPayloads, testudo.Loads,
		},
		File: func(name string) logs.File {
			stem := byName[stemOf(name)]
			return &header{byName: byName, order: order, stem: stem, tsv: standard(stem)}
		},
		Joiner: func() logs.Joiner { return &certs{} },
	}
}

// Open opens Zeek logs, files or folders of them.
func Open(paths ...string) (*logs.Logs, error) {
	l, err := logs.Open(Format(), paths...)
	if err != nil {
		return nil, fmt.Errorf("zeek: %w", err)
	}
	return l, nil
}

// Sniff says whether a file that begins with head looks like a Zeek log: a
// TSV header, or a JSON object with Zeek's ts, also compressed.
func Sniff(head []byte) bool { return sniff(logs.Head(head)) }

func sniff(head []byte) bool {
	head = logs.SkipSpace(head)
	for _, start := range []string{"#separator ", "#separator\t", "#fields\t"} {
		if bytes.HasPrefix(head, []byte(start)) {
			return true
		}
	}
	if len(head) == 0 || head[0] != '{' {
		return false
	}
	line, _, _ := bytes.Cut(head, []byte{'\n'})
	var o logs.Object
	_ = o.Parse(line) // a line cut off still shows the fields before
	return o.Find("ts") >= 0 && o.Find("event_type") < 0
}

// stemOf returns the name of the log a file's name says it holds:
// "conn.07_00_00-08_00_00.log.gz" is a conn log.
func stemOf(name string) string {
	stem, _, _ := strings.Cut(filepath.Base(name), ".")
	return stem
}

// header is what a file says of its lines.
type header struct {
	byName map[string]*kind
	order  []*kind // in which signs are tried
	stem   *kind   // what the file's name says
	tsv    dialect
}

// Header reads one line that begins with #.
func (h *header) Header(line []byte) bool {
	h.tsv.directive(line, func(path string) *kind { return h.byName[path] })
	return h.tsv.fielded
}

// Parser returns a reader of lines under the header as it is now.
func (h *header) Parser() logs.Parser {
	p := &parser{header: *h}
	p.table.dialect = h.tsv
	return p
}

// parser reads lines.
type parser struct {
	header
	table table
	json  logs.Object
	row   row
}

// What makes a line malformed beside a value that is not of its field's type.
var (
	errForm    = errors.New("neither values under a #fields line nor a JSON object")
	errColumns = errors.New("not as many values as #fields names")
	errTime    = errors.New("no ts")
	errEnds    = errors.New("an address of the two ends is missing")
)

// Parse turns one line into a record.
func (p *parser) Parse(b []byte, w *logs.Words) (logs.Entry, error) {
	p.row.words = w
	if p.tsv.fielded {
		return p.values(b)
	}
	b = logs.SkipSpace(b)
	if len(b) == 0 {
		return logs.Entry{}, nil
	}
	if b[0] != '{' || !p.json.Parse(b) {
		return logs.Entry{}, errForm
	}
	k := p.guess()
	if k == nil {
		return logs.Entry{Aside: "other"}, nil
	}
	p.row.begin(p.row.formOf(k))
	if key, err := p.row.object(&p.json); err != nil {
		return logs.Entry{}, badValue(err, key)
	}
	return p.row.finish()
}

// values reads a line of TSV.
func (p *parser) values(b []byte) (logs.Entry, error) {
	if len(logs.SkipSpace(b)) == 0 {
		return logs.Entry{}, nil
	}
	if p.tsv.kind == nil {
		return logs.Entry{Aside: "other"}, nil
	}
	if p.table.form == nil {
		p.table.begin(&p.row)
	}
	p.row.begin(p.table.form)
	switch err := p.table.line(b); {
	case err == errColumns:
		return logs.Entry{}, fmt.Errorf("%w, %d", err, len(p.tsv.names))
	case err != nil:
		return logs.Entry{}, badValue(err, p.tsv.names[p.table.failed])
	}
	return p.row.finish()
}

// badValue says of which field a value is not of its type; the value itself
// is never shown.
func badValue(err error, field string) error {
	if err == logs.ErrValue {
		return fmt.Errorf("the value of %.80q is not of its type", field)
	}
	return err
}

// guess tells an object's kind: by its own word, by its fields, or by the
// file's name.
func (p *parser) guess() *kind {
	if i := p.json.Find("_path"); i >= 0 {
		return p.byName[string(p.json.Pairs[i].Raw)]
	}
	if p.stem != nil && (len(p.stem.signs) == 0 || p.signed(p.stem)) {
		return p.stem
	}
	for _, k := range p.order {
		if p.signed(k) {
			return k
		}
	}
	return p.stem
}

// signed says whether the object shows one of the kind's signs.
func (p *parser) signed(k *kind) bool {
	for _, s := range k.signs {
		if p.json.Has(s) {
			return true
		}
	}
	return false
}
