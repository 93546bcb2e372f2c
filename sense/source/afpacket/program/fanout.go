package program

import "golang.org/x/net/bpf"

// Link types, as the registry of tcpdump.org numbers them.
const (
	Ethernet = 1
	Raw      = 101 // begins with an IP header
)

// Ethernet types that the programs look at.
const (
	typeIPv4  = 0x0800
	typeARP   = 0x0806
	typeRARP  = 0x8035
	typeTEB   = 0x6558 // Ethernet within GRE or Geneve
	typeIPv6  = 0x86dd
	typePPPoE = 0x8864
	typeMPLS  = 0x8847
	typeMPLSm = 0x8848
)

// tagTypes are the Ethernet types of VLAN tags: 802.1Q, 802.1ad and the older
// way to write an outer one.
var tagTypes = [...]uint32{0x8100, 0x88a8, 0x9100}

const (
	outgoing    = 4          // PACKET_OUTGOING
	fromNetwork = 0xfff00000 // SKF_NET_OFF: offsets count from the IP header
	goldenRatio = 0x9e3779b1
	keepTop     = 16 // of the product's bits; the low ones know little
)

// Scratch slots of the fanout program.
const (
	slotValue = iota // a value kept while X moves, or the sum of addresses
	slotOuter        // where the outer IP header begins
	slotProto        // what the outer IP header carries
)

// Fanout returns the program that picks a ring by host pair: the same for
// both directions, for fragments as for whole packets. With tunnels set it
// takes the pair within one carrier (IP in IP, GRE, VXLAN, Geneve without
// options); VLAN tags, PPPoE and up to three MPLS labels are passed over in
// any case. A fragment of a carrier goes by the carrier's pair. Frames
// without a pair go to ring 0.
//
// The kernel runs it before the frame is put back behind its link header if
// it came in, and with the header still there if it goes out.
func Fanout(link uint32, tunnels bool) ([]bpf.RawInstruction, error) {
	a := new(assembler)
	header := uint32(14)
	if link != Ethernet {
		header = fromNetwork
	}
	in, begin := a.label(), a.label()
	a.emit(bpf.LoadExtension{Num: bpf.ExtType})
	a.equal(outgoing, next, in)
	a.emit(bpf.LoadConstant{Dst: bpf.RegX, Val: header})
	a.jump(begin)
	a.place(in)
	a.emit(bpf.LoadConstant{Dst: bpf.RegX, Val: 0})
	a.place(begin)
	a.emit(bpf.LoadExtension{Num: bpf.ExtProto})
	a.pair(tunnels)
	return a.assemble()
}

// skip moves X on by n bytes and puts what the accumulator held back.
func (a *assembler) skip(n uint32) {
	a.emit(bpf.StoreScratch{Src: bpf.RegA, N: slotValue}, bpf.TXA{},
		bpf.ALUOpConstant{Op: bpf.ALUOpAdd, Val: n}, bpf.TAX{}, bpf.LoadScratch{Dst: bpf.RegA, N: slotValue})
}

func (a *assembler) half(off uint32) { a.emit(bpf.LoadIndirect{Off: off, Size: 2}) }
func (a *assembler) byte(off uint32) { a.emit(bpf.LoadIndirect{Off: off, Size: 1}) }
func (a *assembler) word(off uint32) { a.emit(bpf.LoadIndirect{Off: off, Size: 4}) }

// tag passes over one VLAN tag at X if the accumulator says there is one.
func (a *assembler) tag() {
	tagged, done := a.label(), a.label()
	for _, t := range tagTypes[:len(tagTypes)-1] {
		a.equal(t, tagged, next)
	}
	a.equal(tagTypes[len(tagTypes)-1], tagged, done)
	a.place(tagged)
	a.half(2)
	a.skip(4)
	a.place(done)
}

// pair is the program from the network header on: X says where it begins and
// the accumulator of which Ethernet type it is.
func (a *assembler) pair(tunnels bool) {
	ip, arp, mpls, pppoe, none := a.label(), a.label(), a.label(), a.label(), a.label()
	a.tag()
	a.tag()
	a.equal(typeIPv4, ip, next)
	a.equal(typeIPv6, ip, next)
	a.equal(typeARP, arp, next)
	a.equal(typePPPoE, pppoe, next)
	a.equal(typeMPLS, mpls, next)
	a.equal(typeMPLSm, mpls, none)

	a.place(pppoe)
	a.skip(8)
	a.jump(ip)

	a.place(mpls)
	for range 3 {
		a.byte(2)
		a.skip(4)
		a.branch(bpf.JumpBitsSet, 1, ip, next) // bottom of stack
	}
	a.jump(none)

	a.place(ip)
	if tunnels {
		a.inner(none)
	}
	a.hash(arp, none)
}

