package feed

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
)

const (
	maxMembers   = 10_000   // of an archive
	maxDirectory = 8 << 20  // bytes read to learn them
	maxWindow    = 64 << 20 // of zstd, bytes
	maxRatio     = 250      // of unpacked to packed; lists reach 30
	freeRatio    = 4 << 20  // bytes unpacked before the ratio is looked at
)

// expand adds the file in raw to the stage: itself, or what is in it where
// it is gzip, zstd or zip. One layer is unpacked, whatever its name says.
func (g *stage) expand(source, name string, raw *os.File) ([]File, error) {
	info, err := raw.Stat()
	if err != nil {
		return nil, diskFault(err)
	}
	head := make([]byte, 512)
	n, err := raw.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return nil, diskFault(err)
	}
	head = head[:n]
	if bytes.HasPrefix(head, []byte("PK\x03\x04")) || bytes.HasPrefix(head, []byte("PK\x05\x06")) {
		return g.expandZip(source, raw, info.Size())
	}
	var r io.Reader = io.NewSectionReader(raw, 0, info.Size())
	if open := opener(head); open != nil {
		name = strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(name, ".gz"), ".zst"), ".zstd")
		counted := newRatio(r, g.max)
		r = &lazy{open: func() (io.Reader, error) { return open(counted.packed) }, limit: counted}
	}
	f, err := g.addList(source, name, r)
	if err != nil {
		return nil, err
	}
	return []File{f}, nil
}

func opener(head []byte) func(io.Reader) (io.Reader, error) {
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b, 8}):
		return func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) }
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		return newZstd
	}
	return nil
}

// addList adds a file unless it is empty or a page for people.
func (g *stage) addList(source, name string, r io.Reader) (File, error) {
	head := make([]byte, 512)
	n, err := io.ReadFull(r, head)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return File{}, damaged(err)
	}
	head = head[:n]
	if err := plausible(head); err != nil {
		return File{}, err
	}
	f, err := g.add(source, name, io.MultiReader(bytes.NewReader(head), r))
	return f, damaged(err)
}

// plausible refuses what a server sends in place of a list. What it says of
// the content's type is not looked at: it is often wrong.
func plausible(head []byte) error {
	text := bytes.ToLower(bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf")), " \t\r\n"))
	if len(text) == 0 {
		return &fault{what: "what came is empty", do: "look at the address in a browser"}
	}
	if bytes.HasPrefix(text, []byte("<!doctype html")) || bytes.HasPrefix(text, []byte("<html")) {
		return &fault{what: "what came is a web page, not a list", do: "look at it in a browser: the list may have moved, or want a login"}
	}
	return nil
}

func (g *stage) expandZip(source string, raw *os.File, length int64) (files []File, err error) {
	directory := &bounded{r: raw, left: maxDirectory}
	z, err := zip.NewReader(directory, length)
	if err != nil {
		return nil, damaged(err)
	}
	directory.left = math.MaxInt64 // the members have their own limits
	if len(z.File) > maxMembers {
		return nil, &fault{what: fmt.Sprintf("the archive has %d members, more than %d", len(z.File), maxMembers), do: "refused; tell who runs the source"}
	}
	if err := declared(z.File, g.left, g.max, length); err != nil {
		return nil, err
	}
	for _, m := range z.File {
		if m.FileInfo().IsDir() || strings.HasPrefix(m.Name, "__MACOSX/") || m.UncompressedSize64 == 0 {
			continue
		}
		f, err := g.member(source, m)
		if err != nil {
			return files, err
		}
		files = append(files, f)
	}
	if len(files) == 0 {
		return nil, &fault{what: "the archive holds no files", do: "look at the address in a browser"}
	}
	return files, nil
}

// A bounded reader reads so many bytes in all: the directory of an archive
// is held in memory.
type bounded struct {
	r    io.ReaderAt
	left int64
}

func (b *bounded) ReadAt(p []byte, at int64) (int, error) {
	if b.left -= int64(len(p)); b.left < 0 {
		return 0, &fault{what: fmt.Sprintf("the archive has far more than %d members", maxMembers), do: "refused; tell who runs the source"}
	}
	return b.r.ReadAt(p, at)
}

// declared holds the sizes that an archive states against the limits, before
// anything is unpacked: members that share one body would pass one by one.
func declared(members []*zip.File, left, limit, packed int64) error {
	var all uint64
	for _, m := range members {
		if m.UncompressedSize64 > uint64(left) || all+m.UncompressedSize64 > uint64(left) {
			return tooBig(limit)
		}
		all += m.UncompressedSize64
	}
	if all > freeRatio && all/maxRatio > uint64(packed) {
		return errBomb
	}
	return nil
}

func (g *stage) member(source string, m *zip.File) (File, error) {
	if m.Flags&1 != 0 {
		return File{}, &fault{what: "the archive has a password", do: "fetch it by hand and name the unpacked file"}
	}
	r, err := m.Open()
	if err != nil {
		return File{}, damaged(err)
	}
	defer r.Close()
	f, err := g.add(source, m.Name, r) // no more than the size it states: archive/zip holds to that
	return f, damaged(err)
}

var errBomb = &fault{
	what: fmt.Sprintf("it unpacks to more than %d times its size", maxRatio),
	do:   "refused as a bomb; tell who runs the source",
}

// damaged puts into words that something packed cannot be unpacked.
func damaged(err error) error {
	if err == nil || isFault(err) {
		return err
	}
	return &fault{what: "what came is damaged: " + err.Error(), do: "try again", err: err}
}

// A ratio ends an unpacking that gives too much for what goes in.
type ratio struct {
	packed  *counter
	out     int64
	largest int64
}

type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

func newRatio(r io.Reader, largest int64) *ratio {
	return &ratio{packed: &counter{r: r}, largest: largest}
}

func (l *ratio) took(n int) error {
	l.out += int64(n)
	switch {
	case l.out > freeRatio && l.out/maxRatio > l.packed.n:
		return errBomb
	case l.out > l.largest:
		return tooBig(l.largest)
	}
	return nil
}

// A lazy reader opens what is packed at the first read, so that what the
// opening says comes where reading is looked after.
type lazy struct {
	open  func() (io.Reader, error)
	limit *ratio
	r     io.Reader
	err   error
}

func (z *lazy) Read(p []byte) (int, error) {
	if z.r == nil && z.err == nil {
		z.r, z.err = z.open()
	}
	if z.err != nil {
		return 0, z.err
	}
	n, err := z.r.Read(p)
	if over := z.limit.took(n); over != nil {
		n, err = 0, over
	}
	if err != nil && !errors.Is(err, io.EOF) {
		err = damaged(err)
	}
	if err != nil {
		z.err = err
		if c, ok := z.r.(interface{ Close() }); ok { // zstd's reader holds buffers
			c.Close()
		}
	}
	return n, err
}
