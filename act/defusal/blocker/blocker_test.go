//go:build linux

package blocker_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/act/defusal"
	"github.com/testudo-shield/testudo/act/defusal/blocker"
	"github.com/testudo-shield/testudo/act/defusal/defusaltest"
)

// place is a blocker in this process, and the service's side of it.
type place struct {
	clock  defusaltest.Clock
	memory *defusaltest.Memory
	gate   *blocker.Gate
	client *blocker.Client
	path   string
	said   chan string
	stop   func()
}

func open(t *testing.T) *place {
	t.Helper()
	p := &place{clock: defusaltest.Clock{Wall: 1_800_000_000_000_000_000}, said: make(chan string, 1<<18)}
	p.memory = &defusaltest.Memory{Clock: &p.clock}
	dir, err := os.MkdirTemp("", "blocker") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	p.path = filepath.Join(dir, "s")
	p.gate = &blocker.Gate{
		Enforcer: p.memory, Refuse: func(*testudo.Course) error { return nil },
		Hourly: 3, Longest: 8 * 24 * time.Hour, Now: p.clock.Now, Since: func() time.Duration { return p.clock.Even },
	}
	p.serve(t, os.Getuid())
	p.client = &blocker.Client{Path: p.path, Courses: p.memory.Takes}
	t.Cleanup(func() { _ = p.client.Close(); p.stop() })
	return p
}

func (p *place) serve(t *testing.T, uid int) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() {
		done <- blocker.Serve(ctx, blocker.Config{Path: p.path, UIDs: []int{uid}, Gate: p.gate, Ready: func() { close(ready) }, Log: func(s string) {
			select {
			case p.said <- s:
			default:
			}
		}})
	}()
	select {
	case <-ready:
	case err := <-done:
		t.Fatal(err)
	}
	p.stop = func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		done <- nil
	}
}

// TestContract holds the service's side, the socket and the gate together to
// what is promised of an enforcer.
func TestContract(t *testing.T) {
	defusaltest.Run(t, func(t *testing.T) defusaltest.Place {
		p := open(t)
		p.gate.Hourly = 1 << 20 // the suite blocks by itself
		return defusaltest.Place{
			Enforcer: p.client, Now: p.clock.Now, Pass: p.clock.Pass,
			Reopen: func(t *testing.T) defusal.Enforcer {
				p.stop()
				p.serve(t, os.Getuid())
				return p.client
			},
			Lose: func(*testing.T) { p.memory.Lose() },
			Cuts: func(_ *testing.T, c *testudo.Course) bool { return p.memory.Cuts(c) },
		}
	})
}

func block(p *place, n int, author string) testudo.Block {
	return testudo.Block{
		ID: fmt.Sprintf("BLK-%d", n), Incident: "INC-1", Reason: "it reports", Author: author, Made: p.clock.Wall, Until: p.clock.Wall.Add(4 * time.Hour),
		Course: testudo.Course{Action: testudo.DropServer, Server: netip.AddrFrom4([4]byte{203, 0, 113, byte(n)})},
	}
}

// TestGate holds that what the process itself must refuse is refused,
// whoever asks, and that nothing of such an order is done.
func TestGate(t *testing.T) {
	p := open(t)
	gateway := netip.MustParseAddr("203.0.113.9")
	p.gate.Refuse = func(c *testudo.Course) error {
		if c.Server == gateway {
			return errors.New("203.0.113.9 is a gateway")
		}
		return nil
	}
	change := func(f func(*testudo.Block)) testudo.Block {
		b := block(p, 1, "kim")
		f(&b)
		return b
	}
	for want, bad := range map[string]testudo.Block{
		"is a gateway":            block(p, 9, "kim"),
		"needs an incident":       change(func(b *testudo.Block) { b.Incident = "" }),
		"needs a reason":          change(func(b *testudo.Block) { b.Reason = "" }),
		"needs an id":             change(func(b *testudo.Block) { b.ID = "" }),
		"its end is past":         change(func(b *testudo.Block) { b.Until = p.clock.Wall }),
		"longer than":             change(func(b *testudo.Block) { b.Until = p.clock.Wall.Add(9 * 24 * time.Hour) }),
		"nothing here can":        change(func(b *testudo.Block) { b.Course = testudo.Course{Action: "erase"} }),
		"and an author":           change(func(b *testudo.Block) { b.Author = "" }),
		"BLK-7: 203.0.113.9 is a": change(func(b *testudo.Block) { b.ID, b.Course.Server = "BLK-7", gateway }),
	} {
		err := p.client.Put(t.Context(), []testudo.Block{block(p, 2, "kim"), bad})
		var refused *blocker.RefusedError
		if !errors.As(err, &refused) || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q: %v", want, err)
		}
	}
	if there, err := p.client.InForce(t.Context()); err != nil || len(there) != 0 {
		t.Errorf("%v is in force, %v", there, err)
	}
}

