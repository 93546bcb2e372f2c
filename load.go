package testudo

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// Load is what came to one network of at most 256 neighbours (an IPv4 /24, an
// IPv6 /64) within about a quarter of a second and belongs to no conversation
// that both ends take part in: requests nobody has answered yet, answers
// nobody asked for, strays and fragments; and, to weigh against it, how many
// of those requests were then completed. It is written only where enough came,
// one for each of the shards among which the senders are spread. Ours alone,
// Zeek has no log for it; Base's Time is that of the first packet.
type Load struct {
	Meta
	Target  netip.Prefix
	Span    time.Duration // from the first packet to the end of the step
	Count   [LoadKinds]int64
	Bytes   int64     // of what is owed, from the IP header on
	Sources [256]byte // a HyperLogLog of the senders: 256 registers, by the top eight bits of a hash
	Sample  []LoadPacket
}

// Log returns "load".
func (*Load) Log() string { return "load" }

// Owed returns how much came, and Paid how much of it was completed since.
func (l *Load) Owed() int64 {
	n := int64(0)
	for k, c := range l.Count {
		if !LoadKind(k).Paid() {
			n += c
		}
	}
	return n
}

// Paid returns how many of what is owed, now or earlier, turned out to be
// conversations.
func (l *Load) Paid() int64 {
	n := int64(0)
	for k, c := range l.Count {
		if LoadKind(k).Paid() {
			n += c
		}
	}
	return n
}

// LoadPacket is one packet of those a Load counts, drawn evenly from all.
type LoadPacket struct {
	Kind     LoadKind
	Proto    Proto
	TTL      uint8
	Flags    uint8  // of TCP, as on the wire
	Size     uint16 // from the IP header on
	Src, Dst netip.AddrPort
	SrcLocal bool // set by annotate
}

// LoadKind is what a packet outside of any conversation is.
type LoadKind uint8

// The kinds of what is owed, then those of what was paid.
const (
	LoadSYN         LoadKind = iota // a TCP conversation is asked for
	LoadAnswer                      // SYN-ACK or RST to no question
	LoadStray                       // any other TCP segment of no conversation
	LoadDatagram                    // UDP that was not answered
	LoadICMP                        // a question or information
	LoadError                       // an ICMP error
	LoadFragment                    // a piece of a datagram that is not whole yet
	LoadOther                       // any other transport
	LoadCompleted                   // of LoadSYN: the handshake was
	LoadContinued                   // of LoadStray, LoadAnswer: a conversation whose beginning was missed
	LoadReplied                     // of the datagrams, ICMP and others: an answer came
	LoadReassembled                 // of LoadFragment: the datagram is whole
	LoadKinds                       // how many there are
)

// Paid tells whether the kind takes away from what is owed.
func (k LoadKind) Paid() bool { return k >= LoadCompleted }

// Aggregate describes a class of packets to one target: the narrowest that
// holds most of an attack and least of what is ordinary there. All
// conditions that are set must hold.
type Aggregate struct {
	Target     netip.Prefix   `json:"target"`
	Proto      Proto          `json:"proto,omitempty"`
	SourcePort uint16         `json:"source_port,omitempty"`
	TargetPort uint16         `json:"target_port,omitempty"`
	Above      int            `json:"larger_than,omitempty"`  // bytes of IP
	Below      int            `json:"smaller_than,omitempty"` // likewise
	Stray      bool           `json:"no_conversation,omitempty"`
	SYN        bool           `json:"syn,omitempty"`
	Fragment   bool           `json:"fragment,omitempty"`
	Sources    []netip.Prefix `json:"sources,omitempty"`

	Removed float64 `json:"removed"` // share of the attack it holds
	Harm    float64 `json:"harm"`    // share of the target's ordinary conversations it holds
	Known   int     `json:"known"`   // ordinary conversations Harm was measured on
}

// String returns the class in words: "udp from port 53 to 198.51.100.20,
// larger than 512 bytes".
func (a Aggregate) String() string {
	var b strings.Builder
	switch {
	case a.Fragment:
		b.WriteString("fragments")
	case a.Proto == 0:
		b.WriteString("everything")
	default:
		b.WriteString(a.Proto.String())
	}
	if a.SYN {
		b.WriteString(" connection requests")
	}
	if a.SourcePort != 0 {
		fmt.Fprintf(&b, " from port %d", a.SourcePort)
	}
	if len(a.Sources) > 0 {
		b.WriteString(" from ")
		for i, p := range a.Sources {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(plain(p))
		}
	}
	b.WriteString(" to ")
	b.WriteString(plain(a.Target))
	if a.TargetPort != 0 {
		fmt.Fprintf(&b, " port %d", a.TargetPort)
	}
	if a.Above > 0 {
		fmt.Fprintf(&b, ", larger than %d bytes", a.Above)
	}
	if a.Below > 0 {
		fmt.Fprintf(&b, ", smaller than %d bytes", a.Below)
	}
	if a.Stray {
		b.WriteString(", that belong to no conversation")
	}
	return b.String()
}

// plain writes a prefix, or the address where it holds but one.
func plain(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}
