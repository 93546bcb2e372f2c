package quic

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/protocol"
	"github.com/testudo-shield/testudo/sense/protocol/protocoltest"
)

// The keys that RFC 9001 appendix A.1 and RFC 9369 appendix A.1 derive from
// the same connection id.
func TestKeysOfTheRFCs(t *testing.T) {
	dcid := []byte{0x83, 0x94, 0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08}
	for version, want := range map[uint32][2]string{
		version1: {"fa044b2f42a3fd3b46fb255c", "0ac1493ca1905853b0bba03e"},
		version2: {"91f73e2351d8fa91660e909f", ""},
	} {
		client, server, err := new(macs).initialKeys(version, dcid)
		if err != nil {
			t.Fatal(err)
		}
		if got := hex.EncodeToString(client.iv[:]); got != want[0] {
			t.Errorf("%s client iv %s, want %s", versionName(version), got, want[0])
		}
		if got := hex.EncodeToString(server.iv[:]); got != want[1] && want[1] != "" {
			t.Errorf("%s server iv %s, want %s", versionName(version), got, want[1])
		}
	}
}

func appendVarint(b []byte, v int) []byte {
	if v < 64 {
		return append(b, byte(v))
	}
	return binary.BigEndian.AppendUint16(b, 0x4000|uint16(v))
}

// seal makes an Initial packet.
func seal(k *keys, version uint32, dcid, scid []byte, number byte, frames []byte) []byte {
	kind := byte(typeInitial)
	if version == version2 {
		kind = 1
	}
	b := []byte{0xc0 | kind<<4}
	b = binary.BigEndian.AppendUint32(b, version)
	b = append(append(b, byte(len(dcid))), dcid...)
	b = append(append(b, byte(len(scid))), scid...)
	b = append(b, 0) // no token
	b = appendVarint(b, 1+len(frames)+k.aead.Overhead())
	at := len(b)
	b = append(b, number)
	nonce := k.iv
	nonce[len(nonce)-1] ^= number
	b = k.aead.Seal(b, nonce[:], frames, append([]byte(nil), b...))
	var mask [16]byte
	k.hp.Encrypt(mask[:], b[at+4:at+20])
	b[0] ^= mask[0] & 0x0f
	b[at] ^= mask[1]
	return b
}

func cryptoFrame(at int, data []byte) []byte {
	b := appendVarint([]byte{6}, at)
	return append(appendVarint(b, len(data)), data...)
}

// handshake lets two real ends make the messages of a QUIC handshake and
// returns the client's and the server's first.
func handshake(t testing.TB, name string) (client, server []byte) {
	t.Helper()
	key := ed25519.NewKeyFromSeed(make([]byte, 32))
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<32, 0), DNSNames: []string{name}}
	raw, err := x509.CreateCertificate(nil, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	c := tls.QUICClient(&tls.QUICConfig{TLSConfig: &tls.Config{ServerName: name, InsecureSkipVerify: true, NextProtos: []string{"h3"}, MinVersion: tls.VersionTLS13}})
	s := tls.QUICServer(&tls.QUICConfig{TLSConfig: &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{raw}, PrivateKey: key}}, NextProtos: []string{"h3"}, MinVersion: tls.VersionTLS13,
	}})
	c.SetTransportParameters([]byte{1, 1, 0})
	s.SetTransportParameters([]byte{1, 1, 0})
	initial := func(q *tls.QUICConn) (out []byte) {
		for {
			switch e := q.NextEvent(); {
			case e.Kind == tls.QUICNoEvent:
				return out
			case e.Kind == tls.QUICWriteData && e.Level == tls.QUICEncryptionLevelInitial:
				out = append(out, e.Data...)
			}
		}
	}
	if err := c.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	client = initial(c)
	if err := s.HandleData(tls.QUICEncryptionLevelInitial, client); err != nil {
		t.Fatal(err)
	}
	return client, initial(s)
}

var (
	dcid = []byte("12345678")
	scid = []byte("abcd")
	peer = []byte("server")
	id   = func() testudo.ConnID { id := protocoltest.ID; id.Proto = testudo.UDP; return id }()
)

func orig(b []byte) protocoltest.Step { return protocoltest.Step{Dir: protocol.Orig, Data: b} }
func resp(b []byte) protocoltest.Step { return protocoltest.Step{Dir: protocol.Resp, Data: b} }

func records(t *testing.T, steps ...protocoltest.Step) (*testudo.QUIC, *testudo.TLS) {
	t.Helper()
	var q *testudo.QUIC
	var s *testudo.TLS
	for _, r := range protocoltest.Run(Protocol(), id, steps...).Records {
		switch r := r.(type) {
		case *testudo.QUIC:
			if q != nil {
				t.Error("two QUIC records")
			}
			q = r
		case *testudo.TLS:
			if s != nil {
				t.Error("two TLS records")
			}
			s = r
		}
	}
	return q, s
}

