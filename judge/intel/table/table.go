// Package table reads CSV, TSV and their kin as vendors write them: it finds
// the separator and what the columns are by the names in the header, which
// may stand in a comment.
package table

import (
	"io"
	"strconv"
	"strings"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/intel"
)

// Format is what this folder reads.
var Format = intel.Format{Name: "csv", Sniff: Sniff, Parse: Parse}

// Sniff tells a table by a header that names a column of values, or by quoted
// cells or a type beside values.
func Sniff(head []byte, _ string) bool {
	rows, values, told, named := 0, 0, false, false
	for _, line := range intel.HeadLines(head) {
		if rows == 0 && (line[0] == '{' || line[0] == '[' || line[0] == '<') {
			return false // JSON, XML
		}
		if line[0] == '#' {
			_, ok := commented(line)
			named = named || ok && rows == 0
			continue
		}
		if named {
			return true
		}
		if strings.HasPrefix(line, "//") {
			return false
		}
		if h, ok := headerOf(line); ok && rows == 0 && len(h.roles) > 1 {
			return true
		}
		rows++
		cells, _ := split(line, ',')
		if len(cells) < 2 {
			continue
		}
		if _, _, ok := intel.Classify(cells[0]); ok {
			values++
			typ, other := typeOf(cells[1])
			told = told || strings.Contains(line, `"`) || typ != "" || other != ""
		}
	}
	return told && values > 1
}

// Parse gives the values of a table in the order of its rows. A column of
// values is read by the type beside it, or by its shape; else every column
// that is named for one type is read, but not the host and address beside a
// URL. Without a header the first cell that has the shape of an indicator
// is taken, as the type that may stand behind it.
func Parse(source string, r io.Reader, give func(testudo.Indicator), skip intel.Skip) error {
	t := reader{source: source, give: give, skip: skip}
	err := intel.Lines(r, t.line, skip)
	for len(t.open) > 0 {
		t.giveUp()
	}
	return err
}

// reader is where the reading of a table stands.
type reader struct {
	source string
	give   func(testudo.Indicator)
	skip   intel.Skip
	header header
	rows   int
	certs  bool // the comments above speak of certificates
	open   []string
	opened int // the line on which a quote was opened that is still open
}

// A cell may go over several lines, within bounds: else one quote too many
// would take the rest of the file for a cell.
const maxCellLines = 16

func (t *reader) line(n int, line string) {
	if len(t.open) > 0 {
		t.more(line)
		return
	}
	text := strings.TrimSpace(line)
	if text == "" {
		return
	}
	if text[0] == '#' {
		t.comment(text)
		return
	}
	if t.rows == 0 {
		if h, ok := headerOf(text); ok {
			t.header = h
			t.rows++
			return
		}
		if t.header.roles == nil {
			t.header.separator = separatorOf(text)
		}
	}
	cells, whole := split(line, t.header.separator)
	if !whole {
		t.open, t.opened = append(t.open, line), n
		return
	}
	t.row(n, cells)
}

// comment looks for a header in a comment above the first row.
func (t *reader) comment(text string) {
	if t.rows > 0 {
		return
	}
	if h, ok := commented(text); ok {
		t.header = h
	}
	t.certs = t.certs || strings.Contains(strings.ToLower(text), "ssl certificate")
}

// more adds a line to a row with an open quote.
func (t *reader) more(line string) {
	t.open = append(t.open, line)
	if cells, whole := split(strings.Join(t.open, "\n"), t.header.separator); whole {
		t.open = nil
		t.row(t.opened, cells)
		return
	}
	if len(t.open) >= maxCellLines {
		t.giveUp()
	}
}

// giveUp takes a quote for one that is never closed: its line is skipped and
// those behind it are read again as lines of their own.
func (t *reader) giveUp() {
	lines, at := t.open, t.opened
	t.open = nil
	t.skip(at, "a row whose quote is not closed")
	for i, line := range lines[1:] {
		t.line(at+1+i, line)
	}
}

func (t *reader) row(n int, cells []string) {
	t.rows++
	given := false
	if off := t.header.cell(cells, detectRole); off == "0" || strings.EqualFold(off, "false") {
		t.skip(n, "not meant for detection by its source (to_ids is off)")
		return
	}
	for _, v := range t.values(cells) {
		given = true
		in, ok := v.indicator(t.source)
		switch {
		case v.other != "":
			t.skip(n, "the type "+v.other+", which is not looked up")
		case !ok && v.typ != "":
			t.skip(n, "not what its column says: "+intel.Unusable(v.text))
		case !ok:
			t.skip(n, intel.Unusable(v.text))
		default:
			t.describe(&in, cells)
			t.give(in)
		}
	}
	if !given {
		t.skip(n, "a row without a value")
	}
}

// value is a cell that names something, with what is known of its type.
type value struct {
	text  string
	typ   testudo.IndicatorType // "" to go by its shape
	other string                // a type that is not looked up
}

