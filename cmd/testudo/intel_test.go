package main

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/shield"
)

// TestIntelUpdate holds what a feed over the network does when it is new,
// unchanged, changed, failing and no list at all, and that another feed goes
// on meanwhile.
func TestIntelUpdate(t *testing.T) {
	var body atomic.Value
	body.Store("203.0.113.7 relay\n")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text := body.Load().(string)
		if text == "" {
			http.Error(w, "gone", http.StatusInternalServerError)
			return
		}
		tag := fmt.Sprintf("%q", text)
		w.Header().Set("ETag", tag)
		if r.Header.Get("If-None-Match") == tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		fmt.Fprint(w, text)
	}))
	defer server.Close()
	dir := t.TempDir()
	other := filepath.Join(dir, "other.txt")
	config := filepath.Join(dir, "c.yaml")
	write := func(path, text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(other, "198.51.100.9\n")
	write(config, fmt.Sprintf("feeds:\n  - {name: far, url: %q, allow_http: true, tlp: green}\n  - {name: near, url: %q}\n", server.URL+"/list", "file://"+other))
	for i, step := range []struct {
		serves, names string
		code          int
		out, err      string
	}{
		{"203.0.113.7 relay\n", "", 0, "far: 1 taken", ""},
		{"203.0.113.7 relay\n", "", 0, "", "no feed is due"},
		{"203.0.113.7 relay\n", "far", 0, "", "far: unchanged"},
		{"203.0.113.7 relay\n203.0.113.8\n", "far near", 0, "far: 1 taken, 0 merged, 1 unchanged", ""},
		{"", "far near", 7, "", "what was known before stays in use"},
		{"Dear reader, the list has moved to another place.\n", "far", 7, "", "holds no list"},
	} {
		body.Store(step.serves)
		var out, errs bytes.Buffer
		a := &app{stdout: &out, stderr: &errs}
		args := append([]string{"--dir", filepath.Join(dir, "state"), "--config", config, "intel", "update"}, strings.Fields(step.names)...)
		if code := a.run(t.Context(), args); code != step.code || !strings.Contains(out.String(), step.out) || !strings.Contains(errs.String(), step.err) {
			t.Errorf("step %d: exit %d, want %d\n%s%s", i, code, step.code, &out, &errs)
		}
	}
	m, err := (&app{}).remembers(filepath.Join(dir, "state"), false)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if found, err := m.State.Lookup("203.0.113.8"); err != nil || len(found) != 1 || found[0].TLP != testudo.TLPGreen {
		t.Errorf("after the feed broke: %+v, %v", found, err)
	}
}

// TestKnowing holds that a live run matches what another process imports, and
// fetches a feed that is due, while it goes on.
func TestKnowing(t *testing.T) {
	dir := t.TempDir()
	list := filepath.Join(dir, "list.txt")
	if err := os.WriteFile(list, []byte("spy.example\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	m, err := (&app{}).remembers(filepath.Join(dir, "state"), true)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	var errs bytes.Buffer
	a := &app{stdout: &errs, stderr: &errs}
	k := &knowing{app: a, memory: m, live: &reloaded{}, event: a.say}
	k.set(config{}, shield.Settings{})
	set := k.live.settings(shield.Settings{})
	visit := func(name string) int { return len(set.Match(&testudo.DNS{Query: name})) }
	if n := visit("spy.example"); n != 0 {
		t.Fatalf("%d hits of nothing", n)
	}
	if err := (shield.Import{Formats: formats(), Confidence: -1}).Files(t.Context(), m, list); err != nil {
		t.Fatal(err)
	}
	k.look(t.Context())
	if n := visit("www.spy.example"); n != 1 || set.ListsNow().Indicators != 1 {
		t.Errorf("%d hits after an import, %+v\n%s", n, set.ListsNow(), &errs)
	}
	feed := filepath.Join(dir, "feed.txt")
	if err := os.WriteFile(feed, []byte("moth.example\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := defaultFeed()
	f.Name, f.URL = "moths", "file://"+feed
	k.config.Feeds = []feedSource{f}
	k.look(t.Context())
	if n := visit("moth.example"); n != 1 {
		t.Errorf("%d hits after a feed\n%s", n, &errs)
	}
	if err := os.Remove(feed); err != nil {
		t.Fatal(err)
	}
	k.config.Feeds[0].Name = "gone"
	k.look(t.Context())
	if n := visit("moth.example"); n != 1 || !strings.Contains(errs.String(), "gone: ") {
		t.Errorf("%d hits after a feed failed\n%s", n, &errs)
	}
}
