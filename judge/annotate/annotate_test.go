package annotate

import (
	"fmt"
	"math"
	"net/netip"
	"testing"
	"time"

	"github.com/testudo-shield/testudo"
)

const t0 = testudo.Time(1_700_000_000_000_000_000)

func at(minutes int) testudo.Time { return t0.Add(time.Duration(minutes) * time.Minute) }

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func meta(minutes int, uid testudo.UID, orig, resp string) testudo.Meta {
	return testudo.Meta{Time: at(minutes), UID: uid, ID: testudo.ConnID{
		Orig: netip.MustParseAddrPort(orig), Resp: netip.MustParseAddrPort(resp), Proto: testudo.TCP,
	}}
}

func conn(minutes int, uid testudo.UID, orig, resp string) *testudo.Conn {
	return &testudo.Conn{Meta: meta(minutes, uid, orig, resp), State: "SF", OrigPkts: 3, RespPkts: 3}
}

func lookup(minutes int, orig, query string, addrs ...string) *testudo.DNS {
	r := &testudo.DNS{Meta: meta(minutes, 9000, orig, "10.0.0.2:53"), Query: query, Answered: true}
	for _, a := range addrs {
		r.Addresses = append(r.Addresses, addr(a))
	}
	return r
}

func annotator(entries int) *Annotator {
	return New(Config{Entries: entries, Local: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}})
}

// TestWhoIsOurs holds which end is the host, and whether it began.
func TestWhoIsOurs(t *testing.T) {
	for _, c := range []struct {
		name, orig, resp string
		host, peer       string // "" for none
		outbound         bool
	}{
		{"out", "10.0.0.5:4000", "192.0.2.1:443", "10.0.0.5", "192.0.2.1", true},
		{"in", "192.0.2.1:4000", "10.0.0.5:443", "10.0.0.5", "192.0.2.1", false},
		{"inside", "10.0.0.5:4000", "10.0.0.6:445", "10.0.0.5", "10.0.0.6", true},
		{"neither", "192.0.2.1:4000", "192.0.2.2:443", "", "", false},
		{"six", "[fd00::5]:4000", "[2001:db8::1]:443", "fd00::5", "2001:db8::1", true},
		{"a machine without an address yet", "0.0.0.0:68", "255.255.255.255:67", "0.0.0.0", "255.255.255.255", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := conn(0, 1, c.orig, c.resp)
			annotator(100).Annotate(r)
			text := func(a netip.Addr) string {
				if !a.IsValid() {
					return ""
				}
				return a.String()
			}
			if b := r.About; text(b.Host) != c.host || text(b.Peer) != c.peer || b.Outbound != c.outbound {
				t.Errorf("host %v, peer %v, outbound %v", b.Host, b.Peer, b.Outbound)
			}
		})
	}
}

// TestNames holds where the name of a peer is taken from.
func TestNames(t *testing.T) {
	const me, other, server = "10.0.0.5:4000", "10.0.0.6:4000", "192.0.2.1:443"
	tls := func(uid testudo.UID, name string) *testudo.TLS {
		return &testudo.TLS{Meta: meta(1, uid, me, server), ServerName: name}
	}
	http := func(uid testudo.UID, host string) *testudo.HTTP {
		return &testudo.HTTP{Meta: meta(1, uid, me, server), Host: host}
	}
	for _, c := range []struct {
		name             string
		before           []testudo.Record
		want, by, domain string
	}{
		{"none", nil, "", "", ""},
		{"dns", []testudo.Record{lookup(0, me, "www.a.example", "192.0.2.1")}, "www.a.example", "dns", "a.example"},
		{"dns of another host, the only name there is", []testudo.Record{lookup(0, other, "www.a.example", "192.0.2.1")}, "www.a.example", "dns", "a.example"},
		{"others' names, and several", []testudo.Record{
			lookup(0, other, "www.a.example", "192.0.2.1"), lookup(0, other, "www.b.example", "192.0.2.1"),
		}, "", "", ""},
		{"one's own look-up before others' names", []testudo.Record{
			lookup(0, me, "www.a.example", "192.0.2.1"), lookup(0, other, "www.b.example", "192.0.2.1"),
		}, "www.a.example", "dns", "a.example"},
		{"the latest look-up", []testudo.Record{
			lookup(0, me, "www.a.example", "192.0.2.1"), lookup(0, me, "cdn.b.example", "192.0.2.1"),
		}, "cdn.b.example", "dns", "b.example"},
		{"tls before dns", []testudo.Record{lookup(0, me, "www.a.example", "192.0.2.1"), tls(7, "API.C.example")}, "api.c.example", "tls", "c.example"},
		{"tls of another conversation", []testudo.Record{tls(8, "c.example")}, "", "", ""},
		{"http, its port cut off", []testudo.Record{http(7, "shop.d.example:8080")}, "shop.d.example", "http", "d.example"},
		{"http by address", []testudo.Record{http(7, "192.0.2.1:8080")}, "", "", ""},
		{"http by an address in brackets", []testudo.Record{http(7, "[2001:db8::1]")}, "", "", ""},
		{"an answer that failed", []testudo.Record{&testudo.DNS{
			Meta: meta(0, 1, me, "10.0.0.2:53"), Query: "x.example", Answered: true, RCode: 3,
			Addresses: []netip.Addr{addr("192.0.2.1")},
		}}, "", "", ""},
		{"a public suffix of two labels", []testudo.Record{lookup(0, me, "www.ministry.gov.uk", "192.0.2.1")}, "www.ministry.gov.uk", "dns", "ministry.gov.uk"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := annotator(100)
			for _, r := range c.before {
				a.Annotate(r)
			}
			r := conn(2, 7, me, server)
			a.Annotate(r)
			if b := r.About; b.Name != c.want || b.NameBy != c.by || b.Domain != c.domain {
				t.Errorf("%q by %q, domain %q", b.Name, b.NameBy, b.Domain)
			}
		})
	}
}

