package feed

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
)

const list = "203.0.113.7\n"

// testKey returns a key that is the same each time.
func testKey(n byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize))
}

func gzipped(text string) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = io.WriteString(w, text)
	w.Close()
	return b.Bytes()
}

func zstded(text string) []byte {
	w, _ := zstd.NewWriter(nil)
	return w.EncodeAll([]byte(text), nil)
}

func zipped(members ...string) []byte {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for i := 0; i < len(members); i += 2 {
		f, _ := w.Create(members[i])
		_, _ = io.WriteString(f, members[i+1])
	}
	w.Close()
	return b.Bytes()
}

func sumOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

func serve(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

func says(body []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) }
}

// TestWrongs holds what is said, and that the good copy stays, whatever a
// server does.
func TestWrongs(t *testing.T) {
	zeros := strings.Repeat("\x00", 16<<20)
	bomb := gzipped(zeros)
	tests := []struct {
		name  string
		serve http.HandlerFunc
		set   func(*Source)
		want  string
	}{
		{"slow", func(_ http.ResponseWriter, r *http.Request) { wait(r) }, nil, "no answer within 1 second; try again later"},
		{"stalls", func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, list)
			_ = http.NewResponseController(w).Flush()
			wait(r)
		}, nil, "nothing came for 1 second; try again later"},
		{"drips and stalls in gzip", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(gzipped(list)[:15])
			_ = http.NewResponseController(w).Flush()
			wait(r)
		}, nil, "nothing came for 1 second; try again later"},
		{"cut off", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, list)
		}, nil, "cut off: 12 bytes came of 1.0 kB; try again"},
		{"cut off in a chunk", func(w http.ResponseWriter, _ *http.Request) {
			raw(w, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n40\r\nabc")
		}, nil, "the server ended the connection in the middle of its answer; try again"},
		{"hangs up", func(w http.ResponseWriter, _ *http.Request) { raw(w, "") }, nil, "the server ended the connection in the middle of its answer; try again"},
		{"longer than it said", func(w http.ResponseWriter, _ *http.Request) {
			raw(w, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\n")
		}, nil, "cut off: 0 bytes came of 5 bytes; try again"},
		{"web page", says([]byte(" \r\n<!DOCTYPE html><p>sorry")), nil, "what came is a web page, not a list; look at it in a browser: the list may have moved, or want a login"},
		{"web page in gzip", says(gzipped("<html>sorry")), nil, "what came is a web page, not a list; look at it in a browser: the list may have moved, or want a login"},
		{"empty", says(nil), nil, "what came is empty; look at the address in a browser"},
		{"not there", http.NotFound, nil, "the server answers 404 Not Found; check the address"},
		{"wants a login", status(401), nil, "the server answers 401 Unauthorized; check the user and the secret"},
		{"broken", status(500), nil, "the server answers 500 Internal Server Error; try again later"},
		{"too often", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "600")
			w.WriteHeader(429)
		}, nil, "the server answers 429 Too Many Requests; ask less often, and not before 10 minutes have passed"},
		{"partial", status(206), nil, "the server answers 206 Partial Content; check the address"},
		{"nothing changed, of nothing", status(304), func(s *Source) { s.URL += "?other" }, "the server answers that nothing changed, but there is no copy of it here; tell who runs it"},
		{"too big", says(bytes.Repeat([]byte("x"), 2e6)), nil, "more than the 1.0 MB allowed; raise max_bytes if the source is right"},
		{"too big in gzip", says(gzipped(strings.Repeat("0123456789abcdef\n", 1e5))), nil, "more than the 1.0 MB allowed; raise max_bytes if the source is right"},
		{"too big in zstd", says(zstded(strings.Repeat("0123456789abcdef\n", 1e5))), nil, "more than the 1.0 MB allowed; raise max_bytes if the source is right"},
		{"too big in zip", says(zipped("a", strings.Repeat("a", 6e5), "b", strings.Repeat("b", 6e5))), nil, "more than the 1.0 MB allowed; raise max_bytes if the source is right"},
		{"bomb in gzip", says(bomb), roomy, "it unpacks to more than 250 times its size; refused as a bomb; tell who runs the source"},
		{"bomb in zstd", says(zstded(zeros)), roomy, "it unpacks to more than 250 times its size; refused as a bomb; tell who runs the source"},
		{"bomb in zip", says(zipped("a", zeros)), roomy, "it unpacks to more than 250 times its size; refused as a bomb; tell who runs the source"},
		{"bomb as encoding", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(bomb)
		}, roomy, "it unpacks to more than 250 times its size; refused as a bomb; tell who runs the source"},
		{"many members", says(manyMembers()), roomy, "the archive has 10001 members, more than 10000; refused; tell who runs the source"},
		{"no members", says(zipped()), nil, "the archive holds no files; look at the address in a browser"},
		{"broken gzip", says(append(gzipped(list)[:10], 7)), nil, "what came is damaged: flate: corrupt input before offset 1; try again"},
		{"half a gzip", says(gzipped(list)[:20]), nil, "what came is damaged: unexpected EOF; try again"},
		{"broken zip", says([]byte("PK\x03\x04 and nothing behind it")), nil, "what came is damaged: zip: not a valid zip file; try again"},
		{"strange encoding", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "br")
			_, _ = io.WriteString(w, list)
		}, nil, `the answer is packed in a way we did not ask for: "br"`},
		{"circle", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/list?again", http.StatusFound) }, nil, "it redirects more than 5 times; check the address"},
		{"other scheme", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
		}, nil, "it sends us to an address that is not https:"},
		{"other hash", says([]byte("changed\n")), func(s *Source) { s.SHA256 = sumOf("wanted\n") }, "its SHA-256 is " + sumOf("changed\n") + ", not the " + sumOf("wanted\n") + " that was asked for; if its publisher says it changed, change sha256; else somebody tampers with it"},
		{"no HTTP", func(w http.ResponseWriter, _ *http.Request) { raw(w, "SSH-2.0-x\r\n") }, nil, `net/http: HTTP/1.x transport connection broken: malformed HTTP response "SSH-2.0-x"`},
		{"huge header", func(w http.ResponseWriter, _ *http.Request) {
			raw(w, "HTTP/1.1 200 OK\r\nX: "+strings.Repeat("x", 1<<20)+"\r\n\r\n")
		}, nil, "net/http: HTTP/1.x transport connection broken: net/http: server response headers exceeded 65536 bytes; aborted"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			bad := false
			server := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if !bad {
					_, _ = io.WriteString(w, list)
					return
				}
				tt.serve(w, r)
			})
			s := newStore(t)
			src := Source{Name: "test", URL: server.URL + "/list", AllowHTTP: true, MaxBytes: 1e6}
			mustFetch(t, s, src, monday)
			bad = true
			if strings.Contains(tt.want, "1 second") {
				s.limits.firstByte, s.limits.stall = time.Second, time.Second
			}
			if tt.set != nil {
				tt.set(&src)
			}
			r, err := s.Fetch(context.Background(), src, thursday)
			holds(t, r, err, src, tt.want)
		})
	}
}

