package beacon

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/detector"
)

// What parts an implant that goes from place to place from browsers, updaters
// and makers' clients, which go to several places, too. All must hold.
const (
	// minRoam is how many reports a series of several places needs: sums of
	// unrelated visits look regular by chance when they are few.
	minRoam = 12
	// roamSpread, roamUp and roamDown bound the spread of gaps (a uniform
	// jitter of 70 %) and of sizes: tasks and results differ a little, answers
	// hold certificates, which differ more.
	roamSpread, roamUp, roamDown = 0.36, 0.25, 0.4
	// company is how many hosts must be seen before "few have this client"
	// says something.
	company = 8
	// named is how many of its places a claim names.
	named = 8
)

// few is how many of n hosts may have a client that is peculiar.
func few(n int) int { return max(2, n/100) }

// joint is the series of several places that a conversation belongs to.
type joint struct {
	hash uint64 // of the key or the fingerprint
	by   mark
}

// join takes a record of a server that shows a key of its own making in
// several places, or of a client that few hosts have: its reports may be one
// rhythm, wherever they go.
func (m *memory) join(r testudo.Record, h *host, out *detector.Out) {
	meta := r.Base()
	j := m.jointOf(r)
	if j.by == byPlace {
		return
	}
	k := seriesKey{host: meta.About.Host, place: j.hash, port: meta.ID.Resp.Port(), via: meta.ID.Proto, by: j.by}
	if _, ok := r.(*testudo.TLS); !ok && m.series.Peek(k) == nil {
		return // what a handshake began, and memory lost
	}
	s, isNew := m.series.Put(k)
	if isNew {
		s.begin(meta, h)
		if k.by == byPrint {
			s.roam(meta)
		}
	}
	s.context(meta)
	before := s.beats
	switch r := r.(type) {
	case *testudo.Conn:
		s.conn(r)
		if s.tour != nil && r.Delta.Duration == r.Duration {
			s.tour.visit(meta, s.beats != before)
		}
	case *testudo.TLS:
		s.tls(r)
	}
	if s.due(before) {
		m.judge(k, s, h, false, out)
	}
}

// jointOf returns what r's conversation belongs to, byPlace for its place
// alone. A handshake says so, the rest of the conversation goes with it.
func (m *memory) jointOf(r testudo.Record) (j joint) {
	meta := r.Base()
	c := &meta.About
	t, ok := r.(*testudo.TLS)
	if !ok {
		if known := m.joint.Peek(meta.UID); known != nil {
			j = *known
		}
		return j
	}
	switch print := t.ClientPrint(); {
	case t.Leaf != nil && t.Leaf.SelfSigned && c.KeyPeers >= 2:
		j = joint{detector.NameKey(t.Leaf.KeyPrint), byKey}
	case print != "" && c.PrintHosts > 0 && c.PrintHosts <= few(c.HostsSeen) && !c.RespLocal:
		j = joint{detector.NameKey(print), byPrint}
	default:
		return j
	}
	known, _ := m.joint.Put(meta.UID)
	*known = j
	return j
}

// tour is where the reports of one client went.
type tour struct {
	stops   [16]stop // the first places
	n       int
	further bool   // there are more
	hosts   int    // of ours that have such a client
	last    uint64 // place
	crowded int    // visits at the same time as one elsewhere
	common  int    // reports to places that others here use, too
	shared  bool   // one of the places serves many unrelated names
}

// stop is one of the places.
type stop struct {
	place, site uint64 // site is the registered domain, the address without one
	count       int    // reports
	addr        netip.Addr
	name        string
	shared      bool
}

// roam makes s the series of a client, which is as new as the first of its
// kind here.
func (s *series) roam(m *testudo.Meta) {
	s.tour = &tour{}
	s.began = m.About.Known
	if since := m.About.PrintSince; since != 0 {
		s.began -= m.Time.Sub(since)
	}
}

