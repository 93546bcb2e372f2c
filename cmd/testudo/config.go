package main

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/testudo-shield/testudo/engine"
)

// config is all that can be configured. Every key has a default; flags win
// over the file.
type config struct {
	// Local are the networks you are responsible for.
	Local []string `yaml:"local"`
	// Workers is the number of goroutines that read and judge; 0 is one a core.
	Workers int `yaml:"workers"`
	// Intel are files or folders of indicators.
	Intel []string `yaml:"intel"`
	// Shared are files of addresses, prefixes and domains known to be shared
	// by many unrelated parties, one a line.
	Shared []string `yaml:"shared"`
	// Budgets bound the memory.
	Budgets budgets `yaml:"budgets"`
}

type budgets struct {
	Conns     int `yaml:"conns"`
	Streams   int `yaml:"streams"`
	Fragments int `yaml:"fragments"`
	Entries   int `yaml:"entries"`
	Sightings int `yaml:"sightings"`
}

// defaultLocal are the networks that are somebody's own by their nature.
var defaultLocal = []string{
	"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", // RFC 1918
	"100.64.0.0/10",               // RFC 6598
	"fc00::/7",                    // RFC 4193
	"169.254.0.0/16", "fe80::/10", // link-local
}

func defaultConfig() config {
	b := engine.DefaultBudgets()
	return config{Budgets: budgets{b.Conns, b.Streams, b.Fragments, b.Entries, b.Sightings}}
}

// loadConfig reads file over the defaults; "" gives the defaults.
func loadConfig(file string) (config, error) {
	c := defaultConfig()
	if file == "" {
		return c, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return c, exitError{exitConfig, fmt.Errorf("configuration: %w", err)}
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil && !errors.Is(err, io.EOF) {
		return c, exitError{exitConfig, fmt.Errorf("%s: %w", file, err)}
	}
	if len(doc.Content) > 0 {
		if err := checkKeys(doc.Content[0], reflect.TypeFor[config](), ""); err != nil {
			return c, exitError{exitConfig, fmt.Errorf("%s:%w", file, err)}
		}
		if err := doc.Decode(&c); err != nil {
			return c, exitError{exitConfig, fmt.Errorf("%s: %w", file, err)}
		}
	}
	if err := c.check(); err != nil {
		return c, exitError{exitConfig, fmt.Errorf("%s: %w", file, err)}
	}
	return c, nil
}

// check refuses values that would bound nothing, or everything away.
func (c config) check() error {
	if c.Workers < 0 {
		return fmt.Errorf("workers: %d: want 0 for one a core, or more", c.Workers)
	}
	b := c.Budgets
	for _, x := range []struct {
		key         string
		value, most int
	}{
		{"conns", b.Conns, 1 << 26},
		{"streams", b.Streams, 1 << 36},
		{"fragments", b.Fragments, 1 << 34},
		{"entries", b.Entries, 1 << 26},
		{"sightings", b.Sightings, 1 << 24},
	} {
		if x.value < 1 || x.value > x.most {
			return fmt.Errorf("budgets.%s: %d: want 1 to %d", x.key, x.value, x.most)
		}
	}
	return nil
}

// checkKeys finds the first key of n that t does not have.
func checkKeys(n *yaml.Node, t reflect.Type, path string) error {
	if n.Kind != yaml.MappingNode {
		return fmt.Errorf("%d:%d: want keys and values here", n.Line, n.Column)
	}
	fields := map[string]reflect.Type{}
	var names []string
	for i := range t.NumField() {
		name := t.Field(i).Tag.Get("yaml")
		fields[name] = t.Field(i).Type
		names = append(names, name)
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		ft, ok := fields[k.Value]
		if !ok {
			return fmt.Errorf("%d:%d: unknown key %q; the nearest known is %q", k.Line, k.Column, path+k.Value, path+nearest(k.Value, names))
		}
		if ft.Kind() == reflect.Struct {
			if err := checkKeys(v, ft, path+k.Value+"."); err != nil {
				return err
			}
		}
	}
	return nil
}

// nearest returns the name with the least edit distance to word.
func nearest(word string, names []string) string {
	best, least := "", 1<<30
	for _, n := range names {
		if d := distance(word, n); d < least {
			best, least = n, d
		}
	}
	return best
}

// distance is Levenshtein's.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(diagonal+cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// prefixes parses networks; a bare address is a network of one.
func prefixes(words []string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, w := range words {
		for part := range strings.SplitSeq(w, ",") {
			part = strings.TrimSpace(part)
			if part == "" {
				continue
			}
			p, err := netip.ParsePrefix(part)
			if err != nil {
				a, err2 := netip.ParseAddr(part)
				if err2 != nil {
					return nil, fmt.Errorf("local network %q: want a CIDR such as 192.0.2.0/24", part)
				}
				p = netip.PrefixFrom(a, a.BitLen())
			}
			if p.Addr().Is4In6() {
				if p.Bits() < 96 {
					return nil, fmt.Errorf("local network %q: want IPv4 without the ::ffff: before it", part)
				}
				p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
			}
			out = append(out, p.Masked())
		}
	}
	return out, nil
}

func (b budgets) engine() engine.Budgets {
	return engine.Budgets{Conns: b.Conns, Streams: b.Streams, Fragments: b.Fragments, Entries: b.Entries, Sightings: b.Sightings}
}
