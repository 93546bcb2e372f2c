package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/keep/history"
)

// Maintain implements history.Store. The servers join their parts by
// themselves; what is left is the policy.
func (s *Store) Maintain(ctx context.Context, now testudo.Time, p history.Policy) (r history.Report, err error) {
	for _, l := range history.Layouts() {
		if err = s.maintain(ctx, l, now, p, &r); err != nil {
			return r, wrap("maintain "+l.Log, err)
		}
	}
	if err = s.sum(ctx, &r); err != nil {
		return r, wrap("maintain", err)
	}
	if p.MaxBytes > 0 && r.Bytes > p.MaxBytes {
		if err = s.evict(ctx, p, &r); err == nil {
			evicted := r.Evicted
			r.Files, r.Rows, r.Bytes, r.Oldest, r.Newest = 0, 0, 0, 0, 0
			err = s.sum(ctx, &r)
			r.Evicted = evicted
		}
	}
	return r, wrap("maintain", err)
}

func (s *Store) maintain(ctx context.Context, l *history.Layout, now testudo.Time, p history.Policy, r *history.Report) error {
	held := holdOf(p.Hold)
	if p.Keep > 0 {
		old := fmt.Sprintf("ingested < %d", int64(now)-int64(p.Keep))
		n, err := s.count(ctx, l, old+" AND "+held)
		if err != nil {
			return err
		}
		r.Held += n
		if n, err = s.remove(ctx, l, old+" AND NOT "+held); err != nil {
			return err
		}
		r.Expired += n
	}
	if p.KeepNames <= 0 || !l.Private() {
		return nil
	}
	cond := fmt.Sprintf("blank = 0 AND ingested < %d AND NOT %s", int64(now)-int64(p.KeepNames), held)
	n, err := s.count(ctx, l, cond)
	if err != nil || n == 0 {
		return err
	}
	set := []string{"blank = 1"}
	for i := range l.Columns {
		if l.Columns[i].Role&history.Private != 0 {
			set = append(set, name(l.Columns[i].Name)+" = "+map[history.Type]string{history.Text: "''", history.Texts: "emptyArrayString()"}[l.Columns[i].Type])
		}
	}
	r.Blanked += n
	return s.mutate(ctx, l.Log, "UPDATE "+strings.Join(set, ", ")+" WHERE "+cond)
}

// holdOf returns the condition for what is kept beyond the policy.
func holdOf(h history.Hold) string {
	conds := []string{"0"}
	if len(h.UIDs) > 0 {
		var uids []string
		for _, u := range h.UIDs {
			uids = append(uids, u.String())
		}
		conds = append(conds, "uid IN ("+quoted(uids)+")")
	}
	for _, span := range h.Spans {
		a := span.Address.Unmap().String()
		conds = append(conds, fmt.Sprintf("(ts >= %d AND ts < %d AND (`id.orig_h` = %s OR `id.resp_h` = %s))",
			int64(span.From)/1000, int64(span.To)/1000, quoted([]string{a}), quoted([]string{a})))
	}
	return "(" + strings.Join(conds, " OR ") + ")"
}

// count returns how many acknowledged rows a condition holds for.
func (s *Store) count(ctx context.Context, l *history.Layout, where string) (int64, error) {
	var n uint64
	err := s.shards[0].QueryRow(ctx, fmt.Sprintf("SELECT count() FROM %s WHERE %s AND %s", name(s.read+l.Log), where, s.acknowledged())).Scan(&n)
	return int64(n), err
}

// remove deletes rows and returns how many.
func (s *Store) remove(ctx context.Context, l *history.Layout, where string) (int64, error) {
	n, err := s.count(ctx, l, where)
	if err != nil || n == 0 {
		return 0, err
	}
	return n, s.mutate(ctx, l.Log, "DELETE WHERE "+where)
}

// mutate changes a table on every shard and waits until it is done.
func (s *Store) mutate(ctx context.Context, table, what string) error {
	for _, c := range s.shards {
		if err := c.Exec(ctx, "ALTER TABLE "+name(table)+" "+what); err != nil {
			return err
		}
	}
	for _, c := range s.shards {
		if err := await(ctx, c, table); err != nil {
			return err
		}
	}
	return nil
}

