package dataset

import (
	"testing"

	"github.com/testudo-shield/testudo/judge/intel/formattest"
)

// In base64: spy.example, bad.example, curl/1.0 (x).
const list = "c3B5LmV4YW1wbGU=\nYmFkLmV4YW1wbGU=,7\nY3VybC8xLjAgKHgp\n203.0.113.7\nspy.example,high\n00112233445566778899aabbccddeeff\nAAEC\n\n"

func TestParse(t *testing.T) {
	formattest.Golden(t, Format, list, `
domain spy.example
domain bad.example (reputation 7)
3: a string that only the rule using the set gives a meaning
address 203.0.113.7
5: a reputation that is no number
hash 00112233445566778899aabbccddeeff
7: neither base64 of text nor an address or a hash
`)
}

func TestSniff(t *testing.T) {
	formattest.Sniffs(t, Format, []string{"c3B5LmV4YW1wbGU=\nYmFkLmV4YW1wbGU=,7\n"}, []string{"", "spy.example\n", "00112233445566778899aabbccddeeff\n", "203.0.113.7\n"})
}

func FuzzParse(f *testing.F) { formattest.Fuzz(f, Format, list) }
