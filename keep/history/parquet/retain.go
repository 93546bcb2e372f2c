package parquet

import (
	"errors"
	"slices"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/keep/history"
)

// expire removes files all of whose records were ingested too long ago, but
// for what is held.
func (w *work) expire() (err error) {
	if w.policy.Keep <= 0 {
		return nil
	}
	for _, f := range w.list() {
		if f.MaxAt < w.now-int64(w.policy.Keep) {
			err = errors.Join(err, w.remove(f, &w.report.Expired))
		}
		if w.ctx.Err() != nil {
			return w.ctx.Err()
		}
	}
	return err
}

// evict removes the oldest traffic until the rest fits.
func (w *work) evict() (err error) {
	if w.policy.MaxBytes <= 0 {
		return nil
	}
	files := w.list()
	var total int64
	for _, f := range files {
		total += f.Size
	}
	w.mu.Lock()
	for _, t := range w.tails {
		total += t.size
	}
	w.mu.Unlock()
	for _, f := range files {
		if total <= w.policy.MaxBytes || w.ctx.Err() != nil {
			break
		}
		err = errors.Join(err, w.remove(f, &w.report.Evicted))
		total += w.added - f.Size
	}
	return err
}

// remove takes a file away but for the records that are held. A file that
// holds nothing else is left as it is.
func (w *work) remove(f file, count *int64) error {
	if w.added = f.Size; w.kept[f.Path] {
		return nil
	}
	var keep []testudo.Record
	var l *history.Layout
	if w.mayHold(f) {
		var records []testudo.Record
		var err error
		if records, l, err = w.readAll(f); err != nil {
			return w.dropDamaged(f, err)
		}
		keep = slices.DeleteFunc(records, func(r testudo.Record) bool { return !w.holds(r) })
	}
	w.report.Held += int64(len(keep))
	if int64(len(keep)) == f.rows() {
		w.kept[f.Path] = true
		return nil
	}
	b := &batch{layout: l, records: keep, minAt: f.MinAt, maxAt: f.MaxAt, blank: f.Blank}
	return w.replace(place{log: f.Log, hour: f.Hour}, []string{f.Path}, b, func() { *count += f.rows() - int64(len(keep)) })
}

// mayHold tells whether anything of a file can be held. A conn's uid says
// nothing of its time.
func (w *work) mayHold(f file) bool {
	if len(w.policy.Hold.UIDs) > 0 {
		return true
	}
	return slices.ContainsFunc(w.policy.Hold.Spans, func(s history.Span) bool {
		return slices.ContainsFunc(f.Groups, func(g bound) bool { return int64(s.From) <= g.Last && g.First < int64(s.To) })
	})
}

// holds tells whether a record is kept beyond the policy.
func (w *work) holds(r testudo.Record) bool {
	m := r.Base()
	if m.UID != 0 && w.uids[m.UID] {
		return true
	}
	return slices.ContainsFunc(w.policy.Hold.Spans, func(s history.Span) bool {
		return m.Time >= s.From && m.Time < s.To && (m.ID.Orig.Addr().Unmap() == s.Address.Unmap() || m.ID.Resp.Addr().Unmap() == s.Address.Unmap())
	})
}

// blank removes names from files old enough, but for what is held.
func (w *work) blank() (err error) {
	if w.policy.KeepNames <= 0 {
		return nil
	}
	for _, f := range w.list() {
		l := history.LayoutOf(f.Log)
		if w.ctx.Err() != nil {
			return w.ctx.Err()
		}
		if f.Blank || w.kept["names of "+f.Path] || f.MaxAt >= w.now-int64(w.policy.KeepNames) || l == nil || !l.Private() {
			continue
		}
		err = errors.Join(err, w.blankFile(f))
	}
	return err
}

func (w *work) blankFile(f file) error {
	records, l, err := w.readAll(f)
	if err != nil {
		return w.dropDamaged(f, err)
	}
	b := &batch{layout: l, records: records, minAt: f.MinAt, maxAt: f.MaxAt, blank: true}
	n := int64(0)
	for _, r := range records {
		if !w.holds(r) {
			l.Blank(l.Value(r))
			n++
		}
	}
	// Where something is held, the rest is blanked now and that when it no
	// longer is.
	b.blank = n == f.rows()
	return w.replace(place{log: f.Log, hour: f.Hour}, []string{f.Path}, b, func() {
		w.report.Blanked += n
		for _, g := range w.cat.files {
			if !b.blank && g.Log == f.Log && g.Hour == f.Hour {
				w.kept["names of "+g.Path] = true
			}
		}
	})
}
