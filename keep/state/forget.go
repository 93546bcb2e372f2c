package state

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/keep/state/body"
)

// Forgotten stands where something was that is to be forgotten.
const Forgotten = "forgotten"

// Subject is what is to be forgotten: whose addresses, and which texts.
type Subject struct {
	Holds func(netip.Addr) bool
	Blank func(string) string // the text with Forgotten in place of the subject
}

// Erased says how many things Forget took away or changed.
type Erased struct {
	Sightings int      // removed: they were of the subject alone
	Blanked   int      // sightings that speak of others, too, and no longer of the subject
	Incidents []string // removed: they rested on the subject alone
	Changed   []string // incidents that are told without the subject
	Holdings  int
	Notes     int // and reasons of changes; blanked
	Hosts     int // whose importance was said; removed
	Allowed   int // entries of the allow and protected lists; removed
	Copies    []string
}

// Forget takes a subject out of all that is stored but for indicators, which
// are others' words. Where a row is of the subject alone it goes, else the
// subject in it is blanked. What was removed is overwritten in the file.
// Copies are files beside it that an earlier version or a restore left: they
// are not looked into.
func (s *State) Forget(ctx context.Context, of Subject) (e Erased, err error) {
	const what = "forget"
	if _, err := s.writer.ExecContext(ctx, "PRAGMA secure_delete = 1"); err != nil {
		return e, s.fail(what, err)
	}
	err = s.write(ctx, what, func(tx *sql.Tx) error {
		f := &forgetting{tx: tx, of: of, e: &e}
		for _, step := range []func() error{f.sightings, f.incidents, f.texts, f.holdings, f.hosts, f.allowances} {
			if err := step(); err != nil {
				return err
			}
		}
		return bump(tx, "incidents")
	})
	if err != nil {
		return e, err
	}
	// The log of changes still holds what was; it is emptied into the file.
	if _, err := s.writer.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE); VACUUM; PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
		return e, s.fail(what, err)
	}
	for _, pattern := range []string{".v*.bak", ".replaced", ".damaged"} {
		found, err := filepath.Glob(s.path + pattern)
		if err != nil {
			return e, s.fail(what, err)
		}
		for _, p := range found {
			if _, err := os.Stat(p); err == nil {
				e.Copies = append(e.Copies, p)
			}
		}
	}
	return e, nil
}

// forgetting is one Forget within its transaction.
type forgetting struct {
	tx *sql.Tx
	of Subject
	e  *Erased
}

