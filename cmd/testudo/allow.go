package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/keep/state"
	"github.com/testudo-shield/testudo/shield"
)

func (a *app) allowCommand() *cobra.Command {
	return a.listCommand(state.Allow, "allow", "Say what is known and accepted, so that it makes no incident",
		"An entry is a value at either end (an address, a network, a name; *.example is the name and all below it),\n"+
			"narrowed by --source, --destination, --port and --network. It also applies to the past: incidents that rest\n"+
			"on nothing else are judged again and closed, and say so. Taken off, they come back.")
}

func (a *app) protectCommand() *cobra.Command {
	return a.listCommand(state.Protect, "protect", "Say what must never be blocked",
		"An entry is an address, a network or a name; *.example is the name and all below it. No block may touch it.")
}

// listCommand is the commands on one of the two lists.
func (a *app) listCommand(list state.ListName, name, short, long string) *cobra.Command {
	c := &cobra.Command{
		Use: name, Short: short, Long: long,
		Example: "  testudo " + name + " add backup.example --why 'our backup service, contract 17' --until 2027-06-30",
		RunE:    func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(a.listAdd(list, name), a.listList(list, name), a.listCheck(list, name), a.listRemove(list, name))
	return c
}

func (a *app) listAdd(list state.ListName, name string) *cobra.Command {
	e := state.Allowance{List: list}
	var end, who string
	c := &cobra.Command{
		Use: "add VALUE --why TEXT", Short: "Put an entry on the list", Args: exactlyOne(name+" add", "value"),
		Example: "  testudo " + name + " add *.update.example --why 'the vendor of our phones' --network 10.7.0.0/16 --port tcp/443",
		RunE: func(_ *cobra.Command, args []string) (err error) {
			if err = a.format("text", "json"); err != nil {
				return err
			}
			if end != "" {
				if e.Until, err = until(end); err != nil {
					return exitError{exitUsage, fmt.Errorf("--until: %w", err)}
				}
			}
			e.Value, e.Who, e.Since = args[0], author(who), now()
			return a.with(func(m *shield.Memory) error {
				added, err := m.State.AddAllowance(e)
				if err != nil {
					return err
				}
				if err := a.printEntry(a.stdout, added); err != nil {
					return err
				}
				return a.rejudge(m, list, who, fmt.Sprintf("%s is allowed (entry %d): %s", added.Value, added.ID, added.Why))
			})
		},
	}
	fl := c.Flags()
	fl.StringVar(&e.Why, "why", "", "the reason, for whoever looks at it in a year (required)")
	fl.StringVar(&end, "until", "", "when it ends: 30d, 2027-06-30 (default: never)")
	fl.StringVar(&who, "by", "", "`NAME` of who decides (default: this account)")
	fl.StringVar(&e.Source, "source", "", "only for this `HOST` of ours: an address, network or name")
	fl.StringVar(&e.Destination, "destination", "", "only for this other `END`: an address, network or name")
	fl.StringVar(&e.Port, "port", "", "only on this `PORT` of the other end: tcp/443, 443")
	fl.StringVar(&e.Network, "network", "", "only for hosts of ours in this `CIDR`")
	return c
}

// rejudge judges the past again after the allow list has changed, and says
// what became of it.
func (a *app) rejudge(m *shield.Memory, list state.ListName, who, why string) error {
	if list != state.Allow {
		return nil
	}
	told, err := m.Rejudge(author(who), why)
	if err != nil {
		return err
	}
	for _, t := range sortedByID(told) {
		switch {
		case t.State == state.Closed:
			fmt.Fprintf(a.stderr, "testudo: %s rested on it alone and is closed\n", t.ID)
		case t.Reopened != "":
			fmt.Fprintf(a.stderr, "testudo: %s is open again: %s\n", t.ID, terminal(t.Reopened))
		default:
			fmt.Fprintf(a.stderr, "testudo: %s was judged again: see  testudo incidents show %s\n", t.ID, t.ID)
		}
	}
	return nil
}

func (a *app) listList(list state.ListName, name string) *cobra.Command {
	var all bool
	c := &cobra.Command{
		Use: "list", Short: "Show the list", Args: cobra.NoArgs,
		Example: "  testudo " + name + " list --all",
		RunE: func(*cobra.Command, []string) error {
			if err := a.format("text", "json"); err != nil {
				return err
			}
			return a.with(func(m *shield.Memory) error {
				entries, err := m.State.ListAllowances(now(), list, all)
				if err != nil {
					return err
				}
				if len(entries) == 0 && a.output == "text" {
					fmt.Fprintf(a.stdout, "Nothing is on the %s list.\n", list)
				}
				for _, e := range entries {
					if err := a.printEntry(a.stdout, e); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	c.Flags().BoolVar(&all, "all", false, "also entries that ended or were removed")
	return c
}

func (a *app) listCheck(list state.ListName, name string) *cobra.Command {
	return &cobra.Command{
		Use: "check VALUE", Short: "Say which entries speak of a value, why, and until when", Args: exactlyOne(name+" check", "value"),
		Example: "  testudo " + name + " check 203.0.113.7",
		RunE: func(_ *cobra.Command, args []string) error {
			if err := a.format("text", "json"); err != nil {
				return err
			}
			return a.with(func(m *shield.Memory) error {
				entries, err := m.State.Allowances(now(), list)
				if err != nil {
					return err
				}
				found := entries.Concerning(args[0], now())
				if len(found) == 0 && a.output == "text" {
					fmt.Fprintf(a.stdout, "No entry of the %s list speaks of %s.\n", list, terminal(args[0]))
				}
				for _, e := range found {
					if err := a.printEntry(a.stdout, e); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
}

func (a *app) listRemove(list state.ListName, name string) *cobra.Command {
	var why, who string
	c := &cobra.Command{
		Use: "remove ENTRY --why TEXT", Short: "Take an entry off, by its number or its value; it stays on record", Args: exactlyOne(name+" remove", "entry"),
		Example: "  testudo " + name + " remove 3 --why 'the contract ended'",
		RunE: func(_ *cobra.Command, args []string) error {
			return a.with(func(m *shield.Memory) error {
				id, err := entryOf(m, list, args[0])
				if err != nil {
					return err
				}
				gone, err := m.State.RemoveAllowance(now(), id, author(who), why)
				if err != nil {
					return err
				}
				fmt.Fprintf(a.stdout, "entry %d (%s) is off the %s list\n", gone.ID, terminal(gone.Value), list)
				return a.rejudge(m, list, who, fmt.Sprintf("%s is no longer allowed: %s", gone.Value, why))
			})
		},
	}
	c.Flags().StringVar(&why, "why", "", "the reason (required)")
	c.Flags().StringVar(&who, "by", "", "`NAME` of who decides (default: this account)")
	return c
}

// entryOf finds the entry that is meant by a number or a value.
func entryOf(m *shield.Memory, list state.ListName, text string) (int64, error) {
	if id, err := strconv.ParseInt(text, 10, 64); err == nil {
		return id, nil
	}
	entries, err := m.State.ListAllowances(now(), list, false)
	if err != nil {
		return 0, err
	}
	var found []int64
	for _, e := range entries {
		if strings.EqualFold(e.Value, text) {
			found = append(found, e.ID)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return 0, exitError{exitUsage, fmt.Errorf("no entry of the %s list has the value %q; the list:  testudo %s list", list, text, list)}
	}
	return 0, exitError{exitUsage, errors.New("several entries have that value; name one by its number:  testudo " + string(list) + " list")}
}

// printEntry tells an entry of a list.
func (a *app) printEntry(w io.Writer, e state.Allowance) error {
	if a.output == "json" {
		return json.NewEncoder(w).Encode(entryJSON(e))
	}
	var scope []string
	for _, s := range [...]struct{ word, value string }{{"source", e.Source}, {"destination", e.Destination}, {"port", e.Port}, {"network", e.Network}} {
		if s.value != "" {
			scope = append(scope, s.word+" "+s.value)
		}
	}
	line := fmt.Sprintf("%4d  %s", e.ID, e.Value)
	if len(scope) > 0 {
		line += "  (" + strings.Join(scope, ", ") + ")"
	}
	line += fmt.Sprintf("  since %s by %s", day(e.Since), e.Who)
	if e.Until != 0 {
		line += ", until " + day(e.Until)
	}
	line += ": " + e.Why
	if e.Removed != 0 {
		line += fmt.Sprintf("; removed %s by %s: %s", day(e.Removed), e.RemovedWho, e.RemovedWhy)
	}
	_, err := fmt.Fprintln(w, terminal(line))
	return err
}

func day(t testudo.Time) string { return t.Std().In(time.Local).Format("2 Jan 2006 15:04") }

// listEntry is an entry of a list as data.
type listEntry struct {
	Type        string        `json:"type"`
	Schema      int           `json:"schema"`
	ID          int64         `json:"id"`
	List        string        `json:"list"`
	Value       string        `json:"value"`
	Source      string        `json:"source,omitempty"`
	Destination string        `json:"destination,omitempty"`
	Port        string        `json:"port,omitempty"`
	Network     string        `json:"network,omitempty"`
	Why         string        `json:"why"`
	By          string        `json:"by"`
	Since       testudo.Time  `json:"since"`
	Until       *testudo.Time `json:"until,omitempty"`
	Removed     *testudo.Time `json:"removed,omitempty"`
	RemovedBy   string        `json:"removed_by,omitempty"`
	RemovedWhy  string        `json:"removed_why,omitempty"`
}

func entryJSON(e state.Allowance) listEntry {
	l := listEntry{
		Type: "entry", Schema: 1, ID: e.ID, List: string(e.List), Value: e.Value, Source: e.Source, Destination: e.Destination,
		Port: e.Port, Network: e.Network, Why: e.Why, By: e.Who, Since: e.Since, RemovedBy: e.RemovedWho, RemovedWhy: e.RemovedWhy,
	}
	if e.Until != 0 {
		l.Until = &e.Until
	}
	if e.Removed != 0 {
		l.Removed = &e.Removed
	}
	return l
}
