package parquet

import (
	"encoding/binary"
	"errors"
	"math"
	"math/bits"
	"strings"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/keep/history"
)

// A tail begins with a frame that lists the kinds of record and their columns,
// so that a later version reads it although a record has got other fields:
// "conn ts:int uid:text …", a line a kind. The frames after it hold one
// appended part each.

// tailSchema returns the first frame of a tail.
func tailSchema() []byte {
	var b strings.Builder
	for _, l := range history.Layouts() {
		b.WriteString(l.Log)
		for i := range l.Columns {
			b.WriteString(" " + l.Columns[i].Name + ":" + l.Columns[i].Type.String())
		}
		b.WriteByte('\n')
	}
	return []byte(b.String())
}

// encodePart appends a part: ingest, number, time and records.
func encodePart(b []byte, in history.Ingest, records []testudo.Record) ([]byte, error) {
	b = appendString(b, in.ID)
	b = binary.AppendVarint(b, in.Part)
	b = binary.AppendVarint(b, int64(in.At))
	b = binary.AppendUvarint(b, uint64(len(records)))
	var c history.Cell
	for _, r := range records {
		kind, l := kindOf(r.Log())
		if l == nil {
			return nil, errors.New("history: records of kind " + r.Log() + " cannot be remembered")
		}
		b = binary.AppendUvarint(b, uint64(kind))
		v := l.Value(r)
		for i := range l.Columns {
			l.Get(i, v, &c)
			b = appendCell(b, l.Columns[i].Type, &c)
		}
	}
	return b, nil
}

func kindOf(log string) (int, *history.Layout) {
	for i, l := range history.Layouts() {
		if l.Log == log {
			return i, l
		}
	}
	return 0, nil
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendCell(b []byte, t history.Type, c *history.Cell) []byte {
	switch t {
	case history.Text:
		return appendString(b, c.Text)
	case history.Float:
		return binary.AppendUvarint(b, bits.ReverseBytes64(math.Float64bits(c.Float)))
	case history.Ints:
		b = binary.AppendUvarint(b, uint64(len(c.Ints)))
		for _, n := range c.Ints {
			b = binary.AppendVarint(b, n)
		}
		return b
	case history.Texts:
		b = binary.AppendUvarint(b, uint64(len(c.Texts)))
		for _, s := range c.Texts {
			b = appendString(b, s)
		}
		return b
	}
	return binary.AppendVarint(b, c.Int)
}

// decoder reads the parts of one tail.
type decoder struct{ kinds []tailKind }

// tailKind is a kind as a tail has it. Layout is nil for one that is no longer
// known; a column's place is -1 where it is not.
type tailKind struct {
	layout *history.Layout
	types  []history.Type
	places []int
}

const (
	maxKinds   = 1 << 10
	maxColumns = 1 << 12
)

var errFrame = errors.New("its content makes no sense")

// newDecoder reads a tail's first frame.
func newDecoder(schema []byte) (*decoder, error) {
	d := &decoder{}
	for line := range strings.Lines(string(schema)) {
		words := strings.Fields(line)
		if len(words) == 0 || len(words) > maxColumns || len(d.kinds) == maxKinds {
			return nil, errFrame
		}
		k := tailKind{layout: history.LayoutOf(words[0])}
		for _, w := range words[1:] {
			name, word, _ := cutLast(w)
			t, ok := typeOf(word)
			if !ok {
				return nil, errFrame
			}
			place := -1
			if k.layout != nil {
				place = k.layout.Column(name)
			}
			if place >= 0 && k.layout.Columns[place].Type != t {
				place = -1
			}
			k.types, k.places = append(k.types, t), append(k.places, place)
		}
		d.kinds = append(d.kinds, k)
	}
	return d, nil
}

func cutLast(s string) (before, after string, ok bool) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

func typeOf(word string) (history.Type, bool) {
	for t := history.Int; t <= history.Texts; t++ {
		if t.String() == word {
			return t, true
		}
	}
	return 0, false
}

// cursor reads what encodePart wrote. After bad bytes it gives zeros and bad
// is set.
type cursor struct {
	b   []byte
	bad bool
}

func (c *cursor) fail() { c.b, c.bad = nil, true }

func (c *cursor) uint() uint64 {
	n, k := binary.Uvarint(c.b)
	if k <= 0 {
		c.fail()
		return 0
	}
	c.b = c.b[k:]
	return n
}

func (c *cursor) int() int64 {
	n := c.uint()
	return int64(n>>1) ^ -int64(n&1)
}

// count reads how many things follow, each at least a byte long.
func (c *cursor) count() int {
	n := c.uint()
	if n > uint64(len(c.b)) {
		c.fail()
		return 0
	}
	return int(n)
}

func (c *cursor) text() string {
	n := c.count()
	s := string(c.b[:n])
	c.b = c.b[n:]
	return s
}

func (c *cursor) cell(t history.Type, x *history.Cell) {
	switch t {
	case history.Text:
		x.Text = c.text()
	case history.Float:
		x.Float = math.Float64frombits(bits.ReverseBytes64(c.uint()))
	case history.Ints:
		x.Ints = x.Ints[:0]
		for range c.count() {
			x.Ints = append(x.Ints, c.int())
		}
	case history.Texts:
		x.Texts = x.Texts[:0]
		for range c.count() {
			x.Texts = append(x.Texts, c.text())
		}
	default:
		x.Int = c.int()
	}
}

// head reads what a part says of itself, and how many records follow.
func (c *cursor) head() (in history.Ingest, n int) {
	in = history.Ingest{ID: c.text(), Part: c.int(), At: testudo.Time(c.int())}
	return in, c.count()
}

// part gives the records of a part until give returns false.
func (d *decoder) part(payload []byte, give func(*history.Layout, testudo.Record) bool) (in history.Ingest, err error) {
	c := &cursor{b: payload}
	in, n := c.head()
	for range n {
		l, r, err := d.record(c)
		if err != nil {
			return in, err
		}
		if l != nil && !give(l, r) {
			return in, nil
		}
	}
	if c.bad {
		return in, errFrame
	}
	return in, nil
}

// record reads one record, nil where its kind is no longer known.
func (d *decoder) record(c *cursor) (*history.Layout, testudo.Record, error) {
	kind := c.uint()
	if c.bad || kind >= uint64(len(d.kinds)) {
		return nil, nil, errFrame
	}
	k := &d.kinds[kind]
	var x history.Cell
	if k.layout == nil {
		for _, t := range k.types {
			c.cell(t, &x)
		}
		return nil, nil, c.err()
	}
	r, v := k.layout.New()
	for i, t := range k.types {
		c.cell(t, &x)
		if k.places[i] >= 0 && !c.bad {
			k.layout.Set(k.places[i], v, &x)
		}
	}
	return k.layout, r, c.err()
}

func (c *cursor) err() error {
	if c.bad {
		return errFrame
	}
	return nil
}
