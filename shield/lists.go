package shield

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/intel"
)

// A listFile is one file of indicators, of what is well known, or of what threats
// are called.
type listFile struct {
	path, source string // source is what its indicators are told by
	named        bool   // by itself, not found in a folder
	format       intel.Format
}

// given is what became of one or more lists.
type given struct {
	lists   int
	taken   int
	skipped map[string]int // values by reason
}

func (g *given) skip(_ int, why string) {
	if g.skipped == nil {
		g.skipped = map[string]int{}
	}
	g.skipped[why]++
}

func (g *given) skips() (n int) {
	for _, k := range g.skipped {
		n += k
	}
	return n
}

func (g *given) add(other *given) {
	g.lists, g.taken = g.lists+other.lists, g.taken+other.taken
	for why, n := range other.skipped {
		for range n {
			g.skip(0, why)
		}
	}
}

// Reasons words what was skipped, the most first: "12 a pattern, not one
// value; 3 an empty value".
func Reasons(skipped map[string]int) string {
	whys := slices.SortedFunc(maps.Keys(skipped), func(a, b string) int {
		return cmp.Or(cmp.Compare(skipped[b], skipped[a]), cmp.Compare(a, b))
	})
	const shown = 4
	var parts []string
	rest := 0
	for i, why := range whys {
		if i < shown {
			parts = append(parts, fmt.Sprintf("%d: %s", skipped[why], why))
		} else {
			rest += skipped[why]
		}
	}
	if rest > 0 {
		parts = append(parts, fmt.Sprintf("%d for other reasons", rest))
	}
	return strings.Join(parts, "; ")
}

// lists finds the lists at path, a file or folder, by what is in them. Files
// of a folder that are none are named by aside.
func (p Parts) lists(path string) (found []listFile, aside []string, err error) {
	err = filepath.WalkDir(path, func(at string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if at != path && strings.HasPrefix(d.Name(), ".") {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() && at != path || d.IsDir() {
			return nil
		}
		l := listFile{path: at, source: filepath.Base(at), named: at == path}
		if rel, err := filepath.Rel(path, at); err == nil && rel != "." {
			l.source = filepath.ToSlash(rel)
		}
		known, err := p.sniff(&l)
		switch {
		case err != nil:
			return err
		case known:
			found = append(found, l)
		case l.named:
			return l.none()
		default:
			aside = append(aside, at)
		}
		return nil
	})
	var pe *fs.PathError
	if errors.As(err, &pe) {
		if err = pe.Err; pe.Path != path {
			err = fmt.Errorf("%s: %w", pe.Path, pe.Err)
		}
	}
	if err == nil && len(found) == 0 {
		err = errors.New("holds no list of indicators")
		if len(aside) > 0 {
			err = listFile{path: aside[0], source: filepath.Base(aside[0])}.none()
		}
	}
	return found, aside, err
}

// sniff tells by a file's first bytes what format it has.
func (p Parts) sniff(l *listFile) (known bool, err error) { return p.sniffAs(l, filepath.Base(l.path)) }

// sniffAs is sniff for a file that its source calls otherwise.
func (p Parts) sniffAs(l *listFile, name string) (known bool, err error) {
	f, err := os.Open(l.path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	head := make([]byte, intel.Head)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return false, err
	}
	l.format, known = intel.Pick(p.Formats, head[:n], name)
	if n == 0 { // an empty list is one
		l.format, known = intel.Format{Name: "empty"}, true
	}
	return known, nil
}

// errNone says that a list held no indicator at all.
var errNone = errors.New("no line is an indicator that can be used")

// none says what is wanted of a file that is no list.
func (l listFile) none() error {
	n := 0
	if f, err := os.Open(l.path); err == nil {
		defer f.Close()
		_ = intel.Lines(f, func(_ int, line string) {
			if strings.TrimSpace(line) != "" {
				n++
			}
		}, func(int, string) { n++ })
	}
	lines := "1 line of prose or a bare word"
	if n != 1 {
		lines = fmt.Sprintf("%d lines of prose or bare words", n)
	}
	return fmt.Errorf("indicators %s: %w: refused %s; want STIX, MISP, CSV, Zeek intel or another format of docs/indicators.md, or a plain list, one indicator a line: an address, domain, URL or fingerprint",
		filepath.Base(l.path), errNone, lines)
}

// open opens a list and calls read with its content.
func (l listFile) open(read func(io.Reader) error) error {
	f, err := os.Open(l.path)
	if err != nil {
		return err
	}
	defer f.Close()
	return read(bufio.NewReaderSize(f, 1<<16))
}

// indicators gives the indicators of a list.
func (l listFile) indicators(give func(testudo.Indicator), skip intel.Skip) error {
	if l.format.Parse == nil {
		return nil
	}
	return l.open(func(r io.Reader) error { return l.format.Parse(l.source, r, give, skip) })
}

// known gives the warning lists and threats of a list.
func (l listFile) known(warn func(intel.WarningList), threat func(testudo.Threat), skip intel.Skip) error {
	if l.format.Warnings != nil {
		if err := l.open(func(r io.Reader) error { return l.format.Warnings(l.source, r, warn, skip) }); err != nil {
			return err
		}
	}
	if l.format.Threats != nil {
		return l.open(func(r io.Reader) error { return l.format.Threats(r, threat, skip) })
	}
	return nil
}
