package report

import (
	"fmt"
	"io"
	"net/netip"
	"sort"
	"strings"
	"time"

	"github.com/testudo-shield/testudo"
)

// TextOptions says for whom a page is laid out.
type TextOptions struct {
	Width   int            // cells in a line; 0 means 100, less than 40 means 40
	Color   bool           // styles for a terminal; without effect under Plain
	Plain   bool           // ASCII only
	All     bool           // tell incidents below medium in full as well
	Live    bool           // what came was live, not recorded
	Zone    *time.Location // of the times that are told; nil means UTC
	Version string         // our own, for the first line
}

// How much of each list a page tells.
const (
	lowerShown   = 5
	skipsShown   = 10
	victimsShown = 5
	serversShown = 5
	namesShown   = 3
	sightsShown  = 4
	titleCells   = 200
)

// Text writes the page for people: what was read, what needs a person and
// why, what is less, and how far the answer reaches. The gravest incident
// comes first. s is not nil. How long the run took is told only if s.Wall is
// set. Styles apart, nothing but printable characters and ends of line is
// written.
func Text(w io.Writer, incidents []testudo.Incident, s *testudo.Summary, o TextOptions) error {
	if o.Width == 0 {
		o.Width = 100
	}
	if o.Zone == nil {
		o.Zone = time.UTC
	}
	p := &page{width: max(o.Width, 40), color: o.Color && !o.Plain, plain: o.Plain}
	order := byWeight(incidents)
	need := 0
	for _, in := range order {
		if in.Severity >= testudo.Medium {
			need++
		}
	}
	p.head(s, o)
	p.verdict(s, need, len(order)-need, o)
	for i, in := range order {
		if i >= need && !o.All {
			break
		}
		p.incident(in, s, o.Zone)
	}
	if !o.All {
		p.lower(order[need:], o.Zone)
	}
	p.coverage(s, o.Zone)
	if need == 0 {
		p.stranger(incidents, s.Local)
	}
	p.judged(s.Detectors)
	if _, err := w.Write(p.trimmed()); err != nil {
		return fmt.Errorf("report: write text: %w", err)
	}
	return nil
}

// byWeight orders incidents by how much they need a person.
func byWeight(incidents []testudo.Incident) []*testudo.Incident {
	order := make([]*testudo.Incident, len(incidents))
	for i := range incidents {
		order[i] = &incidents[i]
	}
	sort.SliceStable(order, func(i, j int) bool {
		a, b := order[i], order[j]
		switch {
		case a.Severity != b.Severity:
			return a.Severity > b.Severity
		case a.Urgency != b.Urgency:
			return a.Urgency > b.Urgency
		case a.First != b.First:
			return a.First < b.First
		}
		return a.ID < b.ID
	})
	return order
}

// head tells what was read, and at once what was not.
func (p *page) head(s *testudo.Summary, o TextOptions) {
	names := make([]string, 0, namesShown)
	for i, in := range s.Inputs {
		if i == namesShown {
			names[i-1] += " and " + grouped(int64(len(s.Inputs)-i)) + " more"
			break
		}
		names = append(names, p.name(in))
	}
	read := many(s.Packets, "packet", "packets")
	if s.Packets == 0 && s.Records > 0 {
		read = many(s.Records, "record", "records")
	}
	var took string
	if s.Wall > 0 {
		took = "read in " + lasted(s.Wall)
	}
	span := ""
	if s.Span() > 0 {
		span = ", " + lasted(s.Span())
	}
	p.para(normal, 2, p.dot(strings.TrimSpace("testudo "+p.name(o.Version)), strings.Join(names, ", "),
		read+span+", "+many(int64(s.Hosts), "host of ours", "hosts of ours"), took))
	for i, k := range s.Skipped {
		if i == skipsShown {
			p.para(normal, 2, "and "+many(int64(len(s.Skipped)-i), "more input", "more inputs")+" not read in full")
			break
		}
		p.para(bold, 2, "not read in full: "+p.name(k.Input)+": "+k.Reason)
	}
	p.blank()
}

