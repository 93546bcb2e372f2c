package main

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/testudo-shield/testudo/drill"
	"github.com/testudo-shield/testudo/shield"
)

// attacks are the flags that plant an attack, each with its own parameters.
func attacks() []struct {
	flag, about string
	empty       drill.Attack
} {
	return []struct {
		flag, about string
		empty       drill.Attack
	}{
		{"beacon", "an implant that reports home", drill.Beacon{Scheme: "https", Law: drill.Uniform, Period: 10 * time.Minute, Jitter: 0.3}},
		{"bruteforce", "log-ins tried at a service", drill.BruteForce{Service: "ssh", Victim: "portal", Sources: 12, Tries: 240}},
		{"exfil", "a slow theft", drill.Exfil{Every: 20 * time.Minute, Bytes: 3 << 20}},
		{"reflection", "a flood of answers nobody asked for", drill.Reflection{Protocol: "ntp", Packets: 60000, Reflectors: 300}},
		{"sweep", "a scan from inside", drill.Sweep{Ports: []uint16{22, 80, 443, 445, 3389}, Targets: 200}},
		{"synflood", "a flood of connection requests", drill.SYNFlood{Packets: 300000, Sources: 45000}},
		{"tunnel", "data carried in DNS names", drill.Tunnel{Every: 3 * time.Minute, Burst: 3, Label: 28, Type: "TXT"}},
	}
}

func (a *app) drillCommand() *cobra.Command {
	var f replayFlags
	var keep, story string
	var seed uint64
	var days, hosts int
	planted := map[string]*[]string{}
	c := &cobra.Command{
		Use:   "drill",
		Short: "Write a synthetic exercise and read it as any other capture",
		Long: "drill writes a week of a small ministry's traffic as a capture, with its truth beside it, and gives it\n" +
			"to the same replay as your own captures. What it proves is behaviour on this generator, not a field rate.\n\n" +
			"Each attack flag plants one more attack; its value is key=value pairs joined by commas, such as\n" +
			"--beacon at=30h,period=5m,jitter=0.4,law=exponential. With --story calm there are only those.",
		Example: "  testudo drill\n  testudo drill --seed 7 --keep week7\n  testudo drill --story calm --days 2 --tunnel at=10h,type=A",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := drillConfig(story, seed)
			if err != nil {
				return exitError{exitUsage, err}
			}
			if c.Flags().Changed("days") {
				cfg.Days = days
			}
			if c.Flags().Changed("hosts") {
				cfg.Hosts = hosts
			}
			if cfg.Days < 1 || cfg.Days > 31 {
				return exitError{exitUsage, fmt.Errorf("--days %d: want 1 to 31", cfg.Days)}
			}
			if cfg.Hosts < 30 || cfg.Hosts > 400 {
				return exitError{exitUsage, fmt.Errorf("--hosts %d: want 30 to 400", cfg.Hosts)}
			}
			for _, at := range attacks() {
				for i, text := range *planted[at.flag] {
					attack, err := parseAttack(at.empty, fmt.Sprintf("%s-%d", at.flag, i+1), text)
					if err != nil {
						return exitError{exitUsage, fmt.Errorf("--%s %s: %w", at.flag, text, err)}
					}
					cfg.Attacks = append(cfg.Attacks, attack)
				}
			}
			return a.drill(c, f, cfg, keep)
		},
	}
	f.register(c)
	c.Flags().StringVar(&keep, "keep", "", "keep the capture and its truth in `DIR` (default: a temporary one)")
	c.Flags().StringVar(&story, "story", "week", "what happens: week (flood, break-in, spy), showcase (one of everything) or calm")
	c.Flags().Uint64Var(&seed, "seed", 1, "another seed is another ministry")
	c.Flags().IntVar(&days, "days", 7, "how many days, 1 to 31")
	c.Flags().IntVar(&hosts, "hosts", 60, "how many machines the ministry has, 30 to 400")
	for _, at := range attacks() {
		planted[at.flag] = new([]string)
		c.Flags().StringArrayVar(planted[at.flag], at.flag, nil, at.about+", as `KEY=VALUE,...`; may repeat")
	}
	return c
}

