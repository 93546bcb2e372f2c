package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/source/afpacket"
	"github.com/testudo-shield/testudo/shield"
	"github.com/testudo-shield/testudo/shield/rights"
	"github.com/testudo-shield/testudo/tell/report"
)

// watchFlags are what watch alone has.
type watchFlags struct {
	judgeFlags
	interfaces []string
	filter     string
	follow     []string
	listen     string
	exporters  []string
	ringMB     int
	user       string
	dir        string
}

func (a *app) watchCommand() *cobra.Command {
	var f watchFlags
	c := &cobra.Command{
		Use:   "watch -i INTERFACE[,INTERFACE] [flags]",
		Short: "Watch live traffic and tell an attack while it goes on",
		Long: "watch reads network interfaces, logs of Zeek and Suricata as they grow, or flow exports that are sent to it,\n" +
			"and tells an incident when it sees one, again when it gets graver, and all of them at the end (Ctrl-C).\n\n" +
			"Interfaces need the right to read packets, given once with:\n" +
			"  sudo setcap cap_net_raw+ep $(command -v testudo)\n" +
			"It is given up again as soon as they are open.",
		Example: "  sudo testudo watch -i eth1\n  testudo watch -i eth1,eth2 --filter 'not port 9100' --local 192.0.2.0/24\n" +
			"  testudo watch --follow /opt/zeek/logs/current -o json\n  testudo watch --listen :2055 --exporters 10.1.0.1",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return exitError{exitUsage, fmt.Errorf("watch: what is %q? interfaces are named by -i, logs by --follow; recordings are read by:  testudo replay", args[0])}
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error { return a.watch(c.Context(), f) },
	}
	f.judgeFlags.register(c)
	fl := c.Flags()
	fl.StringSliceVarP(&f.interfaces, "interface", "i", nil, "`INTERFACE[,INTERFACE]` to watch; may repeat")
	fl.StringVar(&f.filter, "filter", "", "watch only what matches `BPF`, in tcpdump's language")
	fl.StringSliceVar(&f.follow, "follow", nil, "folder of Zeek logs or eve.json `PATH` to follow as it grows; may repeat")
	fl.StringVar(&f.listen, "listen", "", "receive NetFlow, IPFIX and sFlow on `ADDRESS:PORT`")
	fl.StringSliceVar(&f.exporters, "exporters", nil, "networks whose flow exports are believed, as `CIDR[,CIDR]`")
	fl.IntVar(&f.ringMB, "ring", 0, "`MB` of packets that may wait to be read, for each interface (default 64)")
	fl.StringVar(&f.user, "user", "", "begun as root, go on as `USER` (default: testudo, else nobody)")
	return c
}

func (a *app) watch(ctx context.Context, f watchFlags) error {
	if err := a.format("text", "json"); err != nil {
		return err
	}
	level, limited, err := failLevel(f.failOn)
	if err != nil {
		return err
	}
	c, set, err := a.prepared(f.judgeFlags)
	if err != nil {
		return err
	}
	f.dir = a.dir
	f.into(&c)
	if err := f.misused(c); err != nil {
		return exitError{exitUsage, fmt.Errorf("watch: %w", err)}
	}
	if f.dir == "" {
		if err := a.loadIntel(ctx, &set, c, f.judgeFlags, nil); err != nil {
			return err
		}
	}
	t := &teller{app: a, flags: f.judgeFlags}
	if err := f.make(f.account(c)); err != nil {
		return err
	}
	past, unlock, err := remembered(f.dir, t.event)
	if err != nil {
		return err
	}
	defer unlock()
	in, err := openLive(c, past.Position(), afpacket.OpenSockets, t.event)
	if err != nil {
		return err
	}
	if os.Geteuid() == 0 || in.packets != nil { // else there is nothing to give up
		if err := rights.Drop(f.account(c)); err != nil {
			in.close()
			return exitError{exitRights, err}
		}
	}
	if err := in.followable(t.event); err != nil {
		in.close()
		return err
	}
	in.stopWith(ctx)
	t.event("watching " + strings.Join(in.names, ", ") + "; stop with Ctrl-C")
	live := &reloaded{}
	var memory *shield.Memory
	if f.dir != "" {
		if memory, err = a.remembers(f.dir, true); err != nil {
			in.close()
			return err
		}
		defer memory.Close()
		memory.Keep = c.History.policy()
		if err := a.loadIntel(ctx, &set, c, f.judgeFlags, memory); err != nil {
			in.close()
			return err
		}
		know := &knowing{app: a, memory: memory, live: live, event: t.event, flags: f.judgeFlags}
		know.set(c, set)
		defer know.keep(ctx)()
	}
	live.take(set)
	w := in.watch(live.settings(set))
	w.Memory = memory
	w.Dir, w.Resume, w.CheckpointEvery = f.dir, past, time.Duration(c.CheckpointMinutes)*time.Minute
	w.RecordsDir, w.RecordsFormat = f.records, f.recordsFormat
	w.Tell, w.State, w.Event = t.change, t.state, t.event
	res, err := w.Run(ctx)
	t.done()
	if werr := a.print(replayFlags{judgeFlags: f.judgeFlags, live: true}, res); werr != nil {
		return exitError{exitInput, werr}
	}
	if err != nil {
		return exitError{exitInput, err}
	}
	return a.verdict(res, nil, level, limited)
}

