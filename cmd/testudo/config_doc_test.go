package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// told is a key as config.go tells it.
type told struct {
	name, about, example string
	value                reflect.Value // its default
	fallback             string        // in words, where the default is empty
	now                  bool
	list                 bool // of things with keys of their own
	keys                 []told
}

// tell reads the comments of v's type, whose values are the defaults.
func tell(types map[string]*ast.StructType, v reflect.Value) (keys []told) {
	for i, f := range types[v.Type().Name()].Fields.List {
		field := v.Type().Field(i)
		k := told{name: field.Tag.Get("yaml"), value: v.Field(i), fallback: field.Tag.Get("default"), now: field.Tag.Get("reload") == "now"}
		for line := range strings.Lines(f.Doc.Text()) {
			if example, ok := strings.CutPrefix(line, "\t"); ok {
				k.example = strings.TrimSpace(example)
			} else {
				k.about += " " + strings.TrimSpace(line)
			}
		}
		k.about = strings.TrimSpace(k.about)
		switch {
		case field.Type.Kind() == reflect.Struct:
			k.keys = tell(types, v.Field(i))
		case field.Type == reflect.TypeFor[[]iface]():
			k.list, k.keys = true, tell(types, reflect.ValueOf(defaultIface()))
		case field.Type == reflect.TypeFor[[]feedSource]():
			k.list, k.keys = true, tell(types, reflect.ValueOf(defaultFeed()))
		}
		keys = append(keys, k)
	}
	return keys
}

// standard is the default in YAML, "" for none.
func (k told) standard() string {
	if k.value.Kind() == reflect.Slice || k.value.Kind() == reflect.Struct || k.value.Kind() == reflect.String && k.value.Len() == 0 {
		return ""
	}
	return fmt.Sprint(k.value.Interface())
}

func wrap(text, prefix string) string {
	var out strings.Builder
	line := prefix
	for word := range strings.FieldsSeq(text) {
		if len(line)+1+len(word) > 100 {
			out.WriteString(line + "\n")
			line = prefix
		}
		line += " " + word
	}
	return out.String() + line + "\n"
}

// file writes the keys commented out; keys of keys are so that one # taken
// from each line leaves YAML.
func file(keys []told, indent string, out *strings.Builder) {
	for i, k := range keys {
		if indent == "" {
			out.WriteString("\n")
		}
		inner := "#" + indent + "#"
		if indent == "" {
			inner = "#"
		}
		about := k.about
		if k.fallback != "" {
			about += " Default: " + k.fallback + "."
		}
		if k.now {
			about += " (reload)"
		}
		if dash := strings.HasSuffix(indent, "- "); dash {
			inner = "#" + strings.Replace(indent, "- ", "  ", 1) + "#"
			if i > 0 {
				indent = strings.Replace(indent, "- ", "  ", 1)
			}
		}
		out.WriteString(wrap(about, inner))
		value := k.standard()
		if value == "" {
			value = k.example
		}
		out.WriteString(strings.TrimRight("#"+indent+k.name+": "+value, " ") + "\n")
		next := indent + "  "
		if k.list {
			next += "- "
		}
		file(k.keys, next, out)
	}
}

func keyTable(keys []told, prefix string, out *strings.Builder) {
	for _, k := range keys {
		name := prefix + k.name
		if len(k.keys) > 0 {
			if k.list {
				name += "[]"
			}
			keyTable(k.keys, name+".", out)
			continue
		}
		standard := k.standard()
		if k.fallback != "" {
			standard = k.fallback
		}
		at := "restart"
		if k.now {
			at = "reload"
		}
		fmt.Fprintf(out, "| `%s` | %s | %s | %s |\n", name, standard, at, k.about)
	}
}

const fileHead = `# Testudo's configuration. Every key is here, commented out, with its default or, where that is
# empty, an example. To set one take away the first # of its line.
#
# After a change:  testudo check --config /etc/testudo/testudo.yaml
# Then:            systemctl reload testudo       for keys marked (reload)
#                  systemctl restart testudo-sensor testudo       for the others
`

