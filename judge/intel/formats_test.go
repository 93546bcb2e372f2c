package intel_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/intel"
	"github.com/testudo-shield/testudo/judge/intel/dataset"
	"github.com/testudo-shield/testudo/judge/intel/galaxy"
	"github.com/testudo-shield/testudo/judge/intel/hosts"
	"github.com/testudo-shield/testudo/judge/intel/iprep"
	"github.com/testudo-shield/testudo/judge/intel/maltrail"
	"github.com/testudo-shield/testudo/judge/intel/misp"
	"github.com/testudo-shield/testudo/judge/intel/plain"
	"github.com/testudo-shield/testudo/judge/intel/rpz"
	"github.com/testudo-shield/testudo/judge/intel/rules"
	"github.com/testudo-shield/testudo/judge/intel/stix"
	"github.com/testudo-shield/testudo/judge/intel/table"
	"github.com/testudo-shield/testudo/judge/intel/warninglist"
	"github.com/testudo-shield/testudo/judge/intel/zeek"
)

// formats is every format, the ones that are surest of themselves first.
var formats = []intel.Format{
	stix.Format, misp.Format, misp.ManifestFormat, warninglist.Format, galaxy.Format,
	zeek.Format, maltrail.Format, maltrail.KnownFormat, rules.Format, rpz.Format, hosts.Format,
	iprep.Format, iprep.CategoryFormat, misp.HashesFormat, dataset.Format, table.Format, plain.Format,
}

// tally is what one file came to.
type tally struct {
	format                  string
	taken, threats, warning int
	skipped                 map[string]int
	err                     error
}

func (c tally) skips() (n int) {
	for _, k := range c.skipped {
		n += k
	}
	return n
}

// count reads a file as every part of its format does.
func count(f intel.Format, name string, body []byte) tally {
	c := tally{format: f.Name, skipped: map[string]int{}}
	skip := func(_ int, why string) { c.skipped[why]++ }
	note := func(err error) {
		if c.err == nil {
			c.err = err
		}
	}
	if f.Parse != nil {
		note(f.Parse(name, bytes.NewReader(body), func(testudo.Indicator) { c.taken++ }, skip))
	}
	if f.Threats != nil {
		note(f.Threats(bytes.NewReader(body), func(testudo.Threat) { c.threats++ }, skip))
	}
	if f.Warnings != nil {
		note(f.Warnings(name, bytes.NewReader(body), func(w intel.WarningList) { c.warning += len(w.Values) }, skip))
	}
	return c
}

// TestShared reads every real list there is here.
func TestShared(t *testing.T) {
	root := "../../../shared/intel"
	if _, err := os.Stat(root); err != nil {
		t.Skip("SKIPPED: ../shared/intel is absent: no real lists were read")
	}
	groups := map[string]*tally{}
	files := map[string]int{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		short, _ := filepath.Rel(root, path)
		head := body[:min(len(body), intel.Head)]
		var by []string
		for _, f := range formats[:len(formats)-1] {
			if f.Sniff(head, filepath.Base(path)) {
				by = append(by, f.Name)
			}
		}
		if len(by) != 1 {
			fmt.Println("SNIFF", short, by)
		}
		f, ok := intel.Pick(formats, head, filepath.Base(path))
		if !ok {
			return nil
		}
		c := count(f, short, body)
		if c.err != nil {
			t.Errorf("%s as %s: %v", short, f.Name, c.err)
		}
		key := filepath.Dir(short) + " " + f.Name
		if strings.HasPrefix(short, "formats/examples") || strings.HasPrefix(short, "lists/ipsum") || strings.Count(short, "/") == 1 && !strings.HasPrefix(short, "warninglists") {
			key = short + " " + f.Name
		}
		g := groups[key]
		if g == nil {
			g = &tally{format: f.Name, skipped: map[string]int{}}
			groups[key] = g
		}
		files[key]++
		g.taken, g.threats, g.warning = g.taken+c.taken, g.threats+c.threats, g.warning+c.warning
		for why, n := range c.skipped {
			g.skipped[why] += n
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range slices.Sorted(maps.Keys(groups)) {
		g := groups[key]
		fmt.Printf("%-60s files %3d taken %6d threats %5d warn %6d skipped %6d\n", key, files[key], g.taken, g.threats, g.warning, g.skips())
		for _, why := range slices.Sorted(maps.Keys(g.skipped)) {
			fmt.Printf("        %6d %s\n", g.skipped[why], why)
		}
	}
}
