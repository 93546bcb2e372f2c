package tls_test

import (
	"bytes"
	stdtls "crypto/tls"
	"crypto/x509"
	"reflect"
	"strings"
	"testing"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/protocol"
	"github.com/testudo-shield/testudo/sense/protocol/protocoltest"
	"github.com/testudo-shield/testudo/sense/protocol/tls"
)

func run(steps []protocoltest.Step) *protocoltest.Host {
	return protocoltest.Run(tls.Protocol(), protocoltest.ID, steps...)
}

// only returns the single TLS record, which comes last.
func only(t *testing.T, h *protocoltest.Host) *testudo.TLS {
	t.Helper()
	n := 0
	for _, r := range h.Records {
		if r.Log() == "ssl" {
			n++
		}
	}
	if n != 1 {
		t.Fatalf("%d TLS records, want 1; all: %d", n, len(h.Records))
	}
	r, ok := h.Records[len(h.Records)-1].(*testudo.TLS)
	if !ok {
		t.Fatalf("the last record is %T, want the TLS record", h.Records[len(h.Records)-1])
	}
	return r
}

func probeAll(steps []protocoltest.Step) protocol.Verdict {
	var seen [2][]byte
	for _, s := range steps {
		seen[s.Dir] = append(seen[s.Dir], s.Data...)
	}
	for i := range seen {
		seen[i] = seen[i][:min(len(seen[i]), 1024)]
	}
	return tls.Protocol().Probe(protocoltest.ID, seen[0], seen[1])
}

func TestHandshakes(t *testing.T) {
	ca := makeCertificate(t, "ca.example", nil)
	leaf := makeCertificate(t, "shop.example", &ca)
	roots := x509.NewCertPool()
	roots.AddCert(ca.Leaf)
	names := map[uint16]string{0x0301: "TLSv10", 0x0302: "TLSv11", 0x0303: "TLSv12", 0x0304: "TLSv13"}
	for _, version := range []uint16{0x0301, 0x0302, 0x0303, 0x0304} {
		t.Run(names[version], func(t *testing.T) {
			client := &stdtls.Config{
				RootCAs: roots, ServerName: "shop.example", MinVersion: version, MaxVersion: version,
				Time: leaf.Leaf.NotBefore.UTC, NextProtos: []string{"h2", "http/1.1"},
			}
			server := &stdtls.Config{Certificates: []stdtls.Certificate{leaf}, MinVersion: version, NextProtos: []string{"http/1.1"}}
			steps, state := converse(t, client, server)
			if !state.HandshakeComplete {
				t.Fatal("the ends did not agree")
			}
			if v := probeAll(steps); v != protocol.Yes {
				t.Errorf("probe: %v", v)
			}
			h := run(steps)
			r := only(t, h)
			if r.Version != names[version] || r.Cipher != stdtls.CipherSuiteName(state.CipherSuite) {
				t.Errorf("version %s cipher %s, want %s", r.Version, r.Cipher, stdtls.CipherSuiteName(state.CipherSuite))
			}
			if !r.Established || r.Resumed || r.ServerName != "shop.example" || r.ALPN != "http/1.1" && version < 0x0304 ||
				!reflect.DeepEqual(r.ClientALPN, []string{"h2", "http/1.1"}) {
				t.Errorf("record %+v", r)
			}
			if !strings.HasPrefix(r.JA4, "t"+r.Version[4:]+"d") || len(r.JA3) != 32 || len(r.JA3S) != 32 || r.Curve == "" {
				t.Errorf("ja4 %q ja3 %q ja3s %q curve %q", r.JA4, r.JA3, r.JA3S, r.Curve)
			}
			if version == 0x0304 {
				if r.Leaf != nil || len(r.ServerPrint) != 12 {
					t.Errorf("leaf %v print %q", r.Leaf, r.ServerPrint)
				}
				return
			}
			if len(r.Chain) != 2 || r.Leaf == nil || r.Leaf.Fingerprint != r.Chain[0] || len(r.ServerPrint) != 25 {
				t.Fatalf("chain %q leaf %v print %q", r.Chain, r.Leaf, r.ServerPrint)
			}
			if r.Subject != `CN=shop.example,O=Shields\, Inc.,C=NL` || r.Issuer != `CN=ca.example,O=Shields\, Inc.,C=NL` {
				t.Errorf("subject %s issuer %s", r.Subject, r.Issuer)
			}
		})
	}
}

