package report

import (
	"net/netip"
	"strings"
)

var (
	refang  = strings.NewReplacer("[.]", ".", "[:]", ":", "[@]", "@")
	fangDot = strings.NewReplacer(".", "[.]", "。", "[.]", "．", "[.]", "｡", "[.]", "@", "[@]")
)

// Defang returns one address, name or URL in a form that no program turns
// into a link: 203[.]0[.]113[.]7, 2001[:]db8[:][:]1, hxxps://a[.]example/x.y.
// Of a URL the scheme and the host change, the path does not. What is
// defanged already stays so. It is for what may be pasted elsewhere, and for
// a single value, not for prose.
func Defang(s string) string {
	s = refang.Replace(s)
	scheme, rest, isURL := strings.Cut(s, "://")
	if !isURL {
		scheme, rest = "", s
	}
	host, path := rest, ""
	if i := strings.IndexAny(rest, `/?#\`); i >= 0 {
		host, path = rest[:i], rest[i:]
	}
	host = defangHost(host)
	if !isURL {
		return host + path
	}
	switch lower := strings.ToLower(scheme); {
	case strings.HasPrefix(lower, "http"):
		scheme = "hxxp" + lower[len("http"):]
	case strings.HasPrefix(lower, "ftp"):
		scheme = "fxp" + lower[len("ftp"):]
	}
	return scheme + "://" + host + path
}

// defangHost defangs what stands between scheme and path.
func defangHost(host string) string {
	if a, err := netip.ParseAddr(host); err == nil && a.Is6() {
		return strings.ReplaceAll(fangDot.Replace(host), ":", "[:]")
	}
	if i, j := strings.IndexByte(host, '['), strings.LastIndexByte(host, ']'); i >= 0 && i < j {
		inner := strings.ReplaceAll(fangDot.Replace(host[i+1:j]), ":", "[:]")
		return fangDot.Replace(host[:i]) + "[" + inner + "]" + fangDot.Replace(host[j+1:])
	}
	return fangDot.Replace(host)
}
