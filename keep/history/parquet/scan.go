package parquet

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"runtime"
	"slices"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/keep/history"
)

// unit is a piece of work of a scan: a row group, or the tails' share of an
// hour. The last unit of an hour says so.
type unit struct {
	hour  int64
	first testudo.Time // no record of it is older
	run   func() result
	bytes int64 // what it takes on disk
	rows  int64
	file  string
	blank bool
	last  bool
	done  chan result
	after func() // gives back what it used
}

// Scan implements history.Store.
func (s *Store) Scan(ctx context.Context, q testudo.Query, give func(testudo.Record) bool, progress func(history.Progress)) (history.Scanned, error) {
	filter, err := history.Compile(q)
	if err != nil {
		return history.Scanned{}, err
	}
	if s.readOnly {
		if err = s.refresh(); err != nil {
			return history.Scanned{}, err
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	sc := &scan{store: s, filter: filter, give: give, progress: progress, lookahead: make(chan *unit, runtime.GOMAXPROCS(0))}
	sc.hours, sc.total, sc.answer.TornFrames = s.hours(filter)
	go sc.plan(ctx)
	err = sc.collect(ctx)
	cancel()
	for u := range sc.lookahead {
		<-u.done
		u.after()
	}
	return sc.answer, err
}

// scan is one answer in the making.
type scan struct {
	store     *Store
	filter    *history.Filter
	give      func(testudo.Record) bool
	progress  func(history.Progress)
	hours     []int64
	total     int64
	lookahead chan *unit // being worked on, in order

	answer history.Scanned
	done   int64
	hour   int64
	read   map[string]bool  // files of the hour of which something was read
	wait   []testudo.Record // found, but something older may come
	full   bool
}

// hours returns which hours there are and how many bytes they take.
func (s *Store) hours(f *history.Filter) (hours []int64, bytes, torn int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	set := map[int64]bool{}
	for _, d := range s.cat.files {
		if asked(f, d.Log) && overlaps(f, d.Hour) {
			set[d.Hour] = true
			bytes += d.Size
		}
	}
	for _, t := range s.tails {
		if t.torn {
			torn++
		}
		for _, frame := range t.frames {
			for h := frame.first; h <= frame.last; h += hour {
				if overlaps(f, h) {
					set[h] = true
				}
			}
		}
	}
	for h := range set {
		hours = append(hours, h)
	}
	slices.Sort(hours)
	return hours, bytes, torn
}

func asked(f *history.Filter, log string) bool {
	return slices.ContainsFunc(f.Kinds(), func(k history.Kind) bool { return k.Layout.Log == log })
}

func overlaps(f *history.Filter, h int64) bool {
	start := testudo.Time(h * 1e9)
	return start < f.To && start+testudo.Time(hour*1e9) > f.From
}

// plan puts the work in order and has it done by as many as there are
// processors, a little ahead of the collecting.
func (sc *scan) plan(ctx context.Context) {
	defer close(sc.lookahead)
	busy := make(chan struct{}, runtime.GOMAXPROCS(0))
	for _, h := range sc.hours {
		units := sc.store.units(h, sc.filter)
		for i, u := range units {
			if ctx.Err() != nil {
				for _, u := range units[i:] {
					u.after()
				}
				return
			}
			busy <- struct{}{}
			go func() { u.done <- u.run(); <-busy }()
			sc.lookahead <- u
		}
	}
}

// units returns the work of an hour in order of time.
func (s *Store) units(h int64, f *history.Filter) (units []*unit) {
	var missing map[string]bool
	for range 5 {
		files, tails := s.snapshot(h, f)
		opened, gone := s.openAll(files, missing)
		if gone == "" {
			if gone = s.openTails(tails, missing); gone == "" {
				units = append(s.fileUnits(opened, f), s.tailUnit(h, tails, f))
				break
			}
			closeAll(opened)
		}
		// Somebody joined or removed files since; what replaced them is known.
		if s.readOnly {
			_ = s.refresh()
		}
		if missing == nil {
			missing = map[string]bool{}
		}
		missing[gone] = true
	}
	slices.SortStableFunc(units, func(a, b *unit) int { return cmp.Compare(a.first, b.first) })
	for _, u := range units {
		u.hour = h
	}
	if len(units) > 0 {
		units[len(units)-1].last = true
	}
	return units
}

// snapshot returns what there is of an hour at one moment.
func (s *Store) snapshot(h int64, f *history.Filter) (files []file, tails []tail) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.cat.files {
		if d.Hour == h && asked(f, d.Log) {
			files = append(files, d)
		}
	}
	slices.SortFunc(files, func(a, b file) int { return cmp.Compare(a.Path, b.Path) })
	for _, t := range s.tails {
		part := tail{path: t.path, size: t.size, dec: t.dec, torn: t.torn, lost: t.lost}
		for _, frame := range t.frames {
			if frame.first <= h && h <= frame.last {
				part.frames = append(part.frames, frame)
			}
		}
		tails = append(tails, part)
	}
	return files, tails
}

// opened is a file of the history that is open until the last of its units is
// done.
type opened struct {
	file
	f    *os.File
	left int
	err  error
}

// openAll opens the files. Gone is one that is not there, unless it was
// missing before, too.
func (s *Store) openAll(files []file, missing map[string]bool) (all []*opened, gone string) {
	for _, d := range files {
		f, err := os.Open(s.path(d.Path))
		if errors.Is(err, fs.ErrNotExist) && !missing[d.Path] {
			closeAll(all)
			return nil, d.Path
		}
		all = append(all, &opened{file: d, f: f, left: len(d.Groups), err: err})
	}
	return all, ""
}

func closeAll(all []*opened) {
	for _, o := range all {
		if o.f != nil {
			_ = o.f.Close()
		}
	}
}

// openTails opens those tails that hold something of the hour, as openAll.
func (s *Store) openTails(tails []tail, missing map[string]bool) (gone string) {
	for i := range tails {
		if len(tails[i].frames) == 0 {
			continue
		}
		tails[i].file, tails[i].err = os.Open(s.path(tails[i].path))
		if errors.Is(tails[i].err, fs.ErrNotExist) && !missing[tails[i].path] {
			closeTails(tails)
			return tails[i].path
		}
	}
	return ""
}

func closeTails(tails []tail) {
	for i := range tails {
		if tails[i].file != nil {
			_ = tails[i].file.Close()
		}
	}
}

// fileUnits returns a unit for every row group that reaches into the time.
func (s *Store) fileUnits(all []*opened, f *history.Filter) (units []*unit) {
	for _, o := range all {
		src := &shared{opened: o}
		kind := kindFor(f, o.Log)
		for g, b := range o.Groups {
			u := &unit{first: testudo.Time(b.First), rows: b.Rows, file: o.Path, blank: o.Blank, bytes: o.Size * b.Rows / max(o.rows(), 1), done: make(chan result, 1), after: o.close}
			u.run = func() result {
				if testudo.Time(b.First) >= f.To || testudo.Time(b.Last) < f.From {
					return result{skipped: b.Rows}
				}
				return src.match(g, kind, f)
			}
			units = append(units, u)
		}
	}
	return units
}

func kindFor(f *history.Filter, log string) *history.Kind {
	kinds := f.Kinds()
	for i := range kinds {
		if kinds[i].Layout.Log == log {
			return &kinds[i]
		}
	}
	return nil
}

// close closes the file after its last unit. Only the collector calls it.
func (o *opened) close() {
	if o.left--; o.left == 0 && o.f != nil {
		_ = o.f.Close()
	}
}

// shared opens a file's end for each unit: two may run at once.
type shared struct{ *opened }

func (s *shared) match(g int, kind *history.Kind, f *history.Filter) result {
	if s.err != nil {
		return result{err: s.err}
	}
	src, err := openSource(s.f, s.Size, kind.Layout)
	if err != nil {
		return result{err: err}
	}
	if g >= len(src.file.RowGroups()) || src.file.RowGroups()[g].NumRows() != s.Groups[g].Rows {
		return result{err: errDamaged}
	}
	r := src.match(g, kind, f.From, f.To)
	r.bytes = src.bytes.read
	return r
}

// tailUnit returns the unit of what is not yet in files. It is the first of
// its hour.
func (s *Store) tailUnit(h int64, tails []tail, f *history.Filter) *unit {
	u := &unit{first: testudo.Time(h * 1e9), done: make(chan result, 1), after: func() { closeTails(tails) }}
	u.run = func() (r result) {
		for i := range tails {
			if len(tails[i].frames) == 0 {
				continue
			}
			r.frames += int64(len(tails[i].frames))
			if err := s.scanTail(&tails[i], h, f, &r); err != nil {
				r.err = errors.Join(r.err, err)
			}
		}
		return r
	}
	return u
}

func (s *Store) scanTail(t *tail, h int64, f *history.Filter, r *result) error {
	if t.err != nil {
		return t.err
	}
	return t.records(t.file, t.frames, func(l *history.Layout, rec testudo.Record) {
		at := rec.Base().Time
		k := kindFor(f, l.Log)
		if hourOf(at) != h || k == nil {
			return
		}
		r.rows++
		if at >= f.From && at < f.To && k.Match(rec, l.Value(rec)) {
			r.records = append(r.records, rec)
		}
	})
}

// collect gives what is found in order.
func (sc *scan) collect(ctx context.Context) error {
	for u := range sc.lookahead {
		var r result
		select {
		case r = <-u.done:
		case <-ctx.Done():
			<-u.done
			u.after()
			return ctx.Err()
		}
		u.after()
		sc.take(u, r)
		if sc.full {
			return nil
		}
	}
	return ctx.Err()
}

// take counts what a unit gave and passes on what nothing older can follow.
func (sc *scan) take(u *unit, r result) {
	a := &sc.answer
	start := testudo.Time(u.hour * 1e9)
	if sc.hour != u.hour || sc.read == nil {
		sc.hour, sc.read = u.hour, map[string]bool{}
	}
	if n := len(a.Hours); u.rows+r.rows > 0 {
		if n == 0 || a.Hours[n-1].Start != start {
			a.Hours = append(a.Hours, history.Hour{Start: start})
		}
		at := &a.Hours[len(a.Hours)-1]
		at.Rows, at.Nameless = at.Rows+u.rows+r.rows, at.Nameless || u.blank
	}
	a.TailFrames += r.frames
	a.Rows, a.RowsSkipped = a.Rows+u.rows+r.rows-r.skipped, a.RowsSkipped+r.skipped
	a.Bytes, a.BytesSkipped = a.Bytes+r.bytes, a.BytesSkipped+max(u.bytes-r.bytes, 0)
	if read, known := sc.read[u.file]; u.file != "" {
		sc.read[u.file] = read || r.skipped < u.rows
		switch {
		case !known && r.skipped < u.rows:
			a.Files++
		case !known:
			a.FilesSkipped++
		case !read && r.skipped < u.rows:
			a.Files, a.FilesSkipped = a.Files+1, a.FilesSkipped-1
		}
	}
	if r.err != nil {
		a.Damaged = append(a.Damaged, history.Damage{File: cmp.Or(u.file, "tail"), Reason: r.err.Error()})
		sc.store.suspect(u.file, r.err)
	}
	sc.emit(u.first)
	sc.wait = append(sc.wait, r.records...)
	sc.done += u.bytes
	if u.last {
		sc.emit(u.first + testudo.Time(hour*1e9))
		if sc.progress != nil {
			sc.progress(history.Progress{Done: sc.done, Total: max(sc.total, sc.done), Found: a.Found, Hour: start})
		}
	}
}

// emit gives what waits and is older than a time, in order.
func (sc *scan) emit(before testudo.Time) {
	if len(sc.wait) == 0 || sc.full {
		return
	}
	slices.SortStableFunc(sc.wait, func(a, b testudo.Record) int {
		x, y := a.Base(), b.Base()
		return cmp.Or(cmp.Compare(x.Time, y.Time), cmp.Compare(a.Log(), b.Log()), cmp.Compare(x.UID, y.UID))
	})
	n := 0
	for n < len(sc.wait) && sc.wait[n].Base().Time < before && !sc.full {
		sc.answer.Found++
		sc.full = !sc.give(sc.wait[n]) || sc.answer.Found >= sc.filter.Limit
		n++
	}
	sc.wait = slices.Delete(sc.wait, 0, n)
}
