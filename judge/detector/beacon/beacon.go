// Package beacon finds an implant that reports home at intervals: the same
// machine of ours, the same place outside, again and again, in a rhythm no
// person keeps. Timing alone cannot tell it from an updater, so it only
// nominates; the score is the joint evidence of rhythm, sizes, persistence,
// how rare and how new the place is, its name, its certificate, the shape of
// the requests and who else goes there. See README.md for each addend.
package beacon

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/detector"
)

// What is fixed. None of it names anything seen in the wild.
const (
	// burst is the silence that parts one report from the next; what begins
	// within it belongs to the report before.
	burst = time.Second
	// minBeats is how many reports make a rhythm that can be judged at all.
	minBeats = 7
	// settled is how long a network must be watched before "new" and "rare"
	// say something.
	settled = 24 * time.Hour
	// atOnce is how soon after the watching began a place must have been
	// used to count as one that was in use before.
	atOnce = 3 * time.Hour
	// lived is in how many different hours the host must have been seen by
	// then: a clock that jumps makes a long watch of nothing.
	lived = 5
	// serving is how many visits from outside a host must have answered to
	// count as a machine that serves others.
	serving = 50
	// tell is the log-odds from which a series is claimed: below it nobody
	// wants to read about it.
	tell = -0.7
	// worthKeeping is the log-odds from which a series outlives others when
	// memory is short.
	worthKeeping = -3.5
)

// Detector returns the detector. Its memory hangs on our host, so that what
// the host does elsewhere (its other fingerprints, whether it serves others)
// can be held against the one series.
func Detector() detector.Detector {
	return detector.Detector{
		Name:  "beacon",
		Needs: []string{"conn", "http", "ssl"},
		Wants: []testudo.Evidence{testudo.Bursts, testudo.Headers, testudo.Bodies, testudo.Keys},
		Habit: 2 * settled,
		Slow:  "slow beacons and what is new here",
		Route: func(r testudo.Record) (uint64, bool) {
			m := r.Base()
			return detector.AddrKey(m.About.Host), wanted(r, m)
		},
		New: func(entries int) detector.Memory {
			return &memory{
				series: detector.NewTableBy[seriesKey, series](entries, seriesKey.sum),
				hosts:  detector.NewTable[netip.Addr, host](entries),
				joint:  detector.NewTable[testudo.UID, joint](max(1, entries/8)),
			}
		},
	}
}

// wanted tells whether r can be part of a report, or of what a host is like.
func wanted(r testudo.Record, m *testudo.Meta) bool {
	c := &m.About
	if !c.Host.IsValid() || isGroup(c.Peer) || isGroup(c.Host) {
		return false
	}
	switch r := r.(type) {
	case *testudo.Conn:
		if m.ID.Proto != testudo.TCP && m.ID.Proto != testudo.UDP {
			return false
		}
		return r.OrigPkts > 0 && !chores(r.Service) // what was turned round was begun by nobody here
	case *testudo.TLS:
		return c.Outbound
	case *testudo.HTTP:
		return r.HasRequest && (c.Outbound || r.Host == "")
	}
	return false
}

// chores tells the services whose rhythm belongs to their protocol, known by
// content and not by port: names, time, leases, device polls.
func chores(service string) bool {
	switch service {
	case "dns", "ntp", "dhcp", "snmp", "mdns", "llmnr", "netbios", "nbns", "ssdp", "stun", "krb", "kerberos":
		return true
	}
	return false
}

