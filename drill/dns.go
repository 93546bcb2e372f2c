package drill

import (
	"encoding/binary"
	"math/rand/v2"
	"strings"
)

// Types of DNS questions used here (RFC 1035, 3596, 2782, 9460).
const (
	typeA     = 1
	typeNS    = 2
	typeCNAME = 5
	typeSOA   = 6
	typePTR   = 12
	typeMX    = 15
	typeTXT   = 16
	typeAAAA  = 28
	typeHTTPS = 65
)

// zone is a registered domain: who answers for it.
type zone struct {
	name   string
	server *node
}

// answer is what a name stands for. With alias the address is the alias's.
type answer struct {
	alias string
	addrs []uint32
	text  string // for TXT
	ttl   uint32 // seconds
	none  bool   // there is no such name
}

// domain returns the last two labels of a name.
func domain(name string) string {
	i := strings.LastIndexByte(name, '.')
	if i < 0 {
		return name
	}
	return name[strings.LastIndexByte(name[:i], '.')+1:]
}

// zoneOf returns the zone of a name; new ones are served by one of the name
// servers that many zones share.
func (w *world) zoneOf(name string) *zone {
	d := domain(name)
	z := w.zones[d]
	if z == nil {
		var h uint32 = 2166136261
		for i := range len(d) {
			h = (h ^ uint32(d[i])) * 16777619
		}
		z = &zone{name: d, server: w.town.names[h%uint32(len(w.town.names))]}
		w.zones[d] = z
	}
	return z
}

// resolve lets client ask our resolver for the name and returns when the
// client knows. What client (if not nil) or the resolver remember is not
// asked again.
func (w *world) resolve(t int64, r *rand.Rand, d *desk, client *node, name string, typ uint16, a answer, by *Planted) int64 {
	if d != nil && typ == typeA {
		if d.names[name] > t {
			return t
		}
		d.names[name] = t + int64(a.ttl)*second
		if chance(r, 18) { // the other family, which nobody has here
			w.ask(t+between(r, 10, 300), r, client, name, typeAAAA, answer{alias: a.alias, ttl: a.ttl}, by)
		}
		if !d.stamps && chance(r, 35) { // browsers also ask for this
			w.ask(t+between(r, 10, 300), r, client, name, typeHTTPS, answer{ttl: a.ttl}, by)
		}
	}
	return w.ask(t, r, client, name, typ, a, by)
}

// ask is one question of client to our resolver and, if that does not
// remember, the resolver's to the zone's server.
func (w *world) ask(t int64, r *rand.Rand, client *node, name string, typ uint16, a answer, by *Planted) int64 {
	id := uint16(r.Uint32())
	k := w.talk(t, client, w.resolver, client.ephemeral(), 53, by)
	q := question(w.scratch[:0], id, name, typ, 0x0100)
	k.send(t, orig, q, 0)
	at := t + 2*w.resolver.lat + between(r, 40, 400)
	key := name
	if typ != typeA {
		key += string(rune('0' + typ%64))
	}
	left := a.ttl
	if d := domain(name); d == w.ministry || d == "in-addr.arpa" {
		at += between(r, 10, 50) // ours: the resolver knows by itself
	} else if until := w.cache[key]; until > at {
		left = uint32((until-at)/second) + 1
	} else {
		at = w.recurse(at, r, name, typ, a, by)
		w.cache[key] = at + int64(a.ttl)*second
		if len(w.cache) > 200_000 {
			clear(w.cache)
		}
	}
	a.ttl = left
	m := reply(w.scratch[:0], id, name, typ, 0x8180, a)
	k.send(at, resp, m, 0)
	w.scratch = m
	k.done()
	return at + 2*client.lat + between(r, 30, 200)
}