// sightings removes or blanks what detectors said.
func (f *forgetting) sightings() error {
	all, err := f.allSightings()
	if err != nil {
		return err
	}
	for i := range all {
		old := all[i]
		fresh := f.sighting(old)
		gone := len(fresh.Victims) == 0 && len(old.Victims) > 0 || len(fresh.Victims)+len(fresh.Servers) == 0 && len(old.Servers) > 0
		before, err := body.Sighting(&old)
		if err != nil {
			return err
		}
		data, err := body.Sighting(&fresh)
		if err != nil {
			return err
		}
		switch {
		case gone:
			f.e.Sightings++
			_, err = f.tx.Exec("DELETE FROM sightings WHERE detector = ? AND key = ?", old.Detector, old.Key)
		case fresh.Key != old.Key || string(before) != string(data):
			f.e.Blanked++
			_, err = f.tx.Exec("UPDATE OR REPLACE sightings SET key = ?, format = ?, body = ? WHERE detector = ? AND key = ?", fresh.Key, body.Format, string(data), old.Detector, old.Key)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (f *forgetting) allSightings() (all []testudo.Sighting, err error) {
	rows, err := f.tx.Query("SELECT " + sightingColumns + " FROM sightings ORDER BY first, detector, key")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		got, err := scanSighting(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, got)
	}
	return all, rows.Err()
}

// sighting returns a sighting without the subject.
func (f *forgetting) sighting(s testudo.Sighting) testudo.Sighting {
	s.Victims = slices.DeleteFunc(slices.Clone(s.Victims), f.of.Holds)
	s.Servers = f.servers(s.Servers)
	s.Key, s.Title, s.Summary, s.Innocent = f.of.Blank(s.Key), f.of.Blank(s.Title), f.of.Blank(s.Summary), f.of.Blank(s.Innocent)
	s.Reasons = each(s.Reasons, f.reason)
	if s.Evidence != nil {
		s.Evidence = each(s.Evidence, f.fact)
	}
	return s
}

func (f *forgetting) servers(list []testudo.Server) []testudo.Server {
	return each(slices.DeleteFunc(slices.Clone(list), f.all), f.server)
}

// all tells whether nothing is left of a server without the subject.
func (f *forgetting) all(s testudo.Server) bool {
	fresh := f.server(s)
	return !fresh.Address.IsValid() && len(fresh.Names) == 0 && (s.Address.IsValid() || len(s.Names) > 0)
}

func (f *forgetting) server(s testudo.Server) testudo.Server {
	if f.of.Holds(s.Address) {
		s.Address = netip.Addr{}
	}
	s.Names = slices.DeleteFunc(slices.Clone(s.Names), f.speaks)
	return s
}

func (f *forgetting) reason(r testudo.Reason) testudo.Reason {
	r.Text = f.of.Blank(r.Text)
	return r
}

func (f *forgetting) fact(e testudo.Fact) testudo.Fact {
	switch v := e.Value.(type) {
	case string:
		e.Value = f.of.Blank(v)
	case []string:
		e.Value = each(v, f.of.Blank)
	case netip.Addr:
		if f.of.Holds(v) {
			e.Value = netip.Addr{}
		}
	}
	return e
}

// incidents removes those of which no sighting is left, and blanks the rest.
func (f *forgetting) incidents() error {
	var all []Incident
	rows, err := f.tx.Query("SELECT " + incidentColumns + " FROM incidents ORDER BY id")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		inc, err := scanIncident(rows)
		if err != nil {
			return err
		}
		all = append(all, inc)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	for i := range all {
		if err := f.incident(&all[i].Incident); err != nil {
			return fmt.Errorf("incident %s: %w", all[i].ID, err)
		}
	}
	return nil
}

func (f *forgetting) incident(inc *testudo.Incident) error {
	var left int
	if err := f.tx.QueryRow("SELECT count(*) FROM sightings WHERE incident = ?", inc.ID).Scan(&left); err != nil {
		return err
	}
	before, err := body.Incident(inc)
	if err != nil {
		return err
	}
	fresh := f.story(*inc)
	data, err := body.Incident(&fresh)
	if err != nil {
		return err
	}
	if string(before) == string(data) {
		return nil
	}
	if left == 0 {
		f.e.Incidents = append(f.e.Incidents, inc.ID)
		for _, query := range []string{
			"DELETE FROM changes WHERE incident = ?", "DELETE FROM notes WHERE incident = ?", "DELETE FROM aliases WHERE incident = ?",
			"DELETE FROM parties WHERE incident = ?", "DELETE FROM blocks WHERE incident = ?", "DELETE FROM incidents WHERE id = ?",
		} {
			if _, err := f.tx.Exec(query, inc.ID); err != nil {
				return err
			}
		}
		return nil
	}
	f.e.Changed = append(f.e.Changed, inc.ID)
	if _, err := f.tx.Exec("UPDATE incidents SET title = ?, format = ?, body = ? WHERE id = ?", fresh.Title, body.Format, string(data), inc.ID); err != nil {
		return err
	}
	return (&telling{tx: f.tx}).parties(&fresh, inc.ID)
}

// story returns an incident as it is told without the subject.
func (f *forgetting) story(inc testudo.Incident) testudo.Incident {
	inc.Title = f.of.Blank(inc.Title)
	inc.Victims = slices.DeleteFunc(each(inc.Victims, func(v testudo.Victim) testudo.Victim {
		if f.of.Holds(v.Address) {
			return testudo.Victim{}
		}
		if v.Name != "" && f.of.Blank(v.Name) != v.Name {
			v.Name = ""
		}
		return v
	}), func(v testudo.Victim) bool { return !v.Address.IsValid() && v.Name == "" })
	inc.Servers = slices.DeleteFunc(slices.Clone(inc.Servers), func(s testudo.NamedServer) bool { return f.all(s.Server) })
	for i := range inc.Servers {
		inc.Servers[i].Server = f.server(inc.Servers[i].Server)
	}
	inc.Explanation = each(inc.Explanation, f.reason)
	inc.Innocent = each(inc.Innocent, f.of.Blank)
	return inc
}

// texts blanks what people and the program wrote about incidents.
func (f *forgetting) texts() error {
	for _, in := range [...]struct{ table, column string }{{"notes", "text"}, {"notes", "who"}, {"changes", "why"}, {"changes", "was"}, {"changes", "became"}, {"changes", "who"}} {
		rows, err := f.rows("SELECT id, " + in.column + " FROM " + in.table + " ORDER BY id")
		if err != nil {
			return err
		}
		for _, r := range rows {
			if fresh := f.of.Blank(r[1]); fresh != r[1] {
				f.e.Notes++
				if _, err := f.tx.Exec("UPDATE "+in.table+" SET "+in.column+" = ? WHERE id = ?", fresh, r[0]); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// rows reads all rows of two or three texts.
func (f *forgetting) rows(query string) (list [][]string, err error) {
	rows, err := f.tx.Query(query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	for err == nil && rows.Next() {
		row := make([]string, len(columns))
		into := make([]any, len(columns))
		for i := range row {
			into[i] = &row[i]
		}
		err = rows.Scan(into...)
		list = append(list, row)
	}
	return list, errors.Join(err, rows.Err())
}

// speaks tells whether a value of ours is the subject, or holds it.
func (f *forgetting) speaks(value string) bool {
	a, err := netip.ParseAddr(value)
	return err == nil && f.of.Holds(a) || f.of.Blank(value) != value
}

func (f *forgetting) holdings() error {
	rows, err := f.rows("SELECT DISTINCT address, source, name FROM holdings ORDER BY address, source, name")
	if err != nil {
		return err
	}
	for _, r := range rows {
		if !f.speaks(r[0]) && !f.speaks(r[2]) {
			continue
		}
		f.e.Holdings++
		if _, err := f.tx.Exec("DELETE FROM holdings WHERE address = ? AND source = ? AND name = ?", r[0], r[1], r[2]); err != nil {
			return err
		}
	}
	return nil
}

func (f *forgetting) hosts() error {
	rows, err := f.rows("SELECT host, why FROM importances ORDER BY host")
	if err != nil {
		return err
	}
	for _, r := range rows {
		if !f.speaks(r[0]) && !f.speaks(r[1]) {
			continue
		}
		f.e.Hosts++
		if _, err := f.tx.Exec("DELETE FROM importances WHERE host = ?", r[0]); err != nil {
			return err
		}
	}
	return nil
}

func (f *forgetting) allowances() error {
	rows, err := f.rows("SELECT id, value, source, destination, why, removed_why FROM allowances ORDER BY id")
	if err != nil {
		return err
	}
	for _, r := range rows {
		if !slices.ContainsFunc(r[1:], f.speaks) {
			continue
		}
		f.e.Allowed++
		if _, err := f.tx.Exec("DELETE FROM allowances WHERE id = ?", r[0]); err != nil {
			return err
		}
	}
	if f.e.Allowed == 0 {
		return nil
	}
	return bump(f.tx, "allowances")
}

// each keeps nil what was nil.
func each[T any](list []T, f func(T) T) []T {
	if list == nil {
		return nil
	}
	out := make([]T, len(list))
	for i, x := range list {
		out[i] = f(x)
	}
	return out
}
