//go:build linux

package afpacket

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/source"
)

// The rings of these tests are filled by hand, as the kernel would.

const testBlock = 4096

// put writes a block of frames of the given times (nanoseconds) and lets it
// go to the reader.
func put(r *ring, block int, data []byte, status uint32, times ...int64) {
	b := r.mem[block*r.block : (block+1)*r.block]
	clear(b)
	off, last := 48, int64(0)
	for _, at := range times {
		h := (*unix.Tpacket3Hdr)(unsafe.Pointer(&b[off]))
		*h = unix.Tpacket3Hdr{
			Sec: uint32(at / 1e9), Nsec: uint32(at % 1e9), Snaplen: uint32(len(data)), Len: uint32(len(data)), Status: status, Mac: 82,
		}
		h.Hv1 = unix.TpacketHdrVariant1{Vlan_tci: 0x2005, Vlan_tpid: 0x88a8}
		copy(b[off+82:], data)
		h.Next_offset = uint32(82+len(data)+7) &^ 7
		off += int(h.Next_offset)
		last = at
	}
	h := (*unix.TpacketHdrV1)(unsafe.Pointer(&b[8]))
	h.Num_pkts, h.Offset_to_first_pkt, h.Block_status = uint32(len(times)), 48, unix.TP_STATUS_USER
	h.Ts_last_pkt = unix.TpacketBDTS{Sec: uint32(last / 1e9), Usec: uint32(last % 1e9)}
}

func byHand(blocks int) *ring {
	return &ring{fd: -1, mem: make([]byte, blocks*testBlock), block: testBlock, dlt: 1, port: &port{}}
}

func readerOf(t testing.TB, rings ...*ring) *Reader {
	t.Helper()
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	return &Reader{wake: wake, ask: -1, rings: rings, wait: 70 * time.Millisecond, looked: time.Now().Add(time.Hour)}
}

func times(t *testing.T, r *Reader, n int) (got []testudo.Time) {
	t.Helper()
	for range n {
		var f source.Frame
		if err := r.Next(&f); err != nil {
			t.Fatal(err)
		}
		got = append(got, f.Time)
	}
	return got
}

// TestRingTag holds that the tag that was taken off stands where it was.
func TestRingTag(t *testing.T) {
	data := []byte("ddddddssssss\x08\x00payload")
	for _, c := range []struct {
		status uint32
		want   string
	}{
		{0, "ddddddssssss\x08\x00payload"},
		{unix.TP_STATUS_VLAN_VALID, "ddddddssssss\x81\x00\x20\x05\x08\x00payload"},
		{unix.TP_STATUS_VLAN_VALID | unix.TP_STATUS_VLAN_TPID_VALID, "ddddddssssss\x88\xa8\x20\x05\x08\x00payload"},
	} {
		r := byHand(2)
		put(r, 0, data, c.status, 1e9+5)
		var f source.Frame
		if !r.ready(0) || !r.take(&f) || string(f.Data) != c.want || f.Length != len(c.want) || f.Time != 1e9+5 || f.Link != 1 {
			t.Errorf("status %#x: %q, %+v", c.status, f.Data, f)
		}
		if cap(f.Data) != len(f.Data) {
			t.Error("whoever appends to the frame writes into the ring")
		}
	}
}

// TestRingGivesBack holds that a block goes back as soon as its last frame is
// over, and not before.
func TestRingGivesBack(t *testing.T) {
	r := byHand(3)
	put(r, 0, make([]byte, 60), 0, 1, 2)
	put(r, 1, make([]byte, 60), 0, 3)
	rd := readerOf(t, r)
	times(t, rd, 2)
	if *r.status(0)&unix.TP_STATUS_USER == 0 {
		t.Error("a block went back while its last frame was in hand")
	}
	times(t, rd, 1)
	if *r.status(0) != unix.TP_STATUS_KERNEL || *r.status(1)&unix.TP_STATUS_USER == 0 {
		t.Error("blocks are not given back in turn")
	}
}

