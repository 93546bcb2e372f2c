package detector

import "errors"

var errTwice = errors.New("a key comes twice")

// EntryTypes tells judge/snapshot what the table holds.
func (t *Table[K, V]) EntryTypes() (key, value any) { return (*K)(nil), (*V)(nil) }

// EntryCounts returns Len and Shed.
func (t *Table[K, V]) EntryCounts() (n, shed int) { return t.used, t.shed }

// EachEntry yields what All does, and whether Keep marked it.
func (t *Table[K, V]) EachEntry(yield func(key, value any, kept bool) bool) {
	for l := range t.lists {
		for i := t.lists[l].head; i >= 0; i = t.links[i].next {
			if !yield(&t.slots[i].key, &t.slots[i].value, l == 1) {
				return
			}
		}
	}
}

// TakeEntries forgets what there is and takes n entries in the order of
// EachEntry. Which of them give way next, and which are kept, is as it was;
// the limit stays the table's own, so some may give way at once.
func (t *Table[K, V]) TakeEntries(n, shed int, next func(key, value any) (kept bool, err error)) error {
	*t = *NewTableBy[K, V](t.limit, t.sum)
	for range n {
		var e slot[K, V]
		kept, err := next(&e.key, &e.value)
		if err != nil {
			return err
		}
		v, isNew := t.Put(e.key)
		if !isNew {
			return errTwice
		}
		*v = e.value
		if kept {
			t.Keep(e.key, true)
		}
	}
	t.shed += shed
	return nil
}
