package main

import (
	"fmt"
	"net"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/testudo-shield/testudo/sense/source/afpacket/program"
)

// check refuses values that cannot be meant: what would bound nothing or
// everything away, cannot be listened on, or is no name. Each problem has the
// path of its value.
func (c config) check() (wrong []problem) {
	refuse := func(path, format string, args ...any) {
		wrong = append(wrong, problem{path: path, text: fmt.Sprintf(format, args...)})
	}
	within := func(path string, value int, least, most int64, unit string) {
		if int64(value) < least || int64(value) > most {
			refuse(path, "%d: want %d to %d%s", value, least, most, unit)
		}
	}
	within("workers", c.Workers, 0, 1024, "; 0 is one a core")
	within("checkpoint_minutes", c.CheckpointMinutes, 1, 24*60, "")
	within("budgets.conns", c.Budgets.Conns, 1, 1<<26, "")
	within("budgets.streams", c.Budgets.Streams, 1, 1<<36, " bytes")
	within("budgets.fragments", c.Budgets.Fragments, 1, 1<<34, " bytes")
	within("budgets.entries", c.Budgets.Entries, 1, 1<<26, "")
	within("budgets.sightings", c.Budgets.Sightings, 1, 1<<24, "")
	within("history.keep_days", c.History.KeepDays, 0, 36500, "; 0 is for ever")
	within("history.keep_names_days", c.History.KeepNamesDays, 0, 36500, "; 0 is as long as the records")
	within("history.max_gb", c.History.MaxGB, 0, 1<<20, "; 0 is no limit")
	networks := func(path string, list []string) {
		for i, word := range list {
			if _, err := prefixes([]string{word}); err != nil {
				refuse(fmt.Sprintf("%s.%d", path, i), "%v", err)
			}
		}
	}
	networks("local", c.Local)
	networks("flow_exports.allow", c.FlowExports.Allow)
	named := func(path string, list []string) {
		for i, file := range list {
			if file == "" {
				refuse(fmt.Sprintf("%s.%d", path, i), "empty; want the path of a file or folder")
			}
		}
	}
	named("intel", c.Intel)
	named("shared", c.Shared)
	named("follow", c.Follow)
	if c.Records.Format != "tsv" && c.Records.Format != "json" {
		refuse("records.format", "%q: want tsv or json", c.Records.Format)
	}
	if !account.MatchString(c.User) {
		refuse("user", "%q: want the name of an account, such as testudo", c.User)
	}
	// A Unix socket's path has 107 bytes on Linux (unix(7)).
	if !filepath.IsAbs(c.SensorSocket) || len(c.SensorSocket) > 107 {
		refuse("sensor_socket", "%q: want a full path of at most 107 bytes, such as /run/testudo/sensor.sock", c.SensorSocket)
	}
	if c.Dir != "" && !filepath.IsAbs(c.Dir) {
		refuse("dir", "%q: want a full path, such as /var/lib/testudo", c.Dir)
	}
	wrong = append(wrong, c.checkFeeds()...)
	return append(append(wrong, c.checkInterfaces()...), c.FlowExports.check()...)
}

var account = regexp.MustCompile(`^[a-z_][a-z0-9_-]{0,31}$`)

// ethernet is the link type filters are tried for.
const ethernet = 1

func (c config) checkInterfaces() (wrong []problem) {
	first := map[string]bool{}
	for i, f := range c.Interfaces {
		at := fmt.Sprintf("interfaces.%d", i)
		refuse := func(key, format string, args ...any) {
			wrong = append(wrong, problem{path: at + key, text: fmt.Sprintf(format, args...)})
		}
		switch {
		case f.Name == "":
			refuse("", "an interface without a name; want name: eth1")
		case len(f.Name) > 15 || strings.ContainsAny(f.Name, "/ \t\n:") || f.Name == "." || f.Name == "..":
			refuse(".name", "%q: no interface has such a name; ip link shows those there are", f.Name)
		case first[f.Name]:
			refuse(".name", "%q: said twice; want each interface once", f.Name)
		}
		first[f.Name] = true
		if _, err := program.Filter(f.Filter, ethernet); err != nil {
			refuse(".filter", "%v", err)
		}
		if f.RingMB < 1 || f.RingMB > maxRing {
			refuse(".ring_mb", "%d: want 1 to %d megabytes", f.RingMB, maxRing)
		}
		if f.SnapLength < 128 || f.SnapLength > 65535 {
			refuse(".snap_length", "%d: want 128 to 65535 bytes; what is cut away is not judged", f.SnapLength)
		}
		if f.Rings < 0 || f.Rings > 64 {
			refuse(".rings", "%d: want 0 to 64; 0 is one a worker", f.Rings)
		}
	}
	return wrong
}

func (f flowExports) check() (wrong []problem) {
	refuse := func(path, format string, args ...any) {
		wrong = append(wrong, problem{path: "flow_exports" + path, text: fmt.Sprintf(format, args...)})
	}
	if f.Listen == "" {
		if len(f.Allow) > 0 {
			refuse(".allow", "exporters are allowed but nothing is listened on; want listen, such as \"[::]:2055\"")
		}
		return wrong
	}
	_, port, err := net.SplitHostPort(f.Listen)
	if n, nerr := strconv.Atoi(port); err != nil || nerr != nil || n < 1 || n > 65535 {
		refuse(".listen", "%q: want an address and a port, such as 192.0.2.1:2055 or \"[::]:2055\"", f.Listen)
	} else if len(f.Allow) == 0 {
		refuse(".listen", "no exporter is allowed, so anyone could invent traffic; want allow with the exporters' addresses")
	}
	return wrong
}
