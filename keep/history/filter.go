package history

import (
	"fmt"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/testudo-shield/testudo"
)

// Filter is a query made ready: the same for every store.
type Filter struct {
	From, To testudo.Time // To is never 0
	Limit    int64        // never 0
	kinds    []Kind
}

// Kind is what a query asks of one kind of record: that every clause holds.
// No clause asks for nothing.
type Kind struct {
	Layout  *Layout
	Clauses []Clause
}

// Clause holds where one of its tests does; with Not, where none does though
// there is a value to test. Where a store can tell only that a test may hold,
// it leaves clauses with Not to Match.
type Clause struct {
	Not   bool
	Tests []Test
}

// Test asks something of the values of one column; of a list, that one of
// them fits.
type Test struct {
	Column int
	Text   func(string) bool  // of text, as it is kept
	Number func(float64) bool // of all else; seconds where the column is of time
	// Exact are all values that fit where they are few and known, nil
	// otherwise.
	Exact []string
	// Sure, where not nil, must also hold of the record.
	Sure func(testudo.Record) bool
}

const endOfTime = testudo.Time(1<<63 - 1)

// Compile makes a query ready. The error names a field that no record has, or
// a value that does not fit its field.
func Compile(q testudo.Query) (*Filter, error) {
	f := &Filter{From: q.From, To: q.To, Limit: int64(q.Limit)}
	if f.To == 0 {
		f.To = endOfTime
	}
	if f.Limit <= 0 {
		f.Limit = 1<<63 - 1
	}
	for _, name := range q.Logs {
		if LayoutOf(name) == nil {
			return nil, fmt.Errorf("history: there are no %q records; there are %s", name, strings.Join(logs(), ", "))
		}
	}
	known := make([]bool, len(q.Where))
	set := newValueSet(q.Values)
	for _, l := range Layouts() {
		k, err := kindOf(l, q, set, known)
		if err != nil {
			return nil, err
		}
		if k != nil && (len(q.Logs) == 0 || has(q.Logs, l.Log)) {
			f.kinds = append(f.kinds, *k)
		}
	}
	for i, ok := range known {
		if !ok {
			return nil, fmt.Errorf("history: no record has a field %q", q.Where[i].Field)
		}
	}
	return f, nil
}

func logs() (names []string) {
	for _, l := range Layouts() {
		names = append(names, l.Log)
	}
	return names
}

