// Package ssh reads the clear start of SSH (RFC 4253): banners, what both
// sides offer and what they settle on, with the published fingerprints HASSH
// of client and server. From the sizes of what is encrypted it infers how
// log-in went and whether somebody typed; see auth.go and typing.go.
package ssh

import (
	"bytes"
	"encoding/binary"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/protocol"
)

const (
	maxBanner = 255   // bytes of an identification (RFC 4253, 4.2)
	maxLines  = 64    // a server may send before its identification
	maxPacket = 65536 // bytes; RFC 4253, 6.1 asks for 35000
	msgKex    = 20
	msgKeys   = 21
)

// Protocol describes SSH. Analyzers of one shard share their slab.
func Protocol() protocol.Protocol {
	return protocol.Protocol{
		Name:  "ssh",
		Over:  protocol.OverTCP,
		Ports: []uint16{22},
		Probe: probe,
		Open: func(*protocol.Records) func() protocol.Analyzer {
			s := &shard{}
			return func() protocol.Analyzer { return &analyzer{shard: s} }
		},
	}
}

// probe asks for an identification by either side.
func probe(_ testudo.ConnID, orig, resp []byte) protocol.Verdict {
	o, r := identifies(orig), identifies(resp)
	switch {
	case o == protocol.Yes || r == protocol.Yes:
		return protocol.Yes
	case o == protocol.Maybe && r == protocol.Maybe:
		return protocol.Maybe
	case len(resp) == 0:
		return protocol.No
	case r == protocol.Maybe:
		return protocol.Maybe
	}
	return protocol.No
}

func identifies(b []byte) protocol.Verdict {
	const mark = "SSH-"
	n := min(len(b), len(mark))
	switch {
	case string(b[:n]) != mark[:n]:
		return protocol.No
	case len(b) <= len(mark)+1:
		return protocol.Maybe
	case (b[4] == '1' || b[4] == '2') && b[5] == '.':
		return protocol.Yes
	}
	return protocol.No
}

type shard struct {
	records protocol.Slab[testudo.SSH]
}

// phase is how far a side has come.
type phase uint8

const (
	inBanner phase = iota
	inClear
	encrypted
	lost // cannot be read any more
)

// side is what one direction said in clear.
type side struct {
	phase   phase
	lines   int
	banner  string
	offered bool
	offer   offer
}

type analyzer struct {
	*shard
	sides   [2]side
	began   testudo.Time
	chosen  chosen
	hassh   [2]string
	auth    auth
	typing  typing
	waiting segment
	emitted bool
}

// segment is a piece of ciphertext of which only the size matters. It is
// judged when the next one comes, as a capture that cuts payload short tells
// the rest of the size by a gap.
type segment struct {
	dir  protocol.Dir
	size int
	at   testudo.Time
}

// Data implements protocol.Analyzer.
func (a *analyzer) Data(f *protocol.Flow, dir protocol.Dir, data []byte) int {
	if a.began == 0 {
		a.began = f.Now
	}
	s, used := &a.sides[dir], 0
	if s.phase == inBanner {
		used = a.readBanner(f, s, dir, data)
	}
	if s.phase == inClear {
		used += a.readPackets(f, s, dir, data[used:])
	}
	switch {
	case s.phase == lost:
		if a.sides[dir.Reverse()].phase == lost {
			f.Done()
		}
		return len(data)
	case s.phase == encrypted && used < len(data):
		used += a.segment(f, dir, data[used:])
	}
	return used
}

// readBanner takes lines until the identification. Only a server may send
// others before it.
func (a *analyzer) readBanner(f *protocol.Flow, s *side, dir protocol.Dir, data []byte) (used int) {
	for s.phase == inBanner {
		line := data[used:]
		end := bytes.IndexByte(line[:min(len(line), maxBanner+1)], '\n')
		isMark := bytes.HasPrefix(line, []byte("SSH-"))
		if end < 0 {
			// An identification may end with the side's first write, as some
			// scanners do it; then it is never seen whole.
			if len(line) > maxBanner || dir == protocol.Orig && len(line) >= 4 && !isMark {
				s.phase = lost
			}
			return used
		}
		used += end + 1
		switch {
		case isMark:
			s.banner = clean(f, bytes.TrimRight(line[:end], "\r\n"))
			s.phase = inClear
			if versionOf(s.banner) == 1 {
				s.phase = lost // version 1 has another packet format
			}
		case dir == protocol.Orig, s.lines >= maxLines:
			s.phase = lost
		default:
			s.lines++
		}
	}
	return used
}

// readPackets takes packets up to and with the one that turns on encryption.
func (a *analyzer) readPackets(f *protocol.Flow, s *side, dir protocol.Dir, data []byte) (used int) {
	if versionOf(a.sides[dir.Reverse()].banner) == 1 {
		s.phase = lost // both speak version 1
		return 0
	}
	for s.phase == inClear && len(data)-used >= 6 {
		p := data[used:]
		n, pad := int(binary.BigEndian.Uint32(p)), int(p[4])
		if n < 2 || n > maxPacket || pad+2 > n {
			s.phase = lost
			f.Weird("SSH", "ssh_malformed_packet", "")
			return used
		}
		if len(p) < 4+n {
			return used
		}
		payload := p[5 : 4+n-pad]
		used += 4 + n
		switch payload[0] {
		case msgKex:
			a.readOffer(f, s, dir, payload)
		case msgKeys:
			s.phase = encrypted
		}
	}
	return used
}

