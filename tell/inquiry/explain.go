package inquiry

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/testudo-shield/testudo"
)

// Explanation is why a thing is believed what it is: an incident by its id, or
// an address or a name by the incidents it takes part in.
type Explanation struct {
	Subject string // as asked
	Now     testudo.Time
	Cases   []Case
	Listed  []testudo.Indicator // those that name it, or a server of its incidents
	Allowed []Rule              // that fit it
	Seen    Seen
}

// Rule is an entry of the allow list.
type Rule struct {
	What, Why, By string
	Since, Until  testudo.Time // Until is 0 for no end
}

// Text writes the explanation for people: for each incident its steps in
// order of time, what speaks for it and what against, and what it comes to.
func (e *Explanation) Text(w io.Writer, o TextOptions) error {
	p := newPage(o)
	if len(e.Cases) == 0 {
		p.head(e.Subject + " takes part in no incident.")
	}
	for i := range e.Cases {
		p.explain(&e.Cases[i])
		p.buf.WriteByte('\n')
	}
	if len(e.Listed) == 0 {
		p.row("listed", "on no list of indicators")
	}
	p.rows("listed", listings(e.Listed, e.Now))
	for _, r := range e.Allowed {
		p.row("allowed", ruleWords(p, r))
	}
	if len(e.Cases) == 0 || len(e.Seen.Coverage.Links) > 0 {
		p.seen(e.Subject, &e.Seen)
	}
	return p.to(w)
}

func ruleWords(p *page, r Rule) string {
	parts := []string{r.What, r.Why}
	if r.By != "" {
		parts = append(parts, "by "+r.By)
	}
	if r.Since != 0 {
		parts = append(parts, "since "+p.when(r.Since))
	}
	if r.Until != 0 {
		parts = append(parts, "until "+p.when(r.Until))
	}
	return p.dot(parts...)
}

// explain tells one incident.
func (p *page) explain(c *Case) {
	p.head(p.dot(strings.ToUpper(c.Severity.String())+" "+string(c.Kind), c.Title, c.ID))
	p.row("since", p.when(c.First)+", last "+p.when(c.Last))
	if c.State != "" {
		life := c.State
		if c.Since != 0 {
			life += " since " + p.when(c.Since)
		}
		if c.By != "" {
			life += " by " + c.By
		}
		p.row("state", p.dot(life, c.Why))
	}
	label := "steps"
	for i, s := range inTime(c.Sightings) {
		p.row(label, p.dot(fmt.Sprintf("%d. %s", i+1, p.when(s.First)), s.Detector+": "+cmp.Or(s.Summary, s.Title)))
		label = ""
	}
	forIt, against := sides(c.Explanation)
	p.rows("for", forIt)
	p.rows("against", append(against, c.Innocent...))
	if len(against)+len(c.Innocent) == 0 {
		p.row("against", "nothing was found that speaks against it")
	}
	p.row("comes to", sum(c))
}

// inTime returns sightings in order of time.
func inTime(l []testudo.Sighting) []testudo.Sighting {
	l = slices.Clone(l)
	slices.SortStableFunc(l, func(a, b testudo.Sighting) int {
		return cmp.Or(cmp.Compare(a.First, b.First), cmp.Compare(a.Detector, b.Detector), cmp.Compare(a.Key, b.Key))
	})
	return l
}

// sides parts addends by their sign, the heaviest first.
func sides(rs []testudo.Reason) (forIt, against []string) {
	rs = slices.Clone(rs)
	slices.SortStableFunc(rs, func(a, b testudo.Reason) int { return cmp.Compare(math.Abs(b.Weight), math.Abs(a.Weight)) })
	for _, r := range rs {
		if r.Weight >= 0 {
			forIt = append(forIt, r.String())
		} else {
			against = append(against, r.String())
		}
	}
	return forIt, against
}

// sum tells what an incident's addends come to.
func sum(c *Case) string {
	total := testudo.SumReasons(c.Explanation)
	odds := math.Exp(math.Abs(total))
	words := "as likely real as innocent"
	switch side := map[bool]string{true: "innocent", false: "real"}[total < 0]; {
	case math.IsNaN(odds):
		words = "no odds"
	case odds >= 1000:
		words = "more than 1,000 to 1 that it is " + side
	case odds >= 1.15:
		words = fmt.Sprintf("about %s to 1 that it is %s", strconv.FormatFloat(odds, 'g', 2, 64), side)
	}
	return fmt.Sprintf("%+.2f: %s", total, words)
}

type caseJSON struct {
	ID       string        `json:"id"`
	Kind     testudo.Kind  `json:"kind"`
	Severity string        `json:"severity"`
	Title    string        `json:"title"`
	First    testudo.Time  `json:"first_seen"`
	Last     testudo.Time  `json:"last_seen"`
	State    string        `json:"state,omitempty"`
	Why      string        `json:"why,omitempty"`
	By       string        `json:"by,omitempty"`
	Since    *testudo.Time `json:"since,omitempty"`
	Steps    []stepJSON    `json:"steps"`
	For      []string      `json:"for"`
	Against  []string      `json:"against"`
	Score    *float64      `json:"score"`
}

type stepJSON struct {
	Time     testudo.Time `json:"time"`
	Detector string       `json:"detector"`
	Summary  string       `json:"summary"`
}

type ruleJSON struct {
	What  string        `json:"what"`
	Why   string        `json:"why"`
	By    string        `json:"by,omitempty"`
	Since *testudo.Time `json:"since,omitempty"`
	Until *testudo.Time `json:"until,omitempty"`
}

// JSON writes the explanation as one line ("explain").
func (e *Explanation) JSON(w io.Writer) error {
	cases, rules := []caseJSON{}, []ruleJSON{}
	for i := range e.Cases {
		cases = append(cases, newCaseJSON(&e.Cases[i]))
	}
	for _, r := range e.Allowed {
		rules = append(rules, ruleJSON{r.What, r.Why, r.By, optional(r.Since), optional(r.Until)})
	}
	return writeLine(w, struct {
		Type    string       `json:"type"`
		Schema  int          `json:"schema"`
		Subject string       `json:"subject"`
		Cases   []caseJSON   `json:"incidents"`
		Listed  []listedJSON `json:"listed"`
		Allowed []ruleJSON   `json:"allowed"`
		Seen    seenJSON     `json:"seen"`
	}{"explain", schema, e.Subject, cases, newListedJSON(e.Listed, e.Now), rules, newSeenJSON(&e.Seen)})
}

func newCaseJSON(c *Case) caseJSON {
	forIt, against := sides(c.Explanation)
	j := caseJSON{
		ID: c.ID, Kind: c.Kind, Severity: c.Severity.String(), Title: c.Title, First: c.First, Last: c.Last, State: c.State, Why: c.Why, By: c.By,
		Since: optional(c.Since), Steps: []stepJSON{}, For: append([]string{}, forIt...), Against: append(append([]string{}, against...), c.Innocent...),
	}
	for _, s := range inTime(c.Sightings) {
		j.Steps = append(j.Steps, stepJSON{s.First, s.Detector, cmp.Or(s.Summary, s.Title)})
	}
	if total := testudo.SumReasons(c.Explanation); !math.IsNaN(total) && !math.IsInf(total, 0) {
		j.Score = &total
	}
	return j
}