// holds checks what is said and that the copy of monday is in use.
func holds(t *testing.T, r Result, err error, src Source, want string) {
	t.Helper()
	u, _ := url.Parse(src.URL)
	want = "feed test: " + shown(u) + ": " + want + "; in use: the copy of 2026-11-02 12:00 UTC (3 days old, 1 file, 12 bytes)"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	if got := contents(t, r.Files); r.Changed || len(got) != 1 || got[0] != "list="+list || r.Fetched != monday {
		t.Errorf("the copy was not kept: %+v %v", r, got)
	}
}

func roomy(s *Source) { s.MaxBytes = 64 << 20 }

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// wait holds an answer back until the client has gone.
func wait(r *http.Request) {
	select {
	case <-r.Context().Done():
	case <-time.After(time.Minute):
	}
}

// raw answers with bytes of our own and hangs up.
func raw(w http.ResponseWriter, text string) {
	c, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	_, _ = io.WriteString(c, text)
	c.Close()
}

func manyMembers() []byte {
	var members []string
	for i := range maxMembers + 1 {
		members = append(members, fmt.Sprint(i), "x")
	}
	return zipped(members...)
}

func TestNoCopyYet(t *testing.T) {
	server := serve(t, status(503))
	_, err := newStore(t).Fetch(context.Background(), Source{Name: "test", URL: server.URL + "/list?key=hidden", AllowHTTP: true}, monday)
	want := "feed test: " + server.URL + "/list?...: the server answers 503 Service Unavailable; ask less often; in use: nothing, there is no copy yet"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestRefused(t *testing.T) {
	server := serve(t, says([]byte(list)))
	at := server.URL
	server.Close()
	_, err := newStore(t).Fetch(context.Background(), Source{Name: "test", URL: at, AllowHTTP: true}, monday)
	if err == nil || !strings.Contains(err.Error(), ": the server refuses the connection; check the address and port;") {
		t.Error(err)
	}
}

func TestConditional(t *testing.T) {
	var asked []string
	body, tag := list, `"1"`
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Header.Get("If-None-Match"))
		if r.Header.Get("If-None-Match") == tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Header().Set("ETag", tag)
		w.Header().Set("Content-Type", "text/html") // wrong, and not looked at
		_, _ = io.WriteString(w, body)
	})
	s := newStore(t)
	src := Source{Name: "test", URL: server.URL + "/list", AllowHTTP: true}
	if r := mustFetch(t, s, src, monday); !r.Changed || r.ETag != `"1"` || r.SHA256 != sumOf(list) || r.Bytes != 12 {
		t.Errorf("%+v", r)
	}
	if r := mustFetch(t, s, src, thursday); r.Changed || r.Fetched != monday || len(r.Files) != 1 {
		t.Errorf("%+v", r)
	}
	body, tag = "198.51.100.1\n", `"2"`
	if r := mustFetch(t, s, src, thursday); !r.Changed || r.Fetched != thursday || contents(t, r.Files)[0] != "list=198.51.100.1\n" {
		t.Errorf("%+v", r)
	}
	tag = `"3"` // another tag for the same bytes
	if r := mustFetch(t, s, src, thursday); r.Changed || r.ETag != tag {
		t.Errorf("%+v", r)
	}
	src.URL += "?other" // no condition may rest on another address
	mustFetch(t, s, src, thursday)
	src.SHA256 = sumOf(body) // nor on a copy of which less was asked
	mustFetch(t, s, src, thursday)
	if r := mustFetch(t, s, src, thursday); r.Why != "unchanged: the copy has the SHA-256 that was asked for" {
		t.Errorf("%+v", r)
	}
	if want := []string{"", `"1"`, `"1"`, `"2"`, "", ""}; !slices.Equal(asked, want) {
		t.Errorf("asked with %q, want %q", asked, want)
	}
}

