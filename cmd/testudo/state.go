package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// stateFormat numbers the form of the state folder. It grows when an older
// release could not use what a newer one wrote; the package then refuses to
// go back to that release.
const stateFormat = 1

// claimState marks dir as written in the present format, by a file "format"
// that holds the format and the release. It makes the folder where there is
// none. The state of a newer release is refused and left as it is.
func claimState(dir string) error {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return exitError{exitRights, fmt.Errorf("state folder %w", err)}
	}
	path := filepath.Join(dir, "format")
	text, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return exitError{exitRights, fmt.Errorf("state folder %w", err)}
	default:
		var format int
		var by string
		if n, _ := fmt.Sscan(string(text), &format, &by); n < 1 {
			return exitError{exitRefused, fmt.Errorf("%s: want a number and a release, such as \"%d %s\"; if nothing else of the state is damaged, write that there", path, stateFormat, version)}
		}
		if format > stateFormat {
			return exitError{exitRefused, fmt.Errorf("the state in %s was written by testudo %s in format %d; this is testudo %s, which knows formats up to %d\n"+
				"install the newer release again, or set its state aside and begin anew:  mv %s %s.format-%d", dir, by, format, version, stateFormat, dir, dir, format)}
		}
		if format == stateFormat {
			return nil
		}
	}
	fresh := path + ".new"
	if err := os.WriteFile(fresh, fmt.Appendf(nil, "%d %s\n", stateFormat, version), 0o640); err != nil {
		return exitError{exitRights, fmt.Errorf("state folder %w", err)}
	}
	return os.Rename(fresh, path)
}
