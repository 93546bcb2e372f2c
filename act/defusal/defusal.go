// Package defusal decides about blocks and keeps their life: what could be
// done about an incident (Propose), whom it would have cut (Rehearse), what
// must never be cut (Protected), who decides (Decide), and when it ends
// (Ledger). It is pure: time comes as an argument, and what is done is done by
// enforcers, a folder each below it, which defusaltest holds to one contract.
package defusal

import (
	"context"
	"errors"

	"github.com/testudo-shield/testudo"
)

// An Enforcer brings blocks into force and out of it again. Its methods are
// called from one goroutine. What it was not told to block it never touches,
// in whatever state it finds the place.
type Enforcer interface {
	// Name is one word for messages: "nftables", "sinkhole", "feed".
	Name() string

	// Takes tells whether this enforcer can carry out the course.
	Takes(c *testudo.Course) bool

	// Put brings blocks into force, all of them or, with an error, none. One
	// that is in force already, by its ID, gets the new end. The enforcer ends
	// each by itself at Until, within a second, even if nobody calls again,
	// wherever the place it acts on can do that.
	Put(ctx context.Context, blocks []testudo.Block) error

	// Take takes blocks out of force, by ID. One that is not in force is none
	// the less taken.
	Take(ctx context.Context, ids []string) error

	// InForce returns what really is in force, by ID, as the place says, not
	// as the enforcer remembers: after a restart, or when somebody else
	// changed it, the two differ.
	InForce(ctx context.Context) ([]InForce, error)

	// Close lets go of the place. What is in force stays so until it ends.
	Close() error
}

// InForce is a block that is in force, and what it did.
type InForce struct {
	ID      string
	Until   testudo.Time
	Packets int64 // dropped, limited, or answered
	Bytes   int64
}

// The errors that callers tell apart.
var (
	// ErrFull says that the place takes no more.
	ErrFull = errors.New("no room for more blocks")
	// ErrGone says that the place is not there: the table was deleted, the
	// socket closed. Put again brings back what is asked for.
	ErrGone = errors.New("the place where blocks are kept is gone")
)
