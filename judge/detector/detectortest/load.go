package detectortest

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/detector"
)

// loadSpan is what one line of load tells of: a step of sense's.
const loadSpan = time.Duration(1 << 28)

// loadKinds are the words for what is owed, with what pays for it.
func loadKinds() map[string][2]testudo.LoadKind {
	return map[string][2]testudo.LoadKind{
		"syn":      {testudo.LoadSYN, testudo.LoadCompleted},
		"answer":   {testudo.LoadAnswer, testudo.LoadContinued},
		"stray":    {testudo.LoadStray, testudo.LoadContinued},
		"datagram": {testudo.LoadDatagram, testudo.LoadReplied},
		"icmp":     {testudo.LoadICMP, testudo.LoadReplied},
		"error":    {testudo.LoadError, testudo.LoadReplied},
		"fragment": {testudo.LoadFragment, testudo.LoadReassembled},
		"other":    {testudo.LoadOther, testudo.LoadReplied},
	}
}

// spec is what a line of load says.
type spec struct {
	kind                      [2]testudo.LoadKind
	owed, paid, sources, size int
	spread                    bool // over the target's network
	forged                    bool // the senders are drawn from everywhere, other ones each time
}

// loadOf makes the load of a line: Kind=syn N=400, and where wanted Paid=20
// (of what N counts and earlier), Sources=200 (neighbours from orig's address
// on; default 1), Forged=true, Spread=true, Size=60.
func loadOf(words []string, id testudo.ConnID, at testudo.Time) (*testudo.Load, error) {
	s := spec{sources: 1, size: 60}
	for _, w := range words {
		name, value, _ := strings.Cut(w, "=")
		n, _ := strconv.Atoi(value)
		switch name {
		case "Kind":
			var ok bool
			if s.kind, ok = loadKinds()[value]; !ok {
				return nil, fmt.Errorf("%s: no such kind", w)
			}
		case "N":
			s.owed = n
		case "Paid":
			s.paid = n
		case "Sources":
			s.sources = max(1, n)
		case "Size":
			s.size = n
		case "Forged":
			s.forged = true
		case "Spread":
			s.spread = true
		default:
			return nil, fmt.Errorf("load has no field %s", name)
		}
	}
	return s.make(id, at)
}

func (s spec) make(id testudo.ConnID, at testudo.Time) (*testudo.Load, error) {
	l := &testudo.Load{Span: loadSpan, Bytes: int64(s.owed * s.size)}
	l.Time = at
	l.Count[s.kind[0]], l.Count[s.kind[1]] = int64(s.owed), int64(s.paid)
	width := 64
	if id.Resp.Addr().Is4() {
		width = 24
	}
	var err error
	if l.Target, err = id.Resp.Addr().Prefix(width); err != nil {
		return nil, err
	}
	n := min(64, s.owed+s.paid)
	for i := range s.sources {
		l.Sources = seen(l.Sources, detector.AddrKey(s.sender(id, at, i)))
	}
	for i := range n {
		p := testudo.LoadPacket{Kind: s.kind[0], Proto: id.Proto, TTL: uint8(50 + i%13), Size: uint16(s.size), Dst: id.Resp}
		if s.paid > 0 && i*(s.owed+s.paid) >= n*s.owed {
			p.Kind = s.kind[1]
		}
		port := id.Orig.Port()
		if port == 0 {
			port = uint16(1024 + 977*i)
		}
		p.Src = netip.AddrPortFrom(s.sender(id, at, i%s.sources), port)
		if s.spread {
			p.Dst = netip.AddrPortFrom(shifted(l.Target.Addr(), uint32(1+i*37%250)), id.Resp.Port())
		}
		l.Sample = append(l.Sample, p)
	}
	return l, nil
}

func (s spec) sender(id testudo.ConnID, at testudo.Time, i int) netip.Addr {
	if !s.forged {
		return shifted(id.Orig.Addr(), uint32(i))
	}
	var b [4]byte
	h := detector.NameKey(fmt.Sprint(at, i))
	binary.BigEndian.PutUint32(b[:], uint32(h))
	return netip.AddrFrom4(b)
}

// shifted returns the n-th address after a, of IPv4.
func shifted(a netip.Addr, n uint32) netip.Addr {
	b := a.As4()
	binary.BigEndian.PutUint32(b[:], binary.BigEndian.Uint32(b[:])+n)
	return netip.AddrFrom4(b)
}

// seen adds a hash to a sketch as sense keeps it.
func seen(sketch [256]byte, h uint64) [256]byte {
	h *= 0x9e3779b97f4a7c15
	h ^= h >> 32
	rank := uint8(bits.LeadingZeros64(h<<8|1<<7)) + 1
	sketch[h>>56] = max(sketch[h>>56], rank)
	return sketch
}
