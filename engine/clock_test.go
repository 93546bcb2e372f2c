package engine

import (
	"testing"
	"time"

	"github.com/testudo-shield/testudo"
)

// TestClock holds that one wrong frame moves neither the watermark nor the
// beginning, wherever it stands, and that real jumps do.
func TestClock(t *testing.T) {
	const (
		s    = testudo.Time(time.Second)
		h    = testudo.Time(time.Hour)
		t0   = testudo.Time(1_700_000_000_000_000_000)
		y38  = testudo.Time(2_147_483_647_000_000_000)
		y70  = 5 * s
		day  = 24 * h
		zero = testudo.Time(0)
	)
	for _, c := range []struct {
		name             string
		in, now          []testudo.Time
		first, watermark testudo.Time
	}{
		{"in order", []testudo.Time{t0, t0 + s, t0 + 2*s}, []testudo.Time{t0, t0 + s, t0 + 2*s}, t0, t0 + 2*s},
		{"a small step back", []testudo.Time{t0 + 2*s, t0, t0 + s}, []testudo.Time{t0 + 2*s, t0 + 2*s, t0 + 2*s}, t0, t0 + 2*s},
		{"one from 2038", []testudo.Time{t0, t0 + s, y38, t0 + 2*s}, []testudo.Time{t0, t0 + s, t0 + s, t0 + 2*s}, t0, t0 + 2*s},
		{"2038 twice, apart", []testudo.Time{t0, y38, t0 + s, y38, t0 + 2*s}, []testudo.Time{t0, t0, t0 + s, t0 + s, t0 + 2*s}, t0, t0 + 2*s},
		{"the first from 2038", []testudo.Time{y38, t0, t0 + s, t0 + 2*s}, []testudo.Time{y38, y38, t0 + s, t0 + 2*s}, t0, t0 + 2*s},
		{"the second from 1970", []testudo.Time{t0, y70, t0 + s, t0 + 2*s}, []testudo.Time{t0, t0, t0 + s, t0 + 2*s}, t0, t0 + 2*s},
		{"the first from 1970", []testudo.Time{y70, t0, t0 + s, t0 + 2*s}, []testudo.Time{y70, y70, t0 + s, t0 + 2*s}, t0, t0 + 2*s},
		{"the first at zero", []testudo.Time{zero, t0, t0 + s}, []testudo.Time{zero, zero, t0 + s}, t0, t0 + s},
		{"one from 1970", []testudo.Time{t0, t0 + s, y70, t0 + 2*s}, []testudo.Time{t0, t0 + s, t0 + s, t0 + 2*s}, t0, t0 + 2*s},
		{"silence of two days", []testudo.Time{t0, t0 + s, t0 + 2*day, t0 + 2*day + s}, []testudo.Time{t0, t0 + s, t0 + s, t0 + 2*day + s}, t0, t0 + 2*day + s},
		{
			"one frame every two hours",
			[]testudo.Time{t0, t0 + s, t0 + 2*h, t0 + 4*h, t0 + 6*h, t0 + 8*h},
			[]testudo.Time{t0, t0 + s, t0 + s, t0 + 2*h, t0 + 4*h, t0 + 6*h},
			t0, t0 + 6*h,
		},
		{
			"Tuesday, then Monday",
			[]testudo.Time{t0 + day, t0 + day + s, t0, t0 + s, t0 + 2*s},
			[]testudo.Time{t0 + day, t0 + day + s, t0 + day + s, t0 + day + s, t0 + day + s},
			t0, t0 + day + s,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			var k clock
			for i, in := range c.in {
				if got := k.see(in); got != c.now[i] {
					t.Errorf("frame %d at %v: watermark %v, want %v", i, in, got, c.now[i])
				}
			}
			if k.first != c.first || k.now != c.watermark {
				t.Errorf("from %v to %v, want %v to %v", k.first, k.now, c.first, c.watermark)
			}
		})
	}
}

// FuzzClock holds that the watermark never runs backwards once two frames
// agreed, and is always the time of a frame that was seen.
func FuzzClock(f *testing.F) {
	f.Add([]byte{1, 2, 3, 200, 4, 5})
	f.Add([]byte{255, 0, 0, 0, 9})
	f.Fuzz(func(t *testing.T, steps []byte) {
		var k clock
		seen := map[testudo.Time]bool{}
		for _, b := range steps {
			was, trusted := k.now, k.trusted
			in := testudo.Time(b) * testudo.Time(10*time.Minute)
			seen[in] = true
			now := k.see(in)
			if trusted && now < was {
				t.Fatalf("from %v back to %v", was, now)
			}
			if !seen[now] || !seen[k.first] {
				t.Fatalf("watermark %v, first %v: no frame said so", now, k.first)
			}
		}
	})
}
