// Package protocoltest runs one protocol on bytes without packets, for the
// tables and fuzz targets of the protocols below sense/protocol.
package protocoltest

import (
	"net/netip"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/protocol"
)

// Step is one delivery: bytes from one side, or a gap of Gap bytes.
type Step struct {
	Dir  protocol.Dir
	Data []byte
	Gap  int
	At   testudo.Time // 0 keeps the time of the step before
}

// ID is the conversation the steps belong to where none is given.
var ID = testudo.ConnID{
	Orig:  netip.MustParseAddrPort("192.0.2.10:49152"),
	Resp:  netip.MustParseAddrPort("198.51.100.20:443"),
	Proto: testudo.TCP,
}

// Host collects what an analyzer does.
type Host struct {
	Records  []testudo.Record
	Service  string           // by SetService
	Handed   string           // by Handover, "?" for a new probe
	Rest     [2][]byte        // bytes not consumed when Handover was called
	Expected []testudo.ConnID // by Expect
}

// Emit implements protocol.Host.
func (h *Host) Emit(_ *protocol.Flow, r testudo.Record) { h.Records = append(h.Records, r) }

// Intern implements protocol.Host.
func (h *Host) Intern(b []byte) string { return string(b) }

// Expect implements protocol.Host.
func (h *Host) Expect(_ *protocol.Flow, id testudo.ConnID, _ string) {
	h.Expected = append(h.Expected, id)
}

// Handover implements protocol.Host.
func (h *Host) Handover(_ *protocol.Flow, service string) {
	if h.Handed = service; service == "" {
		h.Handed = "?"
	}
}

// SetService implements protocol.Host.
func (h *Host) SetService(_ *protocol.Flow, service string) { h.Service = service }

// Run feeds steps to a fresh analyzer of p as flow would, stream or message
// wise by id.Proto, and returns what it did. The buffered rest of a side is
// cut at 64 KiB, as a budget would.
func Run(p protocol.Protocol, id testudo.ConnID, steps ...Step) *Host {
	h := &Host{}
	a := p.Open(new(protocol.Records))()
	var f protocol.Flow
	f.Bind(h)
	f.ID, f.UID, f.Start = id, 1, steps0(steps)
	f.Now = f.Start
	var kept [2][]byte
	for _, s := range steps {
		if s.At != 0 {
			f.Now = s.At
		}
		if f.IsDone() || h.Handed != "" {
			break
		}
		if s.Gap > 0 {
			kept[s.Dir] = nil
			a.Gap(&f, s.Dir, s.Gap)
			continue
		}
		if id.Proto != testudo.TCP {
			a.Data(&f, s.Dir, s.Data)
			continue
		}
		kept[s.Dir] = append(kept[s.Dir], s.Data...)
		n := a.Data(&f, s.Dir, kept[s.Dir])
		if n < 0 || n > len(kept[s.Dir]) {
			panic("protocoltest: analyzer consumed more than it was given")
		}
		kept[s.Dir] = kept[s.Dir][n:]
		if lost := len(kept[s.Dir]); lost > 64<<10 {
			kept[s.Dir] = nil
			a.Gap(&f, s.Dir, lost)
		}
	}
	h.Rest = kept
	a.End(&f)
	a.Reset()
	return h
}

func steps0(steps []Step) testudo.Time {
	if len(steps) > 0 && steps[0].At != 0 {
		return steps[0].At
	}
	return testudo.Time(1_700_000_000_000_000_000)
}
