package feed

import (
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
)

const (
	maxRedirects = 5
	maxHeader    = 64 << 10
	maxSecret    = 16 << 10
	maxCA        = 4 << 20
	agent        = "testudo"
)

// A session asks one source, with its secret, its certificates and a budget
// of bytes that all its answers share.
type session struct {
	source *Source
	base   *url.URL
	client *http.Client
	limits *limits
	secret string
	left   int64
	report func(n int64) // bytes that came, may be nil
}

func (s *Store) session(src *Source, report func(int64)) (*session, error) {
	base, err := src.address()
	if err != nil {
		return nil, err
	}
	q := &session{source: src, base: base, limits: &s.limits, left: src.maxBytes(), report: report}
	if q.secret, err = src.Auth.secret(); err != nil {
		return nil, err
	}
	pool, err := authorities(src.CAFile)
	if err != nil {
		return nil, err
	}
	g := &guard{limits: &s.limits, proxy: s.proxy, proxies: map[string]bool{}}
	q.client = &http.Client{
		CheckRedirect: q.redirect,
		Transport: &http.Transport{
			Proxy: g.route, DialContext: g.dial,
			TLSClientConfig:        &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:    s.limits.connect,
			ResponseHeaderTimeout:  s.limits.firstByte,
			MaxResponseHeaderBytes: maxHeader,
			DisableCompression:     true, // we unpack, within limits
			MaxConnsPerHost:        2,
		},
	}
	return q, nil
}

func (q *session) close() { q.client.CloseIdleConnections() }

// secret reads the secret of its file. A file that everybody may read is
// refused: it is no secret.
func (a *Auth) secret() (string, error) {
	if a.SecretFile == "" {
		return "", nil
	}
	info, err := os.Stat(a.SecretFile)
	if err != nil {
		return "", &fault{what: "its secret cannot be read: " + err.Error(), err: err}
	}
	if info.Mode().Perm()&0o007 != 0 {
		return "", &fault{what: "everybody may read its secret " + a.SecretFile, do: "take that right away: chmod o-rwx " + a.SecretFile}
	}
	b, err := readSmall(a.SecretFile, maxSecret)
	if err != nil {
		return "", &fault{what: "its secret cannot be read: " + err.Error(), err: err}
	}
	s := strings.TrimSpace(string(b))
	if s == "" || strings.ContainsAny(s, "\r\n\x00") {
		return "", &fault{what: "the file " + a.SecretFile + " does not hold one line", do: "put the secret alone in it"}
	}
	return s, nil
}

func authorities(path string) (*x509.CertPool, error) {
	if path == "" {
		return nil, nil
	}
	text, err := readSmall(path, maxCA)
	if err != nil {
		return nil, &fault{what: "ca_file cannot be read: " + err.Error(), err: err}
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(text) {
		return nil, &fault{what: "ca_file " + path + " holds no certificate", do: "it must be in PEM"}
	}
	return pool, nil
}

// redirect follows a few redirects, none from https: to http:, and takes our
// secret to no other server, nor the address we came from, which may hold one.
func (q *session) redirect(r *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return &fault{what: fmt.Sprintf("it redirects more than %d times", maxRedirects), do: "check the address"}
	}
	if err := q.permitted(r.URL); err != nil {
		return err
	}
	if via[len(via)-1].URL.Scheme == "https" && r.URL.Scheme != "https" {
		return errDown
	}
	r.Header.Del("Referer")
	if !q.same(r.URL) {
		r.Header.Del(q.secretHeader())
	}
	return nil
}

var errDown = &fault{what: "it sends us from https: to http:", do: "refused: anybody on the way could change the list"}

// permitted reports why an address that the source named is not asked.
func (q *session) permitted(u *url.URL) error {
	switch {
	case u.Scheme == "https", u.Scheme == "http" && q.base.Scheme == "http":
		return nil
	case u.Scheme == "http":
		return errDown
	}
	return &fault{what: "it sends us to an address that is not https:"}
}

// same reports whether u is on the server the user named.
func (q *session) same(u *url.URL) bool {
	return u.Scheme == q.base.Scheme && strings.EqualFold(u.Host, q.base.Host)
}

func (q *session) secretHeader() string {
	if q.source.Auth.Header != "" {
		return q.source.Auth.Header
	}
	return "Authorization"
}

