package beacon

import (
	"net/netip"
	"strings"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/detector"
)

// window is how many of the last gaps and sizes are kept.
const window = 64

// series is what is remembered of one host's visits to one place, in constant
// memory: the last gaps and sizes, counters of everything else. The rings are
// made with the fourth report, so that the many places visited once or twice
// cost little.
type series struct {
	first, last testudo.Time // starts of the first and the last report
	event       testudo.Time // the last thing that began, part of a report or not
	beats       int          // reports
	answered    int          // conns or requests that were answered
	asked       int          // conns or requests
	early       [3]report
	rings       *rings

	hour   int64  // the last hour in which it reported
	hours  int    // how many different ones
	clock  uint32 // hours of the day, a bit each
	uids   [8]testudo.UID
	pulse  testudo.Pulse // of the conn with most of them
	span   time.Duration // of that conn
	pulsed int           // pulses when judged last

	peer    netip.Addr
	name    string
	service string
	about   world
	began   time.Duration // how long the network was watched when the place was first used
	lived   int           // in how many hours the host had been seen by then

	web    web
	crypto crypto
	print  uint64 // last client fingerprint
	tour   *tour  // of a client that goes to several places; nil for other series

	judged, claimed int // reports when judged and claimed last
	score           float64
}

// report is one of the visits.
type report struct {
	at       testudo.Time
	up, down uint32
}

// rings hold the last of each: gaps in seconds, sizes in bytes.
type rings struct {
	gaps     [window]float32
	up, down [window]uint32
	n        int // reports ever put in; gaps are one fewer
	last     testudo.Time
}

// web counts what requests were like.
type web struct {
	requests, noReferrer, noHost, bareHost int
	orphans                                int // bodies sent from no page: neither Origin nor Referer
	dense                                  int // bodies that are no text
	pretends, browses                      int // claims to be a browser without, and with, what browsers send
	files                                  int // answers that browsers show or programs install: images, scripts, fonts
	paths                                  [4]uint64
	hits                                   int // requests for one of the first four paths
}

// crypto is what handshakes said.
type crypto struct {
	handshakes, resumed, nameless int
	selfMade, foreign             bool // certificate by its own key; names others than the one asked for
	public                        bool // somebody else signed it
	age                           time.Duration
	keyPeers                      int
	keyAlso                       string
}

func (s *series) begin(m *testudo.Meta, h *host) {
	s.first, s.hour, s.lived = m.Time, -1, h.hours
	c := &m.About
	s.began = c.Known
	if c.PeerSince != 0 {
		s.began -= m.Time.Sub(c.PeerSince)
	}
}

// world is what a series needs to know of the last record's Context.
type world struct {
	Known                time.Duration
	HostsSeen, PeerHosts int
	Internal, Shared     bool
}

// context keeps what the world knows now.
func (s *series) context(m *testudo.Meta) {
	c := &m.About
	s.about = world{c.Known, c.HostsSeen, c.PeerHosts, c.OrigLocal && c.RespLocal, c.Shared}
	if t := s.tour; t != nil {
		if c.PrintHosts > 0 {
			t.hosts = c.PrintHosts
		}
		t.shared = t.shared || c.Shared
		s.about.PeerHosts, s.about.Shared = t.hosts, t.shared
	}
	s.peer = c.Peer
	if c.Name != "" {
		s.name = c.Name
	}
}

// conn takes a conversation: its start is a report, unless its requests are
// told one by one.
func (s *series) conn(c *testudo.Conn) {
	if c.Service != "" {
		s.service = c.Service
	}
	if c.Pulses.Count > s.pulse.Count {
		s.pulse, s.span = c.Pulses, c.Duration
		s.keepUID(c.UID)
	}
	if c.Delta.Duration != c.Duration || s.web.requests > 0 && (c.Service == "" || strings.Contains(c.Service, "http")) {
		return // reported before
	}
	s.asked++
	if c.RespPkts > 0 && c.State != "REJ" && c.State != "RSTRH" {
		s.answered++
	}
	s.beat(c.Time, c.OrigBytes, c.RespBytes, c.UID)
}

// http takes a request.
func (s *series) http(r *testudo.HTTP) {
	w := &s.web
	if w.requests == 0 && s.rings == nil {
		s.beats, s.event, s.early = 0, 0, [3]report{} // conns told by then were this one
	}
	w.requests++
	s.service = "http"
	s.asked++
	if r.HasResponse {
		s.answered++
	}
	path, _, _ := strings.Cut(r.URI, "?")
	p := detector.NameKey(path)
	for i := range w.paths {
		if w.paths[i] == 0 {
			w.paths[i] = p
		}
		if w.paths[i] == p {
			w.hits++
			break
		}
	}
	w.orphans += b2i(r.Method == "POST" && r.Referrer == "" && r.Origin == "")
	w.noReferrer += b2i(r.Referrer == "")
	w.noHost += b2i(r.Host == "" && r.Version != "1.0")
	w.bareHost += b2i(isAddress(r.Host))
	w.dense += b2i(r.RequestLen >= 24 && r.RequestText < 0.85 && r.RequestEntropy > 3.5)
	w.files += b2i(shown(r.ResponseType))
	if strings.HasPrefix(r.UserAgent, "Mozilla/") && r.RequestHeaders != "" {
		if strings.Contains(r.RequestHeaders, "accept-language") || strings.Contains(r.RequestHeaders, "accept-encoding") {
			w.browses++
		} else {
			w.pretends++
		}
	}
	s.beat(r.Time, r.RequestLen+int64(len(r.URI)), r.ResponseLen, r.UID)
}

