package beacon

import (
	"fmt"
	"math"
	"math/bits"
	"strings"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/detector"
)

// verdict is a series weighed.
type verdict struct {
	detector.Verdict
	rhythm   rhythm
	up, down sizes
	count    int  // reports or pulses
	inside   bool // the rhythm is inside one long conn
	odd      bool // something was said that is odd even of a program that polls
	slow     float64
}

// What is believed of a series before anything is known of it but its pace.
// Few programs ask every few seconds; every few minutes thousands do, on a
// network of ten thousand hosts, and there a rhythm tells less.
const (
	prior     = -6.0
	slowPrior = -7.0
	slowShare = 0.8 // of the weight of a rhythm
)

// nomination is the log-odds (a probability of 0.43) beyond which a series
// does not come by what every program that polls shows: a rhythm, equal
// sizes, the same path, one handshake after the other. A person is asked
// only where something about it is odd as well.
const nomination = -0.3

// slow is how far a period lies on the way from the fast to the slow prior.
var slow = curve{{math.Log(30), 0}, {math.Log(300), 1}}

// weigh adds up the evidence, one addend a family.
func weigh(k seriesKey, s *series, h *host, telling bool) verdict {
	v := verdict{Verdict: detector.Verdict{Telling: telling}, count: s.beats}
	if g := s.rings; g != nil && s.beats >= minBeats {
		var order [window]float32
		v.rhythm = tempo(g.ordered(&order))
		n := min(g.n, window)
		v.up, v.down = measure(g.up[:n]), measure(g.down[:n])
	} else if p := s.pulse; p.Count >= minBeats {
		v.inside, v.count = true, p.Count
		v.rhythm = ofPulses(p)
		v.up = sizes{median: p.SizeMean, spread: 0.7 * p.SizeDev / max(1, p.SizeMean)}
	}
	v.slow = slow.at(math.Log(max(1, v.rhythm.median)))
	v.Put(testudo.Base, prior+v.slow*(slowPrior-prior), "most programs that report again and again, at this pace, report to their makers")
	v.add(testudo.Timing, 4, s.timing(&v))
	v.add(testudo.Volume, 2.5, s.volume(&v))
	v.add(testudo.Rarity, 3.6, s.rarity(&v, k, h))
	v.add(testudo.Naming, 2, s.naming(&v, k, h))
	v.add(testudo.Crypto, 3, s.secrecy(&v, h))
	v.add(testudo.Content, 3.8, s.content(&v))
	v.add(testudo.Company, 3, s.company(&v))
	v.add(testudo.Innocence, 8, s.innocence(&v, k))
	return v
}

func (v *verdict) add(f testudo.Family, limit float64, e detector.Evidence) {
	if e.Said {
		v.Put(f, detector.Cap(e.Weight, limit), e.Text)
	}
}

// sayOdd adds to e what no ordinary program that polls shows.
func (v *verdict) sayOdd(e *detector.Evidence, weight float64, format string, args ...any) {
	v.odd = true
	e.Say(weight, format, args...)
}

// ofPulses is the rhythm inside a long conn, of which only mean and deviation
// are known: for uniform jitter the spread is 0.87 of the variation.
func ofPulses(p testudo.Pulse) rhythm {
	cv := p.GapDev / max(0.001, p.GapMean)
	return rhythm{n: p.Count - 1, median: p.GapMean, spread: min(0.95, 0.87*cv), cv: cv, regular: cv < 0.2}
}

// steady is the log-likelihood ratio of a spread, implant over people and
// what they set off. Above 0.66, where memoryless sleep lies, it is people.
var steady = curve{{0.02, 3.6}, {0.06, 3.2}, {0.12, 2.8}, {0.25, 2.2}, {0.36, 1.5}, {0.5, 0.8}, {0.62, 0.2}, {0.7, -0.5}, {0.8, -1.8}, {0.95, -3.5}}

func (s *series) timing(v *verdict) (e detector.Evidence) {
	e = v.Evidence()
	r := v.rhythm
	w := steady.at(r.spread)
	chance := r.memoryless() && s.last.Sub(s.first) >= 3*time.Hour
	if chance {
		w = max(w, 0.1)
	}
	if w > 0 {
		w *= min(1, 0.35+float64(r.n)/20)
	}
	every := "reports come"
	if v.inside {
		every = "inside one conversation it speaks up"
	}
	e.Say(w, "%s every %s, half of the gaps within %.0f %% of that (%d gaps)", every, pace(r.median), 100*r.spread, r.n)
	if r.n >= window && s.beats >= 2*window && r.spread < 0.05 {
		e.Say(0.3, "%d reports without a change", s.beats)
	}
	if r.missed > 0 {
		e.Say(0, "%d gaps are a multiple of it, as when a report is lost", r.missed)
	}
	if chance {
		e.Say(0.9+0.4*float64(b2i(r.n >= 32)), "the gaps scatter as by chance, without the silences between that people make")
	}
	if r.echo < -0.35 && r.spread > 0.08 && r.n >= 16 {
		e.Say(0.4, "late reports are made up for: they scatter around a fixed grid")
	}
	if e.Weight > 0 {
		e.Weight *= 1 - v.slow*(1-slowShare)
	}
	return e
}