// An answer is what a server said. Its body is decoded, and ends with an
// error when it stalls, is cut off or is more than is left of the budget.
type answer struct {
	status int
	header http.Header
	length int64 // of the body as sent, -1 where not said
	body   io.Reader
	close  func()
}

// get asks for u. The caller closes the answer.
func (q *session) get(ctx context.Context, u *url.URL, header http.Header) (*answer, error) {
	if err := q.permitted(u); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		cancel(nil)
		return nil, &fault{what: "its address cannot be asked"}
	}
	r.Header = header.Clone()
	if r.Header == nil {
		r.Header = http.Header{}
	}
	r.Header.Set("User-Agent", agent)
	r.Header.Set("Accept-Encoding", "gzip, zstd, identity")
	q.authorize(r)
	resp, err := q.client.Do(r)
	if err != nil {
		err = inWords(ctx, err, q.limits)
		cancel(nil)
		return nil, err
	}
	a := &answer{status: resp.StatusCode, header: resp.Header, length: resp.ContentLength}
	wire := &line{ctx: ctx, r: resp.Body, session: q, cancel: cancel}
	wire.timer = time.AfterFunc(q.limits.stall, wire.stalled)
	a.close = func() {
		wire.timer.Stop()
		cancel(nil)
		resp.Body.Close()
	}
	if a.body, err = decoded(wire, resp.Header.Get("Content-Encoding"), q.source.maxBytes()); err != nil {
		a.close()
		return nil, err
	}
	return a, nil
}

func (q *session) authorize(r *http.Request) {
	a := &q.source.Auth
	switch {
	case q.secret == "" || !q.same(r.URL):
	case a.User != "":
		r.SetBasicAuth(a.User, q.secret)
	case a.Header != "":
		r.Header.Set(a.Header, q.secret)
	default:
		r.Header.Set("Authorization", "Bearer "+q.secret)
	}
}

// A line is a body as it comes in. Each piece restarts the clock.
type line struct {
	ctx     context.Context // of this request; its cause tells why a read ended
	r       io.Reader
	session *session
	timer   *time.Timer
	cancel  context.CancelCauseFunc
}

func (l *line) stalled() {
	l.cancel(&fault{what: "nothing came for " + span(l.session.limits.stall), do: "try again later"})
}

func (l *line) Read(p []byte) (int, error) {
	l.timer.Reset(l.session.limits.stall)
	n, err := l.r.Read(p)
	l.timer.Stop()
	q := l.session
	if q.left -= int64(n); q.left < 0 {
		return 0, tooBig(q.source.maxBytes())
	}
	if q.report != nil && n > 0 {
		q.report(int64(n))
	}
	if err != nil && err != io.EOF {
		err = inWords(l.ctx, err, q.limits)
	}
	return n, err
}

// decoded undoes a Content-Encoding (RFC 9110, section 8.4), within limit.
func decoded(r io.Reader, encoding string, limit int64) (io.Reader, error) {
	counted := newRatio(r, limit)
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "", "identity":
		return r, nil
	case "gzip", "x-gzip":
		return &lazy{open: func() (io.Reader, error) { return gzip.NewReader(counted.packed) }, limit: counted}, nil
	case "zstd":
		return &lazy{open: func() (io.Reader, error) { return newZstd(counted.packed) }, limit: counted}, nil
	}
	return nil, &fault{what: "the answer is packed in a way we did not ask for: " + quoted(encoding)}
}

func newZstd(r io.Reader) (io.Reader, error) {
	return zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true))
}

// fault says what an answer other than the one we hoped for means.
func (a *answer) fault() error {
	what := fmt.Sprintf("the server answers %d %s", a.status, http.StatusText(a.status))
	do := "check the address"
	switch {
	case a.status == http.StatusUnauthorized || a.status == http.StatusForbidden:
		do = "check the user and the secret"
	case a.status == http.StatusProxyAuthRequired:
		do = "check the proxy"
	case a.status == http.StatusTooManyRequests || a.status == http.StatusServiceUnavailable:
		do = "ask less often"
		if n, err := strconv.Atoi(a.header.Get("Retry-After")); err == nil && n > 0 {
			do += ", and not before " + span(time.Duration(min(n, 1e6))*time.Second) + " have passed"
		}
	case a.status >= 500:
		do = "try again later"
	}
	return &fault{what: what, do: do}
}

// quoted makes foreign text harmless and short.
func quoted(s string) string {
	return strconv.QuoteToASCII(s[:min(len(s), 60)])
}
