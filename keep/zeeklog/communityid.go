package zeeklog

import (
	"crypto/sha1" // the specification's hash; it protects nothing
	"encoding/base64"
	"encoding/binary"
	"net/netip"

	"github.com/testudo-shield/testudo"
)

// CommunityID returns the Community ID of a conversation, version 1 with
// seed 0 (https://github.com/corelight/community-id-spec): the hash by which
// other tools name the same conversation, whichever end they think began it.
// It is empty where an end has no address.
func CommunityID(id testudo.ConnID) string {
	var b [30]byte
	out := appendCommunityID(b[:0], id)
	return string(out)
}

// appendCommunityID appends what CommunityID returns to dst.
func appendCommunityID(dst []byte, id testudo.ConnID) []byte {
	src, resp := id.Orig.Addr().Unmap(), id.Resp.Addr().Unmap()
	if !src.IsValid() || !resp.IsValid() || src.Is4() != resp.Is4() {
		return dst
	}
	sp, dp := id.Orig.Port(), id.Resp.Port()
	ports, oneWay := true, false
	switch id.Proto {
	case testudo.TCP, testudo.UDP, testudo.SCTP:
	case testudo.ICMP, testudo.ICMPv6:
		if c, ok := counterpart(id.Proto, sp); ok {
			dp = c
		} else {
			oneWay = true
		}
	default:
		ports = false
		sp, dp = 0, 0
	}
	if c := src.Compare(resp); !oneWay && (c > 0 || c == 0 && sp > dp) {
		src, resp, sp, dp = resp, src, dp, sp
	}
	var buf [2 + 16 + 16 + 2 + 4]byte
	b := buf[:2] // the seed, 0
	b = appendAddrBytes(b, src)
	b = appendAddrBytes(b, resp)
	b = append(b, byte(id.Proto), 0)
	if ports {
		b = binary.BigEndian.AppendUint16(b, sp)
		b = binary.BigEndian.AppendUint16(b, dp)
	}
	sum := sha1.Sum(b)
	dst = append(dst, "1:"...)
	return base64.StdEncoding.AppendEncode(dst, sum[:])
}

// counterpart returns the ICMP message type that answers t, for the types
// that come in pairs; the others are one-way conversations.
func counterpart(p testudo.Proto, t uint16) (uint16, bool) {
	if p == testudo.ICMP {
		switch t {
		case 0:
			return 8, true // echo
		case 8:
			return 0, true
		case 9:
			return 10, true // router advertisement and solicitation
		case 10:
			return 9, true
		case 13, 15, 17: // timestamp, information, address mask
			return t + 1, true
		case 14, 16, 18:
			return t - 1, true
		}
		return 0, false
	}
	switch t {
	case 128, 130, 133, 135, 139, 144: // echo, listener, router, neighbour, node information, home agent
		return t + 1, true
	case 129, 131, 134, 136, 140, 145:
		return t - 1, true
	}
	return 0, false
}

// appendAddrBytes appends an address in network order: 4 or 16 bytes.
func appendAddrBytes(b []byte, a netip.Addr) []byte {
	if a.Is4() {
		x := a.As4()
		return append(b, x[:]...)
	}
	x := a.As16()
	return append(b, x[:]...)
}
