package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"time"

	"github.com/spf13/cobra"

	"github.com/testudo-shield/testudo/shield"
)

func (a *app) benchCommand() *cobra.Command {
	var f judgeFlags
	var seconds float64
	var flows int
	var profile, memProfile string
	c := &cobra.Command{
		Use:   "bench [PATH]",
		Short: "Measure the whole pipeline on a capture held in memory, or on an ordinary mix",
		Long: "bench reads the capture into memory once and replays it in a loop through the whole pipeline,\n" +
			"addresses and times shifted each round so that state keeps growing as it would live.\n" +
			"Without a capture it makes an ordinary mix of --flows conversations open at once.",
		Example: "  testudo bench --flows 500000\n  testudo bench --seconds 10 your.pcap",
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 1 || len(args) == 1 && c.Flags().Changed("flows") {
				return exitError{exitUsage, errors.New("bench: name one capture, or how many flows:  testudo bench your.pcap")}
			}
			if flows < 64 || flows > 8<<20 {
				return exitError{exitUsage, fmt.Errorf("bench: --flows %d: want 64 to %d", flows, 8<<20)}
			}
			path := ""
			if len(args) == 1 {
				path = args[0]
			}
			if err := a.format("text", "json"); err != nil {
				return err
			}
			f.recordsFormat = "tsv"
			conf, set, err := a.prepared(f)
			if err != nil {
				return err
			}
			if err := a.loadIntel(c.Context(), &set, conf, f, nil); err != nil {
				return err
			}
			if path == "" {
				set.Budgets.Conns = max(set.Budgets.Conns, shield.ConnsPerFlow*flows)
			}
			b := shield.Bench{Parts: parts(), Settings: set, Path: path, Flows: flows, Stdin: a.stdin, For: time.Duration(seconds * float64(time.Second))}
			if profile != "" {
				f, err := os.Create(profile)
				if err != nil {
					return exitError{exitUsage, err}
				}
				defer f.Close()
				b.Profile = f
			}
			if memProfile != "" {
				runtime.MemProfileRate = 512
				defer writeAllocations(memProfile)
			}
			m, err := b.Run(c.Context())
			if err != nil {
				return exitError{exitInput, fmt.Errorf("bench: %s: %w", cmp.Or(path, "the mix"), err)}
			}
			return a.printBench(m)
		},
	}
	c.Flags().Float64Var(&seconds, "seconds", 10, "how long to go round")
	c.Flags().IntVar(&flows, "flows", 500_000, "conversations open at once in the mix")
	c.Flags().StringVar(&profile, "profile", "", "write a processor profile of the steady state to `FILE`, for go tool pprof")
	c.Flags().StringVar(&memProfile, "memprofile", "", "write where memory was allocated to `FILE`, for go tool pprof")
	c.Flags().IntVar(&f.workers, "workers", 0, "goroutines that read and judge; 0 is one a core")
	c.Flags().StringSliceVar(&f.local, "local", nil, "networks we protect, as `CIDR[,CIDR]`")
	c.Flags().StringSliceVar(&f.intel, "intel", nil, "`FILE|DIR` of indicators to match while measuring; may repeat")
	return c
}

// writeAllocations writes a profile of every allocation so far.
func writeAllocations(file string) {
	f, err := os.Create(file)
	if err != nil {
		return
	}
	defer f.Close()
	runtime.GC()
	_ = pprof.Lookup("allocs").WriteTo(f, 0)
}

func (a *app) printBench(m shield.Measured) error {
	st := m.Stages
	stages := []struct {
		name string
		d    time.Duration
	}{{"read and decode", st.Read}, {"sense", st.Sense}, {"order and annotate", st.Annotate}, {"judge", st.Judge}, {"incidents", st.Incident}}
	var total time.Duration
	for _, s := range stages {
		total += s.d
	}
	if a.output == "json" {
		shares := map[string]float64{}
		for _, s := range stages {
			shares[s.name] = s.d.Seconds() / max(total.Seconds(), 1e-9)
		}
		return json.NewEncoder(a.stdout).Encode(struct {
			Type   string `json:"type"`
			Schema int    `json:"schema"`
			shield.Measured
			Stages map[string]float64 `json:"stages"`
		}{"bench", 1, m, shares})
	}
	fmt.Fprintf(a.stdout, "%s packets/s  %.2f Gbit/s  %.0f ns/packet per core  (%s, %s packets, %s)\n",
		count(m.PacketsPerS), m.GbitPerS, m.NsPerPacketCore, counted(m.Rounds, "round"), count(float64(m.Packets)), counted(m.Workers, "worker"))
	if x := m.Mix; x != nil {
		fmt.Fprintf(a.stdout, "%s flows open, %s conns live (room for %s), %.0f bytes of table and %.0f of heap a conn, %.0f bytes a packet, %.0f s of traffic; the mix takes %.0f ns a packet\n",
			count(float64(x.Flows)), count(float64(x.LiveConns)), count(float64(x.ConnBudget)), x.TableAConn, x.BytesAConn, x.MeanPacket, x.TrafficS, x.MixNsPacket)
	}
	peak := fmt.Sprintf("%.0f MB peak, %.0f MB of it the traffic", float64(m.PeakRSS)/1e6, float64(m.CaptureBytes)/1e6)
	if m.Steady {
		fmt.Fprintf(a.stdout, "%.3f allocations and %.0f bytes a packet  %s  live heap %+.1f MB while measured\n",
			*m.AllocsPerPacket, *m.BytesPerPacket, peak, float64(*m.HeapGrowth)/1e6)
	} else {
		fmt.Fprintf(a.stdout, "%s\ntoo short: one round only; use --seconds\n", peak)
	}
	for _, s := range stages {
		if _, err := fmt.Fprintf(a.stdout, "  %-20s %4.0f %%\n", s.name, 100*s.d.Seconds()/max(total.Seconds(), 1e-9)); err != nil {
			return err
		}
	}
	return nil
}
