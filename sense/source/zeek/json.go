package zeek

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	maxPairs = 512 // fields of one object, nested ones included
	maxDepth = 8
	maxKey   = 256 // bytes of a nested field's joined name
)

// pair is one field of a JSON object as it stands in the line.
type pair struct {
	key  []byte // with the names of the objects around it and dots
	raw  []byte // a string's inside, a literal, or an array's inside
	sort byte   // '"' string, '[' array, '0' number or literal
}

// object takes one line of JSON apart without understanding it.
type object struct {
	pairs   []pair
	names   []byte // joined keys of nested objects
	scratch []byte
	items   [][]byte
	failed  []byte // key of the value that could not be read last
}

// parse reads one object that takes the whole line. The pairs point into it.
func (o *object) parse(line []byte) bool {
	o.pairs, o.names, o.scratch = o.pairs[:0], o.names[:0], o.scratch[:0]
	rest, ok := o.members(skipSpace(line), nil, 0)
	return ok && len(skipSpace(rest)) == 0
}

// members reads an object and returns what follows it.
func (o *object) members(b, prefix []byte, depth int) ([]byte, bool) {
	if len(b) == 0 || b[0] != '{' || depth == maxDepth {
		return nil, false
	}
	if b = skipSpace(b[1:]); len(b) > 0 && b[0] == '}' {
		return b[1:], true
	}
	for {
		key, rest, ok := cutString(b)
		if !ok || len(o.pairs) == maxPairs {
			return nil, false
		}
		if b = skipSpace(rest); len(b) == 0 || b[0] != ':' {
			return nil, false
		}
		if prefix != nil {
			if len(prefix)+len(key) > maxKey {
				return nil, false
			}
			start := len(o.names)
			o.names = append(append(append(o.names, prefix...), '.'), key...)
			key = o.names[start:len(o.names):len(o.names)]
		}
		b = skipSpace(b[1:])
		if len(b) > 0 && b[0] == '{' {
			b, ok = o.members(b, key, depth+1)
		} else {
			p := pair{key: key}
			if p.raw, p.sort, b, ok = cutValue(b, depth+1); ok {
				o.pairs = append(o.pairs, p)
			}
		}
		if !ok {
			return nil, false
		}
		if b = skipSpace(b); len(b) == 0 || b[0] != ',' && b[0] != '}' {
			return nil, false
		}
		if b[0] == '}' {
			return b[1:], true
		}
		b = skipSpace(b[1:])
	}
}

// cutValue cuts a string, number, literal or array off b.
func cutValue(b []byte, depth int) (raw []byte, sort byte, rest []byte, ok bool) {
	if len(b) == 0 {
		return nil, 0, nil, false
	}
	switch b[0] {
	case '"':
		raw, rest, ok = cutString(b)
		return raw, '"', rest, ok
	case '[':
		rest, ok = skipArray(b, depth)
		if !ok {
			return nil, 0, nil, false
		}
		return b[1 : len(b)-len(rest)-1], '[', rest, true
	}
	i := 0
	for i < len(b) && (isDigit(b[i]) || b[i] >= 'a' && b[i] <= 'z' || b[i] == '-' || b[i] == '+' || b[i] == '.' || b[i] == 'E') {
		i++
	}
	return b[:i], '0', b[i:], i > 0
}

// skipArray returns what follows the array at the start of b.
func skipArray(b []byte, depth int) ([]byte, bool) {
	if depth >= maxDepth {
		return nil, false
	}
	if b = skipSpace(b[1:]); len(b) > 0 && b[0] == ']' {
		return b[1:], true
	}
	for {
		var ok bool
		if len(b) > 0 && b[0] == '{' {
			b, ok = skipObject(b, depth+1)
		} else {
			_, _, b, ok = cutValue(b, depth+1)
		}
		if b = skipSpace(b); !ok || len(b) == 0 || b[0] != ',' && b[0] != ']' {
			return nil, false
		}
		if b[0] == ']' {
			return b[1:], true
		}
		b = skipSpace(b[1:])
	}
}

// skipObject returns what follows the object, inside an array, at the start
// of b; Zeek writes none there.
func skipObject(b []byte, depth int) ([]byte, bool) {
	var o object
	return o.members(b, nil, depth)
}

