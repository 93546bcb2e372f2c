// Package rpz reads response policy zones: DNS zones whose names are what a
// resolver shall not answer (draft-vixie-dnsop-dns-rpz).
package rpz

import (
	"io"
	"net/netip"
	"strconv"
	"strings"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/intel"
)

// Format is what this folder reads.
var Format = intel.Format{Name: "rpz", Sniff: Sniff, Parse: Parse}

// Sniff tells a zone by a $TTL or $ORIGIN line, an SOA record, or CNAMEs.
func Sniff(head []byte, _ string) bool {
	for _, line := range intel.HeadLines(head) {
		if line[0] == ';' {
			continue
		}
		up := strings.ToUpper(line)
		if strings.HasPrefix(up, "$TTL ") || strings.HasPrefix(up, "$TTL\t") || strings.HasPrefix(up, "$ORIGIN") {
			return true
		}
		r, ok := record(line)
		return ok && (r.kind == "SOA" || r.kind == "CNAME")
	}
	return false
}

// Parse gives the names and addresses of a zone in the order of its records.
// A name stands for itself alone, a wildcard for all below its name. What the
// zone lets through is no indicator; nor is what it blocks by the resolver
// asked or by who asks.
func Parse(source string, r io.Reader, give func(testudo.Indicator), skip intel.Skip) error {
	z := zone{source: source}
	return intel.Lines(r, func(n int, line string) {
		remark := ""
		if i := strings.IndexByte(line, ';'); i >= 0 {
			line, remark = line[:i], line[i+1:]
		}
		if in, why := z.line(line); why != "" {
			skip(n, why)
		} else if in.Value != "" {
			in.Note = intel.Note(in.Note, remark)
			give(in)
		}
	}, skip)
}

// zone is what a zone's lines mean by what stands above them.
type zone struct {
	source string
	origin string // ends in a dot; "" while unknown
	owner  string // of the last record, for lines that begin with a blank
	open   bool   // in parentheses
}

// line reads a line: an indicator, or why it is none; neither for what only
// describes the zone.
func (z *zone) line(line string) (in testudo.Indicator, why string) {
	if z.open {
		z.open = !strings.Contains(line, ")")
		return in, ""
	}
	if strings.TrimSpace(line) == "" {
		return in, ""
	}
	if line[0] == '$' {
		return in, z.directive(strings.Fields(line))
	}
	if line[0] == ' ' || line[0] == '\t' {
		line = z.owner + line
	}
	r, ok := record(line)
	if !ok {
		return in, "a line that is no DNS record"
	}
	z.owner = r.owner
	z.open = strings.Contains(line, "(") && !strings.Contains(line, ")")
	switch r.kind {
	case "SOA":
		if z.origin == "" && strings.HasSuffix(r.owner, ".") {
			z.origin = r.owner
		}
		return in, ""
	case "NS":
		return in, ""
	}
	return z.policy(r)
}

func (z *zone) directive(fields []string) (why string) {
	switch strings.ToUpper(fields[0]) {
	case "$ORIGIN":
		if len(fields) > 1 {
			z.origin = strings.ToLower(fields[1])
		}
		return ""
	case "$TTL":
		return ""
	}
	return "a line that stands for others, in another file or counted up"
}

