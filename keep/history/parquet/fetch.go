package parquet

import (
	"fmt"
	"reflect"
	"strings"
	"unsafe"

	"github.com/parquet-go/parquet-go"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/keep/history"
)

// textOf returns bytes as a string without copying them; it is valid as long
// as they are.
func textOf(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// fetch reads the rows as records, a column at a time, and of each column the
// pages that hold one of them.
func (s *source) fetch(chunks []parquet.ColumnChunk, rows rowSet) ([]testudo.Record, error) {
	records := make([]testudo.Record, rows.count)
	values := make([]reflect.Value, rows.count)
	for i := range records {
		records[i], values[i] = s.layout.New()
	}
	for i := range s.layout.Columns {
		if s.places[i] < 0 {
			continue
		}
		chunk, ok := chunks[s.places[i]].(*parquet.FileColumnChunk)
		if !ok {
			return nil, errDamaged
		}
		if err := s.fetchColumn(chunk, i, rows, values); err != nil {
			return nil, fmt.Errorf("column %s: %w", s.layout.Columns[i].Name, noEOF(err))
		}
	}
	return records, nil
}

func (s *source) fetchColumn(chunk *parquet.FileColumnChunk, col int, rows rowSet, values []reflect.Value) error {
	pages := chunk.PagesFrom(&s.bytes)
	defer pages.Close()
	if rows.count < len(rows.in) {
		if _, err := chunk.OffsetIndexFrom(&s.bytes); err != nil {
			return err
		}
	}
	for row := 0; len(values) > 0; {
		next := row
		for !rows.in[next] {
			next++
		}
		if start := next - next%pageRows; start > row {
			if err := pages.SeekToRow(int64(start)); err != nil {
				return err
			}
			row = start
		}
		page, err := pages.ReadPage()
		if err != nil {
			return err
		}
		n := int(page.NumRows())
		if n == 0 || n > len(rows.in)-row {
			parquet.Release(page)
			return errDamaged
		}
		used, err := s.fetchPage(page, col, rows.in[row:row+n], values)
		parquet.Release(page)
		if err != nil {
			return err
		}
		values, row = values[used:], row+n
	}
	return nil
}

// fetchPage sets a column of those records whose rows are in, and returns how
// many these are.
func (s *source) fetchPage(page parquet.Page, col int, in []bool, values []reflect.Value) (used int, err error) {
	c := &s.layout.Columns[col]
	if c.Type == history.Ints || c.Type == history.Texts {
		return s.fetchLists(page, col, in, values)
	}
	get, n := reader(page, c)
	if n < len(in) {
		return 0, errDamaged
	}
	var x history.Cell
	for row, ok := range in {
		if ok {
			get(row, &x)
			s.layout.Set(col, values[used], &x)
			used++
		}
	}
	return used, nil
}

// reader returns access to the n values of a page that holds no lists.
func reader(page parquet.Page, c *history.Column) (get func(int, *history.Cell), n int) {
	data := page.Data()
	if dict := page.Dictionary(); dict != nil {
		codes := data.Int32()
		return func(i int, x *history.Cell) { setCell(x, c, dict.Index(codes[i])) }, len(codes)
	}
	switch c.Type {
	case history.Text:
		b, offsets := data.ByteArray()
		return func(i int, x *history.Cell) { x.Text = string(b[offsets[i]:offsets[i+1]]) }, len(offsets) - 1
	case history.Float:
		if c.Short {
			floats := data.Float()
			return func(i int, x *history.Cell) { x.Float = float64(floats[i]) }, len(floats)
		}
		floats := data.Double()
		return func(i int, x *history.Cell) { x.Float = floats[i] }, len(floats)
	case history.Bool:
		set := data.Boolean()
		return func(i int, x *history.Cell) { x.Int = int64(set[i/8] >> (i % 8) & 1) }, len(set) * 8
	}
	ints := data.Int64()
	return func(i int, x *history.Cell) { x.Int = ints[i] }, len(ints)
}

func setCell(x *history.Cell, c *history.Column, v parquet.Value) {
	switch c.Type {
	case history.Text:
		x.Text = strings.Clone(textOf(v.ByteArray()))
	case history.Float:
		if x.Float = 0; c.Short {
			x.Float = float64(v.Float())
		} else {
			x.Float = v.Double()
		}
	case history.Texts:
		x.Texts = append(x.Texts, strings.Clone(textOf(v.ByteArray())))
	case history.Ints:
		x.Ints = append(x.Ints, v.Int64())
	default:
		x.Int = v.Int64()
	}
}

func (s *source) fetchLists(page parquet.Page, col int, in []bool, values []reflect.Value) (used int, err error) {
	c := &s.layout.Columns[col]
	all, err := valuesIn(page)
	if err != nil {
		return 0, err
	}
	for row, i := 0, 0; i < len(all) && row < len(in); row++ {
		var x history.Cell
		for first := i; i < len(all) && (i == first || all[i].RepetitionLevel() != 0); i++ {
			if in[row] && !all[i].IsNull() {
				setCell(&x, c, all[i])
			}
		}
		if in[row] {
			s.layout.Set(col, values[used], &x)
			used++
		}
	}
	return used, nil
}
