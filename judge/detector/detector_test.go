package detector

import (
	"net/netip"
	"testing"
)

// TestAddrKey holds that what shards and sketches rest on stays what it was,
// and that an IPv4 address is the same as its mapped form.
func TestAddrKey(t *testing.T) {
	for addr, want := range map[string]uint64{
		"": 0x8efd810dcb71afa3, "192.0.2.1": 0xcacba62c33face9d, "2001:db8::1": 0x29fdac41566a43e3,
	} {
		var a netip.Addr
		if addr != "" {
			a = netip.MustParseAddr(addr)
		}
		if got := AddrKey(a); got != want {
			t.Errorf("AddrKey(%s) = %#x, want %#x", addr, got, want)
		}
		if got := AddrKey(netip.AddrFrom16(a.As16())); got != want {
			t.Errorf("AddrKey of %s mapped = %#x, want %#x", addr, got, want)
		}
	}
}
