package dhcp

import (
	"bytes"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/protocol"
	"github.com/testudo-shield/testudo/sense/protocol/protocoltest"
)

const t0 = testudo.Time(1_700_000_000_000_000_000)

var id = testudo.ConnID{
	Orig: netip.MustParseAddrPort("192.0.2.50:68"), Resp: netip.MustParseAddrPort("192.0.2.1:67"), Proto: testudo.UDP,
}

// message builds one; options are kind, value pairs.
func message(op byte, yiaddr, siaddr string, options ...string) []byte {
	b := make([]byte, optionsAt)
	b[0], b[1], b[2] = op, 1, 6
	copy(b[4:], "\x01\x02\x03\x04")
	if yiaddr != "" {
		copy(b[16:], netip.MustParseAddr(yiaddr).AsSlice())
	}
	if siaddr != "" {
		copy(b[20:], netip.MustParseAddr(siaddr).AsSlice())
	}
	copy(b[28:], "\x02\x00\x5e\x10\x00\xfe")
	copy(b[fixedLen:], "\x63\x82\x53\x63")
	for i := 0; i < len(options); i += 2 {
		b = append(b, options[i][0], byte(len(options[i+1])))
		b = append(b, options[i+1]...)
	}
	return append(b, optEnd)
}

func line(r *testudo.DHCP) string {
	return fmt.Sprintf("%v mac=%s host=%q fqdn=%q dom=%q req=%v got=%v client=%v server=%v lease=%v dur=%v gw=%v dns=%v class=%q",
		r.MessageTypes, r.MAC, r.HostName, r.ClientFQDN, r.Domain, r.Requested, r.Assigned, r.ClientAddr, r.ServerAddr, r.Lease,
		r.Duration, r.Routers, r.Resolvers, r.VendorClass)
}

func TestMessages(t *testing.T) {
	overloaded := message(2, "", "", "\x35", "\x05", "\x34", "\x03")
	copy(overloaded[108:], "\x0c\x05filed\xff")
	copy(overloaded[44:], "\x0f\x05sname\xff")
	for _, c := range []struct {
		name string
		b    []byte
		want string
	}{
		{
			"request", message(1, "", "", "\x35", "\x03", "\x32", "\xc0\x00\x02\x32", "\x0c", "pc-14\x00", "\x3c", "MSFT 5.0",
				"\x51", "\x00\x00\x00pc-14.corp.example"),
			`[REQUEST] mac=02:00:5e:10:00:fe host="pc-14" fqdn="pc-14.corp.example" dom="" req=192.0.2.50 got=invalid IP client=invalid IP server=invalid IP lease=0s dur=0s gw=[] dns=[] class="MSFT 5.0"`,
		},
		{
			"ack", message(2, "192.0.2.50", "", "\x35", "\x05", "\x36", "\xc0\x00\x02\x01", "\x33", "\x00\x00\x0e\x10",
				"\x03", "\xc0\x00\x02\x01", "\x06", "\xc0\x00\x02\x01\xc0\x00\x02\x02", "\x0f", "corp.example"),
			`[ACK] mac=02:00:5e:10:00:fe host="" fqdn="" dom="corp.example" req=invalid IP got=192.0.2.50 client=invalid IP server=192.0.2.1 lease=1h0m0s dur=0s gw=[192.0.2.1] dns=[192.0.2.1 192.0.2.2] class=""`,
		},
		{
			"name in wire form and odd bytes", message(1, "", "", "\x00", "", "\x35", "\x63", "\x0c", "a\x01\\\xff", "\x51", "\x04\x00\x00\x02pc\x04corp\x00"),
			`[BOOTP] mac=02:00:5e:10:00:fe host="a\\x01\\x5c\\xff" fqdn="pc.corp" dom="" req=invalid IP got=invalid IP client=invalid IP server=invalid IP lease=0s dur=0s gw=[] dns=[] class=""`,
		},
		{
			"overload", overloaded,
			`[ACK] mac=02:00:5e:10:00:fe host="filed" fqdn="" dom="sname" req=invalid IP got=invalid IP client=invalid IP server=invalid IP lease=0s dur=0s gw=[] dns=[] class=""`,
		},
		{
			"wrong sizes", message(2, "", "192.0.2.9", "\x35", "", "\x32", "abc", "\x33", "ab", "\x03", "abc", "\x51", "ab", "\x34", "ab")[:optionsAt+18],
			`[BOOTP] mac=02:00:5e:10:00:fe host="" fqdn="" dom="" req=invalid IP got=invalid IP client=invalid IP server=192.0.2.9 lease=0s dur=0s gw=[] dns=[] class=""`,
		},
	} {
		if v := probe(id, c.b, nil); v != protocol.Yes {
			t.Errorf("%s: probe %v", c.name, v)
		}
		h := protocoltest.Run(Protocol(), id, protocoltest.Step{Data: c.b, At: t0})
		if len(h.Records) != 1 {
			t.Errorf("%s: %d records", c.name, len(h.Records))
			continue
		}
		if got := line(h.Records[0].(*testudo.DHCP)); got != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", c.name, got, c.want)
		}
	}
}

func TestConversation(t *testing.T) {
	ask, ack := message(1, "", "", "\x35", "\x03"), message(2, "192.0.2.50", "", "\x35", "\x05")
	h := protocoltest.Run(Protocol(), id, protocoltest.Step{Data: ask, At: t0},
		protocoltest.Step{Dir: protocol.Resp, Data: ack, At: t0.Add(time.Millisecond)})
	if len(h.Records) != 2 || h.Records[1].(*testudo.DHCP).Duration != time.Millisecond {
		t.Errorf("%+v", h.Records)
	}
	var steps []protocoltest.Step
	for range maxMessages + 9 {
		steps = append(steps, protocoltest.Step{Data: ask})
	}
	if h = protocoltest.Run(Protocol(), id, steps...); len(h.Records) != maxMessages {
		t.Errorf("%d records", len(h.Records))
	}
	if h = protocoltest.Run(Protocol(), id, protocoltest.Step{Data: ask[:100]}); len(h.Records) != 1 {
		t.Errorf("%d records, want a weird", len(h.Records))
	}
}

func TestProbe(t *testing.T) {
	ok := message(1, "", "")
	for i, c := range []struct {
		b    []byte
		want protocol.Verdict
	}{
		{ok, protocol.Yes},
		{nil, protocol.Maybe},
		{ok[:200], protocol.No},
		{bytes.Repeat([]byte{1}, 300), protocol.No},
		{append([]byte{3}, ok[1:]...), protocol.No},
		{append([]byte{1, 1, 17}, ok[3:]...), protocol.No},
	} {
		if got := probe(id, nil, c.b); got != c.want {
			t.Errorf("%d: got %v, want %v", i, got, c.want)
		}
	}
}

func FuzzMessage(f *testing.F) {
	f.Add(message(1, "", "", "\x35", "\x03", "\x0c", "pc", "\x51", "\x04\x00\x00\x02pc\x00"))
	f.Add(message(2, "192.0.2.1", "", "\x34", "\x03", "\x06", "\x01\x02\x03\x04"))
	f.Fuzz(func(t *testing.T, b []byte) {
		probe(id, b, nil)
		h := protocoltest.Run(Protocol(), id, protocoltest.Step{Data: b})
		for _, rec := range h.Records {
			r, ok := rec.(*testudo.DHCP)
			if !ok {
				continue
			}
			for _, c := range []byte(r.HostName + r.ClientFQDN + r.Domain + r.VendorClass) {
				if c < ' ' || c > '~' {
					t.Fatalf("unprintable in %+v", r)
				}
			}
		}
	})
}
