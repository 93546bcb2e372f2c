package logs

import (
	"bytes"
	"slices"
	"testing"
)

// FuzzScan holds the searches by words against plain ones.
func FuzzScan(f *testing.F) {
	f.Add([]byte("a\tbb\t\tccccccccc\t\b\n\tdddddddddddddddd\t"), byte('\t'), byte('\n'))
	f.Add([]byte("\x00\x01\x00\x00\x01\x01\x80\x81\x80\x00\xff"), byte(0), byte(0x80))
	f.Add([]byte(`"quoted \" and \\ more", "next"`), byte('"'), byte('\\'))
	f.Fuzz(func(t *testing.T, b []byte, x, y byte) {
		var places []int
		first := len(b)
		for i, c := range b {
			if c == x {
				places = append(places, i)
			}
			if (c == x || c == y) && first == len(b) {
				first = i
			}
		}
		if got := Scan(b, x, y); got != first {
			t.Fatalf("%q: %q or %q at %d, not %d", b, x, y, got, first)
		}
		if got := Places(nil, b, x, len(b)); !slices.Equal(got, places) {
			t.Fatalf("%q: %q at %v, not %v", b, x, got, places)
		}
		if got := Places(nil, b, x, 1); !slices.Equal(got, places[:len(got)]) || len(got) < min(2, len(places)) {
			t.Fatalf("%q: the first of %v are not %v", b, places, got)
		}
	})
}

// TestNames says that a key has one number, in whatever order keys come, and
// that names are bounded.
func TestNames(t *testing.T) {
	var o Object
	numbers := map[string]int{}
	for _, line := range []string{
		`{"a":1,"c":2}`, `{"a":1,"b":3,"c":2}`, `{"c":1, "a" : 2,"d":{"a":3},"b":4}`, `{"e":1,"a":1,"a":2}`, `{"b":1}`,
	} {
		if !o.Parse([]byte(line)) {
			t.Fatalf("%s was refused", line)
		}
		for _, p := range o.Pairs {
			key := string(p.Key)
			if key == "d.a" {
				if p.Name != 0 {
					t.Errorf("%s: an inner name has a number", line)
				}
				continue
			}
			if known := numbers[key]; p.Name == 0 || known != 0 && known != p.Name {
				t.Errorf("%s: %q is %d, was %d", line, key, p.Name, known)
			}
			numbers[key] = p.Name
		}
	}
	if len(numbers) != 4 { // d holds an object and has no value of its own
		t.Errorf("names: %v", numbers)
	}
	for i := range 3 * maxNames {
		if o.Parse([]byte(`{"` + string(bytes.Repeat([]byte{'k'}, i%maxName+1)) + string(rune('A'+i%26)) + `":1}`)); len(o.order) > maxNames {
			t.Fatal("names are not bounded")
		}
	}
}
