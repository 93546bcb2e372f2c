package feed

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
)

const tempPrefix = ".tmp-"

// A stage is where the files of a copy are put before it becomes the one in
// use. They lie in the source's folder beside the old ones; only the rename
// of kept.json makes them the copy.
type stage struct {
	dir     string
	left    int64 // bytes that may still be written
	max     int64
	release func()
}

// stage locks the folder of a source and prepares it.
func (s *Store) stage(name string, maxBytes int64) (*stage, error) {
	dir := filepath.Join(s.dir, name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, diskFault(err)
	}
	release, err := lock(filepath.Join(dir, ".lock"))
	if err != nil {
		return nil, err
	}
	return &stage{dir: dir, left: maxBytes, max: maxBytes, release: release}, nil
}

// temp returns a new file that nothing refers to.
func (g *stage) temp() (*os.File, error) {
	f, err := os.CreateTemp(g.dir, tempPrefix+"*")
	if err != nil {
		return nil, diskFault(err)
	}
	return f, nil
}

// add writes a file of the copy and returns it with its place.
func (g *stage) add(source, name string, r io.Reader) (File, error) {
	t, err := g.temp()
	if err != nil {
		return File{}, err
	}
	defer os.Remove(t.Name()) // nothing, once renamed
	defer t.Close()
	w := &sink{file: t, left: g.left, max: g.max, hash: sha256.New()}
	if _, err := io.Copy(w, r); err != nil {
		return File{}, err
	}
	g.left -= w.n
	if err := errors.Join(t.Sync(), t.Close()); err != nil {
		return File{}, diskFault(err)
	}
	f := File{Source: source, Name: name, SHA256: hex.EncodeToString(w.hash.Sum(nil)), Bytes: w.n, New: true}
	f.Path = filepath.Join(g.dir, storedName(&f))
	if err := os.Rename(t.Name(), f.Path); err != nil {
		return File{}, diskFault(err)
	}
	return f, nil
}

// commit makes k the copy in use and removes what it does not need.
func (g *stage) commit(k *Kept) error {
	k.Version, k.Label = keptVersion, k.TLP.String()
	text, err := json.MarshalIndent(k, "", " ")
	if err != nil {
		return fmt.Errorf("feed %s: %w", k.Source, err)
	}
	if err := syncDir(g.dir); err != nil {
		return diskFault(err)
	}
	if err := replace(filepath.Join(g.dir, keptName), append(text, '\n')); err != nil {
		return diskFault(err)
	}
	g.sweep(k)
	return nil
}

// sweep removes what k does not name. What cannot be removed waits for the
// next time.
func (g *stage) sweep(k *Kept) {
	needed := map[string]bool{keptName: true, ".lock": true}
	for i := range k.Files {
		needed[storedName(&k.Files[i])] = true
	}
	entries, err := os.ReadDir(g.dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		if !needed[e.Name()] && !e.IsDir() {
			_ = os.Remove(filepath.Join(g.dir, e.Name()))
		}
	}
}

// replace writes a file in full or not at all.
func replace(path string, text []byte) error {
	t, err := os.CreateTemp(filepath.Dir(path), tempPrefix+"*")
	if err != nil {
		return err
	}
	defer os.Remove(t.Name())
	_, err = t.Write(text)
	if err := errors.Join(err, t.Sync(), t.Close()); err != nil {
		return err
	}
	if err := os.Rename(t.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// A sink writes to a file within a limit, hashing as it goes.
type sink struct {
	file io.Writer
	hash hash.Hash
	n    int64
	left int64
	max  int64
}

func (w *sink) Write(p []byte) (int, error) {
	if int64(len(p)) > w.left {
		return 0, tooBig(w.max)
	}
	n, err := w.file.Write(p)
	w.hash.Write(p[:n])
	w.n += int64(n)
	w.left -= int64(n)
	if err != nil {
		err = diskFault(err)
	}
	return n, err
}
