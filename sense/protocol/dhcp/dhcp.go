// Package dhcp reads DHCP for IPv4 (RFC 2131, RFC 2132), which tells which
// machine held an address, since when and under what name.
package dhcp

import (
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/protocol"
)

const (
	fixedLen    = 236 // before the cookie
	optionsAt   = fixedLen + 4
	cookie      = 0x63825363
	maxText     = 255 // bytes of a name taken
	maxAddrs    = 8   // routers, and resolvers
	maxMessages = 256 // records a conversation
)

// The options that are read (RFC 2132 and, where named, others).
const (
	optPad         = 0
	optRouter      = 3
	optResolver    = 6
	optHostName    = 12
	optDomain      = 15
	optRequested   = 50
	optLease       = 51
	optOverload    = 52
	optMessageType = 53
	optServer      = 54
	optVendorClass = 60
	optFQDN        = 81 // RFC 4702
	optEnd         = 255
)

// Protocol describes DHCP. Analyzers of one shard share their slabs.
func Protocol() protocol.Protocol {
	return protocol.Protocol{
		Name:  "dhcp",
		Over:  protocol.OverUDP,
		Ports: []uint16{67, 68},
		Probe: probe,
		Open: func(*protocol.Records) func() protocol.Analyzer {
			s := &shard{}
			return func() protocol.Analyzer { return &analyzer{shard: s} }
		},
	}
}

func probe(_ testudo.ConnID, orig, resp []byte) protocol.Verdict {
	b := orig
	if len(b) == 0 {
		b = resp
	}
	switch {
	case len(b) == 0:
		return protocol.Maybe
	case isMessage(b):
		return protocol.Yes
	}
	return protocol.No
}

// isMessage tells whether b has the fixed part of BOOTP and DHCP's cookie.
func isMessage(b []byte) bool {
	return len(b) >= optionsAt && (b[0] == 1 || b[0] == 2) && b[2] <= 16 &&
		binary.BigEndian.Uint32(b[fixedLen:]) == cookie
}

type shard struct {
	records protocol.Slab[testudo.DHCP]
	addrs   protocol.Slab[netip.Addr]
	text    []byte
}

type analyzer struct {
	*shard
	messages int
	trans    uint32       // of the last message
	began    testudo.Time // when that transaction began
}

// Data implements protocol.Analyzer.
func (a *analyzer) Data(f *protocol.Flow, _ protocol.Dir, b []byte) int {
	if !isMessage(b) {
		if a.messages == 0 {
			f.Weird("DHCP", "dhcp_malformed", "")
			f.Done()
		}
		return len(b)
	}
	if a.messages++; a.messages > maxMessages {
		return len(b)
	}
	r := a.records.New()
	r.TransID = binary.BigEndian.Uint32(b[4:])
	if r.TransID != a.trans || a.began == 0 {
		a.trans, a.began = r.TransID, f.Now
	}
	r.Duration = f.Now.Sub(a.began)
	if n := int(b[2]); n > 0 {
		r.MAC = f.Intern(macText(a.text[:0], b[28:28+n]))
	}
	r.ClientAddr = addr(b[12:16])
	r.Assigned = addr(b[16:20])
	overload := a.options(f, r, b[optionsAt:])
	if overload&1 != 0 {
		a.options(f, r, b[108:236])
	}
	if overload&2 != 0 {
		a.options(f, r, b[44:108])
	}
	if len(r.MessageTypes) == 0 {
		r.MessageTypes = messageNames[:1:1]
	}
	if b[0] == 2 && !r.ServerAddr.IsValid() {
		r.ServerAddr = addr(b[20:24])
	}
	f.Emit(r)
	return len(b)
}

// options reads one field of options into r, the first of each kind, and
// returns the value of the overload option (RFC 2132, 9.3).
func (a *analyzer) options(f *protocol.Flow, r *testudo.DHCP, b []byte) (overload byte) {
	for len(b) > 0 {
		kind := b[0]
		if kind == optEnd {
			break
		}
		if kind == optPad {
			b = b[1:]
			continue
		}
		if len(b) < 2 || 2+int(b[1]) > len(b) {
			break
		}
		v := b[2 : 2+int(b[1])]
		b = b[2+len(v):]
		if kind == optOverload && len(v) == 1 {
			overload = v[0]
			continue
		}
		a.option(f, r, kind, v)
	}
	return overload
}

