package rules

import (
	"strconv"
	"strings"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/intel"
)

// typed is a value that a rule names.
type typed struct {
	typ  testudo.IndicatorType
	text string
}

// match is one content of a rule and the buffer it is looked for in.
type match struct {
	buffer  string // "" for the payload
	content string
	negated bool
	start   bool // it begins where the buffer does
	end     bool // it ends where the buffer does
}

// values returns what a rule names, or why it names nothing plain.
func (r *rule) values() ([]typed, string) {
	if r.action == "pass" {
		return nil, "a rule that lets through"
	}
	switch class := r.option("classtype"); class {
	case "not-suspicious", "unknown", "bad-unknown", "misc-activity", "policy-violation", "protocol-command-decode", "external-ip-check", "icmp-event":
		return nil, "a rule that says " + class + ", and blames nobody"
	}
	found, why := r.matches()
	if why != "" {
		return nil, why
	}
	switch len(found) {
	case 0:
		return r.addresses()
	case 1:
		return found[0].value(r)
	}
	return nil, "a rule that needs more than one value to match"
}

// matches returns the contents that are not negated, or why there is more to
// the rule than contents.
func (r *rule) matches() (found []match, why string) {
	buffer := ""
	for _, o := range r.options {
		switch o.key {
		case "content", "uricontent":
			m := match{buffer: buffer}
			o.value, m.negated = strings.CutPrefix(o.value, "!")
			m.content = unquote(o.value)
			if o.key == "uricontent" {
				m.buffer = "http.uri"
			}
			found = append(found, m)
		case "pcre", "lua", "luajit", "byte_test", "byte_jump", "byte_math", "flowbits", "xbits", "dataset", "datarep", "iprep", "app-layer-event", "decode-event", "stream-event", "file_data", "filemd5", "filesha256", "dsize":
			if o.key != "flowbits" && o.key != "xbits" || !strings.HasPrefix(o.value, "set,") {
				return nil, "a rule that needs " + o.key + " to match"
			}
		default:
			buffer = apply(found, buffer, o)
		}
	}
	kept := found[:0]
	for _, m := range found {
		if !m.negated && !(r.port == "53" && m.buffer == "" && isHeader(m.content)) {
			kept = append(kept, m)
		}
	}
	return kept, ""
}

// isHeader tells the bytes of a DNS message's header, that old rules look for
// before they look for the name.
func isHeader(content string) bool {
	return strings.IndexFunc(content, func(c rune) bool { return c > 31 }) < 0
}

// apply applies a keyword to the last content, or returns the buffer that it
// makes current.
func apply(found []match, buffer string, o option) string {
	if sticky, ok := buffers(o.key); ok {
		return sticky
	}
	if len(found) == 0 {
		return buffer
	}
	last := &found[len(found)-1]
	switch o.key {
	case "http_host", "http_raw_host":
		last.buffer = "http.host"
	case "http_user_agent":
		last.buffer = "http.user_agent"
	case "http_uri", "http_raw_uri", "http_header", "http_raw_header", "http_method", "http_cookie", "http_client_body", "http_server_body", "http_stat_code", "http_stat_msg":
		last.buffer = "other"
	case "startswith":
		last.start = true
	case "endswith":
		last.end = true
	case "bsize":
		last.start, last.end = true, true
	case "isdataat":
		last.end = last.end || strings.HasPrefix(strings.ReplaceAll(o.value, " ", ""), "!1,relative")
	case "depth":
		last.start = last.start || o.value == strconv.Itoa(len(last.content))
	}
	return buffer
}

// buffers returns the sticky buffer that a keyword makes current, old and
// new names alike.
func buffers(key string) (string, bool) {
	switch key {
	case "dns.query", "dns_query", "dns.queries.rrname":
		return "dns.query", true
	case "tls.sni", "tls_sni":
		return "tls.sni", true
	case "http.host", "http.host.raw":
		return "http.host", true
	case "http.user_agent":
		return "http.user_agent", true
	case "ja3.hash", "ja3_hash", "ja3s.hash":
		return "ja3.hash", true
	case "ja4.hash":
		return "ja4.hash", true
	case "tls.cert_fingerprint", "tls_cert_fingerprint":
		return "tls.cert_fingerprint", true
	case "pkt_data":
		return "", true
	}
	if strings.HasPrefix(key, "http.") || strings.HasPrefix(key, "tls.") || strings.HasPrefix(key, "tls_cert") || strings.HasPrefix(key, "file.") || strings.HasPrefix(key, "dns.") || strings.HasPrefix(key, "smtp.") || strings.HasPrefix(key, "ssh.") {
		return "other", true
	}
	return "", false
}

// value returns what the one content of a rule names.
func (m match) value(r *rule) ([]typed, string) {
	switch m.buffer {
	case "dns.query", "tls.sni", "http.host":
		if !m.end {
			return nil, "a part of a name, not one that ends it"
		}
		t := testudo.DomainIndicator
		if m.start {
			t = testudo.HostIndicator
		}
		return []typed{{t, strings.TrimPrefix(m.content, ".")}}, ""
	case "http.user_agent":
		if !m.start || !m.end {
			return nil, "a part of a user agent, not the whole"
		}
		return []typed{{testudo.AgentIndicator, m.content}}, ""
	case "ja3.hash":
		return []typed{{testudo.JA3Indicator, m.content}}, ""
	case "ja4.hash":
		return []typed{{testudo.JA4Indicator, m.content}}, ""
	case "tls.cert_fingerprint":
		return []typed{{testudo.CertIndicator, m.content}}, ""
	case "":
		if name, ok := wireName(m.content); ok && (r.proto == "dns" || r.port == "53") {
			return []typed{{testudo.DomainIndicator, name}}, ""
		}
		return nil, "bytes of a payload, no value"
	}
	return nil, "a value of a field that is not looked up"
}

// wireName reads the end of a name as DNS writes it: labels behind their
// lengths, and a zero.
func wireName(b string) (string, bool) {
	var labels []string
	for len(b) > 1 {
		n := int(b[0])
		if n == 0 || n > 63 || len(b) < 1+n {
			return "", false
		}
		labels, b = append(labels, b[1:1+n]), b[1+n:]
	}
	return strings.Join(labels, "."), b == "\x00" && len(labels) > 1
}

// maxAddresses bounds the addresses of one rule.
const maxAddresses = 4096

// addresses returns the addresses that a rule without contents lists, on the
// side that is not given as a variable.
func (r *rule) addresses() (all []typed, why string) {
	for _, list := range [...]string{r.source, r.target} {
		for one := range strings.SplitSeq(strings.Trim(list, "[]"), ",") {
			one = strings.Trim(strings.TrimSpace(one), "[]")
			if one == "" || one == "any" || one[0] == '$' || one[0] == '!' {
				continue
			}
			if t, _, ok := intel.Classify(one); !ok || t != testudo.AddressIndicator && t != testudo.PrefixIndicator {
				return nil, "an address list that is not plain"
			}
			if len(all) == maxAddresses {
				return nil, "a rule with more than 4096 addresses"
			}
			all = append(all, typed{testudo.AddressIndicator, one})
		}
	}
	if len(all) == 0 {
		return nil, "a rule that names no value"
	}
	return all, ""
}
