// Package scan finds who knocks on doors: one source whose first contacts
// fail far more often than an ordinary user's, along one port over many
// hosts, along many ports of one host, or by echo and address resolution over
// a network. It is the sequential hypothesis test of Jung, Paxson, Berger and
// Balakrishnan (Fast Portscan Detection Using Sequential Hypothesis Testing,
// 2004), run on the structure that a scan has and ordinary failure has not.
package scan

import (
	"fmt"
	"math"
	"net/netip"
	"strings"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/detector"
)

// The test's assumptions: how often a first contact succeeds for an ordinary
// user and for a scanner, and when the walk has decided.
const (
	userSucceeds    = 0.8
	scannerSucceeds = 0.2
	decided         = 4.6 // ln 99: one in a hundred wrong either way
	// sweepARP is how many silent addresses in a row a host must ask for
	// before it is a sweep; routers and fresh machines ask for a few.
	sweepARP = 16
	// loud doors within rush on one line by a machine of ours are something a
	// person must look at; slower ones are as often an inventory.
	loud = 128
	rush = 10 * time.Minute
	// crafted is how many packets that no operating system sends make a
	// fingerprinting of one host.
	crafted = 2
	// requested is how many different addresses one machine may ask the
	// address service for before it is walking through them.
	requested = 6
)

var (
	failed  = math.Log((1 - scannerSucceeds) / (1 - userSucceeds))
	success = math.Log(scannerSucceeds / userSucceeds)
)

// Detector returns the detector. Its memory hangs on the source.
func Detector() detector.Detector {
	return detector.Detector{
		Name:  "scan",
		Needs: []string{"conn", "arp", "dhcp"},
		Wants: []testudo.Evidence{testudo.FlagOrder},
		Route: func(r testudo.Record) (uint64, bool) {
			switch r := r.(type) {
			case *testudo.Conn:
				return detector.AddrKey(r.ID.Orig.Addr()), !r.Interim && began(r) && countable(r)
			case *testudo.ARP:
				return detector.AddrKey(r.SenderIP), r.SenderIP.IsValid() && !r.SenderIP.IsUnspecified() && !r.Gratuitous
			case *testudo.DHCP:
				return detector.NameKey(r.MAC), r.MAC != "" && r.Requested.IsValid()
			}
			return 0, false
		},
		New: func(entries int) detector.Memory {
			return &memory{
				once:     detector.NewTable[netip.Addr, uint64](2 * entries),
				lines:    detector.NewTableBy[line, walk](entries, line.sum),
				scanners: detector.NewTable[netip.Addr, scanner](max(1, entries/4)),
				sweeps:   detector.NewTable[netip.Addr, sweep](max(1, entries/4)),
				leases:   detector.NewTable[string, lease](max(1, entries/4)),
			}
		},
	}
}

// began tells whether the originator was seen to begin: of a conversation that
// was turned round because it began with an answer, nobody can be accused.
func began(c *testudo.Conn) bool { return c.OrigPkts > 0 && !strings.HasPrefix(c.History, "^") }

