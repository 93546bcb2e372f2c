package bruteforce

import (
	"fmt"
	"math"
	"net/netip"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/detector"
)

// claim tells a series; t is given where it is that of a whole target.
func (s *series) claim(k key, t *target) testudo.Sighting {
	took := s.last.Sub(s.first)
	rate := s.peak / memorySpan.Minutes()
	where := fmt.Sprintf("%s (%s/%d)", k.to, wayNames[k.way], k.port)
	who := k.from.String()
	if t != nil {
		who = fmt.Sprintf("%d machines together", t.nwho+t.more)
	}
	what := "failed log-ins"
	if k.way == byShape || k.way == bySession {
		what = "conversations of one shape"
	}
	reasons := []testudo.Reason{
		{Family: testudo.Base, Weight: -4, Text: "people and programs mistype and forget"},
		{Family: testudo.Volume, Weight: detector.Cap(1.6*math.Log2(float64(s.failed)/4), 6), Text: fmt.Sprintf("%d %s in %s", s.failed, what, took.Round(time.Second))},
		{Family: testudo.Timing, Weight: detector.Cap(math.Log2(rate/2+0.5), 2), Text: fmt.Sprintf("%.1f a minute at worst; a person manages about two", rate)},
	}
	add := func(f testudo.Family, w float64, text string) {
		reasons = append(reasons, testudo.Reason{Family: f, Weight: w, Text: text})
	}
	if s.users > 1 {
		add(testudo.Content, detector.Cap(0.5*float64(s.users), 2), fmt.Sprintf("%d different accounts", s.users))
	}
	if t != nil {
		add(testudo.Company, 1, "several machines at the same time")
	}
	title := fmt.Sprintf("%s tries keys at %s", who, where)
	if t != nil {
		title = fmt.Sprintf("%s try keys at %s", who, where)
	}
	if k.way == bySession {
		add(testudo.Innocence, -3.5, "under TLS no log-in is seen to fail; that each opens a new conversation for a few words is all there is")
	}
	outcome := testudo.Noise
	switch {
	case k.way == byShape:
		title = fmt.Sprintf("%s begins the same short conversation over and over with %s", who, where)
		add(testudo.Innocence, -4.5, "no protocol said that a log-in failed; a monitor, a pool or a directory's clients look alike")
		outcome = testudo.Attempt
	case s.gotIn != 0:
		title = fmt.Sprintf("%s broke into %s after %d %s", who, where, s.failed, what)
		if t != nil {
			title = fmt.Sprintf("%v broke into %s after %d %s by %s", t.winner(), where, s.failed, what, who)
		}
		add(testudo.Content, 1.5, "then one worked")
		outcome = testudo.Success
	case s.ours || k.way == bySession || t != nil && t.unusual:
		outcome = testudo.Attempt
	}
	role := testudo.Exploiter
	if s.ours {
		role = testudo.Lateral
	}
	sg := testudo.Sighting{
		Detector: "bruteforce", Key: fmt.Sprintf("%v %s %d %s", k.from, k.to, k.port, wayNames[k.way]),
		Kind: testudo.Intrusion, Outcome: outcome, First: s.first, Last: s.last,
		Victims: []netip.Addr{k.to}, Title: title,
		Summary:    fmt.Sprintf("%d %s at %s in %s", s.failed, what, where, took.Round(time.Second)),
		Reasons:    reasons,
		Innocent:   "a program with an outdated password, or a tester of our own",
		Techniques: []string{"T1110"},
		Evidence: []testudo.Fact{
			{Name: "count", Value: s.failed},
			{Name: "per_minute", Value: math.Round(rate*10) / 10},
			{Name: "accounts", Value: s.users},
			{Name: "got_in", Value: s.gotIn != 0},
		},
		UIDs: append([]testudo.UID{}, s.uids[:min(s.tried, len(s.uids))]...),
	}
	if t != nil {
		sg.Key += " since " + s.first.String() // the next outburst is another one
	}
	if t == nil {
		sg.Servers = []testudo.Server{{Address: k.from, Role: role}}
		return sg
	}
	winner := t.winner()
	if winner.IsValid() {
		sg.Servers = append(sg.Servers, testudo.Server{Address: winner, Role: role})
	}
	for _, g := range t.who[:t.nwho] {
		if g.failed >= mistyped && g.from != winner {
			sg.Servers = append(sg.Servers, testudo.Server{Address: g.from, Role: role})
		}
	}
	return sg
}

// winner returns the first of several sources that got in, invalid for none.
func (t *target) winner() netip.Addr {
	for _, g := range t.who[:t.nwho] {
		if g.gotIn {
			return g.from
		}
	}
	return netip.Addr{}
}
