package ipfix

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"time"

	"github.com/netsampler/goflow2/v2/decoders/netflow"
	"github.com/netsampler/goflow2/v2/decoders/netflowlegacy"

	"github.com/testudo-shield/testudo"
)

// kind is the format of a datagram.
type kind uint8

const (
	kindNone kind = iota
	kindV5
	kindV9
	kindIPFIX
	kindSFlow
)

func (k kind) String() string {
	return [...]string{"unknown", "NetFlow v5", "NetFlow v9", "IPFIX", "sFlow v5"}[k]
}

const (
	headerV5, recordV5 = 24, 48
	headerV9           = 20
	headerIPFIX        = 16
	maxV5              = 30 // flows of a datagram
	setHeader          = 4
	firstData          = 256 // lowest number of a data set
)

var (
	errUnknown  = errors.New("no flow export")
	errDamaged  = errors.New("a length does not fit")
	errTemplate = errors.New("a template is longer than its set")
)

// kindOf tells what b is by its first bytes and lengths. What passes here is
// sound enough to be handed to the decoders of goflow2.
func kindOf(b []byte) (kind, error) {
	if len(b) < headerIPFIX {
		return kindNone, errUnknown
	}
	switch binary.BigEndian.Uint16(b) {
	case 0:
		if binary.BigEndian.Uint32(b) == 5 {
			return kindSFlow, soundSFlow(b)
		}
	case 5:
		n := int(binary.BigEndian.Uint16(b[2:]))
		if n == 0 || n > maxV5 || len(b) < headerV5+n*recordV5 {
			return kindV5, errDamaged
		}
		return kindV5, nil
	case 9:
		if len(b) < headerV9 {
			return kindV9, errDamaged
		}
		return kindV9, soundSets(b[headerV9:], 9)
	case 10:
		n := int(binary.BigEndian.Uint16(b[2:]))
		if n < headerIPFIX || n > len(b) {
			return kindIPFIX, errDamaged
		}
		return kindIPFIX, soundSets(b[headerIPFIX:n], 10)
	}
	return kindNone, errUnknown
}

// nextSet takes one set off b. What is left at the end and too short for a
// set is padding.
func nextSet(b []byte) (id uint16, body, rest []byte, err error) {
	n := int(binary.BigEndian.Uint16(b[2:]))
	if n < setHeader || n > len(b) {
		return 0, nil, nil, errDamaged
	}
	return binary.BigEndian.Uint16(b), b[setHeader:n], b[n:], nil
}

// soundSets holds that lengths stay within bounds: of sets within the
// message, of templates within their set and within what is allowed.
func soundSets(b []byte, version uint16) error {
	for len(b) >= setHeader {
		id, body, rest, err := nextSet(b)
		if err != nil {
			return err
		}
		switch {
		case version == 9 && id == 0, version == 10 && id == 2:
			err = soundTemplates(body, 4, 2, version)
		case version == 9 && id == 1:
			err = soundOptions9(body)
		case version == 10 && id == 3:
			err = soundTemplates(body, 6, 2, version)
		case id < firstData:
			err = errDamaged
		}
		if err != nil {
			return err
		}
		b = rest
	}
	return nil
}

// soundTemplates walks templates whose header has the given length and their
// field count at an offset. A template of no fields withdraws one.
func soundTemplates(b []byte, header, at int, version uint16) error {
	for len(b) >= 4 {
		n := int(binary.BigEndian.Uint16(b[at:]))
		if n == 0 { // a withdrawal has no more (RFC 7011, 8.1); or padding
			b = b[4:]
			continue
		}
		if n > maxFields || len(b) < header {
			return errTemplate
		}
		if header == 6 && int(binary.BigEndian.Uint16(b[4:])) > n {
			return errTemplate
		}
		b = b[header:]
		for range n {
			size := 4
			if len(b) >= 4 && version == 10 && b[0]&0x80 != 0 {
				size = 8
			}
			if len(b) < size {
				return errTemplate
			}
			b = b[size:]
		}
	}
	return nil
}

// soundOptions9 walks the options templates of NetFlow v9, whose two lists
// are counted in bytes (RFC 3954, 6.1).
func soundOptions9(b []byte) error {
	for len(b) >= 6 {
		n := int(binary.BigEndian.Uint16(b[2:])) + int(binary.BigEndian.Uint16(b[4:]))
		if n > maxFields*4 || n > len(b)-6 {
			return errTemplate
		}
		b = b[6+n:]
	}
	return nil
}

// message is one export message's header.
type message struct {
	from    *domain
	version uint16
	export  testudo.Time
	uptime  uint32       // ms, of v5 and v9
	boot    testudo.Time // when the exporter began, by v5 and v9
}

// Datagram takes what an exporter sent at a moment. What cannot be read is
// counted.
func (c *collector) Datagram(at testudo.Time, from netip.Addr, file string, b []byte) {
	c.advance(at)
	c.stats.datagrams++
	k, err := kindOf(b)
	if err != nil {
		c.stats.foreign++
		return
	}
	switch k {
	case kindV5:
		c.v5(at, domainKey{from, file, k, uint32(binary.BigEndian.Uint16(b[20:]))}, b)
	case kindV9:
		c.v9(at, domainKey{from, file, k, binary.BigEndian.Uint32(b[16:])}, b)
	case kindIPFIX:
		n := binary.BigEndian.Uint16(b[2:])
		c.ipfix(at, domainKey{from, file, k, binary.BigEndian.Uint32(b[12:])}, b[:n])
	case kindSFlow:
		head := headSFlow(b)
		c.sflow(at, domainKey{from, file, k, binary.BigEndian.Uint32(b[head-16:])}, b)
	}
}

