package tls

import "errors"

// ErrMalformed says that a handshake message contradicts itself: a length
// runs past its end.
var ErrMalformed = errors.New("tls: malformed handshake message")

// The extension types that are looked into (IANA, TLS ExtensionType Values).
const (
	extServerName   = 0
	extGroups       = 10
	extPoints       = 11
	extSignatures   = 13
	extALPN         = 16
	extTicket       = 35
	extPreSharedKey = 41
	extVersions     = 43
	extKeyShare     = 51
	extECH          = 0xfe0d
	extESNI         = 0xffce // the drafts before ECH

)

// dtlsBad is the version OpenSSL spoke before RFC 4347.
const dtlsBad = 0x0100

// Limits on what one hello may make us keep.
const (
	maxALPN = 16
	maxName = 255
)

// Hello is a client hello (RFC 8446 section 4.1.2, RFC 5246 section 7.4.1.2).
// Lists are in the order of the wire and still hold GREASE (RFC 8701). The
// byte slices point into the message that was parsed.
type Hello struct {
	Version    uint16 // legacy_version
	SessionID  []byte
	Ciphers    []uint16
	Extensions []uint16
	Groups     []uint16
	Points     []byte
	Signatures []uint16
	Versions   []uint16 // supported_versions
	ALPN       [][]byte // at most 16
	ServerName []byte   // at most 255 bytes, as it was sent
	HasName    bool     // a server_name extension was there, even if empty
	ECH        bool     // encrypted client hello offered, in earnest or as grease
	Ticket     bool     // a session ticket was presented
	PSK        bool     // a pre-shared key was presented
}

// ParseClientHello reads the body of a ClientHello, without the four bytes of
// handshake header, from TLS, QUIC or DTLS. What it returns points into msg.
func ParseClientHello(msg []byte) (Hello, error) {
	var h Hello
	err := h.Parse(msg)
	return h, err
}

// Parse is ParseClientHello into h, reusing its lists.
func (h *Hello) Parse(msg []byte) error {
	*h = Hello{
		Ciphers: h.Ciphers[:0], Extensions: h.Extensions[:0], Groups: h.Groups[:0],
		Signatures: h.Signatures[:0], Versions: h.Versions[:0], ALPN: h.ALPN[:0],
	}
	r := reader{b: msg}
	h.Version = r.u16()
	r.take(32)
	h.SessionID = r.vec8()
	if isDTLS(h.Version) {
		r.vec8() // cookie
	}
	h.Ciphers = appendU16(h.Ciphers, r.vec16())
	r.vec8() // compression methods
	if r.bad {
		return ErrMalformed
	}
	if len(r.b) < 2 {
		return nil // before extensions were invented
	}
	exts := reader{b: r.vec16()}
	for !r.bad && len(exts.b) > 0 {
		typ, body := exts.u16(), exts.vec16()
		if exts.bad {
			return ErrMalformed
		}
		h.Extensions = append(h.Extensions, typ)
		h.extension(typ, body)
	}
	if r.bad {
		return ErrMalformed
	}
	return nil
}

// extension reads what one extension says; a body that makes no sense leaves
// its list empty, as the type alone is already worth keeping.
func (h *Hello) extension(typ uint16, body []byte) {
	r := reader{b: body}
	switch typ {
	case extServerName:
		h.HasName = true
		list := reader{b: r.vec16()}
		for !list.bad && len(list.b) > 0 {
			kind, name := list.u8(), list.vec16()
			if kind == 0 && !list.bad && h.ServerName == nil {
				h.ServerName = name[:min(len(name), maxName)]
			}
		}
	case extGroups:
		h.Groups = appendU16(h.Groups[:0], r.vec16())
	case extPoints:
		h.Points = r.vec8()
	case extSignatures:
		h.Signatures = appendU16(h.Signatures[:0], r.vec16())
	case extVersions:
		h.Versions = appendU16(h.Versions[:0], r.vec8())
	case extALPN:
		list := reader{b: r.vec16()}
		h.ALPN = h.ALPN[:0]
		for len(list.b) > 0 && len(h.ALPN) < maxALPN {
			p := list.vec8()
			if list.bad {
				break
			}
			h.ALPN = append(h.ALPN, p)
		}
	case extECH, extESNI:
		h.ECH = true
	case extTicket:
		h.Ticket = len(body) > 0
	case extPreSharedKey:
		h.PSK = true
	}
}

