package detector

// Table is a bounded memory of keyed entries. When it is full the entry that
// was untouched longest gives way, but one marked by Keep is passed over
// while there are others: what is suspicious outlives what is ordinary. Its
// behaviour, eviction included, depends on the calls alone, so that the same
// records leave the same memory on any machine.
type Table[K comparable, V any] struct {
	index map[K]int32
	slots []slot[K, V]
	free  int32   // head of the free list, -1 for none
	lists [2]list // by Keep: 0 ordinary, 1 kept
	limit int
	shed  int
}

type slot[K comparable, V any] struct {
	key        K
	prev, next int32
	kept       uint8
	value      V
}

type list struct{ head, tail int32 } // head is the longest untouched

// NewTable returns a table of at most limit entries (at least one). It grows
// to that as it is used.
func NewTable[K comparable, V any](limit int) *Table[K, V] {
	return &Table[K, V]{
		index: make(map[K]int32),
		free:  -1,
		lists: [2]list{{-1, -1}, {-1, -1}},
		limit: max(1, limit),
	}
}

// Get returns the entry of k and marks it touched, or nil.
func (t *Table[K, V]) Get(k K) *V {
	i, ok := t.index[k]
	if !ok {
		return nil
	}
	t.unlink(i)
	t.link(i)
	return &t.slots[i].value
}

// Peek returns the entry of k without touching it, or nil.
func (t *Table[K, V]) Peek(k K) *V {
	if i, ok := t.index[k]; ok {
		return &t.slots[i].value
	}
	return nil
}

// Put returns the entry of k, made zero if new, and marks it touched. The
// pointer is good until the next Put.
func (t *Table[K, V]) Put(k K) (v *V, isNew bool) {
	if v := t.Get(k); v != nil {
		return v, false
	}
	if len(t.index) >= t.limit {
		t.shed++
		if i := t.lists[0].head; i >= 0 {
			t.remove(i)
		} else {
			t.remove(t.lists[1].head)
		}
	}
	i := t.free
	if i >= 0 {
		t.free = t.slots[i].next
	} else {
		t.slots = append(t.slots, slot[K, V]{})
		i = int32(len(t.slots) - 1)
	}
	t.slots[i] = slot[K, V]{key: k}
	t.index[k] = i
	t.link(i)
	return &t.slots[i].value, true
}

// Keep marks the entry of k as worth keeping, or as ordinary again.
func (t *Table[K, V]) Keep(k K, keep bool) {
	i, ok := t.index[k]
	if !ok {
		return
	}
	t.unlink(i)
	t.slots[i].kept = 0
	if keep {
		t.slots[i].kept = 1
	}
	t.link(i)
}

// Delete forgets k.
func (t *Table[K, V]) Delete(k K) {
	if i, ok := t.index[k]; ok {
		t.remove(i)
	}
}

// Len returns the number of entries, Shed how many gave way to others.
func (t *Table[K, V]) Len() int { return len(t.index) }

// Shed returns how many entries gave way to others so far.
func (t *Table[K, V]) Shed() int { return t.shed }

// All yields every entry, longest untouched first, ordinary before kept. The
// loop may delete the entry it is at, and no other.
func (t *Table[K, V]) All(yield func(K, *V) bool) {
	for l := range t.lists {
		for i := t.lists[l].head; i >= 0; {
			next := t.slots[i].next
			if !yield(t.slots[i].key, &t.slots[i].value) {
				return
			}
			i = next
		}
	}
}

func (t *Table[K, V]) link(i int32) {
	s := &t.slots[i]
	l := &t.lists[s.kept]
	s.prev, s.next = l.tail, -1
	if l.tail >= 0 {
		t.slots[l.tail].next = i
	} else {
		l.head = i
	}
	l.tail = i
}

func (t *Table[K, V]) unlink(i int32) {
	s := &t.slots[i]
	l := &t.lists[s.kept]
	if s.prev >= 0 {
		t.slots[s.prev].next = s.next
	} else {
		l.head = s.next
	}
	if s.next >= 0 {
		t.slots[s.next].prev = s.prev
	} else {
		l.tail = s.prev
	}
}

func (t *Table[K, V]) remove(i int32) {
	t.unlink(i)
	delete(t.index, t.slots[i].key)
	t.slots[i] = slot[K, V]{next: t.free, prev: -1}
	t.free = i
}
