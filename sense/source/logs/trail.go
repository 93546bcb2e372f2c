package logs

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/testudo-shield/testudo"
)

// trail is one log's path with the files that were at it.
type trail struct {
	path    string
	current *generation
	old     []*generation // rotated away, and not read or handed out to their ends
	known   []mark        // of those that are done with, the newest last
	since   int64         // files that were written to before, in Unix nanoseconds, are not new
	scan    int           // for how many rounds to look for files that were rotated away
	folder  time.Time     // when the path's folder had changed last, as it was seen
}

// coarse is how far behind a file system's clock may be.
const coarse = 2 * time.Second

// all returns the generations, the oldest first.
func (t *trail) all() []*generation {
	if t.current == nil {
		return t.old
	}
	return append(t.old[:len(t.old):len(t.old)], t.current)
}

// look sees what has become of a trail and reads what is new.
func (f *Follower) look(t *trail) {
	f.replace(t)
	for _, g := range t.all() {
		if g.name != "" && g.stream == nil && !g.over {
			_ = g.restream() // not packed to its end yet; the round after tries again
		}
		f.read(g)
	}
	if t.stirred() {
		t.scan = max(t.scan, listEvery)
	}
	if t.scan > 0 {
		t.scan--
		f.search(t)
	} else {
		t.since = max(t.since, time.Now().Add(-coarse).UnixNano()) // what is older was found
	}
	for _, g := range t.old {
		f.age(t, g)
	}
	t.old = slices.DeleteFunc(t.old, func(g *generation) bool {
		if g.done() {
			t.know(g.mark)
		}
		return g.done()
	})
}

// stirred says whether files came, went or were renamed beside the path since
// it was asked last. A log may be written, copied and cut off between two
// rounds: its copy is all that tells of it.
func (t *trail) stirred() bool {
	info, err := os.Stat(filepath.Dir(t.path))
	if err != nil || info.ModTime().Equal(t.folder) {
		return false
	}
	t.folder = info.ModTime()
	return true
}

// know remembers a file that is done with.
func (t *trail) know(m mark) {
	if m.Size == 0 || slices.Contains(t.known, m) {
		return
	}
	if t.known = append(t.known, m); len(t.known) > maxKnown {
		t.known = slices.Delete(t.known, 0, 1)
	}
}

// replace notices that another file is at the path.
func (f *Follower) replace(t *trail) {
	info, err := os.Stat(t.path)
	if t.current != nil {
		was, errWas := t.current.file.Stat()
		if err == nil && errWas == nil && os.SameFile(info, was) {
			return
		}
		t.current.grown = time.Now()
		t.old = append(t.old, t.current)
		t.current, t.scan = nil, f.asks
	}
	if err != nil || !info.Mode().IsRegular() {
		return
	}
	head, err := headOf(t.path, headSize)
	if err != nil {
		return
	}
	g := t.missing(head)
	if g == nil {
		g = f.generation(t)
	}
	switch err := g.attach(t.path, false); {
	case errors.Is(err, os.ErrNotExist): // rotated away since: the round after looks again
	case err != nil:
		f.skip(t.path, err.Error())
	default:
		t.old = slices.DeleteFunc(t.old, func(o *generation) bool { return o == g })
		t.current = g
	}
}

// generation makes one that nothing was read of yet. Where it has no header
// of its own, that of the one before holds.
func (f *Follower) generation(t *trail) *generation {
	g := &generation{header: f.format.File(t.path)}
	if all := t.all(); len(all) > 0 {
		g.header = all[len(all)-1].header
	}
	g.parser = g.header.Parser()
	return g
}

// missing returns the generation that is looked for and may be in a file with
// that beginning.
func (t *trail) missing(head []byte) *generation {
	for _, g := range t.old {
		if g.lost() && g.mark.fits(head) {
			return g
		}
	}
	return nil
}

// wasCut splits a generation whose file was cut to nothing: what was read of
// it goes on in a copy, if there is one, and the file begins anew.
func (t *trail) wasCut(g *generation, asks int) {
	t.scan = asks
	if g.mark.Size == 0 {
		return // nothing was read of it: what it held is in a file of its own
	}
	next := &generation{header: g.header, file: g.file, grown: time.Now()}
	g.file, g.asked = nil, 0
	next.parser = next.header.Parser()
	if t.current == g {
		t.current = next
		t.old = append(t.old, g)
		return
	}
	t.old = append(t.old, next)
}

// age ends what was rotated away and grows no more, or was not found.
func (f *Follower) age(t *trail, g *generation) {
	switch {
	case g.over || g.behind:
	case g.lost():
		if g.asked++; g.asked > f.asks {
			f.skip(t.path, "a file that was rotated away could not be found: what was last written to it is not known")
			f.finish(g)
		}
	case time.Since(g.grown) < f.linger:
	case g.stream == nil && g.name != "":
		f.skip(g.name, "read in part: its compression is broken")
		f.finish(g)
	case t.current != nil && t.current.offset > 0:
		f.finish(g)
	}
}

