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
	format                          string
	files, taken, threats, warnings int
	skipped                         map[string]int
	err                             error
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
		note(f.Warnings(name, bytes.NewReader(body), func(w intel.WarningList) { c.warnings += len(w.Values) }, skip))
	}
	return c
}

// expected says which format the files below a path are of, by the longest
// path that fits; "" for files that hold no indicators in any form.
var expected = map[string]string{
	"attack/G0027-apt27.stix.json":                   "stix",
	"attack/ics-attack.json":                         "stix",
	"c2/signature-base-c2-iocs.txt":                  "plain",
	"fingerprints":                                   "csv",
	"formats/examples/6caf":                          "misp",
	"formats/examples/hashes.csv":                    "misp-hashes",
	"formats/examples/indicators.csv":                "csv",
	"formats/examples/manifest.json":                 "misp-manifest",
	"formats/examples/rpz.zone":                      "rpz",
	"formats/examples/stix21":                        "stix",
	"formats/examples/suricata-dataset":              "suricata-dataset",
	"formats/examples/suricata-iprep.list":           "suricata-iprep",
	"formats/examples/suricata-iprep-categories.txt": "suricata-iprep-categories",
	"formats/examples/zeek-intel.dat":                "zeek",
	"formats/misp-event":                             "misp",
	"galaxy":                                         "misp-galaxy",
	"lists":                                          "plain",
	"lists/public_suffix_list.dat":                   "",
	"maltrail/apt/":                                  "maltrail",
	"maltrail/context":                               "maltrail",
	"maltrail/context/bogon":                         "maltrail-known",
	"maltrail/context/cdn_ranges":                    "maltrail-known",
	"maltrail/context/ignore":                        "",
	"maltrail/context/whitelist":                     "maltrail-known",
	"maltrail/context/worst_asns":                    "maltrail-known",
	"maltrail/families":                              "maltrail",
	"rules/et-open-2020":                             "suricata-rules",
	"rules/suricata":                                 "suricata-rules",
	"vendor-iocs/eset":                               "csv",
	"vendor-iocs/unit42":                             "stix",
	"vendor-iocs/volexity":                           "csv",
	"warninglists":                                   "misp-warninglist",
}

func expectedOf(path string) (format string) {
	longest := 0
	for prefix, f := range expected {
		if strings.HasPrefix(path, prefix) && len(prefix) > longest {
			format, longest = f, len(prefix)
		}
	}
	if base := filepath.Base(path); strings.Contains(base, "LICENSE") {
		return ""
	}
	return format
}

// counted holds how many values the catalog says there are below a path. Each
// must be taken or skipped.
var counted = map[string]int{
	"c2":                                  1844,
	"fingerprints/ja4-client-mapping.csv": 35,
	"fingerprints/sslbl-ja3_fingerprints.csv": 98,
	"galaxy/threat-actor.json":                1041,
	"galaxy/tool.json":                        608,
	"formats/examples/indicators.csv":         198,
	"formats/examples/zeek-intel.dat":         198,
	"lists/ipranges":                          13899,
	"lists/ipsum-level3.txt":                  14217,
	"maltrail/apt":                            101854,
	"maltrail/context":                        46169,
	"maltrail/families":                       210972,
	"vendor-iocs/eset":                        2264,
	"warninglists":                            344933,
}

