package flow

import (
	"strings"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/protocol"
)

// The transports, as indices.
const (
	tcpIndex = iota
	udpIndex
	icmpIndex
	transports
)

// entry is a protocol as this shard runs it.
type entry struct {
	protocol.Protocol
	make  func() protocol.Analyzer
	free  []protocol.Analyzer
	rests bool // they are protocol.Resting
}

// take returns a fresh analyzer.
func (e *entry) take(records *protocol.Records) protocol.Analyzer {
	if n := len(e.free); n > 0 {
		a := e.free[n-1]
		e.free = e.free[:n-1]
		return a
	}
	if e.make == nil {
		e.make = e.Open(records)
	}
	a := e.make()
	_, e.rests = a.(protocol.Resting)
	return a
}

// give takes one back after its End.
func (e *entry) give(a protocol.Analyzer) {
	a.Reset()
	if len(e.free) < 256 {
		e.free = append(e.free, a)
	}
}

// dispatch knows the protocols and which of them may claim what.
type dispatch struct {
	entries  []entry
	over     [transports][]int16 // those that can be probed; for ICMP all
	hints    [transports]map[uint16][]int16
	names    map[string]int16
	inner    []int16
	fallback int16
	records  protocol.Records
	host     protocol.Host
	cur      *stream // the one whose analyzer runs
}

// setup indexes the protocols.
func (q *dispatch) setup(cfg Config, protocols []protocol.Protocol) {
	q.names = make(map[string]int16, len(protocols))
	q.fallback = -1
	for t := range q.hints {
		q.hints[t] = make(map[uint16][]int16)
	}
	for n, p := range protocols {
		i := int16(n)
		q.entries = append(q.entries, entry{Protocol: p})
		q.names[p.Name] = i
		if p.Name == cfg.Fallback {
			q.fallback = i
		}
		for t, bit := range [transports]protocol.Transport{protocol.OverTCP, protocol.OverUDP, protocol.OverICMP} {
			if p.Over&bit == 0 || (p.Probe == nil && t != icmpIndex) {
				continue
			}
			q.over[t] = append(q.over[t], i)
			for _, port := range p.Ports {
				q.hints[t][port] = append(q.hints[t][port], i)
			}
		}
	}
	for _, name := range cfg.Inner {
		if i, ok := q.names[name]; ok && q.entries[i].Probe != nil {
			q.inner = append(q.inner, i)
		}
	}
}

// server tells whether a TCP port is more likely a server's.
func (q *dispatch) server(port uint16) bool {
	return port < 1024 || q.hints[tcpIndex][port] != nil
}

const (
	probeBytes     = 1024 // of each direction a probe sees
	probeSegments  = 8    // payload segments until we stop asking
	probeAlone     = 4    // of these, from one side that nobody knows
	probeDatagrams = 4
)

// probe keeps or hands on the next bytes of a conversation nobody claimed.
func (s *Shard) probe(st *stream, d int, data []byte) {
	h := &st.half[d]
	stream := st.conn.key.proto == testudo.TCP
	kept := len(h.buf) > 0
	if kept && !s.keep(st, d, data) {
		s.unclaimed(st)
		s.deliver(st, d, data)
		return
	}
	news := !h.frozen
	view := [2][]byte{st.half[0].seen(), st.half[1].seen()}
	if !kept {
		view[d] = data[:min(len(data), probeBytes)]
	}
	s.note(st, d, len(data), false)
	st.ndata++
	found, maybe, full := int16(-1), true, int(st.npieces) >= maxPieces-1
	if news {
		found, maybe = s.ask(st, view[0], view[1])
	}
	limit := probeDatagrams
	if stream {
		limit = probeSegments
		full = full || (len(view[0]) >= probeBytes && len(view[1]) >= probeBytes)
		if !maybe && len(view[d^1]) == 0 {
			// Half of it may be missing, or odd: hear the other side first.
			maybe, limit = true, probeAlone
		}
	}
	if !stream && !h.frozen {
		h.frozen, h.prefix = true, len(data)
	}
	if found < 0 && maybe && !full && int(st.ndata) < limit {
		if kept || s.keep(st, d, data) {
			return
		}
	}
	if kept {
		data = nil
	} else {
		st.npieces--
	}
	s.replay(st, found, d, data, !kept)
}

// seen returns what a probe may see of a direction.
func (h *half) seen() []byte {
	n := len(h.buf)
	if h.frozen {
		n = min(n, h.prefix)
	}
	return h.buf[:min(n, probeBytes)]
}

// note remembers one arrival while probing.
func (s *Shard) note(st *stream, d, n int, gap bool) {
	if st.pieces == nil {
		st.pieces = s.mem.piecesFor()
	}
	if int(st.npieces) < maxPieces {
		st.pieces[st.npieces] = piece{n: int32(n), dir: uint8(d), gap: gap}
		st.npieces++
	}
}

