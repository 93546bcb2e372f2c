package inquiry

import (
	"encoding/csv"
	"fmt"
	"io"
	"strings"
)

// csvFields are the columns that records share, by Zeek's names.
var csvFields = [...]string{"uid", "id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p", "proto"}

// CSV writes a header and a row a record shown; what records do not share
// stands in the last column. What a spreadsheet would take for a formula gets
// an apostrophe before it.
func (h *Hunt) CSV(w io.Writer) error {
	rows := [][]string{append(append([]string{"ts", "log"}, csvFields[:]...), "more")}
	for _, r := range h.Shown {
		row := make([]string, 2+len(csvFields)+1)
		row[0], row[1] = r.Time.String(), cell(r.Log)
		var more []string
	facts:
		for _, f := range r.Facts {
			for i, name := range csvFields {
				if f.Name == name {
					row[2+i] = cell(factWord(f.Value))
					continue facts
				}
			}
			more = append(more, f.Name+"="+factWord(f.Value))
		}
		row[len(row)-1] = cell(strings.Join(more, " "))
		rows = append(rows, row)
	}
	if err := csv.NewWriter(w).WriteAll(rows); err != nil {
		return fmt.Errorf("inquiry: write csv: %w", err)
	}
	return nil
}

// cell makes a text safe in a spreadsheet.
func cell(s string) string {
	s = clean(s)
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}
