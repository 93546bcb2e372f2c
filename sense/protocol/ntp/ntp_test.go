package ntp

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/protocol"
	"github.com/testudo-shield/testudo/sense/protocol/protocoltest"
)

const t0 = testudo.Time(1_700_000_000_000_000_000)

var id = testudo.ConnID{
	Orig: netip.MustParseAddrPort("192.0.2.10:50000"), Resp: netip.MustParseAddrPort("198.51.100.20:123"), Proto: testudo.UDP,
}

// at writes a moment as NTP does.
func at(t testudo.Time) uint64 {
	sec, ns := int64(t)/1e9, uint64(int64(t)%1e9)
	return uint64(sec+2208988800)<<32 | (ns<<32+999_999_999)/1e9
}

func message(mode, stratum byte, org, xmt uint64, rest ...byte) []byte {
	b := make([]byte, timeLen)
	b[0], b[1] = 4<<3|mode, stratum
	if mode != modeClient {
		b[2], b[3] = 6, 0xe9
		binary.BigEndian.PutUint32(b[4:], 1<<15)
		binary.BigEndian.PutUint32(b[8:], 1<<14)
		copy(b[12:], []byte{203, 0, 113, 1})
		binary.BigEndian.PutUint64(b[16:], at(t0-1e9))
		binary.BigEndian.PutUint64(b[32:], at(t0))
	}
	binary.BigEndian.PutUint64(b[24:], org)
	binary.BigEndian.PutUint64(b[40:], xmt)
	return append(b, rest...)
}

func TestPair(t *testing.T) {
	q, r := message(modeClient, 0, 0, at(t0)), message(modeServer, 2, at(t0), at(t0+5e8))
	if v := probe(id, q, r); v != protocol.Yes {
		t.Errorf("probe: %v", v)
	}
	h := protocoltest.Run(Protocol(), id, protocoltest.Step{Data: q, At: t0}, protocoltest.Step{Dir: protocol.Resp, Data: r})
	if len(h.Records) != 2 {
		t.Fatalf("%d records", len(h.Records))
	}
	c, s := *h.Records[0].(*testudo.NTP), *h.Records[1].(*testudo.NTP)
	c.Meta, s.Meta = testudo.Meta{}, testudo.Meta{}
	if c.Version != 4 || c.Mode != 3 || c.XmtTime != t0 || c.OrgTime != 0 || c.Size != 48 || c.RefID != "" || c.Poll != time.Second {
		t.Errorf("client %+v", c)
	}
	if s.Mode != 4 || s.Stratum != 2 || s.RefID != "203.0.113.1" || s.Poll != 64*time.Second || s.Precision != 119*time.Nanosecond ||
		s.RootDelay != 500*time.Millisecond || s.RootDisp != 250*time.Millisecond || s.RefTime != t0-1e9 || s.OrgTime != t0 ||
		s.RecTime != t0 || s.XmtTime != t0+5e8 || s.NumExts != 0 {
		t.Errorf("server %+v", s)
	}
}

func TestFields(t *testing.T) {
	var next [8]byte
	next[3] = 1
	if got := timestamp(next[:]).Std().Format(time.RFC3339); got != "2036-02-07T06:28:17Z" {
		t.Errorf("second of the next era: %s", got)
	}
	ext := append([]byte{1, 4, 0, 16}, make([]byte, 12)...)
	for _, c := range []struct {
		b    []byte
		want int
	}{
		{nil, 0},
		{make([]byte, 20), 0},
		{ext, 1},
		{append(append(ext[:16:16], ext...), make([]byte, 20)...), 2},
		{append([]byte{1, 4, 0, 2}, make([]byte, 40)...), 0},
		{append([]byte{1, 4, 0, 200}, make([]byte, 40)...), 0},
	} {
		if got := extensions(c.b); got != c.want {
			t.Errorf("%x: %d, want %d", c.b, got, c.want)
		}
	}
	var f protocol.Flow
	f.Bind(&protocoltest.Host{})
	for _, c := range []struct {
		stratum int
		ref     string
		want    string
	}{{1, "GPS\x00", "GPS"}, {0, "RATE", "RATE"}, {1, "\x01\x02\x03\x04", `\x01\x02\x03\x04`}, {3, "\x01\x02\x03\x04", "1.2.3.4"}} {
		if got := reference(&f, c.stratum, []byte(c.ref)); got != c.want {
			t.Errorf("%q: %q, want %q", c.ref, got, c.want)
		}
	}
}

