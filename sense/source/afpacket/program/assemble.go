// Package program writes the small classic BPF programs that the kernel runs
// on every frame before it reaches a ring: Filter, which frames are wanted,
// from an expression in tcpdump's language, and Fanout, which ring of a group
// a frame goes to. It touches no socket; afpacket attaches what it gives.
package program

import (
	"fmt"

	"golang.org/x/net/bpf"
)

// MaxInstructions is how long a program the kernel takes (BPF_MAXINSNS).
const MaxInstructions = 4096

// label is a place in a program. next is the instruction that follows.
type label int

const next label = 0

// step is an instruction, a branch, or the place of a label.
type step struct {
	ins     bpf.Instruction // set for a plain instruction
	test    bpf.JumpTest
	val     uint32
	yes, no label
	place   label // set where a label lies
}

// assembler collects a program whose jumps go forward to labels, of any
// distance.
type assembler struct {
	steps  []step
	labels int
}

func (a *assembler) emit(ins ...bpf.Instruction) {
	for _, i := range ins {
		a.steps = append(a.steps, step{ins: i})
	}
}

func (a *assembler) label() label {
	a.labels++
	return label(a.labels)
}

func (a *assembler) place(l label) { a.steps = append(a.steps, step{place: l}) }

// branch compares the accumulator with val and goes on at yes or no.
func (a *assembler) branch(test bpf.JumpTest, val uint32, yes, no label) {
	a.steps = append(a.steps, step{test: test, val: val, yes: yes, no: no})
}

func (a *assembler) equal(val uint32, yes, no label) { a.branch(bpf.JumpEqual, val, yes, no) }

func (a *assembler) jump(l label) { a.branch(bpf.JumpEqual, 0, l, l) }

// near is how far a branch reaches, less the room for two long jumps.
const near = 255 - 2

// assemble lays the program out from its end, so that every distance is
// known when a jump is written; a branch that cannot reach goes by a long
// jump put behind it.
func (a *assembler) assemble() ([]bpf.RawInstruction, error) {
	var back []bpf.Instruction // last instruction first
	at := make([]int, a.labels+1)
	reach := func(l label, here int) int {
		pos := at[l]
		if l == next {
			pos = here
		}
		if len(back)-pos > near {
			back = append(back, bpf.Jump{Skip: uint32(len(back) - pos)})
			return len(back)
		}
		return pos
	}
	for i := len(a.steps) - 1; i >= 0; i-- {
		s := &a.steps[i]
		here := len(back)
		switch {
		case s.place != next:
			at[s.place] = here
		case s.ins != nil:
			back = append(back, s.ins)
		case s.yes == s.no:
			if skip := here - at[s.yes]; s.yes != next && skip > 0 {
				back = append(back, bpf.Jump{Skip: uint32(skip)})
			}
		default:
			yes, no := reach(s.yes, here), reach(s.no, here)
			back = append(back, bpf.JumpIf{
				Cond: s.test, Val: s.val,
				SkipTrue: uint8(len(back) - yes), SkipFalse: uint8(len(back) - no),
			})
		}
		if len(back) > MaxInstructions {
			return nil, fmt.Errorf("the program is longer than the %d instructions a kernel takes", MaxInstructions)
		}
	}
	program := make([]bpf.Instruction, len(back))
	for i, ins := range back {
		program[len(back)-1-i] = ins
	}
	return bpf.Assemble(program)
}

// Cut gives every frame that the program lets through at most n bytes, and
// returns program.
func Cut(program []bpf.RawInstruction, n uint32) []bpf.RawInstruction {
	const retConstant = 0x06 // BPF_RET | BPF_K
	for i := range program {
		if program[i].Op == retConstant && program[i].K > n {
			program[i].K = n
		}
	}
	return program
}
