package report

import (
	"bufio"
	"fmt"
	"io"
	"net/netip"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/tell/inquiry"
)

// Step is something that was done about an incident, or a note on it.
type Step struct {
	At   testudo.Time // wall time
	Who  string
	What string // "state new to confirmed", "note"
	Why  string
}

// CasesText lists remembered incidents, one a line: those that need a person
// first as they come.
func CasesText(w io.Writer, cases []inquiry.Case, o TextOptions) error {
	p := casePage(&o)
	if len(cases) == 0 {
		p.para(normal, 0, "No incident fits.")
	}
	for i := range cases {
		c := cases[i].Incident
		if s := cases[i].State; s != "" && s != "new" {
			c.Title = "(" + s + ") " + c.Title
		}
		p.oneLine(&c, o.Zone)
	}
	_, err := w.Write(p.trimmed())
	return err
}

// CaseText tells one remembered incident in full, with its life.
func CaseText(w io.Writer, c *inquiry.Case, life []Step, aliases []string, local []netip.Prefix, o TextOptions) error {
	p := casePage(&o)
	p.incident(&c.Incident, &testudo.Summary{Local: local}, o.Zone)
	p.labelled("state", bold, c.State)
	label := "life"
	for _, s := range life {
		by := s.What
		if s.Who != "" {
			by += " by " + s.Who
		}
		p.labelled(label, normal, p.dot(s.At.Std().In(o.Zone).Format("2 Jan 2006 15:04"), by, s.Why))
		label = ""
	}
	label = "once called"
	for _, a := range aliases {
		p.labelled(label, dim, a)
		label = ""
	}
	_, err := w.Write(p.trimmed())
	return err
}

func casePage(o *TextOptions) *page {
	if o.Width == 0 {
		o.Width = 100
	}
	if o.Zone == nil {
		o.Zone = time.UTC
	}
	return &page{width: max(o.Width, 40), color: o.Color && !o.Plain, plain: o.Plain}
}

// caseLine is an incident's line with its life.
type caseLine struct {
	*incidentLine
	State   string     `json:"state"`
	Life    []stepJSON `json:"life,omitempty"`
	Aliases []string   `json:"aliases,omitempty"`
}

type stepJSON struct {
	At   testudo.Time `json:"at"`
	Who  string       `json:"by,omitempty"`
	What string       `json:"what"`
	Why  string       `json:"why,omitempty"`
}

// CaseJSON writes a remembered incident as one line: what JSON writes of one,
// and its life.
func CaseJSON(w io.Writer, c *inquiry.Case, life []Step, aliases []string, local []netip.Prefix) error {
	l := caseLine{incidentLine: newIncidentLine(&c.Incident, local), State: c.State, Aliases: aliases}
	for _, s := range life {
		l.Life = append(l.Life, stepJSON(s))
	}
	bw := bufio.NewWriter(w)
	if err := writeLine(bw, l); err != nil {
		return fmt.Errorf("report: write incident %s: %w", Name(c.ID), err)
	}
	return bw.Flush()
}
