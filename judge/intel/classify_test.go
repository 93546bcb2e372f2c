package intel

import (
	"strings"
	"testing"

	"github.com/testudo-shield/testudo"
)

// TestClassify holds what every format takes a value for, and its one form.
func TestClassify(t *testing.T) {
	md5, sha := strings.Repeat("0aF", 10)+"00", strings.Repeat("0123456789abcdef", 4)
	const ja4 = "t13d1516h2_8daaf6152771_02713d6af862"
	for _, c := range []struct{ in, typ, want string }{
		{"203.0.113.7", "address", "203.0.113.7"},
		{" 203[.]0[.]113[.]7 ", "address", "203.0.113.7"},
		{"203.0.113.7:8443", "address", "203.0.113.7"},
		{"[2001:DB8::7]:443", "address", "2001:db8::7"},
		{"[2001:db8::7]", "address", "2001:db8::7"},
		{"2001:db8:0::7", "address", "2001:db8::7"},
		{"fe80::1%eth0", "address", "fe80::1"},
		{"::ffff:203.0.113.7", "address", "203.0.113.7"},
		{"10.0.0.1", "address", "10.0.0.1"},
		{"203.0.113.7/32", "address", "203.0.113.7"},
		{"203.0.113.9/24", "prefix", "203.0.113.0/24"},
		{"::ffff:203.0.113.0/120", "prefix", "203.0.113.0/24"},
		{"0.0.0.0/0", "prefix", "0.0.0.0/0"},
		{"2001:db8::/48", "prefix", "2001:db8::/48"},
		{"spy.example", "domain", "spy.example"},
		{"Spy.Example.", "domain", "spy.example"},
		{"*.spy.example", "domain", "spy.example"},
		{".spy.example", "domain", "spy.example"},
		{"spy[dot]example", "domain", "spy.example"},
		{"spy.example:8080", "domain", "spy.example"},
		{"_dmarc.spy.example", "domain", "_dmarc.spy.example"},
		{"bücher.example", "domain", "xn--bcher-kva.example"},
		{"ドメイン名例.example", "domain", "xn--eckwd4c7cu47r2wf.example"},
		{"пример。испытание", "domain", "xn--e1afmkfd.xn--80akhbyknj4f"},
		{"bad.cafe", "domain", "bad.cafe"},
		{"co.uk", "domain", "co.uk"},
		{"*.com", "domain", "com"},
		{"hxxps[:]//spy[.]example/gate.php", "url", "spy.example/gate.php"},
		{"HXXP://Spy.example/Gate.php?id=1#top", "url", "spy.example/Gate.php?id=1"},
		{"http://spy.example?id=1", "url", "spy.example/?id=1"},
		{"http://u:p@spy.example:80/x", "url", "spy.example/x"},
		{"https://spy.example:8443/x", "url", "spy.example:8443/x"},
		{"spy.example/r?u=http://x.example", "url", "spy.example/r?u=http://x.example"},
		{"ftp://spy.example/x", "url", "spy.example/x"},
		{"spy.example/gate.php", "url", "spy.example/gate.php"},
		{"http://203.0.113.7:81/gate", "url", "203.0.113.7:81/gate"},
		{"http://[2001:db8::7]:80/gate", "url", "[2001:db8::7]/gate"},
		{"http://spy.example", "host", "spy.example"},
		{"https://spy.example:8443/", "host", "spy.example"},
		{"http://203.0.113.7/", "address", "203.0.113.7"},
		{`"spy.example"`, "domain", "spy.example"},
		{"Boss@Spy[.]example", "email", "boss@spy.example"},
		{md5, "hash", strings.ToLower(md5)},
		{sha, "hash", sha},
		{sha[:40], "hash", sha[:40]},
		{ja4, "ja4", ja4},

		{"", "", ""},
		{"com", "", ""},
		{"localhost", "", ""},
		{"This", "", ""},
		{"e.g.", "", ""},
		{"i.e.", "", ""},
		{"1.2.3", "", ""},
		{"1.2.3.4.5", "", ""},
		{"203.0.113.7/33", "", ""},
		{"spy..example", "", ""},
		{".", "", ""},
		{"-", "", ""},
		{"spy!.example", "", ""},
		{"\x1b[31mspy.example", "", ""},
		{"http://", "", ""},
		{"http:///path", "", ""},
		{"http://prose/path", "", ""},
		{"and/or", "", ""},
		{"gopher://spy.example/x", "", ""},
		{"http://http://spy.example", "", ""},
		{strings.Repeat("a", 64) + ".example", "", ""},
		{strings.Repeat("a.", 150) + "example", "", ""},
		{strings.Repeat("0", 31), "", ""},
		{"<html>", "", ""},
		{"@", "", ""},
		{"a@", "", ""},
		{"/", "", ""},
		{"//", "", ""},
		{"[", "", ""},
		{":", "", ""},
	} {
		typ, got, ok := Classify(c.in)
		if string(typ) != c.typ || got != c.want || ok != (c.typ != "") {
			if ok || c.typ != "" {
				t.Errorf("%q: %q %q %v, want %q %q", c.in, typ, got, ok, c.typ, c.want)
			}
		}
		if again, same, ok := Classify(got); c.typ != "" && c.typ != "host" && c.in != "*.com" && (again != typ || same != got || !ok) {
			t.Errorf("%q: its form %q is read as %q %q", c.in, got, again, same)
		}
	}
}

// TestCanonical holds the forms of values whose source names their type.
func TestCanonical(t *testing.T) {
	sha := strings.Repeat("0123456789abcdef", 4)
	for _, c := range []struct {
		t        testudo.IndicatorType
		in, want string
	}{
		{testudo.DomainIndicator, "COM.", "com"},
		{testudo.HostIndicator, "www.Spy.example", "www.spy.example"},
		{testudo.HostIndicator, "203.0.113.7", ""},
		{testudo.AddressIndicator, "203.0.113.7", "203.0.113.7"},
		{testudo.AddressIndicator, "203.0.113.0/24", ""},
		{testudo.PrefixIndicator, "203.0.113.7/24", "203.0.113.0/24"},
		{testudo.URLIndicator, "http://spy.example/x", "spy.example/x"},
		{testudo.URLIndicator, "spy.example", ""},
		{testudo.CertIndicator, "AB:" + strings.Repeat("cd:", 18) + "ef", "ab" + strings.Repeat("cd", 18) + "ef"},
		{testudo.JA3Indicator, sha[:32], sha[:32]},
		{testudo.JA3Indicator, sha, ""},
		{testudo.AgentIndicator, " Evil/1.0 (X) ", "Evil/1.0 (X)"},
		{testudo.EmailIndicator, "mailto:A@spy.example", "a@spy.example"},
	} {
		if got, ok := Canonical(c.t, c.in); ok != (c.want != "") || ok && got != c.want {
			t.Errorf("%s %q: %q %v, want %q", c.t, c.in, got, ok, c.want)
		}
	}
}

// FuzzClassify holds that no value breaks it and that its form is stable.
func FuzzClassify(f *testing.F) {
	for _, s := range []string{"203.0.113.7", "hxxp://a[.]b.example:1/x", "::ffff:0:0/96", "*.*.example", "://", "a@b.example", "[::1%]:1", "bücher.example"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, v string) {
		typ, form, ok := Classify(v)
		if !ok {
			return
		}
		if again, ok := Canonical(typ, form); !ok || again != form {
			t.Fatalf("%q is %s %q, and then %q %v", v, typ, form, again, ok)
		}
	})
}
