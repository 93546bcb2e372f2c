// Package incident joins sightings that tell one story into one incident and
// decides how grave it is. Detectors claim; only this room decides. Its
// answer depends on the set of sightings alone, not on the order in which
// they came.
package incident

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/detector"
)

// Config bounds the room.
type Config struct {
	// Sightings is how many may be held; beyond it the one longest without
	// news gives way, unless it would be an incident for a person.
	Sightings int
	// NameOf returns what a machine of ours is called, "" if unknown.
	NameOf func(netip.Addr) string
	// DomainOf returns the registered domain of a name.
	DomainOf func(string) string
}

// Builder holds the sightings of a run.
type Builder struct {
	cfg Config `snapshot:"-"`
	all *detector.Table[key, testudo.Sighting]
}

type key struct{ detector, key string }

// sameStory is how far apart two attacks on one host may lie to be told as
// one story when nothing else joins them.
const sameStory = 24 * time.Hour

// New returns an empty Builder.
func New(cfg Config) *Builder {
	return &Builder{cfg: cfg, all: detector.NewTable[key, testudo.Sighting](cfg.Sightings)}
}

// Add takes a sighting. Of two with the same detector and key the one that
// reaches further in time stays, with the earlier beginning of both.
func (b *Builder) Add(s testudo.Sighting) {
	k := key{s.Detector, s.Key}
	v, isNew := b.all.Put(k)
	if !isNew {
		first := min(v.First, s.First)
		if s.Last < v.Last {
			s = *v
		}
		s.First = first
	}
	*v = s
	b.all.Keep(k, s.Score() >= 0.5)
}

// Len returns how many sightings are held.
func (b *Builder) Len() int { return b.all.Len() }

// Shed returns how many sightings fell to the budget.
func (b *Builder) Shed() int { return b.all.Shed() }

// Incidents returns what the sightings held so far amount to, ordered by
// (First, ID).
func (b *Builder) Incidents() []testudo.Incident {
	sightings := make([]testudo.Sighting, 0, b.all.Len())
	for _, s := range b.all.All {
		sightings = append(sightings, *s)
	}
	slices.SortFunc(sightings, func(x, y testudo.Sighting) int {
		return cmp.Or(cmp.Compare(x.First, y.First), cmp.Compare(x.Detector, y.Detector), cmp.Compare(x.Key, y.Key))
	})
	var incidents []testudo.Incident
	for _, story := range b.stories(sightings) {
		incidents = append(incidents, b.tell(story))
	}
	slices.SortFunc(incidents, func(x, y testudo.Incident) int {
		return cmp.Or(cmp.Compare(x.First, y.First), cmp.Compare(x.ID, y.ID))
	})
	return incidents
}

// stories groups sightings that share a server, or a victim within a day.
func (b *Builder) stories(sightings []testudo.Sighting) [][]testudo.Sighting {
	parent := make([]int, len(sightings))
	for i := range parent {
		parent[i] = i
	}
	find := func(i int) int {
		for parent[i] != i {
			parent[i] = parent[parent[i]]
			i = parent[i]
		}
		return i
	}
	latest := map[string]int{}  // the sighting that last bore a tie
	lasting := map[string]int{} // the one that last bore it and was not brief
	unite := func(i, j int) {
		x, y := find(i), find(j)
		parent[max(x, y)] = min(x, y)
	}
	for i := range sightings {
		for _, t := range b.ties(&sightings[i]) {
			if j, ok := latest[t.name]; ok && (!t.brief || sightings[i].First.Sub(sightings[j].Last) <= sameStory) {
				unite(i, j)
			}
			if !t.brief {
				if j, ok := lasting[t.name]; ok {
					unite(i, j)
				}
				lasting[t.name] = i
			}
			if j, ok := latest[t.name]; !ok || sightings[i].Last >= sightings[j].Last {
				latest[t.name] = i
			}
		}
	}
	var order []int
	groups := map[int][]testudo.Sighting{}
	for i := range sightings {
		root := find(i)
		if groups[root] == nil {
			order = append(order, root)
		}
		groups[root] = append(groups[root], sightings[i])
	}
	stories := make([][]testudo.Sighting, 0, len(order))
	for _, root := range order {
		stories = append(stories, groups[root])
	}
	return stories
}

