package channel

import (
	"strings"
	"testing"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/detector"
	"github.com/testudo-shield/testudo/judge/detector/detectortest"
)

func TestGolden(t *testing.T) { detectortest.Golden(t, Detector()) }

func TestSmuggled(t *testing.T) {
	for _, c := range []struct {
		uri   string
		class int // -1 for none
	}{
		{"/item?id=1'+or+'1'='1", query},
		{"/item?id=1%2527%2520UNION%2520ALL%2520SELECT%25201,2", query},
		{"/item?id=7;waitfor", -1},
		{"/odata/items?$filter=name+eq+'a'+and+(price+gt+3)", -1},
		{"/odata/items?$filter=name+eq+'o''neill'+and+(price+gt+3)", -1},
		{"/q?s=union+all+select+*", -1},
		{"/q?s=how+does+union+all+select+*+work", -1},
		{"/console?sql=select+a,b+from+c+where+d=1+union+select+e,f+from+g", -1},
		{"/item?id=x'='y'+or+'1'='1", query},
		{"/item/7'+or+1=1--", query},
		{"{\"id\":\"1'+or+'1'='1\"}", query},
		{"{\"q\":\"name+eq+'a'+and+(price+gt+3)\",\"n\":\"b\"}", -1},
		{"/a/b/../../../x.css", -1},
		{"/static/../../conf", -1},
		{"/static/../../../conf", climb},
		{"/logs?q=exec(cmd)", -1},
		{"/p?x=system('id')", command},
		{"/item?id=1' AND sleep(5)--", query},
		{"/q?s=rock+'n'+roll+and+more", -1},
		{"/q?s=trade+union+to+select+leader", -1},
		{"/q?s=western+union+select+branch", -1},
		{"/item?id=1/**/union/**/distinct/**/select/**/1,2", query},
		{"/q?t=o'neill+or+smith", -1},
		{"/a/../b/../c", -1},
		{"/a?f=../../../../etc/shadow", climb},
		{"/a/%2e%2e/%2e%2e/%2e%2e/%2e%2e/bin/sh", climb},
		{"/a?f=/etc/passwd", climb},
		{"/x?n=%3Cscript%3Ealert(1)%3C/script%3E", script},
		{"/x?n=typescript", -1},
		{"/x?n=${jndi:ldap://198.51.100.1/a}", lookup},
		{"/x?n=%24%7B%24%7Blower:j%7Dndi%7D", lookup},
		{"/x?price=${AUCTION_PRICE}", -1},
		{"/x?n=%25{(1+1)}", lookup},
		{"/ping?h=1.1.1.1;cat+/proc/version", command},
		{"/ping?h=`busybox+wget`", command},
		{"/ping?h=$(cd+/tmp)", command},
		{"/p?f=array();phpinfo();exit;", command},
		{"/p?list=a;b;c|d", -1},
		{"/evaluate(this)", -1},
		{"/.env", secret},
		{"/app/.git/config?x", secret},
		{"/environment", -1},
	} {
		var room [256]byte
		line := plain(room[:0], c.uri)
		for class := range classes {
			if got, want := smuggled(class, line), class == c.class; got != want {
				t.Errorf("%s: class %d is %v, want %v", c.uri, class, got, want)
			}
		}
	}
}

func FuzzSmuggled(f *testing.F) {
	f.Add("/a?b=%2e%2e%25")
	f.Add("${")
	f.Add("union select")
	f.Fuzz(func(t *testing.T, uri string) {
		var room [1024]byte
		line := plain(room[:0], uri)
		if len(line) > len(uri) {
			t.Fatalf("%q grew to %q", uri, line)
		}
		for class := range classes {
			smuggled(class, line)
		}
		lottery(uri)
		isAddress(uri)
		counted(uri, len(uri))
		breaksOut([]byte(uri), true)
		for _, port := range [...]uint16{21, 88, 102, 389, 445, 554, 873, 1883, 3306, 5060, 5222, 5900, 6881, 9100} {
			begins(meaning(port), &testudo.Opaque{OrigHead: uri, RespHead: uri, OrigText: 1})
		}
		encoded(uri, int64(len(uri)), 6, 1)
	})
}

