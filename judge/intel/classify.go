package intel

import (
	"net/netip"
	"strings"
	"unicode/utf8"

	"github.com/testudo-shield/testudo"
)

// Classify tells by its shape what sort of observable a value is, and returns
// it in the one form it is matched in (see Canonical). It undoes defanging. A
// name stands for all names below it, a URL without a path for its host, an
// address or a name with a port for itself without the port. An MD5, SHA-1 or
// SHA-256 is a HashIndicator: by its shape alone nobody can tell a file's
// from a certificate's or a JA3, and it is matched as all of them.
//
// It answers false for what is no observable: prose, a bare word, a broken
// value. It does not judge: a private address or a public suffix is an
// observable, see Mark.
func Classify(value string) (testudo.IndicatorType, string, bool) {
	v := Refang(value)
	if !plain(v) {
		return "", "", false
	}
	if t, c, ok := numeric(v); ok {
		return t, c, true
	}
	if c, ok := digest(v); ok {
		return testudo.HashIndicator, c, true
	}
	if c, ok := ja4(v); ok {
		return testudo.JA4Indicator, c, true
	}
	if strings.IndexByte(v, '/') >= 0 {
		return url(v)
	}
	if strings.IndexByte(v, '@') > 0 {
		c, ok := email(v)
		return testudo.EmailIndicator, c, ok
	}
	return domain(v)
}

// Canonical returns value, said by its source to be of type t, in the form it
// is matched in: refanged; addresses without zone, IPv4 out of its mapped
// form, prefixes masked; names in lower case, without a final dot, in their
// ASCII form (RFC 5891); URLs without scheme, user, default port and fragment;
// digests in lower case without colons; agents as they are. False means that
// value is none of that type. Unlike Classify it takes a name of one label.
func Canonical(t testudo.IndicatorType, value string) (string, bool) {
	if t == testudo.AgentIndicator {
		v := strings.TrimSpace(value)
		return v, plain(v)
	}
	v := Refang(value)
	if !plain(v) {
		return "", false
	}
	switch t {
	case testudo.DomainIndicator, testudo.HostIndicator:
		name, ok := Name(strings.TrimPrefix(v, "*."))
		return name, ok
	case testudo.EmailIndicator:
		return email(v)
	case testudo.JA4Indicator:
		return ja4(v)
	case testudo.CertIndicator, testudo.HashIndicator:
		return digest(strings.ReplaceAll(v, ":", ""))
	case testudo.JA3Indicator:
		c, ok := digest(v)
		return c, ok && len(c) == 32
	}
	shape, c, ok := Classify(v)
	return c, ok && shape == t
}

// maxValue bounds what is taken as a value: the longest URL in use.
const maxValue = 8 << 10

// plain tells whether v is a line of text.
func plain(v string) bool {
	for i := range len(v) {
		if v[i] < ' ' || v[i] == 0x7f {
			return false
		}
	}
	return v != "" && len(v) <= maxValue && utf8.ValidString(v)
}