// TestSplits delivers the same handshake in pieces of several sizes.
func TestSplits(t *testing.T) {
	leaf := makeCertificate(t, "split.example", nil)
	client := &stdtls.Config{InsecureSkipVerify: true, ServerName: "split.example", MaxVersion: 0x0303}
	steps, _ := converse(t, client, &stdtls.Config{Certificates: []stdtls.Certificate{leaf}})
	want := run(steps).Records
	for _, size := range []int{1, 2, 5, 7, 100} {
		var cut []protocoltest.Step
		for _, s := range steps {
			for b := s.Data; len(b) > 0; b = b[min(size, len(b)):] {
				cut = append(cut, protocoltest.Step{Dir: s.Dir, Data: b[:min(size, len(b))]})
			}
		}
		if got := run(cut).Records; !reflect.DeepEqual(got, want) {
			t.Errorf("pieces of %d bytes: %d records, differ from %d", size, len(got), len(want))
		}
	}
	// The same messages in records of few bytes each.
	var cut []protocoltest.Step
	for _, s := range steps {
		b := s.Data
		for len(b) > 5 {
			n := int(b[3])<<8 | int(b[4])
			body := b[5 : 5+n]
			if b[0] != 22 || s.Dir == protocol.Resp && n < 60 || s.Dir == protocol.Orig && n < 90 {
				cut = append(cut, protocoltest.Step{Dir: s.Dir, Data: b[:5+n]})
				body = nil
			}
			for ; len(body) > 0; body = body[min(11, len(body)):] {
				cut = append(cut, protocoltest.Step{Dir: s.Dir, Data: record(22, body[:min(11, len(body))])})
			}
			b = b[5+n:]
		}
	}
	if got := run(cut).Records; !reflect.DeepEqual(got, want) {
		t.Errorf("records of 11 bytes: %d records, differ from %d", len(got), len(want))
	}
	if v := probeAll(cut); v != protocol.Yes {
		t.Errorf("probe of records of 11 bytes: %v", v)
	}
}

func TestResumption(t *testing.T) {
	leaf := makeCertificate(t, "again.example", nil)
	for _, version := range []uint16{0x0303, 0x0304} {
		client := &stdtls.Config{
			InsecureSkipVerify: true, ServerName: "again.example", MaxVersion: version,
			ClientSessionCache: stdtls.NewLRUClientSessionCache(4),
		}
		server := &stdtls.Config{Certificates: []stdtls.Certificate{leaf}}
		first, _ := converse(t, client, server)
		second, state := converse(t, client, server)
		if !state.DidResume {
			t.Fatalf("%x: not resumed", version)
		}
		if r := only(t, run(first)); r.Resumed || !r.Established {
			t.Errorf("%x first: %+v", version, r)
		}
		if r := only(t, run(second)); !r.Resumed || !r.Established || r.Leaf != nil {
			t.Errorf("%x second: %+v", version, r)
		}
	}
}

func TestRefusal(t *testing.T) {
	leaf := makeCertificate(t, "bad.example", nil)
	for _, version := range []uint16{0x0303, 0x0304} {
		steps, _ := converse(t, &stdtls.Config{ServerName: "bad.example", MaxVersion: version},
			&stdtls.Config{Certificates: []stdtls.Certificate{leaf}})
		r := only(t, run(steps))
		if r.Established {
			t.Errorf("%x: established, though the client refused", version)
		}
		if version == 0x0303 && r.LastAlert != "bad_certificate" && r.LastAlert != "unknown_ca" {
			t.Errorf("alert %q", r.LastAlert)
		}
	}
}

