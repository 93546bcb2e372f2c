package ipfix

import (
	"encoding/binary"
	"io"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/source"
	"github.com/testudo-shield/testudo/sense/source/pcap"
	"github.com/testudo-shield/testudo/test/wire"
)

// seeds are datagrams of every format, one behind the other.
func seeds() (all [][]byte) {
	some().Each(func(_ time.Time, b []byte) { all = append(all, b[42:]) })
	f := flowOf(a80, b80, 6, syn, 1, 60, start, 0)
	fx := fieldsX(false)
	return append(all,
		messageX(start, 1, 7, set(3, optionsX(301, field{id: ieSelector, length: 8}, field{id: ieSampleInterval, length: 4})), set(301, make([]byte, 12)), set(300, records(fx, f))),
		message9(start, 1, 7, set(1, options9(301, field{id: 1, length: 4}, field{id: ieInterval, length: 4})), set(301, make([]byte, 8))),
		messageX(start, 1, 7, set(2, templateOf(256, field{id: 460, length: variable})), set(256, []byte{0, 0, 255, 0, 0, 3})),
	)
}

// FuzzDatagram holds that no bytes make the collector fail or grow, and that
// what comes out is in order: every report of a conversation adds up.
func FuzzDatagram(f *testing.F) {
	for _, s := range seeds() {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		c := newCollector(16)
		for i, d := range [][]byte{a, b, a} {
			c.Datagram(testudo.TimeOf(start.Add(time.Duration(i)*time.Minute)), router, "", d)
		}
		c.table.flush()
		if len(c.table.slots) > 16 || len(c.table.index) != 0 {
			t.Fatalf("%d slots, %d live", len(c.table.slots), len(c.table.index))
		}
		sums := map[testudo.UID]testudo.Delta{}
		for _, r := range conns(c) {
			s := sums[r.UID]
			s.OrigBytes += r.Delta.OrigBytes
			s.RespPkts += r.Delta.RespPkts
			if sums[r.UID] = s; s.OrigBytes != r.OrigBytes || s.RespPkts != r.RespPkts {
				t.Fatalf("%s: deltas say %+v", line(r), s)
			}
			if !r.Interim {
				delete(sums, r.UID)
			}
			if r.Duration < 0 || r.OrigPkts < 0 || r.OrigBytes < 0 || r.RespIPBytes < 0 || !r.ID.Orig.IsValid() || !r.ID.Resp.IsValid() {
				t.Fatal(line(r))
			}
		}
		for _, d := range c.domains {
			if len(d.templates) > maxTemplates || d.waitBytes > maxWaiting || len(d.samplers) > maxSamplers {
				t.Fatalf("%+v", d)
			}
		}
		c.Notes()
		for _, s := range c.Shed() {
			if s.Count < 0 {
				t.Fatal(s)
			}
		}
	})
}

// FuzzSegment holds the same for the packets that carry exports, or are
// sampled.
func FuzzSegment(f *testing.F) {
	some().Each(func(_ time.Time, b []byte) { f.Add(uint32(linkEthernet), b) })
	six := netip.MustParseAddr("2001:db8::1")
	f.Add(uint32(linkRaw), wire.IP(six, six, 17, 1, wire.UDP(1, 2, []byte("x"))))
	f.Add(uint32(linkLinux2), append(make([]byte, 20), wire.IP(six, six, 58, 1, wire.ICMP(128, 0, nil))...))
	f.Fuzz(func(t *testing.T, link uint32, b []byte) {
		var s segment
		if s.read(link, b) && (!s.src.IsValid() || !s.dst.IsValid() || s.payload < 0 || s.payload > s.length || len(s.body) > len(b)) {
			t.Fatalf("%+v", s)
		}
		carries(&source.Frame{Link: link, Data: b})
	})
}

// FuzzFile holds that files of messages end, whatever is in them.
func FuzzFile(f *testing.F) {
	f.Add(bare())
	f.Add(some().Pcap())
	f.Add(bare()[:70])
	f.Fuzz(func(t *testing.T, b []byte) {
		Sniff(b, pcap.Open)
		r, err := Open(pcap.Open, put(t, "f", b))
		if err != nil {
			return
		}
		defer r.Close()
		for n := 0; ; n++ {
			if _, err := r.Next(); err == io.EOF {
				break
			}
			if n > len(b) {
				t.Fatal("it does not end")
			}
		}
		r.Notes()
	})
}

