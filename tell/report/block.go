package report

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/rivo/uniseg"
	"github.com/testudo-shield/testudo"
)

func cells(s string) int { return uniseg.StringWidth(s) }

// severity prints the word behind its shape, ten cells wide.
func (p *page) severity(s testudo.Severity) string {
	shapes := [...]string{"·", "○", "◆", "▲", "■"}
	if p.plain {
		shapes = [...]string{".", "-", "*", "!", "#"}
	}
	shape := "?"
	if int(s) < len(shapes) {
		shape = shapes[s]
	}
	return fmt.Sprintf("%s %-8s", shape, strings.ToUpper(s.String()))
}

func severityStyle(s testudo.Severity) style {
	switch s {
	case testudo.Critical:
		return "1;31"
	case testudo.High:
		return "31"
	case testudo.Medium:
		return "33"
	case testudo.Low:
		return "36"
	}
	return dim
}

// incident tells one incident in full.
func (p *page) incident(in *testudo.Incident, s *testudo.Summary, zone *time.Location) {
	p.title(in)
	times, out := amounts(in)
	p.labelled("when", normal, p.dot(between(in.First.Std().In(zone), in.Last.Std().In(zone)), span(in), times, out))
	p.victims(in.Victims)
	p.servers(in.Servers)
	p.sightings(in.Sightings)
	p.why(in)
	label := "innocent"
	for _, text := range in.Innocent {
		p.labelled(label, normal, text)
		label = ""
	}
	if len(in.Techniques) > 0 {
		p.labelled("technique", normal, strings.Join(in.Techniques, " "))
	}
	label = "do"
	for _, step := range advice(in, s.Local, p.name) {
		p.labelled(label, normal, step)
		label = ""
	}
	p.blank()
}

// title writes severity, kind, title and id; the id on the right where
// there is room.
func (p *page) title(in *testudo.Incident) {
	sev, kind, id := p.severity(in.Severity), p.name(string(in.Kind)), p.name(in.ID)
	lead := cells(sev) + 2 + cells(kind) + 2
	st := severityStyle(in.Severity)
	title := p.cut(in.Title, titleCells)
	first := p.width - lead - 2 - cells(id)
	if first < 30 {
		p.para(st, labelIndent, sev+" "+kind+" "+id)
		for _, line := range wrap(title, p.width-labelIndent, p.width-labelIndent) {
			pad(&p.buf, labelIndent)
			p.buf.WriteString(p.paint(bold, line) + "\n")
		}
		return
	}
	p.buf.WriteString(p.paint(st, sev) + "  " + p.paint(st, kind))
	for i, line := range wrap(title, first, first) {
		if i > 0 {
			pad(&p.buf, lead)
			p.buf.WriteString(p.paint(bold, line) + "\n")
			continue
		}
		p.buf.WriteString("  " + p.paint(bold, line))
		pad(&p.buf, first-cells(line)+2)
		p.buf.WriteString(p.paint(dim, id) + "\n")
	}
}

// span tells how long an incident lasted, where that is more than a moment.
func span(in *testudo.Incident) string {
	if d := in.Last.Sub(in.First); d >= time.Second {
		return lasted(d)
	}
	return ""
}

// amounts tells how often and how much, by the evidence named count and
// bytes_out of the surest sighting that has each.
func amounts(in *testudo.Incident) (times, out string) {
	best := map[string]float64{}
	for i := range in.Sightings {
		s := &in.Sightings[i]
		score := s.Score()
		for _, f := range s.Evidence {
			n, ok := whole(f.Value)
			if had, seen := best[f.Name]; !ok || n <= 0 || seen && had >= score {
				continue
			}
			switch f.Name {
			case "count":
				times = many(n, "time", "times")
			case "bytes_out":
				out = size(n) + " out"
			default:
				continue
			}
			best[f.Name] = score
		}
	}
	return times, out
}

func whole(v any) (int64, bool) {
	switch v := v.(type) {
	case int:
		return int64(v), true
	case int64:
		return v, true
	case float64:
		return int64(v), v > -1e15 && v < 1e15
	}
	return 0, false
}

