package flow

import (
	"net/netip"
	"strings"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/protocol"
)

// host is what analyzers see of a shard.
type host struct {
	s    *Shard
	text [maxLongString]byte
}

var _ protocol.Host = (*host)(nil)

// Emit implements protocol.Host. Weirds are bounded.
func (h *host) Emit(_ *protocol.Flow, r testudo.Record) {
	if _, ok := r.(*testudo.Weird); ok && !h.s.mayWeird(h.s.dispatch.cur.conn) {
		return
	}
	h.s.emit(h.s.now, r)
}

// Intern implements protocol.Host.
func (h *host) Intern(b []byte) string { return h.s.strings.of(b) }

// Scratch lends Intern room, so that what is interned need not be on the heap.
func (h *host) Scratch() []byte { return h.text[:] }

// Expect implements protocol.Host.
func (h *host) Expect(_ *protocol.Flow, id testudo.ConnID, service string) {
	if h.s.expects.add(expect{id: id, service: service, until: h.s.now.Add(expectFor)}) {
		h.s.stats.ExpectsShed++
	}
}

// Handover implements protocol.Host.
func (h *host) Handover(_ *protocol.Flow, service string) {
	st := h.s.dispatch.cur
	st.handing, st.heir = true, service
}

// SetService implements protocol.Host.
func (h *host) SetService(_ *protocol.Flow, service string) {
	c := h.s.dispatch.cur.conn
	list := h.s.services.name(c.service)
	c.service = h.s.services.number(list[:max(0, strings.LastIndexByte(list, ','))])
	h.s.addService(c, service)
}

// weird notes an oddity of the conn itself.
func (s *Shard) weird(c *conn, name, addl string) {
	if !s.mayWeird(c) {
		return
	}
	w := s.weirdSlab.New()
	w.Time, w.UID, w.ID = c.seen, c.uid, c.connID()
	w.Name, w.Addl, w.Source = name, addl, "flow"
	s.emit(s.now, w)
}

const (
	weirdsPerConn   = 8
	weirdsPerSecond = 32
)

// mayWeird counts one weird and tells whether it is within the bounds.
func (s *Shard) mayWeird(c *conn) bool {
	if sec := int64(s.now) / int64(time.Second); sec != s.weirdSec {
		s.weirdSec, s.weirdN = sec, 0
	}
	if c.weirds >= weirdsPerConn || s.weirdN >= weirdsPerSecond {
		s.stats.WeirdsShed++
		return false
	}
	c.weirds++
	s.weirdN++
	s.stats.Weirds++
	return true
}

const (
	maxExpects = 64
	expectFor  = 5 * time.Minute
)

// expect is a conversation that another one announced.
type expect struct {
	id      testudo.ConnID
	service string
	until   testudo.Time
}

// expects holds the last few announcements, the oldest first.
type expects struct {
	list [maxExpects]expect
	n    int
}

// add remembers e and tells whether the oldest had to go for it.
func (q *expects) add(e expect) bool {
	full := q.n == maxExpects
	if full {
		q.drop(0)
	}
	q.list[q.n] = e
	q.n++
	return full
}

func (q *expects) drop(i int) {
	copy(q.list[i:], q.list[i+1:q.n])
	q.n--
	q.list[q.n] = expect{}
}

// expected gives a new conn the service it was announced for.
func (s *Shard) expected(c *conn) {
	q := &s.expects
	id := c.connID()
	for i := 0; i < q.n; i++ {
		e := &q.list[i]
		if e.until < s.now {
			q.drop(i)
			i--
			continue
		}
		if e.id.Proto != id.Proto || e.id.Resp != id.Resp || !sameOrig(e.id.Orig, id.Orig) {
			continue
		}
		name := e.service
		q.drop(i)
		if k, ok := s.dispatch.names[name]; ok {
			c.want = k
		}
		s.addService(c, name)
		return
	}
}

func sameOrig(want, got netip.AddrPort) bool {
	return !want.Addr().IsValid() || (want.Addr() == got.Addr() && (want.Port() == 0 || want.Port() == got.Port()))
}
