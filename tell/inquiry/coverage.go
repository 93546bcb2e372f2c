package inquiry

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/testudo-shield/testudo"
)

// slack is how far two heartbeats may be apart and still be one recording.
const slack = 2 * time.Second

// Cover works out how much of a period was recorded, by the heartbeats of all
// sensors in any order, also from outside of the period: a link that was
// recorded at any time and not in the period is all gap. Of a heartbeat that
// is only partly within the period, packets and losses count whole.
func Cover(from, to testudo.Time, beats []testudo.Heartbeat) testudo.Coverage {
	c := testudo.Coverage{From: from, To: max(from, to)}
	beats = slices.Clone(beats)
	slices.SortStableFunc(beats, func(a, b testudo.Heartbeat) int {
		return cmp.Or(cmp.Compare(a.Sensor, b.Sensor), cmp.Compare(a.Link, b.Link), cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To), cmp.Compare(a.End, b.End))
	})
	for i := 0; i < len(beats); {
		k := i
		for k < len(beats) && beats[k].Sensor == beats[i].Sensor && beats[k].Link == beats[i].Link {
			k++
		}
		c.Links = append(c.Links, link(c.From, c.To, beats[i:k]))
		i = k
	}
	return c
}

// link joins the heartbeats of one link, which are sorted.
func link(from, to testudo.Time, beats []testudo.Heartbeat) testudo.Link {
	l := testudo.Link{Sensor: beats[0].Sensor, Name: beats[0].Link}
	at, why := from, "" // recorded or told as gap until here
	var end testudo.Time
	for _, b := range beats {
		if b.From < to && b.To > from {
			l.Packets += b.Packets
			l.Lost = addLost(l.Lost, b.Lost)
			s := testudo.Span{From: max(b.From, from), To: min(b.To, to)}
			n := len(l.Recorded)
			switch {
			case n > 0 && s.From <= l.Recorded[n-1].To.Add(slack):
				l.Recorded[n-1].To = max(l.Recorded[n-1].To, s.To)
			default:
				l.Gaps = addGap(l.Gaps, at, s.From, why)
				l.Recorded = append(l.Recorded, s)
			}
			at = max(at, s.To)
		}
		if b.To >= end && b.From < to {
			end, why = b.To, b.End
		}
	}
	l.Gaps = addGap(l.Gaps, at, to, why)
	return l
}

func addGap(gaps []testudo.Gap, from, to testudo.Time, why string) []testudo.Gap {
	if to <= from || len(gaps) == 0 && to.Sub(from) <= 0 {
		return gaps
	}
	return append(gaps, testudo.Gap{Span: testudo.Span{From: from, To: to}, Cause: why})
}

func addLost(sum, more []testudo.Shed) []testudo.Shed {
	for _, m := range more {
		if i := slices.IndexFunc(sum, func(s testudo.Shed) bool { return s.Cause == m.Cause }); i >= 0 {
			sum[i].Count += m.Count
		} else if m.Count > 0 {
			sum = append(sum, m)
		}
	}
	slices.SortFunc(sum, func(a, b testudo.Shed) int { return cmp.Compare(a.Cause, b.Cause) })
	return sum
}

// Share is how much of all links' time was recorded, 0 to 1; 0 where no link
// is known.
func Share(c testudo.Coverage) float64 {
	whole := float64(c.To.Sub(c.From)) * float64(len(c.Links))
	if whole <= 0 {
		return 0
	}
	return min(float64(recorded(c))/whole, 1)
}

func recorded(c testudo.Coverage) (sum time.Duration) {
	for i := range c.Links {
		for _, s := range c.Links[i].Recorded {
			sum += s.Length()
		}
	}
	return sum
}

// Words tells a coverage in a sentence without its full stop: "recorded 166 of
// 168 h on 2 of 2 links (98.8 %); gaps: eth1 Tue 03:10 to 05:02 (sensor
// stopped)". The hours are those of a link that was recorded, on average.
func Words(c testudo.Coverage, zone *time.Location) string {
	active := 0
	for i := range c.Links {
		if len(c.Links[i].Recorded) > 0 {
			active++
		}
	}
	period := c.To.Sub(c.From)
	switch {
	case period <= 0:
		return "how much was recorded is not known"
	case len(c.Links) == 0:
		return "recorded nothing: no sensor was watching"
	case active == 0:
		return fmt.Sprintf("recorded nothing on %s in %s", many(int64(len(c.Links)), "link", "links"), hours(period, period))
	}
	s := fmt.Sprintf("recorded %s of %s on %d of %s (%s)", strings.TrimSuffix(hours(recorded(c)/time.Duration(active), period), unitOf(period)),
		hours(period, period), active, many(int64(len(c.Links)), "link", "links"), percent(Share(c)))
	if g := gapWords(c, zoneOr(zone)); g != "" {
		s += "; gaps: " + g
	}
	return s + lostWords(c)
}

func zoneOr(z *time.Location) *time.Location {
	if z == nil {
		return time.UTC
	}
	return z
}

// percent never says all where something is missing, nor nothing where
// something is there.
func percent(share float64) string {
	p := math.Floor(share*1000) / 10
	if p == 0 && share > 0 {
		return "less than 0.1 %"
	}
	return fmt.Sprintf("%.4g %%", p)
}

