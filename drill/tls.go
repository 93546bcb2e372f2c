package drill

import "slices"

// tlsServer is how a server answers: its habits and its certificates.
type tlsServer struct {
	tls13    bool
	elliptic bool     // the key of its certificate
	small    bool     // prefers the shorter cipher
	order    []uint16 // extensions of its hello in TLS 1.2
	chain    [][]byte
	extra    int // bytes of a TLS 1.3 flight besides the certificates
}

// The orders in which common servers put their extensions.
var helloOrders = [][]uint16{
	{extRenew, extName, extPoints, extTicket, extMaster},
	{extRenew, extPoints, extTicket},
	{extMaster, extRenew},
	{extRenew, extMaster, extTicket, extPoints},
	{extName, extRenew, extPoints, extMaster},
	{extRenew, extALPN},
}

// cipher is what server and client agree on.
func (s *tlsServer) cipher(h *helloShape) uint16 {
	if s.tls13 && h.tls13 {
		if s.small {
			return 0x1301
		}
		return 0x1302
	}
	switch {
	case s.elliptic && s.small:
		return 0xc02b
	case s.elliptic:
		return 0xc02c
	case s.small:
		return 0xc02f
	}
	return 0xc030
}

// tls shakes hands on k: the client greets as h and asks for name (none if
// empty). resumed continues an earlier session.
func (k *conv) tls(h *helloShape, s *tlsServer, name string, resumed bool) {
	w := k.w
	k.wait(between(k.r, 100, 2500))
	b := h.hello(w.scratch[:0], k.r, name, resumed)
	w.scratch = b
	copy(k.session[:], b[44:76]) // what the server repeats, if there is one
	k.send(orig, piece{lit: b})
	k.wait(between(k.r, 200, 3000))
	if s.tls13 && h.tls13 {
		k.tls13(h, s, resumed)
		return
	}
	b = s.hello12(w.scratch[:0], k, h, resumed)
	if !resumed {
		b = record(b, 22, func(b []byte) []byte {
			b = append(b, 11)
			return nest(b, 3, func(b []byte) []byte {
				return nest(b, 3, func(b []byte) []byte {
					for _, c := range s.chain {
						b = nest(b, 3, func(b []byte) []byte { return append(b, c...) })
					}
					return b
				})
			})
		})
		b = record(b, 22, func(b []byte) []byte { return s.exchange(b, k) })
		b = append(b, 22, 3, 3, 0, 4, 14, 0, 0, 0)
		k.send(resp, piece{lit: b})
		k.wait(between(k.r, 300, 2500))
		b = append(b[:0], 22, 3, 3, 0, 37, 16, 0, 0, 33, 32)
		b = random(k.r, b, 32)
		b = finished(b, k)
		k.send(orig, piece{lit: b})
		k.wait(between(k.r, 200, 1500))
		b = b[:0]
		if slices.Contains(s.order, extTicket) {
			b = record(b, 22, func(b []byte) []byte {
				b = append(b, 4)
				return nest(b, 3, func(b []byte) []byte {
					b = append(b, 0, 0, 0x1c, 0x20)
					return nest(b, 2, func(b []byte) []byte { return random(k.r, b, 192) })
				})
			})
		}
		b = finished(b, k)
		k.send(resp, piece{lit: b})
	} else {
		b = finished(b, k)
		k.send(resp, piece{lit: b})
		k.wait(between(k.r, 100, 900))
		b = finished(b[:0], k)
		k.send(orig, piece{lit: b})
	}
	w.scratch = b
}

