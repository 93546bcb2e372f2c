// Package inquiry puts questions about the past and words their answers: the
// language of hunts (Parse), which records answer a question (Matcher), how
// much of a period was recorded (Cover, Coverage in words), and the cards of
// hunt, lookup and explain as text and as JSON Lines.
//
// It promises that no answer comes without its coverage, that every refusal
// of a question says where, what and what was perhaps meant, and that nothing
// foreign reaches a terminal unescaped. It asks nobody and stores nothing: the
// caller brings what is known. Start with Parse and Hunt.
package inquiry

import (
	"fmt"
	"strings"
)

// Error is what is wrong with a question, and where.
type Error struct {
	At      int    // byte of the question, from 0
	Word    string // as written
	Problem string // in plain words
	Nearest string // the known word nearest to the wrong one, empty for none
}

// Error returns the sentence for a person: the place counts from 1.
func (e *Error) Error() string {
	s := fmt.Sprintf("hunt: at %d, %q: %s", e.At+1, clip(e.Word), e.Problem)
	if e.Nearest != "" {
		s += fmt.Sprintf("; did you mean %q?", e.Nearest)
	}
	return s
}

// clip keeps a word short enough for a message.
func clip(s string) string {
	const most = 60
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// nearest returns which of the known words is nearest to a wrong one, empty
// where none is near.
func nearest(word string, known []string) string {
	best, at := "", min(len(word)/2, 3)+1
	for _, k := range known {
		if d := distance(strings.ToLower(word), strings.ToLower(k)); d < at {
			best, at = k, d
		}
	}
	return best
}

// distance is how many letters must be changed, added, left out or swapped
// with their neighbour to get from a to b.
func distance(a, b string) int {
	const most = 40
	a, b = a[:min(len(a), most)], b[:min(len(b), most)]
	rows := [3][]int{make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)}
	for j := range rows[1] {
		rows[1][j] = j
	}
	for i := 1; i <= len(a); i++ {
		old, last, row := rows[0], rows[1], rows[2]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], old[j-2]+1)
			}
		}
		rows = [3][]int{last, row, old}
	}
	return rows[1][len(b)]
}
