package zeek

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/testudo-shield/testudo"
)

const (
	maxLine  = 1 << 20  // bytes; a longer line is counted and skipped
	block    = 64 << 10 // of reading
	maxFrame = 8 << 20  // window a zstd frame may ask for
	// window is how many records of a file are looked at ahead, to put them
	// in the order in which they were known: Zeek writes a conn when it
	// forgets it, and other programs sort its logs by the start.
	window    = 1024
	maxWeight = 1 << 20 // bytes of their lines, together
)

// file is one log. While it waits for its time it is closed.
type file struct {
	name  string
	index int // among all files, for equal times
	size  int64
	next  testudo.Time // of the first of ahead, or, while closed, a lower guess

	raw    *counter
	closer []func() error
	lines  *bufio.Reader
	long   []byte // a line longer than a block
	tsv    dialect
	json   object
	row    row
	kinds  map[string]*kind
	order  []*kind // kinds in the order in which signs are tried
	stem   *kind   // what the file's name says
	number int

	ahead     entries
	weight    int // of ahead
	done      bool
	foreign   int // lines of a well-formed log that becomes no records
	malformed int
	at        int    // number of the line at hand
	bad       string // where the first malformed line stands, and why it is
	known     *certs // nil while only looking
}

// counter counts what is read.
type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// open starts reading the file from its beginning.
func (f *file) open() error {
	h, err := os.Open(f.name)
	if err != nil {
		return fmt.Errorf("zeek: %w", err)
	}
	f.raw, f.closer = &counter{r: h}, []func() error{h.Close}
	f.done, f.number, f.foreign, f.malformed = false, 0, 0, 0
	f.ahead, f.weight = nil, 0
	f.at, f.bad = 0, ""
	f.tsv = standard(f.stem)
	head := bufio.NewReaderSize(f.raw, block)
	// A short file has a short head: its magic number tells all the same.
	magic, _ := head.Peek(4)
	f.lines = head
	switch {
	case bytes.HasPrefix(magic, gzipMagic()):
		z, err := gzip.NewReader(head)
		if err != nil {
			f.close()
			return fmt.Errorf("zeek: %s: gzip: %w", f.name, err)
		}
		f.closer = append(f.closer, z.Close)
		f.lines = bufio.NewReaderSize(z, block)
	case bytes.HasPrefix(magic, zstdMagic()):
		z, err := zstd.NewReader(head, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxFrame))
		if err != nil {
			f.close()
			return fmt.Errorf("zeek: %s: zstd: %w", f.name, err)
		}
		f.closer = append(f.closer, func() error { z.Close(); return nil })
		f.lines = bufio.NewReaderSize(z, block)
	}
	return nil
}

func gzipMagic() []byte { return []byte{0x1f, 0x8b} }
func zstdMagic() []byte { return []byte{0x28, 0xb5, 0x2f, 0xfd} }

// close gives back what open took.
func (f *file) close() {
	for i := len(f.closer) - 1; i >= 0; i-- {
		_ = f.closer[i]() // reading is over: nothing can be lost
	}
	f.closer, f.lines, f.long, f.ahead = nil, nil, nil, nil
}

