// Package source is where traffic comes from. Each kind of input is a folder
// below this one; engine reads them all through Frames.
package source

import (
	"errors"

	"github.com/testudo-shield/testudo"
)

// ErrIdle is returned by Next of a live input when nothing came for a while.
// It ends nothing. The frame's Time is then set and nothing else: every frame
// up to that time was given.
var ErrIdle = errors.New("no frame yet")

// Frame is one captured frame. Data is valid until the next call of Next.
type Frame struct {
	Time   testudo.Time
	Link   uint32 // DLT/LINKTYPE number of tcpdump.org's registry
	Data   []byte
	Length int // bytes on the wire; at least len(Data)
}

// Frames is an input of frames. Next fills f and returns io.EOF at the end,
// or another error if the rest cannot be read: what came before still counts.
// Frames come in file order, which need not be the order of time.
type Frames interface {
	Next(f *Frame) error
	// Name is the input as the user gave it.
	Name() string
	// Progress returns how many bytes of the input were read and how many
	// there are, 0 where that is not known.
	Progress() (read, total int64)
	Close() error
}
