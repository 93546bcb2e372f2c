package source

import (
	"io"

	"github.com/testudo-shield/testudo"
)

// Records is an input of records that another sensor wrote, in order of time.
// Next returns io.EOF at the end, also when some of it could not be read.
type Records interface {
	Next() (testudo.Record, error)
	// Account says what became of the input so far; it is complete when Next
	// has returned io.EOF.
	Account() Account
	Close() error
}

// Account is what an input says of itself: what of it could not be read, what
// a user should know and is no fault, and what its writers knew and we do not.
type Account struct {
	Skipped []testudo.Skip
	Notes   []string
	Shed    []testudo.Shed
}

func (a *Account) add(b Account) {
	a.Skipped = append(a.Skipped, b.Skipped...)
	a.Notes = append(a.Notes, b.Notes...)
	a.Shed = append(a.Shed, b.Shed...)
}

// Live is an input of records that another sensor is still writing. Next
// returns ErrIdle when nothing came for a while, and never io.EOF.
type Live interface {
	Records
	// Position tells where the records end that Next has returned, for a
	// checkpoint; Follow goes on from there.
	Position() []byte
}

// Opener is one kind of input. Exactly one of Frames and Records is set.
type Opener struct {
	Name string
	// Sniff tells by the first bytes of a file, after decompression, whether
	// it is of this kind.
	Sniff func(head []byte) bool
	// Lacks is the evidence that inputs of this kind cannot give.
	Lacks   []testudo.Evidence
	Frames  func(path string, stdin io.Reader) (Frames, error)
	Records func(paths ...string) (Records, error) // all inputs of the kind, merged
	// Follow reads the inputs while they are written and rotated, from a
	// position or, if it is nil, from what stands at the paths now; nil where
	// a kind cannot be followed.
	Follow func(position []byte, paths ...string) (Live, error)
}
