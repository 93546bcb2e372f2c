package history

import (
	"net/netip"
	"testing"
)

// TestBlank holds that a subject is taken out of texts as a whole word only.
func TestBlank(t *testing.T) {
	s := NewSearch(Subject{Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.5")}, Words: []string{"PC-Maria"}})
	for text, want := range map[string]string{
		"10.0.0.5 to 10.0.0.55": "X to 10.0.0.55", "110.0.0.5": "110.0.0.5", "10.0.0.5.7": "10.0.0.5.7", "at 10.0.0.5.": "at X.",
		"pc-maria.corp.example": "X.corp.example", "pc-maria2": "pc-maria2", "5.0.0.10.in-addr.arpa": "X", "PC-MARIA PC-Maria": "X X",
		"İ pc-maria": "İ X", "": "",
	} {
		if got := s.Blank(text, "X"); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	if !s.Holds(netip.MustParseAddr("::ffff:10.0.0.5")) || s.Holds(netip.Addr{}) {
		t.Error("Holds")
	}
}
