package source

import (
	"io"

	"github.com/testudo-shield/testudo"
)

// Records is an input of records that another sensor wrote, in order of time.
// Next returns io.EOF at the end, also when some of it could not be read:
// Skipped tells what.
type Records interface {
	Next() (testudo.Record, error)
	Skipped() []testudo.Skip
	// Notes tells, once the input is over, what a user should know of it that
	// is no fault: what was left aside.
	Notes() []string
	Close() error
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
