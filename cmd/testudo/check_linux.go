package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/testudo-shield/testudo/sense/source/afpacket"
)

// holds tells whether this process has a capability (linux/capability.h).
func holds(capability int) bool {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(status), "\nCapEff:")
	word, _, _ := strings.Cut(strings.TrimSpace(rest), "\n")
	set, err := strconv.ParseUint(word, 16, 64)
	return err == nil && set>>capability&1 == 1
}

func examineRights(c config) []finding {
	if holds(unix.CAP_NET_RAW) {
		return []finding{good("rights", "packets can be captured (CAP_NET_RAW)")}
	}
	if conn, err := net.DialTimeout("unixpacket", c.SensorSocket, time.Second); err == nil {
		conn.Close()
		return []finding{good("rights", "none here, and none is needed: the sensor answers at %s", c.SensorSocket)}
	}
	if len(c.Interfaces) == 0 {
		return []finding{warn("rights", "sudo setcap cap_net_raw+ep $(command -v testudo)", "packets cannot be captured by this account (CAP_NET_RAW is missing); reading files needs no right")}
	}
	return []finding{fail(exitRights, "rights", "sudo systemctl start testudo-sensor   or for this program alone:  sudo setcap cap_net_raw+ep $(command -v testudo)",
		"packets cannot be captured: CAP_NET_RAW is missing and no sensor answers at %s", c.SensorSocket)}
}

// examineKernel tries what capture needs: a packet socket with a ring of the
// third version and a fanout group whose sharing a program decides. Nothing is
// received: its filter lets nothing through.
func examineKernel() []finding {
	var u unix.Utsname
	_ = unix.Uname(&u)
	release := unix.ByteSliceToString(u.Release[:])
	if !holds(unix.CAP_NET_RAW) {
		return []finding{good("kernel", "%s; packet rings were not tried without the right to", release)}
	}
	s, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return []finding{fail(exitRights, "kernel", "use a kernel with CONFIG_PACKET; in a container allow packet sockets", "%s opens no packet socket: %v", release, err)}
	}
	defer unix.Close(s)
	if err := tryRing(s); err != nil {
		return []finding{fail(exitRights, "kernel", "use Linux 4.3 or newer", "%s: %v", release, err)}
	}
	all := []finding{good("kernel", "%s has packet rings (TPACKET_V3) shared out by a program (fanout)", release)}
	if jit, err := os.ReadFile("/proc/sys/net/core/bpf_jit_enable"); err == nil && strings.TrimSpace(string(jit)) == "0" {
		all = append(all, warn("kernel", "sudo sysctl net.core.bpf_jit_enable=1", "packet filters are interpreted, which is slow"))
	}
	return all
}

// tryRing sets s up as capture does, as far as the kernel may refuse it.
func tryRing(s int) error {
	none := []unix.SockFilter{{Code: 6}} // ret 0 (linux/filter.h)
	prog := unix.SockFprog{Len: 1, Filter: &none[0]}
	if err := unix.SetsockoptSockFprog(s, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &prog); err != nil {
		return fmt.Errorf("filter: %w", err)
	}
	if err := unix.SetsockoptInt(s, unix.SOL_PACKET, unix.PACKET_VERSION, unix.TPACKET_V3); err != nil {
		return fmt.Errorf("TPACKET_V3: %w", err)
	}
	ring := unix.TpacketReq3{Block_size: 1 << 16, Block_nr: 1, Frame_size: 1 << 11, Frame_nr: 1 << 5, Retire_blk_tov: 60}
	if err := unix.SetsockoptTpacketReq3(s, unix.SOL_PACKET, unix.PACKET_RX_RING, &ring); err != nil {
		return fmt.Errorf("ring: %w", err)
	}
	const all = unix.ETH_P_ALL>>8 | unix.ETH_P_ALL&0xff<<8 // in the network's order
	if err := unix.Bind(s, &unix.SockaddrLinklayer{Protocol: all}); err != nil {
		return fmt.Errorf("bind: %w", err)
	}
	// A group of a number that the kernel picks, so that no other is joined.
	if err := unix.SetsockoptInt(s, unix.SOL_PACKET, unix.PACKET_FANOUT, (unix.PACKET_FANOUT_CBPF|unix.PACKET_FANOUT_FLAG_UNIQUEID)<<16); err != nil {
		return fmt.Errorf("fanout by a program: %w", err)
	}
	return nil
}

// examineInterface reads what /sys tells of an interface.
func examineInterface(f iface) []finding {
	about := "interface " + f.Name
	dir := filepath.Join("/sys/class/net", f.Name)
	read := func(name string) string {
		text, _ := os.ReadFile(filepath.Join(dir, name))
		return strings.TrimSpace(string(text))
	}
	if _, err := os.Stat(dir); err != nil {
		var names []string
		entries, _ := os.ReadDir("/sys/class/net")
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return []finding{fail(exitConfig, about, "correct interfaces.name; there are: "+strings.Join(names, ", "), "there is no such interface")}
	}
	flags, _ := strconv.ParseUint(read("flags"), 0, 32)
	if flags&unix.IFF_UP == 0 {
		return []finding{warn(about, "sudo ip link set "+f.Name+" up", "it is down: nothing will be seen until it is up")}
	}
	if read("carrier") == "0" {
		return []finding{warn(about, "look at the cable or the mirror port", "it is up but has no link: nothing will be seen")}
	}
	mtu, _ := strconv.Atoi(read("mtu"))
	if f.SnapLength < mtu+14 {
		return []finding{warn(about, "set interfaces.snap_length to "+strconv.Itoa(mtu+14)+" or more",
			"up, but of packets of up to %d bytes only %d are kept: what is cut away is not judged", mtu+14, f.SnapLength)}
	}
	all := []finding{good(about, "up, packets of up to %d bytes, ring of %d MB", mtu+14, f.RingMB)}
	for _, o := range afpacket.Offloads(f.Name) {
		if o.Level == afpacket.Warning {
			all = append(all, warn(about, o.Do, "%s", o.What))
		}
	}
	return all
}

