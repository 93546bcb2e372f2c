package incident

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/testudo-shield/testudo"
)

const t0 = testudo.Time(1_700_000_000_000_000_000)

func at(d time.Duration) testudo.Time { return t0.Add(d) }

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func builder(limit int) *Builder {
	return New(Config{
		Sightings: limit,
		NameOf: func(a netip.Addr) string {
			if a == addr("10.0.0.5") {
				return "fin-pc-14"
			}
			return ""
		},
		DomainOf: func(n string) string { // the last two labels are enough here
			labels := strings.Split(n, ".")
			return strings.Join(labels[max(0, len(labels)-2):], ".")
		},
	})
}

// claim is a sighting by one detector of one victim and one server.
func claim(detector, victim, server string, when time.Duration, logit float64) testudo.Sighting {
	s := testudo.Sighting{
		Detector: detector, Key: victim + " " + server, Kind: testudo.Espionage, Outcome: testudo.Success,
		First: at(when), Last: at(when + time.Minute), Title: victim + " and " + server,
		Reasons: []testudo.Reason{
			{Family: testudo.Base, Weight: -2, Text: "rare"},
			{Family: testudo.Timing, Weight: logit + 2, Text: "regular"},
		},
		Innocent: "an updater", Techniques: []string{"T1573", "T1071"},
	}
	if victim != "" {
		s.Victims = []netip.Addr{addr(victim)}
	}
	if server != "" {
		s.Servers = []testudo.Server{{Address: addr(server), Role: testudo.C2, Ports: []string{"tcp/443"}}}
	}
	return s
}

func named(s testudo.Sighting, names ...string) testudo.Sighting {
	s.Servers[0].Names = names
	return s
}

func of(kind testudo.Kind, outcome testudo.Outcome, s testudo.Sighting) testudo.Sighting {
	s.Kind, s.Outcome = kind, outcome
	return s
}

// incidents runs the sightings through a builder of their own.
func incidents(sightings ...testudo.Sighting) []testudo.Incident {
	b := builder(1000)
	for _, s := range sightings {
		b.Add(s)
	}
	return b.Incidents()
}

