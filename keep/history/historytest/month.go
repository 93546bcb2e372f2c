package historytest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/testudo-shield/testudo"
)

// Month is the traffic of a made-up office network: its distributions are our
// own, heavy-tailed as such networks are. The same Month gives the same
// records.
type Month struct {
	Hosts, Conns int // conns in all of its 720 hours
	places       []place
}

type place struct {
	addr netip.Addr
	name string
	size float64 // of what it answers, the mean of the logarithm
}

// MonthStart is when a Month begins.
const MonthStart = testudo.Time(1_754_006_400e9) // 2025-08-01

// NewMonth returns a month of that many hosts and conns.
func NewMonth(hosts, conns int) *Month {
	m := &Month{Hosts: hosts, Conns: conns}
	rng := rand.New(rand.NewPCG(7, 7))
	for i := range 60_000 {
		a := netip.AddrFrom4([4]byte{byte(20 + rng.IntN(180)), byte(rng.IntN(256)), byte(rng.IntN(256)), byte(1 + rng.IntN(254))})
		if rng.IntN(8) == 0 {
			b := [16]byte{0x26, byte(rng.IntN(16)), byte(rng.IntN(256)), byte(rng.IntN(256)), 15: byte(rng.IntN(256)), 14: byte(rng.IntN(256))}
			a = netip.AddrFrom16(b)
		}
		m.places = append(m.places, place{a, fmt.Sprintf("%s%d.site%d.example", [...]string{"www", "api", "cdn", "img"}[i%4], i%7, i), 6 + 4*rng.Float64()})
	}
	return m
}

// Host returns one of the network's hosts.
func (m *Month) Host(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, 20, byte(i / 250), byte(i%250 + 2)})
}

// Place returns a server outside; the higher the number the rarer it is.
func (m *Month) Place(i int) netip.Addr { return m.places[i].addr }

// Hour returns the records that begin in an hour, in order of time.
func (m *Month) Hour(h int) (records []testudo.Record) {
	rng := rand.New(rand.NewPCG(uint64(h), 11))
	zipf := rand.NewZipf(rng, 1.15, 8, uint64(len(m.places)-1))
	start := MonthStart.Add(time.Duration(h) * time.Hour)
	for range m.share(h) {
		t := start.Add(time.Duration(rng.Int64N(3600e6)) * time.Microsecond)
		host := int(float64(m.Hosts) * math.Pow(rng.Float64(), 1.4))
		records = append(records, m.conn(rng, zipf, t, host)...)
	}
	slices.SortStableFunc(records, func(a, b testudo.Record) int { return int(min(max(a.Base().Time-b.Base().Time, -1), 1)) })
	return records
}

// share returns how many conns an hour has: four times as many by day.
func (m *Month) share(h int) int {
	weight := func(h int) float64 { return 1 + 1.5*(1-math.Cos(2*math.Pi*float64(h%24)/24)) }
	return int(float64(m.Conns) * weight(h) / (2.5 * 720))
}

func (m *Month) conn(rng *rand.Rand, zipf *rand.Zipf, t testudo.Time, host int) []testudo.Record {
	c := &testudo.Conn{Meta: testudo.Meta{Time: t, UID: testudo.UID(rng.Uint64())}, State: "SF"}
	c.ID.Orig = netip.AddrPortFrom(m.Host(host), uint16(32768+rng.IntN(28232)))
	c.About.OrigLocal = true
	records := []testudo.Record{c}
	inside := func(n byte, port uint16, proto testudo.Proto) {
		c.ID.Resp, c.ID.Proto = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 20, 9, n}), port), proto
		c.About.RespLocal = true
	}
	switch kind := rng.IntN(100); {
	case kind < 45:
		inside(byte(2+rng.IntN(2)), 53, testudo.UDP)
		m.datagram(rng, c, "dns", 30+rng.IntN(30), 50+rng.IntN(200), 20e6)
		if rng.IntN(4) != 0 {
			break // the month is about conns; a share of the rest will do
		}
		p := m.places[zipf.Uint64()]
		records = append(records, &testudo.DNS{
			Meta: c.Meta, TransID: uint16(rng.Uint32()), RTT: c.Duration, Query: p.name,
			QClass: 1, QClassName: "C_INTERNET", QType: 1, QTypeName: "A", RCodeName: "NOERROR", RD: true, RA: true, Answered: true,
			Answers: []string{p.addr.String()}, TTLs: []time.Duration{time.Duration(60*(1+rng.IntN(5))) * time.Second},
			Addresses: []netip.Addr{p.addr}, QuerySize: int(c.OrigBytes), ReplySize: int(c.RespBytes),
		})
	case kind < 50:
		inside(1, 123, testudo.UDP)
		m.datagram(rng, c, "ntp", 48, 48, 2e6)
	case kind < 65:
		inside(byte(10+rng.IntN(20)), [...]uint16{445, 88, 389, 135}[rng.IntN(4)], testudo.TCP)
		m.stream(rng, c, "", 6, 6)
	case kind < 69:
		inside(byte(rng.IntN(250)), uint16(rng.IntN(1024)), testudo.TCP)
		c.State, c.History, c.OrigPkts, c.OrigIPBytes = "S0", "S", 1, 60
	default:
		p := m.places[zipf.Uint64()]
		c.ID.Resp, c.ID.Proto = netip.AddrPortFrom(p.addr, 443), testudo.TCP
		m.stream(rng, c, "ssl", 6.5, p.size)
		if rng.IntN(4) != 0 {
			break
		}
		records = append(records, &testudo.TLS{
			Meta: c.Meta, Version: "TLSv13", Cipher: "TLS_AES_128_GCM_SHA256", ServerName: p.name,
			Established: true, JA3: fmt.Sprintf("%032x", host%40), JA4: fmt.Sprintf("t13d1516h2_%012x_%012x", host%40, host%13), ClientHello: true, ServerHello: true,
		})
	}
	return records
}

