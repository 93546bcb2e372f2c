package snapshot

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"net/netip"
	"reflect"
	"strings"
	"time"
	"unsafe"
)

// step writes and reads one type where it lies.
type step struct {
	write func(w *writer, at unsafe.Pointer)
	read  func(r *reader, at unsafe.Pointer)
	least int    // fewest bytes it writes
	sign  string // the structure in words
}

var errKind = errors.New("cannot be saved")

// step returns the step for t, made once.
func (p *Plans) step(t reflect.Type) (*step, error) {
	if s := p.made[t]; s != nil {
		return s, nil
	}
	if p.under[t] {
		return nil, fmt.Errorf("%v lies inside itself and %w", t, errKind)
	}
	p.under[t] = true
	defer delete(p.under, t)
	s, err := p.make(t)
	if err != nil {
		return nil, err
	}
	if t.Name() != "" && t.PkgPath() != "" && t.Kind() != reflect.Struct {
		s = &step{s.write, s.read, s.least, t.Name() + "=" + s.sign}
	}
	p.made[t] = s
	return s, nil
}

func (p *Plans) make(t reflect.Type) (*step, error) {
	switch t {
	case reflect.TypeFor[time.Time]():
		return nil, fmt.Errorf("a time.Time %w; traffic time is testudo.Time", errKind)
	case reflect.TypeFor[netip.Addr]():
		return marshalled("addr", netip.Addr.AppendBinary, (*netip.Addr).UnmarshalBinary), nil
	case reflect.TypeFor[netip.AddrPort]():
		return marshalled("addrport", netip.AddrPort.AppendBinary, (*netip.AddrPort).UnmarshalBinary), nil
	case reflect.TypeFor[netip.Prefix]():
		return marshalled("prefix", netip.Prefix.AppendBinary, (*netip.Prefix).UnmarshalBinary), nil
	}
	if reflect.PointerTo(t).Implements(reflect.TypeFor[Entries]()) {
		return p.entries(t)
	}
	switch t.Kind() {
	case reflect.Bool, reflect.Uint8:
		return &step{writeByte, readByteOf(t), 1, t.Kind().String()}, nil
	case reflect.Int8:
		return signed[int8](), nil
	case reflect.Int16:
		return signed[int16](), nil
	case reflect.Int32:
		return signed[int32](), nil
	case reflect.Int64:
		return signed[int64](), nil
	case reflect.Int:
		return signed[int](), nil
	case reflect.Uint16:
		return unsigned[uint16](), nil
	case reflect.Uint32:
		return unsigned[uint32](), nil
	case reflect.Uint64:
		return unsigned[uint64](), nil
	case reflect.Uint:
		return unsigned[uint](), nil
	case reflect.Float32:
		return float32s(), nil
	case reflect.Float64:
		return float64s(), nil
	case reflect.String:
		return texts(), nil
	case reflect.Struct:
		return p.structs(t)
	case reflect.Array:
		return p.arrays(t)
	case reflect.Slice:
		return p.slices(t)
	case reflect.Map:
		return p.maps(t)
	case reflect.Pointer:
		return p.pointers(t)
	case reflect.Interface:
		return p.interfaces(t)
	}
	return nil, fmt.Errorf("a %v %w", t.Kind(), errKind)
}

func writeByte(w *writer, at unsafe.Pointer) { w.b = append(w.b, *(*byte)(at)) }

func readByteOf(t reflect.Type) func(*reader, unsafe.Pointer) {
	highest := byte(255)
	if t.Kind() == reflect.Bool {
		highest = 1
	}
	return func(r *reader, at unsafe.Pointer) {
		b := r.take(1)
		if b == nil {
			return
		}
		if b[0] > highest {
			r.fail(ErrForeign)
			return
		}
		*(*byte)(at) = b[0]
	}
}

func signed[T int | int8 | int16 | int32 | int64]() *step {
	return &step{
		write: func(w *writer, at unsafe.Pointer) {
			x := int64(*(*T)(at))
			w.uint(uint64(x)<<1 ^ uint64(x>>63))
		},
		read: func(r *reader, at unsafe.Pointer) {
			u := r.uint()
			x := int64(u>>1) ^ -int64(u&1)
			if int64(T(x)) != x {
				r.fail(ErrForeign)
				return
			}
			*(*T)(at) = T(x)
		},
		least: 1, sign: reflect.TypeFor[T]().String(),
	}
}

func unsigned[T uint | uint16 | uint32 | uint64]() *step {
	return &step{
		write: func(w *writer, at unsafe.Pointer) { w.uint(uint64(*(*T)(at))) },
		read: func(r *reader, at unsafe.Pointer) {
			u := r.uint()
			if uint64(T(u)) != u {
				r.fail(ErrForeign)
				return
			}
			*(*T)(at) = T(u)
		},
		least: 1, sign: reflect.TypeFor[T]().String(),
	}
}

