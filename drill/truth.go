package drill

import (
	"net/netip"
	"time"

	"github.com/testudo-shield/testudo"
)

// Truth says what was written: the answer sheet of the exercise. It is
// written as truth.json beside the capture.
type Truth struct {
	Type     string         `json:"type"`   // "drill"
	Schema   int            `json:"schema"` // 1
	Seed     uint64         `json:"seed"`
	Start    time.Time      `json:"start"`
	End      time.Time      `json:"end"`
	Local    []netip.Prefix `json:"local"` // the ministry's networks, for --local
	Hosts    int            `json:"hosts"` // machines of the ministry
	Packets  int64          `json:"packets"`
	Bytes    int64          `json:"bytes"`      // size of the capture
	Wire     int64          `json:"wire_bytes"` // as the frames were on the wire
	Attacks  []*Planted     `json:"attacks"`
	Innocent []Decoy        `json:"innocent"`
}

// Planted is one attack as it was carried out.
type Planted struct {
	Name    string             `json:"name"`
	Form    string             `json:"form"` // "beacon", "tunnel", …
	Kind    testudo.Kind       `json:"kind"`
	Role    testudo.ServerRole `json:"role"`
	Hand    string             `json:"hand,omitempty"` // who did it; the same hand has the same habits
	Servers []Machine          `json:"servers"`        // empty where the sources are forged
	Victims []Machine          `json:"victims"`
	First   time.Time          `json:"first"`
	Last    time.Time          `json:"last"`
	Conns   int64              `json:"conns"`
	Packets int64              `json:"packets"`
	Sources int                `json:"sources,omitempty"`   // how many addresses sent it, forged or not, where they are many
	KeyHash string             `json:"key_print,omitempty"` // SHA-256 of the server's public key where it shows one
	Options Attack             `json:"options"`

	first, last int64
}

func (p *Planted) saw(t int64) {
	if p.Packets == 0 || t < p.first {
		p.first = t
	}
	p.last = max(p.last, t)
	p.Packets++
}

// Machine is one end of an attack.
type Machine struct {
	Address netip.Addr `json:"address,omitzero"`
	Names   []string   `json:"names,omitempty"`
	Ports   []string   `json:"ports,omitempty"` // "tcp/443"
}

// Decoy is something innocent that resembles an attack, and which.
type Decoy struct {
	What      string     `json:"what"`
	Resembles string     `json:"resembles"`
	Host      netip.Addr `json:"host,omitzero"`
	Peer      netip.Addr `json:"peer,omitzero"`
	Names     []string   `json:"names,omitempty"`
}

func machine(n *node, ports ...string) Machine {
	m := Machine{Address: n.ip(), Ports: ports}
	if n.name != "" {
		m.Names = []string{n.name}
	}
	return m
}

func (w *world) decoy(what, resembles string, host, peer *node, names ...string) {
	d := Decoy{What: what, Resembles: resembles, Names: names}
	if host != nil {
		d.Host = host.ip()
	}
	if peer != nil {
		d.Peer = peer.ip()
	}
	w.truth.Innocent = append(w.truth.Innocent, d)
}

func at(t int64) time.Time { return time.UnixMicro(t).UTC() }

// settle completes the truth once everything is written.
func (w *world) settleTruth() Truth {
	t := w.truth
	t.Type, t.Schema, t.Seed = "drill", 1, w.cfg.Seed
	t.Start, t.End = at(w.t0), at(w.end)
	t.Local = []netip.Prefix{w.inside, w.outside}
	t.Hosts = len(w.desks) + len(w.gadgets) + len(w.lab) + 12
	t.Packets, t.Bytes, t.Wire = w.tape.packets, w.tape.bytes, w.tape.wire
	for _, p := range t.Attacks {
		p.First, p.Last = at(p.first), at(p.last)
	}
	return t
}
