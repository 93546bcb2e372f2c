package tls_test

import (
	"encoding/binary"
	"testing"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/protocol"
	"github.com/testudo-shield/testudo/sense/protocol/protocoltest"
	"github.com/testudo-shield/testudo/sense/protocol/tls"
)

// dtlsRecord makes a record of DTLS 1.2.
func dtlsRecord(typ byte, epoch uint16, body []byte) []byte {
	b := []byte{typ, 0xfe, 0xfd}
	b = binary.BigEndian.AppendUint16(b, epoch)
	b = append(b, 0, 0, 0, 0, 0, 1)
	return append(b, vec16(body)...)
}

// dtlsFragment is the part [from,to) of a handshake message.
func dtlsFragment(typ byte, seq uint16, body []byte, from, to int) []byte {
	u24 := func(v int) []byte { return []byte{byte(v >> 16), byte(v >> 8), byte(v)} }
	b := append([]byte{typ}, u24(len(body))...)
	b = binary.BigEndian.AppendUint16(b, seq)
	b = append(append(b, u24(from)...), u24(to-from)...)
	return append(b, body[from:to]...)
}

func TestDTLS(t *testing.T) {
	hello := helloSpec{version: 0xfefd, cookie: true, ciphers: []uint16{0xc02b}, extensions: []extension{serverName("udp.example")}}.body()
	answer := append(append([]byte{0xfe, 0xfd}, make([]byte, 33)...), 0xc0, 0x2b, 0)
	cert := makeCertificate(t, "udp.example", nil).Certificate[0]
	chain := append([]byte{0, byte(len(cert) >> 8), byte(len(cert))}, cert...)
	chain = append([]byte{0, byte(len(chain) >> 8), byte(len(chain))}, chain...)
	first := dtlsRecord(22, 0, dtlsFragment(1, 0, hello, 0, len(hello)))
	steps := []protocoltest.Step{
		orig(first),
		resp(dtlsRecord(22, 0, dtlsFragment(3, 0, []byte{0xfe, 0xfd, 0}, 0, 3))),
		orig(dtlsRecord(22, 0, dtlsFragment(1, 1, hello, 0, 50))),
		orig(dtlsRecord(22, 0, dtlsFragment(1, 1, hello, 50, len(hello)))),
		resp(append(dtlsRecord(22, 0, dtlsFragment(2, 1, answer, 0, len(answer))), dtlsRecord(22, 0, dtlsFragment(11, 2, chain, 0, 100))...)),
		resp(dtlsRecord(22, 0, dtlsFragment(11, 2, chain, 100, len(chain)))),
		orig(dtlsRecord(20, 0, []byte{1})),
		orig(dtlsRecord(22, 1, make([]byte, 40))),
		resp(append(dtlsRecord(20, 0, []byte{1}), dtlsRecord(22, 1, make([]byte, 40))...)),
	}
	id := protocoltest.ID
	id.Proto = testudo.UDP
	if v := tls.DTLS().Probe(id, first, nil); v != protocol.Yes {
		t.Errorf("probe: %v", v)
	}
	r := only(t, protocoltest.Run(tls.DTLS(), id, steps...))
	if r.Version != "DTLSv12" || r.ServerName != "udp.example" || !r.Established || r.JA4[:8] != "dd2d0101" || r.JA4Again != "" || r.Leaf == nil {
		t.Errorf("%+v", r)
	}
}

func FuzzDTLS(f *testing.F) {
	hello := helloSpec{version: 0xfefd, cookie: true, ciphers: []uint16{0xc02b}, extensions: []extension{serverName("udp.example")}}.body()
	f.Add(dtlsRecord(22, 0, dtlsFragment(1, 0, hello, 0, len(hello))), dtlsRecord(22, 0, dtlsFragment(2, 1, make([]byte, 40), 0, 20)))
	id := protocoltest.ID
	id.Proto = testudo.UDP
	f.Fuzz(func(t *testing.T, o, r []byte) {
		tls.DTLS().Probe(id, o, r)
		protocoltest.Run(tls.DTLS(), id, orig(o), resp(r), orig(r), resp(o))
	})
}