func await(ctx context.Context, c driver.Conn, table string) error {
	for {
		var n uint64
		err := c.QueryRow(ctx, "SELECT count() FROM system.mutations WHERE database = currentDatabase() AND table = ? AND is_done = 0", table).Scan(&n)
		if err != nil || n == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Sum says what there is.
func (s *Store) Sum(ctx context.Context) (history.Report, error) {
	var r history.Report
	err := s.sum(ctx, &r)
	return r, err
}

// sum fills in what there is.
func (s *Store) sum(ctx context.Context, r *history.Report) error {
	for _, c := range s.shards {
		var files, bytes uint64
		err := c.QueryRow(ctx, "SELECT count(), sum(bytes_on_disk) FROM system.parts WHERE database = currentDatabase() AND active").Scan(&files, &bytes)
		if err != nil {
			return err
		}
		r.Files, r.Bytes = r.Files+int64(files), r.Bytes+int64(bytes)
	}
	for _, l := range history.Layouts() {
		var n uint64
		var first, last int64
		err := s.shards[0].QueryRow(ctx, fmt.Sprintf("SELECT count(), min(ts), max(ts) FROM %s WHERE %s", name(s.read+l.Log), s.acknowledged())).Scan(&n, &first, &last)
		if err != nil {
			return err
		}
		if r.Rows += int64(n); n == 0 {
			continue
		}
		if t := testudo.Time(first * 1000); r.Oldest == 0 || t < r.Oldest {
			r.Oldest = t
		}
		r.Newest = max(r.Newest, testudo.Time(last*1000))
	}
	return nil
}

// evict removes whole hours, the oldest first, as many as hold the share of
// rows that is too much.
func (s *Store) evict(ctx context.Context, p history.Policy, r *history.Report) error {
	excess := float64(r.Rows) * (1 - float64(p.MaxBytes)/float64(r.Bytes))
	hours, err := s.hours(ctx)
	if err != nil {
		return err
	}
	for _, h := range hours {
		if excess <= 0 {
			return nil
		}
		for _, l := range history.Layouts() {
			n, err := s.remove(ctx, l, fmt.Sprintf("hour = %d AND NOT %s", int64(h.Start)/1e9, holdOf(p.Hold)))
			if err != nil {
				return err
			}
			r.Evicted += n
		}
		excess -= float64(h.Rows)
	}
	return nil
}

// hours returns what hours there are, in order.
func (s *Store) hours(ctx context.Context) ([]history.Hour, error) {
	filter, err := history.Compile(testudo.Query{})
	if err != nil {
		return nil, err
	}
	sc := &scan{Store: s, ctx: ctx, filter: filter, hours: map[int64]*history.Hour{}, inHour: map[string]map[int64]bool{}}
	for i := range filter.Kinds() {
		if err := sc.prepare(&filter.Kinds()[i]); err != nil {
			return nil, err
		}
	}
	return sc.sorted(), nil
}

// Forget implements history.Store.
func (s *Store) Forget(ctx context.Context, subject history.Subject) (r history.Receipt, err error) {
	r.Subject = subject
	search := history.NewSearch(subject)
	filter, err := history.Compile(testudo.Query{})
	if err != nil {
		return r, err
	}
	sc := &scan{Store: s, ctx: ctx, filter: filter}
	for _, l := range history.Layouts() {
		if err = sc.forget(search.Kind(l), &r); err != nil {
			return r, wrap("forget in "+l.Log, err)
		}
	}
	return r, nil
}

// forget removes a subject's rows of a kind. Values that more than can be
// listed hold are removed in turns.
func (sc *scan) forget(k *history.Kind, r *history.Receipt) error {
	table := name(sc.read + k.Layout.Log)
	tests := k.Clauses[0].Tests
	for i := range tests {
		for {
			cond, err := sc.condition(k.Layout, &tests[i], table)
			if err != nil {
				return err
			}
			if cond == "" {
				break
			}
			if cond == "1" {
				return errors.New("more values hold the subject than can be listed; name it more narrowly")
			}
			n, err := sc.count(sc.ctx, k.Layout, cond)
			if err != nil {
				return err
			}
			if n > 0 {
				if err = sc.times(k.Layout, cond, r); err != nil {
					return err
				}
			}
			if err = sc.mutate(sc.ctx, k.Layout.Log, "DELETE WHERE "+cond); err != nil {
				return err
			}
			r.Rows += n
			r.Files = append(r.Files, history.FileReceipt{File: k.Layout.Log + "." + k.Layout.Columns[tests[i].Column].Name, Rows: n})
		}
	}
	r.Searched++
	return nil
}

func (sc *scan) times(l *history.Layout, cond string, r *history.Receipt) error {
	var first, last int64
	if err := sc.shards[0].QueryRow(sc.ctx, fmt.Sprintf("SELECT min(ts), max(ts) FROM %s WHERE %s", name(sc.read+l.Log), cond)).Scan(&first, &last); err != nil {
		return err
	}
	if t := testudo.Time(first * 1000); r.First == 0 || t < r.First {
		r.First = t
	}
	r.Last = max(r.Last, testudo.Time(last*1000))
	return nil
}
