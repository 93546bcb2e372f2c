package misp

import (
	"strings"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/intel"
)

// value is one of the values of an attribute, or why it is not taken.
type value struct {
	typ  testudo.IndicatorType
	text string
	why  string
}

// values splits an attribute of two types ("domain|ip") into its values. The
// name of a file and a port only say something of the value beside them.
func values(kind, text string) (all []value) {
	kinds, texts := strings.Split(kind, "|"), strings.Split(text, "|")
	if len(kinds) != 2 || len(texts) < 2 {
		return []value{of(kind, text)}
	}
	last := texts[len(texts)-1] // a file's name may hold a bar
	texts = []string{strings.TrimSuffix(text, "|"+last), last}
	for i, k := range kinds {
		if k == "port" || k == "filename" && i == 0 {
			continue
		}
		if k == "value" {
			k = kinds[0]
		}
		all = append(all, of(k, texts[i]))
	}
	return all
}

// of says what an attribute of a type holds.
func of(kind, text string) value {
	if t, ok := typeOf(kind); ok {
		return value{typ: t, text: text}
	}
	if kind == "uri" {
		return value{why: "a path without a host, which any server may have"}
	}
	return value{why: "the type " + intel.Word(kind) + ", which is not looked up"}
}

// typeOf says what MISP's types are here.
func typeOf(kind string) (testudo.IndicatorType, bool) {
	switch kind {
	case "ip-src", "ip-dst", "ip":
		return testudo.AddressIndicator, true
	case "domain":
		return testudo.DomainIndicator, true
	case "hostname":
		return testudo.HostIndicator, true
	case "url", "link":
		return testudo.URLIndicator, true
	case "email", "email-src", "email-dst", "email-reply-to", "whois-registrant-email", "dns-soa-email":
		return testudo.EmailIndicator, true
	case "user-agent":
		return testudo.AgentIndicator, true
	case "ja3-fingerprint-md5":
		return testudo.JA3Indicator, true
	case "ja4", "ja4-fingerprint", "ja4-plus":
		return testudo.JA4Indicator, true
	case "x509-fingerprint-sha1", "x509-fingerprint-sha256", "x509-fingerprint-md5":
		return testudo.CertIndicator, true
	case "md5", "sha1", "sha256":
		return testudo.HashIndicator, true
	}
	return "", false
}
