package http

import (
	"bytes"
	"encoding/base64"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/protocol"
)

// begin makes h ready for the headers of a message.
func (h *half) begin(rec *testudo.HTTP) {
	h.rec, h.state, h.length, h.chunked, h.gzip = rec, inHeaders, -1, false, false
	h.names = h.names[:0]
}

// request opens a transaction at a request line.
func (a *analyzer) request(f *protocol.Flow, line []byte) {
	h := &a.half[protocol.Orig]
	r, ok := parseRequest(line)
	if !ok {
		if !f.MidStream || a.depth > 0 {
			a.weird(f, weirdRequest, "bad_HTTP_request", "")
		}
		h.state = lost
		return
	}
	if len(a.queue) >= maxPending {
		a.weird(f, weirdPipeline, "http_excessive_pipelining", "")
		a.pop(f)
	}
	rec := a.record(h)
	rec.HasRequest = true
	rec.Method = f.Intern(r.method)
	rec.URI = f.Intern(cut(r.uri, maxURI))
	rec.Version = f.Intern(r.version)
	a.queue = append(a.queue, transaction{rec: rec})
	a.shared.waiting++
	h.begin(rec)
	if hasPrefixFold(r.uri, "http://") {
		host, _, _ := bytes.Cut(r.uri[len("http://"):], []byte("/"))
		if i := bytes.LastIndexByte(host, '@'); i >= 0 {
			host = host[i+1:]
		}
		rec.Host = f.Intern(cut(bare(host), maxString))
		a.proxied(f, rec, "REQUEST-URI", host)
	} else if rec.Method == "CONNECT" {
		rec.Host = f.Intern(cut(bare(r.uri), maxString))
	}
}

// record makes the record of a new transaction.
func (a *analyzer) record(h *half) *testudo.HTTP {
	rec := a.shared.records.HTTP()
	a.depth++
	rec.Depth, rec.Time = a.depth, h.began
	return rec
}

// status joins a status line to the oldest request without one.
func (a *analyzer) status(f *protocol.Flow, line []byte) {
	h := &a.half[protocol.Resp]
	s, ok := parseStatus(line)
	if !ok {
		if !f.MidStream || a.depth > 0 {
			a.weird(f, weirdReply, "bad_HTTP_reply", "")
		}
		h.state = lost
		return
	}
	var rec *testudo.HTTP
	if h.alone = len(a.queue) == 0 || a.queue[0].respDone; h.alone {
		rec = a.record(h)
		rec.Version = f.Intern(s.version)
	} else {
		rec = a.queue[0].rec
	}
	rec.HasResponse = true
	rec.Status, rec.StatusMsg = s.code, f.Intern(cut(s.reason, maxString))
	h.begin(rec)
}

// requestBody decides at the end of a request's headers what follows.
func (a *analyzer) requestBody(f *protocol.Flow) {
	h := &a.half[protocol.Orig]
	h.named(f, &h.rec.RequestHeaders)
	switch {
	case h.rec.Method == "CONNECT":
		a.finish(f, protocol.Orig)
		h.state = held
	case h.chunked:
		h.state = inSize
	case h.length > 0:
		h.state, h.remain = inBody, h.length
	default:
		a.finish(f, protocol.Orig)
	}
}

// responseBody decides at the end of a response's headers what follows
// (RFC 9112, 6.3).
func (a *analyzer) responseBody(f *protocol.Flow) {
	h := &a.half[protocol.Resp]
	rec := h.rec
	connect := rec.Method == "CONNECT"
	switch {
	case rec.Status == 101 || connect && rec.Status/100 == 2:
		a.finish(f, protocol.Resp)
		a.handover(f)
		return
	case rec.Status/100 == 1: // the real answer is still to come
		h.rec, h.state, h.header = nil, atStart, 0
		return
	case rec.Method == "HEAD" || rec.Status == 204 || rec.Status == 304:
		a.finish(f, protocol.Resp)
	case h.chunked:
		h.state = inSize
	case h.length > 0:
		h.state, h.remain = inBody, h.length
	case h.length == 0:
		a.finish(f, protocol.Resp)
	default:
		h.state = untilClose
	}
	if orig := &a.half[protocol.Orig]; connect && orig.state == held {
		orig.state = atStart
	}
}

// finish ends a whole message.
func (a *analyzer) finish(f *protocol.Flow, dir protocol.Dir) {
	h := &a.half[dir]
	rec := h.rec
	a.endMessage(f, dir)
	if dir == protocol.Orig {
		a.asked(f)
		return
	}
	rec.ResponseDone = f.Now
	a.answered(f, rec)
}

