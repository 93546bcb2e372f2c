package smtp

import (
	"bytes"
	"encoding/base64"
	"mime"
	"strings"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/protocol"
	"github.com/testudo-shield/testudo/sense/protocol/content"
)

const (
	maxField  = 2048 // bytes of an unfolded header field
	maxSample = 1536 // encoded bytes of a part that are looked at
	maxBody   = 512
	maxNest   = 8 // multiparts within multiparts
)

// stage is where a message stands.
type stage uint8

const (
	idle stage = iota
	inHeaders
	inPart  // the body of a part, or of a message without parts
	between // before, between and after parts
)

// mail reads one message (RFC 5322, RFC 2045, RFC 2046), line by line.
type mail struct {
	stage      stage
	top        bool // the headers are the message's own
	field      []byte
	boundaries []string

	typ, name string
	encoding  byte // 'b' base64, 'q' quoted-printable, 0 as it is
	attached  bool
	sample    []byte
	sampling  bool
	holed     bool // bytes were lost; the sample ends there
}

// begin makes m ready for a message.
func (m *mail) begin() {
	*m = mail{stage: inHeaders, top: true, field: m.field[:0], sample: m.sample[:0], boundaries: m.boundaries[:0]}
}

// line reads a line of size bytes with its end, or a piece of one; start says
// whether it is the line's first piece.
func (m *mail) line(f *protocol.Flow, rec *testudo.SMTP, line []byte, size int, start bool) {
	if !m.top {
		rec.BodyLen += int64(size)
	}
	if start && m.stage != idle && !m.top && m.boundary(f, rec, line) {
		return
	}
	switch m.stage {
	case inHeaders:
		m.header(f, rec, line, start)
	case inPart:
		if m.sampling && !m.holed {
			m.sample = append(m.sample, cut(line, maxSample-len(m.sample))...)
			if len(m.sample) < maxSample && m.encoding != 'b' {
				m.sample = append(m.sample, '\n')
			}
			if len(m.sample) >= maxSample {
				m.judge(f, rec)
			}
		}
	}
}

// boundary tells whether line parts parts, and acts on it.
func (m *mail) boundary(f *protocol.Flow, rec *testudo.SMTP, line []byte) bool {
	if len(line) < 3 || line[0] != '-' || line[1] != '-' {
		return false
	}
	line = bytes.TrimRight(line[2:], " \t")
	for i := len(m.boundaries) - 1; i >= 0; i-- {
		mark := m.boundaries[i]
		if len(line) < len(mark) || string(line[:len(mark)]) != mark {
			continue
		}
		rest := string(line[len(mark):])
		if rest != "" && rest != "--" {
			continue
		}
		m.part(f, rec)
		if m.boundaries = m.boundaries[:i+1]; rest == "--" {
			m.boundaries, m.stage = m.boundaries[:i], between
		} else {
			m.stage, m.field = inHeaders, m.field[:0]
			m.typ, m.name, m.encoding, m.attached = "", "", 0, false
		}
		return true
	}
	return false
}

// header collects a field with its continuation lines and reads it when the
// next one begins.
func (m *mail) header(f *protocol.Flow, rec *testudo.SMTP, line []byte, start bool) {
	if !start || len(line) > 0 && (line[0] == ' ' || line[0] == '\t') {
		if start {
			m.field = append(m.field, ' ')
			line = bytes.TrimLeft(line, " \t")
		}
		m.field = append(m.field, cut(line, max(0, maxField-len(m.field)))...)
		return
	}
	m.read(f, rec)
	if m.field = append(m.field[:0], cut(line, maxField)...); len(line) > 0 {
		return
	}
	m.top = false
	switch {
	case strings.HasPrefix(m.typ, "multipart/"):
		m.stage = between
	case m.typ == "message/rfc822" && !m.attached: // its headers are a part's again
		m.typ, m.stage = "", inHeaders
	default:
		m.stage, m.sampling, m.holed, m.sample = inPart, true, false, m.sample[:0]
		rec.HTML = rec.HTML || m.typ == "text/html" && !m.attached
	}
}

// read acts on the field collected.
func (m *mail) read(f *protocol.Flow, rec *testudo.SMTP) {
	name, value, ok := bytes.Cut(m.field, []byte(":"))
	if !ok {
		return
	}
	value = bytes.TrimSpace(value)
	switch strings.ToLower(string(cut(bytes.TrimSpace(name), 32))) {
	case "content-type":
		m.contentType(string(value))
	case "content-disposition":
		d, p := media(string(value))
		m.attached = m.attached || d == "attachment"
		m.called(p["filename"])
	case "content-transfer-encoding":
		m.encoding = 0
		if len(value) > 0 && (value[0]|0x20 == 'b' && foldPrefix(value, "base64") || value[0]|0x20 == 'q') {
			m.encoding = value[0] | 0x20
		}
	default:
		if m.top {
			envelope(f, rec, strings.ToLower(string(cut(name, 32))), value)
		}
	}
}

