package wire

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"time"
)

// Packet adds one IP packet in Ethernet.
func (t *Tape) Packet(at time.Time, src, dst netip.Addr, proto byte, payload []byte) {
	kind := uint16(0x0800)
	if src.Is6() {
		kind = 0x86dd
	}
	t.ip++
	t.Add(at, Ether(kind, IP(src, dst, proto, t.ip, payload)))
}

// Datagram adds one UDP datagram.
func (t *Tape) Datagram(at time.Time, from, to netip.AddrPort, payload []byte) {
	t.Packet(at, from.Addr(), to.Addr(), 17, UDP(from.Port(), to.Port(), payload))
}

// Say is a turn of a conversation: what one end sends.
type Say struct {
	After time.Duration // since the turn before
	Resp  bool          // by the end that was called
	Bytes []byte
}

// Conn adds a whole TCP conversation and returns when it was over.
func (t *Tape) Conn(at time.Time, orig, resp netip.AddrPort, turns ...Say) time.Time {
	seq := [2]uint32{1000, 9000}
	ends := [2]netip.AddrPort{orig, resp}
	send := func(d int, flags byte, payload []byte) {
		t.Packet(at, ends[d].Addr(), ends[1-d].Addr(), 6, TCP(ends[d].Port(), ends[1-d].Port(), seq[d], seq[1-d], flags, payload))
		seq[d] += uint32(len(payload))
		if flags&(SYN|FIN) != 0 {
			seq[d]++
		}
		at = at.Add(2 * time.Millisecond)
	}
	send(0, SYN, nil)
	send(1, SYN|ACK, nil)
	send(0, ACK, nil)
	for _, s := range turns {
		at = at.Add(s.After)
		d := 0
		if s.Resp {
			d = 1
		}
		for rest := s.Bytes; len(rest) > 0; {
			n := min(len(rest), 1400)
			send(d, PSH|ACK, rest[:n])
			rest = rest[n:]
		}
		send(1-d, ACK, nil)
	}
	send(0, FIN|ACK, nil)
	send(1, FIN|ACK, nil)
	send(0, ACK, nil)
	return at
}

// Knock adds a SYN and, as answer says, nothing (0), RST or SYN|ACK and RST.
func (t *Tape) Knock(at time.Time, orig, resp netip.AddrPort, answer byte) {
	t.Packet(at, orig.Addr(), resp.Addr(), 6, TCP(orig.Port(), resp.Port(), 1, 0, SYN, nil))
	if answer == 0 {
		return
	}
	t.Packet(at.Add(time.Millisecond), resp.Addr(), orig.Addr(), 6, TCP(resp.Port(), orig.Port(), 1, 2, answer|ACK, nil))
	if answer&SYN != 0 {
		t.Packet(at.Add(2*time.Millisecond), orig.Addr(), resp.Addr(), 6, TCP(orig.Port(), resp.Port(), 2, 2, RST, nil))
	}
}

// Echo adds a ping, and its answer where there is one.
func (t *Tape) Echo(at time.Time, orig, resp netip.Addr, id, seq uint16, answered bool) {
	rest := binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, id), seq)
	rest = append(rest, "abcdefghijklmnopqrstuvwabcdefghi"...)
	t.Packet(at, orig, resp, 1, ICMP(8, 0, rest))
	if answered {
		t.Packet(at.Add(time.Millisecond), resp, orig, 1, ICMP(0, 0, rest))
	}
}

// Name returns a domain name as DNS writes it.
func Name(name string) []byte {
	var b []byte
	for label := range strings.SplitSeq(strings.TrimSuffix(name, "."), ".") {
		b = append(append(b, byte(len(label))), label...)
	}
	return append(b, 0)
}

// Question returns a DNS query for an address.
func Question(id uint16, name string) []byte {
	b := []byte{byte(id >> 8), byte(id), 1, 0, 0, 1, 0, 0, 0, 0, 0, 0}
	return append(append(b, Name(name)...), 0, 1, 0, 1)
}

