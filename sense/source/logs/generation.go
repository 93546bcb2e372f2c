package logs

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sort"
	"time"
)

// headSize is how many bytes of a file's beginning it is known by.
const headSize = 1024

// mark is what a file is known by, wherever it was moved and however it was
// packed: the digest of its first bytes.
type mark struct {
	Size int    `json:"size"`
	Sum  string `json:"sum"`
}

func markOf(head []byte) mark {
	sum := sha256.Sum256(head)
	return mark{len(head), hex.EncodeToString(sum[:16])}
}

// fits says whether a file that begins with head may be the marked one.
func (m mark) fits(head []byte) bool {
	return m.Size > 0 && len(head) >= m.Size && markOf(head[:m.Size]) == m
}

// generation is one file that is or was a log's, from its first line until a
// rotation put another in its place.
type generation struct {
	header File
	parser Parser

	file   *os.File // nil while it is not found
	name   string   // of a compressed file
	stream io.Reader
	end    func() error
	mark   mark
	offset int64 // of the next byte that was not read
	rest   []byte
	long   bool // rest is amid an overlong line

	ahead  ahead
	behind bool // there was more than the window could take
	over   bool // all of it was read and nothing more will come
	grown  time.Time
	asked  int // rounds since it is looked for

	open    []place // lines whose records were not handed out, by offset
	settled int     // of open, from the start, that are done
	given   map[int64]bool
}

// place is a line whose record was read.
type place struct {
	offset int64
	done   bool
}

// errCut says that a file was cut to nothing and may have grown again.
var errCut = errors.New("cut off while it was read")

// fetch reads on at the offset, 0 bytes where there is nothing now.
func (g *generation) fetch(buf []byte) (int, error) {
	if g.stream != nil {
		n, err := io.ReadFull(g.stream, buf)
		if n > 0 {
			err = nil
		}
		return n, err
	}
	if g.file == nil {
		return 0, nil
	}
	n, err := g.file.ReadAt(buf, g.offset+int64(len(g.rest)))
	if err == io.EOF {
		err = nil
	}
	if err != nil {
		return 0, err
	}
	return n, g.same(buf[:n])
}

// same makes sure that the bytes read are of the file that the mark is of, and
// lets the mark grow with the file.
func (g *generation) same(b []byte) error {
	var head [headSize]byte
	have, _ := g.file.ReadAt(head[:], 0)
	info, err := g.file.Stat()
	if err != nil {
		return err
	}
	read := g.offset + int64(len(g.rest)+len(b))
	first := read == int64(len(b)) && !bytes.HasPrefix(b, head[:min(have, len(b))])
	if info.Size() < read || first || g.mark.Size > 0 && !g.mark.fits(head[:have]) {
		return errCut
	}
	if want := min(int(min(read, headSize)), have); want > g.mark.Size {
		g.mark = markOf(head[:want])
	}
	return nil
}

// attach gives the generation a file to be read from its offset on. Of a file
// whose lines are read under a header, the header is read first.
func (g *generation) attach(name string, packed bool) error {
	h, err := os.Open(name)
	if err != nil {
		return err
	}
	if !packed {
		if err := g.header0(io.NewSectionReader(h, 0, g.offset)); err != nil {
			h.Close()
			return err
		}
		g.file, g.asked = h, 0
		return nil
	}
	defer h.Close()
	plain, end, err := decompressed(h)
	if err != nil {
		return err
	}
	defer end()
	if err := g.header0(io.LimitReader(plain, g.offset)); err != nil {
		return err
	}
	g.name, g.asked = name, 0
	return g.restream()
}

// restream opens a compressed file anew and goes to the offset.
func (g *generation) restream() error {
	g.unstream()
	h, err := os.Open(g.name)
	if err != nil {
		return err
	}
	plain, end, err := decompressed(h)
	if err != nil {
		h.Close()
		return err
	}
	g.end = func() error { return errors.Join(end(), h.Close()) }
	if _, err := io.CopyN(io.Discard, plain, g.offset+int64(len(g.rest))); err != nil {
		g.unstream()
		return err
	}
	g.stream = plain
	return nil
}

func (g *generation) unstream() {
	if g.end != nil {
		_ = g.end() // reading is over: nothing can be lost
	}
	g.stream, g.end = nil, nil
}

// header0 reads the lines that begin with '#' at the start of r.
func (g *generation) header0(r io.Reader) error {
	head, err := io.ReadAll(io.LimitReader(r, block))
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	for len(head) > 0 && head[0] == '#' {
		line, rest, ok := bytes.Cut(head, []byte{'\n'})
		if !ok {
			break
		}
		g.header.Header(trimEnd(line))
		head = rest
	}
	g.parser = g.header.Parser()
	return nil
}

// detach closes what the generation is read from.
func (g *generation) detach() {
	g.unstream()
	if g.file != nil {
		_ = g.file.Close() // it was only read
	}
	g.file, g.name = nil, ""
}

// lost says that more of it may be in a file that was not found yet.
func (g *generation) lost() bool { return g.file == nil && g.name == "" && !g.over }

// done says that nothing of it is left to be handed out.
func (g *generation) done() bool { return g.over && g.ahead.len() == 0 && len(g.open) == 0 }

// track remembers a line until its record is handed out.
func (g *generation) track(offset int64) { g.open = append(g.open, place{offset: offset}) }

// settle notes that a line's record was handed out.
func (l line) settle() {
	g := l.of
	i := sort.Search(len(g.open), func(i int) bool { return g.open[i].offset >= l.offset })
	if i < len(g.open) && g.open[i].offset == l.offset {
		g.open[i].done = true
	}
	for ; g.settled < len(g.open) && g.open[g.settled].done; g.settled++ {
	}
	if g.settled > window || g.settled == len(g.open) {
		g.open = slices.Delete(g.open, 0, g.settled)
		g.settled = 0
	}
}

// spot is a generation in a stored position.
type spot struct {
	Mark   mark    `json:"mark"`
	Offset int64   `json:"offset"`          // all lines before were handed out
	Given  []int64 `json:"given,omitempty"` // and these after it
}

func (g *generation) spot() spot {
	s := spot{Mark: g.mark, Offset: g.offset}
	open := g.open[g.settled:]
	if len(open) > 0 {
		s.Offset = open[0].offset
	}
	for _, p := range open {
		if p.done {
			s.Given = append(s.Given, p.offset)
		}
	}
	for offset := range g.given { // of a position that was not read over yet
		if offset >= g.offset {
			s.Given = append(s.Given, offset)
		}
	}
	slices.Sort(s.Given)
	return s
}

// resumed is a generation as a stored position has it; its file is yet to be
// found.
func resumed(s spot, header File) (*generation, error) {
	if s.Offset < 0 || s.Mark.Size < 0 || s.Mark.Size > headSize {
		return nil, fmt.Errorf("offset %d of a file known by %d bytes", s.Offset, s.Mark.Size)
	}
	g := &generation{header: header, parser: header.Parser(), mark: s.Mark, offset: s.Offset, given: map[int64]bool{}}
	for _, offset := range s.Given {
		g.given[offset] = true
	}
	return g, nil
}
