//go:build linux

package afpacket

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/testudo-shield/testudo/sense/source"
	"github.com/testudo-shield/testudo/shield/rights"
)

// asWatcher is set in the environment of the copy of the test that gives up
// its rights and reads on.
const asWatcher = "TESTUDO_TEST_WATCHER"

// watch does what a shield in the foreground does: open, drop all rights,
// read.
func watch() int {
	cfg := small("ta0")
	cfg.Event = func(s string) { fmt.Println(s) }
	r, err := Open(cfg)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	if err := rights.Drop("nobody"); errors.Is(err, errors.ErrUnsupported) {
		fmt.Println("SKIPPED:", err)
		return 0
	} else if err != nil {
		fmt.Println(err)
		return 1
	}
	if _, err := Open(cfg); !errors.Is(err, ErrPermission) {
		fmt.Println("opened without rights:", err)
		return 1
	}
	fmt.Println("reading")
	for deadline := time.Now().Add(15 * time.Second); time.Now().Before(deadline); {
		var f source.Frame
		if r.Next(&f) != nil {
			continue
		}
		fmt.Println("frame", f.Data[45])
		if f.Data[45] == 2 {
			return 0
		}
	}
	return 1
}

// TestKernelReplacedWithoutRights removes and makes anew the interface of a
// process that has given up its rights.
func TestKernelReplacedWithoutRights(t *testing.T) {
	a, b := pair(t)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), asWatcher+"=yes")
	out, err := cmd.StdoutPipe()
	if err != nil || cmd.Start() != nil {
		t.Fatal("the watcher does not start: ", err)
	}
	var said heard
	for lines := bufio.NewScanner(out); lines.Scan(); {
		said.add(lines.Text())
		switch lines.Text() {
		case "reading":
			newSender(t, b).send(frame("10.0.0.1", "10.0.0.2", 1, 80))
		case "frame 1":
			ip(t, "link del "+a)
		case "interface ta0 was removed; waiting for it to come back":
			cable(t, a, b)
		}
		if said.has("up again") && !said.has("frame 2") {
			newSender(t, b).send(frame("10.0.0.1", "10.0.0.2", 2, 80))
		}
	}
	if err := cmd.Wait(); said.has("SKIPPED") {
		t.Skip(said)
	} else if err != nil || !said.has("frame 2") {
		t.Errorf("%v: %q", err, said)
	}
}
