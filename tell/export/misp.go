package export

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/testudo-shield/testudo"
)

type mispEvent struct {
	UUID         string          `json:"uuid"`
	Info         string          `json:"info"`
	Date         string          `json:"date"`
	Timestamp    string          `json:"timestamp"`
	ThreatLevel  string          `json:"threat_level_id"`
	Analysis     string          `json:"analysis"`
	Published    bool            `json:"published"`
	Distribution string          `json:"distribution"`
	Orgc         mispOrg         `json:"Orgc"`
	Tag          []mispTag       `json:"Tag"`
	Attribute    []mispAttribute `json:"Attribute"`
}

type mispOrg struct {
	Name string `json:"name"`
	UUID string `json:"uuid"`
}

type mispTag struct {
	Name string `json:"name"`
}

type mispAttribute struct {
	UUID         string    `json:"uuid"`
	Type         string    `json:"type"`
	Category     string    `json:"category"`
	Value        string    `json:"value"`
	ToIDs        bool      `json:"to_ids"`
	Timestamp    string    `json:"timestamp"`
	FirstSeen    string    `json:"first_seen,omitempty"`
	LastSeen     string    `json:"last_seen,omitempty"`
	Comment      string    `json:"comment"`
	Distribution string    `json:"distribution"`
	Tag          []mispTag `json:"Tag,omitempty"`
}

// MISP writes one event (draft-dulaunoy-misp-core-format), unpublished and for
// the receiving organisation alone: whoever imports it decides who sees it
// next, within the tags "tlp:". Uuids come from source, type and value, so
// that importing a later export changes attributes and makes no second ones.
// What is marked has to_ids unset and says why in its comment; JA4, for which
// MISP has no type of attribute, is "other", to_ids unset. Written counts
// attributes.
func MISP(w io.Writer, in Input, o Options) (Tally, error) {
	p := pick(in, o)
	e := mispEvent{
		UUID: idOf("event", p.o.Producer, p.o.Max.String()), Info: p.o.Producer + ": indicators and findings, up to TLP:" + strings.ToUpper(p.o.Max.String()),
		Date: p.o.Now.Std().Format("2006-01-02"), Timestamp: unix(p.o.Now), ThreatLevel: "4", Analysis: "2", Distribution: "0",
		Orgc: mispOrg{p.o.Producer, idOf("identity", p.o.Producer)}, Tag: []mispTag{}, Attribute: []mispAttribute{},
	}
	worst := testudo.Info
	strictest := testudo.TLPUnset
	for i := range p.items {
		strictest = max(strictest, p.items[i].TLP)
		e.Attribute = append(e.Attribute, p.attribute(&p.items[i]))
	}
	for i := range p.incidents {
		strictest, worst = max(strictest, p.o.Label), max(worst, p.incidents[i].Severity)
		e.Attribute = append(e.Attribute, p.finding(&p.incidents[i]))
	}
	e.ThreatLevel = [...]string{"4", "3", "2", "1", "1"}[min(worst, testudo.Critical)]
	if strictest != testudo.TLPUnset {
		e.Tag = append(e.Tag, mispTag{"tlp:" + strictest.String()})
	}
	if err := writeJSON(w, map[string]mispEvent{"Event": e}); err != nil {
		return Tally{}, fmt.Errorf("export: write misp: %w", err)
	}
	return p.left.tally(len(e.Attribute)), nil
}

// attribute is an item in MISP's words.
func (p *picked) attribute(it *item) mispAttribute {
	kind, category := mispType(it)
	return mispAttribute{
		UUID: idOf("attribute", it.Source, string(it.Type), it.Value, it.incident), Type: kind, Category: category, Value: it.Value,
		ToIDs:     it.doubt() == "" && kind != "other",
		Timestamp: unix(cmp.Or(it.Last, it.First, p.o.Now)), FirstSeen: moment(it.First), LastSeen: later(it.First, it.Last),
		Comment: strings.Join(slices.DeleteFunc([]string{it.Source, it.describe(), ja4Word(it), licensed(it)}, func(s string) bool { return s == "" }), " | "),
		Tag:     []mispTag{{"tlp:" + it.TLP.String()}}, Distribution: "5",
	}
}

// finding is an incident in a line of text.
func (p *picked) finding(in *testudo.Incident) mispAttribute {
	return mispAttribute{
		UUID: idOf("finding", in.ID), Type: "text", Category: "Internal reference", Value: line(in.ID + " " + in.Severity.String() + " " + in.Title),
		Timestamp: unix(cmp.Or(in.Last, in.First, p.o.Now)), FirstSeen: moment(in.First), LastSeen: later(in.First, in.Last),
		Comment: line(strings.Join(in.Techniques, " ")), Tag: []mispTag{{"tlp:" + p.o.Label.String()}}, Distribution: "5",
	}
}

func ja4Word(it *item) string {
	if it.Type == testudo.JA4Indicator {
		return "JA4"
	}
	return ""
}

func licensed(it *item) string {
	if it.Licence == "" {
		return ""
	}
	return "licence " + it.Licence
}

// later is the last moment where it is not before the first, as MISP wants it.
func later(first, last testudo.Time) string {
	if last < first {
		return moment(first)
	}
	return moment(last)
}

// unix is a time in whole seconds.
func unix(t testudo.Time) string { return strconv.FormatInt(int64(t)/1e9, 10) }

// mispType returns an item's type of attribute and a category that has it.
func mispType(it *item) (kind, category string) {
	const network, payload = "Network activity", "Payload delivery"
	switch it.Type {
	case testudo.AddressIndicator, testudo.PrefixIndicator:
		return "ip-dst", network
	case testudo.DomainIndicator:
		return "domain", network
	case testudo.HostIndicator:
		return "hostname", network
	case testudo.URLIndicator:
		return "url", network
	case testudo.EmailIndicator:
		return "email", payload
	case testudo.AgentIndicator:
		return "user-agent", network
	case testudo.JA3Indicator:
		return "ja3-fingerprint-md5", network
	case testudo.CertIndicator:
		if len(it.Value) == 40 {
			return "x509-fingerprint-sha1", network
		}
		return "x509-fingerprint-sha256", network
	case testudo.HashIndicator:
		return map[int]string{32: "md5", 40: "sha1", 64: "sha256"}[len(it.Value)], payload
	}
	return "other", "Other"
}
