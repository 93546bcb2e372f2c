package drill

import (
	"bytes"
	"encoding/binary"
	"hash/fnv"
	"testing"
)

// TestMix holds what the mix promises: about 500 bytes a packet, 20 to 30
// packets a conversation, the same frames for the same numbers, and no
// allocation.
func TestMix(t *testing.T) {
	m, err := NewMix(1000, 1)
	if err != nil {
		t.Fatal(err)
	}
	again, err := NewMix(1000, 1)
	if err != nil {
		t.Fatal(err)
	}
	warm := m.Warm()
	for range warm {
		m.Next()
		again.Next()
	}
	const n = 500_000
	bytesSeen, begun := 0, 0
	hash := [2]uint64{}
	var last int64
	for range n {
		at, wire, data := m.Next()
		if at < last || len(data) > wire {
			t.Fatalf("at %d after %d, %d bytes of %d", at, last, len(data), wire)
		}
		last = at
		bytesSeen += wire
		if flags := data[l4At+13]; data[ipAt+9] == protoTCP && flags&(syn|ack) == syn {
			begun++
		}
		hash[0] = hashOf(hash[0], data)
		_, _, data = again.Next()
		hash[1] = hashOf(hash[1], data)
	}
	if hash[0] != hash[1] {
		t.Error("the same numbers gave other frames")
	}
	if mean := bytesSeen / n; mean < 450 || mean > 550 {
		t.Errorf("mean of %d bytes a packet, want about 500", mean)
	}
	if begun < n/200 {
		t.Errorf("%d conversations begun in %d packets", begun, n)
	}
	if a := testing.AllocsPerRun(10000, func() { m.Next() }); a != 0 {
		t.Errorf("%v allocations a frame", a)
	}
}

func hashOf(h uint64, b []byte) uint64 {
	f := fnv.New64a()
	binary.Write(f, binary.BigEndian, h)
	f.Write(b)
	return f.Sum64()
}

// TestMixScripts holds the length of the mean conversation, and that what is
// a server's own was found in the frames.
func TestMixScripts(t *testing.T) {
	m, err := NewMix(64, 2)
	if err != nil {
		t.Fatal(err)
	}
	packets, convs := 0, 0
	for _, i := range m.draws {
		packets += 2 * int(m.scripts[i].length)
		convs += 2
		if m.scripts[i].named {
			packets, convs = packets+2, convs+1
		}
	}
	if mean := float64(packets) / float64(convs); mean < 20 || mean > 30 {
		t.Errorf("%.1f packets a conversation, want 20 to 30", mean)
	}
	marked := map[uint8]int{}
	for _, k := range m.marks {
		marked[k.what]++
	}
	for what := range markID + 1 {
		if marked[what] == 0 {
			t.Errorf("mark %d was never found", what)
		}
	}
	for i := range m.scripts[1:] {
		c := &m.scripts[i+1]
		for _, h := range m.shots[c.first:][:c.length] {
			f := bytes.Clone(m.arena[h.off:][:h.kept])
			m.dress(f, &seat{server: 77}, c, &h)
			if bytes.Contains(f, []byte(mixLabel)) {
				t.Fatalf("script %d keeps a mark", i+1)
			}
		}
	}
}

func BenchmarkMix(b *testing.B) {
	m, err := NewMix(500_000, 1)
	if err != nil {
		b.Fatal(err)
	}
	for range m.Warm() {
		m.Next()
	}
	b.ReportAllocs()
	total := 0
	for b.Loop() {
		_, wire, _ := m.Next()
		total += wire
	}
	b.ReportMetric(float64(total)/float64(b.N), "bytes/packet")
}
