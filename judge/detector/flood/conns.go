package flood

import (
	"net/netip"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/detector"
)

// This file counts conversations that ended without an answer, in slots of
// ten seconds: what a source of finished conversations (a Zeek log, a flow
// export) can tell, and floods too thin to show as load.

// shape is what the packets look like.
type shape uint8

const (
	synIn        shape = iota // connection requests that got no answer or no completion
	answersIn                 // TCP answers to a host that asked nothing
	reflectedIn               // UDP answers from one service port of many machines
	datagramsIn               // other one-way datagrams
	icmpIn                    // one-way ICMP
	leases                    // requests for an address by ever new machines
	backscatter               // our host answers those who never asked
	synOut                    // our host asks one target and gets nothing
	datagramsOut              // our host sends one target and gets nothing
)

type key struct {
	host   netip.Addr
	shape  shape
	target netip.Addr // for what goes out
}

func (k key) sum(h detector.Hash) detector.Hash {
	return h.Addr(k.host).Addr(k.target).Word(uint64(k.shape))
}

// occurrence is what one record means to this detector.
type occurrence struct {
	key
	partner netip.Addr
	port    uint16 // the port that is hit, or for answers the one they come from
	packets float64
	bytes   int64
	at      testudo.Time
	span    time.Duration // over which the packets came
	within  bool          // both ends are ours
	uid     testudo.UID
	mac     string
	mute    bool // without payload
}

// event reads a record; false if it is no part of any flood.
func event(r testudo.Record) (o occurrence, ok bool) {
	switch r := r.(type) {
	case *testudo.Conn:
		return connEvent(r)
	case *testudo.DHCP:
		if len(r.MessageTypes) == 0 || r.MAC == "" || !r.ID.Resp.IsValid() {
			return o, false
		}
		o = occurrence{partner: r.ID.Orig.Addr(), port: 67, packets: 1, at: r.Time, uid: r.UID, mac: r.MAC}
		// Servers are many to a broadcast; the service is what suffers.
		o.key = key{host: netip.AddrFrom4([4]byte{255, 255, 255, 255}), shape: leases}
		return o, true
	}
	return o, false
}

func connEvent(c *testudo.Conn) (o occurrence, ok bool) {
	if c.Delta.OrigPkts+c.Delta.RespPkts == 0 {
		return o, false
	}
	orig, resp := c.ID.Orig, c.ID.Resp
	to := resp.Addr()
	if to.IsMulticast() || to.IsUnspecified() || to == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		return o, false
	}
	o = occurrence{
		partner: orig.Addr(), port: resp.Port(), at: c.Time, uid: c.UID,
		packets: float64(c.Delta.OrigPkts), bytes: c.OrigIPBytes,
	}
	if c.Interim || c.Delta.Duration < c.Duration {
		o.at = c.Time.Add(c.Duration - c.Delta.Duration)
	}
	o.span = min(max(0, c.Delta.Duration), 5*time.Minute)
	o.within = c.About.OrigLocal && c.About.RespLocal
	outbound := c.About.OrigLocal && !c.About.RespLocal
	switch c.ID.Proto {
	case testudo.TCP:
		o.span = 0
		switch {
		case c.OrigPkts == 0:
			o.packets, o.bytes, o.port = float64(c.Delta.RespPkts), c.RespIPBytes, resp.Port()
			o.mute = c.RespBytes == 0
			if c.About.RespLocal && !c.About.OrigLocal {
				o.key = key{host: to, shape: backscatter}
				return o, true
			}
			o.key, o.partner = key{host: orig.Addr(), shape: answersIn}, to
			return o, true
		case c.State == "S0" && c.OrigBytes == 0 && c.OrigPkts <= 4 || c.State == "S1" && c.OrigPkts == 1:
			o.packets = 1 // what is sent again is still one request
			o.key = key{host: to, shape: synIn}
			if outbound {
				o.key, o.partner = key{host: orig.Addr(), shape: synOut, target: to}, orig.Addr()
			}
			return o, true
		}
	case testudo.UDP:
		if c.RespPkts > 0 {
			return o, false
		}
		switch {
		case outbound:
			o.key, o.partner = key{host: orig.Addr(), shape: datagramsOut, target: to}, orig.Addr()
		case serves(orig.Port()) && !serves(resp.Port()):
			o.key, o.port = key{host: to, shape: reflectedIn}, orig.Port()
		default:
			o.key = key{host: to, shape: datagramsIn}
		}
		return o, true
	case testudo.ICMP, testudo.ICMPv6:
		if c.RespPkts == 0 && !outbound && orig.Port() != 134 && orig.Port() != 135 && orig.Port() != 136 {
			o.key = key{host: to, shape: icmpIn}
			return o, true
		}
	}
	return o, false
}