// ServerHello is what a server chose (RFC 8446 section 4.1.3). The byte
// slices point into the message that was parsed.
type ServerHello struct {
	Legacy     uint16 // legacy_version, as JA3S has it
	Version    uint16 // the version chosen
	SessionID  []byte
	Cipher     uint16
	Extensions []uint16
	Group      uint16 // of the key share, 0 for none
	ALPN       []byte
	PSK        bool // a pre-shared key was accepted
	Retry      bool // it is a HelloRetryRequest
}

// retryRandom is SHA-256("HelloRetryRequest"), which marks a ServerHello as
// HelloRetryRequest.
const retryRandom = "\xcf\x21\xad\x74\xe5\x9a\x61\x11\xbe\x1d\x8c\x02\x1e\x65\xb8\x91" +
	"\xc2\xa2\x11\x16\x7a\xbb\x8c\x5e\x07\x9e\x09\xe2\xc8\xa8\x33\x9c"

// ParseServerHello reads the body of a ServerHello, without the four bytes of
// handshake header. What it returns points into msg.
func ParseServerHello(msg []byte) (ServerHello, error) {
	var h ServerHello
	err := h.Parse(msg)
	return h, err
}

// Parse is ParseServerHello into h, reusing its list.
func (h *ServerHello) Parse(msg []byte) error {
	*h = ServerHello{Extensions: h.Extensions[:0]}
	r := reader{b: msg}
	h.Legacy = r.u16()
	h.Version = h.Legacy
	h.Retry = string(r.take(32)) == retryRandom
	// Drafts of TLS 1.3 before 22 had neither session id nor compression.
	early := h.Legacy>>8 == 0x7f
	if !early {
		h.SessionID = r.vec8()
	}
	h.Cipher = r.u16()
	if !early {
		r.u8()
	}
	if r.bad {
		return ErrMalformed
	}
	if len(r.b) < 2 {
		return nil
	}
	exts := reader{b: r.vec16()}
	for !r.bad && len(exts.b) > 0 {
		typ, body := exts.u16(), reader{b: exts.vec16()}
		if exts.bad {
			return ErrMalformed
		}
		h.Extensions = append(h.Extensions, typ)
		switch typ {
		case extVersions:
			if v := body.u16(); !body.bad {
				h.Version = v
			}
		case extKeyShare:
			h.Group = body.u16()
		case extPreSharedKey:
			h.PSK = true
		case extALPN:
			list := reader{b: body.vec16()}
			h.ALPN = list.vec8()
		}
	}
	if r.bad {
		return ErrMalformed
	}
	return nil
}

// isDTLS tells datagram versions (RFC 6347, RFC 9147) from stream ones.
func isDTLS(v uint16) bool { return v>>8 == 0xfe || v == dtlsBad }

// isGREASE tells the reserved values of RFC 8701: 0x0a0a, 0x1a1a to 0xfafa.
func isGREASE(v uint16) bool { return v&0x0f0f == 0x0a0a && v>>8 == v&0xff }

// appendU16 appends the big-endian values in b; an odd last byte is dropped.
func appendU16(list []uint16, b []byte) []uint16 {
	for ; len(b) >= 2; b = b[2:] {
		list = append(list, uint16(b[0])<<8|uint16(b[1]))
	}
	return list
}

// reader takes big-endian values off the front of b. Once it runs short, bad
// is set and everything it returns is empty.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) take(n int) []byte {
	if r.bad || n > len(r.b) {
		r.bad, r.b = true, nil
		return nil
	}
	v := r.b[:n:n]
	r.b = r.b[n:]
	return v
}

func (r *reader) u8() uint8 {
	if v := r.take(1); v != nil {
		return v[0]
	}
	return 0
}

func (r *reader) u16() uint16 {
	if v := r.take(2); v != nil {
		return uint16(v[0])<<8 | uint16(v[1])
	}
	return 0
}

func (r *reader) u24() int {
	if v := r.take(3); v != nil {
		return int(v[0])<<16 | int(v[1])<<8 | int(v[2])
	}
	return 0
}

func (r *reader) vec8() []byte  { return r.take(int(r.u8())) }
func (r *reader) vec16() []byte { return r.take(int(r.u16())) }
func (r *reader) vec24() []byte { return r.take(r.u24()) }
