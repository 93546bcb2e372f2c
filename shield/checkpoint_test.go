package shield

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/engine"
	"github.com/testudo-shield/testudo/sense/source"
	"github.com/testudo-shield/testudo/sense/source/pcap"
	"github.com/testudo-shield/testudo/test/wire"
)

// leave runs some traffic and leaves a checkpoint in dir; it returns how many
// packets were seen since the first run.
func leave(t *testing.T, dir string, past *engine.Checkpoint) int64 {
	t.Helper()
	file := filepath.Join(write(t, map[string][]byte{"a": wire.Mixed(1, 200).Pcap()}), "a")
	in, err := pcap.Open(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	c := NewCheckpoints(dir, func(err error) { t.Error(err) })
	r := replay()
	res, err := engine.Run(context.Background(), engine.Config{
		Workers: 2, Budgets: r.Budgets, Local: r.Local, Frames: source.Merge(in), Resume: past, Checkpoint: c.Take,
	})
	c.Close()
	if err != nil {
		t.Fatal(err)
	}
	return res.Summary.Packets
}

// TestCheckpoint holds that a run goes on from the file of the one before, also
// where one was killed while it wrote.
func TestCheckpoint(t *testing.T) {
	dir := t.TempDir()
	if c, err := LoadCheckpoint(dir, time.Now()); c != nil || err != nil {
		t.Errorf("of nothing: %v %v", c, err)
	}
	one := leave(t, dir, nil)
	if err := os.WriteFile(filepath.Join(dir, "checkpoint.tmp"), []byte(checkpointMagic+"half"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := LoadCheckpoint(dir, time.Now())
	if err != nil || c == nil || c.At() == 0 {
		t.Fatal(c, err)
	}
	if two := leave(t, dir, c); two != 2*one {
		t.Errorf("%d packets, then %d", one, two)
	}
	if names := list(t, dir); names != "checkpoint" {
		t.Errorf("there is %s", names)
	}
	if info, _ := os.Stat(filepath.Join(dir, "checkpoint")); info.Mode().Perm() != 0o600 {
		t.Errorf("it can be read by others: %v", info.Mode())
	}
}

func list(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return strings.Join(names, " ")
}

// TestRefused holds that what is no whole checkpoint of this version is set
// aside with a word on why, and that the next start is a plain one.
func TestRefused(t *testing.T) {
	dir := t.TempDir()
	leave(t, dir, nil)
	path := filepath.Join(dir, "checkpoint")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	flipped, newer := bytes.Clone(whole), bytes.Clone(whole)
	flipped[len(whole)/2] ^= 1
	newer[len(checkpointMagic)+1]++
	var foreign bytes.Buffer
	if err := pack(&foreign, func(w io.Writer) error {
		_, err := w.Write([]byte("\x00\x00\x00\x00\x00\x00\x00\x01anumber!!\x00\x00\x00\x00\x00\x00\x00\x00"))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		data []byte
		says string
	}{
		{"empty", nil, "only the beginning"},
		{"head", whole[:checkpointHead], "only the beginning"},
		{"cut", whole[:len(whole)-1], "damaged"},
		{"flipped", flipped, "damaged"},
		{"newer", newer, "form 2"},
		{"foreign", []byte(strings.Repeat("something else ", 20)), "no checkpoint"},
		{"other structure", foreign.Bytes(), "another version"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := os.WriteFile(path, c.data, 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := LoadCheckpoint(dir, time.Now())
			if got != nil || err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "checkpoint.refused") {
				t.Errorf("%v, want %q", err, c.says)
			}
			if kept, err := os.ReadFile(path + ".refused"); err != nil || !bytes.Equal(kept, c.data) {
				t.Errorf("it is not kept: %v", err)
			}
			if got, err := LoadCheckpoint(dir, time.Now()); got != nil || err != nil {
				t.Errorf("the next start: %v", err)
			}
		})
	}
}

// TestFullDisk holds that what cannot be written is told once and leaves the
// checkpoint before as it was.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	leave(t, dir, nil)
	before, err := os.ReadFile(filepath.Join(dir, "checkpoint"))
	if err != nil {
		t.Fatal(err)
	}
	full := errors.New("no space left on device")
	var told []error
	c := NewCheckpoints(dir, func(err error) { told = append(told, err) })
	for range 3 {
		c.Take(0, func(w io.Writer) error { _, _ = w.Write(make([]byte, 1<<20)); return full })
		c.Close()
	}
	if len(told) != 1 || !errors.Is(told[0], full) {
		t.Errorf("told %v", told)
	}
	if after, _ := os.ReadFile(filepath.Join(dir, "checkpoint")); !bytes.Equal(before, after) || list(t, dir) != "checkpoint" {
		t.Errorf("there is %s", list(t, dir))
	}
	c.Take(0, func(io.Writer) error { return nil })
	c.Close()
	c.Take(0, func(io.Writer) error { return full })
	c.Close()
	if len(told) != 2 {
		t.Errorf("told %d times, want again after it had worked", len(told))
	}
}

// TestKilled holds that whenever the process dies there is a whole checkpoint.
func TestKilled(t *testing.T) {
	if dir := os.Getenv("CHECKPOINT_DIR"); dir != "" {
		for {
			past, _ := LoadCheckpoint(dir, time.Now())
			leave(t, dir, past)
		}
	}
	dir := t.TempDir()
	leave(t, dir, nil)
	var before testudo.Time
	for i := range 8 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestKilled$")
		cmd.Env = append(os.Environ(), "CHECKPOINT_DIR="+dir)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(60+37*i) * time.Millisecond)
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		c, err := LoadCheckpoint(dir, time.Now())
		if err != nil || c == nil || c.At() < before {
			t.Fatalf("killed: %v", err)
		}
		before = c.At()
	}
}

