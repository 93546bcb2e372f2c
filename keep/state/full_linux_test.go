package state

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/testudo-shield/testudo"
)

// TestFullDisk fills a real file system, of 4 MB.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=4m"); err != nil {
		t.Skipf("SKIPPED: no right to mount a file system: %v", err)
	}
	defer syscall.Unmount(dir, syscall.MNT_DETACH)
	s := openTest(t, dir)
	fill(t, s)
	ballast := filepath.Join(dir, "ballast")
	f, err := os.Create(ballast)
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	f.Close()
	told := 0
	for ; err == nil || told == 0; told++ {
		if _, err = s.Import(t.Context(), t0, Source{Name: "l" + strconv.Itoa(told)}, true, million(1000)); err != nil {
			break
		}
	}
	if !errors.Is(err, ErrFull) {
		t.Fatalf("after %d imports: %v", told, err)
	}
	if _, err := s.Get("INC-0"); err != nil {
		t.Errorf("reading goes on: %v", err)
	}
	if err := s.Backup(t.Context(), filepath.Join(dir, "backup.db")); !errors.Is(err, ErrFull) {
		t.Errorf("backup: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*.part")); len(left) > 0 {
		t.Error(left)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Tell(t0, []testudo.Incident{incident("INC-00000000000Z", sighting("beacon", "z", 0))}); err != nil {
		t.Errorf("it does not recover: %v", err)
	}
	if all, err := s.Sources(); err != nil || len(all) != told+1 {
		t.Errorf("%d sources of %d: %v", len(all), told+1, err)
	}
	s.Close()
	openTest(t, dir)
}

// TestHolder holds that who waits is told for whom.
func TestHolder(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), victimDir+"="+dir)
	var out bytes.Buffer
	cmd.Stderr = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	var s *State
	var err error
	for range 100 {
		time.Sleep(20 * time.Millisecond)
		if exists(filepath.Join(dir, File)) {
			if s, err = open(dir, t0, "1", time.Millisecond, migrations); err == nil {
				break
			}
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	want := "process " + strconv.Itoa(cmd.Process.Pid)
	for range 2000 {
		if err := s.Note(t0, "INC-0", "lee", "now?"); errors.Is(err, ErrBusy) && strings.Contains(err.Error(), want) {
			return
		}
	}
	t.Errorf("no message named %s: %s", want, s.holder())
}
