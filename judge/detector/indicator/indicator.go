// Package indicator claims conversations with what a list names as bad. The
// list's word counts as strong but not final evidence: lists rot and overlap,
// so a hit is said with its source, and who only looked a name up is told
// apart from who talked to it.
package indicator

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/detector"
)

// Detector returns the detector. Its memory hangs on our host.
func Detector() detector.Detector {
	return detector.Detector{
		Name: "indicator", Ticks: true,
		Wants: []testudo.Evidence{testudo.Certificates},
		Route: func(r testudo.Record) (uint64, bool) {
			m := r.Base()
			return detector.AddrKey(m.About.Host), len(m.About.Hits) > 0 && m.About.Host.IsValid()
		},
		New: func(entries int) detector.Memory {
			return &memory{hits: detector.NewTable[key, state](entries)}
		},
	}
}

type key struct {
	host  netip.Addr
	value string
}

type state struct {
	first, last testudo.Time
	count       int
	talked      bool // payload went both ways
	asked       bool // the name was only looked up
	inbound     bool
	server      testudo.Server
	hit         testudo.Hit
	sources     []string
	uids        []testudo.UID
	dirty       bool
}

type memory struct {
	hits *detector.Table[key, state]
}

// Observe implements detector.Memory.
func (m *memory) Observe(r testudo.Record, _ *detector.Out) {
	b := r.Base()
	for _, h := range b.About.Hits {
		k := key{b.About.Host, h.Value}
		s, isNew := m.hits.Put(k)
		if isNew {
			s.first, s.hit, s.inbound = b.Time, h, !b.About.Outbound
		}
		s.last = max(s.last, b.Time)
		s.dirty = true
		if c, ok := r.(*testudo.Conn); !ok || !c.Interim {
			s.count++
		}
		s.see(r, h)
	}
}

func (s *state) see(r testudo.Record, h testudo.Hit) {
	b := r.Base()
	if len(s.sources) < 8 && !contains(s.sources, h.Source) {
		s.sources = append(s.sources, h.Source)
	}
	if len(s.uids) < 16 && (len(s.uids) == 0 || s.uids[len(s.uids)-1] != b.UID) {
		s.uids = append(s.uids, b.UID)
	}
	switch r := r.(type) {
	case *testudo.DNS:
		s.asked = true
		if h.Field == "query" && len(s.server.Names) < 4 && !contains(s.server.Names, r.Query) {
			s.server.Names = append(s.server.Names, r.Query)
		}
		if len(r.Addresses) > 0 && !s.server.Address.IsValid() && !b.About.Shared {
			s.server.Address = r.Addresses[0]
		}
		return
	case *testudo.Conn:
		s.talked = s.talked || r.OrigBytes > 0 && r.RespBytes > 0
	default:
		s.talked = true
	}
	s.server.Address = b.About.Peer
	if b.About.Outbound {
		port := fmt.Sprintf("%s/%d", b.ID.Proto, b.ID.Resp.Port())
		if !contains(s.server.Ports, port) && len(s.server.Ports) < 8 {
			s.server.Ports = append(s.server.Ports, port)
		}
	}
	if n := b.About.Name; n != "" && !contains(s.server.Names, n) && len(s.server.Names) < 4 {
		s.server.Names = append(s.server.Names, n)
	}
	s.server.Shared = s.server.Shared || b.About.Shared
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

// Tick implements detector.Memory.
func (m *memory) Tick(_ testudo.Time, _ bool, out *detector.Out) {
	for k, s := range m.hits.All {
		if s.dirty {
			s.dirty = false
			out.Claim(claim(k, s))
		}
	}
}

// Shed implements detector.Memory.
func (m *memory) Shed() int { return m.hits.Shed() }

func claim(k key, s *state) testudo.Sighting {
	verb := "talked to"
	outcome := testudo.Success
	reasons := []testudo.Reason{
		{Family: testudo.Base, Weight: -1.5, Text: "lists are dirty and old: most hits are not attacks"},
		{Family: testudo.Listed, Weight: 2.2, Text: fmt.Sprintf("%s is on %s%s", s.hit.Value, strings.Join(s.sources, ", "), note(s.hit.Note))},
	}
	add := func(f testudo.Family, w float64, text string) {
		reasons = append(reasons, testudo.Reason{Family: f, Weight: w, Text: text})
	}
	if n := len(s.sources); n > 1 {
		add(testudo.Company, min(1, 0.4*float64(n-1)), fmt.Sprintf("%d lists agree, which is agreement and not proof", n))
	}
	switch {
	case s.talked:
		add(testudo.Content, 0.9, "data went both ways")
	case s.asked:
		verb, outcome = "looked up", testudo.Attempt
		add(testudo.Content, -0.4, "the name was looked up; no conversation with it was seen")
	default:
		verb, outcome = "tried to reach", testudo.Attempt
		add(testudo.Content, -0.6, "the other side gave no data")
	}
	if s.server.Shared {
		add(testudo.Innocence, -1.2, "the address serves many unrelated names")
	}
	title := fmt.Sprintf("%s %s %s, which %s lists", k.host, verb, s.hit.Value, s.sources[0])
	kind, role := testudo.Espionage, testudo.C2
	if s.inbound {
		kind, role, outcome = testudo.Intrusion, testudo.Exploiter, min(outcome, testudo.Attempt)
		title = fmt.Sprintf("%s, which %s lists, came to %s", s.hit.Value, s.sources[0], k.host)
		add(testudo.Innocence, -1.0, "it came from outside, where listed addresses knock all day")
	}
	s.server.Role = role
	return testudo.Sighting{
		Detector: "indicator", Key: k.host.String() + " " + k.value, Kind: kind, Outcome: outcome,
		First: s.first, Last: s.last, Victims: []netip.Addr{k.host},
		Servers: []testudo.Server{clone(s.server)}, Title: title,
		Summary:  fmt.Sprintf("%d records match %s by %s", s.count, s.hit.Value, s.hit.Field),
		Reasons:  reasons,
		Innocent: "a stale entry, an address that has changed hands, or a researcher's visit",
		Evidence: []testudo.Fact{
			{Name: "indicator", Value: s.hit.Value},
			{Name: "field", Value: s.hit.Field},
			{Name: "sources", Value: append([]string(nil), s.sources...)},
			{Name: "count", Value: s.count},
		},
		UIDs: append([]testudo.UID(nil), s.uids...),
	}
}

func note(n string) string {
	if n == "" {
		return ""
	}
	return " (" + n + ")"
}

func clone(s testudo.Server) testudo.Server {
	s.Names = append([]string(nil), s.Names...)
	s.Ports = append([]string(nil), s.Ports...)
	return s
}
