package report

import (
	"bytes"
	"strings"

	"github.com/rivo/uniseg"
)

// style is what a stretch of text looks like where colour is allowed.
type style string

// The styles, as SGR parameters.
const (
	normal style = ""
	bold   style = "1"
	dim    style = "2"
)

// page lays text out. All text comes in by its methods, which clean it: no
// escape but the page's own styles reaches the buffer.
type page struct {
	buf   bytes.Buffer
	width int
	color bool
	plain bool
}

// Where the columns of a page begin. Under narrowBelow cells a label stands
// above its text instead of left of it.
const (
	labelIndent = 2
	labelColumn = 14
	narrowText  = 4
	narrowBelow = 60
)

// text returns s as it will stand on the page.
func (p *page) text(s string) string {
	s = Clean(s)
	if p.plain {
		s = ascii(s)
	}
	return s
}

// name is text for the name of a thing, which is cut where it is overlong.
func (p *page) name(s string) string { return p.cut(s, nameCells) }

// cut is text cut to max cells.
func (p *page) cut(s string, max int) string {
	if p.plain {
		return cut(p.text(s), max, "...")
	}
	return cut(p.text(s), max, "…")
}

// dot joins the parts that are not empty.
func (p *page) dot(parts ...string) string {
	kept := parts[:0:0]
	for _, s := range parts {
		if s != "" {
			kept = append(kept, s)
		}
	}
	return strings.Join(kept, p.text(" · "))
}

// paint wraps already clean text in a style.
func (p *page) paint(st style, s string) string {
	if !p.color || st == normal || s == "" {
		return s
	}
	return "\x1b[" + string(st) + "m" + s + "\x1b[0m"
}

// blank ends a paragraph.
func (p *page) blank() { p.buf.WriteByte('\n') }

// para writes s from the left edge, further lines indented by hang.
func (p *page) para(st style, hang int, s string) {
	for i, line := range wrap(p.text(s), p.width, p.width-hang) {
		if i > 0 {
			pad(&p.buf, hang)
		}
		p.buf.WriteString(p.paint(st, line))
		p.buf.WriteByte('\n')
	}
}

// labelled writes s in the text column with a label before its first line.
func (p *page) labelled(label string, st style, s string) {
	column := p.label(label)
	for i, line := range wrap(p.text(s), p.width-column, p.width-column) {
		if i > 0 || column == narrowText || label == "" {
			pad(&p.buf, column)
		}
		p.buf.WriteString(p.paint(st, line))
		p.buf.WriteByte('\n')
	}
}

// label writes a label and returns the column its text begins in. An empty
// label writes nothing.
func (p *page) label(label string) int {
	column := labelColumn
	if p.width < narrowBelow {
		column = narrowText
	}
	if label == "" {
		return column
	}
	label = p.cut(label, labelColumn-labelIndent-1)
	pad(&p.buf, labelIndent)
	p.buf.WriteString(p.paint(dim, label))
	if column == narrowText {
		p.buf.WriteByte('\n')
		return column
	}
	pad(&p.buf, column-labelIndent-uniseg.StringWidth(label))
	return column
}

// trimmed returns the page without blanks at the ends of its lines.
func (p *page) trimmed() []byte {
	out := make([]byte, 0, p.buf.Len())
	for line := range bytes.Lines(p.buf.Bytes()) {
		out = append(out, bytes.TrimRight(line, " \n")...)
		out = append(out, '\n')
	}
	return out
}

func pad(b *bytes.Buffer, n int) {
	for ; n > 0; n-- {
		b.WriteByte(' ')
	}
}

// words returns the words of s; a number and its unit are one word, so that
// no line ends between them.
func words(s string) []string {
	all := strings.Fields(s)
	out := make([]string, 0, len(all))
	for i, w := range all {
		if i > 0 && isUnit(w) && isNumber(all[i-1]) {
			out[len(out)-1] += " " + w
			continue
		}
		out = append(out, w)
	}
	return out
}

// isNumber says whether w is digits with what stands around them: "(1,204",
// "±4", "+0.41".
func isNumber(w string) bool {
	if c := w[len(w)-1]; c < '0' || c > '9' {
		return false
	}
	return strings.Trim(w, "0123456789.,+-±<>~≈×(") == ""
}

// isUnit says whether w, punctuation aside, is what numbers are counted in.
func isUnit(w string) bool {
	switch strings.TrimRight(w, ".,;:)") {
	case "%", "ms", "µs", "s", "min", "h", "d", "days", "hours", "minutes", "seconds", "bytes", "byte",
		"k", "M", "G", "T", "B", "kB", "MB", "GB", "TB", "PB", "EB":
		return true
	}
	return false
}

// wrap breaks s between words into lines of at most first cells, then rest. A
// word longer than a line is broken where the line ends. There is always one
// line.
func wrap(s string, first, rest int) []string {
	var lines []string
	var line strings.Builder
	used, limit := 0, first
	flush := func() {
		lines = append(lines, line.String())
		line.Reset()
		used, limit = 0, rest
	}
	for _, word := range words(s) {
		w := uniseg.StringWidth(word)
		if used > 0 && used+1+w > limit {
			flush()
		}
		for used == 0 && w > limit {
			head := prefixCells(word, max(limit, 2))
			if head == "" || head == word {
				break
			}
			line.WriteString(head)
			flush()
			word = word[len(head):]
			w = uniseg.StringWidth(word)
		}
		if used > 0 {
			line.WriteByte(' ')
			used++
		}
		line.WriteString(word)
		used += w
	}
	if used > 0 || len(lines) == 0 {
		flush()
	}
	return lines
}
