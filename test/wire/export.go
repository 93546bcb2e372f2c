package wire

import (
	"encoding/binary"
	"net/netip"
	"time"
)

// Flow is one direction of a conversation as a router exports it.
type Flow struct {
	At       time.Time
	For      time.Duration
	From, To netip.AddrPort // IPv4
	Proto    byte
	Flags    byte // of TCP
	Packets  uint32
	Bytes    uint32 // of IP
}

// NetFlow5 returns an export datagram of NetFlow v5 with up to thirty flows,
// sent at a moment by a router that began an hour before Start.
func NetFlow5(at time.Time, sequence uint32, flows ...Flow) []byte {
	be := binary.BigEndian
	up := func(t time.Time) uint32 { return uint32(t.Sub(Start.Add(-time.Hour)).Milliseconds()) }
	b := be.AppendUint16(nil, 5)
	b = be.AppendUint16(b, uint16(len(flows)))
	for _, n := range []uint32{up(at), uint32(at.Unix()), uint32(at.Nanosecond()), sequence, 0} {
		b = be.AppendUint32(b, n)
	}
	for _, f := range flows {
		b = append(b, f.From.Addr().AsSlice()...)
		b = append(b, f.To.Addr().AsSlice()...)
		b = append(b, make([]byte, 8)...) // next hop, interfaces
		for _, n := range []uint32{f.Packets, f.Bytes, up(f.At), up(f.At.Add(f.For))} {
			b = be.AppendUint32(b, n)
		}
		b = be.AppendUint16(b, f.From.Port())
		b = be.AppendUint16(b, f.To.Port())
		b = append(b, 0, f.Flags, f.Proto, 0)
		b = append(b, make([]byte, 8)...) // systems, masks
	}
	return b
}

// Exports is a capture of what a router tells of four hours in which one
// machine reports to a bare address every minute and another knocks on eighty
// doors.
func Exports() *Tape {
	const syn, talk = 0x02, 0x1b // a lone SYN; SYN, ACK, PSH and FIN together
	var (
		t        Tape
		sequence uint32
	)
	send := func(at time.Time, flows ...Flow) {
		t.Datagram(at, netip.MustParseAddrPort("192.0.2.1:50000"), netip.MustParseAddrPort("192.0.2.9:2055"), NetFlow5(at, sequence, flows...))
		sequence += uint32(len(flows))
	}
	server := Port("203.0.113.50", 443)
	for i := range 240 {
		at := Start.Add(time.Duration(i)*time.Minute + time.Duration(i*i%7)*time.Second)
		host := Port("10.1.0.17", 40000+i)
		send(at.Add(30*time.Second),
			Flow{at, 2 * time.Second, host, server, 6, talk, 8, 1100},
			Flow{at.Add(20 * time.Millisecond), 2 * time.Second, server, host, 6, talk, 6, 900})
		if i >= 120 && i < 128 {
			var knocks []Flow
			for k := range 10 {
				from, to := Port("10.1.0.66", 50000+i*10+k), netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, 0, byte(100 + (i-120)*10 + k)}), 445)
				knocks = append(knocks, Flow{at.Add(time.Duration(k) * time.Second), 0, from, to, 6, syn, 1, 60})
			}
			send(at.Add(40*time.Second), knocks...)
		}
	}
	return &t
}
