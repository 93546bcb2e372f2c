package opaque

import (
	"bytes"

	"github.com/testudo-shield/testudo/sense/protocol"
	"github.com/testudo-shield/testudo/sense/protocol/content"
)

// The kinds of shell a prompt can show.
const (
	windows = "windows shell"
	unix    = "unix shell"
)

// greetings begin text protocols whose server or client talks like a shell
// to the careless eye: mail, IRC, remote frame buffers, XML streams, JSON.
var greetings = [...]string{
	"+OK", "* OK", "* BYE", "-ERR", ":", "@", "<", "{", "SSH-", "RFB ",
	"NICK ", "USER ", "PASS ", "CAP ", "GET ", "POST ", "HTTP/", "INFO {", "*1\r\n", "*2\r\n", "*3\r\n", "$",
}

// greeting tells whether b begins as one of those, with a three-digit reply
// code as FTP, SMTP and NNTP do, or with a telnet negotiation (RFC 854).
// "$ " alone is a prompt and no greeting.
func greeting(b []byte) bool {
	if len(b) >= 4 && digit(b[0]) && digit(b[1]) && digit(b[2]) && (b[3] == ' ' || b[3] == '-') {
		return true
	}
	if len(b) >= 2 && b[0] == 0xff && b[1] >= 0xfa {
		return true
	}
	for _, g := range greetings {
		if len(b) >= len(g) && string(b[:len(g)]) == g {
			return g != "$" || len(b) > 1 && b[1] != ' '
		}
	}
	return false
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

func letter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// prompt names the kind of shell that run, one end's latest words, shows: by
// its banner, by the prompt it ends in, or by what only a shell would answer.
func prompt(run []byte) string {
	if len(run) < 2 || content.Text(run) < 0.85 { // escape sequences are not text
		return ""
	}
	if bytes.Contains(run, []byte("Microsoft Windows [")) {
		return windows
	}
	if identity(run) || bytes.Contains(run, []byte("job control turned off")) || bytes.Contains(run, []byte("no job control in this shell")) {
		return unix
	}
	line := run[bytes.LastIndexByte(run, '\n')+1:]
	if len(line) > 300 {
		return ""
	}
	if windowsPrompt(line) {
		return windows
	}
	if unixPrompt(line) {
		return unix
	}
	return ""
}

// windowsPrompt matches `C:\dir>` and `PS C:\dir> `.
func windowsPrompt(line []byte) bool {
	line = bytes.TrimRight(line, " ")
	line = bytes.TrimPrefix(line, []byte("PS "))
	n := len(line)
	return n >= 4 && letter(line[0]) && line[1] == ':' && line[2] == '\\' && line[n-1] == '>' &&
		!bytes.ContainsAny(line[3:n-1], `<>"|*?:`)
}

// unixPrompt matches `user@host:~$ `, `[user@host dir]# `, `sh-5.1$ `, and a
// bare `$ ` or `# `, with or without colours.
func unixPrompt(line []byte) bool {
	var buf [300]byte
	line = uncoloured(buf[:0], line)
	n := len(line)
	if n < 2 || line[n-1] != ' ' || line[n-2] != '$' && line[n-2] != '#' {
		return false
	}
	line = line[:n-2]
	if len(line) == 0 {
		return true
	}
	if line[0] == '[' && line[len(line)-1] == ']' || line[0] == '(' && line[len(line)-1] == ')' {
		line = line[1 : len(line)-1]
	}
	if at := bytes.IndexByte(line, '@'); at > 0 {
		return word(line[:at]) > 0 && word(line[:at]) == at && word(line[at+1:]) > 0
	}
	name, version, ok := bytes.Cut(line, []byte("-"))
	if !ok || len(version) == 0 || word(name) != len(name) || !bytes.HasSuffix(name, []byte("sh")) {
		return false
	}
	for _, c := range version {
		if !digit(c) && c != '.' {
			return false
		}
	}
	return true
}

// word returns how many leading bytes of b may be in a user's or host's name.
func word(b []byte) int {
	n := 0
	for n < len(b) && (letter(b[n]) || digit(b[n]) || b[n] == '-' || b[n] == '_' || b[n] == '.') {
		n++
	}
	return n
}

// uncoloured appends line without terminal escape sequences (ECMA-48) to dst.
func uncoloured(dst, line []byte) []byte {
	for i := 0; i < len(line); i++ {
		if line[i] != 0x1b || i+1 >= len(line) {
			if line[i] != 0x1b && line[i] != '\r' {
				dst = append(dst, line[i])
			}
			continue
		}
		i++
		switch line[i] {
		case '[':
			for i++; i < len(line) && (line[i] < '@' || line[i] > '~'); i++ {
			}
		case ']':
			for i++; i < len(line) && line[i] != 7; i++ {
			}
		}
	}
	return dst
}

// identity finds the answer of id(1): "uid=0(root) gid=0(root)".
func identity(b []byte) bool {
	i := bytes.Index(b, []byte("uid="))
	if i < 0 {
		return false
	}
	b = b[i+4:]
	n := 0
	for n < len(b) && digit(b[n]) {
		n++
	}
	if n == 0 || n == len(b) || b[n] != '(' {
		return false
	}
	end := bytes.Index(b, []byte(") gid="))
	return end > n && end < n+64
}

// commanded tells whether resp gives orders in short lines and orig answers
// them in text, as in a shell without a prompt that was connected back. Every
// order must look like one, and enough answers must have several lines.
func (a *analyzer) commanded() string {
	if a.count < 4 || a.messages[0].dir != protocol.Resp || a.sides[0].full || a.sides[1].full {
		return ""
	}
	answered, rich, crlf := 0, 0, false
	var order, answer []byte
	for i := 0; i < a.count; {
		j := i
		for j < a.count && a.messages[j].dir == a.messages[i].dir {
			j++
		}
		run := a.sides[a.messages[i].dir].bytes()[a.messages[i].from:a.messages[j-1].to]
		if a.messages[i].dir == protocol.Resp {
			if order = run; !isOrder(order) {
				return ""
			}
		} else if answer = run; content.Text(answer) < 0.95 || answer[0] == '{' || answer[0] == '<' {
			return ""
		} else if len(bytes.TrimSpace(order)) > 0 {
			answered++
			if bytes.Count(answer, []byte("\n")) >= 2 && len(answer) > 2*len(order) {
				rich++
			}
			crlf = crlf || bytes.Contains(answer, []byte("\r\n"))
		}
		i = j
	}
	if answered < 2 || rich < 2 && (rich < 1 || answered < 3) {
		return ""
	}
	if crlf {
		return windows
	}
	return unix
}

// isOrder tells whether b could be typed at a shell: one to three short lines
// of text, each empty or begun by the name or path of a command.
func isOrder(b []byte) bool {
	if len(b) == 0 || len(b) > 512 || b[len(b)-1] != '\n' || bytes.Count(b, []byte("\n")) > 3 || content.Text(b) < 0.95 {
		return false
	}
	for line := range bytes.SplitSeq(b[:len(b)-1], []byte("\n")) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			continue
		}
		if c := line[0]; !letter(c) && bytes.IndexByte([]byte(`./\"$%~&(`), c) < 0 {
			return false
		}
		verb, _, _ := bytes.Cut(line, []byte(" "))
		if len(verb) > 0 && verb[len(verb)-1] == ':' && len(verb) > 2 { // a header field, not a drive
			return false
		}
	}
	return true
}
