package source

import (
	"errors"
	"io"
	"testing"
	"time"

	"github.com/testudo-shield/testudo"
)

// list is records at seconds, and what ends them.
type list struct {
	records []testudo.Record
	end     error
	closed  bool
}

func (l *list) Next() (testudo.Record, error) {
	if len(l.records) == 0 {
		return nil, l.end
	}
	r := l.records[0]
	l.records = l.records[1:]
	return r, nil
}

func (l *list) Skipped() []testudo.Skip { return []testudo.Skip{{Input: "list"}} }
func (l *list) Close() error            { l.closed = true; return nil }

func query(second int) testudo.Record {
	r := &testudo.DNS{}
	r.Time = testudo.Time(second) * testudo.Time(time.Second)
	return r
}

// TestMergeRecords holds the order, that a conn counts from its end, and that
// one input's failure is told after the others' last.
func TestMergeRecords(t *testing.T) {
	conn := &testudo.Conn{Duration: 5 * time.Second}
	broken := errors.New("broken")
	for _, end := range []error{io.EOF, broken} {
		a, b := &list{records: []testudo.Record{query(1), query(6)}, end: end}, &list{records: []testudo.Record{conn, query(6)}, end: io.EOF}
		want := []testudo.Record{a.records[0], conn, a.records[1], b.records[1]}
		m := MergeRecords(a, b)
		for i, w := range want {
			if r, err := m.Next(); err != nil || r != w {
				t.Errorf("%d: %v, %v", i, r, err)
			}
		}
		for range 2 {
			if _, err := m.Next(); !errors.Is(err, end) {
				t.Errorf("end: %v, want %v", err, end)
			}
		}
		if len(m.Skipped()) != 2 || m.Close() != nil || !a.closed || !b.closed {
			t.Error("the inputs are not asked and closed")
		}
	}
}
