package parquet

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/keep/history"
)

// source is an opened Parquet file of one kind of record.
type source struct {
	file   *parquet.File
	layout *history.Layout
	places []int // of the layout's columns in the file, -1 for none
	bytes  counter
}

// counter counts what is read of a file.
type counter struct {
	r    io.ReaderAt
	read int64
}

func (c *counter) ReadAt(b []byte, at int64) (int, error) {
	n, err := c.r.ReadAt(b, at)
	c.read += int64(n)
	return n, err
}

// openSource reads the end of a file, which says what is in it.
func openSource(r io.ReaderAt, size int64, l *history.Layout) (s *source, err error) {
	defer caught(&err)
	s = &source{layout: l, bytes: counter{r: r}}
	s.file, err = parquet.OpenFile(&s.bytes, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true), parquet.ReadBufferSize(16<<10))
	if err != nil {
		return nil, err
	}
	if s.layout == nil {
		if s.layout = history.LayoutOf(s.file.Schema().Name()); s.layout == nil {
			return nil, fmt.Errorf("it holds %q records, which are not known", s.file.Schema().Name())
		}
	}
	s.places = make([]int, len(s.layout.Columns))
	for i := range s.layout.Columns {
		s.places[i] = -1
		leaf, ok := s.file.Schema().Lookup(s.layout.Columns[i].Name)
		if ok && fits(&s.layout.Columns[i], leaf.Node) {
			s.places[i] = leaf.ColumnIndex
		}
	}
	return s, nil
}

// fits tells whether a column in a file is of the type it has here.
func fits(c *history.Column, n parquet.Node) bool {
	if !n.Leaf() || n.Optional() || n.Repeated() != (c.Type == history.Ints || c.Type == history.Texts) {
		return false
	}
	want := parquet.Int64
	switch c.Type {
	case history.Text, history.Texts:
		want = parquet.ByteArray
	case history.Bool:
		want = parquet.Boolean
	case history.Float:
		if want = parquet.Double; c.Short {
			want = parquet.Float
		}
	}
	return n.Type().Kind() == want
}

// describe reads what the catalog says of a file from the file itself.
func (s *Store) describe(rel string) (d file, err error) {
	defer caught(&err)
	f, err := os.Open(s.path(rel))
	if err != nil {
		return d, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return d, err
	}
	src, err := openSource(f, info.Size(), nil)
	if err != nil {
		return d, err
	}
	at := info.ModTime().UnixNano()
	d = file{Path: rel, Log: src.layout.Log, Size: info.Size(), MinAt: at, MaxAt: at}
	parts := strings.Split(rel, string(os.PathSeparator))
	start, err := time.Parse("2006-01-02 15", parts[len(parts)-2]+" "+parts[len(parts)-1][:2])
	if err != nil {
		return d, fmt.Errorf("its name does not say the hour: %w", err)
	}
	d.Hour = start.Unix()
	for _, g := range src.file.RowGroups() {
		chunk, ok := g.ColumnChunks()[src.places[0]].(*parquet.FileColumnChunk)
		if !ok {
			return d, errDamaged
		}
		first, last, _ := chunk.Bounds()
		d.Groups = append(d.Groups, bound{g.NumRows(), first.Int64() * 1000, last.Int64()*1000 + 999})
	}
	return d, nil
}

// result is what a row group gave.
type result struct {
	records []testudo.Record
	rows    int64 // of a tail, those of the hour
	frames  int64
	skipped int64 // rows that were excluded without being looked at
	bytes   int64
	err     error
}

// match gives the records of a row group that lie in the filter's time and fit.
func (s *source) match(g int, kind *history.Kind, from, to testudo.Time) (r result) {
	before := s.bytes.read
	defer func() { r.bytes = s.bytes.read - before }()
	defer caught(&r.err)
	group := s.file.RowGroups()[g]
	chunks := group.ColumnChunks()
	rows := newRowSet(group.NumRows())
	for i := range kind.Clauses {
		found, err := s.clause(chunks, &kind.Clauses[i], rows)
		if err != nil {
			r.err = err
			return r
		}
		if rows = found; rows.count == 0 {
			r.skipped = group.NumRows()
			return r
		}
	}
	r.records, r.err = s.fetch(chunks, rows)
	kept := r.records[:0]
	for _, rec := range r.records {
		if t := rec.Base().Time; t >= from && t < to && kind.Match(rec, s.layout.Value(rec)) {
			kept = append(kept, rec)
		}
	}
	r.records = kept
	return r
}

// rowSet is some rows of a row group.
type rowSet struct {
	in    []bool
	count int
}

func newRowSet(n int64) rowSet {
	r := rowSet{in: make([]bool, n), count: int(n)}
	for i := range r.in {
		r.in[i] = true
	}
	return r
}

