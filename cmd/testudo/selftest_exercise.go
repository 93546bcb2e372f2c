package main

import (
	"encoding/base32"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"time"

	"github.com/testudo-shield/testudo/test/wire"
)

// exercise is a day and a half of a small office, packet by packet, with one
// attack for each detector on the second day. Equal on every machine.
type exercise struct {
	*wire.Tape
	r    *rand.Rand
	port int
}

// planted is one attack of the exercise: which detector should tell it, and of
// whom.
type planted struct {
	detector, what string
	who            netip.Addr // a victim or a server of the sighting
	plant          func(*exercise)
	signs, key     string // the name that the detector signs with, where it is another, and how its keys begin
}

// listed is the one indicator that the self-test loads.
const listed = "203.0.113.66"

// plantedAttacks are one for each detector, by name.
func plantedAttacks() []planted {
	addr := netip.MustParseAddr
	return []planted{
		{detector: "beacon", what: "a program reports every five minutes", who: addr("203.0.113.50"), plant: (*exercise).beacon},
		{detector: "bruteforce", what: "passwords are tried at a file server", who: addr("10.1.0.6"), plant: (*exercise).guessing},
		{detector: "channel", what: "a shell was connected back to a machine outside", who: addr("203.0.113.21"), plant: (*exercise).shell},
		{detector: "exfil", what: "files are sent out in pieces through the night", who: addr("203.0.113.41"), plant: (*exercise).theft},
		{detector: "flood", what: "a server is flooded with connection requests", who: addr("10.1.0.7"), plant: (*exercise).flood},
		{detector: "indicator", what: "a machine goes to a listed address", who: addr(listed), plant: (*exercise).listed},
		{detector: "scan", what: "the network is scanned from inside", who: addr("10.1.0.33"), plant: (*exercise).sweep},
		{detector: "tunnel", what: "data is carried in DNS names", who: addr("10.1.0.28"), plant: (*exercise).tunnel},
		{detector: "tunnel-spread", what: "data is carried in names of many domains", who: addr("10.1.0.29"), plant: (*exercise).spread, signs: "tunnel", key: "spread "},
		{detector: "worm", what: "five machines pass something on, one to the other", who: addr("10.1.0.40"), plant: (*exercise).worm},
	}
}

// secondDay is when the attacks begin: the first one is for learning habits.
var secondDay = wire.Start.Add(26 * time.Hour)

func newExercise(attacks []planted) *exercise {
	e := &exercise{Tape: &wire.Tape{}, r: rand.New(rand.NewPCG(1, 1)), port: 20000}
	e.office()
	for _, a := range attacks {
		a.plant(e)
	}
	e.Sort()
	return e
}

const resolver = "10.1.0.2"

// from is the host's next port.
func (e *exercise) from(host string) netip.AddrPort {
	e.port++
	return wire.Port(host, 20000+e.port%40000)
}

func (e *exercise) noise(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(e.r.Uint32())
	}
	return b
}

