package flow

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/packet"
	"github.com/testudo-shield/testudo/sense/protocol"
)

const (
	S = packet.SYN
	A = packet.ACK
	F = packet.FIN
	R = packet.RST
)

var t0 = testudo.Time(1_700_000_000_000_000_000)

func ip(s string) packet.IP { return packet.IP(netip.MustParseAddr(s).As16()) }

var (
	client = ip("192.0.2.10")
	server = ip("198.51.100.20")
)

// seg is one TCP segment of a table: who, flags, numbers, payload, when.
type seg struct {
	d        int // 0 from the client
	fl       uint8
	seq, ack uint32
	data     string
	at       time.Duration
	cut      int  // payload bytes on the wire beyond data
	zero     bool // zero window
}

func (g seg) packet() packet.Packet {
	p := packet.Packet{
		Kind: packet.KindIP, Proto: testudo.TCP, Flags: g.fl, Seq: g.seq, Ack: g.ack,
		Src: client, Dst: server, SrcPort: 40000, DstPort: 80, Window: 1000,
		Payload: []byte(g.data), PayloadLen: uint32(len(g.data) + g.cut),
		IPLen: uint32(40 + len(g.data) + g.cut), Time: t0.Add(g.at), Clock: t0.Add(g.at),
	}
	if g.zero {
		p.Window = 0
	}
	if g.d == 1 {
		p.Src, p.Dst, p.SrcPort, p.DstPort = server, client, 80, 40000
	}
	return p
}

// trace collects what a shard emits, as text and as records.
type trace struct {
	out   bytes.Buffer
	conns []*testudo.Conn
}

func (tr *trace) emit(at testudo.Time, r testudo.Record) {
	switch v := r.(type) {
	case *testudo.Conn:
		tr.conns = append(tr.conns, v)
		fmt.Fprintf(&tr.out, "%v %+v\n", at.Sub(t0), *v)
	default:
		fmt.Fprintf(&tr.out, "%v %s %+v\n", at.Sub(t0), r.Log(), r)
	}
}

// echo is a protocol that claims streams starting with its word and writes
// down every call.
type echo struct {
	log     *strings.Builder
	chunk   int // consume in units of this, 0 for all
	done    int // Done after so many bytes
	handOn  string
	hand    int // hand over after so many bytes, to handOn
	n       int
	service string
}

func (e *echo) Data(f *protocol.Flow, dir protocol.Dir, data []byte) int {
	n := len(data)
	if e.chunk > 0 && f.ID.Proto == testudo.TCP {
		n -= n % e.chunk
	}
	if e.hand > 0 && e.n+n >= e.hand {
		n = e.hand - e.n
		f.Handover(e.handOn)
	}
	e.n += n
	if n > 0 {
		fmt.Fprintf(e.log, "%s%d:%q ", e.service, dir, data[:n])
	}
	if e.done > 0 && e.n >= e.done {
		f.Done()
	}
	return n
}

func (e *echo) Gap(f *protocol.Flow, dir protocol.Dir, n int) {
	fmt.Fprintf(e.log, "%s%d:gap%d ", e.service, dir, n)
}
func (e *echo) End(f *protocol.Flow) { fmt.Fprintf(e.log, "%send ", e.service) }
func (e *echo) Reset()               { e.n = 0 }

func echoProto(log *strings.Builder, name, word string, e echo) protocol.Protocol {
	p := protocol.Protocol{Name: name, Over: protocol.OverTCP | protocol.OverUDP, Ports: []uint16{80}}
	if word != "" {
		p.Probe = func(_ testudo.ConnID, o, r []byte) protocol.Verdict {
			v := protocol.No
			for _, b := range [][]byte{o, r} {
				switch {
				case len(b) == 0:
				case bytes.HasPrefix(b, []byte(word)):
					return protocol.Yes
				case len(b) < len(word) && strings.HasPrefix(word, string(b)):
					v = protocol.Maybe
				}
			}
			return v
		}
	}
	p.Open = func(*protocol.Records) func() protocol.Analyzer {
		return func() protocol.Analyzer { v := e; v.log = log; v.service = name + "/"; return &v }
	}
	return p
}

