package drill

import (
	"fmt"
	"io"
	"net/netip"
	"time"
)

// Config says which exercise to write.
type Config struct {
	Seed  uint64
	Start time.Time // midnight at the ministry
	Days  int
	Hosts int // machines of the ministry, at least 30
	// Snap is how many bytes of bulk payload a frame keeps, at least 16.
	// Handshakes, requests and other short messages are kept whole; the
	// length on the wire stays in the packet's header.
	Snap    int
	Attacks []Attack
	// OnFlow, if set, is called for each conversation once it is written.
	// Flows of a flood are not reported.
	OnFlow func(Flow)
}

// Attack is one of Beacon, Tunnel, Exfil, BruteForce, Sweep, SYNFlood and
// Reflection.
type Attack interface {
	// plant puts the attack's actors into the world.
	plant(w *world) error
}

// When is what all attacks have.
type When struct {
	Name string        `json:"name"`           // identity in the truth, unique
	At   time.Duration `json:"at"`             // since Config.Start
	For  time.Duration `json:"for"`            // how long; 0 is to the end
	Hand string        `json:"hand,omitempty"` // whose habits; the same hand uses one key, one server shape, one landlord
}

// world is the exercise while it is being written.
type world struct {
	cfg     Config
	t0, end int64
	tape    *tape
	truth   Truth
	law     *quantiles

	frame   [2048]byte
	load    [2048]byte
	cutSum  uint16
	noise   []byte
	prose   []byte
	scratch []byte

	providers []*provider
	taken     map[uint32]bool
	border    [6]byte
	inside    netip.Prefix
	outside   netip.Prefix
	subnet    [subnets]byte
	ministry  string

	desks   []*desk
	gadgets []*node
	lab     []*node

	resolver, files, mail, backup, printing, assets, watcher, intranet, nas *node
	portal, mx, ours3                                                       *node

	town   town
	pki    *pki
	cache  map[string]int64 // the resolver's
	zones  map[string]*zone
	hands  map[string]*hand
	actors schedule
	storms []span // while the portal is flooded
}

// DefaultWeek is the story of one week: on the second day a massive flood
// hits the portal and under its cover somebody breaks in; four days later a
// quiet implant on a desk of the finance unit reports abroad. Both are the
// work of the same hand.
func DefaultWeek(seed uint64) Config {
	r := stream(seed, "story")
	flood := 24*time.Hour + time.Duration(between(r, 610*minute, 870*minute))*time.Microsecond
	implant := flood.Truncate(24*time.Hour) + 4*24*time.Hour + time.Duration(between(r, 540*minute, 640*minute))*time.Microsecond
	length := time.Duration(between(r, 260, 520)) * time.Second
	laws := []SleepLaw{Uniform, Exponential, Constant, OfficeHours}
	habit := Beacon{
		Scheme: "https", Law: pick(r, laws), Jitter: float64(between(r, 15, 55)) / 100,
		Accumulate: chance(r, 70), Period: time.Duration(between(r, 780, 1500)) * time.Second,
		Pad: size(r, 0, 900), Loss: 0.02,
	}
	portal, desk := habit, habit
	portal.When = When{
		Name: "portal-beacon", Hand: "A", At: flood + length + time.Duration(between(r, 8*minute, 40*minute))*time.Microsecond,
		For: time.Duration(between(r, 540, 840)) * time.Minute,
	}
	portal.Victim = "portal"
	desk.When = When{Name: "desk-beacon", Hand: "A", At: implant}
	desk.Victim = "fin"
	return Config{
		Seed: seed, Start: time.Date(2026, 3, 4, 0, 0, 0, 0, time.FixedZone("", 3600)), Days: 7, Hosts: 60, Snap: 96,
		Attacks: []Attack{
			SYNFlood{When: When{Name: "flood", At: flood, For: length, Hand: "A"}, Packets: size(r, 260_000, 340_000), Sources: 45_000},
			Reflection{
				When:     When{Name: "reflection", At: flood + 90*time.Second, For: length - 120*time.Second, Hand: "A"},
				Protocol: pick(r, []string{"ntp", "dns"}), Packets: size(r, 50_000, 80_000), Reflectors: size(r, 180, 420),
			},
			BruteForce{
				When:    When{Name: "break-in", At: flood + 30*time.Second, For: length, Hand: "A"},
				Service: pick(r, []string{"http", "https", "ssh"}), Victim: "portal", Sources: size(r, 10, 20), Tries: size(r, 180, 320), Succeeds: true,
			},
			portal, desk,
		},
	}
}

