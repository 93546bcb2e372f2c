package intel

import (
	"net/netip"
	"strings"
	"time"

	"golang.org/x/net/publicsuffix"

	"github.com/testudo-shield/testudo"
)

// Mark returns what speaks against acting on ind alone, by its value, the
// public suffix list and the warning lists, which may be nil: lists are
// dirty, and name what belongs to nobody or to everybody. Marks that ind has
// already are kept. MarkExpired is not among them, see Expires.
func Mark(ind *testudo.Indicator, warn *Warnings) testudo.Marks {
	m := ind.Marks | warn.marks(ind.Type, ind.Value)
	switch ind.Type {
	case testudo.AddressIndicator:
		if a, err := netip.ParseAddr(ind.Value); err == nil {
			m |= markAddress(a)
		}
	case testudo.PrefixIndicator:
		if p, err := netip.ParsePrefix(ind.Value); err == nil {
			m |= markPrefix(p)
			if m&(testudo.MarkPrivate|testudo.MarkWide) == 0 && manyParties(p) && bare(ind) {
				m |= testudo.MarkShared
			}
		}
	case testudo.DomainIndicator, testudo.HostIndicator:
		m |= markName(ind.Value)
	case testudo.URLIndicator:
		m |= markURL(ind.Value, warn)
	case testudo.HashIndicator:
		if isEmptyFile(ind.Value) {
			m |= testudo.MarkKnown
		}
	}
	return m
}

func markAddress(a netip.Addr) (m testudo.Marks) {
	if !public(a) {
		m = testudo.MarkPrivate
	}
	if isResolver(a) {
		m |= testudo.MarkKnown
	}
	return m
}

// markPrefix calls an IPv4 prefix wide from /15 on and an IPv6 one from /31
// on: more than a provider gives one customer.
func markPrefix(p netip.Prefix) (m testudo.Marks) {
	if p.Addr().Is4() && p.Bits() < 16 || p.Addr().Is6() && p.Bits() < 32 {
		m = testudo.MarkWide
	}
	for _, r := range resolvers {
		if p.Contains(r) {
			m |= testudo.MarkKnown
		}
	}
	for _, q := range held {
		if p.Overlaps(q) {
			return m | testudo.MarkPrivate
		}
	}
	if !public(p.Masked().Addr()) && p.Bits() > 0 {
		m |= testudo.MarkPrivate
	}
	return m
}

// manyParties tells prefixes wider than the narrowest that are routed by
// themselves: unrelated parties may have their machines there.
func manyParties(p netip.Prefix) bool {
	return p.Addr().Is4() && p.Bits() < 24 || p.Addr().Is6() && p.Bits() < 48
}

// bare tells an indicator of which its source says nothing but the value: it
// may as well be of a list of whose networks are whose.
func bare(ind *testudo.Indicator) bool {
	return ind.Confidence < 0 && ind.Note == "" && len(ind.Threats) == 0 && listed(ind) == 0
}

func markName(name string) (m testudo.Marks) {
	if suffix, _ := publicsuffix.PublicSuffix(name); suffix == name {
		m = testudo.MarkSuffix
	}
	for _, own := range [...]string{"localhost", "local", "internal", "home.arpa", "in-addr.arpa", "ip6.arpa"} {
		if name == own || strings.HasSuffix(name, "."+own) {
			m |= testudo.MarkPrivate
		}
	}
	return m
}

// markURL marks a URL for its host where that is nobody's or a well-known
// party's. On a shared host the path tells whose it is.
func markURL(url string, warn *Warnings) testudo.Marks {
	host, _, _ := strings.Cut(url, "/")
	host = strings.Trim(withoutPort(host), "[]")
	if a, err := netip.ParseAddr(host); err == nil {
		return markAddress(a)
	}
	return markName(host)&testudo.MarkPrivate | warn.marks(testudo.HostIndicator, host)&testudo.MarkKnown
}

// reserved are networks that nobody on the Internet can have, beside those
// that the standard library knows (RFC 6890).
var reserved = [...]netip.Prefix{
	netip.PrefixFrom(netip.AddrFrom4([4]byte{0}), 8),
	netip.PrefixFrom(netip.AddrFrom4([4]byte{100, 64}), 10),
	netip.PrefixFrom(netip.AddrFrom4([4]byte{240}), 4),
}

