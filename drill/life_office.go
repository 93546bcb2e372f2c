package drill

import (
	"crypto/x509/pkix"
	"math/rand/v2"
)

// office is the ministry's own services at work: mail, shares, printing,
// administration, backups.
func (w *world) office() error {
	r := stream(w.cfg.Seed, "office")
	imap, err := w.houseServer(r, "mail."+w.ministry)
	if err != nil {
		return err
	}
	mailbox := &site{name: "mail." + w.ministry, at: []*node{w.mail}, ttl: 3600, port: 993, tls: imap}
	agent := &site{name: "inventory." + w.ministry, at: []*node{w.assets}, ttl: 3600, port: 8443}
	if agent.tls, err = w.selfServer(r, pkix.Name{CommonName: "inventory"}, "inventory"); err != nil {
		return err
	}
	chat, err := w.vendor(r, "chat.", cloud, false)
	if err != nil {
		return err
	}
	for _, d := range w.desks {
		hello := schannel
		if d.stamps {
			hello = scripted
		}
		w.keep(w.t0+between(r, 0, hour), stream(w.cfg.Seed, "imap "+d.name), &poller{
			from: d.node, desk: d, on: d.shift, to: mailbox, hello: hello,
			rhythm: rhythm{law: Uniform, period: between(r, 14, 30) * minute, jitter: 100}, up: [2]int{300, 900}, down: [2]int{300, 2500}, rare: 150, bulk: 200_000, keeps: true,
		})
		w.keep(w.t0+between(r, 0, hour), stream(w.cfg.Seed, "agent "+d.name), &poller{
			from: d.node, desk: d, on: d.shift, to: agent, hello: schannel,
			rhythm: rhythm{law: Constant, period: 40 * minute, jitter: 20, grid: true}, up: [2]int{400, 1500}, down: [2]int{150, 600}, keeps: true,
		})
		w.share(d)
		if chance(r, 60) {
			w.chat(d, chat)
		}
	}
	w.post()
	w.admins(r)
	if err := w.backups(r); err != nil {
		return err
	}
	w.intranetPages()
	return nil
}

// houseServer is a server with a certificate of the ministry's authority.
func (w *world) houseServer(r *rand.Rand, name string) (*tlsServer, error) {
	s := &tlsServer{tls13: chance(r, 50), elliptic: true, small: chance(r, 50), order: pick(r, helloOrders), extra: 60}
	var err error
	s.chain, err = w.pki.issue(w.pki.house, true, 730, name)
	return s, err
}

// share works on the file server and sometimes prints.
func (w *world) share(d *desk) {
	r := stream(w.cfg.Seed, "share "+d.name)
	mean := between(r, 50, 110) * minute
	w.spawn(w.t0, func(t int64) int64 {
		here := within(d.here, t)
		if here != t {
			if here == never {
				return never
			}
			return here + w.law.expo(r, 20*minute)
		}
		if chance(r, 12) && len(w.gadgets) > 0 {
			k := w.dial(t, r, d.node, w.printing, 9100, nil)
			k.send(orig, piece{lit: []byte("\x1b%-12345X@PJL JOB\r\n"), fill: heavy(r, 9000, 300_000)})
			k.close(orig)
			k = w.dial(k.t+between(r, 1, 4)*second, r, w.printing, w.gadgets[0], 9100, nil)
			k.send(orig, piece{lit: []byte("\x1b%-12345X@PJL JOB\r\n"), fill: heavy(r, 9000, 300_000)})
			k.close(orig)
			return t + w.law.expo(r, mean)
		}
		t = w.resolve(t, r, d, d.node, w.files.name+"."+w.ministry, typeA, answer{addrs: []uint32{w.files.addr}, ttl: 3600}, nil)
		if chance(r, 3) { // a mistyped password
			k := w.dial(t, r, d.node, w.files, 445, nil)
			k.smb(false, 0, 0)
			k.close(orig)
			t = k.t + between(r, 2, 15)*second
		}
		k := w.dial(t, r, d.node, w.files, 445, nil)
		for range 1 + r.IntN(3) {
			k.smb2(r)
			k.wait(between(r, 5, 300) * second)
		}
		k.close(orig)
		return t + w.law.expo(r, mean)
	})
}