// A tie is something by which two sightings belong together; a brief one
// only holds for sameStory.
type tie struct {
	name  string
	brief bool
}

func (b *Builder) ties(s *testudo.Sighting) (ties []tie) {
	add := func(kind, name string, brief bool) { ties = append(ties, tie{kind + name, brief}) }
	if s.Kind == testudo.Policy {
		for _, v := range s.Victims {
			add(s.Detector+" ", v.String(), true)
		}
		return ties
	}
	if s.Kind == testudo.Flood {
		for _, v := range s.Victims {
			add("flood ", v.String(), true)
		}
		return ties
	}
	for _, v := range s.Servers {
		if v.Address.IsValid() {
			add("machine ", v.Address.String(), s.Kind == testudo.Scan)
		}
		for _, n := range v.Names {
			if v.Shared {
				add("name ", n, false)
			} else {
				add("name ", b.cfg.DomainOf(n), false)
			}
		}
	}
	if s.Kind != testudo.Scan && s.Outcome != testudo.Noise {
		for _, v := range s.Victims {
			add("machine ", v.String(), true)
		}
	}
	return ties
}

// best returns the gravest, then surest sighting of a story.
func best(story []testudo.Sighting) *testudo.Sighting {
	best := &story[0]
	for i := range story {
		if s := &story[i]; cmp.Or(cmp.Compare(severity(s), severity(best)), cmp.Compare(weight(s.Kind), weight(best.Kind)), cmp.Compare(s.Logit(), best.Logit())) > 0 {
			best = s
		}
	}
	return best
}

// weight orders kinds of equal severity by which tells the story: that a
// machine is driven from outside says more than that it scans.
func weight(k testudo.Kind) int {
	switch k {
	case testudo.Policy:
		return 0
	case testudo.Scan:
		return 1
	case testudo.Flood:
		return 2
	}
	return 3
}

// tell makes one incident of one story's sightings.
func (b *Builder) tell(story []testudo.Sighting) testudo.Incident {
	best := best(story)
	inc := testudo.Incident{
		ID:        id(&story[0]),
		Kind:      best.Kind,
		Title:     best.Title,
		First:     story[0].First,
		Sightings: story,
	}
	for i := range story {
		inc.Last = max(inc.Last, story[i].Last)
	}
	inc.Explanation = explain(best, story)
	inc.Score = testudo.SumReasons(inc.Explanation)
	inc.Confidence = testudo.Probability(inc.Score)
	inc.Severity = min(grade(inc.Confidence), ceiling(best))
	inc.Victims, inc.Servers = b.victims(story), b.servers(best, inc.Confidence, story)
	inc.Severity = raise(inc.Severity, &inc)
	inc.Urgency = urgency(&inc)
	for i := range story {
		for _, t := range story[i].Techniques {
			if !slices.Contains(inc.Techniques, t) {
				inc.Techniques = append(inc.Techniques, t)
			}
		}
		if in := story[i].Innocent; in != "" && !slices.Contains(inc.Innocent, in) {
			inc.Innocent = append(inc.Innocent, in)
		}
	}
	slices.Sort(inc.Techniques)
	return inc
}

// explain takes the best sighting's addends and one for each other detector
// that saw the same story: together they make the incident's score.
func explain(best *testudo.Sighting, story []testudo.Sighting) []testudo.Reason {
	reasons := slices.Clone(best.Reasons)
	helped := map[string]bool{best.Detector: true}
	room := 2.0
	for i := range story {
		s := &story[i]
		weight := min(0.3*s.Logit(), 1, room)
		// What goes on all day without success proves nothing, however often.
		// Two detectors that read the same conversations saw one thing twice.
		if helped[s.Detector] || weight < 0.01 || s.Outcome == testudo.Noise || overlap(s.UIDs, best.UIDs) {
			continue
		}
		helped[s.Detector] = true
		room -= weight
		reasons = append(reasons, testudo.Reason{
			Family: testudo.Company, Weight: weight,
			Text: "part of the same story: " + s.Title,
		})
	}
	return reasons
}

func overlap(a, b []testudo.UID) bool {
	return slices.ContainsFunc(a, func(u testudo.UID) bool { return u != 0 && slices.Contains(b, u) })
}

