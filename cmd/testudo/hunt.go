package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/keep/history"
	"github.com/testudo-shield/testudo/tell/inquiry"
)

// huntFlags are the flags of hunt.
type huntFlags struct {
	list     string
	limit    int
	progress string
	plain    bool
}

func (a *app) huntCommand() *cobra.Command {
	var f huntFlags
	c := &cobra.Command{
		Use:   "hunt [flags] EXPRESSION...",
		Short: "Look for something in all that is remembered",
		Long: "hunt looks for records in all that is remembered in the state folder and says when and by whom they\n" +
			"were made, and how much of that time was recorded at all. All terms must hold:\n\n" +
			"  an address, network, name (with all below it), fingerprint, hash or URL\n" +
			"  src: dst: host: net: name: ja3: ja4: cert: uri: agent: port: proto: service: bytes:\n" +
			"  any field of the records, such as conn_state:S0 or duration>60\n" +
			"  since:7d until:2026-03-01 at:2026-02-11 log:dns limit:20\n\n" +
			"A minus before a term means that it must not hold, * stands for anything. With --list the values of a\n" +
			"file are looked for, one a line or any form of indicators that is known. Ctrl-C ends it with what was\n" +
			"found until then.",
		Example: "  testudo hunt 203.0.113.7\n  testudo hunt src:10.0.0.5 'name:*.example' since:7d 'bytes>1e6'\n  testudo hunt --list indicators.txt since:90d",
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 && f.list == "" {
				return exitError{exitUsage, errors.New("hunt: say what to look for:  testudo hunt 203.0.113.7 since:7d")}
			}
			return a.hunt(c.Context(), f, strings.Join(args, " "))
		},
	}
	c.Flags().StringVar(&f.list, "list", "", "look for any of the values in `FILE`")
	c.Flags().IntVar(&f.limit, "limit", 20, "records shown, 0 for all; all are counted")
	c.Flags().StringVar(&f.progress, "progress", "auto", "progress on stderr: auto, plain or none")
	c.Flags().BoolVar(&f.plain, "plain", false, "no colour, no drawing")
	return c
}

func (a *app) hunt(ctx context.Context, f huntFlags, question string) error {
	if err := a.format("text", "json", "csv"); err != nil {
		return err
	}
	q, err := inquiry.Parse(question, now())
	if err != nil {
		return exitError{exitUsage, err}
	}
	h := &inquiry.Hunt{Question: question, Limit: f.limit}
	if q.Limit > 0 {
		h.Limit, q.Limit = q.Limit, 0 // all are counted
	}
	if f.list != "" {
		if h.Question, err = a.huntList(f.list, question, &q); err != nil {
			return err
		}
	}
	show, err := a.meter(f.progress, []string{"hunt"})
	if err != nil {
		return err
	}
	m, err := a.memory()
	if err != nil {
		return err
	}
	defer m.Close()
	got, err := m.Hunt(ctx, h, q, show.scanned)
	show.done()
	if err != nil {
		return memoryError(err)
	}
	h.Unread = len(got.Damaged) > 0
	if err := a.printHunt(h, f.plain); err != nil {
		return exitError{exitInput, err}
	}
	return a.huntVerdict(h, &got)
}

// huntList adds the values of a file to a question.
func (a *app) huntList(path, question string, q *testudo.Query) (string, error) {
	v, err := parts().ReadValues(path)
	if err != nil {
		return "", exitError{exitInput, fmt.Errorf("--list %w", err)}
	}
	if v.Skipped > 0 {
		fmt.Fprintf(a.stderr, "testudo: %s: %s of it cannot be looked for in records and are left out\n", terminal(path), counted(v.Skipped, "line"))
	}
	q.Values = &v.Values
	return strings.TrimSpace(fmt.Sprintf("any of %s of %s %s", counted(v.Taken, "value"), path, question)), nil
}

func (a *app) printHunt(h *inquiry.Hunt, plain bool) error {
	switch a.output {
	case "json":
		return h.JSON(a.stdout)
	case "csv":
		return h.CSV(a.stdout)
	}
	return h.Text(a.stdout, a.cardOptions(plain))
}

// cardOptions is how answers about the past are laid out.
func (a *app) cardOptions(plain bool) inquiry.TextOptions {
	return inquiry.TextOptions{Width: width(a.stdout), Zone: time.Local, Plain: plain}
}

// huntVerdict tells what is missing from an answer.
func (a *app) huntVerdict(h *inquiry.Hunt, got *history.Scanned) error {
	if got.TornFrames > 0 {
		fmt.Fprintf(a.stderr, "testudo: history: %s of records was cut off by a crash while it was written; it was never counted as remembered\n", counted(int(got.TornFrames), "portion"))
	}
	unread := a.unread(got.Damaged)
	switch {
	case h.Stopped:
		reached := "before the first hour was finished"
		if h.Reached != 0 {
			reached = "at records of " + h.Reached.String()
		}
		return exitError{exitInterrupted, fmt.Errorf("interrupted %s; what was found before is told above", reached)}
	}
	return unread
}

// unread says which files are missing from an answer; nil where none is.
func (a *app) unread(damaged []history.Damage) error {
	for _, d := range damaged {
		fmt.Fprintf(a.stderr, "testudo: history: %s cannot be read (%s); what it holds is missing from the answer\n", terminal(d.File), terminal(d.Reason))
	}
	if len(damaged) > 0 {
		return exitError{exitInput, errors.New("")}
	}
	return nil
}

// scanned shows how far a hunt is, from the second second on.
func (m *meter) scanned(p history.Progress) {
	now := time.Now()
	every := 200 * time.Millisecond
	if !m.line {
		every = 2 * time.Second
	}
	elapsed := now.Sub(m.start)
	if m.off || elapsed < 2*time.Second || now.Sub(m.last) < every || p.Total == 0 {
		return
	}
	m.last = now
	share := min(1, float64(p.Done)/float64(p.Total))
	left := time.Duration(float64(elapsed) * (1 - share) / max(share, 0.001)).Round(time.Second)
	text := fmt.Sprintf("%s  %.0f %%  %s found  at %s  %s left", m.label, 100*share, count(float64(p.Found)),
		p.Hour.Std().UTC().Format("2006-01-02 15:04"), left)
	if m.line {
		fmt.Fprintf(m.w, "\r\x1b[K%s", text)
		m.shown = true
		return
	}
	fmt.Fprintln(m.w, text)
}