// Showcase is DefaultWeek and one of every other attack.
func Showcase(seed uint64) Config {
	c := DefaultWeek(seed)
	r := stream(seed, "showcase")
	hours := func(d int, lo, hi int64) time.Duration {
		return time.Duration(d)*24*time.Hour + time.Duration(between(r, lo*hour, hi*hour))*time.Microsecond
	}
	c.Attacks = append(c.Attacks,
		Beacon{
			When: When{Name: "http-beacon", Hand: "B", At: hours(0, 9, 11), For: 54 * time.Hour}, Scheme: "http", Victim: "hr",
			Period: time.Duration(between(r, 900, 1500)) * time.Second, Jitter: 0.3, Law: OfficeHours, Pad: 300,
		},
		Tunnel{
			When: When{Name: "tunnel", Hand: "C", At: hours(0, 9, 10), For: 57 * time.Hour}, Victim: "adm",
			Every: time.Duration(between(r, 200, 440)) * time.Second, Burst: 3, Label: size(r, 16, 34), Type: pick(r, []string{"TXT", "A", "CNAME"}),
		},
		Exfil{
			When: When{Name: "exfil", Hand: "D", At: hours(1, 9, 10), For: 54 * time.Hour}, Victim: "leg",
			Every: time.Duration(between(r, 14, 28)) * time.Minute, Bytes: int64(size(r, 2, 5)) << 20,
		},
		Sweep{
			When: When{Name: "sweep", At: hours(1, 13, 15), For: 3 * time.Hour}, Victim: "pol",
			Ports: []uint16{445, 3389, 22, 80, 443, 8080, 135, 5985}[:size(r, 5, 8)], Targets: size(r, 120, 240),
		},
		BruteForce{
			When: When{Name: "guessing", Hand: "E", At: hours(5, 11, 14), For: 2 * time.Hour}, Victim: "portal", Service: "ssh",
			Sources: size(r, 8, 14), Tries: size(r, 150, 260),
		},
	)
	return c
}

// Write writes the exercise to out as a pcap file (microseconds, Ethernet)
// and returns what is true about it. The same Config gives the same bytes.
// An error is one of out or of a Config that cannot be carried out.
func Write(out io.Writer, cfg Config) (Truth, error) {
	if cfg.Days < 1 || cfg.Days > 31 || cfg.Hosts < 30 || cfg.Hosts > 400 || cfg.Snap < 16 || cfg.Snap > 1460 {
		return Truth{}, fmt.Errorf("drill: want 1 to 31 days, 30 to 400 hosts and a snap of 16 to 1460, not %d, %d and %d", cfg.Days, cfg.Hosts, cfg.Snap)
	}
	w, err := newWorld(out, cfg)
	if err != nil {
		return Truth{}, fmt.Errorf("drill: %w", err)
	}
	if err := w.live(); err != nil {
		return Truth{}, fmt.Errorf("drill: %w", err)
	}
	for _, a := range cfg.Attacks {
		if err := a.plant(w); err != nil {
			return Truth{}, fmt.Errorf("drill: plant %T: %w", a, err)
		}
	}
	if err := w.run(); err != nil {
		return Truth{}, fmt.Errorf("drill: write capture: %w", err)
	}
	return w.settleTruth(), nil
}

func newWorld(out io.Writer, cfg Config) (*world, error) {
	w := &world{
		cfg: cfg, t0: cfg.Start.UnixMicro(), law: newQuantiles(), cutSum: uint16(cfg.Seed),
		taken: map[uint32]bool{}, cache: map[string]int64{}, zones: map[string]*zone{}, hands: map[string]*hand{},
	}
	w.end = w.t0 + int64(cfg.Days)*day
	w.tape = newTape(out, w.t0, w.end)
	r := stream(cfg.Seed, "noise")
	w.noise = make([]byte, 1<<17)
	fill(r, w.noise)
	for len(w.prose) < 1<<17 {
		w.prose = append(append(w.prose, spoken(r, 1+r.IntN(4))...), " \n<p>, ."[r.IntN(8)])
	}
	w.prose = w.prose[:1<<17]
	w.layProviders()
	w.layNetwork()
	w.staff()
	var err error
	if w.pki, err = w.newPKI(); err != nil {
		return nil, err
	}
	return w, w.build()
}

// A schedule is a heap of what happens next.
type schedule struct {
	heap []actor
	born int
}

// actor does something at a time and says when it will do something next.
type actor struct {
	at   int64
	rank int
	step func(t int64) int64
}

func (a actor) before(b actor) bool { return a.at < b.at || a.at == b.at && a.rank < b.rank }

// spawn adds an actor that first acts at t.
func (w *world) spawn(t int64, step func(t int64) int64) {
	s := &w.actors
	s.born++
	s.heap = append(s.heap, actor{t, s.born, step})
	for i := len(s.heap) - 1; i > 0; {
		up := (i - 1) / 2
		if !s.heap[i].before(s.heap[up]) {
			break
		}
		s.heap[i], s.heap[up] = s.heap[up], s.heap[i]
		i = up
	}
}

// run lets everyone act in the order of time until the end.
func (w *world) run() error {
	s := &w.actors
	for len(s.heap) > 0 && s.heap[0].at < w.end {
		a := &s.heap[0]
		t := a.at
		if err := w.tape.flush(t); err != nil {
			return err
		}
		next := a.step(t)
		s.heap[0].at = max(next, t)
		s.sink()
	}
	return w.tape.close()
}

func (s *schedule) sink() {
	for i := 0; ; {
		c := 2*i + 1
		if c >= len(s.heap) {
			return
		}
		if c+1 < len(s.heap) && s.heap[c+1].before(s.heap[c]) {
			c++
		}
		if !s.heap[c].before(s.heap[i]) {
			return
		}
		s.heap[i], s.heap[c] = s.heap[c], s.heap[i]
		i = c
	}
}
