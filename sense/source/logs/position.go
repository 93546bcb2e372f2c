package logs

import (
	"encoding/json"
	"fmt"
)

// position is the form in which a follower's place is stored.
type position struct {
	Version int      `json:"version"`
	Trails  []stored `json:"trails"`
}

type stored struct {
	Path  string `json:"path"`
	Since int64  `json:"since"`
	Spots []spot `json:"spots,omitempty"`
	Known []mark `json:"known,omitempty"`
}

func (f *Follower) resume(from []byte) error {
	var pos position
	if err := json.Unmarshal(from, &pos); err != nil {
		return err
	}
	if pos.Version != 1 {
		return fmt.Errorf("version %d is not known", pos.Version)
	}
	for _, s := range pos.Trails {
		t := &trail{path: s.Path, since: s.Since, known: s.Known, scan: f.asks}
		for _, spot := range s.Spots {
			g, err := resumed(spot, f.format.File(s.Path))
			if err != nil {
				return err
			}
			t.old = append(t.old, g)
		}
		f.trails = append(f.trails, t)
	}
	return nil
}

// Position returns where the records handed out so far end, to be stored and
// given to Follow after a restart.
func (f *Follower) Position() []byte {
	pos := position{Version: 1}
	for _, t := range f.trails {
		s := stored{Path: t.path, Since: t.since, Known: t.known}
		for _, g := range t.all() {
			if g.mark.Size > 0 {
				s.Spots = append(s.Spots, g.spot())
			}
		}
		pos.Trails = append(pos.Trails, s)
	}
	b, err := json.Marshal(pos)
	if err != nil {
		return nil // numbers and texts always have a form
	}
	return b
}
