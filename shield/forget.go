package shield

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/keep/history"
	"github.com/testudo-shield/testudo/keep/state"
)

// Forgotten is the receipt of what was erased.
type Forgotten struct {
	Subject history.Subject
	Why     string
	At      testudo.Time // by the wall
	History history.Receipt
	State   state.Erased
	Habits  string // the file with what detectors learned, "" where there is none
	Learned bool   // that file was removed
}

// SubjectOf reads what is to be forgotten: addresses, and names of hosts and
// people. A short word would take too much with it.
func SubjectOf(words []string) (s history.Subject, err error) {
	for _, w := range words {
		w = strings.TrimSpace(w)
		if a, err := netip.ParseAddr(w); err == nil {
			s.Addresses = append(s.Addresses, a.Unmap().WithZone(""))
			continue
		}
		if strings.Contains(w, "/") {
			if _, err := netip.ParsePrefix(w); err == nil {
				return s, fmt.Errorf("%q: a network is no host; name its addresses", w)
			}
		}
		if len(w) < shortestWord {
			return s, fmt.Errorf("%q: want an address, or a name of at least %d letters", w, shortestWord)
		}
		s.Words = append(s.Words, w)
	}
	return s, nil
}

const shortestWord = 3

// Forget erases a subject in the history and in the state, and judges again
// what is left. With habits it removes what the detectors learned, of all
// hosts: it cannot be taken apart. The receipt holds what was done also where
// it ends with an error; doing it again goes on.
func (m *Memory) Forget(ctx context.Context, subject history.Subject, why string, habits bool) (r Forgotten, err error) {
	r = Forgotten{Subject: subject, Why: why, At: m.Now()}
	if r.History, err = m.History.Forget(ctx, subject); err != nil {
		return r, err
	}
	search := history.NewSearch(subject)
	blank := func(s string) string { return search.Blank(s, state.Forgotten) }
	if r.State, err = m.State.Forget(ctx, state.Subject{Holds: search.Holds, Blank: blank}); err != nil {
		return r, err
	}
	if r.State.Sightings+r.State.Blanked > 0 {
		if _, err := m.Rejudge("testudo forget", blank(why)); err != nil {
			return r, err
		}
	}
	path := filepath.Join(m.Dir, checkpointName)
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return r, nil
	}
	if r.Habits = path; habits {
		err = os.Remove(path)
		r.Learned = err == nil
	}
	return r, err
}
