package channel

import (
	"fmt"
	"strings"

	"github.com/testudo-shield/testudo"
)

// attack is what one client's requests say for an attack on a web
// application: syntax that no ordinary client sends.
type attack struct {
	requests int
	classes  [classes]int
	forms    [forms]uint64 // different requests with such syntax, by hash
	formed   int           // how many, forms at most
	accepted int           // of those, what the application took
	size     int64         // how long its first answer to them was
	differs  bool          // not all were so long: one page for everything is no acceptance
	answered int           // of the requests with such syntax
	welcome  int           // of those, with a status below 400
	reached  int           // of those, taken by the application: welcome, or it choked
	inward   bool
	fruit    bool // an answer that only a command or a secret file gives
	example  string
}

// forms is how many different requests are told apart.
const forms = 8

// The classes of syntax.
const (
	query   = iota // SQL where a value belongs
	climb          // out of the folder, upward
	script         // a script where a value belongs
	lookup         // an expression for a template or a name service
	command        // a shell's or an interpreter's command
	secret         // files that hold a server's secrets
	classes
)

// syntax says in words what each class is, what it weighs and which technique
// it is.
var syntax = [classes]struct {
	words     string
	weight    float64
	technique string
	runs      bool // what is smuggled in is run, whatever the answer says
}{
	query:   {"SQL in place of a value", 3.6, "T1190", false},
	climb:   {"a path that climbs out of its folder", 3.6, "T1083", false},
	script:  {"a script in place of a value", 3.6, "T1059.007", false},
	lookup:  {"an expression for a template or a look-up", 3.8, "T1190", true},
	command: {"commands in place of a value", 3.8, "T1059", true},
	secret:  {"a file of secrets", 3, "T1552.001", false},
}

func (a *attack) take(r *testudo.HTTP) {
	if !r.HasRequest {
		return
	}
	a.requests++
	var room [1024]byte
	line := plain(room[:0], r.URI)
	hit := -1
	var head [256]byte
	for c := range classes {
		if smuggled(c, line) || c != climb && c != secret && r.RequestLen > 0 && r.RequestText > 0.9 && smuggled(c, plain(head[:0], r.RequestHead)) ||
			(c == command || c == lookup) && (smuggledAgent(c, r.UserAgent) || smuggledAgent(c, r.Referrer)) ||
			c == lookup && r.RequestType != "" && smuggled(c, plain(head[:0], r.RequestType)) {
			a.classes[c]++
			hit = c
		}
	}
	if hit < 0 {
		return
	}
	a.inward = !r.About.Outbound
	isNew := a.form(hash(r.URI) ^ hash(r.RequestHead) ^ hash(r.UserAgent))
	if a.example == "" {
		a.example = r.URI[:min(len(r.URI), 120)]
	}
	if r.HasResponse {
		a.fruit = a.fruit || yields(r.ResponseHead)
		a.answered++
		if r.Status < 400 {
			a.welcome++
		}
		if isNew && (r.Status/100 == 2 || r.Status == 500) {
			a.accept(r.ResponseLen)
		}
		if r.Status < 400 || r.Status == 400 || r.Status >= 500 && r.Status != 501 {
			a.reached++
		}
	}
}

// form remembers a request with such syntax and tells whether it is another.
func (a *attack) form(h uint64) bool {
	for _, f := range a.forms[:a.formed] {
		if f == h {
			return false
		}
	}
	if a.formed == forms {
		return false
	}
	a.forms[a.formed] = h
	a.formed++
	return true
}

// accept notes an answer of the application.
func (a *attack) accept(size int64) {
	if a.accepted == 0 {
		a.size = size
	}
	a.differs = a.differs || size != a.size
	a.accepted++
}

// took returns how many different requests the application took, as far as can
// be told.
func (a *attack) took() int {
	if !a.differs {
		return min(1, a.accepted)
	}
	return a.accepted
}

// weighAttack puts what the syntax says. One request with one class of it is
// written by people too, and a welcome says nothing of an application that
// welcomes all: it takes variety, or fruit. From outside only what was
// accepted counts, since attempts come from there all day; a machine of ours
// has no reason for any.
func (p *pair) weighAttack(k *scale) {
	a := &p.attack
	k.add(testudo.Base, rareAttack, "few clients attack")
	hits, kinds, most := 0, 0, 0.0
	for c, n := range a.classes {
		if n == 0 {
			continue
		}
		hits += n
		kinds++
		most = max(most, syntax[c].weight)
		k.add(testudo.Content, 0, "%d of %d requests with %s", n, a.requests, syntax[c].words)
	}
	if hits > 0 {
		k.add(testudo.Content, most+0.6*float64(kinds-1), "")
	}
	varied := a.took()
	if p.bothOurs {
		varied = a.formed
	}
	k.when(varied > 1, testudo.Volume, variety(varied), "%d different ones, %d of them taken by the application", a.formed, a.took())
	k.when(a.fruit, testudo.Content, 3.5, "an answer holds what only a command or a system's file gives")
	k.when(a.inward && !p.bothOurs && !a.fruit && varied < 3, testudo.Innocence, -0.5, "attempts come from outside all day")
	k.when(hits > 0 && !a.inward && !p.bothOurs, testudo.Innocence, -2.5, "a client of ours asks a server outside: pages of advertisements write such requests")
}

// variety weighs n different requests with such syntax.
func variety(n int) float64 {
	switch n {
	case 0, 1:
		return 0
	case 2:
		return 0.5
	case 3:
		return 1.2
	}
	return 1.5
}

func (p *pair) claimAttack(k ends, s *testudo.Sighting, server *testudo.Server) {
	a := &p.attack
	from, to := k.host, k.peer
	if a.inward {
		from, to = k.peer, k.host
	}
	var what, techniques []string
	runs := false
	for c, n := range a.classes {
		if n > 0 {
			what = append(what, syntax[c].words)
			if len(techniques) == 0 || techniques[len(techniques)-1] != syntax[c].technique {
				techniques = append(techniques, syntax[c].technique)
			}
			runs = runs || syntax[c].runs
		}
	}
	s.Kind, s.Outcome = testudo.Intrusion, testudo.Noise
	// What is smuggled in may run whatever the answer says, if it reached the
	// application at all; that nothing is there is said all day.
	if a.welcome > 0 || runs && (a.reached > 0 || a.answered == 0) {
		s.Outcome = testudo.Attempt
	}
	if a.fruit {
		s.Outcome = testudo.Success
	}
	s.Key = "attack " + from.String() + " " + to.String()
	s.Victims[0] = to
	*server = testudo.Server{Address: from, Role: testudo.Exploiter}
	s.Title = fmt.Sprintf("%s attacks the web application of %s with %s", from, to, strings.Join(what, ", "))
	s.Summary = fmt.Sprintf("%d requests, %d with such syntax answered, %d of them not refused", a.requests, a.answered, a.welcome)
	s.Innocent = "a test of our own, or a page about such attacks"
	s.Techniques = techniques
	s.Evidence = []testudo.Fact{{Name: "requests", Value: a.requests}, {Name: "answered", Value: a.answered}, {Name: "welcome", Value: a.welcome}, {Name: "example", Value: a.example}}
}