func TestUnpacking(t *testing.T) {
	tests := []struct {
		path string
		body []byte
		want []string
	}{
		{"/a.csv", []byte(list), []string{"a.csv=" + list}},
		{"/a.csv.gz", gzipped(list), []string{"a.csv=" + list}},
		{"/a.csv.zst", zstded(list), []string{"a.csv=" + list}},
		{"/a", gzipped(list), []string{"a=" + list}},
		{"/a.zip", zipped("one/x.csv", list, "../../two/x.csv", "y", "empty", ""), []string{"one/x.csv=" + list, "../../two/x.csv=y"}},
		{"/", []byte(list), []string{"test=" + list}},
	}
	for _, tt := range tests {
		server := serve(t, says(tt.body))
		s := newStore(t)
		r := mustFetch(t, s, Source{Name: "test", URL: server.URL + tt.path, AllowHTTP: true}, monday)
		if got := contents(t, r.Files); !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %q, want %q", tt.path, got, tt.want)
		}
		for _, f := range r.Files {
			if !strings.HasPrefix(f.Path, s.dir+"/test/") || strings.Contains(f.Path, "..") {
				t.Errorf("%s lies outside", f.Path)
			}
		}
	}
}

func TestTLS(t *testing.T) {
	var seen []string
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.Header.Get("Authorization")+r.Header.Get("X-Key"))
		switch r.URL.Path {
		case "/down":
			http.Redirect(w, r, "http://"+r.Host+"/list", http.StatusFound)
		default:
			_, _ = io.WriteString(w, list)
		}
	}))
	t.Cleanup(server.Close)
	server.Config.ErrorLog = nil
	ca := write(t, "ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
	secret := write(t, "secret", "s3cret\n")
	plain := serve(t, says([]byte(list)))
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(server.URL, "https://"))
	tests := []struct {
		name   string
		source Source
		want   string
	}{
		{"good", Source{URL: server.URL + "/list", CAFile: ca}, ""},
		{"token", Source{URL: server.URL + "/list", CAFile: ca, Auth: Auth{SecretFile: secret}}, ""},
		{"password", Source{URL: server.URL + "/list", CAFile: ca, Auth: Auth{User: "u", SecretFile: secret}}, ""},
		{"header", Source{URL: server.URL + "/list", CAFile: ca, Auth: Auth{Header: "X-Key", SecretFile: secret}}, ""},
		{"unknown authority", Source{URL: server.URL + "/list"}, "its certificate comes from nobody we trust; if it is your own server, name its authority in ca_file"},
		{"other name", Source{URL: "https://localhost:" + port + "/list", CAFile: ca}, "its certificate is for another name; check the address"},
		{"no TLS", Source{URL: strings.Replace(plain.URL, "http:", "https:", 1) + "/list"}, "the server does not speak TLS there; check the address and port"},
		{"down to http", Source{URL: server.URL + "/down", CAFile: ca}, "it sends us from https: to http:; refused: anybody on the way could change the list"},
		{"no authority", Source{URL: server.URL, CAFile: secret}, "ca_file " + secret + " holds no certificate; it must be in PEM"},
	}
	for _, tt := range tests {
		tt.source.Name = "test"
		_, err := newStore(t).Fetch(context.Background(), tt.source, monday)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), ": "+tt.want+"; in use") {
			t.Errorf("%s: got  %v\nwant %s", tt.name, err, tt.want)
		}
	}
	if want := []string{"", "Bearer s3cret", "Basic dTpzM2NyZXQ=", "s3cret", ""}; !slices.Equal(seen, want) {
		t.Errorf("secrets %q, want %q", seen, want)
	}
}

