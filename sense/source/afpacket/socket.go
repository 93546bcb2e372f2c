//go:build linux

package afpacket

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/testudo-shield/testudo/sense/source/afpacket/program"
)

const tagBytes = 4 // of a VLAN tag

// OpenSockets opens the packet sockets of one interface and sets up their
// filter, rings and fanout. It needs CAP_NET_RAW and says ErrPermission
// without. Frames come from when it returns, to all rings alike.
func OpenSockets(spec Spec) (Sockets, error) {
	s, err := openSockets(spec)
	if err != nil {
		for _, fd := range s.FDs {
			_ = unix.Close(fd)
		}
		return Sockets{}, fmt.Errorf("afpacket %s: %w", spec.Interface, err)
	}
	return s, nil
}

// validate holds a spec, which may be foreign, within bounds.
func (s *Spec) validate() error {
	switch {
	case s.BlockBytes < 4096 || s.BlockBytes&(s.BlockBytes-1) != 0 || s.BlockBytes > 64<<20:
		return fmt.Errorf("blocks of %d bytes: want a power of two from 4 KiB to 64 MiB", s.BlockBytes)
	case s.Blocks < 2 || s.Blocks > maxRingBytes/s.BlockBytes:
		return fmt.Errorf("%d blocks: want two or more, and rings up to 1 GiB", s.Blocks)
	case s.Rings < 1 || s.Rings > maxRings:
		return fmt.Errorf("%d rings: want 1 to %d", s.Rings, maxRings)
	case s.TimeoutMS < 1 || s.TimeoutMS > 10_000:
		return fmt.Errorf("block timeout of %d ms: want 1 to 10000", s.TimeoutMS)
	case len(s.Program) < 1 || len(s.Program) > program.MaxInstructions:
		return fmt.Errorf("filter of %d instructions: want 1 to %d", len(s.Program), program.MaxInstructions)
	}
	return nil
}

func openSockets(spec Spec) (s Sockets, err error) {
	if err := spec.validate(); err != nil {
		return s, err
	}
	ask, err := askSocket()
	if err != nil {
		return s, err
	}
	i, err := lookUp(ask, spec.Interface)
	_ = unix.Close(ask)
	if err != nil {
		return s, err
	}
	l := linkOf(i.hardware)
	if l.dlt != spec.Link {
		return s, fmt.Errorf("link type is %d, the filter is for %d", l.dlt, spec.Link)
	}
	group := spec.Rings > 1 || spec.Locked
	if group && !i.up {
		return s, ErrDown // a kernel joins no sleeping socket to a group
	}
	s.Index = i.index
	for range spec.Rings {
		fd, err := openSocket(l)
		if err != nil {
			return s, err
		}
		s.FDs = append(s.FDs, fd)
		if err := prepare(fd, spec, i); err != nil {
			return s, err
		}
	}
	if group {
		if err := join(s.FDs, l, spec.Tunnels); err != nil {
			return s, err
		}
	}
	return s, begin(s.FDs, spec)
}

