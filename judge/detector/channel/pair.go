package channel

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/detector"
)

// pair is what is remembered of two machines.
type pair struct {
	first, last testudo.Time
	known       time.Duration
	began       time.Duration // how long the input had been watched when it began
	resolves    float64       // share of the host's other peers whose names were seen
	name        string
	bothOurs    bool
	shared      bool
	hosts, seen int // how many of ours use the peer, of how many
	others      int // other peers of this host that hide in the same way
	crowd       int // peers of this host without a name on ports that are nobody's
	old, fresh  bool
	doors       [4]door
	uids        [8]testudo.UID
	web         session
	tls         greeting
	wire        talk
	attack      attack
	gift        gift
	claimed     [stories]float64
	told        [stories]bool
}

// door is a port that was used.
type door struct {
	port uint16
	via  testudo.Proto
}

// What a pair may be claimed for.
const (
	control  = iota // a control channel
	delivery        // a program was handed over
	assault         // an attack on a web application
	stories
)

// meet notes what every record tells.
func (p *pair) meet(m *testudo.Meta) {
	p.first, p.last = min(p.first, m.Time), max(p.last, m.Time)
	c := &m.About
	p.known = max(p.known, c.Known)
	if c.Name != "" {
		p.name = c.Name
	}
	p.bothOurs = c.OrigLocal && c.RespLocal
	p.shared = p.shared || c.Shared
	p.hosts, p.seen = max(p.hosts, c.PeerHosts), max(p.seen, c.HostsSeen)
	// Whether host used the peer when the watch began, or began after a day.
	if since := c.HostSince.Sub(m.Time.Add(-c.Known)); c.HostSince != 0 && c.Known >= 24*time.Hour {
		p.old, p.fresh = since < time.Hour, since >= 24*time.Hour
	}
	d := door{m.ID.Resp.Port(), m.ID.Proto}
	for i := range p.doors {
		if p.doors[i] == d {
			return
		}
		if p.doors[i] == (door{}) {
			p.doors[i] = d
			return
		}
	}
}

func (p *pair) addUID(m *testudo.Meta) {
	for i := range p.uids {
		if p.uids[i] == m.UID {
			return
		}
		if p.uids[i] == 0 {
			p.uids[i] = m.UID
			return
		}
	}
}

func (p *pair) weigh(what int, s *scale) {
	switch what {
	case control:
		p.weighControl(s)
	case delivery:
		p.weighDelivery(s)
	case assault:
		p.weighAttack(s)
	}
}

// claim says what was found, in words.
func (p *pair) claim(k ends, what int) testudo.Sighting {
	s := scale{telling: true}
	p.weigh(what, &s)
	sighting := testudo.Sighting{
		Detector: "channel", First: p.first, Last: p.last,
		Victims: []netip.Addr{k.host}, Reasons: s.reasons(),
	}
	server := testudo.Server{Address: k.peer, Shared: p.shared}
	if p.name != "" {
		server.Names = []string{p.name}
	}
	for _, d := range p.doors {
		if d != (door{}) {
			server.Ports = append(server.Ports, fmt.Sprintf("%s/%d", d.via, d.port))
		}
	}
	for _, u := range p.uids {
		if u != 0 {
			sighting.UIDs = append(sighting.UIDs, u)
		}
	}
	switch what {
	case control:
		p.claimControl(k, &sighting, &server)
	case delivery:
		p.claimDelivery(k, &sighting, &server)
	case assault:
		p.claimAttack(k, &sighting, &server)
	}
	sighting.Servers = []testudo.Server{server}
	return sighting
}

// called is how a person would call the peer.
func (p *pair) called(peer netip.Addr) string {
	if p.name != "" {
		return fmt.Sprintf("%s (%s)", peer, p.name)
	}
	return peer.String()
}

// families are those that this detector weighs, in the order they are told,
// with the most that each may say.
var families = [...]struct {
	name  testudo.Family
	limit float64
}{
	{testudo.Base, 10},
	{testudo.Content, 7.5},
	{testudo.Naming, 3},
	{testudo.Crypto, 3},
	{testudo.Timing, 2},
	{testudo.Volume, 1.5},
	{testudo.Rarity, 1},
	{testudo.Company, 2},
	{testudo.Innocence, 4},
}

// scale sums evidence by family. With telling set it keeps the words too.
type scale struct {
	telling bool
	sums    [len(families)]float64
	words   [len(families)]string
}

// add adds evidence with its words, if any, told as detector.Text does.
func (s *scale) add(f testudo.Family, weight float64, format string, args ...any) {
	i := place(f)
	s.sums[i] += weight
	if !s.telling || format == "" {
		return
	}
	if s.words[i] != "" {
		s.words[i] += "; "
	}
	s.words[i] += detector.Text(format, args...)
}

// when adds evidence if it is met.
func (s *scale) when(met bool, f testudo.Family, weight float64, format string, args ...any) {
	if met {
		s.add(f, weight, format, args...)
	}
}

// place is where in families f is.
func place(f testudo.Family) int {
	switch f {
	case testudo.Content:
		return 1
	case testudo.Naming:
		return 2
	case testudo.Crypto:
		return 3
	case testudo.Timing:
		return 4
	case testudo.Volume:
		return 5
	case testudo.Rarity:
		return 6
	case testudo.Company:
		return 7
	case testudo.Innocence:
		return 8
	}
	return 0
}

// score is the capped sum, as printed.
func (s *scale) score() float64 { return s.fill().Logit() }

func (s *scale) reasons() []testudo.Reason { return s.fill().Reasons }

func (s *scale) fill() detector.Verdict {
	v := detector.Verdict{Telling: s.telling}
	for i := range families {
		if s.sums[i] != 0 {
			v.Put(families[i].name, detector.Cap(s.sums[i], families[i].limit), s.words[i])
		}
	}
	return v
}
