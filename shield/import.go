package shield

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/intel"
	"github.com/testudo-shield/testudo/keep/feed"
	"github.com/testudo-shield/testudo/keep/state"
)

// Import brings lists into a memory.
type Import struct {
	Formats    []intel.Format
	Source     string      // the name of all; "" for each file's own
	Licence    string      // of what does not say its own
	TLP        testudo.TLP // likewise
	Confidence int         // likewise; -1 for none
	Replace    bool        // what a source no longer has is removed
	// Tell is told what became of each source; nil for nobody.
	Tell func(Imported)
}

// Imported is what became of one source.
type Imported struct {
	Source, Format string
	state.Counts
	Lists, Threats int            // warning lists and threats that are new or other than before
	Skipped        map[string]int // values not taken, by reason
	Err            error          // why not all of it could be read
	Aside          []string       // files that are no lists, of the folder that was named
}

// Skips returns how many values were not taken.
func (i *Imported) Skips() int { g := given{skipped: i.Skipped}; return g.skips() }

// Changed tells whether anything is remembered otherwise than before.
func (i *Imported) Changed() bool { return i.Taken+i.Merged+i.Gone+i.Lists+i.Threats > 0 }

// Files imports files and folders. A file that cannot be read does not hinder
// the others; the error is the first.
func (i Import) Files(ctx context.Context, m *Memory, paths ...string) error {
	var first error
	for _, path := range paths {
		found, aside, err := Parts{Formats: i.Formats}.lists(path)
		if err != nil {
			first = cmp.Or(first, fmt.Errorf("%s: %w", path, err))
			continue
		}
		if len(aside) > 0 {
			i.tell(Imported{Source: path, Aside: aside})
		}
		first = cmp.Or(first, i.lists(ctx, m, found, path))
		if errors.Is(first, context.Canceled) {
			return first
		}
	}
	return first
}

func (i Import) tell(t Imported) {
	if i.Tell != nil {
		i.Tell(t)
	}
}

// lists imports lists, each as the source of its name, or all as one.
func (i Import) lists(ctx context.Context, m *Memory, found []listFile, location string) (first error) {
	for len(found) > 0 {
		n := 1
		if i.Source != "" {
			n = len(found)
		}
		one := found[:n]
		found = found[n:]
		name, from := cmp.Or(i.Source, one[0].source), one[0].path
		if n > 1 {
			from = location
		}
		_, err := i.source(ctx, m, state.Source{Name: name, Location: from}, one)
		first = cmp.Or(first, err)
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return first
}

// Fetched imports the copy of a feed that is in use, in place of what its
// source had before.
func (i Import) Fetched(ctx context.Context, m *Memory, r feed.Result) (Imported, error) {
	i.Source, i.Replace = r.Source, true
	var found []listFile
	for _, f := range r.Files {
		l := listFile{path: f.Path, source: r.Source}
		known, err := i.parts().sniffAs(&l, f.Name)
		if err != nil {
			return Imported{}, err
		}
		if known {
			found = append(found, l)
		}
	}
	if len(found) == 0 {
		return Imported{}, fmt.Errorf("%s: what was fetched holds no list of indicators; what was known before stays", r.Source)
	}
	return i.source(ctx, m, state.Source{Name: r.Source, Location: r.Source, ETag: r.ETag, SHA256: r.SHA256, Fetched: r.Fetched}, found)
}

func (i Import) parts() Parts { return Parts{Formats: i.Formats} }

// source imports lists as one source. If one of them cannot be read to its
// end, what came of it is taken, and nothing is removed.
func (i Import) source(ctx context.Context, m *Memory, s state.Source, found []listFile) (t Imported, err error) {
	t = Imported{Source: s.Name, Format: found[0].format.Name}
	var all []testudo.Indicator
	var warnings []state.WarningList
	var threats []testudo.Threat
	var g given
	sum := sha256.New()
	for _, l := range found {
		l.source = s.Name
		err := errors.Join(
			l.indicators(func(ind testudo.Indicator) { all = append(all, i.label(ind)) }, g.skip),
			l.known(func(w intel.WarningList) {
				warnings = append(warnings, state.WarningList{Name: w.Name, Kind: w.Type, Source: s.Name, About: w.Description, Values: w.Values})
			}, func(t testudo.Threat) { threats = append(threats, t) }, g.skip),
			l.open(func(r io.Reader) error { _, err := io.Copy(sum, r); return err }),
		)
		if err != nil {
			t.Err = cmp.Or(t.Err, fmt.Errorf("%s: %w", l.path, err))
		}
	}
	if t.Err == nil && len(found) == 1 && found[0].named && len(all)+len(warnings)+len(threats) == 0 && g.skips() > 0 {
		return t, found[0].none()
	}
	s.Format, s.Licence, s.Lines, s.Skipped = t.Format, i.Licence, len(all)+g.skips(), g.skipped
	s.SHA256, s.Fetched = cmp.Or(s.SHA256, hex.EncodeToString(sum.Sum(nil))), cmp.Or(s.Fetched, m.Now())
	t.Skipped = g.skipped
	if t.Counts, err = m.State.Import(ctx, m.Now(), s, i.Replace && t.Err == nil, all); err != nil {
		return t, err
	}
	if len(warnings) > 0 {
		if t.Lists, err = m.State.ImportWarnings(ctx, m.Now(), warnings); err != nil {
			return t, err
		}
	}
	if len(threats) > 0 {
		if t.Threats, err = m.State.ImportThreats(ctx, s.Name, threats); err != nil {
			return t, err
		}
	}
	i.tell(t)
	return t, t.Err
}

// label puts what the user says of a source on an indicator that does not say
// it itself.
func (i Import) label(ind testudo.Indicator) testudo.Indicator {
	ind.TLP = cmp.Or(ind.TLP, i.TLP)
	if ind.Confidence < 0 {
		ind.Confidence = i.Confidence
	}
	return ind
}

// known is what is remembered of what is well known, and of threats' names.
func (m *Memory) known() (known, error) {
	k := newKnown()
	lists, err := m.State.WarningLists()
	if err != nil {
		return k, err
	}
	for _, l := range lists {
		k.warn(intel.WarningList{Name: l.Name, Description: l.About, Type: l.Kind, Values: l.Values}, func(int, string) {})
	}
	threats, err := m.State.Threats()
	for _, t := range threats {
		k.names.learn(t)
	}
	return k, err
}
