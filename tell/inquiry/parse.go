package inquiry

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/testudo-shield/testudo"
)

// A key is a word of the language that stands for a field.
type key struct {
	name, field string
	read        func(p *parser, w word, t *testudo.Term) *Error
}

// keys are the words of ours, in the order in which they are told.
var keys = [...]key{
	{"src", "id.orig_h", (*parser).address},
	{"dst", "id.resp_h", (*parser).address},
	{"host", testudo.AnyAddress, (*parser).address},
	{"net", testudo.AnyAddress, (*parser).address},
	{"name", testudo.AnyName, (*parser).name},
	{"ja3", "ja3", (*parser).text},
	{"ja4", "ja4", (*parser).text},
	{"print", testudo.AnyPrint, (*parser).text},
	{"cert", testudo.AnyPrint, (*parser).text},
	{"uri", "uri", (*parser).text},
	{"agent", "user_agent", (*parser).text},
	{"port", "id.resp_p", (*parser).number},
	{"proto", "proto", (*parser).text},
	{"service", "service", (*parser).service},
	{"bytes", testudo.AnySize, (*parser).number},
}

// times are the words that set the period and the size of the answer.
var times = [...]string{"since", "until", "at", "log", "limit"}

// Keys returns the words of the language that stand before a colon, fields of
// records apart.
func Keys() (names []string) {
	for _, k := range keys {
		names = append(names, k.name)
	}
	return append(names, times[:]...)
}

// Fields returns the names of all fields that can be asked for, sorted.
func Fields() []string { return slices.Clone(fields.names) }

// Parse reads a question in the language of hunts: terms with blanks between
// them, all of which must hold.
//
//	src:10.0.0.5 name:*.example since:7d bytes>1e6 -dst:192.0.2.0/24
//
// A term is a key or a field of Zeek's, a comparison (: or =, !=, ~, <, <=, >,
// >=) and a value; * in a value stands for anything, quotes keep blanks and
// stars. A minus before a term means that it must not hold. A bare value is
// taken for what it looks like: address, prefix, name (with all below it),
// fingerprint, hash, URL, uid. Times are UTC; since, until and at take dates,
// times and, before now, durations. The error is an *Error.
func Parse(question string, now testudo.Time) (testudo.Query, error) {
	p := &parser{now: now}
	words, err := split(question)
	for _, w := range words {
		if err != nil {
			break
		}
		err = p.term(w)
	}
	if err == nil && p.q.To != 0 && p.q.From >= p.q.To {
		err = &Error{p.period.at, p.period.raw, "the period ends before it begins", ""}
	}
	if err != nil {
		return testudo.Query{}, err
	}
	return p.q, nil
}

type parser struct {
	now    testudo.Time
	q      testudo.Query
	period word // the last that set it
}

// operators are longest first.
var operators = [...]string{">=", "<=", "!=", ":", "=", "~", ">", "<"}

// term reads one term.
func (p *parser) term(w word) *Error {
	not := false
	if rest, ok := strings.CutPrefix(w.text, "-"); ok && rest != "" && !w.quoted(0) {
		not, w = true, w.from(1)
	}
	at, op := w.operator()
	if at <= 0 || !isKey(w.text[:at]) || looksBare(w.text) {
		return p.bare(w, not)
	}
	name, v := w.text[:at], w.from(at+len(op))
	if v.text == "" {
		return w.wrong("a value is missing after " + op)
	}
	if slices.Contains(times[:], name) {
		if not || op != ":" && op != "=" {
			return w.wrong(name + " is written " + name + ":VALUE, without a comparison or minus")
		}
		return p.setting(name, v)
	}
	t := testudo.Term{Not: not, Op: testudo.Equal}
	switch op {
	case "!=":
		t.Not = !not
	case "~":
		t.Op = testudo.Like
	case ">", "<=":
		t.Op = testudo.Greater
	case "<", ">=":
		t.Op = testudo.Less
	}
	if op == "<=" || op == ">=" {
		t.Not = !not
	}
	return p.field(name, w, v, t)
}

// isKey says whether s could be a key or a field.
func isKey(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '_' || r == '.')
	})
}

// field reads a term on a key or a field.
func (p *parser) field(name string, w, v word, t testudo.Term) *Error {
	read := (*parser).byKind
	t.Field = name
	if i := slices.IndexFunc(keys[:], func(k key) bool { return k.name == name }); i >= 0 {
		read, t.Field = keys[i].read, keys[i].field
	} else if _, ok := fields.kinds[name]; !ok {
		if isName(name) {
			return w.wrong("a name or an address stands alone; write " + clip(name) + " port:" + clip(v.text))
		}
		e := w.wrong("no such key or field")
		e.Word = name
		e.Nearest = nearest(name, append(Keys(), fields.names...))
		return e
	}
	if err := read(p, v, &t); err != nil {
		return err
	}
	p.q.Where = append(p.q.Where, t)
	return nil
}

