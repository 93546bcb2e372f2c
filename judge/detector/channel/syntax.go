package channel

import (
	"bytes"
	"strings"
)

// plain appends s to dst with percent signs decoded (twice, as attackers
// encode twice), plus signs as blanks and letters in lower case. What does
// not fit dst's capacity is left out.
func plain(dst []byte, s string) []byte {
	room := cap(dst)
	for i := 0; i < len(s) && len(dst) < room; i++ {
		dst = append(dst, s[i])
	}
	for range 2 {
		n := 0
		for i := 0; i < len(dst); i++ {
			c := dst[i]
			if c == '%' && i+2 < len(dst) && nibble(dst[i+1]) >= 0 && nibble(dst[i+2]) >= 0 {
				c = byte(nibble(dst[i+1])<<4 | nibble(dst[i+2]))
				i += 2
			} else if c == '+' {
				c = ' '
			}
			if c >= 'A' && c <= 'Z' {
				c |= 0x20
			}
			dst[n] = c
			n++
		}
		dst = dst[:n]
	}
	return dst
}

func nibble(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}

// smuggled tells whether line, as plain returns it, holds syntax of a class.
func smuggled(class int, line []byte) bool {
	switch class {
	case query:
		return sql(line)
	case climb:
		return climbs(line)
	case script:
		return scripts(line)
	case lookup:
		return looksUp(line)
	case command:
		return commands(line)
	case secret:
		return secrets(line)
	}
	return false
}

// smuggledAgent is smuggled for a client's name, where a bare word means
// nothing: only what opens an expression or a function counts.
func smuggledAgent(class int, agent string) bool {
	if class == command {
		return strings.Contains(agent, "() {") || strings.Contains(agent, "$(")
	}
	return strings.Contains(agent, "${") && (strings.Contains(agent, "://") || strings.Contains(agent, "${:"))
}

// sql finds a value that breaks out of itself into a statement around it: a
// quote that closes what the application opened, or a number, followed by what
// continues a statement. A value that is a statement of its own is the
// language of a console.
func sql(line []byte) bool {
	path, rest, asked := bytes.Cut(line, []byte("?"))
	if !asked && (bytes.HasPrefix(line, []byte("{")) || bytes.HasPrefix(line, []byte("["))) {
		return breaksOut(line, true)
	}
	if breaksOut(path, false) {
		return true
	}
	for len(rest) > 0 {
		var field []byte
		field, rest, _ = bytes.Cut(rest, []byte("&"))
		if _, value, ok := bytes.Cut(field, []byte("=")); ok {
			field = value
		}
		if breaksOut(field, false) {
			return true
		}
	}
	return false
}

// breaksOut tells whether one value holds a statement's continuation. A quote
// that closes an earlier one of the value ends a literal of the value's own;
// in JSON double quotes are no part of values.
func breaksOut(value []byte, json bool) bool {
	start := bytes.TrimLeft(value, " (")
	if bytes.HasPrefix(start, []byte("select ")) || bytes.HasPrefix(start, []byte("with ")) {
		return false
	}
	if unites(value) {
		return true
	}
	open, quoted := byte(0), false
	for i, c := range value {
		switch {
		case c != '\'' && (c != '"' || json):
			continue
		case c == open:
			open = 0
			continue
		case open != 0:
			continue
		}
		open, quoted = c, true
		if continues(value[i+1:]) {
			return true
		}
	}
	return bytes.Contains(value, []byte("information_schema")) && bytes.Contains(value, []byte("select")) ||
		quoted && bytes.Contains(value, []byte("sleep("))
}

// unites finds a union behind a quote, a number, a parenthesis or null.
func unites(value []byte) bool {
	i := bytes.Index(value, []byte("union"))
	if i < 1 {
		return false
	}
	before := bytes.TrimRight(value[:i], " \t\r\n/*!")
	if n := len(before); n == 0 || strings.IndexByte("0123456789'\")", before[n-1]) < 0 && !bytes.HasSuffix(before, []byte("null")) {
		return false
	}
	rest := value[i+5:]
	for _, word := range [...]string{"all", "distinct", ""} {
		rest = bytes.TrimLeft(rest, " \t\r\n/*()!")
		rest = bytes.TrimPrefix(rest, []byte(word))
	}
	return bytes.HasPrefix(rest, []byte("select")) && bytes.ContainsAny(rest[6:], ",*(@0123456789")
}

// continues tells whether what follows a quote continues a statement.
func continues(rest []byte) bool {
	rest = bytes.TrimLeft(rest, " )")
	for _, word := range [...]string{"or ", "and ", "or(", "and(", "|| ", "; drop ", ";drop ", "; select ", "; insert ", "; exec", "having ", "order by ", "waitfor "} {
		if bytes.HasPrefix(rest, []byte(word)) && compares(rest[len(word):]) {
			return true
		}
	}
	return false
}

// compares tells whether b begins with what a condition begins with.
func compares(b []byte) bool {
	b = b[:min(len(b), 40)]
	return bytes.ContainsAny(b, "=<>(") || bytes.HasPrefix(bytes.TrimLeft(b, " "), []byte("1"))
}