// misused says what of the flags cannot be meant.
func (f *watchFlags) misused(c config) error {
	switch {
	case f.progress != "auto" && f.progress != "plain" && f.progress != "none":
		return fmt.Errorf("--progress %s: want auto, plain or none", f.progress)
	case f.ringMB < 0 || f.ringMB > maxRing:
		return fmt.Errorf("--ring %d: want 1 to %d megabytes", f.ringMB, maxRing)
	case len(f.exporters) > 0 && c.FlowExports.Listen == "":
		return errors.New("--exporters says whose flow exports are believed; say also where to receive them:  --listen :2055")
	case len(c.Interfaces)+len(c.Follow) == 0 && c.FlowExports.Listen == "":
		return errors.New("name an interface:  sudo testudo watch -i eth1\n         ip link shows those there are")
	case len(c.Interfaces) == 0 && (f.filter != "" || f.ringMB > 0):
		return errors.New("--filter and --ring are for interfaces, and none is named:  -i eth1")
	}
	return nil
}

// make makes the folders that are not there yet, for the account that watch
// goes on as. Folders that are there stay as they are.
func (f *watchFlags) make(account string) error {
	for _, dir := range []string{f.dir, f.records} {
		if _, err := os.Stat(dir); dir == "" || !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := os.MkdirAll(dir, 0o750); err != nil {
			return exitError{exitRights, err}
		}
		if dir == f.dir {
			if err := claimState(dir); err != nil {
				return err
			}
		}
		if os.Geteuid() != 0 {
			continue
		}
		uid, gid, err := rights.Find(account)
		if err != nil {
			return exitError{exitRights, err}
		}
		entries, _ := os.ReadDir(dir)
		names := []string{dir}
		for _, e := range entries {
			names = append(names, filepath.Join(dir, e.Name()))
		}
		for _, name := range names {
			if err := os.Lchown(name, uid, gid); err != nil {
				return exitError{exitRights, err}
			}
		}
	}
	return nil
}

// account is who watch goes on as when it was begun as root, "" for testudo or
// nobody.
func (f *watchFlags) account(c config) string {
	if f.user == "" && c.User != defaultConfig().User {
		return c.User
	}
	return f.user
}

