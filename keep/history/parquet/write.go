package parquet

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"

	"github.com/parquet-go/parquet-go"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/keep/history"
)

// groupRows is how many rows a row group holds at most: what is in memory at
// once while one is written or read.
const groupRows = 64 << 10

// group is what the catalog knows of a row group.
type group struct {
	Rows        int64
	First, Last testudo.Time
}

// writeFile writes records of one kind, in any order, to a new file at path:
// complete and on disk, or not at all. It changes the order of records.
func writeFile(path string, l *history.Layout, records []testudo.Record) (groups []group, size int64, err error) {
	if err = os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return nil, 0, full(err)
	}
	f, err := os.OpenFile(path+".tmp", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o640)
	if err != nil {
		return nil, 0, full(err)
	}
	groups, err = writeGroups(f, l, records)
	if err == nil {
		err = f.Sync()
	}
	if info, e := f.Stat(); e == nil {
		size = info.Size()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(path+".tmp", path)
	}
	if err != nil {
		_ = os.Remove(path + ".tmp")
		return nil, 0, full(fmt.Errorf("history: write %s: %w", path, err))
	}
	return groups, size, syncDirs(filepath.Dir(path))
}

// syncDirs makes a new name last, that of its folder too.
func syncDirs(dir string) error {
	return errors.Join(syncDir(dir), syncDir(filepath.Dir(dir)), syncDir(filepath.Dir(filepath.Dir(dir))))
}

// writeGroups cuts the records, in order of time, into row groups; within one,
// what is alike stands together, which makes it small and quick to find.
func writeGroups(out io.Writer, l *history.Layout, records []testudo.Record) (groups []group, err error) {
	defer caught(&err)
	slices.SortStableFunc(records, func(a, b testudo.Record) int { return cmp.Compare(a.Base().Time, b.Base().Time) })
	schema, places := schemaOf(l)
	w := parquet.NewWriter(out, config(schema, l)...)
	for part := range slices.Chunk(records, groupRows) {
		groups = append(groups, group{int64(len(part)), part[0].Base().Time, part[len(part)-1].Base().Time})
		rows := alike(l, part)
		for i := range l.Columns {
			if err = writeColumn(w.ColumnWriters()[places[i]], l, i, places[i], rows); err != nil {
				return nil, err
			}
		}
		if err = w.Flush(); err != nil {
			return nil, err
		}
	}
	return groups, w.Close()
}

// alike returns the records' values with those next to each other that
// resemble each other.
func alike(l *history.Layout, records []testudo.Record) []reflect.Value {
	type row struct {
		lead  string
		base  *testudo.Meta
		v     reflect.Value
		place int
	}
	rows := make([]row, len(records))
	var c history.Cell
	for i, r := range records {
		rows[i].base, rows[i].v, rows[i].place = r.Base(), l.Value(r), i
		if l.Lead >= 0 {
			l.Get(l.Lead, rows[i].v, &c)
			rows[i].lead = c.Text
		}
	}
	slices.SortFunc(rows, func(a, b row) int {
		return cmp.Or(cmp.Compare(a.base.ID.Proto, b.base.ID.Proto), cmp.Compare(a.base.ID.Resp.Port(), b.base.ID.Resp.Port()),
			cmp.Compare(a.lead, b.lead), a.base.ID.Resp.Addr().Compare(b.base.ID.Resp.Addr()),
			a.base.ID.Orig.Addr().Compare(b.base.ID.Orig.Addr()), cmp.Compare(a.base.Time, b.base.Time), cmp.Compare(a.base.UID, b.base.UID), cmp.Compare(a.place, b.place))
	})
	values := make([]reflect.Value, len(rows))
	for i := range rows {
		values[i] = rows[i].v
	}
	return values
}

func writeColumn(w *parquet.ColumnWriter, l *history.Layout, i, place int, rows []reflect.Value) error {
	var c history.Cell
	var values []parquet.Value
	for page := range slices.Chunk(rows, pageRows) {
		values = values[:0]
		for _, v := range page {
			l.Get(i, v, &c)
			values = valuesOf(values, &l.Columns[i], &c, place)
			c.Texts = nil
		}
		if _, err := w.WriteRowValues(values); err != nil {
			return err
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// caught turns a panic, which the format's library may meet in damaged files,
// into an error. It is to be deferred.
func caught(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("%w: %v", errDamaged, r)
	}
}

var errDamaged = errors.New("damaged")
