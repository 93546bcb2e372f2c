package feed

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

const collectionID = "91a7b528-80eb-42ed-a74d-c6fbd5a26116"

// server is a small TAXII 2.1 server: objects are numbered from 1 and were
// added in the second of their number.
type server struct {
	objects int
	limit   int
	byTime  bool // gives no next
	loop    bool // says there is more where it began
	asked   []string
}

func (s *server) serve(w http.ResponseWriter, r *http.Request) {
	s.asked = append(s.asked, r.URL.RequestURI())
	if r.Header.Get("Accept") != taxiiMedia {
		w.WriteHeader(http.StatusNotAcceptable)
		return
	}
	w.Header().Set("Content-Type", taxiiMedia)
	switch r.URL.Path {
	case "/taxii2/":
		_, _ = io.WriteString(w, `{"title":"t","api_roots":["/api1/","https://`+r.Host+`/api2"]}`)
	case "/api1/", "/api2/":
		_, _ = io.WriteString(w, `{"title":"r","versions":["`+taxiiMedia+`"],"max_content_length":1}`)
	case "/api1/collections/":
		_, _ = io.WriteString(w, `{"collections":[{"id":"closed","can_read":false},{"id":"`+collectionID+`","can_read":true}]}`)
	case "/api2/collections/":
		_, _ = io.WriteString(w, `{}`)
	case "/api1/collections/" + collectionID + "/":
		_, _ = io.WriteString(w, `{"id":"`+collectionID+`","title":"c","can_read":true,"can_write":false}`)
	case "/api1/collections/" + collectionID + "/objects/":
		s.page(w, r)
	default:
		http.NotFound(w, r)
	}
}

func (s *server) page(w http.ResponseWriter, r *http.Request) {
	first := 1
	if after := r.URL.Query().Get("added_after"); after != "" {
		_, _ = fmt.Sscanf(after, "2026-01-01T00:00:%02dZ", &first)
		first++
	}
	if next := r.URL.Query().Get("next"); next != "" {
		_, _ = fmt.Sscanf(next, "n%d", &first)
	}
	last := min(first+s.limit-1, s.objects)
	e := map[string]any{"more": last < s.objects || s.loop}
	var objects []any
	for i := first; i <= last; i++ {
		objects = append(objects, map[string]any{"type": "indicator", "id": i})
	}
	if len(objects) > 0 {
		e["objects"] = objects
		w.Header().Set(taxiiLast, fmt.Sprintf("2026-01-01T00:00:%02dZ", last))
	}
	if last < s.objects && !s.byTime {
		e["next"] = fmt.Sprint("n", last+1)
	}
	if s.loop {
		e["next"] = "n1"
	}
	_ = json.NewEncoder(w).Encode(e)
}

// ids returns the objects of the files in order; each must be a bundle.
func ids(t *testing.T, files []File) (all []int) {
	t.Helper()
	for _, text := range contents(t, files) {
		var b struct {
			Type, ID string
			Objects  []struct{ ID int }
		}
		_, body, _ := strings.Cut(text, "=")
		if err := json.Unmarshal([]byte(body), &b); err != nil || b.Type != "bundle" || !strings.HasPrefix(b.ID, "bundle--") || !uuidForm.MatchString(b.ID[8:]) {
			t.Errorf("%v: %s", err, text)
		}
		for _, o := range b.Objects {
			all = append(all, o.ID)
		}
	}
	return all
}

