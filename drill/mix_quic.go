package drill

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
)

// quicSide seals the Initial packets of one side (RFC 9001, section 5).
type quicSide struct {
	aead cipher.AEAD
	hide cipher.Block
	iv   []byte
}

// quicSalt is where everybody begins to derive the keys of version 1
// (RFC 9001, section 5.2).
const quicSalt = "\x38\x76\x2c\xf7\xf5\x59\x34\xb3\x4d\x17\x9a\xe6\xa4\xc8\x0c\xad\xcc\xbb\x7f\x0a"

func newQUICSide(dcid []byte, side string) (*quicSide, error) {
	secret, err := hkdf.Extract(sha256.New, dcid, []byte(quicSalt))
	if err != nil {
		return nil, err
	}
	expand := func(from []byte, label string, n int) (out []byte) {
		if err == nil {
			info := append(u16(nil, n), byte(6+len(label)))
			out, err = hkdf.Expand(sha256.New, from, string(append(append(append(info, "tls13 "...), label...), 0)), n)
		}
		return out
	}
	secret = expand(secret, side, 32)
	key, iv, hp := expand(secret, "quic key", 16), expand(secret, "quic iv", 12), expand(secret, "quic hp", 16)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	s := &quicSide{iv: iv}
	if s.aead, err = cipher.NewGCM(block); err != nil {
		return nil, err
	}
	s.hide, err = aes.NewCipher(hp)
	return s, err
}

// initial returns an Initial packet with the handshake bytes, padded to size.
func (s *quicSide) initial(dcid, scid, handshake []byte, size int) []byte {
	b := append([]byte{0xc0, 0, 0, 0, 1, byte(len(dcid))}, dcid...)
	b = append(append(append(b, byte(len(scid))), scid...), 0)
	at := len(b) + 2
	body := size - at - 1 - s.aead.Overhead()
	frames := append(u16([]byte{6, 0}, 0x4000|len(handshake)), handshake...)
	for len(frames) < body {
		frames = append(frames, 0)
	}
	b = append(u16(b, 0x4000|(1+len(frames)+s.aead.Overhead())), 0)
	b = s.aead.Seal(b, s.iv, frames, b[:at+1:at+1])
	var mask [16]byte
	s.hide.Encrypt(mask[:], b[at+4:at+20])
	b[0] ^= mask[0] & 0x0f
	b[at] ^= mask[1]
	return b
}

// mixQUIC is a page over QUIC from the variant-th server.
func (q *recorder) mixQUIC(r *rand.Rand, t int64, variant int) {
	dcid, scid := random(r, nil, 8), random(r, nil, 8)
	client, err := newQUICSide(dcid, "client in")
	if err != nil {
		q.err = err
		return
	}
	server, err := newQUICSide(dcid, "server in")
	if err != nil {
		q.err = err
		return
	}
	label := serverName(uint16(variant))
	hello := *browsers[1]
	hello.alpn = []string{"h3"}
	k := q.w.talk(t, q.client, q.server, 50000, 443, nil)
	say := func(d int, b []byte) {
		t += 5 * millisecond
		k.send(t, d, b, 0)
	}
	say(orig, client.initial(dcid, nil, hello.hello(nil, r, "www."+string(label[:])+".example", false)[5:], 1200))
	say(resp, server.initial(nil, scid, quicServerHello(r), 1200))
	short := func(d, n int) { say(d, random(r, []byte{0x40 | byte(r.IntN(32))}, n)) }
	for range 2 {
		short(resp, 1150)
	}
	for range 5 {
		short(orig, 60+r.IntN(500))
		for range 1 + r.IntN(4) {
			short(resp, 200+r.IntN(1000))
		}
		short(orig, 32)
	}
}

// quicServerHello is the server's first message of RFC 8446.
func quicServerHello(r *rand.Rand) []byte {
	return nest([]byte{2}, 3, func(b []byte) []byte {
		b = random(r, append(b, 3, 3), 32)
		b = append(b, 0, 0x13, 1, 0)
		return nest(b, 2, func(b []byte) []byte {
			b = append(b, 0, 43, 0, 2, 3, 4, 0, 51, 0, 36, 0, 29, 0, 32)
			b = random(r, b, 24)
			return binary.BigEndian.AppendUint64(b, r.Uint64())
		})
	})
}
