package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestWatchMisused holds that flags which mean nothing together are refused
// with what would be right.
func TestWatchMisused(t *testing.T) {
	for args, want := range map[string]string{
		"":                                      "name an interface",
		"eth1":                                  "-i",
		"-i e --progress x":                     "want auto, plain or none",
		"-i e --ring -3":                        "want 1 to 4096 megabytes",
		"-i e --ring 5000":                      "want 1 to 4096 megabytes",
		"-i e --exporters 10.0.0.1":             "--listen",
		"--exporters 10.0.0.1":                  "--listen",
		"--follow x --filter tcp":               "for interfaces",
		"--listen :0 --exporters ::/0 --ring 4": "for interfaces",
		"-i e -o csv":                           "want text, json",
	} {
		var out, err bytes.Buffer
		a := &app{stdout: &out, stderr: &err, stdin: strings.NewReader("")}
		code := a.run(t.Context(), append([]string{"watch"}, strings.Fields(args)...))
		if code != exitUsage || !strings.Contains(err.String(), want) || out.Len() > 0 {
			t.Errorf("watch %s: exit %d: %s", args, code, &err)
		}
	}
}

// TestWatchInto holds that an interface named twice is watched once.
func TestWatchInto(t *testing.T) {
	c := defaultConfig()
	f := watchFlags{interfaces: []string{"a", "b", "a"}}
	f.into(&c)
	if len(c.Interfaces) != 2 || c.Interfaces[0].Name != "a" || c.Interfaces[1].Name != "b" {
		t.Errorf("%+v", c.Interfaces)
	}
}

// TestFollowable holds that what is not there yet is told, and what this
// account cannot read is refused.
func TestFollowable(t *testing.T) {
	dir := t.TempDir()
	var told []string
	in := &liveInputs{follow: []string{dir, filepath.Join(dir, "later")}}
	event := func(text string) { told = append(told, text) }
	if err := in.followable(event); err != nil || len(told) != 1 || !strings.Contains(told[0], "waiting for it") {
		t.Errorf("%v %q", err, told)
	}
	if os.Geteuid() == 0 {
		t.Skip("SKIPPED: root may read everything")
	}
	path := filepath.Join(dir, "conn.log")
	if err := os.WriteFile(path, nil, 0); err != nil {
		t.Fatal(err)
	}
	err := in.followable(event)
	if err == nil || !strings.Contains(err.Error(), "--user") || slices.Contains(told, path) {
		t.Errorf("an unreadable log: %v", err)
	}
}
