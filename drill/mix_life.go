package drill

import (
	"crypto/x509"
	"math/rand/v2"
)

// kind is a sort of conversation of the mix.
type kind struct {
	name     string
	share    int // of the conversations drawn, in ten thousand
	variants int
	proto    uint8
	port     uint16
	named    bool
	resolver bool
	own      bool // the server's name cannot be written over: variant i is server i's
	write    func(q *recorder, r *rand.Rand, t int64, variant int)
}

// sorts lists what an office's uplink carries; docs/performance.md says where
// the shares come from.
func (q *recorder) sorts(r *rand.Rand) ([]kind, error) {
	var old [2]*tlsServer // TLS 1.2, whose certificates can be seen
	for i := range old {
		s := &tlsServer{elliptic: i == 0, small: true, order: helloOrders[i], extra: 60}
		var err error
		if s.chain, err = q.w.pki.issue(q.w.pki.ca[i], s.elliptic, 90, mixName); err != nil {
			return nil, err
		}
		leaf, err := x509.ParseCertificate(s.chain[0])
		if err != nil {
			return nil, err
		}
		key := leaf.RawSubjectPublicKeyInfo
		q.keys = append(q.keys, key[len(key)-40:len(key)-20])
		old[i] = s
	}
	now := &tlsServer{tls13: true, elliptic: true, small: true, order: helloOrders[0], extra: 80, chain: old[0].chain}
	web := func(s *tlsServer, resumed bool, rounds, up, down int) func(*recorder, *rand.Rand, int64, int) {
		return func(q *recorder, r *rand.Rand, t int64, variant int) {
			k := q.dial(r, t, 443)
			k.tls(browsers[variant%len(browsers)], s, mixName, resumed)
			for range rounds {
				k.app(orig, up/2+r.IntN(up))
				k.wait(between(r, 5, 60) * millisecond)
				k.app(resp, down/2+r.IntN(down))
			}
			k.bye(orig)
		}
	}
	return []kind{
		{name: "lookup", share: 1700, variants: 8, proto: protoUDP, port: 53, resolver: true, write: (*recorder).mixDNS},
		{name: "web", share: 3000, variants: 12, proto: protoTCP, port: 443, named: true, write: web(now, false, 3, 600, 2600)},
		{name: "web resumed", share: 1500, variants: 8, proto: protoTCP, port: 443, named: true, write: web(now, true, 2, 600, 1800)},
		{name: "web of old", share: 900, variants: 8, proto: protoTCP, port: 443, named: true, write: func(q *recorder, r *rand.Rand, t int64, v int) {
			web(old[v%2], false, 2, 500, 2400)(q, r, t, v)
		}},
		{name: "http", share: 600, variants: 6, proto: protoTCP, port: 80, named: true, write: (*recorder).mixHTTP},
		{name: "quic", share: 900, variants: 32, proto: protoUDP, port: 443, named: true, own: true, write: (*recorder).mixQUIC},
		{name: "download", share: 120, variants: 3, proto: protoTCP, port: 443, named: true, write: web(now, true, 3, 500, 52000)},
		{name: "push", share: 250, variants: 4, proto: protoTCP, port: 443, named: true, write: web(now, true, 40, 90, 160)},
		{name: "bulk", share: 14, variants: 2, proto: protoTCP, port: 443, write: func(q *recorder, r *rand.Rand, t int64, v int) {
			k := q.dial(r, t, 443)
			k.tls(scripted, now, mixName, true)
			k.app(1-v, 2_000_000+1_500_000*v) // one goes up, one comes down
			k.bye(orig)
		}},
		{name: "media", share: 60, variants: 2, proto: protoUDP, port: 3480, write: (*recorder).mixMedia},
		{name: "ssh", share: 30, variants: 2, proto: protoTCP, port: 22, write: func(q *recorder, r *rand.Rand, t int64, v int) {
			k := q.dial(r, t, 22)
			k.ssh(sshClients[v], 1, true)
			k.shell(sshClients[v], 6)
			k.close(orig)
		}},
		{name: "ntp", share: 400, variants: 1, proto: protoUDP, port: 123, write: (*recorder).mixNTP},
		{name: "refused", share: 80, variants: 1, proto: protoTCP, port: 443, write: func(q *recorder, r *rand.Rand, t int64, _ int) {
			q.w.refused(t, r, q.client, q.server, 443, nil)
		}},
		{name: "unanswered", share: 250, variants: 1, proto: protoTCP, port: 443, write: func(q *recorder, r *rand.Rand, t int64, _ int) {
			q.w.unanswered(t, r, q.client, q.server, 443, 2, nil)
		}},
		{name: "ping", share: 150, variants: 1, proto: protoICMP, write: func(q *recorder, r *rand.Rand, t int64, _ int) {
			for i := range 4 {
				q.w.echo(t+int64(i)*second, r, q.client, q.server, uint16(i+1), true)
			}
		}},
	}, nil
}

func (q *recorder) dial(r *rand.Rand, t int64, port uint16) *conv {
	return q.w.dial(t, r, q.client, q.server, port, nil)
}

// mixDNS is a question to our resolver and its answer.
func (q *recorder) mixDNS(r *rand.Rand, t int64, variant int) {
	k := q.w.talk(t, q.client, q.w.resolver, 40000, 53, nil)
	typ, a := uint16(typeA), answer{addrs: []uint32{q.server.addr}, ttl: 300}
	switch variant {
	case 5:
		typ, a.addrs = typeAAAA, nil
	case 6:
		typ, a.addrs = typeHTTPS, nil
	case 7:
		a.alias = mixLabel + ".edge.cdn.example"
	}
	k.send(t, orig, question(nil, 1, mixName, typ, 0x0100), 0)
	k.send(t+8*millisecond, resp, reply(nil, 1, mixName, typ, 0x8180, a), 0)
}

// mixHTTP is a page in clear with what belongs to it.
func (q *recorder) mixHTTP(r *rand.Rand, t int64, variant int) {
	k := q.dial(r, t, 80)
	agent := browsers[variant%len(browsers)].agent(windows)
	for range 1 + variant%3 {
		k.http(request{
			method: "GET", host: mixName, path: "/" + spoken(r, 2) + "/" + spoken(r, 3), agent: agent,
			lines: "Accept: */*\r\nAccept-Language: en\r\n", status: "200 OK", server: "httpd", typ: "text/html",
			answer: piece{fill: size(r, 1200, 9000), text: true},
		})
		k.wait(between(r, 50, 900) * millisecond)
	}
	k.close(orig)
}

// mixMedia is a call: small messages both ways.
func (q *recorder) mixMedia(r *rand.Rand, t int64, variant int) {
	k := q.w.talk(t, q.client, q.server, 50000, 3480, nil)
	for i := range 300 {
		for d := range 2 {
			b := append([]byte{0x80, 96 + byte(variant), byte(i >> 8), byte(i), 0, 0, byte(i >> 6), byte(i << 2), 1, 2, 3, byte(d)}, q.w.noise[i*64:i*64+size(r, 90, 260)]...)
			k.send(t+int64(i)*20*millisecond, d, b, 0)
		}
	}
}

// mixNTP is a question for the time and its answer (RFC 5905).
func (q *recorder) mixNTP(r *rand.Rand, t int64, _ int) {
	k := q.w.talk(t, q.client, q.server, 123, 123, nil)
	for d, mode := range []byte{0x23, 0x24} {
		b := make([]byte, 48)
		fill(r, b[16:])
		b[0], b[1], b[2], b[3] = mode, byte(2*d), 6, 0xec
		k.send(t+int64(d)*20*millisecond, d, b, 0)
	}
}
