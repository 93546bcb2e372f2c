package drill

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/x509/pkix"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/testudo-shield/testudo"
)

// hand is whoever attacks, as far as it shows: where machines are rented,
// the key that is carried from server to server, how the servers answer.
type hand struct {
	landlord *provider
	key      *ecdsa.PrivateKey
	server   tlsServer
}

// handOf returns the hand of that name; an empty name is a hand of its own.
func (w *world) handOf(a When) (*hand, error) {
	name := a.Hand
	if name == "" {
		name = "of " + a.Name
	}
	if h := w.hands[name]; h != nil {
		return h, nil
	}
	r := stream(w.cfg.Seed, "hand "+name)
	key, err := ecKey(r)
	if err != nil {
		return nil, err
	}
	// Neither the nearest nor the farthest: distance must not tell.
	landlords := w.of(hosting)
	slices.SortStableFunc(landlords, func(a, b *provider) int { return cmp.Compare(a.lat, b.lat) })
	n := len(landlords)
	h := &hand{landlord: pick(r, landlords[n/4:n-n/3]), key: key}
	h.server = tlsServer{elliptic: true, small: chance(r, 50), order: pick(r, helloOrders), extra: size(r, 30, 160)}
	w.hands[name] = h
	return h, nil
}

// rent returns a machine where the hand uses to rent.
func (h *hand) rent(w *world, r *rand.Rand) *node {
	for {
		a := h.landlord.base + uint32(between(r, 16, 4080))
		if w.taken[a] {
			continue
		}
		w.taken[a] = true
		if n := w.abroad(r, a); n.stamps {
			return n
		}
	}
}

// found sets up a server of the hand under a new name.
func (h *hand) found(w *world, r *rand.Rand, scheme string, tls13 bool) (*site, error) {
	d := w.fresh(r)
	s := &site{
		name: pick(r, []string{"www.", "api.", "cdn.", "app.", "update."}) + d, at: []*node{h.rent(w, r)},
		ttl: uint32(pick(r, []int{60, 300, 900})), port: 443,
	}
	if scheme == "http" {
		s.port = 80
		return s, nil
	}
	srv := h.server
	srv.tls13 = tls13
	s.tls = &srv
	var err error
	srv.chain, err = w.pki.selfMade(h.key, pick(r, []int{365, 730}), pkix.Name{CommonName: s.name}, s.name)
	return s, err
}

// begin enters an attack into the truth.
func (w *world) begin(a When, form string, kind testudo.Kind, role testudo.ServerRole, options Attack) (*Planted, error) {
	if a.Name == "" {
		return nil, fmt.Errorf("attack without a name")
	}
	for _, p := range w.truth.Attacks {
		if p.Name == a.Name {
			return nil, fmt.Errorf("two attacks named %q", a.Name)
		}
	}
	if from := w.t0 + a.At.Microseconds(); a.At < 0 || a.For < 0 || from >= w.end {
		return nil, fmt.Errorf("%s: begins at %v, outside the exercise", a.Name, a.At)
	}
	p := &Planted{Name: a.Name, Form: form, Kind: kind, Role: role, Hand: a.Hand, Options: options, Servers: []Machine{}, Victims: []Machine{}}
	w.truth.Attacks = append(w.truth.Attacks, p)
	return p, nil
}

// window is when the attack begins and ends.
func (a When) window(w *world) (from, to int64) {
	from, to = w.t0+a.At.Microseconds(), w.end
	if a.For > 0 {
		to = min(to, from+a.For.Microseconds())
	}
	return from, to
}

// victim finds who is attacked: "portal", the name of a machine, a unit, or
// empty for any desk. The desk is nil for the portal.
func (w *world) victim(r *rand.Rand, who string, t int64) (*node, *desk, error) {
	if who == "portal" {
		return w.portal, nil, nil
	}
	d, err := w.deskOf(r, who, t)
	if err != nil {
		return nil, nil, err
	}
	return d.node, d, nil
}
