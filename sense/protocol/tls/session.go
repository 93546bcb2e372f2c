package tls

import (
	"strconv"
	"strings"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/protocol"
)

// The handshake message types (IANA, TLS HandshakeType).
const (
	msgClientHello = 1
	msgServerHello = 2
	msgCertificate = 11
	msgKeyExchange = 12
)

// Limits of a session and of what a shard remembers.
const (
	maxChain = 10
	maxCerts = 256
	// maxMessage is the longest handshake message that is put together.
	maxMessage = 64 << 10
)

// A Memory is what the sessions of one shard share: room for records, and
// the certificates parsed lately, so that one shown a thousand times is read
// once. What is remembered never shows in the output. Use NewMemory.
type Memory struct {
	records *protocol.Records
	strings protocol.Slab[string]
	text    [128]byte // for a fingerprint under way
	hello   Hello     // the one under way, as answer is
	answer  ServerHello
	prints  printMemory
	answers answerMemory
	digest  digest
	certs   map[[32]byte]*testudo.X509
	ring    [maxCerts][32]byte
	next    int
}

// NewMemory returns an empty memory whose sessions write records of records.
func NewMemory(records *protocol.Records) *Memory { return &Memory{records: records} }

// certificate returns the parsed form of raw, shared: copy before change.
func (m *Memory) certificate(raw []byte) *testudo.X509 {
	sum := m.digest.sum(raw)
	if c := m.certs[sum]; c != nil {
		return c
	}
	c := new(testudo.X509)
	parseCertificate(raw, c)
	if m.certs == nil {
		m.certs = make(map[[32]byte]*testudo.X509)
	}
	if len(m.certs) >= maxCerts {
		delete(m.certs, m.ring[m.next])
	}
	m.certs[sum] = c
	m.ring[m.next] = sum
	m.next = (m.next + 1) % maxCerts
	return c
}

// A Session gathers what the handshake messages of one conversation say,
// whatever carries them. Its owner feeds it messages and changes of state and
// calls Emit once; Reset makes it ready for another conversation.
type Session struct {
	mem       *Memory
	transport byte

	rec    *testudo.TLS // nil until a message came
	client protocol.Dir
	ticket bool // the client presented a ticket or a session id
	id     [32]byte
	idLen  int

	version uint16  // chosen by the server
	certs   int     // of the server, seen in clear
	shown   [2]bool // that side sent a Certificate message
	done    bool
}

// NewSession returns a session whose JA4 starts with transport: 't', 'q' or
// 'd'. Sessions of one shard share mem.
func NewSession(mem *Memory, transport byte) *Session {
	return &Session{mem: mem, transport: transport}
}

// Reset forgets the conversation.
func (s *Session) Reset() { *s = Session{mem: s.mem, transport: s.transport} }

// Begun says that a hello was seen.
func (s *Session) Begun() bool { return s.rec != nil }

// Client returns who sent the client hello; Orig before one was seen.
func (s *Session) Client() protocol.Dir { return s.client }

// ServerName returns what the client asked for, empty for nothing.
func (s *Session) ServerName() string {
	if s.rec == nil {
		return ""
	}
	return s.rec.ServerName
}

// ClientProtocol returns the first protocol the client offered by ALPN.
func (s *Session) ClientProtocol() string {
	if s.rec == nil || len(s.rec.ClientALPN) == 0 {
		return ""
	}
	return s.rec.ClientALPN[0]
}

// Answered says that the server chose: its hello was seen.
func (s *Session) Answered() bool { return s.rec != nil && s.rec.ServerHello }

// Established says that both sides ended the handshake.
func (s *Session) Established() { s.record().Established = true }

// record returns the record under way, making it with the first message.
func (s *Session) record() *testudo.TLS {
	if s.rec == nil {
		s.rec = s.mem.records.TLS()
		s.rec.QUIC = s.transport == 'q'
	}
	return s.rec
}

// Message takes a whole handshake message without its header. Certificates
// are emitted at once.
func (s *Session) Message(f *protocol.Flow, dir protocol.Dir, typ byte, body []byte) {
	switch typ {
	case msgClientHello:
		s.clientHello(f, dir, body)
	case msgServerHello:
		s.serverHello(f, dir, body)
	case msgCertificate:
		s.certificates(f, dir, body)
	case msgKeyExchange:
		s.keyExchange(body)
	}
}

