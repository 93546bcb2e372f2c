package drill

import (
	"encoding/binary"
	"math/rand/v2"
)

// housekeeping is what networks do by themselves.
func (w *world) housekeeping() {
	r := stream(w.cfg.Seed, "housekeeping")
	for _, d := range w.desks {
		w.clock(d.node, w.resolver, d.shift, between(r, 40, 70)*minute)
		w.lease(d)
		w.neighbours(d)
	}
	for _, g := range w.gadgets {
		c := pick(r, w.town.clocks)
		w.clock(g, c.at[0], nil, between(r, 15, 70)*minute)
	}
	for _, n := range []*node{w.resolver, w.mail, w.portal, w.lab[0]} {
		w.clock(n, pick(r, w.town.clocks).at[0], nil, between(r, 17, 34)*minute)
	}
	w.watch()
	w.takeStock()
	w.discoverPrinters()
	w.audit()
	w.radiation()
}

// clock asks for the time (RFC 5905).
func (w *world) clock(n, to *node, on []span, every int64) {
	r := stream(w.cfg.Seed, "clock "+n.name+to.ip().String())
	w.spawn(w.t0+between(r, 0, every), func(t int64) int64 {
		if on != nil {
			if up := within(on, t); up != t {
				if up == never {
					return never
				}
				return up + between(r, 1, 20)*second
			}
		}
		stamp := func(b []byte, t int64) []byte {
			b = binary.BigEndian.AppendUint32(b, uint32(t/second+2208988800))
			return binary.BigEndian.AppendUint32(b, uint32(t%second*4294))
		}
		k := w.talk(t, n, to, 123, 123, nil)
		q := append(w.scratch[:0], 0x23, 0, 10, 0xe9)
		q = append(q, make([]byte, 36)...)
		k.send(t, orig, stamp(q, t-n.lat), 0)
		back := t + 2*to.lat + between(r, 20, 200)
		a := append(w.scratch[:0], 0x24, 2, 10, 0xe8, 0, 0, 4, 0, 0, 0, 6, 0)
		a = binary.BigEndian.AppendUint32(a, internet+uint32(to.addr>>3&0x1ffff))
		a = stamp(stamp(a, t-37*second), t-n.lat)
		a = stamp(stamp(a, t+to.lat), back-to.lat)
		k.send(back, resp, a, 0)
		w.scratch = a
		k.done()
		return t + every + between(r, -every/60, every/60)
	})
}

// lease renews the address in the morning and every twelve hours (RFC 2131).
func (w *world) lease(d *desk) {
	r := stream(w.cfg.Seed, "lease "+d.name)
	w.spawn(w.t0, func(t int64) int64 {
		if on := within(d.shift, t); on != t {
			if on == never {
				return never
			}
			return on + between(r, 100, 900)*millisecond
		}
		k := w.talk(t, d.node, w.resolver, 68, 67, nil)
		id := r.Uint32()
		for dir := range 2 {
			b := append(w.scratch[:0], byte(1+dir), 1, 6, 0)
			b = binary.BigEndian.AppendUint32(b, id)
			b = append(b, 0, 0, 0, 0)
			b = binary.BigEndian.AppendUint32(b, d.addr)
			b = append(b, make([]byte, 12)...)
			if dir == resp {
				binary.BigEndian.PutUint32(b[16:], d.addr)
			}
			b = append(b, d.mac[:]...)
			b = append(b, make([]byte, 10+192)...)
			b = append(b, 99, 130, 83, 99, 53, 1, byte(3+2*dir))
			if dir == orig {
				b = append(append(b, 12, byte(len(d.name))), d.name...)
				b = append(b, 55, 4, 1, 3, 6, 15, 255)
				k.send(t, orig, b, 0)
			} else {
				b = binary.BigEndian.AppendUint32(append(b, 54, 4), w.resolver.addr)
				b = append(b, 51, 4, 0, 1, 0x51, 0x80, 1, 4, 255, 255, 255, 0, 6, 4)
				b = append(binary.BigEndian.AppendUint32(b, w.resolver.addr), 255)
				k.send(t+2*w.resolver.lat+between(r, 200, 900), resp, b, 0)
			}
			w.scratch = b
		}
		k.done()
		return t + 12*hour + between(r, -200, 200)*second
	})
}

func (w *world) neighbours(d *desk) {
	r := stream(w.cfg.Seed, "neighbours "+d.name)
	w.spawn(w.t0, func(t int64) int64 {
		if on := within(d.shift, t); on != t {
			if on == never {
				return never
			}
			return on + between(r, 1, 90)*millisecond
		}
		w.arp(t, d.node, pick(r, []*node{w.resolver, w.files, w.mail, w.intranet}))
		return t + w.law.expo(r, 25*minute)
	})
}

