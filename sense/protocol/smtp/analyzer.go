package smtp

import (
	"bytes"
	"encoding/base64"
	"strings"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/protocol"
)

// state is where the client's side stands.
type state uint8

const (
	inCommands state = iota
	inAuth           // lines of a log-in
	inData           // message text up to a lone dot
	inChunk          // bytes of a BDAT chunk
)

// kind is what a pending reply answers.
type kind uint8

const (
	other kind = iota
	auth
	data
	message // the end of a message
	startTLS
)

type analyzer struct {
	shared  *shared
	state   state
	midLine [2]bool // the next bytes of that side continue a line given up
	scanned [2]int

	pending   []kind
	bannered  bool // the server's first reply was seen
	authLines int  // client lines a log-in may still take
	remain    int64
	last      bool // the chunk is the message's last
	fresh     bool // no byte of the message was read yet

	msg     *testudo.SMTP // under way, nil between messages
	ended   bool          // msg is complete and waits for its reply
	mail    mail
	depth   int
	session testudo.SMTP // what holds for every message of the session
	talked  bool
	handed  bool
}

// Data implements protocol.Analyzer.
func (a *analyzer) Data(f *protocol.Flow, dir protocol.Dir, b []byte) int {
	n := 0
	for n < len(b) && !a.handed {
		used := a.step(f, dir, b[n:])
		if used == 0 {
			break
		}
		n += used
	}
	return n
}

// step takes one line, or a piece of one that is too long to wait for.
func (a *analyzer) step(f *protocol.Flow, dir protocol.Dir, b []byte) int {
	chunk := dir == protocol.Orig && a.state == inChunk
	if chunk {
		b = b[:min(int64(len(b)), a.remain)]
	}
	from := min(a.scanned[dir], len(b))
	i := bytes.IndexByte(b[from:], '\n')
	if i < 0 {
		if len(b) < maxLine && (!chunk || int64(len(b)) < a.remain) {
			a.scanned[dir] = len(b)
			return 0
		}
		i = len(b) - 1
	} else {
		i += from
	}
	a.scanned[dir] = 0
	piece, whole := b[:i+1], b[i] == '\n'
	if dir == protocol.Resp {
		if !a.midLine[dir] {
			a.reply(f, trimCR(bytes.TrimSuffix(piece, []byte("\n"))))
		}
	} else {
		a.client(f, piece, whole)
	}
	a.midLine[dir] = !whole && (!chunk || a.state == inChunk)
	return len(piece)
}

// client acts on a line, or a piece of one, that the client sent.
func (a *analyzer) client(f *protocol.Flow, piece []byte, whole bool) {
	line := piece
	if whole {
		line = trimCR(piece[:len(piece)-1])
	}
	start := !a.midLine[protocol.Orig]
	switch a.state {
	case inData:
		a.fresh = false
		if start && whole && len(line) == 1 && line[0] == '.' {
			a.endMessage(f)
			return
		}
		if start && len(line) > 0 && line[0] == '.' { // dot-stuffing (RFC 5321, 4.5.2)
			line, piece = line[1:], piece[1:]
		}
		a.mail.line(f, a.msg, line, len(piece), start)
	case inChunk:
		a.mail.line(f, a.msg, line, len(piece), start)
		a.chunked(f, int64(len(piece)))
	case inAuth:
		if start {
			a.push(auth)
			a.credential(f, line)
		}
	default:
		if start {
			a.talked = true
			a.command(f, line)
		}
	}
}

