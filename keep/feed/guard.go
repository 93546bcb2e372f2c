package feed

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"syscall"
)

// A guard keeps a source from sending us into our own network: what a
// public server redirects or refers to must be public too. A source that is
// itself at a private address was put there by the user, and may.
type guard struct {
	limits *limits
	proxy  func(*http.Request) (*url.URL, error)

	mu      sync.Mutex
	known   bool // where the source is
	private bool
	proxies map[string]bool // host:port
}

var errPrivate = &fault{
	what: "it sends us to an address inside a private network",
	do:   "refused: a public source has no business there; tell who runs it",
}

// reserved are the networks, beside those netip knows, where no public
// server is (RFC 6890).
var reserved = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("240.0.0.0/4"),
}

// translated are the networks that carry an IPv4 address in their last four
// bytes (RFC 6052).
var translated = netip.MustParsePrefix("64:ff9b::/96")

func isPrivate(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if translated.Contains(a) {
		b := a.As16()
		a = netip.AddrFrom4([4]byte(b[12:]))
	}
	if !a.IsGlobalUnicast() || a.IsPrivate() {
		return true
	}
	for _, p := range reserved {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// route is asked by the transport before each request: it refuses literal
// private addresses, which a proxy would go to for us, and names the proxy.
func (g *guard) route(r *http.Request) (*url.URL, error) {
	a, err := netip.ParseAddr(r.URL.Hostname())
	literal := err == nil && isPrivate(a)
	via, err := g.proxy(r)
	if err != nil {
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.known && !g.private && (literal || r.URL.Hostname() == "localhost") {
		return nil, errPrivate
	}
	if via != nil {
		if !g.known { // we cannot see where the proxy goes
			g.known, g.private = true, literal
		}
		g.proxies[proxyAddress(via)] = true
	}
	return via, nil
}

func proxyAddress(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "socks5": "1080", "socks5h": "1080"}[u.Scheme]
	}
	if port == "" {
		port = "80"
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// dial connects to the proxy, or to a server at an address that is allowed.
// The address is judged when it is connected to, so that a name cannot
// change its mind between question and use.
func (g *guard) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	d := net.Dialer{Timeout: g.limits.connect}
	g.mu.Lock()
	viaProxy, known := g.proxies[addr], g.known
	g.mu.Unlock()
	if !viaProxy {
		d.Control = g.allow
	}
	c, err := d.DialContext(ctx, network, addr)
	if err != nil || viaProxy || known {
		return c, err
	}
	g.learn(c.RemoteAddr())
	return c, nil
}

// learn notes where the source is, by the first connection to it.
func (g *guard) learn(to net.Addr) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if at, err := netip.ParseAddrPort(to.String()); err == nil && !g.known {
		g.known, g.private = true, isPrivate(at.Addr())
	}
}

func (g *guard) allow(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.known && !g.private && isPrivate(at.Addr()) {
		return errPrivate
	}
	return nil
}
