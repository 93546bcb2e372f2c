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

// sharing is what was read until now of what is shared.
type sharing struct {
	built          *intel.Builder
	files, refused int
}

// read reads one list, which is told by the file's name.
func (l *sharing) read(path string) error {
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
func readLists(option string, paths []string) (*sharing, error) {
	l := &sharing{built: intel.NewBuilder(nil)}
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