// shown tells what a page is made of.
func shown(contentType string) bool {
	return strings.HasPrefix(contentType, "image/") || strings.HasPrefix(contentType, "font/") ||
		strings.HasPrefix(contentType, "video/") || strings.HasPrefix(contentType, "audio/") ||
		strings.Contains(contentType, "javascript") || strings.Contains(contentType, "css")
}

// tls takes a handshake.
func (s *series) tls(r *testudo.TLS) {
	c := &s.crypto
	c.handshakes++
	c.resumed += b2i(r.Resumed)
	c.nameless += b2i(r.ServerName == "")
	if n := r.About.KeyPeers; n > c.keyPeers {
		c.keyPeers, c.keyAlso = n, r.About.KeyAlso
	}
	switch leaf := r.Leaf; {
	case leaf != nil && leaf.SelfSigned:
		c.selfMade, c.public = true, false
		c.age = r.Time.Sub(leaf.NotBefore)
		c.foreign = r.ServerName != "" && !covers(leaf, r.ServerName)
	case leaf == nil && r.Subject != "" && r.Subject == r.Issuer:
		c.selfMade, c.public = true, false
	case leaf != nil || r.Issuer != "":
		c.public, c.selfMade = true, false
		c.foreign = leaf != nil && r.ServerName != "" && !covers(leaf, r.ServerName)
	}
}

// covers tells whether the certificate speaks of the name.
func covers(leaf *testudo.X509, name string) bool {
	name = strings.ToLower(name)
	for _, n := range leaf.Names {
		n = strings.ToLower(n)
		if n == name {
			return true
		}
		if rest, ok := strings.CutPrefix(n, "*."); ok {
			if _, parent, _ := strings.Cut(name, "."); parent == rest {
				return true
			}
		}
	}
	return len(leaf.Names) == 0 && strings.Contains(strings.ToLower(leaf.Subject), "cn="+name)
}

// beat adds what began at t. What begins within burst of the last thing
// belongs to the same report; what began before it was told already.
func (s *series) beat(t testudo.Time, up, down int64, uid testudo.UID) {
	if s.beats > 0 && t < s.event.Add(burst) {
		s.event = max(s.event, t)
		s.grow(up, down)
		return
	}
	if s.beats == 0 {
		s.first = t
	}
	s.last, s.event = t, t
	s.file(report{t, clamp(up), clamp(down)})
	s.beats++
	if h := hourOf(t); h != s.hour {
		s.hour = h
		s.hours++
		s.clock |= 1 << (h % 24)
	}
	s.keepUID(uid)
}

// hourOf numbers the hours.
func hourOf(t testudo.Time) int64 { return int64(t) / int64(time.Hour) }

// file puts a report where it is kept.
func (s *series) file(r report) {
	if s.beats < len(s.early) {
		s.early[s.beats] = r
		return
	}
	if s.rings == nil {
		s.rings = &rings{}
		for _, e := range s.early {
			s.rings.put(e)
		}
	}
	s.rings.put(r)
}

// grow adds to the report that is going on.
func (s *series) grow(up, down int64) {
	if s.rings == nil {
		e := &s.early[s.beats-1]
		e.up, e.down = clamp(int64(e.up)+up), clamp(int64(e.down)+down)
		return
	}
	i := (s.rings.n - 1) % window
	s.rings.up[i] = clamp(int64(s.rings.up[i]) + up)
	s.rings.down[i] = clamp(int64(s.rings.down[i]) + down)
}

func (g *rings) put(r report) {
	if g.n > 0 {
		g.gaps[(g.n-1)%window] = float32(r.at.Sub(g.last).Seconds())
	}
	i := g.n % window
	g.up[i], g.down[i], g.last = r.up, r.down, r.at
	g.n++
}

func (s *series) keepUID(u testudo.UID) {
	for i := range s.uids {
		if s.uids[i] == u {
			return
		}
		if s.uids[i] == 0 {
			s.uids[i] = u
			return
		}
	}
}

// judgeable tells whether there is a rhythm to judge.
func (s *series) judgeable() bool { return s.beats >= minBeats || s.pulse.Count >= minBeats }

// due spaces the judgements: at the seventh report, then whenever a quarter
// more have come; inside one conversation whenever the signs have doubled.
func (s *series) due(before int) bool {
	if s.pulse.Count >= minBeats && s.pulse.Count >= 2*s.pulsed && s.beats < minBeats {
		return true
	}
	return s.beats != before && s.beats >= minBeats && s.beats >= s.judged+max(1, s.judged/4)
}

func clamp(n int64) uint32 { return uint32(max(0, min(n, 1<<31))) }

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}
