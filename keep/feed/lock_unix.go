//go:build unix

package feed

import (
	"errors"
	"os"
	"syscall"
)

// lock takes the lock of a source's folder, which ends with the process.
func lock(path string) (release func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, diskFault(err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, &fault{what: "another process is fetching it", do: "wait until that is done"}
		}
		return nil, diskFault(err)
	}
	return func() { f.Close() }, nil
}