// command acts on one command line.
func (a *analyzer) command(f *protocol.Flow, line []byte) {
	verb, arg, _ := bytes.Cut(bytes.TrimSpace(line), []byte(" "))
	arg = bytes.TrimSpace(arg)
	k := other
	switch strings.ToUpper(string(cut(verb, 16))) {
	case "":
		return
	case "EHLO", "HELO", "LHLO":
		a.session.Helo = f.Intern(cut(arg, maxString))
	case "MAIL":
		a.close(f)
		a.open(f)
		a.msg.MailFrom = f.Intern(address(arg))
	case "RCPT":
		a.open(f)
		if len(a.msg.RcptTo) < maxList {
			a.msg.RcptTo = append(a.msg.RcptTo, f.Intern(address(arg)))
		}
	case "DATA":
		a.open(f)
		a.mail.begin()
		a.state, a.fresh, k = inData, true, data
	case "BDAT":
		k = a.chunk(f, arg)
	case "RSET":
		a.close(f)
	case "STARTTLS":
		k = startTLS
	case "AUTH":
		k = auth
		a.login(f, arg)
	}
	a.push(k)
}

// chunk begins a BDAT chunk (RFC 3030) and tells what its reply will answer.
func (a *analyzer) chunk(f *protocol.Flow, arg []byte) kind {
	size, rest, _ := bytes.Cut(arg, []byte(" "))
	n := int64(0)
	for _, c := range size {
		if c < '0' || c > '9' || n > 1<<40 {
			return other
		}
		n = n*10 + int64(c-'0')
	}
	if a.msg == nil || a.mail.stage == idle {
		a.open(f)
		a.mail.begin()
	}
	if n > 0 {
		a.state, a.remain = inChunk, n
	}
	a.last = bytes.EqualFold(bytes.TrimSpace(rest), []byte("LAST"))
	if n == 0 {
		a.chunked(f, 0)
	}
	if a.last {
		return message
	}
	return other
}

// chunked counts n bytes of a chunk.
func (a *analyzer) chunked(f *protocol.Flow, n int64) {
	if a.remain -= n; a.remain > 0 {
		return
	}
	a.state, a.remain = inCommands, 0
	if a.last {
		a.mail.end(f, a.msg)
		a.ended = true
	}
}

// login reads AUTH and its mechanism (RFC 4954) and says how many lines of
// the client belong to it.
func (a *analyzer) login(f *protocol.Flow, arg []byte) {
	mech, initial, _ := bytes.Cut(arg, []byte(" "))
	name := strings.ToUpper(string(cut(mech, 32)))
	a.session.Auth = f.Intern([]byte(name))
	a.state, a.authLines = inAuth, 2
	if name == "PLAIN" || name == "XOAUTH2" || name == "CRAM-MD5" {
		a.authLines = 1
	}
	if len(initial) > 0 {
		a.credential(f, initial)
	}
}

// credential reads the account from one line of a log-in. Only PLAIN, LOGIN,
// CRAM-MD5 and XOAUTH2 show one; what follows the account is not kept.
func (a *analyzer) credential(f *protocol.Flow, line []byte) {
	first := a.authLines == 2 || a.session.Auth != "LOGIN"
	if a.authLines--; a.authLines <= 0 {
		a.state = inCommands
	}
	if !first {
		return
	}
	var buf [512]byte
	enc := bytes.TrimRight(cut(bytes.TrimSpace(line), 640), "=")
	n, _ := base64.RawStdEncoding.Decode(buf[:], enc)
	plain := buf[:n]
	var name []byte
	switch a.session.Auth {
	case "PLAIN": // authorization id, NUL, account, NUL, password (RFC 4616)
		_, rest, _ := bytes.Cut(plain, []byte{0})
		name, _, _ = bytes.Cut(rest, []byte{0})
	case "LOGIN":
		name = plain
	case "CRAM-MD5":
		name, _, _ = bytes.Cut(plain, []byte(" "))
	case "XOAUTH2":
		name, _, _ = bytes.Cut(bytes.TrimPrefix(plain, []byte("user=")), []byte{1})
	}
	if len(name) > 0 {
		a.session.User = f.Intern(name)
	}
}

