package pcap

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/source"
)

// The blocks of pcapng (draft-ietf-opsawg-pcapng) that are read; all others
// are skipped.
const (
	blockSection   = 0x0a0d0d0a
	blockInterface = 1
	blockOldPacket = 2
	blockSimple    = 3
	blockPacket    = 6
	orderMagic     = 0x1a2b3c4d
)

const (
	maxBlock      = 16 << 20 // what other readers take too
	maxInterfaces = 1 << 16
	maxOptions    = 64 << 10 // options of an interface that are looked at
)

// section is the state of a pcapng file.
type section struct {
	order      binary.ByteOrder
	interfaces []iface
	last       testudo.Time // of the frame before, for those without a time
	size       uint32       // of the block given out last, which is still to be left
}

type iface struct {
	link   uint32
	snap   uint32
	resol  uint8
	offset int64 // seconds
}

func isSection(head []byte) bool {
	return len(head) >= 12 && binary.LittleEndian.Uint32(head) == blockSection && sectionOrder(head) != nil
}

func sectionOrder(head []byte) binary.ByteOrder {
	for _, o := range [...]binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		if o.Uint32(head[8:]) == orderMagic {
			return o
		}
	}
	return nil
}

// cut makes of an end in the middle what it is.
func cut(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// atEnd returns io.EOF only where no byte of the next thing is there.
func atEnd(have []byte, err error) error {
	if len(have) > 0 {
		return cut(err)
	}
	return err
}

// nextBlock goes on to the next block that holds a frame.
func (r *Reader) nextBlock(f *source.Frame) error {
	for {
		if err := r.leaveBlock(); err != nil {
			return err
		}
		h, err := r.win.peek(8)
		if err != nil {
			return atEnd(h, err)
		}
		if binary.LittleEndian.Uint32(h) == blockSection {
			if err := r.beginSection(); err != nil {
				return err
			}
			continue
		}
		o := r.ng.order
		kind, size := o.Uint32(h), o.Uint32(h[4:])
		if err := checkBlock(kind, size); err != nil {
			return err
		}
		r.ng.size = size
		switch kind {
		case blockInterface:
			err = r.addInterface(size)
		case blockPacket, blockOldPacket:
			return r.packet(kind, size, f)
		case blockSimple:
			return r.simple(size, f)
		}
		if err != nil {
			return err
		}
	}
}

func checkBlock(kind, size uint32) error {
	if size < 12 || size%4 != 0 || size > maxBlock {
		return fmt.Errorf("pcapng block of type %#x has the length %d", kind, size)
	}
	return nil
}

// leaveBlock moves past the block read last and checks the length at its end.
func (r *Reader) leaveBlock() error {
	size := r.ng.size
	if size == 0 {
		return nil
	}
	if err := r.win.skip(int64(size) - 4); err != nil {
		return cut(err)
	}
	t, err := r.win.peek(4)
	if err != nil {
		return cut(err)
	}
	if again := r.ng.order.Uint32(t); again != size {
		return fmt.Errorf("pcapng block has the length %d at its start and %d at its end", size, again)
	}
	r.ng.size = 0
	return r.win.skip(4)
}

func (r *Reader) beginSection() error {
	h, err := r.win.peek(16)
	if err != nil {
		return cut(err)
	}
	o := sectionOrder(h)
	if o == nil {
		return errors.New("pcapng section without a byte order")
	}
	size := o.Uint32(h[4:])
	if err := checkBlock(blockSection, size); err != nil {
		return err
	}
	if size < 28 {
		return fmt.Errorf("pcapng section header has the length %d", size)
	}
	if major := o.Uint16(h[12:]); major != 1 {
		return fmt.Errorf("pcapng version %d.%d is not known", major, o.Uint16(h[14:]))
	}
	r.ng.order, r.ng.interfaces, r.ng.size = o, r.ng.interfaces[:0], size
	return nil
}

func (r *Reader) addInterface(size uint32) error {
	if size < 20 {
		return fmt.Errorf("pcapng interface block has the length %d", size)
	}
	if len(r.ng.interfaces) >= maxInterfaces {
		return fmt.Errorf("pcapng section has more than %d interfaces", maxInterfaces)
	}
	b, err := r.win.peek(int(min(size-4, maxOptions)))
	if err != nil {
		return cut(err)
	}
	o := r.ng.order
	i := iface{link: uint32(o.Uint16(b[8:])), snap: o.Uint32(b[12:]), resol: 6}
	for b = b[16:]; len(b) >= 4; {
		code, n := o.Uint16(b), int(o.Uint16(b[2:]))
		b = b[4:]
		if code == 0 || n > len(b) {
			break
		}
		switch {
		case code == 9 && n == 1: // if_tsresol
			i.resol = b[0]
		case code == 14 && n == 8: // if_tsoffset
			i.offset = int64(o.Uint64(b))
		}
		b = b[min(len(b), (n+3)&^3):]
	}
	r.ng.interfaces = append(r.ng.interfaces, i)
	return nil
}

// packet reads an enhanced packet block or its obsolete elder.
func (r *Reader) packet(kind, size uint32, f *source.Frame) error {
	if size < 32 {
		return fmt.Errorf("pcapng packet block has the length %d", size)
	}
	h, err := r.win.peek(28)
	if err != nil {
		return cut(err)
	}
	o := r.ng.order
	id := o.Uint32(h[8:])
	if kind == blockOldPacket {
		id = uint32(o.Uint16(h[8:]))
	}
	hi, lo, have, wire := o.Uint32(h[12:]), o.Uint32(h[16:]), o.Uint32(h[20:]), o.Uint32(h[24:])
	if uint64(id) >= uint64(len(r.ng.interfaces)) {
		return fmt.Errorf("pcapng packet of interface %d, of which nothing is said", id)
	}
	if have > MaxFrame {
		return tooLong(have)
	}
	if have > size-32 {
		return fmt.Errorf("pcapng packet of %d bytes in a block of %d", have, size)
	}
	b, err := r.win.peek(28 + int(have))
	if err != nil {
		return cut(err)
	}
	i := &r.ng.interfaces[id]
	r.ng.last = i.time(uint64(hi)<<32 | uint64(lo))
	*f = source.Frame{Time: r.ng.last, Link: i.link, Data: b[28:], Length: wireLength(have, wire)}
	return nil
}

// simple reads a simple packet block. It has no time: that of the frame
// before is the best there is.
func (r *Reader) simple(size uint32, f *source.Frame) error {
	if size < 16 {
		return fmt.Errorf("pcapng simple packet block has the length %d", size)
	}
	if len(r.ng.interfaces) == 0 {
		return errors.New("pcapng packet before any interface")
	}
	h, err := r.win.peek(12)
	if err != nil {
		return cut(err)
	}
	i := &r.ng.interfaces[0]
	wire := r.ng.order.Uint32(h[8:])
	have := min(wire, size-16)
	if i.snap != 0 {
		have = min(have, i.snap)
	}
	if have > MaxFrame {
		return tooLong(have)
	}
	b, err := r.win.peek(12 + int(have))
	if err != nil {
		return cut(err)
	}
	*f = source.Frame{Time: r.ng.last, Link: i.link, Data: b[12:], Length: wireLength(have, wire)}
	return nil
}

// time converts a count of the interface's units. What lies beyond the years
// that nanoseconds reach is their limit.
func (i *iface) time(ts uint64) testudo.Time {
	var hi, lo uint64
	n := uint(i.resol & 0x7f)
	switch {
	case i.resol == 6:
		hi, lo = bits.Mul64(ts, 1000)
	case i.resol&0x80 != 0:
		hi, lo = bits.Mul64(ts, 1e9)
		if n < 64 {
			lo = lo>>n | hi<<(64-n)
			hi >>= n
		} else {
			hi, lo = 0, hi>>(n-64)
		}
	case n <= 9:
		hi, lo = bits.Mul64(ts, power10(9-n))
	case n <= 28:
		lo = ts / power10(n-9)
	}
	t := int64(math.MaxInt64)
	if hi == 0 && lo < math.MaxInt64 {
		t = int64(lo)
	}
	if i.offset == 0 {
		return testudo.Time(t)
	}
	return testudo.Time(addSeconds(t, i.offset))
}

func addSeconds(t, sec int64) int64 {
	const most = math.MaxInt64 / 1_000_000_000
	off := max(-most, min(most, sec)) * 1_000_000_000
	switch sum := t + off; {
	case off > 0 && sum < t:
		return math.MaxInt64
	default:
		return sum
	}
}

func power10(n uint) uint64 {
	p := uint64(1)
	for range n {
		p *= 10
	}
	return p
}
