package flow

import (
	"fmt"
	"testing"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/packet"
)

// BenchmarkPacket measures a segment of one of so many live conns, visited
// in an order that defeats the cache, one by one and in batches.
func BenchmarkPacket(b *testing.B) {
	for _, n := range []int{1, 10_000, 1_000_000} {
		for _, batch := range []bool{false, true} {
			b.Run(fmt.Sprintf("live=%d/batch=%v", n, batch), func(b *testing.B) { benchmarkLive(b, n, batch) })
		}
	}
}

func benchmarkLive(b *testing.B, n int, batch bool) {
	s := New(Config{Conns: 2 * n}, nil, func(testudo.Time, testudo.Record) {})
	at := func(p *packet.Packet, i int) {
		g := seg{d: i & 1, fl: A, data: "some payload"}
		*p = g.packet()
		k := uint32(uint64(i/2) * 2654435761 % uint64(n)) // visits all
		h := mix(uint64(k), 1)
		for _, a := range []*packet.IP{&p.Src, &p.Dst} {
			if *a == client {
				a[13], a[14], a[15] = byte(k>>16), byte(k>>8), byte(k)
			}
		}
		p.Hash = h
		p.Clock = t0.Add(time.Duration(i) * time.Microsecond)
	}
	var p packet.Packet
	for i := range 2 * n {
		at(&p, i)
		p.Clock = t0
		s.Packet(&p)
	}
	const ring = 4096
	ps := make([]packet.Packet, ring)
	idx := make([]int32, ring)
	for i := range idx {
		idx[i] = int32(i)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; i < b.N; i += ring {
		b.StopTimer()
		for j := range ps {
			at(&ps[j], i+j)
			ps[j].Seq = uint32(i) // moves on
		}
		b.StartTimer()
		if batch {
			s.Batch(ps, idx)
			continue
		}
		for j := range ps {
			s.Packet(&ps[j])
		}
	}
}

// BenchmarkFlood measures SYNs from ever new sources against a full table:
// every packet makes a conn, evicts one and reports it.
func BenchmarkFlood(b *testing.B) {
	s := New(Config{Conns: 16384}, nil, func(testudo.Time, testudo.Record) {})
	p := seg{d: 0, fl: S, seq: 1}.packet()
	b.ReportAllocs()
	for i := range b.N {
		p.Src[12], p.Src[13], p.Src[14], p.Src[15] = byte(i>>24), byte(i>>16), byte(i>>8), byte(i)
		p.Hash = mix(uint64(i), 3)
		p.Clock = t0.Add(time.Duration(i) * time.Microsecond)
		s.Packet(&p)
	}
}
