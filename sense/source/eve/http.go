package eve

import (
	"bytes"
	"strings"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/source/logs"
)

// Keys of HTTP entries and of what fileinfo says begin with these.
const web, body = 'h', 'f'

// http reads a request with its response.
func (p *parser) http() logs.Entry {
	h := &testudo.HTTP{Meta: p.meta}
	for _, f := range p.object.Pairs {
		switch string(f.Key) {
		case "http.hostname":
			h.Host = p.text(f)
		case "http.url":
			h.URI = p.text(f)
		case "http.http_method":
			h.Method = p.text(f)
		case "http.http_user_agent":
			h.UserAgent = p.text(f)
		case "http.http_refer":
			h.Referrer = p.text(f)
		case "http.http_content_type":
			h.ResponseType = p.text(f)
		case "http.protocol":
			h.Version = strings.TrimPrefix(p.text(f), "HTTP/")
		case "http.version":
			h.Version = p.text(f)
		case "http.status":
			h.Status = int(min(p.count(f), 999))
		case "http.length":
			h.ResponseLen = p.count(f)
		case "http.server":
			h.Server = p.text(f)
		case "http.origin":
			h.Origin = p.text(f)
		case "http.cookie":
			h.CookieLen = len(p.object.Text(f.Raw, f.Sort))
		case "http.content_disposition":
			h.FileName = fileName(p.object.Text(f.Raw, f.Sort), p.words)
		case "http.request_headers":
			h.RequestHeaders = p.headers(f, func(name string, value []byte) { p.requestHeader(h, name, value) })
		case "http.response_headers":
			h.ResponseHeaders = p.headers(f, func(name string, value []byte) { p.responseHeader(h, name, value) })
		}
	}
	h.HasRequest = h.Method != "" || h.URI != "" || h.Host != ""
	h.HasResponse = h.Status != 0 || h.ResponseLen > 0
	return logs.Entry{Record: h, Key: p.join(web, p.tx)}
}

// headers goes through a list of headers and returns their names in order.
func (p *parser) headers(f logs.Pair, each func(name string, value []byte)) string {
	var names []byte
	for e := range logs.Elements(f.Raw) {
		if e.Sort != '{' || !p.inner.Parse(e.Raw) || len(names) > 4096 {
			break
		}
		var name, value []byte
		for _, q := range p.inner.Pairs {
			switch string(q.Key) {
			case "name":
				name = bytes.ToLower(p.inner.Text(q.Raw, q.Sort))
			case "value":
				value = p.inner.Text(q.Raw, q.Sort)
			}
		}
		if len(name) == 0 || name[0] == ':' { // of HTTP/2, and no header
			continue
		}
		if len(names) > 0 {
			names = append(names, ',')
		}
		names = append(names, name...)
		each(string(name), value)
	}
	return p.words.Intern(names)
}

func (p *parser) requestHeader(h *testudo.HTTP, name string, value []byte) {
	switch name {
	case "content-type":
		h.RequestType = p.words.Intern(value)
	case "content-length":
		if n, err := logs.ParseInt(value); err == nil && n >= 0 {
			h.RequestLen = n
		}
	case "cookie":
		h.CookieLen += len(value)
	case "origin":
		h.Origin = p.words.Intern(value)
	case "user-agent":
		h.UserAgent = p.words.Intern(value)
	case "referer":
		h.Referrer = p.words.Intern(value)
	}
}

func (p *parser) responseHeader(h *testudo.HTTP, name string, value []byte) {
	switch name {
	case "server":
		h.Server = p.words.Intern(value)
	case "content-type":
		h.ResponseType = p.words.Intern(value)
	case "content-disposition":
		h.FileName = fileName(value, p.words)
	}
}

// fileName reads the name out of a Content-Disposition (RFC 6266).
func fileName(value []byte, w *logs.Words) string {
	_, rest, ok := bytes.Cut(value, []byte("filename="))
	if !ok {
		return ""
	}
	rest, _, _ = bytes.Cut(rest, []byte{';'})
	return w.Intern(bytes.Trim(rest, `" `))
}

// fileinfo reads what is known of a body as an HTTP that only carries it to
// the one it belongs to. The file's sender is the event's source.
func (p *parser) fileinfo() logs.Entry {
	h := &testudo.HTTP{Meta: p.meta}
	var size int64
	var mime []string
	ofWeb := false
	for _, f := range p.object.Pairs {
		switch string(f.Key) {
		case "app_proto":
			ofWeb = string(f.Raw) == "http" || string(f.Raw) == "http2"
		case "fileinfo.size":
			size = p.count(f)
		case "fileinfo.tx_id":
			p.tx = f.Raw
		case "fileinfo.mimetype":
			mime = []string{p.text(f)}
		case "fileinfo.magic":
			if m := kindOf(string(p.object.Text(f.Raw, f.Sort))); m != "" && mime == nil {
				mime = []string{m}
			}
		}
	}
	if !ofWeb {
		return logs.Entry{Aside: "fileinfo"}
	}
	h.OrigMIME, h.RequestLen = mime, size // by the sender, whoever that is
	return logs.Entry{Record: h, Key: p.join(body, p.tx)}
}

// kindOf turns what file(1) says of a content, as Suricata logs it, into a
// MIME type, empty where it is not one of the common ones.
func kindOf(magic string) string {
	for _, k := range [...]struct{ start, mime string }{
		{"PE32", "application/x-dosexec"},
		{"MS-DOS executable", "application/x-dosexec"},
		{"ELF", "application/x-executable"},
		{"Mach-O", "application/x-mach-o-executable"},
		{"PDF document", "application/pdf"},
		{"Zip archive", "application/zip"},
		{"RAR archive", "application/x-rar"},
		{"7-zip archive", "application/x-7z-compressed"},
		{"gzip compressed", "application/x-gzip"},
		{"Microsoft Cabinet", "application/vnd.ms-cab-compressed"},
		{"Java archive", "application/java-archive"},
		{"HTML document", "text/html"},
		{"XML", "text/xml"},
		{"JSON", "text/json"},
		{"ASCII text", "text/plain"},
		{"UTF-8 Unicode text", "text/plain"},
		{"Unicode text", "text/plain"},
		{"GIF image", "image/gif"},
		{"JPEG image", "image/jpeg"},
		{"PNG image", "image/png"},
		{"Rich Text Format", "text/rtf"},
		{"data", "application/octet-stream"},
	} {
		if strings.HasPrefix(magic, k.start) {
			return k.mime
		}
	}
	return ""
}
