// Command testudo is a cyber-espionage shield for the networks its users are
// responsible for. This folder is the map: parts.go lists what the shield is
// put together from, main.go the commands, config.go what can be configured.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// The exit codes of the contract.
const (
	exitDone        = 0
	exitFindings    = 1
	exitUsage       = 2
	exitInput       = 3
	exitConfig      = 4
	exitRights      = 5
	exitRefused     = 6
	exitRemote      = 7
	exitInterrupted = 130
)

// exitError ends the program with a code of the contract. An error with an
// empty message has been told already.
type exitError struct {
	code int
	err  error
}

func (e exitError) Error() string { return e.err.Error() }
func (e exitError) Unwrap() error { return e.err }

// app is what every command shares.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	config         string
	output         string
}

// memoryLimit is when the garbage collector stops waiting for the heap to
// double: what the budgets allow to be alive stays well below it, and a run
// below half a gigabyte. GOMEMLIMIT overrules it.
const memoryLimit = 456 << 20

func main() {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	context.AfterFunc(ctx, stop) // the second Ctrl-C does not ask
	a := &app{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr}
	code := a.run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

func (a *app) run(ctx context.Context, args []string) int {
	root := a.root()
	root.SetArgs(args)
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	var ee exitError
	if errors.As(err, &ee) {
		if ee.err != nil && ee.err.Error() != "" {
			fmt.Fprintf(a.stderr, "testudo: %s\n", terminal(ee.err.Error()))
		}
		return ee.code
	}
	fmt.Fprintf(a.stderr, "testudo: %s\n         see: testudo help\n", terminal(err.Error()))
	return exitUsage
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "testudo",
		Short: "A cyber-espionage shield: identify an attack, name the server behind it, say why",
		Long: "testudo reads the traffic of networks you are responsible for, tells what attack is in it,\n" +
			"who was hit, which server is behind it and why it says so.\n\n" +
			"Start with:  testudo replay your.pcap",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.PersistentFlags().StringVar(&a.config, "config", "", "configuration `FILE` (YAML); none is needed to start")
	root.PersistentFlags().StringVarP(&a.output, "output", "o", "text", "output `FORMAT`: text, json or csv")
	root.AddCommand(a.replayCommand(), a.drillCommand(), a.benchCommand(), a.versionCommand())
	root.CompletionOptions.HiddenDefaultCmd = true
	return root
}

// format checks -o.
func (a *app) format(known ...string) error {
	for _, k := range known {
		if a.output == k {
			return nil
		}
	}
	return exitError{exitUsage, fmt.Errorf("-o %s: want %s", a.output, strings.Join(known, ", "))}
}
