package dns

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/protocol"
	"github.com/testudo-shield/testudo/sense/protocol/protocoltest"
	"golang.org/x/net/dns/dnsmessage"
)

const t0 = testudo.Time(1_700_000_000_000_000_000)

func udp(orig, resp string) testudo.ConnID {
	return testudo.ConnID{Orig: netip.MustParseAddrPort(orig), Resp: netip.MustParseAddrPort(resp), Proto: testudo.UDP}
}

var toResolver = udp("192.0.2.10:50000", "192.0.2.53:53")

func pack(t testing.TB, m dnsmessage.Message) []byte {
	t.Helper()
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func query(t testing.TB, id uint16, name string, kind dnsmessage.Type) []byte {
	return pack(t, dnsmessage.Message{
		Header:    dnsmessage.Header{ID: id, RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName(name), Type: kind, Class: dnsmessage.ClassINET}},
	})
}

func answer(t testing.TB, id uint16, name string, kind dnsmessage.Type, rcode dnsmessage.RCode, bodies ...dnsmessage.ResourceBody) []byte {
	m := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: id, Response: true, RecursionDesired: true, RecursionAvailable: true, RCode: rcode},
		Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName(name), Type: kind, Class: dnsmessage.ClassINET}},
	}
	for _, b := range bodies {
		m.Answers = append(m.Answers, dnsmessage.Resource{
			Header: dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName(name), Class: dnsmessage.ClassINET, TTL: 300},
			Body:   b,
		})
	}
	return pack(t, m)
}

func step(dir protocol.Dir, data []byte, after time.Duration) protocoltest.Step {
	return protocoltest.Step{Dir: dir, Data: data, At: t0.Add(after)}
}

func records(t *testing.T, h *protocoltest.Host) []*testudo.DNS {
	t.Helper()
	var out []*testudo.DNS
	for _, r := range h.Records {
		if d, ok := r.(*testudo.DNS); ok {
			out = append(out, d)
		}
	}
	return out
}

// line is a record in short, for tables.
func line(r *testudo.DNS) string {
	return fmt.Sprintf("%s %s %s %s rtt=%v ans=%q addrs=%v data=%d rej=%t", r.Query, r.QTypeName, r.QClassName,
		r.RCodeName, r.RTT, r.Answers, r.Addresses, r.AnswerData, r.Rejected)
}

