package ntp

import (
	"encoding/binary"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/protocol"
)

// probe says Yes only where both sides fit together: a server's answer that
// gives back the client's time, or a control answer to its question. What
// has the shape alone is Maybe: then the port decides.
func probe(_ testudo.ConnID, orig, resp []byte) protocol.Verdict {
	o, r := len(orig) == 0 || plausible(orig), len(resp) == 0 || plausible(resp)
	switch {
	case !o || !r:
		return protocol.No
	case len(orig) > 0 && len(resp) > 0 && answers(orig, resp):
		return protocol.Yes
	}
	return protocol.Maybe
}

// answers tells whether b answers a.
func answers(a, b []byte) bool {
	switch mode(a) {
	case 1, 2, modeClient:
		t := binary.BigEndian.Uint64(a[40:])
		return mode(b) < modeControl && t != 0 && binary.BigEndian.Uint64(b[24:]) == t
	case modeControl:
		return mode(b) == modeControl && a[1]&0x80 == 0 && b[1]&0x80 != 0 &&
			a[1]&0x1f == b[1]&0x1f && a[2] == b[2] && a[3] == b[3]
	case modePrivate:
		return mode(b) == modePrivate && a[0]&0x80 == 0 && b[0]&0x80 != 0 && a[2] == b[2] && a[3] == b[3]
	}
	return false
}

// plausible tells whether b has the shape of an NTP message.
func plausible(b []byte) bool {
	if len(b) < privateLen {
		return false
	}
	if v := version(b); v < 1 || v > 4 {
		return false
	}
	switch mode(b) {
	case modeControl:
		return plausibleControl(b)
	case modePrivate:
		return plausiblePrivate(b)
	case 0:
		// RFC 1059 clients, version 1, leave the mode out.
		return version(b) == 1 && len(b) == timeLen && plausibleTime(b)
	}
	return plausibleTime(b)
}

// plausibleTime checks the fields that have few sensible values.
func plausibleTime(b []byte) bool {
	if len(b) < timeLen || (len(b)-timeLen)%4 != 0 {
		return false
	}
	poll, precision := int8(b[2]), int8(b[3])
	// What follows the fixed part is a code of 4 to 24 bytes or extension
	// fields, the first of which tells its length.
	if rest := b[timeLen:]; len(rest) > 24 {
		if n := int(binary.BigEndian.Uint16(rest[2:])); n < 16 || n%4 != 0 {
			return false
		}
	}
	if b[1] > 16 || poll < -6 || poll > 24 || precision > 0 {
		return false
	}
	// Delay and dispersion to the root beyond 256 s are no clock's. A mode
	// that gives time must give one.
	if b[4] != 0 || b[8] != 0 {
		return false
	}
	return mode(b) == 0 || mode(b) == modeClient || binary.BigEndian.Uint64(b[40:]) != 0
}

// plausibleControl checks a mode 6 message: the data it counts must be there.
func plausibleControl(b []byte) bool {
	if len(b) < controlLen {
		return false
	}
	op, offset, count := b[1]&0x1f, binary.BigEndian.Uint16(b[8:]), int(binary.BigEndian.Uint16(b[10:]))
	if op > 12 && op != 31 || b[0]&0xc0 == 0xc0 && b[1]&0x80 == 0 || count > 468 {
		return false
	}
	if b[1]&0x80 == 0 && (offset != 0 || b[1]&0x60 != 0) {
		return false
	}
	return controlLen+count <= len(b) || len(b) >= 512
}

// plausiblePrivate checks a mode 7 message: a question has no error and no
// more flag, an answer holds the items it counts.
func plausiblePrivate(b []byte) bool {
	if b[2] > 3 { // implementation: any, or the two of the reference one
		return false
	}
	count, size := int(binary.BigEndian.Uint16(b[4:])), int(binary.BigEndian.Uint16(b[6:]))
	if b[0]&0x80 == 0 {
		return b[0]&0x40 == 0 && count>>12 == 0 && size>>12 == 0 && len(b) <= 256
	}
	return size>>12 == 0 && privateLen+(count&0xfff)*(size&0xfff) <= max(len(b), 512)
}
