package flow

import (
	"strconv"
	"strings"
	"testing"
)

// TestInternIsTheString gives an interner far more strings than it holds, of
// all lengths, and asks for what repeats to cost nothing.
func TestInternIsTheString(t *testing.T) {
	var q intern
	for i := range 20000 {
		want := strings.Repeat("x", i%200) + strconv.Itoa(i%5000)
		if got := q.of([]byte(want)); got != want {
			t.Fatalf("of(%q) = %q", want, got)
		}
	}
	known := []byte("www.example.org")
	q.of(known)
	if n := testing.AllocsPerRun(100, func() { q.of(known) }); n != 0 {
		t.Errorf("a known string costs %v allocations", n)
	}
}