func TestPairs(t *testing.T) {
	a := &dnsmessage.AResource{A: [4]byte{203, 0, 113, 7}}
	aaaa := &dnsmessage.AAAAResource{AAAA: netip.MustParseAddr("2001:db8::7").As16()}
	cname := &dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName("Edge.example.NET.")}
	for _, c := range []struct {
		name string
		q, r []byte
		want string
	}{
		{
			"address", query(t, 1, "WWW.Example.com.", dnsmessage.TypeA), answer(t, 1, "www.example.com.", dnsmessage.TypeA, 0, cname, a),
			`www.example.com A C_INTERNET NOERROR rtt=20ms ans=["edge.example.net" "203.0.113.7"] addrs=[203.0.113.7] data=16 rej=false`,
		},
		{
			"address v6", query(t, 1, "a.example.", dnsmessage.TypeAAAA), answer(t, 1, "a.example.", dnsmessage.TypeAAAA, 0, aaaa),
			`a.example AAAA C_INTERNET NOERROR rtt=20ms ans=["2001:db8::7"] addrs=[2001:db8::7] data=0 rej=false`,
		},
		{
			"no such name", query(t, 1, "nope.example.", dnsmessage.TypeA), answer(t, 1, "nope.example.", dnsmessage.TypeA, dnsmessage.RCodeNameError),
			`nope.example A C_INTERNET NXDOMAIN rtt=20ms ans=[] addrs=[] data=0 rej=true`,
		},
		{
			"text", query(t, 1, "t.example.", dnsmessage.TypeTXT),
			answer(t, 1, "t.example.", dnsmessage.TypeTXT, 0, &dnsmessage.TXTResource{TXT: []string{"hello", "a\x00\tb\\"}}),
			`t.example TXT C_INTERNET NOERROR rtt=20ms ans=["TXT 5 hello TXT 5 a\\x00\\x09b\\x5c"] addrs=[] data=12 rej=false`,
		},
		{
			"mail", query(t, 1, "m.example.", dnsmessage.TypeMX),
			answer(t, 1, "m.example.", dnsmessage.TypeMX, 0, &dnsmessage.MXResource{Pref: 10, MX: dnsmessage.MustNewName("mx.m.example.")}),
			`m.example MX C_INTERNET NOERROR rtt=20ms ans=["mx.m.example"] addrs=[] data=12 rej=false`,
		},
		{
			"service", query(t, 1, "_ldap._tcp.example.", dnsmessage.TypeSRV),
			answer(t, 1, "_ldap._tcp.example.", dnsmessage.TypeSRV, 0, &dnsmessage.SRVResource{Port: 389, Target: dnsmessage.MustNewName("dc.example.")}),
			`_ldap._tcp.example SRV C_INTERNET NOERROR rtt=20ms ans=["dc.example"] addrs=[] data=10 rej=false`,
		},
		{
			"null", query(t, 1, "n.example.", 10),
			answer(t, 1, "n.example.", 10, 0, &dnsmessage.UnknownResource{Type: 10, Data: make([]byte, 200)}),
			`n.example NULL C_INTERNET NOERROR rtt=20ms ans=["<unknown type=10>"] addrs=[] data=200 rej=false`,
		},
		{
			"private type", query(t, 1, "n.example.", 65399),
			answer(t, 1, "n.example.", 65399, 0, &dnsmessage.UnknownResource{Type: 65399, Data: make([]byte, 9)}),
			`n.example query-65399 C_INTERNET NOERROR rtt=20ms ans=["<unknown type=65399>"] addrs=[] data=9 rej=false`,
		},
		{
			"https", query(t, 1, "h.example.", 65),
			answer(t, 1, "h.example.", 65, 0, &dnsmessage.UnknownResource{Type: 65, Data: []byte{0, 1, 0, 0, 1, 0, 3, 2, 'h', '2'}}),
			`h.example HTTPS C_INTERNET NOERROR rtt=20ms ans=["HTTPS 1 ."] addrs=[] data=10 rej=false`,
		},
		{
			"caa", query(t, 1, "c.example.", 257),
			answer(t, 1, "c.example.", 257, 0, &dnsmessage.UnknownResource{Type: 257, Data: []byte("\x00\x05issueca.example")}),
			`c.example CAA C_INTERNET NOERROR rtt=20ms ans=["CAA 0 issue ca.example"] addrs=[] data=17 rej=false`,
		},
		{
			"wrong size of an address", query(t, 1, "x.example.", dnsmessage.TypeA),
			answer(t, 1, "x.example.", dnsmessage.TypeA, 0, &dnsmessage.UnknownResource{Type: 1, Data: make([]byte, 16)}),
			`x.example A C_INTERNET NOERROR rtt=20ms ans=["<unknown type=1>"] addrs=[] data=16 rej=false`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := records(t, protocoltest.Run(Protocol(), toResolver, step(protocol.Orig, c.q, 0), step(protocol.Resp, c.r, 20*time.Millisecond)))
			if len(got) != 1 {
				t.Fatalf("%d records, want 1", len(got))
			}
			if l := line(got[0]); l != c.want {
				t.Errorf("got  %s\nwant %s", l, c.want)
			}
			if r := got[0]; !r.Answered || r.Time != t0 || !r.RD || !r.RA || r.QuerySize != len(c.q) || r.ReplySize != len(c.r) || len(r.TTLs) != len(r.Answers) {
				t.Errorf("record %+v", r)
			}
			// The same over TCP, in one piece and byte by byte.
			id := toResolver
			id.Proto = testudo.TCP
			frame := func(b []byte) []byte { return append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...) }
			var steps []protocoltest.Step
			for i := range frame(c.q) {
				steps = append(steps, step(protocol.Orig, frame(c.q)[i:i+1], 0))
			}
			steps = append(steps, step(protocol.Resp, frame(c.r), 20*time.Millisecond))
			if got := records(t, protocoltest.Run(Protocol(), id, steps...)); len(got) != 1 || line(got[0]) != c.want {
				t.Errorf("over TCP: %d records", len(got))
			}
		})
	}
}

