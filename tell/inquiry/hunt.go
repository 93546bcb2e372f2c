package inquiry

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/testudo-shield/testudo"
)

const (
	schema     = 1
	mostHosts  = 10_000 // that a hunt tells apart
	hostsShown = 10
)

// Hunt collects the records that answer a question and words the answer. Set
// the first four fields, call Add for each record, then set Coverage.
type Hunt struct {
	Question string
	Limit    int          // records kept to be shown, 0 for all; counting goes on
	Stopped  bool         // it was cancelled: what is told is what was found until then
	Unread   bool         // files of the history could not be read: what they hold is missing
	Reached  testudo.Time // how far it had come when it was cancelled, 0 where that is not known
	Found    int64        // records that answer
	First    testudo.Time // of them
	Last     testudo.Time // of them
	Shown    []Row        // in the order of Add
	More     bool         // more hosts were touched than are told apart
	Coverage testudo.Coverage
	NameOf   func(netip.Addr) string // what a host is called, "" where that is not known; nil for nobody knows
	hosts    map[netip.Addr]*Touched
}

// Touched is one of our hosts that records are about.
type Touched struct {
	Address     netip.Addr
	Name        string // where it is known
	First, Last testudo.Time
	Records     int64
}

// Row is a record to be shown: what it holds, by Zeek's names.
type Row struct {
	Log   string
	Time  testudo.Time
	Facts []testudo.Fact
}

// Add takes a record that answers. Nothing of it is kept but text.
func (h *Hunt) Add(r testudo.Record) {
	m := r.Base()
	if h.Found == 0 || m.Time < h.First {
		h.First = m.Time
	}
	if h.Found == 0 || m.Time > h.Last {
		h.Last = m.Time
	}
	h.Found++
	if h.Limit <= 0 || len(h.Shown) < h.Limit {
		h.Shown = append(h.Shown, rowOf(r))
	}
	for _, end := range [2]struct {
		addr netip.Addr
		ours bool
	}{
		{m.ID.Orig.Addr(), m.About.OrigLocal || !m.About.RespLocal}, {m.ID.Resp.Addr(), m.About.RespLocal},
	} {
		if end.ours && end.addr.IsValid() {
			h.touch(end.addr.Unmap().WithZone(""), m.Time)
		}
	}
}

func (h *Hunt) touch(a netip.Addr, at testudo.Time) {
	if h.hosts == nil {
		h.hosts = map[netip.Addr]*Touched{}
	}
	t := h.hosts[a]
	switch {
	case t == nil && len(h.hosts) == mostHosts:
		h.More = true
		return
	case t == nil:
		t = &Touched{Address: a, First: at, Last: at}
		h.hosts[a] = t
	}
	t.First, t.Last = min(t.First, at), max(t.Last, at)
	t.Records++
}

// Hosts returns our hosts that the records are about, those with the most
// records first. Where a record does not say which end is ours, it is the one
// that began.
func (h *Hunt) Hosts() []Touched {
	all := make([]Touched, 0, len(h.hosts))
	for _, t := range h.hosts {
		all = append(all, *t)
	}
	slices.SortFunc(all, func(a, b Touched) int {
		return cmp.Or(cmp.Compare(b.Records, a.Records), a.Address.Compare(b.Address))
	})
	for i := range all {
		if h.NameOf != nil && all[i].Name == "" {
			all[i].Name = h.NameOf(all[i].Address)
		}
	}
	return all
}

// rowOf reads a record by the names of its fields; what is empty is left out.
func rowOf(r testudo.Record) Row {
	row := Row{Log: r.Log(), Time: r.Base().Time}
	v := reflect.ValueOf(r).Elem()
	cols := fields.of[v.Type()]
	for i := range cols {
		c := &cols[i]
		var values []any
		c.each(r, v, func(x value) bool {
			if a := c.told(x); a != nil {
				values = append(values, a)
			}
			return false
		})
		switch {
		case len(values) == 0:
		case c.index >= 0 && v.Field(c.index).Type() == reflect.TypeFor[[]string](): // in its own case
			row.Facts = append(row.Facts, testudo.Fact{Name: c.name, Value: slices.Clone(v.Field(c.index).Interface().([]string))})
		case c.index >= 0 && v.Field(c.index).Kind() == reflect.Slice:
			row.Facts = append(row.Facts, testudo.Fact{Name: c.name, Value: values})
		case c.index >= 0 && c.kind == textKind && v.Field(c.index).Kind() == reflect.String: // in its own case
			row.Facts = append(row.Facts, testudo.Fact{Name: c.name, Value: v.Field(c.index).String()})
		case c.name == "uid":
			row.Facts = append(row.Facts, testudo.Fact{Name: c.name, Value: r.Base().UID.String()})
		default:
			row.Facts = append(row.Facts, testudo.Fact{Name: c.name, Value: values[0]})
		}
	}
	return row
}

// told is a value as it is shown, nil where it says nothing.
func (c *column) told(x value) any {
	switch c.kind {
	case addressKind, textKind:
		return x.text
	case boolKind:
		if x.number == 0 {
			return nil
		}
		return true
	case timeKind:
		if x.number == 0 {
			return nil
		}
		return testudo.Time(x.number * 1e9).String()
	}
	if x.number == 0 || math.IsNaN(x.number) || math.IsInf(x.number, 0) {
		return nil
	}
	return x.number
}

