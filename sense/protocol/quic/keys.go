package quic

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"hash"
)

// The salts from which Initial keys are derived, by version. They are public:
// Initial packets are hidden from accident, not from readers.
const (
	saltV1      = "\x38\x76\x2c\xf7\xf5\x59\x34\xb3\x4d\x17\x9a\xe6\xa4\xc8\x0c\xad\xcc\xbb\x7f\x0a" // RFC 9001 section 5.2
	saltV2      = "\x0d\xed\xe3\xde\xf7\x00\xa6\xdb\x81\x93\x81\xbe\x6e\x26\x9d\xcb\xf9\xbd\x2e\xd9" // RFC 9369 section 3.3.1
	saltDraft29 = "\xaf\xbf\xec\x28\x99\x93\xd2\x4c\x9e\x97\x86\xf1\x9c\x61\x11\xe0\x43\x90\xa8\x99" // drafts 29 to 32
	saltDraft23 = "\xc3\xee\xf7\x12\xc7\x2e\xbb\x5a\x11\xa7\xd2\x43\x2b\xb4\x63\x65\xbe\xf9\xf5\x02" // drafts 23 to 28
	saltQ050    = "\x50\x45\x74\xef\xd0\x66\xfe\x2f\x9d\x94\x5c\xfc\xdb\xd3\xa7\xf0\xd3\xb5\x6b\x45"
	saltT050    = "\x7f\xf5\x79\xe5\xac\xd0\x72\x91\x55\x80\x30\x4c\x43\xa2\x36\x7c\x60\x48\x83\x10"
	saltT051    = "\x7a\x4e\xde\xf4\xe7\xcc\xee\x5f\xa4\x50\x6c\x19\x12\x4f\xc8\xcc\xda\x6e\x03\x3d"
)

func salt(version uint32) string {
	switch {
	case version == version2:
		return saltV2
	case version == mvfst2, version >= draftFirst && version <= 0xff00001c:
		return saltDraft23
	case version >= 0xff00001d && version <= 0xff000020:
		return saltDraft29
	case version == googleQ050:
		return saltQ050
	case version == googleT050:
		return saltT050
	case version == googleT051:
		return saltT051
	}
	return saltV1
}

// keys open one side's Initial packets.
type keys struct {
	aead cipher.AEAD
	hp   cipher.Block
	iv   [12]byte
}

// initialKeys derives the keys of both sides from the destination connection
// id of the client's first packet (RFC 9001 section 5.2).
func (m *macs) initialKeys(version uint32, dcid []byte) (client, server keys, err error) {
	secret := m.mac([]byte(salt(version)), dcid) // HKDF-Extract (RFC 5869)
	if client, err = m.sideKeys(version, &secret, "client in"); err != nil {
		return client, server, err
	}
	server, err = m.sideKeys(version, &secret, "server in")
	return client, server, err
}

func (m *macs) sideKeys(version uint32, secret *[sha256.Size]byte, side string) (k keys, err error) {
	own := m.expand(secret, "", side, sha256.Size)
	prefix := "quic "
	if version == version2 {
		prefix = "quicv2 "
	}
	key, iv, hp := m.expand(&own, prefix, "key", 16), m.expand(&own, prefix, "iv", len(k.iv)), m.expand(&own, prefix, "hp", 16)
	copy(k.iv[:], iv[:])
	block, err := aes.NewCipher(key[:16])
	if err != nil {
		return k, err
	}
	if k.aead, err = cipher.NewGCM(block); err != nil {
		return k, err
	}
	k.hp, err = aes.NewCipher(hp[:16])
	return k, err
}

// expand is HKDF-Expand-Label of RFC 8446 section 7.1 without context, for n
// of at most one block; the rest of the block is of no use.
func (m *macs) expand(secret *[sha256.Size]byte, prefix, label string, n int) [sha256.Size]byte {
	var room [40]byte
	info := append(room[:0], byte(n>>8), byte(n), byte(len("tls13 ")+len(prefix)+len(label)))
	info = append(append(append(info, "tls13 "...), prefix...), label...)
	return m.mac(secret[:], append(info, 0, 1))
}

// macs makes the nine HMACs that every conversation needs in the same room.
// The library's own take some allocations each.
type macs struct {
	hash    hash.Hash
	in, out [sha256.BlockSize + 256]byte
}

// mac is HMAC with SHA-256 (RFC 2104) of at most 256 bytes under a key of at
// most a block.
func (m *macs) mac(key, text []byte) (sum [sha256.Size]byte) {
	if m.hash == nil {
		m.hash = sha256.New()
	}
	clear(m.in[:sha256.BlockSize])
	copy(m.in[:sha256.BlockSize], key)
	for i, b := range m.in[:sha256.BlockSize] {
		m.in[i], m.out[i] = b^0x36, b^0x5c
	}
	n := sha256.BlockSize + copy(m.in[sha256.BlockSize:], text)
	m.hash.Reset()
	m.hash.Write(m.in[:n])
	m.hash.Sum(m.out[:sha256.BlockSize])
	m.hash.Reset()
	m.hash.Write(m.out[:sha256.BlockSize+sha256.Size])
	m.hash.Sum(m.in[:0])
	copy(sum[:], m.in[:])
	return sum
}

// open takes header protection and encryption off the packet b, whose packet
// number is at offset number, and returns its frames. It works in scratch,
// leaves b as it is, and returns the scratch for the next call.
func (k *keys) open(b []byte, number int, scratch []byte) (frames, reuse []byte, ok bool) {
	const sampleAt, sampleLen = 4, 16 // RFC 9001 section 5.4.2
	if k.aead == nil || len(b) < number+sampleAt+sampleLen {
		return nil, scratch, false
	}
	// Mask and nonce go through interfaces: they lie in the scratch as well,
	// behind the packet.
	scratch = append(append(scratch[:0], b...), make([]byte, aes.BlockSize+len(k.iv))...)
	mask, nonce := scratch[len(b):len(b)+aes.BlockSize], scratch[len(b)+aes.BlockSize:]
	k.hp.Encrypt(mask, b[number+sampleAt:number+sampleAt+sampleLen])
	scratch[0] ^= mask[0] & 0x0f
	n := int(scratch[0]&3) + 1
	copy(nonce, k.iv[:])
	for i := range n {
		scratch[number+i] ^= mask[1+i]
		nonce[len(nonce)-n+i] ^= scratch[number+i]
	}
	head := scratch[:number+n]
	text := scratch[number+n : len(b)]
	frames, err := k.aead.Open(text[:0], nonce, text, head)
	return frames, scratch, err == nil
}
