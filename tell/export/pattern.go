package export

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/testudo-shield/testudo"
)

// patternOf returns what matches an item and the language it is in: STIX
// patterning (STIX 2.1, part 9), or a Suricata rule for fingerprints of TLS.
func patternOf(it *item, sid int) (language, pattern string) {
	v := quote(it.Value)
	switch it.Type {
	case testudo.AddressIndicator:
		return "stix", fmt.Sprintf("[%s:value = %s]", family(it.addr.Is4()), v)
	case testudo.PrefixIndicator:
		return "stix", fmt.Sprintf("[%s:value ISSUBSET %s]", family(it.prefix.Addr().Is4()), v)
	case testudo.DomainIndicator:
		if strings.Contains(it.Value, "_") { // any character to LIKE
			return "stix", fmt.Sprintf("[domain-name:value = %s OR domain-name:value MATCHES %s]", v, quote(`\.`+regexp.QuoteMeta(it.Value)+"$"))
		}
		return "stix", fmt.Sprintf("[domain-name:value = %s OR domain-name:value LIKE %s]", v, quote("%."+it.Value))
	case testudo.HostIndicator:
		return "stix", fmt.Sprintf("[domain-name:value = %s]", v)
	case testudo.URLIndicator:
		return "stix", fmt.Sprintf("[url:value = %s OR url:value = %s]", quote("http://"+it.Value), quote("https://"+it.Value))
	case testudo.EmailIndicator:
		return "stix", fmt.Sprintf("[email-addr:value = %s]", v)
	case testudo.AgentIndicator:
		return "stix", fmt.Sprintf("[network-traffic:extensions.'http-request-ext'.request_header.'User-Agent'[*] = %s]", v)
	case testudo.CertIndicator:
		return "stix", fmt.Sprintf("[x509-certificate:hashes.%s = %s]", algorithm(it.Value), v)
	case testudo.HashIndicator:
		return "stix", fmt.Sprintf("[file:hashes.%s = %s]", algorithm(it.Value), v)
	}
	bodies, _ := ruleBodies(it)
	number, _ := newSIDs(sid, sid+99_999).next(bodies[0].match)
	return "suricata", fmt.Sprintf("alert %s (msg:%q; %ssid:%d; rev:1;)", bodies[0].head, ruleText(it), bodies[0].match, number)
}

func family(v4 bool) string {
	if v4 {
		return "ipv4-addr"
	}
	return "ipv6-addr"
}

// algorithm names a hash by its length, in the open vocabulary's spelling.
func algorithm(hash string) string {
	switch len(hash) {
	case 32:
		return "MD5"
	case 40:
		return "'SHA-1'"
	}
	return "'SHA-256'"
}

// quote writes a string constant of a pattern.
func quote(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}
