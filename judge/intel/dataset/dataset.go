// Package dataset reads Suricata's datasets: one value a line, strings in
// base64, and a reputation behind a comma where the set is a datarep.
package dataset

import (
	"encoding/base64"
	"io"
	"strconv"
	"strings"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/intel"
)

// Format is what this folder reads.
var Format = intel.Format{Name: "suricata-dataset", Sniff: Sniff, Parse: Parse}

// Sniff tells a dataset of strings by lines that are all base64 of text.
// Datasets of addresses and of digests have the form of a plain list.
func Sniff(head []byte, _ string) bool {
	lines := intel.HeadLines(head)
	for _, line := range lines {
		value, _, ok := split(line)
		if !ok {
			return false
		}
		if _, ok := decode(value); !ok {
			return false
		}
	}
	return len(lines) > 0
}

// split cuts the reputation off a line.
func split(line string) (value string, reputation int, ok bool) {
	value, rep, ok := strings.Cut(line, ",")
	if !ok {
		return value, -1, true
	}
	n, err := strconv.ParseUint(strings.TrimSpace(rep), 10, 16)
	return strings.TrimSpace(value), int(n), err == nil
}

// decode reads base64 of a line of text. Hexadecimal digests and addresses
// are base64 by their letters too, but not of text.
func decode(value string) (string, bool) {
	b, err := base64.StdEncoding.Strict().DecodeString(value)
	if err != nil || len(b) < 3 {
		return "", false
	}
	for _, c := range b {
		if c < ' ' || c == 0x7f {
			return "", false
		}
	}
	text := string(b)
	return text, strings.ToValidUTF8(text, "") == text
}

// Parse gives a dataset's values by their shape, in the order of its lines. A
// string that has the shape of none may be a user agent or part of anything
// else, which the rule that uses the set knows, so it is skipped. The
// reputation of a datarep means what its rules make of it; it is kept in the
// note.
func Parse(source string, r io.Reader, give func(testudo.Indicator), skip intel.Skip) error {
	return intel.Lines(r, func(n int, line string) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			return
		}
		value, reputation, ok := split(line)
		if !ok {
			skip(n, "a reputation that is no number")
			return
		}
		text, ok := decode(value)
		if !ok {
			text = value
		}
		in, shaped := intel.Shaped(source, text)
		switch {
		case shaped:
		case ok:
			skip(n, "a string that only the rule using the set gives a meaning")
			return
		default:
			skip(n, "neither base64 of text nor an address or a hash")
			return
		}
		if reputation >= 0 {
			in.Note = "reputation " + strconv.Itoa(reputation)
		}
		give(in)
	}, skip)
}
