package stix

import (
	"errors"
	"strings"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/intel"
)

// Bounds of a pattern: its length in bytes and the comparisons it may hold.
const (
	maxPattern     = 64 << 10
	maxComparisons = 1000
)

// comparison is one test of a pattern: path, operator and one value of those
// it names.
type comparison struct {
	path, op, value string
	negated         bool
}

var (
	errPattern = errors.New("a pattern that cannot be read")
	errLong    = errors.New("a pattern longer than 64 KiB or with more than 1000 values")
)

// comparisons returns the tests of a pattern (STIX 2.1, 9). Joined tells
// whether some of them must come together.
func comparisons(pattern string) (all []comparison, joined bool, err error) {
	if len(pattern) > maxPattern {
		return nil, false, errLong
	}
	l := lexer{rest: pattern}
	for {
		t := l.next()
		switch {
		case t.kind == endToken:
			if len(all) == 0 {
				err = errPattern
			}
			return all, joined, err
		case t.kind == badToken:
			return all, joined, errPattern
		case t.is("AND"), t.is("FOLLOWEDBY"):
			joined = true
		case t.is("EXISTS"):
			all = append(all, comparison{path: l.next().text, op: "EXISTS"})
		case t.kind == wordToken && strings.Contains(t.text, ":"):
			if all, err = l.comparison(all, t.text); err != nil {
				return all, joined, err
			}
		}
		if len(all) > maxComparisons {
			return all[:maxComparisons], joined, errLong
		}
	}
}

// comparison reads what follows a path, and adds a comparison a value.
func (l *lexer) comparison(all []comparison, path string) ([]comparison, error) {
	c := comparison{path: path}
	op := l.next()
	if op.is("NOT") {
		c.negated = true
		op = l.next()
	}
	if op.kind != wordToken && op.kind != signToken {
		return all, errPattern
	}
	c.op = strings.ToUpper(op.text)
	t := l.next()
	if c.op != "IN" {
		if t.kind != textToken && t.kind != wordToken {
			return all, errPattern
		}
		c.value = t.text
		return append(all, c), nil
	}
	if t.text != "(" {
		return all, errPattern
	}
	for len(all) <= maxComparisons {
		switch t = l.next(); {
		case t.kind == textToken || t.kind == wordToken:
			c.value = t.text
			all = append(all, c)
		case t.kind == signToken && t.text == ")":
			return all, nil
		case t.kind != signToken || t.text != ",":
			return all, errPattern
		}
	}
	return all, nil
}

// indicator returns what a comparison says is bad, or why it says nothing
// that can be looked up.
func (c comparison) indicator(source string) (testudo.Indicator, string) {
	t, why := typeOf(c.path)
	if why == "" {
		why = c.usable()
	}
	if why != "" {
		return testudo.Indicator{}, why
	}
	value := c.value
	switch c.op {
	case "LIKE":
		value = strings.TrimPrefix(value, "%.")
		if strings.ContainsAny(value, "%_") || value != c.value && t != testudo.DomainIndicator {
			return testudo.Indicator{}, "LIKE a pattern that is more than one value"
		}
	case "MATCHES":
		value = strings.ReplaceAll(strings.TrimSuffix(strings.TrimPrefix(value, "^"), "$"), `\.`, ".")
		if len(value)+2 > len(c.value) || strings.ContainsAny(value, `\*+?()[]{}|^$`) {
			return testudo.Indicator{}, "MATCHES an expression that is more than one value"
		}
	}
	in, ok := intel.Typed(source, t, value)
	if !ok {
		return in, "not what its path says: " + intel.Unusable(value)
	}
	return in, ""
}

// usable says why a comparison's operator names no value, "" if it does.
func (c comparison) usable() string {
	if c.negated {
		return "a comparison that says what is not meant"
	}
	switch c.op {
	case "=", "==", "IN", "LIKE", "MATCHES", "ISSUBSET":
		return ""
	case "!=", "<>":
		return "a comparison that says what is not meant"
	case "EXISTS":
		return "a comparison that asks only whether there is a value"
	}
	return "a comparison by " + intel.Word(c.op) + ", which names no one value"
}

// typeOf says what the values at a path are (STIX 2.1, 6), or why they are
// not looked up.
func typeOf(path string) (testudo.IndicatorType, string) {
	object, property, _ := strings.Cut(strings.ToLower(path), ":")
	leaf := property[strings.LastIndexByte(property, '.')+1:]
	switch {
	case strings.Contains(leaf, "ja3"):
		return testudo.JA3Indicator, ""
	case strings.Contains(leaf, "ja4"):
		return testudo.JA4Indicator, ""
	}
	switch object {
	case "ipv4-addr", "ipv6-addr":
		if property == "value" {
			return testudo.AddressIndicator, ""
		}
	case "domain-name":
		if property == "value" {
			return testudo.DomainIndicator, ""
		}
		if leaf == "value" {
			return testudo.AddressIndicator, ""
		}
	case "url":
		if property == "value" {
			return testudo.URLIndicator, ""
		}
	case "email-addr":
		if property == "value" {
			return testudo.EmailIndicator, ""
		}
	case "email-message":
		if property == "from_ref.value" || property == "sender_ref.value" {
			return testudo.EmailIndicator, ""
		}
	case "network-traffic":
		return traffic(property, leaf)
	case "x509-certificate":
		if strings.HasPrefix(property, "hashes.") {
			return digest(leaf, testudo.CertIndicator)
		}
	case "file", "artifact", "process":
		if strings.Contains(property, "hashes.") {
			return digest(leaf, testudo.HashIndicator)
		}
	}
	return "", "a " + intel.Word(object) + " by " + intel.Word(leaf) + ", which is not looked up"
}

func traffic(property, leaf string) (testudo.IndicatorType, string) {
	switch {
	case property == "dst_ref.value" || property == "src_ref.value":
		return testudo.AddressIndicator, ""
	case leaf == "user-agent":
		return testudo.AgentIndicator, ""
	case leaf == "host" && strings.Contains(property, "request_header"):
		return testudo.DomainIndicator, ""
	case leaf == "dst_port" || leaf == "src_port" || strings.HasPrefix(leaf, "protocols"):
		return "", "a port or protocol, which says nothing alone"
	}
	return "", "a network-traffic by " + intel.Word(leaf) + ", which is not looked up"
}

func digest(name string, t testudo.IndicatorType) (testudo.IndicatorType, string) {
	switch strings.NewReplacer("-", "", "_", "").Replace(name) {
	case "md5", "sha1", "sha256":
		return t, ""
	}
	return "", "a digest " + intel.Word(name) + ", which is not looked up"
}
