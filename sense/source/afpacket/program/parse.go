package program

import (
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/net/bpf"
)

type word struct {
	text   string
	column int
}

// parser reads a filter. proto, dir and kind are the qualifiers used last: a
// value that stands alone takes them, as in "port 80 or 443".
type parser struct {
	text     string
	words    []word
	at       int
	depth    int
	link     uint32
	stripped bool
	last     qualifiers
}

type qualifiers struct{ proto, dir, kind string }

func newParser(text string) (*parser, error) {
	p := &parser{text: text}
	if len(text) > maxText {
		p.text = text[:40] + "…"
		return nil, p.fault(word{text[:20], 1}, "the filter is longer than "+strconv.Itoa(maxText)+" bytes")
	}
	for i := 0; i < len(text); {
		n := wordLength(text[i:])
		if text[i] > ' ' {
			p.words = append(p.words, word{text[i : i+n], i + 1})
		}
		i += n
	}
	return p, nil
}

// wordLength is how far the word at the start of s goes; s is not empty.
func wordLength(s string) int {
	if strings.HasPrefix(s, "&&") || strings.HasPrefix(s, "||") {
		return 2
	}
	for i := range len(s) {
		if s[i] <= ' ' || strings.IndexByte("()!&|", s[i]) >= 0 {
			return max(i, 1)
		}
	}
	return len(s)
}

func (p *parser) fault(w word, reason string) error {
	return &SyntaxError{Filter: p.text, Column: w.column, Word: w.text, Reason: reason}
}

// peek returns the next word, empty at the end.
func (p *parser) peek() word {
	if p.at < len(p.words) {
		return p.words[p.at]
	}
	return word{column: len(p.text) + 1}
}

func (p *parser) take() word {
	w := p.peek()
	p.at++
	return w
}

func (p *parser) accept(texts ...string) bool {
	w := p.peek()
	for _, t := range texts {
		if w.text == t {
			p.at++
			return true
		}
	}
	return false
}

func (p *parser) parse() (node, error) {
	n, err := p.expression()
	if w := p.peek(); err == nil && w.text != "" {
		return nil, p.fault(w, "expected and, or, or the end here")
	}
	return n, err
}

// expression joins parts; and and or bind alike, from the left, as tcpdump's.
func (p *parser) expression() (node, error) {
	left, err := p.part()
	for err == nil {
		var right node
		switch {
		case p.accept("and", "&&"):
			right, err = p.part()
			left = both{left, right}
		case p.accept("or", "||"):
			right, err = p.part()
			left = either{left, right}
		default:
			return left, nil
		}
	}
	return nil, err
}

func (p *parser) part() (node, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, p.fault(p.peek(), "too deep within parentheses and nots")
	}
	defer func() { p.depth-- }()
	if p.accept("not", "!") {
		n, err := p.part()
		return negated{n}, err
	}
	if !p.accept("(") {
		return p.primitive()
	}
	n, err := p.expression()
	if err == nil && !p.accept(")") {
		err = p.fault(p.peek(), "expected ) here")
	}
	return n, err
}

func (p *parser) primitive() (node, error) {
	switch w := p.peek(); {
	case p.accept("vlan"):
		return p.vlan(w)
	case p.accept("less"):
		n, err := p.number(0xffffffff)
		return negated{length{bpf.JumpGreaterThan, n}}, err
	case p.accept("greater"):
		n, err := p.number(0xffffffff)
		return length{bpf.JumpGreaterOrEqual, n}, err
	}
	q, proto, err := p.qualify()
	if err != nil {
		return nil, err
	}
	if q.kind == "" { // a protocol alone
		return proto, nil
	}
	p.last = q
	n, err := p.value(q)
	if err == nil && proto != nil {
		n = both{proto, n}
	}
	return n, err
}

// qualify reads what stands before a value. The kind is empty if no value
// follows: then there is a protocol.
func (p *parser) qualify() (q qualifiers, proto node, err error) {
	begin := p.at
	if proto = protocols(p.peek().text); proto != nil {
		q.proto = p.take().text
	}
	q.dir = p.direction()
	switch w := p.peek(); {
	case p.accept("host", "net", "port", "portrange", "proto"):
		q.kind = w.text
	case q.dir != "":
		q.kind = "host"
	case proto != nil:
	case isValue(w.text) && p.last.kind != "":
		q, proto = p.last, protocols(p.last.proto)
	case isValue(w.text):
		q.kind = "host"
		if strings.Contains(w.text, "/") {
			q.kind = "net"
		}
	case w.text == "":
		err = p.fault(w, "expected a word such as host, net, port or tcp")
	case strings.ContainsAny(w.text, "[]"):
		err = p.fault(w, "bytes of the packet are not read here; give the numbers that tcpdump -ddd prints for this filter")
	default:
		err = p.fault(w, "unknown word; known are "+known)
	}
	if err == nil && q.kind == "proto" && (q.dir != "" || proto != nil && q.proto != "ip" && q.proto != "ip6") {
		err = p.fault(p.words[begin], "only ip and ip6 may stand before proto")
	}
	return q, proto, err
}

const known = "host net port portrange proto src dst ip ip6 arp rarp tcp udp sctp icmp icmp6 vlan less greater and or not"

// isValue tells a value from a word: values begin with a digit or hold a colon.
func isValue(s string) bool {
	return s != "" && (s[0] >= '0' && s[0] <= '9' || strings.Contains(s, ":"))
}

