package blocker

import (
	"context"
	"fmt"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/act/defusal"
)

// Auto is the author of blocks that no person decided. They have a budget.
const Auto = "testudo"

// Gate is an Enforcer in front of others that lets nothing unsafe through,
// whoever asks. What is protected is asked last, here.
type Gate struct {
	Enforcers []defusal.Enforcer
	Refuse    func(*testudo.Course) error // nil where the course may be carried out
	Hourly    int                         // blocks of Auto that may begin within an hour
	Longest   time.Duration               // how far off an end may be
	Now       func() testudo.Time         // the wall clock
	Since     func() time.Duration        // a clock that nobody can set

	begun []time.Duration // of Auto's blocks of the last hour, by Since
}

// Name implements defusal.Enforcer.
func (g *Gate) Name() string { return "blocker" }

// Takes implements defusal.Enforcer.
func (g *Gate) Takes(c *testudo.Course) bool { return g.enforcer(c) >= 0 }

func (g *Gate) enforcer(c *testudo.Course) int {
	for i, e := range g.Enforcers {
		if e.Takes(c) {
			return i
		}
	}
	return -1
}

// Put implements defusal.Enforcer: all of the blocks, or none and why.
func (g *Gate) Put(ctx context.Context, blocks []testudo.Block) error {
	there, err := g.InForce(ctx)
	if err != nil {
		return err
	}
	known := make(map[string]bool, len(there))
	for _, f := range there {
		known[f.ID] = true
	}
	parts, fresh, refused := g.look(blocks, known)
	if len(refused) > 0 {
		return &RefusedError{refused}
	}
	for i, part := range parts {
		if len(part) == 0 {
			continue
		}
		if err := g.Enforcers[i].Put(ctx, part); err != nil {
			g.undo(ctx, parts[:i], known)
			return fmt.Errorf("%s: %w", g.Enforcers[i].Name(), err)
		}
	}
	for range fresh {
		g.begun = append(g.begun, g.Since())
	}
	return nil
}

// look parts blocks by enforcer, counts those of Auto that would begin, and
// says which are refused.
func (g *Gate) look(blocks []testudo.Block, known map[string]bool) (parts [][]testudo.Block, fresh int, refused []Refusal) {
	parts = make([][]testudo.Block, len(g.Enforcers))
	left := g.left()
	for i := range blocks {
		b := &blocks[i]
		at := g.enforcer(&b.Course)
		err := whole(b, g.Now(), g.Longest)
		switch {
		case err != nil:
		case at < 0:
			err = fmt.Errorf("nothing here can %s", b.Course.String())
		case b.Author == Auto && !known[b.ID] && left == 0:
			err = fmt.Errorf("%d blocks began by themselves within the hour; a person must decide about more", g.Hourly)
		default:
			err = g.Refuse(&b.Course)
		}
		if err != nil {
			refused = append(refused, Refusal{b.ID, err.Error()})
			continue
		}
		if b.Author == Auto && !known[b.ID] {
			fresh++
			left--
		}
		parts[at] = append(parts[at], *b)
	}
	return parts, fresh, refused
}

// left returns how many blocks may begin by themselves now.
func (g *Gate) left() int {
	now := g.Since()
	for len(g.begun) > 0 && now-g.begun[0] >= time.Hour {
		g.begun = g.begun[1:]
	}
	return max(0, g.Hourly-len(g.begun))
}

// undo takes out what was put before another part failed, but for what had
// been there.
func (g *Gate) undo(ctx context.Context, parts [][]testudo.Block, known map[string]bool) {
	for i, part := range parts {
		var ids []string
		for _, b := range part {
			if !known[b.ID] {
				ids = append(ids, b.ID)
			}
		}
		if len(ids) > 0 {
			_ = g.Enforcers[i].Take(ctx, ids)
		}
	}
}

// Begin counts what is in force already against the budget, so that ending the
// process does not renew it.
func (g *Gate) Begin(ctx context.Context) error {
	there, err := g.InForce(ctx)
	for range min(len(there), g.Hourly) {
		g.begun = append(g.begun, g.Since())
	}
	return err
}

// Take implements defusal.Enforcer.
func (g *Gate) Take(ctx context.Context, ids []string) (err error) {
	for _, e := range g.Enforcers {
		if failed := e.Take(ctx, ids); failed != nil && err == nil {
			err = fmt.Errorf("%s: %w", e.Name(), failed)
		}
	}
	return err
}

// InForce implements defusal.Enforcer.
func (g *Gate) InForce(ctx context.Context) (all []defusal.InForce, err error) {
	for _, e := range g.Enforcers {
		some, err := e.InForce(ctx)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.Name(), err)
		}
		all = append(all, some...)
	}
	return all, nil
}

// Close implements defusal.Enforcer.
func (g *Gate) Close() (err error) {
	for _, e := range g.Enforcers {
		if failed := e.Close(); err == nil {
			err = failed
		}
	}
	return err
}