// TestStories holds what is told as one story and what is not.
func TestStories(t *testing.T) {
	const day = 24 * time.Hour
	scans := func(n int) (all []testudo.Sighting) {
		for i := range n {
			s := of(testudo.Scan, testudo.Noise, claim("scan", fmt.Sprintf("10.0.0.%d", i+1), "203.0.113.9", time.Duration(i)*time.Minute, 3))
			all = append(all, s)
		}
		return all
	}
	for _, c := range []struct {
		name      string
		sightings []testudo.Sighting
		want      int
	}{
		{"nothing", nil, 0},
		{"one", []testudo.Sighting{claim("beacon", "10.0.0.5", "203.0.113.7", 0, 4)}, 1},
		{"one host, three addresses of one domain", []testudo.Sighting{
			named(claim("beacon", "10.0.0.5", "203.0.113.7", 0, 4), "a.spy.example"),
			named(claim("beacon", "10.0.0.5", "203.0.113.8", 3*day, 4), "b.spy.example"),
			named(claim("exfil", "10.0.0.5", "203.0.113.9", 6*day, 4), "spy.example"),
		}, 1},
		{"three hosts, one server, days apart", []testudo.Sighting{
			claim("beacon", "10.0.0.5", "203.0.113.7", 0, 4),
			claim("beacon", "10.0.0.6", "203.0.113.7", 5*day, 4),
			claim("beacon", "10.0.0.7", "203.0.113.7", 10*day, 4),
		}, 1},
		{"one server, with its scan between", []testudo.Sighting{
			claim("beacon", "10.0.0.5", "203.0.113.7", 0, 4),
			of(testudo.Scan, testudo.Noise, claim("scan", "10.0.0.99", "203.0.113.7", 3*day, 4)),
			claim("beacon", "10.0.0.6", "203.0.113.7", 6*day, 4),
		}, 1},
		{"fifty scans by one host", scans(50), 1},
		{"scans by one host, two days apart", append(scans(1), of(testudo.Scan, testudo.Noise, claim("scan", "10.0.0.77", "203.0.113.9", 2*day, 3))), 2},
		{"two scanners of one victim", []testudo.Sighting{
			of(testudo.Scan, testudo.Noise, claim("scan", "10.0.0.5", "203.0.113.9", 0, 3)),
			of(testudo.Scan, testudo.Noise, claim("scan", "10.0.0.5", "203.0.113.10", 0, 3)),
		}, 2},
		{"a victim, two servers within the day", []testudo.Sighting{
			claim("beacon", "10.0.0.5", "203.0.113.7", 0, 4), claim("exfil", "10.0.0.5", "203.0.113.8", 20*time.Hour, 4),
		}, 1},
		{"a victim, two servers two days apart", []testudo.Sighting{
			claim("beacon", "10.0.0.5", "203.0.113.7", 0, 4), claim("exfil", "10.0.0.5", "203.0.113.8", 2*day, 4),
		}, 2},
		{"a victim, the same server two days apart", []testudo.Sighting{
			claim("beacon", "10.0.0.5", "203.0.113.7", 0, 4), claim("exfil", "10.0.0.5", "203.0.113.7", 2*day, 4),
		}, 1},
		{"a victim that attacks others three days later", []testudo.Sighting{
			claim("beacon", "10.0.0.5", "203.0.113.7", 0, 4),
			of(testudo.Intrusion, testudo.Success, claim("bruteforce", "10.0.0.6", "10.0.0.5", 3*day, 4)),
		}, 1},
		{"a flood and a spy on one host", []testudo.Sighting{
			claim("beacon", "10.0.0.5", "203.0.113.7", 0, 4), of(testudo.Flood, testudo.Attempt, claim("flood", "10.0.0.5", "", 0, 4)),
		}, 2},
		{"policy does not join", []testudo.Sighting{
			claim("beacon", "10.0.0.5", "203.0.113.7", 0, 4), of(testudo.Policy, testudo.Noise, claim("cleartext", "10.0.0.5", "192.0.2.1", 0, 1)),
		}, 2},
		{"a shared host's names stay apart", []testudo.Sighting{
			sharedHost(claim("beacon", "10.0.0.5", "203.0.113.7", 0, 4), "a.cloud.example"),
			sharedHost(claim("beacon", "10.0.0.6", "203.0.113.8", 0, 4), "b.cloud.example"),
		}, 2},
		{"only names known", []testudo.Sighting{
			nameOnly(claim("tunnel", "10.0.0.5", "203.0.113.7", 0, 4), "a.spy.example"),
			nameOnly(claim("tunnel", "10.0.0.6", "203.0.113.7", 9*day, 4), "b.spy.example"),
		}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := incidents(c.sightings...)
			if len(got) != c.want {
				for _, inc := range got {
					t.Logf("%s: %d sightings", inc.Title, len(inc.Sightings))
				}
				t.Errorf("%d incidents, want %d", len(got), c.want)
			}
		})
	}
}

func sharedHost(s testudo.Sighting, name string) testudo.Sighting {
	s.Servers[0].Names, s.Servers[0].Shared = []string{name}, true
	return s
}

func nameOnly(s testudo.Sighting, name string) testudo.Sighting {
	s.Servers[0].Address, s.Servers[0].Names = netip.Addr{}, []string{name}
	return s
}