// watch is the monitoring: pings, a port, and SNMP.
func (w *world) watch() {
	r := stream(w.cfg.Seed, "watch")
	targets := append([]*node{w.resolver, w.files, w.mail, w.backup, w.printing, w.intranet, w.nas, w.portal, w.mx}, w.gadgets...)
	i, seq := 0, uint16(0)
	w.spawn(w.t0+between(r, 0, minute), func(t int64) int64 {
		n := targets[i%len(targets)]
		i++
		switch i % 3 {
		case 0:
			w.echo(t, r, w.watcher, n, seq, r.IntN(200) > 0)
			seq++
		case 1:
			port := uint16(pick(r, []int{22, 80, 443}))
			if chance(r, 88) {
				k := w.dial(t, r, w.watcher, n, port, nil)
				k.wait(between(r, 1, 9) * millisecond)
				k.close(orig)
			} else {
				w.refused(t, r, w.watcher, n, port, nil)
			}
		default:
			k := w.talk(t, w.watcher, n, w.watcher.ephemeral(), 161, nil)
			id := byte(r.IntN(127))
			q := []byte("\x30\x26\x02\x01\x01\x04\x06public\xa0\x19\x02\x01" + string(rune(id)) + "\x02\x01\x00\x02\x01\x00\x30\x0e\x30\x0c\x06\x08\x2b\x06\x01\x02\x01\x01\x03\x00\x05\x00")
			k.send(t, orig, q, 0)
			a := []byte("\x30\x2a\x02\x01\x01\x04\x06public\xa2\x1d\x02\x01" + string(rune(id)) + "\x02\x01\x00\x02\x01\x00\x30\x12\x30\x10\x06\x08\x2b\x06\x01\x02\x01\x01\x03\x00\x43\x04\x00\x00\x00\x00")
			binary.BigEndian.PutUint32(a[len(a)-4:], uint32((t-w.t0)/10000)+n.addr)
			k.send(t+2*n.lat+between(r, 200, 2000), resp, a, 0)
			k.done()
		}
		return t + between(r, 45, 55)*second
	})
}

// takeStock is the asset inventory: every night, and once at noon, it tries
// a few ports of every address it knows of.
func (w *world) takeStock() {
	r := stream(w.cfg.Seed, "stock")
	w.decoy("asset inventory sweeps the networks", "internal scan", w.assets, nil)
	var known []*node
	for _, d := range w.desks {
		known = append(known, d.node)
	}
	known = append(append(known, w.gadgets...), w.files, w.mail, w.printing, w.nas, w.intranet)
	ghosts := w.ghosts(r, 60)
	ports := []uint16{22, 80, 135, 443, 445, 3389, 5985, 9100}
	k, order := 0, r.Perm(len(known)+len(ghosts))
	w.spawn(w.t0+between(r, 60, 400)*minute, func(t int64) int64 {
		i := order[k/4%len(order)]
		port := pick(r, ports)
		if i < len(known) {
			w.probe(t, r, w.assets, known[i], port, nil)
		} else {
			w.unanswered(t, r, w.assets, ghosts[i-len(known)], port, 1+r.IntN(2), nil)
		}
		k++
		if k%(4*len(order)) == 0 {
			return t + between(r, 6, 10)*hour
		}
		return t + w.law.expo(r, 4*second)
	})
}

// ghosts are addresses of ours where nothing is.
func (w *world) ghosts(r *rand.Rand, n int) []*node {
	var gs []*node
	for range n {
		base := w.inside.Addr().As4()
		base[2] = w.subnet[r.IntN(subnets)]
		base[3] = byte(1 + r.IntN(253))
		if a := binary.BigEndian.Uint32(base[:]); !w.taken[a] {
			gs = append(gs, w.ours(r, a, gadget))
		}
	}
	return gs
}

// probe tries a port of a machine of ours: some answer, some refuse, some
// keep silent.
func (w *world) probe(t int64, r *rand.Rand, from, to *node, port uint16, by *Planted) {
	open := to.ttl == 128 && (port == 445 || port == 135 || port == 3389 && to.addr%3 == 0) || to.ttl != 128 && (port == 80 || port == 22 && to.addr%2 == 0)
	switch {
	case open:
		k := w.dial(t, r, from, to, port, by)
		switch {
		case port == 445 && chance(r, 60):
			k.smb(chance(r, 40), 100, 400)
		case port == 80 && chance(r, 60):
			k.http(request{method: "GET", host: to.ip().String(), path: "/", status: "200 OK", server: "lighttpd/1.4", typ: "text/html", answer: piece{fill: size(r, 300, 5000), text: true}})
		case port == 22 && chance(r, 60):
			k.ssh(sshClients[2], 1, false)
		}
		if chance(r, 50) {
			k.reset(orig)
		} else {
			k.close(orig)
		}
	case to.addr%4 == 0:
		w.unanswered(t, r, from, to, port, 1+r.IntN(2), by)
	default:
		w.refused(t, r, from, to, port, by)
	}
}

