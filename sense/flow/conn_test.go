package flow

import (
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/packet"
	"github.com/testudo-shield/testudo/sense/protocol"
)

func udp(d int, sport, dport uint16, data string, at time.Duration) packet.Packet {
	p := packet.Packet{
		Kind: packet.KindIP, Proto: testudo.UDP, Src: client, Dst: server, SrcPort: sport, DstPort: dport,
		Payload: []byte(data), PayloadLen: uint32(len(data)), IPLen: uint32(28 + len(data)), Time: t0.Add(at), Clock: t0.Add(at),
	}
	if d == 1 {
		p.Src, p.Dst, p.SrcPort, p.DstPort = p.Dst, p.Src, dport, sport
	}
	return p
}

func feed(cfg Config, ps []protocol.Protocol, pk ...packet.Packet) (*trace, *Shard) {
	tr := &trace{}
	s := New(cfg, ps, tr.emit)
	for i := range pk {
		s.Packet(&pk[i])
	}
	return tr, s
}

func TestUDP(t *testing.T) {
	var log strings.Builder
	ps := []protocol.Protocol{echoProto(&log, "e", "GET", echo{}), echoProto(&log, "opaque", "", echo{})}
	tr, s := feed(Config{}, ps,
		udp(0, 5000, 9, "G", 0), udp(0, 5000, 9, "GET", time.Second), udp(1, 5000, 9, "GETx", 2*time.Second), udp(0, 5000, 9, "more", 3*time.Second),
		udp(0, 5001, 9, "none", 0), udp(0, 5002, 80, "G", 0))
	s.Advance(t0.Add(2 * time.Minute))
	// The word comes in the second direction; port 80 makes a mere Maybe do.
	want := `e/0:"G" e/0:"GET" e/1:"GETx" e/0:"more" opaque/0:"none" e/0:"G" `
	if got := strings.NewReplacer("opaque/end ", "", "e/end ", "").Replace(log.String()); got != want {
		t.Errorf("got %s", log.String())
	}
	if len(tr.conns) != 3 {
		t.Fatalf("%d conns: %s", len(tr.conns), tr.out.String())
	}
	for _, c := range tr.conns {
		if c.ID.Orig.Port() == 5000 && (c.State != "SF" || c.Service != "e" || c.OrigBytes != 8 || c.RespBytes != 4 || c.Turns != 2 ||
			c.Duration != 3*time.Second || c.OrigIPBytes != 28*3+8 || c.History != "Dd") {
			t.Errorf("%+v", c)
		}
		if c.ID.Orig.Port() == 5001 && (c.State != "S0" || c.Service != "") {
			t.Errorf("%+v", c)
		}
	}
}

func TestICMPJoinsEcho(t *testing.T) {
	var log strings.Builder
	ping := echoProto(&log, "icmp", "", echo{})
	ping.Over = protocol.OverICMP
	msg := func(d int, typ, code uint8, data string) packet.Packet {
		p := udp(d, 0, 0, data, 0)
		p.Proto, p.ICMPType, p.ICMPCode = testudo.ICMP, typ, code
		return p
	}
	tr, s := feed(Config{}, []protocol.Protocol{ping}, msg(0, 8, 0, "\x08headerabc"), msg(1, 0, 0, "\x00headerabcd"), msg(1, 3, 1, "\x03unreach"))
	s.Flush(t0)
	if len(tr.conns) != 2 {
		t.Fatal(tr.out.String())
	}
	for _, c := range tr.conns {
		if c.OrigPkts == 1 && c.RespPkts == 1 {
			if c.ID.Orig.Port() != 8 || c.ID.Resp.Port() != 0 || c.OrigBytes != 2 || c.RespBytes != 3 {
				t.Errorf("echo %+v", c)
			}
		} else if c.ID.Orig.Port() != 3 || c.ID.Resp.Port() != 1 || c.ID.Orig.Addr() != server.Addr() {
			t.Errorf("unreachable %+v", c)
		}
	}
	if !strings.Contains(log.String(), `0:"\bheaderabc"`) {
		t.Error(log.String())
	}
}

func TestPortReuse(t *testing.T) {
	tr, _ := run(t, Config{}, nil, []seg{
		{d: 0, fl: S, seq: 100},
		{d: 1, fl: S | A, seq: 500, ack: 101},
		{d: 0, fl: A, seq: 101, ack: 501, data: "one"},
		{d: 0, fl: F | A, seq: 104, ack: 501},
		{d: 1, fl: F | A, seq: 501, ack: 105},
		{d: 0, fl: S, seq: 9000, at: time.Second},
		{d: 1, fl: S | A, seq: 77, ack: 9001, at: time.Second},
		{d: 0, fl: A, seq: 9001, ack: 78, data: "again", at: time.Second},
	})
	if len(tr.conns) != 2 || tr.conns[0].State != "SF" || tr.conns[0].OrigBytes != 3 || tr.conns[1].OrigBytes != 5 || tr.conns[0].UID == tr.conns[1].UID {
		t.Error(tr.out.String())
	}
}

