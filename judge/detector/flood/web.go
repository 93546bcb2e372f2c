package flood

import (
	"fmt"
	"math"
	"net/netip"
	"strings"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/detector"
)

// drain is how a service is exhausted by what it answers.
type drain uint8

const (
	requests   drain = iota // HTTP
	handshakes              // TLS
	waits                   // conversations kept open with next to nothing
)

// door is one service of a host, and the way it is exhausted.
type door struct {
	host netip.Addr
	port uint16
	by   drain
}

// desk is what came to a door in the surge at hand.
type desk struct {
	gauge
	senders
	n          int
	path       favourite
	shape      favourite
	paths      detector.Distinct
	assets     int // style, script, pictures: what pages bring with them
	referred   int
	refused    int // no answer, 429 or 5xx
	incomplete int // handshakes that came to nothing, conversations without a word in return
	resumed    int // handshakes of those who had been here
	dribbled   int // sent in little pieces with pauses
}

// The least that comes in a window before a claim is made, and the steps of
// each: a quarter of a second, or for what is slow about 17 seconds.
const (
	busyRequests, busyHandshakes, busyWaits = 60.0, 100.0, 40.0
	slowShift                               = 34
)

func (d door) floor() float64 {
	return [...]float64{requests: busyRequests, handshakes: busyHandshakes, waits: busyWaits}[d.by]
}

func (d door) shift() int {
	if d.by == waits {
		return slowShift
	}
	return stepShift
}

// enter counts one thing at a door and returns its desk.
func (m *memory) enter(d door, r *testudo.Meta, at testudo.Time) *desk {
	k, _ := m.doors.Put(d)
	if _, calm := k.gauge.count(at, d.shift(), d.floor()/4); calm {
		*k = desk{gauge: k.gauge}
	}
	k.n++
	k.senders.add(r)
	return k
}

// judge claims what a door suffers if that is news.
func (m *memory) judge(d door, k *desk, out *detector.Out) {
	if !k.due(d.floor()) {
		return
	}
	m.doors.Keep(d, true)
	if k.score(d) >= unlikely {
		k.told(out.Now)
		out.Claim(k.claim(d))
	}
}

// last tells the last numbers of what was claimed.
func (k *desk) last(d door, out *detector.Out) {
	if k.claimed > 0 && k.score(d) >= unlikely {
		out.Claim(k.claim(d))
	}
}

// request counts an HTTP request to a service of ours.
func (m *memory) request(r *testudo.HTTP, out *detector.Out) {
	if !r.HasRequest {
		return
	}
	d := door{r.ID.Resp.Addr(), r.ID.Resp.Port(), requests}
	k := m.enter(d, &r.Meta, r.Time)
	path, _, _ := strings.Cut(r.URI, "?")
	h := detector.NameKey(path)
	k.path.add(h, path)
	k.paths.Add(h)
	k.shape.add(detector.NameKey(r.Method+r.RequestHeaders), "")
	if asset(path) {
		k.assets++
	}
	if r.Referrer != "" {
		k.referred++
	}
	if !r.HasResponse || r.Status == 429 || r.Status >= 500 {
		k.refused++
	}
	m.judge(d, k, out)
}

// asset tells whether a path is what pages bring with them.
func asset(path string) bool {
	dot := strings.LastIndexByte(path, '.')
	if dot < 0 {
		return false
	}
	switch strings.ToLower(path[dot+1:]) {
	case "css", "js", "png", "jpg", "jpeg", "gif", "svg", "ico", "woff", "woff2", "webp", "map", "ttf":
		return true
	}
	return false
}

// handshake counts a TLS handshake with a service of ours.
func (m *memory) handshake(r *testudo.TLS, out *detector.Out) {
	if !r.ClientHello || r.QUIC {
		return
	}
	d := door{r.ID.Resp.Addr(), r.ID.Resp.Port(), handshakes}
	k := m.enter(d, &r.Meta, r.Time)
	k.shape.add(detector.NameKey(r.JA4), "")
	if !r.Established {
		k.incomplete++
	}
	if r.Resumed {
		k.resumed++
	}
	m.judge(d, k, out)
}

// patience is how long a conversation lasts at least in which somebody is
// kept waiting.
const patience = 10 * time.Second