// setting reads what is no condition on a field.
func (p *parser) setting(name string, v word) *Error {
	switch name {
	case "log":
		for l := range strings.SplitSeq(v.text, ",") {
			if l == "tls" {
				l = "ssl"
			}
			if !slices.Contains(fields.logs, l) {
				e := v.wrong("no such log; there are " + strings.Join(fields.logs, ", "))
				e.Nearest = nearest(l, fields.logs)
				return e
			}
			if !slices.Contains(p.q.Logs, l) {
				p.q.Logs = append(p.q.Logs, l)
			}
		}
		return nil
	case "limit":
		n, err := strconv.Atoi(v.text)
		if err != nil || n < 1 {
			return v.wrong("want a number of records above 0")
		}
		p.q.Limit = n
		return nil
	}
	p.period = v
	if d, ok := duration(v.text); ok && name != "at" {
		p.set(name, p.now.Add(-d))
		return nil
	}
	t, lasts, ok := moment(v.text)
	if !ok {
		return v.wrong("want a date (2026-09-01), a time (2026-09-01T10:00, UTC) or, for since and until, a duration (90m, 12h, 7d, 2w)")
	}
	p.set(name, t)
	if name == "at" {
		p.q.From, p.q.To = t, t.Add(lasts)
	}
	return nil
}

func (p *parser) set(name string, t testudo.Time) {
	switch name {
	case "since":
		p.q.From = max(t, 1)
	case "until":
		p.q.To = max(t, 1)
	}
}

// byKind reads the value of a field as its kind asks.
func (p *parser) byKind(v word, t *testudo.Term) *Error {
	switch fields.kinds[t.Field] {
	case addressKind:
		return p.address(v, t)
	case numberKind:
		return p.number(v, t)
	case boolKind:
		switch strings.ToLower(v.text) {
		case "t", "true", "yes", "1":
			t.Text = "T"
		case "f", "false", "no", "0":
			t.Text = "F"
		default:
			return v.wrong(t.Field + " is true or false: want T or F")
		}
		return nil
	case durationKind:
		if n, ok := number(v.text); ok {
			t.Text = strconv.FormatFloat(n, 'f', -1, 64)
			return nil
		}
		d, ok := duration(v.text)
		if !ok {
			return v.wrong("want seconds or a duration such as 10m")
		}
		t.Text = seconds(d)
		return nil
	case timeKind:
		at, _, ok := moment(v.text)
		if !ok {
			return v.wrong("want a date or a time such as 2026-09-01T10:00, UTC")
		}
		t.Text = strconv.FormatFloat(at.Seconds(), 'f', -1, 64)
		return nil
	}
	if isNameField(t.Field) {
		return p.name(v, t)
	}
	return p.text(v, t)
}

func (p *parser) number(v word, t *testudo.Term) *Error {
	n, ok := number(v.text)
	if !ok {
		return v.wrong("want a number, such as 443, 1e6 or 10MB")
	}
	if t.Op == testudo.Like {
		t.Op = testudo.Equal
	}
	t.Text = strconv.FormatFloat(n, 'f', -1, 64)
	return nil
}

// text takes the value as it is; a star that is not quoted is a wildcard.
func (p *parser) text(v word, t *testudo.Term) *Error {
	t.Text = v.text
	if t.Op == testudo.Equal && v.hasStar() {
		t.Op = testudo.Like
	}
	return nil
}

// service takes one of several services that a conversation may have had.
func (p *parser) service(v word, t *testudo.Term) *Error {
	if t.Op == testudo.Equal && !v.hasStar() {
		t.Op, t.Text = testudo.Like, "*"+v.text+"*"
		return nil
	}
	return p.text(v, t)
}

func (p *parser) name(v word, t *testudo.Term) *Error {
	v.text = strings.TrimSuffix(strings.ToLower(refang(v.text)), ".")
	if v.text == "" {
		return v.wrong("want a name, such as *.example")
	}
	return p.text(v, t)
}

// address reads an address, a prefix, or an address with stars.
func (p *parser) address(v word, t *testudo.Term) *Error {
	if t.Op == testudo.Less || t.Op == testudo.Greater {
		return v.wrong("addresses are not smaller or larger: want an address or a prefix after a colon")
	}
	text := refang(v.text)
	if n, ok := prefixOf(text); ok {
		t.Op, t.Net, t.Text = testudo.Equal, n, plain(n)
		return nil
	}
	if v.hasStar() && strings.Trim(text, "0123456789abcdefABCDEF.:*") == "" {
		t.Op, t.Text = testudo.Like, strings.ToLower(text)
		return nil
	}
	e := v.wrong("want an address (10.0.0.5) or a prefix (10.0.0.0/8)")
	if isName(text) {
		e.Problem += "; for a name write name:" + clip(text)
	}
	return e
}

// prefixOf reads an address or a prefix.
func prefixOf(s string) (netip.Prefix, bool) {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	p, err := netip.ParsePrefix(s)
	return p.Masked(), err == nil
}

func plain(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}
