package engine

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/testudo-shield/testudo/sense/packet"
)

func talk(pairs ...string) *epoch {
	ep := &epoch{}
	for i := 0; i+1 < len(pairs); i += 2 {
		ep.packets = append(ep.packets, packet.Packet{
			Kind: packet.KindIP,
			Src:  netip.MustParseAddr(pairs[i]).As16(), Dst: netip.MustParseAddr(pairs[i+1]).As16(),
		})
	}
	return ep
}

// TestGuess holds whose network a capture is taken for.
func TestGuess(t *testing.T) {
	private := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fe80::/10")}
	scanned := []string{}
	for i := range 200 { // somebody knocks everywhere, two answer
		scanned = append(scanned, "198.51.100.7", fmt.Sprintf("203.0.113.%d", i))
		if i%100 == 10 {
			scanned = append(scanned, fmt.Sprintf("203.0.113.%d", i), "198.51.100.7")
		}
	}
	for i := range 30 { // a server answers its clients
		c := fmt.Sprintf("192.0.2.%d", i+1)
		scanned = append(scanned, c, "203.0.113.10", "203.0.113.10", c)
	}
	for _, c := range []struct {
		name    string
		packets *epoch
		want    string // the guess, "" for none
	}{
		{"a private address occurs", talk("10.0.0.1", "203.0.113.1", "203.0.113.1", "192.0.2.1"), ""},
		{"link-local addresses tell nothing", talk("fe80::1", "ff02::1", "203.0.113.1", "192.0.2.1", "203.0.113.1", "192.0.2.2"), "203.0.113.0/24"},
		{"the one who answers, not the one who knocks", talk(scanned...), "203.0.113.0/24"},
		{"nobody answers", talk("203.0.113.1", "192.0.2.1", "203.0.113.1", "192.0.2.2"), "203.0.113.0/24"},
		{"equals: who spoke first", talk("2001:db8::1", "2001:db8:9::1"), "2001:db8::/64"},
		{"broadcast is nobody", talk("192.0.2.9", "255.255.255.255", "0.0.0.0", "255.255.255.255"), ""},
		{"nothing", talk(), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, guessed := chooseLocal(private, []*epoch{c.packets})
			if guessed != (c.want != "") {
				t.Fatalf("guessed: %v, %v", guessed, got)
			}
			if guessed && got[len(got)-1].String() != c.want {
				t.Errorf("guess %v, want %s", got[len(got)-1], c.want)
			}
			if len(got) < len(private) {
				t.Errorf("%v: the networks named are lost", got)
			}
		})
	}
}
