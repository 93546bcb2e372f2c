package tls

import (
	"encoding/binary"
	"hash/maphash"

	"github.com/testudo-shield/testudo/sense/protocol"
)

// printMemory remembers the fingerprints of the client hellos of late, by all
// that they are made of: most clients say the same again and again.
type printMemory struct {
	seed maphash.Seed
	sets [][2]printed
	room []byte
	text [64]byte // for a fingerprint under way
}

// printed is what a hello's traits give.
type printed struct {
	traits   []byte
	ja3, ja4 string
}

const printSets = 64 // a power of two

// of returns the fingerprints of h. Its strings may be kept.
func (m *printMemory) of(f *protocol.Flow, transport byte, h *Hello) *printed {
	if m.sets == nil {
		m.seed, m.sets = maphash.MakeSeed(), make([][2]printed, printSets)
	}
	m.room = appendTraits(m.room[:0], transport, h)
	set := &m.sets[maphash.Bytes(m.seed, m.room)%printSets]
	if string(set[0].traits) == string(m.room) {
		return &set[0]
	}
	if string(set[1].traits) != string(m.room) {
		set[1] = printed{
			traits: append(set[1].traits[:0], m.room...),
			ja3:    f.Intern(appendJA3(m.text[:0], h)),
			ja4:    f.Intern(appendJA4(m.text[:0], transport, h)),
		}
	}
	set[0], set[1] = set[1], set[0]
	return &set[0]
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
