package detector

import (
	"testing"

	"golang.org/x/net/publicsuffix"
)

func TestRegisteredDomain(t *testing.T) {
	for name, want := range map[string]string{
		"":                         "",
		"localhost":                "localhost",
		"WWW.Example.COM.":         "example.com",
		"a.b.example.co.uk":        "example.co.uk",
		"co.uk":                    "co.uk",
		"host.corp.internal":       "corp.internal",
		"x.y.github.io":            "y.github.io",
		"..":                       ".",
		".example.com":             ".example.com",
		"a..example.com":           "a..example.com",
		"192.0.2.1":                "192.0.2.1",
		"printer.lan":              "printer.lan",
		"deep.er.printer.unlisted": "printer.unlisted",
	} {
		if got := RegisteredDomain(name); got != want {
			t.Errorf("RegisteredDomain(%q) = %q, want %q", name, got, want)
		}
	}
	for name, want := range map[string]bool{"a.example.com": true, "b.github.io": true, "a.corp.internal": false, "x": false} {
		if _, public := Registered(name); public != want {
			t.Errorf("Registered(%q) public = %v", name, public)
		}
	}
}

// FuzzRegistered holds that names from the wire, whatever they are, give the
// domain that the list's own package gives.
func FuzzRegistered(f *testing.F) {
	for _, s := range []string{"www.example.com", "a.b.co.uk", "..", ".", "x", "a..b", "1.2.3.4", "::1", "a.ck", "www.ck", "\xff.\x00.com"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		got, _ := Registered(name)
		want, err := publicsuffix.EffectiveTLDPlusOne(name)
		if err != nil {
			want = name
		}
		if got != want {
			t.Errorf("Registered(%q) = %q, want %q", name, got, want)
		}
	})
}