func isGroup(a netip.Addr) bool {
	return !a.IsValid() || a.IsMulticast() || a.IsUnspecified() || a == netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// seriesKey is one place that one host of ours reports to: a name where the
// host used one, so that a server may move, else the address.
type seriesKey struct {
	host    netip.Addr
	place   uint64
	port    uint16
	via     testudo.Proto
	inbound bool // the place comes to our host
	by      mark
}

func (k seriesKey) sum(h detector.Hash) detector.Hash {
	return h.Addr(k.host).Word(k.place).Word(uint64(k.port)<<16 | uint64(k.via)<<8 | uint64(k.by))
}

// mark is what the reports of a series have in common.
type mark uint8

const (
	byPlace mark = iota // they go to one place
	byKey               // one server's key answers, whatever its names and addresses
	byPrint             // one client of the host makes them, wherever they go
)

func keyOf(m *testudo.Meta) seriesKey {
	c := &m.About
	k := seriesKey{host: c.Host, port: m.ID.Resp.Port(), via: m.ID.Proto, inbound: !c.Outbound}
	if c.Name != "" && c.Outbound {
		k.place = detector.NameKey(c.Name)
	} else {
		k.place = detector.AddrKey(c.Peer)
	}
	return k
}

// host is what is known of a machine of ours as a whole.
type host struct {
	served  int // conns from outside that it answered
	hour    int64
	hours   int  // different hours in which it did something
	named   bool // it was seen to use a name
	prints  [12]print
	printed int // fingerprints met, remembered or not
}

// print is one client fingerprint of a host and where it was used.
type print struct {
	hash  uint64
	place uint64
	many  bool // at more than one place
}

func (h *host) greet(hash, place uint64) {
	for i := range h.prints[:min(h.printed, len(h.prints))] {
		if p := &h.prints[i]; p.hash == hash {
			p.many = p.many || p.place != place
			return
		}
	}
	if h.printed < len(h.prints) {
		h.prints[h.printed] = print{hash: hash, place: place}
	}
	h.printed++
}

// peculiar tells whether the host uses the fingerprint here and nowhere else,
// though it has several others.
func (h *host) peculiar(hash uint64) bool {
	if h.printed < 3 || h.printed > len(h.prints) {
		return false
	}
	i := slices.IndexFunc(h.prints[:h.printed], func(p print) bool { return p.hash == hash })
	return i >= 0 && !h.prints[i].many
}

type memory struct {
	series *detector.Table[seriesKey, series]
	hosts  *detector.Table[netip.Addr, host]
	joint  *detector.Table[testudo.UID, joint] // conversations that belong to a series of several places
}

// Observe implements detector.Memory.
func (m *memory) Observe(r testudo.Record, out *detector.Out) {
	meta := r.Base()
	h, _ := m.hosts.Put(meta.About.Host)
	if at := hourOf(meta.Time); at > h.hour {
		h.hour = at
		h.hours++
	}
	h.named = h.named || meta.About.Outbound && meta.About.Name != ""
	if c, ok := r.(*testudo.Conn); ok && !meta.About.Outbound {
		if !meta.About.OrigLocal && c.RespPkts > 0 {
			h.served++
		}
		return
	}
	k := keyOf(meta)
	s, isNew := m.series.Put(k)
	if isNew {
		s.begin(meta, h)
	}
	s.context(meta)
	before := s.beats
	switch r := r.(type) {
	case *testudo.Conn:
		s.conn(r)
	case *testudo.HTTP:
		s.http(r)
	case *testudo.TLS:
		s.tls(r)
		if p := r.ClientPrint(); p != "" {
			s.print = detector.NameKey(p)
			h.greet(s.print, k.place)
		}
	}
	if s.due(before) {
		m.judge(k, s, h, false, out)
	}
	m.join(r, h, out)
}

// judge weighs a series and claims it where that tells something new.
func (m *memory) judge(k seriesKey, s *series, h *host, last bool, out *detector.Out) {
	s.judged, s.pulsed = s.beats, s.pulse.Count
	v := weigh(k, s, h, false)
	odds := v.Logit()
	m.series.Keep(k, odds >= worthKeeping)
	if s.claimed == 0 && (odds < tell || m.toldElsewhere(k, s)) || k.by == byPrint && !m.roams(k, s, h, &v) {
		return
	}
	score := testudo.Probability(odds)
	news := s.claimed == 0 || grade(score) != grade(s.score) || s.beats >= 2*s.claimed || last && s.beats > s.claimed
	if !news {
		return
	}
	s.claimed, s.score = max(1, s.beats), score
	out.Claim(s.claim(k, weigh(k, s, h, true)))
}

// likely and sure are the probabilities from which judge/incident makes a
// sighting medium, so that a person is asked, and high: a claim that crosses
// one of them is news there. The rooms may not import each other.
const (
	likely = 0.55
	sure   = 0.9
)

// grade is the step at which a person is asked, or asked at once.
func grade(score float64) int { return b2i(score >= likely) + b2i(score >= sure) }

// Tick implements detector.Memory: at the end every series is weighed with
// its last numbers.
func (m *memory) Tick(_ testudo.Time, last bool, out *detector.Out) {
	if !last {
		return
	}
	var all []seriesKey
	for k, s := range m.series.All {
		if s.judgeable() {
			all = append(all, k)
		}
	}
	for _, k := range all {
		h := m.hosts.Peek(k.host)
		if h == nil {
			h = &host{}
		}
		m.judge(k, m.series.Peek(k), h, true, out)
	}
}

// Shed implements detector.Memory.
func (m *memory) Shed() int { return m.series.Shed() + m.hosts.Shed() + m.joint.Shed() }

// isAddress tells whether an HTTP Host header is an address and no name.
func isAddress(host string) bool {
	if strings.Count(host, ":") < 2 { // no IPv6
		end, _, _ := strings.Cut(host, ":")
		end = strings.TrimRight(end, "]")
		if end == "" || end[len(end)-1] < '0' || end[len(end)-1] > '9' {
			return false // most hosts; a failed parse would allocate
		}
	}
	if strings.Contains(host, ":") { // without a port it fails, which allocates
		if _, err := netip.ParseAddrPort(host); err == nil {
			return true
		}
	}
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil
}
