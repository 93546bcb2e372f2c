package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/engine"
	"github.com/testudo-shield/testudo/keep/history"
	"github.com/testudo-shield/testudo/keep/state"
	"github.com/testudo-shield/testudo/shield"
	"github.com/testudo-shield/testudo/tell/report"
)

// judgeFlags are the flags of all commands that judge traffic.
type judgeFlags struct {
	local         []string
	intel         []string
	workers       int
	records       string
	recordsFormat string
	progress      string
	failOn        string
	all           bool
	plain         bool
}

// replayFlags are the flags of commands that judge recorded traffic.
type replayFlags struct {
	judgeFlags
	noTiming bool
	live     bool   // what was judged was not recorded
	label    string // what the input is called in the output; its path if empty
}

func (f *replayFlags) register(c *cobra.Command) {
	f.judgeFlags.register(c)
	c.Flags().BoolVar(&f.noTiming, "no-timing", false, "leave out how long it took, so that equal runs give equal bytes")
}

func (f *judgeFlags) register(c *cobra.Command) {
	fl := c.Flags()
	fl.StringSliceVar(&f.local, "local", nil, "networks we protect, as `CIDR[,CIDR]` (default: the private ones)")
	fl.StringSliceVar(&f.intel, "intel", nil, "`FILE|DIR` of indicators in any format of docs/indicators.md; may repeat")
	fl.IntVar(&f.workers, "workers", 0, "goroutines that read and judge; 0 is one a core")
	fl.StringVar(&f.records, "records", "", "also write the records to `DIR` as Zeek logs")
	fl.StringVar(&f.recordsFormat, "records-format", "tsv", "`FORMAT` of the records: tsv or json")
	fl.StringVar(&f.progress, "progress", "auto", "progress on stderr: auto, plain or none")
	fl.StringVar(&f.failOn, "fail-on", "none", "exit 1 on an incident of this `LEVEL` or above: none, info, low, medium, high, critical")
	fl.BoolVar(&f.all, "all", false, "show also what needs nobody")
	fl.BoolVar(&f.plain, "plain", false, "no colour, no drawing")
}

func (a *app) replayCommand() *cobra.Command {
	var f replayFlags
	c := &cobra.Command{
		Use:   "replay [flags] PATH...",
		Short: "Read recorded traffic and say what attack is in it",
		Long: "replay reads captures (pcap, pcapng, also .gz and .zst; - is stdin), Zeek logs, Suricata's eve.json,\n" +
			"flow exports (captures of NetFlow, IPFIX or sFlow datagrams, files of IPFIX messages), or folders of\n" +
			"them, merged by traffic time, and prints the incidents in them. It writes nothing unless --records or\n" +
			"--dir is given: what is read and found is then remembered, and judged with what was before.",
		Example: "  testudo replay your.pcap\n  testudo replay -o json --local 192.0.2.0/24 monday.pcap tuesday.pcap.gz",
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return exitError{exitUsage, errors.New("replay: name a capture:  testudo replay your.pcap")}
			}
			return a.replay(c.Context(), f, args)
		},
	}
	f.register(c)
	return c
}

func (a *app) replay(ctx context.Context, f replayFlags, paths []string) error {
	if err := a.format("text", "json", "csv"); err != nil {
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
	show, err := a.meter(f.progress, paths)
	if err != nil {
		return err
	}
	set.Progress = show.update
	memory, full, err := a.replayMemory(c)
	if err != nil {
		return err
	}
	if memory != nil {
		defer memory.Close()
	}
	if err := a.loadIntel(ctx, &set, c, f.judgeFlags, memory); err != nil {
		return err
	}
	res, err := shield.Replay{
		Parts: parts(), Settings: set, Paths: paths, Stdin: a.stdin, Memory: memory,
		RecordsDir: f.records, RecordsFormat: f.recordsFormat,
		Note: func(text string) { fmt.Fprintf(a.stderr, "testudo: %s\n", terminal(text)) },
	}.Run(ctx)
	show.done()
	failed := err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, shield.ErrNoInput)
	if failed && res.Summary.Packets+res.Summary.Records == 0 {
		return exitError{exitInput, err}
	}
	// What was found is told also if the records could not be written.
	if werr := a.print(f, res); werr != nil {
		return exitError{exitInput, werr}
	}
	if failed {
		return exitError{exitInput, err}
	}
	return cmp.Or(full, a.verdict(res, err, level, limited))
}