// inner moves X to the IP header within one carrier, if there is one.
func (a *assembler) inner(none label) {
	v4, v6, carrier, outer, hash := a.label(), a.label(), a.label(), a.label(), a.label()
	a.version(v4, v6, none)

	a.place(v4)
	a.half(6)
	a.branch(bpf.JumpBitsSet, 0x3fff, hash, next) // a fragment
	a.byte(9)
	a.emit(bpf.StoreScratch{Src: bpf.RegA, N: slotProto})
	a.byte(0)
	a.emit(bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 0xf}, bpf.ALUOpConstant{Op: bpf.ALUOpShiftLeft, Val: 2}, bpf.ALUOpX{Op: bpf.ALUOpAdd})
	a.jump(carrier)

	a.place(v6)
	a.byte(6)
	a.emit(bpf.StoreScratch{Src: bpf.RegA, N: slotProto}, bpf.TXA{}, bpf.ALUOpConstant{Op: bpf.ALUOpAdd, Val: 40})

	a.place(carrier)
	gre, udp := a.label(), a.label()
	a.emit(bpf.StoreScratch{Src: bpf.RegX, N: slotOuter}, bpf.TAX{}, bpf.LoadScratch{Dst: bpf.RegA, N: slotProto})
	a.equal(4, hash, next)
	a.equal(41, hash, next)
	a.equal(47, gre, next)
	a.equal(17, udp, outer)
	a.gre(gre, outer, hash)
	a.overUDP(udp, outer, hash)

	a.place(outer)
	a.emit(bpf.LoadScratch{Dst: bpf.RegX, N: slotOuter})
	a.place(hash)
}

// gre is RFC 2784 without options, or with the key of RFC 2890 alone.
func (a *assembler) gre(gre, outer, hash label) {
	plain, carried := a.label(), a.label()
	a.place(gre)
	a.half(0)
	a.equal(0, plain, next)
	a.equal(0x2000, next, outer)
	a.half(2)
	a.skip(8)
	a.jump(carried)
	a.place(plain)
	a.half(2)
	a.skip(4)
	a.place(carried)
	a.equal(typeIPv4, hash, next)
	a.equal(typeIPv6, hash, next)
	a.equal(typeTEB, next, outer)
	a.ethernet(outer, hash)
}

// overUDP is VXLAN (RFC 7348) and Geneve without options (RFC 8926).
func (a *assembler) overUDP(udp, outer, hash label) {
	vxlan, geneve, within := a.label(), a.label(), a.label()
	a.place(udp)
	a.half(2)
	a.equal(4789, vxlan, next)
	a.equal(6081, geneve, outer)
	a.place(vxlan)
	a.byte(8)
	a.equal(8, within, outer)
	a.place(geneve)
	a.byte(8)
	a.equal(0, next, outer)
	a.half(10)
	a.equal(typeTEB, within, outer)
	a.place(within)
	a.skip(16)
	a.ethernet(outer, hash)
}

// ethernet passes over an Ethernet header at X, with one tag at most.
func (a *assembler) ethernet(outer, hash label) {
	a.half(12)
	a.skip(14)
	a.tag()
	a.equal(typeIPv4, hash, next)
	a.equal(typeIPv6, hash, outer)
}

// version branches by the IP version at X.
func (a *assembler) version(v4, v6, none label) {
	a.byte(0)
	a.emit(bpf.ALUOpConstant{Op: bpf.ALUOpShiftRight, Val: 4})
	a.equal(4, v4, next)
	a.equal(6, v6, none)
}

// hash sums the addresses of the header at X, which knows no direction, and
// spreads the sum.
func (a *assembler) hash(arp, none label) {
	v4, v6, spread := a.label(), a.label(), a.label()
	a.version(v4, v6, none)
	a.place(v4)
	a.sum(12, 16)
	a.jump(spread)
	a.place(arp)
	a.sum(14, 24)
	a.jump(spread)
	a.place(v6)
	a.sum(8, 12, 16, 20, 24, 28, 32, 36)
	a.place(spread)
	a.emit(bpf.ALUOpConstant{Op: bpf.ALUOpMul, Val: goldenRatio},
		bpf.ALUOpConstant{Op: bpf.ALUOpShiftRight, Val: keepTop}, bpf.RetA{})
	a.place(none)
	a.emit(bpf.RetConstant{Val: 0})
}

// sum adds up the words at the given offsets from X.
func (a *assembler) sum(offsets ...uint32) {
	a.emit(bpf.StoreScratch{Src: bpf.RegX, N: slotOuter})
	a.word(offsets[0])
	for _, off := range offsets[1:] {
		a.emit(bpf.StoreScratch{Src: bpf.RegA, N: slotValue}, bpf.LoadScratch{Dst: bpf.RegX, N: slotOuter})
		a.word(off)
		a.emit(bpf.LoadScratch{Dst: bpf.RegX, N: slotValue}, bpf.ALUOpX{Op: bpf.ALUOpAdd})
	}
}
