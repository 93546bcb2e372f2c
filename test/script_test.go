package test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/testudo-shield/testudo/test/wire"
)

// TestScript runs the scripts in testdata/script, one for each promise of the
// command line. Beside testscript's own commands they have
//
//	capture NAME FILE      writes one of the captures below; .gz and .zst are packed
//	status CODE PROGRAM …  runs a program that must end with that code
//	jsonl FILE             holds that each line is JSON with type and schema, the summary last
//	same FILE FILE         holds that two runs' lines are equal but for wall_s and workers
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"),
		Setup: func(e *testscript.Env) error {
			e.Setenv("PATH", filepath.Dir(binary)+string(os.PathListSeparator)+e.Getenv("PATH"))
			e.Setenv("TZ", "UTC")
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"capture": capture, "status": status, "jsonl": jsonl, "same": alike,
		},
	})
}

// captures are what scripts may ask for.
var captures = map[string]func() *wire.Tape{
	"calm": func() *wire.Tape { // one look-up and one visit
		t := &wire.Tape{}
		server := wire.Port("203.0.113.10", 80)
		t.Lookup(wire.Start, wire.Port("10.1.0.5", 5353), wire.Port("10.1.0.2", 53).Addr(), 1, "www.shop.example", server.Addr())
		t.Conn(wire.Start.Add(time.Second), wire.Port("10.1.0.5", 40000), server,
			wire.Say{Bytes: []byte("GET / HTTP/1.1\r\nHost: www.shop.example\r\n\r\n")},
			wire.Say{Resp: true, Bytes: []byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")})
		return t
	},
	"hollow": func() *wire.Tape { return &wire.Tape{} },
	"mixed":  func() *wire.Tape { return wire.Mixed(21, 200) },
	"later": func() *wire.Tape { // calm, an hour on
		t := &wire.Tape{}
		t.Conn(wire.Start.Add(time.Hour), wire.Port("10.1.0.6", 40000), wire.Port("203.0.113.10", 80),
			wire.Say{Bytes: []byte("GET /later HTTP/1.1\r\nHost: www.shop.example\r\n\r\n")})
		return t
	},
	"public": func() *wire.Tape { // nobody in it has a private address
		t := &wire.Tape{}
		for i := range 20 {
			t.Conn(wire.Start.Add(time.Duration(i)*time.Second), wire.Port("192.0.2."+strconv.Itoa(i+1), 40000), wire.Port("203.0.113.10", 80),
				wire.Say{Bytes: []byte("GET / HTTP/1.1\r\nHost: www.shop.example\r\n\r\n")},
				wire.Say{Resp: true, Bytes: []byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")})
		}
		return t
	},
}

func capture(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 || captures[args[0]] == nil {
		ts.Fatalf("usage: capture NAME FILE")
	}
	b := captures[args[0]]().Pcap()
	switch filepath.Ext(args[1]) {
	case ".gz":
		b = packed(b)
	case ".zst":
		z, err := zstd.NewWriter(nil)
		ts.Check(err)
		b = z.EncodeAll(b, nil)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), b, 0o644))
}

func status(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status CODE PROGRAM ARGS...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit %d, want %d", got, want)
	}
	for _, out := range []string{ts.ReadFile("stdout"), ts.ReadFile("stderr")} {
		if i := acts([]byte(strings.ReplaceAll(out, "\t", " "))); i >= 0 {
			ts.Fatalf("the output can act on a terminal: %q", out[i:min(len(out), i+40)])
		}
	}
}

func jsonl(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: jsonl FILE")
	}
	all := bytes.SplitAfter([]byte(ts.ReadFile(args[0])), []byte("\n"))
	all = all[:len(all)-1] // behind the last end of line
	for i, line := range all {
		var o object
		ts.Check(json.Unmarshal(line, &o))
		if o["schema"] != 1.0 || (o["type"] == "summary") != (i == len(all)-1) {
			ts.Fatalf("line %d of %d is of type %v, schema %v", i+1, len(all), o["type"], o["schema"])
		}
	}
	if len(all) == 0 {
		ts.Fatalf("no line")
	}
}

var timing = regexp.MustCompile(`,"wall_s":[0-9.]+|,"workers":[0-9]+`)

func alike(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: same FILE FILE")
	}
	a, b := timing.ReplaceAllString(ts.ReadFile(args[0]), ""), timing.ReplaceAllString(ts.ReadFile(args[1]), "")
	if (a == b) == neg {
		ts.Fatalf("the same: %v\n%s", a == b, differ([]byte(a), []byte(b)))
	}
}

// TestInterrupt holds that Ctrl-C ends a run that waits for more, with what
// was read before and exit 130; also before anything came.
func TestInterrupt(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no signals here")
	}
	for _, c := range []struct {
		name    string
		given   []byte
		packets bool
	}{
		{"nothing came", nil, false},
		{"half a capture", wire.Mixed(5, 3000).Pcap(), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			cmd := exec.Command(binary, "replay", "-o", "json", "-")
			cmd.WaitDelay = patience
			in, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			defer in.Close()
			var out, errs bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &errs
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			if _, err := in.Write(c.given); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			if err := cmd.Process.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- cmd.Wait() }()
			select {
			case <-ended:
			case <-time.After(10 * time.Second):
				_ = cmd.Process.Kill()
				t.Fatal("still running ten seconds after Ctrl-C")
			}
			if code := cmd.ProcessState.ExitCode(); code != 130 {
				t.Errorf("exit %d: %s", code, errs.Bytes())
			}
			s := summary(t, ran{stdout: out.Bytes(), stderr: errs.Bytes()})
			if (s["packets"].(float64) > 0) != c.packets {
				t.Errorf("%v packets", s["packets"])
			}
			if !bytes.Contains(errs.Bytes(), []byte("interrupted")) {
				t.Errorf("stderr: %s", errs.Bytes())
			}
		})
	}
}