// discoverPrinters is the print server looking for its printers, address by
// address.
func (w *world) discoverPrinters() {
	r := stream(w.cfg.Seed, "printers")
	w.decoy("print server looks for printers", "internal scan", w.printing, nil)
	ghosts := w.ghosts(r, 40)
	all := append(ghosts, w.gadgets...)
	i := 0
	w.spawn(w.t0+between(r, 7, 9)*hour, func(t int64) int64 {
		n := all[i%len(all)]
		port := uint16(pick(r, []int{9100, 80, 631}))
		if i%len(all) < len(ghosts) {
			w.unanswered(t, r, w.printing, n, port, 1+r.IntN(3), nil)
		} else {
			w.probe(t, r, w.printing, n, port, nil)
		}
		i++
		if i%len(all) == 0 {
			return t + between(r, 5, 8)*hour
		}
		return t + w.law.expo(r, 2*second)
	})
}

// audit is the yearly look for weak spots from a machine of the laboratory:
// every address once, several ports of each.
func (w *world) audit() {
	r := stream(w.cfg.Seed, "audit")
	from := w.lab[2]
	w.decoy("a scanner for weak spots looks at every machine once", "internal scan", from, nil)
	var targets []*node
	for _, d := range w.desks {
		targets = append(targets, d.node)
	}
	targets = append(append(targets, w.gadgets...), w.files, w.mail, w.printing, w.nas, w.intranet, w.backup, w.resolver)
	live := len(targets)
	targets = append(targets, w.ghosts(r, 160)...)
	ports := []uint16{445, 22, 80, 443, 3389, 139, 8080}[:size(r, 4, 7)]
	i, order := 0, r.Perm(len(targets))
	start := w.t0 + between(r, 0, int64(w.cfg.Days)-1)*day + between(r, 9*60, 13*60)*minute
	mean := between(r, 6, 14) * second
	w.spawn(start, func(t int64) int64 {
		if i == len(order)*len(ports) {
			return never
		}
		x, port := order[i/len(ports)], ports[i%len(ports)]
		i++
		if x < live {
			w.probe(t, r, from, targets[x], port, nil)
		} else {
			w.unanswered(t, r, from, targets[x], port, 1+r.IntN(2), nil)
		}
		return t + w.law.expo(r, mean)
	})
}

// radiation is what falls on any public network: single knocks from all over.
func (w *world) radiation() {
	r := stream(w.cfg.Seed, "radiation")
	ports := []uint16{22, 23, 80, 443, 445, 3389, 8080, 5060, 6379, 8443}
	base := binary.BigEndian.Uint32(w.outside.Addr().AsSlice())
	z := newZipf(len(ports))
	w.decoy("single knocks and guesses at SSH from all over, all week, none of which succeeds", "brute force, scan", nil, w.portal)
	regulars := make([]*node, 50)
	for i := range regulars {
		regulars[i] = w.abroad(r, w.stranger(r))
	}
	w.spawn(w.t0, func(t int64) int64 {
		from := pick(r, regulars)
		if chance(r, 30) {
			from = w.abroad(r, w.stranger(r))
		}
		to, port := base+uint32(1+r.IntN(254)), ports[z.pick(r)]
		switch {
		case to == w.portal.addr || to == w.mx.addr || to == w.ours3.addr || chance(r, 12):
			n := pick(r, []*node{w.portal, w.ours3})
			if port == 22 && chance(r, 70) {
				k := w.dial(t, r, from, n, 22, nil)
				k.ssh(pick(r, sshClients), 1+r.IntN(3), false)
				k.close(orig)
			} else if port == 80 || port == 443 {
				k := w.dial(t, r, from, n, port, nil)
				k.reset(orig)
			} else {
				w.refused(t, r, from, n, port, nil)
			}
		default:
			w.unanswered(t, r, from, &node{addr: to, mac: w.portal.mac, local: true, ttl: 64}, port, 1+b2i(chance(r, 15)), nil)
		}
		return t + w.law.expo(r, 35*second)
	})
}