// unitOf is what a period is counted in.
func unitOf(period time.Duration) string {
	switch {
	case period < 2*time.Minute:
		return " s"
	case period < 2*time.Hour:
		return " min"
	}
	return " h"
}

// hours tells a part of a period in the period's unit, rounded down.
func hours(d, period time.Duration) string {
	unit := map[string]time.Duration{" s": time.Second, " min": time.Minute, " h": time.Hour}[unitOf(period)]
	n := float64(d) / float64(unit)
	if n >= 100 {
		return fmt.Sprintf("%s%s", grouped(int64(n)), unitOf(period))
	}
	return fmt.Sprintf("%.3g%s", math.Floor(n*10)/10, unitOf(period))
}

// gapWords tells the three longest gaps in order of time.
func gapWords(c testudo.Coverage, zone *time.Location) string {
	const shown = 3
	type gap struct {
		testudo.Gap
		link string
	}
	sensors := map[string]bool{}
	for i := range c.Links {
		sensors[c.Links[i].Sensor] = true
	}
	var all []gap
	for i := range c.Links {
		name := c.Links[i].Name
		if len(sensors) > 1 {
			name = c.Links[i].Sensor + "/" + name
		}
		for _, g := range c.Links[i].Gaps {
			all = append(all, gap{g, name})
		}
	}
	slices.SortStableFunc(all, func(a, b gap) int { return cmp.Compare(b.Length(), a.Length()) })
	more := len(all) - shown
	all = all[:min(len(all), shown)]
	slices.SortStableFunc(all, func(a, b gap) int { return cmp.Compare(a.From, b.From) })
	var words []string
	for _, g := range all {
		w := clean(g.link) + " throughout"
		if g.From > c.From || g.To < c.To {
			w = clean(g.link) + " " + span(g.Span, c, zone)
		}
		if g.Cause != "" {
			w += " (" + clean(g.Cause) + ")"
		}
		words = append(words, w)
	}
	if more > 0 {
		words = append(words, fmt.Sprintf("and %s shorter", grouped(int64(more))))
	}
	return strings.Join(words, ", ")
}

// span tells an interval with as much of the date as the period needs.
func span(s testudo.Span, c testudo.Coverage, zone *time.Location) string {
	from, to := s.From.Std().In(zone), s.To.Std().In(zone)
	day := "Mon "
	if c.To.Sub(c.From) > 7*24*time.Hour {
		day = "Mon 2 Jan "
	}
	clock := "15:04"
	if s.Length() < 2*time.Minute {
		clock = "15:04:05"
	}
	end := clock
	if from.YearDay() != to.YearDay() || from.Year() != to.Year() {
		end = day + clock
	}
	return from.Format(day+clock) + " to " + to.Format(end)
}

// lostWords tells what was lost while it was recorded.
func lostWords(c testudo.Coverage) string {
	var packets, lost int64
	var causes []testudo.Shed
	for i := range c.Links {
		packets += c.Links[i].Packets
		causes = addLost(causes, c.Links[i].Lost)
	}
	words := make([]string, 0, len(causes))
	for _, s := range causes {
		lost += s.Count
		words = append(words, clean(s.Cause)+" "+grouped(s.Count))
	}
	if lost == 0 {
		return ""
	}
	return fmt.Sprintf("; lost %s of %s packets: %s", grouped(lost), grouped(packets+lost), strings.Join(words, ", "))
}

// Nothing is the sentence for what was not found. It never comes without its
// coverage.
func Nothing(what string, c testudo.Coverage, zone *time.Location) string {
	if Share(c) == 0 {
		return "It cannot be said whether " + clean(what) + " occurred: " + Words(c, zone) + "."
	}
	return "Nothing found of " + clean(what) + ": " + Words(c, zone) + "."
}

type coverageJSON struct {
	From  testudo.Time `json:"from"`
	To    testudo.Time `json:"to"`
	Share float64      `json:"share"`
	Links []linkJSON   `json:"links"`
	Words string       `json:"words"`
}

type linkJSON struct {
	Sensor   string     `json:"sensor"`
	Link     string     `json:"link"`
	Recorded float64    `json:"recorded_s"`
	Packets  int64      `json:"packets"`
	Lost     []lostJSON `json:"lost"`
	Gaps     []gapJSON  `json:"gaps"`
}

type lostJSON struct {
	Cause string `json:"cause"`
	Count int64  `json:"count"`
}

type gapJSON struct {
	From  testudo.Time `json:"from"`
	To    testudo.Time `json:"to"`
	Cause string       `json:"cause,omitempty"`
}

func newCoverageJSON(c testudo.Coverage) coverageJSON {
	j := coverageJSON{c.From, c.To, math.Floor(Share(c)*1e6) / 1e6, []linkJSON{}, Words(c, time.UTC)}
	for i := range c.Links {
		l := &c.Links[i]
		n := linkJSON{Sensor: l.Sensor, Link: l.Name, Packets: l.Packets, Lost: []lostJSON{}, Gaps: []gapJSON{}}
		for _, s := range l.Recorded {
			n.Recorded += s.Length().Seconds()
		}
		n.Recorded = math.Round(n.Recorded*1e6) / 1e6
		for _, s := range l.Lost {
			n.Lost = append(n.Lost, lostJSON(s))
		}
		for _, g := range l.Gaps {
			n.Gaps = append(n.Gaps, gapJSON{g.From, g.To, g.Cause})
		}
		j.Links = append(j.Links, n)
	}
	return j
}