// TestForgedSYN: a SYN out of the blue must not cut a conn that lives.
func TestForgedSYN(t *testing.T) {
	tr, _ := run(t, Config{}, nil, []seg{
		{d: 0, fl: S, seq: 100},
		{d: 1, fl: S | A, seq: 500, ack: 101},
		{d: 0, fl: S, seq: 1 << 30, at: time.Second},
		{d: 0, fl: A, seq: 101, ack: 501, data: "still", at: time.Second},
	})
	if len(tr.conns) != 1 || tr.conns[0].OrigBytes != 5 || !strings.Contains(tr.out.String(), "SYN_inside_connection") {
		t.Error(tr.out.String())
	}
}

// TestWraps follows a stream over the end of the sequence numbers and across
// a leap that is no leap of ours.
func TestWraps(t *testing.T) {
	var log strings.Builder
	top := uint32(math.MaxUint32 - 1)
	tr, _ := run(t, Config{}, []protocol.Protocol{echoProto(&log, "e", "GET", echo{})}, []seg{
		{d: 0, fl: S, seq: top - 1},
		{d: 1, fl: S | A, seq: 500, ack: top},
		{d: 0, fl: A, seq: top, ack: 501, data: "GETa"},
		{d: 0, fl: A, seq: 2, ack: 501, data: "bc"},
		{d: 0, fl: A, seq: 1 << 31, ack: 501, data: "lost"},
		{d: 0, fl: A, seq: 4, ack: 501, data: "d"},
		{d: 1, fl: A, seq: 501, ack: 1 << 31},
		{d: 1, fl: A, seq: 501, ack: 5, data: "ok"},
	})
	if tr.conns[0].OrigBytes != 7 || log.String() != `e/0:"GETa" e/0:"bc" e/0:"d" e/1:"ok" e/end ` {
		t.Error(log.String(), tr.out.String())
	}
}

func TestEviction(t *testing.T) {
	tr := &trace{}
	s := New(Config{Conns: 8}, nil, tr.emit)
	at := func(i int) time.Duration { return time.Duration(i) * time.Millisecond }
	for i := range 4 { // answered conns
		q, r := udp(0, uint16(1000+i), 9, "q", at(i)), udp(1, uint16(1000+i), 9, "r", at(i))
		s.Packet(&q)
		s.Packet(&r)
	}
	for i := range 100 { // a flood
		q := udp(0, uint16(2000+i), 9, "flood", at(10+i))
		s.Packet(&q)
	}
	st := s.Stats()
	if st.Live != 8 || st.ShedUnanswered != 96 || st.ShedIdle != 0 {
		t.Errorf("%+v", st)
	}
	for i, c := range tr.conns {
		if c.ID.Orig.Port() != uint16(2000+i) {
			t.Fatalf("evicted %v in place %d", c.ID, i)
		}
	}
	for i := range 4 { // the flood's rest is answered: now the idle go, not the used
		r := udp(1, uint16(2096+i), 9, "r", at(200+i))
		s.Packet(&r)
	}
	q := udp(0, 1000, 9, "used", at(210))
	s.Packet(&q)
	q = udp(0, 3000, 9, "new", at(211))
	s.Packet(&q)
	if v := tr.conns[len(tr.conns)-1]; v.ID.Orig.Port() != 1001 || s.Stats().ShedIdle != 1 {
		t.Errorf("evicted %v", v.ID)
	}
}

// TestInterim: reports of a long conn add up, and an idle one is silent.
func TestInterim(t *testing.T) {
	tr := &trace{}
	s := New(Config{}, nil, tr.emit)
	for i := range 100 {
		for d, data := range []string{"ping", "pong!"} {
			p := udp(d, 1000, 9, data, time.Duration(i)*10*time.Second)
			s.Packet(&p)
		}
	}
	s.Flush(t0.Add(time.Hour))
	var sum testudo.Delta
	for i, c := range tr.conns {
		sum.OrigBytes += c.Delta.OrigBytes
		sum.RespBytes += c.Delta.RespBytes
		sum.OrigPkts += c.Delta.OrigPkts
		sum.RespPkts += c.Delta.RespPkts
		sum.Duration += c.Delta.Duration
		if c.Interim != (i < len(tr.conns)-1) {
			t.Errorf("report %d: interim %v", i, c.Interim)
		}
	}
	last := tr.conns[len(tr.conns)-1]
	if len(tr.conns) != 5 || sum != (testudo.Delta{OrigBytes: 400, RespBytes: 500, OrigPkts: 100, RespPkts: 100, Duration: 990 * time.Second}) {
		t.Errorf("%d reports, sum %+v", len(tr.conns), sum)
	}
	if p := last.Pulses; p.Count != 100 || math.Abs(p.GapMean-10) > 1e-9 || p.GapDev > 1e-9 || p.SizeMean != 4 || p.SizeDev != 0 || last.Turns != 199 {
		t.Errorf("pulses %+v, %d turns", p, last.Turns)
	}
}

