package clickhouse

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/keep/history"
)

// maxListed is how many values of a column a question may list; one that more
// fit tells little, and is asked of each record instead.
const maxListed = 5000

// acknowledged leaves out rows of attempts that were cut off.
func (s *Store) acknowledged() string {
	if s.read != "" {
		return "attempt GLOBAL IN (SELECT attempt FROM parts)"
	}
	return "attempt IN (SELECT attempt FROM parts)"
}

// Scan implements history.Store. What fits is told by the same tests as in
// files: on the distinct values of a column first, then on the records that
// hold one of those that passed.
func (s *Store) Scan(ctx context.Context, q testudo.Query, give func(testudo.Record) bool, progress func(history.Progress)) (history.Scanned, error) {
	filter, err := history.Compile(q)
	if err != nil {
		return history.Scanned{}, err
	}
	sc := &scan{Store: s, ctx: ctx, filter: filter, hours: map[int64]*history.Hour{}, inHour: map[string]map[int64]bool{}}
	for i := range filter.Kinds() {
		if err = sc.prepare(&filter.Kinds()[i]); err != nil {
			return sc.answer, sc.why(err)
		}
	}
	err = sc.run(give, progress)
	return sc.answer, sc.why(err)
}

// scan is one answer in the making.
type scan struct {
	*Store
	ctx    context.Context
	filter *history.Filter
	hours  map[int64]*history.Hour
	inHour map[string]map[int64]bool // kinds that have something in an hour
	where  []string                  // of each kind, "" where nothing can fit
	answer history.Scanned
}

// why prefers the caller's reason to the driver's words for it.
func (sc *scan) why(err error) error {
	if err == nil {
		return nil
	}
	if sc.ctx.Err() != nil {
		return sc.ctx.Err()
	}
	return wrap("scan", err)
}

// within returns the condition for the time asked for.
func (sc *scan) within() string {
	to := "1"
	if sc.filter.To>>62 == 0 {
		to = fmt.Sprintf("ts <= %d", int64(sc.filter.To)/1000)
	}
	return fmt.Sprintf("ts >= %d AND %s", int64(sc.filter.From)/1000, to)
}

// prepare learns a kind's hours and what to ask for.
func (sc *scan) prepare(k *history.Kind) error {
	table := name(sc.read + k.Layout.Log)
	rows, err := sc.shards[0].Query(sc.ctx, fmt.Sprintf("SELECT hour, count(), max(blank) FROM %s WHERE %s AND %s GROUP BY hour", table, sc.within(), sc.acknowledged()))
	if err != nil {
		return err
	}
	defer rows.Close()
	sc.inHour[k.Layout.Log] = map[int64]bool{}
	for rows.Next() {
		var hour int64
		var n uint64
		var blank uint8
		if err = rows.Scan(&hour, &n, &blank); err != nil {
			return err
		}
		h := sc.hours[hour]
		if h == nil {
			h = &history.Hour{Start: testudo.Time(hour * 1e9)}
			sc.hours[hour] = h
		}
		h.Rows, h.Nameless = h.Rows+int64(n), h.Nameless || blank != 0
		sc.answer.Rows += int64(n)
		sc.inHour[k.Layout.Log][hour] = true
	}
	if err = rows.Err(); err != nil {
		return err
	}
	where, err := sc.conditions(k, table)
	sc.where = append(sc.where, where)
	return err
}

// conditions returns what to ask of a kind's rows, "" where none can fit.
func (sc *scan) conditions(k *history.Kind, table string) (string, error) {
	all := []string{sc.within(), sc.acknowledged()}
	for _, clause := range k.Clauses {
		if clause.Not {
			continue // it may fit more than it says; Match decides
		}
		var some []string
		for i := range clause.Tests {
			cond, err := sc.condition(k.Layout, &clause.Tests[i], table)
			if err != nil {
				return "", err
			}
			if cond != "" {
				some = append(some, cond)
			}
		}
		if len(some) == 0 {
			return "", nil
		}
		all = append(all, "("+strings.Join(some, " OR ")+")")
	}
	return strings.Join(all, " AND "), nil
}

