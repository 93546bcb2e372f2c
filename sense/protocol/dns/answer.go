package dns

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/protocol"
)

// maxData is how many bytes of one record's data become text.
const maxData = 1024

// reply is what is collected of one reply before it becomes a record.
type reply struct {
	answers [maxAnswers]string
	times   [maxAnswers]time.Duration
	known   [maxAnswers]netip.Addr
	n, nk   int // how many of answers and times, and of known

	carried    int // bytes of record data that could carry something
	additional int
	extended   uint16 // upper bits of the response code, from OPT
}

func (a *analyzer) readReply(f *protocol.Flow, dir protocol.Dir, m message) {
	a.n, a.nk, a.carried, a.additional, a.extended = 0, 0, 0, 0, 0
	off, asked := headerLen, false
	var query string
	var kind, class uint16
	for i := range min(m.count(sectionQuestion), maxQuestions) {
		name, k, c, next, ok := m.question(off, a.name[:0])
		if !ok {
			a.weird(f, "DNS_truncated_quest_too_short")
			off = len(m)
			break
		}
		if off = next; i == 0 {
			asked, kind, class = true, k, cleanClass(f.ID, c)
			query = f.Intern(netbiosName(f.ID, k, name))
		}
	}
	if !asked {
		query, kind, class = a.firstOwner(f, m, off)
	}
	found := a.sections(f, m, off)

	r := a.records.DNS()
	i := a.find(m.id(), dir.Reverse(), query, kind)
	if !asked && i < 0 {
		i = a.findID(m.id(), dir.Reverse())
	}
	if i >= 0 {
		q := a.take(i)
		q.fill(f, r)
		r.RTT = max(0, f.Now.Sub(q.at))
	} else {
		r.Time = f.Now
		r.TransID = m.id()
		r.RD = m.flags()&flagRD != 0
		r.Z = m.flags() >> 4 & 7
		if asked || found {
			setQuestion(f, r, query, kind, class)
		}
	}
	a.finish(f, r, m)
}

// finish writes the reply's half of a record and the record.
func (a *analyzer) finish(f *protocol.Flow, r *testudo.DNS, m message) {
	r.Answered = true
	r.ReplySize = len(m)
	r.AA = m.flags()&flagAA != 0
	r.RA = m.flags()&flagRA != 0
	r.TC = r.TC || m.flags()&flagTC != 0
	r.RCode = a.extended<<4 | m.rcode()
	r.RCodeName = rcodeName(f, r.RCode)
	r.Rejected = m.count(sectionAnswer)+m.count(sectionAuthority)+m.count(sectionAdditional) == 0
	r.AnswerData = a.carried
	r.Additional = a.additional
	if a.n > 0 {
		if cap(r.Answers) < a.n || cap(r.TTLs) < a.n {
			r.Answers, r.TTLs = a.texts.Take(a.n), a.ttls.Take(a.n)
		}
		r.Answers = append(r.Answers[:0], a.answers[:a.n]...)
		r.TTLs = append(r.TTLs[:0], a.times[:a.n]...)
		clear(a.answers[:a.n])
	}
	if a.nk > 0 {
		if cap(r.Addresses) < a.nk {
			r.Addresses = a.addrs.Take(a.nk)
		}
		r.Addresses = append(r.Addresses[:0], a.known[:a.nk]...)
	}
	f.Emit(r)
}

// findID returns the oldest open question with this number, -1 for none.
func (a *analyzer) findID(id uint16, asker protocol.Dir) int {
	for i := range a.pending {
		if a.pending[i].id == id && a.pending[i].dir == asker {
			return i
		}
	}
	return -1
}

// firstOwner is what a reply without a question answers: the name, type and
// class of its first answer.
func (a *analyzer) firstOwner(f *protocol.Flow, m message, off int) (string, uint16, uint16) {
	if m.count(sectionAnswer) == 0 {
		return "", 0, 0
	}
	name, _, ok := m.name(off, a.name[:0])
	r, _, rok := m.resource(off)
	if !ok || !rok {
		return "", 0, 0
	}
	return f.Intern(netbiosName(f.ID, r.kind, name)), r.kind, cleanClass(f.ID, r.class)
}

