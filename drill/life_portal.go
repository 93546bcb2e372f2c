package drill

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
)

// portalLife is what citizens do on the e-government portal.
func (w *world) portalLife() error {
	r := stream(w.cfg.Seed, "portal")
	names := []string{"portal." + w.ministry, "www." + w.ministry, "mx." + w.ministry}
	var err error
	w.town.front = &tlsServer{tls13: chance(r, 60), elliptic: chance(r, 50), order: helloOrders[0], extra: 90}
	if w.town.front.chain, err = w.pki.issue(w.pki.ca[0], w.town.front.elliptic, 365, names...); err != nil {
		return err
	}
	regulars := make([]*node, 60)
	for i := range regulars {
		regulars[i] = w.visitor(r)
	}
	come := func(t int64, r *rand.Rand) {
		v := pick(r, regulars)
		if chance(r, 55) {
			v = w.visitor(r)
		}
		w.errand(t, r, v)
	}
	w.spawn(w.t0, func(t int64) int64 {
		come(t, r)
		mean := 16 * minute
		if h := (t - w.t0) % day / hour; h >= 7 && h < 22 {
			mean = 5 * minute
		}
		return t + w.law.expo(r, mean)
	})
	// The last hours before a deadline.
	crowd := stream(w.cfg.Seed, "crowd")
	rush := w.t0 + 2*day + between(crowd, 15*60, 19*60)*minute
	if rush < w.end {
		w.decoy("citizens before a deadline", "flood", nil, w.portal)
		w.spawn(rush, func(t int64) int64 {
			come(t, crowd)
			if t > rush+40*minute {
				return never
			}
			return t + w.law.expo(crowd, 6*second)
		})
	}
	w.crawlers()
	w.forgetful()
	return nil
}

var loginPages = []string{"/login", "/account/enter"}

// errand is one visit: reading, sometimes logging in, sometimes failing to.
func (w *world) errand(t int64, r *rand.Rand, v *node) {
	h := pick(r, browsers)
	for _, storm := range w.storms {
		if t >= storm.from && t < storm.to && chance(r, 60) {
			w.unanswered(t, r, v, w.portal, 443, 1+r.IntN(4), nil)
			return
		}
	}
	if chance(r, 8) { // the log wants to know who that is
		b := v.ip().As4()
		name := fmt.Sprintf("%d.%d.%d.%d.in-addr.arpa", b[3], b[2], b[1], b[0])
		w.ask(t+between(r, 1, 90)*millisecond, r, w.portal, name, typePTR, answer{text: "host-" + word(r, hexDigits, 6) + "." + spoken(r, 3) + ".example", none: chance(r, 40), ttl: 3600}, nil)
	}
	if chance(r, 22) { // the old forms, in clear
		k := w.dial(t, r, v, w.portal, 80, nil)
		agent := h.agent(windows)
		for range 1 + r.IntN(3) {
			q := w.page(r, agent)
			q.fate(r)
			k.http(q)
			k.wait(between(r, 2, 12) * second)
		}
		if chance(r, 45) {
			for chance(r, 22) {
				k.http(w.login(r, agent, false))
				k.wait(between(r, 3, 9) * second)
			}
			k.http(w.login(r, agent, true))
		}
		k.close(resp)
		return
	}
	for i := range 1 + r.IntN(9) { // browsers open several conversations
		if i > 0 {
			t += between(r, 30, 400)*millisecond + int64(b2i(chance(r, 45)))*between(r, 2, 40)*second
		}
		w.browse(t, r, v, h, i > 0 || chance(r, 25))
	}
}

// browse is one conversation of a visit.
func (w *world) browse(t int64, r *rand.Rand, v *node, h *helloShape, resumed bool) {
	k := w.dial(t, r, v, w.portal, 443, nil)
	k.tls(h, w.town.front, "portal."+w.ministry, resumed)
	for range 1 + r.IntN(3) {
		k.app(orig, size(r, 250, 1200))
		k.wait(between(r, 5, 120) * millisecond)
		k.app(resp, heavy(r, 900, 60_000))
		k.wait(between(r, 1, 15) * second)
	}
	k.bye(r.IntN(2))
}

func (w *world) page(r *rand.Rand, agent string) request {
	return request{
		method: "GET", host: "portal." + w.ministry, path: "/forms/" + spoken(r, 2), agent: agent, lines: "Accept: text/html\r\n",
		status: "200 OK", server: "Apache", typ: "text/html", answer: piece{fill: heavy(r, 900, 30_000), text: true},
	}
}

