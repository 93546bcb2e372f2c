package drill

import (
	"crypto/x509/pkix"
	"math/rand/v2"
	"slices"
)

// site is something on the Internet one can visit by name.
type site struct {
	name  string
	alias string // the CDN's name for it, if any
	at    []*node
	ttl   uint32
	port  uint16
	tls   *tlsServer // nil for plain HTTP
	mass  int        // typical bytes of an answer
}

func (s *site) answer(r *rand.Rand) answer {
	a := answer{alias: s.alias, ttl: s.ttl}
	first := r.IntN(len(s.at))
	for i := range s.at {
		a.addrs = append(a.addrs, s.at[(first+i)%len(s.at)].addr)
	}
	return a
}

// town is the Internet as far as the ministry uses it.
type town struct {
	names    []*node // shared name servers
	edges    []*node // of CDNs
	racks    []*node // shared hosting
	front    *tlsServer
	popular  []*site
	popZipf  zipf
	quiet    []*site // the long tail
	third    []*site // fonts, scripts, counters
	cdnNames []string
	reps     []string // zones of antivirus makers' reputation by DNS
	tracks   []string // zones whose names tell who looks
	mtas     []*site
	clocks   []*site
	tailZipf zipf
	used     map[string]bool
}

// fresh returns a registered domain that nobody has yet.
func (w *world) fresh(r *rand.Rand) string {
	for {
		n := spoken(r, size(r, 2, 4))
		switch r.IntN(6) {
		case 0:
			n += "-" + spoken(r, 2)
		case 1:
			n += pick(r, []string{"app", "shop", "data", "net", "soft", "media", "lab"})
		case 2:
			n += word(r, "123456789", 1+r.IntN(2))
		}
		n += ".example"
		if !w.town.used[n] {
			w.town.used[n] = true
			return n
		}
	}
}

// serverOf returns the habits of a new server with a public certificate.
func (w *world) serverOf(r *rand.Rand, names ...string) (*tlsServer, error) {
	s := &tlsServer{tls13: chance(r, 68), elliptic: chance(r, 55), small: chance(r, 50), order: pick(r, helloOrders), extra: size(r, 30, 160)}
	var err error
	s.chain, err = w.pki.issue(pick(r, w.pki.ca), s.elliptic, pick(r, []int{90, 90, 90, 365, 398}), names...)
	return s, err
}

// selfServer is one whose certificate is its own making, as makers of
// appliances, small services and also attackers have.
func (w *world) selfServer(r *rand.Rand, subject pkix.Name, names ...string) (*tlsServer, error) {
	key, err := ecKey(r)
	if err != nil {
		return nil, err
	}
	s := &tlsServer{tls13: chance(r, 25), elliptic: true, small: chance(r, 50), order: pick(r, helloOrders), extra: size(r, 30, 160)}
	s.chain, err = w.pki.selfMade(key, pick(r, []int{365, 730, 3650, 3650}), subject, names...)
	return s, err
}

// buildTown founds everything outside.
func (w *world) buildTown() error {
	r := stream(w.cfg.Seed, "town")
	t := &w.town
	t.used = map[string]bool{w.ministry: true}
	for range 14 {
		t.names = append(t.names, w.rent(r, pick(r, []trade{cloud, hosting})))
	}
	for range 16 {
		t.edges = append(t.edges, w.rent(r, cdn))
	}
	for range 40 {
		t.racks = append(t.racks, w.rent(r, hosting))
	}
	for range 3 {
		t.cdnNames = append(t.cdnNames, "cdn-"+w.fresh(r))
	}
	if err := w.foundSites(r); err != nil {
		return err
	}
	for range 3 {
		t.reps = append(t.reps, "rep."+w.fresh(r))
	}
	for range 7 {
		t.tracks = append(t.tracks, pick(r, []string{"t.", "px.", "beat.", "m."})+w.fresh(r))
	}
	for _, n := range slices.Concat(t.reps, t.tracks, t.cdnNames) {
		w.zones[domain(n)] = &zone{name: domain(n), server: w.rent(r, pick(r, []trade{cloud, cdn}))}
	}
	for range 12 {
		d := w.fresh(r)
		s, err := w.serverOf(r, "mx."+d)
		if err != nil {
			return err
		}
		t.mtas = append(t.mtas, &site{name: "mx." + d, at: []*node{w.rent(r, pick(r, []trade{cloud, hosting}))}, ttl: 3600, port: 25, tls: s})
	}
	for range 5 {
		t.clocks = append(t.clocks, &site{name: word(r, "0123", 1) + ".time." + w.fresh(r), at: []*node{w.rent(r, pick(r, []trade{cloud, hosting, access}))}, ttl: 3600, port: 123})
	}
	t.popZipf, t.tailZipf = newZipf(len(t.popular)), newZipf(len(t.quiet))
	return nil
}

func (w *world) foundSites(r *rand.Rand) error {
	t := &w.town
	add := func(list *[]*site, sub string, n *node, more *node, behind bool) error {
		d := w.fresh(r)
		s := &site{name: sub + d, at: []*node{n}, ttl: uint32(pick(r, []int{30, 60, 300, 300, 900, 3600})), port: 443, mass: heavy(r, 1200, 60000)}
		if more != nil && more != n {
			s.at = append(s.at, more)
		}
		if behind {
			s.alias = word(r, hexDigits, 14) + "." + pick(r, t.cdnNames)
		}
		var err error
		if s.tls, err = w.serverOf(r, s.name, "*."+d); err != nil {
			return err
		}
		if sub == "www." && !behind && chance(r, 9) {
			s.tls, s.port = nil, 80
		}
		*list = append(*list, s)
		return nil
	}
	for range 40 {
		if err := add(&t.popular, "www.", pick(r, t.edges), pick(r, t.edges), chance(r, 70)); err != nil {
			return err
		}
	}
	for range 16 {
		if err := add(&t.third, pick(r, []string{"static.", "s.", "fonts.", "api.", "js."}), pick(r, t.edges), pick(r, t.edges), chance(r, 50)); err != nil {
			return err
		}
	}
	for i := range 420 {
		n := pick(r, t.racks)
		if i%6 == 0 {
			n = w.rent(r, pick(r, []trade{cloud, hosting, hosting}))
		} else if i%3 == 0 {
			n = pick(r, t.edges)
		}
		if err := add(&t.quiet, "www.", n, nil, i%3 == 0); err != nil {
			return err
		}
	}
	return nil
}

// build founds the town and gives the desks their habits.
func (w *world) build() error {
	if err := w.buildTown(); err != nil {
		return err
	}
	r := stream(w.cfg.Seed, "haunts")
	for _, d := range w.desks {
		for range size(r, 5, 11) {
			d.haunts = append(d.haunts, w.town.quiet[w.town.tailZipf.pick(r)])
		}
	}
	return w.ownServices()
}