// smb2 is one more go at the share.
func (k *conv) smb2(r *rand.Rand) {
	if k.flow.OrigBytes == 0 {
		k.smb(true, heavy(r, 300, 120_000), heavy(r, 1500, 500_000))
		return
	}
	k.sealed(orig, 7, 90+heavy(r, 60, 20_000))
	k.sealed(resp, 7, 80+heavy(r, 200, 60_000))
}

// post exchanges mail with the world.
func (w *world) post() {
	out := stream(w.cfg.Seed, "post")
	w.spawn(w.t0, func(t int64) int64 {
		to := pick(out, w.town.mtas)
		a, b := w.mx, to.at[0]
		name, srv := w.ministry, to.tls
		if chance(out, 60) {
			a, b = b, a
			name = domain(to.name)
			srv = w.town.front
			if chance(out, 50) { // who may send for this domain
				t = w.ask(t, out, w.mx, name, typeTXT, answer{text: "v=spf1 ip4:" + a.ip().String() + " include:_spf." + name + " ~all", ttl: 3600}, nil)
				w.ask(t, out, w.mx, word(out, hexDigits, 8)+"._domainkey."+name, typeTXT, answer{text: "v=DKIM1; k=rsa; p=" + word(out, base32, 360), ttl: 3600}, nil)
			}
		} else {
			t = w.ask(t, out, w.mx, domain(to.name), typeMX, answer{text: to.name, ttl: 3600}, nil)
			t = w.ask(t, out, w.mx, to.name, typeA, to.answer(out), nil)
		}
		k := w.dial(t, out, a, b, 25, nil)
		k.smtp(name, srv, chance(out, 8))
		mean := 9 * minute
		if !w.working(t) {
			mean = 50 * minute
		}
		return t + w.law.expo(out, mean)
	})
	relay := stream(w.cfg.Seed, "relay")
	w.spawn(w.t0, func(t int64) int64 {
		k := w.dial(t, relay, w.mx, w.mail, 25, nil)
		k.smtp(w.ministry, w.town.front, false)
		mean := 12 * minute
		if !w.working(t) {
			mean = 70 * minute
		}
		return t + w.law.expo(relay, mean)
	})
}

// smtp carries one message, under TLS.
func (k *conv) smtp(name string, srv *tlsServer, refused bool) {
	say := func(d int, s string) {
		k.wait(between(k.r, 1, 40) * millisecond)
		k.send(d, piece{lit: []byte(s)})
	}
	k.last = orig
	say(resp, "220 mx."+name+" ESMTP\r\n")
	say(orig, "EHLO mx."+name+"\r\n")
	say(resp, "250-mx."+name+"\r\n250-SIZE 52428800\r\n250-STARTTLS\r\n250 8BITMIME\r\n")
	say(orig, "STARTTLS\r\n")
	say(resp, "220 ready\r\n")
	k.tls(scripted, srv, "", false)
	for range 3 {
		k.app(orig, size(k.r, 40, 110))
		k.wait(between(k.r, 5, 80) * millisecond)
		k.app(resp, size(k.r, 30, 180))
	}
	if !refused {
		k.app(orig, heavy(k.r, 2500, 400_000))
		k.wait(between(k.r, 50, 900) * millisecond)
		k.app(resp, 60)
	}
	k.bye(orig)
}

