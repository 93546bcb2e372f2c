package ipfix

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/test/wire"
)

const (
	syn     = flagSYN
	opening = flagSYN | flagACK | flagPSH
	whole   = opening | flagFIN
)

// feed gives datagrams, a second apart, and returns all conns.
func feed(c *collector, datagrams ...[]byte) []*testudo.Conn {
	for i, b := range datagrams {
		c.Datagram(testudo.TimeOf(start.Add(time.Duration(i)*time.Second)), router, "", b)
	}
	c.table.flush()
	return conns(c)
}

func conns(c *collector) (all []*testudo.Conn) {
	for r := c.take(); r != nil; r = c.take() {
		all = append(all, r.(*testudo.Conn))
	}
	return all
}

// line is a conn in one line.
func line(c *testudo.Conn) string {
	s := fmt.Sprintf("%v %v>%v %s %q %d/%d %d/%d %v", c.ID.Proto, c.ID.Orig, c.ID.Resp, c.State, c.History, c.OrigPkts, c.RespPkts, c.OrigBytes, c.RespBytes, c.Duration)
	if c.Interim {
		s += " interim"
	}
	return s
}

func lines(all []*testudo.Conn) string {
	var s []string
	for _, c := range all {
		s = append(s, line(c))
	}
	return strings.Join(s, "\n")
}

const (
	a80, b80 = "10.0.0.5:40000", "203.0.113.7:80"
	ms       = time.Millisecond
)

// TestJoin holds what one-way flows become, in every format alike.
func TestJoin(t *testing.T) {
	at := start.Add(-20 * time.Second)
	for _, c := range []struct {
		name  string
		flows []oneWay
		want  string
	}{
		{"whole", []oneWay{
			flowOf(b80, a80, 6, whole, 5, 5260, at.Add(40*ms), 900*ms), // its answer is told first
			flowOf(a80, b80, 6, whole, 6, 1312, at, time.Second),
		}, `tcp 10.0.0.5:40000>203.0.113.7:80 SF "ShADdFf" 6/5 1000/5000 1s`},
		{"attempt", []oneWay{flowOf(a80, b80, 6, syn, 3, 180, at, 3*time.Second)}, `tcp 10.0.0.5:40000>203.0.113.7:80 S0 "S" 3/0 0/0 3s`},
		{"refused", []oneWay{
			flowOf(a80, b80, 6, syn, 1, 60, at, 0), flowOf(b80, a80, 6, flagRST|flagACK, 1, 40, at.Add(ms), 0),
		}, `tcp 10.0.0.5:40000>203.0.113.7:80 REJ "Sr" 1/1 0/0 1ms`},
		{"opened and left", []oneWay{
			flowOf(a80, b80, 6, flagSYN|flagACK|flagRST, 3, 152, at, 2*ms), flowOf(b80, a80, 6, flagSYN|flagACK, 1, 60, at.Add(ms), 0),
		}, `tcp 10.0.0.5:40000>203.0.113.7:80 RSTO "ShAR" 3/1 0/0 2ms`},
		{"same moment: the port decides", []oneWay{
			flowOf(b80, a80, 6, whole, 5, 5260, at, time.Second), flowOf(a80, b80, 6, whole, 6, 1312, at, time.Second),
		}, `tcp 10.0.0.5:40000>203.0.113.7:80 SF "ShADdFf" 6/5 1000/5000 1s`},
		{"same moment, ports that say nothing", []oneWay{
			flowOf("10.0.0.5:40000", "203.0.113.7:50000", 6, whole, 5, 5260, at, time.Second), flowOf("203.0.113.7:50000", "10.0.0.5:40000", 6, whole, 6, 1312, at, time.Second),
		}, `tcp 10.0.0.5:40000>203.0.113.7:50000 SF "^ShADdFf" 5/6 5000/1000 1s`},
		{"only its answer", []oneWay{flowOf(b80, a80, 6, flagRST|flagACK, 1, 40, at, 0)}, `tcp 10.0.0.5:40000>203.0.113.7:80 RSTRH "^r" 0/1 0/0 0s`},
		{"no flags told", []oneWay{
			flowOf(a80, b80, 6, 0, 6, 1312, at, time.Second), flowOf(b80, a80, 6, 0, 5, 5260, at.Add(ms), time.Second),
		}, `tcp 10.0.0.5:40000>203.0.113.7:80 OTH "^Dd" 6/5 1000/5000 1.001s`},
		{"datagrams", []oneWay{
			flowOf("10.0.0.5:5353", "10.0.0.1:53", 17, 0, 1, 60, at, 0), flowOf("10.0.0.1:53", "10.0.0.5:5353", 17, 0, 1, 160, at.Add(4*ms), 0),
		}, `udp 10.0.0.5:5353>10.0.0.1:53 SF "Dd" 1/1 32/132 4ms`},
		{"unanswered datagram", []oneWay{flowOf("10.0.0.5:5353", "10.0.0.1:161", 17, 0, 1, 60, at, 0)}, `udp 10.0.0.5:5353>10.0.0.1:161 S0 "D" 1/0 32/0 0s`},
		{"reflected", []oneWay{flowOf("198.51.100.3:53", "10.0.0.5:40000", 17, 0, 1, 1060, at, 0)}, `udp 198.51.100.3:53>10.0.0.5:40000 S0 "^D" 1/0 1032/0 0s`},
		{"two visits from one port", []oneWay{
			flowOf(a80, b80, 6, whole, 6, 1312, at, time.Second), flowOf(b80, a80, 6, whole, 5, 5260, at.Add(ms), time.Second),
			flowOf(a80, b80, 6, whole, 6, 1312, at.Add(5*time.Second), time.Second),
		}, `tcp 10.0.0.5:40000>203.0.113.7:80 SF "ShADdFf" 6/5 1000/5000 1.001s
tcp 10.0.0.5:40000>203.0.113.7:80 OTH "^SADF" 6/0 1000/0 1s`},
	} {
		f9, fx := fields9(false), fieldsX(false)
		for format, b := range map[string][]byte{
			"v5":    message5(start, 1, 0, c.flows...),
			"v9":    message9(start, 1, 7, set(0, templateOf(300, f9...)), set(300, records(f9, c.flows...))),
			"ipfix": messageX(start, 1, 7, set(2, templateOf(300, fx...)), set(300, records(fx, c.flows...))),
		} {
			if got := lines(feed(newCollector(100), b)); got != c.want {
				t.Errorf("%s, %s:\n got %s\nwant %s", c.name, format, got, c.want)
			}
		}
	}
}

