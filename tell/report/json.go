package report

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/testudo-shield/testudo"
)

// schema is the version of the objects JSON writes.
const schema = 1

type incidentLine struct {
	Type        string           `json:"type"`
	Schema      int              `json:"schema"`
	ID          string           `json:"id"`
	Kind        testudo.Kind     `json:"kind"`
	Severity    testudo.Severity `json:"severity"`
	Confidence  real             `json:"confidence"`
	Score       real             `json:"score"`
	Urgency     int              `json:"urgency"`
	Title       string           `json:"title"`
	First       testudo.Time     `json:"first_seen"`
	Last        testudo.Time     `json:"last_seen"`
	Victims     []victimJSON     `json:"victims"`
	Servers     []serverJSON     `json:"servers"`
	Techniques  []string         `json:"techniques"`
	Sightings   []sightingJSON   `json:"sightings"`
	Explanation []string         `json:"explanation"`
	Reasons     []reasonJSON     `json:"reasons"`
	Innocent    []string         `json:"innocent,omitempty"`
	Advice      []string         `json:"advice"`
	Change      string           `json:"change,omitempty"`
	Known       *real            `json:"habit_s,omitempty"`
}

type reasonJSON struct {
	Family testudo.Family `json:"family"`
	Weight real           `json:"weight"`
	Text   string         `json:"text"`
}

type victimJSON struct {
	Address string `json:"address,omitempty"`
	Name    string `json:"name,omitempty"`
}

type serverJSON struct {
	Address    string             `json:"address,omitempty"`
	Names      []string           `json:"names"`
	Ports      []string           `json:"ports"`
	Role       testudo.ServerRole `json:"role"`
	Confidence real               `json:"confidence"`
	Shared     bool               `json:"shared"`
}

type sightingJSON struct {
	Detector string        `json:"detector"`
	First    testudo.Time  `json:"first_seen"`
	Last     testudo.Time  `json:"last_seen"`
	Score    real          `json:"score"`
	Summary  string        `json:"summary"`
	Evidence object        `json:"evidence"`
	UIDs     []testudo.UID `json:"uids,omitempty"`
}

type summaryLine struct {
	Type         string         `json:"type"`
	Schema       int            `json:"schema"`
	Inputs       int            `json:"inputs"`
	Packets      int64          `json:"packets"`
	Bytes        int64          `json:"bytes"`
	Conns        int64          `json:"conns"`
	Records      int64          `json:"records"`
	First        *testudo.Time  `json:"first,omitempty"`
	Last         *testudo.Time  `json:"last,omitempty"`
	Hosts        int            `json:"hosts"`
	Incidents    int            `json:"incidents"`
	BySeverity   object         `json:"by_severity"`
	Malformed    int64          `json:"malformed"`
	Weirds       int64          `json:"weirds"`
	Dropped      int64          `json:"dropped"`
	Unread       int64          `json:"unread,omitempty"`
	HeadersOnly  int64          `json:"headers_only,omitempty"`
	Skipped      []skipJSON     `json:"skipped"`
	Intel        intelJSON      `json:"intel"`
	Local        []netip.Prefix `json:"local"`
	LocalGuessed bool           `json:"local_guessed"`
	NewHosts     int            `json:"new_hosts"`
	Shed         []shedJSON     `json:"shed"`
	Judged       []judgedJSON   `json:"judged"`
	Wall         *real          `json:"wall_s,omitempty"`
	Workers      *int           `json:"workers,omitempty"`
}

type skipJSON struct {
	Input  string `json:"input"`
	Reason string `json:"reason"`
}

type intelJSON struct {
	Lists      int           `json:"lists"`
	Indicators int           `json:"indicators"`
	Newest     *testudo.Time `json:"newest,omitempty"`
}

type shedJSON struct {
	Cause string `json:"cause"`
	Count int64  `json:"count"`
}

type judgedJSON struct {
	Detector string `json:"detector"`
	Full     bool   `json:"full"`
	Lacked   string `json:"lacked,omitempty"`
	Wait     real   `json:"wait_s,omitempty"`
}

