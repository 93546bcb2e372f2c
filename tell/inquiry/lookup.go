package inquiry

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/testudo-shield/testudo"
)

// Verdict is what a look-up comes to.
type Verdict string

// The verdicts. A listing counts as bad only where it is not marked: one that
// is old, shared or well known says little alone.
const (
	KnownBad  Verdict = "known bad"
	KnownGood Verdict = "known good"
	SharedBy  Verdict = "shared"
	Unknown   Verdict = "unknown"
)

// Seen is what recorded history holds of a value.
type Seen struct {
	First, Last testudo.Time // 0 where it was not seen
	Records     int64
	Hosts       []Touched
	Coverage    testudo.Coverage
}

// Case is an incident with its life.
type Case struct {
	testudo.Incident
	State string       // new, confirmed, contained, closed; empty where none is kept
	Why   string       // of the state
	By    string       // who set it
	Since testudo.Time // when it was set
}

// Card is what is known of one value.
type Card struct {
	Value     string // as asked, in one form
	Sort      string // "address", "name", "fingerprint", "hash"
	Now       testudo.Time
	Listed    []testudo.Indicator // those that name it or hold it
	Known     []string            // warning lists of what is benign or shared that it stands on
	Allowed   string              // why it is on the allow list, empty where it is not
	Seen      Seen
	Incidents []Case // that it takes part in
}

// Verdict tells what the card comes to.
func (c *Card) Verdict() Verdict {
	const many = testudo.MarkShared | testudo.MarkSuffix | testudo.MarkWide | testudo.MarkPrivate
	shared, known := false, len(c.Known) > 0 || c.Allowed != ""
	for _, i := range c.Listed {
		switch m := marks(&i, c.Now); {
		case m == 0:
			return KnownBad
		case m&many != 0:
			shared = true
		case m&testudo.MarkKnown != 0:
			known = true
		}
	}
	switch {
	case shared:
		return SharedBy
	case known:
		return KnownGood
	}
	return Unknown
}

// marks are an indicator's at a time.
func marks(i *testudo.Indicator, now testudo.Time) testudo.Marks {
	if i.Expires != 0 && i.Expires <= now {
		return i.Marks | testudo.MarkExpired
	}
	return i.Marks
}

// Text writes the card for people.
func (c *Card) Text(w io.Writer, o TextOptions) error {
	p := newPage(o)
	p.head(strings.TrimSpace(c.Value + "  " + c.Sort))
	lists := "on no list of indicators"
	if all, sure := sources(c.Listed, c.Now); all > 0 {
		lists = "on " + many(int64(all), "list", "lists")
		if sure < all {
			lists += fmt.Sprintf(", %d of them not to act on alone", all-sure)
		}
	}
	p.head(p.dot(strings.ToUpper(string(c.Verdict())), lists))
	p.rows("listed", listings(c.Listed, c.Now))
	if len(c.Known) > 0 {
		p.row("known as", strings.Join(c.Known, ", "))
	}
	if c.Allowed != "" {
		p.row("allowed", c.Allowed)
	}
	p.seen(c.Value, &c.Seen)
	p.rows("incident", cases(c.Incidents))
	p.row("do", c.advice())
	return p.to(w)
}

// advice is what to do next.
func (c *Card) advice() string {
	switch v := c.Verdict(); {
	case len(c.Incidents) > 0:
		return "testudo explain " + c.Incidents[0].ID
	case v == KnownBad && c.Seen.Records > 0:
		return "look at who went there: testudo hunt " + c.Value
	case v == KnownBad:
		return "nothing here went there; it is matched from now on"
	case v == SharedBy:
		return "do not block it: unrelated parties use it"
	case v == KnownGood:
		return "nothing: it is known and expected"
	}
	return "no list speaks for or against it: judge it by what it did, testudo hunt " + c.Value
}

// sources counts the lists, and those of them that say it without a mark.
func sources(l []testudo.Indicator, now testudo.Time) (all, sure int) {
	seen := map[string]bool{}
	for _, i := range l {
		seen[i.Source] = seen[i.Source] || marks(&i, now) == 0
	}
	for _, unmarked := range seen {
		if unmarked {
			sure++
		}
	}
	return len(seen), sure
}

// listings tells who lists a value, the freshest and surest first.
func listings(l []testudo.Indicator, now testudo.Time) (lines []string) {
	l = slices.Clone(l)
	slices.SortStableFunc(l, func(a, b testudo.Indicator) int {
		return cmp.Or(cmp.Compare(marks(&a, now), marks(&b, now)), cmp.Compare(b.Last, a.Last), cmp.Compare(b.Confidence, a.Confidence), cmp.Compare(a.Source, b.Source))
	})
	const shown = 8
	for n, i := range l {
		if n == shown {
			lines = append(lines, fmt.Sprintf("and %s more", grouped(int64(len(l)-n))))
			break
		}
		lines = append(lines, listing(&i, now))
	}
	return lines
}

