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
	Close() error
}

// Teller is a Records that says more of its input: Notes what a person should
// know of it and is no fault, Shed what its writers knew and we do not. Both
// are complete when Next has returned io.EOF.
type Teller interface {
	Notes() []string
	Shed() []testudo.Shed
}

// Opener is one kind of input. Exactly one of Frames and Records is set.
type Opener struct {
	Name string
	// Sniff tells by the first bytes of a file, after decompression, whether
	// it is of this kind.
	Sniff   func(head []byte) bool
	Frames  func(path string, stdin io.Reader) (Frames, error)
	Records func(paths ...string) (Records, error) // all inputs of the kind, merged
}