// JSON writes the contract's JSON Lines: one object an incident, in the order
// given, then one summary, whose counts of incidents are counts of the lines
// written. s is not nil. With timing unset the two fields that differ from run
// to run, wall_s and workers, are left out. Strings are as they were in the
// traffic; what could act on a terminal is escaped as \uNNNN, and bytes that
// are not UTF-8 are replaced by U+FFFD.
func JSON(w io.Writer, incidents []testudo.Incident, s *testudo.Summary, timing bool) error {
	bw := bufio.NewWriter(w)
	for i := range incidents {
		if err := writeLine(bw, newIncidentLine(&incidents[i], s.Local)); err != nil {
			return fmt.Errorf("report: write incident %s: %w", Name(incidents[i].ID), err)
		}
	}
	line := newSummaryLine(incidents, s)
	if timing {
		wall, workers := real(math.Round(s.Wall.Seconds()*1e3)/1e3), s.Workers
		line.Wall, line.Workers = &wall, &workers
	}
	if err := writeLine(bw, line); err != nil {
		return fmt.Errorf("report: write summary: %w", err)
	}
	if err := bw.Flush(); err != nil {
		return fmt.Errorf("report: write json: %w", err)
	}
	return nil
}

func newIncidentLine(in *testudo.Incident, local []netip.Prefix) *incidentLine {
	l := &incidentLine{
		Type: "incident", Schema: schema, ID: in.ID, Kind: in.Kind, Severity: in.Severity,
		Confidence: real(probability(in.Confidence)), Score: real(math.Round(in.Score*100) / 100), Urgency: in.Urgency,
		Title: in.Title, First: in.First, Last: in.Last, Techniques: list(in.Techniques), Innocent: in.Innocent,
		Victims: make([]victimJSON, 0, len(in.Victims)), Servers: make([]serverJSON, 0, len(in.Servers)),
		Sightings: make([]sightingJSON, 0, len(in.Sightings)), Explanation: make([]string, 0, len(in.Explanation)),
		Reasons: make([]reasonJSON, 0, len(in.Explanation)), Advice: advice(in, local, Name),
	}
	for _, v := range in.Victims {
		l.Victims = append(l.Victims, victimJSON{Address: address(v.Address), Name: v.Name})
	}
	for _, s := range in.Servers {
		l.Servers = append(l.Servers, serverJSON{
			Address: address(s.Address), Names: list(s.Names), Ports: list(s.Ports),
			Role: s.Role, Confidence: real(probability(s.Confidence)), Shared: s.Shared,
		})
	}
	for i := range in.Sightings {
		s := &in.Sightings[i]
		l.Sightings = append(l.Sightings, sightingJSON{
			Detector: s.Detector, First: s.First, Last: s.Last,
			Score: real(probability(s.Score())), Summary: s.Summary, Evidence: facts(s.Evidence), UIDs: distinct(s.UIDs),
		})
	}
	for _, r := range in.Explanation {
		l.Explanation = append(l.Explanation, r.String())
		l.Reasons = append(l.Reasons, reasonJSON{r.Family, real(math.Round(r.Weight*100) / 100), r.Text})
	}
	return l
}

func newSummaryLine(incidents []testudo.Incident, s *testudo.Summary) *summaryLine {
	l := &summaryLine{
		Type: "summary", Schema: schema, Inputs: len(s.Inputs), Packets: s.Packets, Bytes: s.Bytes,
		Conns: s.Conns, Records: s.Records, Hosts: s.Hosts, Incidents: len(incidents), BySeverity: object{},
		Malformed: s.Malformed, Weirds: s.Weirds, Dropped: s.Dropped, Unread: s.Unread, HeadersOnly: s.HeadersOnly, Skipped: make([]skipJSON, 0, len(s.Skipped)),
		Intel: intelJSON{Lists: s.IntelLists, Indicators: s.Indicators}, Local: list(s.Local), LocalGuessed: s.LocalGuessed,
		NewHosts: s.NewHosts, Shed: make([]shedJSON, 0, len(s.Shed)), Judged: make([]judgedJSON, 0, len(s.Detectors)),
	}
	if s.First != 0 || s.Last != 0 {
		l.First, l.Last = &s.First, &s.Last
	}
	if s.IntelNewest != 0 {
		l.Intel.Newest = &s.IntelNewest
	}
	n := countBySeverity(incidents)
	for sev := testudo.Critical; ; sev-- {
		if n[sev] > 0 {
			l.BySeverity = append(l.BySeverity, testudo.Fact{Name: sev.String(), Value: n[sev]})
		}
		if sev == testudo.Info {
			break
		}
	}
	for _, k := range s.Skipped {
		l.Skipped = append(l.Skipped, skipJSON(k))
	}
	for _, k := range s.Shed {
		l.Shed = append(l.Shed, shedJSON(k))
	}
	for _, d := range s.Detectors {
		l.Judged = append(l.Judged, judgedJSON{d.Detector, d.Full, d.Lacked, real(math.Ceil(d.Wait.Seconds()))})
	}
	return l
}

