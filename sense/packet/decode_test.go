package packet

import (
	"bytes"
	"slices"
	"testing"

	"github.com/testudo-shield/testudo"
)

// brief is a packet as the tables compare it.
type brief struct {
	src, dst string
	proto    testudo.Proto
	sp, dp   uint16
	payload  string
	tunnel   Tunnel
	vlan     uint16
}

func briefOf(p *Packet) brief {
	return brief{p.Src.Addr().String(), p.Dst.Addr().String(), p.Proto, p.SrcPort, p.DstPort, string(p.Payload), p.Tunnel, p.VLAN}
}

var (
	plain  = brief{src: "10.0.0.1", dst: "10.0.0.2", proto: 6, sp: 12345, dp: 80, payload: "hello"}
	plain6 = brief{src: "2001:db8::1", dst: "2001:db8::2", proto: 6, sp: 12345, dp: 80, payload: "hello"}
)

func within(t Tunnel) brief {
	return brief{src: "192.168.1.1", dst: "192.168.1.2", proto: 17, sp: 1111, dp: 2222, payload: "within", tunnel: t}
}

func tagged(b brief, vlan uint16) brief { b.vlan = vlan; return b }

func outer(proto testudo.Proto, sp, dp uint16, payload []byte) brief {
	return brief{src: "10.0.0.1", dst: "10.0.0.2", proto: proto, sp: sp, dp: dp, payload: string(payload)}
}

func cooked(typ uint16, inner []byte) []byte {
	return slices.Concat([]byte{0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0}, be.AppendUint16(nil, typ), inner)
}

func cookedTwo(typ uint16, inner []byte) []byte {
	return slices.Concat(be.AppendUint16(nil, typ), []byte{0, 0, 0, 0, 0, 1, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0}, inner)
}

func snap(typ uint16, inner []byte) []byte {
	return slices.Concat([]byte{0xaa, 0xaa, 3, 0, 0, 0}, be.AppendUint16(nil, typ), inner)
}

func wlan(control, flags byte, head int, inner []byte) []byte {
	b := make([]byte, head)
	b[0], b[1] = control, flags
	return append(b, inner...)
}

