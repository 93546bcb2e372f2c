package inquiry

import (
	"strings"

	"github.com/testudo-shield/testudo"
)

// word is a part of a question without its quotes.
type word struct {
	text string
	raw  string // as written
	at   int    // byte of the question where it begins
	keep []bool // for each byte of text whether quotes kept it as it is
}

func (w word) quoted(i int) bool { return i < len(w.keep) && w.keep[i] }

// from returns the word without its first n bytes.
func (w word) from(n int) word {
	w.text, w.keep = w.text[n:], w.keep[n:]
	return w
}

func (w word) wrong(problem string) *Error { return &Error{At: w.at, Word: w.raw, Problem: problem} }

// hasStar says whether a star stands outside of quotes. A text changed since
// is asked by its own stars.
func (w word) hasStar() bool {
	i := strings.IndexByte(w.text, '*')
	return i >= 0 && !w.quoted(i)
}

// operator returns where the first comparison outside of quotes stands.
func (w word) operator() (at int, op string) {
	for i := range len(w.text) {
		for _, op := range operators {
			if strings.HasPrefix(w.text[i:], op) && !w.quoted(i) {
				return i, op
			}
		}
	}
	return -1, ""
}

// split cuts a question at blanks outside of double quotes; within them \"
// and \\ stand for themselves.
func split(s string) (words []word, err *Error) {
	const most = 4096
	if len(s) > most {
		return nil, &Error{0, s, "longer than 4,096 bytes; put many values into a list", ""}
	}
	for i := 0; i < len(s); {
		if blank(s[i]) {
			i++
			continue
		}
		w, end, ok := cut(s, i)
		if !ok {
			return nil, &Error{i, s[i:], "a quote is not closed", ""}
		}
		words, i = append(words, w), end
	}
	return words, nil
}

func blank(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// cut reads the word that begins at i.
func cut(s string, i int) (w word, end int, ok bool) {
	w.at = i
	var b strings.Builder
	in := false
	for ; i < len(s) && (in || !blank(s[i])); i++ {
		switch c := s[i]; {
		case c == '"':
			in = !in
			continue
		case in && c == '\\' && i+1 < len(s) && (s[i+1] == '"' || s[i+1] == '\\'):
			i++
		}
		b.WriteByte(s[i])
		w.keep = append(w.keep, in)
	}
	w.text, w.raw = b.String(), s[w.at:i]
	return w, i, !in
}

// looksBare says whether a word with a colon in it is a value nonetheless:
// an IPv6 address, a URL.
func looksBare(s string) bool {
	if _, ok := prefixOf(refang(s)); ok {
		return true
	}
	scheme, rest, ok := strings.Cut(refang(s), "://")
	return ok && rest != "" && (scheme == "http" || scheme == "https" || scheme == "ftp")
}

// bare takes a value for what it looks like.
func (p *parser) bare(w word, not bool) *Error {
	v := refang(w.text)
	add := func(field string, op testudo.TermOp, text string) {
		p.q.Where = append(p.q.Where, testudo.Term{Not: not, Field: field, Op: op, Text: text})
	}
	switch n, isNet := prefixOf(v); {
	case isNet:
		p.q.Where = append(p.q.Where, testudo.Term{Not: not, Field: testudo.AnyAddress, Op: testudo.Equal, Text: plain(n), Net: n})
	case strings.Trim(v, "0123456789./") == "" && strings.Contains(v, "."):
		return w.wrong("nearly an address or a prefix, but none: want 10.0.0.5 or 10.0.0.0/8")
	case isPrint(strings.ToLower(v)):
		add(testudo.AnyPrint, testudo.Equal, strings.ToLower(v))
	case isUID(v):
		add("uid", testudo.Equal, v)
	case strings.Contains(v, "/"):
		return p.url(w, v, not, add)
	case isName(strings.TrimPrefix(v, "*.")):
		add(testudo.AnyName, testudo.Like, "*."+strings.TrimSuffix(strings.ToLower(strings.TrimPrefix(v, "*.")), "."))
	default:
		return w.wrong("neither address, prefix, name, fingerprint, hash nor URL; write KEY:VALUE with one of " + strings.Join(Keys(), ", "))
	}
	return nil
}

// url takes a URL for host and path of a request.
func (p *parser) url(w word, v string, not bool, add func(string, testudo.TermOp, string)) *Error {
	if _, rest, ok := strings.Cut(v, "://"); ok {
		v = rest
	}
	host, path, _ := strings.Cut(v, "/")
	_, isAddr := prefixOf(host)
	switch {
	case !isAddr && !isName(host):
		return w.wrong("of a URL without a name or an address as its host")
	case not:
		return w.wrong("a URL is host and path, so a minus before it says too little: write -uri:/PATH or -name:HOST")
	}
	add("host", testudo.Equal, strings.TrimSuffix(strings.ToLower(host), "."))
	if path != "" {
		add("uri", testudo.Equal, "/"+path)
	}
	return nil
}

// refang undoes what keeps a value from being a link.
func refang(s string) string {
	s = strings.NewReplacer("[.]", ".", "(.)", ".", "[:]", ":").Replace(s)
	if strings.HasPrefix(strings.ToLower(s), "hxxp") {
		s = "http" + s[4:]
	}
	return s
}

// isPrint says whether s is a JA3 or hash (in hex) or a JA4.
func isPrint(s string) bool {
	parts := strings.Split(s, "_")
	if len(parts) == 3 {
		return len(parts[0]) == 10 && len(parts[1]) == 12 && len(parts[2]) == 12 && isHex(parts[1]) && isHex(parts[2])
	}
	return (len(s) == 32 || len(s) == 40 || len(s) == 64) && isHex(s)
}

func isHex(s string) bool { return strings.Trim(s, "0123456789abcdef") == "" }

// isUID says whether s has a uid's form: a C and eleven letters and digits,
// some of them digits or capitals.
func isUID(s string) bool {
	return len(s) == 12 && s[0] == 'C' && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z')
	})
}

// isName says whether s can be a name of two labels or more.
func isName(s string) bool {
	s = strings.TrimSuffix(s, ".")
	if len(s) > 253 || !strings.Contains(s, ".") {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || strings.ContainsFunc(label, func(r rune) bool {
			return !(r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '-' || r == '_' || r > 0x7f)
		}) {
			return false
		}
	}
	return true
}
