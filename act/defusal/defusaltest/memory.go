package defusaltest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/act/defusal"
)

// Clock is a wall clock and an even one beside it, both moved by hand.
type Clock struct {
	Wall testudo.Time
	Even time.Duration // since the machine was started; never jumps
}

// Now returns the wall clock's time.
func (c *Clock) Now() testudo.Time { return c.Wall }

// Pass lets time go by.
func (c *Clock) Pass(d time.Duration) { c.Wall, c.Even = c.Wall.Add(d), c.Even+d }

// Jump sets the wall clock on, or back where d is negative.
func (c *Clock) Jump(d time.Duration) { c.Wall = c.Wall.Add(d) }

// Memory is an enforcer that keeps blocks in memory and takes every course.
// Like a kernel it counts their lives by the even clock, so that a jump of
// the wall clock changes nothing. What it holds outlasts Close.
type Memory struct {
	Clock *Clock
	Room  int   // how many it takes, 0 for any number
	Err   error // what Put, Take and InForce fail with, nil for nothing

	held map[string]held
}

type held struct {
	block testudo.Block
	ends  time.Duration // by Clock.Even
	hits  int64
}

var _ defusal.Enforcer = (*Memory)(nil)

// Name returns "memory".
func (*Memory) Name() string { return "memory" }

// Takes takes every action there is.
func (*Memory) Takes(c *testudo.Course) bool {
	switch c.Action {
	case testudo.Sinkhole:
		return c.Name != ""
	case testudo.DropService, testudo.DropServer:
		return c.Server.IsValid()
	case testudo.Limit, testudo.DropSources:
		return c.Target.IsValid()
	case testudo.Isolate:
		return len(c.Hosts) > 0
	}
	return false
}

// Put implements defusal.Enforcer.
func (m *Memory) Put(ctx context.Context, blocks []testudo.Block) error {
	if err := m.fails(ctx); err != nil {
		return err
	}
	m.expire()
	fresh := map[string]bool{}
	for i := range blocks {
		if b := &blocks[i]; !m.Takes(&b.Course) {
			return fmt.Errorf("memory: %s: %s is not taken here", b.ID, b.Course.String())
		}
		if _, ok := m.held[blocks[i].ID]; !ok {
			fresh[blocks[i].ID] = true
		}
	}
	if m.Room > 0 && len(m.held)+len(fresh) > m.Room {
		return fmt.Errorf("memory: %d blocks: %w", len(blocks), defusal.ErrFull)
	}
	if m.held == nil {
		m.held = map[string]held{}
	}
	for i := range blocks {
		b := blocks[i]
		b.Course.Hosts, b.Course.Sources = slices.Clone(b.Course.Hosts), slices.Clone(b.Course.Sources)
		m.held[b.ID] = held{block: b, ends: m.Clock.Even + b.Until.Sub(m.Clock.Wall), hits: m.held[b.ID].hits}
	}
	m.expire()
	return nil
}

// Take implements defusal.Enforcer.
func (m *Memory) Take(ctx context.Context, ids []string) error {
	if err := m.fails(ctx); err != nil {
		return err
	}
	for _, id := range ids {
		delete(m.held, id)
	}
	return nil
}

// InForce implements defusal.Enforcer.
func (m *Memory) InForce(ctx context.Context) ([]defusal.InForce, error) {
	if err := m.fails(ctx); err != nil {
		return nil, err
	}
	m.expire()
	var all []defusal.InForce
	for id, h := range m.held {
		all = append(all, defusal.InForce{ID: id, Until: m.Clock.Wall.Add(h.ends - m.Clock.Even), Packets: h.hits, Bytes: 60 * h.hits})
	}
	slices.SortFunc(all, func(a, b defusal.InForce) int { return strings.Compare(a.ID, b.ID) })
	return all, nil
}

// Close implements defusal.Enforcer.
func (*Memory) Close() error { return nil }

// Lose forgets all, as a machine that was started anew.
func (m *Memory) Lose() { m.held = nil }

// Hit counts a packet that a block dropped.
func (m *Memory) Hit(id string) {
	if h, ok := m.held[id]; ok {
		h.hits++
		m.held[id] = h
	}
}

// Courses returns the courses in force, by block.
func (m *Memory) Courses() map[string]testudo.Course {
	m.expire()
	all := make(map[string]testudo.Course, len(m.held))
	for id, h := range m.held {
		all[id] = h.block.Course
	}
	return all
}

// Cuts tells whether a block of exactly this course is in force.
func (m *Memory) Cuts(c *testudo.Course) bool {
	for _, h := range m.Courses() {
		if h.Entity() == c.Entity() && h.String() == c.String() && slices.Equal(h.Hosts, c.Hosts) && slices.Equal(h.Sources, c.Sources) {
			return true
		}
	}
	return false
}

func (m *Memory) fails(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("memory: %w", err)
	}
	return m.Err
}

func (m *Memory) expire() {
	for id, h := range m.held {
		if h.ends <= m.Clock.Even {
			delete(m.held, id)
		}
	}
}
