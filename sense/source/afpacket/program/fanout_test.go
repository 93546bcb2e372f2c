package program

import (
	"fmt"
	"testing"

	"golang.org/x/net/bpf"
)

// onFrame is the fanout program for a whole Ethernet frame: the VM does not
// know what the kernel tells of a frame besides its bytes.
func onFrame(t testing.TB, tunnels bool) []bpf.RawInstruction {
	t.Helper()
	a := new(assembler)
	a.emit(bpf.LoadConstant{Dst: bpf.RegX, Val: 14}, bpf.LoadAbsolute{Off: 12, Size: 2})
	a.pair(tunnels)
	p, err := a.assemble()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// wrap is one way in which a pair may travel. inner says that the pair is
// within a tunnel.
type wrap struct {
	name  string
	inner bool
	frame func(src, dst string) []byte
}

func etherType(addr string) int {
	for _, c := range addr {
		if c == ':' {
			return typeIPv6
		}
	}
	return typeIPv4
}

func wraps() []wrap {
	within := func(src, dst string) []byte { return ip(src, dst, 6, 0, tcp(1000, 80)) }
	eth := func(src, dst string) []byte { return ethernet(etherType(src), within(src, dst)) }
	// The carrier's ends change sides with the direction, as its ports do.
	carrier := func(src string, proto int, b []byte) []byte {
		if src[0] == '1' || src[0] == 'a' {
			return ip("203.0.113.1", "203.0.113.9", proto, 0, b)
		}
		return ip("203.0.113.77", "203.0.113.3", proto, 0, b)
	}
	proto := func(src string) int {
		if etherType(src) == typeIPv6 {
			return 41
		}
		return 4
	}
	gre := func(flags []byte, typ int, b []byte) []byte { return join(flags[:2], be16(typ), flags[2:], b) }
	return []wrap{
		{"plain", false, eth},
		{"one tag", false, func(s, d string) []byte { return tagged(0x8100, 5, etherType(s), within(s, d)) }},
		{"two tags", false, func(s, d string) []byte {
			return tagged(0x88a8, 5, 0x8100, join(be16(9), be16(etherType(s)), within(s, d)))
		}},
		{"PPPoE", false, func(s, d string) []byte {
			return ethernet(typePPPoE, join([]byte{0x11, 0, 0, 1, 0, 60, 0, 0x21}, within(s, d)))
		}},
		{"one label", false, func(s, d string) []byte { return ethernet(typeMPLS, join([]byte{0, 1, 1, 9}, within(s, d))) }},
		{"two labels", false, func(s, d string) []byte {
			return ethernet(typeMPLS, join([]byte{0, 1, 0, 9, 0, 2, 1, 9}, within(s, d)))
		}},
		{"IP in IP", true, func(s, d string) []byte { return ethernet(typeIPv4, carrier(s, proto(s), within(s, d))) }},
		{"IP in IP with options", true, func(s, d string) []byte {
			return ethernet(typeIPv4, options(carrier(s, proto(s), within(s, d))))
		}},
		{"IP in IPv6", true, func(s, d string) []byte {
			return ethernet(typeIPv6, ip("2001:db8::1", "2001:db8::2", proto(s), 0, within(s, d)))
		}},
		{"GRE", true, func(s, d string) []byte {
			return ethernet(typeIPv4, carrier(s, 47, gre([]byte{0, 0}, etherType(s), within(s, d))))
		}},
		{"GRE with key", true, func(s, d string) []byte {
			return ethernet(typeIPv4, carrier(s, 47, gre([]byte{0x20, 0, 1, 2, 3, 4}, typeTEB, eth(s, d))))
		}},
		{"VXLAN", true, func(s, d string) []byte {
			return ethernet(typeIPv4, carrier(s, 17, udp(50000, 4789, join([]byte{8, 0, 0, 0, 0, 0, 1, 0}, eth(s, d)))))
		}},
		{"VXLAN with tag", true, func(s, d string) []byte {
			b := tagged(0x8100, 5, etherType(s), within(s, d))
			return ethernet(typeIPv4, carrier(s, 17, udp(50000, 4789, join([]byte{8, 0, 0, 0, 0, 0, 1, 0}, b))))
		}},
		{"Geneve", true, func(s, d string) []byte {
			return ethernet(typeIPv4, carrier(s, 17, udp(50000, 6081, join([]byte{0, 0, 0x65, 0x58, 0, 0, 1, 0}, eth(s, d)))))
		}},
	}
}

// TestFanoutPairs holds that a pair has one ring, in both directions and
// however it travels.
func TestFanoutPairs(t *testing.T) {
	program := onFrame(t, true)
	for _, pair := range [][2]string{{"10.1.2.3", "198.51.100.7"}, {"192.168.0.255", "192.168.1.0"}, {"2001:db8:1::5", "2a00:1450::9"}} {
		want, err := run(program, ethernet(etherType(pair[0]), ip(pair[0], pair[1], 17, 0, udp(1, 2, nil))))
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range wraps() {
			for _, dir := range [][2]string{pair, {pair[1], pair[0]}} {
				got, err := run(program, w.frame(dir[0], dir[1]))
				if err != nil || got != want {
					t.Errorf("%s, %s to %s: ring hash %d, want %d (%v)", w.name, dir[0], dir[1], got, want, err)
				}
			}
		}
	}
}

// TestFanoutOuter holds that without tunnels the carrier's pair counts.
func TestFanoutOuter(t *testing.T) {
	program := onFrame(t, false)
	for _, w := range wraps() {
		a, _ := run(program, w.frame("10.1.2.3", "198.51.100.7"))
		b, _ := run(program, w.frame("10.1.2.4", "198.51.100.9"))
		if w.inner != (a == b) {
			t.Errorf("%s: hashes %d and %d", w.name, a, b)
		}
	}
}

// TestFanoutFragments holds that every fragment goes with its whole packets,
// and those of a carrier by the carrier's pair.
func TestFanoutFragments(t *testing.T) {
	program := onFrame(t, true)
	whole, _ := run(program, ethernet(typeIPv4, ip("10.0.0.1", "10.0.0.2", 17, 0, udp(1, 2, nil))))
	for _, frag := range []int{0x2000, 0x2001, 0x0005} {
		for _, proto := range []int{4, 6, 17, 47} {
			got, _ := run(program, ethernet(typeIPv4, ip("10.0.0.2", "10.0.0.1", proto, frag, ip("1.1.1.1", "2.2.2.2", 6, 0, nil))))
			if got != whole {
				t.Errorf("fragment %#x of protocol %d: %d, want %d", frag, proto, got, whole)
			}
		}
	}
	a, _ := run(program, ethernet(typeARP, arp("10.0.0.1", "10.0.0.2")))
	b, _ := run(program, ethernet(typeARP, arp("10.0.0.2", "10.0.0.1")))
	if a != b || a != whole {
		t.Errorf("ARP: %d and %d, want %d", a, b, whole)
	}
}

// TestFanoutSpread holds that neighbours spread over the rings.
func TestFanoutSpread(t *testing.T) {
	program := onFrame(t, true)
	const rings, pairs = 4, 4000
	var count [rings]int
	for i := range pairs {
		h, _ := run(program, ethernet(typeIPv4, ip(fmt.Sprintf("10.0.%d.%d", i/250, i%250), "192.0.2.1", 6, 0, tcp(1, 2))))
		count[h%rings]++
	}
	for i, n := range count {
		if n < pairs/rings*8/10 || n > pairs/rings*12/10 {
			t.Errorf("ring %d gets %d of %d pairs: %v", i, n, pairs, count)
		}
	}
}

// TestFanoutKernel holds that what the kernel is given is whole.
func TestFanoutKernel(t *testing.T) {
	for _, link := range []uint32{Ethernet, Raw} {
		p, err := Fanout(link, true)
		if err != nil || len(p) == 0 || len(p) > 400 {
			t.Errorf("link %d: %d instructions, %v", link, len(p), err)
		}
	}
}

// FuzzFanout holds that no frame ends the program otherwise than with a ring.
func FuzzFanout(f *testing.F) {
	for _, w := range wraps() {
		f.Add(w.frame("10.1.2.3", "198.51.100.7"))
	}
	ins, _ := bpf.Disassemble(onFrame(f, true))
	vm, err := bpf.NewVM(ins)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		if n, err := vm.Run(frame); err != nil || n < 0 || n > 0xffff {
			t.Errorf("%d, %v", n, err)
		}
	})
}
