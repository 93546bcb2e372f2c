package shield

import (
	"context"
	"fmt"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/intel"
)

// Intel is where a run's indicators come from.
type Intel struct {
	Formats []intel.Format // of the files
	Paths   []string       // files and folders
	Memory  *Memory        // whose indicators are matched, too; nil for none
	Note    func(string)   // told what a user should know of the files; nil for nobody
}

// LoadIntel reads indicators into s: those of files, and those that are
// remembered. Warning lists among them mark the others, and what describes
// threats gives them names. What was not taken is told by reason.
func (s *Settings) LoadIntel(ctx context.Context, in Intel) error {
	l := &loading{known: newKnown(), note: in.Note}
	if err := l.find(in); err != nil {
		return err
	}
	if err := l.know(in.Memory); err != nil {
		return err
	}
	if err := l.build(ctx, in.Memory); err != nil {
		return err
	}
	l.tell()
	s.Lists, s.Match = l.Lists, nil
	if l.Indicators > 0 {
		s.Match = l.set.Match
	}
	return nil
}

// loading is LoadIntel at work.
type loading struct {
	Lists
	known
	lists []listFile
	aside []string
	given given
	set   *intel.Set
	built *intel.Builder
	note  func(string)
}

// find looks for lists at the paths. Of two by one name the second is told by
// its path.
func (l *loading) find(in Intel) error {
	had := map[string]bool{}
	for _, path := range in.Paths {
		found, aside, err := Parts{Formats: in.Formats}.lists(path)
		if err != nil {
			return fmt.Errorf("--intel %s: %w", path, err)
		}
		for _, one := range found {
			if had[one.source] {
				one.source = one.path
			}
			had[one.source] = true
			l.lists = append(l.lists, one)
		}
		l.aside = append(l.aside, aside...)
	}
	return nil
}

// know reads what marks and names the others.
func (l *loading) know(m *Memory) error {
	if m != nil {
		k, err := m.known()
		if err != nil {
			return err
		}
		l.known = k
	}
	for i := range l.lists {
		one := &l.lists[i]
		warn := func(w intel.WarningList) { l.warn(w, l.given.skip) }
		if err := one.known(warn, l.names.learn, l.given.skip); err != nil {
			if err := l.broken(one, err); err != nil {
				return err
			}
		}
	}
	return nil
}

// broken says that a list could not be read; one that was named ends the run.
func (l *loading) broken(one *listFile, err error) error {
	if one.named {
		return fmt.Errorf("--intel %s: %w", one.path, err)
	}
	l.say(fmt.Sprintf("%s: read in part: %v", one.path, err))
	return nil
}

func (l *loading) say(text string) {
	if l.note != nil {
		l.note(text)
	}
}

func (l *loading) build(ctx context.Context, m *Memory) error {
	l.built = intel.NewBuilder(l.warnings)
	if m != nil {
		last := ""
		for ind, err := range m.State.Indicators(ctx, "", 0) {
			if err != nil {
				return err
			}
			if ind.Source != last {
				l.Lists.Lists++
				last = ind.Source
			}
			l.take(ind)
		}
	}
	for i := range l.lists {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := l.read(&l.lists[i]); err != nil {
			return err
		}
	}
	l.Indicators = l.built.Len()
	l.set = l.built.Seal()
	return nil
}

// take adds an indicator to what is built.
func (l *loading) take(ind testudo.Indicator) bool {
	ind.Threats = l.names.of(ind.Threats)
	if l.built.Add(ind) == intel.Refused {
		return false
	}
	l.Newest = max(l.Newest, ind.First, ind.Last)
	return true
}

// read takes the indicators of one list.
func (l *loading) read(one *listFile) error {
	var g given
	err := one.indicators(func(ind testudo.Indicator) {
		if l.take(ind) {
			g.taken++
		} else {
			g.skip(0, "a value that cannot be matched")
		}
	}, g.skip)
	if g.taken > 0 {
		l.Lists.Lists++
	}
	l.Refused += g.skips()
	l.given.add(&g)
	switch {
	case err != nil:
		return l.broken(one, err)
	case one.named && g.taken == 0 && g.skips() > 0 && one.format.Warnings == nil && one.format.Threats == nil:
		return fmt.Errorf("--intel %s: %w", one.path, one.none())
	}
	return nil
}

// tell says in two lines at most what of the files was not taken.
func (l *loading) tell() {
	if n := len(l.aside); n > 0 {
		l.say(fmt.Sprintf("--intel: %s left aside, no list in any format that is known", others(l.aside)))
	}
	if n := l.given.skips(); n > 0 {
		l.say(fmt.Sprintf("--intel: %d values are not used (%s)", n, Reasons(l.given.skipped)))
	}
}

// others names files, or counts them.
func others(paths []string) string {
	if len(paths) == 1 {
		return paths[0]
	}
	return fmt.Sprintf("%d files (%s …)", len(paths), paths[0])
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