// many is a month of a thousand claims of all kinds about few machines.
func many(seed uint64, n int) (all []testudo.Sighting) {
	r := rand.New(rand.NewPCG(seed, 5))
	kinds := []testudo.Kind{testudo.Espionage, testudo.Intrusion, testudo.Flood, testudo.Scan, testudo.Policy, testudo.Control}
	for i := range n {
		s := claim([]string{"beacon", "exfil", "scan", "flood", "tunnel"}[r.IntN(5)],
			fmt.Sprintf("10.0.0.%d", r.IntN(30)+1), fmt.Sprintf("203.0.113.%d", r.IntN(60)+1),
			time.Duration(r.Int64N(int64(30*24*time.Hour))), r.Float64()*12-4)
		s.Key = fmt.Sprint(s.Key, " ", i)
		s.Kind, s.Outcome = kinds[r.IntN(len(kinds))], testudo.Outcome(r.IntN(3))
		if r.IntN(3) == 0 {
			s = named(s, fmt.Sprintf("h%d.spy%d.example", i, r.IntN(20)))
		}
		s.Reasons = append(s.Reasons, testudo.Reason{Family: testudo.Rarity, Weight: r.NormFloat64() / 3, Text: "seldom"})
		all = append(all, s)
	}
	return all
}

// TestOrderOfArrival holds that incidents, their ids included, depend on the
// set of sightings alone.
func TestOrderOfArrival(t *testing.T) {
	for seed := range uint64(4) {
		all := many(seed, 300)
		want := incidents(all...)
		r := rand.New(rand.NewPCG(seed, 6))
		for range 10 {
			r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
			got := incidents(all...)
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("seed %d: %d incidents in one order, %d in another, or told otherwise", seed, len(want), len(got))
			}
		}
	}
}

// TestInvariants holds what every incident promises.
func TestInvariants(t *testing.T) {
	form := regexp.MustCompile(`^INC-[0-9A-HJKMNP-TV-Z]{12}$`)
	all := incidents(many(9, 800)...)
	ids := map[string]bool{}
	sightings := 0
	for i, inc := range all {
		if !form.MatchString(inc.ID) || ids[inc.ID] {
			t.Errorf("id %q", inc.ID)
		}
		ids[inc.ID] = true
		if sum := testudo.SumReasons(inc.Explanation); sum != inc.Score || math.Abs(inc.Confidence-testudo.Probability(sum)) > 1e-12 {
			t.Errorf("%s: the explanation sums to %v, the score is %v, confidence %v", inc.ID, sum, inc.Score, inc.Confidence)
		}
		var printed float64 // what a reader adds up
		for _, r := range inc.Explanation {
			var w float64
			if _, err := fmt.Sscanf(r.String(), "%f", &w); err != nil {
				t.Fatal(err)
			}
			printed += w
		}
		if math.Abs(printed-inc.Score) > 1e-9 {
			t.Errorf("%s: as printed it sums to %v, the score is %v", inc.ID, printed, inc.Score)
		}
		if inc.Urgency < 0 || inc.Urgency > 100 || len(inc.Servers) > maxServers || inc.Last < inc.First || inc.Title == "" {
			t.Errorf("%s: urgency %d, %d servers, from %v to %v", inc.ID, inc.Urgency, len(inc.Servers), inc.First, inc.Last)
		}
		if i > 0 && (inc.First < all[i-1].First || inc.First == all[i-1].First && inc.ID < all[i-1].ID) {
			t.Errorf("%s is out of order", inc.ID)
		}
		if !slices.IsSorted(inc.Techniques) {
			t.Errorf("techniques %v", inc.Techniques)
		}
		sightings += len(inc.Sightings)
	}
	if sightings != 800 {
		t.Errorf("%d sightings in all", sightings)
	}
}

// TestStableID holds that an incident keeps its id while it grows.
func TestStableID(t *testing.T) {
	b := builder(100)
	b.Add(claim("beacon", "10.0.0.5", "203.0.113.7", 0, 2))
	id := b.Incidents()[0].ID
	grown := claim("beacon", "10.0.0.5", "203.0.113.7", time.Hour, 6) // claimed again, with a later beginning
	b.Add(grown)
	b.Add(claim("exfil", "10.0.0.5", "203.0.113.7", 2*time.Hour, 9))
	got := b.Incidents()
	if len(got) != 1 || got[0].ID != id || got[0].First != t0 || len(got[0].Sightings) != 2 {
		t.Errorf("%d incidents, id %s, was %s, first %v", len(got), got[0].ID, id, got[0].First)
	}
	if got[0].Score < 9 || got[0].Last != grown.Last.Add(time.Hour) {
		t.Errorf("score %v, last %v", got[0].Score, got[0].Last)
	}
	b.Add(claim("beacon", "10.0.0.5", "203.0.113.7", 0, -3)) // an old claim, told late
	if again := b.Incidents(); !reflect.DeepEqual(again, got) {
		t.Error("an old claim replaced a newer one")
	}
	if other := incidents(claim("beacon", "10.0.0.6", "203.0.113.7", 0, 2)); other[0].ID == id {
		t.Error("another victim, the same id")
	}
}

