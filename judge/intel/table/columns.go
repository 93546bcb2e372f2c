package table

import (
	"strings"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/intel"
)

// What a column holds: a value of a type that its name says, which is then
// the type's word, or one of these.
const (
	valueRole      = "value" // of any type
	typeRole       = "type"
	portRole       = "port"
	firstRole      = "first"
	lastRole       = "last"
	expiresRole    = "expires"
	confidenceRole = "confidence"
	tlpRole        = "tlp"
	licenceRole    = "licence"
	threatRole     = "threat"
	noteRole       = "note"
	detectRole     = "to_ids" // whether the value is meant for detection
)

// header is what a table's columns hold, "" for what is not read.
type header struct {
	separator byte
	roles     []string
}

// cell returns the first cell of a row that holds role and is not empty.
func (h header) cell(cells []string, role string) string {
	for i, r := range h.roles {
		if r == role && i < len(cells) && strings.TrimSpace(cells[i]) != "" {
			return strings.TrimSpace(cells[i])
		}
	}
	return ""
}

// headerOf reads a line as a header. It is one if a column is named for
// values and no cell is itself an indicator or a sentence.
func headerOf(line string) (h header, ok bool) {
	line = strings.TrimSpace(strings.TrimLeft(line, "# \t"))
	h.separator = separatorOf(line)
	cells, whole := split(line, h.separator)
	if !whole || len(cells) > 256 {
		return header{}, false
	}
	for _, c := range cells {
		if _, _, bad := intel.Classify(c); bad || len(c) > 48 || strings.Count(strings.TrimSpace(c), " ") > 3 {
			return header{}, false
		}
		role := roleOf(c)
		_, typed := typeNamed(role)
		ok = ok || typed || role == valueRole
		h.roles = append(h.roles, role)
	}
	if !ok {
		return header{}, false
	}
	return h, true
}

// commented reads a header in a comment: two columns that are known at least,
// and more than half or all of one word, lest prose be taken for one.
func commented(line string) (header, bool) {
	h, ok := headerOf(line)
	known := 0
	for _, r := range h.roles {
		if r != "" {
			known++
		}
	}
	words := !strings.Contains(strings.Trim(line, "# \t"), " ") || known*2 > len(h.roles)
	return h, ok && known > 1 && words
}

// separatorOf returns the most frequent of the separators in use.
func separatorOf(line string) byte {
	best, most := byte(','), 0
	for _, s := range []byte{'\t', ',', ';', '|'} {
		if n := strings.Count(line, string(s)); n > most {
			best, most = s, n
		}
	}
	return best
}

// split cuts a row into cells; whole is false where a quote is still open.
// Quotes stand around a whole cell and are doubled inside (RFC 4180).
func split(row string, separator byte) (cells []string, whole bool) {
	row = strings.TrimRight(row, "\r")
	for {
		rest := strings.TrimLeft(row, " ")
		if len(rest) == 0 || rest[0] != '"' {
			i := strings.IndexByte(row, separator)
			if i < 0 {
				return append(cells, row), true
			}
			cells, row = append(cells, row[:i]), row[i+1:]
			continue
		}
		end := closing(rest)
		if end < 0 {
			return cells, false
		}
		cells = append(cells, strings.ReplaceAll(rest[1:end], `""`, `"`))
		i := strings.IndexByte(rest[end:], separator)
		if i < 0 {
			return cells, true
		}
		row = rest[end+i+1:]
	}
}

// closing returns where the quote at the beginning of s is closed, -1 if it
// is not.
func closing(s string) int {
	for i := 1; i < len(s); i++ {
		if s[i] != '"' {
			continue
		}
		if i+1 < len(s) && s[i+1] == '"' {
			i++
			continue
		}
		return i
	}
	return -1
}

// folded writes a column's or a type's name in one way.
func folded(name string) string {
	var b strings.Builder
	for _, c := range strings.ToLower(strings.Trim(name, " \t\"'#")) {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
			b.WriteRune(c)
		}
	}
	return b.String()
}