// visit is a look-up and a page.
func (e *exercise) visit(at time.Time, host, name, server string) {
	client := e.from(host)
	e.Lookup(at, client, netip.MustParseAddr(resolver), uint16(e.port), name, netip.MustParseAddr(server))
	e.Conn(at.Add(30*time.Millisecond), client, wire.Port(server, 80),
		wire.Say{Bytes: fmt.Appendf(nil, "GET /%d HTTP/1.1\r\nHost: %s\r\nUser-Agent: office/2.1\r\nAccept: text/html\r\nAccept-Language: en\r\n\r\n", e.port, name)},
		wire.Say{After: 40 * time.Millisecond, Resp: true, Bytes: fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 900\r\n\r\n%s", strings.Repeat("good news ", 90))})
}

// office is ordinary life: twelve desks that read eight sites at odd times.
func (e *exercise) office() {
	for desk := range 12 {
		host := fmt.Sprintf("10.1.0.%d", 20+desk)
		for at := wire.Start; at.Before(secondDay.Add(10 * time.Hour)); at = at.Add(time.Duration(5+e.r.IntN(90)) * time.Minute) {
			site := 1 + e.r.IntN(8)
			e.visit(at.Add(time.Duration(e.r.IntN(60000))*time.Millisecond), host, fmt.Sprintf("www.site%d.example", site), fmt.Sprintf("198.51.100.%d", site))
		}
	}
}

func (e *exercise) beacon() {
	for i := range 100 {
		at := secondDay.Add(time.Duration(i)*5*time.Minute + time.Duration(e.r.IntN(4000))*time.Millisecond)
		e.Conn(at, e.from("10.1.0.20"), wire.Port("203.0.113.50", 4433), wire.Say{Bytes: e.noise(120)}, wire.Say{Resp: true, Bytes: e.noise(48)})
	}
}

func (e *exercise) guessing() {
	for i := range 40 {
		at := secondDay.Add(time.Hour + time.Duration(i)*2*time.Second)
		e.Conn(at, e.from("203.0.113.77"), wire.Port("10.1.0.6", 21),
			wire.Say{Resp: true, Bytes: []byte("220 files\r\n")},
			wire.Say{Bytes: []byte("USER admin\r\n")}, wire.Say{Resp: true, Bytes: []byte("331 password\r\n")},
			wire.Say{Bytes: fmt.Appendf(nil, "PASS word%d\r\n", i)}, wire.Say{Resp: true, Bytes: []byte("530 wrong\r\n")})
	}
}

func (e *exercise) shell() {
	prompt := wire.Say{Resp: false, Bytes: []byte("Microsoft Windows [Version 10.0.19045.1]\r\n\r\nC:\\Users\\ann>")}
	e.Conn(secondDay.Add(2*time.Hour), e.from("10.1.0.24"), wire.Port("203.0.113.21", 4444), prompt,
		wire.Say{After: 3 * time.Second, Resp: true, Bytes: []byte("dir\r\n")},
		wire.Say{Bytes: []byte(" Directory of C:\\Users\\ann\r\n\r\n04.03.2024  09:12  plans\r\nC:\\Users\\ann>")},
		wire.Say{After: 9 * time.Second, Resp: true, Bytes: []byte("whoami\r\n")},
		wire.Say{Bytes: []byte("office\\ann\r\nC:\\Users\\ann>")})
}

func (e *exercise) theft() {
	for i := range 30 {
		at := secondDay.Add(time.Duration(i)*17*time.Minute + time.Duration(e.r.IntN(400))*time.Second)
		e.Conn(at, e.from("10.1.0.25"), wire.Port("203.0.113.41", 8443), wire.Say{Bytes: e.noise(20000 + e.r.IntN(12000))}, wire.Say{Resp: true, Bytes: e.noise(90)})
	}
}

func (e *exercise) flood() {
	for i := range 12000 {
		from := netip.AddrFrom4([4]byte{203, 0, byte(e.r.IntN(200)), byte(e.r.IntN(250))})
		e.Knock(secondDay.Add(4*time.Hour+time.Duration(i)*time.Millisecond), netip.AddrPortFrom(from, uint16(1024+e.r.IntN(60000))), wire.Port("10.1.0.7", 80), 0)
	}
}

func (e *exercise) listed() {
	e.visit(secondDay.Add(5*time.Hour), "10.1.0.27", "quiet.example", listed)
}

func (e *exercise) sweep() {
	for i := range 200 {
		to := netip.AddrFrom4([4]byte{10, 1, 1, byte(i)})
		e.Knock(secondDay.Add(6*time.Hour+time.Duration(i)*40*time.Millisecond), e.from("10.1.0.33"), netip.AddrPortFrom(to, 445), [3]byte{0, 0, wire.RST}[i%3])
	}
}

func (e *exercise) tunnel() {
	for i := range 120 {
		e.carry(secondDay.Add(7*time.Hour+time.Duration(i)*4*time.Second), "10.1.0.28", "t1.brasswind.example")
	}
}

func (e *exercise) spread() {
	for i := range 72 {
		e.carry(secondDay.Add(8*time.Hour+time.Duration(i)*9*time.Second), "10.1.0.29", fmt.Sprintf("ns.harbour%d.example", i%24))
	}
}

// worm begins at one desk: each machine it gets into tries forty addresses and
// gets into the next.
func (e *exercise) worm() {
	for i := range 5 {
		at, host := secondDay.Add(9*time.Hour+time.Duration(i)*4*time.Minute), fmt.Sprintf("10.1.0.%d", 40+i)
		for n := range 40 {
			to := netip.AddrFrom4([4]byte{10, 1, byte(2 + i), byte(1 + n)})
			e.Knock(at.Add(time.Duration(n)*2*time.Second), e.from(host), netip.AddrPortFrom(to, 5985), 0)
		}
		if i < 4 {
			e.Conn(at.Add(2*time.Minute), e.from(host), wire.Port(fmt.Sprintf("10.1.0.%d", 41+i), 5985), wire.Say{Bytes: e.noise(4000)}, wire.Say{Resp: true, Bytes: e.noise(200)})
		}
	}
}

// carry is a question whose name is data.
func (e *exercise) carry(at time.Time, host, domain string) {
	code := base32.HexEncoding.WithPadding(base32.NoPadding)
	name := strings.ToLower(code.EncodeToString(e.noise(24+e.r.IntN(12)))+"."+code.EncodeToString(e.noise(16+e.r.IntN(12)))) + "." + domain
	e.Lookup(at, e.from(host), netip.MustParseAddr(resolver), uint16(e.port), name, netip.AddrFrom4([4]byte{203, 0, 113, byte(e.port)}))
}