// search looks for files that were rotated away before they were seen, or
// read to their end.
func (f *Follower) search(t *trail) {
	for _, name := range t.candidates() {
		info, err := os.Stat(name)
		if err != nil || !info.Mode().IsRegular() || t.reads(name, info) {
			continue
		}
		old := info.ModTime().UnixNano() < t.since
		if old && !slices.ContainsFunc(t.old, (*generation).lost) {
			continue
		}
		head, err := headOf(name, headSize)
		if err != nil {
			continue
		}
		if t.current != nil {
			f.read(t.current) // this may be a copy of what was not read of it yet
		}
		g := t.missing(head)
		if g == nil {
			if old || t.knows(head) {
				continue
			}
			making := len(head) < headSize && time.Since(info.ModTime()) < f.linger
			if !making && !f.format.Sniff(head) {
				continue
			}
			if making || t.stands(head) {
				t.scan = max(t.scan, 1)
				continue // it may be a copy in the making of one that is known, or of one that is read next
			}
			g = f.generation(t)
			g.mark = markOf(head)
			t.old = append(t.old, g)
		}
		g.grown = time.Now()
		if err := g.attach(name, packed(name)); err == nil {
			f.read(g)
		}
	}
}

// packed says whether a file is compressed.
func packed(name string) bool {
	h, err := os.Open(name)
	if err != nil {
		return false
	}
	defer h.Close()
	var magic [2]byte
	_, _ = h.ReadAt(magic[:], 0)
	return magic == [2]byte{0x1f, 0x8b} || magic == [2]byte{0x28, 0xb5}
}

// reads says whether a file is one that is being read.
func (t *trail) reads(name string, info os.FileInfo) bool {
	for _, g := range t.all() {
		if g.name == name {
			return true
		}
		if g.file == nil {
			continue
		}
		if was, err := g.file.Stat(); err == nil && os.SameFile(info, was) {
			return true
		}
	}
	return false
}

// knows says whether what begins with head is being read or done with.
func (t *trail) knows(head []byte) bool {
	for _, m := range t.known {
		if m.fits(head) {
			return true
		}
	}
	for _, g := range t.all() {
		if g.mark.fits(head) {
			return true
		}
	}
	return false
}

// stands says whether a file that begins with head may be a copy of one that
// was not cut off yet: the one at the path, or one that is held. They are asked
// now, as a mark tells only what was read, and a copy is there before the cut.
func (t *trail) stands(head []byte) bool {
	if now, err := headOf(t.path, len(head)); err == nil && bytes.Equal(now, head) {
		return true
	}
	now := make([]byte, len(head))
	return slices.ContainsFunc(t.all(), func(g *generation) bool {
		if g.file == nil {
			return false
		}
		n, _ := g.file.ReadAt(now, 0) // what cannot be read is not read twice
		return bytes.Equal(now[:n], head)
	})
}

// candidates returns the files into which the trail's may have been rotated:
// those beside it whose names begin alike and, for Zeek's "current", those in
// the newest two folders of days.
func (t *trail) candidates() []string {
	dir, base := filepath.Split(t.path)
	stem, _, _ := strings.Cut(base, ".")
	dirs := []string{filepath.Clean(dir)}
	if filepath.Base(dirs[0]) == "current" {
		days, _ := filepath.Glob(filepath.Join(filepath.Dir(dirs[0]), "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]"))
		slices.Sort(days)
		dirs = append(dirs, days[max(0, len(days)-2):]...)
	}
	var names []string
	for _, dir := range dirs {
		entries, err := os.ReadDir(dir) // sorted, so that a file comes before its packed form
		if err != nil {
			continue
		}
		for _, e := range entries {
			rest, ok := strings.CutPrefix(e.Name(), stem)
			name := filepath.Join(dir, e.Name())
			if ok && name != t.path && rest != "" && strings.ContainsRune(".-", rune(rest[0])) && !plainName(e.Name()) {
				names = append(names, name)
			}
		}
	}
	return names
}

// list finds logs of a folder that are not followed yet.
func (f *Follower) list(dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return // the folder may come back
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if !e.Type().IsRegular() || !plainName(e.Name()) || f.trail(path) != nil || len(f.trails) >= maxTrails {
			continue
		}
		head, err := headOf(path, sniffed)
		switch {
		case err == nil && f.format.Sniff(head):
			f.add(path)
		case errors.Is(err, os.ErrPermission):
			f.refused(path)
		}
	}
}

// refused tells once of a log that this account may not read: it would else
// look like one in which nothing happens.
func (f *Follower) refused(path string) {
	s := testudo.Skip{Input: path, Reason: "permission denied: the account that watches may not read it"}
	if !slices.Contains(f.skipped, s) {
		f.skip(s.Input, s.Reason)
	}
}

// plainName says whether a name is that of a log being written, as against
// one that was rotated: "conn.log", "eve.json".
func plainName(name string) bool {
	stem, ext, _ := strings.Cut(name, ".")
	if ext != "log" && ext != "json" {
		return false
	}
	for i := range len(stem) - 1 {
		if stem[i] == '-' && isDigit(stem[i+1]) {
			return false
		}
	}
	return stem != ""
}

func (f *Follower) trail(path string) *trail {
	for _, t := range f.trails {
		if t.path == path {
			return t
		}
	}
	return nil
}

func (f *Follower) add(path string) {
	if f.trail(path) != nil {
		return
	}
	t := &trail{path: path}
	t.begin()
	f.trails = append(f.trails, t)
}

// begin sets what is new apart from what stands beside the path already.
func (t *trail) begin() {
	now := time.Now()
	t.since = now.Add(-coarse).UnixNano()
	for _, name := range t.candidates() {
		if info, err := os.Stat(name); err == nil && !info.ModTime().After(now) {
			t.since = max(t.since, info.ModTime().UnixNano()+1)
		}
	}
}
