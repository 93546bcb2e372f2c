package wire

import (
	"encoding/binary"
	"fmt"
	"iter"
	"math/rand/v2"
	"net/netip"
	"time"
)

// Flood is packets that bury a target. Rate is of what the kind is about:
// packets, or whole requests for "http", "tls", "slow", "crowd" and "names".
type Flood struct {
	Kind    string // one of Floods, or of Crowds
	Target  netip.Addr
	From    time.Time
	For     time.Duration
	Rate    int  // a second
	Sources int  // addresses; 0 draws a new one from everywhere for each packet
	Fresh   int  // or so many addresses a second that were not seen before
	Inside  bool // the sources are neighbours of the target
	Seed    uint64
}

// Floods are the kinds of floods, Crowds those of what only looks like one.
func Floods() []string {
	return []string{"syn", "ack", "udp", "icmp", "fragments", "reflection", "carpet", "http", "tls", "slow", "names", "backscatter"}
}

// Crowds are ordinary things in great number: visitors after an announcement,
// a backup, a scanner of our own that looks for weak places.
func Crowds() []string { return []string{"crowd", "backup", "scanner"} }

// Each yields the flood's frames in order of time, or nearly: those of one
// request are in order, and requests overlap only within slack. The bytes are
// good until the next.
func (f Flood) Each(yield func(at time.Time, data []byte) bool) {
	w := &floodTape{r: rand.New(rand.NewPCG(f.Seed, 77)), f: f}
	n := int(f.For.Seconds() * float64(f.Rate))
	for i := range n {
		at := f.From.Add(time.Duration(float64(i) / float64(f.Rate) * 1e9))
		if !w.until(at, yield) {
			return
		}
		had := len(w.frames)
		w.one(at, i)
		if f.Sources > 0 {
			for k := range w.frames[had:] {
				// Machines have systems of their own and lie at distances of their own.
				b := w.frames[had+k].data
				x := uint32(b[28]) + 7*uint32(b[29])
				b[22] = byte(64<<(x&1) - 3 - x%17)
			}
		}
	}
	w.until(f.From.Add(24*time.Hour), yield)
}

// floodTape holds what is yet to be yielded.
type floodTape struct {
	Tape
	r *rand.Rand
	f Flood
}

// until yields the frames before at.
func (w *floodTape) until(at time.Time, yield func(time.Time, []byte) bool) bool {
	if len(w.frames) == 0 {
		return true
	}
	w.Sort()
	n := 0
	for ; n < len(w.frames) && !w.frames[n].at.After(at); n++ {
		if !yield(w.frames[n].at, w.frames[n].data) {
			return false
		}
	}
	w.frames = append(w.frames[:0], w.frames[n:]...)
	return true
}

// sender returns the i-th sender's address.
func (w *floodTape) sender(i int) netip.Addr {
	if w.f.Inside {
		b := w.f.Target.As4()
		b[3] = byte(200 + i%max(1, w.f.Sources))
		return netip.AddrFrom4(b)
	}
	if w.f.Fresh > 0 {
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], uint32(i*w.f.Fresh/w.f.Rate)*2654435761)
		return netip.AddrFrom4(b)
	}
	if w.f.Sources == 0 {
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], w.r.Uint32())
		return netip.AddrFrom4(b)
	}
	// Machines that were taken over lie where people live: in lumps.
	x := uint32(i%w.f.Sources) * 2654435761
	return netip.AddrFrom4([4]byte{byte(198), byte(18 + x>>31), byte(x >> 20 & 0x3f), byte(x>>8) | 1})
}

func (w *floodTape) noise(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(w.r.Uint32())
	}
	return b
}

func (w *floodTape) port() uint16 { return uint16(1024 + w.r.IntN(64000)) }

func (w *floodTape) neighbour() netip.Addr {
	b := w.f.Target.As4()
	b[3] = byte(1 + w.r.IntN(254))
	return netip.AddrFrom4(b)
}

