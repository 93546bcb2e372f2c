package shield

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/keep/state"
)

// A backup is a tar file: backup.json, then state.db, history/… and the
// checkpoint, and at last sums.json with the SHA-256 of each, so that one that
// was cut off is known by it.
const (
	backupFormat  = 1
	backupHead    = "backup.json"
	backupSums    = "sums.json"
	historyFolder = "history"
	maxBackupMeta = 64 << 20
)

// BackupHead is what a backup says of itself.
type BackupHead struct {
	Format  int          `json:"format"`
	Program string       `json:"program"`
	At      testudo.Time `json:"at"`
	History bool         `json:"history"` // it holds records, too
}

// ErrNoBackup says that a file is not a backup, or not a whole one.
var ErrNoBackup = errors.New("not a whole backup of testudo")

// Backup writes all that is remembered into one file, while others use it. The
// file appears whole or not at all; one that is there is state.ErrExists.
// History that is not in files of this machine is left out: the answer says so.
func (m *Memory) Backup(ctx context.Context, to, program string) (head BackupHead, size int64, err error) {
	if _, err := os.Lstat(to); err == nil {
		return head, 0, fmt.Errorf("%s %w", to, state.ErrExists)
	}
	stage, err := os.MkdirTemp(m.Dir, "backup-")
	if err != nil {
		return head, 0, err
	}
	defer os.RemoveAll(stage)
	// The state is taken first: it says of nothing that it was read that is not
	// in the history already.
	if err := m.State.Backup(ctx, filepath.Join(stage, state.File)); err != nil {
		return head, 0, err
	}
	head = BackupHead{Format: backupFormat, Program: program, At: m.Now()}
	if h, ok := m.History.(interface{ Snapshot(string) error }); ok {
		head.History = true
		if err := h.Snapshot(filepath.Join(stage, historyFolder)); err != nil {
			return head, 0, err
		}
	}
	err = copyFile(filepath.Join(m.Dir, checkpointName), filepath.Join(stage, checkpointName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return head, 0, err
	}
	part := to + ".part"
	defer os.Remove(part)
	if err := writeBackup(ctx, part, stage, head); err != nil {
		return head, 0, err
	}
	info, err := os.Stat(part)
	if err != nil {
		return head, 0, err
	}
	return head, info.Size(), os.Rename(part, to)
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// writeBackup packs a folder.
func writeBackup(ctx context.Context, to, stage string, head BackupHead) error {
	f, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	w := tar.NewWriter(f)
	if err := packJSON(w, backupHead, head); err != nil {
		return err
	}
	sums := map[string]string{}
	err = filepath.WalkDir(stage, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		name, err := filepath.Rel(stage, p)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		sums[name], err = packFile(w, name, p)
		return err
	})
	if err == nil {
		err = packJSON(w, backupSums, sums)
	}
	return errors.Join(err, w.Close(), f.Sync())
}

func packJSON(w *tar.Writer, name string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(b))}); err != nil {
		return err
	}
	_, err = w.Write(b)
	return err
}

func packFile(w *tar.Writer, name, path string) (sum string, err error) {
	in, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return "", err
	}
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: info.Size()}); err != nil {
		return "", err
	}
	h := sha256.New()
	_, err = io.Copy(io.MultiWriter(w, h), in)
	return hex.EncodeToString(h.Sum(nil)), err
}

// Restore puts a backup into a folder. It is checked as a whole before
// anything is changed. A folder that holds something is state.ErrExists
// without force; with it, what was there is kept beside it with .replaced
// behind its name. Nobody else may write to the folder meanwhile.
func Restore(ctx context.Context, from, dir, program string, open OpenHistory, force bool, now testudo.Time) (head BackupHead, err error) {
	if !force {
		for _, name := range []string{state.File, historyFolder} {
			if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
				return head, fmt.Errorf("%s %w; use --force to replace it, what it held is kept as %s.replaced", filepath.Join(dir, name), state.ErrExists, name)
			}
		}
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return head, err
	}
	stage, err := os.MkdirTemp(dir, "restore-")
	if err != nil {
		return head, err
	}
	defer os.RemoveAll(stage)
	if head, err = unpack(ctx, from, stage); err != nil {
		return head, fmt.Errorf("%s: %w", from, err)
	}
	fresh := filepath.Join(stage, state.File)
	tried := filepath.Join(stage, "tried")
	if err := os.Mkdir(tried, 0o750); err != nil {
		return head, err
	}
	if err := state.Restore(ctx, now, fresh, tried, false, program); err != nil {
		return head, err
	}
	if head.History {
		if err := swapHistory(dir, stage, open); err != nil {
			return head, err
		}
	}
	if err := state.Restore(ctx, now, fresh, dir, force, program); err != nil {
		return head, err
	}
	return head, replaceIfThere(filepath.Join(stage, checkpointName), filepath.Join(dir, checkpointName))
}