func (s *series) volume(v *verdict) (e detector.Evidence) {
	e = v.Evidence()
	if s.beats >= minBeats {
		switch up, down := v.up.spread, v.down.spread; {
		case up <= 0.05 && down <= 0.05:
			e.Say(1, "each report is of the same size, %.0f bytes out and %.0f in", v.up.median, v.down.median)
		case up <= 0.3 && down <= 0.4:
			e.Say(0.5, "reports are of about the same size, %.0f bytes out and %.0f in", v.up.median, v.down.median)
		case up > 0.6 && down > 0.6:
			e.Say(-0.8, "sizes differ as when people read, %.0f bytes out and %.0f in", v.up.median, v.down.median)
		}
		if v.down.median > 40_000 {
			e.Say(-1.2, "much comes in, %.0f bytes a report", v.down.median)
		}
	}
	if v.inside && v.up.spread <= 0.05 && v.up.median > 0 {
		e.Say(0.7, "each is of the same size, %.0f bytes", v.up.median)
	}
	span := s.last.Sub(s.first)
	if all := hourOf(s.last) - hourOf(s.first) + 1; span >= 4*time.Hour {
		share := float64(s.hours) / float64(all)
		switch {
		case share >= 0.8:
			e.Say(0.6, "it reported in %d of %d hours", s.hours, all)
		case share >= 0.3:
			e.Say(0.4, "it reported in %d of %d hours", s.hours, all)
		}
		if bits.OnesCount32(s.clock) >= 20 && span >= 20*time.Hour {
			e.Say(0.2, "day and night")
		}
	}
	if s.beats >= 60 {
		e.Say(0.2, "%d reports", s.beats)
	}
	return e
}

// rarity weighs how new and how alone the place is. What was in use when
// watching began belongs here far more often than not.
func (s *series) rarity(v *verdict, k seriesKey, h *host) (e detector.Evidence) {
	e = v.Evidence()
	c := &s.about
	if c.Known < settled || h.hours < lived || k.inbound {
		return e
	}
	it, goes := "it", "goes there"
	if k.by == byPrint {
		it, goes = "such a client", "has it"
	}
	fresh := s.began >= settled && s.lived >= lived
	switch {
	case fresh:
		v.sayOdd(&e, 0.8, "nobody here used %s in the first %s of watching", it, watched(s.began))
	case s.began < atOnce || s.lived <= 2:
		e.Say(-1.5, "%s was in use when watching began, %s before", it, watched(c.Known))
	}
	if c.PeerHosts <= 1 && c.HostsSeen >= 8 {
		e.Say(0.5, "of %d hosts here only this one %s", c.HostsSeen, goes)
	}
	if fresh && h.served >= serving {
		e.Say(2.3, "a machine that serves others (%d visits answered) has taken up a new habit", h.served)
	}
	return e
}

// naming weighs a missing name. It is odd of a host that is seen to use names.
func (s *series) naming(v *verdict, k seriesKey, h *host) (e detector.Evidence) {
	e = v.Evidence()
	switch {
	case k.inbound:
	case s.name == "" && s.web.bareHost > 0:
		v.sayOdd(&e, 1.5, "requests go to a bare address, and say so")
	case s.name == "":
		v.odd = v.odd || h.named
		e.Say(1, "it goes to a bare address that no name was asked for")
	}
	return e
}

func (s *series) secrecy(v *verdict, h *host) (e detector.Evidence) {
	e = v.Evidence()
	c := &s.crypto
	if c.handshakes == 0 {
		return e
	}
	switch {
	case c.selfMade && c.foreign:
		v.sayOdd(&e, 2.2, "the server shows a certificate of its own making, for another name")
	case c.selfMade:
		v.sayOdd(&e, 1.8, "the server shows a certificate of its own making")
	case c.public && c.foreign:
		v.sayOdd(&e, 0.8, "the certificate is for another name")
	}
	if c.selfMade && c.age > 0 && c.age < 30*24*time.Hour {
		e.Say(0.5, "made %.0f days ago", c.age.Hours()/24)
	}
	switch {
	case c.nameless > c.handshakes/2 && s.name == "" && strings.Contains(s.service, "quic"):
		v.sayOdd(&e, 1.2, "a QUIC client that names no server, as no browser does")
	case c.nameless > c.handshakes/2 && s.name == "":
		e.Say(0.4, "the client names no server")
	}
	if s.print != 0 && h.peculiar(s.print) {
		e.Say(0.4, "the host greets no other server with this fingerprint")
	}
	if s.tour == nil && c.handshakes >= minBeats && c.resumed == 0 && v.rhythm.median < 30 && v.rhythm.median > 0 && !v.inside {
		e.Say(1, "%d full handshakes one after the other, none resumed nor kept open", c.handshakes)
	}
	return e
}

