package tls_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	stdtls "crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"io"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/testudo-shield/testudo/sense/protocol"
	"github.com/testudo-shield/testudo/sense/protocol/protocoltest"
)

// makeCertificate makes a certificate for name, signed by its own key or by
// the parent.
func makeCertificate(t testing.TB, name string, parent *stdtls.Certificate) stdtls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return issue(t, name, key, parent)
}

func issue(t testing.TB, name string, key crypto.Signer, parent *stdtls.Certificate) stdtls.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(0x1234567890),
		Subject:               pkix.Name{CommonName: name, Organization: []string{"Shields, Inc."}, Country: []string{"NL"}},
		NotBefore:             time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC),
		NotAfter:              time.Date(2034, 1, 1, 0, 0, 0, 0, time.UTC),
		DNSNames:              []string{name, "www." + name},
		BasicConstraintsValid: true,
		IsCA:                  parent == nil,
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	issuer, signer := template, key
	if parent != nil {
		issuer, signer = parent.Leaf, parent.PrivateKey.(crypto.Signer)
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, issuer, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	chain := [][]byte{raw}
	if parent != nil {
		chain = append(chain, parent.Certificate...)
	}
	return stdtls.Certificate{Certificate: chain, PrivateKey: key, Leaf: leaf}
}

// A pipe is one direction of a connection: what is written waits to be read.
type pipe struct {
	mu     sync.Mutex
	more   *sync.Cond
	data   []byte
	closed bool
}

func newPipe() *pipe {
	p := new(pipe)
	p.more = sync.NewCond(&p.mu)
	return p
}

func (p *pipe) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.more.Broadcast()
}

// recorder is one end of a connection that keeps what is written to it.
type recorder struct {
	net.Conn // for the methods that nobody calls
	in, out  *pipe
	keep     func([]byte)
}

func (r recorder) Write(b []byte) (int, error) {
	r.keep(b)
	r.out.mu.Lock()
	r.out.data = append(r.out.data, b...)
	r.out.mu.Unlock()
	r.out.more.Broadcast()
	return len(b), nil
}

func (r recorder) Read(b []byte) (int, error) {
	r.in.mu.Lock()
	defer r.in.mu.Unlock()
	for len(r.in.data) == 0 && !r.in.closed {
		r.in.more.Wait()
	}
	n := copy(b, r.in.data)
	r.in.data = r.in.data[n:]
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// converse lets two real ends shake hands and exchange a few words, and
// returns what went over the wire and what the client made of it.
func converse(t testing.TB, client, server *stdtls.Config) ([]protocoltest.Step, stdtls.ConnectionState) {
	t.Helper()
	var steps []protocoltest.Step
	var mu sync.Mutex
	keep := func(dir protocol.Dir) func([]byte) {
		return func(b []byte) {
			mu.Lock()
			steps = append(steps, protocoltest.Step{Dir: dir, Data: append([]byte(nil), b...)})
			mu.Unlock()
		}
	}
	up, down := newPipe(), newPipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		s := stdtls.Server(recorder{in: up, out: down, keep: keep(protocol.Resp)}, server)
		var word [5]byte
		if _, err := io.ReadFull(s, word[:]); err == nil {
			s.Write([]byte("world"))
		}
		down.close()
	}()
	c := stdtls.Client(recorder{in: down, out: up, keep: keep(protocol.Orig)}, client)
	if _, err := c.Write([]byte("hello")); err == nil {
		var word [5]byte
		io.ReadFull(c, word[:])
	}
	state := c.ConnectionState()
	up.close()
	<-done
	return steps, state
}

// helloSpec builds client hellos by hand.
type helloSpec struct {
	version    uint16
	ciphers    []uint16
	extensions []extension
	cookie     bool // the form of DTLS
}

type extension struct {
	typ  uint16
	body []byte
}

func (s helloSpec) body() []byte {
	b := binary.BigEndian.AppendUint16(nil, s.version)
	b = append(b, make([]byte, 32)...)
	b = append(b, 0)
	if s.cookie {
		b = append(b, 0)
	}
	b = append(b, list16(s.ciphers...)...)
	b = append(b, 1, 0)
	var exts []byte
	for _, e := range s.extensions {
		exts = binary.BigEndian.AppendUint16(exts, e.typ)
		exts = append(exts, vec16(e.body)...)
	}
	return append(b, vec16(exts)...)
}

// vec16 puts a two-byte length before b, vec8 one of one byte.
func vec16(b []byte) []byte { return append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...) }
func vec8(b []byte) []byte  { return append([]byte{byte(len(b))}, b...) }

func list16(v ...uint16) []byte {
	var b []byte
	for _, x := range v {
		b = binary.BigEndian.AppendUint16(b, x)
	}
	return vec16(b)
}

func serverName(name string) extension {
	return extension{0, vec16(append([]byte{0}, vec16([]byte(name))...))}
}

func alpn(names ...string) extension {
	var b []byte
	for _, n := range names {
		b = append(b, vec8([]byte(n))...)
	}
	return extension{16, vec16(b)}
}

// message puts a handshake header before a body, record a record header.
func message(typ byte, body []byte) []byte {
	return append([]byte{typ, byte(len(body) >> 16), byte(len(body) >> 8), byte(len(body))}, body...)
}

func record(typ byte, body []byte) []byte {
	return append([]byte{typ, 3, 1}, vec16(body)...)
}

func orig(b []byte) protocoltest.Step { return protocoltest.Step{Dir: protocol.Orig, Data: b} }
func resp(b []byte) protocoltest.Step { return protocoltest.Step{Dir: protocol.Resp, Data: b} }
