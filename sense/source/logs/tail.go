package logs

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"time"
)

// read reads on until the window of g is full or no more is there yet.
func (f *Follower) read(g *generation) {
	g.behind = false
	buf := make([]byte, block)
	for !g.over && !g.ahead.full() {
		n, err := g.fetch(buf)
		if n == 0 || err != nil {
			f.stuck(g, err)
			return
		}
		g.grown = time.Now()
		f.cut(g, buf[:n])
	}
	g.behind = !g.over
}

// stuck deals with an end that may grow or is the last.
func (f *Follower) stuck(g *generation, err error) {
	switch {
	case err == nil:
	case err == io.EOF && g.stream != nil:
		f.finish(g)
	case errors.Is(err, errCut):
		for _, t := range f.trails {
			if slices.Contains(t.all(), g) {
				t.wasCut(g, f.asks)
				f.gather()
				return
			}
		}
	case g.stream != nil: // it may not be packed to its end
		g.unstream()
	default:
		f.skip(g.name, err.Error())
		f.finish(g)
	}
}

// cut parses the whole lines of what was read and keeps the rest.
func (f *Follower) cut(g *generation, b []byte) {
	for len(b) > 0 {
		end := bytes.IndexByte(b, '\n') + 1
		if end == 0 {
			if !g.long {
				g.rest = append(g.rest, b...)
			} else {
				g.offset += int64(len(b))
			}
			if len(g.rest) > maxLine {
				f.malformed++
				g.offset += int64(len(g.rest))
				g.rest, g.long = g.rest[:0], true
			}
			return
		}
		switch {
		case g.long:
			g.long = false
			g.offset += int64(end)
		case len(g.rest) > 0:
			g.rest = append(g.rest, b[:end]...)
			f.line(g, g.rest)
			g.rest = g.rest[:0]
		default:
			f.line(g, b[:end])
		}
		b = b[end:]
	}
}

// line reads one line, which stands at g's offset.
func (f *Follower) line(g *generation, raw []byte) {
	offset := g.offset
	g.offset += int64(len(raw))
	text := bytes.TrimLeft(trimEnd(raw), "\x00") // a file cut while it was written may begin with zeros
	if len(text) == 0 {
		return
	}
	if text[0] == '#' {
		g.header.Header(text)
		g.parser = g.header.Parser()
		return
	}
	if g.given[offset] {
		delete(g.given, offset)
		return
	}
	e, err := g.parser.Parse(text, f.words)
	switch {
	case err != nil:
		f.malformed++
	case e.Record != nil:
		e.size, e.in = len(text), &origin{line: line{g, offset}, round: f.round}
		f.fresh++
		g.track(offset)
		f.join.Ahead(&e)
		g.ahead.push(&e)
	case e.Aside != "":
		if _, known := f.aside[e.Aside]; !known && len(f.aside) >= maxAside {
			e.Aside = "other"
		}
		f.aside[e.Aside]++
	}
}

// finish ends a generation: its last line is read though it has no end.
func (f *Follower) finish(g *generation) {
	if len(g.rest) > 0 {
		f.line(g, g.rest)
		g.rest = nil
	}
	g.over = true
	g.detach()
}