// TestPrevalence holds how many of our hosts use a peer, by its domain where
// that is known, and since when.
func TestPrevalence(t *testing.T) {
	a := annotator(1000)
	for i := range 12 {
		me := fmt.Sprintf("10.0.0.%d:4000", 10+i)
		server := fmt.Sprintf("192.0.2.%d", 1+i%3) // three addresses of one domain
		a.Annotate(lookup(i, me, "www.a.example", server))
		for range 3 { // again and again counts once
			r := conn(i, testudo.UID(i+1), me, server+":443")
			a.Annotate(r)
			b := r.About
			if b.PeerHosts != i+1 || b.PeerSince != at(0) || b.HostSince != at(i) {
				t.Errorf("host %d: %d hosts since %v, this one since %v", i, b.PeerHosts, b.PeerSince, b.HostSince)
			}
		}
	}
	r := conn(20, 99, "10.0.0.10:4000", "192.0.2.200:443")
	a.Annotate(r)
	if r.About.PeerHosts != 1 || r.About.PeerSince != at(20) {
		t.Errorf("a bare address: %d hosts since %v", r.About.PeerHosts, r.About.PeerSince)
	}
	if a.Hosts() != 13 || r.About.HostsSeen != 13 { // and the resolver
		t.Errorf("%d hosts of ours, %d told", a.Hosts(), r.About.HostsSeen)
	}
	if n := a.NewHosts(at(5)); n != 6 {
		t.Errorf("%d hosts after minute 5, want 6", n)
	}
}

// TestClientPrints holds how many of our hosts are told to show a client's
// fingerprint, and since when.
func TestClientPrints(t *testing.T) {
	a := annotator(100)
	for i, c := range []struct {
		orig, ja4, ja3 string
		hosts, since   int
	}{
		{"10.0.0.5:4000", "a", "x", 1, 0},
		{"10.0.0.5:4001", "a", "", 1, 0},
		{"10.0.0.6:4000", "a", "", 2, 0},
		{"10.0.0.6:4001", "", "x", 1, 3},
		{"192.0.2.9:4000", "a", "", 0, 0}, // none of ours
		{"10.0.0.7:4000", "a", "", 3, 0},
	} {
		resp := "192.0.2.1:443"
		if c.hosts == 0 {
			resp = "10.0.0.5:443"
		}
		r := &testudo.TLS{Meta: meta(i, testudo.UID(i+1), c.orig, resp), JA4: c.ja4, JA3: c.ja3}
		a.Annotate(r)
		if b := r.About; b.PrintHosts != c.hosts || c.hosts > 0 && b.PrintSince != at(c.since) {
			t.Errorf("%d: %d hosts since %v, want %d since minute %d", i, b.PrintHosts, b.PrintSince, c.hosts, c.since)
		}
	}
}

