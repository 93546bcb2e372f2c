package test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/test/wire"
)

// perLine is how long a command in a page may take; the longest writes and
// reads a week.
const perLine = 3 * time.Minute

// pages are the pages for people, by their paths from the root. The plan is
// left out: it speaks of what is not there yet.
func pages(t *testing.T) []string {
	t.Helper()
	all := []string{"README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"}
	err := filepath.WalkDir("../docs", func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(p, ".md") && d.Name() != "plan.md" {
			all = append(all, filepath.ToSlash(strings.TrimPrefix(p, "../")))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// block is one fenced block of a page.
type block struct {
	lang   string
	output string // the command of the output marker above it, "" for none
	lines  []string
	first  int // index of its first line in the page
}

var outputMarker = regexp.MustCompile(`^<!-- output: (.+) -->$`)

// blocks returns the fenced blocks of a page's lines.
func blocks(lines []string) (all []block) {
	var open *block
	marker := ""
	for i, l := range lines {
		fence, isFence := strings.CutPrefix(l, "```")
		switch {
		case open != nil && isFence:
			all = append(all, *open)
			open, marker = nil, ""
		case open != nil:
			open.lines = append(open.lines, l)
		case isFence:
			open = &block{lang: fence, output: marker, first: i + 1}
		case outputMarker.MatchString(l):
			marker = outputMarker.FindStringSubmatch(l)[1]
		}
	}
	return all
}

// TestPages runs what the pages tell people to run: every line of a block of
// sh that begins with testudo, with exit code 0 or the one its comment names.
// A line marked Ctrl-C is stopped after two seconds; one that needs a network
// is marked so and not run.
// Blocks behind an output marker must be what the program prints; with UPDATE
// in the environment they are written anew.
func TestPages(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("no sh on this machine: the examples of the pages are not run")
	}
	targets := makeTargets(t)
	for _, page := range pages(t) {
		t.Run(page, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join("..", page))
			if err != nil {
				t.Fatal(err)
			}
			reader := newReader(t, sh)
			lines := strings.Split(string(text), "\n")
			for _, b := range slices.Backward(blocks(lines)) { // so that indices stay good
				if b.output != "" {
					lines = slices.Replace(lines, b.first, b.first+len(b.lines), reader.prints(t, b)...)
				}
			}
			for _, b := range blocks(lines) {
				if b.lang == "sh" {
					reader.runBlock(t, b, targets)
				}
			}
			if fresh := strings.Join(lines, "\n"); os.Getenv("UPDATE") != "" && fresh != string(text) {
				if err := os.WriteFile(filepath.Join("..", page), []byte(fresh), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// makeTargets returns the targets of the Makefile.
func makeTargets(t *testing.T) (targets []string) {
	t.Helper()
	text, err := os.ReadFile("../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^([a-z-]+):`).FindAllStringSubmatch(string(text), -1) {
		targets = append(targets, m[1])
	}
	return targets
}

// reader is somebody who tries what a page says, in a folder with the files that the pages name.
type reader struct{ sh, dir, path string }

func newReader(t *testing.T, sh string) reader {
	t.Helper()
	d := reader{sh: sh, dir: t.TempDir()}
	if err := os.Chmod(filepath.Dir(d.dir), 0o755); err != nil { // watch, begun as root, goes on as nobody
		t.Fatal(err)
	}
	bin := t.TempDir()
	if err := os.Symlink(binary, filepath.Join(bin, "testudo")); err != nil {
		t.Fatal(err)
	}
	d.path = bin + string(os.PathListSeparator) + os.Getenv("PATH")
	var gz bytes.Buffer
	z := gzip.NewWriter(&gz)
	if _, err := z.Write(wire.Mixed(3, 60).Pcap()); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		"your.pcap":        wire.Mixed(1, 200).Pcap(),
		"monday.pcap":      wire.Mixed(2, 60).Pcap(),
		"tuesday.pcap.gz":  gz.Bytes(),
		"flows.pcap":       wire.Exports().Pcap(),
		"indicators.txt":   []byte("# ours\n203.0.113.200 a relay\nbad.example\n"),
		"lists/one.txt":    []byte("198.51.100.0/28 rented\n"),
		"prose.txt":        []byte("This is no list.\nIt has only prose in it!\n"),
		"testudo.yaml":     []byte("local: [10.1.0.0/16, \"2001:db8:7::/48\"]\nworkers: 2\nintel: [indicators.txt]\nbudgets:\n  conns: 262144\n"),
		"misspelt.yaml":    []byte("locl: [10.1.0.0/16]\n"),
		"current/conn.log": []byte(`{"ts":1772668800.5,"uid":"C1","id.orig_h":"10.1.0.5","id.orig_p":40000,"id.resp_h":"192.0.2.9","id.resp_p":443,"proto":"tcp","conn_state":"SF"}` + "\n"),
	} {
		path := filepath.Join(d.dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, data, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

var (
	exitComment = regexp.MustCompile(`\s+# exit (\d+)$`)
	// notHere marks a line that needs an interface or a port, and is not run.
	notHere = regexp.MustCompile(`\s+# on your network$`)
	// ctrlC marks a line that goes on until it is stopped.
	ctrlC = regexp.MustCompile(`\s+# Ctrl-C$`)
)

func isDrill(line string) bool { return strings.HasPrefix(line, "testudo drill") }

// runBlock runs the lines of a block of sh in order.
func (d reader) runBlock(t *testing.T, b block, targets []string) {
	if testing.Short() && slices.ContainsFunc(b.lines, isDrill) {
		t.Run(b.lines[0], func(t *testing.T) { t.Skip("-short: a drill takes its time, and so does what follows it") })
		return
	}
	for _, line := range b.lines {
		want := 0
		if m := exitComment.FindStringSubmatch(line); m != nil {
			want, _ = strconv.Atoi(m[1])
			line = strings.TrimSuffix(line, m[0])
		}
		word, rest, _ := strings.Cut(line, " ")
		switch {
		case word == "testudo" && notHere.MatchString(line):
		case word == "testudo":
			t.Run(line, func(t *testing.T) {
				if out, code := d.runLine(t, line); code != want {
					t.Errorf("%s: exit %d, want %d\n%.2000s", line, code, want, out)
				}
			})
		case word == "make":
			if target, _, _ := strings.Cut(rest, " "); !slices.Contains(targets, target) {
				t.Errorf("%q: the Makefile has no such target", line)
			}
		case line != "" && !strings.HasPrefix(line, "#"):
			t.Errorf("%q: a block of sh holds lines that begin with testudo or make; others belong in a block of text", line)
		}
	}
}

// runLine runs one line of a page and returns all it printed.
func (d reader) runLine(t *testing.T, line string) (out []byte, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), perLine)
	defer cancel()
	cmd := exec.CommandContext(ctx, d.sh, "-c", "exec "+line)
	if ctrlC.MatchString(line) {
		soon, stop := context.WithTimeout(ctx, 2*time.Second)
		defer stop()
		cmd = exec.CommandContext(soon, d.sh, "-c", "exec "+line)
		cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	}
	cmd.Dir = d.dir
	cmd.Env = append(os.Environ(), "PATH="+d.path, "TZ=UTC", "NO_COLOR=1", "COLUMNS=")
	cmd.WaitDelay = 10 * time.Second
	stdout, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return append(stdout, exit.Stderr...), exit.ExitCode()
	}
	if ctrlC.MatchString(line) && errors.Is(err, context.DeadlineExceeded) {
		err = nil // it was stopped, and said so with exit code 0
	}
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return stdout, 0
}

// took is the one part of a page of the program's that no two runs share.
var took = regexp.MustCompile(`\s*[·-]\s+read\s+in\s+[\d.,]+\s+\w+`)

// prints returns the lines that belong into a block behind an output marker:
// what its command prints now under UPDATE, else what is there.
func (d reader) prints(t *testing.T, b block) []string {
	now := b.lines
	t.Run(b.output, func(t *testing.T) {
		if testing.Short() && isDrill(b.output) {
			t.Skip("-short: a drill takes its time")
		}
		out, code := d.runLine(t, b.output)
		if code != 0 {
			t.Fatalf("exit %d\n%.2000s", code, out)
		}
		text := strings.TrimRight(string(out), "\n")
		if os.Getenv("UPDATE") != "" {
			now = strings.Split(text, "\n")
			return
		}
		flat := func(s string) string { return strings.Join(strings.Fields(took.ReplaceAllString(s, "")), " ") }
		if want := strings.Join(b.lines, "\n"); flat(text) != flat(want) {
			t.Errorf("the page shows what the program no longer prints; if that is right:  UPDATE=1 go test -count=1 -run TestPages ./test/\npage:\n%s\nprogram:\n%s", want, text)
		}
	})
	return now
}

var (
	pageLink = regexp.MustCompile(`\]\(([^)#: ]+)(#[^)]*)?\)`)
	pagePath = regexp.MustCompile("`([a-z][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_.-]+)*\\.(?:go|md|sh|pcap))`")
	pageRoom = regexp.MustCompile("`((?:sense|judge|keep|tell|cmd|docs|test)/[a-z0-9/_]+)`")
)

// prose returns a page without its fenced blocks.
func prose(page string) string {
	lines := strings.Split(page, "\n")
	for _, b := range slices.Backward(blocks(lines)) {
		lines = slices.Delete(lines, b.first, b.first+len(b.lines))
	}
	return strings.Join(lines, "\n")
}

// TestPagesName holds that files and rooms which the pages name are there.
func TestPagesName(t *testing.T) {
	for _, page := range pages(t) {
		text, err := os.ReadFile(filepath.Join("..", page))
		if err != nil {
			t.Fatal(err)
		}
		dir := filepath.Dir(filepath.Join("..", page))
		for _, m := range pageLink.FindAllStringSubmatch(prose(string(text)), -1) {
			if _, err := os.Stat(filepath.Join(dir, m[1])); err != nil {
				t.Errorf("%s links to %s, which is not there", page, m[1])
			}
		}
		for _, m := range slices.Concat(pagePath.FindAllStringSubmatch(string(text), -1), pageRoom.FindAllStringSubmatch(string(text), -1)) {
			if strings.Contains(m[1], "NAME") || strings.HasSuffix(m[1], ".pcap") {
				continue
			}
			if _, err := os.Stat(filepath.Join("..", m[1])); err != nil {
				t.Errorf("%s names %s, which is not there", page, m[1])
			}
		}
	}
}

// section returns the part of a page below a heading of the second level.
func section(page, heading string) string {
	_, rest, ok := strings.Cut(page, "\n## "+heading+"\n")
	if !ok {
		return ""
	}
	rest, _, _ = strings.Cut(rest, "\n## ")
	return rest
}

func page(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestRecordsPage holds that every log has its section, with every field.
func TestRecordsPage(t *testing.T) {
	text := page(t, "docs/records.md")
	for _, r := range []testudo.Record{
		&testudo.Conn{}, &testudo.DNS{}, &testudo.TLS{}, &testudo.X509{}, &testudo.QUIC{}, &testudo.HTTP{}, &testudo.SSH{},
		&testudo.SMTP{}, &testudo.FTP{}, &testudo.DHCP{}, &testudo.NTP{}, &testudo.ARP{}, &testudo.Weird{},
	} {
		part := section(text, r.Log()+".log")
		if part == "" {
			t.Errorf("docs/records.md has no section %s.log", r.Log())
			continue
		}
		typ := reflect.TypeOf(r).Elem()
		for i := range typ.NumField() {
			name, _, _ := strings.Cut(typ.Field(i).Tag.Get("log"), ",")
			if name != "" && !strings.Contains(part, "`"+name+"`") {
				t.Errorf("docs/records.md: section %s.log does not name %s", r.Log(), name)
			}
		}
	}
}

// TestDependenciesPage holds that every module the code imports has its line.
func TestDependenciesPage(t *testing.T) {
	text := page(t, "docs/dependencies.md")
	modules := regexp.MustCompile(`(?m)^\s+(\S+\.\S+/\S+) v`).FindAllStringSubmatch(page(t, "go.mod"), -1)
	told := map[string]bool{}
	err := filepath.WalkDir("..", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(p, ".go") {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), p, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range f.Imports {
			name, _ := strconv.Unquote(spec.Path.Value)
			for _, m := range modules {
				if (name == m[1] || strings.HasPrefix(name, m[1]+"/")) && !told[m[1]] && !strings.Contains(text, "`"+m[1]+"`") {
					told[m[1]] = true
					t.Errorf("%s imports %s: docs/dependencies.md has no line for %s", p, name, m[1])
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestSkeleton holds that the detector which CONTRIBUTING.md shows compiles.
func TestSkeleton(t *testing.T) {
	all := blocks(strings.Split(page(t, "CONTRIBUTING.md"), "\n"))
	i := slices.IndexFunc(all, func(b block) bool { return b.lang == "go" })
	if i < 0 {
		t.Fatal("CONTRIBUTING.md shows no detector")
	}
	dir := t.TempDir()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	text, overlay := filepath.Join(dir, "knock.go"), filepath.Join(dir, "overlay.json")
	replace, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(root, "judge", "detector", "knock", "knock.go"): text}})
	if err != nil {
		t.Fatal(err)
	}
	for file, data := range map[string][]byte{text: []byte(strings.Join(all[i].lines, "\n") + "\n"), overlay: replace} {
		if err := os.WriteFile(file, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "go", "build", "-overlay", overlay, "./judge/detector/knock")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
