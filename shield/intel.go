package shield

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/testudo-shield/testudo/judge/intel"
)

// LoadIntel reads plain lists of indicators from files and folders into s.
func (s *Settings) LoadIntel(paths []string) error {
	if len(paths) == 0 {
		return nil
	}
	set := intel.NewSet()
	for _, path := range paths {
		err := filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			f, err := os.Open(p)
			if err != nil {
				return err
			}
			defer f.Close()
			return set.Add(filepath.Base(p), f)
		})
		if err != nil {
			return fmt.Errorf("--intel %s: %w", path, err)
		}
	}
	s.Match = set.Match
	s.Lists = Lists{Lists: set.Lists(), Indicators: set.Len(), Refused: set.Refused}
	return nil
}
