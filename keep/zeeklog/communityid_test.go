package zeeklog

import (
	"net/netip"
	"testing"

	"github.com/testudo-shield/testudo"
)

// The hashes were computed from the specification by another program
// (Python's hashlib), which was checked against the specification's examples.
func TestCommunityID(t *testing.T) {
	for _, c := range []struct {
		name       string
		orig, resp string
		proto      testudo.Proto
		want       string
		oneWay     bool
	}{
		{"tcp", "10.0.0.5:49152", "203.0.113.7:443", testudo.TCP, "1:RSbzw7XPCJmyg161+MhH9ie8pYs=", false},
		{"udp", "10.0.0.5:40000", "192.0.2.53:53", testudo.UDP, "1:efsB7ry6wl/VCDJ5aD8BLymAUJE=", false},
		{"sctp", "10.0.0.5:7", "203.0.113.7:9", testudo.SCTP, "1:spO2R5HvflNkixRvEzTj/IHrvQ0=", false},
		{"gre has no ports", "10.0.0.5:0", "203.0.113.7:0", 47, "1:m+BXzKcbRRLWmmB05U770lRqr00=", false},
		{"mapped address", "[::ffff:10.0.0.5]:49152", "203.0.113.7:443", testudo.TCP, "1:RSbzw7XPCJmyg161+MhH9ie8pYs=", false},
		{"icmp echo", "10.0.0.5:8", "203.0.113.7:0", testudo.ICMP, "1:ycxmhByp6iHzXysH0g2Lq0lLFgQ=", true},
		{"icmp echo reply", "203.0.113.7:0", "10.0.0.5:8", testudo.ICMP, "1:ycxmhByp6iHzXysH0g2Lq0lLFgQ=", true},
		{"icmp unreachable", "10.0.0.5:3", "203.0.113.7:1", testudo.ICMP, "1:WPFuoC6JT2qCcqBNJMmbZtk/UO0=", true},
		{"icmp unreachable, the other way", "203.0.113.7:3", "10.0.0.5:1", testudo.ICMP, "1:5IAgca77kVJgiPA8eVcEvb1a84s=", true},
		{"icmp6 echo", "[2001:db8::5]:128", "[2001:db8::7]:0", testudo.ICMPv6, "1:+NQtQhXyPPXtUroB0OusWJavcOc=", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			id := testudo.ConnID{Orig: netip.MustParseAddrPort(c.orig), Resp: netip.MustParseAddrPort(c.resp), Proto: c.proto}
			if got := CommunityID(id); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
			if c.oneWay {
				return
			}
			id.Orig, id.Resp = id.Resp, id.Orig
			if got := CommunityID(id); got != c.want {
				t.Errorf("turned round: got %s, want %s", got, c.want)
			}
		})
	}
	if got := CommunityID(testudo.ConnID{}); got != "" {
		t.Errorf("no addresses: got %q", got)
	}
}
