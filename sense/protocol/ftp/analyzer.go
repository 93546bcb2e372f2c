package ftp

import (
	"bytes"
	"net/netip"
	"strings"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/protocol"
)

// command is one that waits for its reply.
type command struct {
	verb, arg string
	at        testudo.Time
	size      int64 // from a preliminary reply
}

type analyzer struct {
	shared  *shared
	scanned [2]int
	midLine [2]bool

	pending  []command
	bannered bool
	multi    int // code of a reply of several lines under way, 0 for none
	user     string
	password string
	handed   bool
}

// Data implements protocol.Analyzer.
func (a *analyzer) Data(f *protocol.Flow, dir protocol.Dir, b []byte) int {
	n := 0
	for n < len(b) && !a.handed {
		rest := b[n:]
		from := min(a.scanned[dir], len(rest))
		i := bytes.IndexByte(rest[from:], '\n')
		if i < 0 {
			if len(rest) < maxLine {
				a.scanned[dir] = len(rest)
				return n
			}
			i = len(rest) - 1
		} else {
			i += from
		}
		a.scanned[dir] = 0
		if !a.midLine[dir] {
			line := bytes.TrimRight(rest[:i+1], "\r\n")
			if dir == protocol.Orig {
				a.command(f, line)
			} else {
				a.reply(f, line)
			}
		}
		a.midLine[dir] = rest[i] != '\n'
		n += i + 1
	}
	return n
}

// command notes a command until its reply comes.
func (a *analyzer) command(f *protocol.Flow, line []byte) {
	for len(line) > 0 && line[0] >= 0xf0 { // telnet's interrupt before ABOR
		line = line[1:]
	}
	word, arg, _ := bytes.Cut(bytes.TrimSpace(line), []byte(" "))
	if len(word) == 0 || len(word) > 8 {
		return
	}
	verb := f.Intern(bytes.ToUpper(word))
	c := command{verb: verb, at: f.Now}
	switch verb {
	case "PASS":
		a.password = "<hidden>"
		if u := strings.ToLower(a.user); u == "anonymous" || u == "ftp" || u == "guest" {
			a.password = f.Intern(bytes.TrimSpace(cut(arg, maxString)))
		}
	case "USER":
		a.user, a.password = f.Intern(bytes.TrimSpace(cut(arg, maxString))), ""
		c.arg = a.user
	case "ACCT", "ADAT":
	default:
		c.arg = f.Intern(bytes.TrimSpace(cut(arg, maxString)))
	}
	if len(a.pending) < maxPending {
		a.pending = append(a.pending, c)
	}
}

// reply acts on one line of the server.
func (a *analyzer) reply(f *protocol.Flow, line []byte) {
	code := 0
	if len(line) >= 3 {
		for _, c := range line[:3] {
			if c < '0' || c > '9' {
				code = 0
				break
			}
			code = code*10 + int(c-'0')
		}
	}
	switch {
	case code < 100:
		return
	case len(line) > 3 && line[3] == '-':
		if a.multi == 0 {
			a.multi = code
		}
		return
	case len(line) > 3 && line[3] != ' ', a.multi != 0 && a.multi != code:
		return
	}
	a.multi = 0
	text := bytes.TrimSpace(line[min(len(line), 4):])
	if !a.bannered {
		if a.bannered = true; code == 220 {
			return
		}
	}
	if len(a.pending) == 0 {
		return
	}
	if code < 200 { // a preliminary reply; the outcome follows
		a.pending[0].size = max(a.pending[0].size, size(text))
		return
	}
	c := a.pending[0]
	a.pending = a.pending[:copy(a.pending, a.pending[1:])]
	a.outcome(f, c, code, text)
}

