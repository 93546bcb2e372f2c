package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/shield"
)

func (a *app) selftestCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "selftest",
		Short: "Try every detector on a built-in exercise, in about three seconds",
		Long: "selftest makes a day and a half of a small office's packets in memory, with one attack for each detector,\n" +
			"and reads them as it reads any traffic. It says which detections fired, and whether what was innocent\n" +
			"stayed quiet. Nothing is written. It ends with 1 if one did not fire, or something innocent was accused.\n\n" +
			"That all fire shows that this program works on this machine with these budgets; it is no rate in the field.",
		Example: "  testudo selftest\n  testudo selftest --config /etc/testudo/testudo.yaml -o json",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := a.format("text", "json"); err != nil {
				return err
			}
			conf, err := loadConfig(a.config)
			if err != nil {
				return err
			}
			began := time.Now()
			tried, err := selftest(c.Context(), conf)
			if err != nil {
				return exitError{exitInput, fmt.Errorf("selftest: %w", err)}
			}
			return a.tellTried(tried, time.Since(began))
		},
	}
}

// tried is one detection of the exercise.
type tried struct {
	Detector string `json:"detector"`
	What     string `json:"what"`
	Fired    bool   `json:"fired"`
	Told     string `json:"told,omitempty"` // how the detector told it
}

// outcome is how the exercise went.
type outcome struct {
	packets int64
	tried   []tried
	accused []string // titles of incidents about nothing that was planted
}

// selftest reads the exercise with the budgets and workers of c.
func selftest(ctx context.Context, c config) (outcome, error) {
	attacks := plantedAttacks()
	set := shield.Settings{
		Workers: max(1, c.Workers), Budgets: c.Budgets.engine(), Match: oneIndicator,
		Local: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
	}
	capture := bytes.NewReader(newExercise(attacks).Pcap())
	res, err := shield.Replay{Parts: parts(), Settings: set, Paths: []string{"-"}, Stdin: capture}.Run(ctx)
	if err != nil {
		return outcome{}, err
	}
	out := outcome{packets: res.Summary.Packets}
	for _, d := range detectors() {
		i := slices.IndexFunc(attacks, func(p planted) bool { return p.detector == d.Name })
		if i < 0 {
			out.tried = append(out.tried, tried{Detector: d.Name, What: "the exercise has nothing for it"})
			continue
		}
		t := tried{Detector: d.Name, What: attacks[i].what}
		t.Told, t.Fired = toldBy(res.Incidents, attacks[i])
		out.tried = append(out.tried, t)
	}
	for i := range res.Incidents {
		if in := &res.Incidents[i]; in.Severity >= testudo.Medium && !slices.ContainsFunc(attacks, func(p planted) bool { return concerns(in, p) }) {
			out.accused = append(out.accused, in.Title)
		}
	}
	return out, nil
}

// oneIndicator is the list that the exercise brings.
func oneIndicator(r testudo.Record) []testudo.Hit {
	if c, ok := r.(*testudo.Conn); ok && c.ID.Resp.Addr().String() == listed {
		return []testudo.Hit{{Field: "resp", Value: listed, Source: "self-test", Confidence: -1}}
	}
	return nil
}

// toldBy returns how the planted attack was told by the detector it is for.
func toldBy(incidents []testudo.Incident, p planted) (string, bool) {
	for i := range incidents {
		for _, s := range incidents[i].Sightings {
			if s.Detector == cmp.Or(p.signs, p.detector) && strings.HasPrefix(s.Key, p.key) && named(s, p.who) {
				return s.Title, true
			}
		}
	}
	return "", false
}

func concerns(in *testudo.Incident, p planted) bool {
	return slices.ContainsFunc(in.Sightings, func(s testudo.Sighting) bool { return named(s, p.who) })
}

// named tells whether a sighting names who, on either side.
func named(s testudo.Sighting, who netip.Addr) bool {
	return slices.Contains(s.Victims, who) || slices.ContainsFunc(s.Servers, func(x testudo.Server) bool { return x.Address == who })
}

func (a *app) tellTried(o outcome, took time.Duration) error {
	fired, width := 0, 0
	for _, t := range o.tried {
		width = max(width, len(t.Detector))
	}
	enc := json.NewEncoder(a.stdout)
	for _, t := range o.tried {
		if t.Fired {
			fired++
		}
		if a.output == "json" {
			if err := enc.Encode(struct {
				Type   string `json:"type"`
				Schema int    `json:"schema"`
				tried
			}{"detection", 1, t}); err != nil {
				return err
			}
			continue
		}
		word, text := "fired ", t.Told
		if !t.Fired {
			word, text = "SILENT", "did not see that "+t.What
		}
		fmt.Fprintf(a.stdout, "%s  %-*s  %s\n", word, width, t.Detector, terminal(text))
	}
	well := fired == len(o.tried) && len(o.accused) == 0
	if a.output == "json" {
		if err := enc.Encode(struct {
			Type    string   `json:"type"`
			Schema  int      `json:"schema"`
			Fired   int      `json:"fired"`
			Of      int      `json:"of"`
			Accused []string `json:"accused"`
			Packets int64    `json:"packets"`
			Seconds float64  `json:"wall_s"`
		}{"summary", 1, fired, len(o.tried), append([]string{}, o.accused...), o.packets, took.Seconds()}); err != nil {
			return err
		}
	} else {
		for _, title := range o.accused {
			fmt.Fprintf(a.stdout, "WRONG   %-*s  %s\n", width, "innocent", terminal(title))
		}
		fmt.Fprintf(a.stdout, "\n%d of %d detections fired; %s; %s packets in %.1f s\n", fired, len(o.tried), innocents(o.accused), count(float64(o.packets)), took.Seconds())
	}
	if !well {
		if a.output == "text" {
			fmt.Fprintln(a.stderr, strings.TrimSpace("testudo: selftest: this program does not work as it should here. If budgets are set small, try without --config;\n         else please report it, with the lines above and the output of:  testudo version"))
		}
		return exitError{exitFindings, errors.New("")}
	}
	return nil
}

func innocents(accused []string) string {
	if len(accused) == 0 {
		return "what is innocent stayed quiet"
	}
	return counted(len(accused), "innocent thing") + " accused"
}
