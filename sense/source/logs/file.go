package logs

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/testudo-shield/testudo"
)

const (
	maxLine  = 1 << 20  // bytes; a longer line is counted and skipped
	block    = 64 << 10 // of reading, and about what is parsed at once
	maxFrame = 8 << 20  // window a zstd frame may ask for
	sniffed  = 4096     // bytes of a file that tell its format
)

// file is one log. While it waits for its time it is closed.
type file struct {
	name   string
	format *Format
	index  int // among all files, for equal times
	size   int64
	first  testudo.Time // a guess at the time of its first record

	raw    *counter
	plain  io.Reader
	closer []func() error
	cut    cutter
	header File
	parser []Parser // at rest, for the header as it is
	work   *pool
	flight []*batch // cut off and being parsed, in order
	spare  []*batch
	failed error // why no more can be cut off, io.EOF for its end

	ahead     ahead
	headers   int
	epoch     int // counts lines that begin with '#'
	malformed int
	bad       string // where the first malformed line stands, and why it is
	aside     map[string]int
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
		return err
	}
	f.raw, f.closer = &counter{r: h}, []func() error{h.Close}
	f.cut, f.failed, f.flight, f.parser = cutter{}, nil, nil, nil
	f.ahead, f.headers, f.malformed, f.bad, f.aside = ahead{}, 0, 0, "", nil
	f.header = f.format.File(f.name)
	plain, end, err := decompressed(f.raw)
	if err != nil {
		f.close()
		return err
	}
	f.plain, f.closer = plain, append(f.closer, end)
	return nil
}

// decompressed returns what r holds after decompression, and what gives back
// the memory that takes.
func decompressed(r io.Reader) (plain io.Reader, end func() error, err error) {
	head := bufio.NewReaderSize(r, block)
	// A short file has a short head: its magic number tells all the same.
	magic, _ := head.Peek(4)
	switch {
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(head)
		if err != nil {
			return nil, nil, fmt.Errorf("gzip: %w", err)
		}
		return z, z.Close, nil
	case bytes.HasPrefix(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(head, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxFrame))
		if err != nil {
			return nil, nil, fmt.Errorf("zstd: %w", err)
		}
		return z, func() error { z.Close(); return nil }, nil
	}
	return head, func() error { return nil }, nil
}

// headOf returns up to n bytes of a file's beginning, decompressed. Of a file
// whose compression is broken it returns what could be read.
func headOf(name string, n int) ([]byte, error) {
	h, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer h.Close()
	plain, end, err := decompressed(h)
	if err != nil {
		return nil, nil
	}
	defer end()
	head := make([]byte, n)
	n, err = io.ReadFull(plain, head)
	if n > 0 || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return head[:n], err
}

// Head returns the beginning of a file of which raw is the beginning as it
// stands on the disk: raw itself, or what it holds after decompression. It is
// what a Format's Sniff wants to see.
func Head(raw []byte) []byte {
	plain, end, err := decompressed(bytes.NewReader(raw))
	if err != nil {
		return nil
	}
	defer end()
	head := make([]byte, sniffed)
	n, _ := io.ReadFull(plain, head) // the beginning is cut off: its end is no error
	return head[:n]
}

// close gives back what open took.
func (f *file) close() {
	for _, b := range f.flight {
		<-b.done
	}
	for i := len(f.closer) - 1; i >= 0; i-- {
		_ = f.closer[i]() // reading is over: nothing can be lost
	}
	f.closer, f.plain, f.cut, f.ahead = nil, nil, cutter{}, ahead{}
	f.flight, f.spare, f.parser = nil, nil, nil
}

// look opens the file for its first time and says whether it holds records.
func (f *file) look() (bool, error) {
	if err := f.open(); err != nil {
		return false, err
	}
	defer f.close()
	if info, err := os.Stat(f.name); err == nil {
		f.size = info.Size()
	}
	f.first = math.MaxInt64
	found, lines := 0, 0
	for found < peekRecords && lines < peekLines {
		b, err := f.batch()
		if err == io.EOF {
			break
		}
		if err != nil {
			if found > 0 {
				break // what can be read counts; reading will tell the rest
			}
			return false, err
		}
		lines += b.parse(&Words{}, peekRecords)
		for i := range b.entries {
			f.first = min(f.first, b.entries[i].Written)
		}
		found += len(b.entries)
		f.land(b)
	}
	switch {
	case found > 0:
		return true, nil
	case len(f.aside) == 0 && f.headers == 0 && f.bad != "":
		return false, fmt.Errorf("not a %s: %s", f.format.Name, f.bad)
	case len(f.aside) == 0 && f.headers == 0:
		return false, fmt.Errorf("not a %s", f.format.Name)
	case f.malformed > 0:
		return false, errors.New("no line of it could be read: " + f.bad)
	}
	return false, nil
}

// fill looks ahead until the window is full or the file ends, with up to depth
// batches under way, and returns an error if the rest cannot be read.
func (f *file) fill(join Joiner, depth int) (failed error) {
	for !f.ahead.full() {
		for f.failed == nil && len(f.flight) < depth {
			b, err := f.batch()
			if f.failed = err; err == nil {
				f.flight = append(f.flight, b)
				f.work.submit(b)
			} else if err != io.EOF {
				failed = fmt.Errorf("read in part: %w", err)
			}
		}
		if len(f.flight) == 0 {
			return failed
		}
		b := f.flight[0]
		<-b.done
		f.flight = append(f.flight[:0], f.flight[1:]...)
		for i := range b.entries {
			join.Ahead(&b.entries[i])
			f.ahead.push(&b.entries[i])
		}
		f.land(b)
	}
	return failed
}

// batch cuts off the next lines that are read under one header.
func (f *file) batch() (*batch, error) {
	for {
		var b *batch
		if n := len(f.spare); n > 0 {
			b, f.spare = f.spare[n-1], f.spare[:n-1]
		} else {
			b = &batch{done: make(chan struct{}, 1)}
		}
		if err := f.cut.next(f.plain, b); err != nil {
			return nil, err
		}
		if !b.header {
			if n := len(f.parser); n > 0 {
				b.parser, f.parser = f.parser[n-1], f.parser[:n-1]
			} else {
				b.parser = f.header.Parser()
			}
			b.epoch = f.epoch
			return b, nil
		}
		if line := SkipSpace(trimEnd(b.raw)); f.header.Header(line) {
			f.headers++
		}
		f.parser, f.epoch = nil, f.epoch+1
		f.spare = append(f.spare, b)
	}
}

// land takes over what a batch counted and keeps it to be filled again.
func (f *file) land(b *batch) {
	if b.malformed > 0 && f.malformed == 0 {
		f.bad = b.bad
	}
	f.malformed += b.malformed
	for name, n := range b.aside {
		if f.aside == nil {
			f.aside = map[string]int{}
		}
		if _, known := f.aside[name]; !known && len(f.aside) >= maxAside {
			name = "other"
		}
		f.aside[name] += n
	}
	clear(b.entries)
	b.entries, b.aside = b.entries[:0], nil
	if f.epoch == b.epoch {
		f.parser = append(f.parser, b.parser)
	}
	b.parser = nil
	f.spare = append(f.spare, b)
}

// maxAside bounds the names under which lines are left aside.
const maxAside = 64
