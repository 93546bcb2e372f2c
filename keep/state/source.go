package state

import (
	"database/sql"
	"encoding/json"

	"github.com/testudo-shield/testudo"
)

// Source is a list, feed or event from which indicators came, as it was
// imported last.
type Source struct {
	Name     string // what Indicator.Source says
	Location string // file or address
	Format   string // "stix", "misp", "plain" …
	Licence  string
	ETag     string
	SHA256   string // of what was read, hexadecimal
	Fetched  testudo.Time
	Lines    int            // entries it has, taken or not
	Skipped  map[string]int // entries not taken, by the reason in words
	Holds    int            // indicators kept from it; Import sets it
}

// Sources returns all sources, by name.
func (s *State) Sources() ([]Source, error) {
	rows, err := s.readers.Query("SELECT name, location, format, licence, etag, sha256, fetched, lines, skipped, holds FROM sources ORDER BY name")
	if err != nil {
		return nil, s.fail("read sources", err)
	}
	defer rows.Close()
	var all []Source
	for rows.Next() {
		var r Source
		var skipped []byte
		if err := rows.Scan(&r.Name, &r.Location, &r.Format, &r.Licence, &r.ETag, &r.SHA256, &r.Fetched, &r.Lines, &skipped, &r.Holds); err != nil {
			return nil, s.fail("read sources", err)
		}
		if err := json.Unmarshal(skipped, &r.Skipped); err != nil {
			return nil, s.fail("read source "+r.Name, err)
		}
		all = append(all, r)
	}
	return all, s.fail("read sources", rows.Err())
}

// sourceID returns the row of a source, which is made where there is none.
func sourceID(tx *sql.Tx, name string) (id int64, err error) {
	if _, err = tx.Exec(`INSERT INTO sources (name, location, format, licence, etag, sha256, fetched, lines, holds, skipped)
		VALUES (?, '', '', '', '', '', 0, 0, 0, '{}') ON CONFLICT DO NOTHING`, name); err != nil {
		return 0, err
	}
	err = tx.QueryRow("SELECT id FROM sources WHERE name = ?", name).Scan(&id)
	return id, err
}

// describe writes what is known of a source now.
func describe(tx *sql.Tx, id int64, r *Source) error {
	skipped := r.Skipped
	if skipped == nil {
		skipped = map[string]int{}
	}
	body, err := json.Marshal(skipped) // keys in order
	if err != nil {
		return err
	}
	_, err = tx.Exec(`UPDATE sources SET location = ?, format = ?, licence = ?, etag = ?, sha256 = ?, fetched = ?, lines = ?, skipped = ?,
		holds = ? WHERE id = ?`,
		r.Location, r.Format, r.Licence, r.ETag, r.SHA256, r.Fetched, r.Lines, string(body), r.Holds, id)
	return err
}

// ForgetSource removes a source with all its indicators, warning lists and
// threats, and says how many indicators they were.
func (s *State) ForgetSource(name string) (gone int, err error) {
	err = s.change("forget source "+name, func(tx *sql.Tx) error {
		var id int64
		if err := tx.QueryRow("SELECT id FROM sources WHERE name = ?", name).Scan(&id); err != nil {
			return missing(err, "source "+name)
		}
		r, err := tx.Exec("DELETE FROM indicators WHERE source = ?", id)
		if err != nil {
			return err
		}
		n, _ := r.RowsAffected() // this driver always knows
		gone = int(n)
		if _, err := forgetKnown(tx, name); err != nil {
			return err
		}
		if _, err := tx.Exec("DELETE FROM sources WHERE id = ?", id); err != nil {
			return err
		}
		return bump(tx, "indicators")
	})
	return gone, err
}
