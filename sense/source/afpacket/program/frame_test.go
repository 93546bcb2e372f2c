package program

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/net/bpf"
)

// Frames are written here by hand, from the inside out.

func be16(n int) []byte { return binary.BigEndian.AppendUint16(nil, uint16(n)) }

func join(parts ...[]byte) (b []byte) {
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

func ethernet(typ int, payload []byte) []byte {
	return join([]byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2}, be16(typ), payload)
}

func tagged(tpid, id, typ int, payload []byte) []byte {
	return ethernet(tpid, join(be16(0x6000|id), be16(typ), payload))
}

// ip writes a header of the addresses' version; frag is the IPv4 field.
func ip(src, dst string, proto, frag int, payload []byte) []byte {
	s, d := netip.MustParseAddr(src), netip.MustParseAddr(dst)
	if s.Is6() {
		return join([]byte{0x60, 0, 0, 0}, be16(len(payload)), []byte{byte(proto), 64}, s.AsSlice(), d.AsSlice(), payload)
	}
	return join([]byte{0x45, 0}, be16(20+len(payload)), be16(7), be16(frag), []byte{64, byte(proto), 0, 0}, s.AsSlice(), d.AsSlice(), payload)
}

// options puts four bytes of options into an IPv4 header.
func options(p []byte) []byte {
	out := join(p[:20], []byte{1, 1, 1, 0}, p[20:])
	out[0] = 0x46
	return out
}

func udp(sport, dport int, payload []byte) []byte {
	return join(be16(sport), be16(dport), be16(8+len(payload)), be16(0), payload)
}

func tcp(sport, dport int) []byte { return join(be16(sport), be16(dport), make([]byte, 16)) }

func arp(src, dst string) []byte {
	s, d := netip.MustParseAddr(src), netip.MustParseAddr(dst)
	return join([]byte{0, 1, 8, 0, 6, 4, 0, 1}, make([]byte, 6), s.AsSlice(), make([]byte, 6), d.AsSlice())
}

// run gives what the program says of the frame.
func run(program []bpf.RawInstruction, frame []byte) (int, error) {
	ins, _ := bpf.Disassemble(program)
	vm, err := bpf.NewVM(ins)
	if err != nil {
		return 0, err
	}
	return vm.Run(frame)
}