func (a *analyzer) readOffer(f *protocol.Flow, s *side, dir protocol.Dir, payload []byte) {
	if s.offered {
		return
	}
	if !s.offer.read(payload) {
		f.Weird("SSH", "ssh_malformed_kexinit", "")
		return
	}
	s.offered = true
	a.hassh[dir] = s.offer.hassh(f, dir)
	if o := &a.sides; o[protocol.Orig].offered && o[protocol.Resp].offered {
		a.chosen.settle(f, &o[protocol.Orig].offer, &o[protocol.Resp].offer)
		a.auth.prepare(&a.chosen)
		for i := range o {
			o[i].offer.lists = [numLists][]byte{}
		}
	}
}

// segment takes what is encrypted and returns how much of it is done with.
func (a *analyzer) segment(f *protocol.Flow, dir protocol.Dir, data []byte) int {
	a.settle(f)
	if a.emitted {
		return len(data)
	}
	if dir == protocol.Resp && a.auth.framed && !a.auth.decided {
		return a.auth.messages(dir, data)
	}
	a.waiting = segment{dir, len(data), f.Now}
	return len(data)
}

// settle judges the segment that waits.
func (a *analyzer) settle(f *protocol.Flow) {
	w := a.waiting
	a.waiting = segment{}
	switch {
	case w.size == 0 || a.emitted:
	case !a.auth.decided:
		a.auth.segment(w.dir, w.size)
	case a.typing.segment(w.at, w.dir, w.size, a.auth.size[w.dir]):
		a.emit(f)
		f.Done()
	}
}

// Gap implements protocol.Analyzer.
func (a *analyzer) Gap(f *protocol.Flow, dir protocol.Dir, n int) {
	s := &a.sides[dir]
	if s.phase != encrypted {
		s.phase = lost
		return
	}
	a.auth.framed = a.auth.framed && dir == protocol.Orig
	if a.waiting.size == 0 || a.waiting.dir != dir || a.waiting.at != f.Now {
		a.settle(f)
		a.waiting = segment{dir, 0, f.Now}
	}
	a.waiting.size += min(n, maxFrame)
}

// End implements protocol.Analyzer.
func (a *analyzer) End(f *protocol.Flow) {
	a.settle(f)
	if !a.emitted && (a.sides[0].banner != "" || a.sides[1].banner != "") {
		a.emit(f)
	}
}

// Reset implements protocol.Analyzer.
func (a *analyzer) Reset() {
	texts := [2][]byte{a.sides[0].offer.text, a.sides[1].offer.text}
	*a = analyzer{shard: a.shard}
	for i, t := range texts {
		if cap(t) <= maxOffer {
			a.sides[i].offer.text = t
		}
	}
}

func (a *analyzer) emit(f *protocol.Flow) {
	a.emitted = true
	client, server := a.sides[protocol.Orig].banner, a.sides[protocol.Resp].banner
	r := a.records.New()
	r.Time = a.began
	r.Client, r.Server = client, server
	r.Version = settleVersion(client, server)
	r.CipherAlg, r.MACAlg, r.CompressionAlg = a.chosen.cipherText, a.chosen.macText, a.chosen.compText
	r.KexAlg, r.HostKeyAlg = a.chosen.kex, a.chosen.hostKey
	r.HASSH, r.HASSHServer = a.hassh[protocol.Orig], a.hassh[protocol.Resp]
	r.AuthAttempts = a.auth.attempts
	if a.auth.attempts > 0 {
		ok := a.auth.decided
		r.AuthSuccess = &ok
	}
	r.Shell, r.Reverse = a.typing.verdict()
	f.Emit(r)
}

// versionOf returns the major version a banner stands for: 1.99 means both
// and counts as 2 (RFC 4253, 5.1); 0 is none.
func versionOf(banner string) int {
	switch {
	case len(banner) < 6:
		return 0
	case banner[4] == '2', len(banner) >= 8 && banner[4:8] == "1.99":
		return 2
	case banner[4] == '1':
		return 1
	}
	return 0
}

// settleVersion returns the version both can speak, that of one where the
// other was not seen, and 0 where they have none in common.
func settleVersion(client, server string) int {
	c, s := versionOf(client), versionOf(server)
	both := func(b string) bool { return len(b) >= 8 && b[4:8] == "1.99" }
	switch {
	case client == "" || server == "":
		return max(c, s)
	case c == s:
		return c
	case c == 1 && both(server), s == 1 && both(client):
		return 1
	}
	return 0
}

// clean makes foreign bytes printable ASCII; others become \xNN.
func clean(f *protocol.Flow, b []byte) string {
	const hexDigits = "0123456789abcdef"
	var room [2 * maxBanner]byte
	t := room[:0]
	for _, c := range b[:min(len(b), maxBanner)] {
		if c < ' ' || c > '~' || c == '\\' {
			t = append(t, '\\', 'x', hexDigits[c>>4], hexDigits[c&15])
		} else {
			t = append(t, c)
		}
	}
	return f.Intern(t)
}
