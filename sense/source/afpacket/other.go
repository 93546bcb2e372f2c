//go:build !linux

package afpacket

import "github.com/testudo-shield/testudo/sense/source"

// Reader reads live interfaces; there are none on this system.
type Reader struct{ source.Frames }

// Open returns ErrUnsupported.
func Open(...Config) (*Reader, error) { return nil, ErrUnsupported }

// OpenSockets returns ErrUnsupported.
func OpenSockets(Spec) (Sockets, error) { return Sockets{}, ErrUnsupported }

// Stats returns nothing.
func (*Reader) Stats() []Stats { return nil }

// Check finds that the system is the wrong one.
func Check(Config) []Finding { return []Finding{{Failure, ErrUnsupported.Error(), ""}} }
