package historytest

import (
	"fmt"
	"net/netip"
	"reflect"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/keep/history"
)

// Filled returns a record of every kind, every field of it set to something;
// seed makes them differ.
func Filled(seed int) (records []testudo.Record) {
	for _, l := range history.Layouts() {
		r, v := l.New()
		f := filler{n: seed * 1000}
		f.fill(v)
		r.Base().Time = MonthStart.Add(time.Duration(seed)*time.Second + 1234*time.Nanosecond)
		r.Base().About = testudo.Context{OrigLocal: true}
		records = append(records, r)
	}
	return records
}

type filler struct{ n int }

func (f *filler) addr() netip.Addr {
	f.n++
	if f.n%3 == 0 {
		return netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 14: byte(f.n >> 8), 15: byte(f.n)})
	}
	return netip.AddrFrom4([4]byte{192, 0, byte(f.n >> 8), byte(f.n)})
}

func (f *filler) fill(v reflect.Value) {
	f.n++
	switch x := v.Addr().Interface().(type) {
	case *netip.Addr:
		*x = f.addr()
		return
	case *netip.AddrPort:
		*x = netip.AddrPortFrom(f.addr(), uint16(1000+f.n%60000))
		return
	case *netip.Prefix:
		*x = netip.PrefixFrom(f.addr(), 20).Masked()
		return
	case *testudo.Context:
		return
	case *testudo.Time:
		*x = MonthStart + testudo.Time(f.n)*1_000_000_007
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			f.fill(v.Field(i))
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		f.fill(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 3, 3))
		for i := range 3 {
			f.fill(v.Index(i))
		}
	case reflect.Array:
		for i := range v.Len() {
			f.fill(v.Index(i))
		}
	case reflect.String:
		v.SetString(fmt.Sprintf("Text-%d \\ \xff\x00 é.example", f.n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Float64:
		v.SetFloat(float64(f.n) / 8)
	case reflect.Uint64:
		v.SetUint(uint64(f.n) * 0x9e3779b97f4a7c15)
	case reflect.Uint8, reflect.Int8:
		setSmall(v, f.n%100+1)
	default:
		setSmall(v, f.n%30000+1)
	}
}

func setSmall(v reflect.Value, n int) {
	if v.CanInt() {
		v.SetInt(int64(n))
	} else {
		v.SetUint(uint64(n))
	}
}
