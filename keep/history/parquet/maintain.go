package parquet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/keep/history"
)

const (
	joinRows  = 4 * groupRows // at most so many rows are joined at once
	joinCount = 8             // so many small files of an hour that still runs are joined
	joinAge   = time.Hour     // after which all small files of an hour are
	sameAge   = 24 * time.Hour
)

// Maintain implements history.Store.
func (s *Store) Maintain(ctx context.Context, now testudo.Time, p history.Policy) (r history.Report, err error) {
	s.upkeep.Lock()
	defer s.upkeep.Unlock()
	if err = s.ready(); err != nil {
		return r, err
	}
	w := &work{Store: s, ctx: ctx, now: int64(now), policy: p, report: &r, uids: map[testudo.UID]bool{}}
	for _, u := range p.Hold.UIDs {
		w.uids[u] = true
	}
	if s.kept == nil || !reflect.DeepEqual(s.hold, p.Hold) {
		s.hold, s.kept = p.Hold, map[string]bool{}
	}
	// Room is made before room is taken.
	for _, step := range []func() error{w.expire, w.seal, w.join, w.blank, w.evict, w.tidy} {
		err = errors.Join(err, step())
		if ctx.Err() != nil {
			break
		}
	}
	s.sum(&r)
	return r, err
}

func (s *Store) ready() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.writable()
}

// work is one run of Maintain or Forget.
type work struct {
	*Store
	ctx    context.Context
	now    int64
	policy history.Policy
	report *history.Report
	uids   map[testudo.UID]bool // that are held
	added  int64                // bytes that the last replacement took
}