// TestBudget holds that of blocks that no person decided only so many begin
// within an hour, also across a restart, and by a clock that nobody sets.
func TestBudget(t *testing.T) {
	p := open(t)
	put := func(n int, author string) error {
		return p.client.Put(t.Context(), []testudo.Block{block(p, n, author)})
	}
	for n := range 3 {
		if err := put(n+1, blocker.Auto); err != nil {
			t.Fatal(err)
		}
	}
	if err := put(4, blocker.Auto); err == nil || !strings.Contains(err.Error(), "a person must decide") {
		t.Errorf("the fourth: %v", err)
	}
	if err := errors.Join(put(1, blocker.Auto), put(5, "kim")); err != nil {
		t.Errorf("one that is there, and a person's: %v", err)
	}
	p.clock.Jump(2 * time.Hour)
	if err := put(4, blocker.Auto); err == nil {
		t.Error("setting the clock gave a new budget")
	}
	again := &blocker.Gate{Enforcer: p.gate.Enforcer, Refuse: p.gate.Refuse, Hourly: 3, Longest: p.gate.Longest, Now: p.gate.Now, Since: p.gate.Since}
	if err := again.Begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := again.Put(t.Context(), []testudo.Block{block(p, 6, blocker.Auto)}); err == nil {
		t.Error("a restart gave a new budget")
	}
	p.clock.Pass(time.Hour)
	if err := put(6, blocker.Auto); err != nil {
		t.Error(err)
	}
}

// gone is a place that somebody deleted: it says so until something is put.
type gone struct {
	*defusaltest.Memory
	put bool
}

func (g *gone) InForce(ctx context.Context) ([]defusal.InForce, error) {
	if !g.put {
		return nil, fmt.Errorf("no table: %w", defusal.ErrGone)
	}
	return g.Memory.InForce(ctx)
}

func (g *gone) Put(ctx context.Context, blocks []testudo.Block) error {
	g.put = true
	return g.Memory.Put(ctx, blocks)
}

// TestGone holds that a place that is gone is told as such, stops nothing
// from beginning, and comes back with what is put.
func TestGone(t *testing.T) {
	p := open(t)
	p.gate.Enforcer = &gone{Memory: p.memory}
	if err := p.gate.Begin(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := p.client.InForce(t.Context()); !errors.Is(err, defusal.ErrGone) {
		t.Errorf("%v, want ErrGone", err)
	}
	if err := p.client.Put(t.Context(), []testudo.Block{block(p, 1, "kim")}); err != nil {
		t.Fatal(err)
	}
	if there, err := p.client.InForce(t.Context()); err != nil || len(there) != 1 {
		t.Errorf("%v, %v", there, err)
	}
}

// TestStrangers holds that nobody but the service is answered, and that what
// is no order ends a connection or gets an error, and nothing else.
func TestStrangers(t *testing.T) {
	p := open(t)
	for _, c := range []struct{ text, want string }{
		{"{}\n", "unknown operation"},
		{"what is in force?\n", "no JSON"},
		{`{"op":"put","blocks":[{"ID":"x","Course":{"Server":"nowhere"}}]}` + "\n", "no JSON"},
		{"\n", "no JSON"},
		{strings.Repeat("[", 1<<20) + "\n", "no JSON"},
		{`{"op":"put","blocks":[{"ID":"x","Course":{"Action":"drop-server","OnlyAtNight":true}}]}` + "\n", "no JSON"},
	} {
		if got := talk(t, p.path, c.text); !strings.Contains(got, c.want) {
			t.Errorf("%.40q: %.200q", c.text, got)
		}
	}
	p.stop()
	p.serve(t, os.Getuid()+1)
	if got := talk(t, p.path, `{"op":"in force"}`+"\n"); got != "" {
		t.Errorf("a stranger was answered: %q", got)
	}
	if _, err := p.client.InForce(t.Context()); !errors.Is(err, defusal.ErrGone) {
		t.Errorf("refused: %v", err)
	}
	// More connections than there is room for are closed; those that are open go on.
	p.stop()
	p.serve(t, os.Getuid())
	if _, err := p.client.InForce(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 50 {
		c, err := net.Dial("unix", p.path)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	if _, err := p.client.InForce(t.Context()); err != nil {
		t.Error(err)
	}
}

func talk(t *testing.T, path, text string) string {
	t.Helper()
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	_, _ = c.Write([]byte(text))
	buf := make([]byte, 1<<16)
	n, _ := c.Read(buf)
	return string(buf[:n])
}
