package snapshot

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"testing/quick"
	"time"
)

// memory has one of everything that can be saved.
type memory struct {
	b     bool
	i     int
	i8    int8
	i16   int16
	i32   int32
	i64   int64
	u     uint
	u8    uint8
	u16   uint16
	u32   uint32
	u64   uint64
	f32   float32
	f64   float64
	s     string
	named duration
	list  []inner
	raw   []byte
	words []string
	ring  [3]inner
	regs  [32]uint8
	far   *inner
	under map[string]inner
	by    map[netip.Addr]int
	own   func() `snapshot:"-"`
	_     struct{}
	any   any
}

type duration time.Duration

type inner struct {
	at   netip.Addr
	port netip.AddrPort
	net  netip.Prefix
	n    [2]int64
	s    string
	_    byte
}

func chance(r *rand.Rand) *memory {
	m := &memory{
		b: r.IntN(2) == 1, i: int(r.Int64()) >> r.IntN(64), i8: int8(r.Int()), i16: int16(r.Int()), i32: int32(r.Int()), i64: int64(r.Uint64()),
		u: uint(r.Uint64()) >> r.IntN(64), u8: uint8(r.Int()), u16: uint16(r.Int()), u32: uint32(r.Int()), u64: r.Uint64(),
		f32: float32(r.NormFloat64()), f64: r.NormFloat64(), s: word(r), named: duration(r.Int64()), ring: [3]inner{something(r), {}, something(r)},
	}
	for i := range m.regs {
		m.regs[i] = uint8(r.Int())
	}
	for range r.IntN(4) {
		m.list, m.raw, m.words = append(m.list, something(r)), append(m.raw, byte(r.Int())), append(m.words, word(r))
	}
	if r.IntN(2) == 1 {
		x := something(r)
		m.far = &x
	}
	if r.IntN(3) > 0 {
		m.under, m.by = map[string]inner{}, map[netip.Addr]int{}
		for range r.IntN(6) {
			m.under[word(r)], m.by[something(r).at] = something(r), r.Int()
		}
	}
	m.any = []any{nil, true, r.Int(), r.Int64(), r.Uint64(), r.Float64(), word(r), []string{word(r)}, something(r).at}[r.IntN(9)]
	return m
}

func word(r *rand.Rand) string {
	b := make([]byte, r.IntN(3)*r.IntN(90))
	for i := range b {
		b[i] = byte(r.Int())
	}
	return string(b)
}

func something(r *rand.Rand) inner {
	a := []netip.Addr{
		{},
		netip.AddrFrom4([4]byte{10, 0, byte(r.Int()), 5}), netip.MustParseAddr("::ffff:10.0.0.1"),
		netip.MustParseAddr("2001:db8::7"), netip.MustParseAddr("fe80::1%eth0"),
	}[r.IntN(5)]
	p, _ := a.Prefix(r.IntN(33))
	return inner{at: a, port: netip.AddrPortFrom(a, uint16(r.Int())), net: p, n: [2]int64{r.Int64(), -1}, s: word(r)}
}

