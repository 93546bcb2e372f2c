// Package quic reads the beginning of QUIC conversations (versions 1 and 2,
// drafts from 23, and Google's own before them): it opens Initial packets,
// whose keys anyone can derive, puts the handshake in them together and feeds
// it to a tls.Session. It writes one testudo.QUIC and one testudo.TLS for
// each conversation. See README.md.
package quic

import (
	"bytes"
	"encoding/hex"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/protocol"
	"github.com/testudo-shield/testudo/sense/protocol/tls"
)

// Bounds of the reading of one conversation.
const (
	maxDatagrams = 64
	maxHistory   = 32
	// maxTries bounds the derivations of keys, the dearest thing a sender
	// of nonsense could ask for.
	maxTries = 4
)

// Protocol describes QUIC.
func Protocol() protocol.Protocol {
	return protocol.Protocol{
		Name:  "quic",
		Over:  protocol.OverUDP,
		Ports: []uint16{443, 80, 784, 853, 8443, 8853},
		Probe: probe,
		Open: func(records *protocol.Records) func() protocol.Analyzer {
			s := &shard{memory: tls.NewMemory(records)}
			return func() protocol.Analyzer {
				return &analyzer{shard: s, session: *tls.NewSession(s.memory, 'q')}
			}
		},
	}
}

// shard is what the analyzers of one shard share.
type shard struct {
	memory  *tls.Memory
	macs    macs
	records protocol.Slab[testudo.QUIC]
	scratch []byte
}

func probe(_ testudo.ConnID, orig, resp []byte) protocol.Verdict {
	switch {
	case recognise(orig) || recognise(resp):
		return protocol.Yes
	case len(orig) == 0 && len(resp) == 0:
		return protocol.Maybe
	}
	return protocol.No
}

// recognise tells a datagram that begins with a long header packet of a
// version that is known, negotiated or greased.
func recognise(b []byte) bool {
	if _, ok := parseGoogle(b); ok {
		return true
	}
	h, ok := parseStart(b)
	if !ok {
		return false
	}
	switch {
	case readable(h.version) || ietfGoogle(h.version):
		return b[0]&0x40 != 0 && (len(h.dcid) > 0 || len(h.scid) > 0)
	case h.version == 0:
		return offersKnown(b[7+len(h.dcid)+len(h.scid):])
	case reserved(h.version):
		return b[0]&0x40 != 0 && len(h.dcid) >= 8 && len(b) >= 1000
	}
	return false
}

// parseStart is parseHeader for bytes that may be cut off: a probe sees the
// first KiB only.
func parseStart(b []byte) (header, bool) {
	h, ok := parseHeader(b)
	if ok || len(b) < 1000 {
		return h, ok
	}
	return h, h.version != 0 && b[0]&0x80 != 0 && len(h.dcid) >= 8
}

// offersKnown reads the list of a Version Negotiation packet (RFC 9000
// section 17.2.1).
func offersKnown(list []byte) bool {
	if len(list) == 0 || len(list)%4 != 0 {
		return false
	}
	for ; len(list) > 0; list = list[4:] {
		v := uint32(list[0])<<24 | uint32(list[1])<<16 | uint32(list[2])<<8 | uint32(list[3])
		if readable(v) || isGoogle(v) {
			return true
		}
	}
	return false
}

// An analyzer reads one conversation.
type analyzer struct {
	shard   *shard
	session tls.Session
	rec     *testudo.QUIC

	client, server keys
	clientDir      protocol.Dir
	keyed          bool // the keys opened a packet of the client
	dcid           []byte
	tries, count   int
	streams        [2]stream // of client and server
	short          [2]bool   // that direction sent packets of an agreed key
	history        []byte
	emitted        bool
}

// Reset implements protocol.Analyzer.
func (a *analyzer) Reset() {
	a.session.Reset()
	for i := range a.streams {
		a.streams[i].reset()
	}
	*a = analyzer{shard: a.shard, session: a.session, streams: a.streams, dcid: a.dcid[:0], history: a.history[:0]}
}

// End implements protocol.Analyzer.
func (a *analyzer) End(f *protocol.Flow) { a.emit(f) }

// Gap implements protocol.Analyzer: datagrams lose nothing but themselves.
func (a *analyzer) Gap(*protocol.Flow, protocol.Dir, int) {}

// Data implements protocol.Analyzer.
func (a *analyzer) Data(f *protocol.Flow, dir protocol.Dir, data []byte) int {
	if g, ok := parseGoogle(data); ok {
		a.google(f, dir, g, data)
	} else {
		a.datagram(f, dir, data)
	}
	if a.count++; a.count >= maxDatagrams || a.complete() {
		a.emit(f)
		f.Done()
	}
	return len(data)
}

// complete says that nothing more will be told in clear.
func (a *analyzer) complete() bool {
	return a.keyed && a.session.Answered() && a.short[0] && a.short[1]
}

// datagram reads the packets of a datagram, one after the other.
func (a *analyzer) datagram(f *protocol.Flow, dir protocol.Dir, b []byte) {
	for len(b) > 0 {
		if b[0]&0x80 == 0 {
			a.shortPacket(dir, b)
			return
		}
		h, ok := parseHeader(b)
		if !ok {
			return
		}
		a.packet(f, dir, h, b[:h.end])
		b = b[h.end:]
	}
}

