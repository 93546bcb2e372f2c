package packet

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/testudo-shield/testudo"
)

// piece is a fragment of the datagram under test.
type piece struct {
	off  int
	more bool
	data []byte
}

func (p piece) v4(id uint16) []byte {
	field := uint16(p.off / 8)
	if p.more {
		field |= 0x2000
	}
	return v4{proto: 17, id: id, frag: field}.carry(p.data)
}

func (p piece) v6(id uint32) []byte { return v6(44, frag6(17, p.off, p.more, id, p.data)) }

// split cuts a datagram into pieces of n bytes.
func split(b []byte, n int) (ps []piece) {
	for off := 0; off < len(b); off += n {
		ps = append(ps, piece{off, off+n < len(b), b[off:min(len(b), off+n)]})
	}
	return ps
}

func feed(d *Decoder, frames ...[]byte) (whole []Packet) {
	for i, f := range frames {
		var p Packet
		if d.Decode(101, testudo.Time(i), 0, f, &p) {
			whole = append(whole, p)
		}
	}
	return whole
}

func TestFragments(t *testing.T) {
	text := strings.Repeat("all for one, one for all. ", 100)
	for name, mk := range map[string]func(piece) []byte{
		"v4": func(p piece) []byte { return p.v4(7) }, "v6": func(p piece) []byte { return p.v6(7) },
	} {
		rng := rand.New(rand.NewPCG(1, 2))
		for range 50 {
			ps := split(udp(53, 99, []byte(text)), 8*(1+rng.IntN(100)))
			rng.Shuffle(len(ps), func(i, k int) { ps[i], ps[k] = ps[k], ps[i] })
			var frames [][]byte
			for i, p := range ps {
				frames = append(frames, mk(p))
				if i < len(ps)-1 && rng.IntN(3) == 0 {
					frames = append(frames, mk(p)) // seen twice
				}
			}
			d := New(Config{})
			got := feed(d, frames...)
			if len(got) != 1 || string(got[0].Payload) != text || !got[0].Joined || got[0].DstPort != 99 || int(got[0].PayloadLen) != len(text) {
				t.Fatalf("%s: %d pieces gave %d packets", name, len(ps), len(got))
			}
			c := d.Counts()
			if c.FragmentsJoined != 1 || c.DatagramsHeld != 0 || c.BytesHeld != 0 || c.FragmentsOverlap != 0 || c.Fragments != uint64(len(frames)) {
				t.Fatalf("%s: got counts %+v", name, c)
			}
		}
	}
}

func TestFragmentOverlap(t *testing.T) {
	first := udp(53, 99, bytes.Repeat([]byte("a"), 24)) // 32 bytes
	a := piece{0, true, first[:16]}
	tail := piece{16, false, bytes.Repeat([]byte("c"), 16)}
	evil := piece{8, true, bytes.Repeat([]byte("b"), 16)}
	want := strings.Repeat("a", 8) + strings.Repeat("b", 8) + strings.Repeat("c", 8)
	d := New(Config{})
	got := feed(d, a.v4(1), evil.v4(1), tail.v4(1))
	if len(got) != 1 || string(got[0].Payload) != want || d.Counts().FragmentsOverlap != 2 {
		t.Errorf("v4: got %d packets, %+v", len(got), d.Counts())
	}
	d = New(Config{})
	got = feed(d, tail.v4(1), piece{8, false, make([]byte, 8)}.v4(1), piece{40, true, make([]byte, 8)}.v4(1), a.v4(1))
	if len(got) != 1 || d.Counts().FragmentsOverlap != 2 {
		t.Errorf("v4 with contradicting ends: got %d packets, %+v", len(got), d.Counts())
	}
	d = New(Config{})
	if got = feed(d, a.v6(1), evil.v6(1), tail.v6(1), a.v6(1)); len(got) != 0 {
		t.Error("v6: an overlap was joined")
	}
	if c := d.Counts(); c.FragmentsOverlap != 1 || c.DatagramsHeld != 1 || c.BytesHeld != datagramCost {
		t.Errorf("v6: got counts %+v", c)
	}
}

func TestFragmentBudget(t *testing.T) {
	d := New(Config{FragmentBytes: partitions * 8192, FragmentDatagrams: partitions * 4})
	var frames [][]byte
	for id := range uint16(100) {
		frames = append(frames, piece{0, true, make([]byte, 1000)}.v4(id))
	}
	feed(d, frames...)
	c := d.Counts()
	if c.DatagramsHeld != 4 || c.FragmentsDropped != 96 || c.BytesHeld > 8192 {
		t.Errorf("many datagrams: got counts %+v", c)
	}
	d = New(Config{FragmentBytes: partitions * 8192})
	frames = nil
	for i := range 60 {
		frames = append(frames, piece{i * 1000, true, make([]byte, 1000)}.v4(1))
	}
	feed(d, frames...)
	if c := d.Counts(); c.BytesHeld > 8192 || c.FragmentsDropped == 0 {
		t.Errorf("a long datagram: got counts %+v", c)
	}
	d = New(Config{})
	frames = nil
	for i := range 8000 {
		frames = append(frames, piece{i * 8, true, make([]byte, 8)}.v4(1))
	}
	feed(d, frames...)
	if c := d.Counts(); c.DatagramsHeld != 1 || c.BytesHeld != datagramCost {
		t.Errorf("tiny pieces: got counts %+v", c)
	}
}