// Text writes the answer for people: the records shown, then what they add up
// to, then how much was recorded.
func (h *Hunt) Text(w io.Writer, o TextOptions) error {
	p := newPage(o)
	for _, row := range h.Shown {
		p.wrap("", row.Time.Std().In(p.zone).Format("2006-01-02 15:04:05 ")+row.Log+" "+rowWords(row), 2)
	}
	if len(h.Shown) > 0 {
		p.buf.WriteByte('\n')
	}
	if h.Stopped {
		reached := ""
		if h.Reached != 0 {
			reached = " at records of " + p.when(h.Reached)
		}
		p.head("Stopped" + reached + ": what follows was found until then; the rest was not looked at.")
	}
	switch {
	case h.Found == 0 && h.Stopped:
		p.head("Nothing until then: " + Words(h.Coverage, p.zone) + ".")
		return p.to(w)
	case h.Found == 0:
		p.head(Nothing(h.Question, h.Coverage, p.zone))
		return p.to(w)
	}
	found := many(h.Found, "record answers ", "records answer ") + h.Question
	if n := int64(len(h.Shown)); n < h.Found {
		found += fmt.Sprintf(" (%s shown: --limit)", grouped(n))
	}
	p.head(found)
	p.row("first", p.when(h.First))
	p.row("last", p.when(h.Last))
	p.row("hosts", hostWords(h.Hosts(), h.More))
	p.row("coverage", Words(h.Coverage, p.zone))
	return p.to(w)
}

// hostWords lists hosts, those with the most records first.
func hostWords(hosts []Touched, more bool) string {
	if len(hosts) == 0 {
		return "none of ours"
	}
	words := make([]string, 0, hostsShown+1)
	for i, t := range hosts {
		if i == hostsShown {
			words = append(words, "and "+grouped(int64(len(hosts)-i))+" more")
			break
		}
		word := t.Address.String()
		if t.Name != "" {
			word = t.Name + " " + word
		}
		words = append(words, fmt.Sprintf("%s (%s)", word, many(t.Records, "record", "records")))
	}
	s := strings.Join(words, ", ")
	if more {
		s += ", and others: too many to tell apart"
	}
	return s
}

// rowWords tells a record in a line.
func rowWords(row Row) string {
	words := make([]string, 0, len(row.Facts))
	ends := map[string]string{}
	for _, f := range row.Facts {
		switch f.Name {
		case "id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p", "proto":
			ends[f.Name] = factWord(f.Value)
		default:
			words = append(words, f.Name+"="+factWord(f.Value))
		}
	}
	if len(ends) > 0 {
		words = append([]string{joinPort(ends["id.orig_h"], ends["id.orig_p"]) + " -> " + joinPort(ends["id.resp_h"], ends["id.resp_p"]) + " " + ends["proto"]}, words...)
	}
	return strings.Join(words, " ")
}

func joinPort(host, port string) string {
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return host + ":" + cmp.Or(port, "0")
}

// factWord tells a value; one with blanks stands in quotes.
func factWord(v any) string {
	switch v := v.(type) {
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case []string:
		return strings.Join(v, ",")
	case []any:
		words := make([]string, len(v))
		for i := range v {
			words[i] = factWord(v[i])
		}
		return strings.Join(words, ",")
	}
	s := fmt.Sprint(v)
	if strings.ContainsAny(s, " \"") {
		return strconv.Quote(s)
	}
	return s
}

type hostJSON struct {
	Address string       `json:"address"`
	Name    string       `json:"name,omitempty"`
	First   testudo.Time `json:"first_seen"`
	Last    testudo.Time `json:"last_seen"`
	Records int64        `json:"records"`
}

func newHostsJSON(hosts []Touched) []hostJSON {
	l := []hostJSON{}
	for _, t := range hosts {
		l = append(l, hostJSON{t.Address.String(), t.Name, t.First, t.Last, t.Records})
	}
	return l
}

// JSON writes a line a record shown ("record") and one that sums up ("hunt").
func (h *Hunt) JSON(w io.Writer) error {
	for _, row := range h.Shown {
		if err := writeLine(w, row); err != nil {
			return err
		}
	}
	return writeLine(w, struct {
		Type      string        `json:"type"`
		Schema    int           `json:"schema"`
		Question  string        `json:"question"`
		Found     int64         `json:"found"`
		Shown     int           `json:"shown"`
		First     *testudo.Time `json:"first_seen,omitempty"`
		Last      *testudo.Time `json:"last_seen,omitempty"`
		Hosts     []hostJSON    `json:"hosts"`
		MoreHosts bool          `json:"more_hosts,omitempty"`
		Complete  bool          `json:"complete"`
		Reached   *testudo.Time `json:"reached,omitempty"`
		Coverage  coverageJSON  `json:"coverage"`
	}{
		"hunt", schema, h.Question, h.Found, len(h.Shown), optional(h.First), optional(h.Last), newHostsJSON(h.Hosts()),
		h.More, !h.Stopped && !h.Unread, optional(h.Reached), newCoverageJSON(h.Coverage),
	})
}

// MarshalJSON writes the record as an object with Zeek's names.
func (r Row) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, `{"type":"record","schema":%d,"log":%q,"ts":%q`, schema, r.Log, r.Time)
	for _, f := range r.Facts {
		v, err := json.Marshal(f.Value)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, ",%q:%s", f.Name, v)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}
