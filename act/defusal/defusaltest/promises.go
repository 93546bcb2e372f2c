package defusaltest

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/act/defusal"
)

const (
	life  = time.Hour       // of blocks whose end is not looked at
	short = 3 * time.Second // of those that are seen to end
	late  = time.Second     // how late an end may be
)

// fresh: the place holds nothing of ours, and being asked for nothing is no
// error.
func fresh(t *testing.T, p *place) {
	p.want(t)
	p.put(t)
	p.take(t)
	if n := p.Enforcer.Name(); n == "" || n != p.Enforcer.Name() {
		t.Errorf("Name is %q, then %q", n, p.Enforcer.Name())
	}
}

// puts: whatever it says it takes comes into force, alone and together, and
// with its end.
func puts(t *testing.T, p *place) {
	blocks := p.blocks(life)
	for i := range blocks {
		p.put(t, blocks[i])
		p.want(t, blocks[:i+1]...)
		p.cuts(t, &blocks[i].Course, true)
	}
	p.take(t, ids(blocks)...)
	p.put(t, blocks...)
	p.want(t, blocks...)
}

// refuses: a course it does not take is an error, and nothing happens.
func refuses(t *testing.T, p *place) {
	strange := []testudo.Course{{}, {Action: "burn", Name: "cdn-upd.example", Server: addr("203.0.113.7")}}
	for _, c := range Courses() {
		if !p.Enforcer.Takes(&c) {
			strange = append(strange, c)
		}
	}
	for _, c := range strange {
		if p.Enforcer.Takes(&c) {
			t.Errorf("it says that it takes %+v", c)
		}
		if err := p.Enforcer.Put(t.Context(), Blocks([]testudo.Course{c}, p.Now(), life)); err == nil {
			t.Errorf("Put of %q that it does not take: no error", c.String())
		}
	}
	p.want(t)
}

// allOrNone: one that cannot be put keeps out all that come with it, also the
// new end of one that was there.
func allOrNone(t *testing.T, p *place) {
	blocks := p.blocks(life)
	p.put(t, blocks[0])
	bad := blocks[0]
	bad.ID, bad.Course = "BLK-999999999999", testudo.Course{Action: "burn"}
	again := blocks[0]
	again.Until = again.Until.Add(life)
	batch := slices.Concat([]testudo.Block{again}, blocks[1:], []testudo.Block{bad})
	if err := p.Enforcer.Put(t.Context(), batch); err == nil {
		t.Error("Put with one that it does not take: no error")
	}
	p.want(t, blocks[0])
}

// renews: what is put again is in force once, with the new end, later or
// earlier.
func renews(t *testing.T, p *place) {
	blocks := p.blocks(life)
	p.put(t, blocks...)
	for _, d := range []time.Duration{2 * life, life / 2} {
		for i := range blocks {
			blocks[i].Until = p.Now().Add(d)
		}
		p.put(t, blocks...)
		p.want(t, blocks...)
	}
	p.put(t, blocks[0], blocks[0])
	p.want(t, blocks...)
	p.cuts(t, &blocks[0].Course, true)
}

// takes: what is taken is gone, the others stay; taking what is not there is
// done already.
func takes(t *testing.T, p *place) {
	blocks := p.blocks(life)
	p.put(t, blocks...)
	for len(blocks) > 0 {
		p.take(t, blocks[0].ID, "BLK-000000000404")
		p.take(t, blocks[0].ID)
		p.cuts(t, &blocks[0].Course, false)
		blocks = blocks[1:]
		p.want(t, blocks...)
	}
	p.take(t, "BLK-000000000404")
}

// twins: two incidents may block one thing. It stays cut until both blocks
// are over, whichever is first.
func twins(t *testing.T, p *place) {
	for i, c := range p.courses {
		pair := Blocks([]testudo.Course{c, c}, p.Now(), life)
		pair[1].Until = pair[1].Until.Add(life)
		p.put(t, pair...)
		p.want(t, pair...)
		p.take(t, pair[i%2].ID)
		p.want(t, pair[1-i%2])
		p.cuts(t, &c, true)
		p.take(t, pair[1-i%2].ID)
		p.want(t)
		p.cuts(t, &c, false)
	}
	pair := Blocks([]testudo.Course{p.courses[0], p.courses[0]}, p.Now(), short)
	pair[1].Until = pair[1].Until.Add(life)
	p.put(t, pair...)
	p.Pass(short + late)
	p.want(t, pair[1])
	p.cuts(t, &p.courses[0], true)
}

// ends: a block is in force to its end and not a second longer, though nobody
// calls.
func ends(t *testing.T, p *place) {
	blocks := p.blocks(short)
	last := len(blocks) - 1
	blocks[last].Until = blocks[last].Until.Add(life)
	p.put(t, blocks...)
	p.Pass(short - 2*time.Second)
	p.want(t, blocks...)
	p.Pass(2*time.Second + late)
	p.want(t, blocks[last])
	for i := range blocks[:last] {
		p.cuts(t, &blocks[i].Course, false)
	}
	p.cuts(t, &blocks[last].Course, true)
	blocks = p.blocks(short)
	p.put(t, blocks...) // each can come back
	p.want(t, blocks...)
}

