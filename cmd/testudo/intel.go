package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/keep/feed"
	"github.com/testudo-shield/testudo/keep/history"
	"github.com/testudo-shield/testudo/shield"
	"github.com/testudo-shield/testudo/tell/inquiry"
)

// loadIntel reads the indicators of a run: of the configuration, of --intel,
// and those that are remembered; m may be nil.
func (a *app) loadIntel(ctx context.Context, s *shield.Settings, c config, f judgeFlags, m *shield.Memory) error {
	err := s.LoadIntel(ctx, shield.Intel{
		Formats: formats(), Paths: append(append([]string(nil), c.Intel...), f.intel...), Memory: m, Note: a.say,
	})
	if errors.Is(err, context.Canceled) {
		return exitError{exitInterrupted, errors.New("interrupted; nothing was read")}
	}
	if err != nil {
		return exitError{exitInput, err}
	}
	return nil
}

// say tells a line on stderr.
func (a *app) say(text string) { fmt.Fprintf(a.stderr, "testudo: %s\n", terminal(text)) }

// inMemory opens the customary memory, or that of --dir, makes it where there
// is none, and calls use with it.
func (a *app) inMemory(use func(config, *shield.Memory) error) error {
	c, err := loadConfig(a.config)
	if err != nil {
		return err
	}
	if a.dir != "" {
		c.Dir = a.dir
	}
	if err := claimState(c.stateDir()); err != nil {
		return err
	}
	open, err := a.openHistory()
	if err != nil {
		return err
	}
	m, err := shield.MakeMemory(c.stateDir(), version, open, now)
	if err != nil {
		return memoryError(err)
	}
	defer m.Close()
	return memoryError(use(c, m))
}

func (a *app) intelCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "intel",
		Short: "Import, fetch, list and remove lists of indicators",
		Long: "intel keeps indicators in the state folder. They are matched from then on by replay --dir, watch --dir and the\n" +
			"service, and looked for in what was recorded before.",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownCommand(c, args[0])
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(a.intelImportCommand(), a.intelListCommand(), a.intelRemoveCommand(), a.intelUpdateCommand(),
		a.intelKeyCommand(), a.intelPackCommand(), a.intelUnpackCommand())
	return c
}

func (a *app) intelImportCommand() *cobra.Command {
	i := shield.Import{Formats: formats()}
	var tlp string
	var noHistory bool
	c := &cobra.Command{
		Use:   "import [flags] FILE|DIR...",
		Short: "Remember indicators, warning lists and names of threats",
		Long: "import reads lists in any format of docs/indicators.md, known by their content, into the state folder, each\n" +
			"file as a source of its own name or all as --source. It prints what was taken, merged and skipped, and why;\n" +
			"importing twice changes nothing. What is new is then looked for in what was recorded before.",
		Example: "  testudo intel import --licence CC0-1.0 feed.json lists\n  testudo intel import --source sector-cert --tlp green --replace indicators.csv",
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return exitError{exitUsage, errors.New("intel import: name a file or folder:  testudo intel import indicators.json")}
			}
			if i.TLP = testudo.ParseTLP(tlp); tlp != "" && i.TLP == testudo.TLPUnset {
				return exitError{exitUsage, fmt.Errorf("--tlp %s: want clear, green, amber, amber+strict or red", tlp)}
			}
			if i.Confidence < -1 || i.Confidence > 100 {
				return exitError{exitUsage, fmt.Errorf("--confidence %d: want 0 to 100", i.Confidence)}
			}
			if err := a.format("text", "json"); err != nil {
				return err
			}
			return a.inMemory(func(_ config, m *shield.Memory) error {
				since, changed := m.Now(), false
				i.Tell = func(t shield.Imported) { changed = changed || t.Changed(); a.imported(t) }
				err := i.Files(c.Context(), m, args...)
				if changed && !noHistory {
					err = cmp.Or(err, a.lookBack(c.Context(), m, since))
				}
				return err
			})
		},
	}
	fl := c.Flags()
	fl.StringVar(&i.Source, "source", "", "`NAME` of the source of all files (default: each file's own)")
	fl.StringVar(&i.Licence, "licence", "", "`LICENCE` of what does not state its own")
	fl.StringVar(&tlp, "tlp", "", "`LABEL` of what bears none: clear, green, amber, amber+strict, red")
	fl.IntVar(&i.Confidence, "confidence", -1, "`PERCENT` of what states none")
	fl.BoolVar(&i.Replace, "replace", false, "remove what a source no longer has")
	fl.BoolVar(&noHistory, "no-history", false, "do not look for what is new in what was recorded before")
	return c
}

