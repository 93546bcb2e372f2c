// Package http reads HTTP/1.x (RFC 9110, RFC 9112) on any TCP port: one
// testudo.HTTP a transaction, written when the response has ended, or at the
// conversation's end for what never was answered. Bodies are measured as
// they come and never kept; of each only the first 4096 bytes are looked at.
//
// Strings are the foreign bytes as they came, control characters included:
// whoever prints a record escapes them. It is lenient, because attackers'
// tools are: bare line feeds, odd methods and a missing version all pass.
package http

import (
	"bytes"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/protocol"
)

// Limits on what a peer can make us hold or write down.
const (
	maxHeader   = 64 << 10 // bytes of start line and headers of one message
	maxURI      = 2048     // bytes of a URI that are kept
	maxString   = 512      // bytes of any other header value that are kept
	maxNames    = 1024     // bytes of the list of header names
	maxMethod   = 16
	maxPending  = 32       // requests of a conversation waiting for their response
	maxWaiting  = 64       // of a whole shard; beyond it they are written without
	maxProxied  = 8        // proxy headers kept of one request
	maxHeld     = 16 << 10 // bytes behind a CONNECT before its answer is no longer awaited
	maxSamples  = 256      // bodies under way that may hold a sample buffer, a shard
	sampleBytes = 4096
	headBytes   = 64
)

// Protocol describes HTTP to flow.
func Protocol() protocol.Protocol {
	return protocol.Protocol{
		Name:  "http",
		Over:  protocol.OverTCP,
		Ports: []uint16{80, 8080, 8000, 8008, 8081, 8888, 3128},
		Probe: probe,
		Open: func(records *protocol.Records) func() protocol.Analyzer {
			s := &shared{records: records}
			return func() protocol.Analyzer { return &analyzer{shared: s} }
		},
	}
}

// probe says Yes to a request line with a version from orig, or to a status
// line from resp where orig does not contradict it.
func probe(_ testudo.ConnID, orig, resp []byte) protocol.Verdict {
	asked := protocol.No
	if len(orig) > 0 {
		asked = probeRequest(orig)
	}
	const status = "HTTP/1."
	n := min(len(resp), len(status))
	if n == 0 || asked == protocol.Yes || string(resp[:n]) != status[:n] {
		return asked
	}
	if len(orig) > 0 && (orig[0] < ' ' || orig[0] > '~') {
		return protocol.No
	}
	if n < len(status) {
		return protocol.Maybe
	}
	return protocol.Yes
}

// probeRequest judges the first bytes of a possible request.
func probeRequest(b []byte) protocol.Verdict {
	for len(b) > 0 && (b[0] == '\r' || b[0] == '\n') {
		b = b[1:]
	}
	i := 0
	for i < len(b) && i <= maxMethod && methodByte(b[i]) {
		i++
	}
	switch {
	case i == len(b) && i <= maxMethod:
		return protocol.Maybe
	case i == 0 || i > maxMethod || b[i] != ' ':
		return protocol.No
	}
	line, _, whole := bytes.Cut(b, []byte("\n"))
	if whole {
		if r, ok := parseRequest(trimCR(line)); ok && len(r.version) > 0 && r.version[0] == '1' {
			return protocol.Yes
		}
		return protocol.No
	}
	for _, c := range b[i:] {
		if c < ' ' && c != '\r' && c != '\t' {
			return protocol.No
		}
	}
	target := b[i+1:]
	if known(b[:i]) && len(target) > 0 && (target[0] == '/' || hasPrefixFold(target, "http://")) {
		if len(b) >= 256 { // a long target; nobody else speaks so
			return protocol.Yes
		}
		return protocol.Maybe
	}
	if len(b) >= 1000 {
		return protocol.No
	}
	return protocol.Maybe
}

// known lists the methods that may stand before a target without a version.
func known(method []byte) bool {
	switch string(method) {
	case "GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT", "PROPFIND":
		return true
	}
	return false
}

func methodByte(c byte) bool { return c >= 'A' && c <= 'Z' || c == '-' || c == '_' }

// requestLine is a request's first line, cut up. Version is "1.1", or empty
// where it is missing.
type requestLine struct{ method, uri, version []byte }

// parseRequest cuts a request line at its first and last space: targets of
// exploits hold spaces.
func parseRequest(line []byte) (r requestLine, ok bool) {
	i := bytes.IndexByte(line, ' ')
	if i <= 0 || i > maxMethod {
		return r, false
	}
	for _, c := range line[:i] {
		if !methodByte(c) {
			return r, false
		}
	}
	r.method = line[:i]
	rest := bytes.TrimSpace(line[i+1:])
	j := max(bytes.LastIndexByte(rest, ' '), bytes.LastIndexByte(rest, '\t'))
	if v := rest[j+1:]; hasPrefixFold(v, "HTTP/") && len(v) <= 12 {
		r.uri, r.version = bytes.TrimSpace(rest[:j+1]), v[5:]
		return r, len(r.uri) > 0 || known(r.method) // some tools forget the target
	}
	r.uri = rest
	return r, known(r.method) && len(rest) > 0 && (rest[0] == '/' || hasPrefixFold(rest, "http://"))
}

// statusLine is a response's first line, cut up.
type statusLine struct {
	version, reason []byte
	code            int
}

// parseStatus reads "HTTP/1.1 200 OK"; the reason may be missing.
func parseStatus(line []byte) (s statusLine, ok bool) {
	if !hasPrefixFold(line, "HTTP/") {
		return s, false
	}
	version, rest, _ := bytes.Cut(line[5:], []byte(" "))
	rest = bytes.TrimLeft(rest, " ")
	if len(version) == 0 || len(version) > 8 || len(rest) < 3 {
		return s, false
	}
	for _, c := range rest[:3] {
		if c < '0' || c > '9' {
			return s, false
		}
		s.code = s.code*10 + int(c-'0')
	}
	if len(rest) > 3 && rest[3] >= '0' && rest[3] <= '9' {
		return s, false
	}
	s.version, s.reason = version, bytes.TrimSpace(rest[3:])
	return s, true
}

func trimCR(b []byte) []byte {
	if n := len(b); n > 0 && b[n-1] == '\r' {
		return b[:n-1]
	}
	return b
}

// hasPrefixFold tells whether b begins with s; case does not count.
func hasPrefixFold(b []byte, s string) bool {
	return len(b) >= len(s) && bytes.EqualFold(b[:len(s)], []byte(s))
}
