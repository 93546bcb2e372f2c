package shield

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/engine"
)

// The file is: eight bytes that name it, the version of its form as two bytes
// (big end first), what the engine wrote as one zstd frame, and the SHA-256 of
// all that. It is written beside its place and moved there, so that there is a
// whole one at any moment.
const (
	checkpointName  = "checkpoint"
	checkpointMagic = "TESTUDO\x1a"
	checkpointForm  = 1
	checkpointHead  = len(checkpointMagic) + 2
	// maxCheckpoint bounds what a file may unpack to.
	maxCheckpoint = 4 << 30
	// aheadAtMost is how far a clock may have been set back since.
	aheadAtMost = time.Hour
)

// ErrDamaged says that a checkpoint is not what was written.
var ErrDamaged = errors.New("its checksum does not fit: the file is damaged")

// LoadCheckpoint reads what an earlier run left in dir; nil, without an error,
// where there is nothing. A file that cannot be used is set aside as
// checkpoint.refused, and the error says why: the caller tells it and starts
// anew. One from a time after now is none: traffic would be too old for it
// until that time has come.
func LoadCheckpoint(dir string, now time.Time) (*engine.Checkpoint, error) {
	path := filepath.Join(dir, checkpointName)
	c, err := readCheckpoint(path)
	if err == nil && c.At().Sub(testudo.TimeOf(now)) > aheadAtMost {
		err = fmt.Errorf("it is of %s, which has not come yet: the clock was wrong then, or is now", c.At().Std().UTC().Format("2 Jan 2006 15:04 MST"))
	}
	switch {
	case err == nil:
		return c, nil
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case errors.As(err, new(*fs.PathError)):
		return nil, fmt.Errorf("the last checkpoint cannot be read: %w", err) // it may be sound
	}
	aside := path + ".refused"
	err = fmt.Errorf("%s: %w", path, err)
	if moved := os.Rename(path, aside); moved != nil {
		return nil, errors.Join(err, moved)
	}
	return nil, fmt.Errorf("%w; it was set aside as %s, and what was learned before is learned anew", err, aside)
}

func readCheckpoint(path string) (*engine.Checkpoint, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := checkSum(f)
	if err != nil {
		return nil, err
	}
	z, err := zstd.NewReader(io.NewSectionReader(f, int64(checkpointHead), size-int64(checkpointHead)),
		zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxCheckpoint), zstd.WithDecoderMaxWindow(64<<20))
	if err != nil {
		return nil, err
	}
	defer z.Close()
	return engine.ReadCheckpoint(io.LimitReader(z, maxCheckpoint))
}

// checkSum holds a file against its head and its checksum, and returns where
// the checksum begins.
func checkSum(f *os.File) (size int64, err error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	size = info.Size() - sha256.Size
	head := make([]byte, checkpointHead)
	if _, err := io.ReadFull(f, head); err != nil || size < int64(checkpointHead) || !bytes.HasPrefix(head, []byte(checkpointMagic)) {
		return 0, errors.New("it is no checkpoint, or only the beginning of one")
	}
	if form := binary.BigEndian.Uint16(head[len(checkpointMagic):]); form != checkpointForm {
		return 0, fmt.Errorf("it has form %d, and this version reads form %d: %w", form, checkpointForm, engine.ErrCheckpoint)
	}
	sum := sha256.New()
	sum.Write(head)
	if _, err := io.Copy(sum, io.LimitReader(f, size-int64(checkpointHead))); err != nil {
		return 0, err
	}
	want := make([]byte, sha256.Size)
	if _, err := io.ReadFull(f, want); err != nil {
		return 0, err
	}
	if !bytes.Equal(sum.Sum(nil), want) {
		return 0, ErrDamaged
	}
	return size, nil
}

// Checkpoints writes a run's checkpoints into a state directory. What the
// engine hands over is packed and written while the engine goes on; of
// several that wait only the newest is written. Use NewCheckpoints.
type Checkpoints struct {
	dir  string
	tell func(error)
	wait sync.WaitGroup

	mu      sync.Mutex
	next    func(io.Writer) error // waits to be written
	writing bool
	failed  string // the last error told, so that a full disk is told once
}

// NewCheckpoints returns a writer to dir, which must exist. An error is given
// to tell, from another goroutine; the checkpoint before stays and work goes
// on.
func NewCheckpoints(dir string, tell func(error)) *Checkpoints {
	return &Checkpoints{dir: dir, tell: tell}
}

// Take is an engine.Config's Checkpoint.
func (c *Checkpoints) Take(_ testudo.Time, write func(io.Writer) error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.next = write
	if !c.writing {
		c.writing = true
		c.wait.Go(c.work)
	}
}

// Close waits until the last one is on the disk.
func (c *Checkpoints) Close() { c.wait.Wait() }

func (c *Checkpoints) work() {
	for {
		c.mu.Lock()
		write := c.next
		c.next, c.writing = nil, write != nil
		c.mu.Unlock()
		if write == nil {
			return
		}
		c.report(writeCheckpoint(c.dir, write))
	}
}

// report tells an error when it is another one than last time.
func (c *Checkpoints) report(err error) {
	told := c.failed
	if c.failed = ""; err != nil {
		c.failed = err.Error()
	}
	if err != nil && c.failed != told {
		c.tell(fmt.Errorf("checkpoint: %w; the one before stays in %s, and after a restart what was seen since would be missing", err, c.dir))
	}
}

// writeCheckpoint makes the file and puts it in its place, whole or not at
// all.
func writeCheckpoint(dir string, write func(io.Writer) error) (err error) {
	path := filepath.Join(dir, checkpointName)
	temporary := path + ".tmp" // an earlier one that was never moved is overwritten
	f, err := os.OpenFile(temporary, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(temporary))
		}
	}()
	// The first of them is told: what fails after it says the same again.
	if err := cmp.Or(pack(f, write), f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(temporary, path); err != nil {
		return err
	}
	return syncDir(dir)
}

// pack writes head, packed content and checksum.
func pack(f io.Writer, write func(io.Writer) error) error {
	out := bufio.NewWriterSize(f, 1<<18)
	sum := &summed{out, sha256.New()}
	head := binary.BigEndian.AppendUint16([]byte(checkpointMagic), checkpointForm)
	if _, err := sum.Write(head); err != nil {
		return err
	}
	z, err := zstd.NewWriter(sum, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return err
	}
	if err := cmp.Or(write(z), z.Close()); err != nil {
		return err
	}
	if _, err := out.Write(sum.hash.Sum(nil)); err != nil {
		return err
	}
	return out.Flush()
}

// summed counts what goes through it into a checksum.
type summed struct {
	out  io.Writer
	hash hash.Hash
}

func (s *summed) Write(b []byte) (int, error) {
	n, err := s.out.Write(b)
	s.hash.Write(b[:n])
	return n, err
}

// syncDir makes sure that a new name in dir survives a loss of power.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
