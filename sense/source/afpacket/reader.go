//go:build linux

package afpacket

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/source"
)

// Reader reads live interfaces as one input. It implements source.Frames.
// Next belongs to one goroutine; Stats and Close may be called from any.
type Reader struct {
	mu     sync.Mutex // of what Next changes and Stats and Close use
	ports  []*port
	wake   int // an eventfd that ends Next's sleep, -1 once released
	ask    int
	use    atomic.Int32
	closed atomic.Bool

	rings  []*ring // of all ports
	cur    *ring   // gave the last frame
	limit  testudo.Time
	wait   time.Duration // by which a ring may know a frame late
	due    time.Time     // when frames at hand may be given out, if some are
	quiet  time.Time     // since when there was nothing to give out
	looked time.Time     // at the interfaces
	polled []unix.PollFd
}

// How a Reader is used.
const (
	resting  = iota // nobody holds a frame
	reading         // Next runs, or its frame is held
	released        // sockets and rings are gone
)

// Open opens the interfaces, each with its own ring or rings. It needs
// CAP_NET_RAW unless cfgs say who else opens the sockets. An interface that
// does not exist is an error; one that is down is waited for.
func Open(cfgs ...Config) (*Reader, error) {
	ask, err := askSocket()
	if err != nil {
		return nil, err
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		_ = unix.Close(ask)
		return nil, fmt.Errorf("afpacket: eventfd: %w", err)
	}
	r := &Reader{ask: ask, wake: wake, looked: time.Now()}
	for _, cfg := range cfgs {
		p, err := openPort(ask, cfg, r.looked)
		if err != nil {
			r.release()
			return nil, err
		}
		r.ports = append(r.ports, p)
		r.wait = max(r.wait, p.cfg.BlockTimeout+timerSlack)
	}
	r.collect()
	for _, p := range r.ports {
		p.tell()
	}
	return r, nil
}

func (r *Reader) collect() {
	r.rings, r.cur = r.rings[:0], nil
	for _, p := range r.ports {
		r.rings = append(r.rings, p.rings...)
	}
}

// Next gives the next frame of any ring, by time as far as that is known: a
// frame waits for earlier ones of other rings until they must have come, but
// no longer, and not if its ring is half full. Its Data lies in the ring and
// is valid until the next call. After about 100 ms without a frame Next
// returns source.ErrIdle, with a time that lies back by what a frame may wait
// for its block to fill, and io.EOF once the Reader was closed.
func (r *Reader) Next(f *source.Frame) error {
	if c := r.cur; c != nil && c.left > 0 && c.time <= r.limit && c.take(f) {
		return nil
	}
	return r.next(f)
}

func (r *Reader) next(f *source.Frame) error {
	if r.use.Load() == released {
		return io.EOF
	}
	r.use.CompareAndSwap(resting, reading)
	for {
		now := time.Now()
		r.look(now)
		if r.closed.Load() {
			r.release()
			return io.EOF
		}
		if r.pick(now) {
			r.quiet = time.Time{}
			if r.cur.take(f) {
				return nil
			}
		} else if r.sleep(now) {
			f.Time = testudo.TimeOf(time.Now().Add(-r.wait))
			return r.rest()
		}
	}
}

// rest is how Next returns without a frame: Close may then release.
func (r *Reader) rest() error {
	r.use.CompareAndSwap(reading, resting)
	if r.closed.Load() {
		if r.use.CompareAndSwap(resting, reading) {
			r.release()
		}
		return io.EOF
	}
	return source.ErrIdle
}

