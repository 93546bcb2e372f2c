package report

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

const (
	cleanCells = 1000 // longest text that Clean lets through
	nameCells  = 80   // longest name on a page
	markRun    = 3    // combining marks on one letter; living languages need no more
)

// Clean makes foreign text safe to print on a terminal. Controls, DEL, bidi
// overrides and isolates, zero-width and other format characters, spaces
// other than U+0020, unassigned and private code points, and combining marks
// with nothing to stand on are shown as \xNN, \uNNNN or \UNNNNNNNN, a byte
// that is not UTF-8 as \xNN. A text of more than 1000 cells is cut in its
// middle, so that both ends of a name are seen. Backslashes stay as they are:
// Clean(Clean(s)) is Clean(s).
func Clean(s string) string { return cut(escape(s), cleanCells, "…") }

// Name is Clean for names and titles of things: at most 80 cells.
func Name(s string) string { return cut(escape(s), nameCells, "…") }

// escape is Clean without the cut.
func escape(s string) string {
	if plainASCII(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + 16)
	marks, base := 0, false
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch mark := unicode.Is(unicode.M, r); {
		case r == utf8.RuneError && n == 1, r < 0x20, r == 0x7f:
			fmt.Fprintf(&b, `\x%02x`, s[i])
			marks, base = 0, true
		case hidden(r), mark && (!base || marks == markRun):
			writeRune(&b, r)
			marks, base = 0, true
		default:
			if mark {
				marks++
			} else {
				marks, base = 0, r != ' '
			}
			b.WriteString(s[i : i+n])
		}
		i += n
	}
	return b.String()
}

// writeRune writes r as an escape.
func writeRune(b *strings.Builder, r rune) {
	if r > 0xffff {
		fmt.Fprintf(b, `\U%08x`, r)
		return
	}
	fmt.Fprintf(b, `\u%04x`, r)
}

// hidden says whether r acts on its neighbours or cannot be seen.
func hidden(r rune) bool {
	if r >= 0x20 && r < 0x7f {
		return false
	}
	return !unicode.IsPrint(r) || // Cc, Cf, Co, Cs, Cn, Zl, Zp, and Zs but the space
		unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) ||
		r == 0x2800 // the blank braille pattern
}

// plainASCII says whether s holds nothing but printable ASCII.
func plainASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}

// cut shortens s to max cells by putting gap in the place of its middle. The
// end is kept because a name's owner stands there.
func cut(s string, max int, gap string) string {
	if len(s) <= max || uniseg.StringWidth(s) <= max {
		return s
	}
	room := max - len([]rune(gap))
	head := prefixCells(s, room-room/2)
	clusters := make([]int, 0, max) // where each cluster of the tail begins
	widths := make([]int, 0, max)
	for i, rest, state := len(head), s[len(head):], -1; len(rest) > 0; {
		var c string
		var w int
		c, rest, w, state = uniseg.FirstGraphemeClusterInString(rest, state)
		clusters, widths = append(clusters, i), append(widths, w)
		i += len(c)
	}
	at, used := len(s), 0
	for k := len(clusters) - 1; k >= 0 && used+widths[k] <= room/2; k-- {
		used += widths[k]
		at = clusters[k]
	}
	return head + gap + s[at:]
}

// prefixCells returns the longest start of s that fits in max cells.
func prefixCells(s string, max int) string {
	used, at, state := 0, 0, -1
	for rest := s; len(rest) > 0; {
		var c string
		var w int
		c, rest, w, state = uniseg.FirstGraphemeClusterInString(rest, state)
		if used+w > max {
			break
		}
		used += w
		at += len(c)
	}
	return s[:at]
}

// signs are ASCII for the signs that prose of ours uses.
var signs = strings.NewReplacer("·", "-", "…", "...", "–", "-", "—", "-", "−", "-", "×", "x", "µ", "u", "μ", "u",
	"≈", "~", "±", "+/-", "≥", ">=", "≤", "<=", "→", "->", "←", "<-", "’", "'", "‘", "'", "“", `"`, "”", `"`)

// ascii returns s with nothing outside ASCII: signs as words, the rest as
// escapes.
func ascii(s string) string {
	if plainASCII(s) {
		return s
	}
	var b strings.Builder
	for _, r := range signs.Replace(s) {
		if r < utf8.RuneSelf {
			b.WriteRune(r)
		} else {
			writeRune(&b, r)
		}
	}
	return b.String()
}
