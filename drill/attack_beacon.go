package drill

import (
	"fmt"
	"time"

	"github.com/testudo-shield/testudo"
)

// Beacon is an implant that reports to its server and asks for orders.
type Beacon struct {
	When
	Victim     string        `json:"victim"` // "portal", a machine's name, a unit ("fin"), or empty for any desk
	Scheme     string        `json:"scheme"` // "https" or "http"
	TLS13      bool          `json:"tls13,omitempty"`
	Period     time.Duration `json:"period"`     // mean of the sleep
	Jitter     float64       `json:"jitter"`     // 0 to 1, of the period
	Accumulate bool          `json:"accumulate"` // sleeps add up; otherwise they scatter around a fixed grid
	Law        SleepLaw      `json:"law"`
	Pad        int           `json:"pad"`              // most random bytes added to each message
	Loss       float64       `json:"loss"`             // share of reports that find nobody
	Always     bool          `json:"always,omitempty"` // reports also while the victim's machine is off: a machine left on
}

func (b Beacon) plant(w *world) error {
	if b.Period < time.Second || b.Jitter < 0 || b.Jitter > 1 || b.Loss < 0 || b.Loss > 1 || b.Pad < 0 || b.Pad > 1<<20 {
		return fmt.Errorf("%s: want a period from 1 s, jitter and loss from 0 to 1, pad from 0", b.Name)
	}
	if b.Scheme != "https" && b.Scheme != "http" {
		return fmt.Errorf("%s: scheme %q: want https or http", b.Name, b.Scheme)
	}
	switch b.Law {
	case Constant, Uniform, Exponential, OfficeHours:
	default:
		return fmt.Errorf("%s: unknown law %q", b.Name, b.Law)
	}
	p, err := w.begin(b.When, "beacon", testudo.Espionage, testudo.C2, b)
	if err != nil {
		return err
	}
	r := stream(w.cfg.Seed, "attack "+b.Name)
	from, to := b.window(w)
	n, d, err := w.victim(r, b.Victim, from)
	if err != nil {
		return err
	}
	h, err := w.handOf(b.When)
	if err != nil {
		return err
	}
	s, err := h.found(w, r, b.Scheme, b.TLS13)
	if err != nil {
		return err
	}
	q := &poller{
		from: n, desk: d, to: s, hello: scripted, until: to, by: p,
		rhythm: rhythm{law: b.Law, period: b.Period.Microseconds(), jitter: int64(b.Jitter * 1000), grid: !b.Accumulate},
		up:     [2]int{280, 700 + b.Pad}, down: [2]int{140, 500 + b.Pad}, rare: 25, bulk: 90_000, push: chance(r, 50),
		lost: int(b.Loss * 1000), method: "POST", path: "/" + spoken(r, 2) + "/" + spoken(r, 2),
	}
	if d != nil {
		q.agent = d.agent
		if !n.stamps {
			q.hello = schannel
		}
		if !b.Always {
			q.on = d.shift
		}
	}
	if b.Scheme == "https" {
		p.KeyHash = keyPrint(s.tls.chain[0])
	}
	p.Servers = append(p.Servers, Machine{Address: s.at[0].ip(), Names: []string{s.name}, Ports: []string{fmt.Sprintf("tcp/%d", s.port)}})
	p.Victims = append(p.Victims, machine(n))
	w.keep(from, r, q)
	return nil
}
