package indicator

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/testudo-shield/testudo"
)

// said is what one source says of a value.
type said struct {
	source, note string
	listed       testudo.Time
	confidence   int
	marks        testudo.Marks
}

// The bounds of what is kept of one value.
const (
	maxSources = 8
	maxThreats = 8
)

// hear takes what a hit's source says.
func (s *state) hear(h *testudo.Hit) {
	s.more = max(s.more, h.More)
	for _, t := range h.Threats {
		if len(s.threats) < maxThreats && !contains(s.threats, t) {
			s.threats = append(s.threats, t)
		}
	}
	for i := range s.said {
		if s.said[i].source == h.Source {
			// Two words of one source: what speaks more for it counts.
			s.said[i].marks &= h.Marks | testudo.MarkExpired
			s.said[i].listed = max(s.said[i].listed, h.Listed)
			return
		}
	}
	if len(s.said) < maxSources {
		s.said = append(s.said, said{h.Source, h.Note, h.Listed, h.Confidence, h.Marks})
	}
}

// marks are those that every source's word bears.
func (s *state) marks() testudo.Marks {
	m := ^testudo.Marks(0)
	for i := range s.said {
		m &= s.said[i].marks
	}
	return m
}

// weak says why the hits are no reason to act by themselves; "" if they are.
func (s *state) weak() string {
	all := true
	var m testudo.Marks
	for i := range s.said {
		m |= s.said[i].marks
		all = all && s.said[i].marks != 0
	}
	switch {
	case all:
		return "the entry is marked " + strings.Join(m.Words(), ", ") + ": never alone a reason to act"
	case isPrint(s.field):
		return "all that use the same library show this fingerprint: never alone a reason to act"
	case s.asked && !s.talked && !s.top().recent(s.last):
		return "it was only looked up, and no list saw it lately: never alone a reason to act"
	}
	return ""
}

// isPrint tells the fields that show a program's making, not whom it serves.
func isPrint(field string) bool {
	switch field {
	case "ja3", "ja3s", "ja4", "hassh", "hassh_server", "user_agent":
		return true
	}
	return false
}

// top returns the source whose word counts: the strongest without a mark.
func (s *state) top() *said {
	best, most := 0, math.Inf(-1)
	for i := range s.said {
		w := s.said[i].weight(s.last)
		if s.said[i].marks == 0 {
			w += 10 // before any that is marked
		}
		if w > most {
			best, most = i, w
		}
	}
	return &s.said[best]
}

// listed returns the addends of the sources' word: the strongest one, and
// that several agree.
func (s *state) listed() []testudo.Reason {
	top, agree := s.top(), s.more
	text := fmt.Sprintf("%s is listed by %s%s, %s", s.value, top.source, note(top.note), top.age(s.last))
	if top.confidence >= 0 {
		text += fmt.Sprintf(", confidence %d of 100", top.confidence)
	}
	for i := range s.said {
		if w := &s.said[i]; w != top {
			text += "; by " + w.source + ", " + w.age(s.last)
		}
		if s.said[i].marks == 0 {
			agree++
		}
	}
	if s.more > 0 {
		text += fmt.Sprintf("; and by %d more", s.more)
	}
	reasons := []testudo.Reason{{Family: testudo.Listed, Weight: top.weight(s.last), Text: text}}
	if agree > 1 {
		reasons = append(reasons, testudo.Reason{Family: testudo.Company, Weight: min(1, 0.4*float64(agree-1)), Text: fmt.Sprintf("%d lists agree, which is agreement and not proof", agree)})
	}
	return reasons
}

const day = 24 * time.Hour

// weight is what one source's word weighs at a time: less the older it is, a
// little less where nobody knows, and by how sure the source is.
func (w *said) weight(at testudo.Time) float64 {
	x := 2.2
	switch age := at.Sub(w.listed); {
	case w.listed == 0:
		x -= 0.3
	case age > 365*day:
		x -= 1.1
	case age > 180*day:
		x -= 0.7
	case age > 30*day:
		x -= 0.3
	}
	if w.confidence >= 0 {
		x += float64(w.confidence-50) / 100
	}
	return x
}

// recent tells whether the source saw the value bad within half a year.
func (w *said) recent(at testudo.Time) bool { return w.listed != 0 && at.Sub(w.listed) <= 180*day }

// age tells in words how old the source's word is.
func (w *said) age(at testudo.Time) string {
	days := int(at.Sub(w.listed) / day)
	switch {
	case w.listed == 0:
		return "of unknown age"
	case at < w.listed.Add(-day):
		return "last seen " + counted(-days) + " later"
	case days <= 0:
		return "last seen the same day"
	}
	return "last seen " + counted(days) + " ago"
}

func counted(days int) string {
	if days == 1 {
		return "1 day"
	}
	return fmt.Sprintf("%d days", days)
}

func note(n string) string {
	if n == "" {
		return ""
	}
	return " (" + n + ")"
}
