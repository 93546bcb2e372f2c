package eve

import (
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/source/logs"
)

const (
	// answerTime is how long a question waits for its answer, partTime for
	// the rest of one that comes in parts, bodyTime an HTTP for what fileinfo
	// says and the other way round.
	answerTime = 10 * time.Second
	partTime   = time.Second
	bodyTime   = time.Second
	// maxHeld bounds what waits, together.
	maxHeld = 8192
	// maxUsers bounds the accounts that are remembered from USER to PASS.
	maxUsers = 4096
)

// joiner joins events of one transaction, which Suricata writes apart.
type joiner struct {
	held  map[string]*held
	long  queue // what waits for answers
	short queue
	users map[string]string
	files bool // fileinfo occurs, so HTTP is worth holding back
	now   testudo.Time
}

// held is an entry that waits.
type held struct {
	logs.Entry
	key   string
	until testudo.Time
	gone  bool // it was handed out
}

func newJoiner() *joiner {
	return &joiner{held: map[string]*held{}, users: map[string]string{}}
}

// Ahead notes whether fileinfo occurs.
func (j *joiner) Ahead(e *logs.Entry) {
	j.files = j.files || len(e.Key) > 0 && e.Key[0] == body
}

// Take joins the next entry with what waits.
func (j *joiner) Take(e logs.Entry, ready []logs.Entry) []logs.Entry {
	ready = j.Expire(e.Written, ready)
	if e.Key == "" {
		return append(ready, e)
	}
	switch key := e.Key[1:]; e.Key[0] {
	case asked, answered, part:
		return j.dns(e, "d"+key, ready)
	case web, body:
		return j.http(e, "h"+key, ready)
	case login:
		j.login(e)
	}
	return append(ready, e)
}

// Expire hands out what has waited long enough.
func (j *joiner) Expire(now testudo.Time, ready []logs.Entry) []logs.Entry {
	j.now = max(j.now, now)
	return j.expire(&j.long, j.expire(&j.short, ready))
}

func (j *joiner) expire(q *queue, ready []logs.Entry) []logs.Entry {
	for ; q.first < len(q.all); q.first++ {
		h := q.all[q.first]
		if !h.gone {
			if h.until >= j.now && len(j.held) < maxHeld {
				break
			}
			ready = append(ready, j.release(h))
		}
		q.all[q.first] = nil
	}
	if q.first > maxHeld || q.first == len(q.all) {
		n := copy(q.all, q.all[q.first:])
		clear(q.all[n:])
		q.all, q.first = q.all[:n], 0
	}
	return ready
}

// queue holds what waits equally long, the first to come first.
type queue struct {
	all   []*held
	first int
}

// hold lets e wait.
func (j *joiner) hold(e logs.Entry, key string, wait time.Duration) {
	h := &held{Entry: e, key: key, until: e.Written.Add(wait)}
	j.held[key] = h
	if wait == answerTime {
		j.long.all = append(j.long.all, h)
	} else {
		j.short.all = append(j.short.all, h)
	}
}

// leave takes an entry out of those that wait.
func (j *joiner) leave(h *held) {
	h.gone = true
	delete(j.held, h.key)
}

// release ends an entry's wait. A body without its HTTP and a question are
// complete as they are, the former as nothing.
func (j *joiner) release(h *held) logs.Entry {
	j.leave(h)
	if h.Key[0] == body {
		h.Record = nil
	}
	if d, ok := h.Record.(*testudo.DNS); ok {
		logs.SizeDNS(d)
	}
	return h.Entry
}

// dns joins an answer with its question.
func (j *joiner) dns(e logs.Entry, key string, ready []logs.Entry) []logs.Entry {
	h := j.held[key]
	if h != nil && (e.Key[0] == asked || h.Key[0] == part && e.Key[0] != part) {
		ready = append(ready, j.release(h)) // the id is used again
		h = nil
	}
	d := e.Record.(*testudo.DNS)
	switch {
	case h == nil && e.Key[0] == answered:
		logs.SizeDNS(d)
		return append(ready, e)
	case h == nil && e.Key[0] == asked:
		j.hold(e, key, answerTime)
		return ready
	case h == nil:
		j.hold(e, key, partTime)
		return ready
	}
	add(h, &e)
	if e.Key[0] == answered {
		return append(ready, j.release(h))
	}
	if h.Key[0] == asked { // its parts come at once
		j.leave(h)
		h.Key = e.Key
		j.hold(h.Entry, key, partTime)
	}
	return ready
}

// add adds an answer, or a part of it, to what waits.
func add(h *held, e *logs.Entry) {
	d, a := h.Record.(*testudo.DNS), e.Record.(*testudo.DNS)
	if !d.Answered {
		d.RTT = since(d.Time, a.Time)
		d.Answered = true
	}
	d.RCode, d.RCodeName = a.RCode, a.RCodeName
	d.AA, d.TC, d.RD, d.RA = a.AA || d.AA, a.TC || d.TC, a.RD || d.RD, a.RA || d.RA
	if len(d.Answers) < logs.MaxItems {
		d.Answers, d.TTLs = append(d.Answers, a.Answers...), append(d.TTLs, a.TTLs...)
	}
	if d.Query == "" {
		d.Query, d.QType, d.QTypeName = a.Query, a.QType, a.QTypeName
	}
	h.Written = e.Written
	e.Joined(&h.Entry)
}

// http joins a request with what fileinfo says of its bodies, whichever comes
// first.
func (j *joiner) http(e logs.Entry, key string, ready []logs.Entry) []logs.Entry {
	h := j.held[key]
	if h != nil && h.Key[0] == web && e.Key[0] == web {
		ready = append(ready, j.release(h))
		h = nil
	}
	switch {
	case h == nil && e.Key[0] == web && !j.files:
		return append(ready, e)
	case h == nil:
		j.hold(e, key, bodyTime)
	case e.Key[0] == body && h.Key[0] == web:
		carry(h.Record.(*testudo.HTTP), e.Record.(*testudo.HTTP))
		e.Joined(&h.Entry)
	case e.Key[0] == body: // the other body of a transaction not yet seen
		ready = append(ready, j.release(h))
		j.hold(e, key, bodyTime)
	default:
		carry(e.Record.(*testudo.HTTP), h.Record.(*testudo.HTTP))
		h.Joined(&e)
		j.leave(h)
		j.hold(e, key, bodyTime)
	}
	return ready
}

// carry takes over what is known of a body.
func carry(h, b *testudo.HTTP) {
	if b.ID.Orig == h.ID.Orig {
		h.OrigMIME, h.RequestLen = b.OrigMIME, max(h.RequestLen, b.RequestLen)
		return
	}
	h.RespMIME, h.ResponseLen = b.OrigMIME, max(h.ResponseLen, b.RequestLen)
}

// login remembers the account of a conversation.
func (j *joiner) login(e logs.Entry) {
	r := e.Record.(*testudo.FTP)
	if r.Command == "USER" && r.Arg != "" {
		if len(j.users) >= maxUsers {
			clear(j.users)
		}
		j.users[e.Key] = r.Arg
	}
	r.User = j.users[e.Key]
}
