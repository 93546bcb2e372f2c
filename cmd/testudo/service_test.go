package main

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestClaimState holds that a state folder is marked, that an older mark is
// raised, and that the state of a newer release is refused and left alone.
func TestClaimState(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	mark := filepath.Join(dir, "format")
	for range 2 {
		if err := claimState(dir); err != nil {
			t.Fatal(err)
		}
		if text, _ := os.ReadFile(mark); string(text) != strconv.Itoa(stateFormat)+" "+version+"\n" {
			t.Errorf("format says %q", text)
		}
	}
	for _, c := range []struct {
		text string
		want []string // of the refusal; none where it is taken
	}{
		{"0 0.0.9\n", nil},
		{"999 9.1.0\n", []string{"written by testudo 9.1.0 in format 999", "knows formats up to", "mv " + dir + " " + dir + ".format-999"}},
		{"what\n", []string{"want a number and a release"}},
		{"", []string{"want a number and a release"}},
	} {
		if err := os.WriteFile(mark, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		err := claimState(dir)
		text, _ := os.ReadFile(mark)
		if c.want == nil {
			if err != nil || string(text) == c.text {
				t.Errorf("%q: %v, %q", c.text, err, text)
			}
			continue
		}
		for _, want := range c.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%q: %v, want %q", c.text, err, want)
			}
		}
		if string(text) != c.text {
			t.Errorf("%q became %q", c.text, text)
		}
	}
}

// TestStateLocked holds that of two runs on one state folder the second is
// refused, and is let in when the first is over.
func TestStateLocked(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	quiet := func(string) {}
	_, unlock, err := remembered(dir, quiet)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = remembered(dir, quiet)
	var e exitError
	if !errors.As(err, &e) || e.code != exitRefused || !strings.Contains(err.Error(), "in use by another testudo") {
		t.Errorf("the second: %v", err)
	}
	unlock()
	if _, unlock, err = remembered(dir, quiet); err != nil {
		t.Fatal(err)
	}
	unlock()
}

// TestNotifySystemd holds what the service manager hears.
func TestNotifySystemd(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	if err := notifySystemd("READY=1"); err != nil {
		t.Errorf("nobody asked: %v", err)
	}
	name := filepath.Join(t.TempDir(), "notify")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	t.Setenv("NOTIFY_SOCKET", name)
	if err := notifySystemd("READY=1"); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 64)
	if n, err := l.Read(b); err != nil || string(b[:n]) != "READY=1" {
		t.Errorf("%q, %v", b[:n], err)
	}
	for _, c := range []struct {
		us, pid string
		want    time.Duration
	}{
		{"", "", 0},
		{"60000000", "", 30 * time.Second},
		{"60000000", strconv.Itoa(os.Getpid()), 30 * time.Second},
		{"60000000", "1", 0},
		{"soon", "", 0},
		{"-5", "", 0},
	} {
		t.Setenv("WATCHDOG_USEC", c.us)
		t.Setenv("WATCHDOG_PID", c.pid)
		if got := watchdogEvery(); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

// TestPages holds that the package's pages tell every command and key, and
// hold nothing that groff would take for a command of its own.
func TestPages(t *testing.T) {
	dir := t.TempDir()
	root := (&app{}).root(nil)
	if err := writePages(root, dir); err != nil {
		t.Fatal(err)
	}
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Error(err)
		}
		return string(text)
	}
	for _, c := range root.Commands() {
		if !c.IsAvailableCommand() || c.Name() == "help" {
			continue
		}
		text := read("man/testudo-" + c.Name() + ".1")
		for _, part := range []string{".SH \"NAME\"\ntestudo\\-" + c.Name(), ".SH \"OPTIONS\"", "\\-\\-config", "testudo.yaml(5)"} {
			if !strings.Contains(text, part) {
				t.Errorf("the page of %s lacks %q", c.Name(), part)
			}
		}
	}
	if text := read("man/testudo.yaml.5"); !strings.Contains(text, "checkpoint_minutes") {
		t.Error("testudo.yaml(5) lacks the keys")
	}
	for _, name := range []string{"completion/testudo", "completion/_testudo", "completion/testudo.fish"} {
		if !strings.Contains(read(name), "testudo") {
			t.Errorf("%s completes nothing", name)
		}
	}
	for in, want := range map[string]string{".TH": `\&.TH`, `a\b`: `a\eb`, `-x 'y'`: `\-x \(aqy\(aq`} {
		if got := roff(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