// recurse asks the zone's own server.
func (w *world) recurse(t int64, r *rand.Rand, name string, typ uint16, a answer, by *Planted) int64 {
	id := uint16(r.Uint32())
	s := w.zoneOf(name).server
	k := w.talk(t, w.resolver, s, w.resolver.ephemeral(), 53, by)
	k.send(t, orig, question(w.scratch[:0], id, name, typ, 0), 0)
	if r.IntN(1000) < 4 { // lost, asked again
		t += 800 * millisecond
		k.send(t, orig, question(w.scratch[:0], id, name, typ, 0), 0)
	}
	t += 2*s.lat + w.law.expo(r, 12*millisecond)
	m := reply(w.scratch[:0], id, name, typ, 0x8400, a)
	k.send(t, resp, m, 0)
	w.scratch = m
	k.done()
	return t + between(r, 50, 300)
}

func dnsName(b []byte, name string) []byte {
	for name != "" {
		l, rest, _ := strings.Cut(name, ".")
		b = append(append(b, byte(len(l))), l...)
		name = rest
	}
	return append(b, 0)
}

func question(b []byte, id uint16, name string, typ, flags uint16) []byte {
	b = u16(u16(b, int(id)), int(flags))
	additional := 0
	if flags == 0 {
		additional = 1
	}
	b = append(b, 0, 1, 0, 0, 0, 0, 0, byte(additional))
	b = u16(u16(dnsName(b, name), int(typ)), 1)
	if additional == 1 { // EDNS, 1232 bytes (RFC 6891)
		b = append(b, 0, 0, 41, 4, 0xd0, 0, 0, 0x80, 0, 0, 0)
	}
	return b
}

// reply is the whole message of an answer, with names compressed against the
// question.
func reply(b []byte, id uint16, name string, typ, flags uint16, a answer) []byte {
	start := len(b)
	if a.none {
		flags |= 3
		a.addrs, a.text, a.alias = nil, "", ""
	}
	b = u16(u16(b, int(id)), int(flags))
	b = append(b, 0, 1, 0, 0, 0, 0, 0, 0)
	b = u16(u16(dnsName(b, name), int(typ)), 1)
	owner, answers := 12, 0
	rr := func(b []byte, typ int, f func([]byte) []byte) []byte {
		b = u16(u16(u16(b, 0xc000|owner), typ), 1)
		b = binary.BigEndian.AppendUint32(b, a.ttl)
		answers++
		return nest(b, 2, f)
	}
	if a.alias != "" {
		at := 0
		b = rr(b, typeCNAME, func(b []byte) []byte { at = len(b) - start; return dnsName(b, a.alias) })
		owner = at
	}
	switch typ {
	case typeA:
		for _, ip := range a.addrs {
			b = rr(b, typeA, func(b []byte) []byte { return binary.BigEndian.AppendUint32(b, ip) })
		}
	case typeTXT:
		if a.text != "" {
			b = rr(b, typeTXT, func(b []byte) []byte {
				for s := a.text; s != ""; {
					n := min(len(s), 255)
					b = append(append(b, byte(n)), s[:n]...)
					s = s[n:]
				}
				return b
			})
		}
	case typeMX:
		b = rr(b, typeMX, func(b []byte) []byte { return dnsName(append(b, 0, 10), a.text) })
	case typePTR:
		if a.text != "" {
			b = rr(b, typePTR, func(b []byte) []byte { return dnsName(b, a.text) })
		}
	}
	b[start+7] = byte(answers)
	if answers == 0 { // the zone's SOA says for how long there is nothing
		owner = 12 + len(name) - len(domain(name))
		b = rr(b, typeSOA, func(b []byte) []byte {
			b = append(b, 3, 'n', 's', '1', 0xc0|byte(owner>>8), byte(owner))
			b = append(b, 4, 'h', 'o', 's', 't', 0xc0|byte(owner>>8), byte(owner))
			return append(b, 0x78, 0xc1, 0, 1, 0, 0, 0x1c, 0x20, 0, 0, 7, 8, 0, 9, 0x3a, 0x80, 0, 0, 1, 0x2c)
		})
		b[start+9] = 1
	}
	return b
}
