// Package dns reads DNS (RFC 1035) over UDP and TCP, and its relatives that
// share the format: multicast DNS (RFC 6762), LLMNR (RFC 4795) and NetBIOS
// names (RFC 1002). It pairs each question with its answer and writes one
// record a pair; see message.go for the wire format and answer.go for what
// the answers look like as text.
package dns

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/protocol"
)

const (
	maxPending   = 64               // open questions a conversation; beyond it the oldest counts as unanswered
	maxQuestions = 16               // questions read from one message
	maxAnswers   = 128              // answers kept of one message
	maxWeirds    = 8                // weirds a conversation
	patience     = 30 * time.Second // after this a question counts as unanswered
)

// Ports with a meaning of their own.
const (
	portNetBIOS = 137
	portMDNS    = 5353
)

// Protocol describes DNS. Analyzers of one shard share their slabs.
func Protocol() protocol.Protocol {
	return protocol.Protocol{
		Name:  "dns",
		Over:  protocol.OverUDP | protocol.OverTCP,
		Ports: []uint16{53, portMDNS, 5355, portNetBIOS},
		Probe: probe,
		Open: func(records *protocol.Records) func() protocol.Analyzer {
			s := &shard{records: records}
			return func() protocol.Analyzer { return &analyzer{shard: s} }
		},
	}
}

// shard is what the analyzers of one shard share: slabs for what outlives a
// call, and room for one message's answers.
type shard struct {
	records *protocol.Records
	texts   protocol.Slab[string]
	ttls    protocol.Slab[time.Duration]
	addrs   protocol.Slab[netip.Addr]

	name [maxText]byte
	text []byte
	reply
}

// question is one that still waits for its answer.
type question struct {
	at                      testudo.Time
	query                   string
	id, kind, class, header uint16
	size                    int32
	dir                     protocol.Dir
}

type analyzer struct {
	*shard
	pending []question // in the order asked
	weirds  int
}

// Data implements protocol.Analyzer. Over TCP each message follows its
// length in two bytes (RFC 1035, 4.2.2).
func (a *analyzer) Data(f *protocol.Flow, dir protocol.Dir, data []byte) int {
	if f.ID.Proto != testudo.TCP {
		a.message(f, dir, data)
		return len(data)
	}
	used := 0
	for len(data)-used >= 2 {
		n := int(binary.BigEndian.Uint16(data[used:]))
		if len(data)-used < 2+n {
			break
		}
		a.message(f, dir, data[used+2:used+2+n])
		used += 2 + n
		if f.IsDone() {
			return len(data)
		}
	}
	return used
}

// Gap implements protocol.Analyzer. A TCP stream cannot be framed anew after
// a loss.
func (a *analyzer) Gap(f *protocol.Flow, _ protocol.Dir, _ int) {
	if f.ID.Proto == testudo.TCP {
		f.Done()
	}
}

// End implements protocol.Analyzer: what nobody answered is written now.
func (a *analyzer) End(f *protocol.Flow) {
	for i := range a.pending {
		a.emitUnanswered(f, &a.pending[i])
	}
	a.pending = a.pending[:0]
}

// Resting implements protocol.Resting: every question was answered.
func (a *analyzer) Resting() bool { return len(a.pending) == 0 && a.weirds == 0 }

// Reset implements protocol.Analyzer.
func (a *analyzer) Reset() {
	clear(a.pending[:cap(a.pending)])
	*a = analyzer{shard: a.shard, pending: a.pending[:0]}
}

func (a *analyzer) message(f *protocol.Flow, dir protocol.Dir, data []byte) {
	m := message(data)
	if len(m) < headerLen {
		a.weird(f, "DNS_truncated_len_lt_hdr_len")
		if f.ID.Proto == testudo.TCP {
			f.Done() // this is no framing of DNS
		}
		return
	}
	if m.isReply() {
		a.readReply(f, dir, m)
	} else {
		a.readQuery(f, dir, m)
	}
}

