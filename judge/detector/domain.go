package detector

import (
	"strings"

	"golang.org/x/net/publicsuffix"
)

// RegisteredDomain returns the registered domain of name by the public suffix
// list, or name in lower case without its final dot where it has none.
func RegisteredDomain(name string) string {
	domain, _ := Registered(strings.TrimSuffix(strings.ToLower(name), "."))
	return domain
}

// Registered returns the registered domain of name, which must be in lower
// case and without a final dot, or name itself where it has none; and whether
// the list knows its suffix, so that somebody can have registered it.
func Registered(name string) (domain string, public bool) {
	suffix, icann := publicsuffix.PublicSuffix(name)
	public = icann || strings.IndexByte(suffix, '.') >= 0
	end := len(name) - len(suffix) - 1
	if end <= 0 || name[0] == '.' || name[len(name)-1] == '.' || name[end] != '.' || strings.Contains(name, "..") {
		return name, public
	}
	return name[1+strings.LastIndexByte(name[:end], '.'):], public
}