// tls13 is the rest of a handshake of RFC 8446: all but the hello is hidden.
func (k *conv) tls13(h *helloShape, s *tlsServer, resumed bool) {
	b := record(k.w.scratch[:0], 22, func(b []byte) []byte {
		b = append(b, 2)
		return nest(b, 3, func(b []byte) []byte {
			b = append(b, 3, 3)
			b = random(k.r, b, 32)
			b = append(append(b, 32), k.session[:]...)
			b = append(u16(b, int(s.cipher(h))), 0)
			return nest(b, 2, func(b []byte) []byte {
				b = append(b, 0, 43, 0, 2, 3, 4, 0, 51, 0, 36, 0, 29, 0, 32)
				b = random(k.r, b, 32)
				if resumed {
					b = append(b, 0, 41, 0, 2, 0, 0)
				}
				return b
			})
		})
	})
	b = append(b, 20, 3, 3, 0, 1, 1)
	hidden := 100 + s.extra%60
	if !resumed {
		hidden += s.extra
		for _, c := range s.chain {
			hidden += len(c) + 5
		}
	}
	head := u16(append(b[len(b):], 23, 3, 3), hidden)
	k.send(resp, piece{lit: b}, piece{lit: head, fill: hidden})
	k.wait(between(k.r, 300, 2500))
	b = append(b[:0], 20, 3, 3, 0, 1, 1, 23, 3, 3, 0, 53)
	b = random(k.r, b, 53)
	k.send(orig, piece{lit: b})
	k.w.scratch = b
	if !resumed && chance(k.r, 80) {
		k.wait(between(k.r, 100, 900))
		k.app(resp, 230+s.extra%40)
	}
}

func record(b []byte, typ byte, f func([]byte) []byte) []byte {
	return nest(append(b, typ, 3, 3), 2, f)
}

// finished is a change of cipher and the hidden last message of a side.
func finished(b []byte, k *conv) []byte {
	b = append(b, 20, 3, 3, 0, 1, 1, 22, 3, 3, 0, 40)
	return random(k.r, b, 40)
}

func (s *tlsServer) hello12(b []byte, k *conv, h *helloShape, resumed bool) []byte {
	return record(b, 22, func(b []byte) []byte {
		b = append(b, 2)
		return nest(b, 3, func(b []byte) []byte {
			b = append(b, 3, 3)
			b = random(k.r, b, 32)
			if resumed {
				b = append(b, 32) // the session the client named
				b = append(b, k.session[:]...)
			} else {
				b = append(b, 32)
				b = random(k.r, b, 32)
			}
			b = append(u16(b, int(s.cipher(h))), 0)
			return nest(b, 2, func(b []byte) []byte {
				for _, e := range s.order {
					if !slices.Contains(h.exts, e) {
						continue
					}
					switch e {
					case extRenew:
						b = append(b, 0xff, 1, 0, 1, 0)
					case extPoints:
						b = append(b, 0, 11, 0, 2, 1, 0)
					case extALPN:
						b = append(b, 0, 16, 0, 11, 0, 9, 8)
						b = append(b, "http/1.1"...)
					case extTicket:
						if resumed {
							continue
						}
						b = append(b, 0, 35, 0, 0)
					default:
						b = append(u16(b, int(e)), 0, 0)
					}
				}
				return b
			})
		})
	})
}

// exchange is a ServerKeyExchange on curve 25519.
func (s *tlsServer) exchange(b []byte, k *conv) []byte {
	b = append(b, 12)
	return nest(b, 3, func(b []byte) []byte {
		b = append(b, 3, 0, 29, 32)
		b = random(k.r, b, 32)
		if !s.elliptic {
			b = append(b, 8, 4)
			return nest(b, 2, func(b []byte) []byte { return random(k.r, b, 256) })
		}
		b = append(b, 4, 3)
		return nest(b, 2, func(b []byte) []byte {
			b = append(b, 0x30, 68, 2, 32, 0x41)
			b = random(k.r, b, 31)
			b = append(b, 2, 32, 0x52)
			return random(k.r, b, 31)
		})
	})
}

// app sends n bytes of hidden application data in records of at most 16 KB.
func (k *conv) app(d, n int) {
	const most = 16384 + 17
	var heads [8][5]byte
	var pieces [8]piece
	for n > 0 {
		i := 0
		for ; i < len(heads) && n > 0; i++ {
			m := min(n, most)
			h := append(heads[i][:0], 23, 3, 3)
			h = u16(h, m)
			pieces[i] = piece{lit: h, fill: m}
			n -= m
		}
		k.send(d, pieces[:i]...)
	}
}

// bye closes a TLS conversation as clients do.
func (k *conv) bye(d int) {
	if chance(k.r, 70) {
		b := append(k.w.scratch[:0], 21, 3, 3, 0, 26)
		b = random(k.r, b, 26)
		k.w.scratch = b
		k.send(d, piece{lit: b})
	}
	if chance(k.r, 12) {
		k.reset(d)
		return
	}
	k.close(d)
}