// TestSecretStaysHome holds that a redirect to another server takes no
// secret with it, and that a secret everybody may read is none.
func TestSecretStaysHome(t *testing.T) {
	var got http.Header
	other := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.Header.Clone()
		_, _ = io.WriteString(w, list)
	}))
	t.Cleanup(other.Close)
	first := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL+"/list", http.StatusFound)
	}))
	t.Cleanup(first.Close)
	ca := write(t, "ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: first.Certificate().Raw})))
	for _, auth := range []Auth{{}, {Header: "X-Key"}, {User: "u"}} {
		auth.SecretFile = write(t, "secret", "s3cret")
		mustFetch(t, newStore(t), Source{Name: "test", URL: first.URL + "?key=s3cret", CAFile: ca, Auth: auth}, monday)
		if fmt.Sprint(got) == "" || strings.Contains(fmt.Sprint(got), "cret") || got.Get("Authorization") != "" {
			t.Errorf("%+v: the other server was told %v", auth, got)
		}
	}
}

// TestDownhill holds that a source asked over http: is not led from https:
// back to http: either.
func TestDownhill(t *testing.T) {
	var first *httptest.Server
	upper := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, first.URL+"/list", http.StatusFound)
	}))
	t.Cleanup(upper.Close)
	first = serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/list" {
			t.Error("we went down")
		}
		http.Redirect(w, r, upper.URL, http.StatusFound)
	})
	ca := write(t, "ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: upper.Certificate().Raw})))
	_, err := newStore(t).Fetch(context.Background(), Source{Name: "test", URL: first.URL, AllowHTTP: true, CAFile: ca}, monday)
	if err == nil || !strings.Contains(err.Error(), "from https: to http:") {
		t.Error(err)
	}
}

