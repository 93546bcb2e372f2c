package snapshot

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"unsafe"
)

var errShared = errors.New("is pointed to from two places, and cannot be saved")

// slices writes the length and one more, so that nil stays nil.
func (p *Plans) slices(t reflect.Type) (*step, error) {
	s, err := p.step(t.Elem())
	if err != nil {
		return nil, fmt.Errorf("[]: %w", err)
	}
	if s.least == 0 {
		return nil, fmt.Errorf("a list of what takes no room %w", errKind)
	}
	size, raw := t.Elem().Size(), t.Elem().Kind() == reflect.Uint8
	return &step{
		write: func(w *writer, at unsafe.Pointer) {
			h := *(*[]byte)(at) // for its length and its start
			if h == nil {
				w.uint(0)
				return
			}
			n, data := len(h), unsafe.Pointer(unsafe.SliceData(h))
			w.uint(uint64(n) + 1)
			if raw {
				w.b = append(w.b, unsafe.Slice((*byte)(data), n)...)
				return
			}
			for i := range n {
				s.write(w, unsafe.Add(data, uintptr(i)*size))
			}
		},
		read: func(r *reader, at unsafe.Pointer) {
			place := reflect.NewAt(t, at).Elem()
			n := r.uint()
			if n == 0 || r.err != nil {
				place.SetZero()
				return
			}
			if n--; n > uint64(len(r.b)/s.least) {
				r.fail(ErrShort)
				return
			}
			made := reflect.MakeSlice(t, int(n), int(n))
			data := made.UnsafePointer()
			if raw {
				copy(unsafe.Slice((*byte)(data), n), r.take(int(n)))
			} else {
				for i := 0; i < int(n) && r.err == nil; i++ {
					s.read(r, unsafe.Add(data, uintptr(i)*size))
				}
			}
			place.Set(made)
		},
		least: 1, sign: "[]" + s.sign,
	}, nil
}

// pointers writes whether there is something and then what. Reading goes into
// what is there already.
func (p *Plans) pointers(t reflect.Type) (*step, error) {
	s, err := p.step(t.Elem())
	if err != nil {
		return nil, err
	}
	table := t.Implements(reflect.TypeFor[Entries]())
	return &step{
		write: func(w *writer, at unsafe.Pointer) {
			to := *(*unsafe.Pointer)(at)
			if to == nil {
				w.b = append(w.b, 0)
				return
			}
			w.b = append(w.b, 1)
			if w.follow(t, to) {
				s.write(w, to)
			}
		},
		read: func(r *reader, at unsafe.Pointer) {
			b := r.take(1)
			switch {
			case b == nil:
			case b[0] == 0 && table && *(*unsafe.Pointer)(at) != nil:
				r.fail(ErrForeign) // a table that New makes is always there
			case b[0] == 0:
				*(*unsafe.Pointer)(at) = nil
			case b[0] > 1:
				r.fail(ErrForeign)
			default:
				if *(*unsafe.Pointer)(at) == nil {
					*(*unsafe.Pointer)(at) = reflect.New(t.Elem()).UnsafePointer()
				}
				s.read(r, *(*unsafe.Pointer)(at))
			}
		},
		least: 1, sign: "*" + s.sign,
	}, nil
}

// follow notes a pointer and tells whether it was not followed before: two
// that point to one thing would come back as two things.
func (w *writer) follow(t reflect.Type, to unsafe.Pointer) bool {
	if t.Elem().Size() == 0 {
		return true
	}
	if w.met == nil {
		w.met = map[unsafe.Pointer]bool{}
	}
	if w.met[to] {
		w.fail(fmt.Errorf("a %v %w", t.Elem(), errShared))
		return false
	}
	w.met[to] = true
	return w.err == nil
}

// maps writes the entries by their written keys, lowest first.
func (p *Plans) maps(t reflect.Type) (*step, error) {
	k, err := p.step(t.Key())
	if err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	v, err := p.step(t.Elem())
	if err != nil {
		return nil, fmt.Errorf("value: %w", err)
	}
	if k.least == 0 {
		return nil, fmt.Errorf("a map by what takes no room %w", errKind)
	}
	return &step{
		write: func(w *writer, at unsafe.Pointer) { writeMap(w, reflect.NewAt(t, at).Elem(), k, v) },
		read: func(r *reader, at unsafe.Pointer) {
			place := reflect.NewAt(t, at).Elem()
			n := r.uint()
			if n == 0 || r.err != nil {
				place.SetZero()
				return
			}
			if n--; n > uint64(len(r.b)/(k.least+v.least)) {
				r.fail(ErrShort)
				return
			}
			made := reflect.MakeMapWithSize(t, int(n))
			var before []byte
			for i := 0; i < int(n) && r.err == nil; i++ {
				key, value, start := reflect.New(t.Key()), reflect.New(t.Elem()), r.b
				k.read(r, key.UnsafePointer())
				written := start[:len(start)-len(r.b)]
				v.read(r, value.UnsafePointer())
				if i > 0 && bytes.Compare(before, written) >= 0 {
					r.fail(ErrForeign)
				}
				before = written
				if r.err == nil {
					made.SetMapIndex(key.Elem(), value.Elem())
				}
			}
			place.Set(made)
		},
		least: 1, sign: "map[" + k.sign + "]" + v.sign,
	}, nil
}