// held are networks that a listed one must not contain.
var held = [...]netip.Prefix{
	reserved[0], reserved[1], reserved[2],
	netip.PrefixFrom(netip.AddrFrom4([4]byte{10}), 8),
	netip.PrefixFrom(netip.AddrFrom4([4]byte{127}), 8),
	netip.PrefixFrom(netip.AddrFrom4([4]byte{169, 254}), 16),
	netip.PrefixFrom(netip.AddrFrom4([4]byte{172, 16}), 12),
	netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 168}), 16),
	netip.PrefixFrom(netip.AddrFrom4([4]byte{224}), 4),
	netip.PrefixFrom(netip.IPv6Loopback(), 128),
	netip.PrefixFrom(netip.AddrFrom16([16]byte{0xfc}), 7),
	netip.PrefixFrom(netip.AddrFrom16([16]byte{0xfe, 0x80}), 10),
	netip.PrefixFrom(netip.AddrFrom16([16]byte{0xff}), 8),
}

func public(a netip.Addr) bool {
	for _, p := range reserved {
		if p.Contains(a) {
			return false
		}
	}
	return a.IsGlobalUnicast() && !a.IsPrivate()
}

// resolvers are the public ones that machines all over the world are set to
// use, as their operators publish them.
var resolvers = [...]netip.Addr{
	netip.AddrFrom4([4]byte{8, 8, 8, 8}), netip.AddrFrom4([4]byte{8, 8, 4, 4}),
	netip.AddrFrom4([4]byte{1, 1, 1, 1}), netip.AddrFrom4([4]byte{1, 0, 0, 1}),
	netip.AddrFrom4([4]byte{9, 9, 9, 9}), netip.AddrFrom4([4]byte{149, 112, 112, 112}),
	netip.AddrFrom4([4]byte{208, 67, 222, 222}), netip.AddrFrom4([4]byte{208, 67, 220, 220}),
	netip.AddrFrom16([16]byte{0x20, 0x01, 0x48, 0x60, 0x48, 0x60, 14: 0x88, 15: 0x88}),
	netip.AddrFrom16([16]byte{0x20, 0x01, 0x48, 0x60, 0x48, 0x60, 14: 0x88, 15: 0x44}),
	netip.AddrFrom16([16]byte{0x26, 0x06, 0x47, 0, 0x47, 0, 14: 0x11, 15: 0x11}),
	netip.AddrFrom16([16]byte{0x26, 0x06, 0x47, 0, 0x47, 0, 14: 0x10, 15: 0x01}),
	netip.AddrFrom16([16]byte{0x26, 0x20, 0, 0xfe, 15: 0xfe}),
}

func isResolver(a netip.Addr) bool {
	for _, r := range resolvers {
		if a == r {
			return true
		}
	}
	return false
}

// isEmptyFile tells the digests of no bytes at all.
func isEmptyFile(digest string) bool {
	switch digest {
	case "d41d8cd98f00b204e9800998ecf8427e", "da39a3ee5e6b4b0d3255bfef95601890afd80709",
		"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855":
		return true
	}
	return false
}

// Expires returns when ind is no longer to be believed: when its source says,
// else by its type after the source last (or first, where it says only that)
// saw it bad. Addresses, prefixes and URLs change hands soon: 180 days. Names
// are paid by the year: one year, as are mail addresses. What an adversary
// carries along lives longer: two years for fingerprints, certificates and
// agents. A file's hash never changes its meaning: never, which is 0, as it
// is where nothing is known of when it was seen.
func Expires(ind *testudo.Indicator) testudo.Time {
	if ind.Expires != 0 {
		return ind.Expires
	}
	seen, life := listed(ind), lifetime(ind.Type)
	if seen == 0 || life == 0 {
		return 0
	}
	return seen.Add(life)
}

func lifetime(t testudo.IndicatorType) time.Duration {
	const day = 24 * time.Hour
	switch t {
	case testudo.AddressIndicator, testudo.PrefixIndicator, testudo.URLIndicator:
		return 180 * day
	case testudo.DomainIndicator, testudo.HostIndicator, testudo.EmailIndicator:
		return 365 * day
	case testudo.JA3Indicator, testudo.JA4Indicator, testudo.CertIndicator, testudo.AgentIndicator:
		return 2 * 365 * day
	}
	return 0
}

// listed is when the source last saw ind bad, first where it says only that.
func listed(ind *testudo.Indicator) testudo.Time {
	if ind.Last != 0 {
		return ind.Last
	}
	return ind.First
}
