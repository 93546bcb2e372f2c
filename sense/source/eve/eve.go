// Package eve reads Suricata's eve.json, JSON Lines bare or compressed, as
// records. An event that tells of one thing becomes one record: flow a Conn,
// tls a TLS with its certificate, http an HTTP and so on. Questions and
// answers of DNS are joined, as are HTTP and what fileinfo says of its bodies
// (join.go). Alerts, statistics, netflow and what is not known are counted and
// left aside: Testudo judges by itself.
//
// What Suricata does not log stays zero: who spoke first and in what turns,
// gaps between bursts, what bodies look like. Payload bytes of flows are an
// estimate, as Suricata counts whole frames (flow.go).
package eve

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/source/logs"
)

// Format tells package logs how eve.json is read.
func Format() logs.Format {
	return logs.Format{
		Name: "Suricata eve log", Sniff: sniff, Note: note,
		// Keys and SHA-256 are there only where certificates are logged whole,
		// headers only where all of them are.
		Lacks: []testudo.Evidence{
			testudo.Bursts, testudo.Turns, testudo.Bodies, testudo.Headers, testudo.FirstBytes, testudo.Keys,
			testudo.Keystrokes, testudo.Logins, testudo.EchoPayloads, testudo.FlagOrder, testudo.ExactSizes, testudo.Certificates, testudo.Loads,
		},
		File:   func(string) logs.File { return file{} },
		Joiner: func() logs.Joiner { return newJoiner() },
	}
}

// Open opens eve logs, files or folders of them.
func Open(paths ...string) (*logs.Logs, error) {
	l, err := logs.Open(Format(), paths...)
	if err != nil {
		return nil, fmt.Errorf("eve: %w", err)
	}
	return l, nil
}

// Sniff says whether a file that begins with head looks like an eve.json,
// also compressed.
func Sniff(head []byte) bool { return sniff(logs.Head(head)) }

func sniff(head []byte) bool {
	head = bytes.TrimLeft(logs.SkipSpace(head), "\x00")
	if len(head) == 0 || head[0] != '{' {
		return false
	}
	line, _, _ := bytes.Cut(head, []byte{'\n'})
	var o logs.Object
	_ = o.Parse(line) // a line cut off still shows the fields before
	return o.Find("timestamp") >= 0 && (o.Find("event_type") >= 0 || o.Find("flow_id") >= 0)
}

// note says what was left aside, the most first.
func note(aside map[string]int) string {
	type count struct {
		name string
		n    int
	}
	counts := make([]count, 0, len(aside))
	for name, n := range aside {
		counts = append(counts, count{name, n})
	}
	slices.SortFunc(counts, func(a, b count) int {
		if a.n != b.n {
			return b.n - a.n
		}
		return strings.Compare(a.name, b.name)
	})
	words := make([]string, 0, len(counts))
	for i, c := range counts {
		if i == 8 && len(counts) > 9 {
			words = append(words, fmt.Sprintf("%d other kinds", len(counts)-i))
			break
		}
		words = append(words, fmt.Sprintf("%d %s", c.n, c.name))
	}
	text := "eve events left aside: " + strings.Join(words, ", ")
	if aside["alert"] > 0 {
		text += "; alerts of Suricata do not count as sightings, Testudo judges the traffic itself"
	}
	return text
}

// file reads one file: no line of it tells how others are read.
type file struct{}

func (file) Header([]byte) bool  { return false }
func (file) Parser() logs.Parser { return &parser{} }

// What makes a line malformed beside a value that is not of its field's type.
var (
	errForm = errors.New("not a JSON object")
	errType = errors.New("no event_type")
	errTime = errors.New("no timestamp")
	errEnds = errors.New("an address of the two ends is missing")
)

// parser reads events, one at a time.
type parser struct {
	object, inner logs.Object
	words         *logs.Words
	meta          testudo.Meta
	flow          []byte // flow_id as it stands
	tx            []byte // tx_id likewise
	bad           string // the field whose value is not of its type
	key           []byte
}

