package state

import (
	"errors"
	"os"
	"path/filepath"
)

// settle brings a written file to the disk under its lasting name, for its
// owner alone.
func settle(part, to string) error {
	if err := os.Chmod(part, 0o600); err != nil {
		return err
	}
	if err := flush(part); err != nil {
		return err
	}
	if err := os.Rename(part, to); err != nil {
		return err
	}
	return flush(filepath.Dir(to))
}

// flush brings a file or directory to the disk. It must not be a file that
// SQLite has open: to close it would drop the process's locks.
func flush(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
