package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/testudo-shield/testudo/shield"
)

func (a *app) backupCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "backup FILE",
		Short: "Write all that is remembered into one file, also while watching",
		Long: "backup writes the state folder as it is at one moment into one file (tar): incidents, notes and lists,\n" +
			"records, what was learned. It appears whole or not at all. Others may read and write meanwhile.",
		Example: "  testudo backup /backup/testudo.tar",
		Args:    oneFile("backup"),
		RunE:    func(c *cobra.Command, args []string) error { return a.backup(c.Context(), args[0]) },
	}
}

func (a *app) restoreCommand() *cobra.Command {
	var force bool
	c := &cobra.Command{
		Use:   "restore [flags] FILE",
		Short: "Bring back what a backup holds",
		Long: "restore checks a backup as a whole and puts it into the state folder. A folder that holds something is\n" +
			"left alone unless --force is given; what it held is then kept beside it as .replaced. A shield that\n" +
			"watches with the same folder must be stopped before.",
		Example: "  testudo restore --dir /var/lib/testudo /backup/testudo.tar",
		Args:    oneFile("restore"),
		RunE:    func(c *cobra.Command, args []string) error { return a.restore(c.Context(), args[0], force) },
	}
	c.Flags().BoolVar(&force, "force", false, "replace what the folder holds; it is kept as .replaced")
	return c
}

// oneFile asks for exactly one file.
func oneFile(command string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != 1 {
			return exitError{exitUsage, fmt.Errorf("%s: name one file:  testudo %s testudo.tar", command, command)}
		}
		return nil
	}
}

func (a *app) backup(ctx context.Context, to string) error {
	m, err := a.memory()
	if err != nil {
		return err
	}
	defer m.Close()
	head, size, err := m.Backup(ctx, to, version)
	if err != nil {
		return memoryError(fmt.Errorf("backup: %w", err))
	}
	what := "state and records"
	if !head.History {
		what = "state alone: back up the database of the records by its own means"
	}
	_, err = fmt.Fprintf(a.stdout, "Backed up %s to %s (%.1f MB): %s\n", terminal(m.Dir), terminal(to), float64(size)/1e6, what)
	return err
}

func (a *app) restore(ctx context.Context, from string, force bool) error {
	dir, err := a.memoryDir()
	if err != nil {
		return err
	}
	if err := claimState(dir); err != nil {
		return err
	}
	open, err := a.openHistory()
	if err != nil {
		return err
	}
	head, err := shield.Restore(ctx, from, dir, version, open, force, now())
	if err != nil {
		return memoryError(fmt.Errorf("restore: %w", err))
	}
	_, err = fmt.Fprintf(a.stdout, "Restored %s to %s: as it was at %s, written by testudo %s\n", terminal(from), terminal(dir), head.At, terminal(head.Program))
	return err
}