func run(t *testing.T, cfg Config, ps []protocol.Protocol, segs []seg) (*trace, *Shard) {
	t.Helper()
	tr := &trace{}
	s := New(cfg, ps, tr.emit)
	for _, g := range segs {
		p := g.packet()
		s.Packet(&p)
	}
	s.Flush(s.now)
	if st := s.Stats(); st.Live != 0 || st.StreamHeld != 0 {
		t.Errorf("after flush: %d live, %d bytes held", st.Live, st.StreamHeld)
	}
	return tr, s
}

func TestStates(t *testing.T) {
	shake := []seg{{0, S, 100, 0, "", 0, 0, false}, {1, S | A, 500, 101, "", 0, 0, false}, {0, A, 101, 501, "", 0, 0, false}}
	with := func(more ...seg) []seg { return append(append([]seg{}, shake...), more...) }
	for _, c := range []struct {
		name, state, history string
		segs                 []seg
		ob, rb               int64
	}{
		{"S0", "S0", "S", shake[:1], 0, 0},
		{"S1", "S1", "ShA", shake, 0, 0},
		{"S1 no ack", "S1", "Sh", shake[:2], 0, 0},
		{"REJ", "REJ", "Sr", []seg{shake[0], {d: 1, fl: R | A, ack: 101}}, 0, 0},
		{"SF", "SF", "ShADadFf", with(seg{d: 0, fl: A, seq: 101, ack: 501, data: "hello"}, seg{d: 1, fl: A, seq: 501, ack: 106},
			seg{d: 1, fl: A, seq: 501, ack: 106, data: "world!"}, seg{d: 0, fl: F | A, seq: 106, ack: 507}, seg{d: 1, fl: F | A, seq: 507, ack: 107}, seg{d: 0, fl: A, seq: 107, ack: 508}), 5, 6},
		{"S2", "S2", "ShAF", with(seg{d: 0, fl: F | A, seq: 101, ack: 501}), 0, 0},
		{"S3", "S3", "ShAf", with(seg{d: 1, fl: F | A, seq: 501, ack: 101}), 0, 0},
		{"RSTO", "RSTO", "ShAR", with(seg{d: 0, fl: R, seq: 101}), 0, 0},
		{"RSTR", "RSTR", "ShADr", with(seg{d: 0, fl: A, seq: 101, ack: 501, data: "x"}, seg{d: 1, fl: R, seq: 501}), 1, 0},
		{"RSTOS0", "RSTOS0", "SR", []seg{shake[0], {d: 0, fl: R, seq: 101}}, 0, 0},
		{"RSTRH", "RSTRH", "^hr", []seg{shake[1], {d: 1, fl: R, seq: 501}}, 0, 0},
		{"SH", "SH", "SF", []seg{shake[0], {d: 0, fl: F, seq: 101}}, 0, 0},
		{"SHR", "SHR", "^hf", []seg{shake[1], {d: 1, fl: F, seq: 501}}, 0, 0},
		{"OTH", "OTH", "^dA", []seg{{d: 1, fl: A, seq: 501, ack: 101, data: "mid"}, {d: 0, fl: A, seq: 101, ack: 504}}, 0, 3},
		{"zero window", "S1", "ShADwa", with(seg{d: 0, fl: A, seq: 101, ack: 501, data: "x"}, seg{d: 1, fl: A, seq: 501, ack: 102, zero: true}), 1, 0},
		{"retransmission", "S1", "ShADT", with(seg{d: 0, fl: A, seq: 101, ack: 501, data: "xy"}, seg{d: 0, fl: A, seq: 101, ack: 501, data: "xy"}), 2, 0},
		{"keep-alive", "S1", "ShAD", with(seg{d: 0, fl: A, seq: 101, ack: 501, data: "xy"}, seg{d: 0, fl: A, seq: 102, ack: 501, data: "\x00"}), 2, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			tr, _ := run(t, Config{}, nil, c.segs)
			if len(tr.conns) != 1 {
				t.Fatalf("%d conns\n%s", len(tr.conns), tr.out.String())
			}
			v := tr.conns[0]
			if v.State != c.state || v.History != c.history || v.OrigBytes != c.ob || v.RespBytes != c.rb {
				t.Errorf("got %s %s %d/%d, want %s %s %d/%d", v.State, v.History, v.OrigBytes, v.RespBytes, c.state, c.history, c.ob, c.rb)
			}
			if v.ID.Orig != netip.MustParseAddrPort("192.0.2.10:40000") {
				t.Errorf("orig %v", v.ID.Orig)
			}
		})
	}
}

