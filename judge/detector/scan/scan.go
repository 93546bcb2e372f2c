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
	// loud is how many doors make a scan by a machine of ours something a
	// person must look at.
	loud = 24
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
		Route: func(r testudo.Record) (uint64, bool) {
			switch r := r.(type) {
			case *testudo.Conn:
				return detector.AddrKey(r.ID.Orig.Addr()), !r.Interim && countable(r)
			case *testudo.ARP:
				return detector.AddrKey(r.SenderIP), r.SenderIP.IsValid() && !r.SenderIP.IsUnspecified() && !r.Gratuitous
			case *testudo.DHCP:
				return detector.NameKey(r.MAC), r.MAC != "" && r.Requested.IsValid()
			}
			return 0, false
		},
		New: func(entries int) detector.Memory {
			return &memory{
				sources: detector.NewTable[netip.Addr, source](entries),
				lines:   detector.NewTable[line, walk](entries),
				doors:   detector.NewTable[door, struct{}](4 * entries),
				asked:   detector.NewTable[[2]netip.Addr, bool](entries),
				leases:  detector.NewTable[string, lease](max(1, entries/4)),
			}
		},
	}
}

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

// walk is the sequential test along one line.
type walk struct {
	ratio       float64 // log-likelihood ratio, scanner over user
	doors, open int
	crafted     int // impossible packets among them
	first, last testudo.Time
	claimed     int
	hosts       [8]netip.Addr
	ours        bool // the scanner is a machine of ours
	uids        [8]testudo.UID
}

type door struct {
	from, host netip.Addr
	port       uint16
	via        testudo.Proto
}

// source is what is known of one source by address resolution.
type source struct {
	silent      int
	first, last testudo.Time
	claimed     int
	sample      [8]netip.Addr
}

type memory struct {
	sources *detector.Table[netip.Addr, source]
	lines   *detector.Table[line, walk]
	doors   *detector.Table[door, struct{}]
	asked   *detector.Table[[2]netip.Addr, bool]
	leases  *detector.Table[string, lease]
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
		m.step(line{from: from, host: to, via: c.ID.Proto}, c, decided/crafted, false, out)
		return
	}
	weight, open := verdict(c)
	if weight == 0 {
		return
	}
	port := c.ID.Resp.Port()
	if c.ID.Proto == testudo.ICMP || c.ID.Proto == testudo.ICMPv6 {
		port = 0
	}
	if _, isNew := m.doors.Put(door{from, to, port, c.ID.Proto}); !isNew {
		return
	}
	m.step(line{from: from, port: port, via: c.ID.Proto}, c, weight, open, out)
	if port != 0 {
		m.step(line{from: from, host: to, via: c.ID.Proto}, c, weight, open, out)
	}
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
		switch c.State {
		case "S0", "REJ", "SH", "RSTOS0", "RSTRH":
			return failed, false
		case "OTH", "SHR":
			if probe(c.History) {
				return failed, false
			}
			return 0, false
		case "RSTO", "RSTR", "S1", "SF", "S2", "S3":
			if silent && c.Duration < 2*time.Second {
				return failed / 2, true // opened and left: a look, not a visit
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
		return failed / 4, true
	}
	if c.RespPkts == 0 && c.OrigPkts <= 2 {
		return failed / 2, false
	}
	return 0, false
}

// impossible tells a conversation that begins with flags no operating system
// sends: none at all, or SYN together with FIN.
func impossible(c *testudo.Conn) bool {
	return c.ID.Proto == testudo.TCP && c.OrigPkts > 0 &&
		(c.History == "" || c.History[0] == 'Q' || c.History[0] == 'I')
}

// probe tells a conversation that consists of a packet no client sends first
// (FIN, nothing, all flags), perhaps answered by a reset.
func probe(history string) bool {
	return len(history) > 0 && len(history) <= 3 && (history[0] == 'F' || history[0] == 'A') &&
		(len(history) == 1 || history[1] == 'r')
}

