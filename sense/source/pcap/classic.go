package pcap

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/source"
)

// magicLen is how many bytes tell a capture from all else.
const magicLen = 12

// The first four bytes of a pcap file, as its writer's byte order has them.
const (
	magicMicro    = 0xa1b2c3d4
	magicNano     = 0xa1b23c4d
	magicModified = 0xa1b2cd34 // patched Linux kernels of the nineties: eight more bytes a frame
)

// classic is the state of a pcap file.
type classic struct {
	order   binary.ByteOrder
	link    uint32
	unit    int64 // nanoseconds of the fraction's unit
	head    int   // bytes of a frame's header
	swapped bool  // versions before 2.3 had the two lengths in the other order
	either  bool  // in version 2.3 some had
	pending int64 // bytes of the frame given out last
}

func classicOrder(head []byte) (binary.ByteOrder, uint32) {
	if len(head) >= 4 {
		for _, o := range [...]binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
			switch m := o.Uint32(head); m {
			case magicMicro, magicNano, magicModified:
				return o, m
			}
		}
	}
	return nil, 0
}

func isClassic(head []byte) bool {
	o, _ := classicOrder(head)
	return o != nil
}

func (r *Reader) beginClassic() error {
	h, err := r.win.peek(24)
	if err != nil {
		return err
	}
	o, magic := classicOrder(h)
	major, minor := o.Uint16(h[4:]), o.Uint16(h[6:])
	if major != 2 {
		return fmt.Errorf("pcap version %d.%d is not known", major, minor)
	}
	c := classic{order: o, link: o.Uint32(h[20:]) & 0xffff, unit: 1000, head: 16, swapped: minor < 3, either: minor == 3}
	switch magic {
	case magicNano:
		c.unit = 1
	case magicModified:
		c.head = 24
	}
	r.old, r.next = c, r.nextClassic
	return r.win.skip(24)
}

func (r *Reader) nextClassic(f *source.Frame) error {
	c := &r.old
	if c.pending > 0 {
		if err := r.win.skip(c.pending); err != nil {
			return err
		}
		c.pending = 0
	}
	h, err := r.win.peek(c.head)
	if err != nil {
		return atEnd(h, err)
	}
	var sec, frac, have, wire uint32
	if c.order == binary.LittleEndian {
		sec, frac = binary.LittleEndian.Uint32(h), binary.LittleEndian.Uint32(h[4:])
		have, wire = binary.LittleEndian.Uint32(h[8:]), binary.LittleEndian.Uint32(h[12:])
	} else {
		sec, frac = binary.BigEndian.Uint32(h), binary.BigEndian.Uint32(h[4:])
		have, wire = binary.BigEndian.Uint32(h[8:]), binary.BigEndian.Uint32(h[12:])
	}
	if c.swapped || c.either && have > wire {
		have, wire = wire, have
	}
	if have > MaxFrame {
		return tooLong(have)
	}
	b, err := r.win.peek(c.head + int(have))
	if err != nil {
		return cut(err)
	}
	c.pending = int64(len(b))
	*f = source.Frame{Time: testudo.Time(int64(sec)*1e9 + int64(frac)*c.unit), Link: c.link, Data: b[c.head:], Length: wireLength(have, wire)}
	return nil
}

func tooLong(n uint32) error {
	return fmt.Errorf("a frame of %d bytes is longer than the %d that are read", n, MaxFrame)
}

func wireLength(have, wire uint32) int {
	return int(min(max(have, wire), math.MaxInt32))
}
