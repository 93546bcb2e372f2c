package channel

import (
	"encoding/binary"

	"github.com/testudo-shield/testudo"
)

// talk is what is known of conversations that no protocol claimed, and of the
// shape of all conversations of the pair.
type talk struct {
	unknown   int // conversations over TCP that no protocol claimed
	strange   int // of those, on ports that no common service uses
	port      uint16
	outside   bool // with a machine that is not ours
	framed    bool
	ownWords  bool // text both ways
	sealed    bool // random from the first byte, both ways
	called    bool // resp spoke first, yet orig answers with more
	listed    bool // orig begins with a list of fields
	staged    bool // resp begins, unasked, with a counted block
	oneWay    bool // orig reports and reports, resp never says a word
	shellBy   int8 // who showed a shell's prompt: +1 the side that called
	shell     string
	program   string // a program that went over bare
	programBy int8
	reverse   bool // SSH keys struck on the far side
	pulses    testudo.Pulse
	lasted    float64 // seconds of the conversation with those pulses
	bytes     int64
	foreign   string // a protocol met on a port that means something else
	foreignAt uint16
}

func (t *talk) take(r *testudo.Opaque) {
	if r.Prompt != "" {
		t.shell, t.shellBy = r.Prompt, r.PromptBy
	}
	if r.Program != "" && r.ID.Proto == testudo.TCP && !copies(r) { // machines start from programs over UDP
		t.program, t.programBy = r.Program, r.ProgramBy
	}
	if r.ID.Proto != testudo.TCP {
		return
	}
	t.unknown++
	port := r.ID.Resp.Port()
	if !unexpected(r) {
		return
	}
	t.strange++
	t.port = port
	t.outside = t.outside || !r.About.OrigLocal || !r.About.RespLocal
	t.listed = t.listed || r.OrigText > 0.95 && fields(r.OrigHead) >= 3
	t.staged = t.staged || r.First < 0 && counted(r.RespHead, r.RespLen)
	t.framed = t.framed || r.LengthPrefix
	both := r.OrigLen >= 4 && r.RespLen >= 4
	t.ownWords = t.ownWords || r.OrigText > 0.95 && (r.RespText > 0.95 || r.RespLen == 0) && r.OrigLen >= 32
	t.sealed = t.sealed || r.OrigLen >= 64 && r.RespLen >= 64 &&
		random(int64(r.OrigLen), r.OrigEntropy, r.OrigText) && random(int64(r.RespLen), r.RespEntropy, r.RespText)
	t.called = t.called || both && r.First < 0 && r.OrigLen > 4*r.RespLen
}

// unexpected tells whether a conversation in no known protocol is on a port
// where none that we cannot read is ordinary: one that no common service
// uses, one of those whose protocols we know, or one with a machine outside
// that does not begin as the port's protocol does. Among our own machines
// much is spoken that nobody wrote down.
func unexpected(r *testudo.Opaque) bool {
	switch port := r.ID.Resp.Port(); meaning(port) {
	case "":
		return port >= 1024
	case "http", "https", "dns", "ssh", "smtp":
		// Text there is a broken client; a middle of TLS is no beginning.
		return r.OrigText < 0.95 && r.RespText < 0.95 && !record(r.OrigHead) && !record(r.RespHead)
	default:
		ours := r.About.OrigLocal && r.About.RespLocal
		return !ours && r.OrigLen >= 4 && !record(r.OrigHead) && !record(r.RespHead) && !begins(meaning(port), r)
	}
}

// programWeight is what a bare program of a kind says. Scripts are text that
// is copied all day, and programs for Linux are copied between machines that
// somebody builds.
func programWeight(kind string) float64 {
	switch kind {
	case "script":
		return 4
	case "elf":
		return 5.5
	}
	return 6.5
}

// record tells whether b begins as a TLS record does (RFC 8446, 5.1).
func record(b string) bool {
	return len(b) >= 2 && b[0] >= 20 && b[0] <= 23 && b[1] == 3
}