// admins log in to servers, sometimes with a wrong password first, and a
// forgotten job keeps trying with an old one.
func (w *world) admins(r *rand.Rand) {
	for _, d := range w.desks {
		if d.unit != "it" {
			continue
		}
		r := stream(w.cfg.Seed, "admin "+d.name)
		w.spawn(w.t0, func(t int64) int64 {
			here := within(d.here, t)
			if here != t {
				if here == never {
					return never
				}
				return here + w.law.expo(r, hour)
			}
			to := pick(r, []*node{w.backup, w.watcher, w.intranet, w.portal, w.portal, w.mail, w.lab[0]})
			k := w.dial(t, r, d.node, to, 22, nil)
			with := sshClients[b2i(!d.stamps)]
			k.ssh(with, 1+b2i(chance(r, 25)), true)
			if chance(r, 25) {
				k.channel(with)
				for range 1 + r.IntN(5) {
					k.carry(with, resp, heavy(r, 10_000, 200_000))
				}
			} else {
				k.shell(with, 2+r.IntN(8))
			}
			k.close(orig)
			return t + w.law.expo(r, 2*hour)
		})
	}
	old := stream(w.cfg.Seed, "old job")
	w.decoy("a forgotten job tries an old password", "brute force", w.assets, w.nas)
	w.spawn(w.t0+between(r, 0, hour), func(t int64) int64 {
		k := w.dial(t, old, w.assets, w.nas, 22, nil)
		k.ssh(sshClients[2], 1+old.IntN(2), false)
		k.close(orig)
		return t + 15*minute + between(old, 0, 20)*second
	})
}

// backups run at night inside and a part of them goes off site.
func (w *world) backups(r *rand.Rand) error {
	vault, err := w.vendor(r, "vault.", cloud, false)
	if err != nil {
		return err
	}
	w.decoy("off-site backup", "exfiltration", w.backup, vault.at[0], vault.name)
	for i, src := range []*node{w.files, w.mail, w.portal} {
		r := stream(w.cfg.Seed, "backup "+src.name)
		w.spawn(w.t0+hour+int64(i)*30*minute, func(t int64) int64 {
			k := w.dial(t, r, w.backup, src, 22, nil)
			k.ssh(sshClients[0], 1, true)
			k.channel(sshClients[0])
			for range 8 {
				k.secret(sshClients[0], orig, 40)
				k.carry(sshClients[0], resp, size(r, 60_000, 200_000))
			}
			k.close(orig)
			return t + day + between(r, -60, 60)*second - (t-w.t0-hour-int64(i)*30*minute)%day
		})
	}
	w.spawn(w.t0+3*hour, func(t int64) int64 {
		t0 := t
		t = w.ask(t, r, w.backup, vault.name, typeA, vault.answer(r), nil)
		for range 3 + r.IntN(4) {
			k := w.dial(t, r, w.backup, vault.at[0], 443, nil)
			k.tls(scripted, vault.tls, vault.name, false)
			k.app(orig, size(r, 400_000, 1_500_000))
			k.app(resp, 400)
			k.bye(orig)
			t = k.t + between(r, 1, 300)*second
		}
		return t0 + 6*hour + between(r, -300, 300)*second
	})
	return nil
}

// intranetPages are plain HTTP inside.
func (w *world) intranetPages() {
	name := "intranet." + w.ministry
	for _, d := range w.desks {
		r := stream(w.cfg.Seed, "intranet "+d.name)
		w.spawn(w.t0, func(t int64) int64 {
			here := within(d.here, t)
			if here != t {
				if here == never {
					return never
				}
				return here + w.law.expo(r, hour)
			}
			t = w.resolve(t, r, d, d.node, name, typeA, answer{addrs: []uint32{w.intranet.addr}, ttl: 3600}, nil)
			k := w.dial(t, r, d.node, w.intranet, 80, nil)
			for range 1 + r.IntN(3) {
				q := request{
					method: "GET", host: name, path: "/" + spoken(r, 2) + "/" + spoken(r, 3), agent: d.agent, lines: "Accept: text/html\r\n",
					status: "200 OK", server: "Apache", typ: "text/html", answer: piece{fill: heavy(r, 900, 30_000), text: true},
				}
				if chance(r, 10) {
					q.method, q.body = "POST", piece{fill: heavy(r, 300, 40_000), text: true}
					q.lines += "Content-Type: application/x-www-form-urlencoded\r\n"
				}
				k.http(q)
				k.wait(between(r, 200, 4000) * millisecond)
			}
			k.close(resp)
			return t + w.law.expo(r, 3*hour)
		})
	}
}