// datagram fills a question with its answer.
func (m *Month) datagram(rng *rand.Rand, c *testudo.Conn, service string, out, in int, within float64) {
	c.Service, c.History = service, "Dd"
	c.Duration = time.Duration(rng.ExpFloat64()*within) / 1000 * 1000
	c.OrigBytes, c.RespBytes, c.OrigPkts, c.RespPkts = int64(out), int64(in), 1, 1
	m.finish(c, 28)
	c.Turns, c.First = 1, 1
	c.Pulses, c.Replies = testudo.Pulse{Count: 1, SizeMean: float64(out)}, testudo.Pulse{Count: 1, SizeMean: float64(in)}
}

// stream fills a TCP conn with sizes of a logarithmic normal distribution.
func (m *Month) stream(rng *rand.Rand, c *testudo.Conn, service string, out, in float64) {
	c.Service = service
	c.History = [...]string{"ShADadFf", "ShADadfF", "ShADadFfR", "ShADadr", "ShADdaFf"}[rng.IntN(5)]
	c.State = [...]string{"SF", "SF", "SF", "SF", "RSTO", "RSTR"}[rng.IntN(6)]
	c.Duration = time.Duration(math.Exp(rng.NormFloat64()*2)*1e9) / 1000 * 1000
	c.OrigBytes = int64(math.Exp(out + 0.8*rng.NormFloat64()))
	c.RespBytes = int64(math.Exp(in + 1.2*rng.NormFloat64()))
	c.OrigPkts = 5 + c.OrigBytes/1400 + c.RespBytes/2800 + int64(rng.IntN(3))
	c.RespPkts = 4 + c.RespBytes/1400 + int64(rng.IntN(3))
	m.finish(c, 52)
	c.Turns, c.First = 2+rng.IntN(8), 1
	c.Pulses = testudo.Pulse{Count: 1, SizeMean: float64(c.OrigBytes)}
	c.Replies = testudo.Pulse{Count: 1, SizeMean: float64(c.RespBytes)}
	if c.Duration > 5*time.Second {
		n := 2 + rng.IntN(1+int(min(c.Duration.Seconds()/3, 40)))
		c.Pulses = testudo.Pulse{Count: n, GapMean: c.Duration.Seconds() / float64(n), GapDev: rng.Float64(), SizeMean: float64(c.OrigBytes) / float64(n), SizeDev: 100 * rng.Float64()}
		c.Replies = testudo.Pulse{Count: n, GapMean: c.Duration.Seconds() / float64(n), GapDev: rng.Float64(), SizeMean: float64(c.RespBytes) / float64(n), SizeDev: 100 * rng.Float64()}
	}
}

func (m *Month) finish(c *testudo.Conn, header int64) {
	c.OrigIPBytes, c.RespIPBytes = c.OrigBytes+header*c.OrigPkts, c.RespBytes+header*c.RespPkts
	c.Delta = testudo.Delta{OrigBytes: c.OrigBytes, RespBytes: c.RespBytes, OrigPkts: c.OrigPkts, RespPkts: c.RespPkts, Duration: c.Duration}
}