func TestFragmentAge(t *testing.T) {
	ps := split(udp(53, 99, make([]byte, 40)), 24)
	for _, tt := range []struct {
		at   testudo.Time
		want bool
	}{{30e9, true}, {30e9 + 1, false}, {-31e9, false}} {
		d := New(Config{})
		var p Packet
		d.Decode(101, 0, 0, ps[0].v4(1), &p)
		d.Decode(101, 1<<62, 0, piece{0, true, make([]byte, 8)}.v4(2), &p) // a wrong clock ages nobody else
		if got := d.Decode(101, tt.at, 0, ps[1].v4(1), &p); got != tt.want {
			t.Errorf("last piece at %d: joined %v, want %v", tt.at, got, tt.want)
		}
	}
}

func TestFragmentCut(t *testing.T) {
	b := udp(53, 99, []byte(strings.Repeat("x", 48)))
	ps := split(b, 24)
	d := New(Config{})
	var p Packet
	for i, q := range ps {
		f := q.v4(1)
		keep := len(f)
		if i == 1 {
			keep -= 4
		}
		if d.Decode(101, 0, len(f), f[:keep], &p) != (i == len(ps)-1) {
			t.Fatalf("piece %d", i)
		}
	}
	if len(p.Payload) != 36 || p.PayloadLen != 48 || d.Counts().Cut != 1 {
		t.Errorf("got %d of %d bytes", len(p.Payload), p.PayloadLen)
	}
}

// TestFragmentsWithin nests fragments in what was joined, which only a tunnel
// may do.
func TestFragmentsWithin(t *testing.T) {
	in := split(udp(1111, 2222, []byte(strings.Repeat("w", 40))), 24)
	d := New(Config{})
	var frames [][]byte
	for i, q := range in {
		for _, o := range split(q.v4(9), 16) {
			field := uint16(o.off / 8)
			if o.more {
				field |= 0x2000
			}
			frames = append(frames, v4{proto: 4, src: hostC, dst: hostD, id: uint16(i), frag: field}.carry(o.data))
		}
	}
	got := feed(d, frames...)
	if len(got) != 1 || got[0].Tunnel != IPIP || !got[0].Joined || len(got[0].Payload) != 40 {
		t.Errorf("got %d packets, %+v", len(got), d.Counts())
	}
	d = New(Config{})
	inner := frag6(17, 0, true, 5, make([]byte, 8))
	feed(d, piece{0, true, inner[:8]}.v6next(44, 3), piece{8, false, inner[8:]}.v6next(44, 3))
	if d.Counts().Malformed[BadFragment] != 1 {
		t.Errorf("a fragment within a joined one: %+v", d.Counts())
	}
}

func (p piece) v6next(next uint8, id uint32) []byte {
	return v6(44, frag6(next, p.off, p.more, id, p.data))
}

func FuzzFragments(f *testing.F) {
	f.Add([]byte{0, 1, 1, 1, 2, 0}, false)
	f.Add([]byte{4, 0, 3, 1, 0, 9, 2, 1}, true)
	f.Fuzz(func(t *testing.T, script []byte, six bool) {
		d := New(Config{FragmentBytes: partitions * 4096, FragmentDatagrams: partitions * 3})
		for len(script) >= 2 {
			q := piece{int(script[0]>>3) * 8, script[1]&1 != 0, bytes.Repeat(script[:1], 1+int(script[1]>>2))}
			b := q.v4(uint16(script[0] & 7))
			if six {
				b = q.v6(uint32(script[0] & 7))
			}
			var p Packet
			if d.Decode(101, 0, 0, b, &p) && len(p.Payload) != int(p.PayloadLen) {
				t.Fatalf("joined %d bytes of %d", len(p.Payload), p.PayloadLen)
			}
			script = script[2:]
		}
		c := d.Counts()
		if c.BytesHeld > partitions*4096 || c.DatagramsHeld > partitions*3 {
			t.Fatalf("over budget: %+v", c)
		}
		for i := range d.frags {
			checkBooks(t, &d.frags[i])
		}
	})
}

// checkBooks compares the reassembler's sums with what it holds.
func checkBooks(t *testing.T, r *reassembler) {
	n, bytes := 0, 0
	for i := r.oldest; i != none; i = r.slots[i].newer {
		g := &r.slots[i]
		n, bytes = n+1, bytes+g.cost()
		if !slices.IsSortedFunc(g.parts, func(a, b part) int { return int(a.end) - int(b.off) - 1 }) {
			t.Fatalf("parts overlap: %v", g.parts)
		}
	}
	if n != len(r.index) || bytes != r.bytes || n+len(r.free) != len(r.slots) {
		t.Fatalf("%d datagrams of %d bytes, booked %d of %d", n, bytes, len(r.index), r.bytes)
	}
}
