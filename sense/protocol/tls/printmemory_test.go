package tls

import (
	"math/rand/v2"
	"testing"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/protocol"
)

// plainHost shares no strings.
type plainHost struct{}

func (plainHost) Emit(*protocol.Flow, testudo.Record)           {}
func (plainHost) Intern(b []byte) string                        { return string(b) }
func (plainHost) Expect(*protocol.Flow, testudo.ConnID, string) {}
func (plainHost) Handover(*protocol.Flow, string)               {}
func (plainHost) SetService(*protocol.Flow, string)             {}

// TestPrintMemory holds that a remembered fingerprint is the one that would
// be made, for more hellos than are remembered, most of them met again, which
// differ in one thing.
func TestPrintMemory(t *testing.T) {
	var m printMemory
	var f protocol.Flow
	f.Bind(plainHost{})
	chance := rand.New(rand.NewPCG(3, 4))
	for range 20_000 {
		base := Hello{
			Version: 0x0303, Ciphers: []uint16{0x1301, 0x1302}, Extensions: []uint16{0, 10, 11, 13, 16, 43}, Groups: []uint16{29, 23},
			Points: []byte{0}, Signatures: []uint16{0x0804}, Versions: []uint16{0x0304}, ALPN: [][]byte{[]byte("h2")}, HasName: true,
		}
		n, transport := uint16(chance.IntN(40)), byte('t')
		switch h := &base; chance.IntN(11) {
		case 0:
			h.Version = 0x0301 + n%3
		case 1:
			h.Ciphers = append(h.Ciphers, n)
		case 2:
			h.Extensions = append(h.Extensions, n)
		case 3:
			h.Groups = append(h.Groups, n)
		case 4:
			h.Points = append(h.Points, byte(n))
		case 5:
			h.Signatures = append(h.Signatures, n)
		case 6:
			h.Versions = []uint16{0x0300 + n%5}
		case 7:
			h.ALPN = [][]byte{{byte('a' + n%26), '1'}}
		case 8:
			h.HasName = n%2 == 0
		case 9:
			transport = "tqd"[n%3]
		case 10: // the same numbers, parted otherwise
			h.Ciphers, h.Extensions = h.Ciphers[:1], append([]uint16{0x1302}, h.Extensions...)
		}
		if got := m.of(&f, transport, &base); got.ja3 != JA3(&base) || got.ja4 != JA4(transport, &base) {
			t.Fatalf("%c %+v: got %+v, want %s and %s", transport, base, got, JA3(&base), JA4(transport, &base))
		}
	}
}
