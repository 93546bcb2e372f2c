package drill

import (
	"math/rand/v2"
	"strconv"
	"strings"
)

// request is one exchange in clear on a conversation.
type request struct {
	method, host, path string
	agent              string
	lines              string // more header lines, each ended
	body               piece
	status             string // "200 OK"
	server             string
	typ                string // of the answer
	answer             piece
	headers            string // more lines of the answer
	think              int64
}

// fate lets a page be gone, unchanged or elsewhere now and then.
func (q *request) fate(r *rand.Rand) {
	switch n := r.IntN(100); {
	case n < 3:
		q.status, q.answer = "404 Not Found", piece{fill: size(r, 150, 1500), text: true}
	case n < 10:
		q.status, q.typ, q.answer = "304 Not Modified", "", piece{}
	case n < 14:
		q.status, q.headers, q.answer = "301 Moved Permanently", "Location: /"+spoken(r, 2)+"\r\n", piece{fill: 178, text: true}
	}
}

// http carries out the exchange.
func (k *conv) http(q request) {
	b := append(k.w.scratch[:0], q.method...)
	b = append(append(append(b, ' '), q.path...), " HTTP/1.1\r\nHost: "...)
	b = append(append(b, q.host...), "\r\n"...)
	if q.agent != "" {
		b = append(append(append(b, "User-Agent: "...), q.agent...), "\r\n"...)
	}
	b = append(b, q.lines...)
	if n := len(q.body.lit) + q.body.fill; n > 0 || q.method == "POST" {
		b = strconv.AppendInt(append(b, "Content-Length: "...), int64(n), 10)
		b = append(b, "\r\n"...)
	}
	b = append(b, "\r\n"...)
	k.w.scratch = b
	k.send(orig, piece{lit: b}, q.body)
	k.wait(q.think + between(k.r, 500, 9000))

	b = append(append(append(b[:0], "HTTP/1.1 "...), q.status...), "\r\n"...)
	if q.server != "" {
		b = append(append(append(b, "Server: "...), q.server...), "\r\n"...)
	}
	if q.typ != "" {
		b = append(append(append(b, "Content-Type: "...), q.typ...), "\r\n"...)
	}
	b = append(b, q.headers...)
	if !strings.HasPrefix(q.status, "304") {
		b = strconv.AppendInt(append(b, "Content-Length: "...), int64(len(q.answer.lit)+q.answer.fill), 10)
		b = append(b, "\r\n"...)
	}
	b = append(b, "\r\n"...)
	k.w.scratch = b
	k.send(resp, piece{lit: b}, q.answer)
}
