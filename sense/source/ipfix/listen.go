package ipfix

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/source"
)

// Options say how to listen.
type Options struct {
	// Allow are the exporters that are believed. Datagrams carry no proof of
	// who sent them, so it should be as narrow as the network allows, and the
	// port should be reachable from there only.
	Allow []netip.Prefix
	// Conns bounds the conversations that wait; 0 is DefaultConns.
	Conns int
}

// Listener receives flow exports. It implements source.Records and is for one
// goroutine.
type Listener struct {
	*collector
	conn  *net.UDPConn
	allow []netip.Prefix
	buf   []byte
	clock func() time.Time
}

const (
	// pause is how long a live input is waited for.
	pause = 100 * time.Millisecond
	// receiveBuffer is what the kernel is asked to hold while we are busy.
	receiveBuffer = 8 << 20
	maxDatagram   = 64 << 10
)

// ErrNobody says that no exporter is allowed.
var ErrNobody = errors.New("name the networks whose exporters are allowed")

// Listen receives NetFlow v5 and v9, IPFIX and sFlow v5 on one UDP address
// such as ":2055"; each datagram is told by its content.
func Listen(addr string, o Options) (*Listener, error) {
	if len(o.Allow) == 0 {
		return nil, fmt.Errorf("flow exports on %s: %w", addr, ErrNobody)
	}
	at, err := net.ResolveUDPAddr("udp", addr)
	if err != nil {
		return nil, fmt.Errorf("flow exports on %s: %w", addr, err)
	}
	conn, err := net.ListenUDP("udp", at)
	if err != nil {
		return nil, fmt.Errorf("flow exports on %s: %w", addr, err)
	}
	_ = conn.SetReadBuffer(receiveBuffer) // as much as the kernel grants
	if o.Conns == 0 {
		o.Conns = DefaultConns
	}
	return &Listener{collector: newCollector(o.Conns), conn: conn, allow: o.Allow, buf: make([]byte, maxDatagram), clock: time.Now}, nil
}

// Addr is where it listens.
func (l *Listener) Addr() net.Addr { return l.conn.LocalAddr() }

// Next returns the next conversation that is complete or was reported while
// it goes on, source.ErrIdle if there is none for about 100 ms.
func (l *Listener) Next() (testudo.Record, error) {
	until := l.clock().Add(pause)
	for {
		if r := l.take(); r != nil {
			return r, nil
		}
		if !l.clock().Before(until) {
			l.advance(testudo.TimeOf(l.clock()))
			if r := l.take(); r != nil {
				return r, nil
			}
			return nil, source.ErrIdle
		}
		if err := l.receive(until); err != nil {
			return nil, err
		}
	}
}

// receive takes one datagram, if one comes in time.
func (l *Listener) receive(until time.Time) error {
	if err := l.conn.SetReadDeadline(until); err != nil {
		return fmt.Errorf("flow exports on %v: %w", l.conn.LocalAddr(), err)
	}
	n, from, err := l.conn.ReadFromUDPAddrPort(l.buf)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil
	case err != nil:
		return fmt.Errorf("flow exports on %v: %w", l.conn.LocalAddr(), err)
	}
	who := from.Addr().Unmap().WithZone("")
	if !allowed(l.allow, who) {
		l.stats.denied++
		return nil
	}
	l.Datagram(testudo.TimeOf(l.clock()), who, "", l.buf[:n])
	return nil
}

// Account implements source.Records. What could not be read is counted.
func (l *Listener) Account() source.Account {
	return source.Account{Notes: l.Notes(), Shed: l.Shed()}
}

// Close stops listening.
func (l *Listener) Close() error { return l.conn.Close() }