func TestStreams(t *testing.T) {
	open := []seg{{d: 0, fl: S, seq: 100}, {d: 1, fl: S | A, seq: 500, ack: 101}}
	o := func(seq uint32, data string) seg { return seg{d: 0, fl: A, seq: seq, ack: 501, data: data} }
	r := func(seq, ack uint32, data string) seg { return seg{d: 1, fl: A, seq: seq, ack: ack, data: data} }
	for _, c := range []struct {
		name string
		cfg  Config
		segs []seg
		want string
		miss int64
	}{
		{"in order", Config{}, []seg{o(101, "GETa"), r(501, 105, "b"), o(105, "c")}, `e/0:"GETa" e/1:"b" e/0:"c" e/end `, 0},
		{"reordered", Config{}, []seg{o(105, "tail"), o(101, "GETa")}, `e/0:"GETa" e/0:"tail" e/end `, 0},
		{"overlap keeps the first", Config{}, []seg{o(103, "TXY"), o(101, "GEt!!!!!")}, `e/0:"GE" e/0:"TXY" e/0:"!!!" e/end `, 0},
		{"retransmitted and longer", Config{}, []seg{o(101, "GETa"), o(101, "xxxxbc")}, `e/0:"GETa" e/0:"bc" e/end `, 0},
		{"hole acknowledged", Config{}, []seg{o(101, "GETa"), o(110, "later"), r(501, 115, "ok")}, `e/0:"GETa" e/0:gap5 e/0:"later" e/1:"ok" e/end `, 5},
		{"hole to the end", Config{}, []seg{o(101, "GETa"), o(110, "later")}, `e/0:"GETa" e/0:gap5 e/0:"later" e/end `, 5},
		{"undecided in pieces", Config{}, []seg{o(101, "G"), r(501, 102, "?"), o(102, "ET")}, `e/0:"G" e/1:"?" e/0:"ET" e/end `, 0},
		{"unclaimed", Config{}, []seg{o(101, "nothing"), r(501, 108, "known")}, `opaque/0:"nothing" opaque/1:"known" opaque/end `, 0},
		{"inner", Config{}, []seg{o(101, "words"), r(501, 106, "go"), o(106, "TLS!")}, `opaque/0:"words" opaque/1:"go" opaque/end ssl/0:"TLS!" ssl/end `, 0},
		{"snap length", Config{}, []seg{{d: 0, fl: A, seq: 101, ack: 501, data: "GETa", cut: 96}, o(201, "z")}, `e/0:"GETa" e/0:gap96 e/0:"z" e/end `, 0},
		{"snap length while probing", Config{}, []seg{{d: 0, fl: A, seq: 101, ack: 501, data: "G", cut: 9}, o(111, "ETx")}, `opaque/0:"G" opaque/0:gap9 opaque/0:"ETx" opaque/end `, 0},
		{"syn with data", Config{}, []seg{{d: 0, fl: S, seq: 100, data: "GETs"}}, `e/0:"GETs" e/end `, 0},
		{"no budget for order", Config{StreamBytes: 1, FlowBytes: 1}, []seg{o(101, "GETa"), o(107, "bc"), o(105, "zz")}, `e/0:"GETa" e/0:gap2 e/0:"bc" e/end `, 0},
		{"data after both closed", Config{}, []seg{o(101, "GETa"), {d: 0, fl: F | A, seq: 105, ack: 501}, {d: 1, fl: F | A, seq: 501, ack: 106}, o(106, "no")}, `e/0:"GETa" e/end `, 0},
		{"fin before the hole fills", Config{}, []seg{o(101, "GETa"), o(107, "c"), {d: 0, fl: F | A, seq: 108, ack: 501}, o(105, "bb")}, `e/0:"GETa" e/0:"bb" e/0:"c" e/end `, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			var log strings.Builder
			ps := []protocol.Protocol{echoProto(&log, "e", "GET", echo{}), echoProto(&log, "ssl", "TLS", echo{}), echoProto(&log, "opaque", "", echo{})}
			tr, _ := run(t, c.cfg, ps, append(append([]seg{}, open...), c.segs...))
			if log.String() != c.want {
				t.Errorf("got  %s\nwant %s", log.String(), c.want)
			}
			if len(tr.conns) == 0 || tr.conns[0].MissedBytes != c.miss {
				t.Errorf("missed: %s", tr.out.String())
			}
		})
	}
}

