package inquiry

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/rivo/uniseg"
	"github.com/testudo-shield/testudo"
)

// TextOptions says for whom a card is laid out.
type TextOptions struct {
	Width int            // cells in a line; 0 means 100, less than 40 means 40
	Zone  *time.Location // of the times that are told; nil means UTC
	Plain bool           // ASCII only
}

// page lays text out: a label, then its text beside it. All that comes in is
// cleaned.
type page struct {
	buf   bytes.Buffer
	width int
	zone  *time.Location
	plain bool
}

const labelColumn = 14

func newPage(o TextOptions) *page {
	if o.Width == 0 {
		o.Width = 100
	}
	return &page{width: max(o.Width, 40), zone: zoneOr(o.Zone), plain: o.Plain}
}

// head writes a line from the left edge.
func (p *page) head(s string) { p.wrap("", s, 2) }

// row writes a text with a label before it; without a label it stands below
// the one before.
func (p *page) row(label, s string) { p.wrap("  "+label, s, labelColumn) }

// rows writes several texts under one label.
func (p *page) rows(label string, texts []string) {
	for _, t := range texts {
		p.row(label, t)
		label = ""
	}
}

func (p *page) wrap(label, s string, hang int) {
	used := 0
	if label != "" {
		p.buf.WriteString(label)
		used = len(label)
		for ; used < hang; used++ {
			p.buf.WriteByte(' ')
		}
	}
	start := true
	for _, w := range strings.Fields(p.clean(s)) {
		n := uniseg.StringWidth(w)
		if !start && used+1+n > p.width {
			p.buf.WriteString("\n" + strings.Repeat(" ", hang))
			used, start = hang, true
		}
		if !start {
			p.buf.WriteByte(' ')
			used++
		}
		p.buf.WriteString(w)
		used, start = used+n, false
	}
	p.buf.WriteByte('\n')
}

func (p *page) clean(s string) string {
	s = clean(s)
	if !p.plain {
		return s
	}
	var b strings.Builder
	for _, r := range strings.NewReplacer("·", "-", "…", "...", "→", "->").Replace(s) {
		if r < utf8.RuneSelf {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

func (p *page) dot(parts ...string) string {
	kept := parts[:0:0]
	for _, s := range parts {
		if s != "" {
			kept = append(kept, s)
		}
	}
	return strings.Join(kept, " · ")
}

// when tells a moment in the reader's zone.
func (p *page) when(t testudo.Time) string {
	return t.Std().In(p.zone).Format("Mon 2 Jan 2006 15:04:05 MST")
}

// to writes the page out.
func (p *page) to(w io.Writer) error {
	for line := range bytes.Lines(p.buf.Bytes()) {
		if _, err := w.Write(append(bytes.TrimRight(line, " \n"), '\n')); err != nil {
			return fmt.Errorf("inquiry: write text: %w", err)
		}
	}
	return nil
}

// clean makes foreign text safe on a terminal: what cannot be seen, or acts on
// its neighbours, is shown as an escape. Long texts lose their middle.
func clean(s string) string {
	const most = 1000
	if len(s) > most {
		s = s[:most/2] + "…" + s[len(s)-most/2:]
	}
	var b strings.Builder
	marks := 0
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		mark := unicode.Is(unicode.M, r)
		if marks++; !mark {
			marks = 0
		}
		switch {
		case r == utf8.RuneError && n == 1, r < 0x20, r == 0x7f:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case !unicode.IsPrint(r), unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector), r == 0x2800, marks > 3:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteString(s[i : i+n])
		}
		i += n
	}
	return b.String()
}

// grouped prints n with commas.
func grouped(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func many(n int64, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return grouped(n) + " " + more
}

// age tells how long ago something was, in its largest unit.
func age(then, now testudo.Time) string {
	d := now.Sub(then)
	switch {
	case d < 0:
		return "in the future"
	case d < 2*time.Minute:
		return "just now"
	case d < 2*time.Hour:
		return fmt.Sprintf("%d minutes ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d hours ago", int(d.Hours()))
	}
	return grouped(int64(d.Hours()/24)) + " days ago"
}

// writeLine writes an object as a line of JSON. What could act on a terminal
// is escaped.
func writeLine(w io.Writer, v any) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("inquiry: write json: %w", err)
	}
	var out bytes.Buffer
	for _, r := range strings.TrimSuffix(b.String(), "\n") {
		switch {
		case r == ' ' || unicode.IsPrint(r) && !unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) && r != 0x2800:
			out.WriteRune(r)
		case r > 0xffff:
			r -= 0x10000
			fmt.Fprintf(&out, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
	}
	out.WriteByte('\n')
	if _, err := w.Write(out.Bytes()); err != nil {
		return fmt.Errorf("inquiry: write json: %w", err)
	}
	return nil
}

// optional is a time, or nothing where it is not known.
func optional(t testudo.Time) *testudo.Time {
	if t == 0 {
		return nil
	}
	return &t
}
