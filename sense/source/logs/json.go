package logs

import (
	"bytes"
	"iter"
	"slices"
	"unicode/utf16"
	"unicode/utf8"
)

// MaxPairs bounds the fields of one object, nested ones included, and
// MaxItems the elements of one list.
const MaxPairs, MaxItems = 512, 4096

const (
	maxDepth = 8
	maxKey   = 256 // bytes of a nested field's joined name
)

// Pair is one field of a JSON object as it stands in the line.
type Pair struct {
	Key  []byte // with the names of the objects around it and dots
	Raw  []byte // a string's inside, a literal, or an array's inside
	Sort byte   // '"' string, '[' array, '0' number or literal
	// Name is the key's number among those that the Object has met, the same
	// for the same key; 0 for none.
	Name int
}

// Object takes one line of JSON apart without understanding it.
type Object struct {
	Pairs   []Pair
	order   []name // as objects have had their fields
	names   []byte // joined keys of nested objects
	scratch []byte
	items   [][]byte
}

// Parse reads one object that takes the whole line. The pairs point into it.
func (o *Object) Parse(line []byte) bool {
	o.Pairs, o.names, o.scratch = o.Pairs[:0], o.names[:0], o.scratch[:0]
	rest, ok := o.members(SkipSpace(line), nil, 0)
	return ok && len(SkipSpace(rest)) == 0
}

