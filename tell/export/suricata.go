package export

import (
	"bufio"
	"encoding/base64"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"slices"
	"strings"

	"github.com/testudo-shield/testudo"
)

// Suricata writes rules, one or more an indicator: "alert", or "drop" with
// Options.Drop. A rule's sid is from Options.FirstSID to LastSID and comes
// from what it matches, so that it stays when other indicators come and go.
// The incident stands in msg and metadata. Nothing that is marked is in any
// rule, alert or drop: who loads rules may drop by them. Hashes of files go
// into datasets. Written counts rules.
func Suricata(w io.Writer, in Input, o Options) (Tally, error) {
	p := pick(in, o)
	if p.o.FirstSID < 1 || p.o.LastSID < p.o.FirstSID {
		return Tally{}, fmt.Errorf("export: suricata: sids from %d to %d: want a range above 0", p.o.FirstSID, p.o.LastSID)
	}
	sids := newSIDs(p.o.FirstSID, p.o.LastSID)
	bw := bufio.NewWriter(w)
	n := 0
	seen := map[string]bool{}
	for i := range p.items {
		it := &p.items[i]
		if why := it.doubt(); why != "" {
			p.left.left(why)
			continue
		}
		bodies, why := ruleBodies(it)
		if why != "" {
			p.left.left(why)
		}
		for _, b := range bodies {
			if seen[b.head+b.match] {
				continue // another list says the same
			}
			seen[b.head+b.match] = true
			sid, ok := sids.next(b.head + b.match)
			if !ok {
				p.left.left("for want of sids: give a wider range")
				continue
			}
			n++
			fmt.Fprintf(bw, "%s %s (msg:%q; %s%ssid:%d; rev:1;)\n", p.action(), b.head, ruleText(it), b.match, metadata(it), sid)
		}
	}
	if err := bw.Flush(); err != nil {
		return Tally{}, fmt.Errorf("export: write suricata rules: %w", err)
	}
	return p.left.tally(n), nil
}

func (p *picked) action() string {
	if p.o.Drop {
		return "drop"
	}
	return "alert"
}

// ruleBody is what tells one rule from another.
type ruleBody struct{ head, match string }

// ruleBodies returns the rules that match an item, or why there are none.
func ruleBodies(it *item) (rules []ruleBody, why string) {
	switch v := it.Value; it.Type {
	case testudo.AddressIndicator, testudo.PrefixIndicator:
		return []ruleBody{{"ip any any <> " + v + " any", ""}}, ""
	case testudo.DomainIndicator:
		below := "dotprefix; content:" + content("."+v) + "; endswith; nocase; "
		return names(below), ""
	case testudo.HostIndicator:
		return names("content:" + content(v) + "; startswith; endswith; nocase; "), ""
	case testudo.URLIndicator:
		host, path, _ := strings.Cut(v, "/")
		if name, port, ok := strings.Cut(host, ":"); ok && isDigits(port) {
			host = name // that buffer has no port
		}
		return []ruleBody{{httpHead, "http.host; content:" + content(strings.ToLower(host)) + "; startswith; endswith; http.uri.raw; content:" + content("/"+path) + "; startswith; endswith; "}}, ""
	case testudo.AgentIndicator:
		return []ruleBody{{httpHead, "http.user_agent; content:" + content(v) + "; startswith; endswith; "}}, ""
	case testudo.JA3Indicator:
		return []ruleBody{{tlsHead, "ja3.hash; content:" + content(v) + "; "}}, ""
	case testudo.JA4Indicator:
		return []ruleBody{{tlsHead, "ja4.hash; content:" + content(v) + "; "}}, ""
	case testudo.CertIndicator:
		if len(v) == 40 {
			return []ruleBody{{tlsHead, "tls.cert_fingerprint; content:" + content(colons(v)) + "; "}}, ""
		}
		return nil, "certificates by SHA-256, which Suricata matches by SHA-1"
	case testudo.EmailIndicator:
		return nil, "mail addresses, which rules cannot match in every version"
	case testudo.HashIndicator:
		return nil, "hashes of files, which go into datasets"
	}
	return nil, "of a type that rules cannot match"
}

const (
	httpHead = "http any any -> any any"
	tlsHead  = "tls any any -> any any"
)

// names returns the three rules that meet a name: asked for, called over TLS,
// called over HTTP.
func names(match string) []ruleBody {
	return []ruleBody{
		{"dns any any -> any any", "dns.query; " + match},
		{tlsHead, "tls.sni; " + match},
		{httpHead, "http.host; " + strings.ReplaceAll(match, "nocase; ", "")}, // that buffer is lower case
	}
}

