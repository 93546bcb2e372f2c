package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/shield"
)

// forgetFlags are the flags of forget.
type forgetFlags struct {
	why    string
	yes    bool
	habits bool
}

func (a *app) forgetCommand() *cobra.Command {
	var f forgetFlags
	c := &cobra.Command{
		Use:   "forget [flags] ADDRESS|NAME...",
		Short: "Erase a host or a person from all that is remembered",
		Long: "forget removes every record that holds an address or a name, wherever it stands, and takes it out of\n" +
			"incidents, notes and lists; an incident that rests on it alone goes. It prints a receipt. Nothing of\n" +
			"it can be brought back, except from backups, which are not touched. A shield that watches with the\n" +
			"same folder must be stopped before.",
		Example: "  testudo forget 10.0.0.5 --why 'request of 3 March' --yes",
		RunE: func(c *cobra.Command, args []string) error {
			switch {
			case len(args) == 0:
				return exitError{exitUsage, errors.New("forget: say who or what:  testudo forget 10.0.0.5 --why TEXT")}
			case strings.TrimSpace(f.why) == "":
				return exitError{exitUsage, errors.New("forget: say why, for the receipt:  --why 'request of 3 March'")}
			}
			return a.forget(c.Context(), f, args)
		},
	}
	c.Flags().StringVar(&f.why, "why", "", "reason, as `TEXT`; it stands on the receipt")
	c.Flags().BoolVar(&f.yes, "yes", false, "do not ask")
	c.Flags().BoolVar(&f.habits, "habits", false, "also remove what the detectors learned, of all hosts; else it fades by itself")
	return c
}

func (a *app) forget(ctx context.Context, f forgetFlags, args []string) error {
	if err := a.format("text", "json"); err != nil {
		return err
	}
	subject, err := shield.SubjectOf(args)
	if err != nil {
		return exitError{exitUsage, fmt.Errorf("forget: %w", err)}
	}
	dir, err := a.memoryDir()
	if err != nil {
		return err
	}
	if err := a.sure(f.yes, fmt.Sprintf("Erase %s from all that is remembered in %s? It cannot be brought back.", strings.Join(args, ", "), dir)); err != nil {
		return err
	}
	m, err := a.remembersThere(dir)
	if err != nil {
		return err
	}
	defer m.Close()
	r, err := m.Forget(ctx, subject, f.why, f.habits)
	if err != nil {
		return memoryError(fmt.Errorf("not all of it is forgotten yet, do it again: %w", err))
	}
	tell := a.receipt
	if a.output == "json" {
		tell = a.receiptJSON
	}
	if err := tell(&r, args); err != nil {
		return err
	}
	if n := len(r.History.Unread); n > 0 {
		return exitError{exitInput, fmt.Errorf("%s could not be searched, so it may hold what is to be forgotten still; the receipt names each", counted(n, "damaged file"))}
	}
	return nil
}

// sure asks on a terminal, and refuses elsewhere, unless yes was said.
func (a *app) sure(yes bool, question string) error {
	if yes {
		return nil
	}
	if !isTerminal(a.stdin) {
		return exitError{exitRefused, errors.New("nobody is there to be asked; if it is meant, add --yes")}
	}
	fmt.Fprintf(a.stderr, "testudo: %s [y/N] ", terminal(question))
	answer, _ := bufio.NewReader(a.stdin).ReadString('\n') // no answer is no
	if s := strings.ToLower(strings.TrimSpace(answer)); s != "y" && s != "yes" {
		return exitError{exitRefused, errors.New("nothing was changed")}
	}
	return nil
}

// receipt tells what was erased.
func (a *app) receipt(r *shield.Forgotten, args []string) error {
	var b strings.Builder
	row := func(label, format string, values ...any) {
		fmt.Fprintf(&b, "  %-12s%s\n", label, terminal(fmt.Sprintf(format, values...)))
	}
	fmt.Fprintf(&b, "Forgotten: %s\n", terminal(strings.Join(args, ", ")))
	row("why", "%s", r.Why)
	row("when", "%s", r.At.Std().In(time.Local).Format("Mon 2 Jan 2006 15:04:05 MST"))
	row("records", "%d removed; %s searched, %d written anew", r.History.Rows, counted(int(r.History.Searched), "file"), len(r.History.Files))
	if r.History.Rows > 0 {
		row("", "of %s to %s", r.History.First, r.History.Last)
	}
	s := r.State
	row("incidents", "%d removed, %d told without it", len(s.Incidents), len(s.Changed))
	row("sightings", "%d removed, %d blanked", s.Sightings, s.Blanked)
	row("hosts", "%d names and leases, %d importances removed", s.Holdings, s.Hosts)
	row("texts", "%d notes and reasons blanked, %d entries of lists removed", s.Notes, s.Allowed)
	for _, d := range r.History.Unread {
		row("not read", "%s: %s", d.File, d.Reason)
	}
	for _, c := range s.Copies {
		row("not read", "%s: an earlier copy of the state; remove it if it may hold what is to be forgotten", c)
	}
	switch {
	case r.Learned:
		row("habits", "removed, of all hosts: they are learned anew")
	case r.Habits != "":
		row("habits", "what detectors learned fades by itself; to remove it at once, of all hosts: --habits")
	}
	row("elsewhere", "backups, logs written by --records and the captures themselves are not touched")
	_, err := fmt.Fprint(a.stdout, b.String())
	return err
}

func (a *app) receiptJSON(r *shield.Forgotten, args []string) error {
	type file struct {
		File string `json:"file"`
		New  string `json:"new,omitempty"`
		Rows int64  `json:"records,omitempty"`
		Why  string `json:"why,omitempty"`
	}
	files, unread := []file{}, []file{}
	for _, f := range r.History.Files {
		files = append(files, file{File: f.File, New: f.New, Rows: f.Rows})
	}
	for _, d := range r.History.Unread {
		unread = append(unread, file{File: d.File, Why: d.Reason})
	}
	for _, c := range r.State.Copies {
		unread = append(unread, file{File: c, Why: "an earlier copy of the state"})
	}
	removed, changed := append([]string{}, r.State.Incidents...), append([]string{}, r.State.Changed...)
	return json.NewEncoder(a.stdout).Encode(struct {
		Type      string       `json:"type"`
		Schema    int          `json:"schema"`
		Subject   []string     `json:"subject"`
		Why       string       `json:"why"`
		At        testudo.Time `json:"at"`
		Records   int64        `json:"records"`
		Searched  int64        `json:"files_searched"`
		Files     []file       `json:"files"`
		Unread    []file       `json:"unread"`
		Sightings int          `json:"sightings"`
		Blanked   int          `json:"sightings_blanked"`
		Removed   []string     `json:"incidents_removed"`
		Changed   []string     `json:"incidents_changed"`
		Hosts     int          `json:"hosts"`
		Texts     int          `json:"texts"`
		Entries   int          `json:"list_entries"`
		Habits    bool         `json:"habits_left"`
	}{
		"forget", 1, args, r.Why, r.At, r.History.Rows, r.History.Searched, files, unread, r.State.Sightings, r.State.Blanked,
		removed, changed, r.State.Holdings + r.State.Hosts, r.State.Notes, r.State.Allowed, r.Habits != "" && !r.Learned,
	})
}