// TestMergeByTime holds the order of time over rings, at equal times too.
func TestMergeByTime(t *testing.T) {
	a, b := byHand(8), byHand(8)
	put(a, 0, make([]byte, 60), 0, 10, 30, 50)
	put(b, 0, make([]byte, 60), 0, 20, 30, 40, 60)
	put(a, 1, make([]byte, 60), 0, 70)
	put(b, 1, make([]byte, 60), 0, 65)
	if got, want := times(t, readerOf(t, a, b), 9), []testudo.Time{10, 20, 30, 30, 40, 50, 60, 65, 70}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// TestMergeWaits holds that a frame waits for other rings, but not for ever,
// also if the clock that wrote its time was wrong.
func TestMergeWaits(t *testing.T) {
	for _, ahead := range []time.Duration{0, time.Hour, -time.Hour} {
		a, b := byHand(8), byHand(8)
		put(a, 0, make([]byte, 60), 0, time.Now().Add(ahead).UnixNano())
		began := time.Now()
		times(t, readerOf(t, a, b), 1)
		took := time.Since(began)
		if took > 300*time.Millisecond || ahead >= 0 && took < 60*time.Millisecond {
			t.Errorf("%v ahead: waited %v", ahead, took)
		}
	}
}

// TestMergePressed holds that a ring that is half full is read whatever the
// time of its frames.
func TestMergePressed(t *testing.T) {
	a, b := byHand(4), byHand(4)
	for i := range 3 {
		put(a, i, make([]byte, 60), 0, 1e9)
	}
	put(b, 0, make([]byte, 60), 0, 5, 6, 7)
	got := times(t, readerOf(t, a, b), 5)
	if !slices.Equal(got, []testudo.Time{1e9, 5, 6, 7, 1e9}) {
		t.Errorf("%v", got)
	}
}

func TestCloseWithFrameInHand(t *testing.T) {
	a := byHand(4)
	put(a, 0, []byte("a frame that is long enough to be one"), 0, 1, 2)
	r := readerOf(t, a)
	var f source.Frame
	if err := r.Next(&f); err != nil {
		t.Fatal(err)
	}
	_ = r.Close()
	if r.use.Load() == released || !bytes.HasPrefix(f.Data, []byte("a frame")) {
		t.Error("the rings are gone while a frame is in hand")
	}
	for err := error(nil); err != io.EOF; err = r.Next(&f) {
		if err != nil {
			t.Fatal(err)
		}
	}
	if r.use.Load() != released {
		t.Error("the rings are not given back")
	}
}

func TestNextAllocatesNothing(t *testing.T) {
	a := byHand(2)
	r := readerOf(t, a)
	at := 0
	if n := testing.AllocsPerRun(100, func() {
		put(a, at%2, nil, 0, 1, 2, 3, 4, 5, 6, 7, 8)
		at++
		for range 8 {
			var f source.Frame
			if r.Next(&f) != nil {
				t.Fatal("no frame")
			}
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestSpecBounds(t *testing.T) {
	good, err := Config{Interface: "x", RingBytes: 1, BlockBytes: 3 << 20, Rings: 1000}.withDefaults().spec(iface{name: "x", hardware: 1})
	if err != nil || good.validate() != nil || good.Rings != maxRings || good.Blocks != 2 {
		t.Errorf("%+v, %v, %v", good, err, good.validate())
	}
	for name, change := range map[string]func(*Spec){
		"block of no power of two": func(s *Spec) { s.BlockBytes = 5000 },
		"huge block":               func(s *Spec) { s.BlockBytes = 1 << 30 },
		"negative block":           func(s *Spec) { s.BlockBytes = -4096 },
		"no blocks":                func(s *Spec) { s.Blocks = 0 },
		"too many blocks":          func(s *Spec) { s.Blocks = 1 << 30 },
		"no rings":                 func(s *Spec) { s.Rings = 0 },
		"too many rings":           func(s *Spec) { s.Rings = maxRings + 1 },
		"no timeout":               func(s *Spec) { s.TimeoutMS = 0 },
		"no filter":                func(s *Spec) { s.Program = nil },
	} {
		s := good
		if change(&s); s.validate() == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

// TestNoRights holds what a user without rights is told.
func TestNoRights(t *testing.T) {
	if _, err := Open(Config{Interface: "no such interface"}); !errors.Is(err, ErrNoInterface) {
		t.Error(err)
	}
	if f := Check(Config{Interface: "nosuch0"}); len(f) != 1 || f[0].Level != Failure {
		t.Errorf("%v", f)
	}
	if f := Check(Config{Interface: "lo"}); len(f) < 4 {
		t.Errorf("%v", f)
	}
}

// FuzzBlock holds that no block, however wrong, gives a frame outside of it
// or keeps the reader for ever.
func FuzzBlock(f *testing.F) {
	r := byHand(2)
	put(r, 0, make([]byte, 60), unix.TP_STATUS_VLAN_VALID, 1, 2, 3)
	f.Add(bytes.Clone(r.mem[:testBlock]))
	loop := bytes.Clone(r.mem[:testBlock])
	binary.NativeEndian.PutUint32(loop[12:], 1<<31)
	binary.NativeEndian.PutUint32(loop[48:], 0)
	f.Add(loop)
	f.Fuzz(func(t *testing.T, block []byte) {
		r := byHand(2)
		copy(r.mem[:testBlock], block)
		var frame source.Frame
		for n := 0; r.ready(0) && r.at == 0; n++ {
			if n > testBlock {
				t.Fatal("it does not end")
			}
			if r.take(&frame) && frame.Length < len(frame.Data) {
				t.Fatalf("%+v", frame)
			}
		}
	})
}

// BenchmarkNext is the reader's own cost of a frame in a warm ring.
func BenchmarkNext(b *testing.B) {
	a := &ring{fd: -1, mem: make([]byte, 2<<20), block: 1 << 20, dlt: 1, port: &port{}}
	var at []int64
	for i := range 1500 {
		at = append(at, int64(i))
	}
	put(a, 0, make([]byte, 500), 0, at...)
	r := readerOf(b, a)
	var f source.Frame
	b.ReportAllocs()
	for b.Loop() {
		if a.left == 0 {
			*a.status(0), a.at, a.data = unix.TP_STATUS_USER, 0, nil
			a.open(0)
			r.cur, r.limit = a, 1<<62
		}
		if r.Next(&f) != nil {
			b.Fatal("no frame")
		}
	}
}
