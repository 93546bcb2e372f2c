package shield

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/annotate"
	"github.com/testudo-shield/testudo/judge/incident"
	"github.com/testudo-shield/testudo/keep/history"
	"github.com/testudo-shield/testudo/keep/state"
)

// Memory is a state folder: what is remembered from run to run. Any number
// may be open on one folder; of History, one at a time may write.
type Memory struct {
	Dir     string
	State   *state.State
	History history.Store
	Now     func() testudo.Time // the wall clock
	Keep    history.Policy      // how long records are kept, for Upkeep; its Hold is not looked at
}

// OpenHistory opens the history that belongs to a state folder; to write, or
// only to read.
type OpenHistory func(dir string, write bool) (history.Store, error)

// OpenMemory opens the memory in dir. With write the folder is made where
// there is none and the history is opened for writing; without, a folder that
// is not there is ErrNoMemory.
func OpenMemory(dir, program string, open OpenHistory, write bool, now func() testudo.Time) (*Memory, error) {
	if write {
		if err := os.MkdirAll(dir, 0o750); err != nil {
			return nil, fmt.Errorf("state folder %w", err)
		}
	} else if _, err := os.Stat(filepath.Join(dir, state.File)); errors.Is(err, os.ErrPermission) {
		return nil, fmt.Errorf("state folder %w", err)
	} else if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, ErrNoMemory)
	}
	if err := emptied(dir); err != nil {
		return nil, err
	}
	m := &Memory{Dir: dir, Now: now}
	var err error
	if m.State, err = state.Open(dir, now(), program); err != nil {
		return nil, err
	}
	if m.History, err = open(dir, write); err != nil {
		return nil, errors.Join(err, m.State.Close())
	}
	return m, nil
}

// emptied finds a state that lost all it held: nothing of it is left though
// records lie beside it.
func emptied(dir string) error {
	path := filepath.Join(dir, state.File)
	info, err := os.Stat(path)
	if err != nil || info.Size() > 0 {
		return nil // that there is none is no damage; Open tells the rest
	}
	if _, err := os.Stat(filepath.Join(dir, "history", "catalog")); err != nil {
		return nil
	}
	return fmt.Errorf("%s is empty though records are remembered beside it: %w; restore a backup, or remove it to begin anew with the records alone", path, state.ErrDamaged)
}

// ErrNoMemory says that nothing was remembered in a folder.
var ErrNoMemory = errors.New("nothing is remembered there; begin with:  testudo replay --dir DIR your.pcap  or  testudo watch --dir DIR -i eth1")

// Close ends the use of the memory.
func (m *Memory) Close() error { return errors.Join(m.History.Close(), m.State.Close()) }

// maxRemembered is how many sightings are judged together.
const maxRemembered = 100_000

// tell remembers what a run found, judges it together with all that was
// remembered before, and returns the incidents that hold anything of it under
// their lasting IDs, and how many sightings the allow list keeps out of them.
func (m *Memory) tell(found []testudo.Incident) (told []testudo.Incident, allowed int, err error) {
	of := map[claim]bool{}
	var fresh []testudo.Sighting
	for i := range found {
		for _, s := range found[i].Sightings {
			of[claim{s.Detector, s.Key}] = true
			fresh = append(fresh, s)
		}
	}
	if err := m.State.Sight(fresh); err != nil {
		return nil, 0, err
	}
	all, allowed, err := m.judged(found)
	if err != nil {
		return nil, 0, err
	}
	stored, err := m.State.Tell(m.Now(), all)
	if err != nil {
		return nil, 0, err
	}
	for i := range all {
		if slices.ContainsFunc(all[i].Sightings, func(s testudo.Sighting) bool { return of[claim{s.Detector, s.Key}] }) {
			all[i].ID = stored[i].ID
			told = append(told, all[i])
		}
	}
	slices.SortFunc(told, func(a, b testudo.Incident) int {
		return cmp.Or(cmp.Compare(a.First, b.First), cmp.Compare(a.ID, b.ID))
	})
	return told, allowed, nil
}

// judged makes incidents of all sightings that are remembered and not allowed,
// and says how many are. Names of our machines are those of found, and those
// that are remembered.
func (m *Memory) judged(found []testudo.Incident) ([]testudo.Incident, int, error) {
	allow, err := m.State.Allowances(m.Now(), state.Allow)
	if err != nil {
		return nil, 0, err
	}
	names, err := m.names(found)
	if err != nil {
		return nil, 0, err
	}
	nameOf := func(a netip.Addr) string { return names[a] }
	b := incident.New(incident.Config{Sightings: maxRemembered, NameOf: nameOf, DomainOf: annotate.RegisteredDomain})
	allowed := 0
	for s, err := range m.State.Sightings() {
		if err != nil {
			return nil, 0, err
		}
		if _, covered := allow.Covers(&s, nameOf, m.Now()); covered {
			allowed++
			continue
		}
		b.Add(s)
	}
	return b.Incidents(), allowed, nil
}

// names is what our machines are called.
func (m *Memory) names(found []testudo.Incident) (map[netip.Addr]string, error) {
	names := map[netip.Addr]string{}
	stored, err := m.State.List(state.Filter{})
	if err != nil {
		return nil, err
	}
	for i := range stored {
		for _, v := range stored[i].Victims {
			if v.Name != "" {
				names[v.Address] = v.Name
			}
		}
	}
	for i := range found {
		for _, v := range found[i].Victims {
			if v.Name != "" {
				names[v.Address] = v.Name
			}
		}
	}
	return names, nil
}

// Rejudge judges all that is remembered again, as after the allow list has
// changed, and returns what became of the incidents that are told otherwise
// now.
func (m *Memory) Rejudge(who, why string) ([]state.Told, error) {
	all, _, err := m.judged(nil)
	if err != nil {
		return nil, err
	}
	told, err := m.State.Retell(m.Now(), all, who, why)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(told, func(t state.Told) bool { return !t.Changed && t.Reopened == "" }), nil
}
