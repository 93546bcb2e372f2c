package packet

import (
	"math"
	"slices"

	"github.com/testudo-shield/testudo"
)

const (
	// partitions divides the budget for fragments by host pair, so that who
	// floods with fragments crowds out a sixteenth of the others.
	partitions = 16
	// fragmentLife is how long a datagram may take, in traffic time.
	fragmentLife = testudo.Time(30e9)
	// maxParts is how many pieces one datagram may have.
	maxParts = 1024
	// datagramCost is what a datagram is charged besides its bytes.
	datagramCost = 256
	partCost     = 16
)

type fragmentKey struct {
	src, dst IP
	id       uint32
	vlan     uint16
	proto    uint8
	v6       bool
}

// fragment is one piece: n bytes at off, of which data was captured.
type fragment struct {
	key    fragmentKey
	off, n int
	more   bool
	next   uint8
	data   []byte
}

// part is a range of a datagram that came; its bytes begin at data[at].
type part struct{ off, end, at, have int32 }

type datagram struct {
	key          fragmentKey
	first        testudo.Time
	data         []byte // in order of arrival
	parts        []part // sorted, disjoint
	fragments    uint64
	sum          int   // bytes covered
	total        int   // length, 0 until the last fragment came
	cut          int   // the first byte that was not captured
	next         uint8 // of the first fragment
	dead         bool  // given up; what still comes is dropped too
	older, newer int32
}

// reassembler holds unfinished datagrams in order of their first fragment.
// The oldest goes when the budget is spent. Age is looked at when a datagram
// is met again, so that one frame with a wrong clock makes nobody older.
type reassembler struct {
	maxBytes, maxDatagrams int
	bytes                  int
	index                  map[fragmentKey]int32
	slots                  []datagram
	free                   []int32
	oldest, newest         int32
}

const none = -1

func (r *reassembler) init(maxBytes, maxDatagrams int) {
	r.maxBytes, r.maxDatagrams = maxBytes, maxDatagrams
	r.index = make(map[fragmentKey]int32)
	r.oldest, r.newest = none, none
}

// add takes a fragment in. If it completes its datagram, the bytes captured
// of it, its length and its next header are returned; the bytes are the
// caller's.
func (r *reassembler) add(f *fragment, t testudo.Time, c *Counts) (data []byte, n int, next uint8, whole bool) {
	i, ok := r.index[f.key]
	if ok && (t-r.slots[i].first > fragmentLife || r.slots[i].first-t > fragmentLife) {
		r.drop(i, c)
		ok = false
	}
	if !ok {
		i = r.open(f.key, t, c)
	}
	g := &r.slots[i]
	g.fragments++
	if g.dead {
		return nil, 0, 0, false
	}
	before := g.cost()
	good := g.insert(f, c)
	if !good {
		g.dead, g.data, g.parts = true, nil, nil
	}
	r.bytes += g.cost() - before
	if good && g.total > 0 && g.sum == g.total {
		data, n, next = g.join(), g.total, g.next
		r.remove(i)
		return data, n, next, true
	}
	for r.bytes > r.maxBytes && r.oldest != none {
		r.drop(r.oldest, c)
	}
	return nil, 0, 0, false
}

func (g *datagram) cost() int { return datagramCost + cap(g.data) + cap(g.parts)*partCost }

// insert adds what is new in f. It returns false if the datagram must be
// given up: an overlap in IPv6 (RFC 5722), or too many pieces. In IPv4 what
// came first stays.
func (g *datagram) insert(f *fragment, c *Counts) bool {
	start, end := f.off, f.off+f.n
	i, same := slices.BinarySearchFunc(g.parts, int32(start), func(p part, at int32) int { return int(p.off) - int(at) })
	if same && int(g.parts[i].end) == end && (f.more || g.total == end) {
		c.FragmentsDuplicate++
		return true
	}
	beyond := 0
	if len(g.parts) > 0 {
		beyond = int(g.parts[len(g.parts)-1].end)
	}
	if g.total > 0 && (end > g.total || !f.more && end != g.total) || !f.more && beyond > end {
		c.FragmentsOverlap++
		return !f.key.v6
	}
	if !f.more {
		g.total = end
	}
	if start == 0 && (i == len(g.parts) || g.parts[i].off != 0) {
		g.next = f.next
	}
	if i > 0 && int(g.parts[i-1].end) > start {
		i--
	}
	overlap := false
	for at := start; at < end; i++ {
		if i < len(g.parts) && int(g.parts[i].off) <= at {
			overlap = true
			at = int(g.parts[i].end)
			continue
		}
		stop := end
		if i < len(g.parts) {
			stop = min(end, int(g.parts[i].off))
		}
		if len(g.parts) >= maxParts {
			return false
		}
		g.keep(i, at, stop, f)
		at = stop
	}
	if overlap {
		c.FragmentsOverlap++
	}
	return !overlap || !f.key.v6
}

// keep stores the bytes from at to stop as part i.
func (g *datagram) keep(i, at, stop int, f *fragment) {
	have := f.data[min(at-f.off, len(f.data)):min(stop-f.off, len(f.data))]
	if len(have) < stop-at {
		g.cut = min(g.cut, at+len(have))
	}
	g.parts = slices.Insert(g.parts, i, part{off: int32(at), end: int32(stop), at: int32(len(g.data)), have: int32(len(have))})
	g.data = append(g.data, have...)
	g.sum += stop - at
}

func (g *datagram) join() []byte {
	out := make([]byte, min(g.total, g.cut))
	for _, p := range g.parts {
		if int(p.off) < len(out) {
			copy(out[p.off:], g.data[p.at:p.at+p.have])
		}
	}
	return out
}

func (r *reassembler) open(key fragmentKey, t testudo.Time, c *Counts) int32 {
	if len(r.index) >= r.maxDatagrams {
		r.drop(r.oldest, c)
	}
	var i int32
	if n := len(r.free); n > 0 {
		i, r.free = r.free[n-1], r.free[:n-1]
	} else {
		i = int32(len(r.slots))
		r.slots = append(r.slots, datagram{})
	}
	r.slots[i] = datagram{key: key, first: t, cut: math.MaxInt, older: r.newest, newer: none}
	if r.newest == none {
		r.oldest = i
	} else {
		r.slots[r.newest].newer = i
	}
	r.newest = i
	r.index[key] = i
	r.bytes += r.slots[i].cost()
	return i
}

// drop gives a datagram up and counts its fragments.
func (r *reassembler) drop(i int32, c *Counts) {
	c.FragmentsDropped += r.slots[i].fragments
	r.remove(i)
}

func (r *reassembler) remove(i int32) {
	g := &r.slots[i]
	r.bytes -= g.cost()
	delete(r.index, g.key)
	if g.older == none {
		r.oldest = g.newer
	} else {
		r.slots[g.older].newer = g.newer
	}
	if g.newer == none {
		r.newest = g.older
	} else {
		r.slots[g.newer].older = g.older
	}
	*g = datagram{}
	r.free = append(r.free, i)
}
