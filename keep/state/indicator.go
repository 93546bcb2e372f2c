package state

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/keep/state/body"
)

const indicatorColumns = "type, value, tlp, confidence, first, last, expires, marks, licence, note, threats"

// indicatorScan reads rows without a new variable for each column.
type indicatorScan struct {
	testudo.Indicator
	typ                    sql.RawBytes
	licence, note, threats sql.RawBytes
}

// row reads indicatorColumns, and what is asked for behind them. The strings
// are the caller's to keep.
func (s *indicatorScan) row(rows *sql.Rows, more ...any) error {
	s.Indicator = testudo.Indicator{}
	to := append([]any{
		&s.typ, &s.Value, &s.TLP, &s.Confidence, &s.First, &s.Last, &s.Expires, &s.Marks, &s.licence, &s.note, &s.threats,
	}, more...)
	if err := rows.Scan(to...); err != nil {
		return err
	}
	s.Type = indicatorType(s.typ)
	s.Licence, s.Note = string(s.licence), string(s.note)
	if s.threats == nil {
		return nil
	}
	var err error
	if s.Threats, err = body.ReadStrings(s.threats); err != nil {
		return fmt.Errorf("indicator %s: threats: %w", s.Value, err)
	}
	return nil
}

// indicatorType returns the type's own constant, so that a million rows
// share its letters.
func indicatorType(b []byte) testudo.IndicatorType {
	for _, t := range allTypes {
		if string(b) == string(t) {
			return t
		}
	}
	return testudo.IndicatorType(b)
}

var allTypes = [...]testudo.IndicatorType{
	testudo.DomainIndicator, testudo.AddressIndicator, testudo.URLIndicator, testudo.HashIndicator, testudo.HostIndicator, testudo.PrefixIndicator,
	testudo.EmailIndicator, testudo.AgentIndicator, testudo.JA3Indicator, testudo.JA4Indicator, testudo.CertIndicator,
}

// Indicators returns what is stored, ordered by source as first imported,
// type and value. With a source it is of that one alone; with since it is
// what was added then or later, by wall time. It ends with the first error.
func (s *State) Indicators(ctx context.Context, source string, since testudo.Time) iter.Seq2[testudo.Indicator, error] {
	return func(yield func(testudo.Indicator, error) bool) {
		sources, err := s.sourceRows(source)
		for _, r := range sources {
			if err = s.indicatorsOf(ctx, r, since, yield); err != nil {
				break
			}
		}
		if err != nil && !errors.Is(err, errStop) {
			yield(testudo.Indicator{}, s.fail("read indicators", err))
		}
	}
}

// errStop says that the caller has enough.
var errStop = errors.New("stop")

type sourceRow struct {
	id            int64
	name, licence string
}

func (s *State) sourceRows(name string) (all []sourceRow, err error) {
	rows, err := s.readers.Query("SELECT id, name, licence FROM sources WHERE ?1 = '' OR name = ?1 ORDER BY id", name)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var r sourceRow
		if err := rows.Scan(&r.id, &r.name, &r.licence); err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, rows.Err()
}

func (s *State) indicatorsOf(ctx context.Context, r sourceRow, since testudo.Time, yield func(testudo.Indicator, error) bool) error {
	rows, err := s.readers.QueryContext(ctx, "SELECT "+indicatorColumns+" FROM indicators WHERE source = ? AND added >= ? ORDER BY type, value", r.id, since)
	if err != nil {
		return err
	}
	defer rows.Close()
	var scan indicatorScan
	for rows.Next() {
		if err := scan.row(rows); err != nil {
			return err
		}
		scan.Source = r.name
		if scan.Licence == "" {
			scan.Licence = r.licence
		}
		if !yield(scan.Indicator, nil) {
			return errStop
		}
	}
	return rows.Err()
}

// atOnce is how many rows one statement writes.
const atOnce = 32

// apply writes what compare found.
func (i *importer) apply() error {
	if err := i.remove(); err != nil {
		return err
	}
	if err := i.change(); err != nil {
		return err
	}
	const row = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
	many, err := i.tx.PrepareContext(i.ctx, "INSERT INTO indicators VALUES "+row+strings.Repeat(", "+row, atOnce-1))
	if err != nil {
		return err
	}
	rest := i.taken
	args := make([]any, 0, 13*atOnce)
	for ; len(rest) >= atOnce; rest = rest[atOnce:] {
		args = args[:0]
		for _, x := range rest[:atOnce] {
			if args, err = i.args(args, x); err != nil {
				return err
			}
		}
		if _, err := many.ExecContext(i.ctx, args...); err != nil {
			return err
		}
	}
	for _, x := range rest {
		if args, err = i.args(args[:0], x); err != nil {
			return err
		}
		if _, err := i.tx.ExecContext(i.ctx, "INSERT INTO indicators VALUES "+row, args...); err != nil {
			return err
		}
	}
	return nil
}

func (i *importer) remove() error {
	drop, err := i.tx.PrepareContext(i.ctx, "DELETE FROM indicators WHERE source = ? AND type = ? AND value = ?")
	for k := 0; err == nil && k < len(i.gone); k++ {
		_, err = drop.ExecContext(i.ctx, i.source, string(i.gone[k].Type), i.gone[k].Value)
	}
	return err
}

// change writes the merged ones anew, which leaves the time they were added.
func (i *importer) change() error {
	set, err := i.tx.PrepareContext(i.ctx, `UPDATE indicators SET tlp = ?5, confidence = ?6, first = ?7, last = ?8, expires = ?9, marks = ?10,
		licence = ?11, note = ?12, threats = ?13 WHERE source = ?1 AND type = ?2 AND value = ?3 AND ?4 > -1`)
	var args []any
	for k := 0; err == nil && k < len(i.merged); k++ {
		if args, err = i.args(args[:0], i.merged[k]); err == nil {
			_, err = set.ExecContext(i.ctx, args...)
		}
	}
	return err
}

func (i *importer) args(to []any, x *testudo.Indicator) ([]any, error) {
	var licence, note, threats any
	if x.Licence != "" && x.Licence != i.licence {
		licence = x.Licence
	}
	if x.Note != "" {
		note = x.Note
	}
	if len(x.Threats) > 0 {
		b, err := body.Strings(x.Threats)
		if err != nil {
			return nil, err
		}
		threats = string(b)
	}
	return append(to, i.source, string(x.Type), x.Value, int64(i.now), int64(x.TLP), int64(x.Confidence),
		int64(x.First), int64(x.Last), int64(x.Expires), int64(x.Marks), licence, note, threats), nil
}
