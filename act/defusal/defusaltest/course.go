package defusaltest

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/act/defusal"
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func nets(all ...string) (out []netip.Prefix) {
	for _, s := range all {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

// Courses returns a course of every action, several where they differ in what
// the place must be able to do. No two touch the same traffic.
func Courses() []testudo.Course {
	four, six := []netip.Addr{addr("10.0.0.5"), addr("10.0.0.9")}, []netip.Addr{addr("fd00::5")}
	one := func(last byte) netip.Prefix {
		return netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 51, 100, last}), 32)
	}
	wide, wider := netip.MustParsePrefix("2001:db8:1::/64"), netip.MustParsePrefix("2001:db8:2::/64")
	return []testudo.Course{
		{Action: testudo.Sinkhole, Name: "cdn-upd.example"},
		{Action: testudo.Sinkhole, Name: "a.very.deep.name.of.somebody.example"},
		{Action: testudo.DropService, Server: addr("203.0.113.6"), Hosts: four, Proto: testudo.TCP, Port: 443},
		{Action: testudo.DropService, Server: addr("203.0.113.7"), Hosts: four[:1], Proto: testudo.UDP, Port: 53},
		{Action: testudo.DropService, Server: addr("203.0.113.8"), Hosts: four},
		{Action: testudo.DropService, Server: addr("2001:db8::7"), Hosts: six, Proto: testudo.TCP, Port: 8443},
		{Action: testudo.DropServer, Server: addr("203.0.113.9")},
		{Action: testudo.DropServer, Server: addr("2001:db8::9")},
		{Action: testudo.Limit, Target: one(20), Proto: testudo.TCP, Port: 443, Rate: 1000, Shape: testudo.Shape{SYN: true}},
		{Action: testudo.Limit, Target: one(21), Proto: testudo.UDP, FromPort: 123, Rate: 50},
		{Action: testudo.Limit, Target: wide, Rate: 200},
		{Action: testudo.DropSources, Target: one(22), Proto: testudo.UDP, FromPort: 53, Shape: testudo.Shape{Above: 512}},
		{Action: testudo.DropSources, Target: one(23), Sources: nets("192.0.2.0/25", "192.0.2.128/26", "203.0.113.64/26")},
		{Action: testudo.DropSources, Target: one(24), Shape: testudo.Shape{Fragment: true}},
		{Action: testudo.DropSources, Target: wider, Proto: testudo.TCP, Port: 80, Sources: nets("2001:db8:bad::/48")},
		{Action: testudo.Isolate, Hosts: []netip.Addr{addr("10.0.0.66")}},
		{Action: testudo.Isolate, Hosts: []netip.Addr{addr("fd00::66")}},
	}
}

func takenOf(e defusal.Enforcer) (taken []testudo.Course) {
	for _, c := range Courses() {
		if e.Takes(&c) {
			taken = append(taken, c)
		}
	}
	return taken
}

// Blocks makes a block of each course: BLK-…, one second after the other,
// each applied now and for life.
func Blocks(courses []testudo.Course, now testudo.Time, life time.Duration) []testudo.Block {
	blocks := make([]testudo.Block, len(courses))
	for i, c := range courses {
		blocks[i] = testudo.Block{
			ID: fmt.Sprintf("BLK-%012d", i), Incident: "INC-7F3K9QW2MX8D", Course: c,
			Reason: "it reports to its server every 60 s", Author: "testudo",
			Made: now, Until: now.Add(life), State: testudo.BlockApplied,
		}
	}
	return blocks
}

// lots returns n courses of the kind the enforcer takes that is put most:
// servers, half of them IPv6, else names, else services.
func lots(e defusal.Enforcer, n int) (courses []testudo.Course) {
	for _, make := range []func(int) testudo.Course{manyServers, manyNames, manyServices} {
		if c := make(0); !e.Takes(&c) {
			continue
		}
		for i := range n {
			courses = append(courses, make(i))
		}
		return courses
	}
	return nil
}

func manyServers(i int) testudo.Course {
	a := netip.AddrFrom4([4]byte{198, 18 + byte(i>>17), byte(i >> 9), byte(i >> 1)})
	if i%2 == 1 {
		a = netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 13: byte(i >> 16), 14: byte(i >> 8), 15: byte(i)})
	}
	return testudo.Course{Action: testudo.DropServer, Server: a}
}

func manyNames(i int) testudo.Course {
	return testudo.Course{Action: testudo.Sinkhole, Name: fmt.Sprintf("n%d.d%d.example", i, i%97)}
}

func manyServices(i int) testudo.Course {
	c := manyServers(i)
	c.Action, c.Hosts, c.Proto, c.Port = testudo.DropService, []netip.Addr{addr("10.0.0.5")}, testudo.TCP, 443
	if c.Server.Is6() {
		c.Hosts = []netip.Addr{addr("fd00::5")}
	}
	return c
}