// into puts the flags over the configuration.
func (f *watchFlags) into(c *config) {
	if len(f.interfaces) > 0 {
		known := map[string]iface{}
		for _, i := range c.Interfaces {
			known[i.Name] = i
		}
		c.Interfaces = nil
		for _, name := range f.interfaces {
			if slices.ContainsFunc(c.Interfaces, func(i iface) bool { return i.Name == name }) {
				continue // named twice
			}
			i, ok := known[name]
			if !ok {
				i = iface{Name: name, Promiscuous: true, Rings: 1}
			}
			c.Interfaces = append(c.Interfaces, i)
		}
	}
	for i := range c.Interfaces {
		if f.filter != "" {
			c.Interfaces[i].Filter = f.filter
		}
		if f.ringMB > 0 {
			c.Interfaces[i].RingMB = f.ringMB
		}
	}
	if len(f.follow) > 0 {
		c.Follow = f.follow
	}
	if f.listen != "" {
		c.FlowExports = flowExports{Listen: f.listen, Allow: f.exporters}
	}
	if len(f.interfaces)+len(f.follow) > 0 || f.listen != "" { // what is named is all that is meant
		if len(f.interfaces) == 0 {
			c.Interfaces = nil
		}
		if len(f.follow) == 0 {
			c.Follow = nil
		}
		if f.listen == "" {
			c.FlowExports = flowExports{}
		}
	}
}

// teller prints what a live run says, one thing at a time.
type teller struct {
	app   *app
	flags judgeFlags
	mu    sync.Mutex
	learn string    // what was last said of learning
	line  bool      // a status line stands on the terminal
	last  time.Time // when the packets below were counted
	was   int64
}

// quietly takes the status line away while f prints.
func (t *teller) quietly(f func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.clear()
	f()
}

func (t *teller) clear() {
	if t.line {
		fmt.Fprint(t.app.stderr, "\r\x1b[K")
		t.line = false
	}
}

func (t *teller) done() { t.quietly(func() {}) }

func (t *teller) event(text string) {
	t.quietly(func() {
		for line := range strings.SplitSeq(text, "\n") {
			fmt.Fprintf(t.app.stderr, "testudo: %s\n", terminal(line))
		}
	})
}

func (t *teller) change(c report.Change, s *testudo.Summary) {
	t.quietly(func() {
		if t.app.output == "json" {
			_ = report.ChangeJSON(t.app.stdout, &c, s) // the end of stdout ends the run by its signal
			return
		}
		if c.Incident.Severity == testudo.Info && !t.flags.all {
			return
		}
		_ = report.ChangeText(t.app.stdout, &c, s, t.app.textOptions(t.flags))
	})
}

// state shows a line of how it goes on a terminal, and what is still being
// learned when that changes.
func (t *teller) state(s *testudo.Summary) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if learn := waiting(s); learn != t.learn && s.Records > 0 {
		t.clear()
		t.learn = learn
		fmt.Fprintf(t.app.stderr, "testudo: %s\n", terminal(report.Learning(s)))
	}
	now := time.Now()
	rate := 0.0
	if d := now.Sub(t.last).Seconds(); !t.last.IsZero() && d > 0 {
		rate = float64(s.Packets-t.was) / d
	}
	t.last, t.was = now, s.Packets
	if t.flags.progress == "none" || t.flags.progress == "auto" && !isTerminal(t.app.stderr) {
		return
	}
	need := 0
	for sev := testudo.Medium; sev <= testudo.Critical; sev++ {
		need += s.BySeverity[sev]
	}
	text := fmt.Sprintf("%s packets/s  %s lost  %s  %s for a person", count(rate), count(float64(s.Dropped)),
		counted(s.Hosts, "host"), counted(need, "incident"))
	if s.Packets == 0 {
		text = fmt.Sprintf("%s records  %s  %s for a person", count(float64(s.Records)), counted(s.Hosts, "host"), counted(need, "incident"))
	}
	if share := s.Coverage(); share < 1 {
		text += fmt.Sprintf("  %.4g %% read", min(99.99, share*100))
	}
	if t.flags.progress == "plain" {
		fmt.Fprintln(t.app.stderr, text)
		return
	}
	fmt.Fprintf(t.app.stderr, "\r\x1b[K%s", text)
	t.line = true
}

// waiting names the detectors that wait for habit.
func waiting(s *testudo.Summary) string {
	var names []string
	for _, d := range s.Detectors {
		if d.Wait > 0 {
			names = append(names, d.Detector)
		}
	}
	return strings.Join(names, " ") + "."
}
