//go:build linux

package afpacket

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/testudo-shield/testudo/sense/source/afpacket/program"
)

// port is one interface that is read, through all that happens to it.
type port struct {
	opened // its index is 0 while it does not exist
	cfg    Config
	name   string // now; cfg.Interface is what it was called first
	counts Stats
	away   time.Time // since when it is down or gone, zero while watched
	told   string    // the last reason why it cannot be opened again
	retry  time.Time
	events []string // not yet told
}

// openPort opens the interface of cfg. One that is down is waited for, if
// that needs no rights later.
func openPort(ask int, cfg Config, now time.Time) (*port, error) {
	p := &port{cfg: cfg.withDefaults(), name: cfg.Interface}
	i, err := lookUp(ask, cfg.Interface)
	if err == nil {
		err = p.open(i)
	}
	if errors.Is(err, ErrDown) && cfg.Sockets != nil {
		err = nil
	}
	if err != nil {
		return nil, err
	}
	if !i.up {
		p.lose(now, "is down; waiting until it is up")
	}
	return p, nil
}

func (p *port) say(format string, args ...any) {
	p.events = append(p.events, "interface "+p.name+" "+fmt.Sprintf(format, args...))
}

// tell passes on what happened, once nothing is locked.
func (p *port) tell() {
	events := p.events
	p.events = nil
	for _, e := range events {
		p.cfg.Event(e)
	}
}

// opened is an interface whose rings are mapped.
type opened struct {
	spec  Spec
	index int
	rings []*ring
	done  func() error
}

func (p *port) open(i iface) error {
	o, err := p.prepare(i)
	if err == nil {
		p.opened = o
	}
	return err
}

// prepare opens sockets and rings on the interface that is there now. It may
// take seconds if another process is asked, and changes nothing.
func (p *port) prepare(i iface) (o opened, err error) {
	if o.spec, err = p.cfg.spec(i); err != nil {
		return o, err
	}
	open := p.cfg.Sockets
	if open == nil {
		open = OpenSockets
	}
	s, err := open(o.spec)
	if err != nil {
		return o, err
	}
	o.index, o.done = s.Index, s.Done
	for n, fd := range s.FDs {
		r, err := newRing(fd, &o.spec, p)
		if err != nil {
			for _, fd := range s.FDs[n:] {
				_ = unix.Close(fd)
			}
			return opened{}, errors.Join(err, o.close())
		}
		o.rings = append(o.rings, r)
	}
	return o, nil
}

func (o *opened) close() error {
	for _, r := range o.rings {
		r.close()
	}
	done := o.done
	o.rings, o.done = nil, nil
	return finish(done)
}

func finish(done func() error) error {
	if done == nil {
		return nil
	}
	return done()
}

// spec says how the interface is to be opened.
func (c Config) spec(i iface) (Spec, error) {
	l := linkOf(i.hardware)
	filter, err := program.Filter(c.Filter, l.dlt)
	if err != nil {
		return Spec{}, err
	}
	return Spec{
		Interface: i.name, Link: l.dlt, Program: program.Cut(filter, uint32(c.SnapLen)),
		BlockBytes: c.BlockBytes, Blocks: c.blocks(), TimeoutMS: max(1, int(c.BlockTimeout.Milliseconds())),
		Rings: c.Rings, Tunnels: c.Tunnels, Promiscuous: !c.Quiet,
	}, nil
}

// look sees what became of the interface. hurt says that the kernel has told
// of a fault since the last look. It returns the interface to open if there
// is one anew.
func (p *port) look(ask int, now time.Time, hurt bool) (anew iface, ok bool) {
	if p.index == 0 || len(p.rings) == 0 {
		return p.lookOut(ask, now)
	}
	fd := p.rings[0].fd
	name := nameOf(fd, p.index)
	if name == "" {
		p.lose(now, "was removed; waiting for it to come back")
		p.index = 0
		return anew, false
	}
	if name != p.name {
		p.say("is now called %s; it is watched on", name)
		p.name = name
	}
	i, err := lookUp(fd, name)
	switch up := err == nil && i.up; {
	case !up:
		p.lose(now, "is down; waiting until it is up")
	case !p.away.IsZero():
		p.find(now)
	case hurt:
		p.say("was down for a moment and is up again")
	}
	return anew, false
}

// lose notes that nothing can be seen any more, once.
func (p *port) lose(now time.Time, what string) {
	if p.away.IsZero() {
		p.away = now
		p.say("%s", what)
	} else if p.index != 0 && what != p.told {
		p.say("%s", what)
	}
	p.told = what
}

func (p *port) find(now time.Time) {
	gone := now.Sub(p.away)
	p.counts.Blind += gone
	p.away, p.told = time.Time{}, ""
	p.say("is up again; it was not watched for %s", gone.Round(100*time.Millisecond))
}

// lookOut looks for an interface that was removed, once all that the old one
// gave is read. A socket that is alone is used again at once, which needs no
// rights; else all must be opened anew, and the old rings are given back.
func (p *port) lookOut(ask int, now time.Time) (anew iface, ok bool) {
	for _, r := range p.rings {
		if r.ready(0) {
			return anew, false
		}
	}
	if now.Before(p.retry) {
		return anew, false
	}
	i, err := lookUp(ask, p.cfg.Interface)
	if err != nil && p.name != p.cfg.Interface {
		i, err = lookUp(ask, p.name)
	}
	if err != nil || !i.up && (p.cfg.Rings > 1 || p.cfg.Sockets != nil) {
		return anew, false
	}
	if len(p.rings) == 1 && p.cfg.Sockets == nil && linkOf(i.hardware).dlt == p.spec.Link {
		err := bind(p.rings[0].fd, i.index, p.spec.Promiscuous)
		p.comeBack(now, i, opened{p.spec, i.index, p.rings, p.done}, err)
		return anew, false
	}
	p.close()
	return i, true
}

// comeBack takes over what was opened, or says why nothing was.
func (p *port) comeBack(now time.Time, i iface, o opened, err error) {
	if err != nil {
		p.retry = now.Add(retryWhenFailed)
		if why := err.Error(); why != p.told {
			p.told = why
			p.say("is there again but cannot be opened: %v", err)
		}
		return
	}
	p.opened, p.name = o, i.name
	if i.up {
		p.find(now)
	}
}

// count adds up the kernel's counts, which begin anew when read.
func (p *port) count(now time.Time) Stats {
	for _, r := range p.rings {
		p.counts.Broken += r.broken.Swap(0)
		s, err := unix.GetsockoptTpacketStatsV3(r.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
		if err != nil {
			continue
		}
		p.counts.Packets += uint64(s.Packets)
		p.counts.Drops += uint64(s.Drops)
		p.counts.Freezes += uint64(s.Freeze_q_cnt)
	}
	s := p.counts
	s.Interface = p.name
	if !p.away.IsZero() {
		s.Blind += now.Sub(p.away)
	}
	return s
}

// close gives the rings back, once their counts are read.
func (p *port) close() {
	p.count(time.Time{})
	_ = p.opened.close()
}

// hurt takes the fault off the sockets that the kernel holds against them,
// and tells whether there was one.
func (p *port) hurt() (was bool) {
	for _, r := range p.rings {
		if n, err := unix.GetsockoptInt(r.fd, unix.SOL_SOCKET, unix.SO_ERROR); err == nil && n != 0 {
			was = true
		}
	}
	return was
}
