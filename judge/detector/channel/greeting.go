package channel

import (
	"slices"
	"time"

	"github.com/testudo-shield/testudo"
)

// publicExtensions is how many extensions a certificate of a public authority
// has at least: use of keys, names, policies, where to ask for revocation and
// the identifiers of two keys (CA/Browser Forum Baseline Requirements, 7.1.2).
const publicExtensions = 5

// greeting is what is known of a pair's TLS handshakes.
type greeting struct {
	count    int
	nameless int // hellos that name no server
	homemade int // certificates that no public authority made
	selfMade int // of those, signed by their own key
	vouched  int // certificates of a public authority
	silent   int // hellos that name neither a server nor a protocol
	eternal  bool
	plain    bool // a certificate without extensions
	quic     int  // HTTP/3 without a server name
	overTCP  bool // TLS over TCP, by which browsers learn that there is HTTP/3
	port     uint16
	gaps     rhythm
}

func (g *greeting) take(r *testudo.TLS) {
	if !r.ClientHello || !r.About.Outbound || r.ID.Proto == testudo.UDP && !r.QUIC {
		return // over DTLS, calls between browsers are all nameless and self-made
	}
	g.count++
	if g.gaps.count == 0 || r.Time.Sub(g.gaps.last) >= pause {
		g.gaps.beat(r.Time)
	}
	g.port = r.ID.Resp.Port()
	g.overTCP = g.overTCP || !r.QUIC
	if r.ServerName == "" && !r.ECH && !r.Resumed {
		g.nameless++
		if len(r.ClientALPN) == 0 {
			g.silent++
		}
		if r.QUIC && slices.Contains(r.ClientALPN, "h3") {
			g.quic++
		}
	}
	x := r.Leaf
	if x == nil {
		return
	}
	self := x.SelfSigned || x.Subject != "" && x.Subject == x.Issuer
	if self || x.Extensions < publicExtensions && x.Version >= 1 {
		g.homemade++
	} else {
		g.vouched++
	}
	if self {
		g.selfMade++
		g.eternal = g.eternal || x.NotAfter.Sub(x.NotBefore) > 9*365*24*time.Hour
		g.plain = g.plain || x.Extensions == 0 && len(x.Names) == 0
	}
}

// weigh puts what the handshakes say for a control channel.
func (g *greeting) weigh(k *scale, p *pair) {
	if g.count == 0 || p.bothOurs {
		return
	}
	if g.bare() {
		// An address cannot be named in a handshake (RFC 6066, 3), so that this
		// and that nobody resolved a name are one fact.
		w := 1.0
		if p.name != "" {
			w = 0.4 // an old stack, rather than nothing to name
		}
		k.add(testudo.Naming, w, "%d of %d handshakes name no server", g.nameless, g.count)
	}
	k.when(g.silent > 0 && g.silent == g.count && p.name == "", testudo.Crypto, 0.3, "nor a protocol inside")
	k.when(g.vouched > 0 && g.homemade == 0, testudo.Innocence, -0.7, "the server's certificate looks like a public authority's")
	k.when(g.quic > 0 && !g.overTCP, testudo.Crypto, 0.7, "HTTP/3 at once, with nothing seen by which a browser learns that a bare address has it")
	if g.selfMade > 0 {
		k.add(testudo.Crypto, 1.2, "the server made its certificate itself")
		k.when(g.eternal, testudo.Crypto, 0.4, "it is good for more than nine years")
		k.when(g.plain, testudo.Crypto, 0.3, "it has no extension")
	} else if g.homemade > 0 && g.nameless > 0 {
		k.add(testudo.Crypto, 0.8, "no public authority made the server's certificate")
	}
	if w := g.gaps.weight(); w > 0 && g.nameless+g.homemade > 0 {
		k.add(testudo.Timing, w, "%d handshakes about every %.1f s (deviation %.0f %%)", g.gaps.count, g.gaps.mean, 100*g.gaps.jitter())
	}
	k.when(meaning(g.port) == "" && (g.nameless == g.count || g.selfMade > 0), testudo.Naming, 0.6, "TLS on port %d, which is nobody's", int(g.port))
}

// bare tells whether no handshake named a server.
func (g *greeting) bare() bool { return g.nameless > 0 && g.nameless == g.count }