// countable leaves out what has no single machine behind it.
func countable(c *testudo.Conn) bool {
	to := c.ID.Resp.Addr()
	return !to.IsMulticast() && !to.IsUnspecified() && to != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// line is what a scan runs along: one port of many hosts, or one host's many
// ports.
type line struct {
	from netip.Addr
	host netip.Addr // invalid for a horizontal line
	port uint16     // 0 for a vertical one
	via  testudo.Proto
}

func (k line) sum(h detector.Hash) detector.Hash {
	return h.Addr(k.from).Addr(k.host).Word(uint64(k.port)<<8 | uint64(k.via))
}

// walk is the sequential test along one line.
type walk struct {
	ratio       float64 // log-likelihood ratio, scanner over user
	doors, open int
	crafted     int        // impossible packets among them
	seen        [16]uint64 // which doors, hashed: a few new ones pass for known
	count       detector.Distinct
	first, last testudo.Time
	fast        bool   // loud doors within rush
	port        uint16 // the last one, of datagrams
	told        int    // doors when it was last told
}

// number returns how many doors there were: exactly while they are few.
func (w *walk) number() int {
	if w.doors < 128 {
		return w.doors
	}
	return max(w.doors, w.count.Count())
}

// scanner sums up what one source did along lines that were decided.
type scanner struct {
	ours        bool // a machine of ours
	first, last testudo.Time
	lines       int
	doors, open int
	fast        bool
	best        line // the line with most doors
	bestWalk    walk
	ports       [8]string
	nports      int
	hosts       [8]netip.Addr
	nhosts      int
	uids        [16]testudo.UID
	nuids       int
	claimed     int // doors when last claimed
	news        bool
}

type memory struct {
	once     *detector.Table[netip.Addr, uint64] // the first door of a source that has no line yet
	lines    *detector.Table[line, walk]
	scanners *detector.Table[netip.Addr, scanner]
	sweeps   *detector.Table[netip.Addr, sweep]
	leases   *detector.Table[string, lease]
}

// Observe implements detector.Memory.
func (m *memory) Observe(r testudo.Record, out *detector.Out) {
	switch r := r.(type) {
	case *testudo.Conn:
		m.conn(r, out)
	case *testudo.ARP:
		m.arp(r, out)
	case *testudo.DHCP:
		m.dhcp(r, out)
	}
}

func (m *memory) conn(c *testudo.Conn, out *detector.Out) {
	from, to := c.ID.Orig.Addr(), c.ID.Resp.Addr()
	if impossible(c) {
		m.step(line{from: from, host: to, via: c.ID.Proto}, c, uint64(c.UID), decided/crafted, false, out)
		return
	}
	weight, open := verdict(c)
	if weight == 0 && !open || peer(c) {
		return
	}
	port := c.ID.Resp.Port()
	if c.ID.Proto == testudo.ICMP || c.ID.Proto == testudo.ICMPv6 {
		port = 0
	}
	door := detector.AddrKey(to) ^ uint64(port)*0x9e3779b97f4a7c15 ^ uint64(c.ID.Proto)
	if m.firstDoor(from, door) {
		return
	}
	m.step(line{from: from, port: port, via: c.ID.Proto}, c, door, weight, open, out)
	if port != 0 {
		m.step(line{from: from, host: to, via: c.ID.Proto}, c, door, weight, open, out)
	}
}

// firstDoor tells whether a source has been at this one door only. Forged
// sources never come to a second one, and must not fill the memory.
func (m *memory) firstDoor(from netip.Addr, door uint64) bool {
	first, isNew := m.once.Put(from)
	if isNew {
		*first = door
	}
	return *first == door
}

// verdict is what one first contact says: how much for a scanner (negative
// for a user), and whether it found an open door.
func verdict(c *testudo.Conn) (weight float64, open bool) {
	if c.About.Name != "" && c.About.Outbound {
		return success, true // who has a name knows where he goes
	}
	silent := c.OrigBytes == 0 && c.RespBytes == 0
	switch c.ID.Proto {
	case testudo.TCP:
		if silent && probe(c.History) {
			return failed, false
		}
		switch c.State {
		case "S0", "REJ", "SH", "RSTOS0", "RSTRH":
			return failed, false
		case "OTH", "SHR":
			return 0, false
		case "RSTO", "RSTR", "S1", "SF", "S2", "S3":
			if silent && c.Duration < 2*time.Second {
				return 0, true // opened and left: what a scanner does, and a health check
			}
		}
		return success, true
	case testudo.UDP:
		if c.RespPkts == 0 {
			return failed / 2, false
		}
		return success, true
	case testudo.ICMP, testudo.ICMPv6:
		if c.ID.Orig.Port() != 8 && c.ID.Orig.Port() != 128 {
			return 0, false
		}
		if c.RespPkts == 0 {
			return failed, false
		}
		return 0, true
	}
	if c.RespPkts == 0 && c.OrigPkts <= 2 {
		return failed / 2, false
	}
	return 0, false
}

// peer tells a datagram that one socket of ours sends to yet another machine
// outside: that is how peer-to-peer programs and calls find their partners.
func peer(c *testudo.Conn) bool {
	return c.ID.Proto == testudo.UDP && c.About.OrigLocal && !c.About.RespLocal
}

// impossible tells a conversation that begins with flags no operating system
// sends: none at all, or SYN together with FIN.
func impossible(c *testudo.Conn) bool {
	if c.ID.Proto != testudo.TCP || c.OrigPkts == 0 {
		return false
	}
	switch c.History {
	case "": // inputs that know no history say so by knowing no state either
		return c.State == "OTH" && c.OrigBytes == 0
	case "r":
		return true // what was reset showed nothing of its own
	}
	return c.History[0] == 'Q' || c.History[0] == 'I'
}

// probe tells a conversation that consists of a packet no client sends first
// (FIN, nothing, all flags), perhaps answered by a reset.
func probe(history string) bool {
	return len(history) > 0 && len(history) <= 3 && (history[0] == 'F' || history[0] == 'A') &&
		(len(history) == 1 || history[1] == 'r')
}

func (m *memory) step(l line, c *testudo.Conn, door uint64, weight float64, open bool, out *detector.Out) {
	w, isNew := m.lines.Put(l)
	if isNew {
		w.first, w.last = c.Time, c.Time
	}
	door ^= door >> 31
	w.first, w.last = min(w.first, c.Time), max(w.last, c.Time)
	if weight > 0 {
		w.count.Add(door)
	}
	bit := &w.seen[door>>6&15]
	if *bit&(1<<(door&63)) != 0 {
		return
	}
	*bit |= 1 << (door & 63)
	if l.host.IsValid() && c.ID.Proto == testudo.UDP {
		// Port after port in order is how a path is traced.
		path := c.ID.Resp.Port() == w.port+1
		if w.port = c.ID.Resp.Port(); path {
			return
		}
	}
	w.ratio += weight
	if w.ratio < -decided {
		*w = walk{first: c.Time, last: c.Time, seen: w.seen, port: w.port}
		return
	}
	if weight == decided/crafted {
		w.crafted++
	}
	if weight > 0 || open && weight == 0 {
		w.doors++
	}
	if open {
		w.open++
	}
	w.fast = w.fast || w.doors >= loud && w.last.Sub(w.first) <= rush
	if w.ratio >= decided && (w.doors-w.open >= 4 && w.open <= w.doors/2 || w.crafted >= crafted) {
		m.lines.Keep(l, true)
		m.tell(l, w, c, out)
	}
}

// tell adds a decided line's news to its source and claims it when what is
// known of the source has doubled, or when it turns out to be in a hurry.
func (m *memory) tell(l line, w *walk, c *testudo.Conn, out *detector.Out) {
	s, isNew := m.scanners.Put(l.from)
	if isNew {
		s.ours, s.first = c.About.OrigLocal, w.first
	}
	if w.told == 0 {
		s.lines++
		if !l.host.IsValid() && s.nports < len(s.ports) {
			s.ports[s.nports] = fmt.Sprintf("%s/%d", l.via, l.port)
			s.nports++
		}
	}
	s.doors += w.doors - w.told
	w.told = w.doors
	if open := w.open; open > s.open {
		s.open = open
	}
	hurried := w.fast && !s.fast
	s.first, s.last, s.fast = min(s.first, w.first), max(s.last, w.last), s.fast || w.fast
	if w.doors > s.bestWalk.doors || w.crafted > s.bestWalk.crafted || l == s.best {
		s.best, s.bestWalk = l, *w
	}
	s.sample(c)
	s.news = true
	more := 4 // noise from outside is told less often
	if s.ours {
		more = 2
	}
	if s.doors >= more*s.claimed || hurried {
		m.claim(l.from, s, out)
	}
}

func (s *scanner) sample(c *testudo.Conn) {
	if s.nuids < len(s.uids) {
		s.uids[s.nuids] = c.UID
		s.nuids++
	}
	for _, h := range s.hosts[:s.nhosts] {
		if h == c.ID.Resp.Addr() {
			return
		}
	}
	if s.nhosts < len(s.hosts) {
		s.hosts[s.nhosts] = c.ID.Resp.Addr()
		s.nhosts++
	}
}

func (m *memory) claim(from netip.Addr, s *scanner, out *detector.Out) {
	s.claimed, s.news = s.doors, false
	m.scanners.Keep(from, s.ours)
	out.Claim(s.sighting(from))
}

// sweep is one machine that asks by ARP.
type sweep struct {
	asked       int
	seen        [16]uint64
	first, last testudo.Time
	claimed     int
	sample      [8]netip.Addr
}

// arp counts different addresses asked for without a pause of five minutes;
// who answered is not known here, as answers hang on other machines.
func (m *memory) arp(r *testudo.ARP, out *detector.Out) {
	if r.Operation == "reply" {
		return
	}
	s, isNew := m.sweeps.Put(r.SenderIP)
	if isNew || r.Time.Sub(s.last) > 5*time.Minute {
		*s = sweep{first: r.Time, claimed: s.claimed}
	}
	s.last = r.Time
	h := detector.AddrKey(r.TargetIP)
	if bit := &s.seen[h>>6&15]; *bit&(1<<(h&63)) == 0 {
		*bit |= 1 << (h & 63)
		if s.asked < len(s.sample) {
			s.sample[s.asked] = r.TargetIP
		}
		s.asked++
		if s.asked >= sweepARP && s.asked >= 2*s.claimed {
			s.claimed = s.asked
			out.Claim(s.sighting(r.SenderIP))
		}
	}
}

// lease is one machine at the address service.
type lease struct {
	first, last testudo.Time
	from        netip.Addr
	wanted      [requested]netip.Addr
	count       int
	told        bool
}

// dhcp counts the addresses one machine asks for.
func (m *memory) dhcp(r *testudo.DHCP, out *detector.Out) {
	l, isNew := m.leases.Put(r.MAC)
	if isNew || r.Time.Sub(l.last) > time.Hour {
		*l = lease{first: r.Time}
	}
	l.last = r.Time
	if r.ClientAddr.IsValid() && !r.ClientAddr.IsUnspecified() {
		l.from = r.ClientAddr
	}
	for _, a := range l.wanted[:l.count] {
		if a == r.Requested {
			return
		}
	}
	if l.count < len(l.wanted) {
		l.wanted[l.count] = r.Requested
		l.count++
	}
	if l.count == requested && !l.told {
		l.told = true
		out.Claim(l.claim(r.MAC))
	}
}

// Tick implements detector.Memory: at the end the last numbers are told.
func (m *memory) Tick(_ testudo.Time, last bool, out *detector.Out) {
	if !last {
		return
	}
	for from, s := range m.scanners.All {
		if s.news {
			m.claim(from, s, out)
		}
	}
	for from, s := range m.sweeps.All {
		if s.claimed > 0 && s.asked > s.claimed {
			out.Claim(s.sighting(from))
		}
	}
}

// Shed implements detector.Memory. What a forged source leaves behind is not
// worth counting: only lines and sources that have one are.
func (m *memory) Shed() int {
	return m.scanners.Shed() + m.lines.Shed() + m.sweeps.Shed() + m.leases.Shed()
}
