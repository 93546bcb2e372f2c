package logs

import (
	"encoding/binary"
	"math/bits"
)

// Scan returns the place of the first x or y in b, len(b) for neither. It
// looks at eight bytes at a time: values are short, and a search that has to
// be set up costs more than it saves.
func Scan(b []byte, x, y byte) int {
	i := 0
	for ; i+8 <= len(b); i += 8 {
		word := binary.LittleEndian.Uint64(b[i:])
		if found := zeros(word^ones*uint64(x)) | zeros(word^ones*uint64(y)); found != 0 {
			return i + bits.TrailingZeros64(found)/8
		}
	}
	for i < len(b) && b[i] != x && b[i] != y {
		i++
	}
	return i
}

// Places appends to places where c stands in b, and stops soon after there are
// more than most of them.
func Places(places []int, b []byte, c byte, most int) []int {
	i := 0
	for ; i+8 <= len(b) && len(places) <= most; i += 8 {
		word := binary.LittleEndian.Uint64(b[i:]) ^ ones*uint64(c)
		// Exact for all bytes, other than zeros.
		found := ^(word&(0x7f*ones) + 0x7f*ones | word | 0x7f*ones)
		for ; found != 0; found &= found - 1 {
			places = append(places, i+bits.TrailingZeros64(found)/8)
		}
	}
	for ; i < len(b) && len(places) <= most; i++ {
		if b[i] == c {
			places = append(places, i)
		}
	}
	return places
}

// ones times a byte has that byte eight times.
const ones = 0x0101010101010101

// zeros sets the high bit of the lowest byte of word that is zero, perhaps
// also of bytes above it, and none where no byte is.
func zeros(word uint64) uint64 { return (word - ones) &^ word & (0x80 * ones) }