// Answer returns the response to Question with IPv4 addresses; without any it
// says that there is no such name.
func Answer(id uint16, name string, addrs ...netip.Addr) []byte {
	b := []byte{byte(id >> 8), byte(id), 0x81, 0x80, 0, 1, 0, byte(len(addrs)), 0, 0, 0, 0}
	if len(addrs) == 0 {
		b[3] |= 3
	}
	b = append(append(b, Name(name)...), 0, 1, 0, 1)
	for _, a := range addrs {
		b = append(b, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4)
		b = append(b, a.AsSlice()...)
	}
	return b
}

// Lookup adds a question to a resolver and its answer.
func (t *Tape) Lookup(at time.Time, host netip.AddrPort, resolver netip.Addr, id uint16, name string, addrs ...netip.Addr) {
	server := netip.AddrPortFrom(resolver, 53)
	t.Datagram(at, host, server, Question(id, name))
	t.Datagram(at.Add(8*time.Millisecond), server, host, Answer(id, name, addrs...))
}

// Hello returns a TLS client hello for name, with the usual few extensions.
func Hello(name string) []byte {
	ext := func(kind uint16, body []byte) []byte {
		b := binary.BigEndian.AppendUint16(nil, kind)
		return append(binary.BigEndian.AppendUint16(b, uint16(len(body))), body...)
	}
	sni := append([]byte{0}, binary.BigEndian.AppendUint16(nil, uint16(len(name)))...)
	sni = append(sni, name...)
	sni = append(binary.BigEndian.AppendUint16(nil, uint16(len(sni))), sni...)
	exts := ext(0, sni)
	exts = append(exts, ext(10, []byte{0, 4, 0, 29, 0, 23})...)
	exts = append(exts, ext(13, []byte{0, 4, 4, 3, 8, 4})...)
	exts = append(exts, ext(43, []byte{4, 3, 4, 3, 3})...)
	body := append([]byte{3, 3}, make([]byte, 32)...)
	body = append(body, 0)
	body = append(body, 0, 4, 0x13, 0x01, 0xc0, 0x2f, 1, 0)
	body = append(binary.BigEndian.AppendUint16(body, uint16(len(exts))), exts...)
	hs := append([]byte{1, 0}, binary.BigEndian.AppendUint16(nil, uint16(len(body)))...)
	hs = append(hs, body...)
	return append([]byte{22, 3, 1, byte(len(hs) >> 8), byte(len(hs))}, hs...)
}

// Port joins an address and a port.
func Port(addr string, port int) netip.AddrPort {
	return netip.AddrPortFrom(netip.MustParseAddr(addr), uint16(port))
}

// Mixed returns an hour of a small office with some of everything in it:
// look-ups, web, pings, address scans, a brute force, a flood, a beacon,
// IPv6, fragments and noise. Equal seeds give equal bytes.
func Mixed(seed uint64, conns int) *Tape {
	m := &mixed{Tape: &Tape{}, r: rand.New(rand.NewPCG(seed, 1))}
	for i := range conns {
		m.life(i)
	}
	m.attacks()
	m.Sort()
	return m.Tape
}

type mixed struct {
	*Tape
	r *rand.Rand
}

func (m *mixed) host() netip.Addr { return netip.AddrFrom4([4]byte{10, 1, 0, byte(10 + m.r.IntN(40))}) }
func (m *mixed) server() netip.Addr {
	return netip.AddrFrom4([4]byte{198, 51, 100, byte(1 + m.r.IntN(60))})
}
func (m *mixed) at() time.Time { return Start.Add(time.Duration(m.r.Int64N(int64(time.Hour)))) }

func (m *mixed) noise(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(m.r.Uint32())
	}
	return b
}

