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
	answered int // of the requests with such syntax
	welcome  int // of those, with a status below 400
	reached  int // of those, taken by the application: welcome, or it choked
	inward   bool
	fruit    bool // an answer that only a command or a secret file gives
	example  string
}

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
	query:   {"SQL in place of a value", 4.5, "T1190", false},
	climb:   {"a path that climbs out of its folder", 4.5, "T1083", false},
	script:  {"a script in place of a value", 4.5, "T1059.007", false},
	lookup:  {"an expression for a template or a look-up", 5.5, "T1190", true},
	command: {"commands in place of a value", 5.5, "T1059", true},
	secret:  {"a file of secrets", 3.5, "T1552.001", false},
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
	if a.example == "" {
		a.example = r.URI[:min(len(r.URI), 120)]
	}
	if r.HasResponse {
		a.fruit = a.fruit || yields(r.ResponseHead)
		a.answered++
		if r.Status < 400 {
			a.welcome++
		}
		if r.Status < 400 || r.Status == 400 || r.Status >= 500 && r.Status != 501 {
			a.reached++
		}
	}
}

// weighAttack puts what the syntax says.
func (p *pair) weighAttack(k *scale) {
	a := &p.attack
	if k.put(testudo.Base, rareAttack) {
		k.say(testudo.Base, "few clients attack")
	}
	hits, kinds := 0, 0
	for c, n := range a.classes {
		if n == 0 {
			continue
		}
		hits += n
		kinds++
		w := syntax[c].weight
		if kinds > 1 {
			w = 1
		}
		if k.put(testudo.Content, w) {
			k.say(testudo.Content, "%d requests with %s", n, syntax[c].words)
		}
	}
	if hits > 1 {
		if k.put(testudo.Volume, min(1.5, 0.4*float64(hits-1))) {
			k.say(testudo.Volume, "%d of %d requests", hits, a.requests)
		}
	}
	if a.welcome > 0 {
		if k.put(testudo.Content, 0.5) {
			k.say(testudo.Content, "%d of them were not refused", a.welcome)
		}
	}
	if a.fruit {
		if k.put(testudo.Content, 2) {
			k.say(testudo.Content, "an answer holds what only a command or a system's file gives")
		}
	}
	if hits > 0 && !a.inward && !p.bothOurs {
		if k.put(testudo.Innocence, -2.5) {
			k.say(testudo.Innocence, "a client of ours asks a server outside: pages of advertisements write such requests")
		}
	}
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
	s.Summary = fmt.Sprintf("%d requests, %d answered, %d of them not refused", a.requests, a.answered, a.welcome)
	s.Innocent = "a test of our own, or a page about such attacks"
	s.Techniques = techniques
	s.Evidence = []testudo.Fact{{Name: "requests", Value: a.requests}, {Name: "answered", Value: a.answered}, {Name: "welcome", Value: a.welcome}, {Name: "example", Value: a.example}}
}
