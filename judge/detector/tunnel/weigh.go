package tunnel

import (
	"fmt"
	"math"
	"math/bits"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/detector"
)

// weigh judges what a zone was told and told back.
func (z *zone) weigh(k zoneKey, telling bool) detector.Verdict {
	v := detector.Verdict{Telling: telling}
	v.Add(testudo.Base, -7, "hardly any of the names asked for in a day is a tunnel's")
	z.weighNames(&v, k)
	z.weighAnswers(&v)
	z.weighVolume(&v)
	if asked := z.asked(); asked >= 20 && z.distinct >= 0.8*float64(asked-z.lookups) && z.lookups*2 < z.n {
		v.Add(testudo.Timing, 1+min(0.5, z.rate()/60), "%s questions, nearly each for a name not asked before, %.1f a minute", number(float64(asked)), z.rate())
	}
	z.weighCompany(&v)
	z.weighAge(&v)
	z.weighInnocence(&v)
	return v
}

func (z *zone) weighNames(v *detector.Verdict, k zoneKey) {
	if z.distinct == 0 {
		return
	}
	share, mean := z.coded/z.distinct, 0.0
	if z.coded > 0 {
		mean = z.up / z.coded
	}
	w := min(4.5, max(-1, (mean-12)/12)) * share
	if k.domain == "" {
		v.Add(testudo.Naming, min(5, w+1.5), "%s different names that nobody can have registered, %.0f%% of them look encoded, with %.0f characters on average", number(z.differing()), 100*share, mean)
		return
	}
	v.Add(testudo.Naming, w, "%s different names below it, %.0f%% of them look encoded, with %.0f characters on average", number(z.differing()), 100*share, mean)
}

// weighAnswers judges by the better of two ways to carry data back: in the
// data of answers, or in addresses that are none.
func (z *zone) weighAnswers(v *detector.Verdict) {
	data := answerWeight(z.replied, z.down)
	if z.spread >= 8 && z.visits == 0 && z.coded*2 >= float64(z.asked()) && data < 3.5 {
		v.Add(testudo.Content, 3.5+min(1.5, math.Log2(float64(z.spread)/8)/2), "addresses in answers lie all over the Internet (%d different first bytes) and none was visited", z.spread)
		return
	}
	v.Add(testudo.Content, min(5.5, data), "%s different answers look encoded; %.0f%% of the questions are of types that hosts seldom ask", number(z.replied), 100*float64(z.odd)/float64(z.n))
}

// answerWeight weighs different answers that look encoded, with their bytes.
func answerWeight(replied, down float64) float64 {
	return (0.8*math.Log2(1+replied) + 0.7*math.Log2(max(1, down/64))) * min(1, replied/6)
}

// weighVolume judges what one host could have carried: a service that all ask
// carries much in sum and little for each.
func (z *zone) weighVolume(v *detector.Verdict) {
	carried, n := z.up+z.down, z.company()
	switch w := max(-2, min(3.5, math.Log2((carried/float64(n)+1)/500))); {
	case carried == 0 && z.spread >= 8:
	case n > 1:
		v.Add(testudo.Volume, w, "%s could have been carried for each host: of all, %s in names, %s in answers", bytes(carried/float64(n)), bytes(z.up), bytes(z.down))
	default:
		v.Add(testudo.Volume, w, "%s could have been carried: %s in names, %s in answers", bytes(carried), bytes(z.up), bytes(z.down))
	}
}

// weighCompany judges who else asks. What many hosts ask is a service, the
// surer the less a question carries with its answer: a tunnel fills both.
func (z *zone) weighCompany(v *detector.Verdict) {
	n := z.company()
	switch {
	case n == 1 && z.hosts >= 8:
		v.Add(testudo.Company, 0.7, "one host asks, of %d here", z.hosts)
	case n == 1:
		v.Add(testudo.Company, 0.2, "one host asks, but few are seen here")
	case n >= 3:
		load := (z.up + z.down) / float64(z.asked())
		short := max(0, min(1, (fullLoad-load)/(fullLoad-shortLoad)))
		v.Add(testudo.Company, -min(5+4*short, 1.2*math.Log2(float64(n-1))*(1+short)), "%d hosts ask, and a question with its answer carries %.0f bytes", n, load)
	}
}