func startTAXII(t *testing.T, s *server) (at, ca string) {
	t.Helper()
	h := httptest.NewTLSServer(http.HandlerFunc(s.serve))
	t.Cleanup(h.Close)
	return strings.Replace(h.URL, "https:", "taxii:", 1),
		write(t, "ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: h.Certificate().Raw})))
}

func TestTAXII(t *testing.T) {
	tests := []struct {
		path   string
		byTime bool
	}{
		{"/taxii2/", false},
		{"/taxii2", true},
		{"/api1", false},
		{"/api1/collections/", false},
		{"/api1/collections/" + collectionID, true},
		{"/api1/collections/" + collectionID + "/objects/", false},
	}
	for _, tt := range tests {
		server := &server{objects: 5, limit: 2, byTime: tt.byTime}
		at, ca := startTAXII(t, server)
		s := newStore(t)
		src := Source{Name: "test", URL: at + tt.path, CAFile: ca}
		r := mustFetch(t, s, src, monday)
		if !slices.Equal(ids(t, r.Files), []int{1, 2, 3, 4, 5}) || !r.Changed || r.Why != "new: 3 pages of objects" {
			t.Errorf("%s: %+v", tt.path, r)
		}
		if r = mustFetch(t, s, src, thursday); r.Changed || r.Fetched != monday || len(r.Files) != 3 {
			t.Errorf("%s: nothing new: %+v", tt.path, r)
		}
		server.objects, server.asked = 6, nil
		r = mustFetch(t, s, src, thursday)
		if !slices.Equal(ids(t, r.Files), []int{1, 2, 3, 4, 5, 6}) || !r.Changed || r.Files[2].New || !r.Files[3].New {
			t.Errorf("%s: one more: %+v", tt.path, r)
		}
		if last := server.asked[len(server.asked)-1]; !strings.HasSuffix(last, "/objects/?added_after=2026-01-01T00%3A00%3A05Z") {
			t.Errorf("%s: asked for %s", tt.path, last)
		}
	}
}

// TestTAXIIAnew holds that pages do not pile up for ever.
func TestTAXIIAnew(t *testing.T) {
	server := &server{objects: 1, limit: 1000}
	at, ca := startTAXII(t, server)
	s := newStore(t)
	src := Source{Name: "test", URL: at + "/api1/", CAFile: ca}
	for server.objects < 50 {
		mustFetch(t, s, src, monday)
		server.objects++
	}
	k, err := s.Kept("test")
	if err != nil || len(k.Files) != 49 || k.Whole != 1 {
		t.Fatalf("%d files, %d whole, %v", len(k.Files), k.Whole, err)
	}
	k.Whole = -20 // as if it had gone on
	g, err := s.stage("test", 1)
	if err != nil || g.commit(&k) != nil {
		t.Fatal(err)
	}
	g.release()
	if r := mustFetch(t, s, src, monday); len(r.Files) != 1 || len(ids(t, r.Files)) != 50 {
		t.Errorf("%+v", r)
	}
}

func TestTAXIIWrong(t *testing.T) {
	tests := []struct{ path, answer, want string }{
		{"/", `{"api_roots":["/"]}`, "its resources lead in a circle; name the collection"},
		{"/", `{"api_roots":["http://lists.example/"]}`, "it sends us from https: to http:"},
		{"/", `{"api_roots":["https://127.0.0.1:1/x/"]}`, "the server refuses the connection"},
		{"/", `{"collections":[{"id":"a","can_read":false}]}`, "the server shows us no collection we may read"},
		{"/", `{"collections":[{"id":".."}]}`, `the server names a collection ".."; refused`},
		{"/", `[`, "what came is no TAXII 2.1 resource: unexpected end of JSON input at byte 1"},
		{"/", `<html>`, "what came is a web page"},
		{"/objects/", `{"objects":{}}`, "what came is no TAXII 2.1 envelope: its JSON has another shape"},
		{"/objects/", `{"objects":["x"]}`, "a page holds something that is no STIX object"},
		{"/objects/", `{"more":true}`, "the server says there is more but not where"},
		{"/objects/", `{"more":true,"next":"a"}`, "the server says there is more but not where"},
		{"/objects/", `{}`, "its collections are empty"},
		{"/objects/", `{"objects":[` + strings.Repeat(`{"a":"0123456789abcdef"},`, 10_000) + `{}]}`, "more than the 100.0 kB allowed"},
	}
	for _, tt := range tests {
		h := httptest.NewTLSServer(says([]byte(tt.answer)))
		ca := write(t, "ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: h.Certificate().Raw})))
		_, err := newStore(t).Fetch(context.Background(), Source{Name: "test", Kind: KindTAXII, URL: h.URL + tt.path, CAFile: ca, MaxBytes: 1e5}, monday)
		h.Close()
		if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "in use: nothing") {
			t.Errorf("%s: got  %v\nwant %s", tt.answer[:min(60, len(tt.answer))], err, tt.want)
		}
	}
	old := httptest.NewTLSServer(status(http.StatusNotAcceptable))
	defer old.Close()
	ca := write(t, "ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: old.Certificate().Raw})))
	_, err := newStore(t).Fetch(context.Background(), Source{Name: "test", Kind: KindTAXII, URL: old.URL, CAFile: ca}, monday)
	if err == nil || !strings.Contains(err.Error(), "the server does not speak TAXII 2.1; ask who runs it") {
		t.Error(err)
	}
}

// TestTAXIILoop holds that a server that repeats itself is left.
func TestTAXIILoop(t *testing.T) {
	at, ca := startTAXII(t, &server{objects: 4, limit: 2, loop: true})
	_, err := newStore(t).Fetch(context.Background(), Source{Name: "test", URL: at + "/api1/", CAFile: ca}, monday)
	if err == nil || !strings.Contains(err.Error(), "there is more but not where") {
		t.Error(err)
	}
}
