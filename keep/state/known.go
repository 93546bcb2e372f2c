package state

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/testudo-shield/testudo"
)

// schemaKnown is version 3: what is well known, and what threats are called.
const schemaKnown = `
CREATE TABLE warnings (
	name    TEXT NOT NULL,
	kind    TEXT NOT NULL,
	source  TEXT NOT NULL,
	about   TEXT NOT NULL,
	added   INTEGER NOT NULL,
	entries INTEGER NOT NULL,
	body    TEXT NOT NULL,
	PRIMARY KEY (name, kind)
) WITHOUT ROWID;
CREATE TABLE threats (
	source   TEXT NOT NULL,
	kind     TEXT NOT NULL,
	id       TEXT NOT NULL,
	name     TEXT NOT NULL,
	synonyms TEXT NOT NULL,
	refs     TEXT NOT NULL,
	PRIMARY KEY (source, kind, id, name)
) WITHOUT ROWID;
`

// WarningList is values that are well known, shared or benign.
type WarningList struct {
	Name   string
	Kind   string // how its values are compared: "cidr", "hostname", "string", "substring" or "regex"
	Source string // that it came from
	About  string
	Added  testudo.Time // wall time when it was last imported otherwise than before
	Values []string
}

// ImportWarnings stores warning lists, all or none. One of the same name and
// kind is replaced. It returns how many are new or other than before.
func (s *State) ImportWarnings(ctx context.Context, now testudo.Time, lists []WarningList) (changed int, err error) {
	err = s.write(ctx, "import warning lists", func(tx *sql.Tx) error {
		lists := sortedLists(lists)
		for i := range lists {
			body, err := json.Marshal(lists[i].Values)
			if err != nil {
				return err
			}
			l := &lists[i]
			r, err := tx.ExecContext(ctx, `INSERT INTO warnings VALUES (?, ?, ?, ?, ?, ?, ?)
				ON CONFLICT DO UPDATE SET source = excluded.source, about = excluded.about, added = excluded.added, entries = excluded.entries, body = excluded.body
				WHERE body <> excluded.body OR about <> excluded.about OR source <> excluded.source`,
				l.Name, l.Kind, l.Source, l.About, now, len(l.Values), string(body))
			if err != nil {
				return err
			}
			n, _ := r.RowsAffected() // this driver always knows
			changed += int(n)
		}
		if changed == 0 {
			return nil
		}
		return bump(tx, "indicators")
	})
	return changed, err
}

// WarningLists returns all warning lists, by name and kind.
func (s *State) WarningLists() ([]WarningList, error) {
	rows, err := s.readers.Query("SELECT name, kind, source, about, added, body FROM warnings ORDER BY name, kind")
	if err != nil {
		return nil, s.fail("read warning lists", err)
	}
	defer rows.Close()
	var all []WarningList
	for rows.Next() {
		var l WarningList
		var body sql.RawBytes
		if err := rows.Scan(&l.Name, &l.Kind, &l.Source, &l.About, &l.Added, &body); err != nil {
			return nil, s.fail("read warning lists", err)
		}
		if err := json.Unmarshal(body, &l.Values); err != nil {
			return nil, s.fail("read warning lists", fmt.Errorf("list %s: %w: %w", l.Name, ErrDamaged, err))
		}
		all = append(all, l)
	}
	return all, s.fail("read warning lists", rows.Err())
}

// ImportThreats stores what a source says of threats in place of what it said
// before, all or none, and returns how many it did not say so before.
func (s *State) ImportThreats(ctx context.Context, source string, threats []testudo.Threat) (changed int, err error) {
	err = s.write(ctx, "import threats of "+source, func(tx *sql.Tx) error {
		had, err := threatsOf(tx, source)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM threats WHERE source = ?", source); err != nil {
			return err
		}
		for i := range threats {
			t := &threats[i]
			synonyms, refs, err := threatTexts(t)
			if err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, "INSERT OR REPLACE INTO threats VALUES (?, ?, ?, ?, ?, ?)", source, string(t.Kind), t.ID, t.Name, synonyms, refs); err != nil {
				return err
			}
		}
		has, err := threatsOf(tx, source)
		for line := range has {
			if !had[line] {
				changed++
			}
		}
		if err != nil || changed == 0 && len(has) == len(had) {
			return err
		}
		return bump(tx, "indicators")
	})
	return changed, err
}

func threatTexts(t *testudo.Threat) (synonyms, refs string, err error) {
	a, err := json.Marshal(append([]string{}, t.Synonyms...))
	if err != nil {
		return "", "", err
	}
	b, err := json.Marshal(append([]string{}, t.Refs...))
	return string(a), string(b), err
}

// threatsOf returns a source's rows, each as one text.
func threatsOf(tx *sql.Tx, source string) (map[string]bool, error) {
	rows, err := tx.Query("SELECT kind || char(0) || id || char(0) || name || char(0) || synonyms || char(0) || refs FROM threats WHERE source = ?", source)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	all := map[string]bool{}
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			return nil, err
		}
		all[line] = true
	}
	return all, rows.Err()
}

