//go:build linux

package sensor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/testudo-shield/testudo/sense/source"
	"github.com/testudo-shield/testudo/sense/source/afpacket"
)

// The environment of the copies of the test.
const (
	inNamespace = "TESTUDO_TEST_NAMESPACE" // has a network of its own
	asPeer      = "TESTUDO_TEST_PEER"      // asks the sensor at this path
)

// TestMain runs the tests in a network namespace of their own, if it may. A
// copy that was started as a peer asks for sockets instead.
func TestMain(m *testing.M) {
	if path := os.Getenv(asPeer); path != "" {
		os.Exit(peer(path))
	}
	if os.Getenv(inNamespace) != "" || os.Geteuid() != 0 || os.Getenv("TESTUDO_PROVE") == "" {
		os.Exit(m.Run())
	}
	cmd := exec.Command(os.Args[0], os.Args[1:]...)
	cmd.Env = append(os.Environ(), inNamespace+"=yes")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		os.Exit(exit.ExitCode())
	case err != nil:
		os.Exit(m.Run())
	}
}

// peer reads one frame over a ring that it could not open itself, and says
// what became of it.
func peer(path string) int {
	if _, err := afpacket.Open(afpacket.Config{Interface: "sa0"}); !errors.Is(err, afpacket.ErrPermission) {
		fmt.Println("opened by itself:", err)
		return 1
	}
	var told []string
	r, err := afpacket.Open(afpacket.Config{
		Interface: "sa0", Filter: "udp", RingBytes: 1 << 20, BlockBytes: 64 << 10, BlockTimeout: 5 * time.Millisecond, Rings: 2,
		Event:   func(s string) { told = append(told, s) },
		Sockets: Client{Path: path, UIDs: []int{0}}.Sockets,
	})
	if err != nil {
		fmt.Println("refused:", err)
		return 2
	}
	fmt.Println("open")
	for deadline := time.Now().Add(15 * time.Second); time.Now().Before(deadline); {
		var f source.Frame
		if err := r.Next(&f); err != nil {
			continue
		}
		fmt.Printf("frame %d\n", f.Data[42])
		if f.Data[42] == 'b' {
			fmt.Printf("%q\n", told)
			return 0
		}
	}
	fmt.Printf("nothing came: %q\n", told)
	return 3
}

func needKernel(t *testing.T) {
	t.Helper()
	if os.Getenv(inNamespace) == "" {
		t.Skip("SKIPPED: needs root, for a network namespace of its own; make prove runs it")
	}
}

func ip(t *testing.T, args string) {
	t.Helper()
	if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v: %s", args, err, out)
	}
}

func cable(t *testing.T) {
	t.Helper()
	ip(t, "link add sa0 type veth peer name sb0")
	ip(t, "link set sa0 up")
	ip(t, "link set sb0 up")
	t.Cleanup(func() { _ = exec.Command("ip", "link", "del", "sb0").Run() })
}

// send sends one datagram that begins with mark to the first end.
func send1(t *testing.T, mark byte) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	b, err := net.InterfaceByName("sb0")
	if err != nil {
		t.Fatal(err)
	}
	f := make([]byte, 60)
	copy(f, []byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0, 0, 46, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2})
	f[42] = mark
	if err := unix.Sendto(fd, f, 0, &unix.SockaddrLinklayer{Ifindex: b.Index}); err != nil {
		t.Fatal(err)
	}
}

// logged is what a sensor said.
type logged struct {
	mu sync.Mutex
	s  []string
}

func (l *logged) add(s string) { l.mu.Lock(); defer l.mu.Unlock(); l.s = append(l.s, s) }
func (l *logged) has(part string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(strings.Join(l.s, "\n"), part)
}

// serve runs a sensor until the test ends.
func serve(t *testing.T, cfg Config) (Client, *logged) {
	t.Helper()
	dir := t.TempDir()
	for d := dir; d != "/" && d != os.TempDir(); d = filepath.Dir(d) {
		_ = os.Chmod(d, 0o755)
	}
	var l logged
	cfg.Path, cfg.Log = filepath.Join(dir, "sensor"), l.add
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, cfg) }()
	for range 200 {
		if info, err := os.Stat(cfg.Path); err == nil && info.Mode().Perm() == 0o660 {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Cleanup(func() {
		stop()
		select {
		case err := <-ended:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(5 * time.Second):
			t.Error("the sensor does not end")
		}
	})
	return Client{Path: cfg.Path}, &l
}

// someone is a user without rights.
const someone = 65534

func startPeer(t *testing.T, path string, uid int) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	if err := os.Chmod(path, 0o666); err != nil { // who is refused is refused by name
		t.Fatal(err)
	}
	exe := filepath.Join(filepath.Dir(path), "peer")
	if b, err := os.ReadFile(os.Args[0]); err != nil || os.WriteFile(exe, b, 0o755) != nil {
		t.Fatal("the test cannot be copied")
	}
	cmd := exec.Command(exe)
	cmd.Env = []string{asPeer + "=" + path}
	cmd.Dir = "/"
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, &out
}