// TestICMP holds that question and answer meet, told in either way.
func TestICMP(t *testing.T) {
	ask, answer := flowOf("10.0.0.5:0", "10.0.0.9:0", 1, 0, 2, 168, start, ms), flowOf("10.0.0.9:0", "10.0.0.5:0", 1, 0, 2, 168, start, ms)
	ask.icmp = 8 << 8
	const want = `icmp 10.0.0.5:8>10.0.0.9:0 OTH "Dd" 2/2 112/112 1ms`
	for _, order := range [][]oneWay{{ask, answer}, {answer, ask}} {
		if got := lines(feed(newCollector(9), message5(start, 1, 0, order...))); got != want {
			t.Errorf("got %s", got)
		}
		f := fields9(false)
		if got := lines(feed(newCollector(9), message9(start, 1, 1, set(0, templateOf(256, f...)), set(256, records(f, order...))))); got != want {
			t.Errorf("v9: got %s", got)
		}
	}
	if got := lines(feed(newCollector(9), message5(start, 1, 0, answer))); got != `icmp 10.0.0.5:8>10.0.0.9:0 OTH "d" 0/2 0/112 1ms` {
		t.Errorf("an answer alone: %s", got)
	}
}

// TestBiflow holds that both directions in one record stay together, and that
// addresses of the newer family are read.
func TestBiflow(t *testing.T) {
	f := flowOf("[2001:db8::5]:40000", "[2001:db8:1::7]:443", 6, whole, 6, 1432, start, time.Second)
	back := flowOf("[2001:db8:1::7]:443", "[2001:db8::5]:40000", 6, whole, 5, 5360, start.Add(ms), time.Second)
	f.back = &back
	fields := fieldsBi(true)
	got := lines(feed(newCollector(9), messageX(start, 1, 1, set(2, templateOf(256, fields...)), set(256, records(fields, f)))))
	if want := `tcp [2001:db8::5]:40000>[2001:db8:1::7]:443 SF "ShADdFf" 6/5 1000/5000 1.001s`; got != want {
		t.Errorf("got %s", got)
	}
}