// pick finds the ring whose frame comes next, and until which time it may go
// on by itself.
func (r *Reader) pick(now time.Time) bool {
	var best *ring
	pressed, missing := false, false
	r.limit, r.due = math.MaxInt64, time.Time{}
	for _, c := range r.rings {
		if !c.ready(r.wait) {
			missing = missing || c.port.away.IsZero()
			continue
		}
		hurry := len(r.rings) > 1 && c.pressed()
		if best == nil || hurry && !pressed || hurry == pressed && c.time < best.time {
			best, c = c, best
			pressed = pressed || hurry
		}
		if c != nil {
			r.limit = min(r.limit, c.time)
		}
	}
	r.cur = best
	if best == nil {
		return false
	}
	if pressed {
		r.limit = math.MaxInt64
	} else if missing && len(r.rings) > 1 && now.Before(best.due) {
		r.due = best.due
		return false
	}
	return true
}

// sleep waits for a block of a ring that has none at hand. It tells whether
// it was quiet for so long that the caller should hear of it.
func (r *Reader) sleep(now time.Time) (idle bool) {
	if r.quiet.IsZero() {
		r.quiet = now
	}
	until := r.quiet.Add(idleAfter)
	if !r.due.IsZero() {
		until = r.due
	}
	r.polled = append(r.polled[:0], unix.PollFd{Fd: int32(r.wake), Events: unix.POLLIN})
	for _, c := range r.rings {
		if c.left == 0 {
			r.polled = append(r.polled, unix.PollFd{Fd: int32(c.fd), Events: unix.POLLIN})
		}
	}
	ms := max(0, until.Sub(now)+time.Millisecond-1) / time.Millisecond
	n, err := unix.Poll(r.polled, int(ms))
	if err == nil && n > 0 {
		for _, p := range r.polled[1:] {
			if p.Revents&^unix.POLLIN != 0 {
				r.looked = time.Time{} // the kernel has a fault to tell
			}
		}
	}
	if n > 0 || !r.due.IsZero() || time.Now().Before(until) {
		return false
	}
	r.quiet = time.Time{}
	return true
}

// look looks after the interfaces, once in a while or when there was a fault.
func (r *Reader) look(now time.Time) {
	every := lookInterval
	for _, p := range r.ports {
		if !p.away.IsZero() {
			every = lookWhenAway
		}
	}
	if now.Sub(r.looked) < every {
		return
	}
	r.looked = now
	for _, p := range r.ports {
		r.mu.Lock()
		anew, ok := p.look(r.ask, now, p.hurt())
		r.mu.Unlock()
		if ok { // not under the lock: another process may be slow to answer
			o, err := p.prepare(anew)
			r.mu.Lock()
			p.comeBack(now, anew, o, err)
			r.mu.Unlock()
			r.collect()
		}
	}
	for _, p := range r.ports {
		p.tell()
	}
}

// Name returns the name of the interface that gave the last frame, or of the
// first. It belongs to the goroutine of Next.
func (r *Reader) Name() string {
	if r.cur != nil {
		return r.cur.port.name
	}
	if len(r.ports) > 0 {
		return r.ports[0].name
	}
	return ""
}

// Progress returns 0: a live input has no end.
func (r *Reader) Progress() (read, total int64) { return 0, 0 }

// Stats returns what the kernel counted, by interface in the order in which
// they were given. After Close it is what was counted until then.
func (r *Reader) Stats() []Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	stats := make([]Stats, len(r.ports))
	for i, p := range r.ports {
		stats[i] = p.count(now)
	}
	return stats
}

// Close ends Next, which returns io.EOF and only then gives the rings back,
// so that a frame in hand stays whole. If nobody reads, Close does it.
func (r *Reader) Close() error {
	r.closed.Store(true)
	if r.use.CompareAndSwap(resting, reading) {
		r.release()
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.wake >= 0 {
		var one [8]byte
		binary.NativeEndian.PutUint64(one[:], 1)
		_, _ = unix.Write(r.wake, one[:])
	}
	return nil
}

// release gives everything back to the kernel.
func (r *Reader) release() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.use.Swap(released) == released {
		return
	}
	for _, p := range r.ports {
		p.close()
	}
	r.cur = nil
	_ = unix.Close(r.wake)
	_ = unix.Close(r.ask)
	r.wake = -1
}
