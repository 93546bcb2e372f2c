//go:build linux

package afpacket

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Check looks at what would be in the way of reading the interface of cfg,
// and says what to do about it. It opens a small ring for a moment, if it has
// the right to.
func Check(cfg Config) []Finding {
	cfg = cfg.withDefaults()
	fail := func(err error) []Finding { return []Finding{{Failure, err.Error(), ""}} }
	ask, err := askSocket()
	if err != nil {
		return fail(err)
	}
	defer func() { _ = unix.Close(ask) }()
	i, err := lookUp(ask, cfg.Interface)
	if err != nil {
		return fail(err)
	}
	findings := []Finding{checkUp(i), checkSize(cfg, i), checkMemory(cfg)}
	findings = append(findings, checkOffloads(ask, i)...)
	return append(findings, checkOpen(cfg, i))
}

// Offloads says which offloads of an interface join or change frames before
// they are seen, and how to switch them off; nothing for one that is not there.
func Offloads(name string) []Finding {
	ask, err := askSocket()
	if err != nil {
		return nil
	}
	defer func() { _ = unix.Close(ask) }()
	i, err := lookUp(ask, name)
	if err != nil {
		return nil
	}
	return checkOffloads(ask, i)
}

func checkUp(i iface) Finding {
	if i.up {
		return Finding{Good, "interface " + i.name + " is up", ""}
	}
	return Finding{Warning, "interface " + i.name + " is down: nothing will be seen until it is up", "ip link set " + i.name + " up"}
}

func checkSize(cfg Config, i iface) Finding {
	if cfg.SnapLen < i.mtu+18 {
		return Finding{Warning, fmt.Sprintf("snap length %d is less than a frame of %s (MTU %d): payloads will be cut and what they carry missed", cfg.SnapLen, i.name, i.mtu), ""}
	}
	return Finding{Good, fmt.Sprintf("MTU is %d, frames are kept up to %d bytes", i.mtu, cfg.SnapLen), ""}
}

// checkMemory compares the rings, whose memory cannot be swapped, with what
// is free.
func checkMemory(cfg Config) Finding {
	want := cfg.BlockBytes * cfg.blocks() * cfg.Rings
	what := fmt.Sprintf("rings take %d MiB", want>>20)
	free, err := available("/proc/meminfo")
	switch {
	case err != nil:
		return Finding{Warning, what + "; how much memory is free is not known: " + err.Error(), ""}
	case want > free:
		return Finding{Failure, fmt.Sprintf("%s and %d MiB are free: make the rings smaller", what, free>>20), ""}
	case want > free/2:
		return Finding{Warning, fmt.Sprintf("%s of %d MiB free, which leaves less than half to everything else", what, free>>20), ""}
	}
	return Finding{Good, fmt.Sprintf("%s of %d MiB free", what, free>>20), ""}
}

// available reads how many bytes programs may still take.
func available(meminfo string) (int, error) {
	text, err := os.ReadFile(meminfo)
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(text) {
		if f := strings.Fields(string(line)); len(f) >= 2 && f[0] == "MemAvailable:" {
			kib, err := strconv.Atoi(f[1])
			return kib << 10, err
		}
	}
	return 0, errors.New(meminfo + " has no MemAvailable")
}

// offload is a way in which a card or the kernel joins frames before they
// are seen.
type offload struct {
	name string // as ethtool -K calls it
	ask  uint32
	bit  uint32
	why  string
}

func offloads() []offload {
	const getFlags, lro = 0x25, 1 << 15 // ETHTOOL_GFLAGS, ETH_FLAG_LRO
	return []offload{
		{"gro", 0x2b, 1, "frames that came in are seen joined"}, // ETHTOOL_GGRO
		{"lro", getFlags, lro, "frames that came in are seen joined, and cannot be told apart again"},
		{"tso", 0x1e, 1, "what this machine sends is seen before it is cut into frames"},  // ETHTOOL_GTSO
		{"gso", 0x23, 1, "what this machine sends is seen before it is cut into packets"}, // ETHTOOL_GGSO
	}
}

// checkOffloads names those that change sizes and counts of packets, which
// detectors look at. Nothing is lost by them.
func checkOffloads(ask int, i iface) []Finding {
	var on, why []string
	for _, o := range offloads() {
		v, err := ethtool(ask, i.name, o.ask)
		if err == nil && v&o.bit != 0 {
			on = append(on, o.name)
			why = append(why, o.name+": "+o.why)
		}
	}
	if len(on) == 0 {
		return []Finding{{Good, "no offload joins frames on " + i.name, ""}}
	}
	return []Finding{{
		Warning, "offloads change the sizes and numbers of packets that are seen on " + i.name + " (" + strings.Join(why, "; ") + ")",
		"ethtool -K " + i.name + " " + strings.Join(on, " off ") + " off",
	}}
}

// ethtool asks for one value of the interface (SIOCETHTOOL).
func ethtool(fd int, name string, cmd uint32) (uint32, error) {
	value := struct{ cmd, data uint32 }{cmd: cmd}
	var request struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte // the kernel copies a whole struct ifreq
	}
	copy(request.name[:unix.IFNAMSIZ-1], name)
	request.data = unsafe.Pointer(&value)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request)))
	if errno != 0 {
		return 0, errno
	}
	return value.data, nil
}

// checkOpen tries all that Open does, with the smallest ring.
func checkOpen(cfg Config, i iface) Finding {
	spec, err := cfg.spec(i)
	if err != nil {
		return Finding{Failure, err.Error(), ""}
	}
	spec.BlockBytes, spec.Blocks, spec.Rings = smallestBlock, 2, 1
	spec.Locked = i.up // tries fanout too
	open := cfg.Sockets
	if open == nil {
		open = OpenSockets
	}
	s, err := open(spec)
	if errors.Is(err, ErrPermission) {
		return Finding{Failure, "no right to read packets", "sudo setcap cap_net_raw+ep $(command -v testudo)"}
	} else if err != nil {
		return Finding{Failure, err.Error(), ""}
	}
	for _, fd := range s.FDs {
		_ = unix.Close(fd)
	}
	if err := finish(s.Done); err != nil {
		return Finding{Warning, err.Error(), ""}
	}
	how := "rings, filter, promiscuous mode and sharing by host pair"
	if !i.up {
		how = "rings, filter and promiscuous mode"
	}
	return Finding{Good, "packets can be read: the kernel has " + how, ""}
}