// envelope keeps a field of the message's own headers.
func envelope(f *protocol.Flow, rec *testudo.SMTP, name string, value []byte) {
	short := cut(value, maxString)
	switch name {
	case "date":
		rec.Date = f.Intern(short)
	case "from":
		rec.From = f.Intern(short)
	case "to":
		rec.To = list(f, rec.To, value)
	case "reply-to":
		rec.ReplyTo = f.Intern(short)
	case "message-id":
		rec.MsgID = f.Intern(short)
	case "subject":
		rec.Subject = f.Intern(short)
	case "x-originating-ip":
		rec.XOriginatingIP = f.Intern(bytes.Trim(short, "[]"))
	case "user-agent", "x-mailer":
		rec.UserAgent = f.Intern(short)
	}
}

// list splits addresses at the commas outside quotes.
func list(f *protocol.Flow, to []string, value []byte) []string {
	quoted, from := false, 0
	for i := 0; i <= len(value) && len(to) < maxList; i++ {
		if i < len(value) && value[i] == '"' {
			quoted = !quoted
		}
		if i == len(value) || value[i] == ',' && !quoted {
			if one := bytes.TrimSpace(value[from:i]); len(one) > 0 {
				to = append(to, f.Intern(cut(one, maxString)))
			}
			from = i + 1
		}
	}
	return to
}

func (m *mail) contentType(value string) {
	typ, p := media(value)
	m.typ = typ
	m.called(p["name"])
	if mark := p["boundary"]; mark != "" && len(mark) <= 128 && strings.HasPrefix(typ, "multipart/") && len(m.boundaries) < maxNest {
		m.boundaries = append(m.boundaries, strings.Clone(mark))
	}
}

// called notes a part's file name, decoded where it is an encoded word.
func (m *mail) called(name string) {
	if name == "" {
		return
	}
	if plain, err := new(mime.WordDecoder).DecodeHeader(name); err == nil {
		name = plain
	}
	m.name = strings.Clone(name[:min(len(name), maxString)])
}

// media reads a type and its parameters, also where the grammar of RFC 2045
// is broken, as spam does.
func media(value string) (string, map[string]string) {
	typ, params, err := mime.ParseMediaType(value)
	if err == nil {
		return typ, params
	}
	parts := strings.Split(value, ";")
	params = map[string]string{}
	for _, p := range parts[1:] {
		k, v, _ := strings.Cut(p, "=")
		params[strings.ToLower(strings.TrimSpace(k))] = strings.Trim(strings.TrimSpace(v), `"`)
	}
	return strings.ToLower(strings.TrimSpace(parts[0])), params
}

// part ends the part under way.
func (m *mail) part(f *protocol.Flow, rec *testudo.SMTP) {
	if m.stage == inHeaders {
		m.read(f, rec)
		m.field = m.field[:0]
	}
	if m.sampling {
		m.judge(f, rec)
	}
}

// judge decodes the sample and writes down what it is.
func (m *mail) judge(f *protocol.Flow, rec *testudo.SMTP) {
	m.sampling = false
	b := cut(decode(m.encoding, m.sample), maxBody)
	if m.attached || m.name != "" {
		if len(rec.Attachments) < maxList {
			rec.Attachments = append(rec.Attachments, f.Intern([]byte(m.name)))
			rec.AttachmentTypes = append(rec.AttachmentTypes, content.MIME(b))
		}
		return
	}
	if text := m.typ == "" || strings.HasPrefix(m.typ, "text/"); text && rec.BodyHead == "" {
		rec.BodyHead = f.Intern(bytes.TrimSpace(b))
	}
}

// end ends the message.
func (m *mail) end(f *protocol.Flow, rec *testudo.SMTP) {
	if m.stage != idle {
		m.part(f, rec)
		m.stage = idle
	}
}

// decode undoes a transfer encoding in place.
func decode(encoding byte, b []byte) []byte {
	switch encoding {
	case 'b':
		n := 0
		for _, c := range b {
			if c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '+' || c == '/' {
				b[n] = c
				n++
			}
		}
		if n%4 == 1 {
			n--
		}
		n, _ = base64.RawStdEncoding.Decode(b, b[:n])
		return b[:n]
	case 'q':
		return unquote(b)
	}
	return b
}

// unquote decodes quoted-printable (RFC 2045, 6.7) in place; what is not
// well-formed stays as it is.
func unquote(b []byte) []byte {
	n := 0
	for i := 0; i < len(b); i++ {
		if b[i] == '=' && i+1 < len(b) && b[i+1] == '\n' {
			i++
			continue
		}
		if b[i] == '=' && i+2 < len(b) {
			hi, lo := unhex(b[i+1]), unhex(b[i+2])
			if hi >= 0 && lo >= 0 {
				b[n] = byte(hi<<4 | lo)
				n, i = n+1, i+2
				continue
			}
		}
		b[n] = b[i]
		n++
	}
	return b[:n]
}

func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}
