package state

import (
	"database/sql"
	"fmt"
	"strings"
)

// querier is a transaction or the readers.
type querier interface {
	Query(query string, args ...any) (*sql.Rows, error)
	QueryRow(query string, args ...any) *sql.Row
}

// candidates is how many fitting IDs an error names.
const candidates = 5

// Resolve returns the lasting ID of the incident that is meant by an ID it
// has or had, or by the beginning of one that fits no other incident. "INC-"
// may be left out, and case does not matter.
func (s *State) Resolve(id string) (string, error) {
	full, err := resolve(s.readers, id)
	return full, s.fail("find incident "+id, err)
}

func resolve(q querier, id string) (string, error) {
	typed := strings.ToUpper(strings.TrimSpace(id))
	full := "INC-" + strings.TrimPrefix(typed, "INC-")
	if full == "INC-" {
		return "", fmt.Errorf("%w: name an incident, as INC-4F2K; \"testudo incidents list\" shows them", ErrNotFound)
	}
	found, err := column(q, `SELECT id FROM incidents WHERE id = ?1
		UNION SELECT incident FROM aliases WHERE alias = ?1`, full)
	if err == nil && len(found) == 0 {
		found, err = column(q, `SELECT id FROM incidents WHERE id >= ?1 AND id < ?1 || 'a'
			UNION SELECT incident FROM aliases WHERE alias >= ?1 AND alias < ?1 || 'a' LIMIT ?2`, full, candidates+1)
	}
	switch {
	case err != nil:
		return "", err
	case len(found) == 0:
		return "", fmt.Errorf("incident %s: %w; \"testudo incidents list\" shows which there are", full, ErrNotFound)
	case len(found) > 1:
		more := ""
		if len(found) > candidates {
			found, more = found[:candidates], " and more"
		}
		return "", fmt.Errorf("incident %s: %w: %s%s begin so; write more of it", full, ErrAmbiguous, strings.Join(found, ", "), more)
	}
	return found[0], nil
}

// column reads a query's only column.
func column(q querier, query string, args ...any) (out []string, err error) {
	rows, err := q.Query(query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var v string
		if err := rows.Scan(&v); err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, rows.Err()
}
