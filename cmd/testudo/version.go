package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is the release; the commit comes from the build.
const version = "0.1.0"

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE:  func(*cobra.Command, []string) error { return a.printVersion() },
	}
}

func (a *app) printVersion() error {
	if err := a.format("text", "json"); err != nil {
		return err
	}
	commit := "unknown"
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				commit = s.Value
			}
		}
	}
	if a.output == "json" {
		return json.NewEncoder(a.stdout).Encode(struct {
			Type    string `json:"type"`
			Schema  int    `json:"schema"`
			Version string `json:"version"`
			Commit  string `json:"commit"`
			Go      string `json:"go"`
			Format  int    `json:"state_format"`
		}{"version", 1, version, commit, runtime.Version(), stateFormat})
	}
	_, err := fmt.Fprintf(a.stdout, "testudo %s (%.12s, %s)\n", version, commit, runtime.Version())
	return err
}
