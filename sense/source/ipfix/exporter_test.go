package ipfix

import (
	"cmp"
	"io"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/testudo-shield/testudo/sense/source"
	"github.com/testudo-shield/testudo/test/wire"
)

// cache is a router's flow cache: it sees packets and exports one-way flows,
// after a while of silence, or of activity.
type cache struct {
	flows            map[cacheKey]*oneWay
	inactive, active time.Duration
	export           func(at time.Time, f oneWay)
	swept            time.Time
}

type cacheKey struct {
	src, dst netip.AddrPort
	proto    uint8
	icmp     uint16
}

func (c *cache) see(at time.Time, s *segment) {
	if at.Sub(c.swept) > time.Second {
		c.sweep(at)
	}
	k := cacheKey{netip.AddrPortFrom(s.src, s.sport), netip.AddrPortFrom(s.dst, s.dport), uint8(s.proto), s.icmp}
	f := c.flows[k]
	if f == nil {
		f = &oneWay{src: k.src, dst: k.dst, proto: k.proto, icmp: k.icmp, first: at}
		c.flows[k] = f
	}
	f.last = at
	f.flags |= s.flags
	f.pkts++
	f.bytes += int64(s.length)
}

// sweep exports what is due, in an order of its own.
func (c *cache) sweep(at time.Time) {
	c.swept = at
	var due []oneWay
	for k, f := range c.flows {
		switch {
		case f.flags&(flagFIN|flagRST) != 0 && at.Sub(f.last) > time.Second:
			f.reason = 3
		case at.Sub(f.last) > c.inactive:
			f.reason = 1
		case at.Sub(f.first) > c.active:
			f.reason = reasonActive
		default:
			continue
		}
		due = append(due, *f)
		delete(c.flows, k)
	}
	slices.SortFunc(due, func(a, b oneWay) int {
		return cmp.Or(a.last.Compare(b.last), a.src.Compare(b.src), a.dst.Compare(b.dst), cmp.Compare(a.icmp, b.icmp))
	})
	for _, f := range due {
		c.export(at, f)
	}
}

// exporter writes flows into a capture of export datagrams.
type exporter struct {
	tape     wire.Tape
	bare     []byte // the messages one behind the other
	version  int
	seq      uint32
	messages int
	held     [2][]oneWay // by family
	since    time.Time
	lose     *rand.Rand // loses a datagram in a hundred; nil for none
	lost     int
	flows    int
	reset    bool // begins anew, with other templates, half-way
}

func (e *exporter) flow(at time.Time, f oneWay) {
	v6 := 0
	if f.src.Addr().Is6() {
		v6 = 1
	}
	e.flows++
	for family := range e.held { // no flow is held back for long
		if len(e.held[family]) > 0 && at.Sub(e.since) > 5*time.Second {
			e.send(at, family)
		}
	}
	if len(e.held[0])+len(e.held[1]) == 0 {
		e.since = at
	}
	e.held[v6] = append(e.held[v6], f)
	if len(e.held[v6]) == 20 {
		e.send(at, v6)
	}
}

func (e *exporter) send(at time.Time, v6 int) {
	flows := e.held[v6]
	if len(flows) == 0 {
		return
	}
	e.held[v6] = flows[:0]
	if e.reset && e.messages == 200 {
		e.seq = 0
	}
	var all [2][]field
	templates, which := []byte(nil), uint16(2)
	for family := range all {
		all[family] = fieldsX(family == 1)
		if e.version == 9 {
			all[family], which = fields9(family == 1), 0
		}
		if f := all[family]; e.reset && e.messages >= 200 {
			f[0], f[1] = f[1], f[0]
		}
		templates = append(templates, templateOf(uint16(300+family), all[family]...)...)
	}
	sets := [][]byte{set(uint16(300+v6), records(all[v6], flows...))}
	if e.messages%20 == 0 {
		sets = append([][]byte{set(which, templates)}, sets...)
	}
	var b []byte
	if e.version == 9 {
		b = message9(at, e.seq, 1, sets...)
		e.seq++
	} else {
		b = messageX(at, e.seq, 1, sets...)
		e.seq += uint32(len(flows))
	}
	e.messages++
	if e.lose != nil && e.lose.IntN(100) == 0 {
		e.lost += len(flows)
		return
	}
	e.bare = append(e.bare, b...)
	e.tape.Datagram(at, netip.AddrPortFrom(router, 50000), netip.MustParseAddrPort("192.0.2.9:2055"), b)
}

// exportAll lets a router see every frame and returns what it exported.
func exportAll(in source.Frames, e *exporter) error {
	c := cache{flows: map[cacheKey]*oneWay{}, inactive: 15 * time.Second, active: time.Minute, export: e.flow}
	var (
		f  source.Frame
		s  segment
		at time.Time
	)
	for {
		err := in.Next(&f)
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		if s.read(f.Link, f.Data) && !s.dst.IsMulticast() {
			at = f.Time.Std()
			if boot.After(at) || at.Sub(boot) > 40*24*time.Hour {
				boot = at.Add(-time.Hour)
			}
			c.see(at, &s)
		}
	}
	c.sweep(at.Add(time.Hour))
	e.send(at.Add(time.Minute), 0)
	e.send(at.Add(time.Minute), 1)
	return nil
}