// policy reads a record that says what to do about a name or an address.
func (z *zone) policy(r rr) (in testudo.Indicator, why string) {
	if r.kind == "CNAME" && strings.HasSuffix(strings.ToLower(strings.TrimSuffix(r.target, ".")), "rpz-passthru") {
		return in, "let through by the zone: no indicator"
	}
	name := z.trigger(r.owner)
	base, kind := name, ""
	if i := strings.LastIndexByte(name, '.'); i > 0 && strings.HasPrefix(name[i+1:], "rpz-") {
		base, kind = name[:i], name[i+1:]
	}
	switch kind {
	case "":
		t := testudo.HostIndicator
		if strings.HasPrefix(base, "*.") {
			t = testudo.DomainIndicator
		}
		v, ok := intel.Canonical(t, base)
		if !ok || !strings.Contains(base, ".") {
			return in, "no name that can be asked for"
		}
		in.Type, in.Value = t, v
	case "rpz-ip":
		p, ok := reversed(base)
		if !ok {
			return in, "an address that is not written as the zone format wants"
		}
		typed, ok := intel.Typed(z.source, testudo.PrefixIndicator, p.String())
		if !ok {
			return in, "an address that is not written as the zone format wants"
		}
		in = typed
	default:
		return in, "a trigger " + intel.Word(kind) + ", which is not matched"
	}
	in.Source, in.Confidence, in.Note = z.source, -1, action(r)
	return in, ""
}

// trigger returns an owner's name without the zone's.
func (z *zone) trigger(owner string) string {
	owner = strings.ToLower(owner)
	if strings.HasSuffix(owner, ".") && z.origin != "" {
		if short, ok := strings.CutSuffix(owner, "."+z.origin); ok {
			return short
		}
	}
	return strings.TrimSuffix(owner, ".")
}

// action says in words what the zone does.
func action(r rr) string {
	if r.kind != "CNAME" {
		return "zone answers " + r.kind
	}
	switch strings.ToLower(strings.TrimSuffix(r.target, ".")) {
	case "", "*":
		return ""
	case "rpz-drop":
		return "zone drops the question"
	case "rpz-tcp-only":
		return "zone asks for TCP"
	}
	return "zone answers " + r.target
}

// rr is what is read of a resource record.
type rr struct{ owner, kind, target string }

// record splits a line: owner, TTL and class where given, type, data.
func record(line string) (r rr, ok bool) {
	fields := strings.Fields(line)
	if len(fields) < 3 {
		return r, false
	}
	r.owner = fields[0]
	rest := fields[1:]
	for len(rest) > 1 && (isTTL(rest[0]) || strings.EqualFold(rest[0], "IN")) {
		rest = rest[1:]
	}
	r.kind = strings.ToUpper(rest[0])
	switch r.kind {
	case "SOA", "NS", "CNAME", "A", "AAAA", "TXT", "MX", "DNAME", "SRV", "PTR":
	default:
		return r, false
	}
	if len(rest) < 2 {
		return r, false
	}
	r.target = rest[1]
	return r, true
}

// isTTL tells a TTL in seconds or with BIND's units.
func isTTL(s string) bool {
	return s[0] >= '0' && s[0] <= '9' && strings.Trim(s, "0123456789smhdwSMHDW") == ""
}

// reversed reads an address of an rpz-ip trigger: the prefix length, then the
// address's parts from the last to the first; zz for the zeros that :: leaves
// out.
func reversed(s string) (netip.Prefix, bool) {
	parts := strings.Split(s, ".")
	if len(parts) < 3 || len(parts) > 9 {
		return netip.Prefix{}, false
	}
	bits, err := strconv.Atoi(parts[0])
	if err != nil {
		return netip.Prefix{}, false
	}
	for i, j := 1, len(parts)-1; i < j; i, j = i+1, j-1 {
		parts[i], parts[j] = parts[j], parts[i]
	}
	parts = parts[1:]
	text := strings.Join(parts, ".")
	if len(parts) != 4 || strings.Contains(text, "zz") {
		text = sixth(parts)
	}
	a, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Prefix{}, false
	}
	p, err := a.Prefix(bits)
	return p, err == nil
}

// sixth writes the parts of an IPv6 address.
func sixth(parts []string) string {
	text := strings.Join(parts, ":")
	switch {
	case text == "zz":
		return "::"
	case parts[0] == "zz":
		return ":" + text[len("zz"):]
	case parts[len(parts)-1] == "zz":
		return text[:len(text)-len("zz")] + ":"
	}
	return strings.Replace(text, ":zz:", "::", 1)
}