// imported tells what became of one source.
func (a *app) imported(t shield.Imported) {
	if a.output == "json" {
		skipped := t.Skipped
		if skipped == nil {
			skipped = map[string]int{}
		}
		wrong := ""
		if t.Err != nil {
			wrong = t.Err.Error()
		}
		_ = json.NewEncoder(a.stdout).Encode(struct {
			Type      string         `json:"type"`
			Schema    int            `json:"schema"`
			Source    string         `json:"source"`
			Format    string         `json:"format,omitempty"`
			Taken     int            `json:"taken"`
			Merged    int            `json:"merged"`
			Unchanged int            `json:"unchanged"`
			Twice     int            `json:"repeated"`
			Gone      int            `json:"removed"`
			Lists     int            `json:"warning_lists"`
			Threats   int            `json:"threats"`
			Skipped   map[string]int `json:"skipped"`
			Aside     []string       `json:"left_aside,omitempty"`
			Error     string         `json:"error,omitempty"`
		}{"import", 1, t.Source, t.Format, t.Taken, t.Merged, t.Unchanged, t.Twice, t.Gone, t.Lists, t.Threats, skipped, t.Aside, wrong})
		return
	}
	if len(t.Aside) > 0 {
		a.say(fmt.Sprintf("%s: %s left aside, no list in any format that is known (%s)", t.Source, counted(len(t.Aside), "file"), t.Aside[0]))
		return
	}
	line := fmt.Sprintf("%s: %d taken, %d merged, %d unchanged", t.Source, t.Taken, t.Merged, t.Unchanged)
	for _, more := range []struct {
		n    int
		what string
	}{{t.Gone, "removed"}, {t.Twice, "said twice"}} {
		if more.n > 0 {
			line += fmt.Sprintf(", %d %s", more.n, more.what)
		}
	}
	if t.Lists > 0 {
		line += ", " + counted(t.Lists, "warning list")
	}
	if t.Threats > 0 {
		line += ", " + counted(t.Threats, "threat") + " named"
	}
	if n := t.Skips(); n > 0 {
		line += fmt.Sprintf(", %d skipped (%s)", n, shield.Reasons(t.Skipped))
	}
	fmt.Fprintln(a.stdout, terminal(line))
	if t.Err != nil {
		a.say(fmt.Sprintf("%v; what came before that was taken", t.Err))
	}
}

// shownVisits is how many visits are told one by one.
const shownVisits = 20

// lookBack looks for what became known since a moment in what was recorded
// before.
func (a *app) lookBack(ctx context.Context, m *shield.Memory, since testudo.Time) error {
	began, told := time.Now(), time.Time{}
	found, err := shield.LookBack{Detector: indicatorDetector(), Since: since, Progress: func(chunk, chunks int, p history.Progress) {
		if time.Since(began) > 2*time.Second && time.Since(told) > time.Second && p.Total > 0 {
			told = time.Now()
			a.say(fmt.Sprintf("looking back: %d of %d, %d %%, %s found", chunk, chunks, 100*p.Done/p.Total, counted(int(p.Found), "record")))
		}
	}}.Run(ctx, m)
	if errors.Is(err, context.Canceled) {
		return exitError{exitInterrupted, errors.New("interrupted while looking back; what was imported is remembered")}
	}
	if err != nil {
		return err
	}
	a.lookedBack(found, m.Now(), func(line string) { fmt.Fprintln(a.stdout, terminal(line)) })
	return nil
}