// TestSecondHello has the server ask for another key share.
func TestSecondHello(t *testing.T) {
	leaf := makeCertificate(t, "retry.example", nil)
	steps, _ := converse(t,
		&stdtls.Config{InsecureSkipVerify: true, ServerName: "retry.example", CurvePreferences: []stdtls.CurveID{stdtls.X25519, stdtls.CurveP384}},
		&stdtls.Config{Certificates: []stdtls.Certificate{leaf}, CurvePreferences: []stdtls.CurveID{stdtls.CurveP384}})
	check := func(steps []protocoltest.Step) *testudo.TLS {
		r := only(t, run(steps))
		if r.JA4 == "" || r.JA4Again == "" {
			t.Errorf("ja4 %q again %q", r.JA4, r.JA4Again)
		}
		return r
	}
	if r := check(steps); !r.Established || r.Curve != "secp384r1" {
		t.Errorf("%+v", r)
	}
	var client []protocoltest.Step
	for _, s := range steps {
		if s.Dir == protocol.Orig {
			client = append(client, s)
		}
	}
	check(client)
}

func TestClientCertificate(t *testing.T) {
	leaf, own := makeCertificate(t, "mutual.example", nil), makeCertificate(t, "agent.example", nil)
	steps, _ := converse(t,
		&stdtls.Config{InsecureSkipVerify: true, MaxVersion: 0x0303, Certificates: []stdtls.Certificate{own}},
		&stdtls.Config{Certificates: []stdtls.Certificate{leaf}, ClientAuth: stdtls.RequireAnyClientCert})
	h := run(steps)
	r := only(t, h)
	if !r.Established || len(r.Chain) != 1 || !strings.Contains(r.Subject, "mutual.example") {
		t.Errorf("%+v", r)
	}
	found := false
	for _, r := range h.Records {
		if c, ok := r.(*testudo.X509); ok && c.ClientCert {
			found = strings.Contains(c.Subject, "agent.example") && !c.HostCert
		}
	}
	if !found {
		t.Error("no record of the client's certificate")
	}
}

// TestPreface puts plain words before the handshake, as STARTTLS, a proxy or
// a database do.
func TestPreface(t *testing.T) {
	leaf := makeCertificate(t, "inside.example", nil)
	steps, _ := converse(t, &stdtls.Config{InsecureSkipVerify: true, ServerName: "inside.example", MaxVersion: 0x0303},
		&stdtls.Config{Certificates: []stdtls.Certificate{leaf}})
	plain := []protocoltest.Step{
		resp([]byte("\x16\x00greetings, speak")), orig([]byte("in secret, please")), resp([]byte("go on")),
	}
	with := append(plain, steps...)
	if v := probeAll(plain); v != protocol.Maybe {
		t.Errorf("probe of the preface: %v", v)
	}
	if v := probeAll(with); v != protocol.Yes {
		t.Errorf("probe: %v", v)
	}
	if got, want := run(with).Records, run(steps).Records; !reflect.DeepEqual(got, want) {
		t.Errorf("%d records, differ from %d without preface", len(got), len(want))
	}
}

func TestGaps(t *testing.T) {
	leaf := makeCertificate(t, "gap.example", nil)
	steps, _ := converse(t, &stdtls.Config{InsecureSkipVerify: true, ServerName: "gap.example", MaxVersion: 0x0303},
		&stdtls.Config{Certificates: []stdtls.Certificate{leaf}})
	for i := range steps {
		lost := append([]protocoltest.Step(nil), steps...)
		lost[i] = protocoltest.Step{Dir: steps[i].Dir, Gap: len(steps[i].Data)}
		h := run(lost)
		if i > 0 {
			if r := only(t, h); r.ServerName != "gap.example" {
				t.Errorf("without step %d: %+v", i, r)
			}
		}
	}
	// A conversation seen from its middle on has no handshake to tell of.
	middle := []protocoltest.Step{orig(record(23, make([]byte, 900))), resp(record(23, make([]byte, 300))), orig(record(23, make([]byte, 40)))}
	for i := range middle {
		middle[i].Data[2] = 3
	}
	if h := run(middle); len(h.Records) != 0 {
		t.Errorf("%d records from the middle of a conversation", len(h.Records))
	}
	if v := probeAll(middle); v != protocol.Yes {
		t.Errorf("probe of the middle: %v", v)
	}
}

