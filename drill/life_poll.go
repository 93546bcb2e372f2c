package drill

import (
	"crypto/x509/pkix"
	"fmt"
	"math/rand/v2"
)

// programs that many desks run, each reporting to its maker in a rhythm.
type program struct {
	what   string
	share  int // of desks, in percent
	hello  *helloShape
	sub    string
	trade  trade
	law    SleepLaw
	period int64
	jitter int64
	grid   bool
	up     [2]int
	down   [2]int
	rare   int
	bulk   int
	push   bool
	clear  bool
	keeps  bool
}

var programs = []program{
	{
		what: "antivirus update", share: 100, hello: schannel, sub: "update.", trade: cloud, law: Uniform, period: 35 * minute, jitter: 200,
		up: [2]int{300, 900}, down: [2]int{400, 3000}, rare: 60, bulk: 400_000,
	},
	{
		what: "system telemetry", share: 100, hello: schannel13, sub: "events.", trade: cloud, law: Exponential, period: 40 * minute,
		up: [2]int{900, 9000}, down: [2]int{120, 700}, keeps: true,
	},
	{
		what: "file synchronisation", share: 60, hello: compiled, sub: "sync.", trade: cloud, law: Uniform, period: 24 * minute, jitter: 350,
		up: [2]int{500, 1400}, down: [2]int{300, 1800}, rare: 50, bulk: 700_000, push: true, keeps: true,
	},
	{
		what: "browser safety lists", share: 80, hello: browsers[1], sub: "lists.", trade: cdn, law: Uniform, period: 24 * minute, jitter: 120, grid: true,
		up: [2]int{300, 800}, down: [2]int{300, 9000}, keeps: true,
	},
	{
		what: "news ticker", share: 60, sub: "ticker.", trade: hosting, law: Constant, period: 13 * minute, jitter: 15, clear: true,
		up: [2]int{60, 200}, down: [2]int{700, 5000},
	},
	{
		what: "management agent", share: 100, hello: schannel, sub: "agent.", trade: hosting, law: Constant, period: 45 * minute, jitter: 10,
		up: [2]int{500, 2600}, down: [2]int{200, 900}, rare: 20, bulk: 60_000,
	},
	{
		what: "office licence check", share: 55, hello: schannel, sub: "lic.", trade: hosting, law: OfficeHours, period: 55 * minute, jitter: 300,
		up: [2]int{400, 1100}, down: [2]int{250, 900},
	},
}

// vendor founds a site under a new domain.
func (w *world) vendor(r *rand.Rand, sub string, t trade, clear bool) (*site, error) {
	d := w.fresh(r)
	s := &site{name: sub + d, at: []*node{w.rent(r, t)}, ttl: uint32(pick(r, []int{60, 300, 900})), port: 443}
	if clear {
		s.port = 80
		return s, nil
	}
	var err error
	s.tls, err = w.serverOf(r, s.name)
	return s, err
}

// ownServices founds what the programs, appliances and servers report to.
func (w *world) ownServices() error {
	for i, p := range programs {
		r := stream(w.cfg.Seed, "program "+p.what)
		to, err := w.vendor(r, p.sub, p.trade, p.clear)
		if err != nil {
			return err
		}
		if i < 2 {
			to.at = append(to.at, w.rent(r, p.trade))
		}
		for _, d := range w.desks {
			if !chance(r, p.share) {
				continue
			}
			hello := p.hello
			if d.stamps && hello != nil {
				hello = scripted
			}
			q := &poller{
				from: d.node, desk: d, on: d.shift, to: to, hello: hello, up: p.up, down: p.down, rare: p.rare, bulk: p.bulk,
				push: p.push, keeps: p.keeps, agent: "Ticker/2." + word(r, "123", 1), path: "/v1/feed", lost: 3,
				rhythm: rhythm{law: p.law, period: p.period + between(r, -p.period/5, p.period/5), jitter: p.jitter, grid: p.grid},
			}
			w.keep(w.t0+between(r, 0, p.period), stream(w.cfg.Seed, p.what+d.name), q)
		}
	}
	if err := w.appliances(); err != nil {
		return err
	}
	if err := w.newcomers(); err != nil {
		return err
	}
	return w.serverChores()
}

