package http

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/protocol"
	"github.com/testudo-shield/testudo/sense/protocol/protocoltest"
)

func q(s string) protocoltest.Step {
	return protocoltest.Step{Dir: protocol.Orig, Data: []byte(s)}
}

func r(s string) protocoltest.Step {
	return protocoltest.Step{Dir: protocol.Resp, Data: []byte(s)}
}

func gap(d protocol.Dir, n int) protocoltest.Step { return protocoltest.Step{Dir: d, Gap: n} }

func zip(s string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	fmt.Fprint(w, s)
	w.Close()
	return b.String()
}

// line writes what a table wants to see of a record.
func line(r testudo.Record) string {
	switch r := r.(type) {
	case *testudo.HTTP:
		s := fmt.Sprintf("%d %s %s%s v%s -> %d %s req=%d resp=%d", r.Depth, r.Method, r.Host, r.URI, r.Version, r.Status, r.StatusMsg, r.RequestLen, r.ResponseLen)
		if r.ResponseDone == 0 {
			s += " open"
		}
		if len(r.OrigMIME) > 0 {
			s += " up=" + strings.Join(r.OrigMIME, ",")
		}
		if len(r.RespMIME) > 0 {
			s += " down=" + strings.Join(r.RespMIME, ",")
		}
		return s
	case *testudo.Weird:
		return "weird " + r.Name
	}
	return fmt.Sprintf("%T", r)
}

const get = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"