func (p *parser) direction() string {
	w := p.peek().text
	if w != "src" && w != "dst" {
		return ""
	}
	p.at++
	if p.at+1 < len(p.words) && (w == "src") == (p.words[p.at+1].text == "dst") && (w == "dst") == (p.words[p.at+1].text == "src") {
		if join := p.peek().text; join == "or" || join == "and" {
			p.at += 2
			return join
		}
	}
	return w
}

func protocols(name string) node {
	switch name {
	case "ip":
		return slot{slotType, typeIPv4}
	case "ip6":
		return slot{slotType, typeIPv6}
	case "arp":
		return slot{slotType, typeARP}
	case "rarp":
		return slot{slotType, typeRARP}
	case "tcp":
		return slot{slotProtocol, 6}
	case "udp":
		return slot{slotProtocol, 17}
	case "sctp":
		return slot{slotProtocol, 132}
	case "icmp":
		return both{slot{slotType, typeIPv4}, slot{slotProtocol, 1}}
	case "icmp6":
		return both{slot{slotType, typeIPv6}, slot{slotProtocol, 58}}
	}
	return nil
}

func (p *parser) value(q qualifiers) (node, error) {
	switch w := p.peek(); q.kind {
	case "port":
		n, err := p.number(65535)
		return directed(q.dir, ports{0, n, n}, ports{2, n, n}), err
	case "portrange":
		from, to, ok := strings.Cut(p.take().text, "-")
		a, err1 := strconv.ParseUint(from, 10, 16)
		b, err2 := strconv.ParseUint(to, 10, 16)
		if !ok || err1 != nil || err2 != nil || a > b {
			return nil, p.fault(w, "expected two ports such as 6000-6010")
		}
		return directed(q.dir, ports{0, uint32(a), uint32(b)}, ports{2, uint32(a), uint32(b)}), nil
	case "proto":
		if n := protocolNumber(w.text); n != 0 {
			p.at++
			return slot{slotProtocol, n}, nil
		}
		n, err := p.number(255)
		return slot{slotProtocol, n}, err
	default:
		return p.hosts(q)
	}
}

func protocolNumber(name string) uint32 {
	switch name = strings.TrimPrefix(name, `\`); name {
	case "icmp":
		return 1
	case "icmp6":
		return 58
	default:
		s, _ := protocols(name).(slot)
		if s.n != slotProtocol {
			return 0
		}
		return s.val
	}
}

// directed joins the tests of both ends.
func directed(dir string, src, dst node) node {
	switch dir {
	case "src":
		return src
	case "dst":
		return dst
	case "and":
		return both{src, dst}
	}
	return either{src, dst}
}

// hosts reads an address or a network.
func (p *parser) hosts(q qualifiers) (node, error) {
	w := p.take()
	prefix, ok := parsePrefix(w.text)
	switch {
	case !ok:
		return nil, p.fault(w, "expected an IPv4 or IPv6 address, or a network such as 10.0.0.0/8; names are not looked up")
	case q.kind == "host" && !prefix.IsSingleIP():
		return nil, p.fault(w, "expected one address after host; write net for a network")
	case prefix != prefix.Masked():
		return nil, p.fault(w, "the network has bits set behind its length; "+prefix.Masked().String()+" is meant")
	case prefix.Addr().Is6():
		return directed(q.dir, address{typeIPv6, 8, prefix}, address{typeIPv6, 24, prefix}), nil
	}
	n := directed(q.dir, address{typeIPv4, 12, prefix}, address{typeIPv4, 16, prefix})
	for _, typ := range []uint32{typeARP, typeRARP} {
		n = either{n, directed(q.dir, address{typ, 14, prefix}, address{typ, 24, prefix})}
	}
	return n, nil
}

// parsePrefix reads an address, a prefix, or the first one to three bytes of
// an IPv4 network, as tcpdump does: 10.1 is 10.1.0.0/16.
func parsePrefix(s string) (netip.Prefix, bool) {
	if addr, err := netip.ParseAddr(s); err == nil && addr.Zone() == "" && !addr.Is4In6() {
		return netip.PrefixFrom(addr, addr.BitLen()), true
	}
	if prefix, err := netip.ParsePrefix(s); err == nil && !prefix.Addr().Is4In6() {
		return prefix, true
	}
	if n := strings.Count(s, "."); n < 3 && !strings.Contains(s, "/") {
		addr, err := netip.ParseAddr(s + strings.Repeat(".0", 3-n))
		return netip.PrefixFrom(addr, 8*(n+1)), err == nil && addr.Is4()
	}
	return netip.Prefix{}, false
}

func (p *parser) number(most uint64) (uint32, error) {
	w := p.take()
	n, err := strconv.ParseUint(w.text, 10, 32)
	if err != nil || n > most {
		return 0, p.fault(w, "expected a number up to "+strconv.FormatUint(most, 10))
	}
	return uint32(n), nil
}

func (p *parser) vlan(w word) (node, error) {
	if p.link != Ethernet {
		return nil, p.fault(w, "the interface has no Ethernet frames, so no VLAN tags")
	}
	t := vlan{id: -1, stripped: p.stripped}
	if !isValue(p.peek().text) {
		return t, nil
	}
	n, err := p.number(4095)
	t.id = int(n)
	return t, err
}