func TestUnanswered(t *testing.T) {
	var steps []protocoltest.Step
	for i := range maxPending + 3 {
		steps = append(steps, step(protocol.Orig, query(t, uint16(i), fmt.Sprintf("h%d.example.", i), dnsmessage.TypeA), time.Duration(i)))
	}
	steps = append(steps, steps[10]) // asked again
	got := records(t, protocoltest.Run(Protocol(), toResolver, steps...))
	if len(got) != maxPending+3 {
		t.Fatalf("%d records, want %d", len(got), maxPending+3)
	}
	for i, r := range got {
		if r.Answered || r.Query != fmt.Sprintf("h%d.example", i) || r.Time != t0.Add(time.Duration(i)) || r.RCodeName != "" {
			t.Fatalf("record %d: %+v", i, r)
		}
	}

	// An answer to another name, or from the asker itself, is no answer.
	q := query(t, 7, "a.example.", dnsmessage.TypeA)
	got = records(t, protocoltest.Run(Protocol(), toResolver, step(protocol.Orig, q, 0),
		step(protocol.Resp, answer(t, 7, "b.example.", dnsmessage.TypeA, 0), 1),
		step(protocol.Orig, answer(t, 7, "a.example.", dnsmessage.TypeA, 0), 2)))
	if len(got) != 3 || got[0].Query != "b.example" || got[0].RTT != 0 || !got[0].Answered || got[2].Answered {
		t.Fatalf("got %d records", len(got))
	}

	// A question is given up after a while, not only at the end.
	late := records(t, protocoltest.Run(Protocol(), toResolver, step(protocol.Orig, q, 0),
		step(protocol.Orig, query(t, 8, "z.example.", dnsmessage.TypeA), patience+1),
		step(protocol.Resp, answer(t, 7, "a.example.", dnsmessage.TypeA, 0), patience+2)))
	if len(late) != 3 || late[0].Answered || late[0].Query != "a.example" || late[1].RTT != 0 {
		t.Fatalf("got %d records", len(late))
	}
}

func TestExtended(t *testing.T) {
	m := dnsmessage.Message{
		Header: dnsmessage.Header{ID: 9, Response: true, Authoritative: true, Truncated: true},
		Questions: []dnsmessage.Question{
			{Name: dnsmessage.MustNewName("e.example."), Type: dnsmessage.TypeALL, Class: dnsmessage.ClassCHAOS},
		},
		Additionals: []dnsmessage.Resource{
			{Header: dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName("."), Type: dnsmessage.TypeOPT, TTL: 1 << 24}, Body: &dnsmessage.OPTResource{}},
			{Header: dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName("e."), Class: 1}, Body: &dnsmessage.TXTResource{TXT: []string{"12345"}}},
		},
	}
	got := records(t, protocoltest.Run(Protocol(), toResolver, step(protocol.Resp, pack(t, m), 0)))
	if len(got) != 1 {
		t.Fatalf("%d records", len(got))
	}
	r := got[0]
	if r.RCode != 16 || r.RCodeName != "BADVERS" || r.Additional != 1 || r.AnswerData != 6 || !r.AA || !r.TC ||
		r.QTypeName != "*" || r.QClassName != "C_CHAOS" || r.RTT != 0 {
		t.Errorf("%+v", r)
	}
}