func TestLinks(t *testing.T) {
	ip := v4{proto: 6}.carry(tcp(SYN, "hello"))
	ip6 := v6(6, tcp(SYN, "hello"))
	llc := snap(0x0800, ip)
	pppoe := slices.Concat([]byte{0x11, 0, 0, 1}, be.AppendUint16(nil, uint16(2+len(ip))), []byte{0, 0x21}, ip, []byte("padding"))
	tests := []struct {
		name string
		link uint32
		data []byte
		want brief
	}{
		{"ethernet", 1, ether(0x0800, ip), plain},
		{"ethernet ipv6", 1, ether(0x86dd, ip6), plain6},
		{"trailer", 1, append(ether(0x0800, ip), "trailer"...), plain},
		{"trailer ipv6", 1, append(ether(0x86dd, ip6), "trailer"...), plain6},
		{"vlan", 1, ether(0x8100, tag(7, 0x0800, ip)), tagged(plain, 7)},
		{"vlan in vlan", 1, ether(0x88a8, tag(7, 0x8100, tag(9, 0x86dd, ip6))), tagged(plain6, 9)},
		{"older vlan in vlan", 1, ether(0x9100, tag(7, 0x8100, tag(9, 0x0800, ip))), tagged(plain, 9)},
		{"vn tag", 1, ether(0x8926, append([]byte{0, 0, 0, 0, 8, 0}, ip...)), plain},
		{"e tag", 1, ether(0x893f, append([]byte{0, 0, 0, 0, 0, 0, 8, 0}, ip...)), plain},
		{"backbone", 1, ether(0x88e7, append([]byte{0, 0, 0, 0}, ether(0x0800, ip)...)), plain},
		{"llc", 1, ether(uint16(len(llc)), append(llc, "padding"...)), plain},
		{"mpls", 1, ether(0x8847, slices.Concat([]byte{0, 1, 0, 64}, []byte{0, 1, 1, 64}, ip)), plain},
		{"mpls ipv6", 1, ether(0x8847, append([]byte{0, 1, 1, 64}, ip6...)), plain6},
		{"pseudowire", 1, ether(0x8847, append([]byte{0, 1, 1, 64}, ether(0x0800, ip)...)), plain},
		{"pseudowire with control word", 1, ether(0x8847, slices.Concat([]byte{0, 1, 1, 64}, []byte{0, 0, 0, 0}, ether(0x0800, ip))), plain},
		{"pppoe", 1, ether(0x8864, pppoe), plain},
		{"pppoe link", 51, pppoe, plain},
		{"cooked", 113, cooked(0x0800, ip), plain},
		{"cooked vlan", 113, cooked(0x8100, tag(3, 0x0800, ip)), tagged(plain, 3)},
		{"cooked llc", 113, cooked(4, llc), plain},
		{"cooked two", 276, cookedTwo(0x86dd, ip6), plain6},
		{"raw", 101, ip, plain},
		{"raw ipv6", 101, ip6, plain6},
		{"raw 12", 12, ip, plain},
		{"raw 14", 14, ip6, plain6},
		{"ipv4", 228, ip, plain},
		{"ipv6", 229, ip6, plain6},
		{"null little", 0, append([]byte{2, 0, 0, 0}, ip...), plain},
		{"null big", 0, append([]byte{0, 0, 0, 2}, ip...), plain},
		{"null darwin", 0, append([]byte{30, 0, 0, 0}, ip6...), plain6},
		{"loop", 108, append([]byte{0, 0, 0, 24}, ip6...), plain6},
		{"ppp", 9, append([]byte{0xff, 3, 0, 0x21}, ip...), plain},
		{"ppp short", 9, append([]byte{0x57}, ip6...), plain6},
		{"ppp hdlc", 50, append([]byte{0xff, 3, 0, 0x57}, ip6...), plain6},
		{"cisco hdlc", 104, append([]byte{0x0f, 0, 8, 0}, ip...), plain},
		{"wireless", 105, wlan(8, 1, 24, llc), plain},
		{"wireless bridge with quality", 105, wlan(0x88, 3, 32, llc), plain},
		{"wireless aggregate", 105, append(wlan(0x88, 2, 26, append(make([]byte, 14), llc...))[:24:24], append([]byte{0x80, 0}, append(make([]byte, 14), llc...)...)...), plain},
		{"radiotap", 127, append([]byte{0, 0, 8, 0, 0, 0, 0, 0}, wlan(8, 2, 24, llc)...), plain},
		{"radiotap padded", 127, append([]byte{0, 0, 17, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x20}, wlan(0x88, 2, 28, llc)...), plain},
		{"prism", 119, append([]byte{0x44, 0, 0, 0, 8, 0, 0, 0}, wlan(8, 2, 24, llc)...), plain},
		{"avs", 163, append([]byte{0x80, 0x21, 0x10, 0x01, 0, 0, 0, 8}, wlan(8, 2, 24, llc)...), plain},
		{"ppi", 192, append([]byte{0, 0, 8, 0, 1, 0, 0, 0}, ether(0x0800, ip)...), plain},
		{"options", 1, ether(0x0800, v4{proto: 6, options: "\x01\x01\x01\x00"}.carry(tcp(0, "hello"))), plain},
		{"left to the card", 1, ether(0x0800, v4{proto: 6, total: -1}.carry(tcp(0, "hello"))), plain},
		{"authentication", 1, ether(0x0800, v4{proto: 51}.carry(slices.Concat([]byte{6, 1, 0, 0}, make([]byte, 8), tcp(0, "hello")))), plain},
		{"extensions", 1, ether(0x86dd, v6(0, extension(60, extension(43, extension(6, tcp(0, "hello")))))), plain6},
		{"fragment in one piece", 1, ether(0x86dd, v6(44, frag6(6, 0, false, 1, tcp(0, "hello")))), plain6},
	}
	d := New(Config{})
	for _, tt := range tests {
		var p Packet
		if !d.Decode(tt.link, 5, 0, tt.data, &p) {
			t.Errorf("%s: not decoded: %+v", tt.name, d.Counts())
			continue
		}
		if got := briefOf(&p); got != tt.want {
			t.Errorf("%s: got %+v, want %+v", tt.name, got, tt.want)
		}
		if p.Time != 5 || p.Kind != KindIP || p.PayloadLen != 5 || p.Hash == 0 {
			t.Errorf("%s: got %+v", tt.name, p)
		}
	}
	if c := d.Counts(); c.MalformedTotal() != 0 || c.Packets != uint64(len(tests)) {
		t.Errorf("got counts %+v", c)
	}
}

