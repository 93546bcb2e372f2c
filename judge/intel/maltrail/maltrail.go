// Package maltrail reads the trails of Maltrail: one value a line, under
// comments that name where it was reported ("# Reference:") and other names
// of what it belongs to ("# Aliases:").
package maltrail

import (
	"io"
	"strings"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/intel"
)

// Format reads trails, KnownFormat what Maltrail keeps beside them in the same
// form: what is well known, which is the opposite of a trail.
var (
	Format      = intel.Format{Name: "maltrail", Sniff: Sniff, Parse: Parse}
	KnownFormat = intel.Format{Name: "maltrail-known", Sniff: SniffKnown, Warnings: Known}
)

// Sniff tells a trail by its comments; only the names of the lists of what is
// well known tell them apart.
func Sniff(head []byte, name string) bool { return ours(head) && !isKnown(name) }

// SniffKnown tells a list of what is well known.
func SniffKnown(head []byte, name string) bool { return ours(head) && isKnown(name) }

func isKnown(name string) bool {
	for _, known := range [...]string{"whitelist", "cdn_ranges", "bogon_ranges", "worst_asns"} {
		if strings.Contains(name, known) {
			return true
		}
	}
	return false
}

func ours(head []byte) bool {
	for _, line := range intel.HeadLines(head) {
		if line[0] != '#' {
			return false
		}
		if strings.Contains(line, "Maltrail developers") {
			return true
		}
		if key, _, ok := comment(line); ok && (key == "reference" || key == "aliases") {
			return true
		}
	}
	return false
}

// Known gives a list of what is well known as two warning lists, of addresses
// and of names.
func Known(source string, r io.Reader, give func(intel.WarningList), skip intel.Skip) error {
	lists := [...]intel.WarningList{{Name: source, Type: "cidr"}, {Name: source, Type: "hostname"}}
	err := intel.Lines(r, func(n int, line string) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			return
		}
		value, _ := cut(line)
		value, _, _ = strings.Cut(value, ",")
		switch t, v, ok := intel.Classify(value); {
		case ok && (t == testudo.AddressIndicator || t == testudo.PrefixIndicator):
			lists[0].Values = append(lists[0].Values, v)
		case ok && (t == testudo.DomainIndicator || t == testudo.HostIndicator):
			lists[1].Values = append(lists[1].Values, v)
		default:
			skip(n, "neither an address nor a name")
		}
	}, skip)
	for _, l := range lists {
		if len(l.Values) > 0 {
			give(l)
		}
	}
	return err
}

// comment splits "# Reference: text". Misspelt references are taken for what
// they are meant to be.
func comment(line string) (key, text string, ok bool) {
	key, text, ok = strings.Cut(strings.TrimLeft(line, "# "), ":")
	key = strings.ToLower(key)
	if strings.HasPrefix(key, "refer") && len(key) == len("reference") {
		key = "reference"
	}
	return key, strings.TrimSpace(text), ok
}

// Parse gives the values of a trail in the order of its lines. The aliases
// above a value are its threats, the last reference above it and a comment
// behind it its note. A path without a host or a regular expression is
// skipped.
func Parse(source string, r io.Reader, give func(testudo.Indicator), skip intel.Skip) error {
	var threats []string
	reference := ""
	return intel.Lines(r, func(n int, line string) {
		line = strings.TrimSpace(line)
		if line == "" {
			return
		}
		if line[0] == '#' {
			switch key, text, _ := comment(line); key {
			case "reference":
				reference = intel.Note(text)
			case "aliases":
				threats = intel.AddThreats(threats[:len(threats):len(threats)], strings.Split(text, ",")...)
			}
			return
		}
		value, remark := cut(line)
		in, ok := intel.Shaped(source, value)
		if !ok {
			skip(n, intel.Unusable(value))
			return
		}
		in.Threats = threats
		in.Note = intel.Note(remark, port(value), reference)
		give(in)
	}, skip)
}

// cut splits off a comment behind a value. A # within a URL is the URL's,
// unless a comment was written right behind it.
func cut(line string) (value, remark string) {
	value = line
	if i := strings.IndexAny(line, " \t"); i >= 0 {
		value, remark = line[:i], line[i:]
	}
	if i := strings.IndexByte(value, '#'); i > 0 && !strings.ContainsRune(value[:i], '/') || i > 0 && remark != "" {
		value, remark = line[:i], line[i:]
	}
	return value, strings.Trim(remark, " \t#")
}

// port says which port a trail of an address or name with one is about. The
// indicator is the address: what else it serves is the same machine's.
func port(value string) string {
	host, port, ok := strings.Cut(value, ":")
	if !ok || host == "" || port == "" || strings.Trim(port, "0123456789") != "" {
		return ""
	}
	return "port " + port
}