// A question about reputation holds a hash and a key, its answer a number or
// a line. A tunnel's holds as much as fits: 150 characters and more in a
// name, 100 bytes and more in an answer.
const (
	shortLoad = 70
	fullLoad  = 160
)

// company estimates how many hosts ask, resolvers not counted, at least one.
func (z *zone) company() int {
	n := bits.OnesCount64(z.crowd)
	for _, a := range z.resolver {
		if n > 1 && a.IsValid() && z.crowd&(1<<(detector.AddrKey(a)&63)) != 0 {
			n--
		}
	}
	if n <= 16 {
		return max(1, n)
	}
	return int(-64 * math.Log(1-min(63, float64(n))/64)) // several share a bit
}

// weighAge judges since when the zone is asked for. What many have asked for
// many days belongs to the place.
func (z *zone) weighAge(v *detector.Verdict) {
	days := z.first.Sub(z.since).Hours() / 24
	switch {
	case z.known >= longWatch && z.company() < 8:
		v.Add(testudo.Rarity, 1.5, "first asked for after %.0f days of watching", z.known.Hours()/24)
	case days > 2 && z.company() >= 8:
		v.Add(testudo.Rarity, -2, "asked for by many since %.0f days", days)
	case days > 2:
		v.Add(testudo.Rarity, -1, "asked for since %.0f days", days)
	}
}

func (z *zone) weighInnocence(v *detector.Verdict) {
	e := v.Evidence()
	switch {
	case z.visits > 0 && z.visits*20 >= z.n:
		e.Say(-3, "%d visits to what was answered, as to a web site", z.visits)
	case z.visits > 0 && z.visits*100 >= z.n:
		e.Say(-1.5, "%d visits to what was answered", z.visits)
	}
	if z.answered > 0 {
		switch yes := z.loops; {
		case yes*5 >= z.answered && (yes+z.missing)*2 >= z.answered:
			e.Say(-3.5, "%d of %d answers say yes by 127/8 and %d that there is no such name, as reputation lists do", yes, z.answered, z.missing)
		case z.missing*2 >= z.answered && z.replied < 3:
			e.Say(-1.5, "%d of %d names do not exist", z.missing, z.answered)
		}
	}
	if z.distinct >= 4 && z.shortest == z.longest && z.replied < 3 {
		e.Say(-1, "all names have the same length, as hashes have")
	}
	if z.lookups*2 >= z.n {
		e.Say(-3, "most questions are addresses turned round")
	}
	v.Add(testudo.Innocence, max(-6, e.Weight), "%s", e.Text)
}

// asked returns the questions without those that a resolver passed on: it was
// asked them before.
func (z *zone) asked() int {
	if z.passed*4 > z.n*3 {
		return z.n // the resolver is all that is seen
	}
	return z.n - z.passed
}

// differing returns how many different names were asked for, never more than
// there were questions.
func (z *zone) differing() float64 { return min(z.distinct, float64(z.asked())) }

// rate returns the questions a minute.
func (z *zone) rate() float64 {
	return float64(z.asked()) / max(1, z.last.Sub(z.first).Minutes())
}

// count writes a number that is exact while it is small.
func count(x float64) string {
	if x < 400 {
		return fmt.Sprintf("%.0f", x)
	}
	digits := math.Pow(10, math.Floor(math.Log10(x))-1)
	return fmt.Sprintf("about %.0f", math.Round(x/digits)*digits)
}

func number(x float64) detector.Amount { return detector.Amount{In: count, Of: x} }

func bytes(x float64) detector.Amount { return detector.Amount{In: size, Of: x} }

func size(x float64) string {
	if x < 10000 {
		return fmt.Sprintf("%.0f bytes", x)
	}
	return fmt.Sprintf("%.0f KB", x/1000)
}

func span(first, last testudo.Time) string {
	d := last.Sub(first)
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d < 2*time.Hour:
		return fmt.Sprintf("%.0f min", d.Minutes())
	}
	return fmt.Sprintf("%.0f h", d.Hours())
}
