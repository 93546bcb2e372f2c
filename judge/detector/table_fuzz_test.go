package detector

import (
	"slices"
	"testing"
)

// FuzzTable does whatever the bytes say to a table and to the plain list of
// table_test.go; two bytes are one call. Beside that model's calls, a loop
// deletes the entry it is at, and what is made new is zero.
func FuzzTable(f *testing.F) {
	f.Add(uint8(3), []byte{0, 1, 0, 2, 0, 3, 0, 4})
	f.Add(uint8(2), []byte{0, 1, 5, 1, 0, 2, 0, 3, 0, 4, 6, 1, 0, 5})
	f.Add(uint8(2), []byte{0, 1, 5, 1, 0, 2, 5, 2, 0, 3, 3, 1, 0, 4})
	f.Add(uint8(8), []byte{0, 1, 0, 2, 0, 3, 15, 0, 0, 4, 7, 2, 0, 5, 0, 6})
	f.Add(uint8(0), []byte{0, 1, 0, 2, 5, 2, 0, 3})
	f.Fuzz(func(t *testing.T, size uint8, calls []byte) {
		limit := int(size % 20)
		tab := NewTable[uint16, int](limit)
		m := &model{kept: map[uint16]bool{}, value: map[uint16]int{}, limit: max(1, limit)}
		for i := 0; i+1 < len(calls); i += 2 {
			k := uint16(calls[i+1] % 24)
			_, had := m.value[k]
			switch calls[i] % 8 {
			case 0, 1, 2:
				v, isNew := tab.Put(k)
				if isNew == had || isNew && *v != 0 {
					t.Fatalf("call %d: Put(%d) is new: %v, holds %d", i/2, k, isNew, *v)
				}
				*v = i + 1
				m.put(k, i+1)
			case 3:
				if v := tab.Get(k); (v != nil) != had {
					t.Fatalf("call %d: Get(%d) found %v, want %v", i/2, k, v != nil, had)
				}
				m.touch(k)
			case 4:
				if calls[i]&8 != 0 {
					tab = again(t, tab, limit)
				}
				if v := tab.Peek(k); (v != nil) != had {
					t.Fatalf("call %d: Peek(%d) found %v, want %v", i/2, k, v != nil, had)
				}
			case 5, 6:
				keep := calls[i]%8 == 5
				tab.Keep(k, keep)
				if had {
					m.kept[k] = keep
					m.touch(k)
				}
			case 7:
				third := calls[i]&8 != 0
				for x := range tab.All {
					if x == k || third && x%3 == k%3 {
						tab.Delete(x)
						m.remove(x)
					}
				}
			}
			var got []uint16
			for k, v := range tab.All {
				if got = append(got, k); *v != m.value[k] {
					t.Fatalf("call %d: %d holds %d, want %d", i/2, k, *v, m.value[k])
				}
			}
			if want := m.order(); !slices.Equal(got, want) || tab.Len() != len(want) || tab.Shed() != m.shed {
				t.Fatalf("call %d: holds %v (shed %d), want %v (shed %d)", i/2, got, tab.Shed(), want, m.shed)
			}
		}
	})
}

// TestTableKeeps holds that what is kept outlives any crowd, and gives way
// only to its like.
func TestTableKeeps(t *testing.T) {
	tab := NewTable[int, string](10)
	for i := range 3 {
		v, _ := tab.Put(i)
		*v = "suspicious"
		tab.Keep(i, true)
	}
	for i := range 1000 {
		tab.Put(100 + i)
	}
	for i := range 3 {
		if v := tab.Peek(i); v == nil || *v != "suspicious" {
			t.Errorf("%d is gone", i)
		}
	}
	if tab.Shed() != 993 {
		t.Errorf("%d shed", tab.Shed())
	}
	for i := range 10 {
		tab.Put(i)
		tab.Keep(i, true)
	}
	if _, isNew := tab.Put(5000); !isNew || tab.Peek(0) != nil {
		t.Error("when all are kept the one untouched longest must give way")
	}
}

// again returns what is made of a table's entries, with room for limit.
func again(t testing.TB, tab *Table[uint16, int], limit int) *Table[uint16, int] {
	t.Helper()
	type entry struct {
		k    uint16
		v    int
		kept bool
	}
	var all []entry
	tab.EachEntry(func(k, v any, kept bool) bool {
		all = append(all, entry{*k.(*uint16), *v.(*int), kept})
		return true
	})
	n, shed := tab.EntryCounts()
	made := NewTable[uint16, int](limit)
	err := made.TakeEntries(n, shed, func(k, v any) (bool, error) {
		e := all[0]
		all = all[1:]
		*k.(*uint16), *v.(*int) = e.k, e.v
		return e.kept, nil
	})
	if err != nil || limit >= n && made.Shed() != shed {
		t.Fatal(err, made.Shed(), shed)
	}
	return made
}

// TestLessRoom holds that of more entries than there is room for the kept and
// the latest stay, and that a key that comes twice is refused.
func TestLessRoom(t *testing.T) {
	tab := NewTable[uint16, int](10)
	for k := range uint16(10) {
		v, _ := tab.Put(k)
		*v = int(k)
		tab.Keep(k, k == 2)
	}
	less := again(t, tab, 4)
	var keys []uint16
	for k := range less.All {
		keys = append(keys, k)
	}
	if want := []uint16{7, 8, 9, 2}; !slices.Equal(keys, want) || less.Shed() != 6 {
		t.Errorf("%v are left, want %v; %d shed", keys, want, less.Shed())
	}
	err := less.TakeEntries(2, 0, func(k, _ any) (bool, error) { *k.(*uint16) = 5; return false, nil })
	if err == nil {
		t.Error("a key is taken twice")
	}
}
