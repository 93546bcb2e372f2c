package program

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/net/bpf"
)

// isProgram tells the numbers of tcpdump -ddd from an expression.
func isProgram(text string) bool {
	return strings.Trim(text, "0123456789 \t\r\n,") == "" && strings.ContainsAny(text, "\n,")
}

// parseProgram reads a program as tcpdump -ddd prints it: how many
// instructions, and then each with its four numbers, on lines of their own or
// between commas. Whether the jumps are right the kernel checks.
func parseProgram(text string) ([]bpf.RawInstruction, error) {
	lines := strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == ',' })
	if len(lines) == 0 {
		return nil, errors.New("filter of numbers: it is empty")
	}
	count, err := strconv.Atoi(strings.TrimSpace(lines[0]))
	if err != nil || count < 1 || count > MaxInstructions || count != len(lines)-1 {
		return nil, fmt.Errorf("filter of numbers: it begins with %q but has %d instructions; give all that tcpdump -ddd prints", lines[0], len(lines)-1)
	}
	program := make([]bpf.RawInstruction, count)
	for i, line := range lines[1:] {
		if err := parseInstruction(line, &program[i]); err != nil {
			return nil, fmt.Errorf("filter of numbers: instruction %d, %q: %w", i+1, line, err)
		}
	}
	return program, nil
}

func parseInstruction(line string, to *bpf.RawInstruction) error {
	fields := strings.Fields(line)
	if len(fields) != 4 {
		return errors.New("expected four numbers")
	}
	var n [4]uint64
	for i, bits := range []int{16, 8, 8, 32} {
		var err error
		if n[i], err = strconv.ParseUint(fields[i], 10, bits); err != nil {
			return err
		}
	}
	*to = bpf.RawInstruction{Op: uint16(n[0]), Jt: uint8(n[1]), Jf: uint8(n[2]), K: uint32(n[3])}
	return nil
}
