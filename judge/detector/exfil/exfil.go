// Package exfil finds theft by its way out: a report on a machine and its
// passwords that is mailed, uploaded or posted by a program which is not what
// it says, and data that leaves piece by piece to a place nobody here had
// used before. Each way has its file: mail.go, ftp.go, post.go, volume.go.
// Theft in DNS names is the tunnel detector's.
package exfil

import (
	"net/netip"
	"strings"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/detector"
)

// What is fixed about the judgement.
const (
	// longWatch is how long traffic must have been watched before a
	// destination that is new says something.
	longWatch = 24 * time.Hour
	// window is how long what goes to one destination is added up.
	window = 72 * time.Hour
	// piece is how many bytes one way make an upload of a conversation, if
	// not half as much came back.
	piece = 4096
	// fewest is how many uploads to one place are judged.
	fewest = 3
	// enough is the least score that is claimed: what is in balance is not.
	enough = 0.2
)

// Detector returns the detector. Its memory hangs on our host.
func Detector() detector.Detector {
	return detector.Detector{
		Name: "exfil", Needs: []string{"conn", "http", "smtp", "ftp"},
		Wants: []testudo.Evidence{testudo.Bodies, testudo.Headers, testudo.ExactSizes},
		Habit: longWatch, Slow: "theft by volume",
		Route: route,
		New: func(entries int) detector.Memory {
			return &memory{
				hosts: detector.NewTable[netip.Addr, host](entries),
				ways:  detector.NewTableBy[way, flow](entries, way.sum),
				drops: detector.NewTableBy[way, drop](entries, way.sum),
			}
		},
	}
}

func route(r testudo.Record) (uint64, bool) {
	c := &r.Base().About
	if !c.OrigLocal {
		return 0, false
	}
	switch r := r.(type) {
	case *testudo.Conn:
		if c.RespLocal || r.RespPkts == 0 || r.Delta.OrigBytes == 0 {
			return 0, false
		}
	case *testudo.DNS:
		if !isOwnName(r) {
			return 0, false
		}
	case *testudo.DHCP:
		if r.HostName == "" {
			return 0, false
		}
	case *testudo.TLS:
		if c.RespLocal || r.Leaf == nil || !r.Leaf.SelfSigned {
			return 0, false
		}
	case *testudo.HTTP:
		if c.RespLocal || r.RequestLen < 64 {
			return 0, false
		}
	case *testudo.FTP:
		if c.RespLocal {
			return 0, false
		}
	case *testudo.SMTP:
		if c.RespLocal {
			return 0, false
		}
	default:
		return 0, false
	}
	return detector.AddrKey(c.Host), true
}

// way is a host of ours and where it sends: a registered domain, or the bare
// address. via tells apart what is judged apart.
type way struct {
	host, addr netip.Addr
	domain     string
	via        via
}

func (k way) sum(h detector.Hash) detector.Hash {
	return h.Addr(k.host).Addr(k.addr).Word(uint64(k.via)).Text(k.domain)
}

type via byte

const (
	byVolume via = iota
	byMail
	byFTP
	byHTTP
)

func wayOf(m *testudo.Meta, v via) way {
	if m.About.Domain != "" {
		return way{host: m.About.Host, domain: m.About.Domain, via: v}
	}
	return way{host: m.About.Host, addr: m.ID.Resp.Addr(), via: v}
}

func (w way) dest() string {
	if w.domain != "" {
		return w.domain
	}
	return w.addr.String()
}

// host is what a machine of ours says it is called.
type host struct{ names [4]string }

func (h *host) learn(name string) {
	name = strings.ToLower(name)
	if len(name) < 4 || len(name) > 63 {
		return
	}
	for _, n := range h.names {
		if n == name {
			return
		}
	}
	copy(h.names[1:], h.names[:])
	h.names[0] = name
}

// namedIn returns the machine's own name that text holds, "" for none.
func (h *host) namedIn(text string) string {
	text = strings.ToLower(text)
	for _, n := range h.names {
		if n != "" && strings.Contains(text, n) {
			return n
		}
	}
	return ""
}

// isOwnName tells whether the question is one by which a machine makes sure
// that its own name is free: any record of a name of one label on the local
// link (RFC 4795, 4.1), or a NetBIOS name (RFC 1002, 4.2.2).
func isOwnName(r *testudo.DNS) bool {
	if strings.ContainsAny(r.Query, ".\\") || len(r.Query) < 4 {
		return false
	}
	switch r.ID.Resp.Port() {
	case 5355:
		return r.QType == 255
	case 137:
		return r.QType == 32
	}
	return false
}

type memory struct {
	hosts *detector.Table[netip.Addr, host]
	ways  *detector.Table[way, flow] // volume by destination
	drops *detector.Table[way, drop] // reports by mail, FTP and HTTP
}

// Observe implements detector.Memory.
func (m *memory) Observe(r testudo.Record, out *detector.Out) {
	h, _ := m.hosts.Put(r.Base().About.Host)
	switch r := r.(type) {
	case *testudo.Conn:
		m.conn(r, out)
	case *testudo.DNS:
		h.learn(r.Query)
	case *testudo.DHCP:
		h.learn(r.HostName)
	case *testudo.TLS:
		f, isNew := m.ways.Put(wayOf(&r.Meta, byVolume))
		if isNew {
			f.begin(&r.Meta)
		}
		f.selfMade = true
	case *testudo.SMTP:
		if !strings.Contains(r.Helo, ".") && !strings.Contains(r.Helo, ":") {
			h.learn(strings.Trim(r.Helo, "[]"))
		}
		m.mail(r, h, out)
	case *testudo.FTP:
		m.ftp(r, h, out)
	case *testudo.HTTP:
		m.post(r, h, out)
	}
}

// Tick implements detector.Memory: at the end the last numbers are told.
func (m *memory) Tick(_ testudo.Time, last bool, out *detector.Out) {
	if !last {
		return
	}
	for w, f := range m.ways.All {
		if f.pieces >= fewest && f.pieces > f.told {
			if f.weigh(false).Logit() >= enough {
				out.Claim(f.claim(w))
			}
		}
	}
	for w, d := range m.drops.All {
		if d.told > 0 && d.count > d.told {
			out.Claim(d.claim(w))
		}
	}
}

// Shed implements detector.Memory.
func (m *memory) Shed() int { return m.hosts.Shed() + m.ways.Shed() + m.drops.Shed() }
