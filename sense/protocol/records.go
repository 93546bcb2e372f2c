package protocol

import "github.com/testudo-shield/testudo"

// Records is where the protocols of a shard get the records of which there
// are most. A record given back by Reuse is written anew, so that in a steady
// state none is made.
type Records struct {
	dns  room[testudo.DNS]
	tls  room[testudo.TLS]
	x509 room[testudo.X509]
	http room[testudo.HTTP]
}

// Reuse takes back a record that nobody reads any longer, and tells whether
// it was of a kind made here.
func (q *Records) Reuse(r testudo.Record) bool {
	switch r := r.(type) {
	case *testudo.DNS:
		q.dns.back(r)
	case *testudo.TLS:
		q.tls.back(r)
	case *testudo.X509:
		q.x509.back(r)
	case *testudo.HTTP:
		q.http.back(r)
	default:
		return false
	}
	return true
}

// DNS returns an empty record; its lists may have room from an earlier use.
func (q *Records) DNS() *testudo.DNS {
	r := q.dns.take()
	*r = testudo.DNS{Answers: r.Answers[:0], TTLs: r.TTLs[:0], Addresses: r.Addresses[:0]}
	return r
}

// TLS returns an empty record.
func (q *Records) TLS() *testudo.TLS {
	r := q.tls.take()
	*r = testudo.TLS{}
	return r
}

// X509 returns a record with what an earlier use left in it, to be
// overwritten as a whole.
func (q *Records) X509() *testudo.X509 { return q.x509.take() }

// HTTP returns an empty record.
func (q *Records) HTTP() *testudo.HTTP {
	r := q.http.take()
	*r = testudo.HTTP{}
	return r
}

// room is a slab that takes back.
type room[T any] struct {
	slab  Slab[T]
	spare []*T
}

// maxSpare is how many records of a kind wait in a shard to be used again.
const maxSpare = 256

func (q *room[T]) take() *T {
	n := len(q.spare)
	if n == 0 {
		return q.slab.New()
	}
	v := q.spare[n-1]
	q.spare = q.spare[:n-1]
	return v
}

func (q *room[T]) back(v *T) {
	if len(q.spare) < maxSpare {
		q.spare = append(q.spare, v)
	}
}
