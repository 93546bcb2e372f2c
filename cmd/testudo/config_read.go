package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// problem is one thing wrong with a configuration: where, what, and what
// would be right.
type problem struct {
	path         string // of the key, "budgets.conns"; elements of lists by number
	line, column int    // 0 where the file does not say it
	text         string
}

// problems are all that is wrong with the configuration in file, in its order.
type problems struct {
	file string
	all  []problem
}

// Error has one line a problem, each with file, line and column.
func (p problems) Error() string {
	var lines []string
	for _, x := range p.all {
		where := p.file + ":"
		if x.line > 0 {
			where += fmt.Sprintf("%d:%d:", x.line, x.column)
		}
		if x.path != "" {
			where += " " + number.ReplaceAllString(x.path, "") + ":"
		}
		lines = append(lines, where+" "+x.text)
	}
	return strings.Join(lines, "\n")
}

// loadConfig reads file over the defaults; "" gives the defaults. Whatever is
// wrong is told at once, as problems.
func loadConfig(file string) (config, error) {
	c := defaultConfig()
	if file == "" {
		return c, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return c, exitError{exitConfig, fmt.Errorf("%s: %w", file, errors.Unwrap(err))}
	}
	r := reader{at: map[string]*yaml.Node{}}
	r.read(text, &c)
	unread := r.wrong
	for _, p := range c.check() {
		if !slices.ContainsFunc(unread, func(u problem) bool { return u.path != "" && (below(u.path, p.path) || below(p.path, u.path)) }) {
			r.refuse(r.at[p.path], p.path, "%s", p.text)
		}
	}
	if len(r.wrong) > 0 {
		slices.SortStableFunc(r.wrong, func(a, b problem) int { return a.line - b.line })
		return defaultConfig(), exitError{exitConfig, problems{file, r.wrong[:min(len(r.wrong), most)]}}
	}
	return c, nil
}

// below tells whether the path is of the key at above or of one in it.
func below(path, above string) bool { return path == above || strings.HasPrefix(path, above+".") }

// most is how many problems are told at once.
const most = 20

// reader reads YAML into a config and remembers where each value stood.
type reader struct {
	at    map[string]*yaml.Node // by path, elements of lists by number: "interfaces.0.name"
	wrong []problem
}

var number = regexp.MustCompile(`\.\d+`)

// refuse notes what is wrong with the value at n.
func (r *reader) refuse(n *yaml.Node, path, format string, args ...any) {
	p := problem{path: path, text: fmt.Sprintf(format, args...)}
	if n != nil {
		p.line, p.column = n.Line, n.Column
	}
	r.wrong = append(r.wrong, p)
}

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

func (r *reader) read(text []byte, c *config) {
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var doc, more yaml.Node
	err := dec.Decode(&doc)
	if errors.Is(err, io.EOF) {
		return
	}
	if err == nil && len(doc.Content) > 0 && !nothing(doc.Content[0]) {
		r.value(doc.Content[0], reflect.ValueOf(c).Elem(), "")
		if err = dec.Decode(&more); err == nil {
			r.refuse(&more, "", "a second document begins here; want one only")
		}
	}
	if err != nil && !errors.Is(err, io.EOF) {
		m := yamlLine.FindStringSubmatch(err.Error())
		p := problem{text: "this is not YAML: " + yamlLine.ReplaceAllString(err.Error(), "")}
		if m != nil && m[1] != "" {
			p.line, _ = strconv.Atoi(m[1])
			p.column = 1
		}
		r.wrong = append(r.wrong, p)
	}
}

func nothing(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// value reads n into v, which is one of the kinds that a config has.
func (r *reader) value(n *yaml.Node, v reflect.Value, path string) {
	r.at[path] = n
	switch {
	case n.Kind == yaml.AliasNode:
		r.refuse(n, path, "want the value itself, not a reference to another")
	case v.Kind() == reflect.Struct && n.Kind != yaml.MappingNode:
		r.refuse(n, path, "want keys and values here, not %s", what(n))
	case v.Kind() == reflect.Struct:
		r.keys(n, v, path)
	case v.Kind() == reflect.Slice && n.Kind != yaml.SequenceNode:
		r.refuse(n, path, "want a list, such as [%s], not %s", example(n), what(n))
	case v.Kind() == reflect.Slice:
		r.list(n, v, path)
	case n.Kind != yaml.ScalarNode:
		r.refuse(n, path, "want one value, not %s", what(n))
	default:
		r.scalar(n, v, path)
	}
}

func (r *reader) scalar(n *yaml.Node, v reflect.Value, path string) {
	switch v.Kind() {
	case reflect.Int:
		if n.Tag != "!!int" || n.Decode(v.Addr().Interface()) != nil {
			r.refuse(n, path, "%q: want a whole number", n.Value)
		}
	case reflect.Bool:
		if n.Tag != "!!bool" || n.Decode(v.Addr().Interface()) != nil {
			r.refuse(n, path, "%q: want true or false", n.Value)
		}
	default:
		v.SetString(n.Value)
	}
}

func (r *reader) list(n *yaml.Node, v reflect.Value, path string) {
	v.SetZero()
	for i, e := range n.Content {
		element := reflect.New(v.Type().Elem()).Elem()
		if element.Type() == reflect.TypeFor[iface]() {
			element.Set(reflect.ValueOf(defaultIface()))
		}
		if element.Type() == reflect.TypeFor[feedSource]() {
			element.Set(reflect.ValueOf(defaultFeed()))
		}
		if nothing(e) {
			r.refuse(e, path, "an element of the list is empty")
			continue
		}
		r.value(e, element, fmt.Sprintf("%s.%d", path, i))
		v.Set(reflect.Append(v, element))
	}
}

// keys reads a mapping into the struct v. A key without a value keeps its
// default.
func (r *reader) keys(n *yaml.Node, v reflect.Value, path string) {
	fields, names := map[string]int{}, []string{}
	for i := range v.NumField() {
		name := v.Type().Field(i).Tag.Get("yaml")
		fields[name] = i
		names = append(names, name)
	}
	prefix := ""
	if path != "" {
		prefix = path + "."
	}
	said := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, value := n.Content[i], n.Content[i+1]
		field, known := fields[k.Value]
		name := number.ReplaceAllString(prefix+k.Value, "")
		switch first := said[k.Value]; {
		case k.Kind != yaml.ScalarNode:
			r.refuse(k, path, "want the name of a key here, not %s", what(k))
		case !known:
			r.refuse(k, "", "unknown key %q; the nearest known is %q", name, number.ReplaceAllString(prefix+nearest(k.Value, names), ""))
		case first > 0:
			r.refuse(k, name, "said twice; first in line %d", first)
		case !nothing(value):
			r.value(value, v.Field(field), prefix+k.Value)
		}
		said[k.Value] = k.Line
	}
}

// what names a node's form in plain words.
func what(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "keys and values"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "a reference"
	}
	return strconv.Quote(n.Value)
}

func example(n *yaml.Node) string {
	if n.Kind == yaml.ScalarNode && n.Value != "" {
		return n.Value
	}
	return "a, b"
}