// TestLong holds that what an exporter cuts into pieces stays one
// conversation, and that totals and deltas agree.
func TestLong(t *testing.T) {
	c := newCollector(9)
	var seq uint32
	for i := range 30 { // a minute each, as long as it was silent for less than idleTCP
		at := start.Add(time.Duration(i) * time.Minute)
		up := flowOf(a80, b80, 6, flagACK|flagPSH, 10, 1520, at, time.Minute-ms)
		down := flowOf(b80, a80, 6, flagACK|flagPSH, 10, 1520, at.Add(ms), time.Minute-2*ms)
		if i == 0 {
			up.flags, down.flags = opening, opening
		}
		seq += 2
		c.Datagram(testudo.TimeOf(at.Add(time.Minute)), router, "", message5(at.Add(time.Minute), seq, 0, up, down))
	}
	c.advance(testudo.TimeOf(start.Add(3 * time.Hour)))
	all := conns(c)
	var sum testudo.Delta
	for i, r := range all {
		sum.OrigBytes += r.Delta.OrigBytes
		sum.RespPkts += r.Delta.RespPkts
		sum.Duration += r.Delta.Duration
		if r.UID != all[0].UID || r.Interim != (i < len(all)-1) || r.Time != testudo.TimeOf(start) {
			t.Errorf("report %d: %s", i, line(r))
		}
	}
	last := all[len(all)-1]
	if len(all) < 6 || len(all) > 9 || last.OrigBytes != sum.OrigBytes || last.RespPkts != sum.RespPkts || last.Duration != sum.Duration || last.OrigPkts != 300 || last.State != "S1" {
		t.Errorf("%d reports, the last %s, sum of deltas %+v", len(all), line(last), sum)
	}
}

// TestDuplicates holds that a second observer adds nothing.
func TestDuplicates(t *testing.T) {
	c := newCollector(9)
	b := message5(start, 1, 0, flowOf(a80, b80, 6, whole, 6, 1312, start, time.Second))
	c.Datagram(testudo.TimeOf(start), router, "", b)
	c.Datagram(testudo.TimeOf(start), netip.MustParseAddr("192.0.2.2"), "", b)
	c.Datagram(testudo.TimeOf(start), router, "", b)
	c.table.flush()
	if all := conns(c); len(all) != 1 || all[0].OrigPkts != 6 || c.stats.duplicates != 1 || c.stats.repeated != 1 || !strings.Contains(strings.Join(c.Notes(), "\n"), "second observer") {
		t.Errorf("%s\n%q", lines(all), c.Notes())
	}
}

// TestLateTemplate holds that data waits for its template, within bounds, and
// is read by the clock of its own message.
func TestLateTemplate(t *testing.T) {
	f := fields9(false)
	flow := flowOf(a80, b80, 17, 0, 1, 128, start.Add(-time.Second), 0)
	data := message9(start, 1, 7, set(300, records(f, flow)))
	c := newCollector(9)
	all := feed(c, data, message9(start.Add(time.Second), 2, 7, set(0, templateOf(300, f...))))
	if len(all) != 1 || all[0].Time != testudo.TimeOf(start.Add(-time.Second)) || len(c.Shed()) != 0 {
		t.Errorf("%s, shed %v", lines(all), c.Shed())
	}
	c = newCollector(9)
	for i := range 1000 {
		c.Datagram(testudo.TimeOf(start), router, "", message9(start, uint32(i), 7, set(300, records(f, flow))))
	}
	d := c.domains[domainKey{router, "", kindV9, 7}]
	if len(d.waiting) > maxWaitSets || d.waitBytes > maxWaiting || d.losses.sets != 1000-maxWaitSets {
		t.Errorf("%d sets of %d bytes wait, %d lost", len(d.waiting), d.waitBytes, d.losses.sets)
	}
	if shed := fmt.Sprint(c.Shed()); !strings.Contains(shed, "{export sets without template 1000}") || !strings.Contains(strings.Join(c.Notes(), ""), "without their template") {
		t.Errorf("shed %s, notes %q", shed, c.Notes())
	}
}

