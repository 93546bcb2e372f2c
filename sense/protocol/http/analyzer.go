package http

import (
	"bytes"
	"compress/gzip"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/protocol"
)

// shared is what the analyzers of one shard have in common.
type shared struct {
	records *protocol.Records
	strings protocol.Slab[string]
	free    []*sample // sample buffers nobody uses
	lent    int       // sample buffers in use
	waiting int       // requests that wait for their response
	inflate gzip.Reader
	plain   [sampleBytes]byte
}

// state is where one direction stands in its stream of messages.
type state uint8

const (
	atStart    state = iota // before a request or status line
	inHeaders               // behind it
	inBody                  // remain bytes of body follow
	inSize                  // before a chunk's size line
	inChunk                 // remain bytes of a chunk follow
	chunkEnd                // before the line end behind a chunk
	inTrailers              // behind the last chunk
	untilClose              // all that follows is body
	held                    // behind a CONNECT; nothing is read before its answer
	lost                    // out of step; a start line at the start of a segment rejoins
)

// half is one direction.
type half struct {
	state   state
	alone   bool          // a response whose request is unknown or was given up
	chunked bool          // by Transfer-Encoding
	gzip    bool          // by Content-Encoding
	rec     *testudo.HTTP // of the message under way
	began   testudo.Time  // of the message under way
	scanned int           // bytes of the unfinished line already searched
	header  int           // bytes of start line and headers so far
	length  int64         // by Content-Length, -1 for none
	remain  int64         // of body or chunk
	names   []byte        // header names so far
	body    body
}

// transaction is a request that waits for its response.
type transaction struct {
	rec               *testudo.HTTP
	reqDone, respDone bool
}

type analyzer struct {
	shared  *shared
	half    [2]half
	queue   []transaction
	depth   int
	handed  bool
	weirded uint8 // which weirds were written, once a conversation each
}

const (
	weirdRequest = 1 << iota
	weirdReply
	weirdHeader
	weirdLength
	weirdPipeline
)

// Data implements protocol.Analyzer.
func (a *analyzer) Data(f *protocol.Flow, dir protocol.Dir, data []byte) int {
	h, n := &a.half[dir], 0
	h.scanned = min(h.scanned, len(data))
	if h.state == lost && startsMessage(dir, data) {
		a.rejoin(f, dir)
	}
	for n < len(data) && !a.handed {
		used := a.step(f, dir, data[n:])
		if used == 0 {
			break
		}
		n += used
	}
	return n
}

// step takes what it can of data in the present state, 0 to wait for more.
func (a *analyzer) step(f *protocol.Flow, dir protocol.Dir, data []byte) int {
	h := &a.half[dir]
	switch h.state {
	case inBody, inChunk:
		n := int(min(h.remain, int64(len(data))))
		h.body.add(f, a.shared, data[:n], h.gzip)
		a.advance(f, dir, int64(n))
		return n
	case untilClose:
		h.body.add(f, a.shared, data, h.gzip)
		return len(data)
	case lost:
		return len(data)
	case held:
		if len(data) > maxHeld {
			a.handover(f)
		}
		return 0
	}
	if h.state == atStart && h.scanned == 0 {
		h.began = f.Now
	}
	line, used := h.line(data)
	if used == 0 {
		if h.header+len(data) > maxHeader {
			a.tooLong(f, dir)
			return len(data)
		}
		return 0
	}
	if h.header += used; h.header > maxHeader {
		a.tooLong(f, dir)
		return used
	}
	a.read(f, dir, line)
	return used
}

// read acts on one whole line.
func (a *analyzer) read(f *protocol.Flow, dir protocol.Dir, line []byte) {
	h := &a.half[dir]
	switch h.state {
	case atStart:
		if len(line) == 0 {
			h.header = 0
		} else if dir == protocol.Orig {
			a.request(f, line)
		} else {
			a.status(f, line)
		}
	case inHeaders:
		if len(line) > 0 {
			a.header(f, dir, line)
		} else if dir == protocol.Orig {
			a.requestBody(f)
		} else {
			a.responseBody(f)
		}
	case inSize:
		size, ok := chunkSize(line)
		switch h.header = 0; {
		case !ok:
			a.lose(f, dir)
		case size == 0:
			h.state = inTrailers
		default:
			h.state, h.remain = inChunk, size
		}
	case chunkEnd:
		if h.header, h.state = 0, inSize; len(line) > 0 {
			a.lose(f, dir)
		}
	case inTrailers:
		if len(line) == 0 {
			a.finish(f, dir)
		}
	}
}

