package drill

import (
	"encoding/binary"
	"math/rand/v2"
)

// helloShape is how a client program greets: what it offers, in its order.
type helloShape struct {
	name    string
	ciphers []uint16
	exts    []uint16
	groups  []uint16
	sigs    []uint16
	alpn    []string
	tls13   bool
	grease  bool // random reserved values (RFC 8701)
	shuffle bool // extensions in a new order each time
	hybrid  bool // offers a post-quantum share
}

const (
	extName      = 0
	extStatus    = 5
	extGroups    = 10
	extPoints    = 11
	extSigs      = 13
	extALPN      = 16
	extSCT       = 18
	extMaster    = 23
	extCompress  = 27
	extDelegated = 34
	extTicket    = 35
	extVersions  = 43
	extPSKModes  = 45
	extKeyShare  = 51
	extECH       = 65037
	extRenew     = 65281
)

var commonSigs = []uint16{0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601}

// The browsers in use; the last is the one of those who run Linux.
var browsers = []*helloShape{
	{
		name: "chromia", tls13: true, grease: true, shuffle: true, hybrid: true, alpn: []string{"h2", "http/1.1"},
		ciphers: []uint16{0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014, 0x9c, 0x9d, 0x2f, 0x35},
		exts:    []uint16{extName, extMaster, extRenew, extGroups, extPoints, extTicket, extALPN, extStatus, extSigs, extSCT, extKeyShare, extPSKModes, extVersions, extCompress, extECH},
		groups:  []uint16{4588, 29, 23, 24}, sigs: commonSigs,
	},
	{
		name: "edgewise", tls13: true, grease: true, shuffle: true, alpn: []string{"h2", "http/1.1"},
		ciphers: []uint16{0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014, 0x9c, 0x9d, 0x2f, 0x35},
		exts:    []uint16{extName, extMaster, extRenew, extGroups, extPoints, extTicket, extALPN, extStatus, extSigs, extSCT, extKeyShare, extPSKModes, extVersions, extCompress},
		groups:  []uint16{29, 23, 24}, sigs: commonSigs,
	},
	{
		name: "vulpes", tls13: true, alpn: []string{"h2", "http/1.1"},
		ciphers: []uint16{0x1301, 0x1303, 0x1302, 0xc02b, 0xc02f, 0xcca9, 0xcca8, 0xc02c, 0xc030, 0xc00a, 0xc009, 0xc013, 0xc014, 0x9c, 0x9d, 0x2f, 0x35},
		exts:    []uint16{extName, extMaster, extRenew, extGroups, extPoints, extALPN, extStatus, extDelegated, extKeyShare, extVersions, extSigs, extPSKModes, extECH},
		groups:  []uint16{29, 23, 24, 25, 256}, sigs: commonSigs,
	},
}

