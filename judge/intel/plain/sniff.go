package plain

import (
	"strings"

	"github.com/testudo-shield/testudo/judge/intel"
)

// Format is what this folder reads.
var Format = intel.Format{Name: "plain", Sniff: Sniff, Parse: Parse}

// Sniff tells a list by its lines: comments, and at least three values in
// four others. It is asked last: other formats hold such lines, too.
func Sniff(head []byte, _ string) bool {
	values, others := 0, 0
	for _, line := range intel.HeadLines(head) {
		if line[0] == '#' || line[0] == ';' {
			continue
		}
		if strings.HasPrefix(line, "//") {
			return false // the public suffix list, or code
		}
		value, _ := cut(line)
		if _, _, ok := intel.Classify(value); ok {
			values++
		} else if others++; values == 0 && strings.ContainsAny(line, ",\t") {
			return false // a table whose columns nobody knows
		}
	}
	return values > 0 && values >= 3*others
}
