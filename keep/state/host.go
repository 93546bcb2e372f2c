package state

import (
	"database/sql"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/testudo-shield/testudo"
)

// Holding says that a name held an address from one time to another.
type Holding struct {
	Address     netip.Addr
	Name        string
	Source      string // "dhcp", "dns" or "principal"
	First, Last testudo.Time
}

// Hold stores who held which address when. Times of the same address, name
// and source that touch or overlap become one.
func (s *State) Hold(list []Holding) error {
	return s.change("store who held an address", func(tx *sql.Tx) error {
		for i := range list {
			if err := hold(tx, list[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

func hold(tx *sql.Tx, h Holding) error {
	h.Name = strings.ToLower(h.Name)
	if !h.Address.IsValid() || h.Name == "" || h.Last < h.First {
		return fmt.Errorf("%w: %q held %v from %v to %v", ErrInvalid, h.Name, h.Address, h.First, h.Last)
	}
	args := []any{address(h.Address), h.Source, h.Name, h.First, h.Last}
	const touching = " FROM holdings WHERE address = ?1 AND source = ?2 AND name = ?3 AND first <= ?5 AND last >= ?4"
	var first, last testudo.Time
	var n int
	err := tx.QueryRow("SELECT coalesce(min(first), ?4), coalesce(max(last), ?5), count(*)"+touching, args...).Scan(&first, &last, &n)
	if err != nil || n == 1 && first <= h.First && last >= h.Last {
		return err
	}
	if _, err := tx.Exec("DELETE"+touching, args...); err != nil {
		return err
	}
	args[3], args[4] = min(first, h.First), max(last, h.Last)
	_, err = tx.Exec("INSERT INTO holdings VALUES (?1, ?2, ?3, ?4, ?5)", args...)
	return err
}

// sources of holdings, the surest first: a lease was granted, a name was only
// looked up, a principal may sit at another's machine.
var surest = [...]string{"dhcp", "dns", "principal"}

// HeldBy returns who held an address at a time, the surest first.
func (s *State) HeldBy(a netip.Addr, at testudo.Time) ([]Holding, error) {
	list, err := s.holdings("address = ? AND first <= ? AND last >= ?", address(a), at, at)
	slices.SortStableFunc(list, func(x, y Holding) int { return rank(x.Source) - rank(y.Source) })
	return list, err
}

func rank(source string) int {
	if i := slices.Index(surest[:], source); i >= 0 {
		return i
	}
	return len(surest)
}

// Holdings returns all that is known of an address or of a name, by time.
func (s *State) Holdings(host string) ([]Holding, error) {
	host = canonical(host)
	return s.holdings("address = ? OR name = ?", host, host)
}

func (s *State) holdings(where string, args ...any) ([]Holding, error) {
	const what = "read who held an address"
	rows, err := s.readers.Query("SELECT address, source, name, first, last FROM holdings WHERE "+where+" ORDER BY first, last, source, name, address", args...)
	if err != nil {
		return nil, s.fail(what, err)
	}
	defer rows.Close()
	var list []Holding
	for rows.Next() {
		var h Holding
		var a string
		err := rows.Scan(&a, &h.Source, &h.Name, &h.First, &h.Last)
		if err == nil {
			h.Address, err = netip.ParseAddr(a)
		}
		if err != nil {
			return nil, s.fail(what, err)
		}
		list = append(list, h)
	}
	return list, s.fail(what, rows.Err())
}

// Importance is how much depends on a host, as the user says.
type Importance struct {
	Host  string // an address or a name
	Level string // "low", "normal", "high" or "critical"
	Why   string
	Who   string
	At    testudo.Time // wall time
}

// SetImportance stores how much depends on a host, in place of what was said
// of it before. "normal" is what hosts are of which nothing was said.
func (s *State) SetImportance(i Importance) error {
	what := "set the importance of " + i.Host
	if !slices.Contains([]string{"low", "normal", "high", "critical"}, i.Level) || i.Host == "" {
		return s.fail(what, fmt.Errorf("%w: %q; want a host, and low, normal, high or critical", ErrInvalid, i.Level))
	}
	return s.change(what, func(tx *sql.Tx) error {
		_, err := tx.Exec(`INSERT INTO importances VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET level = excluded.level,
			why = excluded.why, who = excluded.who, at = excluded.at
			WHERE (level, why, who) <> (excluded.level, excluded.why, excluded.who)`, canonical(i.Host), i.Level, i.Why, i.Who, i.At)
		return err
	})
}

// ImportanceOf returns what was said of a host; its Level is "normal" where
// nothing was.
func (s *State) ImportanceOf(host string) (i Importance, err error) {
	i = Importance{Host: canonical(host), Level: "normal"}
	err = s.readers.QueryRow("SELECT level, why, who, at FROM importances WHERE host = ?", i.Host).Scan(&i.Level, &i.Why, &i.Who, &i.At)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return i, s.fail("read the importance of "+host, err)
}
