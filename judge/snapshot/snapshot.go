// Package snapshot writes any memory of ours as bytes and reads it back, by
// its Go type alone: no detector writes code to save itself, and none can
// forget a field. A Plan is made once per type; it walks unexported fields
// too. Equal memories give equal bytes.
//
// What a memory may be made of: numbers, strings, structs, arrays, slices,
// maps, pointers that nothing else shares, netip addresses, bounded tables
// (see Entries), and interfaces whose concrete kinds were named. Anything
// else (functions, channels, recursive types, the wall clock's time.Time) is
// refused when the plan is made, with the path of the field.
//
// A field tagged `snapshot:"-"` is left out, and left as it is when read: what
// New put there (options, functions, hash seeds) stays.
//
// The bytes are only good for a memory of the same structure: Digest tells.
// It covers the names and types of fields, so whoever gives a field another
// meaning gives it another name. Reading takes foreign bytes: every length is
// checked against what is left, and nothing panics.
package snapshot

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"unsafe"
)

// Entries is what a bounded, ordered table implements to be saved entry by
// entry, and so without its index and free places.
type Entries interface {
	// EntryTypes returns nil pointers of the types of keys and values.
	EntryTypes() (key, value any)
	// EntryCounts returns how many entries there are, and how many gave way.
	EntryCounts() (n, shed int)
	// EachEntry yields pointers to every key and value, in an order from which
	// TakeEntries makes an equal table, and whether the entry is worth keeping.
	EachEntry(yield func(key, value any, kept bool) bool)
	// TakeEntries forgets what there is and takes n entries from next, which
	// fills what its pointers point to. Where they are more than the table
	// may hold some give way. It fails where next does or a key comes twice.
	TakeEntries(n, shed int, next func(key, value any) (kept bool, err error)) error
}

// The errors that reading may end in.
var (
	// ErrShort says that the bytes end too soon or tell of more than they hold.
	ErrShort = errors.New("it ends too soon")
	// ErrForeign says that they hold what no memory of this structure writes.
	ErrForeign = errors.New("it holds what is not written this way")
)

// Plans makes plans and keeps them by type. It is used from one goroutine; the
// plans it returned may be used from many at once.
type Plans struct {
	kinds []reflect.Type
	made  map[reflect.Type]*step
	under map[reflect.Type]bool // being made: a type inside itself
}

// New returns a maker of plans. An interface without methods may hold a bool,
// int, int64, uint64, float64, string, []string or netip.Addr; one with
// methods those of kinds that implement it.
func New(kinds ...any) *Plans {
	p := &Plans{made: map[reflect.Type]*step{}, under: map[reflect.Type]bool{}}
	for _, k := range kinds {
		p.kinds = append(p.kinds, reflect.TypeOf(k))
	}
	return p
}

// Plan writes and reads what one type of pointer points to.
type Plan struct {
	of   reflect.Type
	step *step
}

// Of returns the plan for what v, a pointer, points to. The error names the
// field that cannot be saved.
func (p *Plans) Of(v any) (*Plan, error) {
	t := reflect.TypeOf(v)
	if t == nil || t.Kind() != reflect.Pointer {
		return nil, fmt.Errorf("snapshot of %v: want a pointer", t)
	}
	s, err := p.step(t.Elem())
	if err != nil {
		return nil, fmt.Errorf("snapshot of %v: %w", t.Elem(), err)
	}
	return &Plan{of: t, step: s}, nil
}

// Digest names the structure: what was written under one digest can only be
// read under the same.
func (p *Plan) Digest() uint64 {
	sum := sha256.Sum256([]byte(p.step.sign))
	return binary.BigEndian.Uint64(sum[:])
}

// Append writes what v points to behind b. v is only read.
func (p *Plan) Append(b []byte, v any) ([]byte, error) {
	at, err := p.at(v)
	if err != nil {
		return b, err
	}
	w := writer{b: b}
	p.step.write(&w, at)
	return w.b, w.err
}

// Read fills what v points to from all of b, and keeps no part of b. After an
// error v holds anything, and is best thrown away.
func (p *Plan) Read(b []byte, v any) error {
	at, err := p.at(v)
	if err != nil {
		return err
	}
	r := reader{b: b, strings: map[string]string{}}
	p.step.read(&r, at)
	if r.err == nil && len(r.b) > 0 {
		r.fail(ErrForeign)
	}
	return r.err
}

func (p *Plan) at(v any) (unsafe.Pointer, error) {
	x := reflect.ValueOf(v)
	if !x.IsValid() || x.Type() != p.of || x.IsNil() {
		return nil, fmt.Errorf("snapshot: a plan for %v was given %T", p.of, v)
	}
	return x.UnsafePointer(), nil
}

// writer collects bytes.
type writer struct {
	b   []byte
	met map[unsafe.Pointer]bool // pointers followed
	err error
}

func (w *writer) fail(err error) {
	if w.err == nil {
		w.err = err
	}
}

func (w *writer) uint(x uint64) {
	if x < 0x80 {
		w.b = append(w.b, byte(x))
		return
	}
	w.b = binary.AppendUvarint(w.b, x)
}

// reader takes them apart. After the first error it reads nothing but zeros.
type reader struct {
	b       []byte
	strings map[string]string // those met, so that equal ones are one
	err     error
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
	r.b = nil
}

func (r *reader) uint() uint64 {
	if len(r.b) > 0 && r.b[0] < 0x80 {
		x := r.b[0]
		r.b = r.b[1:]
		return uint64(x)
	}
	x, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail(ErrShort)
		return 0
	}
	r.b = r.b[n:]
	return x
}

// count reads how many things follow that take at least least bytes each.
func (r *reader) count(least int) int {
	n := r.uint()
	if n > uint64(len(r.b)/max(1, least)) {
		r.fail(ErrShort)
		return 0
	}
	return int(n)
}

// take returns the next n bytes, nil at an error.
func (r *reader) take(n int) []byte {
	if n > len(r.b) {
		r.fail(ErrShort)
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

// maxShared is how long a string may be to be looked for among those met.
const maxShared = 64

func (r *reader) string() string {
	b := r.take(r.count(1))
	if len(b) > maxShared {
		return string(b)
	}
	if s, ok := r.strings[string(b)]; ok {
		return s
	}
	s := string(b)
	r.strings[s] = s
	return s
}
