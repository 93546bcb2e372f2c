package blocker

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/act/defusal"
)

// Client is an Enforcer that asks the blocker at Path. It connects when there
// is something to ask, and again after the blocker went away. It is used from
// one goroutine.
type Client struct {
	Path    string
	Courses func(*testudo.Course) bool // what the blocker takes

	conn net.Conn
	in   *bufio.Reader
}

// Name implements defusal.Enforcer.
func (c *Client) Name() string { return "blocker" }

// Takes implements defusal.Enforcer.
func (c *Client) Takes(course *testudo.Course) bool { return c.Courses(course) }

// Put implements defusal.Enforcer. What the blocker will not carry out comes
// back as a *RefusedError. What the order needs of a rehearsal's coverage was
// looked at before, so it is left out.
func (c *Client) Put(ctx context.Context, blocks []testudo.Block) error {
	lean := make([]testudo.Block, len(blocks))
	for i, b := range blocks {
		b.Rehearsal.Coverage = testudo.Coverage{}
		lean[i] = b
	}
	_, err := c.ask(ctx, order{Op: opPut, Blocks: lean})
	return err
}

// Take implements defusal.Enforcer.
func (c *Client) Take(ctx context.Context, ids []string) error {
	_, err := c.ask(ctx, order{Op: opTake, IDs: ids})
	return err
}

// InForce implements defusal.Enforcer.
func (c *Client) InForce(ctx context.Context) ([]defusal.InForce, error) {
	a, err := c.ask(ctx, order{Op: opInForce})
	return a.InForce, err
}

// Close implements defusal.Enforcer.
func (c *Client) Close() error {
	if c.conn == nil {
		return nil
	}
	err := c.conn.Close()
	c.conn = nil
	return err
}

// ask sends an order and waits for its answer. A connection that an order
// failed on is not used again; as orders may be repeated, one that was old
// is tried once more on a new one.
func (c *Client) ask(ctx context.Context, o order) (answer, error) {
	line, err := json.Marshal(o)
	if err != nil {
		return answer{}, err
	}
	if len(line) >= maxMessage || len(o.Blocks) > maxBlocks || len(o.IDs) > maxBlocks {
		return answer{}, fmt.Errorf("blocker: an order of %d blocks, %d bytes is too large; order fewer at once", len(o.Blocks), len(line))
	}
	old := c.conn != nil
	a, err := c.try(ctx, line)
	if err != nil && old && ctx.Err() == nil {
		a, err = c.try(ctx, line)
	}
	if err != nil {
		return answer{}, fmt.Errorf("%w: blocker %s: %w", defusal.ErrGone, c.Path, err)
	}
	return a, a.err()
}

func (c *Client) try(ctx context.Context, line []byte) (a answer, err error) {
	if c.conn == nil {
		if c.conn, err = (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "unix", c.Path); err != nil {
			c.conn = nil
			return a, err
		}
		c.in = bufio.NewReader(c.conn)
	}
	defer func() {
		if err != nil {
			_ = c.Close()
		}
	}()
	conn := c.conn
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	_ = conn.SetDeadline(time.Now().Add(2 * patience))
	if _, err = conn.Write(append(line, '\n')); err != nil {
		return a, err
	}
	reply, err := c.in.ReadBytes('\n')
	if err != nil {
		return a, err
	}
	return a, json.Unmarshal(reply, &a)
}