// begin finds who sent a message; nil if it came before.
func (c *collector) begin(k domainKey, b []byte) *domain {
	d := c.domain(k)
	if d.repeated(b, c.seed) {
		c.stats.repeated++
		return nil
	}
	return d
}

// v9 reads a message of NetFlow v9 (RFC 3954).
func (c *collector) v9(at testudo.Time, k domainKey, b []byte) {
	m := message{version: 9, uptime: binary.BigEndian.Uint32(b[4:]), export: seconds(b[8:]), from: c.begin(k, b)}
	if m.from == nil {
		return
	}
	m.from.tick(at, m.export)
	m.boot = m.from.booted(&m)
	m.from.expect(binary.BigEndian.Uint32(b[12:]), 1)
	m.from.got(c.sets(&m, b[headerV9:]), 1)
}

// ipfix reads a message of IPFIX (RFC 7011).
func (c *collector) ipfix(at testudo.Time, k domainKey, b []byte) {
	m := message{version: 10, export: seconds(b[4:]), from: c.begin(k, b)}
	if m.from == nil {
		return
	}
	m.from.tick(at, m.export)
	m.from.expect(binary.BigEndian.Uint32(b[8:]), 0)
	records := c.sets(&m, b[headerIPFIX:])
	m.from.got(records, records)
}

func seconds(b []byte) testudo.Time {
	return testudo.Time(binary.BigEndian.Uint32(b)) * testudo.Time(time.Second)
}

// v5 reads a datagram of NetFlow v5, whose form is fixed.
func (c *collector) v5(at testudo.Time, k domainKey, b []byte) {
	var p netflowlegacy.PacketNetFlowV5
	if netflowlegacy.DecodeMessageVersion(bytes.NewBuffer(b), &p) != nil {
		c.stats.foreign++
		return
	}
	m := message{version: 5, uptime: p.SysUptime, from: c.begin(k, b)}
	if m.from == nil {
		return
	}
	m.export = testudo.Time(p.UnixSecs)*testudo.Time(time.Second) + testudo.Time(p.UnixNSecs%1e9)
	m.from.tick(at, m.export)
	m.boot = m.from.booted(&m)
	m.from.expect(p.FlowSequence, 0)
	if rate := int64(p.SamplingInterval & 0x3fff); rate > 1 {
		m.from.sample(0, rate)
	}
	for i := range p.Records {
		f := &p.Records[i]
		r := &c.record
		r.clear()
		r.src, r.dst = addr4(uint32(f.SrcAddr)), addr4(uint32(f.DstAddr))
		r.sport, r.dport, r.proto = f.SrcPort, f.DstPort, testudo.Proto(f.Proto)
		w := &r.way[0]
		w.pkts, w.bytes, w.flags = int64(f.DPkts), int64(f.DOctets), f.TCPFlags
		w.upStart, w.upEnd, w.hasUp = f.First, f.Last, true
		c.flow(&m, r)
	}
	m.from.got(len(p.Records), len(p.Records))
}

func addr4(n uint32) netip.Addr {
	return netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
}

// sets reads the sets of a message in order and returns how many data
// records there were, -1 if that cannot be told for want of a template.
func (c *collector) sets(m *message, b []byte) int {
	records := 0
	for len(b) >= setHeader {
		id, body, rest, err := nextSet(b)
		if err != nil {
			c.stats.foreign++
			return -1
		}
		b = rest
		if id < firstData {
			c.templates(m, id, body)
			continue
		}
		t := m.from.templates[id]
		if t == nil {
			m.from.wait(id, m, body)
			records = -1
			continue
		}
		n := c.data(m, t, body)
		if records >= 0 {
			records += n
		}
	}
	return records
}

// data reads the records of one set. What is left and shorter than a record
// is padding.
func (c *collector) data(m *message, t *template, b []byte) (n int) {
	for len(b) >= t.least {
		r := &c.record
		r.clear()
		rest, err := t.read(b, r)
		if err != nil {
			m.from.losses.records++
			break
		}
		b = rest
		n++
		if t.options {
			m.from.sample(r.sampler, r.sampling())
		} else {
			c.flow(m, r)
		}
	}
	return n
}

// templates reads a set of templates and then the data that waited for them.
func (c *collector) templates(m *message, id uint16, body []byte) {
	if len(body) == 4 && m.version == 10 && binary.BigEndian.Uint16(body) == id && body[2]|body[3] == 0 {
		clear(m.from.templates) // all of them are withdrawn (RFC 7011, 8.1)
		return
	}
	in := bytes.NewBuffer(body)
	switch {
	case id == 0 || id == 2:
		ts, err := netflow.DecodeTemplateSet(m.version, in)
		c.damaged(err)
		for i := range ts {
			c.template(m, ts[i].TemplateId, compile(false, ts[i].Fields))
		}
	case id == 1:
		ts, err := netflow.DecodeNFv9OptionsTemplateSet(in)
		c.damaged(err)
		for i := range ts {
			for k := range ts[i].Scopes { // numbered by a list of their own
				ts[i].Scopes[k].PenProvided = true
			}
			c.template(m, ts[i].TemplateId, compile(true, ts[i].Scopes, ts[i].Options))
		}
	default:
		ts, err := netflow.DecodeIPFIXOptionsTemplateSet(in)
		c.damaged(err)
		for i := range ts {
			c.template(m, ts[i].TemplateId, compile(true, ts[i].Scopes, ts[i].Options))
		}
	}
}

func (c *collector) damaged(err error) {
	if err != nil {
		c.stats.foreign++
	}
}

func (c *collector) template(m *message, id uint16, t *template) {
	if id < firstData {
		return // padding
	}
	m.from.learn(id, t)
	if t == nil || m.from.templates[id] != t {
		return
	}
	for _, w := range m.from.due(id) {
		c.data(&w.msg, t, w.body)
	}
}
