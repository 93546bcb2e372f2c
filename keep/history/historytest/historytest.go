// Package historytest holds what every store of history promises, as tests:
// Run them on each.
package historytest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/keep/history"
)

// Open opens the store that place names, again where it was open before.
type Open func(t *testing.T, place string) history.Store

// Run holds a store to its promises. Each test uses a new place.
func Run(t *testing.T, open Open, place func(t *testing.T) string) {
	for _, c := range []struct {
		name string
		run  func(*bench)
	}{
		{"every kind comes back as it was", everyKind},
		{"nothing is remembered twice", once},
		{"in order of time", inOrder},
		{"queries", queries},
		{"a cancel keeps what was found", cancelled},
		{"forget", forget},
		{"retention by age", byAge},
		{"retention by size", bySize},
		{"names go before addresses", names},
		{"what is held is kept", held},
		{"coverage", coverage},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := &bench{T: t, open: open, place: place(t)}
			b.Store = open(t, b.place)
			defer func() { b.no(b.Close()) }()
			c.run(b)
		})
	}
}

// bench is one store under test.
type bench struct {
	*testing.T
	history.Store
	open  Open
	place string
}

func (b *bench) no(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b *bench) reopen() {
	b.Helper()
	b.no(b.Close())
	b.Store = b.open(b.T, b.place)
}

// put appends records ingested at a time after MonthStart.
func (b *bench) put(id string, part int64, after time.Duration, records ...testudo.Record) {
	b.Helper()
	b.no(b.Append(context.Background(), history.Ingest{ID: id, Part: part, At: MonthStart.Add(after)}, records))
}

func (b *bench) maintain(after time.Duration, p history.Policy) history.Report {
	b.Helper()
	r, err := b.Maintain(context.Background(), MonthStart.Add(after), p)
	b.no(err)
	return r
}

func (b *bench) scan(q testudo.Query) ([]testudo.Record, history.Scanned) {
	b.Helper()
	var all []testudo.Record
	s, err := b.Scan(context.Background(), q, func(r testudo.Record) bool { all = append(all, r); return true }, nil)
	b.no(err)
	if len(s.Damaged) > 0 {
		b.Fatalf("damaged: %v", s.Damaged)
	}
	return all, s
}

// found checks how many records answer a query.
func (b *bench) found(what string, want int, q testudo.Query) {
	b.Helper()
	if got, _ := b.scan(q); len(got) != want {
		b.Errorf("%s: found %d, want %d", what, len(got), want)
	}
}

// always runs a check on what was just appended, after it was moved into
// files, and after the store was opened again.
func (b *bench) always(check func()) {
	b.Helper()
	check()
	b.maintain(time.Minute, history.Policy{})
	check()
	b.reopen()
	check()
	b.maintain(48*time.Hour, history.Policy{})
	check()
}

// Conn returns a conn of the test network.
func Conn(n int, at time.Duration, orig, resp string) *testudo.Conn {
	c := &testudo.Conn{
		Meta: testudo.Meta{Time: MonthStart.Add(at), UID: testudo.UID(n + 1)}, Service: "ssl", State: "SF",
		Duration: time.Second, OrigBytes: int64(n), RespBytes: 1000, OrigPkts: 4, OrigIPBytes: int64(n) + 160,
	}
	c.ID = testudo.ConnID{Orig: netip.AddrPortFrom(netip.MustParseAddr(orig), 40000), Resp: netip.AddrPortFrom(netip.MustParseAddr(resp), 443), Proto: testudo.TCP}
	return c
}

