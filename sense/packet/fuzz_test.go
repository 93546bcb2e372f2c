package packet

import "testing"

// FuzzDecode feeds one decoder, as a capture does, with frames of any link type.
func FuzzDecode(f *testing.F) {
	ip, ip6 := v4{proto: 6}.carry(tcp(SYN, "hello")), v6(0, extension(6, tcp(SYN, "hello")))
	for _, s := range []struct {
		link uint32
		data []byte
	}{
		{1, ether(0x0800, ip)},
		{1, ether(0x8100, tag(7, 0x86dd, ip6))},
		{1, ether(40, snap(0x0800, ip))},
		{1, ether(0x8847, append([]byte{0, 1, 1, 64}, ether(0x0800, ip)...))},
		{9, append([]byte{0xff, 3, 0, 0x21}, ip...)},
		{1, ether(0x0806, make([]byte, 28))},
		{0, append([]byte{2, 0, 0, 0}, ip...)},
		{101, ip6},
		{113, cooked(0x0800, ip)},
		{276, cookedTwo(0x0800, ip)},
		{51, append([]byte{0x11, 0, 0, 1, 0, 0, 0, 0x21}, ip...)},
		{104, append([]byte{0x0f, 0, 8, 0}, ip...)},
		{105, wlan(0x88, 3, 32, snap(0x0800, ip))},
		{127, append([]byte{0, 0, 17, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x20}, wlan(0x88, 2, 28, snap(0x0800, ip))...)},
		{119, append([]byte{0x44, 0, 0, 0, 8, 0, 0, 0}, wlan(8, 2, 24, snap(0x0800, ip))...)},
		{192, append([]byte{0, 0, 8, 0, 1, 0, 0, 0}, ether(0x0800, ip)...)},
		{101, v4{proto: 47}.carry(gre(0x3000, 0x88be, append(make([]byte, 8), ether(0x0800, ip)...)))},
		{101, v4{proto: 47}.carry(gre(0x3081, 0x880b, append([]byte{0, 0x21}, ip...)))},
		{101, v4{proto: 4}.carry(v4{proto: 41}.carry(ip6))},
		{101, v4{proto: 17}.carry(udp(1, 4789, append([]byte{8, 0, 0, 0, 0, 0, 1, 0}, ether(0x0800, ip)...)))},
		{101, v4{proto: 17}.carry(udp(1, 6081, append([]byte{0, 0, 8, 0, 0, 0, 1, 0}, ip...)))},
		{101, v4{proto: 17}.carry(udp(1, 2152, append([]byte{0x34, 255, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0x85, 1, 0, 0, 0}, ip...)))},
		{101, v4{proto: 17}.carry(udp(1, 3544, append(make([]byte, 8), v6of(host6A[:2]+"\x00\x00"+host6A[4:], host6B, 6, tcp(0, "x"))...)))},
		{101, v4{proto: 17, frag: 0x2000}.carry(make([]byte, 16))},
		{101, v6(44, frag6(17, 8, false, 1, make([]byte, 16)))},
	} {
		f.Add(s.link, uint16(0), s.data)
	}
	f.Fuzz(func(t *testing.T, link uint32, more uint16, data []byte) {
		d := New(Config{})
		for range 2 {
			var p Packet
			if !d.Decode(link, 1, len(data)+int(more), data, &p) {
				if p.Kind != KindNone && p.Kind != KindFragment {
					t.Fatal("a packet that is none")
				}
				continue
			}
			if len(p.Payload) > int(p.PayloadLen) {
				t.Fatalf("payload of %d bytes, %d announced", len(p.Payload), p.PayloadLen)
			}
			if !p.Joined && len(p.Payload) > len(data) {
				t.Fatal("more payload than data")
			}
			if p.Kind == KindIP && p.IPLen < p.PayloadLen {
				t.Fatalf("payload of %d bytes in a packet of %d", p.PayloadLen, p.IPLen)
			}
		}
	})
}
