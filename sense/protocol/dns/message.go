package dns

import "encoding/binary"

const (
	headerLen = 12
	maxName   = 255           // bytes of a name on the wire (RFC 1035, 3.1)
	maxText   = 4*maxName + 4 // the same, every byte escaped
)

// Header flags.
const (
	flagQR   = 1 << 15
	flagAA   = 1 << 10
	flagTC   = 1 << 9
	flagRD   = 1 << 8
	flagRA   = 1 << 7
	flagZero = 1 << 6 // reserved, must be zero
)

// The sections of a message in their order.
const (
	sectionQuestion = iota
	sectionAnswer
	sectionAuthority
	sectionAdditional
)

// message is one DNS message, of at least headerLen bytes.
type message []byte

func (m message) id() uint16    { return binary.BigEndian.Uint16(m) }
func (m message) flags() uint16 { return binary.BigEndian.Uint16(m[2:]) }
func (m message) isReply() bool { return m.flags()&flagQR != 0 }
func (m message) opcode() int   { return int(m.flags() >> 11 & 15) }
func (m message) rcode() uint16 { return m.flags() & 15 }
func (m message) count(section int) int {
	return int(binary.BigEndian.Uint16(m[4+2*section:]))
}

// name appends the name at off as text, in lower case and with what is not
// printable escaped, and returns where the name ends. Compression may only
// point backwards, each time further, so the walk ends; a name longer than
// the RFC allows is refused.
func (m message) name(off int, dst []byte) (text []byte, next int, ok bool) {
	total, floor := 0, off
	start := len(dst)
	for {
		if off < 0 || off >= len(m) {
			return dst, 0, false
		}
		n := int(m[off])
		switch n & 0xc0 {
		case 0x00:
			off++
			if n == 0 {
				if next == 0 {
					next = off
				}
				return dst, next, true
			}
			if total += n + 1; total > maxName || off+n > len(m) {
				return dst, 0, false
			}
			if len(dst) > start {
				dst = append(dst, '.')
			}
			dst = appendText(dst, m[off:off+n], true)
			off += n
		case 0xc0:
			if off+2 > len(m) {
				return dst, 0, false
			}
			if next == 0 {
				next = off + 2
			}
			off = int(binary.BigEndian.Uint16(m[off:]) & 0x3fff)
			if off >= floor {
				return dst, 0, false
			}
			floor = off
		default:
			return dst, 0, false
		}
	}
}

// skipName returns where the name at off ends, without following it.
func (m message) skipName(off int) (next int, ok bool) {
	for total := 0; off < len(m); {
		n := int(m[off])
		switch {
		case n == 0:
			return off + 1, true
		case n&0xc0 == 0xc0:
			return off + 2, off+2 <= len(m)
		case n&0xc0 != 0:
			return 0, false
		}
		off += 1 + n
		if total += 1 + n; total > maxName {
			return 0, false
		}
	}
	return 0, false
}

// question reads the entry of the question section at off.
func (m message) question(off int, dst []byte) (name []byte, kind, class uint16, next int, ok bool) {
	name, off, ok = m.name(off, dst)
	if !ok || off+4 > len(m) {
		return nil, 0, 0, 0, false
	}
	return name, binary.BigEndian.Uint16(m[off:]), binary.BigEndian.Uint16(m[off+2:]), off + 4, true
}

// resource is one resource record's frame; the data lies in the message from
// data to end.
type resource struct {
	owner       int // where its name begins
	kind, class uint16
	ttl         uint32
	data, end   int
}

// resource reads the resource record at off. cut tells that the message ends
// before the record does.
func (m message) resource(off int) (r resource, cut, ok bool) {
	r.owner = off
	off, ok = m.skipName(off)
	if !ok || off+10 > len(m) {
		return r, true, false
	}
	r.kind = binary.BigEndian.Uint16(m[off:])
	r.class = binary.BigEndian.Uint16(m[off+2:])
	r.ttl = binary.BigEndian.Uint32(m[off+4:])
	r.data = off + 10
	r.end = r.data + int(binary.BigEndian.Uint16(m[off+8:]))
	if r.end > len(m) {
		return r, true, false
	}
	return r, false, true
}

const hexDigits = "0123456789abcdef"

// appendText appends b so that it is printable ASCII: other bytes become
// \xNN, and so does the backslash. As a label, letters become lower case and
// a dot within is escaped too.
func appendText(dst, b []byte, label bool) []byte {
	for _, c := range b {
		switch {
		case c < ' ' || c > '~' || c == '\\' || label && c == '.':
			dst = append(dst, '\\', 'x', hexDigits[c>>4], hexDigits[c&15])
		case label && 'A' <= c && c <= 'Z':
			dst = append(dst, c+'a'-'A')
		default:
			dst = append(dst, c)
		}
	}
	return dst
}