func TestMulticast(t *testing.T) {
	id := udp("192.0.2.10:5353", "224.0.0.251:5353")
	m := dnsmessage.Message{Questions: []dnsmessage.Question{
		{Name: dnsmessage.MustNewName("_ipp._tcp.local."), Type: dnsmessage.TypePTR, Class: 0x8001},
		{Name: dnsmessage.MustNewName("_raop._tcp.local."), Type: dnsmessage.TypePTR, Class: 1},
	}}
	announce := dnsmessage.Message{Header: dnsmessage.Header{Response: true}, Answers: []dnsmessage.Resource{{
		Header: dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName("pc.local."), Class: 0x8001, TTL: 120},
		Body:   &dnsmessage.AResource{A: [4]byte{192, 0, 2, 10}},
	}}}
	q, an := pack(t, m), pack(t, announce)
	for _, b := range [][]byte{q, an} {
		if v := probe(id, b, nil); v != protocol.Yes {
			t.Errorf("probe: %v", v)
		}
	}
	got := records(t, protocoltest.Run(Protocol(), id, step(protocol.Orig, q, 0), step(protocol.Orig, an, 1)))
	if len(got) != 3 || got[0].Query != "_ipp._tcp.local" || got[0].QClass != 1 || got[1].Query != "_raop._tcp.local" {
		t.Fatalf("%d records: %+v", len(got), got)
	}
	if r := got[2]; r.Query != "pc.local" || r.QTypeName != "A" || len(r.Addresses) != 1 || r.QClassName != "C_INTERNET" {
		t.Errorf("%+v", r)
	}
}

func TestNetBIOS(t *testing.T) {
	id := udp("192.0.2.10:137", "192.0.2.255:137")
	name := strings.Builder{}
	for _, c := range []byte("FILESRV        \x20") {
		name.WriteByte('A' + c>>4)
		name.WriteByte('A' + c&15)
	}
	q := query(t, 3, name.String()+".", 32)
	r := answer(t, 3, name.String()+".", 32, 0, &dnsmessage.UnknownResource{Type: 32, Data: []byte{0, 0, 192, 0, 2, 44}})
	got := records(t, protocoltest.Run(Protocol(), id, step(protocol.Orig, q, 0), step(protocol.Resp, r, 1)))
	if len(got) != 1 || got[0].Query != "filesrv" || got[0].QTypeName != "NB" || got[0].Answers[0] != "192.0.2.44" {
		t.Fatalf("%+v", got)
	}
}

func TestNames(t *testing.T) {
	head := make([]byte, headerLen)
	for _, c := range []struct{ wire, want string }{
		{"\x00", ""},
		{"\x03wWw\x02ex\x00", "www.ex"},
		{"\x03a.b\x01\n\x02\xff~\x00", `a\x2eb.\x0a.\xff~`},
		{"\x01a", "!"},            // runs out
		{"\x05ab\x00", "!"},       // label beyond the end
		{"\x41a\x00", "!"},        // reserved label kind
		{"\xc0\x0c", "!"},         // points at itself
		{"\x01a\xc0\x0c", "!"},    // loop
		{"\xc0\x0e\x00\x00", "!"}, // points forward
		{"\xc0", "!"},
		{strings.Repeat("\x3f"+strings.Repeat("a", 63), 4) + "\x00", "!"}, // too long
	} {
		m := message(append(head[:headerLen:headerLen], c.wire...))
		got, next, ok := m.name(headerLen, nil)
		if !ok {
			got = []byte("!")
		} else if next != len(m) {
			t.Errorf("%q ends at %d, want %d", c.wire, next, len(m))
		}
		if string(got) != c.want {
			t.Errorf("%q: got %q, want %q", c.wire, got, c.want)
		}
	}
}