// line cuts one line off data; used is 0 where its end is not there yet.
func (h *half) line(data []byte) (line []byte, used int) {
	i := bytes.IndexByte(data[h.scanned:], '\n')
	if i < 0 {
		h.scanned = len(data)
		return nil, 0
	}
	i += h.scanned
	h.scanned = 0
	return trimCR(data[:i]), i + 1
}

// advance counts n bytes of a body with a known end.
func (a *analyzer) advance(f *protocol.Flow, dir protocol.Dir, n int64) {
	h := &a.half[dir]
	if h.remain -= n; h.remain > 0 {
		return
	}
	if h.state == inChunk {
		h.state = chunkEnd
	} else {
		a.finish(f, dir)
	}
}

// Gap implements protocol.Analyzer. A hole inside a body of known length
// costs nothing but its bytes; any other puts the direction out of step.
func (a *analyzer) Gap(f *protocol.Flow, dir protocol.Dir, n int) {
	h := &a.half[dir]
	h.scanned = 0
	if a.handed || n <= 0 {
		return
	}
	switch {
	case h.state == untilClose:
		h.body.skip(int64(n))
	case (h.state == inBody || h.state == inChunk) && int64(n) <= h.remain:
		h.body.skip(int64(n))
		a.advance(f, dir, int64(n))
	case h.state == inBody: // the end of the body is in the hole
		h.body.skip(h.remain)
		a.finish(f, dir)
		h.state = lost
	case h.state == atStart:
		h.state = lost
	case h.state != lost:
		a.lose(f, dir)
	}
}

// End implements protocol.Analyzer.
func (a *analyzer) End(f *protocol.Flow) {
	orig, resp := &a.half[protocol.Orig], &a.half[protocol.Resp]
	if orig.rec != nil {
		a.finish(f, protocol.Orig)
	}
	if resp.rec != nil {
		whole := resp.state == untilClose && f.Closed[protocol.Resp]
		rec := resp.rec
		a.endMessage(f, protocol.Resp)
		if whole {
			rec.ResponseDone = f.Now
		}
		a.answered(f, rec)
	}
	for i := range a.queue {
		f.Emit(a.queue[i].rec)
	}
	a.shared.waiting -= len(a.queue)
	clear(a.queue)
	a.queue = a.queue[:0]
}

// Reset implements protocol.Analyzer.
func (a *analyzer) Reset() {
	a.shared.waiting -= len(a.queue)
	for i := range a.half {
		a.half[i].body.release(a.shared)
	}
	clear(a.queue)
	*a = analyzer{shared: a.shared, queue: a.queue[:0], half: [2]half{
		{names: a.half[0].names[:0]}, {names: a.half[1].names[:0]},
	}}
}

// lose writes down what was learned of the message under way and waits for
// a start line.
func (a *analyzer) lose(f *protocol.Flow, dir protocol.Dir) {
	h := &a.half[dir]
	rec := h.rec
	if rec != nil {
		a.endMessage(f, dir)
		if dir == protocol.Resp {
			a.answered(f, rec)
		} else {
			a.asked(f)
		}
	}
	h.state = lost
}

// tooLong gives up on a message whose headers pass the limit.
func (a *analyzer) tooLong(f *protocol.Flow, dir protocol.Dir) {
	a.weird(f, weirdHeader, "http_header_too_long", "")
	a.half[dir].scanned = 0
	a.lose(f, dir)
}

// rejoin starts afresh at a start line. Of several requests that wait, a
// response after a hole most likely answers the last.
func (a *analyzer) rejoin(f *protocol.Flow, dir protocol.Dir) {
	h := &a.half[dir]
	h.state, h.header, h.scanned = atStart, 0, 0
	for dir == protocol.Resp && len(a.queue) > 1 {
		a.pop(f)
	}
}

// startsMessage tells whether data begins with a start line.
func startsMessage(dir protocol.Dir, data []byte) bool {
	if dir == protocol.Resp {
		_, ok := parseStatus(data[:min(len(data), 16)])
		return ok
	}
	return probeRequest(data[:min(len(data), 1024)]) == protocol.Yes
}

func (a *analyzer) weird(f *protocol.Flow, bit uint8, name, addl string) {
	if a.weirded&bit == 0 {
		a.weirded |= bit
		f.Weird("http", name, addl)
	}
}

// handover lets what follows be probed anew.
func (a *analyzer) handover(f *protocol.Flow) {
	a.handed = true
	f.Handover("")
}
