package tls

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
)

// JA3 returns the JA3 fingerprint of a client hello: the MD5 of its version,
// ciphers, extensions, groups and point formats, GREASE left out
// (github.com/salesforce/ja3, BSD-3-Clause).
func JA3(h *Hello) string { return string(appendJA3(nil, h)) }

func appendJA3(to []byte, h *Hello) []byte {
	b := make([]byte, 0, 768)
	b = strconv.AppendUint(b, uint64(h.Version), 10)
	b = appendDashed(append(b, ','), h.Ciphers)
	b = appendDashed(append(b, ','), h.Extensions)
	b = appendDashed(append(b, ','), h.Groups)
	b = append(b, ',')
	for i, p := range h.Points {
		if i > 0 {
			b = append(b, '-')
		}
		b = strconv.AppendUint(b, uint64(p), 10)
	}
	sum := md5.Sum(b)
	return hex.AppendEncode(to, sum[:])
}

// JA3S returns the JA3S fingerprint of a server hello: the MD5 of its
// version, cipher and extensions (same source as JA3).
func JA3S(h *ServerHello) string { return string(appendJA3S(nil, h)) }

func appendJA3S(to []byte, h *ServerHello) []byte {
	b := make([]byte, 0, 128)
	b = strconv.AppendUint(b, uint64(h.Legacy), 10)
	b = strconv.AppendUint(append(b, ','), uint64(h.Cipher), 10)
	b = append(b, ',')
	for i, e := range h.Extensions {
		if i > 0 {
			b = append(b, '-')
		}
		b = strconv.AppendUint(b, uint64(e), 10)
	}
	sum := md5.Sum(b)
	return hex.AppendEncode(to, sum[:])
}

func appendDashed(b []byte, list []uint16) []byte {
	first := true
	for _, v := range list {
		if isGREASE(v) {
			continue
		}
		if !first {
			b = append(b, '-')
		}
		first = false
		b = strconv.AppendUint(b, uint64(v), 10)
	}
	return b
}

// JA4 returns the JA4 fingerprint of a client hello that came over transport
// 't' (TCP), 'q' (QUIC) or 'd' (DTLS). It is the client method of the JA4
// family, under BSD-3-Clause (github.com/FoxIO-LLC/ja4); the other methods of
// the family are under another licence and are not built here.
func JA4(transport byte, h *Hello) string { return string(appendJA4(nil, transport, h)) }

func appendJA4(b []byte, transport byte, h *Hello) []byte {
	b = append(b, transport)
	b = append(b, ja4Version(h)...)
	if h.HasName {
		b = append(b, 'd')
	} else {
		b = append(b, 'i')
	}
	b = appendCount(b, h.Ciphers)
	b = appendCount(b, h.Extensions)
	alpn := ja4ALPN(h)
	b = append(b, alpn[:]...)

	list := make([]uint16, 0, 128)
	text := make([]byte, 0, 1024)
	list = appendSorted(list, h.Ciphers, false)
	b = appendShort(append(b, '_'), appendHex(text, list))

	list = appendSorted(list[:0], h.Extensions, true)
	text = appendHex(text[:0], list)
	if sigs := appendPlain(list[:0], h.Signatures); len(sigs) > 0 && len(text) > 0 {
		text = appendHex(append(text, '_'), sigs)
	}
	return appendShort(append(b, '_'), text)
}

// ja4Version is the newest version the client offers.
func ja4Version(h *Hello) string {
	v := h.Version
	found := false
	for _, o := range h.Versions {
		if isGREASE(o) {
			continue
		}
		// Datagram versions count downwards.
		if !found || o > v != (isDTLS(o) && isDTLS(v)) && o != v {
			v, found = o, true
		}
	}
	switch v {
	case 0x0304:
		return "13"
	case 0x0303:
		return "12"
	case 0x0302:
		return "11"
	case 0x0301:
		return "10"
	case 0x0300:
		return "s3"
	case 0x0002:
		return "s2"
	case 0xfeff:
		return "d1"
	case 0xfefd:
		return "d2"
	case 0xfefc:
		return "d3"
	}
	return "00"
}

// ja4ALPN is the first and last character of the first protocol offered. The
// method's reference values write 99 where the first byte is not ASCII;
// other bytes that are neither letter nor digit show as the first and last
// digit of the name in hexadecimal.
func ja4ALPN(h *Hello) [2]byte {
	if len(h.ALPN) == 0 || len(h.ALPN[0]) == 0 {
		return [2]byte{'0', '0'}
	}
	p := h.ALPN[0]
	first, last := p[0], p[len(p)-1]
	if first > 0x7f {
		return [2]byte{'9', '9'}
	}
	if !alphanumeric(first) || !alphanumeric(last) {
		const digits = "0123456789abcdef"
		return [2]byte{digits[first>>4], digits[last&15]}
	}
	return [2]byte{first, last}
}

func alphanumeric(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
}

// appendCount writes how many of list are not GREASE, in two digits.
func appendCount(b []byte, list []uint16) []byte {
	n := 0
	for _, v := range list {
		if !isGREASE(v) {
			n++
		}
	}
	n = min(n, 99)
	return append(b, byte('0'+n/10), byte('0'+n%10))
}

// appendPlain appends list without GREASE.
func appendPlain(to, list []uint16) []uint16 {
	for _, v := range list {
		if !isGREASE(v) {
			to = append(to, v)
		}
	}
	return to
}

// appendSorted appends list without GREASE, in order of value; where they
// are extensions, without server name and ALPN, which part a of JA4 holds.
func appendSorted(to, list []uint16, extensions bool) []uint16 {
	for _, v := range list {
		if isGREASE(v) || extensions && (v == extServerName || v == extALPN) {
			continue
		}
		to = append(to, v)
	}
	slices.Sort(to)
	return to
}

// appendHex writes list as four digits each, parted by commas.
func appendHex(b []byte, list []uint16) []byte {
	const digits = "0123456789abcdef"
	for i, v := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, digits[v>>12], digits[v>>8&15], digits[v>>4&15], digits[v&15])
	}
	return b
}

// appendShort writes the first twelve digits of text's SHA-256, or zeros for
// nothing.
func appendShort(b, text []byte) []byte {
	if len(text) == 0 {
		return append(b, "000000000000"...)
	}
	sum := sha256.Sum256(text)
	return hex.AppendEncode(b, sum[:6])
}
