package tunnel

import (
	"fmt"
	"math"
	"net/netip"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/detector"
)

// line is a pair of hosts that send each other echoes.
type line struct{ host, peer netip.Addr }

func (k line) sum(h detector.Hash) detector.Hash {
	return h.Addr(k.host).Addr(k.peer)
}

// echo is what a pair's echoes amount to in a window. An honest machine gives
// back exactly what it was sent, once, and fills a request with a pattern.
type echo struct {
	first, last       testudo.Time
	packets           int
	requests, replies int
	bytes             int64
	differ            int // replies that do not give back their request
	unasked           int // replies nobody asked for
	strange           int // different requests whose payload is no pattern
	text              int // those of them that can be read
	largest           int
	out               bool // our host asks
	both              bool // both ends are ours
	told              int
	logit             float64
	uids              [16]testudo.UID
	nuids             int
}

func (m *memory) echo(r *testudo.ICMPEcho, out *detector.Out) {
	l := line{r.About.Host, r.About.Peer}
	e, isNew := m.lines.Put(l)
	if isNew || e.told == 0 && r.Time.Sub(e.first) > window {
		*e = echo{first: r.Time}
	}
	e.add(r)
	if e.differ+e.unasked+e.strange == 0 {
		return
	}
	logit := e.weigh(false).Logit()
	m.lines.Keep(l, logit > -2)
	if logit > 0 && (e.told == 0 || logit > e.logit+1 || e.packets >= 2*e.told) {
		e.told, e.logit = e.packets, logit
		out.Claim(e.claim(l))
	}
}

func (e *echo) add(r *testudo.ICMPEcho) {
	e.last = max(e.last, r.Time)
	e.packets += r.Requests + r.Replies
	e.requests += r.Requests
	e.replies += r.Replies
	e.bytes += r.RequestBytes + r.ReplyBytes
	e.differ += r.Mismatch
	e.largest = max(e.largest, r.MaxSize)
	e.out, e.both = r.About.Outbound, r.About.OrigLocal && r.About.RespLocal
	if r.Requests > 0 { // else one direction was captured
		e.unasked += r.Unasked
		if r.Distinct >= 3 && !isPattern(r.Head) {
			e.strange += r.Distinct
			if r.Text > 0.85 {
				e.text += r.Distinct
			}
		}
	}
	if e.nuids < len(e.uids) && (e.nuids == 0 || e.uids[e.nuids-1] != r.UID) {
		e.uids[e.nuids] = r.UID
		e.nuids++
	}
}

// isPattern tells whether the first bytes of a payload are what ping programs
// fill theirs with, after a time stamp of up to 16 bytes: nothing, one byte
// again and again, or bytes in a row.
func isPattern(head string) bool {
	if len(head) < 24 {
		return true
	}
	tail := head[16:]
	same, row := 0, 0
	for i := 1; i < len(tail); i++ {
		switch tail[i] - tail[i-1] {
		case 0:
			same++
		case 1:
			row++
		}
	}
	most := (len(tail) - 1) * 3 / 4
	return same >= most || row >= most
}

func (e *echo) weigh(telling bool) detector.Verdict {
	v := detector.Verdict{Telling: telling}
	v.Add(testudo.Base, -6, "echoes are sent all day to see who is there")
	w, why := 0.0, ""
	if e.differ >= 2 {
		w, why = min(5, 1.5*math.Log2(float64(e.differ))+1), fmt.Sprintf("%d of %d replies do not give back what was sent", e.differ, e.replies)
	}
	if e.requests >= 4 && e.unasked*5 >= e.replies && e.unasked >= 3 {
		if x := min(4, 1.2*math.Log2(float64(e.unasked))); x > w {
			w, why = x, fmt.Sprintf("%d of %d replies answer no request", e.unasked, e.replies)
		}
	}
	if e.strange >= 6 {
		x := min(3, 0.9*math.Log2(float64(e.strange)/3))
		if e.text >= 6 {
			x++
		}
		if x > w {
			w, why = x, fmt.Sprintf("%d different payloads such as no ping program sends", e.strange)
		} else {
			w += x / 3
		}
	}
	v.Add(testudo.Content, min(6, w), "%s", why)
	v.Add(testudo.Volume, detector.Cap(math.Log2(float64(e.bytes+1)/3000)/1.5, 3), "%s of payload in %d echoes, up to %d bytes each", size(float64(e.bytes)), e.packets, e.largest)
	if e.both {
		v.Add(testudo.Innocence, -0.5, "both ends are ours")
	}
	return v
}

func (e *echo) claim(l line) testudo.Sighting {
	s := testudo.Sighting{
		Detector: "tunnel", Key: fmt.Sprintf("icmp %s %s", l.host, l.peer), Kind: testudo.Espionage, Outcome: testudo.Success,
		First: e.first, Last: e.last, Victims: []netip.Addr{l.host},
		Servers:  []testudo.Server{{Address: l.peer, Role: testudo.TunnelEnd, Ports: []string{"icmp"}}},
		Title:    fmt.Sprintf("%s carries data in ICMP echoes to %s", l.host, l.peer),
		Summary:  fmt.Sprintf("%d requests and %d replies with %s of payload in %s", e.requests, e.replies, size(float64(e.bytes)), span(e.first, e.last)),
		Reasons:  e.weigh(true).Reasons,
		Innocent: "a test of the line with random payload, or a broken device on the way that changes packets",
		Evidence: []testudo.Fact{
			{Name: "requests", Value: e.requests},
			{Name: "replies", Value: e.replies},
			{Name: "bytes", Value: e.bytes},
			{Name: "replies_that_differ", Value: e.differ},
			{Name: "unasked", Value: e.unasked},
			{Name: "strange_payloads", Value: e.strange},
			{Name: "largest", Value: e.largest},
		},
		Techniques: []string{"T1095", "T1572"},
	}
	if e.replies == 0 {
		s.Outcome = testudo.Attempt
	}
	s.UIDs = append(s.UIDs, e.uids[:e.nuids]...)
	return s
}
