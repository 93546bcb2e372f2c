package state

import (
	"database/sql"
	"net/netip"
	"strings"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/keep/state/body"
)

// Incident is a stored incident: as it was told last, under its lasting ID,
// and its life.
type Incident struct {
	testudo.Incident
	State   Life
	Added   testudo.Time       // wall time when it was first told
	Told    testudo.Time       // wall time when it was last told otherwise
	Aliases []string           // other IDs that it had, sorted
	Changes []Change           // the oldest first
	Notes   []Note             // likewise
	Aside   []testudo.Sighting // that were its own and no longer count
}

// Filter chooses incidents; zero fields choose all.
type Filter struct {
	States   []Life
	Severity testudo.Severity // this one and graver
	Since    testudo.Time     // those that lasted until then or later
	Kind     testudo.Kind
	Victim   string // an address, or a name with those below it
	Server   string
}

const incidentColumns = "id, state, added, told, kind, severity, urgency, first, last, format, body"

// List returns the incidents that a filter chooses, the latest first, without
// sightings, aliases, changes and notes: Get has those.
func (s *State) List(f Filter) ([]Incident, error) {
	where, args := f.where()
	rows, err := s.readers.Query("SELECT "+incidentColumns+" FROM incidents WHERE "+where+" ORDER BY last DESC, id", args...)
	if err != nil {
		return nil, s.fail("list incidents", err)
	}
	defer rows.Close()
	var list []Incident
	for rows.Next() {
		inc, err := scanIncident(rows)
		if err != nil {
			return nil, s.fail("list incidents", err)
		}
		list = append(list, inc)
	}
	return list, s.fail("list incidents", rows.Err())
}

func (f Filter) where() (where string, args []any) {
	parts := []string{"severity >= ?", "last >= ?"}
	args = []any{f.Severity, f.Since}
	if f.Since == 0 {
		parts, args = parts[:1], args[:1]
	}
	if len(f.States) > 0 {
		parts = append(parts, "state IN (?"+strings.Repeat(", ?", len(f.States)-1)+")")
		for _, s := range f.States {
			args = append(args, s)
		}
	}
	if f.Kind != "" {
		parts, args = append(parts, "kind = ?"), append(args, f.Kind)
	}
	for _, p := range [...]struct{ side, value string }{{"victim", f.Victim}, {"server", f.Server}} {
		if p.value == "" {
			continue
		}
		value := canonical(p.value)
		parts = append(parts, "EXISTS (SELECT 1 FROM parties WHERE incident = id AND side = ? AND (value = ? OR substr(value, -length(?)) = ?))")
		args = append(args, p.side, value, "."+value, "."+value)
	}
	return strings.Join(parts, " AND "), args
}

func scanIncident(rows *sql.Rows) (inc Incident, err error) {
	var version int
	var data []byte
	if err = rows.Scan(&inc.ID, &inc.State, &inc.Added, &inc.Told, &inc.Kind, &inc.Severity, &inc.Urgency, &inc.First, &inc.Last, &version, &data); err != nil {
		return inc, err
	}
	return inc, body.ReadIncident(version, data, &inc.Incident)
}

// Get returns an incident with all that is known of it, by any ID that
// Resolve takes.
func (s *State) Get(id string) (inc Incident, err error) {
	tx, err := s.readers.Begin()
	if err != nil {
		return inc, s.fail("read incident "+id, err)
	}
	defer tx.Rollback()
	full, err := resolve(tx, id)
	if err != nil {
		return inc, s.fail("find incident "+id, err)
	}
	for _, part := range []func(*sql.Tx, string, *Incident) error{s.readBody, s.readSightings, readLife, readNotes} {
		if err := part(tx, full, &inc); err != nil {
			return inc, s.fail("read incident "+full, err)
		}
	}
	inc.Aliases, err = column(tx, "SELECT alias FROM aliases WHERE incident = ? ORDER BY alias", full)
	return inc, s.fail("read incident "+full, err)
}

func (s *State) readBody(tx *sql.Tx, id string, inc *Incident) error {
	rows, err := tx.Query("SELECT "+incidentColumns+" FROM incidents WHERE id = ?", id)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if *inc, err = scanIncident(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (s *State) readSightings(tx *sql.Tx, id string, inc *Incident) (err error) {
	for aside, into := range []*[]testudo.Sighting{&inc.Sightings, &inc.Aside} {
		rows, e := tx.Query("SELECT "+sightingColumns+" FROM sightings WHERE incident = ? AND aside = ? ORDER BY first, detector, key", id, aside)
		s.eachSighting(rows, e, func(got testudo.Sighting, e error) bool {
			if err = e; err == nil {
				*into = append(*into, got)
			}
			return err == nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func readLife(tx *sql.Tx, id string, inc *Incident) error {
	rows, err := tx.Query("SELECT at, what, was, became, why, who FROM changes WHERE incident = ? ORDER BY at, id", id)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var c Change
		if err := rows.Scan(&c.At, &c.What, &c.From, &c.To, &c.Why, &c.Who); err != nil {
			return err
		}
		inc.Changes = append(inc.Changes, c)
	}
	return rows.Err()
}

func readNotes(tx *sql.Tx, id string, inc *Incident) error {
	rows, err := tx.Query("SELECT at, who, text FROM notes WHERE incident = ? ORDER BY at, id", id)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var n Note
		if err := rows.Scan(&n.At, &n.Who, &n.Text); err != nil {
			return err
		}
		inc.Notes = append(inc.Notes, n)
	}
	return rows.Err()
}

// address is the one form in which addresses are kept, "" for none.
func address(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.Unmap().WithZone("").String()
}

// canonical brings a value that a person wrote into the form it is kept in.
func canonical(value string) string {
	value = strings.ToLower(strings.TrimSpace(value))
	if a, err := netip.ParseAddr(value); err == nil {
		return address(a)
	}
	if p, err := netip.ParsePrefix(value); err == nil {
		return p.Masked().String()
	}
	return strings.TrimSuffix(value, ".")
}