// endMessage writes a body's traits to the record and clears the half.
func (a *analyzer) endMessage(f *protocol.Flow, dir protocol.Dir) {
	h := &a.half[dir]
	if dir == protocol.Orig {
		h.named(f, &h.rec.RequestHeaders)
	} else {
		h.named(f, &h.rec.ResponseHeaders)
	}
	h.body.write(f, a.shared, h.rec, dir, h.gzip)
	h.rec, h.state, h.header, h.remain = nil, atStart, 0, 0
}

// named writes the header names down, once.
func (h *half) named(f *protocol.Flow, into *string) {
	if *into == "" && len(h.names) > 0 {
		*into = f.Intern(h.names)
	}
}

// asked says that the newest request is complete.
func (a *analyzer) asked(f *protocol.Flow) {
	if n := len(a.queue); n > 0 {
		a.queue[n-1].reqDone = true
	}
	// Requests that nobody answers must not fill the memory: what is over the
	// shard's bound is written without its response.
	for a.shared.waiting > maxWaiting && len(a.queue) > 0 {
		a.pop(f)
	}
	a.flush(f)
}

// answered says that rec's response is complete. A request in the queue
// whose response is under way is always the first there.
func (a *analyzer) answered(f *protocol.Flow, rec *testudo.HTTP) {
	if a.half[protocol.Resp].alone {
		f.Emit(rec)
		return
	}
	if len(a.queue) > 0 {
		a.queue[0].respDone = true
	}
	a.flush(f)
}

// flush emits the oldest transaction when both its sides are complete.
func (a *analyzer) flush(f *protocol.Flow) {
	if len(a.queue) > 0 && a.queue[0].reqDone && a.queue[0].respDone {
		f.Emit(a.queue[0].rec)
		a.shift()
	}
}

// pop gives up waiting for the oldest request's response. Where that is
// under way, its record is written when it ends.
func (a *analyzer) pop(f *protocol.Flow) {
	h := &a.half[protocol.Resp]
	if h.rec != nil && !h.alone {
		h.alone = true
	} else {
		f.Emit(a.queue[0].rec)
	}
	a.shift()
}

func (a *analyzer) shift() {
	a.shared.waiting--
	n := copy(a.queue, a.queue[1:])
	a.queue[n] = transaction{}
	a.queue = a.queue[:n]
}

// header reads one header line of either side.
func (a *analyzer) header(f *protocol.Flow, dir protocol.Dir, line []byte) {
	if line[0] == ' ' || line[0] == '\t' { // a folded line (RFC 9112, 5.2) adds nothing we keep
		return
	}
	name, value, ok := bytes.Cut(line, []byte(":"))
	name, value = bytes.TrimSpace(name), bytes.TrimSpace(value)
	if !ok || len(name) == 0 {
		return
	}
	h := &a.half[dir]
	var buf [64]byte
	low := lower(buf[:0], name)
	if len(h.names)+len(low)+1 <= maxNames {
		if len(h.names) > 0 {
			h.names = append(h.names, ',')
		}
		h.names = append(h.names, low...)
	}
	switch string(low) {
	case "content-length":
		a.contentLength(f, h, value)
	case "transfer-encoding":
		h.chunked = h.chunked || hasPrefixFold(value[max(0, len(value)-7):], "chunked")
	case "content-encoding":
		h.gzip = hasPrefixFold(value, "gzip") || hasPrefixFold(value, "x-gzip")
	case "content-disposition":
		if v := parameter(value, "filename"); len(v) > 0 {
			h.rec.FileName = f.Intern(cut(v, maxString))
		}
	default:
		value = cut(value, maxString*4)
		if dir == protocol.Orig {
			a.requestHeader(f, h.rec, low, value)
		} else if string(low) == "server" {
			h.rec.Server = f.Intern(cut(value, maxString))
		} else if string(low) == "content-type" {
			h.rec.ResponseType = f.Intern(cut(value, maxString))
		}
	}
}

