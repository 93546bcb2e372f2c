//go:build linux

package afpacket

import (
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/source"
	"github.com/testudo-shield/testudo/sense/source/afpacket/program"
)

// ring is one socket's memory, shared with the kernel. A block belongs to
// whoever its status says: that word alone is read and written atomically,
// and orders all else.
type ring struct {
	fd     int
	mem    []byte
	block  int // bytes
	dlt    uint32
	port   *port
	at     int    // the block that is read, or will be
	data   []byte // of the block at, nil while it is the kernel's
	off    uint32 // of the frame to give out next
	left   uint32 // frames of the block not given out
	time   testudo.Time
	due    time.Time     // when no other ring can have an earlier frame any more
	broken atomic.Uint64 // blocks that contradict themselves
}

func newRing(fd int, spec *Spec, p *port) (*ring, error) {
	size := spec.BlockBytes * spec.Blocks
	mem, err := unix.Mmap(fd, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("afpacket %s: map a ring of %d MiB: %w", p.name, size>>20, err)
	}
	return &ring{fd: fd, mem: mem, block: spec.BlockBytes, dlt: spec.Link, port: p}, nil
}

func (r *ring) status(block int) *uint32 {
	const statusAt = 8 // struct tpacket_block_desc: version, offset, then the status
	return (*uint32)(unsafe.Pointer(&r.mem[block*r.block+statusAt]))
}

// pressed tells whether half the ring waits to be read.
func (r *ring) pressed() bool {
	blocks := len(r.mem) / r.block
	return atomic.LoadUint32(r.status((r.at+blocks/2)%blocks))&unix.TP_STATUS_USER != 0
}

// ready tells whether a frame is at hand. What was given out is over: the
// block that is used up goes back to the kernel at once.
func (r *ring) ready(wait time.Duration) bool {
	for r.left == 0 {
		if r.data != nil {
			r.data = nil
			atomic.StoreUint32(r.status(r.at), unix.TP_STATUS_KERNEL)
			r.at = (r.at + 1) % (len(r.mem) / r.block)
		}
		if atomic.LoadUint32(r.status(r.at))&unix.TP_STATUS_USER == 0 {
			return false
		}
		r.open(wait)
	}
	return true
}

// open begins the block at hand, which the kernel has let go.
func (r *ring) open(wait time.Duration) {
	r.data = r.mem[r.at*r.block : (r.at+1)*r.block]
	h := (*unix.TpacketHdrV1)(unsafe.Pointer(&r.data[8]))
	r.left, r.off = min(h.Num_pkts, uint32(r.block/unix.SizeofTpacket3Hdr)), h.Offset_to_first_pkt
	last := time.Unix(int64(h.Ts_last_pkt.Sec), int64(h.Ts_last_pkt.Usec)) // which are nanoseconds here
	now := time.Now()
	r.due = now.Add(min(max(0, wait-now.Sub(last)), wait))
	r.peek()
}

// peek reads the time of the next frame.
func (r *ring) peek() {
	if r.left == 0 {
		return
	}
	if r.off&7 != 0 || uint64(r.off)+unix.SizeofTpacket3Hdr > uint64(len(r.data)) {
		r.damaged()
		return
	}
	h := (*unix.Tpacket3Hdr)(unsafe.Pointer(&r.data[r.off]))
	r.time = testudo.Time(int64(h.Sec)*1e9 + int64(h.Nsec))
}

// damaged gives up the rest of a block that contradicts itself.
func (r *ring) damaged() {
	r.left = 0
	r.broken.Add(1)
}

// take gives out the next frame, in place. It returns false if there is none
// after all.
func (r *ring) take(f *source.Frame) bool {
	h := (*unix.Tpacket3Hdr)(unsafe.Pointer(&r.data[r.off]))
	begin := uint64(r.off) + uint64(h.Mac)
	end := begin + uint64(h.Snaplen)
	if end > uint64(len(r.data)) || h.Mac < unix.SizeofTpacket3Hdr+tagBytes {
		r.damaged()
		return false
	}
	f.Time, f.Link, f.Length = r.time, r.dlt, int(h.Len)
	if h.Status&unix.TP_STATUS_VLAN_VALID != 0 && r.dlt == program.Ethernet && h.Snaplen >= 12 {
		begin -= tagBytes
		f.Length += tagBytes
		putTag(r.data[begin:end], h)
	}
	f.Data = r.data[begin:end:end]
	f.Length = max(f.Length, len(f.Data))
	r.left--
	if h.Next_offset == 0 && r.left > 0 {
		r.damaged()
	}
	r.off += h.Next_offset
	r.peek()
	return true
}

// putTag puts back the VLAN tag that the kernel or the card took off. The
// addresses move into the room kept before the frame.
func putTag(b []byte, h *unix.Tpacket3Hdr) {
	copy(b, b[tagBytes:tagBytes+12])
	kind := uint16(unix.ETH_P_8021Q)
	if h.Status&unix.TP_STATUS_VLAN_TPID_VALID != 0 {
		kind = h.Hv1.Vlan_tpid
	}
	binary.BigEndian.PutUint16(b[12:], kind)
	binary.BigEndian.PutUint16(b[14:], uint16(h.Hv1.Vlan_tci))
}

// close gives the memory and the socket back to the kernel.
func (r *ring) close() {
	_ = unix.Munmap(r.mem)
	_ = unix.Close(r.fd)
}
