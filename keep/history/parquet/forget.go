package parquet

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/keep/history"
)

// Forget implements history.Store.
func (s *Store) Forget(ctx context.Context, subject history.Subject) (r history.Receipt, err error) {
	s.upkeep.Lock()
	defer s.upkeep.Unlock()
	r.Subject = subject
	if err = s.ready(); err != nil {
		return r, err
	}
	w := &work{Store: s, ctx: ctx, report: &history.Report{}}
	fresh := map[string]bool{}
	for _, f := range w.list() {
		fresh[f.Path] = true
	}
	if err = w.seal(); err != nil {
		return r, err
	}
	search := history.NewSearch(subject)
	for _, f := range w.list() {
		if err = ctx.Err(); err != nil {
			return r, err
		}
		if err = w.forgetIn(f, search, !fresh[f.Path], &r); err != nil {
			return r, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unlink()
	if len(s.cat.dropped) > 0 {
		err = errors.New("history: some files could not be removed; look at the folder's rights and forget again: " + s.path(s.cat.dropped[0]))
	}
	aside, _ := filepath.Glob(s.path("damaged/*"))
	for _, p := range aside {
		r.Unread = append(r.Unread, history.Damage{File: p, Reason: "it is damaged and was set aside; remove it if it may hold what is to be forgotten"})
	}
	return r, err
}

// forgetIn removes the subject's records from one file.
func (w *work) forgetIn(f file, search *history.Search, tail bool, r *history.Receipt) error {
	found, err := w.holdsSubject(f, search)
	if err == nil && !found {
		r.Searched++
		return nil
	}
	var records []testudo.Record
	var l *history.Layout
	if err == nil {
		records, l, err = w.readAll(f)
	}
	if err != nil {
		return w.dropDamaged(f, err)
	}
	r.Searched++
	kind := search.Kind(l)
	keep := slices.DeleteFunc(slices.Clone(records), func(rec testudo.Record) bool {
		if !kind.Match(rec, l.Value(rec)) {
			return false
		}
		if t := rec.Base().Time; r.Rows == 0 {
			r.First, r.Last = t, t
		}
		r.First, r.Last = min(r.First, rec.Base().Time), max(r.Last, rec.Base().Time)
		r.Rows++
		return true
	})
	gone := int64(len(records) - len(keep))
	if gone == 0 {
		return nil
	}
	if tail {
		r.TailRows += gone
	}
	b := &batch{layout: l, records: keep, minAt: f.MinAt, maxAt: f.MaxAt, blank: f.Blank}
	receipt := history.FileReceipt{File: f.Path, Rows: gone}
	w.mu.Lock()
	before := w.cat.next
	w.mu.Unlock()
	err = w.replace(place{log: f.Log, hour: f.Hour}, []string{f.Path}, b, func() {
		for p := range w.cat.files {
			if numberOf(p) >= before {
				receipt.New = p
			}
		}
	})
	r.Files = append(r.Files, receipt)
	return err
}

// holdsSubject tells whether any row group of a file holds the subject.
func (w *work) holdsSubject(f file, search *history.Search) (found bool, err error) {
	defer caught(&err)
	in, err := os.Open(w.path(f.Path))
	if err != nil {
		return false, err
	}
	defer in.Close()
	src, err := openSource(in, f.Size, history.LayoutOf(f.Log))
	if err != nil {
		return false, err
	}
	kind := search.Kind(src.layout)
	for g, group := range src.file.RowGroups() {
		if g >= len(f.Groups) || group.NumRows() != f.Groups[g].Rows {
			return false, errDamaged
		}
		rows, err := src.clause(group.ColumnChunks(), &kind.Clauses[0], newRowSet(group.NumRows()))
		if err != nil || rows.count > 0 {
			return rows.count > 0, err
		}
	}
	return false, nil
}