func TestTunnels(t *testing.T) {
	in := inside()
	in6 := v6(17, udp(1111, 2222, []byte("within")))
	want6 := within(Teredo)
	want6.src, want6.dst = "2001:db8::1", "2001:db8::2"
	teredo6 := func(t Tunnel) brief {
		b := within(t)
		b.src, b.dst = "2001:0:1::1", "2001:db8::2"
		return b
	}
	ofTeredo := v6of("\x20\x01\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01", host6B, 17, udp(1111, 2222, []byte("within")))
	vx := func(inner []byte) []byte { return append([]byte{8, 0, 0, 0, 0, 0, 1, 0}, inner...) }
	gtp := func(flags byte, head []byte, inner []byte) []byte {
		b := be.AppendUint16([]byte{flags, 255}, uint16(len(head)+len(inner)))
		return slices.Concat(b, []byte{0, 0, 0, 1}, head, inner)
	}
	at := func(port uint16, b []byte) []byte { return v4{proto: 17}.carry(udp(999, port, b)) }
	noise := bytes.Repeat([]byte{0x4f, 0x11}, 40)
	tests := []struct {
		name string
		ip   []byte
		want brief
	}{
		{"ipip", v4{proto: 4}.carry(in), within(IPIP)},
		{"6in4", v4{proto: 41}.carry(ofTeredo), teredo6(IPIP)},
		{"gre", v4{proto: 47}.carry(gre(0, 0x0800, in)), within(GRE)},
		{"gre with all", v4{proto: 47}.carry(gre(0xb000, 0x0800, in)), within(GRE)},
		{"gre bridged", v4{proto: 47}.carry(gre(0x2000, 0x6558, ether(0x8100, tag(5, 0x0800, in)))), tagged(within(GRE), 5)},
		{"pptp", v4{proto: 47}.carry(gre(0x3081, 0x880b, append([]byte{0xff, 3, 0, 0x21}, in...))), within(GRE)},
		{"wccp", v4{proto: 47}.carry(gre(0, 0x883e, append([]byte{0, 0, 0, 0}, in...))), within(GRE)},
		{"erspan 1", v4{proto: 47}.carry(gre(0, 0x88be, ether(0x0800, in))), within(ERSPAN)},
		{"erspan 2", v4{proto: 47}.carry(gre(0x1000, 0x88be, append(make([]byte, 8), ether(0x0800, in)...))), within(ERSPAN)},
		{"erspan 3", v4{proto: 47}.carry(gre(0x1000, 0x22eb, append(make([]byte, 12), ether(0x0800, in)...))), within(ERSPAN)},
		{"erspan 3 long", v4{proto: 47}.carry(gre(0x1000, 0x22eb, slices.Concat(make([]byte, 11), []byte{1}, make([]byte, 8), ether(0x0800, in)))), within(ERSPAN)},
		{"vxlan", at(4789, vx(ether(0x0800, in))), within(VXLAN)},
		{"vxlan old", at(8472, vx(ether(0x0800, in))), within(VXLAN)},
		{"vxlan in gre", v4{proto: 47}.carry(gre(0, 0x0800, at(4789, vx(ether(0x0800, in))))), within(GRE)},
		{"geneve", at(6081, slices.Concat([]byte{1, 0, 0x65, 0x58, 0, 0, 1, 0}, []byte{0, 0, 0, 0}, ether(0x0800, in))), within(Geneve)},
		{"geneve ip", at(6081, append([]byte{0, 0, 8, 0, 0, 0, 1, 0}, in...)), within(Geneve)},
		{"gtp", at(2152, gtp(0x30, nil, in)), within(GTPU)},
		{"gtp sequence", at(2152, gtp(0x32, make([]byte, 4), in)), within(GTPU)},
		{"gtp extension", at(2152, gtp(0x34, []byte{0, 0, 0, 0x85, 1, 0, 0, 0}, in)), within(GTPU)},
		{"teredo", at(3544, ofTeredo), teredo6(Teredo)},
		{"teredo origin", at(3544, append(make([]byte, 8), ofTeredo...)), teredo6(Teredo)},
		{"teredo authentication", at(3544, slices.Concat([]byte{0, 1, 0, 0}, make([]byte, 9), make([]byte, 8), ofTeredo)), teredo6(Teredo)},

		{"no vxlan", at(4789, noise), outer(17, 999, 4789, noise)},
		{"vxlan of nothing", at(4789, vx(ether(0x88cc, noise))), outer(17, 999, 4789, vx(ether(0x88cc, noise)))},
		{"vxlan of a longer packet", at(4789, vx(ether(0x0800, in[:30]))), outer(17, 999, 4789, vx(ether(0x0800, in[:30])))},
		{"no geneve", at(6081, noise), outer(17, 999, 6081, noise)},
		{"no gtp", at(2152, noise), outer(17, 999, 2152, noise)},
		{"gtp echo", at(2152, []byte{0x32, 1, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0}), outer(17, 999, 2152, []byte{0x32, 1, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0})},
		{"no teredo", at(3544, in6), outer(17, 999, 3544, in6)},
		{"no gre", v4{proto: 47}.carry(gre(0, 0x9999, noise)), outer(47, 0, 0, gre(0, 0x9999, noise))},
		{"gre routed", v4{proto: 47}.carry(gre(0x4000, 0x0800, in)), outer(47, 0, 0, gre(0x4000, 0x0800, in))},
		{"no ipip", v4{proto: 4}.carry(noise[:19]), outer(4, 0, 0, noise[:19])},
	}
	d := New(Config{})
	for _, tt := range tests {
		var p Packet
		if !d.Decode(1, 0, 0, ether(0x0800, tt.ip), &p) {
			t.Errorf("%s: not decoded", tt.name)
		} else if got := briefOf(&p); got != tt.want {
			t.Errorf("%s: got %+v, want %+v", tt.name, got, tt.want)
		}
	}
	if c := d.Counts(); c.MalformedTotal() != 0 || c.NotIP != 0 || c.Tunnelled != 22 {
		t.Errorf("got counts %+v", c)
	}
}

