package drill

import (
	"encoding/binary"
	"math/rand/v2"
	"time"
)

// Mix is an endless ordinary mix: the uplink of an office with a fixed number
// of conversations open at once, for measuring. Each of them sends about every
// 0.7 s of traffic time; the next to send is drawn by chance, so that whoever
// keeps state finds it as far away as it would be live. When a conversation
// ends its seat begins another, of a sort drawn by fixed shares
// (mix_life.go). Next makes nothing: a frame is one of a script recorded
// beforehand (mix_script.go), with addresses, ports, sequence numbers and
// names written over. The same numbers give the same frames on every machine.
//
// What is real in it: the protocols' bytes, who talks how long and how much,
// popularity of servers. What is not: checksums and signatures do not verify,
// all hosts have the same habits, and nothing is lost beyond what the scripts
// lost when they were recorded.
type Mix struct {
	rng     rand.PCG
	now     int64 // nanoseconds since 1970
	step    int64 // between two frames
	arena   []byte
	scripts []script
	shots   []shot
	marks   []mark
	draws   [drawn]uint16 // scripts by their share of conversations
	opening [drawn]uint16 // by their share of what is open at a time
	lookups [2]uint16     // the scripts that ask for a name: first, end
	ranks   [1 << 16]uint16

	seats []seat
	open  int // of seats, those in use
	lone  seat
	alone int // lookups still to be made before the seats open
	due   int // frames until the next seat opens

	picks [64]uint32
	at    int
	sink  uint64
}

// Sizes of the mix's world.
const (
	mixHosts   = 4096
	mixServers = 30000
	mixPace    = 700 * int64(time.Millisecond) // between two packets of a conversation
	lingers    = 60 * int64(time.Second)       // what is kept of a short UDP one, in most tables
	drawn      = 1 << 12

	// A mix opens an eighth of its seats at once and one more for every few
	// frames, so that conversations do not all begin and end together.
	perSeat = 12
	settle  = 4 // frames a seat after all are open
)

// seat is where one conversation is at.
type seat struct {
	script, next   uint16 // next follows, 0 for whatever comes
	at             uint16
	client, server uint16
	port           uint16
	salt           uint32
}

// NewMix returns a mix of flows conversations open at once, at least 64.
func NewMix(flows int, seed uint64) (*Mix, error) {
	m := &Mix{seats: make([]seat, max(64, flows)), now: mixStart.UnixNano()}
	m.rng.Seed(seed, 0x6d6978)
	if err := m.record(seed); err != nil {
		return nil, err
	}
	z := newZipf(mixServers)
	r := stream(seed, "ranks")
	for i := range m.ranks {
		m.ranks[i] = uint16(z.pick(r))
	}
	m.at = len(m.picks)
	m.alone = m.lingering()
	m.step = max(1, lingers/int64(2*m.alone))
	m.begin(&m.lone)
	return m, nil
}

// Warm returns how many frames pass until as many conversations are open, or
// linger after their end, as there will be from then on.
func (m *Mix) Warm() int64 {
	return int64(m.lingering())*2 + int64(len(m.seats))*(perSeat+settle)
}

// Next returns the next frame, its time in nanoseconds since 1970 and its
// length on the wire. The bytes are good until the next call.
func (m *Mix) Next() (t int64, wire int, data []byte) {
	s := m.seat()
	c := &m.scripts[s.script]
	h := &m.shots[c.first+uint32(s.at)]
	data = m.arena[h.off : h.off+uint32(h.kept) : h.off+uint32(h.kept)]
	m.dress(data, s, c, h)
	if s.at++; s.at == c.length {
		m.begin(s)
	}
	m.now += m.step
	return m.now, int(h.wire), data
}

// seat returns whose turn it is.
func (m *Mix) seat() *seat {
	if m.alone > 0 {
		if m.lone.at == 0 {
			m.lone.script, m.lone.next = m.lookup(), 0
			m.alone--
		}
		return &m.lone
	}
	if m.open < len(m.seats) {
		m.openSeats()
	}
	if m.at == len(m.picks) {
		m.pick()
	}
	m.at++
	return &m.seats[m.picks[m.at-1]]
}

