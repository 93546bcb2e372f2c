//go:build linux

package rights

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// dropIn is set in the environment of the copy of the test that gives its
// rights up; it names what it keeps.
const dropIn = "TESTUDO_TEST_DROP"

// TestMain gives rights up in a copy of the test, as that is for good.
func TestMain(m *testing.M) {
	keep, asked := os.LookupEnv(dropIn)
	if !asked {
		os.Exit(m.Run())
	}
	os.Exit(drop(keep))
}

func drop(keep string) int {
	for range 8 { // threads that rights must be taken from, too
		go func() { runtime.LockOSThread(); select {} }()
	}
	var caps []Capability
	if keep == "raw" {
		caps = []Capability{NetRaw}
	}
	if err := Drop("nobody", caps...); errors.Is(err, errors.ErrUnsupported) {
		fmt.Println("SKIPPED:", err)
		return 0
	} else if err != nil {
		fmt.Println(err)
		return 1
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW, 0)
	fmt.Println("uid", os.Getuid(), os.Geteuid(), "gid", os.Getgid(), "packet socket", fd >= 0, err)
	fmt.Println("root again", unix.Setuid(0) == nil, "shadow", readable("/etc/shadow"))
	tasks, _ := filepath.Glob("/proc/self/task/*/status")
	seen := map[string]int{}
	for _, task := range tasks {
		status, _ := os.ReadFile(task)
		for line := range strings.Lines(string(status)) {
			for _, field := range []string{"CapInh", "CapPrm", "CapEff", "CapAmb", "NoNewPrivs", "Uid", "Groups"} {
				if strings.HasPrefix(line, field) {
					seen[strings.Join(strings.Fields(line), " ")]++
				}
			}
		}
	}
	fmt.Println(len(tasks), "threads", seen)
	return 0
}

func readable(path string) bool {
	f, err := os.Open(path)
	if err == nil {
		_ = f.Close()
	}
	return err == nil
}

func TestKernelDrop(t *testing.T) {
	if os.Geteuid() != 0 || os.Getenv("TESTUDO_PROVE") == "" {
		t.Skip("SKIPPED: needs root, to give it up; make prove runs it")
	}
	for _, keep := range []string{"", "raw"} {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), dropIn+"="+keep)
		b, err := cmd.CombinedOutput()
		out := string(b)
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if strings.HasPrefix(out, "SKIPPED") {
			t.Skip(out)
		}
		want := []string{"uid 65534 65534", "root again false", "shadow false", "CapInh: 0000000000000000", "CapAmb: 0000000000000000"}
		if _, _, errno := syscall.AllThreadsSyscall(syscall.SYS_GETPID, 0, 0, 0); errno == 0 { // else built with cgo
			want = append(want, "NoNewPrivs: 1")
		}
		if keep == "" {
			want = append(want, "packet socket false", "CapEff: 0000000000000000", "CapPrm: 0000000000000000")
		} else {
			want = append(want, "packet socket true", "CapEff: 0000000000002000", "CapPrm: 0000000000002000")
		}
		for _, w := range want {
			if !strings.Contains(out, w) {
				t.Errorf("keeping %q: want %s in %s", keep, w, out)
			}
		}
		if n := strings.Count(out, "CapEff:"); n != 1 {
			t.Errorf("threads differ: %s", out)
		}
	}
	if err := Drop("no such user"); err == nil || !strings.Contains(err.Error(), "no such user") {
		t.Error(err)
	}
	if err := Drop("root"); err == nil || !strings.Contains(err.Error(), "none to become") {
		t.Error(err)
	}
}