func TestDeepTunnels(t *testing.T) {
	for _, n := range []int{8, 9, 3000} {
		b := inside()
		for range n {
			b = v4{proto: 4}.carry(b)
		}
		d := New(Config{})
		var p Packet
		if !d.Decode(101, 0, 0, b, &p) || p.Tunnel != IPIP {
			t.Fatalf("%d tunnels: not decoded", n)
		}
		if c := d.Counts(); (p.Proto == 4) != (n > 8) || c.TunnelTooDeep != uint64(min(1, n-8)) {
			t.Errorf("%d tunnels: protocol %d, counts %+v", n, p.Proto, c)
		}
	}
	b := make([]byte, 0, 250_000) // ethernet in MPLS in ethernet, which may be looked at in two ways each time
	for len(b) < 240_000 {
		b = append(b, ether(0x8847, []byte{0, 0, 1, 0})...)
	}
	d := New(Config{Tunnels: 64})
	var p Packet
	if d.Decode(1, 0, 0, b, &p) || d.tries > 1000 {
		t.Errorf("nested pseudowires: %d tries", d.tries)
	}
}

func TestFields(t *testing.T) {
	d := New(Config{})
	var p Packet
	if !d.Decode(1, 9, 1500, ether(0x0800, v4{proto: 6, total: 1486}.carry(tcp(SYN|ACK, "hello"))), &p) {
		t.Fatal("not decoded")
	}
	if p.Flags != SYN|ACK || p.TTL != 64 || p.Seq != 7 || p.Ack != 9 || p.Window != 0x1000 || p.IPLen != 1486 || p.PayloadLen != 1446 ||
		string(p.Payload) != "hello" || p.SrcMAC != [6]byte{2, 0, 0, 0, 0, 1} || p.DstMAC != [6]byte{2, 0, 0, 0, 0, 2} {
		t.Errorf("got %+v", p)
	}
	if d.Counts().Cut != 1 {
		t.Error("the snap length's cut was not counted")
	}
	if !d.Decode(1, 9, 0, ether(0x0800, v4{proto: 1}.carry([]byte{3, 1, 0, 0, 0, 0, 0, 0})), &p) || p.ICMPType != 3 || p.ICMPCode != 1 || p.PayloadLen != 8 {
		t.Errorf("icmp: got %+v", p)
	}
	if !d.Decode(1, 9, 0, ether(0x0800, v4{proto: 132}.carry(make([]byte, 16))), &p) || p.PayloadLen != 4 {
		t.Errorf("sctp: got %+v", p)
	}
	if !d.Decode(1, 9, 0, ether(0x86dd, v6(59, nil)), &p) || p.Proto != 59 || p.IPLen != 40 {
		t.Errorf("no next header: got %+v", p)
	}
	arp := slices.Concat([]byte{0, 1, 8, 0, 6, 4, 0, 2, 2, 0, 0, 0, 0, 1}, []byte(hostA), []byte{2, 0, 0, 0, 0, 2}, []byte(hostB))
	want := ARP{Op: 2, SenderMAC: [6]byte{2, 0, 0, 0, 0, 1}, TargetMAC: [6]byte{2, 0, 0, 0, 0, 2}, SenderIP: [4]byte([]byte(hostA)), TargetIP: [4]byte([]byte(hostB))}
	hash := PairHash(mapped([]byte(hostB)), mapped([]byte(hostA)))
	if !d.Decode(1, 9, 0, ether(0x0806, arp), &p) || p.Kind != KindARP || p.ARP != want || p.Hash != hash {
		t.Errorf("arp: got %+v", p)
	}
}

