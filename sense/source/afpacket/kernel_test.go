//go:build linux

package afpacket

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/testudo-shield/testudo/sense/source"
)

// inNamespace is set in the environment of the copy of the test that has a
// network of its own.
const inNamespace = "TESTUDO_TEST_NAMESPACE"

// TestMain runs the tests in a network namespace of their own, where they may
// make interfaces, if there is the right to.
func TestMain(m *testing.M) {
	if os.Getenv(asWatcher) != "" {
		os.Exit(watch())
	}
	if os.Getenv(inNamespace) != "" || os.Geteuid() != 0 || os.Getenv("TESTUDO_PROVE") == "" {
		os.Exit(m.Run())
	}
	cmd := exec.Command(os.Args[0], os.Args[1:]...)
	cmd.Env = append(os.Environ(), inNamespace+"=yes")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		os.Exit(exit.ExitCode())
	case err != nil: // no right to a namespace
		os.Exit(m.Run())
	}
}

// needKernel skips a test that needs root, and says so.
func needKernel(t testing.TB) {
	t.Helper()
	if os.Getenv(inNamespace) == "" {
		t.Skip("SKIPPED: needs root, for a network namespace of its own; make prove runs it")
	}
}

func ip(t testing.TB, args string) {
	t.Helper()
	if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v: %s", args, err, out)
	}
}

// pair makes two ends of a cable: frames sent on the second arrive at the
// first.
func pair(t testing.TB) (string, string) {
	t.Helper()
	needKernel(t)
	a, b := "ta0", "tb0"
	cable(t, a, b)
	t.Cleanup(func() { _ = exec.Command("ip", "link", "del", b).Run() })
	return a, b
}