// TestClocks: the packets' own times may run anywhere.
func TestClocks(t *testing.T) {
	for _, jump := range []time.Duration{-1000 * time.Hour, 100000 * time.Hour, -time.Second} {
		a, b, c := udp(0, 1, 2, "a", 0), udp(0, 1, 2, "b", time.Second), udp(0, 1, 2, "c", 2*time.Second)
		b.Time = t0.Add(jump)
		tr, s := feed(Config{}, nil, a, b, c)
		s.Flush(c.Clock)
		if d := tr.conns[0].Duration; d < 0 || d > 2*time.Second {
			t.Errorf("jump %v: duration %v", jump, d)
		}
	}
}

func TestExpect(t *testing.T) {
	var log strings.Builder
	ps := []protocol.Protocol{echoProto(&log, "ftp-data", "", echo{})}
	tr := &trace{}
	s := New(Config{}, ps, tr.emit)
	s.now = t0
	for i := range 70 { // six too many
		s.dispatch.host.Expect(nil, testudo.ConnID{
			Orig: netip.AddrPortFrom(client.Addr(), 0),
			Resp: netip.AddrPortFrom(server.Addr(), uint16(2000+i)), Proto: testudo.TCP,
		}, "ftp-data")
	}
	for _, port := range []uint16{2000, 2069} {
		p := seg{d: 0, fl: S, seq: 1, data: "bytes"}.packet()
		p.DstPort = port
		s.Packet(&p)
	}
	s.Flush(t0)
	if s.Stats().ExpectsShed != 6 || tr.conns[0].Service != "" || tr.conns[1].Service != "ftp-data" || log.String() != `ftp-data/0:"bytes" ftp-data/end ` {
		t.Error(log.String(), tr.out.String())
	}
}

func TestWeirdsAreBounded(t *testing.T) {
	tr := &trace{}
	s := New(Config{}, nil, tr.emit)
	for i := range 1000 {
		p := seg{d: 0, fl: S | F, seq: 1, at: time.Duration(i)}.packet()
		p.SrcPort = uint16(i % 10)
		s.Packet(&p)
	}
	if st := s.Stats(); st.Weirds != weirdsPerSecond || st.Weirds+st.WeirdsShed != 1000 {
		t.Errorf("%+v", st)
	}
}

func TestARP(t *testing.T) {
	var got *testudo.ARP
	s := New(Config{}, nil, func(_ testudo.Time, r testudo.Record) { got = r.(*testudo.ARP) })
	s.Packet(&packet.Packet{
		Kind: packet.KindARP, Time: t0, Clock: t0, SrcMAC: [6]byte{2, 0, 0, 0, 0, 1},
		ARP: packet.ARP{Op: 2, SenderMAC: [6]byte{2, 0, 0, 0, 0, 2}, SenderIP: [4]byte{10, 0, 0, 1}, TargetIP: [4]byte{10, 0, 0, 1}},
	})
	if got.Operation != "reply" || got.SenderMAC != "02:00:00:00:00:02" || got.EthernetSource != "02:00:00:00:00:01" || !got.Gratuitous || got.SenderIP != netip.MustParseAddr("10.0.0.1") {
		t.Errorf("%+v", got)
	}
}

// TestSqueeze: a full budget takes from the eldest holder, not from the new.
func TestSqueeze(t *testing.T) {
	var log strings.Builder
	s := New(Config{StreamBytes: 4 * blockSize}, []protocol.Protocol{echoProto(&log, "opaque", "", echo{})}, func(testudo.Time, testudo.Record) {})
	for i := range 8 {
		for _, g := range []seg{{d: 0, fl: S, seq: 100}, {d: 0, fl: A, seq: 105, data: "late" + string(rune('0'+i))}} {
			p := g.packet()
			p.SrcPort = uint16(i)
			s.Packet(&p)
		}
	}
	if st := s.Stats(); st.Squeezes != 4 || st.StreamHeld != 4*blockSize {
		t.Errorf("%+v", st)
	}
	if !strings.HasPrefix(log.String(), `opaque/0:gap4 opaque/0:"late0" `) {
		t.Error(log.String())
	}
}

func TestServices(t *testing.T) {
	s := New(Config{}, nil, func(testudo.Time, testudo.Record) {})
	c := &conn{}
	s.dispatch.cur = &stream{conn: c}
	for i, want := range []string{"http", "http,ssl", "http,ssl", "http,quic", "http", "smtp"} {
		switch name := []string{"http", "ssl", "http", "quic", "http", "smtp"}[i]; {
		case i < 3:
			s.addService(c, name)
		default:
			s.dispatch.host.SetService(nil, name)
		}
		if c := s.services.name(c.service); c != want {
			t.Errorf("step %d: %q, want %q", i, c, want)
		}
	}
}
