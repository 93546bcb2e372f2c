package opaque

import (
	"encoding/binary"
	"sort"

	"github.com/testudo-shield/testudo/sense/protocol"
	"github.com/testudo-shield/testudo/sense/protocol/content"
)

// program names the executable that b begins with, at once or behind a
// four-byte length.
func program(b []byte) string {
	if kind := executable(b); kind != "" {
		return kind
	}
	if len(b) > 8 {
		le, be := binary.LittleEndian.Uint32(b), binary.BigEndian.Uint32(b)
		if plausible(le) || plausible(be) {
			if kind := executable(b[4:]); kind != "script" {
				return kind
			}
		}
	}
	return ""
}

// plausible says that n could be the length of a program.
func plausible(n uint32) bool { return n >= 64 && n <= 1<<28 }

// executable tells programs by their headers: Microsoft PE, System V ELF,
// Mach-O (thin and fat), and scripts that name an interpreter by its path.
func executable(b []byte) string {
	if len(b) < 8 {
		return ""
	}
	switch string(b[:4]) {
	case "\x7fELF":
		if b[4]-1 < 2 && b[5]-1 < 2 && b[6] == 1 {
			return "elf"
		}
	case "\xce\xfa\xed\xfe", "\xcf\xfa\xed\xfe", "\xfe\xed\xfa\xce", "\xfe\xed\xfa\xcf":
		return "macho"
	case "\xca\xfe\xba\xbe":
		if n := binary.BigEndian.Uint32(b[4:]); n > 0 && n < 0x20 {
			return "macho"
		}
	}
	if content.PE(b) == content.Certain {
		return "pe"
	}
	if b[0] == '#' && b[1] == '!' && (b[2] == '/' || b[2] == ' ' && b[3] == '/') && content.Text(b) > 0.95 {
		return "script"
	}
	return ""
}

// layout is one way to frame messages: magic constant bytes, then a length
// that counts what follows it, or the whole message. The length is size bytes
// binary or, where size is 0, decimal digits and one byte that ends them.
type layout struct {
	magic, size int
	little      bool
	whole       bool
}

// framed tells whether both ends, or one with enough messages, put their
// length before them: by one layout, frame upon frame, two on each side or
// three on one must end where a message ended.
func framed(orig, resp []byte, messages []message) bool {
	var room [2][maxMessage]int
	ends := [2][]int{room[0][:0], room[1][:0]}
	for _, m := range messages {
		ends[m.dir] = append(ends[m.dir], int(m.to))
	}
	enough := func(l layout) bool {
		o, r := l.walk(orig, ends[protocol.Orig]), l.walk(resp, ends[protocol.Resp])
		return o >= 3 || r >= 3 || o >= 2 && r >= 2
	}
	if enough(layout{}) {
		return true
	}
	for _, magic := range [...]int{0, 1, 2, 3, 4, 5, 8} {
		for k := range 8 {
			if enough(layout{magic, 2 + k&1*2, k&2 == 0, k&4 == 0}) {
				return true
			}
		}
	}
	return false
}

// walk follows the frames in b and counts those that end where a message
// ended; 0 when a frame's header makes no sense. A frame of which b holds
// only the beginning ends the walk.
func (l layout) walk(b []byte, ends []int) (hits int) {
	for at := 0; at < len(b); {
		rest := b[at:]
		if len(rest) < l.magic || string(rest[:l.magic]) != string(b[:l.magic]) {
			return 0
		}
		total := l.total(rest)
		if total <= 0 {
			return 0
		}
		if total > len(rest) {
			break
		}
		at += total
		if i := sort.SearchInts(ends, at); i < len(ends) && ends[i] == at {
			hits++
		}
	}
	return hits
}

// total reads the size of the frame that b begins with, header included; 0
// for none, more than b has where its header is not whole.
func (l layout) total(b []byte) int {
	head, n := l.magic+l.size, 0
	switch {
	case l.size == 0:
		return decimal(b)
	case head > len(b):
		return head
	case l.size == 2 && l.little:
		n = int(binary.LittleEndian.Uint16(b[l.magic:]))
	case l.size == 2:
		n = int(binary.BigEndian.Uint16(b[l.magic:]))
	case l.little:
		n = int(binary.LittleEndian.Uint32(b[l.magic:]))
	default:
		n = int(binary.BigEndian.Uint32(b[l.magic:]))
	}
	switch {
	case n == 0 || n > 1<<28 || l.whole && n <= head:
		return 0
	case l.whole:
		return n
	}
	return head + n
}

// decimal reads "123" and one byte that is no digit; the number counts what
// follows.
func decimal(b []byte) int {
	n, i := 0, 0
	for i < len(b) && i < 8 && digit(b[i]) {
		n = n*10 + int(b[i]-'0')
		i++
	}
	switch {
	case i == 0 || i == 8 || n == 0 || b[0] == '0':
		return 0
	case i == len(b):
		return i + 1
	}
	return i + 1 + n
}