// replayMemory opens the memory that --dir names, nil for none. On a full disk
// there is none: what is read is judged all the same, and full says at the
// end that nothing of it is remembered.
func (a *app) replayMemory(conf config) (m *shield.Memory, full, err error) {
	if a.dir == "" {
		return nil, nil, nil
	}
	m, err = a.remembers(a.dir, true)
	if errors.Is(err, state.ErrFull) || errors.Is(err, history.ErrFull) || errors.Is(err, syscall.ENOSPC) {
		full = exitError{exitInput, fmt.Errorf("judged but not remembered, read it again when there is room: %w", err)}
		return nil, full, nil
	}
	if err != nil {
		return nil, nil, err
	}
	m.Keep = conf.History.policy()
	return m, nil, nil
}

// verdict turns a run into an exit code; what was skipped is said on stderr.
func (a *app) verdict(res engine.Result, err error, level testudo.Severity, limited bool) error {
	if errors.Is(err, context.Canceled) {
		return exitError{exitInterrupted, errors.New("interrupted; what was read before is reported above")}
	}
	for _, s := range res.Summary.Skipped {
		fmt.Fprintf(a.stderr, "testudo: %s: %s\n", terminal(s.Input), terminal(s.Reason))
	}
	if len(res.Summary.Skipped) > 0 {
		return exitError{exitInput, errors.New("")}
	}
	for i := range res.Incidents {
		if limited && res.Incidents[i].Severity >= level {
			return exitError{exitFindings, errors.New("")}
		}
	}
	return nil
}

func failLevel(word string) (testudo.Severity, bool, error) {
	if word == "none" {
		return 0, false, nil
	}
	level, err := testudo.ParseSeverity(word)
	if err != nil {
		return 0, false, exitError{exitUsage, fmt.Errorf("--fail-on: %w, or none", err)}
	}
	return level, true, nil
}

// prepared joins the configuration file and the flags.
func (a *app) prepared(f judgeFlags) (config, shield.Settings, error) {
	if f.recordsFormat != "tsv" && f.recordsFormat != "json" {
		return config{}, shield.Settings{}, exitError{exitUsage, fmt.Errorf("--records-format %s: want tsv or json", f.recordsFormat)}
	}
	c, err := loadConfig(a.config)
	if err != nil {
		return c, shield.Settings{}, err
	}
	s, err := a.settings(c, f)
	return c, s, err
}

func (a *app) settings(c config, f judgeFlags) (shield.Settings, error) {
	var err error
	if len(f.local) > 0 {
		c.Local = f.local
	}
	if f.workers < 0 {
		return shield.Settings{}, exitError{exitUsage, fmt.Errorf("--workers %d: want 0, for one a core, or more", f.workers)}
	}
	s := shield.Settings{Workers: f.workers, Budgets: c.Budgets.engine()}
	if s.Workers == 0 {
		s.Workers = c.Workers
	}
	if s.Workers <= 0 {
		s.Workers = runtime.GOMAXPROCS(0)
	}
	if s.GuessLocal = len(c.Local) == 0; s.GuessLocal {
		c.Local = defaultLocal
	}
	if s.Local, err = prefixes(c.Local); err != nil {
		return s, exitError{exitUsage, fmt.Errorf("--local %w", err)}
	}
	if err := s.LoadShared(c.Shared); err != nil {
		return s, exitError{exitInput, err}
	}
	return s, nil
}

func (a *app) print(f replayFlags, res engine.Result) error {
	if f.noTiming {
		res.Summary.Wall = 0
	}
	if f.label != "" {
		res.Summary.Inputs = []string{f.label}
	}
	switch a.output {
	case "json":
		return report.JSON(a.stdout, res.Incidents, &res.Summary, !f.noTiming)
	case "csv":
		return report.CSV(a.stdout, res.Incidents)
	}
	o := a.textOptions(f.judgeFlags)
	if o.Live = f.live; o.Live {
		res.Summary.Wall = 0 // how long it was watched is said, how long that took is the same
	}
	return report.Text(a.stdout, res.Incidents, &res.Summary, o)
}

func (a *app) textOptions(f judgeFlags) report.TextOptions {
	return report.TextOptions{
		Width: width(a.stdout), Color: colour(a.stdout) && !f.plain, Plain: f.plain,
		All: f.all, Zone: time.Local, Version: version,
	}
}
