package tls

import (
	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/protocol"
)

const (
	dtlsHead = 13 // of a record (RFC 6347 section 4.1)
	dtlsMsg  = 12 // of a handshake message (RFC 6347 section 4.2.2)
	// maxDatagrams ends the reading of a handshake that does not end itself.
	maxDatagrams = 64
)

// DTLS describes TLS over UDP.
func DTLS() protocol.Protocol {
	return protocol.Protocol{
		Name:  "dtls",
		Over:  protocol.OverUDP,
		Ports: []uint16{443, 853, 4433, 5061, 5684},
		Probe: probeDTLS,
		Open: func(records *protocol.Records) func() protocol.Analyzer {
			mem := NewMemory(records)
			return func() protocol.Analyzer {
				return &datagrams{session: *NewSession(mem, 'd')}
			}
		},
	}
}

func probeDTLS(_ testudo.ConnID, orig, resp []byte) protocol.Verdict {
	switch {
	case isDTLSHello(orig) || isDTLSHello(resp):
		return protocol.Yes
	case len(orig) == 0 && len(resp) == 0:
		return protocol.Maybe
	}
	return protocol.No
}

// isDTLSHello tells a datagram that begins with a client hello, a server
// hello or a request to verify.
func isDTLSHello(b []byte) bool {
	if len(b) < dtlsHead+dtlsMsg || b[0] != recHandshake || !isDTLS(uint16(b[1])<<8|uint16(b[2])) {
		return false
	}
	record := int(b[11])<<8 | int(b[12])
	m := b[dtlsHead:]
	total := int(m[1])<<16 | int(m[2])<<8 | int(m[3])
	offset := int(m[6])<<16 | int(m[7])<<8 | int(m[8])
	length := int(m[9])<<16 | int(m[10])<<8 | int(m[11])
	return (m[0] >= msgClientHello && m[0] <= 3) && record >= dtlsMsg+length &&
		record <= maxRecord && offset+length <= total && total <= maxMessage
}

// assembly is a handshake message that comes in fragments, in order.
type assembly struct {
	seq  int
	typ  byte
	need int
	data []byte
}

// datagrams reads one DTLS conversation.
type datagrams struct {
	session Session
	parts   [2]assembly
	changed [2]bool
	count   int
}

// Reset implements protocol.Analyzer.
func (a *datagrams) Reset() {
	a.session.Reset()
	*a = datagrams{session: a.session}
}

// End implements protocol.Analyzer.
func (a *datagrams) End(f *protocol.Flow) { a.session.Emit(f) }

// Gap implements protocol.Analyzer: datagrams lose nothing but themselves.
func (a *datagrams) Gap(*protocol.Flow, protocol.Dir, int) {}

// Data implements protocol.Analyzer.
func (a *datagrams) Data(f *protocol.Flow, dir protocol.Dir, data []byte) int {
	for rest := data; len(rest) >= dtlsHead && !f.IsDone(); {
		n := int(rest[11])<<8 | int(rest[12])
		if n > len(rest)-dtlsHead || !isDTLS(uint16(rest[1])<<8|uint16(rest[2])) {
			break
		}
		epoch := int(rest[3])<<8 | int(rest[4])
		a.record(f, dir, rest[0], epoch, rest[dtlsHead:dtlsHead+n])
		rest = rest[dtlsHead+n:]
	}
	if a.count++; a.count >= maxDatagrams && !f.IsDone() {
		a.finish(f)
	}
	return len(data)
}

func (a *datagrams) finish(f *protocol.Flow) {
	a.session.Emit(f)
	f.Done()
}

func (a *datagrams) record(f *protocol.Flow, dir protocol.Dir, typ byte, epoch int, body []byte) {
	switch {
	case epoch > 0 && (typ == recHandshake || typ == recData):
		a.changed[dir] = true
		if a.changed[0] && a.changed[1] && a.session.Answered() {
			a.session.Established()
			a.finish(f)
		}
	case epoch > 0:
	case typ == recHandshake:
		a.handshake(f, dir, body)
	case typ == recChangeCipher:
		if a.session.Answered() && dir != a.session.client {
			a.session.Abbreviated()
		}
	case typ == recAlert && len(body) == 2:
		a.session.Alert(body[1])
		if body[0] == 2 {
			a.finish(f)
		}
	}
}

// handshake reads the messages and fragments of a record. Fragments out of
// order are dropped: the sender repeats them.
func (a *datagrams) handshake(f *protocol.Flow, dir protocol.Dir, body []byte) {
	for r := (reader{b: body}); len(r.b) > 0 && !f.IsDone(); {
		typ, total, seq := r.u8(), r.u24(), int(r.u16())
		offset, length := r.u24(), r.u24()
		part := r.take(length)
		if r.bad || offset+length > total || total > maxMessage {
			return
		}
		if offset == 0 && length == total {
			a.session.Message(f, dir, typ, part)
			continue
		}
		p := &a.parts[dir]
		if offset == 0 {
			*p = assembly{seq: seq, typ: typ, need: total, data: p.data[:0]}
		}
		if seq != p.seq || typ != p.typ || total != p.need || offset != len(p.data) {
			continue
		}
		p.data = append(p.data, part...)
		if len(p.data) == p.need {
			a.session.Message(f, dir, typ, p.data)
			p.need = -1
		}
	}
}