// visit notes where a conversation went, and whether it began a report.
func (t *tour) visit(m *testudo.Meta, began bool) {
	c := &m.About
	place := keyOf(m).place
	if !began {
		t.crowded += b2i(place != t.last)
		return
	}
	t.last = place
	t.common += b2i(c.PeerHosts > few(c.HostsSeen))
	i := slices.IndexFunc(t.stops[:t.n], func(s stop) bool { return s.place == place })
	if i < 0 {
		if t.n == len(t.stops) {
			t.further = true
			return
		}
		i = t.n
		t.n++
		t.stops[i] = stop{place: place, site: detector.AddrKey(c.Peer), name: c.Name}
		if c.Domain != "" {
			t.stops[i].site = detector.NameKey(c.Domain)
		}
	}
	t.stops[i].count++
	t.stops[i].addr, t.stops[i].shared = c.Peer, c.Shared
}

// top returns the stops, most used first.
func (t *tour) top() []stop {
	all := slices.Clone(t.stops[:t.n])
	slices.SortStableFunc(all, func(x, y stop) int { return cmp.Compare(y.count, x.count) })
	return all
}

// sites returns how many different domains and addresses there are.
func (t *tour) sites() (n int) {
	for i := range t.stops[:t.n] {
		seen := slices.ContainsFunc(t.stops[:i], func(s stop) bool { return s.site == t.stops[i].site })
		n += b2i(!seen)
	}
	return n
}

// most returns how many reports the most used place had.
func (t *tour) most() (n int) {
	for i := range t.stops[:t.n] {
		n = max(n, t.stops[i].count)
	}
	return n
}

// roams tells whether the reports of a client are one rhythm of which no
// single place has most, and none is claimed for itself.
func (m *memory) roams(k seriesKey, s *series, h *host, v *verdict) bool {
	t := s.tour
	lawful := s.beats >= minRoam && v.rhythm.spread <= roamSpread && v.up.spread <= roamUp && v.down.spread <= roamDown
	peculiar := s.about.HostsSeen >= company && t.hosts <= few(s.about.HostsSeen) && h.printed >= 2
	if !lawful || !peculiar || t.n < 2 || 3*t.most() > 2*s.beats || 5*t.crowded > s.beats || 5*t.common > s.beats {
		return false
	}
	for _, stop := range t.stops[:t.n] {
		k.place, k.by = stop.place, byPlace
		if p := m.series.Peek(k); p != nil && p.claimed > 0 && p.score >= likely {
			return false
		}
	}
	return true
}

// toldElsewhere tells whether a place's rhythm is part of one that is claimed
// already, of the client that goes there.
func (m *memory) toldElsewhere(k seriesKey, s *series) bool {
	if k.by != byPlace || s.print == 0 {
		return false
	}
	place := k.place
	k.place, k.by = s.print, byPrint
	joint := m.series.Peek(k)
	return joint != nil && joint.claimed > 0 &&
		slices.ContainsFunc(joint.tour.stops[:joint.tour.n], func(s stop) bool { return s.place == place })
}

// servers returns the places of a client that roams, the most used.
func (t *tour) servers(port string) (all []testudo.Server) {
	for _, s := range t.top()[:min(named, t.n)] {
		v := testudo.Server{Address: s.addr, Ports: []string{port}, Role: testudo.C2, Shared: s.shared}
		if s.name != "" {
			v.Names = []string{s.name}
		}
		all = append(all, v)
	}
	return all
}

// places says how many there are, and chief names the two most used.
func (t *tour) places() string {
	if t.further {
		return fmt.Sprintf("more than %d places", t.n)
	}
	return fmt.Sprintf("%d places", t.n)
}

func (t *tour) chief() string {
	var words []string
	for _, s := range t.top()[:min(2, t.n)] {
		if s.name == "" {
			s.name = s.addr.String()
		}
		words = append(words, s.name)
	}
	return strings.Join(words, " and ")
}