// lookedBack tells what was found, and how much of the past was recorded.
func (a *app) lookedBack(found shield.LookedBack, at testudo.Time, tell func(string)) {
	if found.Values == 0 {
		return
	}
	if len(found.Coverage.Links) == 0 {
		a.say("nothing is recorded yet, so what is new was not looked for in the past")
		return
	}
	if a.output == "json" {
		for i := range found.Incidents {
			line, err := json.Marshal(struct {
				Type   string       `json:"type"`
				Schema int          `json:"schema"`
				ID     string       `json:"id"`
				Title  string       `json:"title"`
				First  testudo.Time `json:"first_seen"`
				Last   testudo.Time `json:"last_seen"`
			}{"looked_back", 1, found.Incidents[i].ID, found.Incidents[i].Title, found.Incidents[i].First, found.Incidents[i].Last})
			if err == nil {
				tell(string(line))
			}
		}
		return
	}
	for i, v := range found.Visits {
		if i == shownVisits {
			tell(fmt.Sprintf("and %d more:  testudo incidents list", len(found.Visits)-i))
			break
		}
		tell(visitWords(&v, at))
	}
	for i := range found.Incidents {
		if i == shownVisits {
			break
		}
		tell(fmt.Sprintf("%s %s: %s;  testudo explain %s", found.Incidents[i].ID, found.Incidents[i].Severity, found.Incidents[i].Title, found.Incidents[i].ID))
	}
	a.say(fmt.Sprintf("looked back for %s: %s", counted(found.Values, "new value"), inquiry.Words(found.Coverage, time.Local)))
}

// visitWords is "203.0.113.7 was visited 12 days ago by 10.0.0.5, before
// anyone listed it".
func visitWords(v *shield.Visit, at testudo.Time) string {
	verb, by := "was visited", ""
	if v.Outcome == testudo.Attempt {
		verb = "was looked up or tried"
	}
	if len(v.Victims) > 0 {
		by = " by " + v.Victims[0].String()
	}
	before := "before anyone listed it"
	if v.Listed {
		before = "before a list of it was here"
	}
	return fmt.Sprintf("%s %s %s%s, %s", v.Value, verb, daysAgo(v.Last, at), by, before)
}

func daysAgo(t, at testudo.Time) string {
	switch d := at.Sub(t); {
	case d < time.Hour:
		return "within the last hour"
	case d < 48*time.Hour:
		return counted(int(d/time.Hour), "hour") + " ago"
	default:
		return counted(int(d/(24*time.Hour)), "day") + " ago"
	}
}

func (a *app) intelListCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "Say which sources of indicators are remembered, and how old they are",
		Example: "  testudo intel list\n  testudo intel list -o json", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := a.format("text", "json"); err != nil {
				return err
			}
			m, err := a.memory()
			if err != nil {
				return err
			}
			defer m.Close()
			return memoryError(a.listIntel(m))
		},
	}
}

func (a *app) listIntel(m *shield.Memory) error {
	all, err := m.Sources()
	if err != nil {
		return err
	}
	for _, s := range all {
		if a.output == "json" {
			if err := json.NewEncoder(a.stdout).Encode(struct {
				Type       string         `json:"type"`
				Schema     int            `json:"schema"`
				Name       string         `json:"name"`
				Format     string         `json:"format"`
				Location   string         `json:"location"`
				Licence    string         `json:"licence,omitempty"`
				TLP        []string       `json:"tlp"`
				Indicators int            `json:"indicators"`
				Lists      int            `json:"warning_lists"`
				Threats    int            `json:"threats"`
				Newest     *testudo.Time  `json:"newest,omitempty"`
				Fetched    testudo.Time   `json:"fetched"`
				Skipped    map[string]int `json:"skipped"`
			}{"source", 1, s.Name, s.Format, s.Location, s.Licence, s.Labels, s.Holds, s.Warnings, s.Threats, timeOrNone(s.Newest), s.Fetched, s.Skipped}); err != nil {
				return err
			}
			continue
		}
		if _, err := fmt.Fprintln(a.stdout, terminal(sourceWords(s, m.Now()))); err != nil {
			return err
		}
	}
	if len(all) == 0 {
		a.say("no indicators are remembered; begin with:  testudo intel import FILE")
	}
	return nil
}

func timeOrNone(t testudo.Time) *testudo.Time {
	if t == 0 {
		return nil
	}
	return &t
}