// TestHostsExist holds that a scan of empty addresses does not make hosts.
func TestHostsExist(t *testing.T) {
	a := annotator(1000)
	for i := range 200 {
		r := conn(0, testudo.UID(i+1), "192.0.2.1:4000", fmt.Sprintf("10.0.1.%d:445", i))
		r.State, r.RespPkts = "S0", 0
		if i%50 == 0 {
			r.State, r.RespPkts = "REJ", 1
		}
		if i == 7 {
			r.State, r.RespPkts = "SF", 4
		}
		a.Annotate(r)
	}
	if a.Hosts() != 1 {
		t.Errorf("%d hosts, want the one that answered", a.Hosts())
	}
}

// TestShared holds that an address of many unrelated names is told, if more
// than one host of ours resolved them.
func TestShared(t *testing.T) {
	a := annotator(1000)
	for i := range 40 {
		a.Annotate(lookup(0, fmt.Sprintf("10.0.0.%d:4000", 5+i%2), fmt.Sprintf("www.site%d.example", i%8), "192.0.2.1"))
		a.Annotate(lookup(0, "10.0.0.5:4000", fmt.Sprintf("www.made%d.example", i%8), "192.0.2.3"))
		a.Annotate(lookup(0, "10.0.0.5:4000", fmt.Sprintf("host%d.one.example", i), "192.0.2.2"))
	}
	many, few := conn(1, 1, "10.0.0.5:4000", "192.0.2.1:443"), conn(1, 2, "10.0.0.5:4000", "192.0.2.2:443")
	a.Annotate(many)
	a.Annotate(few)
	if !many.About.Shared || many.About.PeerNames != 5 {
		t.Errorf("eight domains: shared %v, %d names", many.About.Shared, many.About.PeerNames)
	}
	if few.About.Shared || few.About.PeerNames != 1 {
		t.Errorf("one domain: shared %v, %d names", few.About.Shared, few.About.PeerNames)
	}
	own := conn(1, 3, "10.0.0.5:4000", "192.0.2.3:443")
	if a.Annotate(own); own.About.Shared {
		t.Error("names that one host alone resolved make a peer shared")
	}
	a.cfg.IsShared = func(p netip.Addr, domain string) bool { return domain == "one.example" }
	a.Annotate(few)
	if !few.About.Shared {
		t.Error("a list of shared infrastructure is not asked")
	}
}

// TestKnown holds that a wrong clock does not make a short capture a long one.
func TestKnown(t *testing.T) {
	a := annotator(100)
	a.Annotate(conn(0, 1, "10.0.0.5:1", "192.0.2.1:1"))
	a.Annotate(conn(-20, 2, "10.0.0.5:1", "192.0.2.1:1")) // began before, told later
	wrong := conn(0, 3, "10.0.0.5:1", "192.0.2.1:1")
	wrong.Time = testudo.Time(time.Second) // 1970
	a.Annotate(wrong)
	r := conn(60, 4, "10.0.0.5:1", "192.0.2.1:1")
	a.Annotate(r)
	years := conn(60*24*365, 5, "10.0.0.5:1", "192.0.2.1:1")
	if a.Annotate(years); years.About.Known != 13*time.Hour {
		t.Errorf("after a leap over a year known for %v", years.About.Known)
	}
	if r.About.Known != 60*time.Minute {
		t.Errorf("known for %v", r.About.Known)
	}
}

// TestLinearCounter holds that the count of hosts is exact up to sixteen and
// within 5 % up to ten thousand, for hosts counted one after the other as the
// annotator does, and does not fall.
func TestLinearCounter(t *testing.T) {
	for _, step := range []uint32{1, 2, 64, 4099} {
		var u use
		last := 0
		for i := range 10_000 {
			u.add(uint32(i+1) * step)
			u.add(uint32(i/2+1) * step)
			n := i + 1
			if n <= 16 && u.count != n {
				t.Fatalf("step %d: %d hosts counted as %d", step, n, u.count)
			}
			if off := math.Abs(float64(u.count-n)) / float64(n); n > 16 && off > 0.05 && u.count-n > 1 {
				t.Fatalf("step %d: %d hosts counted as %d", step, n, u.count)
			}
			if u.count < last {
				t.Fatalf("step %d: from %d down to %d", step, last, u.count)
			}
			last = u.count
		}
	}
	var full use
	for i := range uint32(200_000) {
		full.add(i)
	}
	if full.count <= 10_000 || full.count > 4096*8 {
		t.Errorf("a full counter says %d", full.count)
	}
}

