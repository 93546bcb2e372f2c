package shield

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/intel"
	"github.com/testudo-shield/testudo/judge/intel/plain"
)

// LoadIntel reads plain lists of indicators from files and folders into s.
func (s *Settings) LoadIntel(paths []string) error {
	if len(paths) == 0 {
		return nil
	}
	l, err := readLists("--intel", paths)
	if err != nil {
		return err
	}
	s.Lists = Lists{Lists: l.files, Indicators: l.built.Len(), Refused: l.refused}
	s.Match = l.built.Seal().Match
	return nil
}

// LoadShared reads plain lists of what many unrelated parties share: addresses,
// prefixes and domains of CDNs, clouds, dynamic names.
func (s *Settings) LoadShared(paths []string) error {
	if len(paths) == 0 {
		return nil
	}
	l, err := readLists("shared", paths)
	if err != nil {
		return err
	}
	s.IsShared = l.built.Seal().Holds
	return nil
}

// lists is what was read until now.
type lists struct {
	built          *intel.Builder
	files, refused int
}

// errNone says that a list held no indicator at all.
var errNone = errors.New("no line is an indicator that can be used")

// read reads one list, which is told by the file's name.
func (l *lists) read(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	source, taken, refused := filepath.Base(path), 0, 0
	err = plain.Parse(source, f, func(ind testudo.Indicator) {
		if l.built.Add(ind) == intel.Refused {
			refused++
			return
		}
		taken++
	}, func(int, string) { refused++ })
	l.refused += refused
	if err != nil {
		return err
	}
	if taken == 0 && refused > 0 {
		lines := "1 line of prose or a bare word"
		if refused > 1 {
			lines = fmt.Sprintf("%d lines of prose or bare words", refused)
		}
		return fmt.Errorf("indicators %s: %w: refused %s; want a plain list, one indicator a line: an address, domain, URL or fingerprint", source, errNone, lines)
	}
	l.files++
	return nil
}

// readLists reads the lists at paths, files or folders.
func readLists(option string, paths []string) (*lists, error) {
	l := &lists{built: intel.NewBuilder(nil)}
	for _, path := range paths {
		before, none := l.files, error(nil)
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
			err = l.read(p)
			if p != path && errors.Is(err, errNone) {
				none = cmp.Or(none, err)
				return nil // a page beside the lists
			}
			return err
		})
		if err == nil && l.files == before {
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
	return l, nil
}