func TestOddities(t *testing.T) {
	hello := record(22, message(1, helloSpec{version: 0x0303, ciphers: []uint16{0x002f}, extensions: []extension{serverName("odd.example")}}.body()))
	weird := func(h *protocoltest.Host) string {
		var names []string
		for _, r := range h.Records {
			if w, ok := r.(*testudo.Weird); ok {
				names = append(names, w.Name+" "+w.Addl)
			}
		}
		return strings.Join(names, "; ")
	}
	cases := []struct {
		name  string
		steps []protocoltest.Step
		weird string
		want  func(*testudo.TLS) bool
	}{
		{
			"fatal alert",
			[]protocoltest.Step{orig(hello), resp(record(21, []byte{2, 40}))},
			"",
			func(r *testudo.TLS) bool { return r.LastAlert == "handshake_failure" && !r.Established },
		},
		{
			"warning",
			[]protocoltest.Step{orig(hello), resp(record(21, []byte{1, 112})), orig(record(21, []byte{1, 0}))},
			"",
			func(r *testudo.TLS) bool { return r.LastAlert == "close_notify" },
		},
		{
			"plain text after the hello",
			[]protocoltest.Step{orig(hello), resp([]byte("400 Bad Request"))},
			"",
			func(r *testudo.TLS) bool { return r.ClientHello && !r.ServerHello },
		},
		{
			"foreign bytes after a record",
			[]protocoltest.Step{orig(append(hello, "what is this?"...))},
			"tls_record_invalid ",
			func(r *testudo.TLS) bool { return r.ServerName == "odd.example" },
		},
		{
			"heartbeat that asks for too much",
			[]protocoltest.Step{orig(hello), orig(record(24, []byte{1, 0x40, 0})), resp(record(24, append([]byte{2, 0x40, 0}, make([]byte, 0x1000)...)))},
			"tls_heartbeat_overread brings 0 claims 16384; tls_heartbeat_leak answers 4096", nil,
		},
		{"honest heartbeat", []protocoltest.Step{orig(hello), orig(record(24, append([]byte{1, 0, 4}, make([]byte, 20)...)))}, "", nil},
		{
			"SSL 2 hello",
			[]protocoltest.Step{orig(append([]byte{0x80, 9 + 3 + 16, 1, 0, 2, 0, 3, 0, 0, 0, 16, 1, 0, 0x80}, make([]byte, 16)...))},
			"",
			func(r *testudo.TLS) bool { return r.ClientHello && r.JA4 == "" },
		},
		{
			"message too long",
			[]protocoltest.Step{orig(hello), resp(record(22, append([]byte{2, 1, 0, 1}, make([]byte, 100)...)))},
			"tls_handshake_too_long 65537", nil,
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if v := probeAll(c.steps); v != protocol.Yes {
				t.Errorf("probe: %v", v)
			}
			h := run(c.steps)
			if got := weird(h); got != c.weird {
				t.Errorf("weird %q, want %q", got, c.weird)
			}
			for _, r := range h.Records {
				if r, ok := r.(*testudo.TLS); ok && c.want != nil && !c.want(r) {
					t.Errorf("%+v", r)
				}
			}
		})
	}
}