// fields counts the commonest separator of fields in b.
func fields(b string) int {
	most := 0
	for _, sep := range "|;#~^" {
		n := 0
		for i := 0; i < len(b); i++ {
			if b[i] == byte(sep) {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}

// counted tells whether b, the beginning of total bytes (4096 at most), puts
// a length in four bytes before a block of at least 200 bytes that is at
// least partly there.
func counted(b string, total int) bool {
	if len(b) < 8 {
		return false
	}
	n := int64(binary.LittleEndian.Uint32([]byte(b[:4])))
	return n >= 200 && n < 1<<24 && (n+4 == int64(total) || total >= 1400 && n+4 > int64(total))
}

func (t *talk) ssh(r *testudo.SSH) { t.reverse = t.reverse || r.Reverse }

func (t *talk) conn(c *testudo.Conn) {
	if c.Pulses.Count > t.pulses.Count && c.Pulses.Count >= polls {
		t.pulses, t.lasted, t.bytes = c.Pulses, c.Duration.Seconds(), c.OrigBytes+c.RespBytes
	}
	if c.ID.Proto != testudo.TCP {
		return
	}
	t.oneWay = t.oneWay || c.RespBytes == 0 && c.Pulses.Count >= 2*polls && c.MissedBytes == 0 && c.RespPkts >= c.OrigPkts/4
	port := c.ID.Resp.Port()
	if m := meaning(port); m != "" && foreign(m, c.Service) {
		t.foreign, t.foreignAt = c.Service, port
	}
}

// weigh puts what the talk says for a control channel.
func (t *talk) weigh(k *scale, p *pair) {
	t.weighContent(k)
	k.when(t.reverse, testudo.Content, 4.8, "keys were struck on the server's side of an SSH conversation: the machine that connected is the one that is driven")
	k.when(t.foreign != "", testudo.Naming, 1.2, "%s on port %d, which is for %s", t.foreign, int(t.foreignAt), meaning(t.foreignAt))
	if t.pulses.Count > 0 && t.quiet() {
		jitter := 1.0
		if t.pulses.GapMean > 0 {
			jitter = t.pulses.GapDev / t.pulses.GapMean
		}
		if w := regular(t.pulses.Count, t.pulses.GapMean, jitter); w > 0 && p.web.requests == 0 {
			k.add(testudo.Timing, w, "%d pulses of about %.0f bytes every %.1f s (deviation %.0f %%)", t.pulses.Count, t.pulses.SizeMean, t.pulses.GapMean, 100*jitter)
			k.add(testudo.Volume, 0.7, "%d bytes in %.0f s: kept open, hardly used", t.bytes, t.lasted)
		}
	}
}

// quiet tells whether the conversation with the pulses is mostly silence.
func (t *talk) quiet() bool { return t.lasted >= 20 && float64(t.bytes) < 1500*t.lasted }

func (t *talk) weighContent(k *scale) {
	switch {
	case t.shell != "" && t.shellBy > 0:
		k.add(testudo.Content, 6.5, "the side that connected shows the prompt of a %s: a shell connected back", t.shell)
	case t.shell != "":
		k.add(testudo.Content, 5, "the side that was connected to shows the prompt of a %s in no known protocol", t.shell)
	}
	k.when(t.program != "", testudo.Content, programWeight(t.program), "a bare program (%s) went over in no known protocol", t.program)
	if t.strange == 0 {
		return
	}
	k.add(testudo.Content, 0.7, "%d conversations in no known protocol on port %d", t.strange, int(t.port))
	if m := meaning(t.port); m != "" {
		w := 0.4
		if t.outside && guarded(m) {
			w = 0.8
		}
		k.add(testudo.Naming, w, "port %d is for %s, and this is none", int(t.port), m)
	}
	k.when(t.framed, testudo.Content, 1, "both ends put a length before each message")
	k.when(t.ownWords, testudo.Content, 1, "they talk text, yet no known language")
	k.when(t.sealed, testudo.Content, 0.7, "encrypted from the first byte on")
	k.when(t.listed, testudo.Content, 0.6, "it opens with a list of fields, as a machine introduces itself")
	k.when(t.staged, testudo.Content, 1.5, "the far side begins, unasked, with a counted block of binary")
	k.when(t.oneWay, testudo.Content, 0.5, "one side reports again and again, the other never says a word")
	k.when(t.called, testudo.Content, 1, "the side that was connected to asks, the side that connected answers with much more")
}
