package ipfix

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/testudo-shield/testudo/test/wire"
)

// part writes one record of a sample.
func part(format uint32, body []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, format)
	b = binary.BigEndian.AppendUint32(b, uint32(len(body)))
	return append(b, body...)
}

// expanded writes a sample whose interfaces have wide numbers.
func expanded(rate uint32, parts ...[]byte) []byte {
	var body []byte
	for _, n := range []uint32{1, 0, 3, rate, 0, 0, 0, 1, 0, 2, uint32(len(parts))} {
		body = binary.BigEndian.AppendUint32(body, n)
	}
	for _, p := range parts {
		body = append(body, p...)
	}
	return part(3, body)
}

// raw writes the record of a packet's header.
func raw(protocol uint32, frameLen int, header []byte) []byte {
	var b []byte
	for len(header)%4 != 0 {
		header = append(header, 0)
	}
	for _, n := range []uint32{protocol, uint32(frameLen), 4, uint32(len(header))} {
		b = binary.BigEndian.AppendUint32(b, n)
	}
	return part(1, append(b, header...))
}

// TestSFlow holds what samples become, whoever read the header.
func TestSFlow(t *testing.T) {
	a, b := netip.MustParseAddr("10.0.0.5"), netip.MustParseAddr("203.0.113.7")
	a6, b6 := netip.MustParseAddr("2001:db8::5"), netip.MustParseAddr("2001:db8::7")
	data := wire.IP(a, b, 6, 1, wire.TCP(40000, 80, 1, 1, flagACK|flagPSH, make([]byte, 1000)))
	tagged := append(make([]byte, 12), 0x81, 0, 0, 7, 8, 0)
	tagged = append(tagged, data...)
	var agent []byte // what an agent reads itself of IPv4
	for _, n := range []uint32{1040, 6} {
		agent = binary.BigEndian.AppendUint32(agent, n)
	}
	agent = append(append(agent, a.AsSlice()...), b.AsSlice()...)
	for _, n := range []uint32{40000, 80, flagACK | flagPSH, 0} {
		agent = binary.BigEndian.AppendUint32(agent, n)
	}
	const want = `tcp 10.0.0.5:40000>203.0.113.7:80 OTH "^AD" 100/0 100000/0 0s`
	for _, c := range []struct {
		name    string
		samples [][]byte
		want    string
		vlan    uint16
	}{
		{"Ethernet, cut", [][]byte{expanded(100, raw(1, 1054, wire.Ether(0x0800, data)[:80]))}, want, 0},
		{"tagged", [][]byte{expanded(100, raw(1, 1058, tagged[:128]))}, want, 7},
		{"bare IP", [][]byte{expanded(100, raw(11, 1040, data[:64]))}, want, 0},
		{"by the agent", [][]byte{expanded(100, part(3, agent))}, `tcp 10.0.0.5:40000>203.0.113.7:80 OTH "^AD" 100/0 98800/0 0s`, 0},
		{"the header and the agent", [][]byte{expanded(100, part(1001, make([]byte, 16)), raw(11, 1040, data[:64]), part(3, agent))}, want, 0},
		{
			"IPv6",
			[][]byte{expanded(10, raw(12, 100, wire.IP(a6, b6, 17, 1, wire.UDP(53, 40000, make([]byte, 500)))[:60]))},
			`udp [2001:db8::5]:53>[2001:db8::7]:40000 OTH "^D" 10/0 5000/0 0s`, 0,
		},
		{"joined", [][]byte{
			expanded(100, raw(11, 1040, data)),
			expanded(100, raw(11, 40, wire.IP(b, a, 6, 1, wire.TCP(80, 40000, 1, 1, flagACK, nil)))),
		}, `tcp 10.0.0.5:40000>203.0.113.7:80 OTH "^ADa" 100/100 100000/0 0s`, 0},
		{"beside others", [][]byte{part(2, make([]byte, 12)), part(4413<<12|1, []byte("abcd")), expanded(100, raw(11, 1040, data))}, want, 0},
		{"no IP", [][]byte{expanded(100, raw(1, 60, wire.Ether(0x0806, make([]byte, 46))))}, ``, 0},
	} {
		c2 := newCollector(16)
		all := feed(c2, messageS(1, c.samples...))
		if got := lines(all); got != c.want || len(all) > 0 && all[0].VLAN != c.vlan || c2.stats.foreign != 0 {
			t.Errorf("%s: got %s, %d foreign", c.name, got, c2.stats.foreign)
		}
	}
}
