package state

import (
	"database/sql"
	"errors"
	"fmt"

	"github.com/testudo-shield/testudo"
)

// Input is a capture or log that was read into this directory.
type Input struct {
	Hash        string // SHA-256 of its content, hexadecimal
	Name        string
	First, Last testudo.Time // of its traffic
	Packets     int64
	Read        testudo.Time // wall time
}

// HaveRead stores that an input was read to its end, and says whether it was
// read before; then what is stored stays, under the name it had.
func (s *State) HaveRead(in Input) (before bool, err error) {
	err = s.change("note input "+in.Name, func(tx *sql.Tx) error {
		if in.Hash == "" {
			return fmt.Errorf("%w: an input without the hash of its content", ErrInvalid)
		}
		r, err := tx.Exec("INSERT INTO inputs VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING", in.Hash, in.Name, in.First, in.Last, in.Packets, in.Read)
		if err != nil {
			return err
		}
		n, err := r.RowsAffected()
		before = n == 0
		return err
	})
	return before, err
}

// InputOf returns the input with that content, or ErrNotFound.
func (s *State) InputOf(hash string) (in Input, err error) {
	in.Hash = hash
	err = s.readers.QueryRow("SELECT name, first, last, packets, read FROM inputs WHERE hash = ?", hash).
		Scan(&in.Name, &in.First, &in.Last, &in.Packets, &in.Read)
	if errors.Is(err, sql.ErrNoRows) {
		err = fmt.Errorf("input %s: %w", hash, ErrNotFound)
	}
	return in, s.fail("find an input", err)
}

// Inputs returns all, in the order in which they were read.
func (s *State) Inputs() ([]Input, error) {
	rows, err := s.readers.Query("SELECT hash, name, first, last, packets, read FROM inputs ORDER BY read, hash")
	if err != nil {
		return nil, s.fail("list inputs", err)
	}
	defer rows.Close()
	var all []Input
	for rows.Next() {
		var in Input
		if err := rows.Scan(&in.Hash, &in.Name, &in.First, &in.Last, &in.Packets, &in.Read); err != nil {
			return nil, s.fail("list inputs", err)
		}
		all = append(all, in)
	}
	return all, s.fail("list inputs", rows.Err())
}
