// Package pcap reads packet captures: pcap and pcapng of any byte order and
// clock, also compressed by gzip or zstd, told apart by content. It reads as
// a stream with bounded memory, copies no frame and allocates for none. Open
// is the way in; Merge makes one input of many.
package pcap

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"

	"github.com/testudo-shield/testudo/sense/source"
)

// MaxFrame is the longest captured part of a frame that is read, in bytes.
// It is what capture programs allow at most; more is damage.
const MaxFrame = 256 << 10

// ErrNotCapture says that an input is no capture. The error that wraps it
// tells what the input begins with.
var ErrNotCapture = errors.New("not a capture")

// PartialError says that an input could be read only in part. What was read
// counts.
type PartialError struct {
	Name   string // the input
	Frames int64  // frames read before
	Offset int64  // bytes read before, after decompression
	Err    error  // io.ErrUnexpectedEOF where the file was cut
}

// Error tells how far reading came and why it stopped.
func (e *PartialError) Error() string {
	return fmt.Sprintf("capture %s: read only in part, %d frames in %d bytes: %v", e.Name, e.Frames, e.Offset, e.Err)
}

// Unwrap returns the cause.
func (e *PartialError) Unwrap() error { return e.Err }

// Reader reads one capture. It implements source.Frames.
type Reader struct {
	name   string
	path   string // set if the input can be opened again
	total  int64
	read   atomic.Int64 // bytes of the input, before decompression
	file   io.Closer
	unpack func()
	win    window
	next   func(f *source.Frame) error // of the format
	frames int64
	err    error // what ended it
	closed bool
	ng     section
	old    classic
}

// Open opens the capture at path, "-" for stdin. An input that is no capture
// gives an error that wraps ErrNotCapture. A regular file is not kept open
// until its first frame is asked for, so many can be given to Merge.
func Open(path string, stdin io.Reader) (source.Frames, error) {
	if path == "-" {
		return New("-", stdin)
	}
	r := &Reader{name: path, path: path}
	if err := r.resume(); err != nil {
		r.release()
		return nil, err
	}
	if r.path != "" {
		r.release()
	}
	return r, nil
}

// New reads a capture from in, which Close does not close.
func New(name string, in io.Reader) (*Reader, error) {
	r := &Reader{name: name}
	if err := r.begin(in); err != nil {
		r.release()
		return nil, err
	}
	return r, nil
}

// resume opens the file and reads the capture's header.
func (r *Reader) resume() error {
	f, err := os.Open(r.path)
	if err != nil {
		return fmt.Errorf("capture: %w", err)
	}
	r.file = f
	st, err := f.Stat()
	if err != nil {
		return fmt.Errorf("capture: %w", err)
	}
	if !st.Mode().IsRegular() {
		r.path = "" // a pipe gives its bytes once
	} else if r.total == 0 {
		r.total = st.Size()
	}
	r.read.Store(0)
	r.frames = 0
	return r.begin(f)
}

type counted struct {
	in io.Reader
	n  *atomic.Int64
}

func (c counted) Read(b []byte) (int, error) {
	n, err := c.in.Read(b)
	c.n.Add(int64(n))
	return n, err
}

func (r *Reader) begin(in io.Reader) error {
	in, unpack, err := decompress(counted{in, &r.read})
	r.unpack = unpack
	if err != nil {
		return fmt.Errorf("capture %s: %w", r.name, err)
	}
	r.win = window{in: in}
	head, err := r.win.peek(magicLen)
	switch {
	case len(head) == 0 && err == io.EOF:
		return fmt.Errorf("capture %s: %w: it is empty", r.name, ErrNotCapture)
	case len(head) < 4 && err != nil && err != io.EOF:
		return fmt.Errorf("capture %s: %w", r.name, err)
	case isClassic(head):
		err = r.beginClassic()
	case isSection(head):
		r.ng = section{}
		r.next = r.nextBlock
		err = nil
	default:
		return fmt.Errorf("capture %s: %w: it begins with %s", r.name, ErrNotCapture, describe(head))
	}
	if err != nil {
		return r.partial(err)
	}
	return nil
}

// Next reads the next frame, whose Data is valid until the call after. At the
// end it returns io.EOF, or a *PartialError if the rest cannot be read.
func (r *Reader) Next(f *source.Frame) error {
	if r.err != nil {
		return r.err
	}
	if r.next == nil {
		if err := r.reopen(); err != nil {
			r.stop(err)
			return r.err
		}
	}
	if err := r.next(f); err != nil {
		if err != io.EOF {
			err = r.partial(err)
		}
		r.stop(err)
		return r.err
	}
	r.frames++
	return nil
}

func (r *Reader) reopen() error {
	if r.closed || r.path == "" {
		return fmt.Errorf("capture %s: %w", r.name, os.ErrClosed)
	}
	return r.resume()
}

func (r *Reader) partial(err error) error {
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return &PartialError{Name: r.name, Frames: r.frames, Offset: r.win.done, Err: err}
}

func (r *Reader) stop(err error) {
	r.err = err
	r.release()
}

// Park lets go of file and memory if the input can be read again from its
// start, which the next call of Next then does.
func (r *Reader) Park() bool {
	if r.path == "" || r.err != nil {
		return false
	}
	r.release()
	return true
}

func (r *Reader) release() {
	if r.unpack != nil {
		r.unpack()
	}
	if r.file != nil {
		r.file.Close()
	}
	r.unpack, r.file, r.next, r.win = nil, nil, nil, window{done: r.win.done}
}

// Name returns the path as it was given.
func (r *Reader) Name() string { return r.name }

// Progress returns the bytes read of the file and its size, before
// decompression. It may be called from any goroutine.
func (r *Reader) Progress() (read, total int64) { return r.read.Load(), r.total }

// Close lets go of the file.
func (r *Reader) Close() error {
	r.closed = true
	r.release()
	if r.err == nil {
		r.err = fmt.Errorf("capture %s: %w", r.name, os.ErrClosed)
	}
	return nil
}

// describe names an input by its first bytes, for people.
func describe(head []byte) string {
	text := true
	for _, c := range head {
		text = text && (c >= ' ' && c < 0x7f || c == '\n' || c == '\r' || c == '\t')
	}
	s := fmt.Sprintf("bytes % x", head)
	if text {
		s = fmt.Sprintf("text %q", head)
	}
	for _, k := range [...]struct{ magic, name string }{
		{"PK\x03\x04", "zip"},
		{"BZh", "bzip2"},
		{"\xfd7zXZ", "xz"},
		{"7z\xbc\xaf", "7z"},
		{"snoop\x00", "snoop"},
		{"\x7fELF", "ELF"},
		{"\x1c\x00\x01\xac", "IXIA"},
		{"\xac\x01\x00\x1c", "IXIA"},
	} {
		if strings.HasPrefix(string(head), k.magic) {
			s += " (" + k.name + ")"
		}
	}
	return s
}
