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
	columns                      []target
	names                        string // of the columns, as #fields has them
	failed                       int    // the column whose value could not be read last
	kind                         *kind  // nil for a log that becomes no records
	// fielded is set once #fields was read.
	fielded bool
	stem    *kind // what the file's name says, for a header without #path

	scratch []byte
	items   [][]byte
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
	d.fielded, d.names = true, string(names)
	if d.path == "" {
		d.kind = d.stem
	}
	d.columns = nil // the old ones may be in use
	for more := true; more; {
		var name []byte
		if name, names, more = bytes.Cut(names, d.separator); len(d.columns) == maxColumns {
			d.kind, d.columns = nil, nil
			return
		}
		var t target
		if d.kind != nil {
			t = d.kind.targets[string(name)]
		}
		d.columns = append(d.columns, t)
	}
}

// line fills r, which has begun, from one line of values.
func (d *dialect) line(line []byte, r *row) error {
	escaped := bytes.IndexByte(line, '\\') >= 0
	for i := range d.columns {
		value, rest, more := d.next(line)
		if more != (i+1 < len(d.columns)) {
			return errColumns
		}
		line = rest
		t := d.columns[i]
		if t.to == nowhere || bytes.Equal(value, d.unset) {
			continue
		}
		var err error
		if t.to.list() {
			err = r.setList(t, d.split(value))
		} else if !bytes.Equal(value, d.empty) {
			if escaped && bytes.IndexByte(value, '\\') >= 0 {
				d.scratch = logs.Unescape(d.scratch[:0], value)
				value = d.scratch
			}
			err = r.set(t, value)
		}
		if err != nil {
			d.failed = i
			return err
		}
	}
	return nil
}

// next cuts the first value off a line. Values are short: a loop beats a
// search that has to be set up.
func (d *dialect) next(line []byte) (value, rest []byte, more bool) {
	if len(d.separator) != 1 {
		return bytes.Cut(line, d.separator)
	}
	separator := d.separator[0]
	for i, c := range line {
		if c == separator {
			return line[:i], line[i+1:], true
		}
	}
	return line, nil, false
}

// column names the column whose value could not be read last.
func (d *dialect) column() string {
	names := strings.Split(d.names, string(d.separator))
	return names[min(d.failed, len(names)-1)]
}

// split takes a set or vector apart. The elements are valid until the next
// call.
func (d *dialect) split(value []byte) [][]byte {
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
