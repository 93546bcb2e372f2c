// Package tls reads the handshakes of SSL and TLS over TCP ("ssl") and of
// DTLS over UDP ("dtls"), as far as they are in clear: hellos, certificates,
// alerts. It writes one testudo.TLS for each handshake and one testudo.X509
// for each certificate, and stops reading as soon as all that can be seen was
// seen. It finds a handshake also behind a plain preface, as after STARTTLS
// or a SOCKS request. Package quic feeds the same Session. See README.md.
package tls

import (
	"bytes"
	"strconv"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/protocol"
)

// The record types (IANA, TLS ContentType).
const (
	recChangeCipher = 20
	recAlert        = 21
	recHandshake    = 22
	recData         = 23
	recHeartbeat    = 24
)

const (
	headLen   = 5               // of a record
	maxRecord = 1<<14 + 1<<11   // RFC 5246 section 6.2.3
	maxSearch = 4 << 10         // bytes of preface before the handshake
	peekLen   = headLen + 4 + 2 // what findHello needs to see
)

// Protocol describes SSL and TLS over TCP.
func Protocol() protocol.Protocol {
	return protocol.Protocol{
		Name:  "ssl",
		Over:  protocol.OverTCP,
		Ports: []uint16{443, 465, 563, 636, 853, 989, 990, 992, 993, 995, 5061, 8443},
		Probe: probe,
		Open: func(records *protocol.Records) func() protocol.Analyzer {
			mem := NewMemory(records)
			return func() protocol.Analyzer {
				return &analyzer{session: *NewSession(mem, 't')}
			}
		},
	}
}

// probe says Yes to a hello at the start of either direction or, exactly in
// form, after a preface, and to a chain of records of a handshake long past.
func probe(_ testudo.ConnID, orig, resp []byte) protocol.Verdict {
	o, r := look(orig), look(resp)
	switch {
	case o == protocol.Yes || r == protocol.Yes:
		return protocol.Yes
	case o == protocol.No && r == protocol.No:
		return protocol.No
	}
	return protocol.Maybe
}

func look(b []byte) protocol.Verdict {
	const enough = 1 << 10
	switch {
	case isOpenVPN(b):
		return protocol.No
	case isFirstHello(b), findHello(b) >= 0, isSSLv2(b), isChain(b):
		return protocol.Yes
	case len(b) < enough:
		return protocol.Maybe
	}
	return protocol.No
}

// findHello returns where a record with a client or server hello begins in b,
// or -1. Version and lengths must fit each other, which chance does not do.
func findHello(b []byte) int {
	for at := 0; ; at++ {
		i := bytes.IndexByte(b[at:], recHandshake)
		if i < 0 || len(b)-at-i < peekLen {
			return -1
		}
		at += i
		if isHello(b[at:]) {
			return at
		}
	}
}

// isFirstHello is isHello at the start of a stream, where the record may also
// cut the hello short.
func isFirstHello(b []byte) bool {
	return len(b) >= peekLen && b[3] == 0 && b[4] >= peekLen-headLen && b[4] < 64 && helloShape(b)
}

func isHello(b []byte) bool {
	message := int(b[6])<<16 | int(b[7])<<8 | int(b[8])
	record := int(b[3])<<8 | int(b[4])
	return helloShape(b) && (record >= message+4 || record >= 64)
}

// helloShape wants peekLen bytes: a record of a known version, a hello of a
// known version in it, and lengths that can be.
func helloShape(b []byte) bool {
	record := int(b[3])<<8 | int(b[4])
	message := int(b[6])<<16 | int(b[7])<<8 | int(b[8])
	return b[0] == recHandshake && streamVersion(b[1], b[2]) &&
		(b[5] == msgClientHello || b[5] == msgServerHello) && streamVersion(b[9], b[10]) &&
		record <= maxRecord && message >= 38 && message <= maxMessage
}

// streamVersion tells the versions that a record may bear.
func streamVersion(major, minor byte) bool {
	return major == 3 && minor <= 4 || major == 0x7f
}

// isSSLv2 tells a client hello in SSL 2 form, also one that offers more
// (RFC 5246 appendix E.2).
func isSSLv2(b []byte) bool {
	if len(b) < 11 || b[0]&0x80 == 0 || b[2] != msgClientHello {
		return false
	}
	record := int(b[0]&0x7f)<<8 | int(b[1])
	ciphers, id, challenge := int(b[5])<<8|int(b[6]), int(b[7])<<8|int(b[8]), int(b[9])<<8|int(b[10])
	version := b[3] == 0 && b[4] == 2 || b[3] == 3 && b[4] <= 3
	return version && ciphers > 0 && ciphers%3 == 0 && (id == 0 || id == 16) &&
		challenge >= 16 && challenge <= 32 && record == 9+ciphers+id+challenge
}