// TestTemplates holds that templates are replaced, withdrawn and bounded.
func TestTemplates(t *testing.T) {
	c := newCollector(9)
	f := fieldsX(false)
	flow := records(f, flowOf(a80, b80, 17, 0, 1, 128, start, 0))
	swapped := append([]field{f[1], f[0]}, f[2:]...)
	all := feed(c,
		messageX(start, 0, 7, set(2, templateOf(300, f...)), set(300, flow)),
		messageX(start, 1, 7, set(2, templateOf(300, swapped...)), set(300, flow)), // the exporter began anew
		messageX(start, 2, 7, set(2, templateOf(300)), set(300, flow)),             // withdrawn
		messageX(start, 3, 7, set(2, templateOf(2))),                               // all
		messageX(start, 3, 8, set(300, flow)),                                      // another domain
	)
	if len(all) != 2 || len(c.domains) != 2 || fmt.Sprint(c.Shed()) != "[{export sets without template 2}]" {
		t.Errorf("%s, shed %v", lines(all), c.Shed())
	}
	for id := range uint16(1000) {
		c.Datagram(testudo.TimeOf(start), router, "", messageX(start, 9, 7, set(2, templateOf(400+id, f...))))
	}
	if d := c.domains[domainKey{router, "", kindIPFIX, 7}]; len(d.templates) != maxTemplates || d.losses.templates != 1000-maxTemplates {
		t.Errorf("%d templates, %d lost", len(d.templates), d.losses.templates)
	}
	for i := range uint32(2 * maxDomains) {
		c.Datagram(testudo.TimeOf(start), router, "", messageX(start, 9, 100+i, set(300, flow)))
	}
	if len(c.domains) != maxDomains {
		t.Errorf("%d domains", len(c.domains))
	}
}

// TestVariable holds that fields that tell their own length are passed over.
func TestVariable(t *testing.T) {
	f := append([]field{{id: 460, length: variable}, {id: 9999, length: variable, pen: 9}}, fieldsX(false)...)
	var body []byte
	for _, name := range []string{"", "a name", strings.Repeat("long", 100)} {
		for range 2 {
			if len(name) < 255 {
				body = append(body, byte(len(name)))
			} else {
				body = append(body, 255, byte(len(name)>>8), byte(len(name)))
			}
			body = append(body, name...)
		}
		flow := flowOf(a80, b80, 17, 0, 1, 128, start, 0)
		body = flow.appendRecord(body, f[2:])
	}
	c := newCollector(9)
	if all := feed(c, messageX(start, 1, 1, set(2, templateOf(256, f...)), set(256, body))); len(all) != 1 || all[0].OrigPkts != 3 || len(c.Shed()) != 0 {
		t.Errorf("%s, shed %v", lines(all), c.Shed())
	}
}

// TestSampling holds that every format's way to tell a rate is applied and
// said, and that of a sample no silence is concluded.
func TestSampling(t *testing.T) {
	flow := flowOf(a80, b80, 6, syn, 1, 60, start, 0)
	f9, fx := fields9(false), fieldsX(false)
	named := append([]field{{id: ieSampler, length: 1}}, f9...)
	for name, messages := range map[string][][]byte{
		"v5": {message5(start, 1, 1<<14|1000, flow)},
		"v9": {
			message9(start, 1, 7, set(1, options9(301, field{id: 1, length: 4}, field{id: ieInterval, length: 4})), set(301, []byte{0, 0, 0, 0, 0, 0, 3, 232})),
			message9(start, 2, 7, set(0, templateOf(300, f9...)), set(300, records(f9, flow))),
		},
		"v9, sampler": {
			message9(start, 1, 7, set(1, options9(301, field{id: 1, length: 4}, field{id: ieSampler, length: 1}, field{id: ieRandom, length: 2})),
				set(301, []byte{0, 0, 0, 0, 2, 3, 232, 0, 0, 0, 0, 3, 0, 5})),
			message9(start, 2, 7, set(0, templateOf(300, named...)), set(300, append([]byte{2}, records(f9, flow)...))),
		},
		"ipfix": {
			messageX(start, 1, 7, set(3, optionsX(301, field{id: ieSelector, length: 8}, field{id: ieSampleInterval, length: 4}, field{id: ieSampleSpace, length: 4})),
				set(301, []byte{0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 3, 231})),
			messageX(start, 2, 7, set(2, templateOf(300, fx...)), set(300, records(fx, flow))),
		},
		"sflow": {messageS(1, sample(1, 1000, 60, wire.Ether(0x0800, wire.IP(flow.src.Addr(), flow.dst.Addr(), 6, 1, wire.TCP(40000, 80, 1, 0, syn, nil)))))},
	} {
		c := newCollector(9)
		all := feed(c, messages...)
		if len(all) != 1 || all[0].OrigPkts != 1000 || all[0].State != "OTH" || !strings.Contains(strings.Join(c.Notes(), ""), "sampled 1 of 1000: short conversations are not seen") {
			t.Errorf("%s: %s, notes %q", name, lines(all), c.Notes())
		}
	}
}

