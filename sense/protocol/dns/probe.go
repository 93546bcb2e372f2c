package dns

import (
	"encoding/binary"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/protocol"
)

const (
	probeLen = 1024 // how much of a direction a probe is shown at most
	maxTail  = 2    // bytes that some servers append to a transfer's question
)

// probe tells whether the first bytes are DNS, on any port: the header's
// flags and counts must make sense, the question must parse and the records
// must fill the message exactly.
func probe(id testudo.ConnID, orig, resp []byte) protocol.Verdict {
	v := probeSide(id, orig)
	if v == protocol.Maybe && len(resp) > 0 {
		v = probeSide(id, resp)
	}
	return v
}

func probeSide(id testudo.ConnID, b []byte) protocol.Verdict {
	if len(b) == 0 {
		return protocol.Maybe
	}
	if id.Proto != testudo.TCP {
		return probeMessages(b, len(b) < probeLen)
	}
	if len(b) < 2 {
		return protocol.Maybe
	}
	n := int(binary.BigEndian.Uint16(b))
	if n < headerLen {
		return protocol.No
	}
	b = b[2:]
	if len(b) >= n {
		v, rest := probeMessage(b[:n], true)
		if v == protocol.Yes && rest > maxTail {
			return protocol.Maybe
		}
		return v
	}
	if v, _ := probeMessage(b, false); v == protocol.No {
		return v
	}
	return protocol.Maybe
}

// probeMessages judges datagrams, which may have been joined: each must be a
// message.
func probeMessages(b []byte, whole bool) protocol.Verdict {
	v, rest := probeMessage(b, whole)
	for i := 0; v == protocol.Yes && rest > 0; i++ {
		b = b[len(b)-rest:]
		var next protocol.Verdict
		if next, rest = probeMessage(b, whole); next != protocol.Yes || i == 8 {
			return protocol.Maybe
		}
	}
	return v
}

// probeMessage judges one message and returns how many bytes follow it. What
// is not whole may end early; what is whole and does so is not certain.
func probeMessage(b []byte, whole bool) (v protocol.Verdict, rest int) {
	early := protocol.Yes
	if whole {
		early = protocol.Maybe
	}
	if len(b) < headerLen {
		if whole {
			return protocol.No, 0
		}
		return protocol.Maybe, 0
	}
	m := message(b)
	if !plausibleHeader(m) {
		return protocol.No, 0
	}
	off := headerLen
	for range m.count(sectionQuestion) {
		next, ok := m.skipName(off)
		if !ok || next+4 > len(m) {
			if runsOut(m, off) {
				return protocol.Maybe, 0
			}
			return protocol.No, 0
		}
		if !plausibleQuestion(binary.BigEndian.Uint16(m[next:]), binary.BigEndian.Uint16(m[next+2:])) {
			return protocol.No, 0
		}
		off = next + 4
	}
	for range m.count(sectionAnswer) + m.count(sectionAuthority) + m.count(sectionAdditional) {
		r, cut, ok := m.resource(off)
		if cut {
			return early, 0
		}
		if !ok {
			return protocol.No, 0
		}
		off = r.end
	}
	return protocol.Yes, len(b) - off
}

// runsOut tells whether a name at off is sound as far as the message goes.
func runsOut(m message, off int) bool {
	for off < len(m) {
		n := int(m[off])
		switch {
		case n == 0:
			return off+5 > len(m)
		case n&0xc0 == 0xc0:
			return off+6 > len(m)
		case n&0xc0 != 0:
			return false
		}
		off += 1 + n
	}
	return true
}

func plausibleHeader(m message) bool {
	switch m.opcode() {
	case 0, 1, 2, 4, 5: // query, inverse query, status, notify, update
	case 6, 7, 8: // NetBIOS: release, wait, refresh
	default:
		return false
	}
	if m.flags()&flagZero != 0 {
		return false
	}
	qd, an := m.count(sectionQuestion), m.count(sectionAnswer)
	ns, ar := m.count(sectionAuthority), m.count(sectionAdditional)
	if m.isReply() {
		return qd <= 4 && qd+an+ns+ar > 0 && an <= 6000 && ns <= 512 && ar <= 512
	}
	return m.rcode() == 0 && 1 <= qd && qd <= 64 && an <= 512 && ns <= 64 && ar <= 64
}

func plausibleQuestion(kind, class uint16) bool {
	switch class &^ 0x8000 {
	case 1, 3, 4, 254, 255:
	default:
		return false
	}
	return kind != 0 && (kind < 300 || kind >= 32768)
}