func TestPrivate(t *testing.T) {
	for text, want := range map[string]bool{
		"127.0.0.1": true, "10.1.2.3": true, "169.254.169.254": true, "100.64.0.1": true, "0.0.0.0": true, "::1": true, "fe80::1%eth0": true,
		"fd00::1": true, "::ffff:192.168.0.1": true, "64:ff9b::a00:1": true, "224.0.0.1": true, "255.255.255.255": true, "198.18.0.1": true,
		"1.1.1.1": false, "2606:4700::1111": false, "64:ff9b::101:101": false,
	} {
		if got := isPrivate(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
	g := guard{known: true, limits: &limits{connect: time.Second}}
	if _, err := g.dial(context.Background(), "tcp", "127.0.0.1:1"); err == nil || !strings.Contains(err.Error(), "inside a private network") {
		t.Errorf("a public source led us to ourselves: %v", err)
	}
}

// TestProxy holds that the proxy is used, and that a public source behind it
// cannot lead us into our own network.
func TestProxy(t *testing.T) {
	inner := serve(t, says([]byte(list)))
	proxy := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Host != "lists.example":
			t.Errorf("the proxy was asked for %s", r.URL)
		case r.URL.Path == "/inward":
			http.Redirect(w, r, inner.URL+"/list", http.StatusFound)
		default:
			_, _ = io.WriteString(w, list)
		}
	})
	s := newStore(t)
	at, _ := url.Parse(proxy.URL)
	s.proxy = http.ProxyURL(at)
	src := Source{Name: "test", URL: "http://lists.example/list", AllowHTTP: true}
	mustFetch(t, s, src, monday)
	src.URL = "http://lists.example/inward"
	r, err := s.Fetch(context.Background(), src, thursday)
	holds(t, r, err, src, "it sends us to an address inside a private network; refused: a public source has no business there; tell who runs it")
}

func TestSignature(t *testing.T) {
	signer, other := testKey(1), testKey(2)
	var sig []byte
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/list":
			_, _ = io.WriteString(w, list)
		case sig == nil:
			http.NotFound(w, r)
		default:
			_, _ = w.Write(sig)
		}
	})
	good := sign(signer, []byte(list), "good")
	tests := []struct {
		name string
		sig  []byte
		want string
	}{
		{"good", good, ""},
		{"none", nil, "its signature URL/list.minisig cannot be had: the server answers 404 Not Found; check the address"},
		{"garbage", []byte("x"), "its signature URL/list.minisig: not a signature in minisign's form"},
		{"other file", sign(signer, []byte("x"), ""), "its signature URL/list.minisig: the signature does not fit the file"},
		{"other key", sign(other, []byte(list), ""), "its signature URL/list.minisig: made with the key " + public(other).Name() + ", not with the " + public(signer).Name()},
		{"other comment", bytes.Replace(good, []byte(": good"), []byte(": bad!"), 1), "its signature URL/list.minisig: the signature's comment was changed"},
	}
	for _, tt := range tests {
		sig = tt.sig
		src := Source{Name: "test", URL: server.URL + "/list", AllowHTTP: true, Signature: Signature{Key: public(signer).String()}}
		_, err := newStore(t).Fetch(context.Background(), src, monday)
		want := strings.ReplaceAll(tt.want, "URL", server.URL)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got  %v\nwant %s", tt.name, err, want)
		}
	}
	elsewhere := Signature{Key: public(signer).String(), URL: "file://" + write(t, "list.sig", string(good))}
	mustFetch(t, newStore(t), Source{Name: "test", URL: server.URL + "/list", AllowHTTP: true, Signature: elsewhere}, monday)
}

func TestUpdate(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/3" {
			http.NotFound(w, r)
			return
		}
		_, _ = io.WriteString(w, list+r.URL.Path)
	})
	var sources []Source
	for i := range 9 {
		sources = append(sources, Source{Name: fmt.Sprint("s", i), URL: fmt.Sprint(server.URL, "/", i), AllowHTTP: true})
	}
	sources[5].Name = "s4"
	done := map[string]int{}
	results := newStore(t).Update(context.Background(), sources, monday, func(p Progress) {
		if p.Done {
			done[p.Source]++
		}
	})
	for i, r := range results {
		if r.Source != sources[i].Name || (r.Err != nil) != (i == 3 || i == 5) {
			t.Errorf("%d: %+v", i, r)
		}
	}
	if results[5].Why != `feed "s4": two sources have this name; rename one` || len(done) != 8 || done["s4"] != 2 {
		t.Errorf("%q %v", results[5].Why, done)
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	server := serve(t, func(_ http.ResponseWriter, r *http.Request) { cancel(); wait(r) })
	_, err := newStore(t).Fetch(ctx, Source{Name: "test", URL: server.URL, AllowHTTP: true}, monday)
	if err == nil || !strings.Contains(err.Error(), ": stopped before it was done; in use: nothing") {
		t.Error(err)
	}
}
