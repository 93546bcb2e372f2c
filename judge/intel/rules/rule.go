package rules

import (
	"strconv"
	"strings"
)

// rule is a rule in its parts.
type rule struct {
	action, proto  string
	source, target string // addresses as written
	port           string // of the target
	options        []option
}

type option struct{ key, value string }

// maxOptions bounds the options of one rule.
const maxOptions = 256

// parse splits a rule; false for what is none.
func parse(line string) (*rule, bool) {
	head, rest, ok := strings.Cut(line, "(")
	if !ok || len(head) > 32<<10 {
		return nil, false
	}
	f := strings.Fields(strings.ReplaceAll(head, ", ", ","))
	if len(f) != 7 && len(f) != 2 || !isAction(f[0]) {
		return nil, false
	}
	r := &rule{action: f[0], proto: f[1]}
	if len(f) == 7 {
		if f[4] != "->" && f[4] != "<>" && f[4] != "=>" {
			return nil, false
		}
		r.source, r.target, r.port = f[2], f[5], f[6]
	}
	r.options = options(rest)
	return r, true
}

func isAction(s string) bool {
	switch s {
	case "alert", "drop", "reject", "rejectsrc", "rejectdst", "rejectboth", "pass", "log", "block":
		return true
	}
	return false
}

// options splits at semicolons that are not within quotes nor escaped.
func options(s string) (all []option) {
	start, quoted := 0, false
	for i := 0; i < len(s) && len(all) < maxOptions; i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			quoted = !quoted
		case ';':
			if quoted {
				continue
			}
			key, value, _ := strings.Cut(s[start:i], ":")
			all = append(all, option{strings.ToLower(strings.TrimSpace(key)), strings.TrimSpace(value)})
			start = i + 1
		}
	}
	return all
}

// option returns the text of the first option of that name.
func (r *rule) option(key string) string {
	for _, o := range r.options {
		if o.key == key {
			return unquote(o.value)
		}
	}
	return ""
}

// unquote returns the text of a value: quotes off, escapes undone, bytes
// between bars read as hexadecimal. What follows the quotes (Snort 3) is left
// out.
func unquote(v string) string {
	if !strings.HasPrefix(v, `"`) {
		return v
	}
	var b strings.Builder
	for i := 1; i < len(v); i++ {
		switch v[i] {
		case '"':
			return b.String()
		case '\\':
			if i++; i < len(v) {
				b.WriteByte(v[i])
			}
		case '|':
			end := strings.IndexByte(v[i+1:], '|')
			if end < 0 {
				return b.String()
			}
			for _, h := range strings.Fields(v[i+1 : i+1+end]) {
				c, _ := strconv.ParseUint(h, 16, 8)
				b.WriteByte(byte(c))
			}
			i += end + 1
		default:
			b.WriteByte(v[i])
		}
	}
	return b.String()
}