func openSocket(l link) (int, error) {
	kind := unix.SOCK_RAW
	if l.cooked {
		kind = unix.SOCK_DGRAM
	}
	fd, err := unix.Socket(unix.AF_PACKET, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	switch {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return fd, ErrPermission
	case errors.Is(err, unix.EAFNOSUPPORT):
		return fd, fmt.Errorf("this kernel has no packet sockets (CONFIG_PACKET): %w", err)
	case err != nil:
		return fd, fmt.Errorf("packet socket: %w", err)
	}
	return fd, nil
}

// prepare gives a socket its ring and its interface. It lets no frame in yet.
func prepare(fd int, spec Spec, i iface) error {
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VERSION, unix.TPACKET_V3); err != nil {
		return fmt.Errorf("rings of version 3 (Linux 3.2): %w", err)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_RESERVE, tagBytes); err != nil {
		return fmt.Errorf("room for a VLAN tag: %w", err)
	}
	if i.hardware == unix.ARPHRD_LOOPBACK { // else every frame is seen twice
		if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1); err != nil {
			return fmt.Errorf("leave out the second look at loopback (Linux 4.20): %w", err)
		}
	}
	if err := attach(fd, nothing()); err != nil {
		return err
	}
	req := unix.TpacketReq3{
		Block_size: uint32(spec.BlockBytes), Block_nr: uint32(spec.Blocks),
		Frame_size: 2048, Frame_nr: uint32(spec.BlockBytes / 2048 * spec.Blocks),
		Retire_blk_tov: uint32(spec.TimeoutMS),
	}
	if err := unix.SetsockoptTpacketReq3(fd, unix.SOL_PACKET, unix.PACKET_RX_RING, &req); err != nil {
		return fmt.Errorf("ring of %d MiB: %w", spec.BlockBytes*spec.Blocks>>20, err)
	}
	return bind(fd, i.index, spec.Promiscuous)
}

// bind makes fd hear an interface, also one that is down, once it is up.
func bind(fd, index int, promiscuous bool) error {
	all := uint16(unix.ETH_P_ALL)
	addr := unix.SockaddrLinklayer{Protocol: all<<8 | all>>8, Ifindex: index}
	if err := unix.Bind(fd, &addr); err != nil {
		return fmt.Errorf("bind: %w", err)
	}
	if !promiscuous {
		return nil
	}
	member := unix.PacketMreq{Ifindex: int32(index), Type: unix.PACKET_MR_PROMISC}
	if err := unix.SetsockoptPacketMreq(fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &member); err != nil {
		return fmt.Errorf("promiscuous mode: %w", err)
	}
	return nil
}

// join makes the sockets one group that shares the traffic by host pair.
func join(fds []int, l link, tunnels bool) error {
	pairs, err := program.Fanout(l.dlt, tunnels)
	if err != nil {
		return err
	}
	arg := (unix.PACKET_FANOUT_CBPF | unix.PACKET_FANOUT_FLAG_UNIQUEID) << 16
	for n, fd := range fds {
		if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_FANOUT, arg); err != nil {
			return fmt.Errorf("share traffic by program (Linux 4.3): %w", err)
		}
		if n > 0 {
			continue
		}
		id, err := unix.GetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_FANOUT)
		if err != nil {
			return fmt.Errorf("number of the group: %w", err)
		}
		arg = id&0xffff | unix.PACKET_FANOUT_CBPF<<16
		if err := setProgram(fd, unix.SOL_PACKET, unix.PACKET_FANOUT_DATA, pairs); err != nil {
			return fmt.Errorf("program that shares traffic: %w", err)
		}
	}
	return nil
}

// begin puts the wanted filter into place of the one that lets nothing in.
func begin(fds []int, spec Spec) error {
	for _, fd := range fds {
		if err := attach(fd, spec.Program); err != nil {
			return err
		}
		if !spec.Locked {
			continue
		}
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_LOCK_FILTER, 1); err != nil {
			return fmt.Errorf("lock the filter: %w", err)
		}
	}
	return nil
}

func nothing() []bpf.RawInstruction { return []bpf.RawInstruction{{Op: 0x06}} } // ret 0

func attach(fd int, filter []bpf.RawInstruction) error {
	if err := setProgram(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, filter); err != nil {
		return fmt.Errorf("the kernel refuses the filter of %d instructions: %w", len(filter), err)
	}
	return nil
}

func setProgram(fd, level, option int, p []bpf.RawInstruction) error {
	code := make([]unix.SockFilter, len(p))
	for i, ins := range p {
		code[i] = unix.SockFilter{Code: ins.Op, Jt: ins.Jt, Jf: ins.Jf, K: ins.K}
	}
	return unix.SetsockoptSockFprog(fd, level, option, &unix.SockFprog{Len: uint16(len(code)), Filter: unsafe.SliceData(code)})
}
