// Package blocker is the process that may change the firewall, and its side of
// the service. It holds the right, the protected list and the hourly budget,
// and nothing else: no database, no packets, no strangers' bytes. The service
// asks it over a Unix socket; it asks the kernel who asks, looks at each block
// as if nobody had before, and does all of an order or nothing.
package blocker

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/act/defusal"
)

// The bounds of what one peer may ask.
const (
	maxMessage = 96 << 20 // bytes of an order
	maxBlocks  = 1 << 17  // in an order
	maxPeers   = 4        // connections at a time
	patience   = 10 * time.Second
)

// The operations.
const (
	opPut     = "put"
	opTake    = "take"
	opInForce = "in force"
)

// order is a line of JSON that the service sends; answer is the line it gets.
type order struct {
	Op     string          `json:"op"`
	Blocks []testudo.Block `json:"blocks,omitempty"`
	IDs    []string        `json:"ids,omitempty"`
}

type answer struct {
	Error   string            `json:"error,omitempty"`
	Full    bool              `json:"full,omitempty"`
	Gone    bool              `json:"gone,omitempty"`
	Refused []Refusal         `json:"refused,omitempty"`
	InForce []defusal.InForce `json:"in_force,omitempty"`
}

// Refusal is that the blocker would not carry out a block, and by which rule.
type Refusal struct {
	ID   string `json:"id"`
	Rule string `json:"rule"`
}

// RefusedError is an order that was not carried out, for what it says of some
// of its blocks.
type RefusedError struct{ Refused []Refusal }

// Error names the first few rules.
func (e *RefusedError) Error() string {
	const few = 5
	var words []string
	for _, r := range e.Refused[:min(len(e.Refused), few)] {
		words = append(words, r.ID+": "+r.Rule)
	}
	if more := len(e.Refused) - few; more > 0 {
		words = append(words, fmt.Sprintf("and %d more", more))
	}
	return "refused as unsafe: " + strings.Join(words, "; ")
}

// remoteError is a failure at the other end.
type remoteError struct {
	text string
	is   error
}

func (e *remoteError) Error() string { return "blocker: " + e.text }
func (e *remoteError) Unwrap() error { return e.is }

// err returns what the answer says went wrong, nil for nothing.
func (a *answer) err() error {
	switch {
	case len(a.Refused) > 0:
		return &RefusedError{a.Refused}
	case a.Error == "":
		return nil
	case a.Full:
		return &remoteError{a.Error, defusal.ErrFull}
	case a.Gone:
		return &remoteError{a.Error, defusal.ErrGone}
	}
	return &remoteError{text: a.Error}
}

// failed is the answer that says err.
func failed(err error) answer {
	var refused *RefusedError
	if errors.As(err, &refused) {
		return answer{Refused: refused.Refused}
	}
	return answer{Error: err.Error(), Full: errors.Is(err, defusal.ErrFull), Gone: errors.Is(err, defusal.ErrGone)}
}

// whole tells what a block lacks to be carried out by anybody.
func whole(b *testudo.Block, now testudo.Time, longest time.Duration) error {
	switch {
	case b.ID == "" || len(b.ID) > 64:
		return errors.New("a block needs an id")
	case b.Incident == "":
		return errors.New("a block needs an incident")
	case b.Reason == "" || b.Author == "":
		return errors.New("a block needs a reason and an author")
	case b.Until <= now:
		return errors.New("its end is past")
	case b.Until > now.Add(longest):
		return fmt.Errorf("it would last longer than %v", longest)
	}
	return nil
}
