package eve

import (
	"bytes"
	"math"
	"strconv"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/source/logs"
)

// Keys of DNS entries begin with what they are: a question, an answer that is
// whole, or one record of an answer (version 1 writes an event for each).
const asked, answered, part = 'q', 'a', 'p'

// dns reads a question or an answer of any version of the format: version 1
// has an answer's record in the event itself, 2 a list of answers, 3 also a
// list of questions.
func (p *parser) dns() logs.Entry {
	d := &testudo.DNS{Meta: p.meta}
	sort, id := byte(asked), []byte(nil)
	var single answer
	for _, f := range p.object.Pairs {
		switch string(f.Key) {
		case "dns.type":
			if s := string(f.Raw); s == "answer" || s == "response" {
				sort = answered
			}
		case "dns.id":
			id = f.Raw
			d.TransID = p.port(f)
		case "dns.rrname":
			d.Query = p.text(f)
		case "dns.rrtype":
			d.QTypeName = p.text(f)
		case "dns.rcode":
			d.RCodeName = p.text(f)
		case "dns.aa":
			d.AA = p.truth(f)
		case "dns.tc":
			d.TC = p.truth(f)
		case "dns.rd":
			d.RD = p.truth(f)
		case "dns.ra":
			d.RA = p.truth(f)
		case "dns.rdata":
			single.data = p.text(f)
		case "dns.ttl":
			single.ttl = p.seconds(f)
		case "dns.queries":
			p.question(d, f)
		case "dns.answers":
			p.answers(d, f)
		}
	}
	if len(d.Answers) == 0 {
		p.grouped(d)
	}
	d.QClass, d.QClassName = 1, "C_INTERNET"
	if sort == answered {
		d.Answered = true
		if d.ID.Orig.Port() == 53 && d.ID.Resp.Port() != 53 { // as older versions write it
			d.ID.Orig, d.ID.Resp = d.ID.Resp, d.ID.Orig
		}
		d.RCode = rcode(d.RCodeName)
		if single.data != "" {
			// The event's own type is the record's, which may be another than
			// the question's.
			sort = part
			single.kind = d.QTypeName
			d.Answers, d.TTLs = []string{single.text()}, []time.Duration{single.ttl}
		}
	}
	d.QType = qtype(d.QTypeName)
	return logs.Entry{Record: d, Key: p.join(sort, id)}
}

// question reads version 3's list of questions, of which the first counts.
func (p *parser) question(d *testudo.DNS, f logs.Pair) {
	for e := range logs.Elements(f.Raw) {
		if e.Sort != '{' || !p.inner.Parse(e.Raw) {
			return
		}
		for _, q := range p.inner.Pairs {
			switch string(q.Key) {
			case "rrname":
				d.Query = p.words.Intern(p.inner.Text(q.Raw, q.Sort))
			case "rrtype":
				d.QTypeName = p.words.Intern(p.inner.Text(q.Raw, q.Sort))
			}
		}
		return
	}
}

// answers reads a list of answers.
func (p *parser) answers(d *testudo.DNS, f logs.Pair) {
	if f.Sort != '[' {
		p.refuse(f)
		return
	}
	for e := range logs.Elements(f.Raw) {
		if e.Sort != '{' || !p.inner.Parse(e.Raw) {
			p.refuse(f)
			return
		}
		if len(d.Answers) == logs.MaxItems {
			return
		}
		a := p.answer()
		d.Answers, d.TTLs = append(d.Answers, a.text()), append(d.TTLs, a.ttl)
	}
}

// grouped reads answers that are told by their types only.
func (p *parser) grouped(d *testudo.DNS) {
	for _, f := range p.object.Pairs {
		kind, ok := bytes.CutPrefix(f.Key, []byte("dns.grouped."))
		if !ok {
			continue
		}
		for _, data := range p.object.List(f) {
			if len(d.Answers) == logs.MaxItems {
				return
			}
			a := answer{kind: string(kind), data: p.words.Intern(data)}
			d.Answers, d.TTLs = append(d.Answers, a.text()), append(d.TTLs, 0)
		}
	}
}

// answer is one record of an answer.
type answer struct {
	kind, data string
	ttl        time.Duration
}

// answer reads the one at hand in p.inner.
func (p *parser) answer() (a answer) {
	for _, f := range p.inner.Pairs {
		switch string(f.Key) {
		case "rrtype":
			a.kind = p.words.Intern(p.inner.Text(f.Raw, f.Sort))
		case "ttl":
			a.ttl = p.seconds(f)
		case "rdata", "srv.name", "soa.mname":
			a.data = p.words.Intern(p.inner.Text(f.Raw, f.Sort))
		}
	}
	return a
}

// text returns the answer in the form of testudo.DNS.
func (a answer) text() string {
	if a.kind == "TXT" || a.kind == "NULL" {
		return "TXT " + strconv.Itoa(len(a.data)) + " " + a.data
	}
	return a.data
}

func (p *parser) seconds(f logs.Pair) time.Duration {
	return time.Duration(min(p.count(f), math.MaxUint32)) * time.Second
}

// rcode turns the name of a response code into its number (RFC 6895).
func rcode(name string) uint16 {
	switch name {
	case "FORMERR":
		return 1
	case "SERVFAIL":
		return 2
	case "NXDOMAIN":
		return 3
	case "NOTIMP":
		return 4
	case "REFUSED":
		return 5
	case "YXDOMAIN":
		return 6
	case "YXRRSET":
		return 7
	case "NXRRSET":
		return 8
	case "NOTAUTH":
		return 9
	case "NOTZONE":
		return 10
	}
	return 0
}

// qtype turns the name of a record type into its number.
func qtype(name string) uint16 {
	switch name {
	case "A":
		return 1
	case "NS":
		return 2
	case "CNAME":
		return 5
	case "SOA":
		return 6
	case "NULL":
		return 10
	case "PTR":
		return 12
	case "HINFO":
		return 13
	case "MX":
		return 15
	case "TXT":
		return 16
	case "AAAA":
		return 28
	case "SRV":
		return 33
	case "NAPTR":
		return 35
	case "DNAME":
		return 39
	case "DS":
		return 43
	case "SSHFP":
		return 44
	case "RRSIG":
		return 46
	case "NSEC":
		return 47
	case "DNSKEY":
		return 48
	case "TLSA":
		return 52
	case "SVCB":
		return 64
	case "HTTPS":
		return 65
	case "SPF":
		return 99
	case "IXFR":
		return 251
	case "AXFR":
		return 252
	case "ANY":
		return 255
	}
	if len(name) > 4 && name[:4] == "TYPE" {
		name = name[4:]
	}
	n, err := strconv.ParseUint(name, 10, 16)
	if err != nil {
		return 0
	}
	return uint16(n)
}