// swapHistory puts the unpacked history in the place of the one there is,
// while nobody can write to it.
func swapHistory(dir, stage string, open OpenHistory) error {
	held, err := open(dir, true)
	if err != nil {
		return err
	}
	defer held.Close()
	return replaceIfThere(filepath.Join(stage, historyFolder), filepath.Join(dir, historyFolder))
}

// replaceIfThere moves a file or folder into a place; what was there is kept
// with .replaced behind its name.
func replaceIfThere(from, to string) error {
	if _, err := os.Lstat(from); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if _, err := os.Lstat(to); err == nil {
		if err := errors.Join(os.RemoveAll(to+".replaced"), os.Rename(to, to+".replaced")); err != nil {
			return err
		}
	}
	return os.Rename(from, to)
}

// unpack writes a backup's files below stage and holds them against its sums.
func unpack(ctx context.Context, from, stage string) (head BackupHead, err error) {
	f, err := os.Open(from)
	if err != nil {
		return head, err
	}
	defer f.Close()
	r := tar.NewReader(f)
	if err := unpackJSON(r, backupHead, &head); err != nil {
		return head, err
	}
	if head.Format > backupFormat {
		return head, fmt.Errorf("%w: by testudo %s, in format %d; this program reads format %d", state.ErrNewer, head.Program, head.Format, backupFormat)
	}
	have := map[string]string{}
	for {
		if err := ctx.Err(); err != nil {
			return head, err
		}
		h, err := r.Next()
		if err != nil {
			return head, fmt.Errorf("%w: it ends too early", ErrNoBackup)
		}
		if h.Name == backupSums {
			return head, checkSums(r, have)
		}
		if !ours(h) {
			return head, fmt.Errorf("%w: %q does not belong into it", ErrNoBackup, h.Name)
		}
		if have[h.Name], err = unpackFile(r, filepath.Join(stage, filepath.FromSlash(h.Name))); err != nil {
			return head, err
		}
	}
}

// ours tells whether a file belongs into a backup.
func ours(h *tar.Header) bool {
	return h.Typeflag == tar.TypeReg && filepath.IsLocal(h.Name) &&
		(h.Name == state.File || h.Name == checkpointName || strings.HasPrefix(h.Name, historyFolder+"/"))
}

func unpackJSON(r *tar.Reader, name string, into any) error {
	h, err := r.Next()
	if err != nil || h.Name != name {
		return fmt.Errorf("%w: it does not begin like one", ErrNoBackup)
	}
	return readMeta(r, into)
}

func readMeta(r io.Reader, into any) error {
	b, err := io.ReadAll(io.LimitReader(r, maxBackupMeta))
	if err == nil {
		err = json.NewDecoder(bytes.NewReader(b)).Decode(into)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNoBackup, err)
	}
	return nil
}

func unpackFile(r io.Reader, to string) (sum string, err error) {
	if err := os.MkdirAll(filepath.Dir(to), 0o750); err != nil {
		return "", err
	}
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	_, err = io.Copy(io.MultiWriter(out, h), r)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = fmt.Errorf("%w: it ends too early", ErrNoBackup)
	}
	return hex.EncodeToString(h.Sum(nil)), errors.Join(err, out.Sync(), out.Close())
}

// checkSums holds what was unpacked against what was packed.
func checkSums(r io.Reader, have map[string]string) error {
	var want map[string]string
	if err := readMeta(r, &want); err != nil {
		return err
	}
	names := make([]string, 0, len(want))
	for name := range want {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if have[name] != want[name] {
			return fmt.Errorf("%w: %s is not what was written; nothing was restored, take an earlier backup", ErrNoBackup, name)
		}
	}
	if len(have) != len(want) || have[state.File] == "" {
		return fmt.Errorf("%w: its files are not those that were written", ErrNoBackup)
	}
	return nil
}
