package state

import (
	"cmp"
	"database/sql"
	"errors"
	"slices"

	"github.com/testudo-shield/testudo"
)

// Told is what became of an incident that was told.
type Told struct {
	ID       string // its lasting ID
	As       string // the ID under which it was told
	State    Life
	New      bool     // it was not known before
	Changed  bool     // it is told otherwise than before
	Merged   []string // lasting IDs of incidents that became part of it
	Reopened string   // why it is open again, "" where it was open or stays closed
}

// Tell stores incidents as they are told now, with their sightings, and says
// what became of each, in the order given. One that shares sightings with a
// stored one carries it on, under the oldest stored ID; other IDs remain as
// aliases. A closed one is opened again by a sighting that it did not have
// or that reaches past what was known when it was closed. One that holds
// fewer sightings than are stored, and nothing new, changes nothing.
//
// A caller that told from only a part of the sightings makes the story
// shorter: begin with those of Sightings.
func (s *State) Tell(now testudo.Time, incidents []testudo.Incident) ([]Told, error) {
	return s.tell(telling{now: now, who: program, why: "new evidence"}, incidents)
}

// Retell is Tell after the judgement itself has changed, as by an allowance:
// incidents are all that can be told of the stored sightings now. Stored
// sightings that are in none are set aside: kept and shown, but they no
// longer count. An incident that has none left is closed. Changes carry who
// and why; those closed come last in the answer.
func (s *State) Retell(now testudo.Time, incidents []testudo.Incident, who, why string) ([]Told, error) {
	return s.tell(telling{now: now, who: who, why: why, again: true}, incidents)
}

// telling is one call of Tell or Retell.
type telling struct {
	now      testudo.Time
	who, why string
	again    bool // Retell
	tx       *sql.Tx
	keeper
	belong *sql.Stmt // sets a sighting's incident
}

func (s *State) tell(t telling, incidents []testudo.Incident) (told []Told, err error) {
	err = s.change("store incidents", func(tx *sql.Tx) error {
		t.tx = tx
		var err error
		if t.keeper, err = newKeeper(tx); err != nil {
			return err
		}
		if t.belong, err = tx.Prepare("UPDATE sightings SET incident = ?, aside = 0 WHERE detector = ? AND key = ?"); err != nil {
			return err
		}
		told, err = t.all(incidents)
		return err
	})
	return told, err
}

// all works in the order of (First, ID), whatever the order given.
func (t *telling) all(incidents []testudo.Incident) ([]Told, error) {
	order := make([]int, len(incidents))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(x, y int) int {
		a, b := &incidents[x], &incidents[y]
		return cmp.Or(cmp.Compare(a.First, b.First), cmp.Compare(a.ID, b.ID), cmp.Compare(x, y))
	})
	stored, err := t.earlier(incidents, order)
	if err != nil {
		return nil, err
	}
	told := make([]Told, len(incidents))
	for n, lasting := range match(len(order), stored) {
		i := order[n]
		if told[i], err = t.one(&incidents[i], lasting); err != nil {
			return nil, err
		}
	}
	if !t.again {
		return told, nil
	}
	emptied, err := t.setAside(incidents)
	return append(told, emptied...), err
}

// earlier finds the stored incidents that share sightings with those told;
// its counts go by place in the order.
func (t *telling) earlier(incidents []testudo.Incident, order []int) ([]earlier, error) {
	byID := map[string]*earlier{}
	for n, i := range order {
		inc := &incidents[i]
		for j := range inc.Sightings {
			id, err := t.incidentOf(&inc.Sightings[j])
			if err != nil {
				return nil, err
			}
			if id == "" {
				continue
			}
			if byID[id] == nil {
				byID[id] = &earlier{id: id, shared: map[int]int{}, named: map[int]int{}}
			}
			byID[id].shared[n]++
		}
	}
	stored := make([]earlier, 0, len(byID))
	for _, e := range byID {
		if err := t.tx.QueryRow("SELECT added, first FROM incidents WHERE id = ?", e.id).Scan(&e.added, &e.first); err != nil {
			return nil, err
		}
		for n := range e.shared {
			named, err := t.named(e.id, incidents[order[n]].ID)
			if err != nil {
				return nil, err
			}
			e.named[n] = named
		}
		stored = append(stored, *e)
	}
	return stored, nil
}

func (t *telling) incidentOf(s *testudo.Sighting) (id string, err error) {
	err = t.tx.QueryRow("SELECT coalesce(incident, '') FROM sightings WHERE detector = ? AND key = ?", s.Detector, s.Key).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return id, err
}

func (t *telling) named(stored, told string) (int, error) {
	if stored == told {
		return 2, nil
	}
	n := 0
	err := t.tx.QueryRow("SELECT count(*) FROM aliases WHERE alias = ? AND incident = ?", told, stored).Scan(&n)
	return n, err
}

// setAside is the end of Retell: what nobody told does not count.
func (t *telling) setAside(incidents []testudo.Incident) (emptied []Told, err error) {
	type key struct{ detector, key string }
	now := map[key]bool{}
	for i := range incidents {
		for j := range incidents[i].Sightings {
			s := &incidents[i].Sightings[j]
			now[key{s.Detector, s.Key}] = true
		}
	}
	rows, err := t.tx.Query("SELECT detector, key, incident FROM sightings WHERE incident IS NOT NULL AND aside = 0 ORDER BY detector, key")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var gone []key
	touched := map[string]bool{}
	for rows.Next() {
		var k key
		var id string
		if err := rows.Scan(&k.detector, &k.key, &id); err != nil {
			return nil, err
		}
		if !now[k] {
			gone, touched[id] = append(gone, k), true
		}
	}
	for _, k := range gone {
		if _, err := t.tx.Exec("UPDATE sightings SET aside = 1 WHERE detector = ? AND key = ?", k.detector, k.key); err != nil {
			return nil, err
		}
	}
	return t.closeEmpty(touched)
}

// closeEmpty closes those of the touched incidents of which no sighting counts
// any more. One that a person opened all the same is left alone.
func (t *telling) closeEmpty(touched map[string]bool) (closed []Told, err error) {
	ids, err := column(t.tx, `SELECT id FROM incidents WHERE state <> 'closed' AND NOT EXISTS
		(SELECT 1 FROM sightings WHERE incident = id AND aside = 0) ORDER BY first, id`)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		if !touched[id] {
			continue
		}
		if err := move(t.tx, t.now, id, Closed, t.who, nothingCounts+t.why); err != nil {
			return nil, err
		}
		closed = append(closed, Told{ID: id, As: id, State: Closed, Changed: true})
	}
	return closed, nil
}
