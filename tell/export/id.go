package export

import (
	"crypto/sha1"
	"encoding/hex"
	"strings"
)

// A uuid is 16 bytes of RFC 9562.
type uuid [16]byte

// The namespaces of name-based ids: that of STIX 2.1 for what is observed
// (section 2.9), and one of ours for all else.
var (
	stixSpace = uuid{0x00, 0xab, 0xed, 0xb4, 0xaa, 0x42, 0x46, 0x6c, 0x9c, 0x01, 0xfe, 0xd2, 0x33, 0x15, 0xa9, 0xb7}
	ownSpace  = uuid{0x6f, 0x0d, 0x1a, 0x4c, 0x27, 0x5e, 0x4b, 0x39, 0x9a, 0x63, 0x51, 0xc8, 0x0e, 0xd4, 0x72, 0x1b}
)

// named returns the version 5 UUID of a name.
func (space uuid) named(name string) (id uuid) {
	h := sha1.New()
	h.Write(space[:])
	h.Write([]byte(name))
	copy(id[:], h.Sum(nil))
	id[6] = id[6]&0x0f | 0x50
	id[8] = id[8]&0x3f | 0x80
	return id
}

// idOf returns our id of a thing that its parts name. Each part is followed by
// a zero byte, which none of them holds.
func idOf(parts ...string) string {
	return ownSpace.named(strings.Join(parts, "\x00") + "\x00").String()
}

// String returns the 36 characters.
func (id uuid) String() string {
	x := hex.EncodeToString(id[:])
	return x[:8] + "-" + x[8:12] + "-" + x[12:16] + "-" + x[16:20] + "-" + x[20:]
}
