// Package protocol is what every application protocol has in common: how it
// is recognised by content, how it is fed, and what it may do with the
// conversation it reads. Each protocol is a folder below this one; flow runs
// them, cmd lists them. A protocol says what was seen and never judges.
package protocol

import (
	"bytes"
	"unsafe"

	"github.com/testudo-shield/testudo"
)

// Dir is the side that sent some bytes.
type Dir uint8

// The two sides of a conversation.
const (
	Orig Dir = iota
	Resp
)

// Reverse returns the other side.
func (d Dir) Reverse() Dir { return d ^ 1 }

// Verdict is a protocol's answer to whether some bytes are its own.
type Verdict uint8

// The verdicts. Maybe asks for more bytes.
const (
	No Verdict = iota
	Maybe
	Yes
)

// Transport is the set of transports a protocol runs over.
type Transport uint8

// The transports a protocol can name.
const (
	OverTCP Transport = 1 << iota
	OverUDP
	OverICMP
)

// Protocol describes one protocol to flow. All of it is fixed at start.
type Protocol struct {
	// Name is Zeek's service name: "dns", "ssl", "http".
	Name string
	Over Transport
	// Ports are hints: on them the protocol is probed first, and for UDP
	// datagrams too vague to tell they decide.
	Ports []uint16
	// Probe looks at the first bytes of both directions (either may be
	// empty; at most 1 KiB of each; for UDP the first datagrams) and tells
	// whether they are this protocol's. Only content may say Yes. It must
	// not keep the slices. A nil Probe is never chosen by content: the
	// protocol is only reached by Flow.Handover, or, for OverICMP, always.
	Probe func(id testudo.ConnID, orig, resp []byte) Verdict
	// Open is called once per shard and returns the function that makes
	// analyzers, so that analyzers of a shard can share slabs and tables.
	// Shards run in parallel: nothing else may be shared. Records is the
	// shard's.
	Open func(*Records) func() Analyzer
}

// Analyzer reads one conversation. It is pooled: after End and Reset it
// serves another one.
//
// Data hands over all bytes of one direction that were not consumed yet, in
// order, starting at the conversation's first byte where that was captured.
// It returns how many it is done with; the rest is kept, within the flow's
// budget, and handed over again with what follows. For UDP and ICMP data is
// one message (for ICMP from the ICMP header on, type byte first) and the
// return value is ignored. data is only valid during the call.
//
// Gap says that n bytes of a direction were lost or fell to a budget; what
// comes next does not join on. An analyzer that cannot go on calls f.Done.
//
// Truncated payload (snap length) shows as a Gap after the part captured.
//
// End says the conversation is over; what is pending is emitted now. End is
// called exactly once, also after Done.
//
// One that also implements encoding.BinaryAppender and BinaryUnmarshaler goes
// on after a restart of the shield where it was; for the others that is a Gap.
type Analyzer interface {
	Data(f *Flow, dir Dir, data []byte) int
	Gap(f *Flow, dir Dir, n int)
	End(f *Flow)
	Reset()
}

// Resting is an Analyzer of messages that can tell that it holds nothing of the
// conversation: ended now, and another one begun with the next message, it
// would write the same. So what lingers after its last answer costs little.
type Resting interface {
	Analyzer
	Resting() bool
}

// Flow is the conversation an analyzer reads. The exported fields are set by
// the flow room before each call; analyzers read them.
type Flow struct {
	ID     testudo.ConnID
	UID    testudo.UID
	Start  testudo.Time // first packet of the conversation
	Now    testudo.Time // packet that made this call; in Gap and End the last one
	Closed [2]bool      // that side sent FIN or RST
	// MidStream is set when the conversation's start was not captured.
	MidStream bool
	// MAC holds the link addresses of the packet of this call, sender first;
	// zero where the link has none.
	SrcMAC, DstMAC [6]byte

	host Host
	done bool
	text []byte // of the host, for Intern
}

// Host is what the flow room does for an analyzer; only flow implements it.
type Host interface {
	Emit(f *Flow, r testudo.Record)
	Intern(b []byte) string
	Expect(f *Flow, id testudo.ConnID, service string)
	Handover(f *Flow, service string)
	SetService(f *Flow, service string)
}

// Bind prepares f for a conversation; for flow and for tests. A host that
// also has Scratch lends its flows bytes to put interned text in.
func (f *Flow) Bind(h Host) {
	*f = Flow{host: h}
	if s, ok := h.(interface{ Scratch() []byte }); ok {
		f.text = s.Scratch()
	}
}

// Emit writes a record. Its UID and ID, and its Time where zero, are filled in.
func (f *Flow) Emit(r testudo.Record) {
	m := r.Base()
	if m.Time == 0 {
		m.Time = f.Now
	}
	if m.UID == 0 {
		m.UID = f.UID
	}
	if !m.ID.Orig.IsValid() {
		m.ID = f.ID
	}
	f.host.Emit(f, r)
}

// Weird records a protocol violation in Zeek's manner: a name with
// underscores and free detail.
func (f *Flow) Weird(source, name, addl string) {
	f.Emit(&testudo.Weird{Name: name, Addl: addl, Source: source})
}

// Intern returns b as a string, shared with earlier equal ones of the shard
// within a budget, so that what repeats costs no allocation.
func (f *Flow) Intern(b []byte) string {
	if len(b) > len(f.text) {
		return f.host.Intern(bytes.Clone(b)) // a test's host, or too long to keep
	}
	// What goes through the interface must not drag callers' arrays to the heap.
	return f.host.Intern(f.text[:copy(f.text[:], b)])
}

// Expect announces a conversation between the same two hosts that this one
// negotiated, such as an FTP data channel: whichever conn first joins id's
// responder gets service as its service. id.Orig may have port 0.
func (f *Flow) Expect(id testudo.ConnID, service string) { f.host.Expect(f, id, service) }

// Handover gives all bytes not consumed yet, and all that follow, to another
// protocol ("ssl" after STARTTLS), or has them probed anew where service is
// "" (after CONNECT). This analyzer still gets End.
func (f *Flow) Handover(service string) { f.host.Handover(f, service) }

// SetService corrects the conn's service name, say from "ssl" to "https-proxy".
func (f *Flow) SetService(service string) { f.host.SetService(f, service) }

// Done says the analyzer wants no more bytes; only End follows.
func (f *Flow) Done() { f.done = true }

// IsDone tells whether Done was called; for flow.
func (f *Flow) IsDone() bool { return f.done }

// ClearDone makes f deliver again after a Handover; for flow.
func (f *Flow) ClearDone() { f.done = false }

// slabBytes is the size of a slab's block.
const slabBytes = 8 << 10

// Slab hands out values in blocks, one allocation for many. A value lives as
// long as anything points into its block, which is why records are not kept.
type Slab[T any] struct{ free []T }

// New returns a zero value.
func (s *Slab[T]) New() *T { return &s.Take(1)[0] }

// Take returns n adjacent zero values with no room to append.
func (s *Slab[T]) Take(n int) []T {
	if n > len(s.free) {
		var v T
		s.free = make([]T, max(slabBytes/int(max(1, unsafe.Sizeof(v))), 16, n))
	}
	v := s.free[:n:n]
	s.free = s.free[n:]
	return v
}
