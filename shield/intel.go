package shield

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/testudo-shield/testudo/judge/intel"
)

// LoadIntel reads plain lists of indicators from files and folders into s.
func (s *Settings) LoadIntel(paths []string) error {
	if len(paths) == 0 {
		return nil
	}
	set, err := readLists("--intel", paths)
	if err != nil {
		return err
	}
	s.Match = set.Match
	s.Lists = Lists{Lists: set.Lists(), Indicators: set.Len(), Refused: set.Refused}
	return nil
}

// LoadShared reads plain lists of what many unrelated parties share: addresses,
// prefixes and domains of CDNs, clouds, dynamic names.
func (s *Settings) LoadShared(paths []string) error {
	if len(paths) == 0 {
		return nil
	}
	set, err := readLists("shared", paths)
	if err != nil {
		return err
	}
	s.IsShared = set.Holds
	return nil
}

// readLists reads the lists at paths, files or folders, into one set.
func readLists(option string, paths []string) (*intel.Set, error) {
	set := intel.NewSet()
	for _, path := range paths {
		before, none := set.Lists(), error(nil)
		err := filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if p != path && strings.HasPrefix(d.Name(), ".") {
				if d.IsDir() {
					return fs.SkipDir
				}
				return nil
			}
			if !d.Type().IsRegular() && p != path || d.IsDir() {
				return nil
			}
			f, err := os.Open(p)
			if err != nil {
				return err
			}
			defer f.Close()
			err = set.Add(filepath.Base(p), f)
			if p != path && errors.Is(err, intel.ErrNone) {
				none = cmp.Or(none, err)
				return nil // a page beside the lists
			}
			return err
		})
		if err == nil && set.Lists() == before {
			err = none
		}
		var pe *fs.PathError
		if errors.As(err, &pe) {
			if err = pe.Err; pe.Path != path {
				err = fmt.Errorf("%s: %w", pe.Path, pe.Err)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", option, path, err)
		}
	}
	return set, nil
}