// spread counts the packets of a record in the slots it covers.
func (l *level) spread(o *occurrence) {
	from, to := int64(o.at)/int64(slot), int64(o.at.Add(o.span))/int64(slot)
	share := o.packets / float64(to-from+1)
	for n := max(from, to-int64(len(l.slots))+1); n <= to; n++ {
		c := &l.slots[uint64(n)%uint64(len(l.slots))]
		if c.slot > n {
			continue // long over
		}
		if c.slot < n {
			*c = count{slot: n}
		}
		c.packets += share
		l.peak = max(l.peak, c.packets)
	}
}

// serves tells whether a port is one that services listen on rather than one
// that clients are given.
func serves(port uint16) bool { return port < 32768 }

// level is the state of one flood, or of its absence.
type level struct {
	first, last    testudo.Time
	slots          [32]count // the latest ones; a report may cover five minutes
	peak           float64   // packets in the fullest slot
	packets, bytes float64
	within         float64 // packets between machines of ours
	mute           float64 // packets of answers without payload
	sources, ports detector.Distinct
	common         uint16 // the port most hit (majority vote)
	votes          int
	onCommon       float64
	some           [8]netip.Addr
	named          int
	uids           [16]testudo.UID
	conns          int
	claimed        float64
}

type count struct {
	slot    int64
	packets float64
}

// unanswered counts what one record means.
func (m *memory) unanswered(o *occurrence, out *detector.Out) {
	l, isNew := m.levels.Put(o.key)
	if isNew {
		l.first, l.last = o.at, o.at
	}
	l.add(o)
	if l.peak > quiet {
		m.levels.Keep(o.key, true)
	}
	if s := l.strength(o.shape); s >= first && s >= 2*l.claimed {
		l.claimed = s
		l.tell(o.key, out)
	}
}

func (l *level) add(o *occurrence) {
	l.first, l.last = min(l.first, o.at), max(l.last, o.at.Add(o.span))
	l.spread(o)
	l.packets += o.packets
	l.bytes += float64(o.bytes)
	h := detector.AddrKey(o.partner)
	if o.mac != "" {
		h = detector.NameKey(o.mac)
	}
	l.sources.Add(h)
	l.ports.Add(uint64(o.port) * 0xbf58476d1ce4e5b9)
	switch {
	case l.votes == 0:
		l.common, l.votes, l.onCommon = o.port, 1, o.packets
	case l.common == o.port:
		l.votes++
		l.onCommon += o.packets
	default:
		l.votes--
	}
	if o.mute {
		l.mute += o.packets
	}
	if o.within {
		l.within += o.packets
	}
	known := false
	for _, a := range l.some[:l.named] {
		known = known || a == o.partner
	}
	if !known && l.named < len(l.some) {
		l.some[l.named] = o.partner
		l.named++
	}
	if l.conns < len(l.uids) {
		l.uids[l.conns] = o.uid
	}
	l.conns++
}

func (l *level) tell(k key, out *detector.Out) {
	if s := l.claim(k); s.Score() >= unlikely {
		out.Claim(s)
	}
}

// strength is how strong the flood is in packets per ten seconds. What our
// host answers is only an echo, thinned by our own line and limits: there the
// number of those who never asked counts, however long it takes.
func (l *level) strength(s shape) float64 {
	if s == backscatter {
		return max(l.peak, float64(l.sources.Count()))
	}
	return l.peak
}

func (l *level) length() time.Duration { return l.last.Sub(l.first) }
