package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/user"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/keep/state"
	"github.com/testudo-shield/testudo/shield"
	"github.com/testudo-shield/testudo/tell/inquiry"
	"github.com/testudo-shield/testudo/tell/report"
)

func (a *app) incidentsCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "incidents",
		Short: "List, show, close and note the incidents that are remembered",
		Long: "incidents works on what replay --dir, watch --dir and serve have remembered. An incident is new, confirmed,\n" +
			"contained or closed; new evidence opens a closed one again, and says why.",
		Example: "  testudo incidents list\n  testudo incidents show INC-7F3K\n  testudo incidents close INC-7F3K --why 'reinstalled'",
		RunE:    func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(a.incidentsList(), a.incidentsShow(),
		a.incidentsMove("confirm", "Say that an incident is real", state.Confirmed),
		a.incidentsMove("contain", "Say that an incident can do no more harm", state.Contained),
		a.incidentsMove("close", "Say that nothing is left to do about an incident", state.Closed),
		a.incidentsMove("reopen", "Say that there is more to do about an incident", state.New),
		a.incidentsNote())
	return c
}

// with opens the memory for f.
func (a *app) with(f func(*shield.Memory) error) (err error) {
	m, err := a.memory()
	if err != nil {
		return err
	}
	defer func() { err = cmp.Or(err, memoryError(m.Close())) }()
	return memoryError(f(m))
}

func (a *app) incidentsList() *cobra.Command {
	var f state.Filter
	var severity, kind, since string
	var all, plain bool
	var states []string
	c := &cobra.Command{
		Use: "list", Short: "List them, the latest first: those open and for a person, all with --all", Args: cobra.NoArgs,
		Example: "  testudo incidents list\n  testudo incidents list --all --since 30d --server 203.0.113.7 -o json",
		RunE: func(c *cobra.Command, _ []string) (err error) {
			if err = a.format("text", "json"); err != nil {
				return err
			}
			f.Kind = testudo.Kind(kind)
			if f.Severity, err = testudo.ParseSeverity(severity); err != nil {
				return exitError{exitUsage, fmt.Errorf("--severity: %w", err)}
			}
			if since != "" {
				if f.Since, err = ago(since); err != nil {
					return exitError{exitUsage, fmt.Errorf("--since: %w", err)}
				}
			}
			if all && !c.Flags().Changed("severity") {
				f.Severity = testudo.Info
			}
			f.States = nil
			for _, s := range states {
				f.States = append(f.States, state.Life(s))
			}
			if len(states) == 0 && !all {
				f.States = []state.Life{state.New, state.Confirmed, state.Contained}
			}
			return a.with(func(m *shield.Memory) error { return a.listIncidents(m, f, plain) })
		},
	}
	fl := c.Flags()
	fl.BoolVar(&all, "all", false, "also those that are closed or need nobody")
	fl.StringVar(&severity, "severity", "medium", "this `LEVEL` or above: info, low, medium, high, critical")
	fl.StringSliceVar(&states, "state", nil, "only those in `STATE`: new, confirmed, contained, closed; may repeat")
	fl.StringVar(&since, "since", "", "that went on until `TIME` or later: 7d, 12h, 2026-09-01")
	fl.StringVar(&kind, "kind", "", "only of `KIND`: espionage, intrusion, flood, scan, control, isolation, policy")
	fl.StringVar(&f.Victim, "victim", "", "only those of this `HOST`, by address or name")
	fl.StringVar(&f.Server, "server", "", "only those of this `SERVER`, by address or name")
	fl.BoolVar(&plain, "plain", false, "no colour, no drawing")
	return c
}

func (a *app) listIncidents(m *shield.Memory, f state.Filter, plain bool) error {
	found, err := m.State.List(f)
	if err != nil {
		return err
	}
	if a.output == "json" {
		for i := range found {
			full, err := m.State.Get(found[i].ID)
			if err != nil {
				return err
			}
			c, life := shield.CaseOf(&full)
			if err := report.CaseJSON(a.stdout, &c, life, full.Aliases, nil); err != nil {
				return err
			}
		}
		return nil
	}
	cases := make([]inquiry.Case, len(found))
	for i := range found {
		cases[i], _ = shield.CaseOf(&found[i])
	}
	return report.CasesText(a.stdout, cases, a.textOptions(judgeFlags{plain: plain}))
}

