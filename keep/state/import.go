package state

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"github.com/testudo-shield/testudo"
)

// Counts says what an import did.
type Counts struct {
	Taken     int // indicators that the source did not have
	Merged    int // that it had, and of which it says something new now
	Unchanged int // that it had as they are
	Gone      int // that it no longer has
	Twice     int // entries that repeat a value of the same import
}

// Import stores the indicators of one source, all or none. Of the same type
// and value one is kept for each source: a later one joins an earlier. With
// replace, what the source no longer has is removed, and what it still has
// is as it says now. Indicators stored before keep the time when they were
// added. The Source field of the indicators is not looked at.
//
// Other writers wait while it runs, some seconds for a million indicators.
func (s *State) Import(ctx context.Context, now testudo.Time, source Source, replace bool, list []testudo.Indicator) (n Counts, err error) {
	what := "import " + source.Name
	if source.Name == "" {
		return n, s.fail(what, fmt.Errorf("%w: the source needs a name", ErrInvalid))
	}
	folded, twice := fold(list)
	n.Twice = twice
	err = s.write(ctx, what, func(tx *sql.Tx) error {
		id, err := sourceID(tx, source.Name)
		if err != nil {
			return err
		}
		i := importer{ctx: ctx, tx: tx, source: id, licence: source.Licence, now: now, replace: replace}
		if err := i.compare(folded); err != nil {
			return err
		}
		if err := i.apply(); err != nil {
			return err
		}
		n.Taken, n.Merged, n.Unchanged, n.Gone = len(i.taken), len(i.merged), i.unchanged, len(i.gone)
		source.Holds = i.unchanged + len(i.merged) + len(i.taken) + i.kept
		if err := describe(tx, id, &source); err != nil || n.Taken+n.Merged+n.Gone == 0 {
			return err
		}
		return bump(tx, "indicators")
	})
	return n, err
}

// fold sorts a list by type and value, as the table is, and joins what
// stands in it twice. The list itself stays as it is.
func fold(list []testudo.Indicator) (folded []*testudo.Indicator, twice int) {
	places := make([]int32, len(list))
	for i := range places {
		places[i] = int32(i)
	}
	slices.SortFunc(places, func(a, b int32) int {
		if c := order(&list[a], &list[b]); c != 0 {
			return c
		}
		return int(a - b)
	})
	folded = make([]*testudo.Indicator, 0, len(list))
	for _, i := range places {
		x := &list[i]
		if n := len(folded); n > 0 && order(folded[n-1], x) == 0 {
			both := join(*folded[n-1], *x)
			folded[n-1] = &both
			twice++
			continue
		}
		folded = append(folded, x)
	}
	return folded, twice
}

func order(a, b *testudo.Indicator) int {
	if c := strings.Compare(string(a.Type), string(b.Type)); c != 0 {
		return c
	}
	return strings.Compare(a.Value, b.Value)
}

// join is what two entries of one source say together: the widest time, and
// of the rest the later one where it says something.
func join(old, now testudo.Indicator) testudo.Indicator {
	out := now
	out.First = earliest(old.First, now.First)
	out.Last = max(old.Last, now.Last)
	out.Licence = cmp.Or(now.Licence, old.Licence)
	out.Note = cmp.Or(now.Note, old.Note)
	out.TLP = cmp.Or(now.TLP, old.TLP)
	out.Expires = cmp.Or(now.Expires, old.Expires)
	if now.Confidence < 0 {
		out.Confidence = old.Confidence
	}
	out.Threats = slices.Clone(old.Threats)
	for _, t := range now.Threats {
		if !slices.Contains(out.Threats, t) {
			out.Threats = append(out.Threats, t)
		}
	}
	return out
}

// earliest is the lesser of two times of which 0 is unknown.
func earliest(a, b testudo.Time) testudo.Time {
	if a == 0 || b == 0 {
		return max(a, b)
	}
	return min(a, b)
}

// importer holds a sorted list against the sorted table.
type importer struct {
	ctx       context.Context
	tx        *sql.Tx
	source    int64
	licence   string // of the source: where an indicator has the same, its own is left out
	now       testudo.Time
	replace   bool
	taken     []*testudo.Indicator
	merged    []*testudo.Indicator
	gone      []*testudo.Indicator
	unchanged int
	kept      int // stored, not in the list, and not to be removed
}

// compare walks list and table side by side.
func (i *importer) compare(list []*testudo.Indicator) error {
	rows, err := i.tx.QueryContext(i.ctx, "SELECT "+indicatorColumns+" FROM indicators WHERE source = ? ORDER BY type, value", i.source)
	if err != nil {
		return err
	}
	defer rows.Close()
	next := 0
	var scan indicatorScan
	for rows.Next() {
		if err := scan.row(rows); err != nil {
			return err
		}
		old := &scan.Indicator
		for next < len(list) && order(list[next], old) < 0 {
			i.taken = append(i.taken, list[next])
			next++
		}
		if next == len(list) || order(list[next], old) != 0 {
			i.absent(*old)
			continue
		}
		i.present(old, *list[next])
		next++
	}
	i.taken = append(i.taken, list[next:]...)
	return rows.Err()
}

func (i *importer) absent(old testudo.Indicator) {
	if i.replace {
		i.gone = append(i.gone, &old)
	} else {
		i.kept++
	}
}

func (i *importer) present(old *testudo.Indicator, now testudo.Indicator) {
	if !i.replace {
		now = join(*old, now)
	}
	if now.Licence == i.licence {
		now.Licence = ""
	}
	if same(old, &now) {
		i.unchanged++
	} else {
		i.merged = append(i.merged, &now)
	}
}

// same compares all but the source.
func same(a, b *testudo.Indicator) bool {
	return a.Licence == b.Licence && a.TLP == b.TLP && a.Confidence == b.Confidence && a.First == b.First && a.Last == b.Last &&
		a.Expires == b.Expires && a.Note == b.Note && a.Marks == b.Marks && slices.Equal(a.Threats, b.Threats)
}