// sections reads the three sections of resource records that begin at off and
// tells whether there was an answer.
func (a *analyzer) sections(f *protocol.Flow, m message, off int) bool {
	found := false
	for section := sectionAnswer; section <= sectionAdditional; section++ {
		for range m.count(section) {
			r, cut, _ := m.resource(off)
			if cut {
				if m.flags()&flagTC == 0 {
					a.weird(f, "DNS_truncated_ans_too_short")
				}
				return found
			}
			off = r.end
			if r.kind == typeOPT {
				a.extended = uint16(r.ttl >> 24)
				continue
			}
			switch section {
			case sectionAnswer:
				found = true
				a.answer(f, m, r)
			case sectionAdditional:
				a.additional++
				a.hidden(r)
			default:
				a.hidden(r)
			}
		}
	}
	return found
}

// hidden counts data outside the answer section that could carry something.
func (a *analyzer) hidden(r resource) {
	if r.kind == typeTXT || r.kind == typeNULL {
		a.carried += r.end - r.data
	}
}

// answer notes one record of the answer section.
func (a *analyzer) answer(f *protocol.Flow, m message, r resource) {
	text := a.text[:0]
	if isNetBIOS(f.ID) && (r.kind == typeNB || r.kind == typeNBSTAT) {
		text = a.netbiosData(text, m, r)
	} else {
		text = a.data(text, m, r)
	}
	a.text = text[:0]
	if len(text) == 0 || a.n == maxAnswers {
		return
	}
	a.answers[a.n] = f.Intern(text)
	a.times[a.n] = time.Duration(r.ttl) * time.Second
	a.n++
}

// data appends a record's data in the form of Zeek's dns.log and counts what
// of it could carry something.
func (a *analyzer) data(text []byte, m message, r resource) []byte {
	data := m[r.data:r.end]
	switch r.kind {
	case typeA, typeAAAA:
		if ip, ok := netip.AddrFromSlice(data); ok && (r.kind == typeA) == ip.Is4() {
			return a.address(text, ip)
		}
		a.carried += len(data) // an address of another size is no address
		return unknown(text, r.kind)
	case typeCNAME, typeNS, typePTR, typeDNAME, typeSOA, typeMD, typeMF, typeMB, typeMG, typeMR:
		return a.nameData(text, m, r, 0)
	case typeMX, typeAFSDB, typeRT, typeKX:
		return a.nameData(text, m, r, 2)
	case typeSRV:
		return a.nameData(text, m, r, 6)
	case typeSVCB, typeHTTPS:
		return a.service(text, m, r)
	}
	a.carried += len(data)
	switch r.kind {
	case typeTXT:
		return charStrings(text, "TXT ", data)
	case typeSPF:
		return charStrings(text, "SPF ", data)
	case typeNULL:
		return unknown(text, r.kind)
	case typeWKS:
		return text
	case typeHINFO:
		return words(append(text, "HINFO"...), data, 2)
	case typeNAPTR:
		return naptr(text, m, r)
	case typeCAA:
		return caa(text, data)
	}
	return a.signature(text, m, r)
}

func (a *analyzer) address(text []byte, ip netip.Addr) []byte {
	if a.nk < maxAnswers {
		a.known[a.nk] = ip
		a.nk++
	}
	return ip.AppendTo(text)
}

// nameData reads a domain name skip bytes into the data.
func (a *analyzer) nameData(text []byte, m message, r resource, skip int) []byte {
	before := len(text)
	out, next, ok := m[:r.end].name(r.data+skip, text)
	if !ok || next > r.end {
		a.carried += r.end - r.data
		return unknown(text[:before], r.kind)
	}
	a.carried += len(out) - before
	if len(out) == before {
		return append(out, "<Root>"...)
	}
	return out
}

// service reads SVCB and HTTPS data (RFC 9460): priority and target.
func (a *analyzer) service(text []byte, m message, r resource) []byte {
	data := m[r.data:r.end]
	a.carried += len(data)
	if len(data) < 3 {
		return unknown(text, r.kind)
	}
	word := "HTTPS "
	if r.kind == typeSVCB {
		word = "SVCB "
	}
	text = strconv.AppendUint(append(text, word...), uint64(binary.BigEndian.Uint16(data)), 10)
	before := len(text) + 1
	text, _, ok := m[:r.end].name(r.data+2, append(text, ' '))
	if !ok || len(text) == before {
		return append(text[:before], '.')
	}
	return text
}

