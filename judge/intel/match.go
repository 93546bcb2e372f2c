package intel

import (
	"net/netip"
	"strings"

	"github.com/testudo-shield/testudo"
)

// Match returns what the set says of r's observables, in the order of r's
// fields, of each value the newest first. Records that nothing matches, which
// are most, cost no allocation.
func (s *Set) Match(r testudo.Record) []testudo.Hit {
	m := r.Base()
	l := look{set: s, at: seconds(m.Time)}
	switch r := r.(type) {
	case *testudo.Conn:
		l.addr("orig", m.ID.Orig.Addr())
		l.addr("resp", m.ID.Resp.Addr())
	case *testudo.DNS:
		l.dns(r)
	case *testudo.TLS:
		l.tls(r)
	case *testudo.X509:
		l.digest("certificate", r.Fingerprint)
	case *testudo.QUIC:
		l.name("server_name", r.ServerName)
	case *testudo.HTTP:
		l.http(r)
	case *testudo.SSH:
		l.digest("hassh", r.HASSH)
		l.digest("hassh_server", r.HASSHServer)
	case *testudo.SMTP:
		l.smtp(r)
	}
	return l.hits
}

// Lookup returns what the set says of one value of type t as of at: of the
// value itself, of prefixes and domains that it lies in.
func (s *Set) Lookup(t testudo.IndicatorType, value string, at testudo.Time) []testudo.Hit {
	value, ok := Canonical(t, value)
	if !ok {
		return nil
	}
	l := look{set: s, at: seconds(at)}
	switch t {
	case testudo.AddressIndicator:
		if a, err := netip.ParseAddr(value); err == nil {
			l.addr(string(t), a)
		}
	case testudo.DomainIndicator, testudo.HostIndicator:
		l.name(string(t), value)
	default:
		if key, ok := appendKey(nil, t, value); ok {
			l.key(string(t), key)
		}
	}
	return l.hits
}

// look is one look at a record.
type look struct {
	set  *Set
	at   uint32 // when, in seconds
	hits []testudo.Hit
}

func (l *look) dns(r *testudo.DNS) {
	l.name("query", r.Query)
	for _, a := range r.Addresses {
		l.addr("answer", a)
	}
	for _, a := range r.Answers {
		// Names only: addresses were looked at above.
		if n := len(a); n > 0 && a[n-1] > '9' && a != r.Query && strings.IndexByte(a, ' ') < 0 {
			l.name("answer", a)
		}
	}
}

func (l *look) tls(r *testudo.TLS) {
	l.name("server_name", r.ServerName)
	l.digest("ja3", r.JA3)
	l.digest("ja3s", r.JA3S)
	l.text("ja4", ja4Key, r.JA4)
	for _, c := range r.Chain[:min(len(r.Chain), 4)] {
		l.digest("certificate", c)
	}
}

func (l *look) http(r *testudo.HTTP) {
	l.name("host", withoutPort(r.Host))
	l.text("user_agent", agentKey, r.UserAgent)
	l.url("url", r.Host, r.URI)
}

func (l *look) smtp(r *testudo.SMTP) {
	l.email("mailfrom", r.MailFrom)
	l.email("from", r.From)
	l.email("reply_to", r.ReplyTo)
	for _, to := range r.RcptTo {
		l.email("rcptto", to)
	}
	l.name("helo", r.Helo)
}

// addr looks up an address and the prefixes it lies in.
func (l *look) addr(field string, a netip.Addr) {
	if !a.IsValid() {
		return
	}
	if a.Is4In6() || a.Zone() != "" {
		a = a.Unmap().WithZone("")
	}
	var buf [18]byte
	if l.set.has[addressKey] {
		l.key(field, appendAddr(append(buf[:0], addressKey), a))
	}
	if !l.set.has[prefixKey] {
		return
	}
	nets := &l.set.nets.v6
	if a.Is4() {
		nets = &l.set.nets.v4
	} else {
		for _, n := range l.set.nets.long {
			p, _ := a.Prefix(n)
			l.key(field, appendPrefix(buf[:0], p))
		}
	}
	for n := nets.narrowest(key64(a)); n != 0; n = nets.nets[n-1].around {
		l.give(field, nets.nets[n-1].entry, true)
	}
}

