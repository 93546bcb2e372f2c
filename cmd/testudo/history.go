package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/testudo-shield/testudo/keep/history"
	"github.com/testudo-shield/testudo/tell/inquiry"
)

// policy is how long records are kept, as configured.
func (r retention) policy() history.Policy {
	const day = 24 * time.Hour
	return history.Policy{Keep: time.Duration(r.KeepDays) * day, KeepNames: time.Duration(r.KeepNamesDays) * day, MaxBytes: int64(r.MaxGB) * 1e9}
}

// words tells the same to a person.
func (r retention) words() string {
	keep := "for ever"
	if r.KeepDays > 0 {
		keep = counted(r.KeepDays, "day")
	}
	parts := []string{keep}
	if r.KeepNamesDays > 0 {
		parts = append(parts, "names "+counted(r.KeepNamesDays, "day"))
	}
	if r.MaxGB > 0 {
		parts = append(parts, fmt.Sprintf("at most %d GB", r.MaxGB))
	}
	return strings.Join(append(parts, "longer where an open incident rests on it"), ", ")
}

func (a *app) historyCommand() *cobra.Command {
	var plain bool
	c := &cobra.Command{
		Use:   "history",
		Short: "Say what is remembered: since when, how much, recorded how well",
		Long: "history says what the state folder holds: the oldest and newest record, how many, how large, how long they are\n" +
			"kept, how much of the time each sensor recorded, and what is damaged. It changes nothing.",
		Example: "  testudo history --dir /var/lib/testudo",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.history(c.Context(), plain)
		},
	}
	c.Flags().BoolVar(&plain, "plain", false, "no colour, no drawing")
	return c
}

func (a *app) history(ctx context.Context, plain bool) error {
	if err := a.format("text", "json"); err != nil {
		return err
	}
	c, err := loadConfig(a.config)
	if err != nil {
		return err
	}
	m, err := a.memory()
	if err != nil {
		return err
	}
	defer m.Close()
	k, err := m.Tell(ctx)
	if err != nil {
		return memoryError(err)
	}
	told := inquiry.Keeping{
		Place: m.Dir, Oldest: k.Oldest, Newest: k.Newest, Records: k.Rows, Files: k.Files, Bytes: k.Bytes,
		Inputs: k.Inputs, Open: k.Open, Closed: k.Closed, Policy: c.History.words(), Coverage: k.Coverage,
	}
	for _, d := range k.Damaged {
		told.Damaged = append(told.Damaged, d.File+": "+d.Reason)
	}
	if a.output == "json" {
		return told.JSON(a.stdout)
	}
	return told.Text(a.stdout, a.cardOptions(plain))
}
