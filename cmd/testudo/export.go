package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/tell/export"
)

// exportFlags say what is exported and for whom.
type exportFlags struct {
	incident, source, tlp, label, out string
	victims, drop                     bool
}

func (a *app) exportCommand() *cobra.Command {
	var f exportFlags
	var names, lines []string
	for _, e := range export.Formats() {
		names = append(names, e.Name)
		lines = append(lines, fmt.Sprintf("  %-18s %s", e.Name, e.About))
	}
	c := &cobra.Command{
		Use: "export [flags] FORMAT", Short: "Write indicators and incidents in the form of another tool",
		Long: "export writes what is remembered to stdout or --out, by the Traffic Light Protocol: what is stricter than --tlp\n" +
			"stays here and is counted. Our own machines never leave, unless --victims asks for them. What blocks holds\n" +
			"nothing that unrelated parties share. The forms:\n\n" + strings.Join(lines, "\n"),
		Example: "  testudo export stix --tlp green --out bundle.json\n  testudo export suricata --incident INC-2f6c",
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return exitError{exitUsage, fmt.Errorf("export: name one form: %s", strings.Join(names, ", "))}
			}
			for _, e := range export.Formats() {
				if e.Name == args[0] {
					return a.export(c, e, f)
				}
			}
			return exitError{exitUsage, fmt.Errorf("export: unknown form %q; the nearest is %q", args[0], nearest(args[0], names))}
		},
	}
	fl := c.Flags()
	fl.StringVar(&f.incident, "incident", "", "only the incident `ID` and what it rests on")
	fl.StringVar(&f.source, "source", "", "only the indicators of the source `NAME`")
	fl.StringVar(&f.tlp, "tlp", "amber", "the strictest `LABEL` that is shown: clear, green, amber, amber+strict, red")
	fl.StringVar(&f.label, "label", "amber", "the `LABEL` of our own incidents")
	fl.StringVar(&f.out, "out", "", "write to `FILE` instead of stdout, whole or not at all")
	fl.BoolVar(&f.victims, "victims", false, "show our own machines, where the form has a place for them")
	fl.BoolVar(&f.drop, "drop", false, "Suricata's rules drop instead of alert")
	return c
}

func (a *app) export(c *cobra.Command, form export.Format, f exportFlags) error {
	if f.incident != "" && f.source != "" {
		return exitError{exitUsage, errors.New("export: --incident or --source, not both")}
	}
	conf, err := loadConfig(a.config)
	if err != nil {
		return err
	}
	if len(conf.Local) == 0 {
		conf.Local = defaultLocal
	}
	o := export.Options{Now: now(), Max: testudo.ParseTLP(f.tlp), Label: testudo.ParseTLP(f.label), Victims: f.victims, Drop: f.drop}
	if o.Max == testudo.TLPUnset || o.Label == testudo.TLPUnset {
		return exitError{exitUsage, errors.New("export: --tlp and --label want clear, green, amber, amber+strict or red")}
	}
	if o.Local, err = prefixes(conf.Local); err != nil {
		return exitError{exitConfig, err}
	}
	m, err := a.memory()
	if err != nil {
		return err
	}
	defer m.Close()
	in, err := m.Export(c.Context(), f.source, f.incident)
	if err != nil {
		return memoryError(err)
	}
	o.Techniques = in.Techniques
	var tally export.Tally
	err = a.to(f.out, func(w io.Writer) (err error) {
		tally, err = form.Write(w, in.Input, o)
		return err
	})
	if err != nil {
		return exitError{exitInput, fmt.Errorf("export: %w", err)}
	}
	a.say(form.Name + ": " + tally.String())
	return nil
}

// to gives write stdout, or a file that appears whole or not at all.
func (a *app) to(path string, write func(io.Writer) error) error {
	if path == "" {
		return write(a.stdout)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".export-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if err := errors.Join(write(f), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
