package http

import (
	"bytes"
	"io"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/protocol"
	"github.com/testudo-shield/testudo/sense/protocol/content"
)

// sample holds the first bytes of a body until they are judged.
type sample struct{ buf [sampleBytes]byte }

// traits are what the first bytes of a body told.
type traits struct {
	entropy, text float64
	mime, head    string
}

// body measures a body as it passes. While fewer than sampleBytes were seen
// it holds them in a buffer of the shard; where the shard has no more to
// lend, in a small one of its own.
type body struct {
	total   int64
	n       int // bytes sampled
	whole   *sample
	small   [headBytes]byte
	skipped bool // a hole came before the sample was full
	judged  bool
	traits  traits
}

// room returns the buffer in use.
func (b *body) room() []byte {
	if b.whole != nil {
		return b.whole.buf[:]
	}
	return b.small[:]
}

// add counts data and samples what is still wanted of it.
func (b *body) add(f *protocol.Flow, s *shared, data []byte, gzip bool) {
	if b.total == 0 && len(data) > 0 {
		b.whole = s.lend()
	}
	b.total += int64(len(data))
	if b.skipped || b.judged {
		return
	}
	room := b.room()
	if b.n += copy(room[b.n:], data); b.n == len(room) {
		b.judge(f, s, gzip)
	}
}

// skip counts n bytes that were not seen; the sample ends there.
func (b *body) skip(n int64) {
	b.total += n
	b.skipped = true
}

// write puts the body's traits into rec and clears b for the next one.
func (b *body) write(f *protocol.Flow, s *shared, rec *testudo.HTTP, dir protocol.Dir, gzip bool) {
	if b.total > 0 {
		b.judge(f, s, gzip)
		t := &b.traits
		if dir == protocol.Orig {
			rec.RequestLen, rec.RequestEntropy, rec.RequestText, rec.RequestHead = b.total, t.entropy, t.text, t.head
			rec.OrigMIME = s.one(t.mime)
		} else {
			rec.ResponseLen, rec.ResponseEntropy, rec.ResponseText, rec.ResponseHead = b.total, t.entropy, t.text, t.head
			rec.RespMIME = s.one(t.mime)
		}
	}
	b.release(s)
	*b = body{}
}

// judge works out the traits and gives the buffer back.
func (b *body) judge(f *protocol.Flow, s *shared, gzip bool) {
	if b.judged {
		return
	}
	b.judged = true
	seen := b.room()[:b.n]
	if len(seen) > 0 {
		b.traits = traits{
			entropy: testudo.Entropy(seen),
			text:    content.Text(seen),
			head:    f.Intern(cut(seen, headBytes)),
		}
		if plain := seen; gzip {
			if plain = s.gunzip(seen); len(plain) == 0 {
				plain = seen
			}
			b.traits.mime = content.MIME(plain)
		} else {
			b.traits.mime = content.MIME(plain)
		}
	}
	b.release(s)
}

// release gives the shard its buffer back.
func (b *body) release(s *shared) {
	if b.whole != nil {
		s.free = append(s.free, b.whole)
		s.lent--
		b.whole = nil
	}
}

// lend returns a sample buffer, nil when the shard's budget is spent.
func (s *shared) lend() *sample {
	if s.lent >= maxSamples {
		return nil
	}
	s.lent++
	if n := len(s.free); n > 0 {
		b := s.free[n-1]
		s.free = s.free[:n-1]
		return b
	}
	return new(sample)
}

// gunzip returns the start of what b decodes to, valid until the next call;
// empty where b is no gzip.
func (s *shared) gunzip(b []byte) []byte {
	if s.inflate.Reset(bytes.NewReader(b)) != nil {
		return nil
	}
	n, _ := io.ReadFull(&s.inflate, s.plain[:])
	return s.plain[:n]
}

// one returns a list of v alone, nil for the empty string.
func (s *shared) one(v string) []string {
	if v == "" {
		return nil
	}
	l := s.strings.Take(1)
	l[0] = v
	return l
}