// life is one ordinary thing somebody does.
func (m *mixed) life(i int) {
	at, host, server := m.at(), m.host(), m.server()
	client := netip.AddrPortFrom(host, uint16(20000+i%40000))
	name := fmt.Sprintf("www.site%d.example", server.As4()[3])
	resolver := netip.MustParseAddr("10.1.0.2")
	switch m.r.IntN(8) {
	case 0, 1:
		m.Lookup(at, client, resolver, uint16(i), name, server)
		m.Conn(at.Add(20*time.Millisecond), client, netip.AddrPortFrom(server, 80),
			Say{Bytes: fmt.Appendf(nil, "GET /%d HTTP/1.1\r\nHost: %s\r\nUser-Agent: office\r\n\r\n", i, name)},
			Say{Resp: true, After: 30 * time.Millisecond, Bytes: []byte("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Type: text/plain\r\n\r\nhello")})
	case 2, 3:
		m.Lookup(at, client, resolver, uint16(i), name, server)
		m.Conn(at.Add(20*time.Millisecond), client, netip.AddrPortFrom(server, 443), Say{Bytes: Hello(name)},
			Say{Resp: true, Bytes: append([]byte{23, 3, 3, 1, 0}, m.noise(256)...)})
	case 4:
		m.Echo(at, host, server, uint16(i), 1, m.r.IntN(3) > 0)
	case 5:
		m.Lookup(at, client, resolver, uint16(i), fmt.Sprintf("gone%d.example", i))
	case 6:
		m.Datagram(at, client, netip.AddrPortFrom(server, 4500), m.noise(80))
	case 7:
		six := netip.AddrFrom16([16]byte{0xfd, 1, 15: byte(m.r.IntN(20) + 1)})
		out := netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 15: byte(m.r.IntN(20) + 1)})
		m.Conn(at, netip.AddrPortFrom(six, client.Port()), netip.AddrPortFrom(out, 8443), Say{Bytes: m.noise(200)}, Say{Resp: true, Bytes: m.noise(900)})
	}
}

// attacks are one of each.
func (m *mixed) attacks() {
	for i := range 120 { // along a port, and along one host's ports
		at := Start.Add(10*time.Minute + time.Duration(i)*40*time.Millisecond)
		m.Knock(at, Port("203.0.113.9", 40000+i), netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, 0, byte(i)}), 445), [3]byte{0, 0, RST}[i%3])
		m.Knock(at, Port("10.1.0.33", 50000+i), Port("10.1.0.5", 1000+i), RST)
	}
	for i := range 60 {
		at := Start.Add(20*time.Minute + time.Duration(i)*time.Second)
		m.Conn(at, Port("203.0.113.77", 30000+i), Port("10.1.0.6", 22), Say{Resp: true, Bytes: []byte("SSH-2.0-server\r\n")},
			Say{Bytes: []byte("SSH-2.0-client\r\n")}, Say{Bytes: m.noise(500)}, Say{Resp: true, Bytes: m.noise(400)})
	}
	for i := range 4000 {
		at := Start.Add(30*time.Minute + time.Duration(i)*5*time.Millisecond)
		from := netip.AddrFrom4([4]byte{203, 0, byte(m.r.IntN(200)), byte(m.r.IntN(250))})
		m.Knock(at, netip.AddrPortFrom(from, uint16(1024+m.r.IntN(60000))), Port("10.1.0.7", 80), 0)
	}
	for i := range 58 {
		at := Start.Add(time.Duration(i)*time.Minute + time.Duration(m.r.IntN(3000))*time.Millisecond)
		m.Conn(at, Port("10.1.0.44", 33000+i), Port("203.0.113.200", 8080), Say{Bytes: m.noise(120)}, Say{Resp: true, Bytes: m.noise(48)})
	}
	big := UDP(4000, 4001, m.noise(3000))
	for i := range 40 {
		src, dst := m.host(), m.server()
		for off := 0; off < len(big); off += 1400 {
			end := min(off+1400, len(big))
			m.Add(m.at(), Ether(0x0800, Fragment(src, dst, 17, uint16(i), off, end < len(big), big[off:end])))
		}
	}
	for range 60 {
		m.Add(m.at(), m.noise(14+m.r.IntN(200)))
	}
}