// isChain tells two whole record headers in a row, the second where the
// first says, as in the middle of an encrypted conversation.
func isChain(b []byte) bool {
	if !isRecord(b) {
		return false
	}
	next := headLen + (int(b[3])<<8 | int(b[4]))
	return next < len(b) && isRecord(b[next:])
}

func isRecord(b []byte) bool {
	if len(b) < headLen || b[0] < recChangeCipher || b[0] > recHeartbeat || b[1] != 3 || b[2] > 4 {
		return false
	}
	n := int(b[3])<<8 | int(b[4])
	return n > 0 && n <= maxRecord
}

// isOpenVPN tells OpenVPN's packets over TCP, which wrap a handshake of TLS in
// frames of their own: a length, then an opcode, and again behind them.
func isOpenVPN(b []byte) bool {
	const reset, last = 7, 11
	for first := true; ; first = false {
		if len(b) < 3 {
			return !first && len(b) == 0
		}
		n, op := int(b[0])<<8|int(b[1]), b[2]>>3
		if n < 14 || op < 1 || op > last {
			return false
		}
		if op >= reset && op <= 10 && op != 9 && n < 128 {
			return true
		}
		if 2+n > len(b) {
			return false
		}
		b = b[2+n:]
	}
}

// side is the state of one direction.
type side struct {
	synced  bool // the first record was found
	lost    bool // nothing more can be read
	changed bool // it sent ChangeCipherSpec
	sealed  bool // it sent encrypted records
	search  int  // bytes of preface skipped
	skip    int  // bytes of a record still to pass over
	message []byte
}

// An analyzer reads the records of one conversation.
type analyzer struct {
	session Session
	sides   [2]side
	beat    int // what a heartbeat request claimed beyond its own size
}

// Reset implements protocol.Analyzer.
func (a *analyzer) Reset() {
	a.session.Reset()
	a.beat = 0
	for i := range a.sides {
		keep := a.sides[i].message
		if cap(keep) > 4<<10 {
			keep = nil
		}
		a.sides[i] = side{message: keep[:0]}
	}
}

// End implements protocol.Analyzer.
func (a *analyzer) End(f *protocol.Flow) { a.session.Emit(f) }

// Gap implements protocol.Analyzer. A gap inside a record that is passed over
// anyway does no harm; after any other the direction is lost.
func (a *analyzer) Gap(f *protocol.Flow, dir protocol.Dir, n int) {
	s := &a.sides[dir]
	if s.skip >= n {
		s.skip -= n
		return
	}
	s.skip = 0
	s.lost = true
	a.giveUp(f)
}

// giveUp ends the reading when neither direction can say more.
func (a *analyzer) giveUp(f *protocol.Flow) {
	if a.sides[0].over() && a.sides[1].over() {
		a.finish(f)
	}
}

// over says that what follows in this direction is of no use.
func (s *side) over() bool { return s.lost || s.sealed }

func (a *analyzer) finish(f *protocol.Flow) {
	a.session.Emit(f)
	f.Done()
}

// Data implements protocol.Analyzer.
func (a *analyzer) Data(f *protocol.Flow, dir protocol.Dir, data []byte) int {
	s := &a.sides[dir]
	used := 0
	for !f.IsDone() && !s.lost {
		rest := data[used:]
		if s.skip > 0 {
			n := min(s.skip, len(rest))
			s.skip -= n
			used += n
			if s.skip > 0 {
				return used
			}
			continue
		}
		if !s.synced {
			n := a.find(f, dir, rest)
			used += n
			if !s.synced {
				return used
			}
			continue
		}
		if len(rest) < headLen {
			return used
		}
		if !isRecord(rest) {
			a.foreign(f, dir)
			continue
		}
		n := int(rest[3])<<8 | int(rest[4])
		if rest[0] == recHandshake && len(rest) < min(peekLen, headLen+n) {
			return used
		}
		if a.passed(f, dir, rest, n) {
			s.skip = headLen + n
			continue
		}
		if len(rest) < headLen+n {
			return used
		}
		a.record(f, dir, rest[0], rest[headLen:headLen+n])
		used += headLen + n
	}
	return len(data)
}

// find looks for the first record, which may come after a preface, and
// returns how many bytes to drop.
func (a *analyzer) find(f *protocol.Flow, dir protocol.Dir, b []byte) int {
	s := &a.sides[dir]
	if len(b) < headLen {
		return 0
	}
	if s.search == 0 && isRecord(b) {
		s.synced = true
		return 0
	}
	if s.search == 0 && isSSLv2(b) {
		record := 2 + int(b[0]&0x7f)<<8 + int(b[1])
		a.session.oldHello(f, dir)
		s.synced, s.skip = true, record
		return 0
	}
	if i := findHello(b); i >= 0 {
		s.synced = true
		return i
	}
	n := max(0, len(b)-peekLen+1)
	if s.search += n; s.search > maxSearch {
		s.lost = true
		a.giveUp(f)
	}
	return n
}