// TestCompany holds how much detectors that agree help, and that none does
// twice or against.
func TestCompany(t *testing.T) {
	best := claim("beacon", "10.0.0.5", "203.0.113.7", 0, 5)
	for _, c := range []struct {
		name string
		more []testudo.Sighting
		want float64
	}{
		{"alone", nil, 5},
		{"one more", []testudo.Sighting{claim("exfil", "10.0.0.5", "203.0.113.7", 1, 2)}, 5.6},
		{"a strong one helps by one at most", []testudo.Sighting{claim("exfil", "10.0.0.5", "203.0.113.7", 1, 4.9)}, 6},
		{"the same detector again", []testudo.Sighting{claim("beacon", "10.0.0.6", "203.0.113.7", 1, 4)}, 5},
		{"a weak one", []testudo.Sighting{claim("exfil", "10.0.0.5", "203.0.113.7", 1, -2)}, 5},
		{"many help by two at most", []testudo.Sighting{
			claim("a", "10.0.0.5", "203.0.113.7", 1, 4), claim("b", "10.0.0.5", "203.0.113.7", 2, 4),
			claim("c", "10.0.0.5", "203.0.113.7", 3, 4), claim("d", "10.0.0.5", "203.0.113.7", 4, 4),
		}, 7},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := incidents(append(c.more, best)...)
			if len(got) != 1 || math.Abs(got[0].Score-c.want) > 1e-9 {
				t.Errorf("%d incidents, score %v, want %v: %v", len(got), got[0].Score, c.want, got[0].Explanation)
			}
		})
	}
}

// TestSeverity is the table by which sightings are graded.
func TestSeverity(t *testing.T) {
	const sure, likely, unlikely = 4.0, 1.0, -1.0 // 0.98, 0.73, 0.27
	for _, c := range []struct {
		kind    testudo.Kind
		outcome testudo.Outcome
		logit   float64
		want    testudo.Severity
	}{
		{testudo.Scan, testudo.Noise, sure, testudo.Info},
		{testudo.Scan, testudo.Attempt, sure, testudo.Low},
		{testudo.Scan, testudo.Success, sure, testudo.Medium},
		{testudo.Scan, testudo.Success, unlikely, testudo.Low},
		{testudo.Intrusion, testudo.Noise, sure, testudo.Info},
		{testudo.Intrusion, testudo.Attempt, sure, testudo.Medium},
		{testudo.Intrusion, testudo.Success, likely, testudo.Medium},
		{testudo.Intrusion, testudo.Success, sure, testudo.High},
		{testudo.Espionage, testudo.Noise, sure, testudo.Low},
		{testudo.Espionage, testudo.Attempt, sure, testudo.Medium},
		{testudo.Espionage, testudo.Success, sure, testudo.High},
		{testudo.Espionage, testudo.Success, likely, testudo.Medium},
		{testudo.Espionage, testudo.Success, unlikely, testudo.Low},
		{testudo.Flood, testudo.Attempt, sure, testudo.Medium},
		{testudo.Flood, testudo.Success, sure, testudo.High},
		{testudo.Policy, testudo.Success, sure, testudo.Low},
		{testudo.Control, testudo.Success, sure, testudo.High},
		{testudo.Isolation, testudo.Success, likely, testudo.Medium},
	} {
		got := incidents(of(c.kind, c.outcome, claim("x", "10.0.0.5", "203.0.113.7", 0, c.logit)))[0]
		if got.Severity != c.want {
			t.Errorf("%s, outcome %d, logit %v: %v, want %v", c.kind, c.outcome, c.logit, got.Severity, c.want)
		}
	}
	var wide []testudo.Sighting
	for i := range 3 {
		v := fmt.Sprintf("10.0.0.%d", i+1)
		wide = append(wide, claim("beacon", v, "203.0.113.7", 0, sure), claim("exfil", v, "203.0.113.7", 1, sure))
	}
	if got := incidents(wide...); len(got) != 1 || got[0].Severity != testudo.Critical {
		t.Errorf("three machines controlled and robbed: %v", got[0].Severity)
	}
	if got := incidents(wide[:4]...); got[0].Severity != testudo.High {
		t.Errorf("two machines: %v", got[0].Severity)
	}
}