// members reads an object and returns what follows it.
func (o *Object) members(b, prefix []byte, depth int) ([]byte, bool) {
	if len(b) == 0 || b[0] != '{' || depth == maxDepth {
		return nil, false
	}
	if b = SkipSpace(b[1:]); len(b) > 0 && b[0] == '}' {
		return b[1:], true
	}
	for at := 0; ; {
		key, number, rest, ok := o.key(b, &at, prefix == nil)
		if !ok || len(o.Pairs) == MaxPairs {
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
		b = SkipSpace(rest)
		if len(b) > 0 && b[0] == '{' {
			b, ok = o.members(b, key, depth+1)
		} else {
			p := Pair{Key: key, Name: number}
			if p.Raw, p.Sort, b, ok = cutValue(b, depth+1); ok {
				o.Pairs = append(o.Pairs, p)
			}
		}
		if !ok {
			return nil, false
		}
		if b = SkipSpace(b); len(b) == 0 || b[0] != ',' && b[0] != '}' {
			return nil, false
		}
		if b[0] == '}' {
			return b[1:], true
		}
		b = SkipSpace(b[1:])
	}
}

// name is a key as it stands before its value, with quotes and colon.
type name struct {
	text   string
	number int // among all names, in the order in which they were met
}

const (
	// maxNames bounds the names that are remembered, maxName their length.
	maxNames, maxName = 128, 64
	// leap is how many fields an object may leave out at once before the
	// next is looked up.
	leap = 8
)

// key cuts a key and its colon off b and returns the number of its name.
// Writers keep one order and leave fields out: the key is looked for where at
// points to in the order of earlier objects. Only outer names are remembered.
func (o *Object) key(b []byte, at *int, outer bool) (key []byte, number int, rest []byte, ok bool) {
	if outer {
		for i := *at; i < len(o.order) && i < *at+leap; i++ {
			if n := &o.order[i]; len(b) >= len(n.text) && string(b[:len(n.text)]) == n.text {
				*at = i + 1
				return b[1 : len(n.text)-2], n.number, b[len(n.text):], true
			}
		}
	}
	key, rest, ok = cutString(b)
	if rest = SkipSpace(rest); !ok || len(rest) == 0 || rest[0] != ':' {
		return nil, 0, nil, false
	}
	if outer {
		number = o.number(key, at)
	}
	return key, number, rest[1:], true
}

// number returns the number of a name that is not next, 0 for none, and
// remembers one that is new.
func (o *Object) number(key []byte, at *int) int {
	for i := range o.order {
		if text := o.order[i].text; text[1:len(text)-2] == string(key) {
			return o.order[i].number
		}
	}
	n := len(o.order) + 1
	if n > maxNames || len(key) > maxName {
		return 0
	}
	o.order = slices.Insert(o.order, *at, name{`"` + string(key) + `":`, n})
	*at++
	return n
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
	for i < len(b) && plain[b[i]] {
		i++
	}
	return b[:i], '0', b[i:], i > 0
}

// plain are the characters of numbers and literals.
var plain = func() (t [256]bool) {
	for _, c := range []byte("0123456789abcdefghijklmnopqrstuvwxyz-+.E") {
		t[c] = true
	}
	return t
}()

// skipArray returns what follows the array at the start of b.
func skipArray(b []byte, depth int) ([]byte, bool) {
	if depth >= maxDepth {
		return nil, false
	}
	if b = SkipSpace(b[1:]); len(b) > 0 && b[0] == ']' {
		return b[1:], true
	}
	for {
		var ok bool
		b, ok = skipValue(b, depth+1)
		if b = SkipSpace(b); !ok || len(b) == 0 || b[0] != ',' && b[0] != ']' {
			return nil, false
		}
		if b[0] == ']' {
			return b[1:], true
		}
		b = SkipSpace(b[1:])
	}
}

// skipObject returns what follows the object at the start of b.
func skipObject(b []byte, depth int) ([]byte, bool) {
	if depth >= maxDepth {
		return nil, false
	}
	if b = SkipSpace(b[1:]); len(b) > 0 && b[0] == '}' {
		return b[1:], true
	}
	for {
		_, rest, ok := cutString(b)
		if b = SkipSpace(rest); !ok || len(b) == 0 || b[0] != ':' {
			return nil, false
		}
		if b, ok = skipValue(SkipSpace(b[1:]), depth+1); !ok {
			return nil, false
		}
		if b = SkipSpace(b); len(b) == 0 || b[0] != ',' && b[0] != '}' {
			return nil, false
		}
		if b[0] == '}' {
			return b[1:], true
		}
		b = SkipSpace(b[1:])
	}
}

// skipValue returns what follows the value of any sort at the start of b.
func skipValue(b []byte, depth int) ([]byte, bool) {
	if len(b) > 0 && b[0] == '{' {
		return skipObject(b, depth)
	}
	_, _, rest, ok := cutValue(b, depth)
	return rest, ok
}

// cutString cuts a quoted string off b and returns its inside as it stands.
func cutString(b []byte) (inside, rest []byte, ok bool) {
	if len(b) == 0 || b[0] != '"' {
		return nil, nil, false
	}
	for i := 1; i < len(b); i += 2 {
		i += Scan(b[i:], '"', '\\')
		if i < len(b) && b[i] == '"' {
			return b[1:i], b[i+1:], true
		}
	}
	return nil, nil, false
}

// Text returns a value as bytes, valid until the next line.
func (o *Object) Text(raw []byte, sort byte) []byte {
	if sort != '"' || bytes.IndexByte(raw, '\\') < 0 {
		return raw
	}
	start := len(o.scratch)
	o.scratch = appendUnquoted(o.scratch, raw)
	return o.scratch[start:len(o.scratch):len(o.scratch)]
}

// List returns an array's elements; nulls and objects are left out. A value
// that is no array is a list of one. The slice is valid until the next call.
func (o *Object) List(p Pair) [][]byte {
	o.items = o.items[:0]
	if p.Sort != '[' {
		return append(o.items, o.Text(p.Raw, p.Sort))
	}
	for e := range Elements(p.Raw) {
		if e.Sort == '"' || e.Sort == '0' && string(e.Raw) != "null" {
			o.items = append(o.items, o.Text(e.Raw, e.Sort))
		}
		if len(o.items) == MaxItems {
			break
		}
	}
	return o.items
}

// Elements goes through an array's inside, as Pair.Raw has it. Its elements
// have no key; one of Sort '{' is an object, whole, for another Object to
// take apart.
func Elements(inside []byte) iter.Seq[Pair] {
	return func(yield func(Pair) bool) {
		for b := SkipSpace(inside); len(b) > 0; {
			e := Pair{Sort: '{'}
			var rest []byte
			var ok bool
			if b[0] == '{' {
				rest, ok = skipObject(b, 0)
				e.Raw = b[:len(b)-len(rest)]
			} else {
				e.Raw, e.Sort, rest, ok = cutValue(b, 0)
			}
			if !ok || !yield(e) {
				return
			}
			if b = SkipSpace(rest); len(b) > 0 {
				b = SkipSpace(b[1:])
			}
		}
	}
}

// Has says whether the object has a field of every one of these names.
func (o *Object) Has(names []string) bool {
	for _, n := range names {
		if o.Find(n) < 0 {
			return false
		}
	}
	return true
}

// Find returns the place of the first field of that name, -1 for none.
func (o *Object) Find(name string) int {
	for i := range o.Pairs {
		if string(o.Pairs[i].Key) == name {
			return i
		}
	}
	return -1
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

// SkipSpace returns b without JSON's white space at its start.
func SkipSpace(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t' || b[0] == '\r' || b[0] == '\n') {
		b = b[1:]
	}
	return b
}