// line returns the next line without its end. A line beyond maxLine is
// skipped and reported by long.
func (f *file) line() (b []byte, long bool, err error) {
	f.long = f.long[:0]
	f.at++
	for {
		part, err := f.lines.ReadSlice('\n')
		switch {
		case err == nil && len(f.long) == 0 && !long:
			return trimEnd(part), false, nil
		case long || len(f.long)+len(part) > maxLine:
			long = true
			f.long = f.long[:0]
		default:
			f.long = append(f.long, part...)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err == io.EOF && (len(f.long) > 0 || long) {
			err = nil // the last line has no end; the next call says io.EOF
		}
		return trimEnd(f.long), long, err
	}
}

// trimEnd cuts the end of line off.
func trimEnd(b []byte) []byte {
	b = bytes.TrimSuffix(b, []byte{'\n'})
	return bytes.TrimSuffix(b, []byte{'\r'})
}

// read returns the next record, io.EOF at the end, or another error if the
// rest cannot be read.
func (f *file) read() (entry, error) {
	for {
		b, long, err := f.line()
		if err != nil {
			return entry{}, err
		}
		if long {
			f.refuse(errLong, false)
			continue
		}
		if e, ok := f.parse(b); ok {
			return e, nil
		}
	}
}

// parse turns one line into a record; without one it has counted why.
func (f *file) parse(b []byte) (entry, bool) {
	bare := skipSpace(b)
	if len(bare) == 0 {
		return entry{}, false
	}
	if bare[0] == '#' {
		f.tsv.directive(bare, f.named)
		return entry{}, false
	}
	var err error
	object := bare[0] == '{' && !f.tsv.fielded
	switch {
	case object:
		if !f.json.parse(bare) {
			err = errForm
			break
		}
		k := f.guess()
		if k == nil {
			f.foreign++
			return entry{}, false
		}
		f.row.begin(k)
		err = f.json.fill(&f.row)
	case f.tsv.fielded && f.tsv.kind == nil:
		f.foreign++
		return entry{}, false
	case f.tsv.fielded:
		f.row.begin(f.tsv.kind)
		err = f.tsv.line(b, &f.row)
	default:
		err = errForm
	}
	var e entry
	if err == nil {
		e, err = f.row.finish()
	}
	if err != nil {
		f.refuse(err, object)
		return entry{}, false
	}
	f.number++
	e.number, e.weight = f.number, len(b)
	return e, true
}

// refuse counts the line at hand as malformed; why the first of them is, is
// kept. object says that it is JSON.
func (f *file) refuse(err error, object bool) {
	f.malformed++
	if f.malformed > 1 {
		return
	}
	why := err.Error()
	switch err {
	case errForm, errTime, errEnds, errLong:
	case errColumns:
		why = fmt.Sprintf("%v, %d", err, len(f.tsv.columns))
	default:
		field := f.tsv.column()
		if object {
			field = string(f.json.failed)
		}
		why = fmt.Sprintf("the value of %.80q is not of its type", field)
	}
	f.bad = fmt.Sprintf("line %d: %s", f.at, why)
}

// named returns the kind of a log by Zeek's name for it.
func (f *file) named(path string) *kind { return f.kinds[path] }

// guess tells an object's kind: by its own word, by its fields, or by the
// file's name.
func (f *file) guess() *kind {
	if i := f.json.find("_path"); i >= 0 {
		return f.kinds[string(f.json.pairs[i].raw)]
	}
	if f.stem != nil && (len(f.stem.signs) == 0 || f.signed(f.stem)) {
		return f.stem
	}
	for _, k := range f.order {
		if f.signed(k) {
			return k
		}
	}
	return f.stem
}

// signed says whether the object shows one of the kind's signs.
func (f *file) signed(k *kind) bool {
	for _, s := range k.signs {
		if f.json.has(s) {
			return true
		}
	}
	return false
}

// fill looks ahead until the window is full or the file ends, and returns
// an error if the rest cannot be read.
func (f *file) fill() error {
	var failed error
	for !f.done && (len(f.ahead) == 0 || len(f.ahead) < window && f.weight < maxWeight) {
		e, err := f.read()
		if err != nil {
			f.done = true
			if err != io.EOF {
				failed = fmt.Errorf("read in part: %w", err)
			}
			break
		}
		if x, ok := e.record.(*testudo.X509); ok && f.known != nil {
			f.known.add(e.cert, x)
		}
		f.weight += e.weight
		f.ahead.push(e)
	}
	if len(f.ahead) > 0 {
		f.next = f.ahead[0].written
	}
	return failed
}

// take returns the first record of the window.
func (f *file) take() entry {
	e := f.ahead.pop()
	f.weight -= e.weight
	return e
}

// stemOf returns the name of the log a file's name says it holds:
// "conn.07_00_00-08_00_00.log.gz" is a conn log.
func stemOf(name string) string {
	stem, _, _ := strings.Cut(filepath.Base(name), ".")
	return stem
}

// entries is a heap by time written, then line; it is written out because
// container/heap would allocate for every record.
type entries []entry

func (h entries) less(i, j int) bool {
	if h[i].written != h[j].written {
		return h[i].written < h[j].written
	}
	return h[i].number < h[j].number
}

func (h *entries) push(e entry) {
	*h = append(*h, e)
	s := *h
	for i := len(s) - 1; i > 0; {
		up := (i - 1) / 2
		if !s.less(i, up) {
			return
		}
		s[i], s[up] = s[up], s[i]
		i = up
	}
}

// pop returns the least entry of a heap that is not empty.
func (h *entries) pop() entry {
	s := *h
	e, n := s[0], len(s)-1
	s[0], s[n] = s[n], entry{}
	s = s[:n]
	for i := 0; ; {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < n; child++ {
			if s.less(child, least) {
				least = child
			}
		}
		if least == i {
			break
		}
		s[i], s[least] = s[least], s[i]
		i = least
	}
	*h = s
	return e
}
