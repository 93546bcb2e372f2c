package drill

import "math/rand/v2"

// SleepLaw is how a program that reports again and again spaces its reports.
type SleepLaw string

// The laws. Updaters, appliances and implants know the same ones.
const (
	Constant    SleepLaw = "constant"     // the period, with little jitter
	Uniform     SleepLaw = "uniform"      // the period plus or minus the jitter
	Exponential SleepLaw = "exponential"  // memoryless, with the period as mean
	OfficeHours SleepLaw = "office-hours" // uniform, and silent outside 7 to 19 h
)

// rhythm is a law with its numbers.
type rhythm struct {
	law    SleepLaw
	period int64
	jitter int64 // thousandths
	grid   bool  // jitter around fixed times instead of adding up
	epoch  int64
	ticks  int64
}

// next returns when the report after the one at t is due.
func (y *rhythm) next(w *world, r *rand.Rand, t int64) int64 {
	j := y.period * y.jitter / 1000
	switch y.law {
	case Exponential:
		return t + second + w.law.expo(r, y.period)
	case Constant:
		j = y.period * min(y.jitter, 20) / 1000
	case OfficeHours:
		if h := (t - w.t0) % day; h < 7*hour || h > 19*hour {
			return t - h + 7*hour + int64(b2i(h > 19*hour))*day + between(r, 0, y.period)
		}
	}
	if y.grid {
		if y.epoch == 0 {
			y.epoch = t
		}
		y.ticks = max(y.ticks+1, (t-y.epoch)/y.period+1)
		return max(t+second, y.epoch+y.ticks*y.period+between(r, -j/2, j/2))
	}
	return t + y.period + between(r, -j, j)
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// poller is a program that reports to a site in a rhythm: an updater, an
// agent, an appliance, or an implant.
type poller struct {
	from   *node
	desk   *desk  // nil if it is none
	on     []span // when its machine runs, nil for always
	to     *site  // tls nil: in clear
	bare   bool   // uses the address without a name
	hello  *helloShape
	rhythm rhythm
	up     [2]int // bytes of a report, least and most
	down   [2]int // of the answer
	rare   int    // thousandth of reports with a much larger exchange
	bulk   int    // bytes of that
	push   bool   // the large one goes up, not down
	agent  string
	path   string
	method string
	lost   int // thousandth of reports that find nobody
	until  int64
	by     *Planted
	ticket int64 // until when a session can be resumed
	keeps  bool  // resumes sessions
}

// keep starts the poller's actor at t.
func (w *world) keep(t int64, r *rand.Rand, p *poller) {
	if p.until == 0 {
		p.until = never
	}
	w.spawn(t, func(t int64) int64 {
		if t >= p.until {
			return never
		}
		if p.on != nil {
			if up := within(p.on, t); up != t {
				if up == never {
					return never
				}
				return up + between(r, second, max(2*second, min(p.rhythm.period, 20*minute)))
			}
		}
		if p.rhythm.law == OfficeHours {
			if h := (t - w.t0) % day; h < 7*hour || h > 19*hour {
				return p.rhythm.next(w, r, t)
			}
		}
		p.report(w, r, t)
		return p.rhythm.next(w, r, t)
	})
}

func (p *poller) report(w *world, r *rand.Rand, t int64) {
	if !p.bare {
		t = w.resolve(t, r, p.desk, p.from, p.to.name, typeA, p.to.answer(r), p.by)
	}
	s := pick(r, p.to.at)
	if r.IntN(1000) < p.lost {
		w.unanswered(t, r, p.from, s, p.to.port, 1+r.IntN(3), p.by)
		return
	}
	up, down := size(r, p.up[0], p.up[1]), size(r, p.down[0], p.down[1])
	if r.IntN(1000) < p.rare {
		n := heavy(r, 4000, max(5000, p.bulk))
		if p.push {
			up += n
		} else {
			down += n
		}
	}
	k := w.dial(t, r, p.from, s, p.to.port, p.by)
	if p.to.tls == nil {
		p.plain(k, up, down)
		return
	}
	name := p.to.name
	if p.bare {
		name = ""
	}
	resumed := p.keeps && t < p.ticket
	k.tls(p.hello, p.to.tls, name, resumed)
	if !resumed {
		p.ticket = t + between(r, 1, 9)*hour
	}
	k.wait(between(r, 200, 4000))
	k.app(orig, up)
	k.wait(between(r, 2, 60) * millisecond)
	k.app(resp, down)
	k.wait(between(r, 1, 900) * millisecond)
	k.bye(orig)
}

func (p *poller) plain(k *conv, up, down int) {
	host := p.to.name
	if p.bare {
		host = p.to.at[0].ip().String()
	}
	q := request{
		method: p.method, host: host, path: p.path, agent: p.agent, lines: "Accept: */*\r\n", status: "200 OK",
		server: []string{"nginx", "Apache", "lighttpd/1.4"}[p.to.at[0].addr%3], typ: "application/octet-stream", answer: piece{fill: down},
	}
	if q.method == "POST" {
		q.body = piece{fill: up}
		q.lines += "Content-Type: application/octet-stream\r\n"
	} else {
		q.method = "GET"
		q.path += "?id=" + word(k.r, hexDigits, min(96, 8+up/8))
	}
	k.http(q)
	k.wait(between(k.r, 1, 400) * millisecond)
	k.close(k.r.IntN(2))
}