// probeGap takes in a gap before anybody claimed the conversation: a
// direction's bytes join on no longer, so a probe sees those before it.
func (s *Shard) probeGap(st *stream, d, n int) {
	h := &st.half[d]
	if len(h.buf) > 0 && !h.frozen {
		h.frozen, h.prefix = true, len(h.buf)
	}
	if int(st.npieces) >= maxPieces-2 {
		s.unclaimed(st)
		s.passGap(st, d, n)
		return
	}
	s.note(st, d, n, true)
}

// ask probes all protocols, those hinted by a port first, and returns the
// one that said Yes or -1, and whether any said Maybe. Over UDP a hinted one
// that said Maybe is taken.
func (s *Shard) ask(st *stream, o, r []byte) (found int16, maybe bool) {
	q := &s.dispatch
	t := transportOf(st.conn.key.proto)
	var asked [2]uint64
	id := st.flow.ID
	for turn, list := range [3][]int16{q.hints[t][id.Resp.Port()], q.hints[t][id.Orig.Port()], q.over[t]} {
		for _, i := range list {
			w, bit := i>>6&1, uint64(1)<<(i&63)
			if i < 128 {
				if (asked[w]|st.refused[w])&bit != 0 {
					continue
				}
				asked[w] |= bit
			}
			switch q.entries[i].Probe(id, o, r) {
			case protocol.Yes:
				return i, true
			case protocol.Maybe:
				maybe = true
				if turn < 2 && t == udpIndex && found == 0 {
					found = i + 1
				}
			default:
				// The other direction may change its mind later.
				if i < 128 && len(o) > 0 && len(r) > 0 {
					st.refused[w] |= bit
				}
			}
		}
	}
	return found - 1, maybe
}

// unclaimed gives a conversation to the fallback, from its start.
func (s *Shard) unclaimed(st *stream) { s.replay(st, -1, 0, nil, false) }

// replay starts the protocol found, or the fallback for -1, and hands it
// what was kept, in order of arrival, and then data where given.
func (s *Shard) replay(st *stream, found int16, d int, data []byte, also bool) {
	if found >= 0 {
		s.stats.Claimed++
	} else {
		s.stats.Unclaimed++
		if found = s.dispatch.fallback; found < 0 || s.dispatch.entries[found].Over&overBit(st) == 0 {
			st.phase = phaseOff
			return
		}
	}
	pieces, n := st.pieces, st.npieces
	st.pieces = nil
	bufs := s.takeBufs(st)
	st.npieces, st.ndata = 0, 0
	s.start(st, found)
	at := bufs
	for i := range n {
		p := pieces[i]
		if p.gap {
			s.passGap(st, int(p.dir), int(p.n))
			continue
		}
		m := min(int(p.n), len(at[p.dir]))
		s.deliver(st, int(p.dir), at[p.dir][:m])
		at[p.dir] = at[p.dir][m:]
	}
	if also {
		s.deliver(st, d, data)
	}
	s.mem.freePieces(pieces)
	s.mem.free(bufs[0])
	s.mem.free(bufs[1])
}

func overBit(st *stream) protocol.Transport {
	return protocol.OverTCP << transportOf(st.conn.key.proto)
}

// takeBufs takes the kept bytes of both directions away from st.
func (s *Shard) takeBufs(st *stream) (bufs [2][]byte) {
	for i := range st.half {
		h := &st.half[i]
		bufs[i], h.buf, h.frozen, h.prefix = h.buf, nil, false, 0
	}
	return bufs
}

// start gives st an analyzer of entry i.
func (s *Shard) start(st *stream, i int16) {
	e := &s.dispatch.entries[i]
	st.entry, st.an, st.phase = i, e.take(&s.dispatch.records), phaseReading
	st.flow.ClearDone()
	if i != s.dispatch.fallback && st.conn.key.proto != testudo.ICMP && st.conn.key.proto != testudo.ICMPv6 {
		s.addService(st.conn, e.Name)
	}
}

// innerBegins looks for a protocol that starts inside an unclaimed
// conversation, as TLS does after a few words in clear, and hands over to it.
func (s *Shard) innerBegins(st *stream, d int, data []byte) bool {
	if st.entry != s.dispatch.fallback || st.inner >= maxInner || st.conn.key.proto != testudo.TCP || st.conn.want >= 0 {
		return false
	}
	st.inner++
	var view [2][]byte
	view[d] = data[:min(len(data), probeBytes)]
	for _, i := range s.dispatch.inner {
		if s.dispatch.entries[i].Probe(st.flow.ID, view[0], view[1]) == protocol.Yes {
			s.stats.Claimed++
			s.endAnalyzer(st)
			s.freeBuf(&st.half[0])
			s.freeBuf(&st.half[1])
			s.start(st, i)
			s.read(st, d, data)
			return true
		}
	}
	return false
}