// foreign is what follows a record without being one.
func (a *analyzer) foreign(f *protocol.Flow, dir protocol.Dir) {
	if !a.sides[dir].sealed {
		f.Weird("ssl", "tls_record_invalid", "")
	}
	a.sides[dir].lost = true
	a.giveUp(f)
}

// passed takes note of the record of n bytes at the start of b if its content
// cannot be read, by type and length alone, and tells whether it is one.
func (a *analyzer) passed(f *protocol.Flow, dir protocol.Dir, b []byte, n int) bool {
	s, ses, typ := &a.sides[dir], &a.session, b[0]
	encrypted := typ == recData || s.changed && !ses.modern() && typ != recChangeCipher
	if encrypted && typ == recHandshake && !ses.Answered() {
		// A ChangeCipherSpec that only pleases old middleboxes may come
		// before the second hello of TLS 1.3.
		encrypted = len(b) < peekLen || !isHello(b)
	}
	if !encrypted {
		return false
	}
	fromClient := ses.Begun() && dir == ses.client
	switch {
	case !ses.Begun() || !ses.Answered():
		// Early data, or a conversation whose handshake was not seen.
		s.sealed = !ses.Begun()
	case ses.modern():
		s.sealed = !fromClient || n > sealedAlert
		if fromClient && s.sealed {
			ses.Established()
			a.finish(f)
		}
	case typ == recAlert:
		// Whoever warns in secret instead of finishing did not agree.
		a.finish(f)
	case typ == recHandshake || typ == recData:
		s.sealed = true
		peer := &a.sides[dir.Reverse()]
		if peer.sealed || peer.lost && typ == recData {
			ses.Established()
			a.finish(f)
		}
	}
	if s.sealed && !f.IsDone() {
		a.giveUp(f)
	}
	return true
}

// sealedAlert is the length of an encrypted alert of TLS 1.3 without padding:
// two bytes, the inner type and the tag. A Finished is longer.
const sealedAlert = 2 + 1 + 16

// record reads a whole record in clear.
func (a *analyzer) record(f *protocol.Flow, dir protocol.Dir, typ byte, body []byte) {
	switch typ {
	case recChangeCipher:
		if a.session.modern() {
			return
		}
		a.sides[dir].changed = true
		if a.session.Answered() && dir != a.session.client {
			a.session.Abbreviated()
		}
	case recAlert:
		if len(body) != 2 {
			return
		}
		a.session.Alert(body[1])
		if body[0] == 2 {
			a.finish(f)
		}
	case recHandshake:
		a.handshake(f, dir, body)
	case recHeartbeat:
		a.heartbeat(f, dir, body)
	}
}

// handshake puts messages together from records; usually a record holds whole
// ones and nothing is copied.
func (a *analyzer) handshake(f *protocol.Flow, dir protocol.Dir, body []byte) {
	s := &a.sides[dir]
	held := len(s.message) > 0
	whole := body
	if held {
		s.message = append(s.message, body...)
		whole = s.message
	}
	size := len(whole)
	for len(whole) >= 4 && !f.IsDone() {
		n := int(whole[1])<<16 | int(whole[2])<<8 | int(whole[3])
		if n > maxMessage {
			f.Weird("ssl", "tls_handshake_too_long", strconv.Itoa(n))
			s.lost = true
			s.message = s.message[:0]
			a.giveUp(f)
			return
		}
		if len(whole) < 4+n {
			break
		}
		a.session.Message(f, dir, whole[0], whole[4:4+n])
		whole = whole[4+n:]
	}
	if !held || len(whole) < size {
		s.message = append(s.message[:0], whole...)
	}
}

// heartbeat looks at heartbeats in clear (RFC 6520): a request that claims
// more payload than it brings asks for the other side's memory, an answer
// longer than what was sent brings it.
func (a *analyzer) heartbeat(f *protocol.Flow, dir protocol.Dir, body []byte) {
	if len(body) < 3 {
		return
	}
	claimed := int(body[1])<<8 | int(body[2])
	switch {
	case body[0] == 1 && claimed > len(body)-3:
		a.beat = claimed
		f.Weird("ssl", "tls_heartbeat_overread", "brings "+strconv.Itoa(len(body)-3)+" claims "+strconv.Itoa(claimed))
	case body[0] == 2 && a.beat > 0:
		a.beat = 0
		f.Weird("ssl", "tls_heartbeat_leak", "answers "+strconv.Itoa(len(body)-3))
	}
}