func (s *Session) clientHello(f *protocol.Flow, dir protocol.Dir, body []byte) {
	if s.rec != nil && s.rec.ClientHello {
		s.secondHello(f, dir, body)
		return
	}
	h := &s.mem.hello
	if err := h.Parse(body); err != nil {
		f.Weird("ssl", "tls_client_hello_malformed", "")
		return
	}
	r := s.record()
	if r.Time == 0 {
		r.Time = f.Now
	}
	s.client = dir
	r.ClientHello = true
	r.ServerName = f.Intern(h.ServerName)
	r.ECH = h.ECH
	p := s.mem.prints.of(f, s.transport, h)
	r.JA4 = p.ja4
	if s.transport != 'd' {
		r.JA3 = p.ja3
	}
	if len(h.ALPN) > 0 {
		r.ClientALPN = s.mem.strings.Take(len(h.ALPN))
		for i, p := range h.ALPN {
			r.ClientALPN[i] = f.Intern(p)
		}
	}
	s.ticket = h.Ticket || h.PSK
	s.idLen = copy(s.id[:], h.SessionID)
}

// oldHello notes a client hello in SSL 2 form, which has no fingerprints.
func (s *Session) oldHello(f *protocol.Flow, dir protocol.Dir) {
	r := s.record()
	r.Time, r.ClientHello = f.Now, true
	s.client = dir
}

// secondHello is the client's answer to a request to try again. It may offer
// differently, which is kept where it shows.
func (s *Session) secondHello(f *protocol.Flow, dir protocol.Dir, body []byte) {
	if dir != s.client || s.rec.JA4Again != "" || s.mem.hello.Parse(body) != nil {
		return
	}
	again := JA4(s.transport, &s.mem.hello)
	if s.transport == 'd' && again == s.rec.JA4 {
		return // DTLS asks every client to come again with a cookie
	}
	s.rec.JA4Again = f.Intern([]byte(again))
}

func (s *Session) serverHello(f *protocol.Flow, dir protocol.Dir, body []byte) {
	if s.rec != nil && s.rec.ServerHello {
		return
	}
	a := &s.mem.answer
	if err := a.Parse(body); err != nil {
		f.Weird("ssl", "tls_server_hello_malformed", "")
		return
	}
	if a.Retry {
		s.version = a.Version
		return
	}
	r := s.record()
	if r.Time == 0 {
		r.Time = f.Now
	}
	if !r.ClientHello {
		s.client = dir.Reverse()
	}
	r.ServerHello = true
	s.version = a.Version
	r.Version = VersionName(a.Version)
	r.Cipher = CipherName(a.Cipher)
	if a.Group != 0 {
		r.Curve = groupName(a.Group)
	}
	r.ALPN = f.Intern(a.ALPN)
	p := s.mem.answers.of(f, a)
	r.ServerPrint = p.print
	if s.transport != 'd' {
		r.JA3S = p.ja3s
	}
	r.Resumed = a.PSK
	if !s.modern() && len(a.SessionID) > 0 && r.ClientHello {
		r.Resumed = string(a.SessionID[:min(len(a.SessionID), 32)]) == string(s.id[:s.idLen])
	}
}

// modern says that the server chose TLS 1.3 or a draft of it.
func (s *Session) modern() bool {
	return s.version == 0x0304 || s.version == 0xfefc || s.version>>8 == 0x7f
}

// certPrint is the second half: the shape of the server's certificate, which
// a template of its maker repeats from server to server.
func certPrint(to []byte, c *testudo.X509, chain int) []byte {
	b := make([]byte, 0, 96)
	b = append(b, c.KeyType...)
	b = appendUint(append(b, '|'), uint64(c.KeyLength))
	b = append(append(b, '|'), c.SigAlg...)
	b = appendUint(append(b, '|'), uint64(c.Version))
	b = appendUint(append(b, '|'), validityBucket(c))
	b = appendUint(append(b, '|'), uint64(c.Extensions))
	b = strconv.AppendBool(append(b, '|'), c.Subject == c.Issuer)
	b = appendUint(append(b, '|'), uint64(len(c.Serial)+1)/2)
	b = appendUint(append(b, '|'), uint64(chain))
	b = appendAttributes(append(b, '|'), c.Subject)
	return appendShort(to, b)
}

