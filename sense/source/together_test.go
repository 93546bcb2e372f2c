package source

import (
	"errors"
	"io"
	"testing"

	"github.com/testudo-shield/testudo"
)

type script struct {
	steps  []error // nil gives a record
	uid    testudo.UID
	closed bool
}

func (s *script) Next() (testudo.Record, error) {
	if len(s.steps) == 0 {
		return nil, io.EOF
	}
	err := s.steps[0]
	s.steps = s.steps[1:]
	if err != nil {
		return nil, err
	}
	return &testudo.Conn{Meta: testudo.Meta{UID: s.uid}}, nil
}
func (s *script) Account() Account { return Account{Skipped: []testudo.Skip{{Input: "x"}}} }
func (s *script) Close() error     { s.closed = true; return nil }

func together(a, b *script) *Together {
	t := &Together{}
	t.Add("a", a)
	t.Add("b", b)
	return t
}

func TestTogether(t *testing.T) {
	broken := errors.New("broken")
	a := &script{uid: 1, steps: []error{nil, ErrIdle, nil, broken}}
	b := &script{uid: 2, steps: []error{ErrIdle, nil, ErrIdle}}
	all := together(a, b)
	var got []testudo.UID
	idle := 0
	for {
		r, err := all.Next()
		if err == ErrIdle {
			idle++
			continue
		}
		if err != nil {
			if !errors.Is(err, broken) {
				t.Error(err)
			}
			break
		}
		got = append(got, r.Base().UID)
	}
	if len(got) != 3 || got[0] != 1 || got[1] != 2 && got[2] != 2 {
		t.Errorf("order %v", got)
	}
	if idle == 0 || idle > 3 {
		t.Errorf("idle %d times", idle)
	}
	if len(all.Account().Skipped) != 2 || all.Close() != nil || !a.closed || !b.closed {
		t.Error("inputs are not told of or not closed")
	}
}

// TestTogetherBusy holds that an input that never rests does not starve another.
func TestTogetherBusy(t *testing.T) {
	busy, rare := &script{uid: 1, steps: make([]error, 3*longestRun)}, &script{uid: 2, steps: make([]error, 1)}
	all := together(busy, rare)
	for i := range longestRun + 1 {
		r, err := all.Next()
		if err != nil {
			t.Fatal(err)
		}
		if r.Base().UID == 2 {
			if i != longestRun {
				t.Errorf("it came after %d", i)
			}
			return
		}
	}
	t.Error("it never came")
}
