package feed

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/testudo-shield/testudo"
)

const (
	keptName    = "kept.json"
	keptVersion = 1
	maxKept     = 64 << 20 // bytes of a kept.json
)

// A Store holds the last good copy of each source. One process at a time
// writes to a source's folder; the others are told so.
type Store struct {
	dir    string
	limits limits
	proxy  func(*http.Request) (*url.URL, error)
}

// limits are what a source may take of our time.
type limits struct {
	connect   time.Duration // for the connection, and again for TLS
	firstByte time.Duration // for the header of an answer
	stall     time.Duration // between two pieces of a body
	whole     time.Duration // for everything of one source
	parallel  int           // sources at once
}

// Open returns the store of the state folder dir; it lives in dir/feeds,
// which is made where it is missing. The proxy is the environment's
// (HTTPS_PROXY, NO_PROXY).
func Open(dir string) (*Store, error) {
	feeds := filepath.Join(dir, "feeds")
	if err := os.MkdirAll(feeds, 0o700); err != nil {
		return nil, fmt.Errorf("feeds: %w", err)
	}
	return &Store{
		dir:   feeds,
		proxy: http.ProxyFromEnvironment,
		limits: limits{
			connect: 15 * time.Second, firstByte: 30 * time.Second,
			stall: 30 * time.Second, whole: 30 * time.Minute, parallel: 4,
		},
	}, nil
}

// Kept is what is known of a source's copy and of the last attempts.
type Kept struct {
	Version  int               `json:"version"`
	Source   string            `json:"source"`
	Origin   string            `json:"origin,omitempty"`  // the address as it may be shown
	Address  string            `json:"address,omitempty"` // SHA-256 of the address and of what was asked of the file
	Kind     string            `json:"kind,omitempty"`
	Licence  string            `json:"licence,omitempty"`
	TLP      testudo.TLP       `json:"-"`
	Label    string            `json:"tlp,omitempty"`
	ETag     string            `json:"etag,omitempty"`
	Modified string            `json:"last_modified,omitempty"`
	SHA256   string            `json:"sha256,omitempty"` // of what was fetched, before it was unpacked
	Fetched  testudo.Time      `json:"fetched"`          // when this copy came, 0 for none
	Checked  testudo.Time      `json:"checked"`          // when it was last found to be the newest
	Tried    testudo.Time      `json:"tried"`            // when it was last asked for
	Failure  string            `json:"failure,omitempty"`
	Cursor   map[string]string `json:"cursor,omitempty"` // of a TAXII collection, where the next answer begins
	Whole    int               `json:"whole,omitempty"`  // of a TAXII source, how many of Files came when all was fetched
	Files    []File            `json:"files"`
}

// A File is one file of a copy. Its path is good until the source is
// fetched again.
type File struct {
	Source string `json:"-"`
	Name   string `json:"name"` // as the source calls it
	Path   string `json:"-"`
	SHA256 string `json:"sha256"`
	Bytes  int64  `json:"bytes"`
	Stamp  int64  `json:"stamp,omitempty"` // of a MISP event, its timestamp in seconds
	New    bool   `json:"-"`               // it came with this fetch
}

// Due reports whether it is time to ask for s: its interval has passed, or
// an hour since an attempt that failed.
func (k *Kept) Due(s Source, now testudo.Time) bool {
	every := s.Every
	if every <= 0 {
		every = 24 * time.Hour
	}
	if k.Failure != "" {
		return now.Sub(k.Tried) >= min(every, time.Hour) || now < k.Tried
	}
	return k.Checked == 0 || now.Sub(k.Checked) >= every || now < k.Checked
}

// Bytes returns the size of the copy.
func (k *Kept) Bytes() (n int64) {
	for i := range k.Files {
		n += k.Files[i].Bytes
	}
	return n
}

// Kept returns what is kept of the named source; one that was never fetched
// has no files and no error. Files that are not there in full are left out,
// and the next fetch asks for everything again.
func (s *Store) Kept(name string) (Kept, error) {
	k := Kept{Version: keptVersion, Source: name}
	if !nameForm.MatchString(name) {
		return k, fmt.Errorf("%q: not the name of a source", name)
	}
	at := filepath.Join(s.dir, name, keptName)
	text, err := readSmall(at, maxKept)
	if errors.Is(err, fs.ErrNotExist) {
		return k, nil
	}
	if err != nil {
		return k, fmt.Errorf("feed %s: what was kept cannot be read: %w", name, err)
	}
	var read Kept
	if err := json.Unmarshal(text, &read); err != nil {
		return k, nil // damaged: as if never fetched
	}
	if read.Version > keptVersion {
		return k, fmt.Errorf("feed %s: %s was written by a newer release; use that, or remove the folder", name, at)
	}
	read.Source, read.TLP = name, testudo.ParseTLP(read.Label)
	s.settle(&read)
	return read, nil
}

// List returns what is kept of every source that was ever tried, by name.
func (s *Store) List() ([]Kept, error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, fmt.Errorf("feeds: %w", err)
	}
	var all []Kept
	for _, e := range entries {
		if !e.IsDir() || !nameForm.MatchString(e.Name()) {
			continue
		}
		k, err := s.Kept(e.Name())
		if err != nil {
			return all, err
		}
		if k.Tried != 0 {
			all = append(all, k)
		}
	}
	return all, nil
}

// settle gives k's files their paths and drops those that are not there.
func (s *Store) settle(k *Kept) {
	before := len(k.Files)
	k.Files = slices.DeleteFunc(k.Files, func(f File) bool {
		info, err := os.Lstat(s.pathOf(k.Source, &f))
		return !isSHA256(f.SHA256) || err != nil || !info.Mode().IsRegular() || info.Size() != f.Bytes
	})
	for i := range k.Files {
		f := &k.Files[i]
		f.Source, f.Path = k.Source, s.pathOf(k.Source, f)
	}
	if len(k.Files) < before {
		k.ETag, k.Modified, k.SHA256, k.Cursor, k.Checked = "", "", "", nil, 0
	}
	if len(k.Files) == 0 {
		k.Fetched = 0
	}
}

// pathOf returns where a file lies: its name in the store begins with its
// hash, so that a new copy never overwrites what an old one needs.
func (s *Store) pathOf(source string, f *File) string {
	return filepath.Join(s.dir, source, storedName(f))
}

func storedName(f *File) string {
	return f.SHA256[:min(16, len(f.SHA256))] + "-" + plain(f.Name)
}

// plain returns the last part of a name in characters that are harmless in
// any folder.
func plain(name string) string {
	name = name[strings.LastIndexAny(name, `/\`)+1:]
	b := []byte(name[max(0, len(name)-80):])
	for i, c := range b {
		if ok := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '-' || c == '_'; !ok {
			b[i] = '_'
		}
	}
	if len(b) == 0 {
		return "list"
	}
	return string(b)
}

// readSmall reads a file of at most limit bytes.
func readSmall(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file", path)
	}
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(b)) > limit {
		return nil, fmt.Errorf("%s: larger than %s", path, size(limit))
	}
	return b, err
}
