package state

import (
	"database/sql"
	"errors"
	"fmt"

	"github.com/testudo-shield/testudo"
)

// ListName names one of the two lists.
type ListName string

// The lists.
const (
	Allow   ListName = "allow"   // what is known and accepted: it makes no incident
	Protect ListName = "protect" // what must never be blocked
)

// Allowance is an entry of a list. It fits where its value and every scope
// that is set fit.
type Allowance struct {
	ID          int64
	List        ListName
	Value       string // an address, prefix or name at either end; "*.name" is the name and all below, * any letters, "*" alone anything
	Source      string // scope: the machine of ours: an address, prefix or name
	Destination string // scope: the other end: an address, prefix or name
	Port        string // scope: of the other end, "tcp/443", or "443" for any transport
	Network     string // scope: the prefix in which the machine of ours lies
	Why         string // required
	Who         string
	Since       testudo.Time // wall time
	Until       testudo.Time // wall time, 0 for no end
	Removed     testudo.Time // wall time, 0 while it is on the list
	RemovedWho  string
	RemovedWhy  string
}

const allowanceColumns = "id, list, value, source, destination, port, network, why, who, since, until, removed, removed_who, removed_why"

// AddAllowance puts an entry on its list and returns it as stored. One with
// the same value and scopes that is on the list is replaced, and its row
// says so; with the same reason and end it stays as it is.
func (s *State) AddAllowance(a Allowance) (Allowance, error) {
	what := fmt.Sprintf("put %q on the %s list", a.Value, a.List)
	if err := a.tidy(); err != nil {
		return a, s.fail(what, err)
	}
	err := s.change(what, func(tx *sql.Tx) error {
		var old Allowance
		err := scanAllowance(tx.QueryRow("SELECT "+allowanceColumns+` FROM allowances WHERE removed = 0
			AND (list, value, source, destination, port, network) = (?, ?, ?, ?, ?, ?)`,
			a.List, a.Value, a.Source, a.Destination, a.Port, a.Network), &old)
		if err == nil && old.Why == a.Why && old.Until == a.Until {
			a = old
			return nil
		}
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if old.ID != 0 {
			if _, err := tx.Exec(removal, a.Since, a.Who, "replaced: "+a.Why, old.ID); err != nil {
				return err
			}
		}
		err = tx.QueryRow(`INSERT INTO allowances (list, value, source, destination, port, network, why, who, since, until)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id`,
			a.List, a.Value, a.Source, a.Destination, a.Port, a.Network, a.Why, a.Who, a.Since, a.Until).Scan(&a.ID)
		if err != nil {
			return err
		}
		return bump(tx, "allowances")
	})
	return a, err
}

const removal = "UPDATE allowances SET removed = ?, removed_who = ?, removed_why = ? WHERE id = ?"

// RemoveAllowance takes an entry off its list; its row stays, with who and
// why. One that is off already is ErrNotFound.
func (s *State) RemoveAllowance(now testudo.Time, id int64, who, why string) (a Allowance, err error) {
	what := fmt.Sprintf("remove entry %d", id)
	if why == "" {
		return a, s.fail(what, fmt.Errorf("%w: say why, whoever looks at it in a year will ask:  --why 'TEXT'", ErrInvalid))
	}
	err = s.change(what, func(tx *sql.Tx) error {
		query := "SELECT " + allowanceColumns + " FROM allowances WHERE id = ?"
		if err := scanAllowance(tx.QueryRow(query+" AND removed = 0", id), &a); err != nil {
			return missing(err, fmt.Sprintf("entry %d on a list", id))
		}
		if _, err := tx.Exec(removal, now, who, why, id); err != nil {
			return err
		}
		if err := scanAllowance(tx.QueryRow(query, id), &a); err != nil {
			return err
		}
		return bump(tx, "allowances")
	})
	return a, err
}

// ListAllowances returns a list's entries as they were added; with all, also
// those that ended or were removed.
func (s *State) ListAllowances(now testudo.Time, list ListName, all bool) ([]Allowance, error) {
	rows, err := s.readers.Query("SELECT "+allowanceColumns+` FROM allowances WHERE list = ?
		AND (? OR removed = 0 AND (until = 0 OR until > ?)) ORDER BY id`, list, all, now)
	if err != nil {
		return nil, s.fail("read the lists", err)
	}
	defer rows.Close()
	var entries []Allowance
	for rows.Next() {
		var a Allowance
		if err := scanAllowance(rows, &a); err != nil {
			return nil, s.fail("read the lists", err)
		}
		entries = append(entries, a)
	}
	return entries, s.fail("read the lists", rows.Err())
}

// Allowances returns a list ready to be asked. It does not follow later
// changes: Revision("allowances") tells when to load it again.
func (s *State) Allowances(now testudo.Time, list ListName) (*Allowances, error) {
	entries, err := s.ListAllowances(now, list, false)
	if err != nil {
		return nil, err
	}
	return NewAllowances(entries), nil
}

func scanAllowance(row interface{ Scan(...any) error }, a *Allowance) error {
	return row.Scan(&a.ID, &a.List, &a.Value, &a.Source, &a.Destination, &a.Port, &a.Network, &a.Why, &a.Who, &a.Since, &a.Until,
		&a.Removed, &a.RemovedWho, &a.RemovedWhy)
}