func everyKind(b *bench) {
	want := slices.Concat(Filled(1), Filled(2))
	interim := Conn(5, 3*time.Second, "10.0.0.1", "192.0.2.1")
	interim.Interim, interim.Delta = true, testudo.Delta{OrigBytes: 2, Duration: 1500}
	want = append(want, interim, &testudo.SSH{Meta: interim.Meta, AuthSuccess: new(bool)}, &testudo.TLS{Meta: interim.Meta})
	b.put("all", 0, 0, want...)
	b.always(func() {
		got, _ := b.scan(testudo.Query{})
		if len(got) != len(want) {
			b.Fatalf("%d records came back, want %d", len(got), len(want))
		}
		for _, w := range want {
			i := slices.IndexFunc(got, func(g testudo.Record) bool { return g.Base().Time == w.Base().Time && g.Log() == w.Log() })
			if i < 0 {
				b.Fatalf("%s at %s is missing", w.Log(), w.Base().Time)
			}
			same(b.T, w.Log(), reflect.ValueOf(w).Elem(), reflect.ValueOf(got[i]).Elem())
		}
	})
}

// same compares field by field.
func same(t *testing.T, path string, want, got reflect.Value) {
	t.Helper()
	if want.Kind() == reflect.Struct && want.NumField() > 0 && want.Type().PkgPath() != "net/netip" {
		for i := range want.NumField() {
			same(t, path+"."+want.Type().Field(i).Name, want.Field(i), got.Field(i))
		}
		return
	}
	if want.Kind() == reflect.Pointer && !want.IsNil() && !got.IsNil() {
		same(t, path, want.Elem(), got.Elem())
		return
	}
	if want.CanFloat() {
		// Statistics of bursts are kept to five digits.
		if d := math.Abs(want.Float() - got.Float()); d > 2e-5*math.Abs(want.Float()) {
			t.Errorf("%s: got %v, want %v", path, got.Float(), want.Float())
		}
		return
	}
	if !reflect.DeepEqual(want.Interface(), got.Interface()) {
		t.Errorf("%s: got %v, want %v", path, got.Interface(), want.Interface())
	}
}

func once(b *bench) {
	c := Conn(1, 0, "10.0.0.1", "192.0.2.1")
	for range 2 {
		b.put("a capture", 0, 0, c)
		b.put("a capture", 1, 0, Conn(2, time.Second, "10.0.0.1", "192.0.2.1"))
		b.found("appended twice", 2, testudo.Query{})
		b.maintain(time.Minute, history.Policy{})
		b.put("a capture", 0, 0, c)
		b.put("a capture", 3, 0)
		b.found("again after upkeep", 2, testudo.Query{})
		b.reopen()
		b.put("a capture", 0, 0, c)
		b.found("again after opening", 2, testudo.Query{})
	}
	b.put("another", 0, 0, c)
	b.found("another input", 3, testudo.Query{})
}

func inOrder(b *bench) {
	n := 0
	for part := range 12 {
		var records []testudo.Record
		for i := range 50 {
			at := time.Duration((i*7919+part*104729)%10800) * time.Second
			records = append(records, Conn(n, at, "10.0.0.1", "192.0.2.1"))
			n++
		}
		b.put("in order", int64(part), 0, records...)
		if part%2 == 1 {
			b.maintain(time.Minute, history.Policy{})
		}
	}
	b.always(func() {
		got, _ := b.scan(testudo.Query{})
		if len(got) != n {
			b.Fatalf("%d records, want %d", len(got), n)
		}
		if !slices.IsSortedFunc(got, func(a, b testudo.Record) int { return int(a.Base().Time.Sub(b.Base().Time) / time.Second) }) {
			b.Error("not in order of time")
		}
	})
}