// Floats are written with their bytes turned round: round numbers end in zeros.
func float64s() *step {
	return &step{
		write: func(w *writer, at unsafe.Pointer) { w.uint(bits.ReverseBytes64(math.Float64bits(*(*float64)(at)))) },
		read: func(r *reader, at unsafe.Pointer) {
			*(*float64)(at) = math.Float64frombits(bits.ReverseBytes64(r.uint()))
		},
		least: 1, sign: "float64",
	}
}

func float32s() *step {
	return &step{
		write: func(w *writer, at unsafe.Pointer) {
			w.uint(uint64(bits.ReverseBytes32(math.Float32bits(*(*float32)(at)))))
		},
		read: func(r *reader, at unsafe.Pointer) {
			u := r.uint()
			if u > math.MaxUint32 {
				r.fail(ErrForeign)
				return
			}
			*(*float32)(at) = math.Float32frombits(bits.ReverseBytes32(uint32(u)))
		},
		least: 1, sign: "float32",
	}
}

func texts() *step {
	return &step{
		write: func(w *writer, at unsafe.Pointer) {
			s := *(*string)(at)
			w.uint(uint64(len(s)))
			w.b = append(w.b, s...)
		},
		read:  func(r *reader, at unsafe.Pointer) { *(*string)(at) = r.string() },
		least: 1, sign: "string",
	}
}

// marshalled is a type that writes itself in a few bytes.
func marshalled[T any](name string, write func(T, []byte) ([]byte, error), read func(*T, []byte) error) *step {
	return &step{
		write: func(w *writer, at unsafe.Pointer) {
			place := len(w.b)
			b, err := write(*(*T)(at), append(w.b, 0))
			n := len(b) - place - 1
			if err != nil || n > 255 {
				w.fail(fmt.Errorf("%s %v: %w", name, *(*T)(at), errKind))
				return
			}
			b[place], w.b = byte(n), b
		},
		read: func(r *reader, at unsafe.Pointer) {
			n := r.take(1)
			if n == nil {
				return
			}
			b := r.take(int(n[0]))
			if r.err == nil && read((*T)(at), b) != nil {
				r.fail(ErrForeign)
			}
		},
		least: 1, sign: name,
	}
}

// structs goes through the fields in order.
func (p *Plans) structs(t reflect.Type) (*step, error) {
	type field struct {
		offset uintptr
		*step
	}
	var fields []field
	var sign strings.Builder
	fmt.Fprintf(&sign, "%s{", t.Name())
	least := 0
	for f := range t.Fields() {
		if f.Tag.Get("snapshot") == "-" {
			continue
		}
		s, err := p.step(f.Type)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
		fields = append(fields, field{f.Offset, s})
		fmt.Fprintf(&sign, "%s %s;", f.Name, s.sign)
		least += s.least
	}
	sign.WriteByte('}')
	return &step{
		write: func(w *writer, at unsafe.Pointer) {
			for i := range fields {
				fields[i].write(w, unsafe.Add(at, fields[i].offset))
			}
		},
		read: func(r *reader, at unsafe.Pointer) {
			for i := range fields {
				fields[i].read(r, unsafe.Add(at, fields[i].offset))
			}
		},
		least: least, sign: sign.String(),
	}, nil
}

// arrays goes through the elements; bytes are copied.
func (p *Plans) arrays(t reflect.Type) (*step, error) {
	s, err := p.step(t.Elem())
	if err != nil {
		return nil, fmt.Errorf("[]: %w", err)
	}
	n, size := t.Len(), t.Elem().Size()
	sign := fmt.Sprintf("[%d]%s", n, s.sign)
	if t.Elem().Kind() == reflect.Uint8 {
		return &step{
			write: func(w *writer, at unsafe.Pointer) { w.b = append(w.b, unsafe.Slice((*byte)(at), n)...) },
			read:  func(r *reader, at unsafe.Pointer) { copy(unsafe.Slice((*byte)(at), n), r.take(n)) },
			least: n, sign: sign,
		}, nil
	}
	return &step{
		write: func(w *writer, at unsafe.Pointer) {
			for i := range n {
				s.write(w, unsafe.Add(at, uintptr(i)*size))
			}
		},
		read: func(r *reader, at unsafe.Pointer) {
			for i := range n {
				s.read(r, unsafe.Add(at, uintptr(i)*size))
			}
		},
		least: n * s.least, sign: sign,
	}, nil
}
