package tls

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"hash/maphash"

	"github.com/testudo-shield/testudo/sense/protocol"
)

// memo remembers what was made of late from the traits of a hello: most
// programs say the same again and again.
type memo[V any] struct {
	seed   maphash.Seed
	sets   [][2]memoed[V]
	traits []byte // those asked for
}

type memoed[V any] struct {
	traits []byte
	value  V
}

const memoSets = 64 // a power of two

// find returns the place of what is made of m.traits, and whether it is made.
func (m *memo[V]) find() (*V, bool) {
	if m.sets == nil {
		m.seed, m.sets = maphash.MakeSeed(), make([][2]memoed[V], memoSets)
	}
	set := &m.sets[maphash.Bytes(m.seed, m.traits)%memoSets]
	if string(set[0].traits) == string(m.traits) {
		return &set[0].value, true
	}
	set[0], set[1] = set[1], set[0]
	if string(set[0].traits) == string(m.traits) {
		return &set[0].value, true
	}
	set[0].traits = append(set[0].traits[:0], m.traits...)
	return &set[0].value, false
}

// printMemory remembers the fingerprints of client hellos.
type printMemory struct {
	memo[printed]
	text [64]byte // for a fingerprint under way
}

// printed is what a client hello's traits give.
type printed struct{ ja3, ja4 string }

// of returns the fingerprints of h. Its strings may be kept.
func (m *printMemory) of(f *protocol.Flow, transport byte, h *Hello) *printed {
	m.traits = appendTraits(m.traits[:0], transport, h)
	p, known := m.find()
	if !known {
		p.ja3 = f.Intern(appendJA3(m.text[:0], h))
		p.ja4 = f.Intern(appendJA4(m.text[:0], transport, h))
	}
	return p
}

// answerMemory remembers those of server hellos.
type answerMemory struct {
	memo[answered]
	text [64]byte
}

// answered is what a server hello's traits give: its JA3S, and the first half
// of ServerPrint.
type answered struct{ ja3s, print string }

// of returns the fingerprints of h. Its strings may be kept.
func (m *answerMemory) of(f *protocol.Flow, h *ServerHello) *answered {
	m.traits = m.traits[:0]
	for _, v := range [...]uint16{h.Legacy, h.Version, h.Cipher, h.Group} {
		m.traits = binary.BigEndian.AppendUint16(m.traits, v)
	}
	for _, v := range h.Extensions {
		m.traits = binary.BigEndian.AppendUint16(m.traits, v)
	}
	p, known := m.find()
	if !known {
		p.ja3s = f.Intern(appendJA3S(m.text[:0], h))
		p.print = f.Intern(appendHelloPrint(m.text[:0], h))
	}
	return p
}

// appendHelloPrint writes twelve digits of a SHA-256 over version, cipher,
// key share group, and extensions in their order.
func appendHelloPrint(to []byte, h *ServerHello) []byte {
	b := make([]byte, 0, 96)
	b = appendHex(b, []uint16{h.Version, h.Cipher, h.Group})
	b = appendHex(append(b, '|'), h.Extensions)
	return appendShort(to, b)
}

// digest makes SHA-256 sums without an allocation for each, whatever the
// compiler makes of the library's own.
type digest struct {
	hash hash.Hash
	out  [sha256.Size]byte
}

func (d *digest) sum(b []byte) [sha256.Size]byte {
	if d.hash == nil {
		d.hash = sha256.New()
	}
	d.hash.Reset()
	d.hash.Write(b)
	d.hash.Sum(d.out[:0])
	return d.out
}

// appendTraits writes what JA3 and JA4 are made of so that two hellos with
// the same traits have the same fingerprints.
func appendTraits(b []byte, transport byte, h *Hello) []byte {
	name := byte(0)
	if h.HasName {
		name = 1
	}
	b = append(b, transport, name)
	b = binary.BigEndian.AppendUint16(b, h.Version)
	for _, list := range [...][]uint16{h.Ciphers, h.Extensions, h.Groups, h.Signatures, h.Versions} {
		b = binary.BigEndian.AppendUint16(b, uint16(len(list)))
		for _, v := range list {
			b = binary.BigEndian.AppendUint16(b, v)
		}
	}
	alpn := ja4ALPN(h)
	return append(append(b, alpn[:]...), h.Points...)
}