// one adds the i-th packet or request.
func (w *floodTape) one(at time.Time, i int) {
	from, to := w.sender(i), w.f.Target
	switch w.f.Kind {
	case "syn":
		w.Packet(at, from, to, 6, TCP(w.port(), 443, w.r.Uint32(), 0, SYN, nil))
	case "ack":
		w.Packet(at, from, to, 6, TCP(w.port(), 443, w.r.Uint32(), w.r.Uint32(), ACK, nil))
	case "udp":
		w.Packet(at, from, to, 17, UDP(w.port(), w.port(), w.noise(400)))
	case "icmp":
		w.Packet(at, from, to, 1, ICMP(8, 0, w.noise(64)))
	case "fragments":
		w.Add(at, Ether(0x0800, Fragment(from, to, 17, uint16(w.r.Uint32()), 1480*(i%3), true, w.noise(1480))))
	case "reflection":
		w.Packet(at, from, to, 17, UDP([]uint16{123, 53, 1900, 11211}[w.f.Seed%4], w.port(), w.noise(900)))
	case "carpet":
		w.Packet(at, from, w.neighbour(), 17, UDP(w.port(), w.port(), w.noise(200)))
	case "http":
		w.Conn(at, netip.AddrPortFrom(from, w.port()), netip.AddrPortFrom(to, 80),
			Say{Bytes: fmt.Appendf(nil, "GET /search?q=%d HTTP/1.1\r\nHost: portal\r\nUser-Agent: agent/%d\r\nAccept: */*\r\n\r\n", w.r.Uint32(), i%7)},
			Say{Resp: true, After: 8 * time.Millisecond, Bytes: []byte("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")})
	case "tls":
		w.Conn(at, netip.AddrPortFrom(from, w.port()), netip.AddrPortFrom(to, 443), Say{Bytes: Hello("portal.example")})
	case "slow":
		w.slow(at, from)
	case "names":
		name := fmt.Sprintf("%x.victim.example", w.r.Uint64())
		q, a := Question(uint16(i), name), Answer(uint16(i), name)
		a[3] |= 3 // no such name
		client, server := netip.AddrPortFrom(from, w.port()), netip.AddrPortFrom(to, 53)
		w.Datagram(at, client, server, q)
		w.Datagram(at.Add(3*time.Millisecond), server, client, a)
	case "backscatter":
		w.Packet(at, netip.AddrFrom4([4]byte{203, 0, 113, 80}), w.neighbour(), 6, TCP(443, w.port(), w.r.Uint32(), w.r.Uint32(), SYN|ACK, nil))
	case "crowd":
		w.visit(at, from, i)
	case "backup":
		w.Conn(at, netip.AddrPortFrom(from, w.port()), netip.AddrPortFrom(to, 873), Say{Bytes: w.noise(14000)}, Say{Resp: true, Bytes: w.noise(40)})
	case "scanner":
		w.Knock(at, netip.AddrPortFrom(from, w.port()), netip.AddrPortFrom(w.neighbour(), uint16(1+i%4000)), []byte{0, RST, RST, SYN}[i%4])
	}
}

// slow opens a conversation and sends a header's bytes one by one.
func (w *floodTape) slow(at time.Time, from netip.Addr) {
	port, seq := w.port(), uint32(1)
	to := w.f.Target
	say := func(fl byte, b string) {
		w.Packet(at, from, to, 6, TCP(port, 80, seq, 1, fl, []byte(b)))
		seq += uint32(len(b))
		if fl&SYN != 0 {
			seq++
		}
	}
	say(SYN, "")
	w.Packet(at.Add(time.Millisecond), to, from, 6, TCP(80, port, 0, 2, SYN|ACK, nil))
	at = at.Add(2 * time.Millisecond)
	say(ACK, "")
	say(PSH|ACK, "GET / HTTP/1.1\r\nHost: portal\r\n")
	for range 8 {
		at = at.Add(9 * time.Second)
		say(PSH|ACK, fmt.Sprintf("X-a: %d\r\n", w.r.IntN(5000)))
		w.Packet(at.Add(time.Millisecond), to, from, 6, TCP(80, port, 1, seq, ACK, nil))
	}
	at = at.Add(time.Second)
	say(RST, "")
}

// visit is a person's: a page, and what it brings with it.
func (w *floodTape) visit(at time.Time, from netip.Addr, i int) {
	to := netip.AddrPortFrom(w.f.Target, 80)
	agent := []string{"Gecko", "WebKit", "Blink", "Trident", "Presto"}[w.r.IntN(5)]
	extra := []string{"", "Accept-Language: de\r\n", "DNT: 1\r\n", "Accept-Encoding: gzip\r\nAccept-Language: fr\r\n"}[w.r.IntN(4)]
	page := []string{"/", "/news", "/results/42", "/help", "/contact"}[w.r.IntN(5)]
	for k, path := range []string{page, "/site.css", "/site.js", "/logo.png"} {
		referer := ""
		if k > 0 {
			referer = "Referer: http://portal" + page + "\r\n"
		}
		w.Conn(at.Add(time.Duration(k*40)*time.Millisecond), netip.AddrPortFrom(from, uint16(20000+(i*4+k)%40000)), to,
			Say{Bytes: fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: portal\r\nUser-Agent: %s\r\n%s%s\r\n", path, agent, extra, referer)},
			Say{Resp: true, After: 15 * time.Millisecond, Bytes: append([]byte("HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n"), w.noise(3000)...)})
	}
}

// Merge yields the frames of several sequences, each nearly in order of time.
func Merge(all ...iter.Seq2[time.Time, []byte]) iter.Seq2[time.Time, []byte] {
	return func(yield func(time.Time, []byte) bool) {
		type head struct {
			at   time.Time
			data []byte
			next func() (time.Time, []byte, bool)
		}
		var heads []head
		for _, seq := range all {
			next, stop := iter.Pull2(seq)
			defer stop()
			if at, data, ok := next(); ok {
				heads = append(heads, head{at, data, next})
			}
		}
		for len(heads) > 0 {
			first := 0
			for i := range heads {
				if heads[i].at.Before(heads[first].at) {
					first = i
				}
			}
			h := &heads[first]
			if !yield(h.at, h.data) {
				return
			}
			var ok bool
			if h.at, h.data, ok = h.next(); !ok {
				heads = append(heads[:first], heads[first+1:]...)
			}
		}
	}
}