// TestConfigTold holds that testudo.yaml and the table of the manual say what
// the comments in config.go say, and that the file can be used as it is told.
func TestConfigTold(t *testing.T) {
	parsed, err := parser.ParseFile(token.NewFileSet(), "config.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	types := map[string]*ast.StructType{}
	ast.Inspect(parsed, func(n ast.Node) bool {
		if s, ok := n.(*ast.TypeSpec); ok {
			types[s.Name.Name], _ = s.Type.(*ast.StructType)
		}
		return true
	})
	keys := tell(types, reflect.ValueOf(defaultConfig()))
	var yaml, page strings.Builder
	yaml.WriteString(fileHead)
	file(keys, "", &yaml)
	page.WriteString("<!-- keys: made from config.go -->\n| key | default | taken over at | what it is |\n|---|---|---|---|\n")
	keyTable(keys, "", &page)
	page.WriteString("<!-- end of keys -->")

	same(t, "testudo.yaml", yaml.String())
	const manual = "../../docs/configuration.md"
	text, err := os.ReadFile(manual)
	if err != nil {
		t.Fatal(err)
	}
	between := regexp.MustCompile(`(?s)<!-- keys: .*<!-- end of keys -->`)
	if !between.Match(text) {
		t.Fatalf("%s has no place for the keys", manual)
	}
	same(t, manual, between.ReplaceAllLiteralString(string(text), page.String()))

	asTold := filepath.Join(t.TempDir(), "told.yaml")
	for set, text := range map[bool]string{false: yaml.String(), true: uncomment(strings.TrimPrefix(yaml.String(), fileHead))} {
		if err := os.WriteFile(asTold, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := loadConfig(asTold)
		if err != nil || (len(c.Interfaces) == 1 && c.Interfaces[0].RingMB == 64) != set {
			t.Errorf("%v\n%+v\n%s", err, c, text)
		}
	}
}

// uncomment takes one # from every line that is no prose: prose has a # and
// one blank, keys of keys have two blanks or more.
func uncomment(text string) string {
	return regexp.MustCompile(`(?m)^#(  |[^ \n])`).ReplaceAllString(text, "$1")
}

// same holds that a file says want; with UPDATE in the environment it is
// written.
func same(t *testing.T, path, want string) {
	t.Helper()
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != want {
		t.Errorf("%s does not say what config.go says:  UPDATE=1 go test -run TestConfigTold ./cmd/testudo", path)
	}
}

// TestConfigWrong holds that a wrong value is told with its place, what is
// wrong and what would be right; all at once.
func TestConfigWrong(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.yaml")
	for text, want := range map[string]string{
		"workers: lots":                           `:1:10: workers: "lots": want a whole number`,
		"workers: 1.5":                            `:1:10: workers: "1.5": want a whole number`,
		"workers: [1]":                            `:1:10: workers: want one value, not a list`,
		"workers: 2000":                           `:1:10: workers: 2000: want 0 to 1024; 0 is one a core`,
		"local: 10.0.0.0/8":                       `:1:8: local: want a list, such as [10.0.0.0/8], not "10.0.0.0/8"`,
		"local:\n  - 10.0.0.0/8\n  - home":        `:3:5: local: "home": want a network such as 192.0.2.0/24, or one address`,
		"local: [~]":                              `:1:9: local: an element of the list is empty`,
		"budgets: 5":                              `:1:10: budgets: want keys and values here, not "5"`,
		"budgets: {conns: 0}":                     `:1:18: budgets.conns: 0: want 1 to 67108864`,
		"interfaces: [eth0]":                      `:1:14: interfaces: want keys and values here, not "eth0"`,
		"interfaces: [{ring_mb: 5}]":              `:1:14: interfaces: an interface without a name; want name: eth1`,
		"interfaces: [{name: e, ring_mb: 5000}]":  `:1:33: interfaces.ring_mb: 5000: want 1 to 4096 megabytes`,
		"interfaces: [{name: e, promiscuous: 7}]": `:1:37: interfaces.promiscuous: "7": want true or false`,
		"interfaces: [{name: e, ring: 5}]":        `:1:24: unknown key "interfaces.ring"; the nearest known is "interfaces.rings"`,
		"interfaces: [{name: e}, {name: e}]":      `:1:32: interfaces.name: "e": said twice; want each interface once`,
		"interfaces: [{name: a/b}]":               `:1:21: interfaces.name: "a/b": no interface has such a name; ip link shows those there are`,
		"flow_exports: {listen: 2055}":            `:1:24: flow_exports.listen: "2055": want an address and a port, such as 192.0.2.1:2055 or "[::]:2055"`,
		"flow_exports: {listen: \":2055\"}":       `:1:24: flow_exports.listen: no exporter is allowed, so anyone could invent traffic; want allow with the exporters' addresses`,
		"flow_exports: {allow: [10.0.0.1]}":       `:1:23: flow_exports.allow: exporters are allowed but nothing is listened on; want listen, such as "[::]:2055"`,
		"records: {format: xml}":                  `:1:19: records.format: "xml": want tsv or json`,
		"history: {keep_days: -1}":                `:1:22: history.keep_days: -1: want 0 to 36500; 0 is for ever`,
		"sensor_socket: sensor.sock":              `:1:16: sensor_socket: "sensor.sock": want a full path of at most 107 bytes, such as /run/testudo/sensor.sock`,
		"user: Nobody Else":                       `:1:7: user: "Nobody Else": want the name of an account, such as testudo`,
		"dir: state":                              `:1:6: dir: "state": want a full path, such as /var/lib/testudo`,
		"follow: ['']":                            `:1:10: follow: empty; want the path of a file or folder`,
		"workers: 1\nworkers: 2":                  `:2:1: workers: said twice; first in line 1`,
		"local: &l [10.0.0.0/8]\nintel: *l":       `:2:8: intel: want the value itself, not a reference to another`,
		"local: [10.0.0.0/8]\n---\nworkers: 1":    `:2:1: a second document begins here; want one only`,
		"a: [":                                    `:1:1: this is not YAML: did not find expected node content`,
		"- workers":                               `:1:1: want keys and values here, not a list`,
		"checkpoint_minutes: 0\nworkers: -1":      ":1:21: checkpoint_minutes: 0: want 1 to 1440\nc.yaml:2:10: workers: -1: want 0 to 1024; 0 is one a core",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := loadConfig(path)
		if got := strings.ReplaceAll(fmt.Sprint(err), filepath.Dir(path)+"/", ""); got != "c.yaml"+want {
			t.Errorf("%q\n have %s\n want c.yaml%s", text, got, want)
		}
	}
}

// TestReload holds which keys are taken over at once, that the others are
// told again until a restart, and that a wrong file changes nothing.
func TestReload(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.yaml")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("workers: 1\nintel: [a]\n")
	c, err := loadConfig(path)
	if err != nil {
		t.Fatal(err)
	}
	write("workers: 2\nintel: [a, b]\nbudgets: {conns: 5}\ncheckpoint_minutes: 9\n")
	for round, want := range [][]change{
		{{"intel", true}, {"checkpoint_minutes", true}, {"workers", false}, {"budgets.conns", false}},
		{{"workers", false}, {"budgets.conns", false}},
	} {
		next, changed, err := c.reload(path)
		if err != nil || !slices.Equal(changed, want) {
			t.Errorf("round %d: %v, %v, want %v", round, changed, err, want)
		}
		if next.Workers != 1 || len(next.Intel) != 2 || next.CheckpointMinutes != 9 {
			t.Errorf("round %d: %+v", round, next)
		}
		c = next
	}
	write("workers: many\nintel: []\n")
	next, changed, err := c.reload(path)
	if err == nil || !strings.Contains(err.Error(), "stays as it was") || !strings.Contains(err.Error(), "c.yaml:1:10") ||
		changed != nil || !reflect.DeepEqual(next, c) {
		t.Errorf("%v, %v, %+v", err, changed, next)
	}
}
