package drill

import (
	"fmt"
	"time"

	"github.com/testudo-shield/testudo"
)

// Tunnel carries data in the names of DNS questions and their answers,
// through the ministry's own resolver.
type Tunnel struct {
	When
	Victim string        `json:"victim"` // as in Beacon
	Every  time.Duration `json:"every"`  // mean pause between bursts of questions
	Burst  int           `json:"burst"`  // most questions in a burst; 0 is 4
	Label  int           `json:"label"`  // characters of data in a name, up to 180
	Type   string        `json:"type"`   // "A", "TXT" or "CNAME"
}

func (a Tunnel) plant(w *world) error {
	types := map[string]uint16{"A": typeA, "TXT": typeTXT, "CNAME": typeCNAME}
	typ := types[a.Type]
	if typ == 0 || a.Label < 4 || a.Label > 180 || a.Every < 10*time.Millisecond || a.Burst < 0 || a.Burst > 1000 {
		return fmt.Errorf("%s: want type A, TXT or CNAME, label 4 to 180, every from 10ms", a.Name)
	}
	p, err := w.begin(a.When, "tunnel", testudo.Espionage, testudo.TunnelEnd, a)
	if err != nil {
		return err
	}
	r := stream(w.cfg.Seed, "attack "+a.Name)
	from, to := a.window(w)
	n, d, err := w.victim(r, a.Victim, from)
	if err != nil {
		return err
	}
	h, err := w.handOf(a.When)
	if err != nil {
		return err
	}
	z := &zone{name: w.fresh(r), server: h.rent(w, r)}
	w.zones[z.name] = z
	p.Servers = append(p.Servers, Machine{Address: z.server.ip(), Names: []string{z.name}, Ports: []string{"udp/53"}})
	p.Victims = append(p.Victims, machine(n))
	burst := a.Burst
	if burst == 0 {
		burst = 4
	}
	w.spawn(from, func(t int64) int64 {
		if t >= to {
			return never
		}
		if d != nil {
			if on := within(d.shift, t); on != t {
				return on
			}
		}
		start := t
		for range 1 + r.IntN(burst) {
			name := ""
			for left := size(r, a.Label*2/3, a.Label); left > 0; left -= 60 {
				name += word(r, base32, min(left, 60)) + "."
			}
			ans := answer{ttl: uint32(size(r, 1, 60))}
			switch typ {
			case typeA:
				ans.addrs = []uint32{r.Uint32()}
			case typeTXT:
				ans.text = word(r, base32, size(r, 4, 12)) // nothing to say
				if chance(r, 25) {
					ans.text = word(r, base32, size(r, 12, 12+a.Label*2))
				}
			case typeCNAME:
				ans.alias = word(r, base32, min(60, size(r, 4, 4+a.Label/2))) + "." + z.name
			}
			t = w.ask(t+between(r, 2, 80)*millisecond, r, n, name+z.name, typ, ans, p)
		}
		return start + w.law.expo(r, a.Every.Microseconds())
	})
	return nil
}

// Exfil carries files out, a piece at a time, by HTTPS.
type Exfil struct {
	When
	Victim string        `json:"victim"` // as in Beacon
	Every  time.Duration `json:"every"`  // mean pause between pieces
	Bytes  int64         `json:"bytes"`  // in all
	TLS13  bool          `json:"tls13,omitempty"`
}

func (a Exfil) plant(w *world) error {
	if a.Every < time.Second || a.Bytes < 1 || a.Bytes > 10<<30 {
		return fmt.Errorf("%s: want every from 1s and 1 byte to 10 GiB", a.Name)
	}
	p, err := w.begin(a.When, "exfil", testudo.Espionage, testudo.ExfilSink, a)
	if err != nil {
		return err
	}
	r := stream(w.cfg.Seed, "attack "+a.Name)
	from, to := a.window(w)
	n, d, err := w.victim(r, a.Victim, from)
	if err != nil {
		return err
	}
	h, err := w.handOf(a.When)
	if err != nil {
		return err
	}
	s, err := h.found(w, r, "https", a.TLS13)
	if err != nil {
		return err
	}
	p.KeyHash = keyPrint(s.tls.chain[0])
	p.Servers = append(p.Servers, Machine{Address: s.at[0].ip(), Names: []string{s.name}, Ports: []string{"tcp/443"}})
	p.Victims = append(p.Victims, machine(n))
	hello := scripted
	if !n.stamps {
		hello = schannel13
	}
	left := a.Bytes
	share := max(1, a.Bytes*a.Every.Microseconds()/max(1, to-from))
	w.spawn(from, func(t int64) int64 {
		if t >= to || left <= 0 {
			return never
		}
		if d != nil {
			if on := within(d.shift, t); on != t {
				return on
			}
		}
		m := int(min(left, max(1, share/2+between(r, 0, share))))
		left -= int64(m)
		start := t
		t = w.resolve(t, r, d, n, s.name, typeA, s.answer(r), p)
		k := w.dial(t, r, n, s.at[0], 443, p)
		k.tls(hello, s.tls, s.name, false)
		k.app(orig, m)
		k.wait(between(r, 5, 90) * millisecond)
		k.app(resp, size(r, 150, 600))
		k.bye(orig)
		return max(k.t, start+second+w.law.expo(r, a.Every.Microseconds()))
	})
	return nil
}