// read hands bytes or a message to the analyzer and keeps what it leaves.
func (s *Shard) read(st *stream, d int, data []byte) {
	h := &st.half[d]
	s.dispatch.cur = st
	f, dir := &st.flow, protocol.Dir(d)
	if st.conn.key.proto != testudo.TCP {
		st.an.Data(f, dir, data)
		for _, a := range st.more {
			a.Data(f, dir, data)
		}
		s.after(st, d, nil)
		return
	}
	kept := len(h.buf) > 0
	if kept {
		if !s.keep(st, d, data) {
			s.gap(st, d, len(data))
			return
		}
		data = h.buf
	}
	n := min(max(st.an.Data(f, dir, data), 0), len(data))
	rest := data[n:]
	if st.handing || f.IsDone() {
		s.after(st, d, rest)
		return
	}
	switch {
	case len(rest) == 0:
		s.freeBuf(h)
	case kept:
		h.buf = h.buf[:copy(h.buf, rest)]
	case !s.keep(st, d, rest):
		s.gap(st, d, len(rest))
	}
}

// readGap tells the analyzer of a gap.
func (s *Shard) readGap(st *stream, d, n int) {
	s.dispatch.cur = st
	st.an.Gap(&st.flow, protocol.Dir(d), n)
	for _, a := range st.more {
		a.Gap(&st.flow, protocol.Dir(d), n)
	}
	s.after(st, d, nil)
}

// after does what the analyzer asked for in its call. rest is what it left
// of direction d; it may lie in the direction's buffer.
func (s *Shard) after(st *stream, d int, rest []byte) {
	switch {
	case st.handing:
		s.handover(st, d, rest)
	case st.flow.IsDone():
		s.finish(st)
	}
}

// handover passes all bytes not consumed to the next protocol.
func (s *Shard) handover(st *stream, d int, rest []byte) {
	st.handing = false
	s.endAnalyzer(st)
	bufs := s.takeBufs(st)
	next, known := s.dispatch.names[st.heir]
	if st.hops++; st.hops > maxHops || (st.heir != "" && !known) {
		st.phase = phaseOff
	} else if known {
		s.stats.Claimed++
		s.start(st, next)
	} else {
		st.phase, st.entry, st.refused = phaseProbing, -1, [2]uint64{}
		st.npieces, st.ndata = 0, 0
	}
	left := bufs
	left[d] = rest
	for i, b := range left {
		if len(b) > 0 {
			s.deliver(st, i, b)
		}
	}
	s.mem.free(bufs[0])
	s.mem.free(bufs[1])
}

// endAnalyzer gives the analyzer its End and takes it back.
func (s *Shard) endAnalyzer(st *stream) {
	if st.an == nil {
		return
	}
	s.dispatch.cur = st
	a, i := st.an, st.entry
	a.End(&st.flow)
	s.dispatch.entries[i].give(a)
	if len(st.more) > 0 {
		for k, a := range st.more {
			a.End(&st.flow)
			s.dispatch.entries[s.dispatch.over[icmpIndex][k+1]].give(a)
		}
		clear(st.more)
		st.more = st.more[:0]
	}
	st.an, st.handing = nil, false
}

// finish ends the analyzer; the stream is released by settle.
func (s *Shard) finish(st *stream) {
	s.endAnalyzer(st)
	st.phase = phaseOff
}

// addService appends a service to the conn's, if it is not there yet.
func (s *Shard) addService(c *conn, name string) {
	list := s.services.name(c.service)
	switch {
	case name == "" || len(name) > maxServiceName || len(list) > maxServiceList-1-maxServiceName || hasService(list, name):
		return
	case list == "":
		c.service = s.services.number(name)
	default:
		c.service = s.services.joined(c.service, name)
	}
}

// services numbers the lists of services that conns have; 0 is none.
type services struct {
	lists []string
	joins []join // what became of a list to which a name was added
}

// join is a list with one more name.
type join struct {
	list, with uint16
	name       string
}

// A list and a name in it are no longer than this.
const maxServiceList, maxServiceName = 321, 64

// maxServices bounds how many lists a shard tells apart. Conversations that
// changed hands in ever new ways keep what they had.
const maxServices = 1024

// name returns the list of a number.
func (q *services) name(i uint16) string {
	if i == 0 {
		return ""
	}
	return q.lists[i-1]
}

// number returns the number of a list, 0 when there are too many.
func (q *services) number(list string) uint16 {
	if list == "" {
		return 0
	}
	for i := range q.lists {
		if q.lists[i] == list {
			return uint16(i + 1)
		}
	}
	if len(q.lists) >= maxServices {
		return 0
	}
	q.lists = append(q.lists, strings.Clone(list))
	return uint16(len(q.lists))
}

// joined returns the number of a list with name added, that of the list where
// there are too many.
func (q *services) joined(list uint16, name string) uint16 {
	for i := range q.joins {
		if q.joins[i].list == list && q.joins[i].name == name {
			return q.joins[i].with
		}
	}
	with := q.number(q.name(list) + "," + name)
	if with == 0 {
		return list
	}
	q.joins = append(q.joins, join{list, with, name})
	return with
}

func hasService(list, name string) bool {
	for len(list) > 0 {
		n := strings.IndexByte(list, 0x2c)
		if n < 0 {
			return list == name
		}
		if list[:n] == name {
			return true
		}
		list = list[n+1:]
	}
	return false
}