// distinct returns the uids, each once, in the order in which they first
// stand.
func distinct(uids []testudo.UID) []testudo.UID {
	var once []testudo.UID
	for i, u := range uids {
		if !slices.Contains(uids[:i], u) {
			once = append(once, u)
		}
	}
	return once
}

// list returns l, or an empty list for none, so that JSON never says null.
func list[T any](l []T) []T {
	if l == nil {
		return []T{}
	}
	return l
}

// real is a number that JSON prints by number, and as null where there is none.
type real float64

// MarshalJSON writes the number.
func (f real) MarshalJSON() ([]byte, error) {
	if s, ok := number(float64(f)); ok {
		return []byte(s), nil
	}
	return []byte("null"), nil
}

// object is a JSON object with its keys in the order given.
type object []testudo.Fact

// facts makes every name occur once: the second "x" is "x_2".
func facts(fs []testudo.Fact) object {
	o := make(object, 0, len(fs))
	seen := make(map[string]bool, len(fs))
	for _, f := range fs {
		base := strings.ToValidUTF8(f.Name, "\ufffd")
		name := base
		for n := 2; seen[name]; n++ {
			name = base + "_" + strconv.Itoa(n)
		}
		seen[name] = true
		o = append(o, testudo.Fact{Name: name, Value: f.Value})
	}
	return o
}

// MarshalJSON writes the keys in order.
func (o object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, f := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		if err := encode(&b, f.Name); err != nil {
			return nil, err
		}
		b.WriteByte(':')
		if err := encode(&b, plain(f.Value)); err != nil {
			return nil, fmt.Errorf("evidence %q: %w", f.Name, err)
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// plain returns v as one of the few types that JSON shows in one way.
func plain(v any) any {
	switch v := v.(type) {
	case float64:
		return real(v)
	case float32:
		return real(v)
	case time.Duration:
		return real(v.Seconds())
	case netip.Addr:
		return address(v)
	case []string:
		return list(v)
	case nil, testudo.Aggregate, string, bool, int, int64, int32, uint64, uint32, uint16, uint8, testudo.Time, testudo.UID:
		return v
	}
	return fmt.Sprint(v)
}

// encode appends v to b without HTML escapes and without an end of line.
func encode(b *bytes.Buffer, v any) error {
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err
	}
	b.Truncate(b.Len() - 1)
	return nil
}

// writeLine writes v as one line. Hidden characters can only stand within
// strings, so they are escaped wherever they are.
func writeLine(w *bufio.Writer, v any) error {
	var b bytes.Buffer
	if err := encode(&b, v); err != nil {
		return err
	}
	line := b.Bytes()
	for i := 0; i < len(line); {
		if c := line[i]; c >= 0x20 && c < 0x7f {
			w.WriteByte(c) // a bufio.Writer keeps its error until Flush
			i++
			continue
		}
		r, n := utf8.DecodeRune(line[i:])
		switch {
		case !hidden(r):
			w.Write(line[i : i+n])
		case r > 0xffff:
			r -= 0x10000
			fmt.Fprintf(w, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		default:
			fmt.Fprintf(w, `\u%04x`, r)
		}
		i += n
	}
	return w.WriteByte('\n')
}
