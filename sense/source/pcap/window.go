package pcap

import "io"

// firstWindow is how much of a stream is held at first, in bytes.
const firstWindow = 64 << 10

// window is a view of a stream that moves forward. It grows, by doubling, to
// what is asked for.
type window struct {
	in   io.Reader
	buf  []byte
	r, w int
	done int64 // bytes moved past
	err  error
}

// peek returns the next n bytes, which it has room for from then on. If there are fewer it
// returns them with the reason: io.EOF at the end of the stream. The bytes
// are valid until the next call of peek or skip.
func (v *window) peek(n int) ([]byte, error) {
	if v.w-v.r < n {
		v.fill(n)
	}
	if v.w-v.r < n {
		return v.buf[v.r:v.w], v.err
	}
	return v.buf[v.r : v.r+n], nil
}

func (v *window) fill(n int) {
	if v.r > 0 {
		copy(v.buf, v.buf[v.r:v.w])
		v.w -= v.r
		v.r = 0
	}
	if n > len(v.buf) {
		size := max(firstWindow, len(v.buf))
		for size < n {
			size *= 2
		}
		grown := make([]byte, size)
		copy(grown, v.buf[:v.w])
		v.buf = grown
	}
	for idle := 0; v.w < n && v.err == nil; {
		k, err := v.in.Read(v.buf[v.w:])
		if k < 0 || k > len(v.buf)-v.w {
			k, err = 0, io.ErrNoProgress
		}
		v.w += k
		v.err = err
		if idle++; k > 0 {
			idle = 0
		}
		if idle > 100 {
			v.err = io.ErrNoProgress
		}
	}
}

// skip moves n bytes on, reading what it must.
func (v *window) skip(n int64) error {
	for {
		k := min(n, int64(v.w-v.r))
		v.r += int(k)
		v.done += k
		if n -= k; n == 0 {
			return nil
		}
		if _, err := v.peek(1); err != nil {
			return err
		}
	}
}