// Refang undoes what lists do to keep a value from being clicked on:
// "hxxps[:]//spy[.]example" becomes "https://spy.example". Blanks and quotes
// around it go, too.
func Refang(v string) string {
	v = strings.Trim(v, " \t\r\n\"'")
	if strings.ContainsAny(v, `[({\`) {
		v = defanged.Replace(v)
	}
	if len(v) > 6 && (v[0] == 'h' || v[0] == 'H' || v[0] == 'f' || v[0] == 'F') {
		if scheme, rest, ok := cutScheme(v); ok {
			v = scheme4(scheme) + "://" + rest
		}
	}
	return v
}

var defanged = strings.NewReplacer(
	"[.]", ".", "(.)", ".", "{.}", ".", `\.`, ".", "[dot]", ".", "(dot)", ".", "[DOT]", ".",
	"[:]", ":", "[://]", "://", "[:]//", "://", "[/]", "/", "[@]", "@", "[at]", "@", "(at)", "@",
)

// cutScheme cuts "https" off "https://…".
func cutScheme(v string) (scheme, rest string, ok bool) {
	scheme, rest, ok = strings.Cut(v, "://")
	if !ok || strings.ContainsAny(scheme, "./?#@:") {
		return "", v, false
	}
	return scheme, rest, true
}

func scheme4(s string) string {
	switch s = strings.ToLower(s); s {
	case "hxxp", "hxxps":
		return strings.Replace(s, "xx", "tt", 1)
	case "fxp":
		return "ftp"
	}
	return s
}

// numeric reads addresses and prefixes, with or without a port.
func numeric(v string) (testudo.IndicatorType, string, bool) {
	if c := v[0]; c != '[' && c != ':' && !isHex(c) || !strings.ContainsAny(v, ".:") {
		return "", "", false // most names; saves the error of a closer look
	}
	if last := v[len(v)-1]; !isHex(last) && last != ']' && last != ':' && strings.IndexByte(v, '%') < 0 {
		return "", "", false
	}
	if a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(v, "["), "]")); err == nil {
		return testudo.AddressIndicator, a.Unmap().WithZone("").String(), true
	}
	if strings.IndexByte(v, '/') > 0 {
		return prefix(v)
	}
	if a, err := netip.ParseAddrPort(v); err == nil {
		return testudo.AddressIndicator, a.Addr().Unmap().WithZone("").String(), true
	}
	return "", "", false
}

func prefix(v string) (testudo.IndicatorType, string, bool) {
	p, err := netip.ParsePrefix(v)
	if err != nil {
		return "", "", false
	}
	if a := p.Addr(); a.Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
	}
	if p.IsSingleIP() {
		return testudo.AddressIndicator, p.Addr().String(), true
	}
	return testudo.PrefixIndicator, p.Masked().String(), true
}

// digest reads an MD5, SHA-1 or SHA-256.
func digest(v string) (string, bool) {
	if len(v) != 32 && len(v) != 40 && len(v) != 64 || !allHex(v) {
		return "", false
	}
	return strings.ToLower(v), true
}

// ja4 reads a JA4 as FoxIO's description gives it: a_b_c of 10, 12 and 12.
func ja4(v string) (string, bool) {
	if len(v) != 36 || v[10] != '_' || v[23] != '_' || !allHex(v[11:23]) || !allHex(v[24:]) || strings.IndexByte("tqdTQD", v[0]) < 0 {
		return "", false
	}
	for i := range 10 {
		if c := v[i] | 0x20; (v[i] < '0' || v[i] > '9') && (c < 'a' || c > 'z') {
			return "", false
		}
	}
	return strings.ToLower(v), true
}

func email(v string) (string, bool) {
	v = strings.TrimPrefix(v, "mailto:")
	i := strings.LastIndexByte(v, '@')
	if i < 1 || strings.ContainsAny(v[:i], " \t<>,;\"") {
		return "", false
	}
	host, ok := Name(v[i+1:])
	return strings.ToLower(v[:i]) + "@" + host, ok && i <= 64
}

// domain reads a name with a dot in it, with or without a port.
func domain(v string) (testudo.IndicatorType, string, bool) {
	bare := strings.TrimPrefix(withoutPort(v), "*")
	wild := len(bare) > 0 && bare[0] == '.'
	name, ok := Name(strings.TrimPrefix(bare, "."))
	if !ok || strings.IndexByte(name, '.') < 0 && !wild {
		return "", "", false
	}
	// A last label of one letter is prose: "e.g.".
	if last := name[strings.LastIndexByte(name, '.')+1:]; len(last) < 2 {
		return "", "", false
	}
	return testudo.DomainIndicator, name, true
}

// url reads a URL of the web or of FTP, with or without its scheme.
func url(v string) (testudo.IndicatorType, string, bool) {
	scheme, rest, _ := cutScheme(v)
	if scheme != "" && scheme != "http" && scheme != "https" && scheme != "ftp" {
		return "", "", false
	}
	cut := len(rest)
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		cut = i
	}
	host, path := rest[:cut], rest[cut:]
	if i := strings.LastIndexByte(host, '@'); i >= 0 {
		host = host[i+1:]
	}
	if i := strings.IndexByte(path, '#'); i >= 0 {
		path = path[:i]
	}
	t, name, port, ok := hostPort(host, scheme)
	if t == testudo.AddressIndicator && port == "" && len(path) > 1 && allDigits(path[1:]) {
		// Without a port it would read as a prefix.
		port = map[string]string{"http": ":80", "https": ":443", "ftp": ":21"}[scheme]
		if i := strings.LastIndexByte(host, ':'); port == "" && i > 0 && (host[i-1] == ']' || strings.IndexByte(host, ':') == i) {
			port = host[i:]
		}
		ok = ok && port != ""
	}
	switch {
	case !ok:
		return "", "", false
	case path == "" || path == "/":
		return t, name, true
	case path[0] != '/':
		path = "/" + path
	}
	if strings.IndexByte(name, ':') >= 0 {
		name = "[" + name + "]"
	}
	return testudo.URLIndicator, name + port + path, true
}

// hostPort splits a URL's host and returns its port, colon included, unless it
// is what the scheme means anyway.
func hostPort(hostport, scheme string) (t testudo.IndicatorType, host, port string, ok bool) {
	bare := withoutPort(hostport)
	port = hostport[len(bare):]
	if port == ":" || scheme != "https" && port == ":80" || scheme == "https" && port == ":443" {
		port = ""
	}
	if bare == "" {
		return "", "", "", false
	}
	if t, a, ok := numeric(bare); ok && t == testudo.AddressIndicator {
		return t, a, port, true
	}
	host, ok = Name(bare)
	return testudo.HostIndicator, host, port, ok && strings.IndexByte(host, '.') > 0
}

// withoutPort cuts a port off a name or an address in brackets.
func withoutPort(host string) string {
	i := strings.LastIndexByte(host, ':')
	if i > 0 && allDigits(host[i+1:]) && (strings.IndexByte(host, ':') == i || host[i-1] == ']') {
		return host[:i]
	}
	return host
}

// Name returns a host's or domain's name in lower case, without a final dot
// and in its ASCII form, and whether it is one (RFC 1035, 2.3.4; underscores
// are taken). A last label of digits is a number's.
func Name(v string) (string, bool) {
	v = strings.TrimSuffix(v, ".")
	if !ascii(v) {
		var ok bool
		if v, ok = toASCII(v); !ok {
			return "", false
		}
	}
	v = strings.ToLower(v)
	return v, isName(v)
}

// isName tells whether name is one in lower case.
func isName(name string) bool {
	if len(name) == 0 || len(name) > 253 {
		return false
	}
	label, digits := 0, true
	for i := range len(name) {
		switch c := name[i]; {
		case c == '.':
			if label == 0 {
				return false
			}
			label, digits = 0, true
			continue
		case c >= '0' && c <= '9':
		case c >= 'a' && c <= 'z', c == '_', c == '-' && label > 0:
			digits = false
		default:
			return false
		}
		if label++; label > 63 {
			return false
		}
	}
	return label > 0 && !digits
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f'
}

func allHex(s string) bool {
	for i := range len(s) {
		if !isHex(s[i]) {
			return false
		}
	}
	return true
}

func allDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}