// seal moves the tails' records into files.
func (w *work) seal() error {
	w.mu.Lock()
	w.endTail()
	tails := slices.Clone(w.tails)
	w.mu.Unlock()
	for len(tails) > 0 {
		n, size := 0, int64(0)
		for n < len(tails) && (n == 0 || size+tails[n].size <= maxTail) {
			size += tails[n].size
			n++
		}
		if err := w.sealTails(tails[:n]); err != nil {
			return err
		}
		tails = tails[n:]
		if err := w.ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}

// place is what becomes a file.
type place struct {
	log  string
	hour int64
	day  int64 // on which it was ingested, so that each goes in its time
}

// batch is records for one file.
type batch struct {
	layout       *history.Layout
	records      []testudo.Record
	minAt, maxAt int64
	blank        bool
}

func (b *batch) at(t int64) {
	if len(b.records) == 0 {
		b.minAt, b.maxAt = t, t
	}
	b.minAt, b.maxAt = min(b.minAt, t), max(b.maxAt, t)
}

func (w *work) sealTails(tails []*tail) error {
	batches := map[place]*batch{}
	ch := change{Parts: map[string]parts{}, Sealed: tails[len(tails)-1].number}
	for _, t := range tails {
		if err := w.readTail(t, batches, ch.Parts); err != nil {
			w.suspect(t.path, err)
			return err
		}
	}
	var err error
	if ch.Add, err = w.write(batches); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err = w.commit(ch); err != nil {
		w.discard(ch.Add)
		return err
	}
	for _, f := range ch.Add {
		w.report.Sealed += f.rows()
	}
	w.tails = slices.DeleteFunc(w.tails, func(t *tail) bool { return t.number <= ch.Sealed })
	for _, t := range tails {
		err = errors.Join(err, w.retire(t))
	}
	return err
}

// retire removes a tail whose records are in files; a damaged one is kept
// aside.
func (w *work) retire(t *tail) error {
	if t.lost != nil {
		return w.setAside(t.path, t.lost.Error()+"; what could be read of it is in the history")
	}
	return os.Remove(w.path(t.path))
}

func (w *work) readTail(t *tail, batches map[place]*batch, done map[string]parts) error {
	f, err := os.Open(w.path(t.path))
	if err != nil {
		return err
	}
	defer f.Close()
	for _, frame := range t.frames {
		err = t.records(f, []tailFrame{frame}, func(l *history.Layout, r testudo.Record) {
			key := place{l.Log, hourOf(r.Base().Time), int64(frame.ingest.At) / int64(sameAge)}
			if batches[key] == nil {
				batches[key] = &batch{layout: l}
			}
			batches[key].at(int64(frame.ingest.At))
			batches[key].records = append(batches[key].records, r)
		})
		if err != nil {
			return err
		}
		p, ok := done[frame.ingest.ID]
		if !ok {
			known := w.cat.parts[frame.ingest.ID]
			p = parts{Ranges: slices.Clone(known.Ranges), At: known.At}
		}
		p.add(frame.ingest.Part, int64(frame.ingest.At))
		done[frame.ingest.ID] = p
	}
	return nil
}

// write writes a file for each batch. On an error none is left.
func (w *work) write(batches map[place]*batch) (files []file, err error) {
	keys := slices.SortedFunc(maps.Keys(batches), func(a, b place) int {
		return cmp.Or(cmp.Compare(a.hour, b.hour), cmp.Compare(a.log, b.log), cmp.Compare(a.day, b.day))
	})
	for _, k := range keys {
		f, err := w.writeBatch(k, batches[k])
		if err != nil {
			w.discard(files)
			return nil, err
		}
		files = append(files, f)
		delete(batches, k)
	}
	return files, nil
}

func (w *work) writeBatch(k place, b *batch) (file, error) {
	w.mu.Lock()
	n := w.cat.next
	w.cat.next++
	w.mu.Unlock()
	start := time.Unix(k.hour, 0).UTC()
	f := file{Log: k.log, Hour: k.hour, MinAt: b.minAt, MaxAt: b.maxAt, Blank: b.blank}
	f.Path = filepath.Join(k.log, start.Format("2006-01-02"), fmt.Sprintf("%02d-%09d.parquet", start.Hour(), n))
	groups, size, err := writeFile(w.path(f.Path), b.layout, b.records)
	if err != nil {
		return f, err
	}
	f.Size = size
	for _, g := range groups {
		f.Groups = append(f.Groups, bound{g.Rows, int64(g.First), int64(g.Last)})
	}
	return f, nil
}

func (w *work) discard(files []file) {
	for _, f := range files {
		_ = os.Remove(w.path(f.Path))
	}
}

// list returns the files in order.
func (s *Store) list() []file {
	s.mu.Lock()
	defer s.mu.Unlock()
	files := slices.Collect(maps.Values(s.cat.files))
	slices.SortFunc(files, func(a, b file) int {
		return cmp.Or(cmp.Compare(a.Hour, b.Hour), cmp.Compare(a.Log, b.Log), cmp.Compare(a.Path, b.Path))
	})
	return files
}

// join puts the small files of an hour together. Files whose records were
// ingested more than a day apart stay apart, so that each goes in its time.
func (w *work) join() (err error) {
	var group []file
	rows := int64(0)
	flush := func() error {
		defer func() { group, rows = nil, 0 }()
		if len(group) >= joinCount || len(group) > 1 && w.now-group[len(group)-1].MaxAt > int64(joinAge) {
			return w.joinFiles(group)
		}
		return nil
	}
	files := slices.DeleteFunc(w.list(), func(f file) bool { return f.rows() >= groupRows })
	slices.SortStableFunc(files, func(a, b file) int {
		return cmp.Or(cmp.Compare(a.Hour, b.Hour), cmp.Compare(a.Log, b.Log), cmp.Compare(a.MinAt, b.MinAt))
	})
	for _, f := range files {
		if w.ctx.Err() != nil {
			return w.ctx.Err()
		}
		if len(group) > 0 {
			g := group[0]
			if g.Hour != f.Hour || g.Log != f.Log || g.Blank != f.Blank || f.MaxAt-g.MinAt > int64(sameAge) || rows+f.rows() > joinRows {
				err = errors.Join(err, flush())
			}
		}
		group, rows = append(group, f), rows+f.rows()
	}
	return errors.Join(err, flush())
}

func (w *work) joinFiles(files []file) error {
	b := &batch{}
	var drop []string
	for _, f := range files {
		records, l, err := w.readAll(f)
		if err != nil {
			if err = w.dropDamaged(f, err); err != nil {
				return err
			}
			continue
		}
		b.at(f.MinAt)
		b.at(f.MaxAt)
		b.minAt, b.blank, b.layout = min(b.minAt, f.MinAt), f.Blank, l
		b.records = append(b.records, records...)
		drop = append(drop, f.Path)
	}
	if len(drop) < 2 {
		return nil
	}
	return w.replace(place{log: files[0].Log, hour: files[0].Hour}, drop, b, func() { w.report.Joined += int64(len(drop)) })
}

// replace puts one file, or none where b is empty, in the place of others.
func (w *work) replace(k place, drop []string, b *batch, done func()) error {
	ch := change{Drop: drop}
	w.added = 0
	if len(b.records) > 0 {
		f, err := w.writeBatch(k, b)
		if err != nil {
			return err
		}
		ch.Add, w.added = []file{f}, f.Size
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.commit(ch); err != nil {
		w.discard(ch.Add)
		return err
	}
	w.unlink()
	done()
	return nil
}

// readAll reads every record of a file.
func (s *Store) readAll(d file) (records []testudo.Record, l *history.Layout, err error) {
	defer caught(&err)
	f, err := os.Open(s.path(d.Path))
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	src, err := openSource(f, d.Size, history.LayoutOf(d.Log))
	if err != nil {
		return nil, nil, err
	}
	for i, g := range src.file.RowGroups() {
		if i >= len(d.Groups) || g.NumRows() != d.Groups[i].Rows {
			return nil, nil, errDamaged
		}
		part, err := src.fetch(g.ColumnChunks(), newRowSet(g.NumRows()))
		if err != nil {
			return nil, nil, err
		}
		records = append(records, part...)
	}
	if int64(len(records)) != d.rows() {
		return nil, nil, errDamaged
	}
	return records, src.layout, nil
}

// suspect remembers a file that could not be read for the next report.
func (s *Store) suspect(path string, why error) {
	if path == "" || s.readOnly {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken == nil {
		s.broken = map[string]string{}
	}
	s.broken[path] = why.Error()
}

// dropDamaged takes a file that cannot be read out of the history and sets it
// aside.
func (w *work) dropDamaged(f file, why error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.setAside(f.Path, why.Error()); err != nil {
		return err
	}
	return w.commit(change{Drop: []string{f.Path}})
}

// tidy sets aside what scans found damaged, and keeps the catalog short.
func (w *work) tidy() error {
	w.mu.Lock()
	broken := w.broken
	w.broken = nil
	w.mu.Unlock()
	for _, f := range w.list() {
		if _, suspected := broken[f.Path]; !suspected {
			continue
		}
		// Only what is still unreadable is damaged; a busy system passes.
		if _, _, err := w.readAll(f); err != nil {
			if err = w.dropDamaged(f, err); err != nil {
				return err
			}
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.forgetIngests()
	if w.cat.frames > maxChanges {
		return w.rewriteCatalog()
	}
	return nil
}

// forgetIngests drops what is known of ingests whose records have expired.
func (w *work) forgetIngests() {
	if w.policy.Keep <= 0 {
		return
	}
	for id, p := range w.cat.parts {
		if p.At < w.now-int64(w.policy.Keep) {
			delete(w.cat.parts, id)
			delete(w.parts, id)
			w.cat.frames = maxChanges + 1
		}
	}
}

// sum fills in what there is now.
func (s *Store) sum(r *history.Report) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r.Damaged = append(r.Damaged, s.aside...)
	s.aside = nil
	for _, f := range s.cat.files {
		r.Files, r.Rows, r.Bytes = r.Files+1, r.Rows+f.rows(), r.Bytes+f.Size
		for _, g := range f.Groups {
			if r.Oldest == 0 || testudo.Time(g.First) < r.Oldest {
				r.Oldest = testudo.Time(g.First)
			}
			r.Newest = max(r.Newest, testudo.Time(g.Last))
		}
	}
	for _, t := range s.tails {
		r.Bytes += t.size
	}
}