func TestAnalyzers(t *testing.T) {
	open := []seg{{d: 0, fl: S, seq: 100}, {d: 1, fl: S | A, seq: 500, ack: 101}}
	o := func(seq uint32, data string) seg { return seg{d: 0, fl: A, seq: seq, ack: 501, data: data} }
	for _, c := range []struct {
		name    string
		e       echo
		segs    []seg
		want    string
		service string
	}{
		{"keeps the rest", echo{chunk: 4}, []seg{o(101, "GETab"), o(106, "cd"), o(108, "e")}, `e/0:"GETa" e/0:"bcde" e/end `, "e"},
		{"rest before a gap", echo{chunk: 4}, []seg{o(101, "GETab"), o(110, "cdef")}, `e/0:"GETa" e/0:gap5 e/0:"cdef" e/end `, "e"},
		{"done", echo{done: 4}, []seg{o(101, "GETa"), o(105, "cd")}, `e/0:"GETa" e/end `, "e"},
		{"handover", echo{hand: 4, handOn: "ssl"}, []seg{o(101, "GETab"), o(106, "cd")}, `e/0:"GETa" e/end ssl/0:"b" ssl/0:"cd" ssl/end `, "e,ssl"},
		{"handover to whom it suits", echo{hand: 4}, []seg{o(101, "GETaT"), o(106, "LS")}, `e/0:"GETa" e/end ssl/0:"T" ssl/0:"LS" ssl/end `, "e,ssl"},
		{"handover to nobody", echo{hand: 4}, []seg{o(101, "GETa..."), o(108, "LS")}, `e/0:"GETa" e/end opaque/0:"..." opaque/0:"LS" opaque/end `, "e"},
		{"handover to unknown", echo{hand: 4, handOn: "nope"}, []seg{o(101, "GETa..."), o(108, "LS")}, `e/0:"GETa" e/end `, "e"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var log strings.Builder
			ps := []protocol.Protocol{echoProto(&log, "e", "GET", c.e), echoProto(&log, "ssl", "TLS", echo{}), echoProto(&log, "opaque", "", echo{})}
			tr, _ := run(t, Config{}, ps, append(append([]seg{}, open...), c.segs...))
			if log.String() != c.want {
				t.Errorf("got  %s\nwant %s", log.String(), c.want)
			}
			if tr.conns[0].Service != c.service {
				t.Errorf("service %q", tr.conns[0].Service)
			}
		})
	}
}