func (w *world) login(r *rand.Rand, agent string, ok bool) request {
	q := request{
		method: "POST", host: "portal." + w.ministry, path: loginPages[0], agent: agent, server: "Apache", typ: "text/html",
		lines: "Content-Type: application/x-www-form-urlencoded\r\nAccept: text/html\r\n", think: between(r, 60, 300) * millisecond,
		body:   piece{lit: []byte("user=" + spoken(r, 3) + "&password=" + word(r, base32, size(r, 6, 14)))},
		status: "401 Unauthorized", answer: piece{fill: size(r, 1400, 1500), text: true},
	}
	if ok {
		q.status, q.headers, q.answer = "302 Found", "Location: /account\r\nSet-Cookie: sid="+word(r, hexDigits, 32)+"; HttpOnly\r\n", piece{}
	}
	return q
}

// crawlers and uptime services come in rhythms of their own.
func (w *world) crawlers() {
	r := stream(w.cfg.Seed, "crawlers")
	for i := range 4 {
		n := w.rent(r, cloud)
		every := between(r, 5, 30) * minute
		agent := "Uptime/" + word(r, "12345", 1)
		w.spawn(w.t0+between(r, 0, every), func(t int64) int64 {
			if i%2 == 0 {
				k := w.dial(t, r, n, w.portal, 80, nil)
				k.http(w.page(r, agent))
				k.close(orig)
			} else {
				k := w.dial(t, r, n, w.portal, 443, nil)
				k.tls(compiled, w.town.front, "portal."+w.ministry, false)
				k.app(orig, 190)
				k.app(resp, heavy(r, 900, 20_000))
				k.bye(orig)
			}
			return t + every + between(r, -2, 2)*second
		})
	}
}

// forgetful is a company's program whose password has expired: it fails to
// log in, again and again, for hours.
func (w *world) forgetful() {
	r := stream(w.cfg.Seed, "forgetful")
	n := w.rent(r, pick(r, []trade{hosting, cloud}))
	begin := w.t0 + between(r, 0, int64(w.cfg.Days)-1)*day + between(r, 8, 14)*hour
	w.decoy("a company's program with an expired password", "brute force", n, w.portal)
	until := begin + between(r, 2, 6)*hour
	w.spawn(begin, func(t int64) int64 {
		k := w.dial(t, r, n, w.portal, 80, nil)
		k.http(w.login(r, "Client/"+word(r, "1234", 1), false))
		k.close(orig)
		if t > until {
			return never
		}
		return t + between(r, 50, 130)*second
	})
}

// calls are video conferences: UDP both ways for minutes.
func (w *world) calls() {
	r := stream(w.cfg.Seed, "calls")
	bridges := []*node{w.rent(r, cloud), w.rent(r, cloud)}
	w.spawn(w.t0, func(t int64) int64 {
		d := pick(r, w.desks)
		if within(d.here, t) == t {
			w.call(t, r, d, pick(r, bridges))
		}
		if !w.working(t) {
			return t + w.law.expo(r, hour)
		}
		return t + w.law.expo(r, 75*minute)
	})
}

func (w *world) call(t int64, r *rand.Rand, d *desk, to *node) {
	k := w.talk(t, d.node, to, d.ephemeral(), 3478, nil)
	var b [160]byte
	stun := append(b[:0], 0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42)
	stun = random(r, stun, 12)
	k.send(t, orig, stun, 0)
	stun[0] = 1
	k.send(t+2*to.lat+300, resp, stun, 0)
	until := t + between(r, 20, 170)*second
	seq := [2]uint16{uint16(r.Uint32()), uint16(r.Uint32())}
	ssrc := [2]uint32{r.Uint32(), r.Uint32()}
	for t += 200 * millisecond; t < until; t += 40*millisecond + between(r, -900, 900) {
		for dir := range 2 {
			seq[dir]++
			p := append(b[:0], 0x80, 96)
			p = u16(p, int(seq[dir]))
			p = binary.BigEndian.AppendUint32(p, uint32(t/20))
			p = binary.BigEndian.AppendUint32(p, ssrc[dir])
			p = random(r, p, 48)
			k.send(t+int64(dir)*7*millisecond, dir, p, size(r, 40, 900))
		}
	}
	k.done()
}

// live lets everybody begin.
func (w *world) live() error {
	for _, d := range w.desks {
		w.sit(d)
		w.filesScanned(d)
	}
	if err := w.portalLife(); err != nil {
		return err
	}
	if err := w.office(); err != nil {
		return err
	}
	w.housekeeping()
	w.calls()
	return nil
}
