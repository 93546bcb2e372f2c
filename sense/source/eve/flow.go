package eve

import (
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/source/logs"
)

// Flags of TCP (RFC 9293, 3.1) as tcp_flags_ts and tcp_flags_tc have them.
const fin, syn, rst, psh, ack = 0x01, 0x02, 0x04, 0x08, 0x10

// Bytes of headers. Suricata counts whole frames, so they are taken off to
// estimate the payload.
const (
	ethernet = 14
	stamps   = 12 // TCP's time stamps, which nearly all stacks send (RFC 7323)
)

// conn reads a flow: both directions of a conversation that is over.
func (p *parser) conn() logs.Entry {
	c := &testudo.Conn{Meta: p.meta}
	var orig, resp side
	var end testudo.Time
	told := p.meta.ID.Proto != testudo.TCP // whether TCP's flags are
	for _, f := range p.object.Pairs {
		switch string(f.Key) {
		case "flow.pkts_toserver":
			orig.packets = p.count(f)
		case "flow.pkts_toclient":
			resp.packets = p.count(f)
		case "flow.bytes_toserver":
			orig.bytes = p.count(f)
		case "flow.bytes_toclient":
			resp.bytes = p.count(f)
		case "flow.start":
			c.Time = p.time(f)
		case "flow.end":
			end = p.time(f)
		case "tcp.tcp_flags_ts":
			orig.flags, told = flags(f.Raw), true
		case "tcp.tcp_flags_tc":
			resp.flags, told = flags(f.Raw), true
		case "app_proto":
			c.Service = service(f.Raw, p.words)
		case "vlan":
			if v := p.object.List(f); len(v) > 0 {
				c.VLAN, _ = logs.ParsePort(v[0]) // of no weight where it is broken
			}
		}
	}
	c.Duration = since(c.Time, end)
	if !told {
		orig.flags, resp.flags = psh, psh
	}
	six := c.ID.Orig.Addr().Is6()
	c.OrigPkts, c.OrigIPBytes, c.OrigBytes = orig.packets, orig.ip(), orig.payload(c.ID.Proto, six)
	c.RespPkts, c.RespIPBytes, c.RespBytes = resp.packets, resp.ip(), resp.payload(c.ID.Proto, six)
	c.Delta = testudo.Delta{
		OrigBytes: c.OrigBytes, RespBytes: c.RespBytes,
		OrigPkts: c.OrigPkts, RespPkts: c.RespPkts, Duration: c.Duration,
	}
	if told {
		c.State = state(c.ID.Proto, orig, resp)
	}
	if told && c.ID.Proto == testudo.TCP {
		c.History = history(c, orig.flags, resp.flags)
	}
	return logs.Entry{Record: c, Written: c.Time.Add(max(0, min(c.Duration, logs.MaxTraffic*time.Second)))}
}

// side is what one end of a flow sent.
type side struct {
	packets, bytes int64
	flags          byte
}

// ip returns the bytes from the IP header on.
func (s side) ip() int64 { return max(0, s.bytes-min(s.packets, s.bytes)*ethernet) }

// payload estimates the bytes that transport carried. A TCP end that never
// pushed sent nothing but acknowledgements.
func (s side) payload(proto testudo.Proto, six bool) int64 {
	header := int64(20)
	if six {
		header = 40
	}
	switch proto {
	case testudo.TCP:
		if s.flags&psh == 0 {
			return 0
		}
		header += 20
		if n := s.ip() - s.packets*(header+stamps); n > 0 {
			return n
		}
		return max(1, s.ip()-s.packets*header)
	case testudo.UDP, testudo.ICMP, testudo.ICMPv6:
		header += 8
	}
	return max(0, s.ip()-s.packets*header)
}

// flags reads TCP flags in hexadecimal.
func flags(b []byte) (n byte) {
	for _, c := range b {
		switch {
		case c >= '0' && c <= '9':
			n = n<<4 | (c - '0')
		case c >= 'a' && c <= 'f':
			n = n<<4 | (c - 'a' + 10)
		case c >= 'A' && c <= 'F':
			n = n<<4 | (c - 'A' + 10)
		}
	}
	return n
}

// state words how a conversation went as Zeek's conn_state does.
func state(proto testudo.Proto, orig, resp side) string {
	switch proto {
	case testudo.TCP:
		return tcpState(orig, resp)
	case testudo.UDP, testudo.SCTP:
		switch {
		case resp.packets == 0:
			return "S0"
		case orig.packets == 0:
			return "SHR"
		}
		return "SF"
	}
	return "OTH"
}

func tcpState(orig, resp side) string {
	o, r := orig.flags, resp.flags
	switch {
	case o&syn == 0 && r&syn == 0:
		return "OTH"
	case o&syn == 0 && r&fin != 0:
		return "SHR"
	case o&syn == 0 && r&rst != 0:
		return "RSTRH"
	case o&syn == 0:
		return "OTH"
	case r&syn == 0 && r&rst != 0:
		return "REJ"
	case r&syn == 0 && o&rst != 0:
		return "RSTOS0"
	case r&syn == 0 && o&fin != 0:
		return "SH"
	case r&syn == 0:
		return "S0"
	case o&fin != 0 && r&fin != 0:
		return "SF"
	case o&rst != 0:
		return "RSTO"
	case r&rst != 0:
		return "RSTR"
	case o&fin != 0:
		return "S2"
	case r&fin != 0:
		return "S3"
	}
	return "S1"
}

// history writes what flags and bytes tell in Zeek's letters. The order among
// the ends is the usual one: Suricata keeps none.
func history(c *testudo.Conn, orig, resp byte) string {
	var b [12]byte
	h := b[:0]
	add := func(is bool, letter byte) {
		if is {
			h = append(h, letter)
		}
	}
	add(orig&syn != 0, 'S')
	add(resp&syn != 0, 'h')
	add(orig&ack != 0, 'A')
	add(c.OrigBytes > 0, 'D')
	add(resp&ack != 0 && resp&syn != 0, 'a')
	add(c.RespBytes > 0, 'd')
	add(orig&fin != 0, 'F')
	add(resp&fin != 0, 'f')
	add(orig&rst != 0, 'R')
	add(resp&rst != 0, 'r')
	return string(h)
}

// service turns Suricata's name of a protocol into Zeek's.
func service(b []byte, w *logs.Words) string {
	switch string(b) {
	case "failed", "unknown", "none":
		return ""
	case "tls":
		return "ssl"
	case "http1", "http2":
		return "http"
	case "krb5":
		return "krb"
	case "dcerpc":
		return "dce_rpc"
	}
	return w.Intern(b)
}
