package inquiry

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/testudo-shield/testudo"
)

var noon = testudo.TimeOf(time.Date(2026, 9, 2, 12, 0, 0, 0, time.UTC))

// said writes a query in a line, to be compared.
func said(q testudo.Query) string {
	var b strings.Builder
	for _, t := range q.Where {
		if t.Not {
			b.WriteString("not ")
		}
		fmt.Fprintf(&b, "%s%s%s", t.Field, t.Op, t.Text)
		if t.Net.IsValid() {
			fmt.Fprintf(&b, "(%s)", t.Net)
		}
		b.WriteString("; ")
	}
	if q.From != 0 {
		b.WriteString("from " + q.From.String() + " ")
	}
	if q.To != 0 {
		b.WriteString("to " + q.To.String() + " ")
	}
	if len(q.Logs) > 0 {
		b.WriteString("of " + strings.Join(q.Logs, ",") + " ")
	}
	if q.Limit > 0 {
		fmt.Fprintf(&b, "at most %d", q.Limit)
	}
	return strings.TrimRight(b.String(), "; ")
}

func TestParse(t *testing.T) {
	for _, c := range [][2]string{
		{"", ""},
		{"src:10.0.0.5", "id.orig_h=10.0.0.5(10.0.0.5/32)"},
		{"dst:10.1.2.3/8 host:2001:db8::1", "id.resp_h=10.0.0.0/8(10.0.0.0/8); address=2001:db8::1(2001:db8::1/128)"},
		{"src:10.0.*", "id.orig_h~10.0.*"},
		{"net:10.0.0.0/8 -dst:192.0.2.1", "address=10.0.0.0/8(10.0.0.0/8); not id.resp_h=192.0.2.1(192.0.2.1/32)"},
		{"name:*.Example. name:cdn[.]example", "name~*.example; name=cdn.example"},
		{`agent:"Mozilla/4.0 (a*b)" uri:/up*`, `user_agent=Mozilla/4.0 (a*b); uri~/up*`},
		{`uri:"/a\"b\\c"`, `uri=/a"b\c`},
		{"ja3:e7d705a3286e19ea42f587b344ee6865 ja4:t13d* print:abc cert:ff", "ja3=e7d705a3286e19ea42f587b344ee6865; ja4~t13d*; print=abc; print=ff"},
		{"port:443 proto:tcp service:ssl", "id.resp_p=443; proto=tcp; service~*ssl*"},
		{"bytes>1e6 orig_bytes<=10k duration>=10m rtt<0.5", "bytes>1000000; not orig_bytes>10000; not duration<600; rtt<0.5"},
		{"id.resp_p:443 query!=x.example AA:T status_code>399", "id.resp_p=443; not query=x.example; AA=T; status_code>399"},
		{"log:dns,tls limit:5", "of dns,ssl at most 5"},
		{"since:7d until:2026-09-02T10:00", "from 2026-08-26T12:00:00.000000Z to 2026-09-02T10:00:00.000000Z"},
		{"at:2026-09-01", "from 2026-09-01T00:00:00.000000Z to 2026-09-02T00:00:00.000000Z"},
		{"at:2026-09-01T10 until:30m", "from 2026-09-01T10:00:00.000000Z to 2026-09-02T11:30:00.000000Z"},
		{"since:2026-09-01T10:00+02:00", "from 2026-09-01T08:00:00.000000Z"},
		{"10.0.0.5 10.0.0.0/8 2001:db8::/32", "address=10.0.0.5(10.0.0.5/32); address=10.0.0.0/8(10.0.0.0/8); address=2001:db8::/32(2001:db8::/32)"},
		{"Bad.example *.worse.example", "name~*.bad.example; name~*.worse.example"},
		{"hxxps://files[.]example/a?x=1&y=b:c", "host=files.example; uri=/a?x=1&y=b:c"},
		{"files.example/a.bin", "host=files.example; uri=/a.bin"},
		{"t13d190900_9dc949149365_97f8aa674fd9 E7D705A3286E19EA42F587B344EE6865", "print=t13d190900_9dc949149365_97f8aa674fd9; print=e7d705a3286e19ea42f587b344ee6865"},
		{"C0123456789A -bad.example", "uid=C0123456789A; not name~*.bad.example"},
		{"certificate.not_valid_after<2026-09-01", "certificate.not_valid_after<1788220800"},
	} {
		q, err := Parse(c[0], noon)
		if got := said(q); err != nil || got != c[1] {
			t.Errorf("%s\n got %s (%v)\nwant %s", c[0], got, err, c[1])
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for question, want := range map[string]string{
		"src:10.0.0.5 sorce:1":      `hunt: at 14, "sorce": no such key or field; did you mean "source"?`,
		"servername:x":              `hunt: at 1, "servername": no such key or field; did you mean "server_name"?`,
		"dts:10.0.0.1":              `hunt: at 1, "dts": no such key or field; did you mean "dst"?`,
		"src:":                      `hunt: at 1, "src:": a value is missing after :`,
		"src:bad.example":           `hunt: at 1, "src:bad.example": want an address (10.0.0.5) or a prefix (10.0.0.0/8); for a name write name:bad.example`,
		"port:https":                `hunt: at 1, "port:https": want a number, such as 443, 1e6 or 10MB`,
		"duration>soon":             `hunt: at 1, "duration>soon": want seconds or a duration such as 10m`,
		"AA:maybe":                  `hunt: at 1, "AA:maybe": AA is true or false: want T or F`,
		"since:yesterday":           `hunt: at 1, "since:yesterday": want a date (2026-09-01), a time (2026-09-01T10:00, UTC) or, for since and until, a duration (90m, 12h, 7d, 2w)`,
		"at:7d":                     `hunt: at 1, "at:7d": want a date (2026-09-01), a time (2026-09-01T10:00, UTC) or, for since and until, a duration (90m, 12h, 7d, 2w)`,
		"since:1d until:2d":         `hunt: at 10, "until:2d": the period ends before it begins`,
		"-since:1d":                 `hunt: at 1, "-since:1d": since is written since:VALUE, without a comparison or minus`,
		"log:dsn":                   `hunt: at 1, "log:dsn": no such log; there are arp, conn, dhcp, dns, ftp, http, icmp_echo, ntp, opaque, quic, smtp, ssh, ssl, weird, x509; did you mean "dns"?`,
		"limit:0":                   `hunt: at 1, "limit:0": want a number of records above 0`,
		`name:x uri:"/a`:            `hunt: at 8, "uri:\"/a": a quote is not closed`,
		"src>10.0.0.1":              `hunt: at 1, "src>10.0.0.1": addresses are not smaller or larger: want an address or a prefix after a colon`,
		"-http://a.example/b":       `hunt: at 1, "-http://a.example/b": a URL is host and path, so a minus before it says too little: write -uri:/PATH or -name:HOST`,
		"bad.example:443":           `hunt: at 1, "bad.example:443": a name or an address stands alone; write bad.example port:443`,
		"hello":                     `hunt: at 1, "hello": neither address, prefix, name, fingerprint, hash nor URL; write KEY:VALUE with one of src, dst, host, net, name, ja3, ja4, print, cert, uri, agent, port, proto, service, bytes, since, until, at, log, limit`,
		strings.Repeat("a ", 3_000): "hunt: at 1, \"" + strings.Repeat("a ", 30) + "…\": longer than 4,096 bytes; put many values into a list",
	} {
		q, err := Parse(question, noon)
		if err == nil || err.Error() != want {
			t.Errorf("%s\n got %v (%s)\nwant %s", clip(question), err, said(q), want)
		}
		if e := (*Error)(nil); !errors.As(err, &e) {
			t.Errorf("%s: the error is a %T", clip(question), err)
		}
	}
}

// FuzzParse holds that any question is read or refused with a place in it,
// and that what is read makes a Matcher.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		`src:10.0.0.5 name:*.example since:7d bytes>1e6 -dst:192.0.2.0/24`, `"a b":c "" - -- :x = >= uri:"\"" at:2026`,
		"2001:db8::1 http://a/b?c=d hxxp://x[.]example/ e7d705a3286e19ea42f587b344ee6865 since:9999w", "duration>=1e300 limit:99999999999 \xff:\x00",
	} {
		f.Add(s)
	}
	r := &testudo.DNS{Query: "a.example", Answers: []string{"192.0.2.1"}}
	f.Fuzz(func(t *testing.T, s string) {
		q, err := Parse(s, noon)
		var e *Error
		switch {
		case errors.As(err, &e):
			if e.At < 0 || e.At > len(s) || e.Problem == "" {
				t.Fatalf("%#v", e)
			}
			return
		case err != nil:
			t.Fatal(err)
		}
		if _, err := NewMatcher(q); err != nil {
			t.Fatalf("%s: %v", said(q), err)
		}
		Matches(q, r)
	})
}
