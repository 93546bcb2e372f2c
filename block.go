package testudo

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// Action is what a course of action does, by the contract's word.
type Action string

// The actions, the narrowest first.
const (
	// Sinkhole answers questions for a name, and all below it, with nothing or
	// with an address of ours.
	Sinkhole Action = "sinkhole"
	// DropService drops what certain hosts of ours exchange with one port of a
	// server.
	DropService Action = "drop-service"
	// DropServer drops what any host of ours exchanges with a server.
	DropServer Action = "drop-server"
	// Limit lets only so many packets a second of an aggregate through.
	Limit Action = "limit"
	// DropSources drops an aggregate.
	DropSources Action = "drop-sources"
	// Isolate drops all that a host of ours exchanges, but for what lets it be
	// cleaned. A person always decides it.
	Isolate Action = "isolate"
)

// Course is a course of action: one way to defuse an incident.
type Course struct {
	Action   Action
	Name     string         // of Sinkhole, in lower case, without the last dot
	Server   netip.Addr     // of DropService and DropServer
	Hosts    []netip.Addr   // of DropService and Isolate: ours, sorted
	Sources  []netip.Prefix // of Limit and DropSources: who sends, sorted; none is anybody
	Target   netip.Prefix   // of Limit and DropSources: where to, ours
	Proto    Proto          // of DropService, Limit and DropSources; 0 is any
	Port     uint16         // of the server, or of the target; 0 is any
	FromPort uint16         // of Limit and DropSources: the sources' port, as of a reflection; 0 is any
	Rate     int            // of Limit: packets a second that pass
	Shape    Shape          // of Limit and DropSources: which packets; the zero one is all
}

// Shape narrows an aggregate to packets of one look. All that is set must
// hold.
type Shape struct {
	SYN      bool   // TCP connection requests: SYN without ACK
	Stray    bool   // of no conversation that is known
	Fragment bool   // pieces of a datagram but the first
	Above    uint16 // longer than so many bytes, from the IP header on; 0 is any
	Below    uint16 // shorter
}

// String says which packets in words, with a blank before each: " that ask
// for a connection".
func (s Shape) String() string {
	var b strings.Builder
	for _, w := range [...]struct {
		set  bool
		text string
	}{
		{s.SYN, " that ask for a connection"},
		{s.Stray, " that belong to no conversation"},
		{s.Fragment, " that are fragments"},
		{s.Above > 0, fmt.Sprintf(" above %d bytes", s.Above)},
		{s.Below > 0, fmt.Sprintf(" below %d bytes", s.Below)},
	} {
		if w.set {
			b.WriteString(w.text)
		}
	}
	return b.String()
}

// Entity says what the course is about: "domain:cdn-upd.example",
// "address:203.0.113.7", "host:10.0.0.5", "aggregate:198.51.100.20/32".
func (c *Course) Entity() string {
	switch c.Action {
	case Sinkhole:
		return "domain:" + c.Name
	case DropService, DropServer:
		return "address:" + c.Server.String()
	case Isolate:
		words := make([]string, len(c.Hosts))
		for i, h := range c.Hosts {
			words[i] = h.String()
		}
		return "host:" + strings.Join(words, ",")
	}
	return "aggregate:" + c.Target.String()
}

// BlockState is where a block is in its life.
type BlockState string

// The states. A block begins proposed; refused, expired, undone and withdrawn
// end it.
const (
	BlockProposed  BlockState = "proposed"
	BlockApplied   BlockState = "applied"
	BlockRefused   BlockState = "refused"   // by the protected list, a gate or the budget
	BlockExpired   BlockState = "expired"   // its time was over
	BlockUndone    BlockState = "undone"    // by a person
	BlockWithdrawn BlockState = "withdrawn" // by us, as it cut a bystander or its incident was closed
)

// Block is a course of action that was decided: with an incident, a reason, an
// end and a way back.
type Block struct {
	ID         string // BLK- and 12 characters, from incident, course and time
	Incident   string
	Course     Course
	Reason     string // in a sentence
	Author     string // who decided: a person's name, or "testudo" in mode auto
	Made       Time   // when it was decided; the wall clock's
	Until      Time   // when it ends by itself; after Made
	State      BlockState
	Ended      Time   // when it ended, 0 before
	EndReason  string // why, in a sentence
	Rehearsal  Rehearsal
	Confidence float64 // of the incident when it was decided
}

// CutRole is what a host that a block cuts is to its incident.
type CutRole string

// The roles.
const (
	CutVictim    CutRole = "victim"    // of this incident
	CutSuspect   CutRole = "suspect"   // first seen with it after the incident began
	CutBystander CutRole = "bystander" // used it for something else before
)

// Cut is a host that a course would have cut, and from how much.
type Cut struct {
	Host        Victim
	Role        CutRole
	Times       int64 // conns, or questions for a name
	Bytes       int64 // both ways
	First, Last Time
}

// Rehearsal is a course replayed against what was recorded.
type Rehearsal struct {
	Span              // that was asked about
	Coverage Coverage // of it
	Hours    float64  // that were recorded of it, on the best recorded link
	Seen     Time     // when what would be blocked was first seen in it; 0 for never
	Cuts     []Cut    // victims, suspects, bystanders; each by how often, then address
	Conns    int64    // of all that were recorded, for the share of a flood's harm
}

// Count returns how many hosts of a role would have been cut.
func (r *Rehearsal) Count(role CutRole) (n int) {
	for i := range r.Cuts {
		if r.Cuts[i].Role == role {
			n++
		}
	}
	return n
}

// Proves tells whether the rehearsal says anything about harm: a day at least
// must have been recorded.
func (r *Rehearsal) Proves() bool { return r.Hours >= 24 }

// DefaultLife returns how long a block of a course lasts unless it is renewed.
func (c *Course) DefaultLife() time.Duration {
	if c.Action == Sinkhole {
		return 24 * time.Hour
	}
	return 4 * time.Hour
}

// String says in words what the course does.
func (c *Course) String() string {
	port := ""
	if c.Port != 0 {
		port = fmt.Sprintf(":%d", c.Port)
	}
	what := "what comes from anywhere"
	if len(c.Sources) > 0 {
		what = fmt.Sprintf("what comes from %d networks", len(c.Sources))
		if len(c.Sources) == 1 {
			what = "what comes from " + c.Sources[0].String()
		}
	}
	switch c.Action {
	case Sinkhole:
		return "sinkhole " + c.Name
	case DropService:
		return fmt.Sprintf("drop %s%s for %d of our hosts", c.Server, port, len(c.Hosts))
	case DropServer:
		return "drop " + c.Server.String() + " for all of our hosts"
	case Limit:
		return fmt.Sprintf("let %d packets/s of %s to %s%s%s pass", c.Rate, what, c.Target, port, c.Shape)
	case DropSources:
		return fmt.Sprintf("drop %s to %s%s%s", what, c.Target, port, c.Shape)
	case Isolate:
		return "isolate " + strings.TrimPrefix(c.Entity(), "host:")
	}
	return string(c.Action)
}