func plan(t testing.TB, v any, kinds ...any) *Plan {
	t.Helper()
	p, err := New(kinds...).Of(v)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestSame holds that what is read back is what was written, whatever it is,
// and that it is written the same way again.
func TestSame(t *testing.T) {
	p := plan(t, &memory{})
	same := func(seed uint64) bool {
		m := chance(rand.New(rand.NewPCG(seed, 1)))
		b, err := p.Append([]byte("before"), m)
		if err != nil || !bytes.HasPrefix(b, []byte("before")) {
			t.Log(err)
			return false
		}
		b = b[6:]
		got := &memory{}
		if err := p.Read(b, got); err != nil || !reflect.DeepEqual(m, got) {
			t.Logf("%v\n%+v\n%+v", err, m, got)
			return false
		}
		again, err := p.Append(nil, got)
		return err == nil && bytes.Equal(b, again)
	}
	if err := quick.Check(same, &quick.Config{MaxCount: 2000}); err != nil {
		t.Error(err)
	}
}

// TestEdges holds the numbers at which a form may break.
func TestEdges(t *testing.T) {
	p := plan(t, &memory{})
	for _, m := range []*memory{
		{},
		{i: math.MaxInt, i8: math.MinInt8, i16: math.MinInt16, i32: math.MinInt32, i64: math.MinInt64, u: math.MaxUint, u64: math.MaxUint64},
		{f32: float32(math.Inf(-1)), f64: math.Inf(1)},
		{f64: math.Copysign(0, -1)},
		{list: []inner{}, raw: []byte{}, words: []string{}, under: map[string]inner{}, by: map[netip.Addr]int{}, far: &inner{}},
	} {
		b, err := p.Append(nil, m)
		if err != nil {
			t.Fatal(err)
		}
		got := &memory{}
		if err := p.Read(b, got); err != nil || !reflect.DeepEqual(m, got) {
			t.Errorf("%v: %+v", err, got)
		}
		if math.Signbit(m.f64) != math.Signbit(got.f64) {
			t.Error("the sign of zero is lost")
		}
	}
}

// TestLeftOut holds that a field left out keeps what it has, and that what is
// there already is filled and not replaced.
func TestLeftOut(t *testing.T) {
	far := &inner{s: "old"}
	called := false
	into := &memory{own: func() { called = true }, far: far}
	p := plan(t, into)
	b, err := p.Append(nil, &memory{i: 7, far: &inner{s: "new"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Read(b, into); err != nil {
		t.Fatal(err)
	}
	into.own()
	if !called || into.i != 7 || into.far != far || far.s != "new" {
		t.Errorf("%+v", into)
	}
}

type loop struct{ Next *loop }

// TestRefused holds that what cannot be saved is refused, and where it is.
func TestRefused(t *testing.T) {
	for _, c := range []struct {
		v    any
		says string
	}{
		{&struct{ a struct{ f func() } }{}, "a: f: a func"},
		{&struct{ c chan int }{}, "c: a chan"},
		{&struct{ l [2][]loop }{}, "lies inside itself"},
		{&struct{ w time.Time }{}, "w: "},
		{&struct{ e error }{}, "e: "},
		{&struct{ m map[string]complex128 }{}, "m: value: a complex128"},
		{&struct{ m []struct{} }{}, "takes no room"},
		{3, "want a pointer"},
		{nil, "want a pointer"},
	} {
		if _, err := New().Of(c.v); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%T: %v, want %q", c.v, err, c.says)
		}
	}
}

// TestShared holds that two pointers to one thing are refused: they would
// come back as two things.
func TestShared(t *testing.T) {
	x := &inner{}
	v := &struct{ a, b *inner }{x, x}
	if _, err := plan(t, v).Append(nil, v); !errors.Is(err, errShared) {
		t.Error(err)
	}
	held := &struct{ a any }{int8(3)}
	if _, err := plan(t, held).Append(nil, held); !errors.Is(err, errKind) {
		t.Error(err)
	}
	if _, err := plan(t, v).Append(nil, held); err == nil {
		t.Error("another type is taken")
	}
	if err := plan(t, v).Read(nil, held); err == nil {
		t.Error("another type is read")
	}
}

type speaker interface{ Speak() string }

type cat struct{ name string }

func (c *cat) Speak() string { return c.name }

type dog struct{ age int }

func (d *dog) Speak() string { return fmt.Sprint(d.age) }

// TestKinds holds that an interface with methods comes back as it was.
func TestKinds(t *testing.T) {
	v := &struct{ all []speaker }{[]speaker{&cat{"a"}, nil, &dog{3}}}
	p := plan(t, v, &dog{}, &cat{})
	b, err := p.Append(nil, v)
	if err != nil {
		t.Fatal(err)
	}
	got := &struct{ all []speaker }{}
	if err := p.Read(b, got); err != nil || !reflect.DeepEqual(v, got) {
		t.Errorf("%v %+v", err, got)
	}
}

// TestDigest holds that a structure is told from every other one.
func TestDigest(t *testing.T) {
	seen := map[uint64]string{}
	for _, v := range []any{
		&struct{ a, b int }{}, &struct{ b, a int }{}, &struct{ a, c int }{}, &struct{ a int }{}, &struct{ a, b int64 }{},
		&struct{ a [2]int }{}, &struct{ a [3]int }{}, &struct{ a []int }{}, &struct{ a *int }{}, &struct{ a duration }{},
		&struct{ a map[int]int }{}, &struct{ a map[int]int8 }{}, &struct{ a any }{}, &struct{ a netip.Addr }{}, &struct{ a netip.AddrPort }{},
		&struct{ a struct{ a int } }{}, &struct{ a inner }{}, &memory{},
	} {
		d := plan(t, v).Digest()
		if was, had := seen[d]; had {
			t.Errorf("%T and %s are one", v, was)
		}
		seen[d] = fmt.Sprintf("%T", v)
		if again := plan(t, v).Digest(); again != d {
			t.Errorf("%T: %x, then %x", v, d, again)
		}
	}
	if a, b := plan(t, &struct{ a int }{}), plan(t, &struct {
		a int
		f func() `snapshot:"-"`
	}{}); a.Digest() != b.Digest() {
		t.Error("what is left out counts")
	}
}

// TestCut holds that no beginning of what was written is taken for the whole.
func TestCut(t *testing.T) {
	p := plan(t, &memory{})
	b, err := p.Append(nil, chance(rand.New(rand.NewPCG(9, 9))))
	if err != nil {
		t.Fatal(err)
	}
	for n := range len(b) {
		if p.Read(b[:n], &memory{}) == nil {
			t.Fatalf("%d of %d bytes are enough", n, len(b))
		}
	}
	if err := p.Read(append(b, 0), &memory{}); !errors.Is(err, ErrForeign) {
		t.Errorf("a byte too many: %v", err)
	}
}

func FuzzRead(f *testing.F) {
	p := plan(f, &memory{})
	for seed := range uint64(8) {
		b, _ := p.Append(nil, chance(rand.New(rand.NewPCG(seed, 1))))
		f.Add(b)
	}
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		m := &memory{}
		if p.Read(b, m) != nil {
			return
		}
		once, err := p.Append(nil, m)
		if err != nil {
			t.Fatal(err)
		}
		got := &memory{}
		if err := p.Read(once, got); err != nil {
			t.Fatal(err)
		}
		if twice, _ := p.Append(nil, got); !bytes.Equal(once, twice) {
			t.Error("it does not come back as it was")
		}
	})
}
