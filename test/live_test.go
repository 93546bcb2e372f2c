//go:build linux

package test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/testudo-shield/testudo/drill"
)

var (
	liveRate    = flag.Int("rate", 0, "packets a second for TestKernelLive, 0 to leave it out")
	liveSeconds = flag.Int("seconds", 20, "how long TestKernelLive sends; -long makes it 30 minutes")
)

// TestKernelLive has testudo watch one end of a pair of interfaces, on one
// core and as nobody, while the ordinary mix comes out of the other end, and
// holds that by the kernel's own count nothing was lost and that memory stays
// flat. It makes a network namespace of its own.
func TestKernelLive(t *testing.T) {
	if *liveRate == 0 || os.Geteuid() != 0 {
		t.Skip("SKIPPED: needs root, a core to spare, and -args -rate 300000")
	}
	seconds := *liveSeconds
	if *long {
		seconds = 30 * 60
	}
	runtime.LockOSThread() // the namespace is the thread's; it ends with it
	var mine unix.CPUSet
	mine.Set(0)
	_ = unix.SchedSetaffinity(0, &mine) // the watcher has the last core
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Skipf("SKIPPED: no network namespace: %v", err)
	}
	for _, args := range []string{
		"link add sends type veth peer name watched", "link set sends addrgenmode none", "link set watched addrgenmode none",
		"link set sends mtu 9000 up", "link set watched mtu 9000 up",
	} {
		if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v: %s", args, err, out)
		}
	}
	for range 500 { // before it is up, what is sent is dropped
		if out, _ := exec.Command("ip", "-o", "link", "show", "sends").Output(); bytes.Contains(out, []byte("state UP")) {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	w := watching(t)
	sent := transmit(t, *liveRate, seconds, w.sample)
	s := w.stop(t)
	t.Logf("sent %d packets, read %d, lost %d; resident at most %d MB, processor time %v",
		sent, s.Packets, s.Dropped, w.rss[len(w.rss)-1]>>20, w.cpu.Round(time.Millisecond))
	if s.Dropped > 0 || s.Unread > 0 || s.Packets < int64(sent) {
		t.Errorf("lost %d, left out %d, read %d of %d", s.Dropped, s.Unread, s.Packets, sent)
	}
	if n := len(w.rss); n >= 120 { // seconds: tables fill before
		if before, after := w.rss[n/2], w.rss[n-1]; after > before+before/8 {
			t.Errorf("memory grows: %d MB half way, %d MB at the end", before>>20, after>>20)
		}
		if before, after := w.threads[n/2], w.threads[n-1]; after > before+4 {
			t.Errorf("threads grow: %d half way, %d at the end", before, after)
		}
	}
}

// liveSummary is what is compared of the summary.
type liveSummary struct {
	Type                     string
	Packets, Dropped, Unread int64
}

// watcher is a testudo that watches.
type watcher struct {
	cmd     *exec.Cmd
	out     bytes.Buffer
	err     bytes.Buffer
	rss     []int64 // most held so far, now and then
	threads []int64
	cpu     time.Duration
}

func watching(t *testing.T) *watcher {
	t.Helper()
	w := &watcher{}
	args := []string{binary, "watch", "-i", "watched", "--workers", "1", "-o", "json", "--user", "nobody"}
	if _, err := exec.LookPath("taskset"); err == nil && runtime.NumCPU() > 1 {
		args = append([]string{"taskset", "-c", strconv.Itoa(runtime.NumCPU() - 1)}, args...)
	}
	w.cmd = exec.Command(args[0], args[1:]...)
	w.cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	w.cmd.Stdout = &w.out
	ready, err := w.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.cmd.Process.Kill() })
	lines := bufio.NewScanner(ready)
	for lines.Scan() {
		fmt.Fprintln(&w.err, lines.Text())
		if strings.Contains(lines.Text(), "watching") {
			go func() {
				for lines.Scan() {
				}
			}()
			return w
		}
	}
	t.Fatalf("it does not watch: %s", w.err.String())
	return nil
}

// sample notes what the watcher holds.
func (w *watcher) sample() {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", w.cmd.Process.Pid))
	if err != nil {
		return
	}
	of := func(key string) int64 {
		_, rest, _ := bytes.Cut(text, []byte("\n"+key+":"))
		fields := bytes.Fields(rest)
		if len(fields) == 0 {
			return 0
		}
		n, _ := strconv.ParseInt(string(fields[0]), 10, 64)
		return n
	}
	w.rss, w.threads = append(w.rss, of("VmHWM")<<10), append(w.threads, of("Threads"))
}

func (w *watcher) stop(t *testing.T) (s liveSummary) {
	t.Helper()
	time.Sleep(time.Second) // what is in the ring is still read
	w.sample()
	_ = w.cmd.Process.Signal(os.Interrupt)
	if err := w.cmd.Wait(); err != nil {
		t.Fatalf("watch: %v: %s", err, w.err.String())
	}
	w.cpu = w.cmd.ProcessState.UserTime() + w.cmd.ProcessState.SystemTime()
	for line := range bytes.Lines(w.out.Bytes()) {
		if err := json.Unmarshal(line, &s); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
	}
	if s.Type != "summary" {
		t.Fatalf("no summary: %s", w.out.String())
	}
	return s
}

// transmit sends the ordinary mix at a rate, as evenly as a shared machine can.
func transmit(t *testing.T, rate, seconds int, every func()) (sent int) {
	t.Helper()
	mix, err := drill.NewMix(50_000, 1)
	if err != nil {
		t.Fatal(err)
	}
	link, err := interfaceIndex("sends")
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: link}); err != nil {
		t.Fatal(err)
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1)
	full := make([]byte, 9000)
	// Conversations begin slowly, so that the mix is the ordinary one when it
	// comes at its full rate.
	warm := int(mix.Warm())
	began := time.Now()
	sampled := began
	pace, paced := rate/4, 0 // frames a second, and those sent at that pace
	for want := warm + rate*seconds; sent < want; {
		for range 32 {
			_, length, data := mix.Next()
			n := copy(full, data)
			length = min(max(n, length), 1514)
			for {
				if _, err = unix.Write(fd, full[:length]); err != unix.ENOBUFS {
					break
				}
			}
			if err != nil {
				t.Fatal(err)
			}
			sent++
			paced++
		}
		if sent >= warm && pace != rate {
			began, pace, paced = time.Now(), rate, 0
		}
		if ahead := time.Duration(paced)*time.Second/time.Duration(pace) - time.Since(began); ahead > 100*time.Microsecond {
			time.Sleep(ahead)
		}
		if time.Since(sampled) > time.Second {
			sampled = time.Now()
			every()
		}
	}
	whole, took := paced, time.Since(began)
	t.Logf("%d packets to warm up, then %d in %v: %.0f a second", warm, whole, took.Round(time.Millisecond), float64(whole)/took.Seconds())
	return sent
}

func interfaceIndex(name string) (int, error) {
	ifr, err := unix.NewIfreq(name) // not /sys, which shows the namespace it was mounted in
	if err != nil {
		return 0, err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, ifr); err != nil {
		return 0, err
	}
	return int(ifr.Uint32()), nil
}