func (v value) indicator(source string) (testudo.Indicator, bool) {
	if v.typ == "" {
		return intel.Shaped(source, v.text)
	}
	return intel.Typed(source, v.typ, v.text)
}

// values returns what a row names. A column named for values that holds
// prose beside one of a type is a note.
func (t *reader) values(cells []string) []value {
	if t.header.roles == nil {
		return shaped(cells)
	}
	typed := t.typed(cells)
	text, kind := t.header.cell(cells, valueRole), t.header.cell(cells, typeRole)
	if text == "" {
		return typed
	}
	if _, _, ok := intel.Classify(text); !ok && kind == "" && len(typed) > 0 {
		return typed
	}
	return named(text, kind)
}

// typed returns the values of the columns that are named for a type.
func (t *reader) typed(cells []string) (all []value) {
	hasURL := t.header.cell(cells, string(testudo.URLIndicator)) != ""
	for i, role := range t.header.roles {
		if i >= len(cells) || empty(cells[i]) {
			continue
		}
		typ, ok := typeNamed(role)
		ofURL := typ == testudo.AddressIndicator || typ == testudo.DomainIndicator
		if !ok || hasURL && ofURL {
			continue
		}
		if typ == testudo.HashIndicator && t.certs {
			typ = testudo.CertIndicator
		}
		all = append(all, value{text: cells[i], typ: typ})
	}
	return all
}

// shaped returns the first cell that has an indicator's shape, or the first.
// A type may stand behind it.
func shaped(cells []string) []value {
	for i, c := range cells {
		if _, _, ok := intel.Classify(c); ok && i+1 < len(cells) {
			return named(c, cells[i+1])
		} else if ok {
			return []value{{text: c}}
		}
	}
	if text := strings.TrimSpace(cells[0]); text != "" {
		return []value{{text: text}}
	}
	return nil
}

// maxValues bounds how many values a cell may hold.
const maxValues = 64

// named returns the values of a cell by the type that stands beside it. A
// cell of hashes may hold several, of one file; one of two types, joined by a
// bar as in MISP, one of each.
func named(text, kind string) (all []value) {
	if kinds := strings.Split(kind, "|"); len(kinds) == 2 && strings.Count(text, "|") == 1 {
		parts := strings.Split(text, "|")
		first := named(parts[0], kinds[0])
		if folded(kinds[1]) == "port" {
			return first
		}
		return append(first, named(parts[1], kinds[1])...)
	}
	typ, other := typeOf(kind)
	if typ != testudo.HashIndicator {
		return []value{{text, typ, other}}
	}
	for _, one := range strings.FieldsFunc(text, func(c rune) bool { return strings.ContainsRune(", ;|\n\t", c) }) {
		if len(all) == maxValues {
			break
		}
		all = append(all, value{one, typ, other})
	}
	return all
}

// describe fills in what the other cells of a row say.
func (t *reader) describe(in *testudo.Indicator, cells []string) {
	if t.header.roles == nil {
		var rest []string
		for _, c := range cells {
			if _, v, _ := intel.Classify(c); v != in.Value {
				rest = append(rest, c)
			}
		}
		in.Note = intel.Note(rest...)
		return
	}
	var notes []string
	for i, role := range t.header.roles {
		if i >= len(cells) || empty(cells[i]) {
			continue
		}
		c := strings.TrimSpace(cells[i])
		switch role {
		case firstRole:
			in.First = intel.ParseTime(c)
		case lastRole:
			in.Last = intel.ParseTime(c)
		case expiresRole:
			in.Expires = intel.ParseTime(c)
		case confidenceRole:
			in.Confidence = confidence(c)
		case tlpRole:
			in.TLP = testudo.ParseTLP(c)
		case valueRole:
			if _, _, ok := intel.Classify(c); !ok && t.header.cell(cells, typeRole) == "" {
				notes = append(notes, c) // prose beside a column of one type
			}
		case licenceRole:
			in.Licence = intel.Note(c)
		case threatRole:
			in.Threats = intel.AddThreats(in.Threats, strings.FieldsFunc(c, func(r rune) bool { return r == '|' || r == ';' || r == ',' })...)
		case portRole:
			notes = append(notes, "port "+c)
		case noteRole:
			notes = append(notes, c)
		}
	}
	in.Note = intel.Note(notes...)
}

func empty(cell string) bool {
	switch strings.ToLower(strings.TrimSpace(cell)) {
	case "", "-", "none", "null", "n/a", "unknown", "nan":
		return true
	}
	return false
}

// confidence reads 0 to 100, a share of one, or a word.
func confidence(c string) int {
	switch strings.ToLower(c) {
	case "high":
		return 85
	case "medium", "moderate":
		return 50
	case "low":
		return 15
	}
	f, err := strconv.ParseFloat(strings.TrimSuffix(c, "%"), 64)
	switch {
	case err != nil || f < 0 || f > 100:
		return -1
	case f < 1 && strings.Contains(c, "."):
		return int(f*100 + 0.5)
	}
	return int(f)
}