// climbs finds a path that goes twice past its root, a value that goes up
// three times, or up and to a system's file.
func climbs(line []byte) bool {
	path, values, _ := bytes.Cut(line, []byte("?"))
	if above(path) >= 2 || bytes.Contains(values, []byte("../../..")) || bytes.Contains(values, []byte(`..\..\..`)) {
		return true
	}
	up := bytes.Count(line, []byte("../")) + bytes.Count(line, []byte(`..\`))
	return bytes.Contains(line, []byte("=/etc/passwd")) || up > 0 && (bytes.Contains(line, []byte("etc/passwd")) || bytes.Contains(line, []byte("win.ini")))
}

// above returns how far a path climbs past its root at most.
func above(path []byte) (most int) {
	depth := 0
	for len(path) > 0 {
		i := bytes.IndexAny(path, `/\`)
		part := path
		if i >= 0 {
			part, path = path[:i], path[i+1:]
		} else {
			path = nil
		}
		switch string(part) {
		case "", ".":
		case "..":
			depth--
			most = max(most, -depth)
		default:
			depth++
		}
	}
	return most
}

// scripts finds an element or a handler that a browser would run.
func scripts(line []byte) bool {
	i := bytes.IndexByte(line, '?')
	if i < 0 {
		i = 0
	}
	line = line[i:]
	for _, s := range [...]string{"<script>", "<script ", "<svg onload", "<svg/onload", "<img src=x onerror", "<iframe src=javascript", "javascript:alert(", "\"><script", "onerror=alert("} {
		if bytes.Contains(line, []byte(s)) {
			return true
		}
	}
	return false
}

// looksUp finds an expression that a template engine, a logger or an XML
// parser would evaluate: `${scheme:...}` with a nested look-up or an address,
// `${"..."`, `#{...(`, `%{(`, an entity of one's own.
func looksUp(line []byte) bool {
	if bytes.Contains(line, []byte("<!entity")) || bytes.Contains(line, []byte("class.classloader")) || bytes.Contains(line, []byte("class.module.classloader")) {
		return true
	}
	for i := 0; i+2 < len(line); i++ {
		if line[i+1] != '{' || line[i] != '$' && line[i] != '%' && line[i] != '#' {
			continue
		}
		rest := line[i+2:]
		rest = rest[:min(len(rest), 160)]
		switch {
		case rest[0] == '"' || rest[0] == '\'' || rest[0] == '(' || rest[0] == '#':
			if bytes.ContainsAny(rest, "().") {
				return true
			}
		case bytes.Contains(rest, []byte("://")) && bytes.IndexByte(rest, ':') > 0 && bytes.IndexByte(rest, ':') < 12:
			return true
		case bytes.HasPrefix(rest, []byte("${")), bytes.Contains(rest, []byte("getruntime")), bytes.Contains(rest, []byte("class.forname")):
			return true
		}
	}
	return false
}

// commands finds a separator of commands followed by a command, or a call of
// an interpreter's functions that run something.
func commands(line []byte) bool {
	if bytes.Contains(line, []byte("() {")) && bytes.Contains(line, []byte("}")) {
		return true
	}
	for _, s := range [...]string{"system(", "passthru(", "shell_exec(", "phpinfo(", "exec(", "eval(", "base64_decode(", "call_user_func"} {
		if i := bytes.Index(line, []byte(s)); i >= 0 && (i == 0 || !letterOrDigit(line[i-1])) && runs(line[:i], line[i:]) {
			return true
		}
	}
	for _, s := range [...]string{"=whoami", "=ipconfig", "=ifconfig", "=net user", "=cat /", "=uname -", "=systeminfo", "=/bin/", "=id;"} {
		if bytes.Contains(line, []byte(s)) {
			return true
		}
	}
	for i := 0; i+1 < len(line); i++ {
		c := line[i]
		if c != ';' && c != '|' && c != '`' && c != '\n' && !(c == '&' && line[i+1] == '&') && !(c == '$' && line[i+1] == '(') {
			continue
		}
		rest := bytes.TrimLeft(line[i+1:], " &|(")
		for _, word := range [...]string{"cat /", "cd /tmp", "rm -", "busybox", "id;", "id|", "whoami", "wget http", "wget -", "curl http", "curl -", "uname -", "/bin/", "bash -", "sh -c", "powershell", "cmd /c", "cmd.exe", "nc -", "ping -c", "ls -", "chmod ", "sleep "} {
			if bytes.HasPrefix(rest, []byte(word)) {
				return true
			}
		}
	}
	return false
}

// runs tells whether a call is written as code and not as a word that is
// searched for: it stands in an expression, ends a statement, or is given a
// literal or the name of a variable.
func runs(before, call []byte) bool {
	end := bytes.IndexByte(call, ')')
	if end < 0 {
		return false
	}
	if n := len(before); n > 0 && strings.IndexByte(";{(,@`|$", before[n-1]) >= 0 || bytes.Contains(before, []byte("<?")) {
		return true
	}
	return bytes.HasPrefix(bytes.TrimLeft(call[end+1:], ") "), []byte(";")) || bytes.ContainsAny(call[:end], "'\"$`")
}

func letterOrDigit(c byte) bool { return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_' }

// yields tells whether an answer begins as a command's output or a system's
// file does.
func yields(head string) bool {
	for _, s := range [...]string{"uid=0(", "uid=33(", "uid=1", "root:x:0:0:", "root:*:0:0:", "Microsoft Windows [", "; for 16-bit app support", "[boot loader]"} {
		if strings.HasPrefix(strings.TrimLeft(head, " \r\n"), s) {
			return true
		}
	}
	return false
}

// secrets finds files that no page links to.
func secrets(line []byte) bool {
	path, _, _ := bytes.Cut(line, []byte("?"))
	for _, s := range [...]string{"/.env", "/.git/config", "/.git/head", "/.aws/credentials", "/.ssh/id_rsa", "/.htpasswd", "/wp-config.php.", "/web.config", "/.svn/entries"} {
		if bytes.HasSuffix(path, []byte(s)) || s[len(s)-1] == '.' && bytes.Contains(path, []byte(s)) {
			return true
		}
	}
	return false
}
