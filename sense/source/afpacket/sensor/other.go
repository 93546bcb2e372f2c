//go:build !linux

package sensor

import (
	"context"

	"github.com/testudo-shield/testudo/sense/source/afpacket"
)

// Serve returns afpacket.ErrUnsupported.
func Serve(context.Context, Config) error { return afpacket.ErrUnsupported }

// Sockets returns afpacket.ErrUnsupported.
func (Client) Sockets(afpacket.Spec) (afpacket.Sockets, error) {
	return afpacket.Sockets{}, afpacket.ErrUnsupported
}
