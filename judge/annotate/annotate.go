// Package annotate puts on each record what the world knew when it happened:
// which end is ours, the name our host had for the other end, how many of
// our hosts use it and since when, whether it is shared, and which indicators
// match. It learns from the records that pass, in order of time, and keeps
// what it learned within a budget. Detectors read the result and look nothing
// up themselves.
package annotate

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/detector"
)

// Config says what is ours and how much may be remembered.
type Config struct {
	Local []netip.Prefix // the networks we protect
	// Entries bounds each of the tables: names by host and address, uses of
	// destinations, hosts of ours.
	Entries int
	// Match returns the indicators that match a record; nil for none.
	Match func(r testudo.Record) []testudo.Hit
	// IsShared tells of an address or registered domain that lists say it is
	// shared infrastructure; nil where no list was given.
	IsShared func(addr netip.Addr, domain string) bool
}

// Annotator is the memory. It is used from one goroutine.
type Annotator struct {
	cfg      Config        `snapshot:"-"`
	local4   []network4    `snapshot:"-"` // of cfg.Local
	now      testudo.Time  `snapshot:"-"` // of the latest record; what passes while the shield is down is not watched
	watched  time.Duration // see Watched
	hosts    *detector.Table[netip.Addr, host]
	names    *detector.Table[pair, resolved]        // what a host resolved an address from
	anyName  *detector.Table[netip.Addr, addrNames] // what anybody did
	flows    *detector.Table[testudo.UID, label]    // names seen inside a conversation
	uses     *detector.Table[place, use]
	pairs    *detector.Table[hostUse, testudo.Time]    // since when a host uses a destination
	visitors *detector.Table[netip.Addr, testudo.Time] // who comes to us, since when
	domains  *detector.Table[string, registered]       // of a name
	keys     *detector.Table[string, keyPlaces]        // where a server's key was met, by its print
	prints   *detector.Table[string, use]              // which hosts show a client's fingerprint
}

type pair struct{ host, addr netip.Addr }

func (p pair) sum(h detector.Hash) detector.Hash { return h.Addr(p.host).Addr(p.addr) }

func sumUID(u testudo.UID, h detector.Hash) detector.Hash { return h.Word(uint64(u)) }

// place is where one goes: a registered domain, or the address of what has
// no name.
type place struct {
	domain string
	addr   netip.Addr
}

func (p place) sum(h detector.Hash) detector.Hash {
	if p.domain != "" {
		return h.Text(p.domain)
	}
	return h.Addr(p.addr)
}

type hostUse struct {
	host netip.Addr
	dest place
}

func (u hostUse) sum(h detector.Hash) detector.Hash { return u.dest.sum(h.Addr(u.host)) }

type host struct {
	real  bool   // it took part in a conversation of two
	index uint32 // nth host of ours
	since testudo.Time
	name  string
}

// registered is the registered domain of a name, and whether the public
// suffix list knows its suffix.
type registered struct {
	domain string
	public bool
}

type resolved struct{ name, domain string }

// addrNames is what an address is called: the last name, and a few different
// registered domains.
type addrNames struct {
	resolved
	asker   netip.Addr // the first host that resolved one of them
	several bool       // others did, too
	domains [4]string
	count   int
}

// keyPlaces is a few different places where one key was met.
type keyPlaces struct {
	places [4]place
	count  int
}

// add notes a place and returns how many there are, at most five, and the
// first that is another one.
func (k *keyPlaces) add(p place) (count int, also string) {
	known := slices.Contains(k.places[:min(k.count, len(k.places))], p)
	if !known && k.count < len(k.places) {
		k.places[k.count] = p
	}
	if !known {
		k.count = min(k.count+1, len(k.places)+1)
	}
	for _, other := range k.places[:min(k.count, len(k.places))] {
		if other != p {
			return k.count, other.String()
		}
	}
	return k.count, ""
}

// String returns the place as people call it.
func (p place) String() string {
	if p.domain != "" {
		return p.domain
	}
	return p.addr.String()
}

type label struct {
	resolved
	by string
}

type use struct {
	since testudo.Time
	few   []uint32 // hosts of ours by index, up to 16
	many  []uint64 // linear counter once there are more
	count int
}

