package drill

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"io"
	"slices"
)

// Times inside the package are microseconds since 1970, as in the file.
const (
	millisecond int64 = 1000
	second            = 1000 * millisecond
	minute            = 60 * second
	hour              = 60 * minute
	day               = 24 * hour

	never   int64 = 1 << 62
	slotLen       = 10 * minute
)

// tape orders frames by time and writes them as a pcap file. Frames may come
// in any order as long as none is older than the last flush; they wait in
// slots of ten minutes, so memory follows the busiest slot, not the file.
type tape struct {
	out     *bufio.Writer
	start   int64
	end     int64
	slots   []slot
	flushed int
	spare   []slot
	packets int64
	bytes   int64 // written, headers included
	wire    int64 // as the frames were on the wire
	err     error
}

type slot struct {
	arena []byte
	index []entry
}

type entry struct {
	t    int64
	off  uint32
	kept uint16
	wire uint16
}

func newTape(w io.Writer, start, end int64) *tape {
	t := &tape{out: bufio.NewWriterSize(w, 1<<20), start: start, end: end}
	t.slots = make([]slot, (end-start+slotLen-1)/slotLen)
	var h [24]byte
	le := binary.LittleEndian
	le.PutUint32(h[0:], 0xa1b2c3d4) // microseconds
	le.PutUint16(h[4:], 2)
	le.PutUint16(h[6:], 4)
	le.PutUint32(h[16:], 65535)
	le.PutUint32(h[20:], 1) // Ethernet
	_, t.err = t.out.Write(h[:])
	t.bytes = 24
	return t
}

// add keeps a copy of the frame, which was wire bytes long on the wire.
// What lies outside the exercise's time is not part of it and is dropped.
func (p *tape) add(t int64, frame []byte, wire int) bool {
	i := int((t - p.start) / slotLen)
	if t < p.start || t >= p.end || i < p.flushed {
		return false
	}
	s := &p.slots[i]
	if s.index == nil && len(p.spare) > 0 {
		*s = p.spare[len(p.spare)-1]
		p.spare = p.spare[:len(p.spare)-1]
	}
	s.index = append(s.index, entry{t: t, off: uint32(len(s.arena)), kept: uint16(len(frame)), wire: uint16(wire)})
	s.arena = append(s.arena, frame...)
	return true
}

// flush writes the slots that ended before t.
func (p *tape) flush(t int64) error {
	for p.flushed < len(p.slots) && p.start+int64(p.flushed+1)*slotLen <= t && p.err == nil {
		s := &p.slots[p.flushed]
		slices.SortFunc(s.index, func(a, b entry) int {
			if c := cmp.Compare(a.t, b.t); c != 0 {
				return c
			}
			return cmp.Compare(a.off, b.off)
		})
		for _, e := range s.index {
			p.write(e, s.arena[e.off:e.off+uint32(e.kept)])
		}
		if s.index != nil {
			p.spare = append(p.spare, slot{s.arena[:0], s.index[:0]})
			*s = slot{}
		}
		p.flushed++
	}
	return p.err
}

func (p *tape) write(e entry, frame []byte) {
	var h [16]byte
	le := binary.LittleEndian
	le.PutUint32(h[0:], uint32(e.t/second))
	le.PutUint32(h[4:], uint32(e.t%second))
	le.PutUint32(h[8:], uint32(e.kept))
	le.PutUint32(h[12:], uint32(e.wire))
	if _, err := p.out.Write(h[:]); err != nil {
		p.err = err
		return
	}
	if _, err := p.out.Write(frame); err != nil {
		p.err = err
		return
	}
	p.packets++
	p.bytes += 16 + int64(e.kept)
	p.wire += int64(e.wire)
}

func (p *tape) close() error {
	if err := p.flush(never); err != nil {
		return err
	}
	return p.out.Flush()
}
