package state

import (
	"cmp"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/testudo-shield/testudo"
)

// Heartbeat says that a sensor watched a link from one time to another.
type Heartbeat struct {
	Sensor, Link string
	First, Last  testudo.Time
	Packets      int64
	Lost         []testudo.Shed // by cause; none where nothing was lost
	Skew         time.Duration  // by how much its clock is known to be wrong
}

// Beat stores heartbeats. Times stored before of the same sensor and link
// are not counted again. Beats of one hour that follow each other without a
// loss become one; one with a loss stays by itself, so that the minute is
// known.
func (s *State) Beat(list []Heartbeat) error {
	return s.change("store heartbeats", func(tx *sql.Tx) error {
		for i := range list {
			if err := beat(tx, list[i]); err != nil {
				return fmt.Errorf("%s %s: %w", list[i].Sensor, list[i].Link, err)
			}
		}
		return nil
	})
}

func beat(tx *sql.Tx, h Heartbeat) error {
	if h.Last < h.First || h.Sensor == "" {
		return fmt.Errorf("%w: a heartbeat of %q from %v to %v", ErrInvalid, h.Sensor, h.First, h.Last)
	}
	var covered testudo.Time
	err := tx.QueryRow("SELECT coalesce(max(last), ?3) FROM heartbeats WHERE sensor = ?1 AND link = ?2 AND first <= ?3", h.Sensor, h.Link, h.First).Scan(&covered)
	if err != nil {
		return err
	}
	h.First = max(h.First, covered)
	var before Heartbeat
	var lost []byte
	err = tx.QueryRow("SELECT first, last, packets, lost, skew FROM heartbeats WHERE sensor = ? AND link = ? AND first <= ? ORDER BY first DESC LIMIT 1",
		h.Sensor, h.Link, h.First).Scan(&before.First, &before.Last, &before.Packets, &lost, &before.Skew)
	none := errors.Is(err, sql.ErrNoRows)
	if err != nil && !none {
		return err
	}
	if !none && before.Last >= h.Last || h.First == h.Last && h.Packets == 0 {
		return nil
	}
	if !none && before.Last == h.First && before.Skew == h.Skew && string(lost) == "{}" && len(h.Lost) == 0 && hour(before.First) == hour(h.First) {
		_, err = tx.Exec("UPDATE heartbeats SET last = ?, packets = packets + ? WHERE sensor = ? AND link = ? AND first = ?",
			h.Last, h.Packets, h.Sensor, h.Link, before.First)
		return err
	}
	causes := map[string]int64{}
	for _, l := range h.Lost {
		causes[l.Cause] += l.Count
	}
	body, err := json.Marshal(causes) // keys in order
	if err != nil {
		return err
	}
	_, err = tx.Exec("INSERT INTO heartbeats VALUES (?, ?, ?, ?, ?, ?, ?)", h.Sensor, h.Link, h.First, h.Last, h.Packets, string(body), h.Skew)
	return err
}

func hour(t testudo.Time) testudo.Time { return t / testudo.Time(time.Hour) }

// Heartbeats returns what is stored of the time from first to last, by
// sensor, link and time.
func (s *State) Heartbeats(first, last testudo.Time) ([]Heartbeat, error) {
	const what = "read heartbeats"
	rows, err := s.readers.Query(`SELECT sensor, link, first, last, packets, lost, skew FROM heartbeats
		WHERE last > ? AND first < ? ORDER BY sensor, link, first`, first, last)
	if err != nil {
		return nil, s.fail(what, err)
	}
	defer rows.Close()
	var list []Heartbeat
	for rows.Next() {
		var h Heartbeat
		var lost []byte
		err := rows.Scan(&h.Sensor, &h.Link, &h.First, &h.Last, &h.Packets, &lost, &h.Skew)
		if err == nil {
			h.Lost, err = decodeLost(lost)
		}
		if err != nil {
			return nil, s.fail(what, err)
		}
		list = append(list, h)
	}
	return list, s.fail(what, rows.Err())
}

// decodeLost reads counts by cause, sorted by cause.
func decodeLost(data []byte) (lost []testudo.Shed, err error) {
	var causes map[string]int64
	if err := json.Unmarshal(data, &causes); err != nil {
		return nil, fmt.Errorf("losses: %w: %w", ErrDamaged, err)
	}
	for cause, n := range causes {
		lost = append(lost, testudo.Shed{Cause: cause, Count: n})
	}
	slices.SortFunc(lost, func(a, b testudo.Shed) int { return cmp.Compare(a.Cause, b.Cause) })
	return lost, nil
}
