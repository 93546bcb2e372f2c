package export

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/testudo-shield/testudo"
)

// Zeek writes a file of Zeek's intelligence framework: tab-separated, with
// #fields. Marks, label and incident stand in meta.desc. Zeek matches names
// exactly, so a domain there does not cover the names below it; its hashes of
// certificates are SHA-1, and it has no type for JA3 and JA4: those are left
// out and counted. Written counts lines.
func Zeek(w io.Writer, in Input, o Options) (Tally, error) {
	p := pick(in, o)
	bw := bufio.NewWriter(w)
	fmt.Fprintf(bw, "#fields\tindicator\tindicator_type\tmeta.source\tmeta.desc\n")
	n := 0
	for i := range p.items {
		it := &p.items[i]
		kind, value, why := zeekType(it)
		if why != "" {
			p.left.left(why)
			continue
		}
		n++
		fmt.Fprintf(bw, "%s\t%s\t%s\t%s\n", zeekText(value), kind, zeekText(it.Source), zeekText(it.describe()))
	}
	if err := bw.Flush(); err != nil {
		return Tally{}, fmt.Errorf("export: write zeek intel: %w", err)
	}
	return p.left.tally(n), nil
}

// zeekType returns an item in Zeek's words, or why it has none.
func zeekType(it *item) (kind, value, why string) {
	switch it.Type {
	case testudo.AddressIndicator:
		return "Intel::ADDR", it.Value, ""
	case testudo.PrefixIndicator:
		return "Intel::SUBNET", it.Value, ""
	case testudo.DomainIndicator, testudo.HostIndicator:
		return "Intel::DOMAIN", it.Value, ""
	case testudo.URLIndicator:
		if !strings.Contains(it.Value, "/") {
			return "Intel::URL", it.Value + "/", ""
		}
		return "Intel::URL", it.Value, ""
	case testudo.EmailIndicator:
		return "Intel::EMAIL", it.Value, ""
	case testudo.AgentIndicator:
		return "Intel::SOFTWARE", it.Value, ""
	case testudo.HashIndicator:
		return "Intel::FILE_HASH", it.Value, ""
	case testudo.CertIndicator:
		if len(it.Value) == 40 {
			return "Intel::CERT_HASH", it.Value, ""
		}
		return "", "", "certificates by SHA-256, which Zeek matches by SHA-1"
	}
	return "", "", "fingerprints, for which Zeek's framework has no type"
}

// describe tells in one line what is known of an item.
func (it *item) describe() string {
	parts := make([]string, 0, 5)
	if it.Note != "" {
		parts = append(parts, it.Note)
	}
	if len(it.Threats) > 0 {
		parts = append(parts, "names "+strings.Join(it.Threats, ", "))
	}
	if words := it.Marks.Words(); len(words) > 0 {
		parts = append(parts, "not to act on alone: "+strings.Join(words, ", "))
	}
	parts = append(parts, "TLP:"+strings.ToUpper(it.TLP.String()))
	return strings.Join(parts, " | ")
}

// zeekText writes a field as Zeek's ASCII reader takes it: \xNN for what
// would end a field or a line, begin a comment or an escape, or stand for
// nothing.
func zeekText(s string) string {
	switch s {
	case "":
		return "-"
	case "-", "(empty)":
		return fmt.Sprintf(`\x%02x%s`, s[0], s[1:])
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < 0x20 || c == 0x7f || c == '\\' || c == '#' && i == 0 {
			fmt.Fprintf(&b, `\x%02x`, c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
