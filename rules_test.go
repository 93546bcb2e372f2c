package testudo_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/testudo-shield/testudo"

// mayImport says which rooms may import which, by the first pattern that
// fits the importer. "." is the root package, which everyone may import. A
// leaf may always import its parent.
var mayImport = []struct {
	room   string // path.Match pattern of the importing folder
	others []string
	reason string
}{
	{".", nil, "the nouns depend on the standard library only"},
	{"cmd/*", []string{"*", "*/*", "*/*/*", "*/*/*/*"}, "the command wires everything"},
	{"shield", []string{"engine", "sense/*", "judge/*", "judge/intel/*", "act/*", "keep/*", "tell/*", "drill"}, "the use cases carry results between the wings"},
	{"engine", []string{"sense/*", "judge/*"}, "the data plane joins sense and judge, and knows no leaf"},
	{"sense/source/*", []string{"sense/source/logs"}, "what other sensors write comes in lines of text, read and followed alike"},
	{"sense/flow", []string{"sense/packet", "sense/protocol"}, "flow runs protocols on packets"},
	{"sense/protocol/quic", []string{"sense/protocol/tls"}, "QUIC carries TLS"},
	{"sense/protocol/*", []string{"sense/protocol/content"}, "a protocol may ask what kind of content a body is"},
	{"sense/source/afpacket", []string{"sense/source/afpacket/program"}, "the kernel is given the programs that are written there"},
	{"judge/detector/detectortest", []string{"judge/annotate", "judge/snapshot"}, "traces are annotated, and memories saved, as the engine would"},
	{"judge/annotate", []string{"judge/detector"}, "it keeps what it learned in the detectors' bounded table"},
	{"judge/incident", []string{"judge/detector"}, "likewise"},
	{"keep/state", []string{"keep/state/body"}, "what is kept of sightings is written there, apart from the database"},
	{"judge/adversary", []string{"judge/incident"}, "campaigns join incidents"},
	{"tell/report", []string{"tell/inquiry"}, "a report cites inquiries"},
	{"tell/console", []string{"shield"}, "the console changes nothing except through shield"},
}

// TestImports holds the table above, so that data keeps one way through the
// rooms.
func TestImports(t *testing.T) {
	walk(t, func(dir, file string) {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range parsed.Imports {
			p, _ := strconv.Unquote(spec.Path.Value)
			if p == module {
				continue
			}
			if other, ok := strings.CutPrefix(p, module+"/"); ok {
				if why := forbidden(dir, other); why != "" {
					t.Errorf("%s: %s may not import %s: %s", file, dir, other, why)
				}
			} else if dir == "." && strings.Contains(p, ".") {
				t.Errorf("%s: the root package may import the standard library only, not %s", file, p)
			}
		}
	})
}

func forbidden(dir, other string) string {
	if other == path.Dir(dir) {
		return ""
	}
	for _, rule := range mayImport {
		if ok, _ := path.Match(rule.room, dir); !ok {
			continue
		}
		if slices.ContainsFunc(rule.others, func(p string) bool { ok, _ := path.Match(p, other); return ok }) {
			return ""
		}
		if rule.room == dir {
			return "rule for " + rule.room + ": " + rule.reason
		}
	}
	return "rooms do not import each other nor another wing's"
}

// TestPure holds that the rooms that see foreign bytes or judge them have no
// clock, no chance, no files and no network: the same records give the same
// answer.
func TestPure(t *testing.T) {
	banned := map[string]string{
		"os": "files and environment", "net": "the network", "math/rand": "chance", "math/rand/v2": "chance",
		"crypto/rand": "chance", "log": "logging", "log/slog": "logging", "os/exec": "other programs",
	}
	walk(t, func(dir, file string) {
		pure := strings.HasPrefix(dir, "judge/") || dir == "sense/packet" || dir == "sense/flow" || strings.HasPrefix(dir, "sense/protocol")
		if !pure || strings.HasSuffix(dir, "test") {
			return
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range parsed.Imports {
			p, _ := strconv.Unquote(spec.Path.Value)
			if what, ok := banned[p]; ok {
				t.Errorf("%s: a pure room must not import %s (%s)", file, p, what)
			}
		}
	})
}

// TestNoJunkDrawers keeps rooms named by what they hold.
func TestNoJunkDrawers(t *testing.T) {
	walk(t, func(dir, file string) {
		if slices.Contains([]string{"util", "utils", "common", "helpers", "types", "misc"}, path.Base(dir)) {
			t.Errorf("%s: name the room by what it holds", dir)
		}
	})
}

// walk calls f for every Go file that is not a test.
func walk(t *testing.T, f func(dir, file string)) {
	t.Helper()
	err := filepath.WalkDir(".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && d.Name() != "." || d.Name() == "testdata") {
			return fs.SkipDir
		}
		if strings.HasSuffix(p, ".go") && !strings.HasSuffix(p, "_test.go") {
			f(filepath.ToSlash(filepath.Dir(p)), p)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