// TestBombs holds that small datagrams that promise much cost little: the
// decoders behind our checks make room for what they are told.
func TestBombs(t *testing.T) {
	be := binary.BigEndian
	expanded := messageS(1, be.AppendUint32(be.AppendUint32(nil, 3), 44))
	body := make([]byte, 44)
	be.PutUint32(body[40:], 1<<31) // so many parts of one sample
	expanded = append(expanded, body...)
	counted := messageS(1)
	be.PutUint32(counted[24:], 1000)
	wide := append(be.AppendUint16(be.AppendUint16(nil, 300), 0xffff), 0, 1, 0, 1) // so many fields
	scopes := be.AppendUint16(be.AppendUint16(be.AppendUint16(nil, 300), 0xffff), 0xffff)
	flows := message5(start, 1, 0)
	be.PutUint16(flows[2:], 0xffff)
	hollow := []field{{id: ieBytes, length: 0}}
	for name, b := range map[string][]byte{
		"sFlow parts": expanded, "sFlow samples": counted, "v5 flows": flows,
		"v9 template": message9(start, 1, 1, set(0, wide)), "IPFIX template": messageX(start, 1, 1, set(2, wide)),
		"v9 options": message9(start, 1, 1, set(1, scopes)), "IPFIX options": messageX(start, 1, 1, set(3, scopes)),
		"records of nothing": messageX(start, 1, 1, set(2, templateOf(300, hollow...)), set(300, make([]byte, 1000))),
		"short":              {0, 10, 0, 16}, "nothing": nil,
		"set of nothing": append(messageX(start, 1, 1), 1, 44, 0, 0),
	} {
		c := newCollector(16)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range 100 {
			c.Datagram(testudo.TimeOf(start), router, "", b)
		}
		runtime.ReadMemStats(&after)
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 2<<20 {
			t.Errorf("%s: 100 datagrams cost %d bytes", name, grown)
		}
	}
}

// BenchmarkFlows measures datagrams of thirty flows through the collector,
// each a conversation of its own, until it is reported.
func BenchmarkFlows(b *testing.B) {
	for _, format := range []string{"v5", "v9", "ipfix", "sflow"} {
		b.Run(format, func(b *testing.B) {
			const n = 30
			all := make([]oneWay, n)
			f9, fx := fields9(false), fieldsX(false)
			c := newCollector(DefaultConns)
			b.ReportAllocs()
			for i := range b.N {
				b.StopTimer()
				now := start.Add(time.Duration(i) * n * time.Second / 20000) // as many a second
				for k := range all {
					id := uint32(i/2*n + k)
					all[k] = flowOf(a80, b80, 6, whole, 6, 1312, now, time.Second)
					all[k].src = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(id >> 16), byte(id >> 8), byte(id)}), 40000)
					if i%2 == 1 {
						all[k].src, all[k].dst = all[k].dst, all[k].src
					}
				}
				var d []byte
				switch format {
				case "v5":
					d = message5(now, uint32(i*n), 0, all...)
				case "v9":
					d = message9(now, uint32(i), 7, set(0, templateOf(300, f9...)), set(300, records(f9, all...)))
				case "ipfix":
					d = messageX(now, uint32(i*n), 7, set(2, templateOf(300, fx...)), set(300, records(fx, all...)))
				default:
					var s [][]byte
					for k := range all {
						s = append(s, sample(uint32(i*n+k), 10, 1000, wire.Ether(0x0800, wire.IP(all[k].src.Addr(), all[k].dst.Addr(), 6, 1, wire.TCP(all[k].src.Port(), all[k].dst.Port(), 1, 1, opening, nil)))))
					}
					d = messageS(uint32(i), s...)
				}
				b.StartTimer()
				c.Datagram(testudo.TimeOf(now), router, "", d)
				for c.take() != nil {
				}
			}
			b.ReportMetric(float64(b.N)*n/b.Elapsed().Seconds(), "flows/s")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/flow")
		})
	}
}
