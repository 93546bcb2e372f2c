package parquet

import (
	"context"
	"path/filepath"

	"github.com/testudo-shield/testudo/keep/history"
)

// Sum says what there is, without changing anything. Rows are also those that
// are not yet in files; Damaged is what was set aside.
func (s *Store) Sum(context.Context) (r history.Report, err error) {
	if s.readOnly {
		if err = s.refresh(); err != nil {
			return r, err
		}
	}
	s.mu.Lock()
	news := s.aside
	for _, t := range s.tails {
		for _, f := range t.frames {
			r.Rows += f.rows
		}
	}
	s.mu.Unlock()
	s.sum(&r)
	s.mu.Lock()
	s.aside, r.Damaged = news, nil // for the next Maintain to tell
	s.mu.Unlock()
	aside, err := filepath.Glob(s.path("damaged/*"))
	for _, p := range aside {
		r.Damaged = append(r.Damaged, history.Damage{File: p, Reason: "it could not be read and was set aside"})
	}
	return r, err
}
