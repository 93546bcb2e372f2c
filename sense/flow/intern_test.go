package flow

import (
	"strconv"
	"strings"
	"testing"
	"unsafe"
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

// TestSizes holds what a conn costs: DESIGN.md counts in cache lines.
func TestSizes(t *testing.T) {
	for _, c := range []struct {
		what       string
		size, want uintptr
	}{
		{"conn", unsafe.Sizeof(conn{}), 256},
		{"talk", unsafe.Sizeof(talk{}), 128},
		{"place", unsafe.Sizeof(place{}), 8},
	} {
		if c.size != c.want {
			t.Errorf("a %s takes %d bytes, want %d", c.what, c.size, c.want)
		}
	}
}