// outcome writes a command with its final reply.
func (a *analyzer) outcome(f *protocol.Flow, c command, code int, text []byte) {
	ok := code/100 == 2
	r := testudo.FTP{Command: c.verb, Arg: c.arg, ReplyCode: code}
	switch c.verb {
	case "AUTH":
		if code == 234 {
			a.handed = true
			f.Handover("ssl")
		}
		return
	case "USER":
		if code == 331 || code == 332 { // the log-in goes on with PASS
			return
		}
	case "PASS":
	case "PASV", "EPSV":
		if ok {
			var ap netip.AddrPort
			if c.verb == "PASV" {
				ap, ok = passive(text)
			} else {
				ap, ok = extended(text, f.ID.Resp.Addr())
			}
			if ok {
				a.expectPassive(f, &r, ap)
			}
		}
	case "PORT", "EPRT":
		var ap netip.AddrPort
		if c.verb == "PORT" {
			ap, ok = numbers([]byte(c.arg))
		} else {
			ap, ok = extended([]byte(c.arg), f.ID.Orig.Addr())
		}
		if ok && code/100 == 2 {
			a.expectActive(f, &r, ap)
		}
	case "RETR", "STOR", "STOU", "APPE":
		r.FileSize = max(c.size, size(text))
	case "DELE", "LIST", "NLST", "MLSD", "RNTO", "MKD", "RMD", "SITE":
	default:
		return
	}
	a.emit(f, r, c.at, text)
}

func (a *analyzer) emit(f *protocol.Flow, r testudo.FTP, at testudo.Time, text []byte) {
	rec := a.shared.records.New()
	*rec = r
	rec.Time, rec.User, rec.Password = at, a.user, a.password
	rec.ReplyMsg = f.Intern(cut(text, maxString))
	f.Emit(rec)
}

// expectPassive announces a data channel to the server. The address in the
// reply may be another's, behind address translation or in an attack; what is
// expected lies between the two ends of this conversation.
func (a *analyzer) expectPassive(f *protocol.Flow, r *testudo.FTP, ap netip.AddrPort) {
	r.Passive, r.DataOrig, r.DataResp, r.DataPort = true, f.ID.Orig.Addr(), ap.Addr(), ap.Port()
	f.Expect(testudo.ConnID{
		Orig:  netip.AddrPortFrom(f.ID.Orig.Addr(), 0),
		Resp:  netip.AddrPortFrom(f.ID.Resp.Addr(), ap.Port()),
		Proto: testudo.TCP,
	}, "ftp-data")
}

// expectActive announces a data channel from the server to the client.
func (a *analyzer) expectActive(f *protocol.Flow, r *testudo.FTP, ap netip.AddrPort) {
	r.DataOrig, r.DataResp, r.DataPort = f.ID.Resp.Addr(), ap.Addr(), ap.Port()
	f.Expect(testudo.ConnID{
		Orig:  netip.AddrPortFrom(f.ID.Resp.Addr(), 0),
		Resp:  netip.AddrPortFrom(f.ID.Orig.Addr(), ap.Port()),
		Proto: testudo.TCP,
	}, "ftp-data")
}

// size reads a number of bytes from a reply such as "(1234 bytes)".
func size(text []byte) int64 {
	i := bytes.Index(text, []byte(" bytes"))
	if i < 0 {
		return 0
	}
	from := i
	for from > 0 && text[from-1] >= '0' && text[from-1] <= '9' && i-from < 15 {
		from--
	}
	n := int64(0)
	for _, c := range text[from:i] {
		n = n*10 + int64(c-'0')
	}
	return n
}

func cut(b []byte, n int) []byte { return b[:min(len(b), n)] }

// Gap implements protocol.Analyzer. Replies after a hole answer commands
// that cannot be told, so those that wait are given up.
func (a *analyzer) Gap(f *protocol.Flow, dir protocol.Dir, _ int) {
	a.scanned[dir], a.midLine[dir], a.multi = 0, true, 0
	a.giveUp(f)
}

// giveUp writes the commands that got no final reply, with code 0.
func (a *analyzer) giveUp(f *protocol.Flow) {
	for _, c := range a.pending {
		switch c.verb {
		case "PASS", "RETR", "STOR", "STOU", "APPE", "DELE":
			a.emit(f, testudo.FTP{Command: c.verb, Arg: c.arg}, c.at, nil)
		}
	}
	a.pending = a.pending[:0]
}

// End implements protocol.Analyzer.
func (a *analyzer) End(f *protocol.Flow) { a.giveUp(f) }

// Reset implements protocol.Analyzer.
func (a *analyzer) Reset() {
	clear(a.pending)
	*a = analyzer{shared: a.shared, pending: a.pending[:0]}
}
