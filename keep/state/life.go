package state

import (
	"database/sql"
	"errors"
	"fmt"

	"github.com/testudo-shield/testudo"
)

// Life is how far the work on an incident is.
type Life string

// The states of an incident, in the order of the work.
const (
	New       Life = "new"       // nobody has decided anything
	Confirmed Life = "confirmed" // a person says that it is real
	Contained Life = "contained" // it can do no more harm
	Closed    Life = "closed"    // nothing is left to do
)

// Change is one row of an incident's life.
type Change struct {
	At   testudo.Time // wall time
	What string       // "state", "severity", "merged", "split"
	From string
	To   string
	Why  string
	Who  string // "testudo" where no person did it
}

// Note is what somebody wrote on an incident.
type Note struct {
	At   testudo.Time // wall time
	Who  string
	Text string
}

// program is who changed what no person did.
const program = "testudo"

// Move brings an incident into another state of its life. Into the state it
// is in changes nothing. It is ErrInvalid without a reason.
func (s *State) Move(now testudo.Time, id string, to Life, who, why string) error {
	what := fmt.Sprintf("set incident %s to %s", id, to)
	switch to {
	case New, Confirmed, Contained, Closed:
	default:
		return s.fail(what, fmt.Errorf("%w: the states are new, confirmed, contained and closed", ErrInvalid))
	}
	if why == "" {
		return s.fail(what, fmt.Errorf("%w: say why, whoever looks at it in a year will ask:  --why 'TEXT'", ErrInvalid))
	}
	return s.change(what, func(tx *sql.Tx) error {
		id, err := resolve(tx, id)
		if err != nil {
			return err
		}
		return move(tx, now, id, to, who, why)
	})
}

// move writes the change of state and its row.
func move(tx *sql.Tx, now testudo.Time, id string, to Life, who, why string) error {
	var from Life
	if err := tx.QueryRow("SELECT state FROM incidents WHERE id = ?", id).Scan(&from); err != nil || from == to {
		return err
	}
	if _, err := tx.Exec("UPDATE incidents SET state = ?, closed_last = iif(? = 'closed', last, 0) WHERE id = ?", to, to, id); err != nil {
		return err
	}
	return record(tx, id, Change{now, "state", string(from), string(to), why, who})
}

func record(tx *sql.Tx, id string, c Change) error {
	_, err := tx.Exec("INSERT INTO changes (incident, at, what, was, became, why, who) VALUES (?, ?, ?, ?, ?, ?, ?)",
		id, c.At, c.What, c.From, c.To, c.Why, c.Who)
	if err != nil {
		return err
	}
	return bump(tx, "incidents")
}

// Note writes text on an incident. The same text by the same person at the
// same moment is one note.
func (s *State) Note(now testudo.Time, id, who, text string) error {
	what := "write a note on incident " + id
	if text == "" {
		return s.fail(what, fmt.Errorf("%w: the note is empty", ErrInvalid))
	}
	return s.change(what, func(tx *sql.Tx) error {
		id, err := resolve(tx, id)
		if err != nil {
			return err
		}
		var n int
		err = tx.QueryRow("SELECT 1 FROM notes WHERE incident = ? AND at = ? AND who = ? AND text = ?", id, now, who, text).Scan(&n)
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if _, err := tx.Exec("INSERT INTO notes (incident, at, who, text) VALUES (?, ?, ?, ?)", id, now, who, text); err != nil {
			return err
		}
		return bump(tx, "incidents")
	})
}