// Threats returns all that any source says of threats, those of the same kind
// and name side by side.
func (s *State) Threats() ([]testudo.Threat, error) {
	rows, err := s.readers.Query("SELECT kind, id, name, synonyms, refs FROM threats ORDER BY kind, name, id, source")
	if err != nil {
		return nil, s.fail("read threats", err)
	}
	defer rows.Close()
	var all []testudo.Threat
	for rows.Next() {
		var t testudo.Threat
		var synonyms, refs sql.RawBytes
		if err := rows.Scan((*string)(&t.Kind), &t.ID, &t.Name, &synonyms, &refs); err != nil {
			return nil, s.fail("read threats", err)
		}
		if err := cmp.Or(json.Unmarshal(synonyms, &t.Synonyms), json.Unmarshal(refs, &t.Refs)); err != nil {
			return nil, s.fail("read threats", fmt.Errorf("%s: %w: %w", t.Name, ErrDamaged, err))
		}
		all = append(all, t)
	}
	return all, s.fail("read threats", rows.Err())
}

// forgetKnown removes what a source said of warnings and threats, and returns
// how many lists and threats that were.
func forgetKnown(tx *sql.Tx, source string) (gone int, err error) {
	for _, table := range [...]string{"warnings", "threats"} {
		r, err := tx.Exec("DELETE FROM "+table+" WHERE source = ?", source)
		if err != nil {
			return gone, err
		}
		n, _ := r.RowsAffected()
		gone += int(n)
	}
	return gone, nil
}

// Known is how much of what is well known a source gave.
type Known struct {
	Warnings int // warning lists
	Entries  int // in them
	Threats  int
}

// KnownOf returns how many warning lists and threats came from each source.
func (s *State) KnownOf() (map[string]Known, error) {
	all := map[string]Known{}
	for _, q := range [...]struct {
		sql string
		add func(*Known, int, int)
	}{
		{"SELECT source, count(*), sum(entries) FROM warnings GROUP BY source", func(k *Known, n, e int) { k.Warnings, k.Entries = n, e }},
		{"SELECT source, count(*), 0 FROM threats GROUP BY source", func(k *Known, n, _ int) { k.Threats = n }},
	} {
		rows, err := s.readers.Query(q.sql)
		if err != nil {
			return nil, s.fail("read sources", err)
		}
		for rows.Next() {
			var source string
			var n, entries int
			if err = rows.Scan(&source, &n, &entries); err != nil {
				break
			}
			k := all[source]
			q.add(&k, n, entries)
			all[source] = k
		}
		if err := cmp.Or(err, rows.Err(), rows.Close()); err != nil {
			return nil, s.fail("read sources", err)
		}
	}
	return all, nil
}

// NewestOf returns when each source last saw anything bad, by what it says
// itself; a source that says nothing of it is not there.
func (s *State) NewestOf() (map[string]testudo.Time, error) {
	rows, err := s.readers.Query("SELECT s.name, max(max(i.last, i.first)) FROM indicators i JOIN sources s ON s.id = i.source GROUP BY s.id")
	if err != nil {
		return nil, s.fail("read sources", err)
	}
	defer rows.Close()
	all := map[string]testudo.Time{}
	for rows.Next() {
		var name string
		var at testudo.Time
		if err := rows.Scan(&name, &at); err != nil {
			return nil, s.fail("read sources", err)
		}
		if at != 0 {
			all[name] = at
		}
	}
	return all, s.fail("read sources", rows.Err())
}

// sortedLists is lists by name and kind, those of one name and kind joined.
func sortedLists(lists []WarningList) []WarningList {
	lists = slices.Clone(lists)
	slices.SortStableFunc(lists, func(a, b WarningList) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Kind, b.Kind))
	})
	out := lists[:0]
	for _, l := range lists {
		if n := len(out); n > 0 && out[n-1].Name == l.Name && out[n-1].Kind == l.Kind {
			out[n-1].Values = append(slices.Clip(out[n-1].Values), l.Values...)
			continue
		}
		out = append(out, l)
	}
	return out
}

// LabelsOf returns the labels that each source's indicators bear, unset apart.
func (s *State) LabelsOf() (map[string][]testudo.TLP, error) {
	rows, err := s.readers.Query("SELECT DISTINCT s.name, i.tlp FROM indicators i JOIN sources s ON s.id = i.source WHERE i.tlp <> 0")
	if err != nil {
		return nil, s.fail("read sources", err)
	}
	defer rows.Close()
	all := map[string][]testudo.TLP{}
	for rows.Next() {
		var name string
		var label testudo.TLP
		if err := rows.Scan(&name, &label); err != nil {
			return nil, s.fail("read sources", err)
		}
		all[name] = append(all[name], label)
	}
	return all, s.fail("read sources", rows.Err())
}