// clause returns those of the rows that fit one of the tests; with Not, the
// others, also those that have no value.
func (s *source) clause(chunks []parquet.ColumnChunk, clause *history.Clause, rows rowSet) (found rowSet, err error) {
	found.in = make([]bool, len(rows.in))
	for i := range clause.Tests {
		t := &clause.Tests[i]
		if clause.Not && t.Sure != nil {
			return rows, nil // a row that fits here may not in the end
		}
		if s.places[t.Column] < 0 {
			continue
		}
		chunk, ok := chunks[s.places[t.Column]].(*parquet.FileColumnChunk)
		if !ok {
			return found, errDamaged
		}
		if err = s.test(chunk, t, rows, &found); err != nil {
			return found, err
		}
	}
	if clause.Not {
		return rows.without(found), nil
	}
	return found, nil
}

// without returns the rows that are not in other, which holds none but these.
func (r rowSet) without(other rowSet) rowSet {
	left := rowSet{in: make([]bool, len(r.in)), count: r.count - other.count}
	for i := range r.in {
		left.in[i] = r.in[i] && !other.in[i]
	}
	return left
}

// test adds the rows whose value in one column fits.
func (s *source) test(chunk *parquet.FileColumnChunk, t *history.Test, rows rowSet, found *rowSet) error {
	if excluded(chunk, t) {
		return nil
	}
	pages := chunk.PagesFrom(&s.bytes)
	defer pages.Close()
	col := &s.layout.Columns[t.Column]
	dict, err := pages.ReadDictionary()
	if err != nil {
		return err
	}
	var codes []bool
	if dict != nil {
		var some bool
		if codes, some = matchDictionary(dict, col, t); !some {
			return nil
		}
	}
	row := 0
	for row < len(rows.in) {
		page, err := pages.ReadPage()
		if err != nil {
			return fmt.Errorf("column %s: %w", col.Name, noEOF(err))
		}
		n := int(page.NumRows())
		if n > len(rows.in)-row {
			parquet.Release(page)
			return errDamaged
		}
		err = testPage(page, codes, col, t, rows.in[row:row+n], found, row)
		parquet.Release(page)
		if err != nil {
			return err
		}
		row += n
	}
	return nil
}

func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// excluded tells whether no value of the column can fit, by its bloom filter.
func excluded(chunk *parquet.FileColumnChunk, t *history.Test) bool {
	if t.Exact == nil {
		return false
	}
	bloom := chunk.BloomFilter()
	if bloom == nil {
		return false
	}
	for _, s := range t.Exact {
		if may, err := bloom.Check(textValue(s)); may || err != nil {
			return false
		}
	}
	return true
}

// matchDictionary tests every value of a column once.
func matchDictionary(d parquet.Dictionary, col *history.Column, t *history.Test) (codes []bool, some bool) {
	codes = make([]bool, d.Len())
	for i := range codes {
		if fitsValue(d.Index(int32(i)), col, t) {
			codes[i], some = true, true
		}
	}
	return codes, some
}

// fitsValue tests one value of a column, or one of a list.
func fitsValue(v parquet.Value, col *history.Column, t *history.Test) bool {
	if v.IsNull() {
		return false
	}
	switch col.Type {
	case history.Text, history.Texts:
		return t.Text(textOf(v.ByteArray()))
	case history.Float:
		if col.Short {
			return t.Number(float64(v.Float()))
		}
		return t.Number(v.Double())
	case history.Bool:
		return t.Number(map[bool]float64{true: 1}[v.Boolean()])
	}
	return t.Int(col, v.Int64())
}

// testPage adds the rows of a page that fit.
func testPage(page parquet.Page, codes []bool, col *history.Column, t *history.Test, in []bool, found *rowSet, first int) error {
	take := func(row int) {
		if in[row] && !found.in[first+row] {
			found.in[first+row] = true
			found.count++
		}
	}
	flat := col.Type != history.Ints && col.Type != history.Texts
	if flat && page.Dictionary() != nil {
		data := page.Data()
		for row, code := range data.Int32() {
			if codes[code] {
				take(row)
			}
		}
		return nil
	}
	values, err := valuesIn(page)
	if err != nil {
		return err
	}
	row := -1
	for _, v := range values {
		if v.RepetitionLevel() == 0 {
			row++
		}
		if fitsValue(v, col, t) {
			take(row)
		}
	}
	return nil
}

// maxList is how many values a page of lists may hold.
const maxList = 1 << 22

// valuesIn returns the values of a page.
func valuesIn(page parquet.Page) ([]parquet.Value, error) {
	if page.NumValues() > maxList {
		return nil, errDamaged
	}
	values := make([]parquet.Value, page.NumValues())
	if n, err := page.Values().ReadValues(values); n < len(values) {
		return nil, noEOF(err)
	}
	return values, nil
}
