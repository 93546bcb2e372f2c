package state

import (
	"cmp"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// pattern is a value or scope of an allowance, read once. Nothing fits the
// zero one.
type pattern struct {
	prefix netip.Prefix
	name   string // a name; with below, all names under it too
	below  bool
	like   string // with * for any letters
}

func newPattern(s string) (p pattern) {
	if s == "" {
		return p
	}
	if a, err := netip.ParseAddr(s); err == nil {
		return pattern{prefix: netip.PrefixFrom(a, a.BitLen())}
	}
	if n, err := netip.ParsePrefix(s); err == nil {
		return pattern{prefix: n}
	}
	if rest, ok := strings.CutPrefix(s, "*."); ok && !strings.Contains(rest, "*") {
		return pattern{name: rest, below: true}
	}
	if strings.Contains(s, "*") {
		return pattern{like: s}
	}
	return pattern{name: s}
}

// any says whether everything fits.
func (p *pattern) any() bool { return p.like == "*" }

// fits says whether an address or the name it has is meant.
func (p *pattern) fits(a netip.Addr, name string) bool {
	switch {
	case p.prefix.IsValid():
		return a.IsValid() && p.prefix.Contains(a)
	case p.like != "":
		return p.any() || name != "" && like(p.like, name) || a.IsValid() && like(p.like, a.String())
	case p.name == "" || name == "":
		return false
	case p.below && strings.HasSuffix(name, p.name) && (len(name) == len(p.name) || name[len(name)-len(p.name)-1] == '.'):
		return true
	}
	return p.name == name
}

// like compares with * for any letters, in time that is at most the product
// of both lengths.
func like(pattern, s string) bool {
	head, rest, wild := strings.Cut(pattern, "*")
	if !wild {
		return pattern == s
	}
	if !strings.HasPrefix(s, head) {
		return false
	}
	s = s[len(head):]
	for {
		var part string
		if part, rest, wild = strings.Cut(rest, "*"); !wild {
			return strings.HasSuffix(s, part)
		}
		i := strings.Index(s, part)
		if i < 0 {
			return false
		}
		s = s[i+len(part):]
	}
}

// parent cuts a name's first label off.
func parent(name string) string {
	_, rest, _ := strings.Cut(name, ".")
	return rest
}

// samePort compares "tcp/443" or "443" with "tcp/443".
func samePort(want, port string) bool {
	if want == port {
		return true
	}
	_, number, ok := strings.Cut(port, "/")
	return ok && number == want
}

// tidy brings an allowance into the form it is kept in, or says what is
// wrong with it.
func (a *Allowance) tidy() error {
	a.Value, a.Source, a.Destination = canonical(a.Value), canonical(a.Source), canonical(a.Destination)
	a.Port, a.Network = strings.ToLower(strings.TrimSpace(a.Port)), canonical(a.Network)
	a.Why = strings.TrimSpace(a.Why)
	scoped := cmp.Or(a.Source, a.Destination, a.Port, a.Network) != ""
	_, err := netip.ParsePrefix(a.Network)
	switch {
	case a.List != Allow && a.List != Protect:
		return fmt.Errorf("%w: the lists are allow and protect, not %q", ErrInvalid, a.List)
	case a.Value == "":
		return fmt.Errorf("%w: name an address, a prefix, a name, or * for any", ErrInvalid)
	case everything(a.Value) && !scoped:
		return fmt.Errorf("%w: %s alone would silence everything; add a source, destination, port or network", ErrInvalid, a.Value)
	case misspelt(a.Value) || misspelt(a.Source) || misspelt(a.Destination):
		return fmt.Errorf("%w: neither an address, a prefix nor a name can look like this", ErrInvalid)
	case a.Why == "":
		return fmt.Errorf("%w: say why, whoever looks at it in a year will ask:  --why 'TEXT'", ErrInvalid)
	case a.Until != 0 && a.Until <= a.Since:
		return fmt.Errorf("%w: it ends %v, before it begins", ErrInvalid, a.Until)
	case a.Network != "" && err != nil:
		return fmt.Errorf("%w: network %q: want a prefix, as 10.0.0.0/8", ErrInvalid, a.Network)
	case a.Port != "" && !isPort(a.Port):
		return fmt.Errorf("%w: port %q: want 443 or tcp/443", ErrInvalid, a.Port)
	}
	return nil
}

// everything says whether a value fits any name or any address of a family.
func everything(value string) bool {
	n, err := netip.ParsePrefix(value)
	return err == nil && n.Bits() == 0 || strings.Trim(value, "*.") == ""
}

// misspelt says whether a value would be taken for a name that no machine
// has: with blanks or control characters in it, with a slash, or all digits,
// as a mistyped address or prefix. It would sit on the list and never fit.
func misspelt(value string) bool {
	if p := newPattern(value); p.prefix.IsValid() || value == "" {
		return false
	}
	strange := func(r rune) bool { return r <= ' ' || r == 0x7f || r == '/' }
	return strings.ContainsFunc(value, strange) || strings.Contains(value, ".") && strings.Trim(value, "0123456789.") == ""
}

func isPort(s string) bool {
	if _, number, ok := strings.Cut(s, "/"); ok {
		s = number
	}
	_, err := strconv.ParseUint(s, 10, 16)
	return err == nil
}