// reply acts on one line of the server.
func (a *analyzer) reply(f *protocol.Flow, line []byte) {
	if len(line) < 3 || len(line) > 3 && line[3] != ' ' {
		return // not the last line of a reply
	}
	code := 0
	for _, c := range line[:3] {
		if c < '0' || c > '9' {
			return
		}
		code = code*10 + int(c-'0')
	}
	a.talked = true
	a.session.LastReply = f.Intern(cut(line, maxString))
	if !a.bannered {
		if a.bannered = true; code == 220 {
			return
		}
	}
	k := a.pull()
	if code == 235 {
		a.session.AuthOK = true
	}
	switch {
	case code == 535 || k == auth && code >= 500:
		a.session.AuthFailed++
	case k == startTLS && code == 220:
		a.session.TLS, a.handed = true, true
		a.finish(f)
		f.Handover("ssl")
	case k == message && a.ended:
		a.close(f)
	case k == data && code != 354 && a.state == inData && a.fresh:
		a.state = inCommands
	}
	if a.state == inAuth && code != 334 && (k == auth || len(a.pending) == 0) {
		a.state = inCommands
	}
}

func (a *analyzer) push(k kind) {
	if len(a.pending) < maxPending {
		a.pending = append(a.pending, k)
	}
}

func (a *analyzer) pull() kind {
	if len(a.pending) == 0 {
		return other
	}
	k := a.pending[0]
	a.pending = a.pending[:copy(a.pending, a.pending[1:])]
	return k
}

// open begins a message where none is under way.
func (a *analyzer) open(f *protocol.Flow) {
	if a.msg != nil && a.ended {
		a.close(f)
	}
	if a.msg == nil {
		a.msg = a.shared.records.New()
		a.msg.Time = f.Now
		a.ended = false
	}
}

// endMessage says that a message's text is complete.
func (a *analyzer) endMessage(f *protocol.Flow) {
	a.mail.end(f, a.msg)
	a.state, a.ended = inCommands, true
	a.push(message)
}

// close writes the message under way, if there is one.
func (a *analyzer) close(f *protocol.Flow) {
	m := a.msg
	if m == nil {
		return
	}
	a.mail.end(f, m)
	a.depth++
	m.Depth = a.depth
	s := &a.session
	m.Helo, m.LastReply, m.TLS = s.Helo, s.LastReply, s.TLS
	m.Auth, m.User, m.AuthFailed, m.AuthOK = s.Auth, s.User, s.AuthFailed, s.AuthOK
	a.msg, a.ended = nil, false
	f.Emit(m)
}

// finish writes what is pending, and the session where no message went.
func (a *analyzer) finish(f *protocol.Flow) {
	a.close(f)
	if a.depth == 0 && a.talked {
		a.open(f)
		a.msg.Time = f.Start
		a.close(f)
	}
}

// Gap implements protocol.Analyzer. Replies can no longer be told apart by
// count; what their codes say alone still holds.
func (a *analyzer) Gap(f *protocol.Flow, dir protocol.Dir, n int) {
	a.scanned[dir], a.midLine[dir] = 0, true
	if dir == protocol.Orig {
		a.mail.holed = true
		if a.state == inChunk {
			a.chunked(f, int64(n))
			return
		}
	}
	a.pending = a.pending[:0]
}

// End implements protocol.Analyzer.
func (a *analyzer) End(f *protocol.Flow) {
	if !a.handed {
		a.finish(f)
	}
}

// Reset implements protocol.Analyzer.
func (a *analyzer) Reset() {
	m := a.mail
	m.begin()
	m.stage = idle
	*a = analyzer{shared: a.shared, pending: a.pending[:0], mail: m}
}

// address returns what "FROM:<a@b> SIZE=1" names.
func address(arg []byte) []byte {
	if i := bytes.IndexByte(arg, '<'); i >= 0 {
		name, _, _ := bytes.Cut(arg[i+1:], []byte(">"))
		return cut(name, maxString)
	}
	if i := bytes.IndexByte(arg, ':'); i >= 0 {
		arg = bytes.TrimSpace(arg[i+1:])
	}
	name, _, _ := bytes.Cut(arg, []byte(" "))
	return cut(name, maxString)
}