// TestNewest holds that the last one handed over is the one that stays,
// however fast they come.
func TestNewest(t *testing.T) {
	dir := t.TempDir()
	c := NewCheckpoints(dir, func(err error) { t.Error(err) })
	for i := range 200 {
		c.Take(testudo.Time(i), func(w io.Writer) error { _, err := w.Write([]byte{byte(i)}); return err })
	}
	c.Close()
	var want bytes.Buffer
	_ = pack(&want, func(w io.Writer) error { _, err := w.Write([]byte{199}); return err })
	if got, err := os.ReadFile(filepath.Join(dir, "checkpoint")); err != nil || !bytes.Equal(got, want.Bytes()) {
		t.Errorf("%v: it is not the last", err)
	}
}

// TestFutureRefused holds that a checkpoint of a clock that was far ahead is
// set aside, and one that is a little ahead is not.
func TestFutureRefused(t *testing.T) {
	dir := t.TempDir()
	leave(t, dir, nil)
	c, err := LoadCheckpoint(dir, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	at := c.At().Std()
	if c, err := LoadCheckpoint(dir, at.Add(-aheadAtMost)); c == nil || err != nil {
		t.Errorf("an hour ahead: %v, %v", c, err)
	}
	c, err = LoadCheckpoint(dir, at.AddDate(-1, 0, 0))
	if c != nil || err == nil || !strings.Contains(err.Error(), "has not come yet") {
		t.Errorf("a year ahead: %v, %v", c, err)
	}
	if names := list(t, dir); names != "checkpoint.refused" {
		t.Errorf("there is %s", names)
	}
}

// TestFullDiskOnce holds that a full disk is told once, in one line.
func TestFullDiskOnce(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer full.Close()
	err = pack(full, func(w io.Writer) error {
		_, err := w.Write(bytes.Repeat([]byte("what was learned "), 1<<20))
		return err
	})
	if err == nil || strings.Contains(err.Error(), "\n") {
		t.Errorf("told: %v", err)
	}
}
