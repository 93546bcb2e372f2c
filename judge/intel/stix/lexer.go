package stix

import "strings"

type tokenKind uint8

const (
	endToken  tokenKind = iota
	badToken            // what no pattern holds
	wordToken           // a path, a keyword, a number
	textToken           // a string, a moment or bytes, without quotes
	signToken           // brackets, comma, comparison
)

type token struct {
	kind tokenKind
	text string
}

func (t token) is(word string) bool { return t.kind == wordToken && strings.EqualFold(t.text, word) }

// lexer cuts a pattern into tokens.
type lexer struct{ rest string }

func (l *lexer) next() token {
	l.rest = strings.TrimLeft(l.rest, " \t\r\n")
	if l.rest == "" {
		return token{}
	}
	switch c := l.rest[0]; {
	case c == '\'':
		return l.text()
	case len(l.rest) > 1 && l.rest[1] == '\'' && (c == 't' || c == 'b' || c == 'h'):
		l.rest = l.rest[1:]
		return l.text()
	case strings.IndexByte("[](),", c) >= 0:
		return l.take(signToken, 1)
	case strings.IndexByte("=!<>", c) >= 0:
		n := 1
		if len(l.rest) > 1 && strings.IndexByte("=>", l.rest[1]) >= 0 {
			n = 2
		}
		return l.take(signToken, n)
	case isWord(c):
		return l.word()
	}
	return token{kind: badToken}
}

func (l *lexer) take(kind tokenKind, n int) token {
	t := token{kind, l.rest[:n]}
	l.rest = l.rest[n:]
	return t
}

// text reads a quoted string; a backslash stands before a quote or itself.
func (l *lexer) text() token {
	var b strings.Builder
	for i := 1; i < len(l.rest); i++ {
		switch c := l.rest[i]; {
		case c == '\\' && i+1 < len(l.rest):
			i++
			if n := l.rest[i]; n != '\'' && n != '\\' {
				b.WriteByte('\\') // not escaped as it should be: meant as it stands
			}
			b.WriteByte(l.rest[i])
		case c == '\'':
			l.rest = l.rest[i+1:]
			return token{textToken, b.String()}
		default:
			b.WriteByte(c)
		}
	}
	return token{kind: badToken}
}

func isWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("_-:.*+", c) >= 0
}

// word reads a keyword, a number or a path. In a path, names may be quoted
// and lists have an index.
func (l *lexer) word() token {
	var b strings.Builder
	path := false
	for i := 0; ; i++ {
		switch {
		case i < len(l.rest) && isWord(l.rest[i]):
			path = path || l.rest[i] == ':'
			b.WriteByte(l.rest[i])
			continue
		case i < len(l.rest) && path && (l.rest[i] == '\'' || l.rest[i] == '"') && l.rest[i-1] == '.':
			end := strings.IndexByte(l.rest[i+1:], l.rest[i])
			if end < 0 {
				return token{kind: badToken}
			}
			b.WriteString(l.rest[i+1 : i+1+end])
			i += end + 1
			continue
		case i < len(l.rest) && path && l.rest[i] == '[':
			end := strings.IndexByte(l.rest[i:], ']')
			if end < 0 {
				return token{kind: badToken}
			}
			i += end
			continue
		}
		l.rest = l.rest[i:]
		return token{wordToken, b.String()}
	}
}