func TestHandshake(t *testing.T) {
	for _, version := range []uint32{version1, version2, 0xff00001d, mvfst2} {
		client, server := handshake(t, "quick.example")
		ck, sk, err := new(macs).initialKeys(version, dcid)
		if err != nil {
			t.Fatal(err)
		}
		third := len(client) / 3
		// Pieces out of order over two packets, between paddings and a ping.
		one := append([]byte{1, 0, 0}, cryptoFrame(2*third, client[2*third:])...)
		one = append(one, cryptoFrame(0, client[:10])...)
		two := append(cryptoFrame(5, client[5:2*third]), make([]byte, 300)...)
		first := seal(&ck, version, dcid, scid, 0, one)
		answer := seal(&sk, version, scid, peer, 0, append([]byte{2, 0, 0, 0, 0}, cryptoFrame(0, server)...))
		if v := Protocol().Probe(id, first[:min(len(first), 1024)], nil); v != protocol.Yes {
			t.Errorf("%s: probe %v", versionName(version), v)
		}
		q, s := records(t, orig(first), orig(seal(&ck, version, peer, scid, 1, two)), resp(append(answer, 0x40, 1, 2, 3)), orig([]byte{0x40, 1, 2, 3}))
		if q == nil || s == nil {
			t.Fatalf("%s: records %v %v", versionName(version), q, s)
		}
		if q.Version != versionName(version) || q.ServerName != "quick.example" || q.ClientProtocol != "h3" ||
			q.InitialDCID != hex.EncodeToString(dcid) || q.ClientSCID != hex.EncodeToString(scid) || q.ServerSCID != hex.EncodeToString(peer) {
			t.Errorf("%+v", q)
		}
		if q.History != "IISis" {
			t.Errorf("history %q", q.History)
		}
		if !s.QUIC || !s.Established || s.ServerName != "quick.example" || s.Version != "TLSv13" || !strings.HasPrefix(s.JA4, "q13d") ||
			!strings.Contains(s.JA4, "h3_") || len(s.JA3) != 32 || len(s.JA3S) != 32 {
			t.Errorf("%+v", s)
		}
	}
}

func TestRetryChangesKeys(t *testing.T) {
	client, _ := handshake(t, "retry.example")
	k1, _, _ := new(macs).initialKeys(version1, dcid)
	k2, _, _ := new(macs).initialKeys(version1, peer)
	half := cryptoFrame(0, client[:50])
	retry := append([]byte{0xf0, 0, 0, 0, 1, 4}, scid...)
	retry = append(append(retry, byte(len(peer))), peer...)
	retry = append(retry, make([]byte, 40)...)
	q, s := records(t, orig(seal(&k1, version1, dcid, scid, 0, append(half, make([]byte, 100)...))), resp(retry),
		orig(seal(&k2, version1, peer, scid, 1, cryptoFrame(0, client))))
	if s == nil || s.ServerName != "retry.example" || q.History != "IrIS" {
		t.Errorf("%+v %+v", q, s)
	}
}

func TestOtherVersions(t *testing.T) {
	chlo := []byte("CHLO\x02\x00\x00\x00SNI\x00\x0b\x00\x00\x00UAID\x0d\x00\x00\x00old.examplexx")
	q043 := append([]byte("\x0912345678Q043\x01"), chlo...)
	q046 := append([]byte("\xc3Q046\x5012345678\x00\x00\x00\x01"), chlo...)
	for _, b := range [][]byte{q043, q046} {
		if v := Protocol().Probe(id, b, nil); v != protocol.Yes {
			t.Errorf("probe %q: %v", b, v)
		}
		q, s := records(t, orig(b))
		if q == nil || s != nil || q.Version[:2] != "Q0" || q.ServerName != "old.example" || q.InitialDCID != hex.EncodeToString(dcid) {
			t.Errorf("%+v %+v", q, s)
		}
	}
	ck, _, _ := new(macs).initialKeys(googleQ050, dcid)
	q, _ := records(t, orig(seal(&ck, googleQ050, dcid, nil, 0, append(cryptoFrame(0, chlo), make([]byte, 100)...))))
	if q == nil || q.Version != "Q050" || q.ServerName != "old.example" {
		t.Errorf("%+v", q)
	}
	negotiate := append([]byte{0x80, 0, 0, 0, 0, 8}, dcid...)
	negotiate = append(negotiate, 0, 0, 0, 0, 1)
	greased := append([]byte{0xc0, 0x1a, 0x2a, 0x3a, 0x4a, 8}, dcid...)
	greased = append(append(greased, 0), make([]byte, 1200)...)
	for _, b := range [][]byte{negotiate, greased} {
		if v := Protocol().Probe(id, b, nil); v != protocol.Yes {
			t.Errorf("probe %x: %v", b[:5], v)
		}
	}
	if q, _ := records(t, orig(greased), resp(negotiate)); q == nil || q.History != "Uv" || q.InitialDCID == "" {
		t.Errorf("%+v", q)
	}
}

