// Package indicator claims conversations with what a list names as bad. The
// list's word counts as strong but not final evidence: lists rot and overlap,
// so a hit is said with its source and its age, and who only looked a name up
// is told apart from who talked to it. A hit that bears a mark, and one on a
// client's fingerprint, never asks for a person by itself.
package indicator

import (
	"fmt"
	"net/netip"

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
	value       string
	field       string
	threats     []string
	said        []said // by source, in the order in which they showed
	more        int    // sources that are counted only
	uids        []testudo.UID
	dirty       bool
}

type memory struct {
	hits *detector.Table[key, state]
}

// Observe implements detector.Memory.
func (m *memory) Observe(r testudo.Record, _ *detector.Out) {
	b := r.Base()
	for i := range b.About.Hits {
		h := &b.About.Hits[i]
		if h.Marks&nobodys != 0 {
			continue
		}
		k := key{b.About.Host, h.Value}
		s, isNew := m.hits.Put(k)
		if isNew {
			s.first, s.value, s.field, s.inbound = b.Time, h.Value, h.Field, !b.About.Outbound
		}
		s.last = max(s.last, b.Time)
		s.dirty = true
		// A value's hits stand together, so only the first is a new record's.
		if c, ok := r.(*testudo.Conn); (!ok || !c.Interim) && (i == 0 || b.About.Hits[i-1].Value != h.Value) {
			s.count++
		}
		s.hear(h)
		s.see(r, h)
	}
}

// nobodys are the marks of values that no party can be blamed for: a hit on
// them stays on the record and is no claim.
const nobodys = testudo.MarkPrivate | testudo.MarkSuffix | testudo.MarkWide

func (s *state) see(r testudo.Record, h *testudo.Hit) {
	b := r.Base()
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
	reasons := append([]testudo.Reason{{Family: testudo.Base, Weight: -1.5, Text: "lists are dirty and old: most hits are not attacks"}}, s.listed()...)
	add := func(f testudo.Family, w float64, text string) {
		reasons = append(reasons, testudo.Reason{Family: f, Weight: w, Text: text})
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
	top := s.top()
	lists := top.source + " lists (" + top.age(s.last) + ")"
	title := fmt.Sprintf("%s %s %s, which %s", k.host, verb, s.value, lists)
	kind, role := testudo.Espionage, testudo.C2
	if s.inbound {
		kind, role, outcome = testudo.Intrusion, testudo.Exploiter, min(outcome, testudo.Attempt)
		title = fmt.Sprintf("%s, which %s, came to %s", s.value, lists, k.host)
		add(testudo.Innocence, -1.0, "it came from outside, where listed addresses knock all day")
	}
	if why := s.weak(); why != "" {
		// Noise: it joins nobody's story, and helps none.
		outcome = testudo.Noise
		add(testudo.Innocence, min(-1, -0.2-testudo.SumReasons(reasons)), why)
		title += "; that alone is no reason to act"
	}
	s.server.Role = role
	return testudo.Sighting{
		Detector: "indicator", Key: k.host.String() + " " + k.value, Kind: kind, Outcome: outcome,
		First: s.first, Last: s.last, Victims: []netip.Addr{k.host},
		Servers: []testudo.Server{clone(s.server)}, Title: title,
		Summary:  fmt.Sprintf("%s %s by %s", records(s.count), s.value, s.field),
		Reasons:  reasons,
		Innocent: "a stale entry, an address that has changed hands, or a researcher's visit",
		Evidence: s.facts(),
		UIDs:     append([]testudo.UID(nil), s.uids...),
	}
}

func records(n int) string {
	if n == 1 {
		return "1 record matches"
	}
	return fmt.Sprintf("%d records match", n)
}

func (s *state) facts() []testudo.Fact {
	var sources, ages []string
	for i := range s.said {
		sources = append(sources, s.said[i].source)
		ages = append(ages, s.said[i].age(s.last))
	}
	facts := []testudo.Fact{
		{Name: "indicator", Value: s.value},
		{Name: "field", Value: s.field},
		{Name: "sources", Value: sources},
		{Name: "ages", Value: ages},
		{Name: "count", Value: s.count},
	}
	if s.more > 0 {
		facts = append(facts, testudo.Fact{Name: "more_sources", Value: s.more})
	}
	if m := s.marks(); m != 0 {
		facts = append(facts, testudo.Fact{Name: "marks", Value: m.Words()})
	}
	if len(s.threats) > 0 {
		facts = append(facts, testudo.Fact{Name: "threats", Value: append([]string(nil), s.threats...)})
	}
	return facts
}

func clone(s testudo.Server) testudo.Server {
	s.Names = append([]string(nil), s.Names...)
	s.Ports = append([]string(nil), s.Ports...)
	return s
}