// shortPacket notes a packet under the keys both agreed on.
func (a *analyzer) shortPacket(dir protocol.Dir, b []byte) {
	if b[0]&0x40 == 0 {
		return
	}
	a.short[dir] = true
	if dir == a.clientDir && a.session.Answered() {
		a.session.Established()
	}
}

func (a *analyzer) packet(f *protocol.Flow, dir protocol.Dir, h header, b []byte) {
	r := a.record(f)
	if h.version == 0 {
		a.note(dir, 'V')
		return
	}
	if !readable(h.version) && !ietfGoogle(h.version) {
		a.begin(f, dir, h)
		a.note(dir, 'U')
		return
	}
	switch h.kind {
	case typeInitial:
		a.note(dir, 'I')
		a.initial(f, dir, h, b)
	case typeZeroRTT:
		a.note(dir, 'Z')
	case typeHandshake:
		a.note(dir, 'H')
	case typeRetry:
		a.note(dir, 'R')
	}
	if a.keyed && dir != a.clientDir && h.kind != typeRetry && r.ServerSCID == "" {
		r.ServerSCID = hexID(f, h.scid)
	}
}

// begin notes the first packet of the client.
func (a *analyzer) begin(f *protocol.Flow, dir protocol.Dir, h header) {
	r := a.record(f)
	r.Version = f.Intern([]byte(versionName(h.version)))
	if r.InitialDCID == "" {
		a.clientDir = dir
		r.InitialDCID, r.ClientSCID = hexID(f, h.dcid), hexID(f, h.scid)
	}
}

// initial opens an Initial packet. Whose it is, the keys tell: those derived
// from its own destination id fit only a client's first packets and those
// after a Retry.
func (a *analyzer) initial(f *protocol.Flow, dir protocol.Dir, h header, b []byte) {
	var frames []byte
	ok := false
	if a.keyed {
		k := &a.client
		if dir != a.clientDir {
			k = &a.server
		}
		frames, a.shard.scratch, ok = k.open(b, h.number, a.shard.scratch)
	}
	if !ok && (!a.keyed || dir == a.clientDir) && a.tries < maxTries && !bytes.Equal(h.dcid, a.dcid) {
		a.tries++
		client, server, err := a.shard.macs.initialKeys(h.version, h.dcid)
		if err != nil {
			return
		}
		frames, a.shard.scratch, ok = client.open(b, h.number, a.shard.scratch)
		if ok {
			a.client, a.server, a.keyed = client, server, true
			a.dcid = append(a.dcid[:0], h.dcid...)
			a.begin(f, dir, h)
			a.clientDir = dir
		}
	}
	if !ok {
		return
	}
	a.frames(f, dir, h, frames)
}

// frames reads the frames of an opened Initial packet.
func (a *analyzer) frames(f *protocol.Flow, dir protocol.Dir, h header, frames []byte) {
	if h.version == googleQ050 {
		if name := googleName(frames); name != nil && a.rec.ServerName == "" {
			a.rec.ServerName = f.Intern(name)
			a.note(dir, 'S')
		}
		return
	}
	s := &a.streams[dir^a.clientDir]
	if eachCrypto(frames, s.add) {
		a.note(dir, 'C')
	}
	for {
		typ, body, ok := s.message()
		if !ok {
			return
		}
		a.note(dir, 'S')
		a.session.Message(f, dir, typ, body)
	}
}

// google reads a packet of the old versions.
func (a *analyzer) google(f *protocol.Flow, dir protocol.Dir, g googleHeader, b []byte) {
	r := a.record(f)
	a.note(dir, 'I')
	if r.Version == "" {
		r.Version = f.Intern([]byte(versionName(g.version)))
		r.InitialDCID = hexID(f, g.cid)
		a.clientDir = dir
	}
	if name := googleName(b); name != nil && r.ServerName == "" {
		r.ServerName = f.Intern(name)
		a.note(dir, 'S')
	}
}

func (a *analyzer) record(f *protocol.Flow) *testudo.QUIC {
	if a.rec == nil {
		a.rec = a.shard.records.New()
		a.rec.Time = f.Now
	}
	return a.rec
}

// note adds to the history, as Zeek does: capitals are orig's.
func (a *analyzer) note(dir protocol.Dir, c byte) {
	if dir == protocol.Resp {
		c |= 0x20
	}
	if len(a.history) < maxHistory {
		a.history = append(a.history, c)
	}
}

func (a *analyzer) emit(f *protocol.Flow) {
	if a.emitted || a.rec == nil {
		return
	}
	a.emitted = true
	r := a.rec
	if a.session.Begun() {
		r.ServerName, r.ClientProtocol = a.session.ServerName(), a.session.ClientProtocol()
	}
	r.History = f.Intern(a.history)
	f.Emit(r)
	a.session.Emit(f)
}

func hexID(f *protocol.Flow, id []byte) string {
	var b [2 * maxCID]byte
	return f.Intern(hex.AppendEncode(b[:0], id))
}
