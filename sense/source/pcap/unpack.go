package pcap

import (
	"bufio"
	"bytes"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

const (
	gzipMagic  = "\x1f\x8b"
	zstdMagic  = "\x28\xb5\x2f\xfd"
	zstdWindow = 128 << 20 // what zstd itself accepts at its highest levels
	maxNesting = 2         // a compressed file compressed again
	packedBuf  = 32 << 10
)

// SniffLen is how much of an input's head Sniff needs to see to be sure: a
// compressed head must hold one whole block.
const SniffLen = 256 << 10

// Sniff tells whether an input that begins with head is a capture. Compressed
// heads are looked into, so callers pass the first SniffLen bytes as they lie
// in the file, or all of it if it is shorter.
func Sniff(head []byte) bool {
	if isClassic(head) || isSection(head) {
		return true
	}
	in, unpack, err := decompress(bytes.NewReader(head))
	defer unpack()
	if err != nil {
		return false
	}
	var magic [magicLen]byte
	n, _ := io.ReadFull(in, magic[:])
	return isClassic(magic[:n]) || isSection(magic[:n])
}

// decompress looks at the first bytes of in and takes gzip and zstd off. The
// function it returns, never nil, lets go of the memory.
func decompress(in io.Reader) (io.Reader, func(), error) {
	var closers []func()
	closeAll := func() {
		for _, f := range closers {
			f()
		}
	}
	for range maxNesting {
		b := bufio.NewReaderSize(in, packedBuf)
		head, _ := b.Peek(4)
		switch {
		case bytes.HasPrefix(head, []byte(gzipMagic)):
			z, err := gzip.NewReader(b)
			if err != nil {
				return nil, closeAll, err
			}
			closers = append(closers, func() { z.Close() })
			in = z
		case bytes.HasPrefix(head, []byte(zstdMagic)) || isSkippable(head):
			z, err := zstd.NewReader(b, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
				zstd.WithDecoderMaxWindow(zstdWindow))
			if err != nil {
				return nil, closeAll, err
			}
			closers = append(closers, z.Close)
			in = z
		default:
			return b, closeAll, nil
		}
	}
	return in, closeAll, nil
}

// isSkippable tells a zstd frame that holds no data (RFC 8878, 3.1.2).
func isSkippable(head []byte) bool {
	return len(head) == 4 && head[0]&0xf0 == 0x50 && head[1] == 0x2a && head[2] == 0x4d && head[3] == 0x18
}
