package defusaltest

import (
	"testing"
	"time"

	"github.com/testudo-shield/testudo"
)

// place is a Place with what the promises ask of it.
type place struct {
	Place
	courses []testudo.Course // of the suite's, those it takes
}

// blocks makes a block of each course that is taken.
func (p *place) blocks(life time.Duration) []testudo.Block {
	return Blocks(takenOf(p.Enforcer), p.Now(), life)
}

func (p *place) put(t *testing.T, blocks ...testudo.Block) {
	t.Helper()
	if err := p.Enforcer.Put(t.Context(), blocks); err != nil {
		t.Fatalf("Put of %d blocks: %v", len(blocks), err)
	}
}

func (p *place) take(t *testing.T, ids ...string) {
	t.Helper()
	if err := p.Enforcer.Take(t.Context(), ids); err != nil {
		t.Fatalf("Take of %d blocks: %v", len(ids), err)
	}
}

// want checks that just these are in force, each once and with its end.
func (p *place) want(t *testing.T, blocks ...testudo.Block) {
	t.Helper()
	all, err := p.Enforcer.InForce(t.Context())
	if err != nil {
		t.Fatalf("InForce: %v", err)
	}
	ends := make(map[string]testudo.Time, len(blocks))
	for i := range blocks {
		ends[blocks[i].ID] = blocks[i].Until
	}
	told := 0
	complain := func(format string, args ...any) {
		if told++; told <= 5 {
			t.Errorf(format, args...)
		}
	}
	for _, f := range all {
		until, ok := ends[f.ID]
		if !ok {
			complain("%s is in force, or said so twice", f.ID)
			continue
		}
		delete(ends, f.ID)
		if off := f.Until.Sub(until).Abs(); off > late {
			complain("%s ends at %s, want %s", f.ID, f.Until, until)
		}
		if f.Packets < 0 || f.Bytes < 0 {
			complain("%s counts %d packets and %d bytes", f.ID, f.Packets, f.Bytes)
		}
	}
	for i := range blocks {
		if _, ok := ends[blocks[i].ID]; ok {
			delete(ends, blocks[i].ID)
			complain("%s is not in force: %s", blocks[i].ID, blocks[i].Course.String())
		}
	}
}

// cuts checks what the place does where the test can ask.
func (p *place) cuts(t *testing.T, c *testudo.Course, want bool) {
	t.Helper()
	if p.Cuts != nil && p.Cuts(t, c) != want {
		t.Errorf("%s: cut is %v, want %v", c.String(), !want, want)
	}
}

func (p *place) reopen(t *testing.T) {
	t.Helper()
	if err := p.Enforcer.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	p.Enforcer = p.Reopen(t)
}

func ids(blocks []testudo.Block) (all []string) {
	for i := range blocks {
		all = append(all, blocks[i].ID)
	}
	return all
}
