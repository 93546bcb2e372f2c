package opaque

import (
	"fmt"
	"testing"

	"github.com/testudo-shield/testudo/sense/protocol"
)

// TestSaved holds that an analyzer that was saved and read back between any
// two messages ends up with the same.
func TestSaved(t *testing.T) {
	says := []string{"id\n", "uid=33(www) gid=33(www)\n", "uname -a\n", "Linux\n", "", "\x81\xfe\x07\x99\xa0\xc3\x00\x12"}
	for _, big := range []bool{false, true} {
		for cut := range says {
			make := Protocol().Open(nil)
			whole, first, second := make().(*analyzer), make().(*analyzer), make().(*analyzer)
			for i, text := range says {
				if big {
					text += fmt.Sprintf("%0900d", i)
				}
				whole.message(protocol.Dir(i&1), []byte(text))
				if i < cut {
					first.message(protocol.Dir(i&1), []byte(text))
				}
			}
			saved, _ := first.AppendBinary(nil)
			if err := second.UnmarshalBinary(saved); err != nil {
				t.Fatal(err)
			}
			for i, text := range says[cut:] {
				if big {
					text += fmt.Sprintf("%0900d", i+cut)
				}
				second.message(protocol.Dir((i+cut)&1), []byte(text))
			}
			for d := range whole.sides {
				if string(whole.sides[d].bytes()) != string(second.sides[d].bytes()) || whole.sides[d].run != second.sides[d].run || whole.sides[d].full != second.sides[d].full {
					t.Errorf("cut at %d: side %d is another", cut, d)
				}
			}
			if whole.messages != second.messages || whole.count != second.count || whole.shell != second.shell {
				t.Errorf("cut at %d: %+v, want %+v", cut, second.messages, whole.messages)
			}
		}
	}
}

func FuzzUnmarshal(f *testing.F) {
	a := Protocol().Open(nil)().(*analyzer)
	a.message(protocol.Orig, []byte("hello"))
	a.message(protocol.Resp, []byte("you"))
	saved, _ := a.AppendBinary(nil)
	f.Add(saved)
	f.Fuzz(func(t *testing.T, b []byte) {
		a := Protocol().Open(nil)().(*analyzer)
		if a.UnmarshalBinary(b) != nil {
			return
		}
		once, _ := a.AppendBinary(nil)
		again := Protocol().Open(nil)().(*analyzer)
		if err := again.UnmarshalBinary(once); err != nil {
			t.Fatal(err)
		}
		if twice, _ := again.AppendBinary(nil); string(once) != string(twice) {
			t.Errorf("%q, then %q", once, twice)
		}
	})
}
