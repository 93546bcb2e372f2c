// Package opaque looks at conversations that no protocol claimed. It reads at
// most 4096 bytes each way and says in one testudo.Opaque what they look
// like: how random, how textual, whether an interactive shell answers,
// whether a bare program went over, whether the ends frame their messages by
// length. It says what it saw; whether that is an attack, detectors judge.
package opaque

import (
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/protocol"
	"github.com/testudo-shield/testudo/sense/protocol/content"
)

const (
	most       = 4096             // bytes looked at each way
	least      = 256              // the same where the shard has no more buffers to lend
	maxLent    = 256              // buffers of 4096 bytes a shard may lend
	maxMessage = 30               // messages (segments) after which the record is written
	patience   = 60 * time.Second // after which it is written at the next message
	headBytes  = 32
)

// Protocol describes to flow what it falls back to.
func Protocol() protocol.Protocol {
	return protocol.Protocol{
		Name: "opaque",
		Over: protocol.OverTCP | protocol.OverUDP,
		Open: func(*protocol.Records) func() protocol.Analyzer {
			s := &shared{}
			return func() protocol.Analyzer { return &analyzer{shared: s} }
		},
	}
}

// shared is what the analyzers of one shard have in common.
type shared struct {
	records protocol.Slab[testudo.Opaque]
	free    []*[most]byte
	lent    int
}

// message is one delivery: the part [from, to) of its side's bytes.
type message struct {
	dir      protocol.Dir
	from, to uint16
}

// side is what one end sent, as far as it is looked at.
type side struct {
	small [least]byte
	big   *[most]byte
	n     int
	full  bool // nothing more is kept
	run   int  // where the messages sent without an answer between began
}

// bytes returns what was kept.
func (s *side) bytes() []byte {
	if s.big != nil {
		return s.big[:s.n]
	}
	return s.small[:s.n]
}

type analyzer struct {
	shared   *shared
	sides    [2]side
	messages [maxMessage]message
	count    int
	begun    testudo.Time
	shell    string // kind of prompt seen
	shellBy  protocol.Dir
	program  string
	progBy   protocol.Dir
	written  bool
}

// Data implements protocol.Analyzer.
func (a *analyzer) Data(f *protocol.Flow, dir protocol.Dir, data []byte) int {
	if a.written || len(data) == 0 {
		return len(data)
	}
	if a.count == 0 {
		a.begun = f.Now
	}
	a.message(dir, data)
	late := a.count > 1 && f.Now.Sub(a.begun) >= patience
	if a.shell != "" || a.program != "" || late || a.count == maxMessage || a.sides[0].full && a.sides[1].full {
		a.write(f)
		f.Done()
	}
	return len(data)
}

// message takes in one delivery.
func (a *analyzer) message(dir protocol.Dir, data []byte) {
	s := &a.sides[dir]
	if a.count == 0 || a.messages[a.count-1].dir != dir {
		s.run = s.n
	}
	from := s.n
	a.keep(s, data)
	a.messages[a.count] = message{dir, uint16(from), uint16(s.n)}
	a.count++
	a.look(dir)
}

// keep adds what is still wanted of data.
func (a *analyzer) keep(s *side, data []byte) {
	if s.full {
		return
	}
	if s.big == nil && s.n+len(data) > least && a.shared.lent < maxLent {
		s.big = a.shared.lend()
		copy(s.big[:], s.small[:s.n])
	}
	room := s.small[:]
	if s.big != nil {
		room = s.big[:]
	}
	s.n += copy(room[s.n:], data)
	s.full = s.n == len(room)
}

// look searches the newest message for what ends the watch early.
func (a *analyzer) look(dir protocol.Dir) {
	s := &a.sides[dir]
	run := s.bytes()[s.run:]
	if kind := program(run); kind != "" {
		a.program, a.progBy = kind, dir
	}
	if a.greeted() {
		return
	}
	if kind := prompt(run[max(0, len(run)-1024):]); kind != "" {
		a.shell, a.shellBy = kind, dir
	} else if kind := a.commanded(); kind != "" {
		a.shell, a.shellBy = kind, protocol.Orig
	}
}

// greeted tells whether either end begins as a text protocol that is no shell.
func (a *analyzer) greeted() bool {
	return greeting(a.sides[0].bytes()) || greeting(a.sides[1].bytes())
}

// Gap implements protocol.Analyzer: what comes behind a hole is not looked at.
func (a *analyzer) Gap(_ *protocol.Flow, dir protocol.Dir, _ int) { a.sides[dir].full = true }

// End implements protocol.Analyzer.
func (a *analyzer) End(f *protocol.Flow) {
	if a.count > 0 {
		a.write(f)
	}
}

// Reset implements protocol.Analyzer.
func (a *analyzer) Reset() {
	a.release()
	*a = analyzer{shared: a.shared}
}

// write emits the one record and gives the buffers back.
func (a *analyzer) write(f *protocol.Flow) {
	if a.written {
		return
	}
	a.written = true
	orig, resp := a.sides[protocol.Orig].bytes(), a.sides[protocol.Resp].bytes()
	r := a.shared.records.New()
	r.Time = a.begun
	r.OrigLen, r.RespLen = len(orig), len(resp)
	r.OrigEntropy, r.RespEntropy = testudo.Entropy(orig), testudo.Entropy(resp)
	r.OrigText, r.RespText = content.Text(orig), content.Text(resp)
	r.OrigHead = f.Intern(orig[:min(len(orig), headBytes)])
	r.RespHead = f.Intern(resp[:min(len(resp), headBytes)])
	r.First = sign(a.messages[0].dir)
	if a.shell != "" {
		r.Prompt, r.PromptBy = a.shell, sign(a.shellBy)
	}
	if a.program != "" {
		r.Program, r.ProgramBy = a.program, sign(a.progBy)
	}
	r.LengthPrefix = framed(orig, resp, a.messages[:a.count])
	f.Emit(r)
	a.release()
}

func sign(d protocol.Dir) int8 {
	if d == protocol.Orig {
		return 1
	}
	return -1
}

// lend takes a buffer from the shard's budget.
func (s *shared) lend() *[most]byte {
	s.lent++
	if n := len(s.free); n > 0 {
		b := s.free[n-1]
		s.free = s.free[:n-1]
		return b
	}
	return new([most]byte)
}

// release gives the lent buffers back; what they held is gone.
func (a *analyzer) release() {
	for i := range a.sides {
		if s := &a.sides[i]; s.big != nil {
			a.shared.free = append(a.shared.free, s.big)
			a.shared.lent--
			s.big, s.n = nil, 0
		}
	}
}