func TestMalformed(t *testing.T) {
	ok := v4{proto: 6}.carry(tcp(0, "x"))
	change := func(b []byte, i int, v byte) []byte { b = slices.Clone(b); b[i] = v; return b }
	chain := tcp(0, "")
	for range maxExtensions + 1 {
		chain = extension(60, chain)
	}
	tests := []struct {
		name   string
		link   uint32
		data   []byte
		reason Reason
	}{
		{"nothing", 1, nil, ShortLink},
		{"short ethernet", 1, make([]byte, 13), ShortLink},
		{"short tag", 1, ether(0x8100, []byte{0, 1, 8}), ShortLink},
		{"short llc", 1, ether(5, []byte{0xaa, 0xaa}), ShortLink},
		{"short cooked", 113, make([]byte, 15), ShortLink},
		{"short cooked two", 276, make([]byte, 19), ShortLink},
		{"labels without end", 1, ether(0x8847, make([]byte, 200)), ShortLink},
		{"short radiotap", 127, []byte{0, 0, 99, 0, 0, 0, 0, 0}, ShortLink},
		{"radiotap without end", 127, []byte{0, 0, 12, 0, 0, 0, 0, 0x80, 0, 0, 0, 0x80}, ShortLink},
		{"ppi in ppi", 192, []byte{0, 0, 8, 0, 192, 0, 0, 0}, ShortLink},
		{"short ip", 101, ok[:19], ShortIP},
		{"short ipv6", 229, make([]byte, 39), ShortIP},
		{"version", 228, change(ok, 0, 0x55), IPVersion},
		{"version 6", 229, make([]byte, 40), IPVersion},
		{"head", 101, change(ok, 0, 0x44), IPLength},
		{"total", 101, change(ok, 3, 19), IPLength},
		{"total beyond the frame", 101, change(ok, 3, 99), IPLength},
		{"chain", 101, v6(60, chain), Extensions},
		{"extension beyond the packet", 101, v6(60, []byte{6, 9, 0, 0, 0, 0, 0, 0}), Extensions},
		{"short tcp", 101, v4{proto: 6}.carry(make([]byte, 19)), ShortHeader},
		{"tcp offset", 101, change(ok, 32, 0x40), HeaderLength},
		{"tcp offset beyond", 101, change(ok, 32, 0xf0), HeaderLength},
		{"short udp", 101, v4{proto: 17}.carry(make([]byte, 7)), ShortHeader},
		{"udp length", 101, v4{proto: 17}.carry([]byte{0, 1, 0, 2, 0, 9, 0, 0}), HeaderLength},
		{"short icmp", 101, v4{proto: 1}.carry([]byte{8}), ShortHeader},
		{"short arp", 1, ether(0x0806, make([]byte, 7)), BadARP},
		{"empty fragment", 101, v4{proto: 6, frag: 0x2000}.carry([]byte("1234567")), BadFragment},
		{"far fragment", 101, v4{proto: 6, frag: 0x1fff}.carry(make([]byte, 16)), BadFragment},
	}
	for _, tt := range tests {
		d := New(Config{})
		p := Packet{Kind: KindIP}
		if d.Decode(tt.link, 0, 0, tt.data, &p) || p.Kind != KindNone {
			t.Errorf("%s: decoded to %+v", tt.name, p)
		}
		if c := d.Counts(); c.Malformed[tt.reason] != 1 || c.MalformedTotal() != 1 {
			t.Errorf("%s: want %v, got counts %v", tt.name, tt.reason, c.Malformed)
		}
	}
	d := New(Config{})
	var p Packet
	for _, data := range [][]byte{ether(0x88cc, nil), ether(38, []byte{0x42, 0x42, 3}), ether(0x0806, make([]byte, 28))} {
		if d.Decode(1, 0, 0, data, &p) {
			t.Errorf("decoded to %+v", p)
		}
	}
	d.Decode(105, 0, 0, wlan(8, 0x41, 24, nil), &p)
	d.Decode(147, 0, 0, ok, &p)
	if c := d.Counts(); c.NotIP != 3 || c.Encrypted != 1 || c.UnknownLink != 1 || c.MalformedTotal() != 0 {
		t.Errorf("got counts %+v", c)
	}
}