func (m *memory) step(l line, c *testudo.Conn, weight float64, open bool, out *detector.Out) {
	w, isNew := m.lines.Put(l)
	if isNew {
		w.first, w.last = c.Time, c.Time
		w.ours = c.About.OrigLocal
	}
	w.first, w.last = min(w.first, c.Time), max(w.last, c.Time)
	w.ratio += weight
	if w.ratio < -decided {
		*w = walk{first: c.Time, last: c.Time, ours: w.ours}
		return
	}
	if weight == decided/crafted {
		w.crafted++
	}
	if weight > 0 {
		if w.doors < len(w.hosts) {
			w.hosts[w.doors], w.uids[w.doors] = c.ID.Resp.Addr(), c.UID
		}
		w.doors++
	}
	if open {
		w.open++
	}
	if w.ratio >= decided && (w.doors >= 4 || w.crafted >= crafted) && (w.claimed == 0 || w.doors >= 2*w.claimed) {
		w.claimed = w.doors
		m.lines.Keep(l, true)
		out.Claim(w.claim(l))
	}
}

func (m *memory) arp(r *testudo.ARP, out *detector.Out) {
	if r.Operation == "reply" {
		// The answer belongs to the asker's memory only if both hash alike;
		// what counts for a sweep is that requests pile up.
		return
	}
	asked, isNew := m.asked.Put([2]netip.Addr{r.SenderIP, r.TargetIP})
	if !isNew {
		return
	}
	*asked = true
	s, isNew := m.sources.Put(r.SenderIP)
	if isNew || r.Time.Sub(s.last) > 5*time.Minute {
		*s = source{first: r.Time, claimed: s.claimed}
	}
	s.last = r.Time
	if s.silent < len(s.sample) {
		s.sample[s.silent] = r.TargetIP
	}
	s.silent++
	if s.silent >= sweepARP && (s.claimed == 0 || s.silent >= 2*s.claimed) {
		s.claimed = s.silent
		out.Claim(s.claim(r.SenderIP))
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

func (l *lease) claim(mac string) testudo.Sighting {
	return testudo.Sighting{
		Detector: "scan", Key: "dhcp " + mac, Kind: testudo.Scan, Outcome: testudo.Attempt,
		First: l.first, Last: l.last,
		Servers: []testudo.Server{{Address: l.from, Role: testudo.Scanner}},
		Title:   fmt.Sprintf("machine %s asks the address service for one address after the other", mac),
		Summary: fmt.Sprintf("%d different addresses asked for in %s", l.count, span(l.first, l.last)),
		Reasons: []testudo.Reason{
			{Family: testudo.Base, Weight: -3, Text: "few machines want several addresses"},
			{Family: testudo.Volume, Weight: 3.5, Text: fmt.Sprintf("%d different addresses in %s", l.count, span(l.first, l.last))},
		},
		Innocent:   "a machine that moves between networks, or a relay that answers for others",
		Evidence:   []testudo.Fact{{Name: "addresses", Value: l.count}, {Name: "mac", Value: mac}},
		Techniques: []string{"T1018"},
	}
}

// Tick implements detector.Memory: at the end the last numbers are told.
func (m *memory) Tick(_ testudo.Time, last bool, out *detector.Out) {
	if !last {
		return
	}
	for l, w := range m.lines.All {
		if w.claimed > 0 && w.doors > w.claimed {
			out.Claim(w.claim(l))
		}
	}
	for from, s := range m.sources.All {
		if s.claimed > 0 && s.silent > s.claimed {
			out.Claim(s.claim(from))
		}
	}
}

// Shed implements detector.Memory.
func (m *memory) Shed() int {
	return m.sources.Shed() + m.lines.Shed() + m.doors.Shed() + m.asked.Shed() + m.leases.Shed()
}

func (w *walk) claim(l line) testudo.Sighting {
	what, technique, axis := fmt.Sprintf("%s/%d of %d hosts", l.via, l.port, w.doors), "T1046", "horizontal"
	switch {
	case l.host.IsValid():
		what, axis = fmt.Sprintf("%d %s ports of %s", w.doors, l.via, l.host), "vertical"
	case l.port == 0:
		what, technique, axis = fmt.Sprintf("%d hosts by echo", w.doors), "T1018", "echo"
	}
	if w.crafted >= crafted {
		what, axis = fmt.Sprintf("%s by %d packets that no system sends", l.host, w.crafted), "fingerprint"
	}
	if !w.ours {
		technique = "T1595.001"
	}
	reasons := []testudo.Reason{
		{Family: testudo.Base, Weight: -5, Text: "few sources scan"},
		{Family: testudo.Content, Weight: detector.Cap(w.ratio, 6), Text: fmt.Sprintf("%d first contacts along one line, %d of them open: an ordinary user's mostly succeed", w.doors, w.open)},
		{Family: testudo.Volume, Weight: detector.Cap(math.Log2(float64(w.doors)/4), 4), Text: fmt.Sprintf("%d doors in %s", w.doors, span(w.first, w.last))},
	}
	s := testudo.Sighting{
		Detector: "scan", Key: fmt.Sprintf("%s %s %v %d %s", axis, l.from, l.host, l.port, l.via),
		Kind: testudo.Scan, First: w.first, Last: w.last,
		Servers:  []testudo.Server{{Address: l.from, Role: testudo.Scanner}},
		Title:    fmt.Sprintf("%s scans %s", l.from, what),
		Summary:  fmt.Sprintf("%s scan of %s in %s, %d open", axis, what, span(w.first, w.last), w.open),
		Reasons:  reasons,
		Innocent: "an inventory or vulnerability scanner of our own, a monitoring system, or peer-to-peer software after a network outage",
		Evidence: []testudo.Fact{
			{Name: "doors", Value: w.doors}, {Name: "open", Value: w.open}, {Name: "axis", Value: axis},
			{Name: "span_s", Value: w.last.Sub(w.first).Seconds()},
		},
		Techniques: []string{technique},
	}
	s.Outcome = testudo.Noise
	switch {
	case w.ours && w.doors >= loud:
		s.Outcome = testudo.Success // a machine of ours does it: somebody sits there
	case w.ours || w.open > 0:
		s.Outcome = testudo.Attempt
	}
	s.Victims = addresses(w.hosts[:min(w.doors, len(w.hosts))])
	for _, u := range w.uids[:min(w.doors, len(w.uids))] {
		s.UIDs = append(s.UIDs, u)
	}
	return s
}

func (s *source) claim(from netip.Addr) testudo.Sighting {
	out := testudo.Noise
	if s.silent >= 2*sweepARP {
		out = testudo.Attempt
	}
	return testudo.Sighting{
		Detector: "scan", Key: "arp " + from.String(), Kind: testudo.Scan, Outcome: out,
		First: s.first, Last: s.last,
		Servers: []testudo.Server{{Address: from, Role: testudo.Scanner}},
		Title:   fmt.Sprintf("%s asks by ARP for %d addresses in a row", from, s.silent),
		Summary: fmt.Sprintf("ARP sweep of %d addresses in %s", s.silent, span(s.first, s.last)),
		Reasons: []testudo.Reason{
			{Family: testudo.Base, Weight: -4, Text: "few machines ask for a whole network"},
			{Family: testudo.Volume, Weight: detector.Cap(math.Log2(float64(s.silent)/4)*2, 7), Text: fmt.Sprintf("%d different addresses, none asked for before", s.silent)},
		},
		Innocent:   "a router passing on somebody else's scan, or an inventory tool",
		Evidence:   []testudo.Fact{{Name: "addresses", Value: s.silent}},
		Victims:    addresses(s.sample[:min(s.silent, len(s.sample))]),
		Techniques: []string{"T1018"},
	}
}

func addresses(list []netip.Addr) (out []netip.Addr) {
	for i, a := range list {
		if a.IsValid() && (i == 0 || a != list[i-1]) {
			out = append(out, a)
		}
	}
	return out
}

func span(first, last testudo.Time) string {
	d := last.Sub(first)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < 2*time.Hour:
		return fmt.Sprintf("%.0f min", d.Minutes())
	}
	return fmt.Sprintf("%.0f h", d.Hours())
}
