package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// configFile is the commented configuration, made from the comments in
// config.go. The package installs it; its manual page holds it.
//
//go:embed testudo.yaml
var configFile []byte

// pagesCommand writes what the package installs beside the program.
func (a *app) pagesCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "pages DIR",
		Short:  "Write manual pages, completions and the commented configuration to a folder",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := writePages(c.Root(), args[0]); err != nil {
				return exitError{exitInput, fmt.Errorf("pages: %w", err)}
			}
			return nil
		},
	}
}

func writePages(root *cobra.Command, dir string) error {
	files := map[string][]byte{"testudo.yaml": configFile, "man/testudo.yaml.5": configPage()}
	for _, c := range append([]*cobra.Command{root}, root.Commands()...) {
		if c == root || c.IsAvailableCommand() && c.Name() != "help" {
			files["man/"+strings.ReplaceAll(c.CommandPath(), " ", "-")+".1"] = manPage(c)
		}
	}
	var bash, zsh, fish bytes.Buffer
	if err := root.GenBashCompletionV2(&bash, true); err != nil {
		return err
	}
	if err := root.GenZshCompletion(&zsh); err != nil {
		return err
	}
	if err := root.GenFishCompletion(&fish, true); err != nil {
		return err
	}
	files["completion/testudo"], files["completion/_testudo"], files["completion/testudo.fish"] = bash.Bytes(), zsh.Bytes(), fish.Bytes()
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// page is a manual page in the man macros of groff (groff_man(7)).
type page struct{ bytes.Buffer }

func newPage(name, section, about string) *page {
	p := &page{}
	fmt.Fprintf(p, ".TH %s %s \"\" \"testudo %s\" \"Testudo\"\n.nh\n.ad l\n", quoted(strings.ToUpper(name)), section, version)
	p.section("NAME")
	fmt.Fprintf(p, "%s \\- %s\n", roff(name), roff(about))
	return p
}

func (p *page) section(title string) { fmt.Fprintf(p, ".SH %s\n", quoted(title)) }

// text writes lines that flow together; an empty one parts paragraphs.
func (p *page) text(s string) {
	for line := range strings.SplitSeq(strings.TrimSpace(s), "\n") {
		if line == "" {
			p.WriteString(".PP\n")
			continue
		}
		p.WriteString(roff(strings.TrimSpace(line)) + "\n")
	}
}

// verbatim writes lines as they are.
func (p *page) verbatim(s string) {
	p.WriteString(".PP\n.nf\n")
	for line := range strings.SplitSeq(strings.TrimRight(s, "\n"), "\n") {
		p.WriteString(roff(line) + "\n")
	}
	p.WriteString(".fi\n")
}

var roffEscapes = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "^", `\(ha`, "~", `\(ti`, "`", `\(ga`)

// roff makes s plain text to groff.
func roff(s string) string {
	s = roffEscapes.Replace(s)
	if strings.HasPrefix(s, ".") {
		s = `\&` + s
	}
	return s
}

func quoted(s string) string { return `"` + strings.ReplaceAll(roff(s), `"`, `\(dq`) + `"` }

// manPage tells a command from what its help tells.
func manPage(c *cobra.Command) []byte {
	p := newPage(strings.ReplaceAll(c.CommandPath(), " ", "-"), "1", lower(c.Short))
	p.section("SYNOPSIS")
	use := c.UseLine()
	if c.HasAvailableSubCommands() {
		use = c.CommandPath() + " COMMAND [flags]"
	}
	fmt.Fprintf(p, ".B %s\n", roff(use))
	p.section("DESCRIPTION")
	p.text(longOr(c))
	if c.HasAvailableSubCommands() {
		p.section("COMMANDS")
		for _, sub := range c.Commands() {
			if sub.IsAvailableCommand() && sub.Name() != "help" {
				fmt.Fprintf(p, ".TP\n.B %s\n%s\n", roff(sub.Name()), roff(sub.Short))
			}
		}
	}
	p.section("OPTIONS")
	c.LocalFlags().VisitAll(p.flag)
	c.InheritedFlags().VisitAll(p.flag)
	if c.Example != "" {
		p.section("EXAMPLES")
		p.verbatim(c.Example)
	}
	p.section("EXIT STATUS")
	p.text(exitText)
	p.section("SEE ALSO")
	p.text(seeAlso(c))
	return p.Bytes()
}

func longOr(c *cobra.Command) string {
	if c.Long != "" {
		return c.Long
	}
	return c.Short + "."
}

func lower(s string) string { return strings.ToLower(s[:1]) + s[1:] }

func (p *page) flag(f *pflag.Flag) {
	if f.Hidden || f.Name == "help" {
		return
	}
	value, about := pflag.UnquoteUsage(f)
	name := "--" + f.Name
	if f.Shorthand != "" {
		name = "-" + f.Shorthand + ", " + name
	}
	if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "[]" {
		about += " (default " + f.DefValue + ")"
	}
	fmt.Fprintf(p, ".TP\n\\fB%s\\fR %s\n%s\n", roff(name), roff(value), roff(about))
}

const exitText = `0 done, 1 findings, 2 wrong use, 3 an input could not be read, or only in part, 4 the configuration is wrong, 5 rights are missing, 6 refused as unsafe, 7 a remote failed, 130 interrupted.`

func seeAlso(c *cobra.Command) string {
	var names []string
	for _, other := range append([]*cobra.Command{c.Root()}, c.Root().Commands()...) {
		if other != c && (other == c.Root() || other.IsAvailableCommand() && other.Name() != "help") {
			names = append(names, strings.ReplaceAll(other.CommandPath(), " ", "-")+"(1)")
		}
	}
	return strings.Join(append(names, "testudo.yaml(5)"), ", ")
}

// configPage is the commented configuration as a page.
func configPage() []byte {
	p := newPage("testudo.yaml", "5", "configuration of testudo")
	p.section("DESCRIPTION")
	p.text("The service reads /etc/testudo/testudo.yaml; other commands read what --config names, or nothing. A wrong file is refused with line and column of each mistake. The file as it is installed:")
	p.verbatim(string(configFile))
	p.section("SEE ALSO")
	p.text("testudo(1), testudo-check(1)")
	return p.Bytes()
}
