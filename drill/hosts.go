package drill

import (
	"fmt"
	"math/rand/v2"
)

// desk is a workstation with the person at it.
type desk struct {
	*node
	unit     string
	shift    []span // when the machine is on, one a day, empty when off
	here     []span // when somebody works at it
	stays    bool   // never switched off
	browser  *helloShape
	agent    string // the browser's User-Agent
	names    map[string]int64
	haunts   []*site // what this person reads
	tickets  map[*tlsServer]int64
	workload int // pages a day
}

// span is [from, to) in microseconds since 1970.
type span struct{ from, to int64 }

// staff furnishes the ministry. About four fifths of cfg.Hosts are desks.
func (w *world) staff() {
	r := stream(w.cfg.Seed, "staff")
	w.resolver = w.settleIn(r, servers, windows, "dc-%02d", between(r, 1, 3))
	w.files = w.settleIn(r, servers, windows, "files-%02d", between(r, 1, 5))
	w.mail = w.settleIn(r, servers, linux, "mail-%02d", between(r, 1, 3))
	w.backup = w.settleIn(r, servers, linux, "backup")
	w.printing = w.settleIn(r, servers, windows, "print-srv")
	w.assets = w.settleIn(r, servers, linux, "inventory")
	w.watcher = w.settleIn(r, servers, linux, "monitor")
	w.intranet = w.settleIn(r, servers, linux, "intranet")
	w.nas = w.settleIn(r, servers, gadget, "nas-%s", spoken(r, 1))
	w.portal = w.publicHost(r, "eportal")
	w.mx = w.publicHost(r, "mx")
	w.ours3 = w.publicHost(r, "www")

	n := max(6, w.cfg.Hosts-22)
	units := []string{"fin", "adm", "leg", "hr", "it", "pol"}
	count := make([]int, len(units))
	for i := range n {
		u := r.IntN(len(units))
		if i < len(units) {
			u = i
		}
		count[u] += 1 + r.IntN(3)
		subnet := deskA
		if u > 2 {
			subnet = deskB
		}
		s := windows
		if units[u] == "it" && chance(r, 50) {
			s = linux
		}
		d := &desk{node: w.settleIn(r, subnet, s, "%s-pc-%02d", units[u], count[u]), unit: units[u]}
		d.names = map[string]int64{}
		d.tickets = map[*tlsServer]int64{}
		d.stays = chance(r, 38)
		d.workload = size(r, 6, 26)
		d.browser = pick(r, browsers)
		if s == linux {
			d.browser = browsers[len(browsers)-1]
		}
		d.agent = d.browser.agent(s)
		w.keepHours(r, d)
		w.desks = append(w.desks, d)
	}
	kinds := []string{"printer", "camera", "hvac", "ups", "badge", "display", "phone", "sensor"}
	for i := range max(4, w.cfg.Hosts-n-12) {
		k := kinds[i%len(kinds)]
		w.gadgets = append(w.gadgets, w.settleIn(r, things, gadget, "%s-%02d", k, 1+i/len(kinds)))
	}
	for i, l := range []system{linux, linux, windows} {
		w.lab = append(w.lab, w.settleIn(r, labs, l, "lab-%02d", i+1))
	}
}

// keepHours draws when the desk's machine runs and when a person is there.
func (w *world) keepHours(r *rand.Rand, d *desk) {
	habit := 7*hour + between(r, 20, 120)*minute
	for i := range w.cfg.Days {
		midnight := w.t0 + int64(i)*day
		var here, on span
		weekend := w.weekend(midnight)
		if !weekend && !chance(r, 7) || weekend && chance(r, 4) {
			here.from = midnight + habit + between(r, -15, 25)*minute
			here.to = here.from + 8*hour + between(r, 0, 150)*minute
			on = span{here.from - 3*minute, here.to + between(r, 1, 12)*minute}
		}
		if d.stays {
			on = span{midnight, midnight + day}
		}
		d.here = append(d.here, here)
		d.shift = append(d.shift, on)
	}
}

func (w *world) weekend(t int64) bool {
	wd := (int(w.cfg.Start.Weekday()) + int((t-w.t0)/day)) % 7
	return wd == 0 || wd == 6
}

// within returns t if it lies in one of the spans, else the begin of the
// next one, else never.
func within(spans []span, t int64) int64 {
	for _, s := range spans {
		if t < s.to {
			return max(t, s.from)
		}
	}
	return never
}

// working says whether t is an ordinary hour of work.
func (w *world) working(t int64) bool {
	h := (t - w.t0) % day / hour
	return !w.weekend(t) && h >= 8 && h < 18
}

// deskOf returns a desk of the unit that is on at t, or any that is on; a
// unit that names a machine returns that.
func (w *world) deskOf(r *rand.Rand, unit string, t int64) (*desk, error) {
	var fit []*desk
	for _, d := range w.desks {
		if d.name == unit {
			return d, nil
		}
		if (unit == "" || d.unit == unit) && within(d.here, t) == t {
			fit = append(fit, d)
		}
	}
	if len(fit) == 0 {
		for _, d := range w.desks {
			if unit == "" || d.unit == unit {
				fit = append(fit, d)
			}
		}
	}
	if len(fit) == 0 {
		return nil, fmt.Errorf("no desk %q", unit)
	}
	return pick(r, fit), nil
}
