// Package rules reads Suricata and Snort rules as far as they are nothing but
// a value: a rule that asks for one name, one fingerprint, one agent or a list
// of addresses. What asks for more is told to skip with the reason; a rule is
// no indicator then, and Suricata is the one to run it.
package rules

import (
	"io"
	"strings"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/intel"
)

// Format is what this folder reads.
var Format = intel.Format{Name: "suricata-rules", Sniff: Sniff, Parse: Parse}

// Sniff tells a file by a rule, which may be switched off.
func Sniff(head []byte, _ string) bool {
	text := strings.NewReplacer("\uFEFF", "", "\\\r\n", " ", "\\\n", " ").Replace(string(head))
	for line := range strings.Lines(text) {
		r, ok := parse(strings.TrimLeft(line, "# \t"))
		if ok && r.source != "" {
			return true
		}
	}
	return false
}

// Parse gives what the rules of a file name, in the order of its lines.
func Parse(source string, r io.Reader, give func(testudo.Indicator), skip intel.Skip) error {
	begun, first := "", 0
	return intel.Lines(r, func(n int, line string) {
		if begun == "" {
			first = n
		}
		line = strings.TrimSpace(line)
		if whole, ok := strings.CutSuffix(line, `\`); ok && len(begun)+len(whole) <= intel.MaxLine {
			begun += whole
			return
		}
		text := begun + line
		begun = ""
		if text == "" {
			return
		}
		if text[0] == '#' {
			if r, ok := parse(strings.TrimLeft(text, "# \t")); ok && r.source != "" {
				skip(first, "a rule that is switched off")
			}
			return
		}
		rule, ok := parse(text)
		if !ok {
			skip(first, "a line that is no rule")
			return
		}
		rule.give(source, give, func(why string) { skip(first, why) })
	}, skip)
}

// give hands on what a rule names.
func (r *rule) give(source string, give func(testudo.Indicator), skip func(why string)) {
	about := r.about()
	about.Source = source
	values, why := r.values()
	if why != "" {
		skip(why)
		return
	}
	for _, v := range values {
		in, ok := intel.Typed(source, v.typ, v.text)
		if !ok {
			skip("not what its keyword says: " + intel.Unusable(v.text))
			continue
		}
		in.Note, in.Threats, in.First, in.Last, in.Confidence = about.Note, about.Threats, about.First, about.Last, about.Confidence
		give(in)
	}
}

// about reads what a rule says of itself.
func (r *rule) about() testudo.Indicator {
	in := testudo.Indicator{Confidence: -1, Note: intel.Note(r.option("msg"), r.option("classtype"))}
	for _, o := range r.options {
		if o.key != "metadata" {
			continue
		}
		for pair := range strings.SplitSeq(o.value, ",") {
			key, value, _ := strings.Cut(strings.TrimSpace(pair), " ")
			switch key {
			case "malware_family", "threat_actor":
				in.Threats = intel.AddThreats(in.Threats, value)
			case "created_at":
				in.First = intel.ParseTime(value)
			case "updated_at":
				in.Last = intel.ParseTime(value)
			case "confidence":
				in.Confidence = confidence(value)
			}
		}
	}
	return in
}

func confidence(word string) int {
	switch strings.ToLower(word) {
	case "high":
		return 85
	case "medium":
		return 50
	case "low":
		return 15
	}
	return -1
}
