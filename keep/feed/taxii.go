package feed

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// TAXII 2.1 (OASIS Standard, 10 June 2021).
const (
	taxiiMedia     = "application/taxii+json;version=2.1"
	taxiiLast      = "X-TAXII-Date-Added-Last"
	maxRoots       = 16
	maxCollections = 256
	maxPages       = 10_000 // of one collection in one fetch
	maxPage        = 64 << 20
	maxDeltas      = 64 // pages that came since everything was fetched, before it is again
	maxObjects     = 1_000_000
)

// resource is what a TAXII server may answer to a GET that is not for
// objects: discovery, an API root, a list of collections or one of them.
type resource struct {
	APIRoots    []string     `json:"api_roots"`
	Default     string       `json:"default"`
	Versions    []string     `json:"versions"`
	Collections []collection `json:"collections"`
	collection
}

type collection struct {
	ID      string `json:"id"`
	CanRead *bool  `json:"can_read"`
}

// envelope is one page of objects.
type envelope struct {
	More    bool              `json:"more"`
	Next    string            `json:"next"`
	Objects []json.RawMessage `json:"objects"`
}

// parseEnvelope reads a page of objects.
func parseEnvelope(text []byte) (e envelope, err error) {
	if err := json.Unmarshal(text, &e); err != nil {
		return e, &fault{what: "what came is no TAXII 2.1 envelope: " + jsonWords(err), do: "check the address", err: err}
	}
	if len(e.Objects) > maxObjects || len(e.Next) > 4096 {
		return e, &fault{what: "a page of objects is larger than any server should send", do: "refused; tell who runs the source"}
	}
	for _, o := range e.Objects {
		if len(o) == 0 || o[0] != '{' {
			return e, &fault{what: "a page holds something that is no STIX object", do: "tell who runs the source"}
		}
	}
	return e, nil
}

func parseResource(text []byte) (r resource, err error) {
	if err := json.Unmarshal(text, &r); err != nil {
		return r, &fault{what: "what came is no TAXII 2.1 resource: " + jsonWords(err), do: "check the address", err: err}
	}
	if len(r.APIRoots) > maxRoots || len(r.Collections) > maxCollections {
		return r, &fault{what: fmt.Sprintf("the server offers more than %d roots or %d collections", maxRoots, maxCollections), do: "name the one you want"}
	}
	return r, nil
}

// A pull is one update of a TAXII source.
type pull struct {
	*attempt
	session *session
	cursor  map[string]string // as it will be kept
	files   []File
	first   int // pages of earlier fetches that stay
}

// askTAXII fetches what was added to the source's collections since last
// time. Each page becomes a file with a STIX bundle; pages of earlier times
// stay. Where they have become many, or a collection gives no cursor,
// everything is fetched anew.
func (a *attempt) askTAXII(ctx context.Context, q *session) (news, error) {
	base := *q.base
	base.Path, base.RawPath = strings.TrimSuffix(base.Path, "/")+"/", ""
	p := pull{attempt: a, session: q, cursor: map[string]string{}}
	objects, err := p.find(ctx, &base, 0)
	if err != nil {
		return news{}, err
	}
	if len(objects) == 0 {
		return news{}, &fault{what: "the server shows us no collection we may read", do: "check the user and the secret"}
	}
	whole := p.whole(objects)
	if !whole {
		p.cursor = maps.Clone(a.old.Cursor)
		p.first = len(a.old.Files)
		a.stage.left -= a.old.Bytes()
	}
	for _, u := range objects {
		if err := p.collect(ctx, u); err != nil {
			return news{}, err
		}
	}
	return p.outcome(whole)
}

// whole reports whether everything must be fetched.
func (p *pull) whole(objects []*url.URL) bool {
	if !p.same() || len(p.old.Files)-p.old.Whole > maxDeltas {
		return true
	}
	for _, u := range objects {
		if p.old.Cursor[u.String()] == "" {
			return true
		}
	}
	return false
}

func (p *pull) outcome(whole bool) (news, error) {
	n := news{kept: Kept{Cursor: p.cursor, Files: p.files, Whole: len(p.files)}, why: "unchanged"}
	if !whole {
		n.kept.Files = append(append([]File(nil), p.old.Files...), p.files...)
		n.kept.Fetched, n.kept.Whole = p.old.Fetched, p.old.Whole
	}
	if len(n.kept.Files) == 0 {
		return news{}, &fault{what: "its collections are empty", do: "ask who runs the server"}
	}
	n.changed = len(p.files) > 0
	if whole && sameFiles(p.old.Files, p.files) {
		n.changed, n.kept.Fetched, n.kept.Files = false, p.old.Fetched, p.old.Files
	}
	if n.changed {
		n.why = fmt.Sprintf("new: %s of objects", plural(int64(len(p.files)), "page"))
	}
	return n, nil
}

func sameFiles(a, b []File) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].SHA256 != b[i].SHA256 {
			return false
		}
	}
	return true
}

// find walks from any address of a TAXII server to the objects of the
// collections behind it: the server, an API root, its collections, one
// collection or that one's objects.
func (p *pull) find(ctx context.Context, u *url.URL, depth int) ([]*url.URL, error) {
	if strings.HasSuffix(u.Path, "/objects/") {
		return []*url.URL{u}, nil
	}
	if depth > 3 {
		return nil, &fault{what: "its resources lead in a circle", do: "name the collection"}
	}
	r, err := p.resource(ctx, u)
	if err != nil {
		return nil, err
	}
	switch {
	case len(r.APIRoots) > 0:
		return p.roots(ctx, u, r.APIRoots, depth)
	case len(r.Versions) > 0:
		return p.find(ctx, u.JoinPath("collections/"), depth+1)
	case r.ID != "":
		return readable(u, []collection{{CanRead: r.CanRead}})
	}
	return readable(u, r.Collections)
}