// appliances report to their makers all day, some with certificates of their
// makers' own, some in clear, some to a bare address.
func (w *world) appliances() error {
	r := stream(w.cfg.Seed, "appliances")
	for i, g := range append(append([]*node{}, w.gadgets...), w.nas, w.lab[0]) {
		to, err := w.vendor(r, pick(r, []string{"iot.", "cloud.", "api.", "dev."}), pick(r, []trade{hosting, hosting, cloud}), i%4 == 3)
		if err != nil {
			return err
		}
		how := "a public certificate"
		switch i % 4 {
		case 0:
			to.tls, err = w.selfServer(r, pkix.Name{Organization: []string{spoken(r, 3)}, CommonName: spoken(r, 2)}, to.name)
			how = "a certificate of its own making"
		case 1:
			to.tls.chain, err = w.pki.issue(w.pki.maker, true, 3650, to.name)
			how = "a certificate of its maker"
		case 3:
			how = "HTTP in clear"
		}
		if err != nil {
			return err
		}
		y := rhythm{law: pick(r, []SleepLaw{Constant, Uniform, Exponential}), period: between(r, 5, 16) * minute, jitter: between(r, 0, 400), grid: chance(r, 50)}
		p := &poller{
			from: g, to: to, hello: embedded, bare: i%6 == 5, rhythm: y, up: [2]int{200, 500 + r.IntN(900)},
			down: [2]int{90, 300 + r.IntN(900)}, rare: 8, bulk: 90_000, agent: "dev/" + word(r, "0123456789", 2), path: "/" + spoken(r, 2) + "/s",
			method: pick(r, []string{"GET", "POST"}), lost: int(between(r, 0, 12)), keeps: chance(r, 30),
		}
		w.keep(w.t0+between(r, 0, y.period), stream(w.cfg.Seed, "appliance "+g.name), p)
		w.decoy(fmt.Sprintf("appliance reports to its maker with %s, %s about every %d s", how, y.law, y.period/second), "beacon", g, to.at[0], to.name)
	}
	return nil
}

// newcomers are programs that somebody begins to use in the middle of the
// week: one machine, a name never seen before, a regular rhythm.
func (w *world) newcomers() error {
	r := stream(w.cfg.Seed, "newcomers")
	for i := range 5 {
		begin := w.t0 + between(r, 1, int64(max(1, w.cfg.Days-2)))*day + between(r, 8*60, 16*60)*minute
		if begin >= w.end {
			continue
		}
		d := pick(r, w.desks)
		to, err := w.vendor(r, pick(r, []string{"www.", "app.", "cdn.", "gw."}), pick(r, []trade{hosting, cloud}), false)
		if err != nil {
			return err
		}
		if i%2 == 0 {
			if to.tls, err = w.selfServer(r, pkix.Name{CommonName: to.name}, to.name); err != nil {
				return err
			}
		}
		y := rhythm{law: pick(r, []SleepLaw{Uniform, Exponential, OfficeHours}), period: between(r, 7, 16) * minute, jitter: between(r, 100, 500)}
		p := &poller{
			from: d.node, desk: d, on: d.shift, to: to, hello: pick(r, []*helloShape{schannel, compiled, scripted}), rhythm: y,
			up: [2]int{250, 1500}, down: [2]int{150, 1600}, rare: 20, bulk: 120_000, lost: 10,
		}
		w.keep(begin, stream(w.cfg.Seed, "newcomer "+to.name), p)
		w.decoy("a new program reports to its maker, "+string(y.law), "beacon", d.node, to.at[0], to.name)
	}
	return nil
}

// serverChores are the errands of the servers themselves.
func (w *world) serverChores() error {
	r := stream(w.cfg.Seed, "chores")
	chores := []struct {
		n      *node
		sub    string
		period int64
		law    SleepLaw
		self   bool
	}{
		{w.portal, "deb.", 6 * hour, Uniform, false},
		{w.portal, "pay.", 9 * minute, Exponential, false},
		{w.portal, "logs.", 14 * minute, Constant, true},
		{w.mx, "rbl.", 11 * minute, Exponential, false},
		{w.mx, "deb.", 5 * hour, Uniform, false},
		{w.ours3, "deb.", 6 * hour, Uniform, false},
		{w.ours3, "stats.", 12 * minute, Uniform, false},
		{w.watcher, "status.", 10 * minute, Constant, false},
		{w.mail, "sig.", 30 * minute, Uniform, false},
		{w.lab[1], "runner.", 8 * minute, Uniform, true},
	}
	for _, c := range chores {
		to, err := w.vendor(r, c.sub, pick(r, []trade{hosting, cloud}), false)
		if err != nil {
			return err
		}
		if c.self {
			if to.tls, err = w.selfServer(r, pkix.Name{Organization: []string{spoken(r, 2)}, CommonName: to.name}, to.name); err != nil {
				return err
			}
			w.decoy("a server reports to a vendor's machine with a certificate of its own making", "beacon", c.n, to.at[0], to.name)
		}
		p := &poller{
			from: c.n, to: to, hello: scripted, rhythm: rhythm{law: c.law, period: c.period, jitter: 250}, up: [2]int{250, 1800},
			down: [2]int{200, 2500}, rare: 15, bulk: 300_000, lost: 4, keeps: chance(r, 40),
		}
		w.keep(w.t0+between(r, 0, c.period), stream(w.cfg.Seed, "chore "+c.sub+c.n.name), p)
	}
	return nil
}