// TestBudget holds that memory is bounded, and what fell to it is counted.
func TestBudget(t *testing.T) {
	a := annotator(8)
	for i := range 500 {
		me := fmt.Sprintf("10.0.%d.%d:4000", i/250, i%250)
		a.Annotate(lookup(i, me, fmt.Sprintf("n%d.example", i), fmt.Sprintf("192.0.2.%d", i%250)))
		r := conn(i, testudo.UID(i), me, fmt.Sprintf("192.0.2.%d:443", i%250))
		a.Annotate(r)
		if r.About.Name == "" {
			t.Fatalf("%d: the look-up just made is forgotten", i)
		}
	}
	if a.Hosts() > 8 || a.Shed() == 0 {
		t.Errorf("%d hosts, %d shed", a.Hosts(), a.Shed())
	}
}

// TestHits holds that indicators are asked for each record.
func TestHits(t *testing.T) {
	a := annotator(8)
	a.cfg.Match = func(r testudo.Record) []testudo.Hit { return []testudo.Hit{{Value: r.Log()}} }
	r := conn(0, 1, "192.0.2.9:1", "192.0.2.1:1")
	a.Annotate(r)
	if len(r.About.Hits) != 1 || r.About.Hits[0].Value != "conn" {
		t.Errorf("hits %v", r.About.Hits)
	}
}

// TestRegisteredDomain holds some names, and that it never grows one.
func TestRegisteredDomain(t *testing.T) {
	for name, want := range map[string]string{
		"www.a.example": "a.example", "A.Example.": "a.example", "a.b.co.uk": "b.co.uk", "co.uk": "co.uk",
		"localhost": "localhost", "": "", ".": "", "x..example": "x..example", "_ldap._tcp.corp.example": "corp.example",
	} {
		if got := RegisteredDomain(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

// FuzzAnnotate holds that no name breaks it.
func FuzzAnnotate(f *testing.F) {
	f.Add("www.a.example", "a.example:80", "b.example")
	f.Add("..", "[::1", ":")
	f.Add("\xff\x00", "[fe80::1%x]:80", "1.2.3.4")
	f.Fuzz(func(t *testing.T, query, host, sni string) {
		a := annotator(4)
		a.Annotate(lookup(0, "10.0.0.5:4000", query, "192.0.2.1"))
		a.Annotate(&testudo.HTTP{Meta: meta(0, 1, "10.0.0.5:4000", "192.0.2.1:80"), Host: host})
		a.Annotate(&testudo.TLS{Meta: meta(0, 2, "10.0.0.5:4000", "192.0.2.1:443"), ServerName: sni})
		for uid := range testudo.UID(4) {
			r := conn(1, uid, "10.0.0.5:4000", "192.0.2.1:80")
			a.Annotate(r)
			if r.About.Name == "" && r.About.Domain != "" || r.About.PeerHosts != 1 {
				t.Errorf("%+v", r.About)
			}
		}
	})
}

func TestIsLocal(t *testing.T) {
	local := []netip.Prefix{netip.MustParsePrefix("10.1.2.3/8"), netip.MustParsePrefix("192.0.2.7/32"), netip.MustParsePrefix("fd00::/8")}
	a := New(Config{Local: local, Entries: 1})
	for addr, want := range map[string]bool{
		"10.200.0.1": true, "11.0.0.1": false, "192.0.2.7": true, "192.0.2.6": false, "fd12::1": true, "fe80::1": false, "::ffff:10.0.0.1": false,
	} {
		if a.IsLocal(netip.MustParseAddr(addr)) != want {
			t.Errorf("%s: want %v", addr, want)
		}
	}
	if !New(Config{Local: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}}).IsLocal(netip.MustParseAddr("203.0.113.9")) {
		t.Error("all of IPv4 does not hold 203.0.113.9")
	}
	if a.IsLocal(netip.Addr{}) {
		t.Error("no address is local")
	}
}

// TestForgedHosts holds that sources out of our own networks that never get
// an answer do not push out hosts that did.
func TestForgedHosts(t *testing.T) {
	a := annotator(64)
	a.Annotate(conn(0, 1, "10.0.0.5:4000", "192.0.2.1:443"))
	for i := range 1000 {
		r := conn(1, testudo.UID(i+2), fmt.Sprintf("10.9.%d.%d:4000", i/250, i%250), "192.0.2.1:443")
		r.State, r.RespPkts = "S0", 0
		a.Annotate(r)
	}
	if h := a.hosts.Peek(addr("10.0.0.5")); h == nil || h.since != at(0) {
		t.Error("the host was forgotten")
	}
}
