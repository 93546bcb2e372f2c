package parquet

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
)

// A framed file is a line of magic and then frames: the length of the payload
// and its CRC-32C, four bytes each in little endian, and the payload. What a
// crash cut off at the end was never acknowledged and is dropped.
const (
	magic    = "testudo history frames 1\n"
	headSize = 8
	maxFrame = 256 << 20
)

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// framed is a framed file that is appended to.
type framed struct {
	file *os.File
	size int64 // up to which it is good
	buf  []byte
}

// createFramed makes a new framed file with its first frame, complete on disk
// or not there.
func createFramed(path string, first []byte) (*framed, error) {
	f, err := os.OpenFile(path+".tmp", os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o640)
	if err != nil {
		return nil, full(err)
	}
	w := &framed{file: f}
	if _, err = f.WriteString(magic); err == nil {
		w.size = int64(len(magic))
		err = w.append(first)
	}
	if err == nil {
		err = os.Rename(path+".tmp", path)
	}
	if err != nil {
		_ = f.Close()
		_ = os.Remove(path + ".tmp")
		return nil, full(fmt.Errorf("make %s: %w", path, err))
	}
	return w, nil
}

// append adds a frame, which is on disk when it returns nil. After an error
// the file is as it was before.
func (w *framed) append(payload []byte) error {
	if len(payload) > maxFrame {
		return fmt.Errorf("%d bytes at once are more than %d; append fewer records", len(payload), maxFrame)
	}
	w.buf = binary.LittleEndian.AppendUint32(w.buf[:0], uint32(len(payload)))
	w.buf = binary.LittleEndian.AppendUint32(w.buf, crc32.Checksum(payload, castagnoli()))
	w.buf = append(w.buf, payload...)
	_, err := w.file.WriteAt(w.buf, w.size)
	if err == nil {
		err = w.file.Sync()
	}
	if err != nil {
		return errors.Join(full(err), w.file.Truncate(w.size))
	}
	w.size += int64(len(w.buf))
	if cap(w.buf) > 1<<20 {
		w.buf = nil
	}
	return nil
}

// frameRead is how reading a framed file went.
type frameRead struct {
	good int64 // up to which it is good
	torn bool  // a last frame was cut off
	lost error // frames before the end are damaged
}

// readFrames gives the frames of a framed file of size bytes, with where they
// begin. The payload is valid until give returns; an error from give is a
// damaged frame.
func readFrames(r io.Reader, size int64, give func(at int64, payload []byte) error) (read frameRead) {
	in := bufio.NewReaderSize(r, 64<<10)
	head := make([]byte, len(magic))
	if n, err := io.ReadFull(in, head); err != nil || string(head) != magic {
		read.torn = err != nil && string(head[:n]) == magic[:n]
		if !read.torn {
			read.lost = errors.New("it does not begin like a file of this history")
		}
		return read
	}
	read.good = int64(len(magic))
	var payload []byte
	for at := read.good; at < size; {
		n, sum, ok := frameHead(in, size-at)
		if !ok {
			read.torn = true
			return read
		}
		if int64(cap(payload)) < n {
			payload = make([]byte, n)
		}
		payload = payload[:n]
		if _, err := io.ReadFull(in, payload); err != nil {
			read.torn = true
			return read
		}
		next := at + headSize + n
		err := errors.New("its checksum is wrong")
		if crc32.Checksum(payload, castagnoli()) == sum {
			err = give(at, payload)
		}
		if err != nil && next >= size {
			read.torn = true
			return read
		}
		if err != nil {
			read.lost = fmt.Errorf("frame at byte %d: %w", at, err)
		}
		at, read.good = next, next
	}
	return read
}

// frameHead reads the head of a frame that must fit into what is left.
func frameHead(in io.Reader, left int64) (n int64, sum uint32, ok bool) {
	var head [headSize]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return 0, 0, false
	}
	n, sum = int64(binary.LittleEndian.Uint32(head[:])), binary.LittleEndian.Uint32(head[4:])
	return n, sum, n <= maxFrame && n <= left-headSize
}

// readFrame reads the one frame that begins at a place.
func readFrame(r io.ReaderAt, at, size int64) ([]byte, error) {
	n, sum, ok := frameHead(io.NewSectionReader(r, at, headSize), size-at)
	if !ok {
		return nil, fmt.Errorf("frame at byte %d: cut off", at)
	}
	payload := make([]byte, n)
	if _, err := r.ReadAt(payload, at+headSize); err != nil {
		return nil, err
	}
	if crc32.Checksum(payload, castagnoli()) != sum {
		return nil, fmt.Errorf("frame at byte %d: its checksum is wrong", at)
	}
	return payload, nil
}