// validityBucket is for how many days a certificate is good, as the highest
// of a few usual spans that it reaches.
func validityBucket(c *testudo.X509) uint64 {
	const day = 86400 * 1e9
	days := (float64(c.NotAfter) - float64(c.NotBefore)) / day
	last := uint64(0)
	for _, span := range [...]uint64{6, 29, 89, 179, 364, 394, 729, 1094, 1824, 3649, 7299} {
		if days >= float64(span) {
			last = span
		}
	}
	return last
}

// appendAttributes lists the kinds of a distinguished name without their
// values.
func appendAttributes(b []byte, dn string) []byte {
	first := true
	for len(dn) > 0 {
		part, rest, _ := strings.Cut(dn, ",")
		dn = rest
		if k, _, ok := strings.Cut(part, "="); ok {
			if !first {
				b = append(b, ',')
			}
			b, first = append(b, k...), false
		}
	}
	return b
}

// certificates emits the chain of a Certificate message in clear, that is up
// to TLS 1.2 (RFC 5246 section 7.4.2).
func (s *Session) certificates(f *protocol.Flow, dir protocol.Dir, body []byte) {
	if s.rec == nil || s.modern() {
		return
	}
	fromClient := dir == s.client
	if s.shown[dir] {
		return // once is enough: no one may make us write without end
	}
	s.shown[dir] = true
	r := reader{b: body}
	list := reader{b: r.vec24()}
	if r.bad {
		f.Weird("ssl", "tls_certificate_malformed", "")
		return
	}
	var prints [maxChain]string
	n := 0
	var leaf *testudo.X509
	for len(list.b) > 0 && n < maxChain {
		raw := list.vec24()
		if list.bad || len(raw) == 0 {
			f.Weird("ssl", "tls_certificate_malformed", "")
			break
		}
		c, known := s.mem.records.X509(), s.mem.certificate(raw)
		*c = *known
		c.Time, c.UID, c.ID = f.Now, f.UID, f.ID
		c.HostCert, c.ClientCert = n == 0 && !fromClient, fromClient
		if n == 0 {
			leaf = known
		}
		prints[n] = c.Fingerprint
		n++
		f.Emit(c)
	}
	if fromClient || n == 0 {
		return
	}
	s.certs = n
	s.rec.Leaf = leaf
	s.rec.Chain = s.mem.strings.Take(n)
	copy(s.rec.Chain, prints[:n])
	s.rec.Subject, s.rec.Issuer = leaf.Subject, leaf.Issuer
	if s.rec.ServerPrint != "" {
		s.rec.ServerPrint = f.Intern(certPrint(append(append(s.mem.text[:0], s.rec.ServerPrint...), '-'), leaf, n))
	}
}

// keyExchange reads the curve of an ECDHE exchange (RFC 8422 section 5.4).
func (s *Session) keyExchange(body []byte) {
	if s.rec == nil || len(body) < 3 || body[0] != 3 || !strings.Contains(s.rec.Cipher, "_ECDH") {
		return
	}
	s.rec.Curve = groupName(uint16(body[1])<<8 | uint16(body[2]))
}

// Alert notes an alert in clear.
func (s *Session) Alert(code byte) {
	if s.rec != nil {
		s.rec.LastAlert = alertName(code)
	}
}

// Abbreviated says that the server ended its part without a certificate:
// with a ticket presented, the session was resumed (RFC 5077).
func (s *Session) Abbreviated() {
	if s.rec != nil && s.certs == 0 && s.ticket && !s.modern() {
		s.rec.Resumed = true
	}
}

// Emit writes the record, once, if any hello was seen.
func (s *Session) Emit(f *protocol.Flow) {
	if s.rec == nil || s.done || !s.rec.ClientHello && !s.rec.ServerHello {
		return
	}
	s.done = true
	f.Emit(s.rec)
}