// The other programs that speak TLS.
var (
	// schannel is what services of the desks' own system use.
	schannel = &helloShape{
		name: "schannel", alpn: []string{"http/1.1"},
		ciphers: []uint16{0xc02c, 0xc02b, 0xc030, 0xc02f, 0xc024, 0xc023, 0xc028, 0xc027, 0xc00a, 0xc009, 0xc014, 0xc013, 0x9d, 0x9c, 0x3d, 0x3c, 0x35, 0x2f},
		exts:    []uint16{extName, extStatus, extGroups, extPoints, extSigs, extTicket, extMaster, extRenew},
		groups:  []uint16{29, 23, 24}, sigs: []uint16{0x0804, 0x0805, 0x0401, 0x0501, 0x0403, 0x0503, 0x0201},
	}
	schannel13 = &helloShape{
		name: "schannel13", tls13: true, alpn: []string{"h2", "http/1.1"},
		ciphers: []uint16{0x1302, 0x1301, 0xc02c, 0xc02b, 0xc030, 0xc02f, 0xc024, 0xc023, 0xc028, 0xc027, 0x9d, 0x9c, 0x35, 0x2f},
		exts:    []uint16{extName, extStatus, extGroups, extPoints, extSigs, extALPN, extTicket, extMaster, extVersions, extPSKModes, extKeyShare, extRenew},
		groups:  []uint16{29, 23, 24}, sigs: []uint16{0x0804, 0x0805, 0x0401, 0x0501, 0x0403, 0x0503},
	}
	// scripted is the library behind most tools on Linux.
	scripted = &helloShape{
		name: "scripted", tls13: true, alpn: []string{"http/1.1"},
		ciphers: []uint16{0x1302, 0x1303, 0x1301, 0xc02c, 0xc030, 0x9f, 0xcca9, 0xcca8, 0xccaa, 0xc02b, 0xc02f, 0x9e, 0xc024, 0xc028, 0xc023, 0xc027, 0x9d, 0x9c, 0x3d, 0x3c, 0x35, 0x2f, 0xff},
		exts:    []uint16{extName, extPoints, extGroups, extTicket, 22, extMaster, extSigs, extVersions, extPSKModes, extKeyShare},
		groups:  []uint16{29, 23, 30, 25, 24}, sigs: commonSigs,
	}
	// compiled is the library of a popular language for services.
	compiled = &helloShape{
		name: "compiled", tls13: true, alpn: []string{"h2", "http/1.1"},
		ciphers: []uint16{0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc009, 0xc013, 0xc00a, 0xc014, 0x1301, 0x1302, 0x1303},
		exts:    []uint16{extName, extStatus, extGroups, extPoints, extSigs, extRenew, extMaster, extSCT, extALPN, extVersions, extKeyShare},
		groups:  []uint16{29, 23, 24, 25}, sigs: commonSigs,
	}
	// embedded is the small library inside appliances.
	embedded = &helloShape{
		name:    "embedded",
		ciphers: []uint16{0xc02c, 0xc030, 0x9f, 0xc02b, 0xc02f, 0x9e, 0xc00a, 0xc014, 0x9d, 0x9c, 0x35, 0x2f, 0xff},
		exts:    []uint16{extName, extSigs, extGroups, extPoints, 22, extMaster, extTicket},
		groups:  []uint16{23, 24, 29}, sigs: []uint16{0x0403, 0x0401, 0x0503, 0x0501, 0x0603, 0x0601},
	}
)

// agent is the User-Agent a browser of this shape sends.
func (h *helloShape) agent(s system) string {
	on := "Windows NT 10.0; Win64; x64"
	if s == linux {
		on = "X11; Linux x86_64"
	}
	return "Mozilla/5.0 (" + on + ") " + h.name + "/" + map[bool]string{true: "131.0", false: "128.7"}[h.grease]
}

func u16(b []byte, v int) []byte { return append(b, byte(v>>8), byte(v)) }

// nest appends the n-byte length and then the bytes that f appends.
func nest(b []byte, n int, f func([]byte) []byte) []byte {
	at := len(b)
	for range n {
		b = append(b, 0)
	}
	b = f(b)
	l := len(b) - at - n
	for i := range n {
		b[at+i] = byte(l >> (8 * (n - 1 - i)))
	}
	return b
}

func random(r *rand.Rand, b []byte, n int) []byte {
	at := len(b)
	for range n {
		b = append(b, 0)
	}
	fill(r, b[at:])
	return b
}

// hello appends the record of a ClientHello (RFC 8446, 4.1.2). ticket offers
// an earlier session.
func (h *helloShape) hello(b []byte, r *rand.Rand, name string, ticket bool) []byte {
	var g [4]uint16
	for i := range g {
		g[i] = uint16(r.IntN(16))*0x1010 | 0x0a0a
	}
	b = append(b, 22, 3, 1)
	return nest(b, 2, func(b []byte) []byte {
		b = append(b, 1)
		return nest(b, 3, func(b []byte) []byte {
			b = append(b, 3, 3)
			b = random(r, b, 32)
			if h.tls13 || ticket {
				b = append(b, 32)
				b = random(r, b, 32)
			} else {
				b = append(b, 0)
			}
			b = nest(b, 2, func(b []byte) []byte {
				if h.grease {
					b = u16(b, int(g[0]))
				}
				for _, c := range h.ciphers {
					b = u16(b, int(c))
				}
				return b
			})
			b = append(b, 1, 0)
			return nest(b, 2, func(b []byte) []byte { return h.extensions(b, r, g, name, ticket) })
		})
	})
}

