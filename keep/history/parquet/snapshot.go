package parquet

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// Snapshot puts the history as it is at one moment into a folder that is not
// there yet, also while another process writes. Files are linked where that
// can be: they are never changed. What is acknowledged when it begins is in it.
func (s *Store) Snapshot(into string) error {
	for range 20 {
		if s.readOnly {
			if err := s.refresh(); err != nil {
				return err
			}
		}
		err := s.snapshotNow(into)
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		// Files were joined or removed since the catalog was read.
		if err := os.RemoveAll(into); err != nil {
			return err
		}
	}
	return fmt.Errorf("history: %s changes too quickly for a copy; try again", s.dir)
}

func (s *Store) snapshotNow(into string) error {
	s.mu.Lock()
	whole := s.cat.whole()
	tails := slices.Clone(s.tails)
	sizes := make([]int64, len(tails))
	for i, t := range tails {
		sizes[i] = t.size
	}
	s.mu.Unlock()
	if err := os.MkdirAll(filepath.Join(into, "tail"), 0o750); err != nil {
		return full(err)
	}
	for _, f := range whole.Add {
		to := filepath.Join(into, f.Path)
		if err := os.MkdirAll(filepath.Dir(to), 0o750); err != nil {
			return full(err)
		}
		if err := linked(s.path(f.Path), to, f.Size); err != nil {
			return err
		}
	}
	for i, t := range tails {
		if err := copied(s.path(t.path), filepath.Join(into, t.path), sizes[i]); err != nil {
			return err
		}
	}
	b, err := json.Marshal(whole)
	if err != nil {
		return err
	}
	catalog, err := createFramed(filepath.Join(into, "catalog"), b)
	if err != nil {
		return err
	}
	return catalog.file.Close()
}

// linked gives a file a second name, or copies it where the disk has no links.
func linked(from, to string, size int64) error {
	err := os.Link(from, to)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return copied(from, to, size)
}

// copied copies the first size bytes of a file.
func copied(from, to string, size int64) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o640)
	if err != nil {
		return full(err)
	}
	_, err = io.CopyN(out, in, size)
	return errors.Join(full(err), out.Close())
}