// TestSequence holds that gaps are counted once, what comes late is taken
// back, and a new beginning is no loss.
func TestSequence(t *testing.T) {
	f := flowOf(a80, b80, 17, 0, 1, 128, start, 0)
	fx := fieldsX(false)
	ten := make([]oneWay, 10)
	for i := range ten {
		ten[i] = f
	}
	v5 := func(seq uint32) []byte { return message5(start, seq, 0, ten...) }
	x := func(seq uint32) []byte {
		return messageX(start, seq, 1, set(2, templateOf(300, fx...)), set(300, records(fx, ten...)))
	}
	v9 := func(seq uint32) []byte {
		f9 := fields9(false)
		return message9(start, seq, 1, set(0, templateOf(300, f9...)), set(300, records(f9, ten...)))
	}
	all := func(write func(uint32) []byte, seqs ...uint32) int64 {
		c := newCollector(9)
		var b [][]byte
		for _, s := range seqs {
			b = append(b, write(s))
		}
		feed(c, b...)
		for _, s := range c.Shed() {
			if s.Cause == "flows lost on the way" {
				return s.Count
			}
		}
		return 0
	}
	for _, c := range []struct {
		name string
		got  int64
		want int64
	}{
		{"v5 whole", all(v5, 0, 10, 20, 30), 0},
		{"v5 gap", all(v5, 0, 10, 40, 50), 20},
		{"v5 wrap", all(v5, 1<<32-10, 0, 10), 0},
		{"v5 restart", all(v5, 1<<30, 1<<30+10, 0, 10), 0},
		{"ipfix gap", all(x, 0, 10, 30, 40), 10},
		{"v9 gap", all(v9, 1, 2, 4, 5), 1},
	} {
		if c.got != c.want {
			t.Errorf("%s: %d lost, want %d", c.name, c.got, c.want)
		}
	}
	if late := all(v5, 0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120, 130, 140, 160, 150, 170); late > 5 {
		t.Errorf("what came late is still lost: %d", late)
	}
}

// TestClock holds that an exporter's wrong clock is set right and said.
func TestClock(t *testing.T) {
	c := newCollector(9)
	off := start.Add(-2 * time.Hour)
	boot0 := boot
	boot = off.Add(-time.Hour)
	all := feed(c, message5(off, 1, 0, flowOf(a80, b80, 17, 0, 1, 128, off.Add(-time.Second), 0)))
	boot = boot0
	if len(all) != 1 || all[0].Time != testudo.TimeOf(start.Add(-time.Second)) || !strings.Contains(strings.Join(c.Notes(), ""), "its clock is 2h0m0s behind ours") {
		t.Errorf("%v, notes %q", all[0].Time, c.Notes())
	}
}

// TestBound holds that a flood of attempts drives out itself and not the
// conversations that go on, and that all of it is reported.
func TestBound(t *testing.T) {
	c := newCollector(64)
	at := testudo.TimeOf(start)
	c.Datagram(at, router, "", message5(start, 1, 0, flowOf(a80, b80, 6, opening, 6, 1312, start, time.Second), flowOf(b80, a80, 6, opening, 6, 1312, start, time.Second)))
	c.advance(at.Add(61 * time.Second))
	now := start.Add(61 * time.Second)
	for i := range 5000 {
		f := flowOf(a80, "10.9.9.9:80", 6, syn, 1, 40, now, 0)
		f.src = netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)}), 1)
		c.Datagram(testudo.TimeOf(now), router, "", message5(now, 3+uint32(i), 0, f))
	}
	if len(c.table.queue) != 64 || len(c.table.slots) != 64 || c.table.forced != 5000-63 {
		t.Errorf("%d live, %d slots, %d forced", len(c.table.queue), len(c.table.slots), c.table.forced)
	}
	c.table.flush()
	all, finals := conns(c), 0
	for _, r := range all {
		if !r.Interim {
			finals++
		}
	}
	if finals != 5001 {
		t.Errorf("%d conns", finals)
	}
	if last := all[len(all)-1]; last.ID.Resp.String() != b80 {
		t.Errorf("the last to go: %s", line(last))
	}
}
