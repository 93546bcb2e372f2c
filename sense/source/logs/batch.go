package logs

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync"
)

// batch is some whole lines that are parsed together.
type batch struct {
	raw    []byte
	line   int  // number of its first line
	header bool // it is one line that begins with '#'
	epoch  int  // of the header it is read under
	long   int  // overlong lines that were skipped before it

	parser  Parser
	done    chan struct{}
	entries []Entry

	malformed int
	bad       string // of the first
	aside     map[string]int
}

// parse reads the batch, or the rest of it until it holds most records, and
// returns the number of lines it looked at.
func (b *batch) parse(w *Words, most int) (lines int) {
	b.malformed, b.bad = b.long, ""
	if b.long > 0 {
		b.bad = fmt.Sprintf("line %d: %v", b.line-b.long, errLong)
	}
	raw := b.raw
	for len(raw) > 0 && len(b.entries) < most {
		end := bytes.IndexByte(raw, '\n') + 1
		if end == 0 {
			end = len(raw)
		}
		text := trimEnd(raw[:end])
		if len(text) > 0 {
			b.take(text, w, b.line+lines)
		}
		raw = raw[end:]
		lines++
	}
	return lines
}

// take reads one line.
func (b *batch) take(text []byte, w *Words, number int) {
	var e Entry
	err := errLong
	if len(text) <= maxLine {
		e, err = b.parser.Parse(text, w)
	}
	switch {
	case err != nil:
		if b.malformed++; b.malformed == 1 {
			b.bad = fmt.Sprintf("line %d: %v", number, err)
		}
	case e.Record != nil:
		e.size = len(text)
		b.entries = append(b.entries, e)
	case e.Aside != "":
		if b.aside == nil {
			b.aside = map[string]int{}
		}
		if _, known := b.aside[e.Aside]; !known && len(b.aside) >= maxAside {
			e.Aside = "other"
		}
		b.aside[e.Aside]++
	}
}

// trimEnd cuts the end of line off.
func trimEnd(b []byte) []byte {
	b = bytes.TrimSuffix(b, []byte{'\n'})
	return bytes.TrimSuffix(b, []byte{'\r'})
}

// cutter cuts a stream into batches: whole lines up to about a block, the
// same ones for the same bytes; each line that begins with '#' alone.
type cutter struct {
	buf    []byte
	from   int  // of buf that was not cut off
	line   int  // number of the last line that was cut off
	long   int  // overlong lines since the last batch
	inside bool // what was not cut off is amid an overlong line
	ended  error
}

// next fills b, or returns why it cannot, io.EOF at the end.
func (c *cutter) next(r io.Reader, b *batch) error {
	for {
		if n := c.whole(); n > 0 {
			c.give(b, n)
			return nil
		}
		if c.ended == nil {
			c.read(r)
			continue
		}
		if c.ended == io.EOF && (c.from < len(c.buf) || c.long > 0) {
			c.give(b, len(c.buf)-c.from) // the last line has no end
			return nil
		}
		return c.ended
	}
}

// read reads a block more.
func (c *cutter) read(r io.Reader) {
	n := copy(c.buf, c.buf[c.from:])
	c.buf, c.from = slices.Grow(c.buf[:n], block), 0
	for empty := 0; n < len(c.buf)+block && c.ended == nil; {
		got, err := r.Read(c.buf[n : len(c.buf)+block])
		n, c.ended = n+got, err
		if empty++; got > 0 {
			empty = 0
		} else if empty == 100 && err == nil {
			c.ended = io.ErrNoProgress
		}
	}
	c.buf = c.buf[:n]
}

// whole returns the length of what can be cut off now, 0 for nothing.
func (c *cutter) whole() int {
	rest := c.buf[c.from:]
	if c.inside {
		end := bytes.IndexByte(rest, '\n') + 1
		if end == 0 {
			c.drop(len(rest))
			return 0
		}
		c.drop(end)
		c.inside, rest = false, rest[end:]
	}
	header := c.header(rest)
	end := 0
	switch {
	case header:
		end = bytes.IndexByte(rest, '\n') + 1
	case len(rest) >= block || c.ended != nil:
		end = bytes.LastIndexByte(rest, '\n') + 1
	}
	if end == 0 && len(rest) > maxLine {
		c.inside = true
		c.long++
		c.line++
		c.drop(len(rest))
		return 0
	}
	if i := bytes.Index(rest[:end], []byte("\n#")); i >= 0 {
		end = i + 1
	}
	return end
}

// header says that rest begins with a line that begins with '#'; the first
// line of all may have space before.
func (c *cutter) header(rest []byte) bool {
	if c.line == 0 {
		rest = SkipSpace(rest)
	}
	return len(rest) > 0 && rest[0] == '#'
}

func (c *cutter) drop(n int) {
	c.from += n
}

// give moves n bytes into b.
func (c *cutter) give(b *batch, n int) {
	b.raw = append(b.raw[:0], c.buf[c.from:c.from+n]...)
	b.line, b.long, b.header = c.line+1, c.long, c.header(b.raw)
	c.long = 0
	c.line += bytes.Count(b.raw, []byte{'\n'})
	c.drop(n)
}

// pool parses batches on goroutines of its own.
type pool struct {
	work    chan *batch
	parsers int
	begun   bool
	ends    sync.Once
}

// maxParsers bounds the goroutines that parse.
const maxParsers = 8

func newPool() *pool {
	n := min(runtime.GOMAXPROCS(0), maxParsers)
	return &pool{work: make(chan *batch, 64), parsers: n}
}

// depth is how many batches of a file may be under way while so many are
// read: their memory is bounded together.
func (p *pool) depth(files int) int {
	if files > 16 {
		return 1
	}
	return p.parsers + 1
}

// submit has b parsed; its done tells when.
func (p *pool) submit(b *batch) {
	if !p.begun {
		p.begun = true
		for range p.parsers {
			go func() {
				w := &Words{}
				for b := range p.work {
					b.parse(w, len(b.raw))
					b.done <- struct{}{}
				}
			}()
		}
	}
	p.work <- b
}

// end ends the goroutines when all batches are parsed.
func (p *pool) end() { p.ends.Do(func() { close(p.work) }) }