func (a *app) incidentsShow() *cobra.Command {
	var plain bool
	c := &cobra.Command{
		Use: "show INCIDENT", Short: "Show one in full, with its life and notes", Args: exactlyOne("incidents show", "incident"),
		Example: "  testudo incidents show INC-7F3K",
		RunE: func(_ *cobra.Command, args []string) error {
			if err := a.format("text", "json"); err != nil {
				return err
			}
			return a.with(func(m *shield.Memory) error {
				in, err := m.State.Get(args[0])
				if err != nil {
					return err
				}
				c, life := shield.CaseOf(&in)
				if a.output == "json" {
					return report.CaseJSON(a.stdout, &c, life, in.Aliases, nil)
				}
				return report.CaseText(a.stdout, &c, life, in.Aliases, nil, a.textOptions(judgeFlags{plain: plain}))
			})
		},
	}
	c.Flags().BoolVar(&plain, "plain", false, "no colour, no drawing")
	return c
}

func (a *app) incidentsMove(verb, short string, to state.Life) *cobra.Command {
	var why, who string
	c := &cobra.Command{
		Use: verb + " INCIDENT --why TEXT", Short: short, Args: exactlyOne("incidents "+verb, "incident"),
		Example: "  testudo incidents " + verb + " INC-7F3K --why '…'",
		RunE: func(_ *cobra.Command, args []string) error {
			return a.with(func(m *shield.Memory) error {
				id, err := m.State.Resolve(args[0])
				if err != nil {
					return err
				}
				if err := m.State.Move(now(), id, to, author(who), why); err != nil {
					return err
				}
				fmt.Fprintf(a.stdout, "%s is %s\n", id, to)
				return nil
			})
		},
	}
	c.Flags().StringVar(&why, "why", "", "the reason, for whoever looks at it in a year (required)")
	c.Flags().StringVar(&who, "by", "", "`NAME` of who decides (default: this account)")
	return c
}

func (a *app) incidentsNote() *cobra.Command {
	var who string
	c := &cobra.Command{
		Use: "note INCIDENT TEXT...", Short: "Write a note on one",
		Example: "  testudo incidents note INC-7F3K 'the user was on leave that week'",
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) < 2 {
				return exitError{exitUsage, errors.New("incidents note: name the incident and write the note:  testudo incidents note INC-7F3K 'what was found'")}
			}
			return a.with(func(m *shield.Memory) error {
				return m.State.Note(now(), args[0], author(who), strings.Join(args[1:], " "))
			})
		},
	}
	c.Flags().StringVar(&who, "by", "", "`NAME` of who writes (default: this account)")
	return c
}

// exactlyOne wants exactly one argument of a sort.
func exactlyOne(command, sort string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != 1 {
			return exitError{exitUsage, fmt.Errorf("%s: name one %s:  testudo %s …", command, sort, command)}
		}
		return nil
	}
}

// author is who decides: whom --by names, else who runs this.
func author(by string) string {
	if by != "" {
		return by
	}
	if name := os.Getenv("SUDO_USER"); name != "" {
		return name
	}
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "someone"
}

// ago reads a moment: so long ago ("7d", "12h"), or a date or time, local
// where it does not say.
func ago(text string) (testudo.Time, error) {
	if n, unit := strings.TrimRight(text, "dhmw"), text[len(strings.TrimRight(text, "dhmw")):]; n != text && n != "" {
		units := map[string]time.Duration{"m": time.Minute, "h": time.Hour, "d": 24 * time.Hour, "w": 7 * 24 * time.Hour}
		var count float64
		if _, err := fmt.Sscan(n, &count); err == nil && units[unit] > 0 && count >= 0 && count < 1e5 {
			return now().Add(-time.Duration(count * float64(units[unit]))), nil
		}
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return testudo.TimeOf(t), nil
		}
	}
	return 0, fmt.Errorf("%q: want so long ago, as 7d or 12h, or a date, as 2026-09-01", text)
}

// until reads the end of something: so long from now, or a date or time.
func until(text string) (testudo.Time, error) {
	t, err := ago(text)
	if err == nil && strings.ContainsAny(text[len(text)-1:], "dhmw") {
		t = 2*now() - t
	}
	if err == nil && t <= now() {
		return 0, fmt.Errorf("%q lies in the past", text)
	}
	return t, err
}

func sortedByID(list []state.Told) []state.Told {
	return slices.SortedFunc(slices.Values(list), func(a, b state.Told) int { return cmp.Compare(a.ID, b.ID) })
}