// pick draws the next few seats and looks at each, to wait for all of them
// together.
func (m *Mix) pick() {
	m.at = 0
	for i := range m.picks {
		at := uint32((m.rng.Uint64() >> 32) * uint64(m.open) >> 32)
		m.picks[i] = at
		m.sink += uint64(m.seats[at].at)
	}
}

// openSeats opens more seats when it is time to.
func (m *Mix) openSeats() {
	first := m.open == 0
	if m.due--; m.due > 0 {
		return
	}
	m.due = perSeat
	n := 1
	if first {
		n = len(m.seats) / 8
	}
	for range n {
		s := &m.seats[m.open]
		m.begin(s)
		s.script, s.next = m.opening[m.rng.Uint64()%drawn], 0
		m.settleServer(s)
		m.open++
	}
	m.step = max(1, mixPace/int64(m.open))
}

// begin starts the next conversation of a seat: the one its lookup was made
// for, or another one, which may want a lookup first.
func (m *Mix) begin(s *seat) {
	v := m.rng.Uint64()
	s.at, s.port, s.salt = 0, 1024+uint16(v%64000), uint32(v>>32)
	if s.next != 0 {
		s.script, s.next = s.next, 0
		return
	}
	v = m.rng.Uint64()
	s.client, s.server = uint16(v%mixHosts), m.ranks[v>>16&0xffff]
	s.script = m.draws[v>>32%drawn]
	m.settleServer(s)
	if m.scripts[s.script].named && v>>60&1 == 0 { // the other half remember
		s.next, s.script = s.script, m.lookup()
	}
}

// settleServer gives a conversation with a name that cannot be written over
// the server of that name.
func (m *Mix) settleServer(s *seat) {
	if k := m.scripts[s.script].server; k != anyServer {
		s.server = k
	}
}

func (m *Mix) lookup() uint16 {
	return m.lookups[0] + uint16(m.rng.Uint64()%uint64(m.lookups[1]-m.lookups[0]))
}

// dress writes over the frame what is a conversation's own.
func (m *Mix) dress(f []byte, s *seat, c *script, h *shot) {
	const src, dst = ipAt + 12, ipAt + 16
	client, server := hostAddr(s.client), serverAddr(s.server)
	if c.resolver {
		server = hostAddr(mixHosts + s.client&1)
	}
	from, to, fromPort, toPort := client, server, s.port, c.port
	if h.dir == resp {
		from, to, fromPort, toPort = server, client, c.port, s.port
	}
	binary.BigEndian.PutUint32(f[src:], from)
	binary.BigEndian.PutUint32(f[dst:], to)
	switch c.proto {
	case protoTCP:
		binary.BigEndian.PutUint32(f[l4At+4:], h.seq+s.salt)
		if f[l4At+13]&ack != 0 {
			binary.BigEndian.PutUint32(f[l4At+8:], h.ack+s.salt)
		}
		fallthrough
	case protoUDP:
		binary.BigEndian.PutUint16(f[l4At:], fromPort)
		binary.BigEndian.PutUint16(f[l4At+2:], toPort)
	}
	for _, k := range m.marks[h.mark : h.mark+uint32(h.marks)] {
		m.fill(f[k.at:], k.what, s)
	}
}

// fill writes what stands at a mark.
func (m *Mix) fill(b []byte, what uint8, s *seat) {
	switch what {
	case markName:
		n := serverName(s.server)
		copy(b, n[:])
	case markAddr:
		binary.BigEndian.PutUint32(b, serverAddr(s.server))
	case markKey:
		binary.BigEndian.PutUint32(b, uint32(s.server)*2654435761)
	case markID:
		binary.BigEndian.PutUint16(b, uint16(s.salt))
	}
}

// hostAddr returns the address of our i-th host; the last two are resolvers.
func hostAddr(i uint16) uint32 { return 10<<24 | 20<<16 | uint32(i/200)<<8 | (10 + uint32(i%200)) }

func serverAddr(i uint16) uint32 { return internet + 4*uint32(i) + 1 }

// serverName returns what is written over the mark in a name: three syllables
// of the i-th server's own.
func serverName(i uint16) (n [6]byte) {
	const c, v = "bdfgklmnprstvz", "aeiou"
	x := uint32(i) * 7919 % 343000
	for k := 0; k < len(n); k += 2 {
		n[k], n[k+1] = c[x%14], v[x/14%5]
		x /= 70
	}
	return n
}
