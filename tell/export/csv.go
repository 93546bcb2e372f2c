package export

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/testudo-shield/testudo"
)

// CSV writes a header and one row an indicator (RFC 4180). Lists within a
// field are separated by a semicolon and a blank. What a spreadsheet would
// take for a formula gets an apostrophe before it. Written counts rows.
func CSV(w io.Writer, in Input, o Options) (Tally, error) {
	p := pick(in, o)
	cw := csv.NewWriter(w)
	rows := [][]string{{
		"type", "value", "source", "licence", "tlp", "confidence", "first_seen", "last_seen", "expires", "marks", "note", "threats", "incident",
	}}
	for i := range p.items {
		it := &p.items[i]
		row := []string{
			string(it.Type), it.Value, it.Source, it.Licence, it.TLP.String(), confidence(it.Confidence),
			moment(it.First), moment(it.Last), moment(it.Expires), strings.Join(it.Marks.Words(), "; "), it.Note, strings.Join(it.Threats, "; "), it.incident,
		}
		for k := range row {
			row[k] = cell(row[k])
		}
		rows = append(rows, row)
	}
	if err := cw.WriteAll(rows); err != nil {
		return Tally{}, fmt.Errorf("export: write csv: %w", err)
	}
	return p.left.tally(len(p.items)), nil
}

// confidence returns 0 to 100, or nothing for unknown.
func confidence(n int) string {
	if n < 0 {
		return ""
	}
	return strconv.Itoa(min(n, 100))
}

// moment returns a time, or nothing for unknown.
func moment(t testudo.Time) string {
	if t == 0 {
		return ""
	}
	return t.String()
}

// cell keeps a spreadsheet from taking s for a formula.
func cell(s string) string {
	if s != "" && strings.ContainsAny(s[:1], "=+-@\t\r") || strings.HasPrefix(s, "＝") || strings.HasPrefix(s, "＋") ||
		strings.HasPrefix(s, "－") || strings.HasPrefix(s, "＠") {
		return "'" + s
	}
	return s
}