// waiting counts a conversation in which our service was told next to nothing
// for long, or could not get rid of its answer.
func (m *memory) waiting(c *testudo.Conn, out *detector.Out) {
	if c.ID.Proto != testudo.TCP || c.Duration < patience || c.OrigBytes == 0 || c.OrigBytes > 4096 {
		return
	}
	slowReader := c.RespBytes > 0 && strings.Contains(c.History, "W")
	if c.RespBytes > 0 && !slowReader {
		return
	}
	d := door{c.ID.Resp.Addr(), c.ID.Resp.Port(), waits}
	k := m.enter(d, &c.Meta, c.Time.Add(c.Duration))
	k.incomplete++
	if slowReader || c.Pulses.Count >= 2 && c.Pulses.SizeMean <= 256 {
		k.dribbled++
	}
	m.judge(d, k, out)
}

func (k *desk) score(d door) float64 {
	return testudo.Probability(testudo.SumReasons(k.reasons(d)))
}

// part is a share of what came to the desk.
func (k *desk) part(n int) float64 { return float64(n) / float64(max(1, k.n)) }

// count is how many senders there were, at most what came.
func (k *desk) count() int { return max(1, min(k.all.Count(), k.n)) }

// each is how much comes from one sender in a window.
func (k *desk) each() float64 { return k.peak / float64(k.count()) }

// weights collects addends.
type weights []testudo.Reason

func (w *weights) add(f testudo.Family, weight float64, format string, args ...any) {
	*w = append(*w, testudo.Reason{Family: f, Weight: weight, Text: fmt.Sprintf(format, args...)})
}

func (k *desk) reasons(d door) []testudo.Reason {
	w := weights{{Family: testudo.Base, Weight: -6, Text: "floods are rare"}}
	usual := max(d.floor()/3, 3*k.usual)
	w.add(testudo.Volume, detector.Cap(1.5*math.Log2(k.peak/usual), 6), "%.0f at once; before it was %.0f at most", k.peak, k.usual)
	switch d.by {
	case requests:
		k.weighRequests(&w)
	case handshakes:
		k.weighHandshakes(&w)
	case waits:
		k.weighWaits(d, &w)
	}
	if k.part(k.within) >= 0.5 {
		w.add(testudo.Innocence, -5, "they come from machines of ours: a service that talks to another, or a test")
	}
	return w
}

func (k *desk) weighRequests(w *weights) {
	if p := k.part(k.path.on); p >= 0.8 {
		w.add(testudo.Content, 2, "%.0f %% ask for one path", 100*p)
	}
	switch p := k.part(k.assets); {
	case p < 0.02:
		w.add(testudo.Content, 1, "nobody fetches what a page brings with it")
	case p >= 0.2:
		w.add(testudo.Innocence, -3, "%.0f %% fetch styles, scripts and pictures, as people's browsers do", 100*p)
	}
	switch p := k.part(k.referred); {
	case p < 0.05:
		w.add(testudo.Naming, 1, "nobody comes from another page")
	case p >= 0.3 && k.count() >= crowd/4:
		w.add(testudo.Innocence, -2, "%.0f %% come from a page before", 100*p)
	}
	if p := k.part(k.refused); p >= 0.3 {
		w.add(testudo.Timing, 1.5, "%.0f %% got no answer or were refused", 100*p)
	} else if p <= 0.02 && k.count() <= 8 {
		w.add(testudo.Timing, -3, "all were served: a program that works with another looks alike")
	}
	if paths := min(k.paths.Count(), k.n); paths > 64 && k.count() <= 4 {
		w.add(testudo.Innocence, -5, "few senders try %d paths: that is a scan", paths)
	}
	k.weighSenders(w)
}

func (k *desk) weighHandshakes(w *weights) {
	if p := k.part(k.incomplete); p >= 0.2 {
		w.add(testudo.Content, 3*p, "%.0f %% of the handshakes came to nothing", 100*p)
	} else {
		w.add(testudo.Content, -1, "nearly all handshakes were completed")
	}
	if p := k.part(k.resumed); p >= 0.1 {
		w.add(testudo.Innocence, -2, "%.0f %% had been here before", 100*p)
	}
	k.weighSenders(w)
}

