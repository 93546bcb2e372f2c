package flow

import (
	"net/netip"
	"testing"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/packet"
)

// measured runs packets through a shard and returns the loads it wrote.
func measured(feed func(s *Shard)) (loads []testudo.Load) {
	var s *Shard
	s = New(Config{}, nil, func(_ testudo.Time, r testudo.Record) {
		if l, ok := r.(*testudo.Load); ok {
			c := *l
			c.Sample = append([]testudo.LoadPacket(nil), l.Sample...)
			loads = append(loads, c)
			s.Reuse(l)
		}
	})
	feed(s)
	s.Flush(t0.Add(time.Minute))
	return loads
}

// from makes a packet of a sender's.
func from(p packet.Packet, n int, at time.Duration) *packet.Packet {
	p.Src[12], p.Src[13], p.Src[14], p.Src[15] = 198, 18, byte(n>>8), byte(n)
	p.Hash = mix(uint64(n), 3)
	p.Time, p.Clock = t0.Add(at), t0.Add(at)
	return &p
}

func total(loads []testudo.Load, k testudo.LoadKind) (n int64) {
	for i := range loads {
		n += loads[i].Count[k]
	}
	return n
}

// TestLoadKinds holds what counts as which kind, and that ordinary
// conversations owe nothing.
func TestLoadKinds(t *testing.T) {
	datagram := seg{d: 0}.packet()
	datagram.Proto, datagram.Flags = testudo.UDP, 0
	echo, unreachable := datagram, datagram
	echo.Proto, echo.ICMPType = testudo.ICMP, 8
	unreachable.Proto, unreachable.ICMPType = testudo.ICMP, 3
	piece := datagram
	piece.Kind = packet.KindFragment
	for _, c := range []struct {
		name string
		p    packet.Packet
		want testudo.LoadKind
	}{
		{"SYN", seg{d: 0, fl: S, seq: 1}.packet(), testudo.LoadSYN},
		{"SYN-ACK", seg{d: 0, fl: S | A, seq: 1}.packet(), testudo.LoadAnswer},
		{"RST", seg{d: 0, fl: R, seq: 1}.packet(), testudo.LoadAnswer},
		{"ACK", seg{d: 0, fl: A, seq: 1}.packet(), testudo.LoadStray},
		{"datagram", datagram, testudo.LoadDatagram},
		{"echo", echo, testudo.LoadICMP},
		{"error", unreachable, testudo.LoadError},
		{"fragment", piece, testudo.LoadFragment},
	} {
		t.Run(c.name, func(t *testing.T) {
			loads := measured(func(s *Shard) {
				for i := range 500 {
					s.Packet(from(c.p, i, time.Duration(i)*time.Millisecond))
				}
			})
			if n := total(loads, c.want); n < 490 || n > 500 {
				t.Fatalf("%d of 500 counted in %d loads", n, len(loads))
			}
			l := &loads[0]
			if l.Paid() != 0 || len(l.Sample) != loadSamples || l.Sample[0].Kind != c.want {
				t.Errorf("%+v", l)
			}
			if want, _ := l.Sample[0].Dst.Addr().Prefix(24); l.Target != want {
				t.Errorf("target %s", l.Target)
			}
			if l.Span <= 0 || l.Span > 300*time.Millisecond || l.Time < t0 {
				t.Errorf("from %s for %s", l.Time, l.Span)
			}
		})
	}
}

// TestLoadPaid holds that requests that are completed leave no load.
func TestLoadPaid(t *testing.T) {
	loads := measured(func(s *Shard) {
		for i := range 500 {
			at := time.Duration(i) * time.Millisecond
			for _, g := range []seg{{d: 0, fl: S, seq: 1}, {d: 1, fl: S | A, seq: 9, ack: 2}, {d: 0, fl: A, seq: 2, ack: 10}} {
				p := from(g.packet(), 0, at)
				p.SrcPort, p.DstPort = p.SrcPort^uint16(i)*uint16(1-g.d), p.DstPort^uint16(i)*uint16(g.d)
				s.Packet(p)
			}
		}
	})
	if n := total(loads, testudo.LoadSYN) - total(loads, testudo.LoadCompleted); n > loadFloor {
		t.Errorf("%d requests owed", n)
	}
}

// TestLoadBounds holds that a step tells of a bounded number of networks,
// the most loaded first, and counts what it left out.
func TestLoadBounds(t *testing.T) {
	var shed int64
	loads := measured(func(s *Shard) {
		for i := range 30_000 {
			p := from(seg{d: 0, fl: S, seq: 1}.packet(), i, time.Duration(i)*5*time.Microsecond)
			p.Dst = packet.IP(netip.AddrFrom4([4]byte{10, byte(i % 200), byte(i % 7), 1}).As16())
			if i%3 == 0 {
				p.Dst = packet.IP(netip.MustParseAddr("10.9.9.9").As16())
			}
			s.Packet(p)
		}
		shed = s.Stats().LoadsShed
	})
	if len(loads) == 0 || len(loads) > 2*loadsTold || shed == 0 {
		t.Fatalf("%d loads, %d shed", len(loads), shed)
	}
	if loads[0].Target.String() != "10.9.9.0/24" {
		t.Errorf("first told %s", loads[0].Target)
	}
}