// condition returns what to ask for one test, "" where no value passes it.
func (sc *scan) condition(l *history.Layout, t *history.Test, table string) (string, error) {
	col := &l.Columns[t.Column]
	list := col.Type == history.Ints || col.Type == history.Texts
	value := name(col.Name)
	if list {
		value = "arrayJoin(" + value + ")"
	}
	if t.Exact != nil && !list {
		return name(col.Name) + " IN (" + quoted(t.Exact) + ")", nil
	}
	rows, err := sc.shards[0].Query(sc.ctx, fmt.Sprintf("SELECT DISTINCT toString(%s) FROM %s WHERE %s", value, table, sc.within()))
	if err != nil {
		return "", err
	}
	defer rows.Close()
	var passed []string
	for rows.Next() {
		var text string
		if err = rows.Scan(&text); err != nil {
			return "", err
		}
		if passes(col, t, text) {
			passed = append(passed, text)
		}
	}
	switch {
	case rows.Err() != nil:
		return "", rows.Err()
	case len(passed) == 0:
		return "", nil
	case len(passed) > maxListed:
		return "1", nil
	case list:
		return fmt.Sprintf("arrayExists(x -> toString(x) IN (%s), %s)", quoted(passed), name(col.Name)), nil
	}
	return fmt.Sprintf("toString(%s) IN (%s)", name(col.Name), quoted(passed)), nil
}

// passes tests one value of a column, given as text.
func passes(col *history.Column, t *history.Test, text string) bool {
	var c history.Cell
	switch col.Type {
	case history.Text, history.Texts:
		return t.Text(text)
	case history.Float:
		_, err := fmt.Sscan(text, &c.Float)
		return err == nil && t.Number(c.Float)
	}
	_, err := fmt.Sscan(text, &c.Int)
	return err == nil && t.Int(col, c.Int)
}

func quoted(values []string) string {
	escape := strings.NewReplacer(`\`, `\\`, `'`, `\'`)
	var b strings.Builder
	for i, v := range values {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString("'" + escape.Replace(v) + "'")
	}
	return b.String()
}

// sorted returns the hours in order.
func (sc *scan) sorted() (hours []history.Hour) {
	for _, h := range sc.hours {
		hours = append(hours, *h)
	}
	slices.SortFunc(hours, func(a, b history.Hour) int { return cmp.Compare(a.Start, b.Start) })
	return hours
}

// run gives the records hour by hour.
func (sc *scan) run(give func(testudo.Record) bool, progress func(history.Progress)) error {
	hours := sc.sorted()
	for i, h := range hours {
		sc.answer.Hours = hours[:i+1]
		more, err := sc.hour(int64(h.Start)/1e9, give)
		if err != nil {
			return err
		}
		if progress != nil {
			progress(history.Progress{Done: int64(i + 1), Total: int64(len(hours)), Found: sc.answer.Found, Hour: h.Start})
		}
		if err = sc.ctx.Err(); err != nil || !more {
			return err
		}
	}
	return nil
}

// hour gives what fits in an hour and tells whether to go on.
func (sc *scan) hour(hour int64, give func(testudo.Record) bool) (more bool, err error) {
	var found []testudo.Record
	for i := range sc.filter.Kinds() {
		k := &sc.filter.Kinds()[i]
		if sc.where[i] == "" || !sc.inHour[k.Layout.Log][hour] {
			continue
		}
		part, err := fetch(sc.ctx, sc.shards[0], k.Layout, name(sc.read+k.Layout.Log), fmt.Sprintf("hour = %d AND %s", hour, sc.where[i]))
		if err != nil {
			return false, err
		}
		for _, r := range part {
			if t := r.Base().Time; t >= sc.filter.From && t < sc.filter.To && k.Match(r, k.Layout.Value(r)) {
				found = append(found, r)
			}
		}
	}
	slices.SortStableFunc(found, func(a, b testudo.Record) int {
		x, y := a.Base(), b.Base()
		return cmp.Or(cmp.Compare(x.Time, y.Time), cmp.Compare(a.Log(), b.Log()), cmp.Compare(x.UID, y.UID))
	})
	for _, r := range found {
		sc.answer.Found++
		if !give(r) || sc.answer.Found >= sc.filter.Limit {
			return false, nil
		}
	}
	return true, nil
}

// fetch returns the records of a table that a condition holds for.
func fetch(ctx context.Context, c driver.Conn, l *history.Layout, table, where string) (records []testudo.Record, err error) {
	rows, err := c.Query(ctx, "SELECT "+columnList(l)+" FROM "+table+" WHERE "+where)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	cells := make([]history.Cell, len(l.Columns))
	flags := make([]uint8, len(l.Columns))
	into := make([]any, len(l.Columns))
	for i := range l.Columns {
		into[i] = map[history.Type]any{
			history.Int: &cells[i].Int, history.Bool: &flags[i], history.Float: &cells[i].Float,
			history.Text: &cells[i].Text, history.Ints: &cells[i].Ints, history.Texts: &cells[i].Texts,
		}[l.Columns[i].Type]
	}
	for rows.Next() {
		if err = rows.Scan(into...); err != nil {
			return nil, err
		}
		r, v := l.New()
		for i := range cells {
			if l.Columns[i].Type == history.Bool {
				cells[i].Int = int64(flags[i])
			}
			l.Set(i, v, &cells[i])
		}
		records = append(records, r)
	}
	return records, rows.Err()
}