// roleOf says what a column holds by its name.
func roleOf(column string) string {
	switch name := folded(column); name {
	case "value", "indicator", "indicatorvalue", "ioc", "iocvalue", "iocs", "observable", "observablevalue", "artifact", "indicatorofcompromise", "threatindicator", "fingerprint":
		return valueRole
	case "type", "ioctype", "indicatortype", "entitytype", "valuetype", "observabletype", "datatype", "kind", "iocclass":
		return typeRole
	case "port", "dstport", "destport", "destinationport", "c2port":
		return portRole
	case "first", "firstseen", "firstseenutc", "firstseendate", "firstseenat", "datefirstseen", "dateadded", "added", "created", "createdat", "createddate", "date", "listingdate", "datedetected", "timestamp", "validfrom", "published":
		return firstRole
	case "last", "lastseen", "lastseenutc", "lastseenat", "datelastseen", "lastonline", "updated", "updatedat", "modified", "modifiedat", "lastupdated":
		return lastRole
	case "expires", "expiry", "expiration", "expirationdate", "expiresat", "validuntil", "validto":
		return expiresRole
	case "confidence", "confidencelevel", "confidencescore", "certainty":
		return confidenceRole
	case "tlp", "trafficlightprotocol", "marking":
		return tlpRole
	case "toids":
		return detectRole
	case "licence", "license":
		return licenceRole
	case "malware", "malwarefamily", "malwareprintable", "malwarename", "signature", "family", "actor", "threatactor", "threatactors", "adversary", "group", "aptgroup", "campaign", "campaigns", "intrusionset", "threatname", "tool", "mitre", "attackids":
		return threatRole
	case "note", "notes", "description", "desc", "comment", "comments", "reason", "listingreason", "details", "context", "title", "name", "label", "labels", "tag", "tags", "threat", "threattype", "category", "source", "sources", "provider", "reporter", "reference", "references", "ref", "application", "app", "library", "role", "status", "c2status":
		return noteRole
	case "file":
		return "" // its name
	default:
		if typ, _ := typeOf(name); typ != "" {
			return string(typ)
		}
	}
	return ""
}

// typeNamed tells whether a role is a type's word.
func typeNamed(role string) (testudo.IndicatorType, bool) {
	switch t := testudo.IndicatorType(role); t {
	case testudo.AddressIndicator, testudo.PrefixIndicator, testudo.DomainIndicator, testudo.URLIndicator, testudo.EmailIndicator,
		testudo.AgentIndicator, testudo.JA3Indicator, testudo.JA4Indicator, testudo.CertIndicator, testudo.HashIndicator:
		return t, true
	}
	return "", false
}

// typeOf says what a word means as a type: ours, "" for a word that says
// nothing of it, or other for one that is known and not looked up. What
// vendors call a host may be a domain, so it stands for all below it.
func typeOf(word string) (typ testudo.IndicatorType, other string) {
	switch name := folded(word); name {
	case "ip", "ips", "ipaddress", "ipaddresses", "ipaddr", "ipv4", "ipv6", "ipv4addr", "ipv6addr", "ipv4address", "ipv6address", "ipdst", "ipsrc", "ipport", "ipdstport", "dstip", "destip", "destinationip", "srcip", "sourceip", "c2ip", "c2ipaddress", "hostip", "address", "addr", "remoteip", "ipv4ip":
		return testudo.AddressIndicator, ""
	case "cidr", "subnet", "network", "netblock", "prefix", "iprange", "ipv4cidr", "ipv6cidr", "ipcidr":
		return testudo.PrefixIndicator, ""
	case "domain", "domains", "domainname", "domainnames", "fqdn", "hostname", "hostnames", "host", "c2domain", "c2server", "c2host", "domainip", "subdomain":
		return testudo.DomainIndicator, ""
	case "url", "urls", "uri", "phishurl", "c2url", "fullurl", "malwareurl":
		return testudo.URLIndicator, ""
	case "email", "emails", "emailaddress", "emailaddr", "emailsender", "emailsrc", "emaildst", "sender", "mail":
		return testudo.EmailIndicator, ""
	case "useragent", "httpuseragent", "ua":
		return testudo.AgentIndicator, ""
	case "ja3", "ja3md5", "ja3hash", "ja3digest", "ja3fingerprint", "ja3s", "ja3fingerprintmd5":
		return testudo.JA3Indicator, ""
	case "ja4", "ja4fingerprint", "ja4hash":
		return testudo.JA4Indicator, ""
	case "certsha1", "certsha256", "certhash", "certfingerprint", "certificatesha1", "certificatesha256", "sslsha1", "sslcertsha1", "tlscertsha1", "sslcert", "certificate", "x509fingerprintsha1", "x509fingerprintsha256", "x509fingerprint":
		return testudo.CertIndicator, ""
	case "md5", "sha1", "sha256", "md5hash", "sha1hash", "sha256hash", "hash", "hashes", "filehash", "file", "filehashmd5", "filehashsha1", "filehashsha256", "filemd5", "filesha1", "filesha256", "hashmd5", "hashsha1", "hashsha256", "malwaresha256":
		return testudo.HashIndicator, ""
	case "filename", "filepath", "path", "mutex", "registry", "registrykey", "regkey", "process", "cve", "vulnerability", "yara", "yararule", "sigma", "snort", "pdb", "imphash", "ssdeep", "tlsh", "sha512", "sha384", "sha224", "authentihash", "btc", "bitcoinaddress", "cryptocurrencyaddress", "wallet", "service", "namedpipe", "commandline", "jarm", "asn", "as", "username", "phone", "emailsubject", "attachment", "package", "hassh":
		return "", intel.Word(word)
	}
	return "", ""
}
