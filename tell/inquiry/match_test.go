package inquiry

import (
	"net/netip"
	"testing"
	"time"

	"github.com/testudo-shield/testudo"
)

func at(orig, resp string) testudo.Meta {
	return testudo.Meta{Time: noon, UID: 7, ID: testudo.ConnID{Orig: netip.MustParseAddrPort(orig), Resp: netip.MustParseAddrPort(resp), Proto: testudo.TCP}}
}

func TestMatches(t *testing.T) {
	yes := true
	conn := &testudo.Conn{Meta: at("10.0.0.5:50000", "203.0.113.7:443"), Service: "ssl,http", Duration: 10 * time.Minute, OrigBytes: 2_000_000, RespBytes: 10}
	dns := &testudo.DNS{Meta: at("10.0.0.5:5353", "10.0.0.1:53"), Query: "Www.Bad.example", Answers: []string{"cname.example", "198.51.100.9"}, RTT: 20 * time.Millisecond}
	tls := &testudo.TLS{Meta: at("[2001:db8::5]:50000", "[2001:db8::7]:443"), ServerName: "bad.example", JA4: "t13d190900_9dc949149365_97f8aa674fd9", Chain: []string{"ABCD"}}
	http := &testudo.HTTP{Meta: at("[::ffff:10.0.0.6]:1", "203.0.113.7:80"), Host: "files.example", URI: "/a/b.bin", UserAgent: "Mozilla/4.0", Status: 404}
	ssh := &testudo.SSH{Meta: at("10.0.0.5:1", "10.0.0.9:22"), AuthSuccess: &yes}
	all := map[string]testudo.Record{"conn": conn, "dns": dns, "ssl": tls, "http": http, "ssh": ssh}
	for question, want := range map[string]string{
		"":             "conn dns ssl http ssh",
		"src:10.0.0.5": "conn dns ssh", "dst:203.0.113.7": "conn http", "host:10.0.0.6": "http", "net:10.0.0.0/8": "conn dns http ssh", "net:2001:db8::/32": "ssl",
		"198.51.100.9": "dns", "-198.51.100.9": "conn ssl http ssh", "src:10.0.*": "conn dns http ssh",
		"bad.example": "dns ssl", "name:bad.example": "ssl", "name:*.bad.example": "dns ssl", "name:www*": "dns", "-name:*.bad.example": "http",
		"service:http": "conn", "port:443": "conn ssl", "proto:tcp log:dns": "dns", "bytes>1e6": "conn", "bytes<100": "conn",
		"duration>=10m": "conn", "duration>10m": "", "rtt<=0.02": "dns", "print:abcd": "ssl", "ja4:t13d*": "ssl", "http://files.example/a/b.bin": "http",
		"uri:/a/*": "http", "agent:mozilla*": "http", "status_code>=400": "http", "auth_success:T": "ssh", "-auth_success:T": "", "AA:F": "dns",
		"since:1h": "conn dns ssl http ssh", "until:1h": "", "src:10.0.0.5 log:ssh,conn": "conn ssh", "query!=x": "dns",
		"uid:" + testudo.UID(7).String(): "conn dns ssl http ssh",
	} {
		q, err := Parse(question, noon)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, name := range []string{"conn", "dns", "ssl", "http", "ssh"} {
			if Matches(q, all[name]) {
				got += " " + name
			}
		}
		if got != "" {
			got = got[1:]
		}
		if got != want {
			t.Errorf("%q matches %q, want %q", question, got, want)
		}
	}
	for _, c := range []struct {
		values testudo.Values
		want   string
	}{
		{testudo.Values{Addresses: []netip.Addr{netip.MustParseAddr("198.51.100.9"), netip.MustParseAddr("10.0.0.6")}}, "dns http"},
		{testudo.Values{Prefixes: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}}, "conn http"},
		{testudo.Values{Names: []string{"bad.example"}, Prints: []string{"abcd"}, URLs: []string{"files.example/a/b.bin"}}, "dns ssl http"},
		{testudo.Values{}, ""},
	} {
		got := ""
		for _, name := range []string{"conn", "dns", "ssl", "http", "ssh"} {
			if Matches(testudo.Query{Values: &c.values}, all[name]) {
				got += " " + name
			}
		}
		if got != "" && got[1:] != c.want || got == "" && c.want != "" {
			t.Errorf("%+v match %q, want %q", c.values, got, c.want)
		}
	}
}

func TestMatcherRefuses(t *testing.T) {
	for _, term := range []testudo.Term{
		{Field: "nonsense", Op: testudo.Equal, Text: "x"}, {Field: "id.resp_p", Op: testudo.Equal, Text: "https"}, {Field: "id.resp_h", Op: testudo.Equal, Text: "x"},
	} {
		if _, err := NewMatcher(testudo.Query{Where: []testudo.Term{term}}); err == nil {
			t.Errorf("%+v is taken", term)
		}
	}
}

func TestLike(t *testing.T) {
	for _, c := range []struct {
		s, pattern string
		want       bool
	}{
		{"abc", "abc", true},
		{"abc", "a*", true},
		{"abc", "*c", true},
		{"abc", "a*c", true},
		{"ac", "a*c", true},
		{"abcbd", "a*b*d", true},
		{"abc", "*b*", true},
		{"abc", "*d*", false},
		{"a", "a*a", false},
		{"", "*", true},
		{"abc", "b*", false},
		{"abab", "*ab", true},
	} {
		if got := like(c.s, c.pattern); got != c.want {
			t.Errorf("%q like %q is %v", c.s, c.pattern, got)
		}
	}
}

func BenchmarkMatches(b *testing.B) {
	q, _ := Parse("src:10.0.0.0/8 name:*.example bytes>1e6", noon)
	m, _ := NewMatcher(q)
	r := &testudo.Conn{Meta: at("10.0.0.5:50000", "203.0.113.7:443")}
	b.ReportAllocs()
	for b.Loop() {
		m.Matches(r)
	}
}
