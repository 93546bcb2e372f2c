package drill

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"time"
)

// script is a conversation to be played again and again: shots[first:][:length].
type script struct {
	first    uint32
	length   uint16
	port     uint16 // the server's
	server   uint16 // the only one who may speak it, or anyServer
	proto    uint8
	named    bool // a name is looked up before
	resolver bool // the server is our resolver; the seat's is who is asked for
}

const anyServer = 0xffff

// shot is one frame of a script: where its bytes lie, and what to write over.
type shot struct {
	off        uint32
	seq, ack   uint32
	mark       uint32 // marks[mark:][:marks]
	kept, wire uint16
	marks, dir uint8
}

// mark is a place in a frame that is the conversation's own.
type mark struct {
	at   uint16
	what uint8
}

const (
	markName uint8 = iota // six letters of the server's name
	markAddr              // the server's address
	markKey               // four bytes of its key
	markID                // of a question
)

// What stands for a server's own name while a script is recorded; no other
// text has it, as nothing else spells with q.
const (
	mixLabel = "qiqeqo"
	mixName  = "www." + mixLabel + ".example"
)

var mixStart = time.Date(2026, 3, 4, 9, 0, 0, 0, time.UTC)

// recorder makes scripts of conversations written in a world.
type recorder struct {
	*Mix
	w      *world
	client *node
	server *node
	keys   [][]byte // the public keys to mark
	err    error
}

// record writes one script for each variant of each sort of conversation.
func (m *Mix) record(seed uint64) error {
	start := mixStart.Truncate(24 * time.Hour)
	w, err := newWorld(io.Discard, Config{Seed: seed, Start: start, Days: 1, Hosts: 30, Snap: 1460})
	if err != nil {
		return err
	}
	rec := &recorder{Mix: m, w: w}
	sorts, err := rec.sorts(stream(seed, "mix"))
	if err != nil {
		return err
	}
	m.scripts = []script{{}} // a seat's next 0 is none
	share, load := []int{0}, []int{0}
	for _, s := range sorts {
		first := len(m.scripts)
		for i := range s.variants {
			rec.play(s, i, stream(seed, fmt.Sprint("mix ", s.name, i)))
		}
		for _, c := range m.scripts[first:] {
			share = append(share, s.share*1000/s.variants)
			load = append(load, s.share*1000/s.variants*int(c.length))
		}
		if s.resolver {
			m.lookups = [2]uint16{uint16(first), uint16(len(m.scripts))}
		}
	}
	spread(&m.draws, share)
	spread(&m.opening, load)
	return rec.err
}

// spread fills draws with indices of shares, as often as each is large.
func spread(draws *[drawn]uint16, shares []int) {
	total, sum, at := 0, 0, 0
	for _, s := range shares {
		total += s
	}
	for i, s := range shares {
		for sum += s; at < drawn && at*total < sum*drawn; at++ {
			draws[at] = uint16(i)
		}
	}
}

// lingering returns how many short conversations over UDP, and others without
// an end, lie in a table beside those that are open.
func (m *Mix) lingering() int {
	packets, ended := 0, 0
	for _, i := range m.draws {
		c := &m.scripts[i]
		packets += int(c.length)
		if c.proto == protoUDP {
			ended++
		}
		if c.named {
			packets++ // half a lookup, of two
			ended++
		}
	}
	named := 0
	for _, i := range m.draws {
		if m.scripts[i].named {
			named++
		}
	}
	ended -= named - named/2
	return max(1, int(lingers/mixPace)*len(m.seats)*ended/packets)
}

// play records one conversation.
func (q *recorder) play(s kind, variant int, r *rand.Rand) {
	w := q.w
	w.tape = newTape(io.Discard, w.t0, w.end)
	q.client = w.desks[variant%len(w.desks)].node
	q.server = w.rent(r, cloud)
	at := w.t0 + hour
	s.write(q, r, at, variant)
	c := script{first: uint32(len(q.shots)), port: s.port, server: anyServer, proto: s.proto, named: s.named, resolver: s.resolver}
	if s.own {
		c.server = uint16(variant)
	}
	for i := range w.tape.slots {
		t := &w.tape.slots[i]
		slices.SortStableFunc(t.index, func(a, b entry) int { return cmp.Compare(a.t, b.t) })
		for _, e := range t.index {
			q.shoot(s, &e, t.arena[e.off:][:e.kept])
		}
	}
	c.length = uint16(len(q.shots) - int(c.first))
	if c.length == 0 {
		q.err = fmt.Errorf("mix: %s %d is empty", s.name, variant)
	}
	q.scripts = append(q.scripts, c)
}

// shoot keeps one frame.
func (q *recorder) shoot(s kind, e *entry, f []byte) {
	h := shot{off: uint32(len(q.arena)), kept: e.kept, wire: max(e.wire, minFrame), mark: uint32(len(q.marks))}
	if binary.BigEndian.Uint32(f[ipAt+12:]) != q.client.addr {
		h.dir = resp
	}
	head := l4At + 8
	if s.proto == protoTCP {
		h.seq, h.ack = binary.BigEndian.Uint32(f[l4At+4:]), binary.BigEndian.Uint32(f[l4At+8:])
		head = l4At + 20
	}
	q.find(f, head, []byte(mixLabel), 0, markName)
	for _, k := range q.keys {
		q.find(f, head, k, len(k), markKey)
	}
	if s.resolver {
		q.find(f, head, binary.BigEndian.AppendUint32(nil, q.server.addr), 0, markAddr)
		q.marks = append(q.marks, mark{uint16(head), markID})
	}
	h.marks = uint8(len(q.marks) - int(h.mark))
	q.shots = append(q.shots, h)
	q.arena = append(q.arena, f...)
}

// find marks every place in f that lies skip bytes behind the beginning of
// text.
func (q *recorder) find(f []byte, from int, text []byte, skip int, what uint8) {
	for at := from; ; at += len(text) {
		i := bytes.Index(f[at:], text)
		if i < 0 {
			return
		}
		at += i
		q.marks = append(q.marks, mark{uint16(at + skip), what})
	}
}