// TestShared reads every real list there is: each is of the one format it
// should be, is read without an error, and what is taken and skipped is what
// the catalog counts.
func TestShared(t *testing.T) {
	groups := map[string]*tally{}
	for _, path := range sharedFiles(t) {
		body, err := os.ReadFile(filepath.Join(shared, path))
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Base(path)
		head := body[:min(len(body), intel.Head)]
		if by := sniffed(head, name); len(by) > 1 {
			t.Errorf("%s is of several formats: %q", path, by)
		}
		f, _ := intel.Pick(formats, head, name)
		if want := expectedOf(path); f.Name != want {
			t.Errorf("%s is taken for %q, want %q", path, f.Name, want)
		}
		c := count(f, path, body)
		if c.err != nil {
			t.Errorf("%s as %s: %v", path, f.Name, c.err)
		}
		for _, key := range []string{filepath.Dir(path), path} {
			add(groups, key, c)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(groups)) {
		g := groups[key]
		total := g.taken + g.threats + g.warnings + g.skips()
		if want, ok := counted[key]; ok && total != want {
			t.Errorf("%s: %d values are taken or skipped, the catalog counts %d", key, total, want)
		}
		t.Logf("%-48s %-26s %3d files %6d taken %4d threats %6d warnings %6d skipped", key, g.format, g.files, g.taken, g.threats, g.warnings, g.skips())
		for _, why := range slices.Sorted(maps.Keys(g.skipped)) {
			t.Logf("    %6d %s", g.skipped[why], why)
		}
	}
}

const shared = "../../../shared/intel"

// sharedFiles returns the paths of all real lists.
func sharedFiles(t testing.TB) (paths []string) {
	if _, err := os.Stat(shared); err != nil {
		t.Skip("SKIPPED: ../shared/intel is absent: no real lists were read")
	}
	err := filepath.WalkDir(shared, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			short, _ := filepath.Rel(shared, path)
			paths = append(paths, filepath.ToSlash(short))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

// sniffed returns the formats that a file seems of, without the last, which
// takes what is left.
func sniffed(head []byte, name string) (by []string) {
	for _, f := range formats[:len(formats)-1] {
		if f.Sniff(head, name) {
			by = append(by, f.Name)
		}
	}
	return by
}

func add(groups map[string]*tally, key string, c tally) {
	g := groups[key]
	if g == nil {
		g = &tally{skipped: map[string]int{}}
		groups[key] = g
	}
	g.format = c.format
	g.files++
	g.taken, g.threats, g.warnings = g.taken+c.taken, g.threats+c.threats, g.warnings+c.warnings
	for why, n := range c.skipped {
		g.skipped[why] += n
	}
}

// BenchmarkParse reads real lists of the three forms that most lists have;
// the metric is lines a second.
func BenchmarkParse(b *testing.B) {
	for _, c := range []struct{ name, below string }{{"plain", "lists/ip"}, {"maltrail", "maltrail/families/"}, {"csv", "vendor-iocs/eset"}} {
		b.Run(c.name, func(b *testing.B) {
			var body []byte
			for _, path := range sharedFiles(b) {
				if strings.HasPrefix(path, c.below) && expectedOf(path) == c.name {
					one, err := os.ReadFile(filepath.Join(shared, path))
					if err != nil {
						b.Fatal(err)
					}
					body = append(body, one...)
				}
			}
			i := slices.IndexFunc(formats, func(f intel.Format) bool { return f.Name == c.name })
			lines := bytes.Count(body, []byte("\n"))
			b.ReportAllocs()
			for b.Loop() {
				_ = formats[i].Parse("list", bytes.NewReader(body), func(testudo.Indicator) {}, func(int, string) {})
			}
			b.ReportMetric(float64(lines*b.N)/b.Elapsed().Seconds(), "lines/s")
		})
	}
}

// BenchmarkLoad reads 1.8 million lines of real lists into a Set.
func BenchmarkLoad(b *testing.B) {
	type file struct {
		name string
		body []byte
		f    intel.Format
	}
	var files []file
	lines := 0
	for _, path := range sharedFiles(b) {
		f := expectedOf(path)
		if f != "maltrail" && f != "plain" && f != "csv" {
			continue
		}
		body, err := os.ReadFile(filepath.Join(shared, path))
		if err != nil {
			b.Fatal(err)
		}
		i := slices.IndexFunc(formats, func(g intel.Format) bool { return g.Name == f })
		files = append(files, file{path, body, formats[i]})
		lines += bytes.Count(body, []byte("\n"))
	}
	for b.Loop() {
		set, done := intel.NewBuilder(nil), 0
		for round := 0; done < 1_800_000; round++ {
			for _, f := range files {
				source := fmt.Sprint(f.name, round)
				_ = f.f.Parse(source, bytes.NewReader(f.body), func(in testudo.Indicator) { set.Add(in) }, func(int, string) {})
			}
			done += lines
		}
		b.ReportMetric(float64(done), "lines")
		set.Seal()
	}
}
