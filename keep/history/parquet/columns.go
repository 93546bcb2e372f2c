package parquet

import (
	"math"
	"unsafe"

	"github.com/parquet-go/parquet-go"

	"github.com/testudo-shield/testudo/keep/history"
)

// pageRows is how many rows a page holds: what is read for one row.
const pageRows = 8192

// schemaOf returns the file schema of a layout. The format sorts columns by
// name; places tells where each column of the layout stands.
func schemaOf(l *history.Layout) (s *parquet.Schema, places []int) {
	group := parquet.Group{}
	for i := range l.Columns {
		group[l.Columns[i].Name] = nodeOf(l, &l.Columns[i])
	}
	s = parquet.NewSchema(l.Log, group)
	places = make([]int, len(l.Columns))
	for i := range l.Columns {
		leaf, _ := s.Lookup(l.Columns[i].Name)
		places[i] = leaf.ColumnIndex
	}
	return s, places
}

// nodeOf says how a column is encoded: dictionaries where values come again,
// bare numbers where zstd does as well.
func nodeOf(l *history.Layout, c *history.Column) parquet.Node {
	var n parquet.Node
	switch c.Type {
	case history.Text, history.Texts:
		n = parquet.String()
	case history.Float:
		n = parquet.Leaf(parquet.DoubleType)
		if c.Short {
			n = parquet.Leaf(parquet.FloatType)
		}
	case history.Bool:
		n = parquet.Leaf(parquet.BooleanType)
	default:
		n = parquet.Int(64)
	}
	switch {
	case c.Name == "ts":
		n = parquet.Timestamp(parquet.Microsecond)
	case c.Name == "uid":
		n = parquet.Encoded(n, &parquet.Plain)
	case c.Type == history.Bool, bare(c.Name):
	default:
		n = parquet.Encoded(n, &parquet.RLEDictionary)
	}
	if c.Type == history.Ints || c.Type == history.Texts {
		n = parquet.Repeated(n)
	}
	return n
}

// bare tells which numbers hardly ever come again.
func bare(name string) bool {
	switch name {
	case "duration", "id.orig_p", "rtt", "trans_id", "pulses.gap_mean", "pulses.gap_dev", "pulses.size_dev",
		"replies.gap_mean", "replies.gap_dev", "replies.size_dev":
		return true
	}
	return false
}

func config(s *parquet.Schema, l *history.Layout) []parquet.WriterOption {
	var blooms []parquet.BloomFilterColumn
	for i := range l.Columns {
		if l.Columns[i].Role&(history.Address|history.Name|history.Print) != 0 {
			blooms = append(blooms, parquet.SplitBlockFilter(8, l.Columns[i].Name))
		}
	}
	return []parquet.WriterOption{
		s, parquet.Compression(&parquet.Zstd), parquet.BloomFilters(blooms...),
		parquet.PageBufferSize(64 << 10), parquet.DataPageStatistics(false),
		parquet.CreatedBy("testudo", "1", ""), parquet.KeyValueMetadata("testudo.format", "1"),
	}
}

// valuesOf appends the values of a column of one record.
func valuesOf(values []parquet.Value, c *history.Column, x *history.Cell, place int) []parquet.Value {
	switch c.Type {
	case history.Text:
		return append(values, textValue(x.Text).Level(0, 0, place))
	case history.Float:
		if c.Short {
			return append(values, parquet.FloatValue(fiveDigits(x.Float)).Level(0, 0, place))
		}
		return append(values, parquet.DoubleValue(x.Float).Level(0, 0, place))
	case history.Bool:
		return append(values, parquet.BooleanValue(x.Int != 0).Level(0, 0, place))
	case history.Int:
		return append(values, parquet.Int64Value(x.Int).Level(0, 0, place))
	case history.Ints:
		for i, n := range x.Ints {
			values = append(values, parquet.Int64Value(n).Level(min(i, 1), 1, place))
		}
		if len(x.Ints) > 0 {
			return values
		}
	case history.Texts:
		for i, s := range x.Texts {
			values = append(values, textValue(s).Level(min(i, 1), 1, place))
		}
		if len(x.Texts) > 0 {
			return values
		}
	}
	return append(values, parquet.NullValue().Level(0, 0, place))
}

// textValue returns s as a value without copying it; nothing writes to it.
func textValue(s string) parquet.Value {
	return parquet.ByteArrayValue(unsafe.Slice(unsafe.StringData(s), len(s)))
}

// fiveDigits rounds to 16 bits of mantissa, so that a third byte is nothing.
func fiveDigits(x float64) float32 {
	b := math.Float32bits(float32(x))
	if b&0x7f800000 == 0x7f800000 {
		return float32(x)
	}
	return math.Float32frombits((b + 0x80) &^ 0xff)
}
