package blocker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/act/defusal"
)

// Auto is the author of blocks that no person decided. They have a budget.
const Auto = "testudo"

// Gate is an Enforcer in front of another that lets nothing unsafe through,
// whoever asks. What is protected is asked last, here.
type Gate struct {
	Enforcer defusal.Enforcer
	Refuse   func(*testudo.Course) error // nil where the course may be carried out
	Hourly   int                         // blocks of Auto that may begin within an hour
	Longest  time.Duration               // how far off an end may be
	Now      func() testudo.Time         // the wall clock
	Since    func() time.Duration        // a clock that nobody can set

	begun []time.Duration // of Auto's blocks of the last hour, by Since
}

// Name implements defusal.Enforcer.
func (g *Gate) Name() string { return "blocker" }

// Takes implements defusal.Enforcer.
func (g *Gate) Takes(c *testudo.Course) bool { return g.Enforcer.Takes(c) }

// Put implements defusal.Enforcer: all of the blocks, or none and why.
func (g *Gate) Put(ctx context.Context, blocks []testudo.Block) error {
	there, err := g.there(ctx)
	if err != nil {
		return err
	}
	known := make(map[string]bool, len(there))
	for _, f := range there {
		known[f.ID] = true
	}
	fresh, refused := g.look(blocks, known)
	if len(refused) > 0 {
		return &RefusedError{refused}
	}
	if err := g.Enforcer.Put(ctx, blocks); err != nil {
		return err
	}
	for range fresh {
		g.begun = append(g.begun, g.Since())
	}
	return nil
}

// there is what is in force. In a place that is gone nothing is, and what is
// put there brings it back.
func (g *Gate) there(ctx context.Context) ([]defusal.InForce, error) {
	there, err := g.Enforcer.InForce(ctx)
	if errors.Is(err, defusal.ErrGone) {
		return nil, nil
	}
	return there, err
}

// look counts the blocks of Auto that would begin, and says which are refused.
func (g *Gate) look(blocks []testudo.Block, known map[string]bool) (fresh int, refused []Refusal) {
	left := g.left()
	for i := range blocks {
		b := &blocks[i]
		begins := b.Author == Auto && !known[b.ID]
		err := whole(b, g.Now(), g.Longest)
		switch {
		case err != nil:
		case !g.Takes(&b.Course):
			err = fmt.Errorf("nothing here can %s", b.Course.String())
		case begins && fresh == left:
			err = fmt.Errorf("%d blocks began by themselves within the hour; a person must decide about more", g.Hourly)
		default:
			err = g.Refuse(&b.Course)
		}
		if err != nil {
			refused = append(refused, Refusal{b.ID, err.Error()})
		} else if begins {
			fresh++
		}
	}
	return fresh, refused
}

// left returns how many blocks may begin by themselves now.
func (g *Gate) left() int {
	now := g.Since()
	for len(g.begun) > 0 && now-g.begun[0] >= time.Hour {
		g.begun = g.begun[1:]
	}
	return max(0, g.Hourly-len(g.begun))
}

// Begin counts what is in force already against the budget, so that ending the
// process does not renew it.
func (g *Gate) Begin(ctx context.Context) error {
	there, err := g.there(ctx)
	for range min(len(there), g.Hourly) {
		g.begun = append(g.begun, g.Since())
	}
	return err
}

// Take implements defusal.Enforcer.
func (g *Gate) Take(ctx context.Context, ids []string) error { return g.Enforcer.Take(ctx, ids) }

// InForce implements defusal.Enforcer.
func (g *Gate) InForce(ctx context.Context) ([]defusal.InForce, error) {
	return g.Enforcer.InForce(ctx)
}

// Close implements defusal.Enforcer.
func (g *Gate) Close() error { return g.Enforcer.Close() }