// TestServers holds whom an incident accuses.
func TestServers(t *testing.T) {
	weak := claim("exfil", "10.0.0.5", "203.0.113.99", time.Minute, -0.5)
	ports := claim("exfil", "10.0.0.5", "203.0.113.7", time.Minute, 4.5)
	ports.Servers[0].Ports, ports.Servers[0].Role = []string{"tcp/8443", "tcp/443"}, testudo.ExfilSink
	inc := incidents(claim("beacon", "10.0.0.5", "203.0.113.7", 0, 5), weak, ports)[0]
	if len(inc.Servers) != 1 || inc.Servers[0].Role != testudo.C2 || !slices.Equal(inc.Servers[0].Ports, []string{"tcp/443", "tcp/8443"}) {
		t.Errorf("servers %+v", inc.Servers)
	}
	if len(inc.Victims) != 1 || inc.Victims[0].Name != "fin-pc-14" {
		t.Errorf("victims %+v", inc.Victims)
	}
	byName := nameOnly(claim("tunnel", "10.0.0.5", "203.0.113.7", 0, 5), "spy.example")
	inc = incidents(byName, named(claim("beacon", "10.0.0.5", "203.0.113.7", 1, 5), "spy.example"))[0]
	if len(inc.Servers) != 1 || inc.Servers[0].Address != addr("203.0.113.7") {
		t.Errorf("a name and its address are two servers: %+v", inc.Servers)
	}
	var crowd []testudo.Sighting
	for i := range 30 {
		crowd = append(crowd, claim("beacon", "10.0.0.5", fmt.Sprintf("203.0.113.%d", i+1), time.Duration(i), 4+float64(i)/100))
	}
	inc = incidents(crowd...)[0]
	if len(inc.Servers) != maxServers || inc.Servers[0].Address != addr("203.0.113.30") {
		t.Errorf("%d servers, the surest %v", len(inc.Servers), inc.Servers[0].Address)
	}
	sink := claim("exfil", "10.0.0.5", "203.0.113.200", 0, 3.5)
	sink.Servers[0].Role = testudo.ExfilSink
	inc = incidents(append(crowd, sink)...)[0]
	if len(inc.Servers) != maxServers || !slices.ContainsFunc(inc.Servers, func(s testudo.NamedServer) bool { return s.Role == testudo.ExfilSink }) {
		t.Errorf("the one that took the data is hidden by a crowd: %+v", inc.Servers)
	}
}

// TestBudget holds that noise gives way before what is for a person.
func TestBudget(t *testing.T) {
	b := builder(16)
	b.Add(claim("beacon", "10.0.0.5", "203.0.113.7", 0, 5))
	for i := range 5000 {
		s := of(testudo.Scan, testudo.Noise, claim("scan", "10.0.0.9", "198.51.100.1", time.Duration(i), -2))
		s.Key = fmt.Sprint(i)
		b.Add(s)
	}
	if b.Len() != 16 || b.Shed() != 5001-16 {
		t.Errorf("%d held, %d shed", b.Len(), b.Shed())
	}
	if !slices.ContainsFunc(b.Incidents(), func(i testudo.Incident) bool { return i.Severity == testudo.High }) {
		t.Error("the spy fell to the noise")
	}
}