// TestKernelPassing lets a process without rights read rings, also after the
// interface was removed and came back.
func TestKernelPassing(t *testing.T) {
	needKernel(t)
	cable(t)
	client, log := serve(t, Config{UIDs: []int{someone}, Interfaces: []string{"sa0"}})
	cmd, out := startPeer(t, client.Path, someone)
	waitFor(t, "the sockets are handed over", func() bool { return log.has("handed 2 packet sockets on sa0") })
	time.Sleep(200 * time.Millisecond)
	send1(t, 'a')
	time.Sleep(200 * time.Millisecond)
	ip(t, "link del sa0")
	time.Sleep(1500 * time.Millisecond)
	cable(t)
	waitFor(t, "they are asked for again", func() bool { return strings.Count(strings.Join(snapshot(log), "\n"), "handed") == 2 })
	time.Sleep(200 * time.Millisecond)
	send1(t, 'b')
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v: %s; the sensor: %q", err, out, snapshot(log))
	}
	for _, want := range []string{"open\nframe 97\nframe 98\n", "was removed", "up again"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("it said %q, want %q", out, want)
		}
	}
}

func snapshot(l *logged) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.s...)
}

func waitFor(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !cond(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not within ten seconds: " + what)
		}
	}
}

// TestKernelWrongUser refuses whoever was not named, root too.
func TestKernelWrongUser(t *testing.T) {
	needKernel(t)
	cable(t)
	client, log := serve(t, Config{UIDs: []int{4711}})
	cmd, out := startPeer(t, client.Path, someone)
	if err := cmd.Wait(); err == nil || !strings.Contains(out.String(), "refused:") || !log.has("of user 65534") {
		t.Errorf("%v: %s: %q", err, out, snapshot(log))
	}
	if _, err := client.Sockets(wish("sa0")); err == nil || !log.has("of user 0") {
		t.Errorf("root was answered: %v, %q", err, snapshot(log))
	}
}

// TestKernelWrongSensor holds that sockets are taken from nobody else.
func TestKernelWrongSensor(t *testing.T) {
	needKernel(t)
	client, _ := serve(t, Config{UIDs: []int{0}})
	client.UIDs = []int{4711}
	if _, err := client.Sockets(wish("sa0")); err == nil || !strings.Contains(err.Error(), "not taken") {
		t.Error(err)
	}
}

// TestKernelLocked holds that who has a socket can neither change its filter
// nor its interface.
func TestKernelLocked(t *testing.T) {
	needKernel(t)
	cable(t)
	client, _ := serve(t, Config{UIDs: []int{0}})
	s, err := client.Sockets(wish("sa0"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Done()
	defer closeAll(s.FDs)
	if err := unix.SetsockoptInt(s.FDs[0], unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0); err == nil {
		t.Error("the filter was taken off")
	}
	lo, _ := net.InterfaceByName("lo")
	if err := unix.Bind(s.FDs[0], &unix.SockaddrLinklayer{Protocol: 0x0300, Ifindex: lo.Index}); err == nil {
		t.Error("the socket was moved to another interface")
	}
}

// TestKernelBounds holds the number of sockets, and that they come back.
func TestKernelBounds(t *testing.T) {
	needKernel(t)
	cable(t)
	client, log := serve(t, Config{UIDs: []int{0}, MaxSockets: 3})
	two := wish("sa0")
	two.Rings = 2
	s, err := client.Sockets(two)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Sockets(two); err == nil || !strings.Contains(err.Error(), "3 sockets at most") {
		t.Error(err)
	}
	closeAll(s.FDs)
	_ = s.Done()
	waitFor(t, "sockets given back count no more", func() bool {
		s, err := client.Sockets(two)
		if err != nil {
			return false
		}
		closeAll(s.FDs)
		return s.Done() == nil
	})
	for _, c := range []struct {
		change func(*afpacket.Spec)
		want   error
	}{
		{func(s *afpacket.Spec) { s.Interface = "nosuch0" }, afpacket.ErrNoInterface},
		{func(s *afpacket.Spec) { s.Interface = "lo" }, afpacket.ErrDown},
		{func(s *afpacket.Spec) { s.BlockBytes = 1 << 30 }, nil},
		{func(s *afpacket.Spec) { s.Blocks = 1 << 30 }, nil},
		{func(s *afpacket.Spec) { s.Program[0].Op = 999 }, nil},
		{func(s *afpacket.Spec) { s.Link = 101 }, nil},
	} {
		bad := wish("sa0")
		c.change(&bad)
		if _, err := client.Sockets(bad); err == nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	malformed(t, client.Path)
	if !log.has("malformed request") {
		t.Errorf("%q", snapshot(log))
	}
}

// malformed holds that what is no request closes the connection.
func malformed(t *testing.T, path string) {
	t.Helper()
	for _, message := range []string{"hello", `{"rings":1,"path":"/etc/shadow"}`, strings.Repeat("x", maxMessage+10)} {
		c, err := net.Dial("unixpacket", path)
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(3 * time.Second))
		_, _ = c.Write([]byte(message))
		if n, err := c.Read(make([]byte, 100)); n != 0 && err == nil {
			t.Errorf("%.40q was answered", message)
		} else if errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%.40q left the connection open", message)
		}
		_ = c.Close()
	}
}
