package feed

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const (
	maxManifest = 64 << 20 // bytes
	maxEvents   = 200_000
	maxMissing  = 20 // events that may fail before the rest is left for the next time
)

// An event is one line of a MISP feed's manifest.json.
type event struct {
	uuid  string
	stamp int64 // seconds
}

var uuidForm = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// parseManifest reads a manifest.json into events by UUID. A UUID becomes
// part of an address and of a path, so it must be one.
func parseManifest(text []byte) ([]event, error) {
	var lines map[string]struct {
		Timestamp json.RawMessage `json:"timestamp"`
	}
	if err := json.Unmarshal(text, &lines); err != nil {
		return nil, &fault{what: "manifest.json is not a MISP manifest: " + jsonWords(err), do: "check the address: it is the folder that holds manifest.json", err: err}
	}
	if len(lines) == 0 {
		return nil, &fault{what: "manifest.json names no event", do: "look at it in a browser"}
	}
	if len(lines) > maxEvents {
		return nil, &fault{what: fmt.Sprintf("manifest.json names more than %d events", maxEvents), do: "refused; tell who runs the source"}
	}
	events := make([]event, 0, len(lines))
	for id, l := range lines {
		e := event{uuid: strings.ToLower(id)}
		if !uuidForm.MatchString(e.uuid) {
			return nil, &fault{what: "manifest.json names an event " + quoted(id) + ", which is no UUID", do: "refused; tell who runs the source"}
		}
		stamp := strings.Trim(string(l.Timestamp), `"`)
		e.stamp, _ = strconv.ParseInt(stamp, 10, 64) // 0 is fetched each time
		events = append(events, e)
	}
	slices.SortFunc(events, func(a, b event) int { return cmp.Compare(a.uuid, b.uuid) })
	return slices.CompactFunc(events, func(a, b event) bool { return a.uuid == b.uuid }), nil
}

// jsonWords shortens what the JSON decoder says to what a person can use.
func jsonWords(err error) string {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Sprintf("%s at byte %d", syntax.Error(), syntax.Offset)
	}
	return "its JSON has another shape"
}

// askMISP brings a MISP feed folder up to date: the manifest, and the events
// whose timestamp there is another than ours.
func (a *attempt) askMISP(ctx context.Context, q *session) (news, error) {
	folder := *q.base
	folder.Path, folder.RawPath = strings.TrimSuffix(strings.TrimSuffix(folder.Path, "manifest.json"), "/")+"/", ""
	header := http.Header{}
	if a.same() && a.old.Failure == "" {
		a.conditions(header)
	}
	got, err := q.get(ctx, folder.JoinPath("manifest.json"), header)
	if err != nil {
		return news{}, err
	}
	defer got.close()
	if got.status == http.StatusNotModified && a.conditional(header) {
		return news{kept: a.old, why: "unchanged"}, nil
	}
	if got.status != http.StatusOK {
		return news{}, got.fault()
	}
	text, err := got.read(min(maxManifest, q.source.maxBytes()))
	if err != nil {
		return news{}, err
	}
	got.close()
	if err := plausible(text[:min(512, len(text))]); err != nil {
		return news{}, err
	}
	events, err := parseManifest(text)
	if err != nil {
		return news{}, err
	}
	m := mirror{attempt: a, session: q, folder: &folder, old: a.oldEvents()}
	n, err := m.bring(ctx, events)
	n.kept.ETag, n.kept.Modified = short(got.header.Get("ETag")), short(got.header.Get("Last-Modified"))
	return n, err
}

// oldEvents returns the events of the copy by their file's name.
func (a *attempt) oldEvents() map[string]File {
	old := map[string]File{}
	if a.same() {
		for _, f := range a.old.Files {
			old[f.Name] = f
		}
	}
	return old
}

// A mirror is one update of a MISP feed.
type mirror struct {
	*attempt
	session *session
	folder  *url.URL
	old     map[string]File
}

// bring fetches what is new of events and keeps the rest. An event that
// cannot be had keeps its old copy and is asked for again next time; what
// came is kept whatever becomes of the others.
func (m *mirror) bring(ctx context.Context, events []event) (news, error) {
	var (
		n       news
		fresh   int64
		missing int
		first   error
	)
	for _, e := range events {
		name := e.uuid + ".json"
		old, have := m.old[name]
		switch {
		case have && old.Stamp == e.stamp && e.stamp != 0 && old.Bytes <= m.stage.left:
			m.stage.left -= old.Bytes
			n.kept.Files = append(n.kept.Files, old)
			continue
		case missing > maxMissing || ctx.Err() != nil:
			missing++
		default:
			f, err := m.event(ctx, e, name)
			if err == nil {
				n.kept.Files = append(n.kept.Files, f)
				if !have || old.SHA256 != f.SHA256 {
					fresh++
				}
				continue
			}
			missing++
			first = cmp.Or(first, err)
		}
		if have {
			n.kept.Files = append(n.kept.Files, old)
		}
	}
	return m.outcome(n, fresh, missing, first)
}

func (m *mirror) outcome(n news, fresh int64, missing int, first error) (news, error) {
	gone := false // an event that the manifest no longer names
	names := make(map[string]bool, len(n.kept.Files))
	for _, f := range n.kept.Files {
		names[f.Name] = true
	}
	for name := range m.old {
		gone = gone || !names[name]
	}
	n.changed = len(n.kept.Files) > 0 && (fresh > 0 || gone)
	n.kept.Fetched = m.attempt.old.Fetched
	n.why = "unchanged"
	if n.changed {
		n.why = fmt.Sprintf("changed: %s, %d of them new, %s", plural(int64(len(n.kept.Files)), "event"), fresh, size(n.kept.Bytes()))
	}
	if missing == 0 {
		return n, nil
	}
	f := &fault{what: fmt.Sprintf("%s could not be had", plural(int64(missing), "event")), do: "they are asked for again next time", err: first}
	if first != nil {
		f.what += ", the first because " + first.Error()
	}
	return n, f
}

// event fetches one event and looks whether it is the one that was asked
// for.
func (m *mirror) event(ctx context.Context, e event, name string) (File, error) {
	text, err := m.session.small(ctx, m.folder.JoinPath(name), min(maxManifest, m.stage.left))
	if err != nil {
		return File{}, err
	}
	if err := plausible(text[:min(512, len(text))]); err != nil {
		return File{}, err
	}
	var says struct {
		Event struct {
			UUID string `json:"uuid"`
		} `json:"Event"`
	}
	if err := json.Unmarshal(text, &says); err != nil || !strings.EqualFold(says.Event.UUID, e.uuid) {
		return File{}, &fault{what: name + " does not hold that event", do: "tell who runs the source"}
	}
	f, err := m.stage.add(m.src.Name, name, bytes.NewReader(text))
	f.Stamp = e.stamp
	return f, err
}
