package ipfix

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/netip"
	"os"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/testudo-shield/testudo/sense/source"
)

// noAddr stands for an exporter that is known by its file only.
var noAddr netip.Addr

// file reads IPFIX messages one behind the other (RFC 5655), also compressed
// by gzip or zstd. It gives them out as frames of a link of our own, so that
// they merge with captures.
type file struct {
	path   string
	handle *os.File
	unpack func()
	in     *bufio.Reader
	msg    []byte
	done   int64 // bytes of messages read
	total  int64
}

// open begins to read the file.
func (f *file) open() error {
	h, err := os.Open(f.path)
	if err != nil {
		return err
	}
	f.handle, f.total, f.done = h, size(h), 0
	b := bufio.NewReaderSize(h, maxDatagram)
	head, _ := b.Peek(4)
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(b)
		if err != nil {
			f.Park()
			return err
		}
		b = bufio.NewReaderSize(z, maxDatagram)
	case bytes.Equal(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(b, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(64<<20))
		if err != nil {
			f.Park()
			return err
		}
		f.unpack, b = z.Close, bufio.NewReaderSize(z, maxDatagram)
	}
	f.in = b
	return nil
}

// Next reads the next message.
func (f *file) Next(out *source.Frame) error {
	if f.in == nil {
		if err := f.open(); err != nil {
			return err
		}
	}
	head, err := f.in.Peek(headerIPFIX)
	if err == io.EOF && len(head) == 0 {
		return io.EOF
	}
	if err != nil {
		return f.cut(err)
	}
	n := int(head[2])<<8 | int(head[3])
	if head[0] != 0 || head[1] != 10 || n < headerIPFIX {
		return f.cut(fmt.Errorf("bytes % x are no IPFIX message", head[:4]))
	}
	if cap(f.msg) < n {
		f.msg = make([]byte, maxDatagram)
	}
	f.msg = f.msg[:n]
	if _, err := io.ReadFull(f.in, f.msg); err != nil {
		return f.cut(err)
	}
	f.done += int64(n)
	*out = source.Frame{Time: seconds(f.msg[4:]), Link: linkMessage, Data: f.msg, Length: n}
	return nil
}

// cut says how far reading came.
func (f *file) cut(err error) error {
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("read only in part, %d bytes: %w", f.done, err)
}

// Name returns the path.
func (f *file) Name() string { return f.path }

// Progress returns the bytes of messages read and the size of the file, which
// is not the same measure where it is compressed.
func (f *file) Progress() (read, total int64) { return min(f.done, f.total), f.total }

// Park lets go of the file; the next call of Next begins anew.
func (f *file) Park() bool {
	if f.unpack != nil {
		f.unpack()
	}
	if f.handle != nil {
		f.handle.Close()
	}
	f.handle, f.in, f.unpack, f.msg = nil, nil, nil, nil
	return true
}

// Close lets go of the file.
func (f *file) Close() error {
	f.Park()
	return nil
}
