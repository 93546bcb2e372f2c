package state

import (
	"bytes"
	"database/sql"
	"errors"
	"iter"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/keep/state/body"
)

// Sight stores sightings with all their addends. Of two with the same
// detector and key the one that reaches further in time stays, with the
// earlier beginning of both, as in judge/incident; of equal reach the later
// told.
func (s *State) Sight(sightings []testudo.Sighting) error {
	return s.change("store sightings", func(tx *sql.Tx) error {
		k, err := newKeeper(tx)
		if err != nil {
			return err
		}
		for i := range sightings {
			if _, err := k.keep(&sightings[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

// Sightings returns all that are stored, those set aside too, ordered by
// (First, Detector, Key): what incidents are told again from. It ends with
// the first error.
func (s *State) Sightings() iter.Seq2[testudo.Sighting, error] {
	return func(yield func(testudo.Sighting, error) bool) {
		rows, err := s.readers.Query("SELECT " + sightingColumns + " FROM sightings ORDER BY first, detector, key")
		s.eachSighting(rows, err, yield)
	}
}

const sightingColumns = "detector, key, first, last, format, body"

func (s *State) eachSighting(rows *sql.Rows, err error, yield func(testudo.Sighting, error) bool) {
	if err != nil {
		yield(testudo.Sighting{}, s.fail("read sightings", err))
		return
	}
	defer rows.Close()
	for rows.Next() {
		got, err := scanSighting(rows)
		if !yield(got, s.fail("read sightings", err)) || err != nil {
			return
		}
	}
	if err := rows.Err(); err != nil {
		yield(testudo.Sighting{}, s.fail("read sightings", err))
	}
}

func scanSighting(rows *sql.Rows) (got testudo.Sighting, err error) {
	var version int
	var data sql.RawBytes
	if err = rows.Scan(&got.Detector, &got.Key, &got.First, &got.Last, &version, &data); err == nil {
		err = body.ReadSighting(version, data, &got)
	}
	return got, err
}

// keeper stores sightings within one transaction.
type keeper struct{ find, add, change *sql.Stmt }

func newKeeper(tx *sql.Tx) (k keeper, err error) {
	k.find, err = tx.Prepare("SELECT first, last, format, body, coalesce(incident, ''), aside FROM sightings WHERE detector = ? AND key = ?")
	if err == nil {
		k.add, err = tx.Prepare("INSERT INTO sightings (first, last, format, body, detector, key) VALUES (?, ?, ?, ?, ?, ?)")
	}
	if err == nil {
		k.change, err = tx.Prepare("UPDATE sightings SET first = ?, last = ?, format = ?, body = ? WHERE detector = ? AND key = ?")
	}
	return k, err
}

// kept is what became of a sighting that was stored.
type kept struct {
	incident string // to which it belonged before, "" for none
	aside    bool   // it did not count before
	changed  bool   // it is new or says something new
}

// keep stores one sighting by the rule of Sight.
func (k keeper) keep(s *testudo.Sighting) (was kept, err error) {
	data, err := body.Sighting(s)
	if err != nil {
		return was, err
	}
	first, last, version := s.First, s.Last, body.Format
	var oldFirst, oldLast testudo.Time
	var oldVersion int
	var oldBody []byte
	err = k.find.QueryRow(s.Detector, s.Key).Scan(&oldFirst, &oldLast, &oldVersion, &oldBody, &was.incident, &was.aside)
	if errors.Is(err, sql.ErrNoRows) {
		was.changed = true
		_, err = k.add.Exec(first, last, version, string(data), s.Detector, s.Key)
		return was, err
	}
	if err != nil {
		return was, err
	}
	first = min(first, oldFirst)
	if last < oldLast {
		last, version, data = oldLast, oldVersion, oldBody
	}
	if first == oldFirst && last == oldLast && version == oldVersion && bytes.Equal(data, oldBody) {
		return was, nil
	}
	was.changed = true
	_, err = k.change.Exec(first, last, version, string(data), s.Detector, s.Key)
	return was, err
}
