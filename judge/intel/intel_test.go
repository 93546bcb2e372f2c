package intel

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/testudo-shield/testudo"
)

func set(t testing.TB, list string) *Set {
	t.Helper()
	s := NewSet()
	if err := s.Add("list", strings.NewReader(list)); err != nil && !errors.Is(err, ErrNone) {
		t.Fatal(err)
	}
	return s
}

// TestLines holds what is read as an indicator and what is refused.
func TestLines(t *testing.T) {
	md5, sha := strings.Repeat("0aF", 10)+"00", strings.Repeat("0123456789abcdef", 4)
	for _, c := range []struct {
		line string
		want bool
	}{
		{"203.0.113.7", true},
		{"203[.]0[.]113[.]7", true},
		{"203.0.113.7:8443", true},
		{"[2001:db8::7]:443", true},
		{"2001:db8::7", true},
		{"::ffff:203.0.113.7", true},
		{"203.0.113.0/24", true},
		{"2001:db8::/48", true},
		{"spy.example", true},
		{"Spy.Example.", true},
		{"*.spy.example", true},
		{"spy[.]example # seen in May", true},
		{"spy.example,c2,high", true},
		{"spy.example:8080", true},
		{"_dmarc.spy.example", true},
		{"hxxps://spy[.]example/gate.php", true},
		{"HXXP://spy.example/gate.php", true},
		{"http://spy.example", true},
		{"https://spy.example:8443/", true},
		{"http://203.0.113.7/gate", true},
		{"http://[2001:db8::7]:80/gate", true},
		{`"spy.example"`, true},
		{md5, true},
		{sha, true},
		{"t13d1516h2_8daaf6152771_02713d6af862", true},

		{"10.0.0.1", false}, // private and reserved
		{"172.20.1.1", false},
		{"192.168.1.0/24", false},
		{"127.0.0.1", false},
		{"0.0.0.0", false},
		{"0.1.2.3", false},
		{"100.64.0.9", false},
		{"169.254.1.1", false},
		{"224.0.0.1", false},
		{"240.0.0.1", false},
		{"255.255.255.255", false},
		{"::1", false},
		{"::", false},
		{"fe80::1%eth0", false},
		{"fd00::1", false},
		{"::ffff:10.0.0.1", false},
		{"10.0.0.1:80", false},
		{"http://192.168.1.1/admin", false},
		{"0.0.0.0/0", false}, // too wide
		{"::/0", false},
		{"128.0.0.0/1", false},
		{"172.0.0.0/8", false}, // holds private ones
		{"192.0.0.0/8", false},
		{"100.0.0.0/8", false},
		{"fc00::/20", false},
		{"com", false}, // public suffixes
		{"co.uk", false},
		{"github.io", false},
		{"*.com", false},
		{"localhost", false}, // no domain
		{"example", false},
		{"This", false},
		{"e.g.", false},
		{"i.e.", false},
		{"1.2.3", false},
		{"1.2.3.4.5", false},
		{"spy..example", false},
		{".", false},
		{"-", false},
		{"spy!.example", false},
		{"ſpy.example", false},
		{"\x1b[31mspy.example", false},
		{"http://", false},
		{"http:///path", false},
		{"http://prose/path", false},
		{"ftp://spy.example/x", false},
		{"http://http://spy.example", false},
		{strings.Repeat("a", 64) + ".example", false},
		{strings.Repeat("a.", 150) + "example", false},
		{strings.Repeat("0", 31), false},
		{"<html>", false},
	} {
		s := set(t, c.line+"\n")
		n := 0
		if c.want {
			n = 1
		}
		if s.Len() != n || s.Refused != 1-n {
			t.Errorf("%q: %d indicators, %d refused; want it taken: %v", c.line, s.Len(), s.Refused, c.want)
		}
	}
}

// TestList holds comments, notes and counts of whole lists.
func TestList(t *testing.T) {
	s := set(t, "# a list\r\n; of things\r\n\r\n  spy.example\tgate of X \r\n203.0.113.7 , seen twice\nspy.example again\nnot one\n")
	if s.Len() != 2 || s.Refused != 1 || s.Lists() != 1 {
		t.Errorf("%d indicators, %d refused, %d lists", s.Len(), s.Refused, s.Lists())
	}
	if err := s.Add("prose", strings.NewReader("Dear reader,\nnothing here.\n")); !errors.Is(err, ErrNone) {
		t.Errorf("prose: %v", err)
	}
	if err := s.Add("empty", strings.NewReader("# nothing today\n")); err != nil {
		t.Errorf("an empty list: %v", err)
	}
	if err := s.Add("the same again", strings.NewReader("spy.example\nprose\n")); err != nil || s.Lists() != 3 || s.Len() != 2 {
		t.Errorf("a list that says nothing new: %v, %d lists", err, s.Lists())
	}
	if err := s.Add("binary", strings.NewReader(strings.Repeat("\x00\x01", 1<<20))); err == nil {
		t.Error("a line of 2 MB is taken")
	}
	hits := s.Match(&testudo.DNS{Query: "spy.example"})
	if len(hits) != 1 || hits[0].Source != "the same again" {
		t.Errorf("hits %+v", hits)
	}
}

func ends(orig, resp string) testudo.Meta {
	return testudo.Meta{ID: testudo.ConnID{Orig: netip.MustParseAddrPort(orig), Resp: netip.MustParseAddrPort(resp)}}
}

