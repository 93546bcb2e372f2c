package intel

import (
	"encoding/hex"
	"net/netip"

	"github.com/testudo-shield/testudo"
)

// A key is what the index knows a value by: a byte for its sort, then
// addresses and digests in binary and all else as text. Domains and hosts
// have one sort, as have all digests: what is listed as one can show as the
// other.
const (
	addressKey byte = iota
	prefixKey       // address, then length
	nameKey
	urlKey
	emailKey
	agentKey
	digestKey
	ja4Key
	keys
)

// appendKey appends the key of a value in its canonical form.
func appendKey(b []byte, t testudo.IndicatorType, value string) ([]byte, bool) {
	switch t {
	case testudo.AddressIndicator:
		a, err := netip.ParseAddr(value)
		return appendAddr(append(b, addressKey), a), err == nil
	case testudo.PrefixIndicator:
		p, err := netip.ParsePrefix(value)
		return appendPrefix(b, p), err == nil
	case testudo.DomainIndicator, testudo.HostIndicator:
		return append(append(b, nameKey), value...), true
	case testudo.URLIndicator:
		return append(append(b, urlKey), value...), true
	case testudo.EmailIndicator:
		return append(append(b, emailKey), value...), true
	case testudo.AgentIndicator:
		return append(append(b, agentKey), value...), true
	case testudo.JA4Indicator:
		return append(append(b, ja4Key), value...), true
	case testudo.JA3Indicator, testudo.CertIndicator, testudo.HashIndicator:
		b, err := hex.AppendDecode(append(b, digestKey), []byte(value))
		return b, err == nil
	}
	return b, false
}

func appendAddr(b []byte, a netip.Addr) []byte {
	if a.Is4() {
		v4 := a.As4()
		return append(b, v4[:]...)
	}
	v6 := a.As16()
	return append(b, v6[:]...)
}

func appendPrefix(b []byte, p netip.Prefix) []byte {
	return append(appendAddr(append(b, prefixKey), p.Addr()), byte(p.Bits()))
}

// textOf returns the value that key is of.
func textOf(key []byte) string {
	rest := key[1:]
	switch key[0] {
	case addressKey:
		a, _ := netip.AddrFromSlice(rest)
		return a.String()
	case prefixKey:
		return prefixOf(key).String()
	case digestKey:
		return hex.EncodeToString(rest)
	}
	return string(rest)
}

func prefixOf(key []byte) netip.Prefix {
	last := len(key) - 1
	a, _ := netip.AddrFromSlice(key[1:last])
	return netip.PrefixFrom(a, int(key[last]))
}

// appendLower appends s with its ASCII letters in lower case.
func appendLower(b []byte, s string) []byte {
	for i := range len(s) {
		c := s[i]
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		b = append(b, c)
	}
	return b
}

// appendDigest appends the bytes of an MD5, SHA-1 or SHA-256 in hexadecimal
// letters, with colons between the bytes or without.
func appendDigest(b []byte, s string) ([]byte, bool) {
	start := len(b)
	for i := 0; i+1 < len(s); i += 2 {
		if s[i] == ':' {
			i++
		}
		if i+1 >= len(s) || !isHex(s[i]) || !isHex(s[i+1]) || len(b)-start == 32 {
			return b, false
		}
		b = append(b, nibble(s[i])<<4|nibble(s[i+1]))
	}
	n := len(b) - start
	return b, n == 16 || n == 20 || n == 32
}

func nibble(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}