func TestTransactions(t *testing.T) {
	for _, c := range []struct {
		name   string
		steps  []protocoltest.Step
		want   []string
		handed string
	}{
		{
			"plain",
			[]protocoltest.Step{q(get), r("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc")},
			[]string{"1 GET h/a v1.1 -> 200 OK req=0 resp=3 down=text/plain"},
			"",
		},
		{
			"bytewise header",
			[]protocoltest.Step{q("GE"), q("T /a HT"), q("TP/1.1\r"), q("\nHost: h\r\n\r"), q("\n"), r("HTTP/1.1 204 No"), r(" Content\r\n\r\n")},
			[]string{"1 GET h/a v1.1 -> 204 No Content req=0 resp=0"},
			"",
		},
		{
			"bare line feeds, port in host",
			[]protocoltest.Step{q("GET /a b HTTP/1.0\nHost: h:81\n\n"), r("HTTP/1.0 404\n\n"), r("<html>")},
			[]string{"1 GET h/a b v1.0 -> 404  req=0 resp=6 open down=text/html"},
			"",
		},
		{
			"pipelining",
			[]protocoltest.Step{q(get + get + get), r("HTTP/1.1 200 A\r\nContent-Length: 0\r\n\r\nHTTP/1.1 304 B\r\nContent-Length: 9\r\n\r\n")},
			[]string{"1 GET h/a v1.1 -> 200 A req=0 resp=0", "2 GET h/a v1.1 -> 304 B req=0 resp=0", "3 GET h/a v1.1 -> 0  req=0 resp=0 open"},
			"",
		},
		{
			"chunked both ways",
			[]protocoltest.Step{
				q("POST /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
				r("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n4;x=y\r\nabcd\r"), r("\nA\r\n012345"), r("6789\r\n0\r\nT: 1\r\n\r\n"),
				q(get),
			},
			[]string{"1 POST h/p v1.1 -> 200 OK req=5 resp=14 up=text/plain down=text/plain", "2 GET h/a v1.1 -> 0  req=0 resp=0 open"},
			"",
		},
		{
			"continue",
			[]protocoltest.Step{q("PUT /p HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"), r("HTTP/1.1 100 Continue\r\n\r\n"), q("data"), r("HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")},
			[]string{"1 PUT h/p v1.1 -> 201 Created req=4 resp=0 up=text/plain"},
			"",
		},
		{
			"answered before the body ended",
			[]protocoltest.Step{q("POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nda"), r("HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"), q("ta" + get)},
			[]string{"1 POST h/p v1.1 -> 403 No req=4 resp=0 up=text/plain", "2 GET h/a v1.1 -> 0  req=0 resp=0 open"},
			"",
		},
		{
			"head",
			[]protocoltest.Step{q("HEAD /a HTTP/1.1\r\nHost: h\r\n\r\n" + get), r("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")},
			[]string{"1 HEAD h/a v1.1 -> 200 OK req=0 resp=0", "2 GET h/a v1.1 -> 200 OK req=0 resp=0"},
			"",
		},
		{
			"connect",
			[]protocoltest.Step{q("CONNECT x.example:443 HTTP/1.1\r\n\r\n\x16\x03\x01"), r("HTTP/1.1 200 Established\r\n\r\nrest")},
			[]string{"1 CONNECT x.examplex.example:443 v1.1 -> 200 Established req=0 resp=0"},
			"?",
		},
		{
			"connect refused",
			[]protocoltest.Step{q("CONNECT x.example:443 HTTP/1.1\r\n\r\n"), r("HTTP/1.1 407 Auth\r\nContent-Length: 2\r\n\r\nno"), q(get)},
			[]string{"1 CONNECT x.examplex.example:443 v1.1 -> 407 Auth req=0 resp=2 down=text/plain", "2 GET h/a v1.1 -> 0  req=0 resp=0 open"},
			"",
		},
		{
			"upgrade",
			[]protocoltest.Step{q("GET /ws HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\r\n"), r("HTTP/1.1 101 Switching Protocols\r\n\r\n\x81\x01x")},
			[]string{"1 GET h/ws v1.1 -> 101 Switching Protocols req=0 resp=0"},
			"?",
		},
		{
			"proxy",
			[]protocoltest.Step{q("GET http://u:p@x.example:8080/y HTTP/1.1\r\nHost: other\r\n\r\n")},
			[]string{"1 GET x.examplehttp://u:p@x.example:8080/y v1.1 -> 0  req=0 resp=0 open"},
			"",
		},
		{
			"response alone",
			[]protocoltest.Step{r("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxHTTP/1.1 500 E\r\nContent-Length: 0\r\n\r\n")},
			[]string{"1   v1.1 -> 200 OK req=0 resp=1 down=text/plain", "2   v1.1 -> 500 E req=0 resp=0"},
			"",
		},
		{
			"hole in a body",
			[]protocoltest.Step{q(get), r("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nab"), gap(protocol.Resp, 5), r("xyz"), q(get), r("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")},
			[]string{"1 GET h/a v1.1 -> 200 OK req=0 resp=10 down=text/plain", "2 GET h/a v1.1 -> 200 OK req=0 resp=0"},
			"",
		},
		{
			"hole past a body",
			[]protocoltest.Step{q(get + get), r("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nab"), gap(protocol.Resp, 50), r("le\r\n"), r("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")},
			[]string{"1 GET h/a v1.1 -> 200 OK req=0 resp=10 down=text/plain", "2 GET h/a v1.1 -> 200 OK req=0 resp=0"},
			"",
		},
		{
			"hole in headers",
			[]protocoltest.Step{q("GET /a HTTP/1.1\r\nHost: h\r\nUser-"), gap(protocol.Orig, 30), q("xx\r\n\r\n"), r("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), q(get)},
			[]string{"1 GET h/a v1.1 -> 200 OK req=0 resp=0", "2 GET h/a v1.1 -> 0  req=0 resp=0 open"},
			"",
		},
		{
			"hole in a chunk",
			[]protocoltest.Step{q(get), r("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nabc"), gap(protocol.Resp, 5), r("\r\n0\r\n\r\n")},
			[]string{"1 GET h/a v1.1 -> 200 OK req=0 resp=8 down=text/plain"},
			"",
		},
		{
			"endless header",
			[]protocoltest.Step{q("GET /a HTTP/1.1\r\nHost: h\r\nX: " + strings.Repeat("y", maxHeader)), q(get)},
			[]string{"weird http_header_too_long", "1 GET h/a v1.1 -> 0  req=0 resp=0 open", "2 GET h/a v1.1 -> 0  req=0 resp=0 open"},
			"",
		},
		{
			"nonsense",
			[]protocoltest.Step{q("\x00\x01\n"), r("what\r\n"), q("more\n")},
			[]string{"weird bad_HTTP_request", "weird bad_HTTP_reply"},
			"",
		},
		{
			"bad length and chunk",
			[]protocoltest.Step{q("POST / HTTP/1.1\r\nContent-Length: -4\r\n\r\n"), r("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")},
			[]string{"weird http_bad_content_length", "1 POST / v1.1 -> 200 OK req=0 resp=0 open"},
			"",
		},
		{
			"gzip",
			[]protocoltest.Step{q(get), r(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s", len(zip("<html>hello")), zip("<html>hello")))},
			[]string{fmt.Sprintf("1 GET h/a v1.1 -> 200 OK req=0 resp=%d down=text/html", len(zip("<html>hello")))},
			"",
		},
	} {
		h := protocoltest.Run(Protocol(), protocoltest.ID, c.steps...)
		var got []string
		for _, rec := range h.Records {
			got = append(got, line(rec))
		}
		if !reflect.DeepEqual(got, c.want) || h.Handed != c.handed {
			t.Errorf("%s: handed %q, got\n%s\nwant\n%s", c.name, h.Handed, strings.Join(got, "\n"), strings.Join(c.want, "\n"))
		}
		if c.name == "connect" && (string(h.Rest[0]) != "\x16\x03\x01" || string(h.Rest[1]) != "rest") {
			t.Errorf("connect: what follows was eaten: %q", h.Rest)
		}
	}
}

// TestGolden holds every field of one rich transaction to testdata.
func TestGolden(t *testing.T) {
	h := protocoltest.Run(Protocol(), protocoltest.ID,
		q("POST /in/report.php?id=7 HTTP/1.1\r\nHost: files.example:8080\r\nUser-Agent: Unit/1.0\r\nReferer: http://r.example/\r\nOrigin: http://o.example\r\nAccept: */*\r\n"+
			"Cookie: a=1; b=2\r\nAuthorization: Basic YW5uYTpzZWNyZXQ=\r\nVia: 1.1 gate\r\nX-Forwarded-For: 192.0.2.9\r\nContent-Type: application/octet-stream\r\nContent-Length: 16\r\n\r\n"+
			"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x0b\x0c\x0e\x0f\x10\x11\x12"),
		protocoltest.Step{Dir: protocol.Resp, At: 1_700_000_001_000_000_000, Data: []byte("HTTP/1.1 200 Fine\r\nServer: unit\r\nContent-Type: text/html\r\nContent-Disposition: attachment; filename=\"x y.exe\"\r\nContent-Length: 2\r\n\r\nok")})
	var out strings.Builder
	v := reflect.ValueOf(*h.Records[0].(*testudo.HTTP))
	for i := range v.NumField() {
		if name := v.Type().Field(i).Name; name != "Meta" && !v.Field(i).IsZero() {
			fmt.Fprintf(&out, "%s %#v\n", name, v.Field(i))
		}
	}
	got := out.String()
	want, err := os.ReadFile("testdata/rich.golden")
	if os.Getenv("GOLDEN") != "" {
		err = os.WriteFile("testdata/rich.golden", []byte(got), 0o644)
		want = []byte(got)
	}
	if err != nil || got != string(want) {
		t.Errorf("testdata/rich.golden: %v, got\n%q", err, got)
	}
}

func TestProbe(t *testing.T) {
	for _, c := range []struct {
		orig, resp string
		want       protocol.Verdict
	}{
		{"GET / HTTP/1.1\r\n", "", protocol.Yes},
		{"\r\nGET / HTTP/1.1\r\n", "", protocol.Yes},
		{"RPC_IN_DATA /x HTTP/1.1\r\n", "", protocol.Yes},
		{"M-SEARCH * HTTP/1.1\r\n", "", protocol.Yes},
		{"GET /abc", "", protocol.Maybe},
		{"OPTIONS HTTP/1.1\n", "", protocol.Yes},
		{"GET /" + strings.Repeat("a", 400), "", protocol.Yes},
		{"GE", "", protocol.Maybe},
		{"GET /\r\n", "", protocol.No},
		{"PRI * HTTP/2.0\r\n\r\n", "", protocol.No},
		{"OPTIONS rtsp://h/ RTSP/1.0\r\n", "", protocol.No},
		{"EHLO h\r\n", "", protocol.No},
		{"\x16\x03\x01", "", protocol.No},
		{"", "HTTP/1.1 200 OK", protocol.Yes},
		{"", "HTT", protocol.Maybe},
		{"GET /abc", "HTTP/1.1 414 Too long", protocol.Yes},
		{"get /a http/1.1\r\n", "HTTP/1.1 400 Bad", protocol.Yes},
		{"\x16\x03\x01", "HTTP/1.1 400 Bad", protocol.No},
		{"", "SSH-2.0", protocol.No},
		{"", "", protocol.No},
	} {
		if got := probe(protocoltest.ID, []byte(c.orig), []byte(c.resp)); got != c.want {
			t.Errorf("probe(%.30q, %q) = %d, want %d", c.orig, c.resp, got, c.want)
		}
	}
}

func TestPendingIsBounded(t *testing.T) {
	h := protocoltest.Run(Protocol(), protocoltest.ID, q(strings.Repeat(get, maxPending+5)), r("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
	if n := len(h.Records); n != maxPending+6 {
		t.Errorf("%d records, want one a request and a weird", n)
	}
}

func FuzzHTTP(f *testing.F) {
	f.Add([]byte(get), []byte("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"), uint16(7), uint16(9))
	f.Add([]byte("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"), []byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"), uint16(1), uint16(50))
	f.Add([]byte("CONNECT a:1 HTTP/1.1\r\n\r\n\x16"), []byte("HTTP/1.1 200 OK\r\n\r\n"), uint16(300), uint16(3))
	f.Add([]byte("GET / HTTP/1.1\r\nAuthorization: Basic YTpi\r\nAuthorization: Digest username=\"a\"\r\nHost: [::1]:80\r\n\r\n"), []byte("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n"+zip("x")), uint16(20), uint16(0))
	f.Fuzz(func(t *testing.T, orig, resp []byte, step, hole uint16) {
		probe(protocoltest.ID, orig, resp)
		var steps []protocoltest.Step
		size := int(step%512) + 1
		for i := 0; len(orig) > 0 || len(resp) > 0; i++ {
			for _, d := range []protocol.Dir{protocol.Orig, protocol.Resp} {
				b := &orig
				if d == protocol.Resp {
					b = &resp
				}
				n := min(size, len(*b))
				if n > 0 {
					steps = append(steps, protocoltest.Step{Dir: d, Data: (*b)[:n]})
				}
				*b = (*b)[n:]
				if i == int(hole>>1) && d == protocol.Dir(hole&1) {
					steps = append(steps, gap(d, int(hole)+1))
				}
			}
		}
		for _, rec := range protocoltest.Run(Protocol(), protocoltest.ID, steps...).Records {
			if h, ok := rec.(*testudo.HTTP); ok && (len(h.URI) > maxURI || len(h.UserAgent) > maxString || len(h.RequestHeaders) > maxNames) {
				t.Error("a string passes its limit")
			}
		}
	})
}

// quiet is a host that keeps nothing, for the benchmark.
type quiet struct{ names map[string]string }

func (quiet) Emit(*protocol.Flow, testudo.Record)           {}
func (quiet) Expect(*protocol.Flow, testudo.ConnID, string) {}
func (quiet) Handover(*protocol.Flow, string)               {}
func (quiet) SetService(*protocol.Flow, string)             {}
func (q quiet) Intern(b []byte) string {
	s, ok := q.names[string(b)]
	if !ok {
		s = string(b)
		q.names[s] = s
	}
	return s
}

func BenchmarkTransaction(b *testing.B) {
	req := []byte("GET /index.html HTTP/1.1\r\nHost: www.example\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\nAccept: */*\r\nAccept-Language: en\r\nCookie: a=b\r\n\r\n")
	resp := []byte("HTTP/1.1 200 OK\r\nServer: unit\r\nContent-Type: text/html\r\nContent-Length: 11\r\n\r\n<html>hello")
	var f protocol.Flow
	f.Bind(quiet{map[string]string{}})
	a := Protocol().Open(new(protocol.Records))()
	b.SetBytes(int64(len(req) + len(resp)))
	b.ReportAllocs()
	for b.Loop() {
		a.Data(&f, protocol.Orig, req)
		a.Data(&f, protocol.Resp, resp)
	}
}

func BenchmarkBody(b *testing.B) {
	var f protocol.Flow
	f.Bind(quiet{map[string]string{}})
	a := Protocol().Open(new(protocol.Records))()
	a.Data(&f, protocol.Resp, []byte("HTTP/1.1 200 OK\r\n\r\n"))
	segment := make([]byte, 1460)
	b.SetBytes(int64(len(segment)))
	b.ReportAllocs()
	for b.Loop() {
		a.Data(&f, protocol.Resp, segment)
	}
}
