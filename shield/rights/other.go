//go:build !linux

package rights

import "errors"

// Drop says that rights can be dropped on Linux only.
func Drop(string, ...Capability) error {
	return errors.New("rights can be dropped on Linux only")
}

// Find says the same.
func Find(string) (uid, gid int, err error) {
	return 0, 0, errors.New("rights can be dropped on Linux only")
}
