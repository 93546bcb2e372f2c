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
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
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

// usageError is a wrong use; help is the command that tells the right one.
type usageError struct {
	error
	help string
}

func (e usageError) Unwrap() error { return e.error }

func (e exitError) Error() string { return e.err.Error() }
func (e exitError) Unwrap() error { return e.err }

// app is what every command shares.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	config         string
	output         string
	dir            string // the state folder that was named, "" for none
	store          string // the store of records that was named, "" for files
}

func main() {
	boundMemory()
	ends := []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP}
	if slices.Contains(os.Args[1:], "serve") || slices.Contains(os.Args[1:], "sensor") {
		ends = ends[:2]               // there SIGHUP means: read the configuration again
		signal.Ignore(syscall.SIGHUP) // until that can be done
	}
	ctx, stop := signal.NotifyContext(context.Background(), ends...)
	defer stop()
	// The second Ctrl-C does not ask. A signal to the group and to the process
	// itself, as timeout sends it, is one.
	context.AfterFunc(ctx, func() { time.AfterFunc(time.Second, stop) })
	a := &app{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr}
	code := a.run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

func (a *app) run(ctx context.Context, args []string) int {
	root := a.root(args)
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
			for line := range strings.SplitSeq(ee.err.Error(), "\n") {
				fmt.Fprintf(a.stderr, "testudo: %s\n", terminal(line))
			}
		}
		return ee.code
	}
	help := "testudo help"
	var ue usageError
	if errors.As(err, &ue) {
		help = ue.help
	}
	fmt.Fprintf(a.stderr, "testudo: %s\n         see: %s\n", terminal(err.Error()), help)
	return exitUsage
}

// root builds the commands; args are what was typed, for what is said of it.
func (a *app) root(args []string) *cobra.Command {
	var showVersion bool
	root := &cobra.Command{
		Use:   "testudo",
		Short: "A cyber-espionage shield: identify an attack, name the server behind it, say why",
		Long: "testudo reads the traffic of networks you are responsible for, tells what attack is in it,\n" +
			"who was hit, which server is behind it and why it says so.\n\n" +
			"Start with:  testudo replay your.pcap",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownCommand(c, args[0])
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error {
			if showVersion {
				return a.printVersion()
			}
			return c.Help()
		},
	}
	root.Flags().BoolVar(&showVersion, "version", false, "print the version")
	root.PersistentFlags().StringVar(&a.config, "config", "", "configuration `FILE` (YAML); none is needed to start")
	root.PersistentFlags().StringVar(&a.dir, "dir", "", "state folder `DIR`: what is remembered from run to run")
	root.PersistentFlags().StringVar(&a.store, "history", "", "keep records at `URL`, as clickhouse://host:9000/testudo (default: files in the state folder)")
	root.PersistentFlags().StringVarP(&a.output, "output", "o", "text", "output `FORMAT`: text, json or csv")
	for _, g := range []struct {
		title    string
		commands []*cobra.Command
	}{
		{"Look at traffic:", []*cobra.Command{a.replayCommand(), a.watchCommand(), a.serveCommand(), a.sensorCommand(), a.drillCommand()}},
		{"Work on what was found:", []*cobra.Command{a.incidentsCommand(), a.explainCommand(), a.allowCommand(), a.protectCommand()}},
		{"Ask what was seen:", []*cobra.Command{a.huntCommand(), a.lookupCommand(), a.historyCommand()}},
		{"Indicators:", []*cobra.Command{a.intelCommand(), a.exportCommand()}},
		{"Keep the house:", []*cobra.Command{a.checkCommand(), a.selftestCommand(), a.backupCommand(), a.restoreCommand(), a.forgetCommand(), a.benchCommand(), a.versionCommand()}},
	} {
		root.AddGroup(&cobra.Group{ID: g.title, Title: g.title})
		for _, c := range g.commands {
			c.GroupID = g.title
			root.AddCommand(c)
		}
	}
	root.AddCommand(a.pagesCommand())
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		if c == root {
			if i := slices.IndexFunc(args, func(s string) bool { return !strings.HasPrefix(s, "-") }); i >= 0 {
				return unknownCommand(c, args[i])
			}
		}
		return wrongFlag(c, err)
	})
	return root
}

// unknownCommand says what was meant by a word that is no command.
func unknownCommand(root *cobra.Command, word string) error {
	if _, err := os.Stat(word); err == nil {
		return fmt.Errorf("%q is no command but a file or folder; to read it:  testudo replay %s", word, word)
	}
	var names []string
	for _, c := range root.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	return fmt.Errorf("unknown command %q; the nearest is %q", word, nearest(word, names))
}

// wrongFlag says what was meant by a flag that c does not have.
func wrongFlag(c *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) && len(unknown.GetSpecifiedName()) > 1 {
		var names []string
		c.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
		err = fmt.Errorf("%w; the nearest is --%s", err, nearest(unknown.GetSpecifiedName(), names))
	}
	return usageError{err, strings.Replace(c.CommandPath(), "testudo", "testudo help", 1)}
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
