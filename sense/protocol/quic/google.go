package quic

import "bytes"

// The versions of Google's QUIC whose Initial packets are sealed.
const (
	googleQ050 = 0x51303530
	googleT050 = 0x54303530
	googleT051 = 0x54303531
)

// isGoogle tells a version that is written as a letter and three digits.
func isGoogle(v uint32) bool {
	c := byte(v >> 24)
	return (c == 'Q' || c == 'T') && digit(byte(v>>16)) && digit(byte(v>>8)) && digit(byte(v))
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

// ietfGoogle tells the last ones, which have the IETF's packets.
func ietfGoogle(v uint32) bool { return v == googleQ050 || v == googleT050 || v == googleT051 }

// A googleHeader is the public header of the versions up to Q046.
type googleHeader struct {
	version uint32
	cid     []byte
}

// parseGoogle reads the header of a client's first packets: up to Q043 flags,
// eight bytes of connection id and the version; in Q046 the version comes
// first, and a byte with both id lengths.
func parseGoogle(b []byte) (h googleHeader, ok bool) {
	if len(b) < 18 {
		return h, false
	}
	at := 9
	if b[0]&0x80 != 0 {
		if b[0]&0x40 == 0 || b[5] != 0x50 {
			return h, false
		}
		at, h.cid = 1, b[6:14]
	} else {
		// Version and an eight-byte id must be there, multipath must not.
		if b[0]&0xc9 != 0x09 {
			return h, false
		}
		h.cid = b[1:9]
	}
	h.version = uint32(b[at])<<24 | uint32(b[at+1])<<16 | uint32(b[at+2])<<8 | uint32(b[at+3])
	ietf := ietfGoogle(h.version)
	return h, isGoogle(h.version) && !ietf
}

// googleName finds the server name in a client hello of Google's own
// handshake, a map of tags to values, wherever it is in b.
func googleName(b []byte) []byte {
	const maxTags = 128
	i := bytes.Index(b, []byte("CHLO"))
	if i < 0 || len(b)-i < 8 {
		return nil
	}
	b = b[i:]
	n := int(b[4]) | int(b[5])<<8
	if n == 0 || n > maxTags || len(b) < 8+8*n {
		return nil
	}
	values := b[8+8*n:]
	from := 0
	for i := range n {
		entry := b[8+8*i:]
		to := int(entry[4]) | int(entry[5])<<8 | int(entry[6])<<16 | int(entry[7])<<24
		if to < from || to > len(values) {
			return nil
		}
		if string(entry[:4]) == "SNI\x00" {
			return values[from:min(to, from+255)]
		}
		from = to
	}
	return nil
}
