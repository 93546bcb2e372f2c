//go:build unix

package main

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// lockState keeps a second testudo out of the state folder dir until the
// function it returns is called or the process ends, however it does. A file
// system that knows no locks is used without.
func lockState(dir string) (unlock func(), err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, exitError{exitRights, fmt.Errorf("state folder %w", err)}
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); errors.Is(err, syscall.EWOULDBLOCK) {
		_ = f.Close() // it was only to be locked
		return nil, exitError{exitRefused, fmt.Errorf("the state in %s is in use by another testudo that runs; each would overwrite what the other learned\n"+
			"stop that one, or give this one a folder of its own with --dir (in the service: $TESTUDO_DIR)", dir)}
	}
	return func() { _ = f.Close() }, nil
}
