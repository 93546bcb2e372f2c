package packet

import (
	"encoding/binary"

	"github.com/testudo-shield/testudo"
)

// Config is what a decoder may spend. Zero values take the defaults.
type Config struct {
	// FragmentBytes is how many bytes of unfinished datagrams are held;
	// 16 MiB by default.
	FragmentBytes int
	// FragmentDatagrams is how many unfinished datagrams are held; 4,096 by
	// default.
	FragmentDatagrams int
	// Tunnels is how many carriers are taken off one packet; 8 by default.
	Tunnels int
}

// Reason says why a packet could not be read.
type Reason uint8

// The reasons, in the order in which they are counted and shown.
const (
	ShortLink    Reason = iota // the frame ends within its link header or tags
	ShortIP                    // the frame ends within its IP header
	IPVersion                  // the version is not the one announced
	IPLength                   // the IP length contradicts its header or its carrier
	Extensions                 // an IPv6 extension chain that is broken or too long
	BadFragment                // a fragment that is empty, too far out or within a joined one
	ShortHeader                // the packet ends within its transport header
	HeaderLength               // the transport header's length contradicts the IP length
	BadARP                     // an ARP message that ends early
	Reasons                    // how many reasons there are
)

var reasonNames = [Reasons]string{
	"short_link", "short_ip", "ip_version", "ip_length", "ipv6_extensions",
	"bad_fragment", "short_header", "header_length", "bad_arp",
}

// String returns the reason as counters print it.
func (r Reason) String() string {
	if r < Reasons {
		return reasonNames[r]
	}
	return "unknown"
}

// Counts is what a decoder has seen since its start.
type Counts struct {
	Frames  uint64 // all frames
	Bytes   uint64 // their bytes on the wire
	Packets uint64 // packets handed on
	Cut     uint64 // packets handed on that the snap length had cut

	UnknownLink uint64 // frames of a link type that is not read
	NotIP       uint64 // well-formed frames that carry neither IP nor ARP
	Encrypted   uint64 // wireless frames that are enciphered
	Malformed   [Reasons]uint64

	Tunnelled     uint64 // packets handed on that a tunnel had carried
	TunnelTooDeep uint64 // packets handed on with carriers left on them

	Fragments          uint64 // fragments seen
	FragmentsJoined    uint64 // datagrams put together
	FragmentsDropped   uint64 // fragments given up: budget, age or overlap
	FragmentsOverlap   uint64 // fragments that contradict earlier ones
	FragmentsDuplicate uint64 // fragments seen before
	DatagramsHeld      uint64 // unfinished datagrams in memory now
	BytesHeld          uint64 // their bytes in memory now
}

// MalformedTotal returns how many frames could not be read, for any reason.
func (c *Counts) MalformedTotal() uint64 {
	var n uint64
	for _, v := range c.Malformed {
		n += v
	}
	return n
}

// Decoder turns frames into packets. It belongs to one goroutine: the one
// that reads.
type Decoder struct {
	tunnels int
	counts  Counts
	frags   [partitions]reassembler
	depth   int // tunnels taken off the current packet
	tries   int // times the current frame was looked into
	joined  int // 1 + the depth at which the current packet was joined last
}

// New returns a decoder that stays within cfg.
func New(cfg Config) *Decoder {
	if cfg.FragmentBytes <= 0 {
		cfg.FragmentBytes = 16 << 20
	}
	if cfg.FragmentDatagrams <= 0 {
		cfg.FragmentDatagrams = 4096
	}
	if cfg.Tunnels <= 0 {
		cfg.Tunnels = 8
	}
	d := &Decoder{tunnels: min(cfg.Tunnels, 64)}
	for i := range d.frags {
		d.frags[i].init(cfg.FragmentBytes/partitions, max(1, cfg.FragmentDatagrams/partitions))
	}
	return d
}

// Counts returns what was seen so far.
func (d *Decoder) Counts() Counts {
	c := d.counts
	for i := range d.frags {
		c.DatagramsHeld += uint64(len(d.frags[i].index))
		c.BytesHeld += uint64(d.frags[i].bytes)
	}
	return c
}

// result is how far a layer was read.
type result uint8

const (
	bad  result = iota // not readable; counted
	held               // swallowed by the reassembler
	done               // the packet is complete
)

func (d *Decoder) bad(r Reason) result {
	d.counts.Malformed[r]++
	return bad
}

func (d *Decoder) notIP() result {
	d.counts.NotIP++
	return bad
}

// Decode reads one frame of a link type of tcpdump.org's registry into p,
// overwriting all of it. wire is the frame's length on the wire, of which
// data was captured. It returns false where there is nothing for the flow
// room, which Counts tells by cause; p then holds nothing of use, unless its
// Kind is KindFragment: a fragment gives no packet until the datagram's last
// one is there. An inner packet that
// cannot be read leaves the outer one as the packet.
func (d *Decoder) Decode(link uint32, t testudo.Time, wire int, data []byte, p *Packet) bool {
	wire = max(wire, len(data))
	d.counts.Frames++
	d.counts.Bytes += uint64(wire)
	d.depth, d.tries, d.joined = 0, 0, 0
	*p = Packet{} // as a literal with fields it would be built aside and copied
	p.Time = t
	var r result
	if link == linkEthernet {
		r = d.ethernet(data, wire, p)
	} else {
		r = d.link(link, data, wire, p)
	}
	if r == bad {
		p.Kind = KindNone
		return false
	}
	p.Hash = PairHash(p.Src, p.Dst)
	if r == held {
		p.Kind = KindFragment
		return false
	}
	d.counts.Packets++
	if p.Tunnel != NoTunnel {
		d.counts.Tunnelled++
	}
	if len(p.Payload) < int(p.PayloadLen) {
		d.counts.Cut++
	}
	return true
}

func be16(b []byte) uint16 { return binary.BigEndian.Uint16(b) }
func be32(b []byte) uint32 { return binary.BigEndian.Uint32(b) }
func le16(b []byte) uint16 { return binary.LittleEndian.Uint16(b) }
func le32(b []byte) uint32 { return binary.LittleEndian.Uint32(b) }