func TestPairHash(t *testing.T) {
	var shards [64]int
	seen := map[uint64]bool{}
	for i := range 64 {
		for k := range 256 {
			a, b := IP{10: 255, 11: 255, 12: 10, 15: byte(i)}, IP{10: 255, 11: 255, 12: 192, 14: byte(k)}
			h := PairHash(a, b)
			if h != PairHash(b, a) {
				t.Fatal("the two directions differ")
			}
			seen[h] = true
			shards[h%64]++
			shards[h>>58]++
		}
	}
	if len(seen) != 64*256 {
		t.Errorf("%d hashes of %d pairs", len(seen), 64*256)
	}
	for i, n := range shards {
		if n < 400 || n > 630 {
			t.Errorf("shard %d has %d pairs, expected about 512", i, n)
		}
	}
	if got := PairHash(IP{15: 1}, IP{15: 2}); got != pairHashOneTwo {
		t.Errorf("hash of ::1 and ::2 is %#x, it was %#x", got, uint64(pairHashOneTwo))
	}
}

// pairHashOneTwo pins the hash: saved state and shards depend on it.
const pairHashOneTwo = 0x8ed949602c1eaa77

func BenchmarkDecode(b *testing.B) {
	d := New(Config{})
	var p Packet
	for name, data := range map[string][]byte{
		"tcp":   ether(0x0800, v4{proto: 6}.carry(tcp(ACK, "hello"))),
		"udp6":  ether(0x86dd, v6(17, udp(53, 999, []byte("hello")))),
		"vxlan": ether(0x0800, v4{proto: 17}.carry(udp(999, 4789, append([]byte{8, 0, 0, 0, 0, 0, 1, 0}, ether(0x0800, inside())...)))),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if !d.Decode(1, 1, len(data), data, &p) {
					b.Fatal("not decoded")
				}
			}
		})
	}
}