// name looks up a name and every name above it. The byte before the part that
// is looked up, a dot, gives way to the key's.
func (l *look) name(field, name string) {
	if name = strings.TrimSuffix(name, "."); name == "" || len(name) > 253 || !l.set.has[nameKey] {
		return
	}
	var buf [254]byte
	key := appendLower(append(buf[:0], nameKey), name)
	for whole := true; ; whole = false {
		if n, ok := l.find(key); ok {
			l.give(field, n, whole)
		}
		dot := -1
		for i := 1; i < len(key); i++ {
			if key[i] == '.' {
				dot = i
				break
			}
		}
		if dot < 0 {
			return
		}
		key = key[dot:]
		key[0] = nameKey
	}
}

// digest looks up a digest in hexadecimal letters.
func (l *look) digest(field, hex string) {
	if hex == "" || !l.set.has[digestKey] {
		return
	}
	var buf [40]byte
	if key, ok := appendDigest(append(buf[:0], digestKey), hex); ok {
		l.key(field, key)
	}
}

// text looks up a text as it is.
func (l *look) text(field string, sort byte, text string) {
	if text == "" || len(text) > maxValue || !l.set.has[sort] {
		return
	}
	var buf [256]byte
	l.key(field, append(append(buf[:0], sort), text...))
}

// url looks up a request's host and path, with its question and without: a
// URL that is listed without one stands for all. A URL beyond 512 bytes costs
// an allocation.
func (l *look) url(field, host, uri string) {
	if !l.set.has[urlKey] || len(host)+len(uri) > maxValue {
		return
	}
	if scheme, rest, ok := cutScheme(uri); ok && scheme != "" { // asked of a proxy
		slash := strings.IndexByte(rest, '/')
		if slash < 0 {
			return
		}
		host, uri = rest[:slash], rest[slash:]
	}
	if len(uri) < 2 {
		return
	}
	var buf [512]byte
	key := appendLower(append(buf[:0], urlKey), strings.TrimSuffix(host, ":80"))
	key = append(key, uri...)
	l.key(field, key)
	if i := strings.IndexByte(uri, '?'); i > 1 {
		l.key(field, key[:len(key)-len(uri)+i])
	}
}

// email looks up the address in "Name <a@b>" and the domain it is of.
func (l *look) email(field, text string) {
	if i := strings.LastIndexByte(text, '<'); i >= 0 {
		text = strings.TrimSuffix(strings.TrimSpace(text[i+1:]), ">")
	}
	at := strings.LastIndexByte(text, '@')
	if at < 1 || len(text) > 320 {
		return
	}
	if l.set.has[emailKey] {
		var buf [321]byte
		l.key(field, appendLower(append(buf[:0], emailKey), text))
	}
	l.name(field, text[at+1:])
}

func (l *look) find(key []byte) (uint32, bool) {
	h := l.set.index.hash(key)
	if !l.set.filter.may(h) {
		return 0, false
	}
	return l.set.index.find(h, key)
}

func (l *look) key(field string, key []byte) {
	if n, ok := l.find(key); ok {
		l.give(field, n, true)
	}
}

// maxGiven is how many sources one value's hits name; the rest are counted.
const maxGiven = 8

// give adds what is said of the value whose key stands there. Where a part of a
// name was looked up, what is said of that name alone does not count.
func (l *look) give(field string, key uint32, whole bool) {
	s := l.set
	given, value := 0, ""
	for n := s.index.word(key); n != 0; {
		m := s.mentions.at(n - 1)
		n = m.next
		if !whole && typesInOrder[m.kind] == testudo.HostIndicator {
			continue
		}
		if given++; given > maxGiven {
			l.hits[len(l.hits)-1].More++
			continue
		}
		if value == "" {
			value = textOf(s.index.key(key))
		}
		l.hits = append(l.hits, l.hit(field, value, m))
	}
}

func (l *look) hit(field, value string, m *mention) testudo.Hit {
	d := &l.set.details[m.detail]
	h := testudo.Hit{
		Value: value, Type: typesInOrder[m.kind], Field: field, Source: d.source, Note: string(l.set.index.text.at(m.note)),
		Threats: d.threats, Listed: testudo.Time(m.listed) * 1e9, Confidence: int(d.confidence), TLP: d.tlp, Marks: m.marks,
	}
	if m.expires != 0 && l.at > m.expires {
		h.Marks |= testudo.MarkExpired
	}
	return h
}
