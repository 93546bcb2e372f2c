package detector

import (
	"net/netip"
	"slices"
	"testing"
)

// model is a Table in its plainest form: a list, longest untouched first.
type model struct {
	keys  []uint16
	kept  map[uint16]bool
	value map[uint16]int
	limit int
	shed  int
}

func (m *model) touch(k uint16) {
	if i := slices.Index(m.keys, k); i >= 0 {
		m.keys = append(slices.Delete(m.keys, i, i+1), k)
	}
}

func (m *model) remove(k uint16) {
	if i := slices.Index(m.keys, k); i >= 0 {
		m.keys = slices.Delete(m.keys, i, i+1)
	}
	delete(m.kept, k)
	delete(m.value, k)
}

func (m *model) put(k uint16, v int) {
	if _, ok := m.value[k]; ok {
		m.touch(k)
	} else {
		if len(m.keys) >= m.limit {
			m.shed++
			victim := m.keys[0]
			if i := slices.IndexFunc(m.keys, func(k uint16) bool { return !m.kept[k] }); i >= 0 {
				victim = m.keys[i]
			}
			m.remove(victim)
		}
		m.keys = append(m.keys, k)
	}
	m.value[k] = v
}

func (m *model) order() (keys []uint16) {
	for _, kept := range []bool{false, true} {
		for _, k := range m.keys {
			if m.kept[k] == kept {
				keys = append(keys, k)
			}
		}
	}
	return keys
}

// TestTableIsItsModel does thousands of random things to a table and to a
// plain list, which must stay alike, order of eviction included.
func TestTableIsItsModel(t *testing.T) {
	for _, limit := range []int{1, 7, 100} {
		tab := NewTable[uint16, int](limit)
		m := &model{kept: map[uint16]bool{}, value: map[uint16]int{}, limit: limit}
		x := uint32(limit)
		for step := range 20000 {
			x = x*1664525 + 1013904223
			k := uint16(x >> 16 % uint32(3*limit))
			switch x >> 8 & 7 {
			case 0, 1, 2:
				v, _ := tab.Put(k)
				*v = step
				m.put(k, step)
			case 3, 4:
				if v := tab.Get(k); v != nil && *v != m.value[k] {
					t.Fatalf("step %d: Get(%d) = %d, want %d", step, k, *v, m.value[k])
				}
				m.touch(k)
			case 5:
				_, want := m.value[k]
				if v := tab.Peek(k); (v != nil) != want {
					t.Fatalf("step %d: Peek(%d) found %v, want %v", step, k, v != nil, want)
				}
			case 6:
				tab.Delete(k)
				m.remove(k)
			case 7:
				keep := x&1 == 0
				tab.Keep(k, keep)
				if _, ok := m.value[k]; ok {
					m.kept[k] = keep
					m.touch(k)
				}
			}
			var got []uint16
			for k, v := range tab.All {
				if got = append(got, k); *v != m.value[k] {
					t.Fatalf("step %d: %d holds %d, want %d", step, k, *v, m.value[k])
				}
			}
			if want := m.order(); !slices.Equal(got, want) || tab.Len() != len(want) || tab.Shed() != m.shed {
				t.Fatalf("step %d: holds %v (shed %d), want %v (shed %d)", step, got, tab.Shed(), want, m.shed)
			}
		}
	}
}

func BenchmarkTable(b *testing.B) {
	addr := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}) }
	for name, keys := range map[string]int{"known": 1 << 15, "new": 1 << 22} {
		b.Run(name, func(b *testing.B) {
			tab := NewTable[netip.Addr, int](1 << 16)
			b.ReportAllocs()
			for i := range b.N {
				v, _ := tab.Put(addr(i * 7919 & (keys - 1)))
				*v++
			}
		})
	}
}
