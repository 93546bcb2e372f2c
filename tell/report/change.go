package report

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/testudo-shield/testudo"
)

// Change is news of an incident while it goes on.
type Change struct {
	What     string // "new", "graver", "more"; what JSON says as "change"
	Incident testudo.Incident
	// Known is how long the network had been watched by then: what is called
	// new, rare or unusual in the incident rests on that much habit.
	Known time.Duration
	At    testudo.Time
}

// ChangeText writes a change for people: when and what, then the incident and
// an empty line.
func ChangeText(w io.Writer, c *Change, s *testudo.Summary, o TextOptions) error {
	if o.Width == 0 {
		o.Width = 100
	}
	if o.Zone == nil {
		o.Zone = time.UTC
	}
	p := &page{width: max(o.Width, 40), color: o.Color && !o.Plain, plain: o.Plain}
	p.para(dim, 2, p.dot(c.At.Std().In(o.Zone).Format("Mon 2 Jan 15:04:05 MST"), changeWords[c.What],
		"after "+lasted(c.Known)+" of watching"))
	if c.Incident.Severity < testudo.Medium && !o.All {
		p.title(&c.Incident)
		p.blank()
	} else {
		p.incident(&c.Incident, s, o.Zone)
	}
	if _, err := w.Write(p.trimmed()); err != nil {
		return fmt.Errorf("report: write change: %w", err)
	}
	return nil
}

var changeWords = map[string]string{
	"new":    "new",
	"graver": "graver than told before",
	"more":   "goes on, with more hosts or evidence",
}

// ChangeJSON writes a change as one line: the incident's object with "change"
// and "habit_s".
func ChangeJSON(w io.Writer, c *Change, s *testudo.Summary) error {
	bw := bufio.NewWriter(w)
	l := newIncidentLine(&c.Incident, s.Local)
	known := real(c.Known.Round(time.Second).Seconds())
	l.Change, l.Known = c.What, &known
	if err := writeLine(bw, l); err != nil {
		return fmt.Errorf("report: write incident %s: %w", Name(c.Incident.ID), err)
	}
	return bw.Flush()
}

// Learning says in a line which detectors judge fully by now, and which wait
// for how much more habit; "" for none of either.
func Learning(s *testudo.Summary) string {
	if len(s.Detectors) == 0 {
		return ""
	}
	type group struct{ names, more string }
	var wait []group
	full := 0
	for _, d := range s.Detectors {
		if d.Full {
			full++
		}
		if d.Full || d.Wait <= 0 {
			continue
		}
		name, more := Name(d.Detector), remaining(d.Wait)
		if i := slices.IndexFunc(wait, func(g group) bool { return g.more == more }); i >= 0 {
			wait[i].names += ", " + name
		} else {
			wait = append(wait, group{name, more})
		}
	}
	text := fmt.Sprintf("%d of %d detectors judge fully", full, len(s.Detectors))
	lead := "; still learning what is usual here: "
	for _, g := range wait {
		text += lead + g.names + " for " + g.more + " more"
		lead = "; "
	}
	return text
}

// remaining rounds a wait up to what a person plans with.
func remaining(d time.Duration) string {
	up := func(unit time.Duration) int64 { return int64((d + unit - 1) / unit) }
	switch {
	case d > 36*time.Hour:
		return many(up(24*time.Hour), "day", "days")
	case d > 90*time.Minute:
		return many(up(time.Hour), "hour", "hours")
	}
	return many(up(time.Minute), "minute", "minutes")
}
