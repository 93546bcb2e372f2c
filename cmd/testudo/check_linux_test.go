package main

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// one returns the only finding, which must be of that level and say that.
func one(t *testing.T, all []finding, level, text string) finding {
	t.Helper()
	if len(all) != 1 || all[0].Level != level || !strings.Contains(all[0].Text, text) {
		t.Fatalf("%+v, want one %s with %q", all, level, text)
	}
	if f := all[0]; (f.Level == "ok") != (f.Do == "") || (f.Level == "fail") != (f.code != 0) {
		t.Errorf("%+v: what failed has an exit code, what is not well says what to do", f)
	}
	return all[0]
}

// TestExamineDisk holds that the folder which is there decides.
func TestExamineDisk(t *testing.T) {
	c := defaultConfig()
	dir := t.TempDir()
	for _, deep := range []string{dir, filepath.Join(dir, "a", "b", "c")} {
		for _, f := range examineDisk(c, "state", deep) {
			if f.Level == "fail" || f.About != "state" || !strings.Contains(f.Text, deep) {
				t.Errorf("%s: %+v", deep, f)
			}
		}
	}
	none := examineDisk(c, "state", "/proc/none")
	if f := one(t, none[len(none)-1:], "fail", "only 0 MB are free"); f.code != exitConfig {
		t.Errorf("%+v", f)
	}
	if os.Geteuid() == 0 {
		t.Skip("SKIPPED: root may write everywhere")
	}
	locked := filepath.Join(dir, "locked")
	if err := os.Mkdir(locked, 0o500); err != nil {
		t.Fatal(err)
	}
	if f := one(t, examineDisk(c, "state", locked), "fail", "cannot be written"); f.code != exitRights {
		t.Errorf("%+v", f)
	}
	one(t, examineDisk(c, "state", filepath.Join(locked, "new")), "warn", "cannot be written")
}

// TestExamineMemory holds that budgets beyond the machine are warned of.
func TestExamineMemory(t *testing.T) {
	c := defaultConfig()
	c.Budgets.Streams = 1 << 30
	for range 64 {
		c.Interfaces = append(c.Interfaces, iface{RingMB: 1 << 20})
	}
	one(t, examineMemory(c), "warn", "are wanted when all budgets are used")
	if small, large := defaultConfig().memory(8), c.memory(8); small < 64<<20 || small > memoryLimit || large < 64<<40 {
		t.Errorf("%d and %d bytes", small, large)
	}
}

// TestExamineInterface holds what is said of one that is not there.
func TestExamineInterface(t *testing.T) {
	f := one(t, examineInterface(iface{Name: "nosuch0"}), "fail", "there is no such interface")
	if f.About != "interface nosuch0" || f.code != exitConfig {
		t.Errorf("%+v", f)
	}
}

// TestExamineRights holds that a sensor which answers stands for the right,
// and that the command which grants it is named.
func TestExamineRights(t *testing.T) {
	c := defaultConfig()
	c.Interfaces = []iface{{Name: "eth1"}}
	c.SensorSocket = filepath.Join(t.TempDir(), "s")
	if all := examineRights(c); all[0].Level == "ok" {
		t.Skip("SKIPPED: this account has CAP_NET_RAW itself")
	} else if f := one(t, all, "fail", "CAP_NET_RAW"); f.code != exitRights || !strings.Contains(f.Do, "setcap cap_net_raw+ep") {
		t.Errorf("%+v", f)
	}
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: c.SensorSocket, Net: "unixpacket"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	one(t, examineRights(c), "ok", "the sensor answers")
}

// TestTellFindings holds the form of the page and which failure decides how
// it ends.
func TestTellFindings(t *testing.T) {
	for _, c := range []struct {
		all  []finding
		code int
		want string
	}{
		{[]finding{good("a", "b")}, 0, "ok    a  b\n\nAll is well.\n"},
		{[]finding{warn("long", "x", "y"), good("a", "b")}, 0, "warn  long  y; do:  x\nok    a     b\n\n0 failed, 1 warning, 1 ok\n"},
		{[]finding{fail(exitRights, "a", "x", "y"), fail(exitConfig, "a", "x", "\x1b[2J")}, exitRights, "fail  a  y; do:  x\nfail  a  \\x1b[2J; do:  x\n\n2 failed, 0 warnings, 0 ok\n"},
	} {
		var out bytes.Buffer
		a := &app{stdout: &out, output: "text"}
		err := a.tellFindings(c.all)
		code := 0
		if ee, ok := err.(exitError); ok {
			code = ee.code
		}
		if out.String() != c.want || code != c.code {
			t.Errorf("exit %d, want %d\n%q\n%q", code, c.code, out.String(), c.want)
		}
	}
}
