package detector

import "hash/maphash"

// Table is a bounded memory of keyed entries. When it is full the entry that
// was untouched longest gives way, but one marked by Keep is passed over
// while there are others: what is suspicious outlives what is ordinary. Its
// behaviour, eviction included, depends on the calls alone, so that the same
// records leave the same memory on any machine.
type Table[K comparable, V any] struct {
	sum   func(K, Hash) Hash // nil for that of the language
	seed  Hash
	index []place // open addressing; at most half full
	used  int
	slots []slot[K, V]
	links []link  // of slots; apart, as an entry's neighbours are touched with it
	free  int32   // head of the free list, -1 for none
	lists [2]list // by Keep: 0 ordinary, 1 kept
	limit int
	shed  int
}

// place says where in slots an entry is: its key's hash,
// and one more than its number; zero is free.
type place struct{ hash, slot uint32 }

type slot[K comparable, V any] struct {
	key   K
	value V
}

type link struct {
	prev, next int32
	hash       uint32
	kept       uint8
}

type list struct{ head, tail int32 } // head is the longest untouched

// NewTable returns a table of at most limit entries (at least one). It grows
// to that as it is used.
func NewTable[K comparable, V any](limit int) *Table[K, V] {
	sum, _ := any(sumAddr).(func(K, Hash) Hash)
	return NewTableBy[K, V](limit, sum)
}

// NewTableBy returns a table that hashes its keys by sum, which is quicker
// than what the language does for keys of several parts.
func NewTableBy[K comparable, V any](limit int, sum func(K, Hash) Hash) *Table[K, V] {
	return &Table[K, V]{
		sum:   sum,
		seed:  newHash(),
		free:  -1,
		lists: [2]list{{-1, -1}, {-1, -1}},
		limit: max(1, limit),
	}
}

// Get returns the entry of k and marks it touched, or nil.
func (t *Table[K, V]) Get(k K) *V {
	i, _ := t.find(k)
	if i < 0 {
		return nil
	}
	t.touch(i)
	return &t.slots[i].value
}

// Peek returns the entry of k without touching it, or nil.
func (t *Table[K, V]) Peek(k K) *V {
	if i, _ := t.find(k); i >= 0 {
		return &t.slots[i].value
	}
	return nil
}

// Put returns the entry of k, made zero if new, and marks it touched. The
// pointer is good until the next Put.
func (t *Table[K, V]) Put(k K) (v *V, isNew bool) {
	i, hash := t.find(k)
	if i >= 0 {
		t.touch(i)
		return &t.slots[i].value, false
	}
	if t.used >= t.limit {
		t.shed++
		if i := t.lists[0].head; i >= 0 {
			t.remove(i)
		} else {
			t.remove(t.lists[1].head)
		}
	}
	if i = t.free; i >= 0 {
		t.free = t.links[i].next
	} else {
		t.slots, t.links = append(t.slots, slot[K, V]{}), append(t.links, link{})
		i = int32(len(t.slots) - 1)
	}
	s := &t.slots[i]
	s.key, t.links[i] = k, link{hash: hash}
	t.insert(hash, i)
	t.link(i)
	return &s.value, true
}

// Keep marks the entry of k as worth keeping, or as ordinary again.
func (t *Table[K, V]) Keep(k K, keep bool) {
	i, _ := t.find(k)
	if i < 0 {
		return
	}
	t.unlink(i)
	t.links[i].kept = 0
	if keep {
		t.links[i].kept = 1
	}
	t.link(i)
}

// Delete forgets k.
func (t *Table[K, V]) Delete(k K) {
	if i, _ := t.find(k); i >= 0 {
		t.remove(i)
	}
}

// Len returns the number of entries, Shed how many gave way to others.
func (t *Table[K, V]) Len() int { return t.used }

// Shed returns how many entries gave way to others so far.
func (t *Table[K, V]) Shed() int { return t.shed }

// All yields every entry, longest untouched first, ordinary before kept. The
// loop may delete the entry it is at, and no other.
func (t *Table[K, V]) All(yield func(K, *V) bool) {
	for l := range t.lists {
		for i := t.lists[l].head; i >= 0; {
			next := t.links[i].next
			if !yield(t.slots[i].key, &t.slots[i].value) {
				return
			}
			i = next
		}
	}
}

// find returns the number of k's slot, -1 for none, and k's hash.
func (t *Table[K, V]) find(k K) (int32, uint32) {
	hash := t.hash(k)
	if t.used == 0 {
		return -1, hash
	}
	mask := uint32(len(t.index) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		p := t.index[i]
		if p.slot == 0 {
			return -1, hash
		}
		if p.hash == hash && t.slots[p.slot-1].key == k {
			return int32(p.slot - 1), hash
		}
	}
}

func (t *Table[K, V]) hash(k K) uint32 {
	if t.sum == nil {
		return uint32(maphash.Comparable(t.seed.seed, k))
	}
	return uint32(t.sum(k, t.seed).sum)
}

// insert indexes slot i, which is not there yet.
func (t *Table[K, V]) insert(hash uint32, i int32) {
	if t.used++; 2*t.used > len(t.index) {
		old := t.index
		t.index = make([]place, max(16, 2*len(old)))
		for _, p := range old {
			if p.slot != 0 {
				t.put(p)
			}
		}
	}
	t.put(place{hash, uint32(i) + 1})
}

func (t *Table[K, V]) put(p place) {
	mask := uint32(len(t.index) - 1)
	i := p.hash & mask
	for t.index[i].slot != 0 {
		i = (i + 1) & mask
	}
	t.index[i] = p
}

// drop takes slot i out of the index and closes the ranks behind it.
func (t *Table[K, V]) drop(i int32) {
	mask := uint32(len(t.index) - 1)
	at := t.links[i].hash & mask
	for t.index[at].slot != uint32(i)+1 {
		at = (at + 1) & mask
	}
	t.used--
	for j := (at + 1) & mask; t.index[j].slot != 0; j = (j + 1) & mask {
		if home := t.index[j].hash & mask; (j-home)&mask >= (j-at)&mask {
			t.index[at] = t.index[j]
			at = j
		}
	}
	t.index[at] = place{}
}

// touch makes slot i the last to give way of its kind.
func (t *Table[K, V]) touch(i int32) {
	if t.lists[t.links[i].kept].tail != i {
		t.unlink(i)
		t.link(i)
	}
}

func (t *Table[K, V]) link(i int32) {
	k := &t.links[i]
	l := &t.lists[k.kept]
	k.prev, k.next = l.tail, -1
	if l.tail >= 0 {
		t.links[l.tail].next = i
	} else {
		l.head = i
	}
	l.tail = i
}

func (t *Table[K, V]) unlink(i int32) {
	k := &t.links[i]
	l := &t.lists[k.kept]
	if k.prev >= 0 {
		t.links[k.prev].next = k.next
	} else {
		l.head = k.next
	}
	if k.next >= 0 {
		t.links[k.next].prev = k.prev
	} else {
		l.tail = k.prev
	}
}

func (t *Table[K, V]) remove(i int32) {
	t.unlink(i)
	t.drop(i)
	t.slots[i], t.links[i] = slot[K, V]{}, link{next: t.free, prev: -1}
	t.free = i
}