func TestProbe(t *testing.T) {
	q := query(t, 1, "www.example.com.", dnsmessage.TypeA)
	r := answer(t, 1, "www.example.com.", dnsmessage.TypeA, 0, &dnsmessage.AResource{})
	tcp := protocoltest.ID
	framed := append([]byte{0, byte(len(q))}, q...)
	for _, c := range []struct {
		name string
		id   testudo.ConnID
		o, r []byte
		want protocol.Verdict
	}{
		{"query", toResolver, q, nil, protocol.Yes},
		{"query off the port", protocolUDP(), q, nil, protocol.Yes},
		{"reply alone", toResolver, nil, r, protocol.Yes},
		{"two datagrams joined", toResolver, append(append([]byte{}, q...), q...), nil, protocol.Yes},
		{"query with something behind", toResolver, append(append([]byte{}, q...), "XX"...), nil, protocol.Maybe},
		{"cut in the name", toResolver, q[:16], nil, protocol.Maybe},
		{"nothing", toResolver, nil, nil, protocol.Maybe},
		{"text", toResolver, []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), nil, protocol.No},
		{"zeros", toResolver, make([]byte, 64), nil, protocol.No},
		{"short", toResolver, []byte{1, 2, 3}, nil, protocol.No},
		{"ntp", toResolver, append([]byte{0x23}, make([]byte, 47)...), nil, protocol.No},
		{"tcp", tcp, framed, nil, protocol.Yes},
		{"tcp with a tail", tcp, append(append([]byte{0, byte(len(q) + 2)}, q...), "xy"...), nil, protocol.Yes},
		{"tcp with a long tail", tcp, append(append([]byte{0, byte(len(q) + 9)}, q...), "123456789"...), nil, protocol.Maybe},
		{"tcp started", tcp, framed[:20], nil, protocol.Maybe},
		{"tcp one byte", tcp, framed[:1], nil, protocol.Maybe},
		{"tcp tls", tcp, []byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03abcdefgh"), nil, protocol.No},
	} {
		if got := probe(c.id, c.o, c.r); got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
	// Bytes of a fixed generator are never taken for DNS.
	x := uint64(88172645463325252)
	for range 20000 {
		var b [48]byte
		for i := range b {
			x ^= x << 13
			x ^= x >> 7
			x ^= x << 17
			b[i] = byte(x)
		}
		if v := probe(toResolver, b[:], nil); v != protocol.No {
			t.Fatalf("random bytes: %v for %x", v, b)
		}
	}
}

func protocolUDP() testudo.ConnID { return udp("192.0.2.1:4000", "198.51.100.1:8443") }

func TestForeign(t *testing.T) {
	h := protocoltest.Run(Protocol(), toResolver, step(protocol.Orig, []byte("junk"), 0),
		step(protocol.Orig, append([]byte{0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0}, 3, 'a'), 0),
		step(protocol.Orig, make([]byte, 12), 0))
	if len(h.Records) != 3 {
		t.Fatalf("%d records, want 3 weirds", len(h.Records))
	}
	id := protocoltest.ID
	h = protocoltest.Run(Protocol(), id, step(protocol.Orig, []byte{0, 3, 1, 2, 3, 0, 3, 1, 2, 3}, 0))
	if len(h.Records) != 1 {
		t.Fatalf("%d records, want 1 weird", len(h.Records))
	}
	var steps []protocoltest.Step
	for range 100 {
		steps = append(steps, step(protocol.Orig, []byte("junk"), 0))
	}
	if h = protocoltest.Run(Protocol(), toResolver, steps...); len(h.Records) != maxWeirds {
		t.Fatalf("%d records, want %d", len(h.Records), maxWeirds)
	}
}

func FuzzMessage(f *testing.F) {
	f.Add(false, query(f, 1, "www.example.com.", dnsmessage.TypeA), answer(f, 1, "www.example.com.", dnsmessage.TypeA, 0, &dnsmessage.AResource{}))
	f.Add(true, append([]byte{0, 33}, query(f, 1, "www.example.com.", dnsmessage.TypeA)...), []byte{})
	f.Add(false, []byte{}, answer(f, 1, "n.example.", 35, 0,
		&dnsmessage.UnknownResource{Type: 35, Data: []byte("\x00\x01\x00\x02\x01u\x03sip\x00\x01a\x00")},
		&dnsmessage.UnknownResource{Type: 46, Data: make([]byte, 30)},
		&dnsmessage.UnknownResource{Type: 47, Data: []byte("\x01a\xc0\x0c")},
		&dnsmessage.TXTResource{TXT: []string{"x", "y"}}))
	f.Fuzz(func(t *testing.T, tcp bool, q, r []byte) {
		id := toResolver
		if tcp {
			id.Proto = testudo.TCP
		}
		probe(id, q, r)
		h := protocoltest.Run(Protocol(), id, step(protocol.Orig, q, 0), step(protocol.Resp, r, 1))
		for _, rec := range h.Records {
			d, ok := rec.(*testudo.DNS)
			if !ok {
				continue
			}
			for _, s := range append([]string{d.Query}, d.Answers...) {
				for _, c := range []byte(s) {
					if c < ' ' || c > '~' {
						t.Fatalf("unprintable in %q", s)
					}
				}
			}
			if len(d.Answers) > maxAnswers || len(d.TTLs) != len(d.Answers) {
				t.Fatalf("%d answers, %d TTLs", len(d.Answers), len(d.TTLs))
			}
		}
	})
}

// interner keeps strings, as the flow room does.
type interner struct {
	protocoltest.Host
	known map[string]string
}

func (i *interner) Emit(*protocol.Flow, testudo.Record) {}
func (i *interner) Intern(b []byte) string {
	if s, ok := i.known[string(b)]; ok {
		return s
	}
	s := string(b)
	i.known[s] = s
	return s
}

func BenchmarkPair(b *testing.B) {
	q := query(b, 1, "www.example.com.", dnsmessage.TypeA)
	r := answer(b, 1, "www.example.com.", dnsmessage.TypeA, 0,
		&dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName("edge.example.net.")}, &dnsmessage.AResource{A: [4]byte{203, 0, 113, 7}})
	var f protocol.Flow
	f.Bind(&interner{known: map[string]string{}})
	f.ID, f.UID, f.Now = toResolver, 1, t0
	a := Protocol().Open(new(protocol.Records))()
	b.ReportAllocs()
	for b.Loop() {
		a.Data(&f, protocol.Orig, q)
		a.Data(&f, protocol.Resp, r)
	}
}

