package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/user"
	"strings"

	"github.com/spf13/cobra"

	"github.com/testudo-shield/testudo/shield"
)

// finding is one thing that check looked at.
type finding struct {
	Level string `json:"level"` // "ok", "warn" or "fail"
	About string `json:"about"` // "configuration", "interface eth1", …
	Text  string `json:"text"`
	Do    string `json:"do,omitempty"` // what to do, often a command
	code  int    // how check ends if this failed
}

func good(about, format string, args ...any) finding {
	return finding{Level: "ok", About: about, Text: fmt.Sprintf(format, args...)}
}

func warn(about, do, format string, args ...any) finding {
	return finding{Level: "warn", About: about, Text: fmt.Sprintf(format, args...), Do: do}
}

func fail(code int, about, do, format string, args ...any) finding {
	return finding{Level: "fail", About: about, Text: fmt.Sprintf(format, args...), Do: do, code: code}
}

func (a *app) checkCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Say whether this machine and the configuration are fit to watch, and what to do if not",
		Long: "check looks at the configuration, the rights to capture, the kernel, the interfaces, the clock, the disk\n" +
			"and the memory, and prints one line each: ok, warn or fail, and what to do. It changes nothing.\n\n" +
			"It ends with 4 if the configuration is wrong or names what is not there, with 5 if rights are missing.",
		Example: "  testudo check\n  testudo check --config /etc/testudo/testudo.yaml -o json",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := a.format("text", "json"); err != nil {
				return err
			}
			return a.tellFindings(a.examine())
		},
	}
}

// examine looks at everything. What hangs on the configuration is looked at
// with the defaults if that is wrong.
func (a *app) examine() []finding {
	c, all := examineConfig(a.config)
	all = append(all, examineLists(c)...)
	all = append(all, examineRights(c)...)
	all = append(all, examineKernel()...)
	for _, f := range c.Interfaces {
		all = append(all, examineInterface(f)...)
	}
	all = append(all, examineInputs(c)...)
	all = append(all, examineClock()...)
	all = append(all, examineDisk(c, "state", c.stateDir())...)
	if c.Records.Dir != "" {
		all = append(all, examineDisk(c, "records", c.Records.Dir)...)
	}
	all = append(all, examineMemory(c)...)
	return append(all, examineLimits()...)
}

func examineConfig(file string) (config, []finding) {
	c, err := loadConfig(file)
	var wrong problems
	switch {
	case errors.As(err, &wrong):
		var all []finding
		for _, line := range strings.Split(wrong.Error(), "\n") {
			all = append(all, fail(exitConfig, "configuration", "correct this line", "%s", line))
		}
		return c, all
	case err != nil:
		return c, []finding{fail(exitConfig, "configuration", "name a file that is there and can be read", "%v", err)}
	case file == "":
		return c, []finding{good("configuration", "none given: the defaults are used")}
	}
	return c, []finding{good("configuration", "%s is right", file)}
}

// examineLists reads the lists as the service would.
func examineLists(c config) (all []finding) {
	var s shield.Settings
	if err := s.LoadIntel(context.Background(), shield.Intel{Formats: formats(), Paths: c.Intel}); err != nil {
		all = append(all, fail(exitConfig, "lists", "correct the key intel or the file", "%v", err))
	} else if len(c.Intel) > 0 {
		all = append(all, good("lists", "%s in %s", counted(s.Lists.Indicators, "indicator"), counted(s.Lists.Lists, "list")))
	}
	if err := s.LoadShared(c.Shared); err != nil {
		all = append(all, fail(exitConfig, "lists", "correct the key shared or the file", "%v", err))
	}
	return all
}

// examineInputs tells whether there is anything to watch.
func examineInputs(c config) (all []finding) {
	for _, path := range c.Follow {
		if err := readable(path); err != nil {
			all = append(all, warn("follow", "correct the key follow, or let the other sensor write it and this account read it", "%v", err))
		} else {
			all = append(all, good("follow", "%s can be read", path))
		}
	}
	if len(c.Interfaces) == 0 && len(c.Follow) == 0 && c.FlowExports.Listen == "" {
		all = append(all, warn("inputs", "set interfaces, follow or flow_exports before you start the service", "the configuration names nothing to watch"))
	}
	if len(c.Interfaces) > 0 && os.Geteuid() == 0 {
		if _, err := user.Lookup(c.User); err != nil {
			all = append(all, fail(exitConfig, "account", "systemd-sysusers, or name another in the key user", "there is no account %q for the service", c.User))
		}
	}
	return all
}

// tellFindings prints them and ends as the gravest asks: rights before
// configuration, since a machine without them cannot watch at all.
func (a *app) tellFindings(all []finding) error {
	n := map[string]int{}
	code := exitDone
	width := 0
	for _, f := range all {
		n[f.Level]++
		code = max(code, f.code)
		width = max(width, len(f.About))
	}
	enc := json.NewEncoder(a.stdout)
	for _, f := range all {
		if a.output == "json" {
			if err := enc.Encode(struct {
				Type   string `json:"type"`
				Schema int    `json:"schema"`
				finding
			}{"finding", 1, f}); err != nil {
				return err
			}
			continue
		}
		line := fmt.Sprintf("%-4s  %-*s  %s", f.Level, width, terminal(f.About), terminal(f.Text))
		if f.Do != "" {
			line += "; do:  " + terminal(f.Do)
		}
		fmt.Fprintln(a.stdout, line)
	}
	if a.output == "json" {
		if err := enc.Encode(struct {
			Type   string `json:"type"`
			Schema int    `json:"schema"`
			OK     int    `json:"ok"`
			Warn   int    `json:"warn"`
			Fail   int    `json:"fail"`
		}{"summary", 1, n["ok"], n["warn"], n["fail"]}); err != nil {
			return err
		}
	} else if n["fail"]+n["warn"] == 0 {
		fmt.Fprintln(a.stdout, "\nAll is well.")
	} else {
		fmt.Fprintf(a.stdout, "\n%d failed, %s, %d ok\n", n["fail"], counted(n["warn"], "warning"), n["ok"])
	}
	if code != exitDone {
		return exitError{code, errors.New("")}
	}
	return nil
}
