//go:build linux

package afpacket

import (
	"flag"
	"runtime"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/testudo-shield/testudo/sense/source"
)

// rate is for a machine that has a core to spare.
var rate = flag.Int("rate", 0, "packets a second for TestKernelRate, 0 to leave it out")

// TestKernelRate sends at a fixed rate for five seconds and holds that the
// kernel lost nothing.
func TestKernelRate(t *testing.T) {
	if *rate == 0 {
		t.Skip("SKIPPED: give -args -rate 300000")
	}
	a, b := pair(t)
	cfg := Config{Interface: a, Event: func(s string) { t.Log(s) }}
	r := open(t, cfg)
	s := newSender(t, b)
	_ = unix.SetsockoptInt(s.fd, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1)
	const seconds = 5
	took := make(chan time.Duration, 1)
	want := *rate * seconds
	go func() { took <- s.steady(*rate, want) }()

	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	n, bytes, sum := 0, 0, byte(0)
	for idle := 0; n < want && idle < 20; {
		var f source.Frame
		if err := r.Next(&f); err != nil {
			idle++
			continue
		}
		idle = 0
		n++
		bytes += f.Length
		for i := 0; i < len(f.Data); i += 64 { // touch it, as a decoder does
			sum ^= f.Data[i]
		}
	}
	runtime.ReadMemStats(&after)
	st := r.Stats()[0]
	d := <-took
	t.Logf("sent %d in %v (%.0f a second, mean %d bytes), read %d, kernel saw %d and dropped %d, froze %d times, %d allocations, %d",
		want, d, float64(want)/d.Seconds(), bytes/max(n, 1), n, st.Packets, st.Drops, st.Freezes, after.Mallocs-before.Mallocs, sum)
	if st.Drops > 0 || n != want {
		t.Errorf("lost %d by the kernel's count, read %d of %d", st.Drops, n, want)
	}
}

// header is struct mmsghdr.
type header struct {
	unix.Msghdr
	n uint32
}

// steady sends n frames of the usual mix of sizes at a rate, in batches.
func (s *sender) steady(rate, n int) time.Duration {
	const batch = 64
	sizes := [...]int{60, 60, 60, 590, 590, 1514, 1514, 60}
	var frames [512][]byte
	for i := range frames {
		frames[i] = frame("10.0.0.1", "10.0.1.2", i, sizes[i%len(sizes)])
		frames[i][33] = byte(i)
	}
	var headers [batch]header
	var parts [batch]unix.Iovec
	began := time.Now()
	for sent := 0; sent < n; {
		for ahead := time.Duration(sent)*time.Second/time.Duration(rate) - time.Since(began); ahead > 0; {
			time.Sleep(ahead)
			ahead = 0
		}
		k := min(batch, n-sent)
		for i := range k {
			f := frames[(sent+i)%len(frames)]
			parts[i].Base = &f[0]
			parts[i].SetLen(len(f))
			headers[i].Iov, headers[i].Iovlen = &parts[i], 1
		}
		m, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(s.fd), uintptr(unsafe.Pointer(&headers[0])), uintptr(k), 0, 0, 0)
		if errno != 0 && errno != unix.ENOBUFS && errno != unix.EAGAIN {
			s.t.Error(errno)
			return time.Since(began)
		}
		if errno == 0 {
			sent += int(m)
		}
	}
	return time.Since(began)
}