func TestProbeRefuses(t *testing.T) {
	for _, b := range []string{
		"", "\xc0", "\xc0\x00\x00\x00\x01", "\xc0\x00\x00\x00\x01\xff12345678", "GET / HTTP/1.1\r\n\r\n", "\x40abcdefghijklmnopqrst",
		"\xc0\x00\x00\x00\x02\x081234567800000000", "\x09 12345678X043 and more",
	} {
		if v := Protocol().Probe(id, []byte(b), nil); v == protocol.Yes {
			t.Errorf("probe %q says yes", b)
		}
	}
}

// TestStream adds pieces in several orders, with overlap.
func TestStream(t *testing.T) {
	whole := append([]byte{1, 0, 0, 60}, bytes.Repeat([]byte("0123456789"), 6)...)
	orders := [][][2]int{
		{{0, 64}}, {{32, 64}, {0, 32}}, {{0, 10}, {50, 64}, {20, 30}, {25, 55}, {5, 25}}, {{60, 64}, {0, 1}, {2, 3}, {4, 5}, {0, 64}},
	}
	for _, order := range orders {
		var s stream
		for _, p := range order {
			if !s.add(uint64(p[0]), whole[p[0]:p[1]]) {
				t.Fatal("refused")
			}
		}
		if typ, body, ok := s.message(); !ok || typ != 1 || !bytes.Equal(body, whole[4:]) {
			t.Errorf("%v: %v %q", order, ok, body)
		}
	}
	var s stream
	if s.add(maxCrypto, []byte{1}) || s.add(1<<62, []byte{1}) {
		t.Error("accepted beyond the bound")
	}
	refused := false
	for i := range 2 * maxSpans {
		refused = refused || !s.add(uint64(2*i), []byte{1})
	}
	if !refused || len(s.spans) > maxSpans {
		t.Errorf("%d pieces held", len(s.spans))
	}
	s.reset()
	s.add(0, []byte("first"))
	s.add(3, []byte("XXlast"))
	if string(s.data) != "firstlast" {
		t.Errorf("%q: what came first must stay", s.data)
	}
}

func FuzzDatagrams(f *testing.F) {
	client, server := handshake(f, "fuzz.example")
	ck, sk, _ := new(macs).initialKeys(version1, dcid)
	f.Add(seal(&ck, version1, dcid, scid, 0, cryptoFrame(0, client)), seal(&sk, version1, scid, peer, 0, cryptoFrame(0, server)))
	f.Add([]byte("\x0912345678Q043\x01CHLO\x01\x00\x00\x00SNI\x00\x0b\x00\x00\x00old.example"), []byte{0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1})
	f.Fuzz(func(t *testing.T, o, r []byte) {
		Protocol().Probe(id, o, r)
		protocoltest.Run(Protocol(), id, orig(o), resp(r), orig(r), resp(o))
	})
}

// FuzzFrames sends foreign frames through a good seal.
func FuzzFrames(f *testing.F) {
	client, _ := handshake(f, "fuzz.example")
	ck, _, _ := new(macs).initialKeys(version1, dcid)
	f.Add(append([]byte{1, 0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1}, cryptoFrame(0, client)...))
	f.Add(append(cryptoFrame(100, client[100:]), 0x1c))
	f.Fuzz(func(t *testing.T, frames []byte) {
		if len(frames) < 20 || len(frames) > 1<<14-100 {
			return
		}
		protocoltest.Run(Protocol(), id, orig(seal(&ck, version1, dcid, scid, 0, frames)), orig(seal(&ck, version1, dcid, scid, 1, frames)))
	})
}

func BenchmarkInitial(b *testing.B) {
	client, server := handshake(b, "bench.example")
	ck, sk, _ := new(macs).initialKeys(version1, dcid)
	first := seal(&ck, version1, dcid, scid, 0, append(cryptoFrame(0, client), make([]byte, 1000)...))
	answer := append(seal(&sk, version1, scid, peer, 0, cryptoFrame(0, server)), 0x40, 1, 2)
	last := []byte{0x40, 1, 2}
	a := Protocol().Open(new(protocol.Records))()
	var f protocol.Flow
	var h protocoltest.Host
	b.ReportAllocs()
	for b.Loop() {
		f.Bind(&h)
		f.ID, f.Now = id, 1
		h.Records = h.Records[:0]
		a.Data(&f, protocol.Orig, first)
		a.Data(&f, protocol.Resp, answer)
		a.Data(&f, protocol.Orig, last)
		a.End(&f)
		a.Reset()
	}
	if len(h.Records) != 2 {
		b.Fatalf("%d records", len(h.Records))
	}
}
