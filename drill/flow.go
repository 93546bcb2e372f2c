package drill

import "net/netip"

// Flow is what the generator itself knows of one conversation it wrote. It
// is meant for tests of the exercise, not for the shield.
type Flow struct {
	Start, Last        int64 // microseconds since 1970
	Orig, Resp         netip.AddrPort
	Proto              uint8
	OrigBytes          int64 // payload
	RespBytes          int64
	OrigPkts, RespPkts int64
	OrigTTL, RespTTL   uint8
	Attack             string // name of the planted attack, empty for ordinary life
}

func newFlow(t int64, c, s *node, sport, dport uint16, proto uint8, by *Planted) Flow {
	f := Flow{
		Start: t, Last: t, Proto: proto, OrigTTL: c.ttl, RespTTL: s.ttl,
		Orig: netip.AddrPortFrom(c.ip(), sport), Resp: netip.AddrPortFrom(s.ip(), dport),
	}
	if by != nil {
		f.Attack = by.Name
		by.Conns++
	}
	return f
}

func (f *Flow) payload(d, n int) {
	if d == orig {
		f.OrigBytes += int64(n)
	} else {
		f.RespBytes += int64(n)
	}
}

// count adds one packet that was written, with n bytes of payload not yet
// counted, and tells the attack it belongs to.
func (f *Flow) count(t int64, d, n, packets int, by *Planted) {
	f.payload(d, n)
	if d == orig {
		f.OrigPkts += int64(packets)
	} else {
		f.RespPkts += int64(packets)
	}
	f.Last = max(f.Last, t)
	if by != nil {
		by.saw(t)
	}
}

// report hands a finished flow to whoever asked for it.
func (w *world) report(f *Flow) {
	if w.cfg.OnFlow != nil && f.OrigPkts+f.RespPkts > 0 {
		w.cfg.OnFlow(*f)
	}
}