func (a *analyzer) option(f *protocol.Flow, r *testudo.DHCP, kind byte, v []byte) {
	switch kind {
	case optMessageType:
		if len(v) == 1 && len(r.MessageTypes) == 0 {
			n := int(v[0])
			if n >= len(messageNames) {
				n = 0
			}
			r.MessageTypes = messageNames[n : n+1 : n+1]
		}
	case optHostName:
		a.setText(f, &r.HostName, v)
	case optDomain:
		a.setText(f, &r.Domain, v)
	case optVendorClass:
		a.setText(f, &r.VendorClass, v)
	case optFQDN:
		if len(v) > 3 {
			name := v[3:]
			if v[0]&4 != 0 {
				name = labels(name)
			}
			a.setText(f, &r.ClientFQDN, name)
		}
	case optRequested:
		setAddr(&r.Requested, v)
	case optServer:
		setAddr(&r.ServerAddr, v)
	case optLease:
		if len(v) == 4 && r.Lease == 0 {
			r.Lease = time.Duration(binary.BigEndian.Uint32(v)) * time.Second
		}
	case optRouter:
		a.setAddrs(&r.Routers, v)
	case optResolver:
		a.setAddrs(&r.Resolvers, v)
	}
}

// labels turns a name in wire form (RFC 1035, without compression) into one
// with dots. What does not parse ends it.
func labels(b []byte) []byte {
	out := make([]byte, 0, len(b))
	for len(b) > 0 && b[0] != 0 {
		n := int(b[0])
		if n > 63 || 1+n > len(b) {
			break
		}
		if len(out) > 0 {
			out = append(out, '.')
		}
		out = append(out, b[1:1+n]...)
		b = b[1+n:]
	}
	return out
}

const hexDigits = "0123456789abcdef"

// setText keeps the first of each text, printable: other bytes become \xNN,
// and zeros at the end are dropped.
func (a *analyzer) setText(f *protocol.Flow, dst *string, v []byte) {
	for len(v) > 0 && v[len(v)-1] == 0 {
		v = v[:len(v)-1]
	}
	if *dst != "" || len(v) == 0 {
		return
	}
	t := a.text[:0]
	for _, c := range v[:min(len(v), maxText)] {
		if c < ' ' || c > '~' || c == '\\' {
			t = append(t, '\\', 'x', hexDigits[c>>4], hexDigits[c&15])
		} else {
			t = append(t, c)
		}
	}
	a.text = t
	*dst = f.Intern(t)
}

func setAddr(dst *netip.Addr, v []byte) {
	if len(v) == 4 && !dst.IsValid() {
		*dst = addr(v)
	}
}

func (a *analyzer) setAddrs(dst *[]netip.Addr, v []byte) {
	if n := min(len(v)/4, maxAddrs); n > 0 && len(*dst) == 0 {
		*dst = a.addrs.Take(n)
		for i := range *dst {
			(*dst)[i] = netip.AddrFrom4([4]byte(v[4*i:]))
		}
	}
}

// addr reads four bytes as an address; 0.0.0.0 means none.
func addr(b []byte) netip.Addr {
	ip := netip.AddrFrom4([4]byte(b))
	if ip.IsUnspecified() {
		return netip.Addr{}
	}
	return ip
}

// macText writes a link address as hexadecimal pairs with colons.
func macText(t, b []byte) []byte {
	for i := range b {
		if i > 0 {
			t = append(t, ':')
		}
		t = hex.AppendEncode(t, b[i:i+1])
	}
	return t
}

// messageNames are Zeek's words for DHCP's message types; the first stands
// for plain BOOTP and for types unknown.
var messageNames = [...]string{
	"BOOTP", "DISCOVER", "OFFER", "REQUEST", "DECLINE", "ACK", "NAK", "RELEASE", "INFORM",
	"FORCERENEW", "LEASEQUERY", "LEASEUNASSIGNED", "LEASEUNKNOWN", "LEASEACTIVE",
	"BULKLEASEQUERY", "LEASEQUERYDONE", "ACTIVELEASEQUERY", "LEASEQUERYSTATUS", "TLS",
}

// Gap implements protocol.Analyzer; a message cut short was read as far as it
// goes.
func (a *analyzer) Gap(*protocol.Flow, protocol.Dir, int) {}

// End implements protocol.Analyzer.
func (a *analyzer) End(*protocol.Flow) {}

// Reset implements protocol.Analyzer.
func (a *analyzer) Reset() { *a = analyzer{shard: a.shard} }