// requestHeader keeps what a request says of itself.
func (a *analyzer) requestHeader(f *protocol.Flow, rec *testudo.HTTP, name, value []byte) {
	short := cut(value, maxString)
	switch string(name) {
	case "host":
		if rec.Host == "" {
			rec.Host = f.Intern(bare(short))
		}
	case "user-agent":
		rec.UserAgent = f.Intern(short)
	case "referer":
		rec.Referrer = f.Intern(short)
	case "origin":
		rec.Origin = f.Intern(short)
	case "content-type":
		rec.RequestType = f.Intern(short)
	case "cookie":
		rec.CookieLen += len(value)
	case "authorization", "proxy-authorization":
		if u := user(value); len(u) > 0 {
			rec.Username = f.Intern(cut(u, maxString))
		}
	case "forwarded", "x-forwarded-for", "x-forwarded-from", "client-ip", "via", "proxy-connection":
		var up [32]byte
		a.proxied(f, rec, string(bytes.ToUpper(append(up[:0], name...))), short)
	}
}

// proxied adds a sign of a proxy in Zeek's form, "VIA -> value".
func (a *analyzer) proxied(f *protocol.Flow, rec *testudo.HTTP, name string, value []byte) {
	if len(rec.Proxied) >= maxProxied {
		return
	}
	if rec.Proxied == nil {
		rec.Proxied = a.shared.strings.Take(maxProxied)[:0]
	}
	var buf [maxString]byte
	b := append(append(append(buf[:0], name...), " -> "...), value...)
	rec.Proxied = append(rec.Proxied, f.Intern(cut(b, maxString)))
}

// contentLength reads a length; what is no number counts as none.
func (a *analyzer) contentLength(f *protocol.Flow, h *half, value []byte) {
	n := int64(0)
	for _, c := range value {
		if c < '0' || c > '9' || n > 1<<58 {
			a.weird(f, weirdLength, "http_bad_content_length", "")
			return
		}
		n = n*10 + int64(c-'0')
	}
	if len(value) > 0 {
		h.length = n
	}
}

// chunkSize reads a chunk's size line (RFC 9112, 7.1); extensions are ignored.
func chunkSize(line []byte) (int64, bool) {
	line = bytes.TrimSpace(line)
	n, digits := int64(0), 0
	for _, c := range line {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		case c == ';' || c == ' ' || c == '\t':
			return n, digits > 0
		default:
			return 0, false
		}
		if n = n<<4 | int64(c); n > 1<<58 {
			return 0, false
		}
		digits++
	}
	return n, digits > 0
}

// user returns the account of a Basic or Digest credential (RFC 7617,
// RFC 7616). The password is not looked at further.
func user(value []byte) []byte {
	if hasPrefixFold(value, "digest ") {
		return parameter(value[len("digest"):], "username")
	}
	if !hasPrefixFold(value, "basic ") {
		return nil
	}
	enc := bytes.TrimRight(bytes.TrimSpace(value[len("basic"):]), "=")
	plain := make([]byte, base64.RawStdEncoding.DecodedLen(len(enc)))
	n, _ := base64.RawStdEncoding.Decode(plain, enc)
	name, _, ok := bytes.Cut(plain[:n], []byte(":"))
	if !ok {
		return nil
	}
	return name
}

// parameter returns the value of name in a header such as
// `attachment; filename="x"`, without quotes.
func parameter(value []byte, name string) []byte {
	for rest := value; len(rest) > 0; {
		i := bytes.IndexByte(rest, '=')
		if i < 0 {
			return nil
		}
		key := rest[:i]
		if j := bytes.LastIndexAny(key, "; ,\t"); j >= 0 {
			key = key[j+1:]
		}
		rest = bytes.TrimLeft(rest[i+1:], " ")
		var v []byte
		if len(rest) > 0 && rest[0] == '"' {
			v, rest, _ = bytes.Cut(rest[1:], []byte(`"`))
		} else if j := bytes.IndexAny(rest, ";,"); j >= 0 {
			v, rest = rest[:j], rest[j+1:]
		} else {
			v, rest = rest, nil
		}
		if len(key) == len(name) && hasPrefixFold(key, name) {
			return bytes.TrimSpace(v)
		}
	}
	return nil
}

// bare cuts a port off a host; an IPv6 address keeps its brackets, as in Zeek.
func bare(host []byte) []byte {
	i := bytes.LastIndexByte(host, ':')
	if i < 0 || i == len(host)-1 || bytes.IndexByte(host[i:], ']') >= 0 {
		return host
	}
	for _, c := range host[i+1:] {
		if c < '0' || c > '9' {
			return host
		}
	}
	return host[:i]
}

// lower appends b in lower case to dst, as far as dst has room.
func lower(dst, b []byte) []byte {
	for _, c := range b[:min(len(b), cap(dst)-len(dst))] {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return dst
}

func cut(b []byte, n int) []byte { return b[:min(len(b), n)] }
