package tunnel

import (
	"net/netip"
	"strings"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/detector"
)

// sketch counts different things in 64 bytes of bits: exactly while they are
// few, then by the share of bits that are set, and once all are set by the
// share of new ones until then.
type sketch struct {
	bits  [8]uint64
	set   int
	asked float64
	sum   float64
}

// add returns for how many different things h stands: 0 if it may have been
// seen, else 1 and, as the sketch fills, as many as hide behind set bits.
func (s *sketch) add(h uint64) float64 {
	if s.set == 512 {
		return min(1, s.sum/s.asked)
	}
	s.asked++
	i, bit := h>>6&7, uint64(1)<<(h&63)
	if s.bits[i]&bit != 0 {
		return 0
	}
	w := 512 / float64(512-s.set)
	s.bits[i] |= bit
	s.set++
	s.sum += w
	return w
}

// zone is what was asked and answered under one name in a window.
type zone struct {
	since       testudo.Time  // first question ever seen
	known       time.Duration // how long the traffic had been watched then
	first, last testudo.Time  // of the window

	n, answered, missing int // questions; answers; those that say no such name
	names                sketch
	distinct             float64 // different names
	coded                float64 // of these, such as no one would type
	up                   float64 // characters of these left of the zone
	shortest, longest    int     // characters left of the zone
	lookups              int     // questions that are an address turned round
	passed               int     // questions that a resolver passed on

	replies sketch
	replied float64 // different answers that look encoded
	down    float64 // their bytes
	odd     int     // questions of types that hosts seldom ask
	octets  [4]uint64
	spread  int // different first bytes of addresses answered
	loops   int // answers from 127/8, which is how lists say yes

	askers   [4]asker // who asked most
	crowd    uint64   // all who asked, by hash
	resolver [2]netip.Addr
	server   netip.Addr // asked directly, answers with authority
	inside   bool       // the server is ours and the client is not
	hosts    int        // of ours seen in the traffic
	visits   int
	uids     [16]testudo.UID
	nuids    int

	due, claimed int
	logit        float64
	told         bool
}

type asker struct {
	addr netip.Addr
	n    int
}

// renew begins a window. What was claimed goes on being added up instead.
func (z *zone) renew(now testudo.Time) {
	*z = zone{since: z.since, known: z.known, first: now, due: fewest}
}

// add counts one question with its answer.
func (z *zone) add(k zoneKey, r *testudo.DNS) {
	z.last = max(z.last, r.Time)
	z.n++
	z.hosts = r.About.HostsSeen
	if z.nuids < len(z.uids) && (z.nuids == 0 || z.uids[z.nuids-1] != r.UID) {
		z.uids[z.nuids] = r.UID
		z.nuids++
	}
	z.ask(k, r)
	left := payload(r.Query, k.domain)
	isNew := 0.0
	if isAddress(left) {
		z.lookups++
	} else {
		if isNew = z.names.add(detector.NameKey(left)); isNew > 0 {
			z.name(left, isNew)
		}
	}
	if seldom(r.QType) {
		z.odd++
	}
	if r.Answered {
		z.answered++
		z.answer(k, r, isNew)
	}
}

func (z *zone) name(left string, weight float64) {
	n := len(left) - strings.Count(left, ".") - 3*strings.Count(left, `\x`) // \xNN is one byte
	if z.distinct == 0 {
		z.shortest = n
	}
	z.shortest, z.longest = min(z.shortest, n), max(z.longest, n)
	z.distinct += weight
	if isCoded(left) {
		z.coded += weight
		z.up += weight * float64(n)
	}
}

// answer counts what an answer could carry back.
func (z *zone) answer(k zoneKey, r *testudo.DNS, isNew float64) {
	if r.RCode == 3 {
		z.missing++
	}
	loop := false
	for _, a := range r.Addresses {
		b := a.As16()
		first := b[0]
		if a.Is4() {
			first = b[12]
			loop = loop || first == 127
		}
		if bit := uint64(1) << (first & 63); z.octets[first>>6]&bit == 0 {
			z.octets[first>>6] |= bit
			z.spread++
		}
	}
	if loop {
		z.loops++
	}
	if len(r.Answers) == 0 || len(r.Addresses) > 0 || isOrdinary(r.QType) {
		return
	}
	text := r.Answers[0]
	if strings.HasPrefix(text, "<unknown") { // its bytes are not told: new if the question was
		if isNew > 0 && r.AnswerData >= 8 {
			z.replied += isNew
			z.down += isNew * float64(r.AnswerData)
		}
		return
	}
	if !isCodedAnswer(text, k.domain) {
		return
	}
	h := uint64(len(r.Answers))
	for _, a := range r.Answers {
		h = h*31 + detector.NameKey(a)
	}
	w := z.replies.add(h)
	z.replied += w
	z.down += w * float64(r.AnswerData)
}

// ask notes who asks whom.
func (z *zone) ask(k zoneKey, r *testudo.DNS) {
	e := endsOf(r)
	z.inside = z.inside || e.serverLocal && !e.clientLocal
	if e.serverLocal && z.resolver[0] != e.server && z.resolver[1] != e.server {
		z.resolver[1], z.resolver[0] = z.resolver[0], e.server
	}
	if !e.serverLocal && (k.domain == "" || r.AA && r.RD) {
		z.server = e.server
	}
	z.crowd |= 1 << (detector.AddrKey(e.client) & 63)
	if k.domain != "" && z.isResolver(e.client) {
		z.passed++
	}
	least := 0
	for i := range z.askers {
		if z.askers[i].addr == e.client {
			z.askers[i].n++
			return
		}
		if z.askers[i].n < z.askers[least].n {
			least = i
		}
	}
	if z.askers[least].n == 0 {
		z.askers[least] = asker{e.client, 1}
	} else {
		z.askers[least].n--
	}
}

// isResolver tells whether a machine of ours was asked about the zone itself.
func (z *zone) isResolver(a netip.Addr) bool { return z.resolver[0] == a || z.resolver[1] == a }

// clients returns who asked most and is no resolver on behalf of others, the
// busiest first; only resolvers if none else was seen.
func (z *zone) clients(k zoneKey) (out []netip.Addr) {
	list := z.askers
	for i := 1; i < len(list); i++ {
		for j := i; j > 0 && list[j].n > list[j-1].n; j-- {
			list[j], list[j-1] = list[j-1], list[j]
		}
	}
	for _, withResolvers := range [...]bool{false, true} {
		for _, a := range list {
			if a.n > 0 && (withResolvers || k.domain == "" || !z.isResolver(a.addr)) {
				out = append(out, a.addr)
			}
		}
		if len(out) > 0 {
			break
		}
	}
	return out
}
