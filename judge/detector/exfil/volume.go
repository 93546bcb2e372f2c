package exfil

import (
	"fmt"
	"math"
	"math/bits"
	"net/netip"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/detector"
)

// flow is what one host sent to one place within a window.
type flow struct {
	first, last     testudo.Time
	sent, got       int64
	conns, pieces   int
	carried         int64 // by the pieces
	hours           uint32
	night           int // pieces between 22 and 6 hours, by the traffic's UTC clock
	largest         int64
	named, selfMade bool
	about           testudo.Context
	address         netip.Addr
	many            bool // more than one address
	name            string
	proto           testudo.Proto
	port            uint16
	due, told       int
	logit           float64
	uids            [16]testudo.UID
	nuids           int
}

func (f *flow) begin(m *testudo.Meta) {
	*f = flow{first: m.Time, last: m.Time, due: fewest, selfMade: f.selfMade}
}

func (m *memory) conn(c *testudo.Conn, out *detector.Out) {
	if c.ID.Resp.Port() == 53 || c.ID.Proto != testudo.TCP && c.ID.Proto != testudo.UDP {
		return
	}
	w := wayOf(&c.Meta, byVolume)
	f, isNew := m.ways.Put(w)
	if isNew || f.told == 0 && c.Time.Sub(f.first) > window {
		f.begin(&c.Meta)
	}
	if !f.add(c) || f.pieces < f.due {
		return
	}
	f.due = f.pieces + f.pieces/4 + 1
	logit := f.weigh(false).Logit()
	m.ways.Keep(w, logit > -2)
	if logit >= enough && (f.told == 0 || logit > f.logit+1 || f.pieces >= 2*f.told) {
		f.told, f.logit = f.pieces, logit
		out.Claim(f.claim(w))
	}
}

// add counts a report of a conn and tells whether it was an upload.
func (f *flow) add(c *testudo.Conn) bool {
	f.last = max(f.last, c.Time.Add(c.Duration))
	up, down := c.Delta.OrigBytes, c.Delta.RespBytes
	f.sent += up
	f.got += down
	if !c.Interim {
		f.conns++
	}
	f.about = c.About
	if f.address.IsValid() && f.address != c.ID.Resp.Addr() {
		f.many = true
	}
	f.address = c.ID.Resp.Addr()
	if c.About.Name != "" {
		f.named, f.name = true, c.About.Name
	}
	f.about.Hits = nil // belongs to the record
	f.proto, f.port = c.ID.Proto, c.ID.Resp.Port()
	if up < piece || down*2 > up || c.MissedBytes*2 > up {
		return false
	}
	f.pieces++
	f.carried += up
	f.largest = max(f.largest, up)
	hour := f.last.Std().UTC().Hour()
	f.hours |= 1 << hour
	if hour >= 22 || hour < 6 {
		f.night++
	}
	if f.nuids < len(f.uids) && (f.nuids == 0 || f.uids[f.nuids-1] != c.UID) {
		f.uids[f.nuids] = c.UID
		f.nuids++
	}
	return true
}

func (f *flow) weigh(telling bool) detector.Verdict {
	v := detector.Verdict{Telling: telling}
	v.Add(testudo.Base, -7.5, "large uploads are made all day")
	v.Add(testudo.Volume, max(-2, min(3, math.Log2(float64(f.carried)/5e5))), "%s sent, %s came back", bytes(f.sent), bytes(f.got))
	share := float64(f.pieces) / float64(max(f.pieces, f.conns))
	ratio := float64(f.sent) / float64(f.got+1)
	v.Add(testudo.Content, max(-2, min(2.5, math.Log2(ratio/1.5)*0.8))+min(0, 2*(share-0.7)), "%.1f times as much goes out as comes in; %.0f%% of the conversations are uploads", ratio, 100*share)
	n := bits.OnesCount32(f.hours)
	switch lasts := f.last.Sub(f.first); {
	case f.pieces >= 8 && n >= 4 && f.largest*3 < f.carried:
		w := 2.0
		if f.night*2 > f.pieces {
			w = 2.5
		}
		v.Add(testudo.Timing, w, "in %d pieces of at most %s spread over %s", f.pieces, bytes(f.largest), lasting(lasts))
	case f.pieces < 3 || lasts < time.Hour:
		v.Add(testudo.Timing, -1.5, "all in one go")
	}
	if began := f.last.Add(-f.about.Known); f.about.PeerSince.Sub(began) < longWatch {
		v.Add(testudo.Rarity, -2, "it may be an old habit: the place was already used in the first day of watching")
	} else {
		weighRarity(&v, &f.about, f.last, 1.5)
	}
	if f.selfMade {
		v.Add(testudo.Crypto, 1.5, "the server vouches for itself alone")
	}
	if !f.named {
		v.Add(testudo.Naming, 1, "to a bare address")
	}
	if f.about.Shared {
		v.Add(testudo.Innocence, -1, "the address serves many names")
	}
	return v
}

func (f *flow) claim(w way) testudo.Sighting {
	server := testudo.Server{Role: testudo.ExfilSink, Ports: []string{fmt.Sprintf("%s/%d", f.proto, f.port)}, Shared: f.about.Shared}
	if !f.many || !f.named {
		server.Address = f.address
	}
	where := w.dest()
	if f.named {
		server.Names = []string{f.name}
		where = f.name
	}
	s := testudo.Sighting{
		Detector: "exfil", Key: "volume " + w.host.String() + " " + w.dest(), Kind: testudo.Espionage, Outcome: testudo.Success,
		First: f.first, Last: f.last, Victims: []netip.Addr{w.host}, Servers: []testudo.Server{server},
		Title:    fmt.Sprintf("%s sends %s out to %s in %d pieces", w.host, size(f.sent), where, f.pieces),
		Summary:  fmt.Sprintf("%s out and %s in over %s, %d uploads", size(f.sent), size(f.got), span(f.last.Sub(f.first)), f.pieces),
		Reasons:  f.weigh(true).Reasons,
		Innocent: "a backup, a file share or a new service that somebody began to use",
		Evidence: []testudo.Fact{
			{Name: "bytes_out", Value: f.sent},
			{Name: "bytes_in", Value: f.got},
			{Name: "uploads", Value: f.pieces},
			{Name: "conns", Value: f.conns},
			{Name: "largest", Value: f.largest},
			{Name: "span_s", Value: f.last.Sub(f.first).Seconds()},
		},
		Techniques: []string{"T1041", "T1030"},
	}
	s.UIDs = append(s.UIDs, f.uids[:f.nuids]...)
	return s
}