func TestBounds(t *testing.T) {
	var steps []protocoltest.Step
	for i := range 300 { // a message each second and direction
		now := t0.Add(time.Duration(i) * time.Second)
		steps = append(steps, protocoltest.Step{Data: message(modeClient, 0, 0, at(now)), At: now},
			protocoltest.Step{Dir: protocol.Resp, Data: message(modeServer, 1, at(now), at(now))})
	}
	if h := protocoltest.Run(Protocol(), id, steps...); len(h.Records) != 10 {
		t.Errorf("%d records in 5 minutes, want 10", len(h.Records))
	}
	steps = nil
	answer := append([]byte{0xd7, 0, 3, 42, 0, 6, 0, 72}, make([]byte, 6*72)...)
	for range 5000 {
		steps = append(steps, protocoltest.Step{Dir: protocol.Resp, Data: answer, At: t0})
	}
	h := protocoltest.Run(Protocol(), id, steps...)
	if len(h.Records) != maxOdd {
		t.Errorf("%d records of a flood, want %d", len(h.Records), maxOdd)
	}
	if r := h.Records[0].(*testudo.NTP); r.Mode != 7 || r.Version != 2 || r.Size != len(answer) {
		t.Errorf("%+v", r)
	}
	junk := protocoltest.Step{Data: []byte("junk junk junk")}
	if h := protocoltest.Run(Protocol(), id, junk, junk); len(h.Records) != 1 {
		t.Errorf("%d weirds", len(h.Records))
	}
}

func TestProbe(t *testing.T) {
	client := message(modeClient, 0, 0, at(t0))
	list := []byte{0x17, 0, 3, 42, 0, 0, 0, 0}
	readvar := []byte{0x16, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0}
	answered := append([]byte{0x16, 0x82, 0, 1, 0, 0, 0, 0, 0, 0, 0, 4}, "a=b\n"...)
	for _, c := range []struct {
		name string
		o, r []byte
		want protocol.Verdict
	}{
		{"nothing", nil, nil, protocol.Maybe},
		{"client alone", client, nil, protocol.Maybe},
		{"answer to another", client, message(modeServer, 2, 1, at(t0)), protocol.Maybe},
		{"with a code", message(modeClient, 0, 0, at(t0), make([]byte, 20)...), nil, protocol.Maybe},
		{"old client", append([]byte{0x08}, make([]byte, 47)...), nil, protocol.Maybe},
		{"monlist", list, nil, protocol.Maybe},
		{"monlist answered", list, append([]byte{0x97, 0, 3, 42, 0, 1, 0, 72}, make([]byte, 72)...), protocol.Yes},
		{"control answered", readvar, answered, protocol.Yes},
		{"no version", append([]byte{0x03}, client[1:]...), nil, protocol.No},
		{"odd length", client[:47], nil, protocol.No},
		{"stratum", message(modeServer, 17, 1, at(t0)), nil, protocol.No},
		{"server without a time", message(modeServer, 2, 1, 0), nil, protocol.No},
		{"text", []byte("GET / HTTP/1.1\r\nHost: example\r\n\r\n"), nil, protocol.No},
		{"control beyond its end", []byte{0x16, 0x82, 0, 1, 0, 0, 0, 0, 0, 0, 0, 99}, nil, protocol.No},
		{"one side is not", client, []byte("hello hello"), protocol.No},
	} {
		if got := probe(id, c.o, c.r); got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
	x := uint64(88172645463325252)
	maybe := 0
	for range 20000 {
		var b [48]byte
		for i := range b {
			x ^= x << 13
			x ^= x >> 7
			x ^= x << 17
			b[i] = byte(x)
		}
		if probe(id, b[:], nil) != protocol.No {
			maybe++
		}
	}
	if maybe > 200 {
		t.Errorf("%d of 20000 random datagrams have the shape", maybe)
	}
}

func FuzzMessage(f *testing.F) {
	f.Add(message(modeClient, 0, 0, 1), message(modeServer, 2, 1, 2))
	f.Add([]byte{0x17, 0, 3, 42, 0, 0, 0, 0}, []byte{0xd7, 0, 3, 42, 0, 6, 0, 72})
	f.Add([]byte{0x16, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0}, message(modeBroadcast, 1, 0, 1, 1, 4, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0))
	f.Fuzz(func(t *testing.T, q, r []byte) {
		probe(id, q, r)
		h := protocoltest.Run(Protocol(), id, protocoltest.Step{Data: q}, protocoltest.Step{Dir: protocol.Resp, Data: r})
		if len(h.Records) > 2 {
			t.Fatalf("%d records", len(h.Records))
		}
	})
}