func TestBegins(t *testing.T) {
	for _, c := range []struct {
		port       uint16
		orig, resp string
		want       bool
	}{
		{2404, "\x68\x04\x07\x00\x00\x00", "", true},
		{2404, "zzzzzz", "yyyy", false},
		{502, "\x00\x01\x00\x00\x00\x06\x01", "", true},
		{502, "\x40\x00\x00\x00\x99\x10\x01", "", false},
		{3306, "", "\x4a\x00\x00\x00\x0a8.0", true},
		{5432, "\x00\x00\x00\x08\x04\xd2\x16\x2f", "", true},
		{9200, "zzzzzz", "yyyy", false},
		{5228, "zzzzzz", "yyyy", false},
		{7000, "zzzzzz", "yyyy", false},
		{873, "@RSYNCD: 31.0", "", true},
		{873, "zzzz", "", false},
		{5900, "RFB 003.008", "", true},
		{9418, "0032git-upload-pack", "", true},
		{1883, "\x10\x20", "", true},
	} {
		r := testudo.Opaque{OrigHead: c.orig, RespHead: c.resp, OrigLen: 300, RespLen: 300, OrigText: 0.4, RespText: 0.4}
		if got := begins(meaning(c.port), &r); got != c.want {
			t.Errorf("%q, %q on %d: %v, want %v", c.orig, c.resp, c.port, got, c.want)
		}
	}
}

func TestWordless(t *testing.T) {
	for _, c := range []struct {
		text, entropy float64
		headers, head string
		want          bool
	}{
		{1, 4.9, "", "<html><title>404</title>", false},
		{1, 4, "", "{\"error\":\"not found\"}", false},
		{0.4, 7.8, "content-encoding", "\x1f\x8b", false},
		{0.4, 7.8, "", "zzzz", true},
		{1, 5.9, "", "NScUykT8C8UBkkpdhiG37LeXSyYV4g6snRoUYA4fXr6nzrvZcmT4a4Ad5y2F", true},
	} {
		r := testudo.HTTP{ResponseLen: 480, ResponseText: c.text, ResponseEntropy: c.entropy, ResponseHeaders: c.headers, ResponseHead: c.head}
		if got := wordless(&r); got != c.want {
			t.Errorf("%q: %v, want %v", c.head, got, c.want)
		}
	}
}

func TestDrawnByLot(t *testing.T) {
	for word, want := range map[string]bool{
		"h4Kz9QwT2mLx": true, "kRbbQWLxVdTPcvnYhgS": true, "q7wd3n8kz5": true, "5t318v64bkxw2rq": true,
		"setup": false, "documentation": false, "getUserProfileById": false, "20240115093000": false,
		"3f2504e04f8911d39a0c0305e82c3301": false, "jquery": false, "XMLHttpRequest2": false, "windows10update": false, "": false,
	} {
		if got := drawnByLot(word); got != want {
			t.Errorf("%s: %v, want %v", word, got, want)
		}
	}
}

func TestDisguise(t *testing.T) {
	for _, c := range []struct {
		agent, headers string
		want           int
	}{
		{"Mozilla/5.0 (X11)", "host,user-agent,accept,accept-language,accept-encoding", honest},
		{"Mozilla/5.0 (X11)", "host,user-agent,accept,accept-encoding", unspoken},
		{"Mozilla/5.0 (X11)", "host,user-agent,accept", careless},
		{"Mozilla/5.0 (X11)", "host,user-agent,accept-encoding", naked},
		{"curl/8.0", "host,user-agent,accept", honest},
		{"Mozilla/5.0 (X11)", "", honest}, // a log that does not say
	} {
		r := testudo.HTTP{UserAgent: c.agent, RequestHeaders: c.headers}
		if got := disguise(&r); got != c.want {
			t.Errorf("%s with %s: %d, want %d", c.agent, c.headers, got, c.want)
		}
	}
}

