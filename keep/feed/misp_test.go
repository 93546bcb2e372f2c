package feed

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
)

const (
	eventA = "11111111-1111-4111-8111-111111111111"
	eventB = "22222222-2222-4222-8222-222222222222"
	eventC = "33333333-3333-4333-8333-333333333333"
)

// folder serves a MISP feed from memory and writes down what is asked for.
type folder struct {
	files map[string]string
	asked []string
}

func (f *folder) serve(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, "/feed/")
	f.asked = append(f.asked, name)
	text, ok := f.files[name]
	if !ok {
		http.NotFound(w, r)
		return
	}
	tag := `"` + sumOf(text)[:8] + `"`
	w.Header().Set("ETag", tag)
	if r.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	_, _ = io.WriteString(w, text)
}

// put sets the manifest to events with their stamps, and their files.
func (f *folder) put(stamps ...any) {
	f.files, f.asked = map[string]string{}, nil
	var lines []string
	for i := 0; i < len(stamps); i += 2 {
		lines = append(lines, fmt.Sprintf(`"%s":{"timestamp":"%d","info":"x"}`, stamps[i], stamps[i+1]))
		f.files[stamps[i].(string)+".json"] = fmt.Sprintf(`{"Event":{"uuid":"%s","timestamp":"%d"}}`, stamps[i], stamps[i+1])
	}
	f.files["manifest.json"] = "{" + strings.Join(lines, ",") + "}"
}

func names(files []File) (all []string) {
	for _, f := range files {
		n := f.Name[:1]
		if f.New {
			n += "+"
		}
		all = append(all, n)
	}
	return all
}

func TestMISP(t *testing.T) {
	f := &folder{}
	f.put(eventB, 1, eventA, 1)
	server := serve(t, f.serve)
	s := newStore(t)
	src := Source{Name: "test", Kind: KindMISP, URL: server.URL + "/feed", AllowHTTP: true}
	steps := []struct {
		put   []any
		asked int
		files []string
		why   string
	}{
		{nil, 3, []string{"1+", "2+"}, "changed: 2 events, 2 of them new, 146 bytes"},
		{nil, 1, []string{"1", "2"}, "unchanged"},
		{[]any{eventA, 1, eventB, 2, eventC, 1}, 3, []string{"1", "2+", "3+"}, "changed: 3 events, 2 of them new, 219 bytes"},
		{[]any{eventA, 1, eventC, 1}, 1, []string{"1", "3"}, "changed: 2 events, 0 of them new, 146 bytes"},
	}
	for i, step := range steps {
		if f.asked = nil; step.put != nil {
			f.put(step.put...)
		}
		r := mustFetch(t, s, src, monday)
		if len(f.asked) != step.asked || !slices.Equal(names(r.Files), step.files) || r.Why != step.why {
			t.Errorf("step %d: asked %v, files %v, %q", i, f.asked, names(r.Files), r.Why)
		}
		contents(t, r.Files)
	}
}

// TestMISPMissing holds that an event that cannot be had keeps its old copy,
// the others come, and it is asked for again.
func TestMISPMissing(t *testing.T) {
	f := &folder{}
	f.put(eventA, 1, eventB, 1)
	server := serve(t, f.serve)
	s := newStore(t)
	src := Source{Name: "test", Kind: KindMISP, URL: server.URL + "/feed/manifest.json", AllowHTTP: true}
	mustFetch(t, s, src, monday)
	f.put(eventA, 2, eventB, 2)
	whole := f.files[eventA+".json"]
	f.files[eventA+".json"] = `{"Event":{"uuid":"` + eventB + `"}}`
	r, err := s.Fetch(context.Background(), src, thursday)
	want := "1 event could not be had, the first because " + eventA + ".json does not hold that event; tell who runs the source; they are asked for again next time; in use: the copy of 2026-11-05"
	if err == nil || !strings.Contains(err.Error(), want) || !r.Changed || !slices.Equal(names(r.Files), []string{"1", "2+"}) {
		t.Errorf("%v\n%+v", err, r)
	}
	f.files[eventA+".json"], f.asked = whole, nil
	if r = mustFetch(t, s, src, thursday); !slices.Equal(names(r.Files), []string{"1+", "2"}) || len(f.asked) != 2 {
		t.Errorf("%v %v", names(r.Files), f.asked)
	}
}

func TestMISPWrong(t *testing.T) {
	tests := []struct{ manifest, want string }{
		{"<html>", "what came is a web page"},
		{"[]", "manifest.json is not a MISP manifest: its JSON has another shape; check the address"},
		{`{"x`, "manifest.json is not a MISP manifest: unexpected end of JSON input at byte 3"},
		{"{}", "manifest.json names no event"},
		{`{"../../etc/passwd":{"timestamp":1}}`, `manifest.json names an event "../../etc/passwd", which is no UUID; refused`},
		{`{"` + eventA + `":{"timestamp":1}}`, "1 event could not be had, the first because the server answers 404 Not Found"},
	}
	f := &folder{}
	server := serve(t, f.serve)
	for _, tt := range tests {
		f.files = map[string]string{"manifest.json": tt.manifest}
		_, err := newStore(t).Fetch(context.Background(), Source{Name: "test", Kind: KindMISP, URL: server.URL + "/feed/", AllowHTTP: true}, monday)
		if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "in use: nothing") {
			t.Errorf("got  %v\nwant %s", err, tt.want)
		}
	}
}

// TestMISPStopped holds that what came before a stop is kept, so that a large
// folder on a slow line is done some day.
func TestMISPStopped(t *testing.T) {
	f := &folder{}
	f.put(eventA, 1, eventB, 1, eventC, 1)
	ctx, cancel := context.WithCancel(context.Background())
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if ctx.Err() == nil && strings.Contains(r.URL.Path, eventB) {
			cancel()
			wait(r)
			return
		}
		f.serve(w, r)
	})
	s := newStore(t)
	src := Source{Name: "test", Kind: KindMISP, URL: server.URL + "/feed/", AllowHTTP: true}
	r, err := s.Fetch(ctx, src, monday)
	want := "2 events could not be had, the first because stopped before it was done; they are asked for again next time; in use: the copy of 2026-11-02 12:00 UTC (just now, 1 file, 73 bytes)"
	if err == nil || !strings.HasSuffix(err.Error(), want) || !r.Changed || !slices.Equal(names(r.Files), []string{"1+"}) {
		t.Errorf("got  %v\nwant %s\n%+v", err, want, r)
	}
	if r = mustFetch(t, s, src, monday); !slices.Equal(names(r.Files), []string{"1", "2+", "3+"}) {
		t.Errorf("%v", names(r.Files))
	}
}