func cable(t testing.TB, a, b string) {
	t.Helper()
	ip(t, "link add "+a+" type veth peer name "+b)
	for _, name := range []string{a, b} {
		_ = os.WriteFile("/proc/sys/net/ipv6/conf/"+name+"/disable_ipv6", []byte("1"), 0o644) // else it speaks by itself
		ip(t, "link set "+name+" up")
	}
	for _, name := range []string{a, b} { // before, what is sent is dropped
		for range 500 {
			if out, _ := exec.Command("ip", "-o", "link", "show", name).Output(); bytes.Contains(out, []byte("state UP")) {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
}

// sender sends frames on an interface.
type sender struct {
	t  testing.TB
	fd int
}

func newSender(t testing.TB, name string) *sender {
	t.Helper()
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ask, _ := askSocket()
	defer unix.Close(ask)
	i, err := lookUp(ask, name)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: i.index}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	return &sender{t, fd}
}

func (s *sender) send(frames ...[]byte) {
	s.t.Helper()
	for _, f := range frames {
		if _, err := unix.Write(s.fd, f); err != nil {
			s.t.Fatal(err)
		}
	}
}

// frame is UDP from src to dst, with a number to know it by.
func frame(src, dst string, n, size int) []byte {
	b := make([]byte, max(size, 46))
	copy(b, []byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45})
	binary.BigEndian.PutUint16(b[16:], uint16(len(b)-14))
	b[22], b[23] = 64, 17
	copy(b[26:], netip.MustParseAddr(src).AsSlice())
	copy(b[30:], netip.MustParseAddr(dst).AsSlice())
	binary.BigEndian.PutUint16(b[38:], uint16(len(b)-34))
	binary.BigEndian.PutUint32(b[42:], uint32(n))
	return b
}

func withTag(f []byte, tag ...byte) []byte {
	return append(append(append([]byte{}, f[:12]...), tag...), f[12:]...)
}

// small keeps tests quick.
func small(name string) Config {
	return Config{Interface: name, RingBytes: 4 << 20, BlockBytes: 256 << 10, BlockTimeout: 5 * time.Millisecond}
}

func open(t testing.TB, cfgs ...Config) *Reader {
	t.Helper()
	r, err := Open(cfgs...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

type got struct {
	source.Frame
	data []byte
}

// read returns the next n frames, copied; it fails after five seconds.
func read(t testing.TB, r *Reader, n int) (frames []got) {
	t.Helper()
	deadline := time.Now().Add(5 * time.Second)
	for len(frames) < n {
		var f source.Frame
		switch err := r.Next(&f); {
		case err == nil:
			frames = append(frames, got{f, bytes.Clone(f.Data)})
		case err != source.ErrIdle:
			t.Fatal(err)
		case time.Now().After(deadline):
			t.Fatalf("%d frames of %d after five seconds", len(frames), n)
		}
	}
	return frames
}

// until runs Next until it has been idle and cond holds.
func until(t testing.TB, r *Reader, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !cond(); {
		var f source.Frame
		if err := r.Next(&f); err != nil && err != source.ErrIdle {
			t.Fatal(err)
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within ten seconds: %s", what)
		}
	}
}

func TestKernelWholeAndInOrder(t *testing.T) {
	a, b := pair(t)
	r := open(t, small(a))
	s := newSender(t, b)
	const n = 2000
	before := time.Now()
	for i := range n {
		s.send(frame("10.0.0.1", "10.0.0.2", i, 60+i%1400))
	}
	for i, g := range read(t, r, n) {
		if !bytes.Equal(g.data, frame("10.0.0.1", "10.0.0.2", i, 60+i%1400)) || g.Length != len(g.data) || g.Link != 1 {
			t.Fatalf("frame %d: %d of %d bytes, link %d: % x", i, len(g.data), g.Length, g.Link, g.data[:46])
		}
		if at := g.Time.Std(); at.Before(before.Add(-time.Second)) || at.After(time.Now()) {
			t.Fatalf("frame %d is of %v", i, at)
		}
	}
	st := r.Stats()[0]
	if st.Packets != n || st.Drops != 0 || st.Interface != a || st.Blind != 0 || r.Stats()[0].Packets != n {
		t.Errorf("%+v, want %d packets", st, n)
	}
}

func TestKernelTagsIntact(t *testing.T) {
	a, b := pair(t)
	r := open(t, small(a))
	plain := frame("10.0.0.1", "10.0.0.2", 1, 80)
	sent := [][]byte{
		plain, withTag(plain, 0x81, 0, 0x60, 5), withTag(plain, 0x88, 0xa8, 0, 9),
		withTag(plain, 0x88, 0xa8, 0x20, 9, 0x81, 0, 0, 5), withTag(plain, 0x81, 0, 0, 0),
	}
	newSender(t, b).send(sent...)
	back := newSender(t, a) // what this machine sends is seen too
	back.send(sent...)
	for i, g := range read(t, r, 2*len(sent)) {
		if want := sent[i%len(sent)]; !bytes.Equal(g.data, want) || g.Length != len(want) {
			t.Errorf("frame %d, length %d:\n% x, want\n% x", i, g.Length, g.data, want)
		}
	}
}

// TestKernelGiant reads a frame as long as those that offloads join.
func TestKernelGiant(t *testing.T) {
	a, b := pair(t)
	ip(t, "link set "+a+" mtu 65535")
	ip(t, "link set "+b+" mtu 65535")
	r := open(t, small(a))
	giant := frame("10.0.0.1", "10.0.0.2", 1, 65535)
	newSender(t, b).send(giant, withTag(giant[:65000], 0x81, 0, 0, 5))
	for i, g := range read(t, r, 2) {
		if want := [][]byte{giant, withTag(giant[:65000], 0x81, 0, 0, 5)}[i]; !bytes.Equal(g.data, want) {
			t.Errorf("frame %d: %d bytes of %d", i, len(g.data), len(want))
		}
	}
}

func TestKernelFilterAndSnap(t *testing.T) {
	a, b := pair(t)
	cfg := small(a)
	cfg.Filter, cfg.SnapLen = "vlan 5 and host 10.0.0.1 or host 10.0.0.9", 60
	r := open(t, cfg)
	one, nine := frame("10.0.0.1", "10.0.0.2", 1, 200), frame("10.0.0.9", "10.0.0.2", 2, 200)
	newSender(t, b).send(one, withTag(one, 0x81, 0, 0, 5), withTag(one, 0x81, 0, 0, 6), nine, withTag(nine, 0x81, 0, 0, 6))
	for i, g := range read(t, r, 3) {
		want := [][]byte{withTag(one, 0x81, 0, 0, 5), nine, withTag(nine, 0x81, 0, 0, 6)}[i]
		if !bytes.HasPrefix(want, g.data) || len(g.data) < 60 || len(g.data) > 64 || g.Length != len(want) {
			t.Errorf("frame %d: %d of %d bytes: % x", i, len(g.data), g.Length, g.data)
		}
	}
	if st := r.Stats()[0]; st.Packets != 3 {
		t.Errorf("%d packets, want those of the filter", st.Packets)
	}
}

func TestKernelIdleAndClose(t *testing.T) {
	a, _ := pair(t)
	r := open(t, small(a))
	var f source.Frame
	began := time.Now()
	if err := r.Next(&f); err != source.ErrIdle {
		t.Fatal(err)
	}
	if took := time.Since(began); took < 90*time.Millisecond || took > 400*time.Millisecond {
		t.Errorf("idle after %v", took)
	}
	if d := time.Since(f.Time.Std()); d < 0 || d > time.Second {
		t.Errorf("idle at %v before now", d)
	}
	ended := make(chan time.Duration)
	time.AfterFunc(20*time.Millisecond, func() {
		began := time.Now()
		_ = r.Close()
		ended <- time.Since(began)
	})
	began = time.Now()
	if err := r.Next(&f); err != io.EOF {
		t.Fatal(err)
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("Next ended %v after it began, Close was at 20ms", took)
	}
	<-ended
	if err := r.Next(&f); err != io.EOF {
		t.Error(err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	r.Stats()
}

// TestKernelFanout holds that each host pair keeps one ring, and that time
// still runs forward through all of them.
func TestKernelFanout(t *testing.T) {
	a, b := pair(t)
	cfg := small(a)
	cfg.Rings, cfg.Tunnels = 4, true
	r := open(t, cfg)
	there, here := newSender(t, b), newSender(t, a)
	const pairs, each = 40, 10
	go func() {
		for n := range each {
			for p := range pairs {
				x, y := fmt.Sprintf("10.0.1.%d", p+1), fmt.Sprintf("172.16.9.%d", 3*p)
				there.send(frame(x, y, n, 100), withTag(frame(x, y, n, 100), 0x81, 0, 0, 7))
				here.send(frame(y, x, n, 100), withTag(frame(y, x, n, 100), 0x88, 0xa8, 0, 7, 0x81, 0, 0, 9))
			}
			time.Sleep(time.Millisecond)
		}
	}()
	rings := map[string]*ring{}
	used := map[*ring]bool{}
	last, back := got{}, 0
	var f source.Frame
	for n := 0; n < pairs*each*4; {
		if err := r.Next(&f); err == source.ErrIdle {
			continue
		} else if err != nil {
			t.Fatal(err)
		}
		n++
		d := f.Data
		for d[12] != 8 {
			d = d[4:]
		}
		x, y := d[26:30], d[30:34]
		if bytes.Compare(x, y) > 0 {
			x, y = y, x
		}
		key := string(x) + string(y)
		if was := rings[key]; was != nil && was != r.cur {
			t.Fatalf("pair % x is on two rings", key)
		}
		rings[key], used[r.cur] = r.cur, true
		if f.Time < last.Time {
			back++
		}
		last.Time = f.Time
	}
	if len(rings) != pairs || len(used) != 4 || back > 0 {
		t.Errorf("%d pairs on %d rings, %d steps back in time", len(rings), len(used), back)
	}
	if st := r.Stats()[0]; st.Packets != pairs*each*4 {
		t.Errorf("%+v", st)
	}
}

// heard collects events.
type heard []string

func (h *heard) add(s string)         { *h = append(*h, s) }
func (h *heard) has(part string) bool { return strings.Contains(strings.Join(*h, "\n"), part) }

func TestKernelDownAndUp(t *testing.T) {
	a, b := pair(t)
	var h heard
	cfg := small(a)
	cfg.Event = h.add
	r := open(t, cfg)
	newSender(t, b).send(frame("10.0.0.1", "10.0.0.2", 1, 80))
	read(t, r, 1)
	ip(t, "link set "+a+" down")
	until(t, r, "down is told", func() bool { return h.has("is down") })
	time.Sleep(200 * time.Millisecond)
	ip(t, "link set "+a+" up")
	until(t, r, "up is told", func() bool { return h.has("up again") })
	newSender(t, b).send(frame("10.0.0.1", "10.0.0.2", 2, 80))
	read(t, r, 1)
	if blind := r.Stats()[0].Blind; len(h) != 2 || blind < 200*time.Millisecond || blind > 3*time.Second {
		t.Errorf("blind for %v: %q", blind, h)
	}
}

// TestKernelReplaced removes the interface and makes it anew, with one ring
// (whose socket is used again) and with more.
func TestKernelReplaced(t *testing.T) {
	for _, rings := range []int{1, 3} {
		t.Run(fmt.Sprint(rings, " rings"), func(t *testing.T) {
			a, b := pair(t)
			var h heard
			cfg := small(a)
			cfg.Event, cfg.Rings = h.add, rings
			r := open(t, cfg)
			newSender(t, b).send(frame("10.0.0.1", "10.0.0.2", 1, 80))
			time.Sleep(20 * time.Millisecond) // what it saw last is still given
			ip(t, "link del "+a)
			read(t, r, 1)
			until(t, r, "removal is told", func() bool { return h.has("was removed") })
			cable(t, a, b)
			until(t, r, "return is told", func() bool { return h.has("up again") })
			newSender(t, b).send(frame("10.0.0.1", "10.0.0.2", 2, 80))
			if g := read(t, r, 1)[0]; g.data[45] != 2 {
				t.Errorf("% x", g.data)
			}
			if st := r.Stats()[0]; st.Packets != 2 || st.Blind == 0 {
				t.Errorf("%+v %q", st, h)
			}
			if out, _ := exec.Command("ip", "-d", "link", "show", a).Output(); bytes.Contains(out, []byte("promiscuity 0")) {
				t.Errorf("not promiscuous after it came back: %s", out)
			}
		})
	}
}

func TestKernelRenamed(t *testing.T) {
	a, b := pair(t)
	var h heard
	cfg := small(a)
	cfg.Event = h.add
	r := open(t, cfg)
	ip(t, "link set "+a+" down")
	ip(t, "link set "+a+" name tx9")
	ip(t, "link set tx9 up")
	until(t, r, "the name is told", func() bool { return h.has("is now called tx9") && r.ports[0].away.IsZero() })
	newSender(t, b).send(frame("10.0.0.1", "10.0.0.2", 1, 80))
	read(t, r, 1)
	if st := r.Stats()[0]; st.Interface != "tx9" || r.Name() != "tx9" {
		t.Errorf("%+v", st)
	}
}

// TestKernelDownAtFirst waits for an interface that is down at the start.
func TestKernelDownAtFirst(t *testing.T) {
	a, b := pair(t)
	ip(t, "link set "+a+" down")
	var h heard
	cfg := small(a)
	cfg.Event = h.add
	r := open(t, cfg)
	if !h.has("is down") {
		t.Errorf("%q", h)
	}
	ip(t, "link set "+a+" up")
	until(t, r, "up is told", func() bool { return h.has("up again") })
	newSender(t, b).send(frame("10.0.0.1", "10.0.0.2", 1, 80))
	read(t, r, 1)
	ip(t, "link set "+a+" down")
	cfg.Rings = 2
	if _, err := Open(cfg); !errors.Is(err, ErrDown) {
		t.Errorf("two rings on an interface that is down: %v", err)
	}
}

// TestKernelTwoInterfaces holds that a busy interface does not wait long for
// a silent one.
func TestKernelTwoInterfaces(t *testing.T) {
	a, b := pair(t)
	cable(t, "ta1", "tb1")
	t.Cleanup(func() { _ = exec.Command("ip", "link", "del", "ta1").Run() })
	r := open(t, small(a), small("ta1"))
	began := time.Now()
	newSender(t, b).send(frame("10.0.0.1", "10.0.0.2", 1, 80))
	read(t, r, 1)
	if took := time.Since(began); took > time.Second {
		t.Errorf("a frame waited %v", took)
	}
	newSender(t, "tb1").send(frame("10.0.0.1", "10.0.0.2", 2, 80))
	if read(t, r, 1); r.Name() != "ta1" {
		t.Error(r.Name())
	}
}

func TestKernelLoopbackOnce(t *testing.T) {
	needKernel(t)
	ip(t, "link set lo up")
	cfg := small("lo")
	cfg.Filter = "udp port 9999"
	r := open(t, cfg)
	if err := exec.Command("bash", "-c", "echo hello > /dev/udp/127.0.0.1/9999").Run(); err != nil {
		t.Fatal("bash sends no datagram: ", err)
	}
	read(t, r, 1)
	time.Sleep(50 * time.Millisecond)
	if st := r.Stats()[0]; st.Packets != 1 {
		t.Errorf("one datagram on loopback was seen %d times", st.Packets)
	}
}

// TestKernelTun reads an interface whose frames begin with IP.
func TestKernelTun(t *testing.T) {
	needKernel(t)
	if out, err := exec.Command("ip", "tuntap", "add", "tun7", "mode", "tun").CombinedOutput(); err != nil {
		t.Skipf("SKIPPED: this kernel makes no tun: %s", out)
	}
	t.Cleanup(func() { _ = exec.Command("ip", "link", "del", "tun7").Run() })
	ip(t, "addr add 10.77.0.1/24 dev tun7")
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	ifr, _ := unix.NewIfreq("tun7")
	ifr.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr); err != nil {
		t.Fatal(err)
	}
	ip(t, "link set tun7 up")
	cfg := small("tun7")
	cfg.Filter, cfg.Rings = "udp and host 10.77.0.9", 2
	r := open(t, cfg)
	in := frame("10.77.0.9", "10.77.0.1", 1, 80)[14:]
	if _, err := unix.Write(fd, in); err != nil {
		t.Fatal(err)
	}
	if err := exec.Command("bash", "-c", "echo hello > /dev/udp/10.77.0.9/9999").Run(); err != nil {
		t.Fatal(err)
	}
	used := map[*ring]bool{}
	for range 2 {
		g := read(t, r, 1)[0]
		used[r.cur] = true
		if g.Link != 101 || g.data[0] != 0x45 {
			t.Errorf("link %d: % x", g.Link, g.data)
		}
	}
	if len(used) != 1 {
		t.Error("one pair on two rings")
	}
}

func TestKernelErrors(t *testing.T) {
	a, _ := pair(t)
	if _, err := Open(Config{Interface: "nosuch0"}); !errors.Is(err, ErrNoInterface) {
		t.Error(err)
	}
	cfg := small(a)
	cfg.Filter = "1\n177 0 0 14\n"
	if _, err := Open(cfg); err == nil || !strings.Contains(err.Error(), "refuses the filter") {
		t.Error(err)
	}
	for _, f := range Check(small(a)) {
		t.Log(f.Level, f.What, f.Do)
		if f.Level == Failure {
			t.Error(f)
		}
	}
}