// roots walks down each API root of a server, in its order.
func (p *pull) roots(ctx context.Context, u *url.URL, roots []string, depth int) (all []*url.URL, err error) {
	for _, root := range roots {
		ref, err := url.Parse(root)
		if err != nil {
			return nil, &fault{what: "the server names an API root that is no address"}
		}
		next := u.ResolveReference(ref)
		next.Path, next.RawPath = strings.TrimSuffix(next.Path, "/")+"/", ""
		found, err := p.find(ctx, next, depth+1)
		if err != nil {
			return nil, err
		}
		if all = append(all, found...); len(all) > maxCollections {
			return nil, &fault{what: fmt.Sprintf("the server offers more than %d collections", maxCollections), do: "name the one you want"}
		}
	}
	return all, nil
}

// readable returns where the objects of the collections we may read are.
// An id is a UUID, or an alias; it becomes one part of a path.
func readable(u *url.URL, all []collection) (objects []*url.URL, err error) {
	for _, c := range all {
		if c.CanRead != nil && !*c.CanRead {
			continue
		}
		if len(c.ID) > 256 || strings.Trim(c.ID, ".") == "" && c.ID != "" {
			return nil, &fault{what: "the server names a collection " + quoted(c.ID), do: "refused; tell who runs it"}
		}
		at := u
		if c.ID != "" {
			at = u.JoinPath(url.PathEscape(c.ID))
		}
		objects = append(objects, at.JoinPath("objects/"))
	}
	return objects, nil
}

func (p *pull) resource(ctx context.Context, u *url.URL) (resource, error) {
	got, err := p.ask21(ctx, u)
	if err != nil {
		return resource{}, err
	}
	defer got.close()
	text, err := p.page(got)
	if err != nil {
		return resource{}, err
	}
	return parseResource(text)
}

func (p *pull) ask21(ctx context.Context, u *url.URL) (*answer, error) {
	got, err := p.session.get(ctx, u, http.Header{"Accept": {taxiiMedia}})
	if err != nil {
		return nil, err
	}
	if got.status == http.StatusNotAcceptable {
		got.close()
		return nil, &fault{what: "the server does not speak TAXII 2.1", do: "ask who runs it; older versions are not read"}
	}
	if got.status != http.StatusOK {
		defer got.close()
		return nil, got.fault()
	}
	return got, nil
}

func (p *pull) page(got *answer) ([]byte, error) {
	text, err := got.read(min(maxPage, p.src.maxBytes()))
	if err != nil {
		return nil, err
	}
	return text, plausible(text[:min(512, len(text))])
}

// collect fetches the pages of one collection. A server says where the next
// begins by next, or leaves it to the time of the last object.
func (p *pull) collect(ctx context.Context, objects *url.URL) error {
	key := objects.String()
	after, next := p.cursor[key], ""
	for range maxPages {
		got, err := p.ask21(ctx, pageAddress(objects, after, next))
		if err != nil {
			return err
		}
		text, err := p.page(got)
		last := got.header.Get(taxiiLast)
		got.close()
		if err != nil {
			return err
		}
		e, err := parseEnvelope(text)
		if err != nil {
			return err
		}
		if err := p.keep(e.Objects); err != nil {
			return err
		}
		if _, err := time.Parse(time.RFC3339Nano, last); err == nil {
			p.cursor[key] = last
		}
		switch {
		case !e.More:
			return nil
		case e.Next != "" && e.Next != next:
			next = e.Next
		case e.Next == "" && last != "" && last != after:
			after, next = last, ""
		default:
			return &fault{what: "the server says there is more but not where", do: "tell who runs it"}
		}
	}
	return &fault{what: fmt.Sprintf("more than %d pages of objects", maxPages), do: "name one collection"}
}

func pageAddress(objects *url.URL, after, next string) *url.URL {
	u := *objects
	v := u.Query()
	if after != "" {
		v.Set("added_after", after)
	}
	if next != "" {
		v.Set("next", next)
	}
	u.RawQuery = v.Encode()
	return &u
}

// keep writes a page as a STIX bundle, whose id is made from what is in it.
func (p *pull) keep(objects []json.RawMessage) error {
	if len(objects) == 0 {
		return nil
	}
	h := sha256.New()
	parts := make([]io.Reader, 0, 2*len(objects)+2)
	for i, o := range objects {
		h.Write(o)
		comma := ",\n"
		if i == 0 {
			comma = ""
		}
		parts = append(parts, strings.NewReader(comma), bytes.NewReader(o))
	}
	id := h.Sum(nil)[:16]
	id[6], id[8] = id[6]&0x0f|0x80, id[8]&0x3f|0x80 // RFC 9562, version 8
	head := fmt.Sprintf("{\"type\":\"bundle\",\"id\":\"bundle--%x-%x-%x-%x-%x\",\"objects\":[\n", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
	body := io.MultiReader(append(append([]io.Reader{strings.NewReader(head)}, parts...), strings.NewReader("\n]}\n"))...)
	f, err := p.stage.add(p.src.Name, fmt.Sprintf("page-%04d.json", p.first+len(p.files)+1), body)
	if err != nil {
		return err
	}
	p.files = append(p.files, f)
	return nil
}
