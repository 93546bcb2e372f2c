package drill

import (
	"fmt"
	"math/rand/v2"

	"github.com/testudo-shield/testudo"
)

// BruteForce guesses passwords of the portal from outside.
type BruteForce struct {
	When
	Victim   string `json:"victim"`   // as in Beacon
	Service  string `json:"service"`  // "ssh", "http" or "https"
	Sources  int    `json:"sources"`  // machines that guess
	Tries    int    `json:"tries"`    // conversations in all
	Succeeds bool   `json:"succeeds"` // whether the last one gets in and brings something along
}

func (a BruteForce) plant(w *world) error {
	port := map[string]uint16{"ssh": 22, "http": 80, "https": 443}[a.Service]
	if port == 0 || a.Sources < 1 || a.Sources > 1000 || a.Tries < a.Sources || a.Tries > 1_000_000 {
		return fmt.Errorf("%s: want service ssh, http or https, 1 to 1000 sources and at least a try each", a.Name)
	}
	p, err := w.begin(a.When, "brute-force", testudo.Intrusion, testudo.Exploiter, a)
	if err != nil {
		return err
	}
	r := stream(w.cfg.Seed, "attack "+a.Name)
	begin, to := a.window(w)
	n, _, err := w.victim(r, a.Victim, begin)
	if err != nil {
		return err
	}
	h, err := w.handOf(a.When)
	if err != nil {
		return err
	}
	var sources []*node
	for i := range a.Sources {
		s := h.rent(w, r)
		if i > 0 && chance(r, 60) {
			s = w.rent(r, pick(r, []trade{hosting, access, cloud}))
		}
		sources = append(sources, s)
		p.Servers = append(p.Servers, machine(s))
	}
	p.Victims = append(p.Victims, machine(n, fmt.Sprintf("tcp/%d", port)))
	g := &guess{w: w, r: r, a: a, to: n, port: port, by: p, agent: pick(r, browsers).agent(windows)}
	left, from := a.Tries, 0
	mean := (to - begin) / int64(a.Tries)
	w.spawn(begin, func(t int64) int64 {
		if left == 0 {
			return never
		}
		left--
		if chance(r, 20) {
			from = r.IntN(len(sources))
		}
		g.try(t, sources[from], a.Succeeds && left == 0)
		if left == 0 {
			return never
		}
		if chance(r, 25) { // in fits and starts
			return t + 1 + w.law.expo(r, 3*mean)
		}
		return t + 1 + w.law.expo(r, mean/3)
	})
	return nil
}

type guess struct {
	w     *world
	r     *rand.Rand
	a     BruteForce
	to    *node
	port  uint16
	by    *Planted
	agent string
}

// try is one conversation; in says whether it gets in.
func (g *guess) try(t int64, from *node, in bool) {
	r := g.r
	k := g.w.dial(t, r, from, g.to, g.port, g.by)
	switch g.a.Service {
	case "ssh":
		k.ssh(sshClients[2], 1+r.IntN(3), in)
		if in {
			k.shell(sshClients[2], 9)
			k.carry(sshClients[2], orig, size(r, 60_000, 200_000))
			k.shell(sshClients[2], 5)
		}
		k.close(orig)
	case "http":
		if chance(r, 25) {
			k.http(g.w.page(r, g.agent))
			k.wait(between(r, 20, 300) * millisecond)
		}
		for range 1 + r.IntN(2) {
			k.http(g.w.login(r, g.agent, false))
			k.wait(between(r, 20, 900) * millisecond)
		}
		if in {
			k.http(g.w.login(r, g.agent, true))
			g.bring(k)
		}
		k.close(r.IntN(2))
	default:
		k.tls(browsers[1], g.w.town.front, "portal."+g.w.ministry, false)
		for range 1 + r.IntN(3) {
			k.app(orig, size(r, 380, 560))
			k.wait(between(r, 60, 300) * millisecond)
			k.app(resp, size(r, 1700, 4000))
		}
		if in {
			for range 6 {
				k.app(orig, heavy(r, 400, 100_000))
				k.wait(between(r, 1, 20) * second)
				k.app(resp, heavy(r, 400, 9000))
			}
		}
		k.bye(orig)
	}
}

// bring uploads something by the portal's form for attachments.
func (g *guess) bring(k *conv) {
	r := g.r
	q := g.w.page(r, g.agent)
	q.method, q.path = "POST", "/account/files"
	q.lines += "Content-Type: multipart/form-data; boundary=----" + word(r, hexDigits, 16) + "\r\n"
	q.body = piece{fill: size(r, 50_000, 180_000)}
	q.answer = piece{fill: 600, text: true}
	k.http(q)
	for range 4 {
		k.wait(between(r, 4, 40) * second)
		q = g.w.page(r, g.agent)
		q.path = "/account/files/" + word(r, hexDigits, 8)
		k.http(q)
	}
}

// Sweep tries ports of the ministry's machines from within.
type Sweep struct {
	When
	Victim  string   `json:"victim"`  // the machine it runs on, as in Beacon
	Ports   []uint16 `json:"ports"`   // what it tries
	Targets int      `json:"targets"` // addresses, existing ones or not
}

func (a Sweep) plant(w *world) error {
	if len(a.Ports) == 0 || a.Targets < 1 || a.Targets > 50_000 {
		return fmt.Errorf("%s: want ports and 1 to 50000 targets", a.Name)
	}
	p, err := w.begin(a.When, "sweep", testudo.Scan, testudo.Lateral, a)
	if err != nil {
		return err
	}
	r := stream(w.cfg.Seed, "attack "+a.Name)
	from, to := a.window(w)
	n, _, err := w.victim(r, a.Victim, from)
	if err != nil {
		return err
	}
	var targets []*node
	for _, d := range w.desks {
		if d.node != n {
			targets = append(targets, d.node)
		}
	}
	targets = append(append(targets, w.gadgets...), w.files, w.mail, w.intranet, w.backup, w.nas)
	ghosts := w.ghosts(r, max(0, a.Targets-len(targets)))
	live := len(targets)
	targets = append(targets, ghosts...)
	p.Servers = append(p.Servers, machine(n))
	for _, v := range targets[:live] {
		p.Victims = append(p.Victims, machine(v))
	}
	order := r.Perm(len(targets))
	i, total := 0, len(order)*len(a.Ports)
	mean := max(1, (to-from)/int64(total))
	w.spawn(from, func(t int64) int64 {
		if i == total || t >= to {
			return never
		}
		x, port := order[i/len(a.Ports)], a.Ports[i%len(a.Ports)]
		i++
		if x >= live {
			w.unanswered(t, r, n, targets[x], port, 1+r.IntN(2), p)
		} else {
			w.probe(t, r, n, targets[x], port, p)
		}
		return t + 1 + w.law.expo(r, mean)
	})
	return nil
}
