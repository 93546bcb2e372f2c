package program

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/net/bpf"
)

// node is a part of a filter: it writes code that goes on at yes or no.
type node interface {
	write(a *assembler, yes, no label)
}

// both, either and negated join parts.
type (
	both    struct{ left, right node }
	either  struct{ left, right node }
	negated struct{ part node }
)

func (n both) write(a *assembler, yes, no label) {
	more := a.label()
	n.left.write(a, more, no)
	a.place(more)
	n.right.write(a, yes, no)
}

func (n either) write(a *assembler, yes, no label) {
	more := a.label()
	n.left.write(a, yes, more)
	a.place(more)
	n.right.write(a, yes, no)
}

func (n negated) write(a *assembler, yes, no label) { n.part.write(a, no, yes) }

// slot compares what decode found.
type slot struct {
	n   int
	val uint32
}

func (t slot) write(a *assembler, yes, no label) {
	a.emit(bpf.LoadScratch{Dst: bpf.RegA, N: t.n})
	a.equal(t.val, yes, no)
}

// length compares the frame's length on the wire.
type length struct {
	test bpf.JumpTest
	n    uint32
}

func (t length) write(a *assembler, yes, no label) {
	a.emit(bpf.LoadExtension{Num: bpf.ExtLen})
	a.branch(t.test, t.n, yes, no)
}

// ports compares one port, by its place in the transport header.
type ports struct{ off, from, to uint32 }

func (t ports) write(a *assembler, yes, no label) {
	has, low := a.label(), a.label()
	a.emit(bpf.LoadScratch{Dst: bpf.RegA, N: slotProtocol})
	a.equal(6, has, next)
	a.equal(17, has, next)
	a.equal(132, has, no)
	a.place(has)
	a.emit(bpf.LoadScratch{Dst: bpf.RegA, N: slotTransport})
	a.equal(0, no, next)
	a.emit(bpf.TAX{})
	a.half(t.off)
	a.branch(bpf.JumpGreaterOrEqual, t.from, low, no)
	a.place(low)
	a.branch(bpf.JumpGreaterThan, t.to, no, yes)
}

// address compares the words at an offset of the network header of one type.
type address struct {
	typ, off uint32
	prefix   netip.Prefix
}

func (t address) write(a *assembler, yes, no label) {
	a.emit(bpf.LoadScratch{Dst: bpf.RegA, N: slotType})
	is := a.label()
	a.equal(t.typ, is, no)
	a.place(is)
	a.emit(bpf.LoadScratch{Dst: bpf.RegX, N: slotNetwork})
	addr, bits := t.prefix.Addr().AsSlice(), t.prefix.Bits()
	for i := 0; i < bits; i += 32 {
		mask := ^uint32(0) << max(0, 32-(bits-i))
		a.word(t.off + uint32(i/8))
		if mask != ^uint32(0) {
			a.emit(bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: mask})
		}
		same := a.label()
		a.equal(binary.BigEndian.Uint32(addr[i/8:])&mask, same, no)
		a.place(same)
	}
	a.jump(yes)
}

// vlan asks for an outer tag, of one number if that is not negative.
type vlan struct {
	id       int
	stripped bool
}

func (t vlan) write(a *assembler, yes, no label) {
	inFrame := a.label()
	if t.stripped {
		aside := a.label()
		a.emit(bpf.LoadExtension{Num: bpf.ExtVLANTagPresent})
		a.equal(0, inFrame, aside)
		a.place(aside)
		a.emit(bpf.LoadExtension{Num: bpf.ExtVLANTag})
		t.number(a, yes, no)
	}
	a.place(inFrame)
	tagged := a.label()
	a.emit(bpf.LoadAbsolute{Off: 12, Size: 2})
	a.isTag(tagged, no)
	a.place(tagged)
	a.emit(bpf.LoadAbsolute{Off: 14, Size: 2})
	t.number(a, yes, no)
}

func (t vlan) number(a *assembler, yes, no label) {
	if t.id < 0 {
		a.jump(yes)
		return
	}
	a.emit(bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 0xfff})
	a.equal(uint32(t.id), yes, no)
}