func TestProbeRefuses(t *testing.T) {
	for _, s := range []string{
		"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n", "SSH-2.0-shell\r\n", "\x16\x03\x01", "\x16\x03\x01\x00\x05\x01\xff\xff\xff\x03\x03",
		"\x17\x03\x03\x00\x10", strings.Repeat("\x16", 100), strings.Repeat("\x16\x03\x01", 50),
	} {
		if v := tls.Protocol().Probe(protocoltest.ID, []byte(s), nil); v == protocol.Yes {
			t.Errorf("probe(%q) says yes", s)
		}
	}
	// OpenVPN carries a handshake in frames of its own, which no one could read as TLS.
	hello := record(22, message(1, helloSpec{version: 0x0303, ciphers: []uint16{0x002f}, extensions: []extension{serverName("vpn.example")}}.body()))
	reset, data := vec16(append([]byte{7 << 3}, make([]byte, 13)...)), vec16(append(append([]byte{4 << 3}, make([]byte, 13)...), hello...))
	for _, b := range [][]byte{append(reset, data...), data} {
		if v := tls.Protocol().Probe(protocoltest.ID, b, b); v != protocol.No {
			t.Errorf("probe of OpenVPN: %v", v)
		}
	}
	long := bytes.Repeat([]byte("words and words "), 64)
	if v := tls.Protocol().Probe(protocoltest.ID, long, long); v != protocol.No {
		t.Errorf("a KiB of words each way: %v, want no", v)
	}
}

func FuzzStream(f *testing.F) {
	hello := record(22, message(1, helloSpec{version: 0x0303, ciphers: []uint16{0x002f}, extensions: []extension{serverName("odd.example"), alpn("h2")}}.body()))
	answer := record(22, message(2, append(append([]byte{3, 3}, make([]byte, 33)...), 0, 0x2f, 0)))
	f.Add(hello, answer, uint8(7))
	f.Add(append([]byte("preface"), hello...), append(answer, record(22, message(11, []byte{0, 0, 6, 0, 0, 3, 0x30, 1, 0}))...), uint8(200))
	f.Fuzz(func(t *testing.T, o, r []byte, size uint8) {
		var steps []protocoltest.Step
		for n := max(int(size), 1); len(o)+len(r) > 0; {
			k := min(n, len(o))
			steps = append(steps, orig(o[:k]))
			o = o[k:]
			k = min(n, len(r))
			steps = append(steps, resp(r[:k]))
			r = r[k:]
		}
		probeAll(steps)
		run(steps)
		protocoltest.Run(tls.Protocol(), protocoltest.ID, append(steps, protocoltest.Step{Gap: 3}, protocoltest.Step{Dir: protocol.Resp, Gap: 1 << 20})...)
	})
}

func BenchmarkHandshake(b *testing.B) {
	leaf := makeCertificate(b, "bench.example", nil)
	steps, _ := converse(b, &stdtls.Config{InsecureSkipVerify: true, ServerName: "bench.example", MaxVersion: 0x0303, NextProtos: []string{"h2"}},
		&stdtls.Config{Certificates: []stdtls.Certificate{leaf}})
	a := tls.Protocol().Open(new(protocol.Records))()
	var f protocol.Flow
	host := &dropping{}
	b.ReportAllocs()
	for b.Loop() {
		f.Bind(host)
		f.ID, f.Now = protocoltest.ID, 1
		for _, s := range steps {
			if !f.IsDone() {
				a.Data(&f, s.Dir, s.Data)
			}
		}
		a.End(&f)
		a.Reset()
	}
	if host.n == 0 {
		b.Fatal("nothing was written")
	}
}

func BenchmarkProbe(b *testing.B) {
	words := bytes.Repeat([]byte("words and words "), 64)
	b.ReportAllocs()
	for b.Loop() {
		tls.Protocol().Probe(protocoltest.ID, words, words)
	}
}

// dropping is a host that counts and forgets.
type dropping struct {
	protocoltest.Host
	n    int
	seen map[string]string
}

func (d *dropping) Emit(*protocol.Flow, testudo.Record) { d.n++ }

func (d *dropping) Intern(b []byte) string {
	if s, ok := d.seen[string(b)]; ok {
		return s
	}
	if d.seen == nil {
		d.seen = make(map[string]string)
	}
	d.seen[string(b)] = string(b)
	return string(b)
}
