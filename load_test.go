package testudo

import (
	"net/netip"
	"testing"
)

func TestAggregateString(t *testing.T) {
	host := netip.MustParsePrefix("198.51.100.20/32")
	for _, c := range []struct {
		a    Aggregate
		want string
	}{
		{Aggregate{Target: host}, "everything to 198.51.100.20"},
		{Aggregate{Target: host, Proto: UDP, SourcePort: 53, Above: 512}, "udp from port 53 to 198.51.100.20, larger than 512 bytes"},
		{Aggregate{Target: host, Proto: TCP, SYN: true, TargetPort: 443}, "tcp connection requests to 198.51.100.20 port 443"},
		{Aggregate{Target: host, Proto: TCP, Stray: true, Below: 64}, "tcp to 198.51.100.20, smaller than 64 bytes, that belong to no conversation"},
		{
			Aggregate{Target: netip.MustParsePrefix("198.51.100.0/24"), Proto: UDP, Fragment: true, Sources: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("203.0.113.1/32")}},
			"fragments from 192.0.2.0/24, 203.0.113.1 to 198.51.100.0/24",
		},
	} {
		if got := c.a.String(); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

func TestLoadBooks(t *testing.T) {
	var l Load
	l.Count[LoadSYN], l.Count[LoadFragment], l.Count[LoadCompleted], l.Count[LoadReassembled] = 5, 2, 3, 1
	if l.Owed() != 7 || l.Paid() != 4 || l.Log() != "load" {
		t.Errorf("owed %d, paid %d", l.Owed(), l.Paid())
	}
}
