package quic

import "strconv"

// The versions whose Initial packets can be read.
const (
	version1   = 0x00000001 // RFC 9000
	version2   = 0x6b3343cf // RFC 9369
	draftFirst = 0xff000017 // draft 23, the first with the salt of draft 28
	draftLast  = 0xff000022 // draft 34
	mvfst2     = 0xfaceb002 // an implementation's name for draft 27
)

// The long header packet types, in the numbers of version 1.
const (
	typeInitial   = 0
	typeZeroRTT   = 1
	typeHandshake = 2
	typeRetry     = 3
)

const maxCID = 20 // RFC 9000 section 17.2

// readable says that version's Initial packets can be opened.
func readable(version uint32) bool {
	return version == version1 || version == version2 || version == mvfst2 ||
		version >= draftFirst && version <= draftLast
}

// reserved tells the versions that only force negotiation (RFC 9000 section
// 15).
func reserved(version uint32) bool { return version&0x0f0f0f0f == 0x0a0a0a0a }

// versionName returns Zeek's name of a version.
func versionName(version uint32) string {
	switch {
	case version == version1:
		return "1"
	case version == version2:
		return "quicv2"
	case version == mvfst2:
		return "mvfst-2"
	case version>>8 == 0xff0000:
		return "draft-" + strconv.Itoa(int(version&0xff))
	case isGoogle(version):
		return string([]byte{byte(version >> 24), byte(version >> 16), byte(version >> 8), byte(version)})
	}
	return "unknown-" + strconv.FormatUint(uint64(version), 16)
}

// A header is what a long header packet says in clear (RFC 9000 section
// 17.2, RFC 8999 section 5.1).
type header struct {
	version    uint32
	kind       byte // in the numbers of version 1
	dcid, scid []byte
	number     int // offset of the packet number
	end        int // offset just behind the packet
}

// parseHeader reads the long header at the start of b. For versions whose
// inside is not known, and for Retry and Version Negotiation, the packet goes
// to the end of the datagram.
func parseHeader(b []byte) (h header, ok bool) {
	if len(b) < 7 || b[0]&0x80 == 0 {
		return h, false
	}
	h.version = uint32(b[1])<<24 | uint32(b[2])<<16 | uint32(b[3])<<8 | uint32(b[4])
	at := 5
	if h.dcid, at, ok = connectionID(b, at); !ok {
		return h, false
	}
	if h.scid, at, ok = connectionID(b, at); !ok {
		return h, false
	}
	h.kind = b[0] >> 4 & 3
	if h.version == version2 {
		h.kind = (h.kind - 1) & 3 // RFC 9369 section 3.2
	}
	h.end = len(b)
	if !readable(h.version) && !ietfGoogle(h.version) || h.kind == typeRetry {
		return h, true
	}
	if h.kind == typeInitial {
		n, next, ok := varint(b, at)
		if !ok || n > uint64(len(b)-next) {
			return h, false
		}
		at = next + int(n)
	}
	n, next, ok := varint(b, at)
	if !ok || n > uint64(len(b)-next) {
		return h, false
	}
	h.number, h.end = next, next+int(n)
	return h, true
}

func connectionID(b []byte, at int) (id []byte, next int, ok bool) {
	if at >= len(b) {
		return nil, at, false
	}
	n := int(b[at])
	at++
	if n > maxCID || n > len(b)-at {
		return nil, at, false
	}
	return b[at : at+n], at + n, true
}

// varint reads a variable-length integer (RFC 9000 section 16).
func varint(b []byte, at int) (v uint64, next int, ok bool) {
	if at >= len(b) {
		return 0, at, false
	}
	n := 1 << (b[at] >> 6)
	if n > len(b)-at {
		return 0, at, false
	}
	v = uint64(b[at] & 0x3f)
	for _, c := range b[at+1 : at+n] {
		v = v<<8 | uint64(c)
	}
	return v, at + n, true
}
