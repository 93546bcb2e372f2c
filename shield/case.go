package shield

import (
	"cmp"
	"slices"

	"github.com/testudo-shield/testudo/keep/state"
	"github.com/testudo-shield/testudo/tell/inquiry"
	"github.com/testudo-shield/testudo/tell/report"
)

// CaseOf returns a remembered incident as it is told, and what was done about
// it and noted on it, in order of time.
func CaseOf(in *state.Incident) (inquiry.Case, []report.Step) {
	c := inquiry.Case{Incident: in.Incident, State: string(in.State)}
	var life []report.Step
	for _, ch := range in.Changes {
		what := ch.What
		if ch.From != "" || ch.To != "" {
			what += " " + cmp.Or(ch.From, "none") + " to " + cmp.Or(ch.To, "none")
		}
		life = append(life, report.Step{At: ch.At, Who: ch.Who, What: what, Why: ch.Why})
		if ch.What == "state" {
			c.Why, c.By, c.Since = ch.Why, ch.Who, ch.At
		}
	}
	for _, n := range in.Notes {
		life = append(life, report.Step{At: n.At, Who: n.Who, What: "note", Why: n.Text})
	}
	slices.SortStableFunc(life, func(a, b report.Step) int { return cmp.Compare(a.At, b.At) })
	return c, life
}