func drillConfig(story string, seed uint64) (drill.Config, error) {
	switch story {
	case "week":
		return drill.DefaultWeek(seed), nil
	case "showcase":
		return drill.Showcase(seed), nil
	case "calm":
		c := drill.DefaultWeek(seed)
		c.Attacks = nil
		return c, nil
	}
	return drill.Config{}, fmt.Errorf("--story %s: want week, showcase or calm", story)
}

func (a *app) drill(c *cobra.Command, f replayFlags, cfg drill.Config, keep string) error {
	dir := keep
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("", "testudo-drill-"); err != nil {
			return exitError{exitInput, err}
		}
		defer os.RemoveAll(dir)
	}
	began := time.Now()
	path, truth, err := shield.WriteDrill(dir, cfg)
	if err != nil {
		return exitError{exitInput, err}
	}
	fmt.Fprintf(a.stderr, "drill: %s of %d machines from %s, %s packets, %.0f MB, %s planted, written in %.1f s: %s\n",
		counted(cfg.Days, "day"), truth.Hosts, cfg.Start.UTC().Format("Mon 2 Jan 2006 15:04 MST"), count(float64(truth.Packets)),
		float64(truth.Bytes)/1e6, counted(len(truth.Attacks), "attack"), time.Since(began).Seconds(), terminal(path))
	if len(f.local) == 0 {
		for _, p := range truth.Local {
			f.local = append(f.local, p.String())
		}
	}
	f.label = "drill.pcap"
	if err := a.replay(c.Context(), f, []string{path}); err != nil {
		return err
	}
	if a.output == "text" && len(truth.Attacks) == 0 {
		fmt.Fprintln(a.stdout, "\nplanted: nothing")
	} else if a.output == "text" {
		fmt.Fprintln(a.stdout, "\nplanted, by the truth written beside the capture:")
		for _, p := range truth.Attacks {
			line := fmt.Sprintf("  %-14s %-10s %s", p.Name, p.Kind, p.First.Local().Format("Mon 15:04 MST"))
			for _, s := range p.Servers[:min(3, len(p.Servers))] {
				line += strings.TrimRight(fmt.Sprintf("  %v %s", s.Address, strings.Join(s.Names, " ")), " ")
			}
			if n := len(p.Servers); n > 3 {
				line += fmt.Sprintf("  and %d more", n-3)
			}
			fmt.Fprintln(a.stdout, line)
		}
	}
	if keep != "" {
		fmt.Fprintf(a.stderr, "drill: kept in %s; read it again with: testudo replay --local %s %s\n", terminal(keep),
			strings.Join(f.local, ","), terminal(path))
	}
	return nil
}

// parseAttack sets the fields of empty by their JSON names.
func parseAttack(empty drill.Attack, name, text string) (drill.Attack, error) {
	v := reflect.New(reflect.TypeOf(empty)).Elem()
	v.Set(reflect.ValueOf(empty))
	v.FieldByName("Name").SetString(name)
	v.FieldByName("At").SetInt(int64(9 * time.Hour))
	fields, names := map[string]reflect.Value{}, []string{}
	for _, f := range reflect.VisibleFields(v.Type()) {
		if key, _, _ := strings.Cut(f.Tag.Get("json"), ","); key != "" {
			fields[key] = v.FieldByIndex(f.Index)
			names = append(names, key)
		}
	}
	for pair := range strings.SplitSeq(text, ",") {
		if pair == "" || pair == "default" {
			continue
		}
		key, value, ok := strings.Cut(pair, "=")
		f, known := fields[key]
		if !ok || !known {
			return nil, fmt.Errorf("%q: want key=value with one of %s", pair, strings.Join(names, ", "))
		}
		if err := setField(f, value); err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
	}
	return v.Interface().(drill.Attack), nil
}

func setField(f reflect.Value, value string) error {
	if f.Type() == reflect.TypeFor[time.Duration]() {
		d, err := time.ParseDuration(value)
		f.SetInt(int64(d))
		return err
	}
	if f.Type() == reflect.TypeFor[[]uint16]() {
		var ports []uint16
		for word := range strings.FieldsSeq(strings.ReplaceAll(value, "+", " ")) {
			p, err := strconv.ParseUint(word, 10, 16)
			if err != nil {
				return err
			}
			ports = append(ports, uint16(p))
		}
		f.Set(reflect.ValueOf(ports))
		return nil
	}
	if f.Kind() == reflect.String {
		f.SetString(value)
		return nil
	}
	return json.Unmarshal([]byte(value), f.Addr().Interface())
}
