package flow

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/packet"
	"github.com/testudo-shield/testudo/sense/protocol"
)

// traffic makes packets that look enough like conns to reach deep: few
// hosts and ports, sequence numbers near each other, odd flags, odd clocks.
func traffic(r *rand.Rand, n int) []packet.Packet {
	words := []string{"GET", "TLS", "G", "x", strings.Repeat("data ", 300), "GETGETGET", ""}
	flags := []uint8{S, S | A, A, A, A, A, A | packet.PSH, F | A, R, R | A, S | F, 0}
	protos := []testudo.Proto{testudo.TCP, testudo.TCP, testudo.TCP, testudo.TCP, testudo.UDP, testudo.UDP, testudo.ICMP, testudo.ICMPv6, testudo.SCTP, 99}
	ps := make([]packet.Packet, n)
	clock := t0
	for i := range ps {
		switch r.IntN(40) {
		case 0:
			clock = clock.Add(time.Duration(r.IntN(100)) * time.Second)
		case 1:
			if r.IntN(50) == 0 {
				clock = clock.Add(time.Duration(r.IntN(100)) * time.Hour)
			}
		default:
			clock = clock.Add(time.Duration(r.IntN(300)) * time.Millisecond)
		}
		p := &ps[i]
		p.Kind, p.Proto, p.Clock = packet.KindIP, protos[r.IntN(len(protos))], clock
		p.Time = clock.Add(-time.Duration(r.IntN(1000)) * time.Millisecond)
		if r.IntN(200) == 0 {
			p.Time = testudo.Time(r.Uint64())
		}
		a, b := packet.IP{15: byte(r.IntN(6))}, packet.IP{14: 1, 15: byte(r.IntN(3))}
		p.Src, p.Dst, p.SrcPort, p.DstPort = a, b, uint16(40000+r.IntN(4)), []uint16{80, 8000}[r.IntN(2)]
		if r.IntN(2) == 0 {
			p.Src, p.Dst, p.SrcPort, p.DstPort = p.Dst, p.Src, p.DstPort, p.SrcPort
		}
		p.Flags, p.Window = flags[r.IntN(len(flags))], uint16(r.IntN(3))
		p.Seq, p.Ack = 0xfffffff0+uint32(r.IntN(6000)), 0xfffffff0+uint32(r.IntN(6000))
		if r.IntN(50) == 0 {
			p.Seq, p.Ack = r.Uint32(), r.Uint32()
		}
		p.ICMPType, p.ICMPCode = uint8(r.IntN(20)), uint8(r.IntN(3))
		p.Payload = []byte(words[r.IntN(len(words))])
		p.PayloadLen = uint32(len(p.Payload))
		if r.IntN(10) == 0 {
			p.PayloadLen += uint32(r.IntN(2000))
		}
		p.IPLen = p.PayloadLen + 40
		if r.IntN(60) == 0 {
			p.Kind = packet.KindARP
		}
	}
	return ps
}

func testProtocols(log *strings.Builder) []protocol.Protocol {
	ping := echoProto(log, "icmp", "", echo{})
	ping.Over = protocol.OverICMP
	ping2 := ping
	ping2.Name = "icmp2"
	return []protocol.Protocol{
		echoProto(log, "e", "GET", echo{chunk: 7, hand: 2000}),
		echoProto(log, "ssl", "TLS", echo{chunk: 3, done: 900}),
		echoProto(log, "opaque", "", echo{done: 4096}),
		ping, ping2,
	}
}

var tiny = Config{Conns: 12, StreamBytes: 20 << 10, FlowBytes: 8 << 10}

// TestSameBytes feeds the same traffic in several ways: one by one with
// timers run late, with timers run often, and in batches.
func TestSameBytes(t *testing.T) {
	for seed := range uint64(12) {
		for _, cfg := range []Config{{}, tiny} {
			ps := traffic(rand.New(rand.NewPCG(seed, 7)), 3000)
			end := ps[len(ps)-1].Clock.Add(time.Minute)
			var outs [3]string
			for way := range outs {
				var log strings.Builder
				tr := &trace{}
				s := New(cfg, testProtocols(&log), tr.emit)
				switch way {
				case 0:
					for i := range ps {
						s.Packet(&ps[i])
					}
				case 1:
					for i := range ps {
						if i > 0 {
							for c := ps[i-1].Clock; c < min(ps[i].Clock, ps[i-1].Clock.Add(time.Hour)); c = c.Add(100 * time.Millisecond) {
								s.Advance(c)
							}
						}
						s.Packet(&ps[i])
					}
				case 2:
					idx := make([]int32, len(ps))
					for i := range idx {
						idx[i] = int32(i)
					}
					for len(idx) > 0 {
						n := min(len(idx), 77)
						s.Batch(ps, idx[:n])
						idx = idx[n:]
					}
				}
				s.Flush(end)
				check(t, s)
				outs[way] = tr.out.String() + log.String() + fmt.Sprintf("%+v", s.Stats())
			}
			if outs[0] != outs[1] || outs[0] != outs[2] {
				t.Fatalf("seed %d: output depends on how it was fed", seed)
			}
		}
	}
}

// check holds the shard's books against each other after Flush.
func check(t *testing.T, s *Shard) {
	t.Helper()
	st := s.Stats()
	if st.Live != 0 || st.StreamHeld != 0 || s.table.used != 0 || s.wheel.armed != 0 || s.mem.holders.eldest != nil {
		t.Fatalf("left over: %+v", st)
	}
	if n := s.talks.live + s.gaps.live + s.rares.live; n != 0 {
		t.Fatalf("%d left over of conns", n)
	}
	if st.Conns != st.Reports {
		t.Fatalf("%d conns but %d reports", st.Conns, st.Reports)
	}
}

// FuzzShard feeds packets made from foreign bytes under tiny budgets.
func FuzzShard(f *testing.F) {
	f.Add(uint64(1), []byte("\x02\x00\x00\x00GET /"))
	f.Add(uint64(2), []byte(strings.Repeat("\x10\x01\x80\x05hello", 40)))
	f.Fuzz(func(t *testing.T, seed uint64, b []byte) {
		r := rand.New(rand.NewPCG(seed, 1))
		var log strings.Builder
		s := New(tiny, testProtocols(&log), func(testudo.Time, testudo.Record) {})
		ps := traffic(r, 40)
		for i := 0; len(b) >= 8; i = (i + 1) % len(ps) {
			p := &ps[i]
			p.Flags = b[0] & 63
			p.Seq += uint32(int16(binary.LittleEndian.Uint16(b[1:])))
			p.Ack += uint32(int16(binary.LittleEndian.Uint16(b[3:])))
			p.Clock = max(p.Clock, s.now).Add(time.Duration(b[5]) << 26)
			p.PayloadLen = uint32(b[6])
			n := min(int(b[7]), len(b)-8)
			p.Payload = b[8 : 8+n]
			b = b[8+n:]
			s.Packet(p)
			if st := s.Stats(); st.Live > int64(tiny.Conns) || st.StreamHeld > int64(tiny.StreamBytes) {
				t.Fatalf("over budget: %+v", st)
			}
		}
		s.Flush(s.now)
		check(t, s)
	})
}