func BenchmarkProbe(b *testing.B) {
	q := query(b, 1, "www.example.com.", dnsmessage.TypeA)
	for b.Loop() {
		probe(toResolver, q, nil)
	}
}

func TestAnswerText(t *testing.T) {
	for _, c := range []struct {
		kind dnsmessage.Type
		data string
		want string
	}{
		{typeSPF, "\x05v=spf", "SPF 5 v=spf"},
		{typeHINFO, "\x03cpu\x02os", "HINFO cpu os"},
		{typeNAPTR, "\x00\x0a\x00\x14\x01u\x03sip\x00\x01a\x00", "NAPTR 10 20 u sip  a"},
		{typeNAPTR, "\x00\x0a", "<unknown type=35>"},
		{typeRRSIG, "\x00\x01" + strings.Repeat("\x00", 16) + "\x07example\x00sig", "RRSIG 1 example"},
		{typeRRSIG, "\x00\x01", "<unknown type=46>"},
		{typeNSEC, "\x01b\x00\x00\x01\x40", "NSEC x.example b"},
		{typeDNSKEY, "\x01\x01\x03\x0dkey", "DNSKEY 13"},
		{typeDS, "\x12\x34\x08\x02digest", "DS 8 2"},
		{typeNSEC3, "\x01", "NSEC3"},
		{typeParam3, "\x01", "NSEC3PARAM"},
		{typeSSHFP, "\x01\x01\xab\xcd", "SSHFP: abcd"},
		{typeSVCB, "\x00\x02\x01a\x00", "SVCB 2 a"},
		{typeSVCB, "\x00", "<unknown type=64>"},
		{typeCNAME, "\x00", "<Root>"},
		{typeCNAME, "\x09abc", "<unknown type=5>"},
		{typeCAA, "\x00\x09abc", "<unknown type=257>"},
		{typeTXT, "\x09abc", "TXT 3 abc"},
		{4711, "abc", "<unknown type=4711>"},
	} {
		r := answer(t, 1, "x.example.", c.kind, 0, &dnsmessage.UnknownResource{Type: c.kind, Data: []byte(c.data)})
		got := records(t, protocoltest.Run(Protocol(), toResolver, step(protocol.Resp, r, 0)))
		if len(got) != 1 || len(got[0].Answers) != 1 || got[0].Answers[0] != c.want || got[0].AnswerData == 0 && c.want != "<Root>" {
			t.Errorf("%d %q: %+v, want %q", c.kind, c.data, got, c.want)
		}
	}
}
