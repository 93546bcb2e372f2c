// Package zeek reads files of Zeek's intelligence framework: tab-separated,
// with a #fields line.
package zeek

import (
	"io"
	"strconv"
	"strings"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/intel"
)

// Format is what this folder reads.
var Format = intel.Format{Name: "zeek", Sniff: Sniff, Parse: Parse}

// Sniff tells a file by its #fields line.
func Sniff(head []byte, _ string) bool {
	for _, line := range intel.HeadLines(head) {
		if strings.HasPrefix(line, "#fields") {
			return strings.Contains(line, "indicator_type")
		}
		if line[0] != '#' {
			return false
		}
	}
	return false
}

// typeOf says what Zeek's types are here. What is missing in it is not seen
// on a network or not looked up.
func typeOf(zeek string) (t testudo.IndicatorType, ok bool) {
	switch strings.TrimPrefix(zeek, "Intel::") {
	case "ADDR":
		return testudo.AddressIndicator, true
	case "SUBNET":
		return testudo.PrefixIndicator, true
	case "DOMAIN":
		return testudo.DomainIndicator, true
	case "URL":
		return testudo.URLIndicator, true
	case "EMAIL":
		return testudo.EmailIndicator, true
	case "SOFTWARE":
		return testudo.AgentIndicator, true
	case "CERT_HASH":
		return testudo.CertIndicator, true
	case "FILE_HASH":
		return testudo.HashIndicator, true
	case "JA3", "JA3S":
		return testudo.JA3Indicator, true
	case "JA4":
		return testudo.JA4Indicator, true
	}
	return "", false
}

// Parse gives a file's indicators in the order of its lines. What Zeek calls
// meta goes into the note, and where a package added confidence, times or a
// label, into those.
func Parse(source string, r io.Reader, give func(testudo.Indicator), skip intel.Skip) error {
	var columns []string
	return intel.Lines(r, func(n int, line string) {
		if strings.TrimSpace(line) == "" {
			return
		}
		if rest, ok := strings.CutPrefix(line, "#fields"); ok {
			columns = strings.Split(strings.TrimPrefix(rest, "\t"), "\t")
			return
		}
		if line[0] == '#' {
			return
		}
		if columns == nil {
			skip(n, "a line before the #fields line")
			return
		}
		in, why := read(source, columns, strings.Split(line, "\t"))
		if why != "" {
			skip(n, why)
			return
		}
		give(in)
	}, skip)
}

func read(source string, columns, cells []string) (in testudo.Indicator, why string) {
	if len(cells) > len(columns) {
		return in, "more columns than the #fields line names"
	}
	cell := func(name string) string {
		for i, c := range cells {
			if columns[i] == name && c != "-" && c != "(empty)" {
				return unescape(c)
			}
		}
		return ""
	}
	kind, value := cell("indicator_type"), cell("indicator")
	t, ok := typeOf(kind)
	if !ok {
		return in, "Zeek's type " + intel.Word(kind) + ", which is not looked up"
	}
	if in, ok = intel.Typed(source, t, value); !ok {
		return in, "not what its type " + kind + " says"
	}
	in.First, in.Last = intel.ParseTime(cell("meta.firstseen")), intel.ParseTime(cell("meta.lastseen"))
	in.TLP = testudo.ParseTLP(cell("meta.tlp"))
	if c, err := strconv.ParseFloat(cell("meta.confidence"), 64); err == nil {
		in.Confidence = intel.Confidence(int(c))
	}
	in.Note = intel.Note(cell("meta.desc"), cell("meta.source"), cell("meta.url"))
	return in, ""
}

// unescape undoes Zeek's \xHH.
func unescape(s string) string {
	if !strings.Contains(s, `\x`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if strings.HasPrefix(s[i:], `\x`) && len(s) >= i+4 {
			if c, err := strconv.ParseUint(s[i+2:i+4], 16, 8); err == nil {
				b.WriteByte(byte(c))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
