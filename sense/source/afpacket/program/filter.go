package program

import (
	"fmt"
	"strings"

	"golang.org/x/net/bpf"
)

// The bounds of a filter's text.
const (
	maxText  = 64 << 10
	maxDepth = 64 // parentheses within parentheses
)

// snap is what a frame that is wanted may hold, until Cut says less.
const snap = 256 << 10

// SyntaxError says which word of a filter could not be read.
type SyntaxError struct {
	Filter string
	Column int    // of the word, from 1
	Word   string // empty at the end
	Reason string
}

// Error names the word and its place.
func (e *SyntaxError) Error() string {
	if e.Word == "" {
		return fmt.Sprintf("filter %q: at its end: %s", e.Filter, e.Reason)
	}
	return fmt.Sprintf("filter %q: column %d, %q: %s", e.Filter, e.Column, e.Word, e.Reason)
}

// Filter translates a filter for frames of the given link type, Ethernet or
// Raw. An empty one lets everything through. The language is the common part
// of tcpdump's (pcap-filter(7)); README.md lists it. Unlike there, VLAN tags,
// two at most, are passed over by themselves. A text of numbers alone is the
// program itself, as tcpdump -ddd prints it.
//
// What cannot be read gives a *SyntaxError.
func Filter(text string, link uint32) ([]bpf.RawInstruction, error) {
	if isProgram(text) {
		return parseProgram(text)
	}
	return filter(text, link, true)
}

// filter translates a text. With stripped set the kernel has taken the outer
// VLAN tag off the frame and holds it aside, as it does for most frames.
func filter(text string, link uint32, stripped bool) ([]bpf.RawInstruction, error) {
	a := new(assembler)
	if strings.TrimSpace(text) == "" {
		a.emit(bpf.RetConstant{Val: snap})
		return a.assemble()
	}
	if link != Ethernet && link != Raw {
		return nil, fmt.Errorf("filter %q: frames of link type %d cannot be filtered by an expression; give the numbers of tcpdump -ddd", text, link)
	}
	p, err := newParser(text)
	if err != nil {
		return nil, err
	}
	p.link, p.stripped = link, stripped
	root, err := p.parse()
	if err != nil {
		return nil, err
	}
	keep, drop := a.label(), a.label()
	a.decode(link)
	root.write(a, keep, drop)
	a.place(keep)
	a.emit(bpf.RetConstant{Val: snap})
	a.place(drop)
	a.emit(bpf.RetConstant{Val: 0})
	program, err := a.assemble()
	if err != nil {
		return nil, fmt.Errorf("filter: %w", err)
	}
	return program, nil
}

// Scratch slots of a filter: what decode found.
const (
	slotNetwork   = iota // where the IP or ARP header begins
	slotType             // its Ethernet type
	slotProtocol         // the IP protocol number, or noProtocol
	slotTransport        // where its header begins, 0 for a later fragment
)

const noProtocol = 256

// decode finds the headers once, so that each test is short.
func (a *assembler) decode(link uint32) {
	v4, v6, done := a.label(), a.label(), a.label()
	a.emit(bpf.LoadConstant{Dst: bpf.RegA, Val: noProtocol}, bpf.StoreScratch{Src: bpf.RegA, N: slotProtocol},
		bpf.LoadConstant{Dst: bpf.RegA, Val: 0}, bpf.StoreScratch{Src: bpf.RegA, N: slotTransport})
	a.network(link)
	a.equal(typeIPv4, v4, next)
	a.equal(typeIPv6, v6, done)

	a.place(v4)
	a.byte(9)
	a.emit(bpf.StoreScratch{Src: bpf.RegA, N: slotProtocol})
	a.half(6)
	a.branch(bpf.JumpBitsSet, 0x1fff, done, next)
	a.byte(0)
	a.emit(bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 0xf}, bpf.ALUOpConstant{Op: bpf.ALUOpShiftLeft, Val: 2},
		bpf.ALUOpX{Op: bpf.ALUOpAdd}, bpf.StoreScratch{Src: bpf.RegA, N: slotTransport})
	a.jump(done)

	a.place(v6)
	a.decode6(done)
	a.place(done)
}

// decode6 passes over a fragment header, no other extension, as tcpdump.
func (a *assembler) decode6(done label) {
	const fragment = 44
	fragmented := a.label()
	a.byte(6)
	a.emit(bpf.StoreScratch{Src: bpf.RegA, N: slotProtocol})
	a.equal(fragment, fragmented, next)
	a.transport(40)
	a.jump(done)
	a.place(fragmented)
	a.byte(40)
	a.emit(bpf.StoreScratch{Src: bpf.RegA, N: slotProtocol})
	a.half(42)
	a.branch(bpf.JumpBitsSet, 0xfff8, done, next)
	a.transport(48)
}

func (a *assembler) transport(off uint32) {
	a.emit(bpf.TXA{}, bpf.ALUOpConstant{Op: bpf.ALUOpAdd, Val: off}, bpf.StoreScratch{Src: bpf.RegA, N: slotTransport})
}

// network leaves the network header's place in X and its type in the
// accumulator, and both in their slots.
func (a *assembler) network(link uint32) {
	if link == Raw {
		a.rawType()
	} else {
		a.emit(bpf.LoadConstant{Dst: bpf.RegX, Val: 14}, bpf.LoadAbsolute{Off: 12, Size: 2})
		a.filterTag()
		a.filterTag()
	}
	a.emit(bpf.StoreScratch{Src: bpf.RegX, N: slotNetwork}, bpf.StoreScratch{Src: bpf.RegA, N: slotType})
}

// rawType tells the type by the IP version; 0 for neither.
func (a *assembler) rawType() {
	v4, v6, neither, known := a.label(), a.label(), a.label(), a.label()
	a.emit(bpf.LoadConstant{Dst: bpf.RegX, Val: 0})
	a.version(v4, v6, neither)
	for _, v := range []struct {
		at  label
		typ uint32
	}{{v4, typeIPv4}, {v6, typeIPv6}, {neither, 0}} {
		a.place(v.at)
		a.emit(bpf.LoadConstant{Dst: bpf.RegA, Val: v.typ})
		a.jump(known)
	}
	a.place(known)
}

// filterTag is tag; slotType holds the value that must survive.
func (a *assembler) filterTag() {
	tagged, done := a.label(), a.label()
	a.isTag(tagged, done)
	a.place(tagged)
	a.half(2)
	a.emit(bpf.StoreScratch{Src: bpf.RegA, N: slotType}, bpf.TXA{},
		bpf.ALUOpConstant{Op: bpf.ALUOpAdd, Val: 4}, bpf.TAX{}, bpf.LoadScratch{Dst: bpf.RegA, N: slotType})
	a.place(done)
}

// isTag branches by whether the accumulator is the type of a VLAN tag.
func (a *assembler) isTag(yes, no label) {
	for i, t := range tagTypes {
		if i < len(tagTypes)-1 {
			a.equal(t, yes, next)
		} else {
			a.equal(t, yes, no)
		}
	}
}