func writeMap(w *writer, m reflect.Value, k, v *step) {
	if m.IsNil() {
		w.uint(0)
		return
	}
	type entry struct {
		key  []byte
		text []byte
	}
	var all []entry
	for it := m.MapRange(); it.Next(); {
		key, value := reflect.New(m.Type().Key()), reflect.New(m.Type().Elem())
		key.Elem().Set(it.Key())
		value.Elem().Set(it.Value())
		one := writer{met: w.met}
		k.write(&one, key.UnsafePointer())
		n := len(one.b)
		v.write(&one, value.UnsafePointer())
		if one.err != nil {
			w.fail(one.err)
			return
		}
		w.met = one.met
		all = append(all, entry{one.b[:n], one.b})
	}
	slices.SortFunc(all, func(a, b entry) int { return bytes.Compare(a.key, b.key) })
	w.uint(uint64(len(all)) + 1)
	for _, e := range all {
		w.b = append(w.b, e.text...)
	}
}

// plain are the kinds that an interface without methods may hold.
func plain() []reflect.Type {
	return []reflect.Type{
		reflect.TypeFor[bool](), reflect.TypeFor[int](), reflect.TypeFor[int64](), reflect.TypeFor[uint64](),
		reflect.TypeFor[float64](), reflect.TypeFor[string](), reflect.TypeFor[[]string](), reflect.TypeFor[netip.Addr](),
	}
}

// interfaces writes which kind it holds, by its place in the list, 0 for nil.
func (p *Plans) interfaces(t reflect.Type) (*step, error) {
	kinds := plain()
	if t.NumMethod() > 0 {
		kinds = slices.DeleteFunc(slices.Clone(p.kinds), func(k reflect.Type) bool { return !k.Implements(t) })
	}
	if len(kinds) == 0 {
		return nil, fmt.Errorf("a %v, which may be of any kind, %w", t, errKind)
	}
	steps := make([]*step, len(kinds))
	sign := "any("
	for i, k := range kinds {
		var err error
		if steps[i], err = p.step(k); err != nil {
			return nil, fmt.Errorf("(%v): %w", k, err)
		}
		sign += k.String() + ":" + steps[i].sign + "|"
	}
	return &step{
		write: func(w *writer, at unsafe.Pointer) {
			v := reflect.NewAt(t, at).Elem()
			if v.IsNil() {
				w.uint(0)
				return
			}
			i := slices.Index(kinds, v.Elem().Type())
			if i < 0 {
				w.fail(fmt.Errorf("an interface holds a %v, which %w", v.Elem().Type(), errKind))
				return
			}
			w.uint(uint64(i) + 1)
			held := reflect.New(kinds[i])
			held.Elem().Set(v.Elem())
			steps[i].write(w, held.UnsafePointer())
		},
		read: func(r *reader, at unsafe.Pointer) {
			v := reflect.NewAt(t, at).Elem()
			n := r.uint()
			if n == 0 || r.err != nil {
				v.SetZero()
				return
			}
			if n > uint64(len(kinds)) {
				r.fail(ErrForeign)
				return
			}
			held := reflect.New(kinds[n-1])
			steps[n-1].read(r, held.UnsafePointer())
			v.Set(held.Elem())
		},
		least: 1, sign: sign + ")",
	}, nil
}

// entries goes through a table by its own methods.
func (p *Plans) entries(t reflect.Type) (*step, error) {
	key, value := reflect.New(t).Interface().(Entries).EntryTypes()
	k, err := p.step(reflect.TypeOf(key).Elem())
	if err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	v, err := p.step(reflect.TypeOf(value).Elem())
	if err != nil {
		return nil, fmt.Errorf("value: %w", err)
	}
	return &step{
		write: func(w *writer, at unsafe.Pointer) {
			table := reflect.NewAt(t, at).Interface().(Entries)
			n, shed := table.EntryCounts()
			w.uint(uint64(n))
			w.uint(uint64(shed))
			table.EachEntry(func(key, value any, kept bool) bool {
				if kept {
					w.b = append(w.b, 1)
				} else {
					w.b = append(w.b, 0)
				}
				k.write(w, reflect.ValueOf(key).UnsafePointer())
				v.write(w, reflect.ValueOf(value).UnsafePointer())
				return w.err == nil
			})
		},
		read: func(r *reader, at unsafe.Pointer) {
			n, shed := r.uint(), r.uint()
			if n > uint64(len(r.b)/(1+k.least+v.least)) || shed > 1<<62 {
				r.fail(ErrShort)
				return
			}
			err := reflect.NewAt(t, at).Interface().(Entries).TakeEntries(int(n), int(shed), func(key, value any) (bool, error) {
				kept := r.take(1)
				if kept != nil && kept[0] > 1 {
					r.fail(ErrForeign)
				}
				k.read(r, reflect.ValueOf(key).UnsafePointer())
				v.read(r, reflect.ValueOf(value).UnsafePointer())
				return r.err == nil && kept[0] == 1, r.err
			})
			if err != nil && r.err == nil {
				r.fail(fmt.Errorf("%w: %w", ErrForeign, err))
			}
		},
		least: 2, sign: "table[" + k.sign + "]" + v.sign,
	}, nil
}