// Parse turns one event into a record.
func (p *parser) Parse(line []byte, w *logs.Words) (logs.Entry, error) {
	line = logs.SkipSpace(bytes.TrimLeft(line, "\x00")) // a file cut while it was written may begin with zeros
	if len(line) == 0 {
		return logs.Entry{}, nil
	}
	if !p.object.Parse(line) {
		return logs.Entry{}, errForm
	}
	i := p.object.Find("event_type")
	if i < 0 {
		return logs.Entry{}, errType
	}
	kind := p.object.Pairs[i].Raw
	p.words, p.bad = w, ""
	timed := p.common()
	e := p.event(kind)
	switch {
	case e.Record == nil:
		if e.Aside == "" {
			e.Aside = sane(kind, w)
		}
		return e, nil
	case p.bad != "":
		return logs.Entry{}, fmt.Errorf("the value of %.80q is not of its type", p.bad)
	case !timed:
		return logs.Entry{}, errTime
	case !p.paired(e.Record):
		return logs.Entry{}, errEnds
	}
	if e.Written == 0 {
		e.Written = e.Record.Base().Time
	}
	return e, nil
}

// sane returns an event's name if it is one, as it will be shown.
func sane(kind []byte, w *logs.Words) string {
	for _, c := range kind {
		if c != '_' && c != '-' && (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return "other"
		}
	}
	if len(kind) == 0 || len(kind) > 32 {
		return "other"
	}
	return w.Intern(kind)
}

// paired says whether a record has the ends it needs.
func (p *parser) paired(r testudo.Record) bool {
	switch r.(type) {
	case *testudo.ARP, *testudo.Weird:
		return true
	}
	id := &r.Base().ID
	return id.Orig.IsValid() && id.Resp.IsValid()
}

// event reads what belongs to the event's kind. Without a record and a reason
// the event is counted by its name.
func (p *parser) event(kind []byte) logs.Entry {
	switch string(kind) {
	case "flow":
		return p.conn()
	case "dns":
		return p.dns()
	case "tls":
		return logs.Entry{Record: p.tls()}
	case "quic":
		return logs.Entry{Record: p.quic()}
	case "http", "http2":
		return p.http()
	case "fileinfo":
		return p.fileinfo()
	case "ssh":
		return logs.Entry{Record: p.ssh()}
	case "smtp":
		return logs.Entry{Record: p.smtp()}
	case "ftp":
		return p.ftp()
	case "dhcp":
		return logs.Entry{Record: p.dhcp()}
	case "arp":
		return logs.Entry{Record: p.arp()}
	case "anomaly":
		return logs.Entry{Record: p.anomaly()}
	}
	return logs.Entry{}
}

// common reads what all events share into meta and says whether there was a
// time.
func (p *parser) common() (timed bool) {
	p.meta, p.flow, p.tx = testudo.Meta{}, nil, nil
	var orig, resp netip.Addr
	var origPort, respPort, icmpType, icmpCode uint16
	for _, f := range p.object.Pairs {
		switch string(f.Key) {
		case "timestamp":
			p.meta.Time = p.time(f)
			timed = p.bad == ""
		case "flow_id":
			p.flow = f.Raw
			p.meta.UID = logs.ParseUID(f.Raw)
		case "tx_id":
			p.tx = f.Raw
		case "src_ip":
			orig = p.addr(f)
		case "dest_ip":
			resp = p.addr(f)
		case "src_port":
			origPort = p.port(f)
		case "dest_port":
			respPort = p.port(f)
		case "icmp_type":
			icmpType = p.port(f)
		case "icmp_code":
			icmpCode = p.port(f)
		case "proto":
			p.meta.ID.Proto = proto(f.Raw)
		}
	}
	if p.meta.ID.Proto == testudo.ICMP || p.meta.ID.Proto == testudo.ICMPv6 {
		origPort, respPort = icmpType, icmpCode
		if orig.Is6() {
			p.meta.ID.Proto = testudo.ICMPv6
		}
	}
	if orig.IsValid() {
		p.meta.ID.Orig = netip.AddrPortFrom(orig, origPort)
	}
	if resp.IsValid() {
		p.meta.ID.Resp = netip.AddrPortFrom(resp, respPort)
	}
	return timed
}

// join makes the key under which lines of one transaction meet.
func (p *parser) join(sort byte, id []byte) string {
	p.key = append(append(append(p.key[:0], sort), p.flow...), '/')
	return p.words.Intern(append(p.key, id...))
}

// proto reads Suricata's word for a transport, or its number.
func proto(b []byte) testudo.Proto {
	switch string(b) {
	case "TCP":
		return testudo.TCP
	case "UDP":
		return testudo.UDP
	case "ICMP":
		return testudo.ICMP
	case "IPv6-ICMP", "ICMPv6":
		return testudo.ICMPv6
	case "SCTP":
		return testudo.SCTP
	case "GRE":
		return 47
	case "ESP":
		return 50
	case "AH":
		return 51
	}
	if n, err := logs.ParseInt(b); err == nil && n > 0 && n < 256 {
		return testudo.Proto(n)
	}
	return 0
}