// content quotes bytes for a content option; all but plain characters are
// written in hex.
func content(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := 0; i < len(s); i++ {
		if c := s[i]; isPlain(c) || strings.IndexByte("/-_.?=&%+~() ", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "|%02X|", c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

func isPlain(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

func colons(hex string) string {
	var b strings.Builder
	for i := 0; i+1 < len(hex); i += 2 {
		if i > 0 {
			b.WriteByte(':')
		}
		b.WriteString(hex[i : i+2])
	}
	return b.String()
}

// ruleText is a rule's msg. Whatever has a meaning in rules is left out.
func ruleText(it *item) string {
	what := "listed by " + it.Source
	if it.incident != "" {
		what = string(it.role) + " in " + it.incident
	}
	return ruleWords("testudo "+string(it.Type)+" "+it.Value+" "+what, 200)
}

// ruleWords keeps of s what neither msg nor metadata gives a meaning.
func ruleWords(s string, most int) string {
	clean := strings.Map(func(r rune) rune {
		if r < 0x80 && (isPlain(byte(r)) || strings.ContainsRune(" ._/@+-", r)) {
			return r
		}
		return '_'
	}, s)
	return clean[:min(len(clean), most)]
}

// metadata tells what a rule rests on.
func metadata(it *item) string {
	words := []string{"tlp " + it.TLP.String()}
	if it.incident != "" {
		words = append(words, "incident "+ruleWords(it.incident, 40))
	}
	if src := strings.ReplaceAll(ruleWords(it.Source, 80), " ", "_"); src != "" {
		words = append(words, "source "+src)
	}
	if it.Confidence >= 0 {
		words = append(words, "percent "+confidence(it.Confidence))
	}
	return "metadata:" + strings.Join(words, ", ") + "; "
}

// sids gives every rule its number.
type sids struct {
	first, size uint64
	used        map[uint64]bool
}

func newSIDs(first, last int) *sids {
	return &sids{uint64(first), uint64(last-first) + 1, map[uint64]bool{}}
}

// next returns the number of a rule by what it matches, the next free one
// where that is taken, and false where none is left.
func (s *sids) next(match string) (uint64, bool) {
	if uint64(len(s.used)) == s.size {
		return 0, false
	}
	h := fnv.New64a()
	_, _ = io.WriteString(h, match) // a hash never fails
	at := h.Sum64() % s.size
	for s.used[at] {
		at = (at + 1) % s.size
	}
	s.used[at] = true
	return s.first + at, true
}

// A dataset is a list that Suricata loads for one rule of the user's.
type dataset struct {
	name, kind string
	takes      func(it *item) (string, bool)
}

// datasets are the lists, one a type.
var datasets = [...]dataset{
	{"names", "string, for dns.query, tls.sni and http.host", func(it *item) (string, bool) {
		return base64.StdEncoding.EncodeToString([]byte(it.Value)), it.Type == testudo.DomainIndicator || it.Type == testudo.HostIndicator
	}},
	{"agents", "string, for http.user_agent", func(it *item) (string, bool) {
		return base64.StdEncoding.EncodeToString([]byte(it.Value)), it.Type == testudo.AgentIndicator
	}},
	{"addresses", "ip, for ip.src and ip.dst", func(it *item) (string, bool) {
		return it.Value, it.Type == testudo.AddressIndicator
	}},
	{"ja3", "string, for ja3.hash", func(it *item) (string, bool) {
		return base64.StdEncoding.EncodeToString([]byte(it.Value)), it.Type == testudo.JA3Indicator
	}},
	{"md5", "md5, for file.data with to_md5", func(it *item) (string, bool) {
		return it.Value, it.Type == testudo.HashIndicator && len(it.Value) == 32
	}},
	{"sha256", "sha256, for file.data with to_sha256", func(it *item) (string, bool) {
		return it.Value, it.Type == testudo.HashIndicator && len(it.Value) == 64
	}},
}

// write writes a dataset, one value a line. A line has no room for a mark, so
// nothing marked is in it.
func (d dataset) write(w io.Writer, in Input, o Options) (Tally, error) {
	p := pick(in, o)
	var lines []string
	for i := range p.items {
		it := &p.items[i]
		text, ok := d.takes(it)
		switch why := it.doubt(); {
		case !ok:
			p.left.left("for other datasets, or for none")
		case why != "":
			p.left.left(why)
		default:
			lines = append(lines, text)
		}
	}
	slices.Sort(lines)
	lines = slices.Compact(lines)
	if _, err := io.WriteString(w, strings.Join(append(lines, ""), "\n")); err != nil {
		return Tally{}, errors.Join(errors.New("export: write suricata dataset"), err)
	}
	return p.left.tally(len(lines)), nil
}