func queries(b *bench) {
	dns := &testudo.DNS{
		Meta: testudo.Meta{Time: MonthStart.Add(time.Minute), UID: 77}, Query: "WWW.Evil.example", QTypeName: "A",
		Answers: []string{"198.51.100.7"}, Addresses: []netip.Addr{netip.MustParseAddr("198.51.100.7")},
	}
	http := &testudo.HTTP{Meta: testudo.Meta{Time: MonthStart.Add(2 * time.Minute), UID: 78}, Method: "GET", Host: "files.example:80", URI: "/a/b.bin?x=1", UserAgent: `back\slash`}
	tls := &testudo.TLS{Meta: testudo.Meta{Time: MonthStart.Add(3 * time.Minute), UID: 79}, ServerName: "evil.example", JA3: "0123456789abcdef0123456789abcdef"}
	b.put("q", 0, 0, dns, http, tls, Conn(10, 0, "10.0.0.1", "192.0.2.1"), Conn(2000, 2*time.Hour, "10.0.0.2", "2001:db8::1"), Conn(30, time.Hour, "10.0.1.1", "192.0.2.1"))
	term := func(field string, op testudo.TermOp, text string) testudo.Query {
		return testudo.Query{Where: []testudo.Term{{Field: field, Op: op, Text: text}}}
	}
	values := func(v testudo.Values) testudo.Query { return testudo.Query{Values: &v} }
	b.always(func() {
		b.found("everything", 6, testudo.Query{})
		b.found("a log", 3, testudo.Query{Logs: []string{"conn"}})
		b.found("a time", 4, testudo.Query{To: MonthStart.Add(time.Hour)})
		b.found("from a time", 2, testudo.Query{From: MonthStart.Add(time.Hour)})
		b.found("a limit", 2, testudo.Query{Limit: 2})
		b.found("orig", 1, term("id.orig_h", testudo.Equal, "10.0.0.1"))
		b.found("a prefix", 2, testudo.Query{Where: []testudo.Term{{Field: "id.orig_h", Op: testudo.Equal, Net: netip.MustParsePrefix("10.0.0.0/24")}}})
		b.found("any address", 1, term(testudo.AnyAddress, testudo.Equal, "198.51.100.7"))
		b.found("IPv6", 1, term(testudo.AnyAddress, testudo.Equal, "2001:db8::1"))
		b.found("any name", 2, term(testudo.AnyName, testudo.Like, "*.evil.example"))
		b.found("a name", 1, term(testudo.AnyName, testudo.Equal, "evil.example."))
		b.found("a print", 1, term(testudo.AnyPrint, testudo.Equal, "0123456789ABCDEF0123456789abcdef"))
		not := func(field string, op testudo.TermOp, text string) testudo.Query {
			q := term(field, op, text)
			q.Where[0].Not = true
			return q
		}
		b.found("not from", 2, not("id.orig_h", testudo.Equal, "10.0.0.1"))
		b.found("not any address", 2, not(testudo.AnyAddress, testudo.Equal, "192.0.2.1"))
		b.found("not in a list", 0, not("answers", testudo.Equal, "198.51.100.7"))
		b.found("not a name", 1, not(testudo.AnyName, testudo.Like, "*.evil.example"))
		b.found("not a uid", 5, not("uid", testudo.Equal, testudo.UID(77).String()))
		b.found("at least", 1, not("orig_bytes", testudo.Less, "1000"))
		b.found("at most", 2, not("orig_bytes", testudo.Greater, "1000"))
		b.found("any size", 1, term(testudo.AnySize, testudo.Greater, "1e3"))
		b.found("more than", 1, term("orig_bytes", testudo.Greater, "1e3"))
		b.found("less than", 2, term("orig_bytes", testudo.Less, "1000"))
		b.found("a duration", 3, term("duration", testudo.Equal, "1s"))
		b.found("a text with a backslash", 1, term("user_agent", testudo.Equal, `BACK\slash`))
		b.found("a uid", 1, term("uid", testudo.Equal, testudo.UID(77).String()))
		b.found("addresses", 3, values(testudo.Values{Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("198.51.100.7")}}))
		b.found("prefixes", 1, values(testudo.Values{Prefixes: []netip.Prefix{netip.MustParsePrefix("2001:db8::/32")}}))
		b.found("names", 2, values(testudo.Values{Names: []string{"evil.example"}}))
		b.found("prints", 1, values(testudo.Values{Prints: []string{"0123456789abcdef0123456789abcdef"}}))
		b.found("URLs", 1, values(testudo.Values{URLs: []string{"files.example/a/b.bin"}}))
		b.found("no URL", 0, values(testudo.Values{URLs: []string{"files.example/a"}}))
		b.found("no values", 0, values(testudo.Values{}))
		q := values(testudo.Values{Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.1")}})
		q.Where = []testudo.Term{{Field: "orig_bytes", Op: testudo.Greater, Text: "20"}}
		b.found("both", 1, q)
	})
	if _, err := b.Scan(context.Background(), term("no_such_field", testudo.Equal, "x"), nil, nil); err == nil || !strings.Contains(err.Error(), "no_such_field") {
		b.Errorf("an unknown field gave %v", err)
	}
	if _, err := b.Scan(context.Background(), term("orig_bytes", testudo.Greater, "many"), nil, nil); err == nil {
		b.Error("a number that is none was taken")
	}
}

func cancelled(b *bench) {
	const hours = 48 // more than a store reads ahead
	for h := range hours {
		b.put("c", int64(h), 0, Conn(h, time.Duration(h)*time.Hour, "10.0.0.1", "192.0.2.1"))
	}
	b.always(func() {
		ctx, cancel := context.WithCancel(context.Background())
		n, told := 0, 0
		s, err := b.Scan(ctx, testudo.Query{}, func(testudo.Record) bool { n++; return true }, func(p history.Progress) {
			if told++; told == 3 {
				cancel()
			}
		})
		cancel()
		if !errors.Is(err, context.Canceled) || n < 3 || n == hours || s.Found != int64(n) {
			b.Errorf("cancelled after three hours: %d found (%d said), %v", n, s.Found, err)
		}
		n = 0
		if s, err = b.Scan(context.Background(), testudo.Query{}, func(testudo.Record) bool { n++; return n < 2 }, nil); err != nil || n != 2 || s.Found != 2 {
			b.Errorf("stopped at two: %d found (%d said), %v", n, s.Found, err)
		}
	})
}

func forget(b *bench) {
	mail := &testudo.SMTP{Meta: testudo.Meta{Time: MonthStart, UID: 9}, From: "Ann <Ann@corp.example>"}
	dns := &testudo.DNS{Meta: testudo.Meta{Time: MonthStart, UID: 10}, Query: "1.0.0.10.in-addr.arpa"}
	other := &testudo.DNS{Meta: testudo.Meta{Time: MonthStart, UID: 11}, Query: "11.0.0.10.in-addr.arpa"}
	b.put("f", 0, 0, mail, dns, other, Conn(1, 0, "10.0.0.1", "192.0.2.1"), Conn(2, time.Hour, "10.0.0.2", "192.0.2.1"))
	b.maintain(time.Minute, history.Policy{})
	b.put("f", 1, 0, Conn(3, 0, "10.0.0.11", "10.0.0.1"), Conn(4, 0, "10.0.0.11", "192.0.2.1"))
	r, err := b.Forget(context.Background(), history.Subject{Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.1")}, Words: []string{"ann@corp.example"}})
	b.no(err)
	if r.Rows != 4 || len(r.Files) == 0 {
		b.Errorf("forgot %d rows (%+v), want 4", r.Rows, r)
	}
	b.always(func() { b.found("what is left", 3, testudo.Query{}) })
	b.put("f", 0, 0, mail)
	b.found("appended again", 3, testudo.Query{})
}

func byAge(b *bench) {
	b.put("old", 0, 0, Conn(1, 0, "10.0.0.1", "192.0.2.1"))
	b.put("new", 0, 30*time.Hour, Conn(2, 0, "10.0.0.1", "192.0.2.1"))
	b.maintain(31*time.Hour, history.Policy{Keep: 40 * time.Hour})
	b.found("nothing is old enough", 2, testudo.Query{})
	r := b.maintain(45*time.Hour, history.Policy{Keep: 40 * time.Hour})
	b.found("one is", 1, testudo.Query{})
	if r.Expired != 1 || r.Rows != 1 {
		b.Errorf("report: %+v", r)
	}
}

func bySize(b *bench) {
	for h := range 10 {
		var records []testudo.Record
		for i := range 100 {
			records = append(records, Conn(h*100+i, time.Duration(h)*time.Hour, "10.0.0.1", fmt.Sprintf("192.0.2.%d", i)))
		}
		b.put("s", int64(h), 0, records...)
	}
	r := b.maintain(time.Minute, history.Policy{})
	r = b.maintain(2*time.Minute, history.Policy{MaxBytes: r.Bytes / 2})
	got, _ := b.scan(testudo.Query{})
	if r.Evicted == 0 || len(got) == 0 || len(got)+int(r.Evicted) != 1000 || got[0].Base().Time == MonthStart {
		b.Errorf("%d records are left, %d evicted; want about half, the youngest", len(got), r.Evicted)
	}
}

func names(b *bench) {
	b.put("n", 0, 0, &testudo.DNS{Meta: testudo.Meta{Time: MonthStart, UID: 3}, Query: "secret.example", Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.9")}})
	p := history.Policy{Keep: 100 * time.Hour, KeepNames: 10 * time.Hour}
	b.maintain(time.Hour, p)
	b.found("the name is there", 1, testudo.Query{Where: []testudo.Term{{Field: "query", Op: testudo.Equal, Text: "secret.example"}}})
	if r := b.maintain(20*time.Hour, p); r.Blanked != 1 {
		b.Errorf("report: %+v", r)
	}
	got, s := b.scan(testudo.Query{})
	if len(got) != 1 || got[0].(*testudo.DNS).Query != "" || len(got[0].(*testudo.DNS).Addresses) != 1 {
		b.Fatalf("want the record without its name, got %+v", got)
	}
	if len(s.Hours) != 1 || !s.Hours[0].Nameless {
		b.Errorf("the answer does not say that names are gone: %+v", s.Hours)
	}
}

func held(b *bench) {
	b.put("h", 0, 0, Conn(1, 0, "10.0.0.1", "192.0.2.1"), Conn(2, time.Minute, "10.0.0.2", "192.0.2.1"), Conn(3, time.Hour, "10.0.0.3", "192.0.2.1"),
		&testudo.DNS{Meta: testudo.Meta{Time: MonthStart, UID: 2}, Query: "held.example"})
	p := history.Policy{Keep: 10 * time.Hour, KeepNames: time.Hour, Hold: history.Hold{
		UIDs:  []testudo.UID{2},
		Spans: []history.Span{{Address: netip.MustParseAddr("10.0.0.3"), From: MonthStart, To: MonthStart.Add(2 * time.Hour)}},
	}}
	b.maintain(time.Minute, p)
	r := b.maintain(20*time.Hour, p)
	b.found("held", 3, testudo.Query{})
	b.found("with its name", 1, testudo.Query{Where: []testudo.Term{{Field: "query", Op: testudo.Equal, Text: "held.example"}}})
	if r.Expired != 1 || r.Held != 3 {
		b.Errorf("report: %+v", r)
	}
	b.maintain(21*time.Hour, history.Policy{Keep: 10 * time.Hour})
	b.found("no longer held", 0, testudo.Query{})
}

func coverage(b *bench) {
	b.put("v", 0, 0, Conn(1, 0, "10.0.0.1", "192.0.2.1"), Conn(2, 5*time.Hour, "10.0.0.1", "192.0.2.1"))
	b.always(func() {
		_, s := b.scan(testudo.Query{Where: []testudo.Term{{Field: testudo.AnyAddress, Op: testudo.Equal, Text: "203.0.113.1"}}})
		if len(s.Hours) != 2 || s.Hours[0].Start != MonthStart || s.Hours[1].Start != MonthStart.Add(5*time.Hour) || s.Hours[0].Rows != 1 {
			b.Errorf("hours: %+v", s.Hours)
		}
	})
}