// sourceWords tells a source in a line.
func sourceWords(s shield.SourceCard, at testudo.Time) string {
	line := fmt.Sprintf("%-40s %s", s.Name, counted(s.Holds, "indicator"))
	if s.Warnings > 0 {
		line += fmt.Sprintf(", %s of %d", counted(s.Warnings, "warning list"), s.Entries)
	}
	if s.Threats > 0 {
		line += ", " + counted(s.Threats, "threat")
	}
	line += "  " + cmp.Or(s.Licence, "licence not stated")
	for _, l := range s.Labels {
		line += "  TLP:" + l
	}
	if s.Newest != 0 {
		line += "  newest " + daysAgo(s.Newest, at)
	} else if s.Holds > 0 {
		line += "  of unknown age"
	}
	return line + "  fetched " + daysAgo(s.Fetched, at)
}

func (a *app) intelRemoveCommand() *cobra.Command {
	return &cobra.Command{
		Use: "remove SOURCE", Short: "Forget a source with all that came from it",
		Example: "  testudo intel remove old-feed.txt",
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return exitError{exitUsage, errors.New("intel remove: name one source; testudo intel list shows them")}
			}
			m, err := a.memory()
			if err != nil {
				return err
			}
			defer m.Close()
			gone, err := m.State.ForgetSource(args[0])
			if err != nil {
				return memoryError(err)
			}
			fmt.Fprintln(a.stdout, terminal(fmt.Sprintf("%s: forgotten with %s; incidents that rested on it stay", args[0], counted(gone, "indicator"))))
			return nil
		},
	}
}

func (a *app) intelUpdateCommand() *cobra.Command {
	var noHistory bool
	c := &cobra.Command{
		Use: "update [flags] [NAME...]", Short: "Fetch the feeds of the configuration that are due, or those named",
		Long: "update fetches the feeds of the configuration that are due, or those named whether due or not, and imports what\n" +
			"is new. A feed that cannot be had, or is not what it must be, leaves what was known before in use; the others\n" +
			"go on, and the exit code is 7.",
		Example: "  testudo intel update --config /etc/testudo/testudo.yaml\n  testudo intel update sector-cert",
		RunE: func(c *cobra.Command, args []string) error {
			if err := a.format("text", "json"); err != nil {
				return err
			}
			return a.inMemory(func(conf config, m *shield.Memory) error {
				sources, err := conf.feeds(args...)
				if err != nil {
					return exitError{exitUsage, fmt.Errorf("intel update %w", err)}
				}
				if len(sources) == 0 {
					return exitError{exitUsage, errors.New("intel update: the configuration names no feeds; see the key feeds in docs/configuration.md")}
				}
				asked := 0
				since := m.Now()
				changed, err := shield.Update{
					Formats: formats(), Sources: sources, All: len(args) > 0, Imported: a.imported,
					Fetched: func(r feed.Result) { asked++; a.fetched(r) },
				}.Run(c.Context(), m)
				if asked == 0 && err == nil {
					a.say("no feed is due; name one to fetch it all the same")
				}
				return a.updated(c.Context(), m, since, changed && !noHistory, err)
			})
		},
	}
	c.Flags().BoolVar(&noHistory, "no-history", false, "do not look for what is new in what was recorded before")
	return c
}

// updated ends an update.
func (a *app) updated(ctx context.Context, m *shield.Memory, since testudo.Time, back bool, err error) error {
	switch {
	case errors.Is(err, context.Canceled):
		return exitError{exitInterrupted, errors.New("interrupted; what was imported before is remembered")}
	case err != nil && !errors.Is(err, shield.ErrRemote):
		return err
	}
	if back {
		if lerr := a.lookBack(ctx, m, since); lerr != nil {
			return lerr
		}
	}
	if err != nil {
		return exitError{exitRemote, err}
	}
	return nil
}

// fetched tells what came of a feed.
func (a *app) fetched(r feed.Result) {
	if r.Err != nil {
		a.say(fmt.Sprintf("%s: %v", r.Source, r.Err))
		return
	}
	a.say(fmt.Sprintf("%s: %s", r.Source, r.Why))
}