func TestIsAddress(t *testing.T) {
	for host, want := range map[string]bool{
		"203.0.113.7": true, "203.0.113.7:8080": true, "[2001:db8::1]": true, "[2001:db8::1]:80": true, "2001:db8::1": true,
		"cafe.example": false, "beef.de": false, "": false, "www.example:80": false,
	} {
		if got := isAddress(host); got != want {
			t.Errorf("%s: %v, want %v", host, got, want)
		}
	}
}

func TestTalk(t *testing.T) {
	if !counted("\xf0\x01\x00\x00\xfc\xe8\x89\x00", 0x1f4) || counted("\x10\x00\x00\x00abcd", 20) || counted("\xf0\x01", 2) || !counted("\xd0\xe5\x02\x00\xfc\xe8\x89\x00", 4096) {
		t.Error("counted blocks")
	}
	if fields("hello|desk-5|user|10.0") != 3 || fields("hello") != 0 {
		t.Error("fields")
	}
	for _, c := range []struct {
		port    uint16
		service string
		want    bool
	}{
		{80, "ssh", true},
		{80, "http", false},
		{80, "ssl", false},
		{443, "http", true},
		{443, "ssl", false},
		{990, "http", true},
		{990, "ssl", false},
		{53, "http", true},
		{22, "ssh", false},
		{22, "ssl", true},
		{9200, "http", false},
		{443, "", false},
		{502, "http", true},
		{5900, "ssh", true},
		{6667, "irc", false},
		{6667, "http", true},
		{21, "ssl", false},
		{4711, "ssh", false},
		{3306, "ssl", false},
	} {
		if got := foreign(meaning(c.port), c.service); got != c.want {
			t.Errorf("%s on %d: %v, want %v", c.service, c.port, got, c.want)
		}
	}
}

func TestRandom(t *testing.T) {
	if !random(4096, 7.95, 0.4) || !random(94, 6.3, 0.4) || random(4096, 5.2, 0.4) || random(94, 6.3, 0.99) || random(8, 3, 0.1) {
		t.Error("random")
	}
	word := strings.Repeat("a7f0", 16)
	if !encoded(word, 500, 3.9, 1) || !encoded("data="+word[:59], 500, 3.9, 1) || encoded("the quick brown fox jumps over the lazy dog again", 500, 3.9, 1) || encoded(word, 500, 4.9, 1) {
		t.Error("encoded")
	}
}

func TestRhythm(t *testing.T) {
	var r rhythm
	for i := range 10 {
		r.beat(testudo.Time(i) * 5e9)
	}
	if r.count != 10 || r.mean != 5 || r.jitter() > 1e-9 || r.weight() != 1.5 {
		t.Errorf("%d beats, mean %v, jitter %v, weight %v", r.count, r.mean, r.jitter(), r.weight())
	}
}

// TestSteady holds that what is seen again costs no allocation.
func TestSteady(t *testing.T) {
	for _, r := range detectortest.Parse(t, strings.Join([]string{
		"local 10.0.0.0/8",
		`0s http 10.0.0.5:50001 203.0.113.7:80 tcp HasRequest=true HasResponse=true Method=POST Host=www.example URI=/a/b?c=d UserAgent="Mozilla/5.0 (X11)" RequestHeaders=host,user-agent Status=200 RequestLen=100 RequestEntropy=5.9 RequestText=1 ResponseLen=90 ResponseText=1 ResponseType=text/html`,
		"0s ssl 10.0.0.5:50002 203.0.113.8:4443 tcp ClientHello=true Leaf.SelfSigned=true Leaf.NotAfter=175200h",
		"0s opaque 10.0.0.5:50003 203.0.113.9:4443 tcp OrigLen=200 RespLen=200 OrigHead=abcdefgh RespHead=abcdefgh LengthPrefix=true",
		"0s conn 10.0.0.5:50003 203.0.113.9:4443 tcp OrigBytes=200 RespBytes=200 RespPkts=3",
	}, "\n")) {
		m := Detector().New(64)
		out := &detector.Out{}
		m.Observe(r, out)
		if n := testing.AllocsPerRun(50, func() { m.Observe(r, out) }); n > 0 {
			t.Errorf("%s: %v allocations a record", r.Log(), n)
		}
	}
}
