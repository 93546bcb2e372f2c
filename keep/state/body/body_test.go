package body

import (
	"errors"
	"math"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/testudo-shield/testudo"
)

// TestFacts holds that each type comes back as itself.
func TestFacts(t *testing.T) {
	for _, v := range []any{
		nil, "", "text", "\xff\x00\xc3\x28", true, false, 0, -1, math.MaxInt, int64(math.MinInt64), int64(1) << 60, 0.0, math.Copysign(0, -1), 3.0, 1e300,
		math.Inf(1), math.Inf(-1),
		[]string{},
		[]string(nil),
		[]string{"a", "\xfe"},
		testudo.Time(1), 3 * time.Second, testudo.UID(math.MaxUint64), netip.MustParseAddr("2001:db8::1"),
		netip.Addr{},
		testudo.Aggregate{Target: netip.MustParsePrefix("192.0.2.1/32"), Proto: 17, SourcePort: 53, Sources: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, Removed: 0.5},
	} {
		s := testudo.Sighting{Evidence: []testudo.Fact{{Name: "n\xff", Value: v}}}
		data, err := Sighting(&s)
		var got testudo.Sighting
		if err == nil {
			err = ReadSighting(Format, data, &got)
		}
		if err != nil || !reflect.DeepEqual(got, s) {
			t.Errorf("%#v: %#v %v", v, got.Evidence, err)
		}
	}
	for _, v := range []any{uint8(1), float32(1), struct{}{}, []int{1}} {
		if _, err := Sighting(&testudo.Sighting{Evidence: []testudo.Fact{{Value: v}}}); !errors.Is(err, ErrType) {
			t.Errorf("%T: %v", v, err)
		}
	}
}

// TestRefused holds what cannot be read, and that it is said.
func TestRefused(t *testing.T) {
	for data, want := range map[string]error{
		``: ErrBroken, `[]`: ErrBroken, `{"victims":["x"]}`: ErrBroken, `{"uids":["C0"]}`: ErrBroken, `{"uids":["Czzzzzzzzzzz"]}`: ErrBroken,
		`{"evidence":[{"type":"int","value":1.5}]}`: ErrBroken, `{"evidence":[{"type":"date","value":1}]}`: ErrBroken,
		`{"title":{"base64":"?"}}`: ErrBroken, `{"reasons":[{"weight":"many"}]}`: ErrBroken,
	} {
		if err := ReadSighting(Format, []byte(data), &testudo.Sighting{}); !errors.Is(err, want) {
			t.Errorf("%s: %v", data, err)
		}
	}
	if err := ReadIncident(Format+1, []byte("{}"), &testudo.Incident{}); !errors.Is(err, ErrVersion) {
		t.Error(err)
	}
}
