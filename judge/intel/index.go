package intel

import (
	"encoding/binary"
	"hash/maphash"
)

// pages is an array that grows without moving what it holds and without room
// to spare, but for its first page.
type pages[T any] struct {
	all [][]T
	n   uint32
}

const pageBits = 14

func (p *pages[T]) push(v T) uint32 {
	at := p.n >> pageBits
	if int(at) == len(p.all) {
		var page []T
		if at > 0 {
			page = make([]T, 0, 1<<pageBits)
		}
		p.all = append(p.all, page)
	}
	p.all[at] = append(p.all[at], v)
	p.n++
	return p.n - 1
}

func (p *pages[T]) at(i uint32) *T { return &p.all[i>>pageBits][i&(1<<pageBits-1)] }

// arena holds texts one behind the other, each with its length before it.
type arena struct{ all [][]byte }

const (
	arenaBits  = 20
	arenaPages = 1 << (32 - arenaBits) // 4 GiB
)

// put copies text, which is no longer than maxValue+1, and returns where it
// stands; false where there is no room left.
func (a *arena) put(text []byte) (uint32, bool) {
	last := len(a.all) - 1
	if last < 0 || len(a.all[last])+len(text)+binary.MaxVarintLen32 > 1<<arenaBits {
		if last+1 == arenaPages {
			return 0, false
		}
		var page []byte
		if last++; last > 0 {
			page = make([]byte, 0, 1<<arenaBits)
		}
		a.all = append(a.all, page)
	}
	at := uint32(last)<<arenaBits | uint32(len(a.all[last]))
	a.all[last] = append(binary.AppendUvarint(a.all[last], uint64(len(text))), text...)
	return at, true
}

// at returns the text that put said stands there. It is not to be changed.
func (a *arena) at(at uint32) []byte {
	page := a.all[at>>arenaBits][at&(1<<arenaBits-1):]
	n, size := binary.Uvarint(page)
	return page[size : size+int(n)]
}

// index finds a word under a key: one table of keyed hashes, open addressed,
// and the keys' bytes in an arena, each behind its word, so that what is found
// is read in two places of memory. A hash alone decides nothing: keys that
// are found are compared. The hash is keyed by chance, so that nobody can
// make a list that is slow to look up in; nothing that is told depends on it.
type index struct {
	seed  maphash.Seed
	slots []uint64 // high half: the hash's; low half: where the key stands, and 1
	shift uint8    // a hash's place is what is left of it
	n     int
	text  arena
	room  []byte
}

func newIndex() index {
	const bits = 8
	return index{seed: maphash.MakeSeed(), slots: make([]uint64, 1<<bits), shift: 64 - bits}
}

const wordLen = 4

func (x *index) hash(key []byte) uint64 { return maphash.Bytes(x.seed, key) }

// key returns the key that stands at, word and set what is kept under it; it
// is 0 at first.
func (x *index) key(at uint32) []byte       { return x.text.at(at)[wordLen:] }
func (x *index) word(at uint32) uint32      { return binary.LittleEndian.Uint32(x.text.at(at)) }
func (x *index) set(at uint32, word uint32) { binary.LittleEndian.PutUint32(x.text.at(at), word) }

// find returns where a key stands.
func (x *index) find(h uint64, key []byte) (at uint32, ok bool) {
	mask := uint64(len(x.slots) - 1)
	for i := h >> x.shift; ; i = (i + 1) & mask {
		s := x.slots[i]
		if s == 0 {
			return 0, false
		}
		if s>>32 == h>>32 && string(x.key(uint32(s)-1)) == string(key) {
			return uint32(s) - 1, true
		}
	}
}

// put returns where key stands, which may be new; false where the arena is
// full.
func (x *index) put(key []byte) (at uint32, isNew, ok bool) {
	h := x.hash(key)
	if at, ok := x.find(h, key); ok {
		return at, false, true
	}
	x.room = append(append(x.room[:0], make([]byte, wordLen)...), key...)
	if at, ok = x.text.put(x.room); !ok {
		return 0, false, false
	}
	if (x.n+1)*4 > len(x.slots)*3 {
		x.grow()
	}
	x.n++
	x.place(h>>32<<32|uint64(at+1), x.slots)
	return at, true, true
}

// grow doubles the table. The high half of the hashes suffices to place them.
func (x *index) grow() {
	old := x.slots
	x.slots = make([]uint64, 2*len(old))
	x.shift--
	for _, s := range old {
		if s != 0 {
			x.place(s, x.slots)
		}
	}
}

func (x *index) place(s uint64, slots []uint64) {
	mask := uint64(len(slots) - 1)
	i := s >> x.shift
	for slots[i] != 0 {
		i = (i + 1) & mask
	}
	slots[i] = s
}

// filter tells of most keys that are not in an index that they are not: a
// Bloom filter of four bits within one word (Putze and others, 2007), small
// enough to stay in the cache. At 16 bits a key it errs once in 200 times.
type filter struct{ words []uint64 }

func (x *index) filter() filter {
	f := filter{make([]uint64, x.n/4+1)}
	for _, s := range x.slots {
		if s != 0 {
			h := x.hash(x.key(uint32(s) - 1))
			*f.word(h) |= bits(h)
		}
	}
	return f
}

func (f *filter) may(h uint64) bool {
	b := bits(h)
	return *f.word(h)&b == b
}

func (f *filter) word(h uint64) *uint64 {
	return &f.words[(h&0xffffffff)*uint64(len(f.words))>>32]
}

func bits(h uint64) uint64 {
	return 1<<(h>>32&63) | 1<<(h>>38&63) | 1<<(h>>44&63) | 1<<(h>>50&63)
}