func (b *Builder) victims(story []testudo.Sighting) (victims []testudo.Victim) {
	seen := map[netip.Addr]bool{}
	for i := range story {
		for _, v := range story[i].Victims {
			if !seen[v] {
				seen[v] = true
				victims = append(victims, testudo.Victim{Address: v, Name: b.cfg.NameOf(v)})
			}
		}
	}
	slices.SortFunc(victims, func(x, y testudo.Victim) int { return x.Address.Compare(y.Address) })
	return victims
}

// maxServers keeps the list few and sure.
const maxServers = 8

// servers joins what the sightings say of each machine of the adversary.
// Sightings that are not likely by themselves, or much less grave than the
// gravest, name no server: what merely stood near is evidence.
func (b *Builder) servers(best *testudo.Sighting, confidence float64, story []testudo.Sighting) (servers []testudo.NamedServer) {
	take := func(s *testudo.Sighting) {
		if s.Logit() < min(0, best.Logit()) || severity(s)+1 < severity(best) {
			return
		}
		p := s.Score()
		if s == best {
			p = max(p, confidence)
		}
		for _, v := range s.Servers {
			servers = join(servers, testudo.NamedServer{Server: v, Confidence: p})
		}
	}
	take(best) // it knows best whom to name first
	for i := range story {
		if &story[i] != best {
			take(&story[i])
		}
	}
	slices.SortStableFunc(servers, func(x, y testudo.NamedServer) int {
		return cmp.Or(cmp.Compare(commands(y.Role), commands(x.Role)), cmp.Compare(math.Round(100*y.Confidence), math.Round(100*x.Confidence)))
	})
	return fewest(servers)
}

// commands is 1 for the roles in which a server holds a machine of ours: it
// comes before those that only knocked.
func commands(r testudo.ServerRole) int {
	switch r {
	case testudo.C2, testudo.TunnelEnd, testudo.ExfilSink, testudo.Controller:
		return 1
	}
	return 0
}

// fewest cuts the list to maxServers, the surest of each role before the
// second of any: twelve who tried keys must not hide the one that commands.
func fewest(servers []testudo.NamedServer) []testudo.NamedServer {
	if len(servers) <= maxServers {
		return servers
	}
	seen := map[testudo.ServerRole]bool{}
	var firsts, rest []testudo.NamedServer
	for _, s := range servers {
		if seen[s.Role] {
			rest = append(rest, s)
			continue
		}
		seen[s.Role] = true
		firsts = append(firsts, s)
	}
	return append(firsts, rest...)[:maxServers]
}

func join(servers []testudo.NamedServer, v testudo.NamedServer) []testudo.NamedServer {
	for i := range servers {
		s := &servers[i]
		same := v.Address.IsValid() && s.Address == v.Address
		if !v.Address.IsValid() || !s.Address.IsValid() {
			same = len(v.Names) > 0 && len(s.Names) > 0 && slices.ContainsFunc(v.Names, func(n string) bool { return slices.Contains(s.Names, n) })
		}
		if !same {
			continue
		}
		if !s.Address.IsValid() {
			s.Address = v.Address
		}
		s.Names, s.Ports = union(s.Names, v.Names), union(s.Ports, v.Ports)
		if v.Confidence > s.Confidence {
			s.Confidence, s.Role = v.Confidence, v.Role
		}
		s.Shared = s.Shared || v.Shared
		return servers
	}
	v.Names, v.Ports = union(nil, v.Names), union(nil, v.Ports)
	return append(servers, v)
}

func union(a, b []string) []string {
	out := slices.Concat(a, b)
	slices.Sort(out)
	return slices.Compact(out)
}

const crockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// id derives 60 bits from the first sighting, which later ones do not change.
func id(s *testudo.Sighting) string {
	h := fnv.New64a()
	fmt.Fprintf(h, "%s\x00%s\x00%d", s.Detector, s.Key, s.First)
	x := h.Sum64()
	x ^= x >> 29
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 32
	var out strings.Builder
	out.WriteString("INC-")
	for range 12 {
		out.WriteByte(crockford[x&31])
		x >>= 5
	}
	return out.String()
}