// New returns an empty Annotator.
func New(cfg Config) *Annotator {
	n := max(1, cfg.Entries)
	return &Annotator{
		cfg:      cfg,
		local4:   networks4(cfg.Local),
		hosts:    detector.NewTable[netip.Addr, host](n),
		names:    detector.NewTableBy[pair, resolved](n, pair.sum),
		anyName:  detector.NewTable[netip.Addr, addrNames](n),
		flows:    detector.NewTableBy[testudo.UID, label](n, sumUID),
		uses:     detector.NewTableBy[place, use](n, place.sum),
		pairs:    detector.NewTableBy[hostUse, testudo.Time](n, hostUse.sum),
		visitors: detector.NewTable[netip.Addr, testudo.Time](n),
		domains:  detector.NewTable[string, registered](n),
		keys:     detector.NewTable[string, keyPlaces](n),
		prints:   detector.NewTable[string, use](n),
	}
}

// IsLocal tells whether a is a machine of ours.
func (a *Annotator) IsLocal(addr netip.Addr) bool {
	if addr.Is4() {
		b := addr.As4()
		v4 := binary.BigEndian.Uint32(b[:])
		for _, n := range a.local4 {
			if v4&n.mask == n.net {
				return true
			}
		}
		return false
	}
	for _, p := range a.cfg.Local {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// network4 is an IPv4 prefix, for the quick.
type network4 struct{ net, mask uint32 }

func networks4(local []netip.Prefix) (out []network4) {
	for _, p := range local {
		if p.IsValid() && p.Addr().Is4() {
			b := p.Masked().Addr().As4()
			out = append(out, network4{binary.BigEndian.Uint32(b[:]), ^uint32(0) << (32 - p.Bits())})
		}
	}
	return out
}

// Hosts returns how many machines of ours were seen, and NameOf what one is
// called, "" where nothing told.
func (a *Annotator) Hosts() int { return a.hosts.Len() }

// NewHosts returns how many of our machines were first seen after t.
func (a *Annotator) NewHosts(t testudo.Time) (n int) {
	for _, h := range a.hosts.All {
		if h.since > t {
			n++
		}
	}
	return n
}

// NameOf returns what the machine of ours at addr is called, "" if unknown.
func (a *Annotator) NameOf(addr netip.Addr) string {
	if h := a.hosts.Peek(addr); h != nil {
		return h.name
	}
	return ""
}

// Shed returns how many entries fell to the budget.
func (a *Annotator) Shed() int {
	return a.hosts.Shed() + a.names.Shed() + a.anyName.Shed() + a.uses.Shed() + a.pairs.Shed() + a.prints.Shed()
}

// Watched returns how long traffic was watched, long silences apart.
func (a *Annotator) Watched() time.Duration { return a.watched }

func (a *Annotator) watch(t testudo.Time) {
	if a.now != 0 && t > a.now {
		a.watched += min(t.Sub(a.now), pause)
	}
	a.now = max(a.now, t)
}

// Annotate fills r's Context and learns from r.
func (a *Annotator) Annotate(r testudo.Record) {
	m := r.Base()
	a.watch(m.Time)
	if l, ok := r.(*testudo.Load); ok {
		a.load(l)
		return
	}
	orig, resp := m.ID.Orig.Addr(), m.ID.Resp.Addr()
	c := &m.About
	c.Known = a.watched
	c.OrigLocal, c.RespLocal = a.IsLocal(orig), a.IsLocal(resp)
	switch {
	case c.OrigLocal || isBlank(orig):
		c.Host, c.Peer, c.Outbound = orig, resp, true
	case c.RespLocal:
		c.Host, c.Peer = resp, orig
	}
	real := answered(r)
	a.seen(m, orig, c.OrigLocal, real)
	if real {
		a.seen(m, resp, c.RespLocal, true)
	}
	c.HostsSeen = a.hosts.Len()
	a.learn(r, m)
	if c.Host.IsValid() && !isGroup(c.Peer) {
		a.describePeer(r, m)
	}
	if a.cfg.Match != nil {
		c.Hits = a.cfg.Match(r)
	}
}

// load tells whose network is under load and which senders are ours. It
// learns nothing: their addresses may be forged.
func (a *Annotator) load(l *testudo.Load) {
	l.About.Known, l.About.HostsSeen = a.watched, a.hosts.Len()
	l.About.RespLocal = a.IsLocal(l.Target.Addr())
	for i := range l.Sample {
		l.Sample[i].SrcLocal = a.IsLocal(l.Sample[i].Src.Addr())
	}
}

// answered tells whether r shows that the responder exists.
func answered(r testudo.Record) bool {
	switch r := r.(type) {
	case *testudo.Conn:
		return r.RespPkts > 0 && r.State != "REJ"
	case *testudo.DNS:
		return r.Answered
	}
	return true
}

func isBlank(a netip.Addr) bool { return a.IsValid() && a.IsUnspecified() }

// isGroup tells whether a is no single machine.
func isGroup(a netip.Addr) bool {
	return !a.IsValid() || a.IsMulticast() || a.IsUnspecified() || a == netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// seen notes a host of ours. One that got or gave an answer is real; sources
// that never did may be forged, and give way first.
func (a *Annotator) seen(m *testudo.Meta, addr netip.Addr, local, real bool) {
	if !local || isGroup(addr) {
		return
	}
	h, isNew := a.hosts.Put(addr)
	if isNew {
		h.index, h.since = uint32(a.hosts.Len()+a.hosts.Shed()), m.Time
	}
	if real && !h.real {
		h.real = true
		a.hosts.Keep(addr, true)
	}
}

// learn takes from r what later records will be told.
func (a *Annotator) learn(r testudo.Record, m *testudo.Meta) {
	switch r := r.(type) {
	case *testudo.DNS:
		a.learnDNS(r, m)
	case *testudo.DHCP:
		if h := a.hosts.Peek(r.Assigned); h != nil && r.HostName != "" {
			h.name = r.HostName
		} else if h := a.hosts.Peek(m.ID.Orig.Addr()); h != nil && r.HostName != "" {
			h.name = r.HostName
		}
	case *testudo.TLS:
		a.labelFlow(m.UID, r.ServerName, "tls")
	case *testudo.HTTP:
		a.labelFlow(m.UID, hostOnly(r.Host), "http")
	}
}

func (a *Annotator) labelFlow(uid testudo.UID, name, by string) {
	if name == "" || isAddress(name) {
		return
	}
	name = strings.ToLower(name)
	l, _ := a.flows.Put(uid)
	if l.name != name {
		l.name, l.domain = name, a.Domain(name)
	}
	l.by = by
}

// users returns how many of our hosts have gone to domain.
func (a *Annotator) users(domain string) int {
	if a.uses.Len() == 0 {
		return -1
	}
	if u := a.uses.Peek(place{domain: domain}); u != nil && domain != "" {
		return max(1, u.count)
	}
	return 0
}

func (a *Annotator) learnDNS(r *testudo.DNS, m *testudo.Meta) {
	if r.Query != "" {
		d := a.registered(r.Query)
		m.About.QueryDomain, m.About.QueryPublic = d.domain, d.public
		m.About.QueryUsers = a.users(d.domain)
	}
	if !r.Answered {
		return
	}
	port := m.ID.Resp.Port()
	if r.RCode != 0 || len(r.Addresses) == 0 || r.Query == "" {
		return
	}
	domain := m.About.QueryDomain
	if isAddress(r.Query) {
		domain = ""
	}
	for _, addr := range r.Addresses {
		n, _ := a.names.Put(pair{m.ID.Orig.Addr(), addr})
		n.name, n.domain = r.Query, domain
		any, _ := a.anyName.Put(addr)
		any.add(m.ID.Orig.Addr(), r.Query, domain)
		if h := a.hosts.Peek(addr); h != nil && h.name == "" && (port == 53 || port == 5353) {
			h.name = r.Query
		}
	}
}

func (n *addrNames) add(asker netip.Addr, name, domain string) {
	n.name, n.domain = name, domain
	if !n.asker.IsValid() {
		n.asker = asker
	}
	n.several = n.several || n.asker != asker
	for _, d := range n.domains[:min(n.count, len(n.domains))] {
		if d == domain {
			return
		}
	}
	if n.count < len(n.domains) {
		n.domains[n.count] = domain
	}
	n.count = min(n.count+1, len(n.domains)+1) // more are not told apart
}

// describePeer fills in what is known of the other end.
func (a *Annotator) describePeer(r testudo.Record, m *testudo.Meta) {
	c := &m.About
	if c.Outbound {
		a.name(m, c)
	}
	names := a.anyName.Peek(c.Peer)
	if names != nil {
		c.PeerNames = names.count
	}
	// Names that one host alone resolved may have been made for it.
	c.Shared = names != nil && names.several && names.count > len(names.domains) ||
		a.cfg.IsShared != nil && a.cfg.IsShared(c.Peer, c.Domain)
	dest := place{domain: c.Domain}
	if dest.domain == "" {
		dest.addr = c.Peer
	}
	if t, ok := r.(*testudo.TLS); ok && t.Leaf != nil && t.Leaf.KeyPrint != "" {
		k, _ := a.keys.Put(t.Leaf.KeyPrint)
		c.KeyPeers, c.KeyAlso = k.add(dest)
	}
	if t, ok := r.(*testudo.TLS); ok && c.OrigLocal {
		a.describeClient(t)
	}
	if !c.Outbound || turned(r) {
		a.describeVisitor(m)
		return
	}
	u, isNew := a.uses.Put(dest)
	if isNew {
		u.since = m.Time
	}
	since, isNew := a.pairs.Put(hostUse{c.Host, dest})
	if isNew {
		*since = m.Time
		if h := a.hosts.Peek(c.Host); h != nil {
			u.add(h.index)
		}
	}
	c.PeerHosts, c.PeerSince, c.HostSince = max(1, u.count), min(u.since, m.Time), min(*since, m.Time)
}

// describeClient tells how many of our hosts have a client like t's.
func (a *Annotator) describeClient(t *testudo.TLS) {
	c, print := &t.About, t.ClientPrint()
	h := a.hosts.Peek(c.Host)
	if print == "" || h == nil {
		return
	}
	u, isNew := a.prints.Put(print)
	if isNew {
		u.since = t.Time
	}
	u.add(h.index)
	c.PrintHosts, c.PrintSince = u.count, min(u.since, t.Time)
}

// describeVisitor keeps those who come to us apart from those we go to: their
// addresses may be forged, and must not push out what our hosts are used to.
func (a *Annotator) describeVisitor(m *testudo.Meta) {
	since, isNew := a.visitors.Put(m.About.Peer)
	if isNew {
		*since = m.Time
	}
	m.About.PeerHosts = 1
	m.About.PeerSince = min(*since, m.Time)
	m.About.HostSince = m.About.PeerSince
}

// turned tells a conversation that began with an answer: our host may never
// have asked.
func turned(r testudo.Record) bool {
	c, ok := r.(*testudo.Conn)
	return ok && c.OrigPkts == 0 && c.RespPkts > 0
}

func (a *Annotator) name(m *testudo.Meta, c *testudo.Context) {
	if l := a.flows.Peek(m.UID); l != nil {
		c.Name, c.Domain, c.NameBy = l.name, l.domain, l.by
		return
	}
	if n := a.names.Get(pair{c.Host, c.Peer}); n != nil {
		c.Name, c.Domain, c.NameBy = n.name, n.domain, "dns"
		return
	}
	// A host behind a resolver we see only from outside has names all the same.
	if n := a.anyName.Get(c.Peer); n != nil && n.count == 1 {
		c.Name, c.Domain, c.NameBy = n.name, n.domain, "dns"
	}
}

// add counts a host once: exactly up to 16, then by a linear counter of 4096
// bits, within 5 % up to 10,000 hosts.
func (u *use) add(index uint32) {
	if u.many == nil {
		for _, h := range u.few {
			if h == index {
				return
			}
		}
		if len(u.few) < 16 {
			u.few = append(u.few, index)
			u.count = len(u.few)
			return
		}
		u.many = make([]uint64, 64)
		for _, h := range u.few {
			u.mark(h)
		}
		u.few = nil
	}
	if u.mark(index) {
		u.count = u.linear()
	}
}

// Domain returns the registered domain of name by the public suffix list, or
// name itself where it has none, "" for "" and for addresses.
func (a *Annotator) Domain(name string) string {
	if name == "" || isAddress(name) {
		return ""
	}
	return a.registered(name).domain
}

func (a *Annotator) registered(name string) registered {
	d, isNew := a.domains.Put(name)
	if isNew {
		d.domain, d.public = detector.Registered(strings.TrimSuffix(strings.ToLower(name), "."))
	}
	return *d
}

// RegisteredDomain returns the registered domain of name by the public suffix
// list, or name in lower case without its final dot where it has none.
func RegisteredDomain(name string) string {
	return detector.RegisteredDomain(name)
}

func isAddress(s string) bool {
	s = strings.Trim(s, "[]")
	if n := len(s); n == 0 || (s[n-1] < '0' || s[n-1] > '9') && strings.IndexByte(s, ':') < 0 {
		return false // most names; saves the error of a closer look
	}
	_, err := netip.ParseAddr(s)
	return err == nil
}

// hostOnly cuts the port off an HTTP Host header.
func hostOnly(host string) string {
	if i := strings.LastIndexByte(host, ':'); i > 0 && strings.IndexByte(host, ':') == i {
		return host[:i]
	}
	return host
}

// pause is how much of a silence counts as watching: a capture that leaps
// over years has not watched them.
const pause = 12 * time.Hour

// Day is how long a network must be watched before "first seen" means much.
const Day = 24 * time.Hour
