package zeek

import (
	"bytes"
	"strings"

	"github.com/testudo-shield/testudo/sense/source/logs"
)

// dialect is what a TSV log's header says of its lines.
type dialect struct {
	separator, set, empty, unset []byte
	path                         string
	names                        []string // of the columns
	kind                         *kind    // nil for a log that becomes no records
	// fielded is set once #fields was read.
	fielded bool
	stem    *kind // what the file's name says, for a header without #path
}

// maxColumns bounds the columns of a header.
const maxColumns = 512

// standard returns the dialect Zeek writes unless told otherwise.
func standard(stem *kind) dialect {
	return dialect{stem: stem, separator: []byte{'\t'}, set: []byte{','}, empty: []byte("(empty)"), unset: []byte("-")}
}

// directive reads one line that begins with #.
func (d *dialect) directive(line []byte, kindNamed func(string) *kind) {
	if rest, ok := bytes.CutPrefix(line, []byte("#separator")); ok && len(rest) > 0 && (rest[0] == ' ' || rest[0] == '\t') {
		*d = standard(d.stem)
		rest = bytes.TrimSpace(rest)
		if string(rest) == `\t` { // as people write what Zeek writes \x09, or as a real tab
			return
		}
		if s := logs.Unescape(nil, rest); len(s) > 0 && len(s) <= 8 {
			d.separator = s
		}
		return
	}
	name, value, _ := bytes.Cut(line, d.separator)
	switch string(name) {
	case "#set_separator":
		if s := logs.Unescape(nil, value); len(s) > 0 && len(s) <= 8 {
			d.set = s
		}
	case "#empty_field":
		d.empty = logs.Unescape(nil, value)
	case "#unset_field":
		d.unset = logs.Unescape(nil, value)
	case "#path":
		d.path = string(value)
		d.kind = kindNamed(d.path)
	case "#fields":
		d.fields(value)
	}
}

// fields reads the names of the columns.
func (d *dialect) fields(names []byte) {
	d.fielded = true
	if d.path == "" {
		d.kind = d.stem
	}
	d.names = strings.SplitN(string(names), string(d.separator), maxColumns+1) // the old ones may be in use
	if len(d.names) > maxColumns {
		d.kind = nil
	}
}

// table reads lines of TSV under one header.
type table struct {
	dialect
	form    *form
	columns []column // of form
	failed  int      // the one whose value could not be read last
	ends    []int    // of a line's values but the last
	scratch []byte
	items   [][]byte
}

// begin makes the table ready to fill in forms of r.
func (d *table) begin(r *row) {
	d.form = r.formOf(d.kind)
	for _, name := range d.names {
		d.columns = append(d.columns, d.form.columns[name])
	}
}

// line fills a row, which has begun, from one line of values.
func (d *table) line(line []byte) error {
	escaped := bytes.IndexByte(line, '\\') >= 0
	d.cut(line)
	start := 0
	for i := range d.columns {
		if (i < len(d.ends)) != (i+1 < len(d.columns)) {
			return errColumns
		}
		value := line[start:]
		if i < len(d.ends) {
			value, start = line[start:d.ends[i]], d.ends[i]+len(d.separator)
		}
		c := &d.columns[i]
		if c.one == nil && c.list == nil || bytes.Equal(value, d.unset) {
			continue
		}
		var err error
		if c.list != nil {
			if items := d.split(value); len(items) > 0 {
				err = c.list(items)
			}
		} else if !bytes.Equal(value, d.empty) {
			if escaped && bytes.IndexByte(value, '\\') >= 0 {
				d.scratch = logs.Unescape(d.scratch[:0], value)
				value = d.scratch
			}
			err = c.one(value)
		}
		if err != nil {
			d.failed = i
			return err
		}
	}
	return nil
}

// cut notes where the values of a line end, but for the last.
func (d *table) cut(line []byte) {
	if d.ends = d.ends[:0]; len(d.separator) == 1 {
		d.ends = logs.Places(d.ends, line, d.separator[0], len(d.columns))
		return
	}
	for start := 0; len(d.ends) <= len(d.columns); {
		n := bytes.Index(line[start:], d.separator)
		if n < 0 {
			return
		}
		d.ends = append(d.ends, start+n)
		start += n + len(d.separator)
	}
}

// split takes a set or vector apart. The elements are valid until the next
// call.
func (d *table) split(value []byte) [][]byte {
	d.items, d.scratch = d.items[:0], d.scratch[:0]
	if bytes.Equal(value, d.empty) {
		return nil
	}
	for more := true; more && len(d.items) < logs.MaxItems; {
		var item []byte
		item, value, more = bytes.Cut(value, d.set)
		switch {
		case bytes.Equal(item, d.unset):
			continue
		case bytes.Equal(item, d.empty):
			item = nil
		case bytes.IndexByte(item, '\\') >= 0:
			start := len(d.scratch)
			d.scratch = logs.Unescape(d.scratch, item)
			item = d.scratch[start:]
		}
		d.items = append(d.items, item)
	}
	return d.items
}