func (s *series) content(v *verdict) (e detector.Evidence) {
	e = v.Evidence()
	w := &s.web
	if w.requests < minBeats {
		return e
	}
	n := float64(w.requests)
	if few, bare := float64(w.hits)/n, float64(w.noReferrer)/n; few >= 0.85 && bare >= 0.9 && w.files == 0 {
		e.Say(1, "%d requests for the same few paths, from no page", w.requests)
	}
	if w.pretends > w.requests/2 {
		v.sayOdd(&e, 1.8, "the client calls itself a browser and sends none of the headers browsers send")
		if w.orphans > w.requests/2 {
			e.Say(0.9, "and posts from no page")
		}
	}
	if float64(w.dense) >= 0.3*n {
		v.sayOdd(&e, 0.8, "%d of the bodies sent are no text", w.dense)
	}
	if w.noHost > w.requests/2 {
		v.sayOdd(&e, 2.5, "requests name no host, which every browser and library does")
	}
	if float64(w.noReferrer) < 0.5*n {
		e.Say(-1.5, "requests come from pages somebody has open")
	}
	if w.browses > w.requests/2 && float64(w.noReferrer) < 0.9*n {
		e.Say(-0.5, "the client sends what browsers send")
	}
	if float64(w.files) > 0.2*n {
		e.Say(-1.5, "it fetches pictures, scripts or styles")
	}
	return e
}

// rotation is the log-likelihood ratio of one rhythm going to so many
// unrelated domains or addresses: a maker's client goes to several names of
// one, and to a second one now and then.
var rotation = curve{{1, -1}, {2, -0.5}, {3, 0.5}, {4, 1.5}, {8, 2.2}}

func (s *series) company(v *verdict) (e detector.Evidence) {
	e = v.Evidence()
	c := &s.about
	if t := s.tour; t != nil {
		sites := t.sites()
		w := rotation.at(float64(sites))
		if c.Known < settled {
			w /= 2 // who has which client is not known yet
		}
		v.odd = v.odd || sites >= 3 && c.Known >= settled
		e.Say(w, "one client, which %d of %d hosts here have, reports to %s in turn, to none more than %d of %d times", t.hosts, c.HostsSeen, t.places(), t.most(), s.beats)
	}
	if s.crypto.selfMade && s.crypto.keyPeers >= 2 {
		v.sayOdd(&e, 2.5, "the same key was shown to our hosts at %d different places, one of them %s", s.crypto.keyPeers, s.crypto.keyAlso)
	}
	share := float64(c.PeerHosts) / math.Max(1, float64(c.HostsSeen))
	switch {
	case c.PeerHosts >= 4 && share >= 0.2:
		e.Say(-3, "%d of %d hosts here use it", c.PeerHosts, c.HostsSeen)
	case c.PeerHosts >= 3 && share >= 0.04:
		e.Say(-1.5, "%d of %d hosts here use it", c.PeerHosts, c.HostsSeen)
	}
	return e
}

func (s *series) innocence(v *verdict, k seriesKey) (e detector.Evidence) {
	e = v.Evidence()
	c := &s.about
	if c.Internal {
		e.Say(-3.5, "both ends are ours: monitoring and services do this all day")
	}
	if mail(s.service) {
		e.Say(-3, "a mailbox is looked into")
	}
	if s.asked >= minBeats && 4*s.answered < s.asked {
		e.Say(-2, "%d of %d attempts were not answered", s.asked-s.answered, s.asked)
	}
	if s.beats >= minBeats && v.up.median+v.down.median == 0 {
		e.Say(-2.5, "nothing is said in them")
	}
	if c.Shared {
		e.Say(-0.7, "the address serves many unrelated names")
	}
	if v.inside && s.service != "" {
		e.Say(-2, "%s keeps conversations open by such signs of life", s.service)
	}
	if k.inbound && s.web.noHost == 0 {
		e.Say(-3, "it is the peer that calls, as monitoring from outside does")
	}
	if over := v.Logit() + e.Weight - nomination; over > 0 && !v.odd {
		e.Say(-over, "rhythm and sizes alone: any program that polls shows them")
	}
	return e
}

func mail(service string) bool {
	for s := range strings.SplitSeq(service, ",") {
		switch s {
		case "imap", "pop3", "smtp":
			return true
		}
	}
	return false
}

// period says a length of time as people do.
func period(seconds float64) string {
	switch {
	case seconds < 10:
		return fmt.Sprintf("%.1f s", seconds)
	case seconds < 180:
		return fmt.Sprintf("%.0f s", seconds)
	case seconds < 7200:
		return fmt.Sprintf("%.0f min", seconds/60)
	}
	return fmt.Sprintf("%.1f h", seconds/3600)
}

func pace(seconds float64) detector.Amount { return detector.Amount{In: period, Of: seconds} }

func watched(d time.Duration) detector.Amount { return detector.Amount{In: hours, Of: d.Hours()} }

func hours(x float64) string { return fmt.Sprintf("%.0f h", x) }
