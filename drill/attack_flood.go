package drill

import (
	"fmt"

	"github.com/testudo-shield/testudo"
)

// SYNFlood opens conversations with the portal that it never completes,
// from forged addresses.
type SYNFlood struct {
	When
	Packets int `json:"packets"` // SYNs
	Sources int `json:"sources"` // forged addresses
}

// step is how often a flood's actor acts.
const step = 20 * millisecond

func (a SYNFlood) plant(w *world) error {
	if a.Packets < 1 || a.Packets > 50_000_000 || a.Sources < 1 || a.Sources > 1<<17 {
		return fmt.Errorf("%s: want 1 to 50 million packets from 1 to 131072 sources", a.Name)
	}
	p, err := w.begin(a.When, "syn-flood", testudo.Flood, testudo.Flooder, a)
	if err != nil {
		return err
	}
	r := stream(w.cfg.Seed, "attack "+a.Name)
	from, to := a.window(w)
	p.Victims, p.Sources, p.Conns = append(p.Victims, machine(w.portal, "tcp/443", "tcp/80")), a.Sources, int64(a.Packets)
	w.storms = append(w.storms, span{from, to})
	addrs := r.Perm(1 << 17)[:a.Sources]
	forged := &node{mac: w.border, window: 0xfaf0, idStep: 40503}
	k := &conv{w: w, r: r, end: [2]*node{forged, w.portal}, by: p}
	sent, backlog := 0, int64(0)
	w.spawn(from, func(t int64) int64 {
		if t >= to {
			return never
		}
		// It swells for a tenth of its time and then stays.
		due := shareOf(t+step-from, to-from, a.Packets)
		for ; sent < due; sent++ {
			addr := internet + uint32(addrs[r.IntN(len(addrs))])
			forged.addr, forged.ttl = addr, uint8(44+(addr*2654435761)>>27)
			if addr%5 == 0 {
				forged.ttl += 64
			}
			k.t = t + between(r, 0, step-1)
			k.port = [2]uint16{uint16(1024 + r.IntN(64000)), []uint16{443, 443, 443, 80}[r.IntN(4)]}
			k.seq = [2]uint32{r.Uint32(), r.Uint32()}
			forged.stamps, forged.lat = addr%3 != 0, 30*millisecond
			k.bare(orig, syn, 0)
			if backlog < 100 || chance(r, 6) { // the portal's queue is full most of the time
				backlog++
				k.t += between(r, 100, 900)
				k.by = nil
				k.bare(resp, syn|ack, 0)
				if addr%7 == 0 { // somebody lives there and never asked
					k.t += 60 * millisecond
					k.seq[orig] = k.seq[resp] + 1
					k.bare(orig, rst, 0)
				}
				k.by = p
			}
		}
		return t + step
	})
	return nil
}

// shareOf is how many of n packets are due after passed of the time.
func shareOf(passed, whole int64, n int) int {
	x := min(1000, passed*1000/max(1, whole))
	if x < 100 { // the first tenth brings a twentieth
		return int(int64(n) * x * x / 200_000)
	}
	return int(int64(n)*5/100 + int64(n)*95*(x-100)/90_000)
}

// Reflection makes honest servers send large answers to the portal.
type Reflection struct {
	When
	Protocol   string `json:"protocol"` // "ntp" or "dns"
	Packets    int    `json:"packets"`
	Reflectors int    `json:"reflectors"`
}

func (a Reflection) plant(w *world) error {
	if a.Protocol != "ntp" && a.Protocol != "dns" || a.Packets < 1 || a.Packets > 50_000_000 || a.Reflectors < 1 || a.Reflectors > 100_000 {
		return fmt.Errorf("%s: want protocol ntp or dns, 1 to 50 million packets, 1 to 100000 reflectors", a.Name)
	}
	p, err := w.begin(a.When, "reflection-flood", testudo.Flood, testudo.Reflector, a)
	if err != nil {
		return err
	}
	r := stream(w.cfg.Seed, "attack "+a.Name)
	from, to := a.window(w)
	var talks []*talk
	for range a.Reflectors {
		n := w.abroad(r, w.stranger(r))
		port := uint16(123)
		if a.Protocol == "dns" {
			port = 53
		}
		talks = append(talks, w.talk(from, n, w.portal, port, uint16(1024+r.IntN(60000)), p))
		p.Servers = append(p.Servers, machine(n, fmt.Sprintf("udp/%d", port)))
	}
	p.Victims, p.Sources = append(p.Victims, machine(w.portal)), a.Reflectors
	w.storms = append(w.storms, span{from, to})
	big := a.answer(w, r.Uint32())
	sent := 0
	w.spawn(from, func(t int64) int64 {
		if t >= to {
			return never
		}
		for due := shareOf(t+step-from, to-from, a.Packets); sent < due; sent++ {
			k := talks[r.IntN(len(talks))]
			if a.Protocol == "dns" {
				big[0], big[1] = byte(r.Uint32()), byte(r.Uint32())
			}
			kept := min(len(big), 200)
			k.send(t+between(r, 0, step-1), orig, big[:kept], len(big)-kept)
		}
		return t + step
	})
	return nil
}

// answer is what a reflector sends: the list of a clock's last customers, or
// a name's every record.
func (a Reflection) answer(w *world, chance uint32) []byte {
	if a.Protocol == "ntp" {
		b := append([]byte{0xd7, 0, 3, 42, 0, 6, 0, 72}, make([]byte, 6*72)...)
		for i := 8; i < len(b); i += 4 {
			b[i+3] = byte(chance >> (i % 24))
		}
		return b
	}
	text := ""
	for len(text) < 1000 {
		text += hexDigits
	}
	m := reply(nil, 0, w.zoneName(), typeTXT, 0x8400, answer{text: text, ttl: 3600})
	return m
}

func (w *world) zoneName() string { return domain(w.town.reps[0]) }
