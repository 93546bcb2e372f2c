package drill

import "math/rand/v2"

// sit lets the person at the desk browse while here.
func (w *world) sit(d *desk) {
	r := stream(w.cfg.Seed, "sit "+d.name)
	mean := int64(8*hour) / int64(d.workload)
	w.spawn(w.t0, func(t int64) int64 {
		if here := within(d.here, t); here != t {
			if here == never {
				return never
			}
			for range 3 { // a browser that starts asks whether the network lies
				w.ask(here+between(r, 1, 900)*millisecond, r, d.node, word(r, hexDigits[10:]+"ghijklmnop", size(r, 7, 15))+"."+w.ministry, typeA, answer{none: true, ttl: 60}, nil)
			}
			return here + second + w.law.expo(r, mean/2)
		}
		w.visit(t, r, d)
		if chance(r, 35) { // follow a link
			return t + between(r, 5, 90)*second
		}
		return t + w.law.expo(r, mean*3/2)
	})
}

// visit opens a page with all that hangs on it.
func (w *world) visit(t int64, r *rand.Rand, d *desk) {
	var s *site
	switch n := r.IntN(100); {
	case n < 48:
		s = w.town.popular[w.town.popZipf.pick(r)]
	case n < 87:
		s = pick(r, d.haunts)
	default:
		s = w.town.quiet[w.town.tailZipf.pick(r)]
	}
	if chance(r, 9) { // the search suffix first, or a slip of the pen
		name := s.name + "." + w.ministry
		if chance(r, 30) {
			name = "www." + spoken(r, size(r, 2, 4)) + ".example"
		}
		t = w.ask(t, r, d.node, name, typeA, answer{none: true, ttl: 300}, nil)
	}
	done := w.fetch(t, r, d, s, 1+r.IntN(4))
	for range r.IntN(3) {
		at := done + between(r, 20, 700)*millisecond
		w.fetch(at, r, d, pick(r, w.town.third), 1+r.IntN(2))
	}
	if chance(r, 30) {
		w.disposable(done+between(r, 20, 900)*millisecond, r, d)
	}
	if chance(r, 40) {
		w.reputation(done, r, d.node)
	}
}

// fetch gets some things from a site and returns when the first was there.
func (w *world) fetch(t int64, r *rand.Rand, d *desk, s *site, things int) int64 {
	t = w.resolve(t, r, d, d.node, s.name, typeA, s.answer(r), nil)
	n := s.at[0]
	if len(s.at) > 1 && chance(r, 40) {
		n = s.at[1]
	}
	if r.IntN(1000) < 6 {
		return w.unanswered(t, r, d.node, n, s.port, 3, nil)
	}
	k := w.dial(t, r, d.node, n, s.port, nil)
	if s.tls == nil {
		q := request{
			method: "GET", host: s.name, path: "/" + spoken(r, 2), agent: d.agent, lines: "Accept: text/html\r\nAccept-Language: en\r\n",
			status: "200 OK", server: "nginx", typ: "text/html", answer: piece{fill: heavy(r, s.mass/4+200, 9*s.mass), text: true},
		}
		q.fate(r)
		k.http(q)
		first := k.t
		k.wait(between(r, 1, 20) * second)
		k.close(resp)
		return first
	}
	resumed := t < d.tickets[s.tls]
	k.tls(d.browser, s.tls, s.name, resumed)
	d.tickets[s.tls] = t + 2*hour
	first := int64(0)
	for i := range things {
		k.wait(between(r, 1, 40) * millisecond)
		k.app(orig, size(r, 180, 1100))
		k.wait(between(r, 2, 90) * millisecond)
		k.app(resp, heavy(r, s.mass/4+200, min(9*s.mass, 160_000)))
		if i == 0 {
			first = k.t
		} else if chance(r, 20) {
			k.wait(between(r, 1, 25) * second)
		}
	}
	k.wait(between(r, 1, 60) * second)
	k.bye(r.IntN(2))
	return first
}

// disposable asks for a name made for one use: a hash on a CDN or a mark
// that tells who looks.
func (w *world) disposable(t int64, r *rand.Rand, d *desk) {
	e := pick(r, w.town.edges)
	name := word(r, hexDigits, 8+8*r.IntN(4)) + "." + pick(r, w.town.cdnNames)
	if chance(r, 50) {
		name = word(r, base32, size(r, 16, 48)) + "." + word(r, hexDigits, 8) + "." + pick(r, w.town.tracks)
	}
	t = w.resolve(t, r, d, d.node, name, typeA, answer{addrs: []uint32{e.addr}, ttl: 30}, nil)
	delete(d.names, name)
	if !chance(r, 40) {
		return
	}
	s := pick(r, w.town.third)
	k := w.dial(t, r, d.node, e, 443, nil)
	k.tls(d.browser, s.tls, name, false)
	k.app(orig, size(r, 180, 900))
	k.app(resp, heavy(r, 300, 90_000))
	k.wait(between(r, 1, 30) * second)
	k.bye(orig)
}

// reputation is an antivirus program that asks by DNS what others think of
// some files: long random names, answered from 127/8.
func (w *world) reputation(t int64, r *rand.Rand, n *node) {
	rep := w.town.reps[n.addr%uint32(len(w.town.reps))]
	for range 1 + r.IntN(3) {
		name := word(r, base32, size(r, 20, 52)) + "." + word(r, hexDigits, 2+2*r.IntN(8)) + "." + rep
		typ, a := uint16(typeA), answer{addrs: []uint32{127<<24 | uint32(r.IntN(256))}, ttl: 300}
		if chance(r, 30) { // nobody knows the file
			a = answer{none: true, ttl: 300}
		} else if chance(r, 25) {
			typ, a.text = typeTXT, "v=1 r="+word(r, base32, size(r, 20, 150))
		}
		t = w.ask(t+between(r, 1, 300)*millisecond, r, n, name, typ, a, nil)
	}
}

// scan of a machine's own files keeps asking for reputations.
func (w *world) filesScanned(d *desk) {
	r := stream(w.cfg.Seed, "files scanned "+d.name)
	w.spawn(w.t0, func(t int64) int64 {
		if on := within(d.shift, t); on != t {
			if on == never {
				return never
			}
			return on + w.law.expo(r, 40*minute)
		}
		w.reputation(t, r, d.node)
		return t + w.law.expo(r, 45*minute)
	})
}

// chat is a connection that stays open all day with a sign of life now and
// then and messages in bursts.
func (w *world) chat(d *desk, to *site) {
	r := stream(w.cfg.Seed, "chat "+d.name)
	w.spawn(w.t0, func(t int64) int64 {
		here := within(d.here, t)
		if here != t {
			if here == never {
				return never
			}
			return here + between(r, 5, 120)*second
		}
		t = w.resolve(t, r, d, d.node, to.name, typeA, to.answer(r), nil)
		k := w.dial(t, r, d.node, to.at[0], 443, nil)
		k.tls(d.browser, to.tls, to.name, t < d.tickets[to.tls])
		d.tickets[to.tls] = t + 5*hour
		until := t + between(r, 20, 240)*minute
		for k.t < until {
			k.wait(between(r, 170, 260) * second)
			k.app(orig, 31)
			k.app(resp, 27)
			if chance(r, 15) {
				k.app(resp, heavy(r, 120, 6000))
			}
		}
		k.bye(orig)
		return k.t + between(r, 1, 30)*second
	})
}
