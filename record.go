package testudo

import (
	"net/netip"
	"time"
)

// A Record is a neutral fact that sense wrote down. The concrete types are
// in this package: Conn, DNS, TLS, HTTP and so on; readers switch on the type.
//
// A field's `log` tag is its Zeek name and, after a comma, how it is written
// where the Go type does not say: "port", "set". Fields without a tag are
// ours alone and do not appear in Zeek-compatible logs.
//
// A record is only valid while it is handed over. Strings in it may be kept;
// slices must be copied.
type Record interface {
	// Log is the name of the Zeek log the record belongs to: "conn", "dns".
	Log() string
	// Base is what all records share. It is never nil.
	Base() *Meta
}

// Meta is what all records share: when, which conversation, and, once
// annotate has seen it, what the world knew.
type Meta struct {
	Time  Time    // ts: when the fact began
	UID   UID     // conn it belongs to, 0 for none
	ID    ConnID  // its two ends
	About Context // set by annotate, empty before
}

// Base returns m, so that embedding Meta makes a Record.
func (m *Meta) Base() *Meta { return m }

// Context is what was known about a record's two ends when it happened. Only
// annotate writes it; detectors read it instead of looking things up.
type Context struct {
	OrigLocal, RespLocal bool

	// Host is the machine of ours the record is about: the originator if it
	// is local, else the responder if that is local, else invalid. Peer is
	// the other end, Outbound whether Host began the conversation.
	Host, Peer netip.Addr
	Outbound   bool

	// Name is what Host calls Peer: the TLS or QUIC server name, the HTTP
	// host, or the DNS name this host had resolved to the address, whichever
	// is known best; empty if it used the bare address. NameBy says which:
	// "tls", "http", "dns". Domain is Name's registered domain.
	Name, NameBy, Domain string

	// QueryDomain is, on a DNS record, the registered domain of the name that
	// was asked for, the name itself where it has none; QueryPublic whether
	// the public suffix list knows its suffix, so that somebody can have
	// registered it.
	QueryDomain string
	QueryPublic bool
	// QueryUsers is, on a DNS record, how many of our hosts have gone to a
	// place of that domain until now; -1 where nobody was seen to go anywhere.
	QueryUsers int

	// HostsSeen is how many machines of ours exist in this traffic so far,
	// PeerHosts how many of them have used Peer (its Domain where known)
	// until now, this one included.
	HostsSeen, PeerHosts int
	// PeerSince is when our network first used Peer (its Domain where
	// known), HostSince when this Host first did.
	PeerSince, HostSince Time
	// Known is how long this input had been watched when the record happened,
	// silences of more than half a day apart: below a day "first seen" says
	// little.
	Known time.Duration

	// Shared says the peer serves many unrelated names here or is on a list
	// of shared infrastructure; PeerNames how many registered domains were
	// resolved to its address, 5 standing for more than four.
	Shared    bool
	PeerNames int
	// KeyPeers is, on a TLS record that shows the server's certificate, at
	// how many places (registered domains, addresses where no name is known)
	// our hosts have met that server's key until now, this one included; 0
	// where no certificate shows.
	// KeyAlso is one of the others.
	KeyPeers int
	KeyAlso  string

	// PrintHosts is, on a TLS record, how many machines of ours have shown
	// the client's fingerprint until now, this one included; PrintSince when
	// the first one did. 0 where no fingerprint shows.
	PrintHosts int
	PrintSince Time

	// Hits are indicators that match anything in the record.
	Hits []Hit
}

// A Hit is an indicator that matched an observable of a record: what a source
// says of the value, not that the source is right.
type Hit struct {
	Value      string        // the indicator in its one form; the prefix or the domain where a wider one matched
	Type       IndicatorType // of the indicator
	Field      string        // what matched: "resp", "query", "server_name"
	Source     string        // the list, feed or event it came from
	Note       string        // what the source says of it
	Threats    []string      // groups, software and techniques the source names; shared, never changed
	Listed     Time          // when the source last saw it bad, first where it says only that; 0 where it does not say
	Confidence int           // 0 to 100 as the source says; -1 where it does not
	TLP        TLP           // to whom it may be shown
	Marks      Marks         // reasons not to act on it alone, at the record's time
	More       int           // how many sources beyond those given list the value; on its last hit
}

// Weird is a protocol violation worth keeping. It is no sighting.
type Weird struct {
	Meta
	Name   string `log:"name"`
	Addl   string `log:"addl"`
	Source string `log:"source"`
}

// Log returns "weird".
func (*Weird) Log() string { return "weird" }
