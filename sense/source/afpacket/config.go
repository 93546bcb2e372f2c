// Package afpacket reads live traffic of Linux network interfaces out of
// rings that the kernel fills (AF_PACKET with TPACKET_V3): frames are read in
// place, never copied. Open is the way in, its Reader a source.Frames that
// outlives its interfaces: what goes down, away or is renamed is told and
// waited for. Check tells beforehand what would be in the way. DESIGN.md says
// why it is built so. On other systems Open returns ErrUnsupported.
package afpacket

import (
	"errors"
	"time"

	"golang.org/x/net/bpf"
)

// What may keep an interface from being read.
var (
	ErrUnsupported = errors.New("live capture needs Linux; read captures with replay here")
	ErrPermission  = errors.New("no right to read packets: run as root, or give the program that right once with: sudo setcap cap_net_raw+ep $(command -v testudo)")
	ErrNoInterface = errors.New("there is no such interface; ip link shows those there are")
	ErrDown        = errors.New("the interface is down; bring it up with ip link set NAME up")
)

// Config is how one interface is read. Zero values take the defaults.
type Config struct {
	Interface string
	// Filter says which frames are wanted, in tcpdump's language or as the
	// numbers of tcpdump -ddd; all by default.
	Filter string
	// SnapLen is how many bytes of a frame are kept; 256 KiB by default,
	// which is all of it.
	SnapLen int
	// RingBytes is the size of each ring; 64 MiB by default, 1 GiB at most.
	RingBytes int
	// BlockBytes is the part of a ring that is handed over at once; 1 MiB by
	// default. It is rounded up to a power of two.
	BlockBytes int
	// BlockTimeout is how long a frame may wait for its block to fill; 50 ms
	// by default.
	BlockTimeout time.Duration
	// Rings is how many rings share the interface's traffic, by host pair; 1
	// by default, 64 at most.
	Rings int
	// Tunnels shares it by the pair within a tunnel.
	Tunnels bool
	// Quiet leaves the interface out of promiscuous mode: only frames to and
	// from this machine are then seen.
	Quiet bool
	// Event is told what happens to the interface, in a sentence. Next calls
	// it.
	Event func(string)
	// Sockets opens the sockets; OpenSockets by default. A process without
	// rights asks one that has them.
	Sockets func(Spec) (Sockets, error)
}

// Spec is what must be known to open the packet sockets of an interface. It
// goes from a process without rights to one with them, so it names all and
// decides nothing.
type Spec struct {
	Interface   string               `json:"interface"`
	Link        uint32               `json:"link"` // for which Program was made
	Program     []bpf.RawInstruction `json:"program"`
	BlockBytes  int                  `json:"block_bytes"`
	Blocks      int                  `json:"blocks"` // of each ring
	TimeoutMS   int                  `json:"timeout_ms"`
	Rings       int                  `json:"rings"`
	Tunnels     bool                 `json:"tunnels,omitempty"`
	Promiscuous bool                 `json:"promiscuous,omitempty"`
	// Locked keeps whoever holds the sockets from changing the filter and the
	// interface.
	Locked bool `json:"-"`
}

// Sockets are open packet sockets of one interface whose rings the kernel
// fills but nobody has mapped. Whoever gets them closes them.
type Sockets struct {
	FDs   []int
	Index int          // of the interface
	Done  func() error // called once the sockets are closed; may be nil
}

// Stats is what became of one interface's frames so far.
type Stats struct {
	Interface string // its name now
	// Packets were wanted by the filter, Drops of them lost because the ring
	// was full, which began Freezes times. They are the kernel's counts.
	Packets, Drops, Freezes uint64
	// Broken is how many blocks of the ring contradicted themselves.
	Broken uint64
	// Blind is how long the interface was not there or down.
	Blind time.Duration
}

// Level says how grave a finding is.
type Level uint8

// The levels.
const (
	Good Level = iota
	Warning
	Failure
)

// String returns ok, warning or failure.
func (l Level) String() string { return [...]string{"ok", "warning", "failure"}[min(l, Failure)] }

// Finding is one thing that Check looked at.
type Finding struct {
	Level Level
	What  string // what was found, and why it matters
	Do    string // the command that mends it; may be empty
}

const (
	defaultSnap     = 256 << 10
	defaultRing     = 64 << 20
	defaultBlock    = 1 << 20
	defaultTimeout  = 50 * time.Millisecond
	maxRings        = 64
	maxRingBytes    = 1 << 30
	smallestBlock   = 64 << 10
	idleAfter       = 100 * time.Millisecond
	timerSlack      = 20 * time.Millisecond // by which the kernel's timers come late
	lookInterval    = time.Second           // at which interfaces are looked at
	lookWhenAway    = 100 * time.Millisecond
	retryWhenFailed = 2 * time.Second
)

// withDefaults fills in what was left out and rounds what the kernel wants
// round.
func (c Config) withDefaults() Config {
	set := func(v *int, preset int) {
		if *v <= 0 {
			*v = preset
		}
	}
	set(&c.SnapLen, defaultSnap)
	set(&c.RingBytes, defaultRing)
	set(&c.BlockBytes, defaultBlock)
	set(&c.Rings, 1)
	if c.BlockTimeout <= 0 {
		c.BlockTimeout = defaultTimeout
	}
	if c.Event == nil {
		c.Event = func(string) {}
	}
	c.RingBytes = min(c.RingBytes, maxRingBytes)
	block := smallestBlock
	for block < c.BlockBytes && block < c.RingBytes/2 {
		block *= 2
	}
	c.BlockBytes = block
	c.Rings = min(c.Rings, maxRings)
	return c
}

func (c Config) blocks() int { return max(2, c.RingBytes/c.BlockBytes) }
