// Package test runs the built binary: what users are promised, on
// traffic that the tests wrote, and on input that means harm. With -long it
// also runs what takes minutes.
package test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

var long = flag.Bool("long", false, "also run what takes minutes: 20 equal runs, every shared capture")

// binary is the path of the program under test, built once by TestMain.
var binary string

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(build(m))
}

func build(m *testing.M) int {
	dir, err := os.MkdirTemp("", "testudo-test")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "testudo")
	cmd := exec.Command("go", "build", "-o", binary, "../cmd/testudo")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0") // as it is released
	if out, err := cmd.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// patience is how long any run of the binary may take.
const patience = 30 * time.Second

// ran is what one run of the binary did.
type ran struct {
	stdout, stderr []byte
	code           int
	rss            int64 // most memory held, in bytes; 0 where not known
	took           time.Duration
}

// run runs the binary with args and stdin (nil for none).
func run(t testing.TB, stdin io.Reader, args ...string) ran {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.WaitDelay = time.Second
	cmd.Env = append(os.Environ(), "NO_COLOR=", "TZ=UTC")
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &out, &errs
	start := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended, held := make(chan struct{}), make(chan int64)
	go func() { held <- watch(cmd.Process.Pid, ended) }()
	err := cmd.Wait()
	close(ended)
	r := ran{stdout: out.Bytes(), stderr: errs.Bytes(), code: cmd.ProcessState.ExitCode(), took: time.Since(start), rss: <-held}
	var exit *exec.ExitError
	if ctx.Err() != nil {
		t.Fatalf("testudo %q: no end after %v\n%.2000s", args, patience, r.stderr)
	}
	if err != nil && !errors.As(err, &exit) && !errors.Is(err, syscall.EPIPE) {
		t.Fatalf("testudo %q: %v", args, err)
	}
	return r
}

// watch returns the most memory a process held until it ended, to the last
// few milliseconds; 0 where the system does not tell. What the system counts
// after the end includes this program's own memory, from before the exec.
func watch(pid int, ended <-chan struct{}) (most int64) {
	for {
		status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if _, line, ok := bytes.Cut(status, []byte("VmHWM:")); ok {
			var kb int64
			if n, _ := fmt.Sscan(string(line), &kb); n == 1 {
				most = max(most, kb*1024)
			}
		}
		select {
		case <-ended:
			return most
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// file writes data below the test's own folder and returns its path.
func file(t testing.TB, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}
