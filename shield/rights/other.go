//go:build !linux

package rights

import "errors"

// Drop says that rights can be dropped on Linux only.
func Drop(string, ...Capability) error {
	return errors.New("rights can be dropped on Linux only")
}