func has(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

// kindOf returns what q asks of a kind, nil where none of it can fit.
func kindOf(l *Layout, q testudo.Query, set *valueSet, known []bool) (*Kind, error) {
	k := &Kind{Layout: l}
	fits := true
	for i, t := range q.Where {
		tests, err := termTests(l, t)
		if err != nil {
			return nil, err
		}
		known[i] = known[i] || len(tests) > 0
		fits = fits && len(tests) > 0
		k.Clauses = append(k.Clauses, Clause{t.Not, tests})
	}
	if set != nil {
		tests := set.tests(l)
		fits = fits && len(tests) > 0
		k.Clauses = append(k.Clauses, Clause{Tests: tests})
	}
	if !fits {
		return nil, nil
	}
	return k, nil
}

// Kinds returns what the query asks of each kind of record that can fit.
func (f *Filter) Kinds() []Kind { return f.kinds }

// Match tells whether a record of the kind fits, its time apart.
func (k *Kind) Match(r testudo.Record, v reflect.Value) bool {
	for i := range k.Clauses {
		if !k.Clauses[i].holds(k.Layout, r, v) {
			return false
		}
	}
	return true
}

func (q *Clause) holds(l *Layout, r testudo.Record, v reflect.Value) bool {
	var c Cell
	some := false
	for i := range q.Tests {
		t := &q.Tests[i]
		l.Get(t.Column, v, &c)
		if t.Cell(&l.Columns[t.Column], &c) && (t.Sure == nil || t.Sure(r)) {
			return !q.Not
		}
		some = some || c.some(l.Columns[t.Column].Type)
	}
	return q.Not && some
}

// some tells whether there is a value: an empty text or list is none.
func (c *Cell) some(t Type) bool {
	switch t {
	case Text:
		return c.Text != ""
	case Texts:
		return len(c.Texts) > 0
	case Ints:
		return len(c.Ints) > 0
	}
	return true
}

// Cell tells whether a value of the test's column fits.
func (t *Test) Cell(col *Column, c *Cell) bool {
	switch col.Type {
	case Text:
		return t.Text(c.Text)
	case Texts:
		for _, s := range c.Texts {
			if t.Text(s) {
				return true
			}
		}
	case Ints:
		for _, n := range c.Ints {
			if t.Int(col, n) {
				return true
			}
		}
	case Float:
		return t.Number(c.Float)
	default:
		return t.Int(col, c.Int)
	}
	return false
}

// Int tells whether a whole number of the test's column fits.
func (t *Test) Int(col *Column, n int64) bool {
	if col.Time {
		return t.Number(float64(n) / 1e6)
	}
	return t.Number(float64(n))
}

// termTests returns the tests of which one must hold for a term.
func termTests(l *Layout, t testudo.Term) (tests []Test, err error) {
	role := map[string]Role{testudo.AnyAddress: Address, testudo.AnyName: Name, testudo.AnyPrint: Print}[t.Field]
	for i := range l.Columns {
		c := &l.Columns[i]
		size := t.Field == testudo.AnySize && (c.Name == "orig_bytes" || c.Name == "resp_bytes")
		if c.Name != t.Field && c.Role&role == 0 && !size {
			continue
		}
		test, err := termTest(c, t)
		if err != nil {
			return nil, fmt.Errorf("history: %s%s%s: %w", t.Field, t.Op, t.Text, err)
		}
		test.Column = i
		tests = append(tests, test)
	}
	return tests, nil
}

func termTest(c *Column, t testudo.Term) (test Test, err error) {
	switch {
	case c.Type == Text || c.Type == Texts:
		if c.Role&Address != 0 {
			return addressTest(t)
		}
		return textTest(c, t)
	case c.Type == Bool:
		want := strings.EqualFold(t.Text, "t") || strings.EqualFold(t.Text, "true") || t.Text == "1"
		test.Number = func(n float64) bool { return (n != 0) == want }
		return test, nil
	}
	n, err := number(c, t.Text)
	if err != nil {
		return test, err
	}
	switch t.Op {
	case testudo.Less:
		test.Number = func(x float64) bool { return x < n }
	case testudo.Greater:
		test.Number = func(x float64) bool { return x > n }
	default:
		test.Number = func(x float64) bool { return x == n }
	}
	return test, nil
}

// number reads a number, of a time also "10s" or a date.
func number(c *Column, s string) (float64, error) {
	if n, err := strconv.ParseFloat(s, 64); err == nil {
		return n, nil
	}
	if c.Time {
		if d, err := time.ParseDuration(s); err == nil {
			return d.Seconds(), nil
		}
		if t, err := time.Parse(time.RFC3339, s); err == nil {
			return testudo.TimeOf(t).Seconds(), nil
		}
	}
	return 0, fmt.Errorf("%q is not a number", s)
}

// addressTest returns the test for an address or a prefix.
func addressTest(t testudo.Term) (test Test, err error) {
	if t.Op == testudo.Like {
		test.Text = glob(strings.ToLower(t.Text))
		return test, nil
	}
	p := t.Net
	if !p.IsValid() {
		if p, err = prefix(t.Text); err != nil {
			return test, err
		}
	}
	if p.IsSingleIP() {
		test.Exact = addressForms(p.Addr())
		test.Text = func(s string) bool { return has(test.Exact, s) }
		return test, nil
	}
	p = p.Masked()
	test.Text = func(s string) bool { a := parseAddr(s); return p.Contains(a.Unmap()) || p.Contains(a) }
	return test, nil
}

func prefix(s string) (netip.Prefix, error) {
	if p, err := netip.ParsePrefix(s); err == nil {
		return p, nil
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q is neither an address nor a prefix", s)
	}
	return netip.PrefixFrom(a, a.BitLen()), nil
}

// addressForms returns the texts an address can have: an IPv4 address also
// that in an IPv6 one.
func addressForms(a netip.Addr) []string {
	a = a.Unmap()
	if a.Is4() {
		return []string{a.String(), netip.AddrFrom16(a.As16()).String()}
	}
	return []string{a.String()}
}

// textTest returns the test for a text.
func textTest(c *Column, t testudo.Term) (test Test, err error) {
	want := strings.ToLower(Escape(t.Text))
	if c.Role&Name != 0 {
		want = strings.TrimSuffix(want, ".")
	}
	switch t.Op {
	case testudo.Less:
		test.Text = func(s string) bool { return strings.ToLower(s) < want }
	case testudo.Greater:
		test.Text = func(s string) bool { return strings.ToLower(s) > want }
	case testudo.Like:
		test.Text = glob(want)
		if parent, ok := strings.CutPrefix(want, "*."); ok && c.Role&Name != 0 {
			below := test.Text
			test.Text = func(s string) bool { return foldEqual(s, parent) || below(s) }
		}
	default:
		test.Text = func(s string) bool { return foldEqual(s, want) }
		if c.Role&Print != 0 || c.Name == "uid" {
			test.Text = func(s string) bool { return strings.EqualFold(s, want) }
		}
		if c.Name == "uid" {
			test.Exact = []string{t.Text}
			test.Text = func(s string) bool { return s == t.Text }
		}
	}
	return test, nil
}

// foldEqual compares texts in any case; a name's last dot does not matter.
func foldEqual(s, lower string) bool {
	return strings.EqualFold(s, lower) || len(s) == len(lower)+1 && s[len(s)-1] == '.' && strings.EqualFold(s[:len(s)-1], lower)
}

// glob returns a test for a pattern in lower case, where * is anything.
func glob(pattern string) func(string) bool {
	parts := strings.Split(pattern, "*")
	return func(s string) bool {
		s = strings.ToLower(strings.TrimSuffix(s, "."))
		if len(parts) == 1 {
			return s == pattern
		}
		rest, ok := strings.CutPrefix(s, parts[0])
		if !ok {
			return false
		}
		for _, p := range parts[1 : len(parts)-1] {
			i := strings.Index(rest, p)
			if i < 0 {
				return false
			}
			rest = rest[i+len(p):]
		}
		return strings.HasSuffix(rest, parts[len(parts)-1])
	}
}
