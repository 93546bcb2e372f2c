package intel

import (
	"cmp"
	"encoding/binary"
	"net/netip"
	"slices"
	"sort"
)

// ranges finds the prefixes that an address lies in. Prefixes nest or are
// apart, so a sorted list of where the narrowest one changes answers with one
// short search, and each knows the one around it. Keys are the first 64 bits
// of an address, an IPv4 one's at the top.
type ranges struct {
	starts []uint64 // where another prefix is the narrowest, ascending
	inner  []uint32 // by start: the narrowest prefix, and 1; 0 for none
	nets   []network
	first  []uint32 // by the top 16 bits: how many starts lie before them
}

type network struct {
	from, to uint64
	entry    uint32 // where its key stands in the index
	around   uint32 // the prefix around it, and 1; 0 for none
}

// prefixes holds those of both families, and of IPv6 those too long for keys.
type prefixes struct {
	v4, v6 ranges
	long   []int // lengths beyond 64 that the index holds, longest first
}

func (p *prefixes) add(q netip.Prefix, entry uint32) {
	switch {
	case q.Addr().Is4():
		p.v4.add(key64(q.Addr()), q.Bits(), entry)
	case q.Bits() <= 64:
		p.v6.add(key64(q.Addr()), q.Bits(), entry)
	case !slices.Contains(p.long, q.Bits()):
		p.long = append(p.long, q.Bits())
		slices.Sort(p.long)
		slices.Reverse(p.long)
	}
}

func (p *prefixes) seal() {
	p.v4.seal()
	p.v6.seal()
}

func key64(a netip.Addr) uint64 {
	if a.Is4() {
		b := a.As4()
		return uint64(binary.BigEndian.Uint32(b[:])) << 32
	}
	b := a.As16()
	return binary.BigEndian.Uint64(b[:])
}

func (r *ranges) add(from uint64, bits int, entry uint32) {
	r.nets = append(r.nets, network{from: from, to: from | ^uint64(0)>>bits, entry: entry})
}

// seal makes the list of starts.
func (r *ranges) seal() {
	if len(r.nets) == 0 {
		return
	}
	slices.SortFunc(r.nets, func(a, b network) int {
		return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(b.to, a.to))
	})
	r.nets = slices.Clip(r.nets)
	var open []uint32 // the prefixes around the place we are at
	leave := func(before uint64, all bool) {
		for len(open) > 0 {
			end := r.nets[open[len(open)-1]-1].to
			if !all && end >= before {
				return
			}
			if open = open[:len(open)-1]; end != ^uint64(0) {
				r.start(end+1, top(open))
			}
		}
	}
	for i := range r.nets {
		leave(r.nets[i].from, false)
		r.nets[i].around = top(open)
		open = append(open, uint32(i+1))
		r.start(r.nets[i].from, uint32(i+1))
	}
	leave(0, true)
	r.first = make([]uint32, 1<<16+1)
	for b := range r.first {
		r.first[b] = uint32(len(r.starts))
		if b < 1<<16 {
			r.first[b] = uint32(sort.Search(len(r.starts), func(i int) bool { return r.starts[i] >= uint64(b)<<48 }))
		}
	}
}

func top(open []uint32) uint32 {
	if len(open) == 0 {
		return 0
	}
	return open[len(open)-1]
}

// start notes that from at on inner is the narrowest prefix.
func (r *ranges) start(at uint64, inner uint32) {
	if n := len(r.starts); n > 0 && r.starts[n-1] == at {
		r.inner[n-1] = inner
		return
	}
	r.starts, r.inner = append(r.starts, at), append(r.inner, inner)
}

// narrowest returns the narrowest prefix that key lies in, and 1; 0 for none.
func (r *ranges) narrowest(key uint64) uint32 {
	if len(r.first) == 0 {
		return 0
	}
	lo, hi := r.first[key>>48], r.first[key>>48+1]
	for lo < hi { // the first start beyond key
		if mid := (lo + hi) / 2; r.starts[mid] <= key {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo == 0 {
		return 0
	}
	return r.inner[lo-1]
}