func (a *app) intelKeyCommand() *cobra.Command {
	return &cobra.Command{
		Use: "key FILE", Short: "Make the pair of keys that packs are signed and checked with",
		Long:    "key writes a private key to FILE, for its owner alone, and the public one to FILE.pub. Neither may be there yet.",
		Example: "  testudo intel key pack.key",
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return exitError{exitUsage, errors.New("intel key: name one file:  testudo intel key pack.key")}
			}
			k, err := feed.NewKey(args[0])
			if err != nil {
				return exitError{exitRefused, err}
			}
			fmt.Fprintf(a.stdout, "%s signs packs, keep it; %s.pub, key %s, checks them, bring it to where they are unpacked\n", terminal(args[0]), terminal(args[0]), k.Name())
			return nil
		},
	}
}

func (a *app) intelPackCommand() *cobra.Command {
	var key string
	var days int
	c := &cobra.Command{
		Use: "pack --key KEY FILE", Short: "Write the feeds that were fetched to one signed file, for a network without Internet",
		Example: "  testudo intel pack --key pack.key feeds.pack",
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 || key == "" || days < 1 || days > 3650 {
				return exitError{exitUsage, errors.New("intel pack: name the key and one file:  testudo intel pack --key pack.key feeds.pack  (--days 1 to 3650)")}
			}
			private, err := feed.ReadPrivateKey(key)
			if err != nil {
				return exitError{exitInput, err}
			}
			return a.inMemory(func(_ config, m *shield.Memory) error {
				store, err := feed.Open(m.Dir)
				if err != nil {
					return err
				}
				kept, err := store.List()
				if err != nil {
					return err
				}
				if len(kept) == 0 {
					return exitError{exitInput, errors.New("no feed was fetched yet, so there is nothing to pack; see:  testudo intel update")}
				}
				f, err := os.CreateTemp(filepath.Dir(args[0]), ".pack-*")
				if err != nil {
					return err
				}
				defer os.Remove(f.Name())
				err = feed.Pack(f, kept, private, now(), now().Add(time.Duration(days)*24*time.Hour))
				if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
					return err
				}
				if err := os.Rename(f.Name(), args[0]); err != nil {
					return err
				}
				fmt.Fprintln(a.stdout, terminal(fmt.Sprintf("%s: %s, good for %s", args[0], counted(len(kept), "feed"), counted(days, "day"))))
				return nil
			})
		},
	}
	c.Flags().StringVar(&key, "key", "", "the private `KEY` that testudo intel key made")
	c.Flags().IntVar(&days, "days", 30, "how many days the pack is good for")
	return c
}

func (a *app) intelUnpackCommand() *cobra.Command {
	var key string
	var force, noHistory bool
	c := &cobra.Command{
		Use: "unpack --key KEY FILE", Short: "Take feeds from a signed pack and import what is new",
		Example: "  testudo intel unpack --key pack.key.pub feeds.pack",
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) != 1 || key == "" {
				return exitError{exitUsage, errors.New("intel unpack: name the public key and one file:  testudo intel unpack --key pack.key.pub feeds.pack")}
			}
			public, err := feed.ReadPublicKey(key)
			if err != nil {
				return exitError{exitInput, err}
			}
			f, err := os.Open(args[0])
			if err != nil {
				return exitError{exitInput, err}
			}
			defer f.Close()
			return a.inMemory(func(_ config, m *shield.Memory) error {
				store, err := feed.Open(m.Dir)
				if err != nil {
					return err
				}
				results, err := store.Unpack(f, public, now(), feed.PackLimits{Force: force})
				if err != nil {
					return err
				}
				kept, err := store.List()
				if err != nil {
					return err
				}
				since := m.Now()
				changed, err := shield.Update{Formats: formats(), Imported: a.imported, Fetched: a.fetched}.Unpacked(c.Context(), m, results, kept)
				return a.updated(c.Context(), m, since, changed && !noHistory, err)
			})
		},
	}
	c.Flags().StringVar(&key, "key", "", "the public `KEY` of who packed, FILE.pub of testudo intel key")
	c.Flags().BoolVar(&force, "force", false, "take also what is older than what is here")
	c.Flags().BoolVar(&noHistory, "no-history", false, "do not look for what is new in what was recorded before")
	return c
}