// endedBefore: a block whose end has passed does not come into force, whether
// or not that is an error; one in force ends by it.
func endedBefore(t *testing.T, p *place) {
	b := p.blocks(life)[0]
	old := b
	old.Made, old.Until = old.Made.Add(-2*life), old.Until.Add(-2*life)
	_ = p.Enforcer.Put(t.Context(), []testudo.Block{old})
	p.want(t)
	p.cuts(t, &b.Course, false)
}

// restart: what is in force outlasts the enforcer, with its end, and can be
// taken by the one that comes after it.
func restart(t *testing.T, p *place) {
	if p.Reopen == nil {
		t.Skip("SKIPPED: nothing outlasts this enforcer")
	}
	blocks := p.blocks(life)
	brief := blocks[0]
	brief.ID, brief.Until = "BLK-000000000777", p.Now().Add(short)
	p.put(t, append(blocks, brief)...)
	p.reopen(t)
	p.want(t, append(blocks, brief)...)
	p.put(t, blocks[0])
	p.take(t, blocks[len(blocks)-1].ID)
	p.Pass(short + late)
	p.reopen(t)
	p.want(t, blocks[:len(blocks)-1]...)
	p.take(t, ids(blocks)...)
	p.want(t)
}

// lost: the enforcer says that nothing is in force, or that the place is
// gone; either way Put brings back what is asked for.
func lost(t *testing.T, p *place) {
	if p.Lose == nil {
		t.Skip("SKIPPED: nobody can take this place away")
	}
	blocks := p.blocks(life)
	p.put(t, blocks...)
	p.Lose(t)
	if all, err := p.Enforcer.InForce(t.Context()); err != nil && !errors.Is(err, defusal.ErrGone) {
		t.Errorf("InForce of a place that is gone: %v, want ErrGone or none", err)
	} else if len(all) > 0 {
		t.Errorf("the place is gone, and %d blocks are said to be in force", len(all))
	}
	if err := p.Enforcer.Take(t.Context(), []string{blocks[0].ID}); err != nil && !errors.Is(err, defusal.ErrGone) {
		t.Errorf("Take where the place is gone: %v, want ErrGone or none", err)
	}
	p.put(t, blocks...)
	p.want(t, blocks...)
	p.cuts(t, &blocks[0].Course, true)
}

// foreign: what others put there is as it was after all we can do.
func foreign(t *testing.T, p *place) {
	if p.Foreign == nil {
		t.Skip("SKIPPED: nothing foreign can be at this place")
	}
	same := p.Foreign(t)
	blocks := p.blocks(life)
	p.put(t, blocks...)
	same(t)
	p.want(t, blocks...)
	p.take(t, ids(blocks)...)
	same(t)
	if p.Lose != nil {
		p.Lose(t)
		p.put(t, blocks...)
		same(t)
	}
	if p.Reopen != nil {
		p.reopen(t)
		same(t)
	}
}

// full: more than there is room for is ErrFull, and none of it is put.
func full(t *testing.T, p *place) {
	if p.Room == 0 {
		t.Skip("SKIPPED: this place has room for all")
	}
	blocks := Blocks(lots(p.Enforcer, p.Room+1), p.Now(), life)
	if err := p.Enforcer.Put(t.Context(), blocks); !errors.Is(err, defusal.ErrFull) {
		t.Errorf("Put of %d blocks where %d have room: %v, want ErrFull", len(blocks), p.Room, err)
	}
	p.want(t)
	p.put(t, blocks[1:]...)
	p.put(t, blocks[1]) // that it is there already takes no room
	p.want(t, blocks[1:]...)
}

// keepsNothing: the caller may use its slices again.
func keepsNothing(t *testing.T, p *place) {
	blocks := p.blocks(life)
	p.put(t, blocks...)
	for i := range blocks {
		clear(blocks[i].Course.Hosts)
		clear(blocks[i].Course.Sources)
	}
	clear(blocks)
	blocks = p.blocks(life)
	p.want(t, blocks...)
	for i := range blocks {
		p.cuts(t, &blocks[i].Course, true)
	}
}

// givenUp: a call whose context is over is an error that changed nothing, or
// was done.
func givenUp(t *testing.T, p *place) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	blocks := p.blocks(life)
	if err := p.Enforcer.Put(ctx, blocks); err != nil {
		p.want(t)
	} else {
		p.want(t, blocks...)
	}
}

// many: 100,000 come in and go again, and nothing is lost between.
func many(t *testing.T, p *place) {
	n := 100_000
	if p.Room > 0 {
		n = min(n, p.Room)
	}
	if testing.Short() {
		n = min(n, 1000)
	}
	blocks := Blocks(lots(p.Enforcer, n), p.Now(), life)
	if len(blocks) == 0 {
		t.Skip("SKIPPED: it takes neither servers nor names")
	}
	start := time.Now()
	p.put(t, blocks...)
	put := time.Since(start)
	p.want(t, blocks...)
	start = time.Now()
	p.take(t, ids(blocks[1:])...)
	t.Logf("%d entries: put in %v, taken in %v", n, put.Round(time.Millisecond), time.Since(start).Round(time.Millisecond))
	p.want(t, blocks[0])
}