// cutString cuts a quoted string off b and returns its inside as it stands.
func cutString(b []byte) (inside, rest []byte, ok bool) {
	if len(b) == 0 || b[0] != '"' {
		return nil, nil, false
	}
	for i := 1; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return b[1:i], b[i+1:], true
		}
	}
	return nil, nil, false
}

// text returns a value as bytes, valid until the next line.
func (o *object) text(raw []byte, sort byte) []byte {
	if sort != '"' || bytes.IndexByte(raw, '\\') < 0 {
		return raw
	}
	start := len(o.scratch)
	o.scratch = appendUnquoted(o.scratch, raw)
	return o.scratch[start:len(o.scratch):len(o.scratch)]
}

// list returns an array's elements; nulls are left out. A value that is no
// array is a list of one. The slice is valid until the next call.
func (o *object) list(p pair) [][]byte {
	o.items = o.items[:0]
	if p.sort != '[' {
		return append(o.items, o.text(p.raw, p.sort))
	}
	for b := skipSpace(p.raw); len(b) > 0 && len(o.items) < maxItems; {
		raw, sort, rest, ok := cutValue(b, 0)
		if !ok {
			return o.items // an object: Zeek writes none here
		}
		if sort == '"' || sort == '0' && string(raw) != "null" {
			o.items = append(o.items, o.text(raw, sort))
		}
		if b = skipSpace(rest); len(b) > 0 {
			b = skipSpace(b[1:])
		}
	}
	return o.items
}

// has says whether the object has a field of every one of these names.
func (o *object) has(names []string) bool {
	for _, n := range names {
		if o.find(n) < 0 {
			return false
		}
	}
	return true
}

// find returns the place of the first field of that name, -1 for none.
func (o *object) find(name string) int {
	for i := range o.pairs {
		if string(o.pairs[i].key) == name {
			return i
		}
	}
	return -1
}

// fill fills r, which has begun, from the object.
func (o *object) fill(r *row) error {
	for _, p := range o.pairs {
		t := r.targets[string(p.key)]
		if t.to == nowhere || p.sort == '0' && string(p.raw) == "null" {
			continue
		}
		var err error
		switch {
		case t.to.list():
			err = r.setList(t, o.list(p))
		case p.sort == '[':
			err = errValue
		case p.sort == '"' && len(p.raw) == 0:
		default:
			err = r.set(t, o.text(p.raw, p.sort))
		}
		if err != nil {
			o.failed = p.key
			return err
		}
	}
	return nil
}

// appendUnquoted appends the inside of a JSON string as the bytes it stands
// for. Zeek writes bytes that are no UTF-8 as the text \xNN; they become
// bytes again.
func appendUnquoted(dst, s []byte) []byte {
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			dst = append(dst, s[i])
			continue
		}
		i++
		switch s[i] {
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		case 'u':
			var n int
			dst, n = appendRune(dst, s[i+1:])
			i += n
		case '\\':
			if c, ok := hexEscape(s[i:]); ok && c >= utf8.RuneSelf {
				dst = append(dst, c)
				i += 3
				continue
			}
			dst = append(dst, '\\')
		default:
			dst = append(dst, s[i])
		}
	}
	return dst
}

// appendRune appends the character of a \u escape, s being what follows the
// u, and returns how many bytes of s it took; halves of a pair are joined.
func appendRune(dst, s []byte) ([]byte, int) {
	r, ok := hex4(s)
	if !ok {
		return utf8.AppendRune(dst, utf8.RuneError), 0
	}
	if utf16.IsSurrogate(r) {
		if len(s) >= 10 && s[4] == '\\' && s[5] == 'u' {
			if low, ok := hex4(s[6:]); ok {
				if both := utf16.DecodeRune(r, low); both != utf8.RuneError {
					return utf8.AppendRune(dst, both), 10
				}
			}
		}
		r = utf8.RuneError
	}
	return utf8.AppendRune(dst, r), 4
}

// hex4 reads four hexadecimal digits.
func hex4(s []byte) (rune, bool) {
	if len(s) < 4 {
		return 0, false
	}
	var r rune
	for _, c := range s[:4] {
		d := hexDigit(c)
		if d > 15 {
			return 0, false
		}
		r = r<<4 | rune(d)
	}
	return r, true
}

// skipSpace returns b without JSON's white space at its start.
func skipSpace(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t' || b[0] == '\r' || b[0] == '\n') {
		b = b[1:]
	}
	return b
}