// verdict tells how many incidents need a person. It calls nothing quiet
// that was not looked at.
func (p *page) verdict(s *testudo.Summary, need, lower int, o TextOptions) {
	less := ""
	if lower > 0 {
		less = many(int64(lower), "more is noise or policy", "more are noise or policy")
		if need == 0 {
			less = many(int64(lower), "finding is noise or policy", "findings are noise or policy")
		}
		if !o.All {
			less += " (--all)"
		}
		if need == 0 {
			less = " " + less + "."
		}
	}
	switch {
	case need > 0:
		p.para(bold, 2, p.dot(many(int64(need), "incident needs a person", "incidents need a person"), less))
	case s.Packets == 0 && s.Records == 0 && o.Live:
		p.para(bold, 2, "Nothing came, so nothing can be said. Is the interface up, the mirror port on, the log still written?"+less)
	case s.Packets == 0 && s.Records == 0 && len(s.Skipped) == 0 && len(s.Inputs) == 1:
		p.para(bold, 2, "The capture is valid but holds no packets.")
	case s.Packets == 0 && s.Records == 0 && len(s.Skipped) == 0 && len(s.Inputs) > 1:
		p.para(bold, 2, "The captures are valid but hold no packets.")
	case s.Packets == 0 && s.Records == 0:
		p.para(bold, 2, "Nothing was read, so nothing can be said."+less)
	case s.Packets > 0 && s.Malformed*10 >= s.Packets*9:
		p.para(bold, 2, fmt.Sprintf("%s of %s frames could not be read, so little can be said.", grouped(s.Malformed), grouped(s.Packets))+less)
	case len(s.Skipped) > 0 || s.Dropped > 0:
		p.para(bold, 2, "Nothing needs a person in what was read; a part was not."+less)
	default:
		p.para(bold, 2, "Nothing needs a person."+less)
	}
	p.blank()
}

// lower tells incidents below medium in one line each.
func (p *page) lower(order []*testudo.Incident, zone *time.Location) {
	if len(order) == 0 {
		return
	}
	for i, in := range order {
		if i == lowerShown {
			p.para(dim, 2, fmt.Sprintf("and %s more: --all", grouped(int64(len(order)-i))))
			break
		}
		p.oneLine(in, zone)
	}
	p.blank()
}

// oneLine tells an incident in a line, or more where its title asks for
// them. The time goes where the title has no room beside it.
func (p *page) oneLine(in *testudo.Incident, zone *time.Location) {
	lead := p.severity(in.Severity) + "  " + fmt.Sprintf("%-9s  ", p.cut(string(in.Kind), 9))
	id := "  " + p.cut(in.ID, 20)
	if p.width < narrowBelow {
		p.para(severityStyle(in.Severity), 2, lead+id)
		p.labelled("", normal, p.cut(in.Title, titleCells))
		return
	}
	tail := "  " + in.First.Std().In(zone).Format("2 Jan 15:04") + id
	if cells(lead)+cells(p.text(in.Title))+cells(tail) > p.width {
		tail = id
	}
	room := max(p.width-cells(lead)-cells(tail), 10)
	for i, line := range wrap(p.cut(in.Title, titleCells), room, p.width-cells(lead)) {
		if i > 0 {
			pad(&p.buf, cells(lead))
			p.buf.WriteString(line + "\n")
			continue
		}
		p.buf.WriteString(p.paint(severityStyle(in.Severity), lead) + line)
		pad(&p.buf, room-cells(line))
		p.buf.WriteString(p.paint(dim, tail) + "\n")
	}
}