func (a *analyzer) readQuery(f *protocol.Flow, dir protocol.Dir, m message) {
	for len(a.pending) > 0 && f.Now.Sub(a.pending[0].at) > patience {
		a.drop(f)
	}
	if m.count(sectionQuestion) == 0 {
		a.weird(f, "dns_query_without_question")
		return
	}
	// What is asked of everybody is answered, if at all, in another
	// conversation: nothing to wait for.
	alone := f.ID.Resp.Port() == portMDNS && dir == protocol.Orig && f.ID.Resp.Addr().IsMulticast()
	off := headerLen
	for range min(m.count(sectionQuestion), maxQuestions) {
		name, kind, class, next, ok := m.question(off, a.name[:0])
		if !ok {
			a.weird(f, "DNS_truncated_quest_too_short")
			return
		}
		off = next
		q := question{
			at: f.Now, query: f.Intern(netbiosName(f.ID, kind, name)), id: m.id(),
			kind: kind, class: cleanClass(f.ID, class), header: m.flags(),
			size: int32(len(m)), dir: dir,
		}
		switch {
		case alone:
			a.emitUnanswered(f, &q)
		case a.find(q.id, q.dir, q.query, q.kind) < 0: // else it is asked again
			if len(a.pending) >= maxPending {
				a.drop(f)
			}
			a.pending = append(a.pending, q)
		}
	}
}

// find returns the open question with this identity, -1 for none.
func (a *analyzer) find(id uint16, asker protocol.Dir, query string, kind uint16) int {
	for i := range a.pending {
		q := &a.pending[i]
		if q.id == id && q.dir == asker && q.kind == kind && q.query == query {
			return i
		}
	}
	return -1
}

// take removes and returns the i-th open question.
func (a *analyzer) take(i int) question {
	q := a.pending[i]
	copy(a.pending[i:], a.pending[i+1:])
	a.pending[len(a.pending)-1] = question{}
	a.pending = a.pending[:len(a.pending)-1]
	return q
}

// drop gives up on the oldest open question.
func (a *analyzer) drop(f *protocol.Flow) {
	q := a.take(0)
	a.emitUnanswered(f, &q)
}

func (a *analyzer) emitUnanswered(f *protocol.Flow, q *question) {
	r := a.records.DNS()
	q.fill(f, r)
	f.Emit(r)
}

// fill writes the question's half of a record.
func (q *question) fill(f *protocol.Flow, r *testudo.DNS) {
	r.Time = q.at
	r.TransID = q.id
	r.QuerySize = int(q.size)
	r.RD = q.header&flagRD != 0
	r.TC = q.header&flagTC != 0
	r.Z = q.header >> 4 & 7
	setQuestion(f, r, q.query, q.kind, q.class)
}

func setQuestion(f *protocol.Flow, r *testudo.DNS, query string, kind, class uint16) {
	r.Query = query
	r.QType, r.QClass = kind, class
	r.QTypeName, r.QClassName = typeName(f, kind), className(f, class)
}

func (a *analyzer) weird(f *protocol.Flow, name string) {
	if a.weirds < maxWeirds {
		a.weirds++
		f.Weird("DNS", name, "")
	}
}

// cleanClass drops the top bit that multicast DNS uses for other ends.
func cleanClass(id testudo.ConnID, class uint16) uint16 {
	if id.Resp.Port() == portMDNS || id.Orig.Port() == portMDNS {
		return class &^ 0x8000
	}
	return class
}

func isNetBIOS(id testudo.ConnID) bool {
	return id.Proto == testudo.UDP && (id.Resp.Port() == portNetBIOS || id.Orig.Port() == portNetBIOS)
}

// netbiosName turns a first-level encoded NetBIOS name (RFC 1001, 14.1) into
// the name it stands for, in place; others are returned as they are.
func netbiosName(id testudo.ConnID, kind uint16, name []byte) []byte {
	if kind != typeNB && kind != typeNBSTAT || !isNetBIOS(id) || len(name) < 32 {
		return name
	}
	var b [16]byte
	for i := range b {
		hi, lo := name[2*i]-'a', name[2*i+1]-'a'
		if hi > 15 || lo > 15 {
			return name
		}
		b[i] = hi<<4 | lo
	}
	end := 15 // the 16th byte is the kind of service
	for end > 0 && (b[end-1] == ' ' || b[end-1] == 0) {
		end--
	}
	return appendText(name[:0], b[:end], true)
}
