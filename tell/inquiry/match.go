package inquiry

import (
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/testudo-shield/testudo"
)

// A Matcher tells which records answer a query. It is safe for concurrent use.
type Matcher struct {
	from, to testudo.Time
	logs     []string
	of       map[reflect.Type]*plan
}

// plan is a query for one type of record.
type plan struct {
	log     string
	clauses []clause
}

// clause holds if one of its columns has a value that fits, or, with not, if
// there are values and none fits.
type clause struct {
	not     bool
	columns []*column
	fits    func(c *column, v value) bool
	also    func(r testudo.Record) bool // another way to hold, nil for none
}

// NewMatcher makes a query ready. The error names a field that no record has
// or a value that its field cannot have.
func NewMatcher(q testudo.Query) (*Matcher, error) {
	m := &Matcher{from: q.From, to: q.To, logs: q.Logs, of: map[reflect.Type]*plan{}}
	tests := make([]func(*column, value) bool, len(q.Where))
	for i, t := range q.Where {
		var err *Error
		if tests[i], err = testOf(t); err != nil {
			return nil, err
		}
	}
	for _, r := range records {
		t := reflect.TypeOf(r).Elem()
		pl := &plan{log: r.Log()}
		for i, term := range q.Where {
			pl.clauses = append(pl.clauses, clause{not: term.Not, columns: pick(t, behind(term.Field)), fits: tests[i]})
		}
		if q.Values != nil {
			pl.clauses = append(pl.clauses, valuesClause(t, q.Values))
		}
		m.of[t] = pl
	}
	return m, nil
}

// Matches tells whether a record answers a query; false also for a query that
// cannot be read. For many records make a Matcher.
func Matches(q testudo.Query, r testudo.Record) bool {
	m, err := NewMatcher(q)
	return err == nil && m.Matches(r)
}

// Matches tells whether a record answers the query.
func (m *Matcher) Matches(r testudo.Record) bool {
	at := r.Base().Time
	if at < m.from || m.to != 0 && at >= m.to {
		return false
	}
	v := reflect.ValueOf(r).Elem()
	pl := m.of[v.Type()]
	if pl == nil || len(m.logs) > 0 && !slices.Contains(m.logs, pl.log) {
		return false
	}
	for i := range pl.clauses {
		if !pl.clauses[i].holds(r, v) {
			return false
		}
	}
	return true
}

func (c *clause) holds(r testudo.Record, v reflect.Value) bool {
	present := false
	for _, col := range c.columns {
		fits, any := col.each(r, v, func(x value) bool { return c.fits(col, x) })
		if fits {
			return !c.not
		}
		present = present || any
	}
	if c.also != nil && c.also(r) {
		return !c.not
	}
	return c.not && present
}

// pick returns the columns of a type that have one of the names.
func pick(t reflect.Type, names []string) (cols []*column) {
	all := fields.of[t]
	for i := range all {
		if slices.Contains(names, all[i].name) {
			cols = append(cols, &all[i])
		}
	}
	return cols
}

// testOf returns the test of a term for the values of its fields.
func testOf(t testudo.Term) (func(*column, value) bool, *Error) {
	for _, f := range behind(t.Field) {
		if _, ok := fields.kinds[f]; !ok {
			return nil, &Error{Word: t.Field, Problem: "no record has this field", Nearest: nearest(t.Field, fields.names)}
		}
	}
	want := strings.ToLower(t.Text)
	n, isNumber := strconv.ParseFloat(t.Text, 64)
	switch fields.kinds[behind(t.Field)[0]] {
	case addressKind:
		return addressTest(t, want)
	case boolKind:
		on := want == "t" || want == "true" || want == "1"
		return func(_ *column, v value) bool { return (v.number != 0) == on }, nil
	case textKind:
		return textTest(t.Op, want), nil
	}
	if isNumber != nil {
		return nil, &Error{Word: t.Text, Problem: t.Field + " is a number"}
	}
	return func(_ *column, v value) bool {
		switch t.Op {
		case testudo.Less:
			return v.number < n
		case testudo.Greater:
			return v.number > n
		}
		return v.number == n
	}, nil
}

func addressTest(t testudo.Term, want string) (func(*column, value) bool, *Error) {
	if t.Op == testudo.Like {
		return func(_ *column, v value) bool { return v.addr.IsValid() && like(v.text, want) }, nil
	}
	net, ok := t.Net, true
	if !net.IsValid() {
		net, ok = prefixOf(t.Text)
	}
	if !ok {
		return nil, &Error{Word: t.Text, Problem: "neither an address nor a prefix"}
	}
	return func(_ *column, v value) bool { return v.addr.IsValid() && net.Contains(v.addr) }, nil
}

func textTest(op testudo.TermOp, want string) func(*column, value) bool {
	name := strings.TrimSuffix(want, ".")
	parent, below := strings.CutPrefix(name, "*.")
	return func(c *column, v value) bool {
		text, want := v.text, want
		if isNameField(c.name) {
			text, want = strings.TrimSuffix(text, "."), name
		}
		switch op {
		case testudo.Less:
			return text < want
		case testudo.Greater:
			return text > want
		case testudo.Like:
			return like(text, want) || below && text == parent && isNameField(c.name)
		}
		return text == want
	}
}

// like compares with a pattern in which * is anything. Both are in lower case.
func like(s, pattern string) bool {
	first, rest, star := strings.Cut(pattern, "*")
	if !star {
		return s == pattern
	}
	s, ok := strings.CutPrefix(s, first)
	for ok && star {
		var part string
		if part, rest, star = strings.Cut(rest, "*"); !star {
			return strings.HasSuffix(s, part)
		}
		var at int
		if at = strings.Index(s, part); at < 0 {
			return false
		}
		s = s[at+len(part):]
	}
	return ok
}

// valuesClause holds for a record that has one of many values.
func valuesClause(t reflect.Type, vs *testudo.Values) clause {
	addrs, names, prints, urls := map[netip.Addr]bool{}, map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, a := range vs.Addresses {
		addrs[a.Unmap()] = true
	}
	for _, n := range vs.Names {
		names[strings.TrimSuffix(strings.ToLower(n), ".")] = true
	}
	for _, p := range vs.Prints {
		prints[strings.ToLower(p)] = true
	}
	for _, u := range vs.URLs {
		urls[u] = true
	}
	printFields := behind(testudo.AnyPrint)
	c := clause{columns: pick(t, slices.Concat(behind(testudo.AnyAddress), behind(testudo.AnyName), printFields))}
	c.fits = func(col *column, v value) bool {
		switch {
		case isNameField(col.name):
			return below(names, strings.TrimSuffix(v.text, "."))
		case slices.Contains(printFields, col.name):
			return prints[v.text]
		}
		return v.addr.IsValid() && (addrs[v.addr] || slices.ContainsFunc(vs.Prefixes, func(p netip.Prefix) bool { return p.Contains(v.addr) }))
	}
	c.also = func(r testudo.Record) bool {
		h, ok := r.(*testudo.HTTP)
		return ok && len(urls) > 0 && urls[strings.ToLower(h.Host)+h.URI]
	}
	return c
}

// below says whether a set holds a name or one above it.
func below(names map[string]bool, n string) bool {
	for n != "" {
		if names[n] {
			return true
		}
		_, n, _ = strings.Cut(n, ".")
	}
	return false
}