// examineClock asks the kernel how sure it is of the time (adjtimex(2)).
func examineClock() []finding {
	const synchronise = "sudo timedatectl set-ntp true   or set up chrony"
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	switch sure := time.Duration(t.Maxerror) * time.Microsecond; {
	case err != nil:
		return []finding{warn("clock", "look at it with date", "the kernel does not tell whether the clock is right: %v", err)}
	case state == unix.TIME_ERROR || t.Status&unix.STA_UNSYNC != 0:
		return []finding{warn("clock", synchronise, "not synchronised: times of incidents may not agree with other logs")}
	case sure > time.Second:
		return []finding{warn("clock", synchronise, "synchronised, but may be off by %v", sure.Round(time.Millisecond))}
	default:
		return []finding{good("clock", "synchronised, to %v or better", sure.Round(time.Millisecond))}
	}
}

// The free disk space below which check warns, and fails.
const (
	scarce = 2 << 30
	full   = 100 << 20
)

// examineDisk looks at a folder that will be written to, or at the nearest
// one above it that is there.
func examineDisk(c config, about, dir string) []finding {
	there := dir
	for {
		if _, err := os.Stat(there); !errors.Is(err, fs.ErrNotExist) || there == filepath.Dir(there) {
			break
		}
		there = filepath.Dir(there)
	}
	var st unix.Statfs_t
	if err := unix.Statfs(there, &st); err != nil {
		return []finding{fail(exitRights, about, "let this account read "+there, "%s: %v", dir, err)}
	}
	var all []finding
	if err := unix.Faccessat(unix.AT_FDCWD, there, unix.W_OK, unix.AT_EACCESS); err != nil {
		level := warn(about, "check as the service does:  sudo -u "+c.User+" testudo check", "%s cannot be written by this account: %v", there, err)
		if there == dir {
			level = fail(exitRights, about, "sudo chown "+c.User+": "+dir+"   or name another folder", "%s cannot be written by this account: %v", dir, err)
		}
		all = append(all, level)
	}
	if owner, serves, ok := owners(there, c.User); ok && there == dir && os.Geteuid() == 0 && owner != serves && owner != 0 {
		all = append(all, warn(about, "sudo chown -R "+c.User+": "+dir, "%s belongs to another account than the service's, %s", dir, c.User))
	}
	free := int64(st.Bavail) * int64(st.Bsize) // of other widths on other machines
	switch {
	case free < full:
		return append(all, fail(exitConfig, about, "make room or name a folder on another disk", "%s: only %.0f MB are free", dir, float64(free)/1e6))
	case free < scarce:
		return append(all, warn(about, "make room or name a folder on another disk", "%s: only %.1f GB are free", dir, float64(free)/1e9))
	case len(all) == 0:
		return []finding{good(about, "%s: %.0f GB are free", dir, float64(free)/1e9)}
	}
	return all
}

// owners returns the owner of a file and the number of an account.
func owners(file, account string) (owner, number uint32, ok bool) {
	var st unix.Stat_t
	u, err := user.Lookup(account)
	if err != nil || unix.Stat(file, &st) != nil {
		return 0, 0, false
	}
	n, err := strconv.ParseUint(u.Uid, 10, 32)
	return st.Uid, uint32(n), err == nil
}

// examineMemory compares the budgets with the memory that can be had.
func examineMemory(c config) []finding {
	need := c.memory(len(detectors()))
	have := available()
	switch {
	case have == 0:
		return []finding{good("memory", "about %.0f MB are wanted; what is available could not be read", float64(need)/1e6)}
	case need > have:
		return []finding{warn("memory", "lower budgets and ring_mb, or give more memory", "about %.0f MB are wanted when all budgets are used, %.0f MB are available", float64(need)/1e6, float64(have)/1e6)}
	}
	return []finding{good("memory", "about %.0f MB are wanted when all budgets are used, %.0f MB are available", float64(need)/1e6, float64(have)/1e6)}
}

// available is the memory this process may still have: the least of what the
// machine has and what its control groups (v2) allow; 0 where neither tells.
func available() int64 {
	var limits []int64
	info, _ := os.ReadFile("/proc/meminfo")
	if _, rest, ok := strings.Cut(string(info), "MemAvailable:"); ok {
		var kb int64
		if n, _ := fmt.Sscan(rest, &kb); n == 1 {
			limits = append(limits, kb<<10)
		}
	}
	group, _ := os.ReadFile("/proc/self/cgroup")
	if path, ok := strings.CutPrefix(strings.TrimSpace(string(group)), "0::"); ok {
		for dir := filepath.Join("/sys/fs/cgroup", path); strings.HasPrefix(dir, "/sys/fs/cgroup"); dir = filepath.Dir(dir) {
			text, _ := os.ReadFile(filepath.Join(dir, "memory.max"))
			if most, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil {
				limits = append(limits, most)
			}
		}
	}
	if len(limits) == 0 {
		return 0
	}
	return slices.MinFunc(limits, cmp.Compare[int64])
}

func examineLimits() []finding {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		return []finding{warn("files", "look at ulimit -n", "how many files may be open is not told: %v", err)}
	}
	if l.Cur < 512 {
		return []finding{warn("files", "ulimit -n 1024", "only %d files may be open at once", l.Cur)}
	}
	return []finding{good("files", "%d may be open at once", l.Cur)}
}