func (h *helloShape) extensions(b []byte, r *rand.Rand, g [4]uint16, name string, ticket bool) []byte {
	if h.grease {
		b = u16(u16(b, int(g[1])), 0)
	}
	var order [24]uint16
	exts := order[:copy(order[:], h.exts)]
	if h.shuffle {
		r.Shuffle(len(exts), func(i, j int) { exts[i], exts[j] = exts[j], exts[i] })
	}
	for _, e := range exts {
		if e == extName && name == "" {
			continue
		}
		b = u16(b, int(e))
		b = nest(b, 2, func(b []byte) []byte { return h.extension(b, r, e, g, name, ticket) })
	}
	if h.grease {
		b = append(u16(u16(b, int(g[2]^0x1010)), 1), 0)
	}
	if ticket && h.tls13 { // pre_shared_key comes last
		b = u16(b, 41)
		b = nest(b, 2, func(b []byte) []byte {
			b = nest(b, 2, func(b []byte) []byte {
				b = nest(b, 2, func(b []byte) []byte { return random(r, b, 208) })
				return random(r, b, 4)
			})
			return nest(b, 2, func(b []byte) []byte {
				return nest(b, 1, func(b []byte) []byte { return random(r, b, 32) })
			})
		})
	}
	return b
}

func (h *helloShape) extension(b []byte, r *rand.Rand, e uint16, g [4]uint16, name string, ticket bool) []byte {
	list := func(b []byte, first uint16, vs []uint16) []byte {
		return nest(b, 2, func(b []byte) []byte {
			if h.grease && first != 0 {
				b = u16(b, int(first))
			}
			for _, v := range vs {
				b = u16(b, int(v))
			}
			return b
		})
	}
	switch e {
	case extName:
		return nest(b, 2, func(b []byte) []byte {
			b = append(b, 0)
			return nest(b, 2, func(b []byte) []byte { return append(b, name...) })
		})
	case extStatus:
		return append(b, 1, 0, 0, 0, 0)
	case extGroups:
		return list(b, g[3], h.groups)
	case extPoints:
		return append(b, 1, 0)
	case extSigs:
		return list(b, 0, h.sigs)
	case extALPN:
		return nest(b, 2, func(b []byte) []byte {
			for _, a := range h.alpn {
				b = nest(b, 1, func(b []byte) []byte { return append(b, a...) })
			}
			return b
		})
	case extCompress:
		return append(b, 2, 0, 2)
	case extDelegated:
		return list(b, 0, h.sigs[:4])
	case extTicket:
		if ticket && !h.tls13 {
			return random(r, b, 192)
		}
	case extVersions:
		return nest(b, 1, func(b []byte) []byte {
			if h.grease {
				b = u16(b, int(g[3]))
			}
			return append(b, 3, 4, 3, 3)
		})
	case extPSKModes:
		return append(b, 1, 1)
	case extKeyShare:
		return nest(b, 2, func(b []byte) []byte { return h.shares(b, r, g[3]) })
	case extECH:
		b = append(b, 0, 0, 1, 0, 1, byte(r.IntN(256)))
		b = nest(b, 2, func(b []byte) []byte { return random(r, b, 32) })
		return nest(b, 2, func(b []byte) []byte { return random(r, b, 144+32*r.IntN(3)) })
	case extRenew:
		return append(b, 0)
	}
	return b
}

func (h *helloShape) shares(b []byte, r *rand.Rand, grease uint16) []byte {
	share := func(b []byte, group, n int) []byte {
		b = binary.BigEndian.AppendUint16(b, uint16(group))
		return nest(b, 2, func(b []byte) []byte { return random(r, b, n) })
	}
	if h.grease {
		b = share(b, int(grease), 1)
	}
	if h.hybrid {
		b = share(b, 4588, 1216)
	}
	return share(b, 29, 32)
}