// coverage tells how far the answer reaches.
func (p *page) coverage(s *testudo.Summary, zone *time.Location) {
	if s.IntelLists == 0 && s.Indicators == 0 {
		p.labelled("intel", normal, "none loaded: only behaviour was judged")
	} else {
		newest := ""
		if s.IntelNewest != 0 {
			newest = ", newest of " + s.IntelNewest.Std().In(zone).Format("Mon 2 Jan 2006")
		}
		p.labelled("intel", normal, many(int64(s.IntelLists), "list", "lists")+", "+
			many(int64(s.Indicators), "indicator", "indicators")+newest)
	}
	p.labelled("seen", normal, p.seen(s, zone))
	if len(s.Local) > 0 {
		p.labelled("ours", normal, p.ours(s))
	}
	if s.NewHosts > 0 {
		p.labelled("new", normal, many(int64(s.NewHosts), "host", "hosts")+" of ours too new to know their habits")
	}
	if s.HeadersOnly > 0 {
		p.labelled("headers", normal, "only, under load: "+many(s.HeadersOnly, "packet", "packets"))
	}
	if len(s.Shed) > 0 {
		shed := make([]string, 0, len(s.Shed))
		for _, k := range s.Shed {
			shed = append(shed, p.name(k.Cause)+" "+grouped(k.Count))
		}
		p.labelled("forgotten", normal, "for want of memory: "+strings.Join(shed, ", "))
	}
}

// stranger tells of an address that most of the findings happened to although
// it is not ours: it may be that --local was left out.
func (p *page) stranger(incidents []testudo.Incident, local []netip.Prefix) {
	const fewest = 3
	hit := map[netip.Addr]int{}
	for i := range incidents {
		v := incidents[i].Victims
		if len(v) != 1 || !v[0].Address.IsValid() || within(local, v[0].Address) {
			continue
		}
		a := v[0].Address.Unmap()
		if hit[a]++; hit[a] >= fewest && hit[a] > len(incidents)/2 {
			p.labelled("hint", normal, "much of this concerns "+address(a)+", which is not ours by --local: set --local if it is")
			return
		}
	}
}

// seen tells when, and what of it was lost.
func (p *page) seen(s *testudo.Summary, zone *time.Location) string {
	when := ""
	if s.First != 0 || s.Last != 0 {
		when = between(s.First.Std().In(zone), s.Last.Std().In(zone))
	}
	share := "all that was given"
	switch {
	case s.Dropped > 0 || s.Unread > 0:
		share = fmt.Sprintf("%.4g %%", min(s.Coverage()*100, 99.99))
		if s.Dropped > 0 {
			share += ", " + many(s.Dropped, "packet lost", "packets lost")
		}
		if s.Unread > 0 {
			share += ", " + many(s.Unread, "packet", "packets") + " left out under load"
		}
	case len(s.Skipped) > 0:
		share = "a part: " + many(int64(len(s.Skipped)), "input", "inputs") + " not read in full"
	case s.Packets == 0 && s.Records == 0:
		share = "nothing"
	case s.Packets > 0:
		share += ", no packet lost"
	}
	var odd []string
	if s.Malformed > 0 {
		odd = append(odd, many(s.Malformed, "malformed frame", "malformed frames"))
	}
	if s.Weirds > 0 {
		odd = append(odd, many(s.Weirds, "breach of protocol", "breaches of protocol"))
	}
	return p.dot(when, share, strings.Join(odd, ", "))
}

// ours tells which networks were protected.
func (p *page) ours(s *testudo.Summary) string {
	nets := make([]string, 0, serversShown)
	for i, n := range s.Local {
		if i == serversShown {
			nets[i-1] += fmt.Sprintf(" and %s more", grouped(int64(len(s.Local)-i)))
			break
		}
		nets = append(nets, n.String())
	}
	ours := strings.Join(nets, ", ")
	if s.LocalGuessed {
		ours += ", guessed from who answers whom; set --local to change"
	}
	return ours
}

// judged tells which detectors had what they need, and what the others lacked.
func (p *page) judged(detectors []testudo.Judgement) {
	if len(detectors) == 0 {
		return
	}
	full := 0
	var not []string
	for _, d := range detectors {
		lacked := p.text(d.Lacked)
		if what, needs, ok := strings.Cut(strings.TrimSuffix(lacked, ")"), " ("); ok {
			lacked = what + ": " + needs
		}
		switch {
		case d.Full:
			full++
		case lacked == "":
			not = append(not, p.name(d.Detector))
		default:
			not = append(not, p.name(d.Detector)+" ("+lacked+")")
		}
	}
	text := fmt.Sprintf("fully: %d of %s", full, many(int64(len(detectors)), "detector", "detectors"))
	if len(not) > 0 {
		text += "; not: " + strings.Join(not, ", ")
	}
	p.labelled("judged", normal, text)
}