func (k *desk) weighSenders(w *weights) {
	if p := k.part(k.shape.on); p >= 0.9 && k.count() >= crowd/4 {
		w.add(testudo.Company, 2, "%s, and %.0f %% are one program", many(k.count()), 100*p)
	} else if p < 0.5 && k.count() >= crowd/4 {
		w.add(testudo.Company, -1.5, "%s of many programs: a crowd", many(k.count()))
	}
	if e := perSecond(k.each()); e >= 12 {
		w.add(testudo.Rarity, detector.Cap(1.5*math.Log2(e/10), 3), "%.0f a second from each: faster than people", e)
	}
}

func (k *desk) weighWaits(d door, w *weights) {
	w.add(testudo.Content, 3.5*k.part(k.dribbled), "%.0f %% send a few bytes after each pause, or take as few", 100*k.part(k.dribbled))
	if e := float64(k.n) / float64(k.count()); e >= 8 {
		w.add(testudo.Company, 2, "%.0f such conversations from each of %s", e, many(k.count()))
	}
	switch d.port {
	case 80, 443, 8000, 8080, 8443:
		w.add(testudo.Naming, 1, "a web service answers at once when it is asked")
	default:
		w.add(testudo.Innocence, -2, "not at a web service: a collector that never answers looks alike")
	}
}

// aggregate is what holds the flood where few send it; what many send can
// only be told by what they ask.
func (k *desk) aggregate(d door) (a testudo.Aggregate, ok bool) {
	a = testudo.Aggregate{Target: netip.PrefixFrom(d.host, d.host.BitLen()), Proto: testudo.TCP, TargetPort: d.port, Removed: 1}
	for _, s := range k.accused() {
		a.Sources = append(a.Sources, netip.PrefixFrom(s.Address, s.Address.BitLen()))
	}
	return a, len(a.Sources) > 0
}

func (k *desk) claim(d door) testudo.Sighting {
	told := [...]struct{ name, title, what, technique string }{
		requests:   {"http", "%s is flooded with HTTP requests", "HTTP requests", "T1499.002"},
		handshakes: {"tls", "%s is flooded with TLS handshakes", "TLS handshakes", "T1499.002"},
		waits:      {"slow", "%s is held up by slow requests", "conversations that keep it waiting", "T1499.002"},
	}[d.by]
	service := netip.AddrPortFrom(d.host, d.port).String()
	s := testudo.Sighting{
		Detector: "flood", Key: fmt.Sprintf("%s %s %d", told.name, service, int64(k.onset)/int64(time.Second)), Kind: testudo.Flood, Outcome: testudo.Success,
		First: k.onset, Last: k.until, Title: fmt.Sprintf(told.title, service),
		Summary:  fmt.Sprintf("%d %s from %s, at worst %.0f at once", k.n, told.what, many(k.count()), k.peak),
		Reasons:  k.reasons(d),
		Innocent: "a crowd of visitors after an announcement, a load test, a program that works with another",
		Victims:  []netip.Addr{d.host}, Servers: k.accused(), Techniques: []string{told.technique},
		Evidence: []testudo.Fact{
			{Name: "form", Value: told.name},
			{Name: "target", Value: service},
			{Name: "onset", Value: k.onset},
			{Name: "decided", Value: k.decided},
			{Name: "packets", Value: k.n},
			{Name: "peak", Value: int(k.peak)},
			{Name: "usual", Value: int(k.usual)},
			{Name: "sources", Value: k.count()},
			{Name: "spoofed", Value: "no"},
			{Name: "spoofed_why", Value: "they hold conversations, which takes an address of one's own"},
		},
	}
	if p := k.part(k.path.on); d.by == requests && p >= 0.5 {
		s.Evidence = append(s.Evidence, testudo.Fact{Name: "path", Value: k.path.example}, testudo.Fact{Name: "path_share", Value: math.Round(100*p) / 100})
	}
	if a, ok := k.aggregate(d); ok {
		s.Evidence = append(s.Evidence, testudo.Fact{Name: "aggregate", Value: a.String()}, testudo.Fact{Name: "block", Value: a})
	}
	s.UIDs = append(s.UIDs, k.uids[:k.conns]...)
	return s
}