// victims lists our machines.
func (p *page) victims(victims []testudo.Victim) {
	if len(victims) == 0 {
		return
	}
	words := make([]string, 0, victimsShown)
	for i, v := range victims {
		if i == victimsShown {
			words[i-1] += fmt.Sprintf(" and %s more", grouped(int64(len(victims)-i)))
			break
		}
		word := p.name(v.Name)
		switch a := address(v.Address); {
		case word == "":
			word = a
		case a != "":
			word += " (" + a + ")"
		}
		words = append(words, word)
	}
	label := "victim"
	if len(victims) > 1 {
		label = "victims"
	}
	p.labelled(label, normal, strings.Join(words, ", "))
}

// side is what the page calls an adversary's machine: a server that ours went
// to, an attacker that came, or one that others were reached through.
func side(role testudo.ServerRole) string {
	switch role {
	case testudo.Exploiter, testudo.Scanner, testudo.Flooder, testudo.Lateral, testudo.Controller, testudo.TrapVisitor:
		return "attacker"
	case testudo.Reflector:
		return "through"
	}
	return "server"
}

// servers lists the adversary's machines, one a line, each run of a sort
// under its label.
func (p *page) servers(servers []testudo.NamedServer) {
	last := ""
	for i, s := range servers {
		if i == serversShown {
			p.labelled("", normal, fmt.Sprintf("and %s more", grouped(int64(len(servers)-i))))
			break
		}
		names := make([]string, 0, namesShown)
		for j, n := range s.Names {
			if j == namesShown {
				names[j-1] += fmt.Sprintf(" and %s more", grouped(int64(len(s.Names)-j)))
				break
			}
			names = append(names, p.name(n))
		}
		shared := ""
		if s.Shared {
			shared = "shared: others use it for other things, so do not block it whole"
		}
		at := strings.TrimSpace(address(s.Address) + " " + p.cut(strings.Join(s.Ports, " "), nameCells))
		role := string(s.Role)
		if s.Confidence > 0 {
			role += " " + confidence(s.Confidence)
		}
		label := side(s.Role)
		if label == last {
			label = ""
		}
		last = side(s.Role)
		p.labelled(label, normal, p.dot(at, strings.Join(names, ", "), role, shared))
	}
}

// sightings lists what was claimed, one a line.
func (p *page) sightings(sightings []testudo.Sighting) {
	label := "seen by"
	for i := range sightings {
		s := &sightings[i]
		if i == sightsShown {
			p.labelled("", normal, fmt.Sprintf("and %s more", grouped(int64(len(sightings)-i))))
			break
		}
		text := p.name(s.Detector)
		if s.Summary != "" {
			text += ": " + s.Summary
		}
		p.labelled(label, normal, text)
		label = ""
	}
}

// why lists the addends and their sum.
func (p *page) why(in *testudo.Incident) {
	if len(in.Explanation) == 0 {
		p.labelled("why "+confidence(in.Confidence), normal, "no reasons were given")
		return
	}
	column, family := p.label("why "+confidence(in.Confidence)), cells("sum")
	for _, r := range in.Explanation {
		family = max(family, min(cells(p.text(string(r.Family))), 10))
	}
	first := column != narrowText
	for _, r := range in.Explanation {
		p.addend(column, family, first, string(r.Family), r.Weight, r.Text)
		first = false
	}
	sum := testudo.SumReasons(in.Explanation)
	p.addend(column, family, false, "sum", sum, odds(sum))
}

// addend writes one line of a sum. placed says that the page already stands
// at the column.
func (p *page) addend(column, family int, placed bool, name string, weight float64, text string) {
	var b bytes.Buffer
	name = p.cut(name, family)
	b.WriteString(name)
	pad(&b, family-cells(name))
	if math.Abs(weight) < 1000 {
		fmt.Fprintf(&b, " %+6.2f  ", weight)
	} else {
		fmt.Fprintf(&b, " %+6.1g  ", weight)
	}
	indent := column + cells(b.String())
	hang := indent
	if column == narrowText {
		hang = column + 2
	}
	if !placed {
		pad(&p.buf, column)
	}
	p.buf.Write(b.Bytes())
	for i, line := range wrap(p.text(text), p.width-indent, p.width-hang) {
		if i > 0 {
			pad(&p.buf, hang)
		}
		p.buf.WriteString(line + "\n")
	}
}
