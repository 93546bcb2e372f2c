package logs

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/testudo-shield/testudo"
)

// DNS record types whose names among the answers carry nothing of their own,
// and message parts of fixed size in bytes (RFC 1035).
const (
	typeNS, typeSOA, typePTR, typeSRV = 2, 6, 12, 33

	dnsHeader   = 12
	dnsQuestion = 4  // type and class
	dnsAnswer   = 12 // a compressed name, type, class, TTL, length
)

// SizeDNS finds the addresses among the answers and estimates the sizes that
// logs do not hold: what the messages take at least.
func SizeDNS(d *testudo.DNS) {
	d.QuerySize = dnsHeader + nameSize(d.Query) + dnsQuestion
	if d.Answered {
		d.ReplySize = d.QuerySize
	}
	for _, a := range d.Answers {
		size := 0
		if addr, err := netip.ParseAddr(a); err == nil {
			d.Addresses = append(d.Addresses, addr.Unmap().WithZone(""))
			size = addr.BitLen() / 8
		} else if n, ok := textSize(a); ok {
			size = n
			d.AnswerData += n
		} else {
			size = nameSize(a)
			switch d.QType {
			case typeNS, typeSOA, typePTR, typeSRV:
			default:
				d.AnswerData += len(a)
			}
		}
		d.ReplySize += dnsAnswer + size
	}
}

// nameSize is what a name takes in a message.
func nameSize(name string) int {
	if name == "" {
		return 1
	}
	return len(strings.TrimSuffix(name, ".")) + 2
}

// textSize reads Zeek's form of a TXT answer, "TXT 5 hello".
func textSize(a string) (int, bool) {
	rest, ok := strings.CutPrefix(a, "TXT ")
	if !ok {
		return 0, false
	}
	word, text, _ := strings.Cut(rest, " ")
	n, err := strconv.Atoi(word)
	if err != nil || n < 0 || n > len(text) {
		n = len(rest)
	}
	return n, true
}