// TestMatch holds which fields of which records are looked up.
func TestMatch(t *testing.T) {
	ja3 := strings.Repeat("ab", 16)
	cert := strings.Repeat("cd", 32)
	s := set(t, strings.Join([]string{
		"203.0.113.7", "198.51.100.0/25", "2001:db8::/48", "spy.example", "https://drop.example/Gate.php?id=1",
		ja3, "t13d1516h2_8daaf6152771_02713d6af862", strings.ToUpper(cert), "http://port.example:8080/x",
	}, "\n"))
	here := ends("10.0.0.5:4000", "192.0.2.1:443")
	for _, c := range []struct {
		name string
		r    testudo.Record
		want []string // field=value
	}{
		{"none", &testudo.Conn{Meta: here}, nil},
		{"resp", &testudo.Conn{Meta: ends("10.0.0.5:4000", "203.0.113.7:443")}, []string{"resp=203.0.113.7"}},
		{"orig", &testudo.Conn{Meta: ends("203.0.113.7:4000", "10.0.0.5:22")}, []string{"orig=203.0.113.7"}},
		{"prefix", &testudo.Conn{Meta: ends("10.0.0.5:4000", "198.51.100.127:443")}, []string{"resp=198.51.100.0/25"}},
		{"beside the prefix", &testudo.Conn{Meta: ends("10.0.0.5:4000", "198.51.100.128:443")}, nil},
		{"six", &testudo.Conn{Meta: ends("[fd00::1]:4000", "[2001:db8::99]:443")}, []string{"resp=2001:db8::/48"}},
		{"query", &testudo.DNS{Meta: here, Query: "a.b.SPY.example."}, []string{"query=spy.example"}},
		{"a name that only ends alike", &testudo.DNS{Meta: here, Query: "notspy.example"}, nil},
		{"the domain above", &testudo.DNS{Meta: here, Query: "example"}, nil},
		{"answer", &testudo.DNS{Meta: here, Query: "x.example", Addresses: []netip.Addr{netip.MustParseAddr("203.0.113.7"), {}}}, []string{"answer=203.0.113.7"}},
		{"tls", &testudo.TLS{Meta: here, ServerName: "spy.example", JA3: ja3, JA4: "t13d1516h2_8daaf6152771_02713d6af862"}, []string{"server_name=spy.example", "ja3=" + ja3, "ja4=t13d1516h2_8daaf6152771_02713d6af862"}},
		{"certificate", &testudo.X509{Meta: here, Fingerprint: cert}, []string{"certificate=" + cert}},
		{"empty fields", &testudo.TLS{Meta: here}, nil},
		{"host", &testudo.HTTP{Meta: here, Host: "spy.example"}, []string{"host=spy.example"}},
		{"host with a port", &testudo.HTTP{Meta: here, Host: "www.spy.example:8080"}, []string{"host=spy.example"}},
		{"url", &testudo.HTTP{Meta: here, Host: "Drop.example", URI: "/Gate.php?id=1"}, []string{"url=Drop.example/Gate.php?id=1"}},
		{"another path", &testudo.HTTP{Meta: here, Host: "drop.example", URI: "/index.html"}, nil},
		{"url with a port", &testudo.HTTP{Meta: here, Host: "port.example:8080", URI: "/x"}, []string{"url=port.example:8080/x"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for _, h := range s.Match(c.r) {
				got = append(got, fmt.Sprintf("%s=%s", h.Field, h.Value))
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("hits %v, want %v", got, c.want)
			}
		})
	}
}

// FuzzList holds that no list breaks the reader, that every line is taken or
// refused, and that nothing of our own can be listed.
func FuzzList(f *testing.F) {
	for _, s := range []string{
		"203.0.113.7\nspy.example note\n# c\n", "hxxp://a[.]b.example:1/x", "http://http://", "10.0.0.0/8\n::ffff:0:0/96", "http://[::1]/a",
		"*.*.example", "\x00", "://", "0.0.0.0 spy.example", "t13d1516h2_8daaf6152771_02713d6af862",
	} {
		f.Add(s)
	}
	own := []string{"10.0.0.1:1", "192.168.1.1:1", "172.16.0.1:1", "127.0.0.1:1", "100.64.0.1:1", "[fd00::1]:1", "[fe80::1]:1", "[::1]:1"}
	f.Fuzz(func(t *testing.T, list string) {
		s := NewSet()
		_ = s.Add("list", strings.NewReader(list))
		if n := len(strings.Split(list, "\n")); s.Len()+s.Refused > n {
			t.Fatalf("%d taken and %d refused of %d lines", s.Len(), s.Refused, n)
		}
		for _, a := range own {
			if hits := s.Match(&testudo.Conn{Meta: ends(a, a)}); len(hits) > 0 {
				t.Fatalf("%s is listed: %+v", a, hits)
			}
		}
		for _, name := range []string{"com", "co.uk", "", "."} {
			if hits := s.Match(&testudo.DNS{Query: name}); len(hits) > 0 {
				t.Fatalf("%q is listed: %+v", name, hits)
			}
		}
		s.Match(&testudo.HTTP{Host: list, URI: list})
	})
}

// TestRefusals holds that a list of nothing usable says what it holds instead.
func TestRefusals(t *testing.T) {
	err := NewSet().Add("list", strings.NewReader("# comment\n10.0.0.1\n0.0.0.0/0\nhttp://10.0.0.1/x\nco.uk\nDear reader,\n"))
	want := "refused 3 private, reserved or too wide addresses, 1 public suffix, 1 line of prose or a bare word;"
	if !errors.Is(err, ErrNone) || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %q", err, want)
	}
}
