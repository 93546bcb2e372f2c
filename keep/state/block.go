package state

import (
	"database/sql"
	"encoding/json"
	"fmt"

	"github.com/testudo-shield/testudo"
)

// blockFormat is the version of what is written of a block's body. A newer one
// is refused.
const blockFormat = 1

// SaveBlocks stores blocks as they are now, by ID, all or none. Where one
// begins, ends or is refused, its incident's changes say so, and that who did
// it: a person, or "testudo".
func (s *State) SaveBlocks(now testudo.Time, who string, list []testudo.Block) error {
	return s.change("store blocks", func(tx *sql.Tx) error {
		for i := range list {
			if err := saveBlock(tx, now, who, &list[i]); err != nil {
				return fmt.Errorf("%s: %w", list[i].ID, err)
			}
		}
		return nil
	})
}

func saveBlock(tx *sql.Tx, now testudo.Time, who string, b *testudo.Block) error {
	if b.ID == "" || b.Reason == "" || b.Author == "" || b.Until <= b.Made {
		return fmt.Errorf("%w: a block needs an id, a reason, an author, and an end after its beginning", ErrInvalid)
	}
	incident, err := resolve(tx, b.Incident)
	if err != nil {
		return err
	}
	var was testudo.BlockState
	if err := tx.QueryRow("SELECT coalesce((SELECT state FROM blocks WHERE id = ?), '')", b.ID).Scan(&was); err != nil {
		return err
	}
	body, err := json.Marshal(b)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO blocks (id, incident, state, action, entity, made, until, ended, format, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET state = excluded.state, until = excluded.until, ended = excluded.ended, format = excluded.format, body = excluded.body`,
		b.ID, incident, b.State, b.Course.Action, b.Course.Entity(), b.Made, b.Until, b.Ended, blockFormat, body)
	if err != nil || was == b.State {
		return err
	}
	why := b.Reason
	if b.EndReason != "" {
		why = b.EndReason
	}
	return record(tx, incident, Change{now, "block " + b.Course.String(), string(was), string(b.State), why, who})
}

// Blocks returns the blocks in any of the states, all without one, the oldest
// first. The incident of each is the one it belongs to by now.
func (s *State) Blocks(states ...testudo.BlockState) ([]testudo.Block, error) {
	rows, err := s.readers.Query("SELECT id, incident, format, body FROM blocks WHERE ?1 = 'null' OR ?1 = '[]' OR state IN (SELECT value FROM json_each(?1)) ORDER BY made, id", jsonOf(states))
	return s.blocks(rows, err)
}

// BlocksOf returns the blocks of one incident, the oldest first.
func (s *State) BlocksOf(incident string) ([]testudo.Block, error) {
	rows, err := s.readers.Query(`SELECT id, incident, format, body FROM blocks
		WHERE incident = coalesce((SELECT incident FROM aliases WHERE alias = ?1), ?1) ORDER BY made, id`, incident)
	return s.blocks(rows, err)
}

func (s *State) blocks(rows *sql.Rows, err error) (list []testudo.Block, _ error) {
	if err != nil {
		return nil, s.fail("read blocks", err)
	}
	defer rows.Close()
	for rows.Next() {
		var id, incident string
		var format int
		var body []byte
		var b testudo.Block
		if err := rows.Scan(&id, &incident, &format, &body); err != nil {
			return nil, s.fail("read blocks", err)
		}
		if format > blockFormat {
			return nil, s.fail("read block "+id, fmt.Errorf("%w: its format is %d; use the version that wrote it or a later one", ErrNewer, format))
		}
		if err := json.Unmarshal(body, &b); err != nil {
			return nil, s.fail("read block "+id, fmt.Errorf("%w: %w; restore a backup", ErrDamaged, err))
		}
		b.Incident = incident
		list = append(list, b)
	}
	return list, s.fail("read blocks", rows.Err())
}

func jsonOf(v any) string {
	b, _ := json.Marshal(v)
	return string(b)
}