// listing tells what one list says of a value.
func listing(i *testudo.Indicator, now testudo.Time) string {
	parts := []string{cmp.Or(i.Source, "a list without a name"), string(i.Type) + " " + i.Value, i.Note}
	if len(i.Threats) > 0 {
		parts = append(parts, "names "+strings.Join(i.Threats, ", "))
	}
	if i.Confidence >= 0 {
		parts = append(parts, "confidence "+strconv.Itoa(i.Confidence))
	}
	switch {
	case i.Last != 0:
		parts = append(parts, "last reported "+age(i.Last, now))
	case i.First != 0:
		parts = append(parts, "reported "+age(i.First, now))
	default:
		parts = append(parts, "without a date")
	}
	if i.First != 0 && i.Last != 0 {
		parts = append(parts, "since "+i.First.Std().Format("2 Jan 2006"))
	}
	if i.TLP != testudo.TLPUnset {
		parts = append(parts, "TLP:"+strings.ToUpper(i.TLP.String()))
	}
	if words := marks(i, now).Words(); len(words) > 0 {
		parts = append(parts, "not to act on alone: "+strings.Join(words, ", "))
	}
	parts = slices.DeleteFunc(parts, func(s string) bool { return s == "" })
	return strings.Join(parts, " · ")
}

// seen tells what history holds, and never that it holds nothing without how
// much was recorded.
func (p *page) seen(value string, s *Seen) {
	if s.Records == 0 {
		p.row("seen here", Nothing(value, s.Coverage, p.zone))
		return
	}
	p.row("seen here", p.dot(many(s.Records, "record", "records"), "first "+p.when(s.First), "last "+p.when(s.Last)))
	p.row("by", hostWords(s.Hosts, false))
	p.row("coverage", Words(s.Coverage, p.zone))
}

// cases tells incidents, one a line.
func cases(l []Case) (lines []string) {
	const shown = 5
	for n := range l {
		if n == shown {
			lines = append(lines, fmt.Sprintf("and %s more", grouped(int64(len(l)-n))))
			break
		}
		c := &l[n]
		lines = append(lines, strings.Join(slices.DeleteFunc([]string{c.ID + " " + c.Severity.String(), c.Title, c.State}, func(s string) bool { return s == "" }), " · "))
	}
	return lines
}

type listedJSON struct {
	Source     string        `json:"source"`
	Type       string        `json:"indicator_type"`
	Value      string        `json:"value"`
	Licence    string        `json:"licence,omitempty"`
	TLP        string        `json:"tlp,omitempty"`
	Confidence *int          `json:"confidence,omitempty"`
	First      *testudo.Time `json:"first_seen,omitempty"`
	Last       *testudo.Time `json:"last_seen,omitempty"`
	Expires    *testudo.Time `json:"expires,omitempty"`
	Age        *float64      `json:"age_s,omitempty"`
	Note       string        `json:"note,omitempty"`
	Threats    []string      `json:"threats,omitempty"`
	Marks      []string      `json:"marks"`
}

func newListedJSON(l []testudo.Indicator, now testudo.Time) []listedJSON {
	out := []listedJSON{}
	for _, i := range l {
		j := listedJSON{
			Source: i.Source, Type: string(i.Type), Value: i.Value, Licence: i.Licence, TLP: i.TLP.String(), First: optional(i.First), Last: optional(i.Last),
			Expires: optional(i.Expires), Note: i.Note, Threats: i.Threats, Marks: append([]string{}, marks(&i, now).Words()...),
		}
		if i.Confidence >= 0 {
			j.Confidence = &i.Confidence
		}
		if t := cmp.Or(i.Last, i.First); t != 0 {
			s := now.Sub(t).Seconds()
			j.Age = &s
		}
		out = append(out, j)
	}
	return out
}

type seenJSON struct {
	Records  int64         `json:"records"`
	First    *testudo.Time `json:"first_seen,omitempty"`
	Last     *testudo.Time `json:"last_seen,omitempty"`
	Hosts    []hostJSON    `json:"hosts"`
	Coverage coverageJSON  `json:"coverage"`
}

func newSeenJSON(s *Seen) seenJSON {
	return seenJSON{s.Records, optional(s.First), optional(s.Last), newHostsJSON(s.Hosts), newCoverageJSON(s.Coverage)}
}

// JSON writes the card as one line ("lookup").
func (c *Card) JSON(w io.Writer) error {
	ids := []string{}
	for i := range c.Incidents {
		ids = append(ids, c.Incidents[i].ID)
	}
	return writeLine(w, struct {
		Type      string       `json:"type"`
		Schema    int          `json:"schema"`
		Value     string       `json:"value"`
		Sort      string       `json:"sort"`
		Verdict   Verdict      `json:"verdict"`
		Listed    []listedJSON `json:"listed"`
		Known     []string     `json:"known"`
		Allowed   string       `json:"allowed,omitempty"`
		Seen      seenJSON     `json:"seen"`
		Incidents []string     `json:"incidents"`
	}{"lookup", schema, c.Value, c.Sort, c.Verdict(), newListedJSON(c.Listed, c.Now), append([]string{}, c.Known...), c.Allowed, newSeenJSON(&c.Seen), ids})
}