// signature reads the records of DNSSEC (RFC 4034, RFC 5155) and SSHFP.
func (a *analyzer) signature(text []byte, m message, r resource) []byte {
	data := m[r.data:r.end]
	switch {
	case r.kind == typeRRSIG && len(data) > 18:
		text = strconv.AppendUint(append(text, "RRSIG "...), uint64(binary.BigEndian.Uint16(data)), 10)
		return rooted(append(text, ' '), m[:r.end], r.data+18)
	case r.kind == typeNSEC:
		text = rooted(append(text, "NSEC "...), m, r.owner)
		return rooted(append(text, ' '), m[:r.end], r.data)
	case r.kind == typeDNSKEY && len(data) >= 4:
		return strconv.AppendUint(append(text, "DNSKEY "...), uint64(data[3]), 10)
	case r.kind == typeDS && len(data) >= 4:
		text = strconv.AppendUint(append(text, "DS "...), uint64(data[2]), 10)
		return strconv.AppendUint(append(text, ' '), uint64(data[3]), 10)
	case r.kind == typeNSEC3:
		return append(text, "NSEC3"...)
	case r.kind == typeParam3:
		return append(text, "NSEC3PARAM"...)
	case r.kind == typeSSHFP && len(data) > 2:
		text = append(text, "SSHFP: "...)
		for _, c := range data[2:min(len(data), maxData)] {
			text = append(text, hexDigits[c>>4], hexDigits[c&15])
		}
		return text
	}
	return unknown(text, r.kind)
}

// rooted appends the name at off, "<Root>" for the empty one.
func rooted(text []byte, m message, off int) []byte {
	before := len(text)
	text, _, ok := m.name(off, text)
	if !ok || len(text) == before {
		return append(text[:before], "<Root>"...)
	}
	return text
}

// charStrings appends each character string with its word and length.
func charStrings(text []byte, word string, data []byte) []byte {
	used := 0
	for len(data) > 0 && used < maxData {
		n := min(int(data[0]), len(data)-1)
		if used > 0 {
			text = append(text, ' ')
		}
		text = strconv.AppendInt(append(text, word...), int64(n), 10)
		text = appendText(append(text, ' '), data[1:1+n], false)
		data = data[1+n:]
		used += 1 + n
	}
	return text
}

// words appends up to n character strings, each after a space.
func words(text, data []byte, n int) []byte {
	for ; n > 0 && len(data) > 0; n-- {
		k := min(int(data[0]), len(data)-1)
		text = appendText(append(text, ' '), data[1:1+k], false)
		data = data[1+k:]
	}
	return text
}

// naptr reads NAPTR data (RFC 3403): order, preference, flags, service,
// expression and replacement.
func naptr(text []byte, m message, r resource) []byte {
	data := m[r.data:r.end]
	if len(data) < 7 {
		return unknown(text, r.kind)
	}
	text = strconv.AppendUint(append(text, "NAPTR "...), uint64(binary.BigEndian.Uint16(data)), 10)
	text = strconv.AppendUint(append(text, ' '), uint64(binary.BigEndian.Uint16(data[2:])), 10)
	text = words(text, data[4:], 3)
	off := r.data + 4
	for range 3 {
		if off < r.end {
			off += 1 + int(m[off])
		}
	}
	return rooted(append(text, ' '), m[:r.end], off)
}

// caa reads CAA data (RFC 8659): flags, tag and value.
func caa(text, data []byte) []byte {
	if len(data) < 2 || 2+int(data[1]) > len(data) {
		return unknown(text, typeCAA)
	}
	tag := 2 + int(data[1])
	text = strconv.AppendUint(append(text, "CAA "...), uint64(data[0]), 10)
	text = appendText(append(text, ' '), data[2:tag], false)
	return appendText(append(text, ' '), data[tag:min(len(data), maxData)], false)
}

// netbiosData reads the data of NetBIOS answers (RFC 1002, 4.2.1.3): for NB
// pairs of flags and address, for NBSTAT a count of names.
func (a *analyzer) netbiosData(text []byte, m message, r resource) []byte {
	data := m[r.data:r.end]
	if r.kind == typeNBSTAT {
		if len(data) == 0 {
			return text
		}
		text = strconv.AppendUint(append(text, "NBSTAT "...), uint64(data[0]), 10)
		return append(text, " names"...)
	}
	for n := 0; len(data) >= 6 && n < 8; n++ {
		if n > 0 {
			text = append(text, ' ')
		}
		text = a.address(text, netip.AddrFrom4([4]byte(data[2:6])))
		data = data[6:]
	}
	return text
}

func unknown(text []byte, kind uint16) []byte {
	text = strconv.AppendUint(append(text, "<unknown type="...), uint64(kind), 10)
	return append(text, '>')
}
