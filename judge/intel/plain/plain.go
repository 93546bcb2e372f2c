// Package plain reads lists with one indicator a line and, behind it, what is
// known of it.
package plain

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/intel"
)

// MaxLine is the longest line that is read, in bytes. A longer one is no
// list's, and ends the parse with an error.
const MaxLine = 64 << 10

// Parse gives the indicators of a list in the order of its lines. A value
// stands first in its line and is told by its shape, see intel.Classify; what
// stands behind it, after a blank, tab, comma, semicolon or #, is its note.
// Empty lines and those that begin with # or ; are passed over; each other
// line that holds no indicator is handed to skip with its number, from 1, and
// the reason. The list says nothing of when or how surely.
func Parse(source string, r io.Reader, give func(testudo.Indicator), skip func(line int, why string)) error {
	sc := bufio.NewScanner(r)
	sc.Buffer(make([]byte, MaxLine), MaxLine)
	n := 0
	for sc.Scan() {
		n++
		line := strings.TrimSpace(strings.TrimPrefix(sc.Text(), "\ufeff"))
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		value, note := cut(line)
		t, form, ok := intel.Classify(value)
		if !ok {
			skip(n, "prose or a bare word")
			continue
		}
		give(testudo.Indicator{Type: t, Value: form, Source: source, Confidence: -1, Note: note})
	}
	if err := sc.Err(); err != nil {
		return fmt.Errorf("indicators %s, line %d: %w", source, n+1, err)
	}
	return nil
}

// cut splits a line into its value and what is said of it. A # within a URL
// is the URL's.
func cut(line string) (value, note string) {
	marks := " \t,;#"
	if strings.Contains(line, "://") {
		marks = " \t,;"
	}
	if i := strings.IndexAny(line, marks); i > 0 {
		return line[:i], strings.Trim(line[i:], " \t,;#")
	}
	return line, ""
}
